"""Counting Python calls: what guards of speed look at, as a loaded machine does not change it."""

import gc
import sys
from pathlib import Path

import torchkeras

__all__ = ["count_calls", "count_own_calls"]

_OURS = str(Path(torchkeras.__file__).parent)


def count_calls(work, counts=lambda file_name: True):
    """The number of Python functions called while `work` runs, finalizers aside.

    Args:
        work: Called without arguments.
        counts: Whether functions of a file count.
    """
    calls = 0

    def note(frame, event, argument):
        nonlocal calls
        calls += event == "call" and counts(frame.f_code.co_filename)

    gc.disable()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def count_own_calls(work):
    """The number of calls of torchkeras's functions and of generated ones."""
    return count_calls(work, lambda name: name.startswith(_OURS) or "lowered graph" in name)
