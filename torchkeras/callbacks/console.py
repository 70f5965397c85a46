"""Messages to the user: to standard output, or to the log when interactive logging is off.

The log is that of `absl`, as Keras's, in a program that has imported it; else Python's own.
"""

from __future__ import annotations

import logging
import sys

from ..config import is_interactive_logging_enabled
from ..distribution.processes import is_first

__all__ = ["print_msg"]

_LOGGER = logging.getLogger("torchkeras")
# What Keras's progress bars and tables are drawn with, for terminals that have ASCII only.
_ASCII = str.maketrans(
    {"━": "=", "─": "-", "│": "|", "┃": "|", "└": "+", **dict.fromkeys("┏┓┗┛┡┩┳┻╇├┤┼┘┴┬┌┐", "+")}
)


def print_msg(message: object, line_break: bool = True) -> None:
    """Print a message at once; log it if `config.disable_interactive_logging()` was called.

    Of the processes of a job the first one prints.

    Args:
        message: What to print.
        line_break: Whether to end the line.
    """
    if not is_first():  # of the processes that train together
        return
    text = str(message)
    if not is_interactive_logging_enabled():
        sys.modules.get("absl.logging", _LOGGER).info(text)
        return
    out = sys.stdout
    if out is None:  # a program without a console, as under `pythonw`
        return
    text = f"{text}\n" if line_break else text
    try:
        out.write(text)
    except UnicodeEncodeError:
        encoding = getattr(out, "encoding", None) or "ascii"
        out.write(text.translate(_ASCII).encode(encoding, "replace").decode(encoding))
    out.flush()
