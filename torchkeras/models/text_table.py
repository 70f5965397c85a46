"""Tables of styled text, drawn as the `rich` package draws those of Keras's `summary`.

A piece of text is a pair of a string and a `Style`; a cell is a list of pieces. Text is broken
between words; a word too long for its column is cut off with an ellipsis.
Source: `rich` 15 (layout and escape codes).
"""

from __future__ import annotations

import itertools
import math
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PLAIN", "Style", "console_width", "draw_table", "draw_text", "terminal_colors"]


class Style(NamedTuple):
    """How characters look: bold or not, and their number in the palette of 256 colours."""

    bold: bool = False
    color: int | None = None


PLAIN = Style()
_BOLD = Style(bold=True)

Cell = Sequence[tuple[str, Style]]
_Char = tuple[str, Style]

_WORD = re.compile(r"\s*\S+\s*")
# What terminals with 16 colours show in place of the palette's.
_BASIC = {33: "94", 34: "32", 45: "96", 9: "91"}


def terminal_colors() -> int | None:
    """How many colours standard output shows: 256, 16, 0 (but bold), or `None` for no codes."""
    if not _is_terminal() or _is_dumb():
        return None
    if os.environ.get("NO_COLOR"):
        return 0
    if os.environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return 256
    suffix = os.environ.get("TERM", "").strip().lower().rpartition("-")[2]
    return 256 if suffix in ("256color", "kitty") or os.name == "nt" else 16


def _is_dumb() -> bool:
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def _is_terminal() -> bool:
    compatible = os.environ.get("TTY_COMPATIBLE")
    if compatible in ("0", "1"):
        return compatible == "1"
    if "FORCE_COLOR" in os.environ:
        return os.environ["FORCE_COLOR"] != ""
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):  # no such method, or the file is closed
        return False


def console_width() -> int:
    """Characters in a line of the terminal; 80 where there is none."""
    if _is_dumb() and _is_terminal():
        return 80
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    for descriptor in (0, 1, 2):
        try:
            width = os.get_terminal_size(descriptor).columns
        except (OSError, ValueError):  # not a terminal
            continue
        return width or 80
    return 80


def draw_text(pieces: Cell, width: int, colors: int | None) -> str:
    """Text broken into lines of at most `width`, each with its line break."""
    chars = _chars(pieces)
    lines = [_strip_end(line, width) for line in _break(chars, width, fold=True)]
    return "".join(_paint(line, colors) + "\n" for line in lines)


def draw_table(
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    alignment: Sequence[str],
    widths: Sequence[int],
    line_length: int,
    width: int,
    colors: int | None,
) -> str:
    """Draw a table.

    Args:
        header: Names of the columns.
        rows: One cell per column.
        alignment: `"left"`, `"center"` or `"right"` for each column.
        widths: Wanted widths of the columns, which are made to fit.
        line_length: Width of the table, frame included.
        width: Where lines are cut off.
        colors: See `terminal_colors`.

    Returns:
        Lines with their line breaks.
    """
    fitted = _fit([w + 2 for w in widths], line_length - len(widths) - 1)
    bar = {char: [char * w for w in fitted] for char in "━─"}
    body = [_row(row, fitted, alignment, "│") for row in rows]
    rule = [_rule("├", bar["─"], "┼", "┤")]
    lines = [
        _rule("┏", bar["━"], "┳", "┓"),
        *_row([[(name, PLAIN)] for name in header], fitted, alignment, "┃", bold=True),
        _rule("┡", bar["━"], "╇", "┩"),
        *itertools.chain.from_iterable(
            lines if i == 0 else rule + lines for i, lines in enumerate(body)
        ),
        _rule("└", bar["─"], "┴", "┘"),
    ]
    return "".join("".join(_crop(line, width, colors)) + "\n" for line in lines)


def _rule(left: str, bars: Sequence[str], cross: str, right: str) -> list[list[_Char]]:
    return [_chars([(left + cross.join(bars) + right, PLAIN)])]


def _row(
    cells: Sequence[Cell],
    widths: Sequence[int],
    alignment: Sequence[str],
    edge: str,
    bold: bool = False,
) -> list[list[list[_Char]]]:
    """The lines of a row, each a list of segments; in the header all is bold and at the bottom."""
    columns = []
    for cell, width, side in zip(cells, widths, alignment, strict=True):
        lines = _wrap(_chars(cell), width - 2, side)
        columns.append([[_pad(1), line, _pad(1)] for line in lines])
    height = max(len(lines) for lines in columns)
    for lines, width in zip(columns, widths, strict=True):
        blank = [[_pad(width)] for _ in range(height - len(lines))]
        lines[:] = blank + lines if bold else lines + blank
    frame = [_chars([(edge, PLAIN)])]
    result = []
    for parts in zip(*columns, strict=True):
        line = frame[:]
        for segments in parts:
            line += [_embolden(s) for s in segments] if bold else segments
            line += frame
        result.append(line)
    return result


