"""`tf.strings` on `StringTensor`s.

Regular expressions are Python's: RE2's are a part of them, but for `\\z`, `\\C` and named classes
such as `\\pN`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ...dtypes import to_numpy, to_torch
from ...layers.hashing import hashed
from ...naming import explain
from .tables import named
from .tensors import StringTensor, as_tensor

__all__ = ["STRINGS", "Parts"]


def _text(x: Any) -> StringTensor:
    return StringTensor(x)


def _bytes(x: Any) -> bytes:
    return StringTensor(x).item()


def _length(input: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    if unit == "UTF8_CHAR":
        return _text(input).map(lambda s: len(s.decode(errors="replace")))
    return _text(input).map(len)


def _in_unicode(function: Any) -> Any:
    def apply(input: Any, encoding: str = "", name: str | None = None) -> StringTensor:
        if encoding:
            return _text(input).map(lambda s: function(s.decode()).encode())
        return _text(input).map(function)

    return apply


def _split(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Any:
    texts, separator = _text(input), None if sep in (None, "") else _bytes(sep)
    parts = [text.split(separator, maxsplit) for text in texts.reshape(-1).tolist()]
    return _rectangle(parts, texts, "split")


class Parts:
    """What splitting gives where the strings have different numbers of parts.

    TensorFlow's ragged tensor of them; here it can be looped over, made a list, or filled up.

    Args:
        rows: The parts of each string.
        name: Of the function that gives them.

    Example:
        >>> Parts([[b"a", b"b"], [b"c"]], "split").to_tensor("-").tolist()
        [[b'a', b'b'], [b'c', b'-']]
    """

    def __init__(self, rows: list[list[bytes]], name: str) -> None:
        self._rows, self._name = rows, name

    def to_list(self) -> list[list[bytes]]:
        """The parts as lists."""
        return [list(row) for row in self._rows]

    def to_tensor(
        self, default_value: Any = "", name: str | None = None, shape: Any = None
    ) -> StringTensor:
        """The parts as a rectangle, filled up or cut to `shape`."""
        longest = max(map(len, self._rows))
        width = longest if shape is None or shape[-1] is None else int(shape[-1])
        filling = [_bytes(default_value)] * width
        return StringTensor(
            np.array([(row + filling)[:width] for row in self._rows], dtype=object).reshape(
                len(self._rows), width
            )
        )

    def row_lengths(self, axis: int = 1, name: str | None = None) -> Any:
        """The numbers of parts."""
        return as_tensor([len(row) for row in self._rows]).long()

    @property
    def flat_values(self) -> StringTensor:
        """All parts, one after another."""
        return _vector([part for row in self._rows for part in row])

    values = flat_values

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> StringTensor:
        return _vector(self._rows[index])

    def __iter__(self) -> Iterator[StringTensor]:
        return map(_vector, self._rows)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.refusal(name)

    def refusal(self, wanted: str) -> NotImplementedError:
        """Return the error that says what there is instead of something a ragged tensor has."""
        return NotImplementedError(
            explain(
                f"tf.strings.{self._name}: the strings give different numbers of parts, for which"
                " there are no ragged tensors.",
                wanted=wanted,
                numbers=[len(row) for row in self._rows][:10],
                fix="call `to_tensor()` or `to_list()`, apply it to single strings, or use"
                " `keras.layers.TextVectorization`.",
            )
        )


def _rectangle(parts: list[list[Any]], texts: StringTensor, name: str) -> Any:
    """Lists of equal length as a tensor; of one string, as a vector."""
    if texts.ndim == 0:
        return _vector(parts[0])
    if len({len(part) for part in parts}) > 1:
        made = Parts(parts, name)
        if texts.ndim > 1:
            raise made.refusal("several axes")
        return made
    width = len(parts[0]) if parts else 0
    return StringTensor(np.array(parts, dtype=object).reshape(*texts.shape, width))


def _vector(values: list[Any]) -> StringTensor:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return StringTensor(array)


def _regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> StringTensor:
    expression, template = re.compile(_bytes(pattern)), _bytes(rewrite)
    template = template.replace(b"\\0", b"\\g<0>")
    return _text(input).map(lambda s: expression.sub(template, s, 0 if replace_global else 1))


def _regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Any:
    expression = re.compile(_bytes(pattern))
    return _text(input).map(lambda s: expression.fullmatch(s) is not None)


def _join(inputs: Any, separator: Any = "", name: str | None = None) -> StringTensor:
    between = _bytes(separator)
    first, *others = (np.asarray(_text(x)) for x in inputs)
    return StringTensor(first).map(lambda *parts: between.join(parts), *others)


def _reduce_join(
    inputs: Any, axis: Any = None, keepdims: bool = False, separator: Any = "", name: str = ""
) -> StringTensor:
    texts, between = np.asarray(_text(inputs)), _bytes(separator)
    if axis is None:
        joined = np.array(between.join(texts.reshape(-1).tolist()), dtype=object)
        return StringTensor(joined.reshape([1] * texts.ndim) if keepdims else joined)
    joined = np.apply_along_axis(
        lambda row: np.array([between.join(row)], dtype=object), int(axis), texts
    )
    return StringTensor(joined if keepdims else joined.squeeze(int(axis)))


def _substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str = "") -> StringTensor:
    start, count = int(pos), int(len)

    def cut(text: bytes) -> bytes:
        if unit == "UTF8_CHAR":
            whole = text.decode()
            first = start if start >= 0 else max(0, start + whole.__len__())
            return whole[first : first + count].encode()
        first = start if start >= 0 else max(0, start + text.__len__())
        return text[first : first + count]

    return _text(input).map(cut)


def _to_number(input: Any, out_type: Any = torch.float32, name: str | None = None) -> Any:
    dtype = to_torch(out_type)
    convert = float if dtype.is_floating_point else int
    texts = _text(input)
    numbers = [convert(text) for text in texts.reshape(-1).tolist()]
    return as_tensor(numbers, dtype).reshape(texts.shape)


def _as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> StringTensor:
    x = as_tensor(input)
    if isinstance(x, StringTensor):
        return x
    if x.dtype is torch.bool:
        return _shown(x, lambda v: "true" if v else "false")
    size = "" if width < 0 else str(width)
    sign = "0" if fill == "0" else "<" if fill == "-" else ""
    if not x.is_floating_point():
        return _shown(x, lambda v: format(int(v), f"{sign}{size}d"))
    kind = "e" if scientific else "g" if shortest else "f"
    digits = "" if precision < 0 else f".{precision}"
    return _shown(x, lambda v: format(float(v), f"{sign}{size}{digits}{kind}"))


def _shown(x: torch.Tensor, show: Any) -> StringTensor:
    array = to_numpy(x)
    flat = [show(value) for value in array.reshape(-1)]
    return StringTensor(np.array(flat, dtype=object).reshape(array.shape))


def _format(template: str, inputs: Any, placeholder: str = "{}", **options: Any) -> StringTensor:
    values = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    shown = [to_numpy(v) if isinstance(v, torch.Tensor) else v for v in values]
    text = template
    for value in shown:
        text = text.replace(placeholder, str(value), 1)
    return StringTensor(text)


def _bytes_split(input: Any, name: str | None = None) -> Any:
    texts = _text(input)
    parts = [[bytes([b]) for b in text] for text in texts.reshape(-1).tolist()]
    return _rectangle(parts, texts, "bytes_split")


def _unicode_split(input: Any, input_encoding: str, errors: str = "replace", **options: Any) -> Any:
    texts = _text(input)
    parts = [
        [c.encode() for c in text.decode(input_encoding, errors)]
        for text in texts.reshape(-1).tolist()
    ]
    return _rectangle(parts, texts, "unicode_split")


def _unicode_decode(
    input: Any, input_encoding: str, errors: str = "replace", **options: Any
) -> Any:
    return as_tensor([ord(c) for c in _bytes(input).decode(input_encoding, errors)])


def _unicode_encode(input: Any, output_encoding: str = "UTF-8", **options: Any) -> StringTensor:
    return StringTensor("".join(map(chr, as_tensor(input).tolist())).encode(output_encoding))


def _to_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> torch.Tensor:
    texts = _text(input)
    return hashed(texts.reshape(-1).tolist(), int(num_buckets), None).reshape(texts.shape)


def _to_bucket_strong(
    input: Any, num_buckets: int, key: Any, name: str | None = None
) -> torch.Tensor:
    texts = _text(input)
    return hashed(texts.reshape(-1).tolist(), int(num_buckets), list(key)).reshape(texts.shape)


def _ngrams(data: Any, ngram_width: int, separator: str = " ", **options: Any) -> StringTensor:
    words = _text(data).tolist()
    between = _bytes(separator)
    return _vector(
        [between.join(words[i : i + ngram_width]) for i in range(len(words) - ngram_width + 1)]
    )


STRINGS: dict[str, Any] = {
    "as_string": _as_string,
    "bytes_split": _bytes_split,
    "format": _format,
    "join": _join,
    "length": _length,
    "lower": _in_unicode(lambda s: s.lower()),
    "ngrams": _ngrams,
    "reduce_join": _reduce_join,
    "regex_full_match": _regex_full_match,
    "regex_replace": _regex_replace,
    "split": _split,
    "strip": lambda input, name=None: _text(input).map(bytes.strip),
    "substr": _substr,
    "to_hash_bucket_fast": _to_bucket_fast,
    "to_hash_bucket_strong": _to_bucket_strong,
    "to_number": _to_number,
    "unicode_decode": _unicode_decode,
    "unicode_encode": _unicode_encode,
    "unicode_split": _unicode_split,
    "upper": _in_unicode(lambda s: s.upper()),
}

named(STRINGS)
