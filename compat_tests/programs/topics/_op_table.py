"""How each function of `keras.ops` is called: its operands and arguments, drawn at random.

`CALLS` maps a name to a function that writes the arguments of a call; `ELSEWHERE` maps those that
are written otherwise to where or why. A test holds both against the names of the installed Keras.
"""

from __future__ import annotations

from ..drawing import Draw
from . import _op_matrices, _op_networks, _op_numbers, _op_places
from ._op_registry import CALLS
from ._operands import Call, Writer

__all__ = ["CALLS", "ELSEWHERE", "FAMILIES", "write"]

# The files that register calls.
FAMILIES = (_op_numbers, _op_places, _op_matrices, _op_networks)

ELSEWHERE = {
    **dict.fromkeys(
        ("cond", "while_loop", "fori_loop", "scan", "map", "switch", "vectorized_map",
         "associative_scan", "custom_gradient", "vectorize", "jvp"),
        "takes functions: written by `_op_flow`",
    ),
    **dict.fromkeys(("image", "linalg", "nn", "numpy"), "a module"),
    "empty": "holds whatever lay in memory",
    "empty_like": "holds whatever lay in memory",
    "image.elastic_transform": "draws its own numbers, as the topic `draws` does",
}  # fmt: skip


# Keras lets torch's named tuples through, for which plain ones stand in torchkeras.
_NAMED = ("svd", "qr", "eigh", "eig", "slogdet", "lu_factor", "top_k")


def write(draw: Draw, name: str, bits: int = 32, batched: bool = False) -> Call:
    """A call of an op by name."""
    writer = Writer(draw, bits, batched)
    arguments = CALLS[name](writer)
    text = f"ops.{name}({arguments}){writer.suffix}"
    if name in _NAMED:
        text = f"tuple({text})"
    return Call(name, tuple(writer.operands), text, writer.single)