def _pad(length: int) -> list[_Char]:
    return [(" ", PLAIN)] * length


def _embolden(chars: list[_Char]) -> list[_Char]:
    return [(char, _BOLD) for char, _ in chars]


def _chars(pieces: Cell) -> list[_Char]:
    return [(char, style) for text, style in pieces for char in text]


def _char_width(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _text_width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _width(chars: list[_Char]) -> int:
    return sum(_char_width(char) for char, _ in chars)


def _fit(widths: list[int], room: int) -> list[int]:
    """Make columns fill `room` exactly where that can be."""
    wanted = [min(w, room) for w in widths]
    excess = sum(wanted) - room
    if excess > 0:
        left = excess
        fitted = []
        for i, w in enumerate(wanted):
            cut = min(w, round(left / (len(wanted) - i)))
            left -= cut
            fitted.append(w - cut)
        return fitted
    missing, total = -excess, sum(wanted)
    for i, w in enumerate(list(wanted)):
        share = math.ceil(w * missing / total) if total else missing
        wanted[i] += share
        missing -= share
        total -= w
    return wanted


def _break(chars: list[_Char], width: int, fold: bool) -> list[list[_Char]]:
    """Break text between words, or within words that are too long if `fold` is set."""
    text = "".join(char for char, _ in chars)
    breaks: list[int] = []
    used = 0
    for match in _WORD.finditer(text):
        start, word = match.start(), match.group()
        needed = _text_width(word.rstrip())
        if needed <= width - used:
            used += _text_width(word)
            continue
        if fold and needed > width:
            starts = _fold(word, width)
            breaks += [start + s for s in starts if start + s]
            used = _text_width(word[starts[-1] :])
        else:
            breaks += [start] if start else []
            used = _text_width(word)
    return [chars[a:b] for a, b in itertools.pairwise([0, *breaks, len(chars)])]


def _fold(word: str, width: int) -> list[int]:
    """Where the lines of a word begin that fills them from end to end."""
    starts, used = [0], 0
    for i, char in enumerate(word):
        if used + _char_width(char) > width:
            starts.append(i)
            used = 0
        used += _char_width(char)
    return starts


def _strip_end(chars: list[_Char], width: int) -> list[_Char]:
    """Drop spaces that stand beyond `width`."""
    while len(chars) > width and chars[-1][0].isspace():
        chars = chars[:-1]
    return chars


def _truncate(chars: list[_Char], width: int) -> list[_Char]:
    if _width(chars) <= width:
        return chars
    end = used = 0
    while end < len(chars) and used + _char_width(chars[end][0]) <= width - 1:
        used += _char_width(chars[end][0])
        end += 1
    return chars[:end] + _pad(width - 1 - used) + [("…", chars[end][1])]


def _wrap(chars: list[_Char], width: int, side: str) -> list[list[_Char]]:
    """The lines of a cell, each exactly `width` wide."""
    lines = []
    for line in _break(chars, width, fold=False):
        line = _strip_end(line, width)
        if side != "left":
            while line and line[-1][0].isspace():
                line = line[:-1]
        line = _truncate(line, width)
        free = width - _width(line)
        before = {"left": 0, "center": free // 2, "right": free}[side]
        lines.append(_pad(before) + line + _pad(free - before))
    return lines


def _crop(line: list[list[_Char]], width: int, colors: int | None) -> list[str]:
    """The segments of a line up to `width`, with escape codes."""
    painted = []
    for segment in line:
        while _width(segment) > width:
            segment = segment[:-1]
        width -= _width(segment)
        painted.append(_paint(segment, colors))
    return painted


def _paint(chars: list[_Char], colors: int | None) -> str:
    groups = itertools.groupby(chars, key=lambda char: char[1])
    return "".join(_escape("".join(c for c, _ in group), style, colors) for style, group in groups)


def _escape(text: str, style: Style, colors: int | None) -> str:
    codes = ["1"] if style.bold else []
    if style.color is not None and colors:
        wide = colors == 256 and style.color > 15
        codes.append(f"38;5;{style.color}" if wide else _BASIC[style.color])
    if colors is None or not codes:
        return text
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m"
