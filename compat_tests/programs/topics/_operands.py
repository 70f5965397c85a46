"""Operands of the calls that programs of `ops` make: arrays with shapes, dtypes and numbers.

Numbers are drawn so that roundings decide nothing: no ties where something is sorted, nothing
near zero where something is divided, nothing beyond the bounds of the dtype it is cast to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..drawing import Draw

__all__ = ["FLOATS", "Call", "Operand", "Shape", "Writer"]

Shape = tuple[int, ...]

# Dtypes by how many bits a program is about. Where there are 64, torchkeras mostly keeps them and
# Keras mostly does not, so few programs are about these.
FLOATS = {
    16: ("float16", "bfloat16", "float32"),
    32: ("float32",),
    64: ("float32", "float64"),
}
INTEGERS = ("int32", "int32", "int8", "int16", "uint8", "uint16", "uint32")


@dataclass(frozen=True)
class Operand:
    """An array in source.

    Args:
        source: An expression that makes it.
        shape, dtype: What it is.
    """

    source: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class Call:
    """A call of an op.

    Args:
        name: The op, as `sum` or `image.resize`.
        operands: The arrays that go in.
        text: The call in source, with `{0}`, `{1}` for the operands.
        single: Whether one array comes out, which other ops may take.
    """

    name: str
    operands: tuple[Operand, ...]
    text: str
    single: bool

    def on(self, *names: str) -> str:
        """The call on these arguments."""
        return self.text.format(*names)


class Writer:
    """Draws the operands and arguments of one call.

    Args:
        draw: Where from.
        bits: 32, or 16 where floats of 16 bits are drawn too, or 64 for numbers of 64.
        batched: Whether axis 0 of the operands is a batch, so none of them is a scalar or empty.
    """

    def __init__(self, draw: Draw, bits: int = 32, batched: bool = False) -> None:
        self.draw = draw
        self.floats = FLOATS[bits]
        self.integers = (*INTEGERS, "int64", "int64") if bits == 64 else INTEGERS
        self.batched = batched
        self.operands: list[Operand] = []
        self.single = True
        self.suffix = ""  # what follows the call

    # Shapes, axes and other arguments.

    def shape(self, least: int = 0, most: int = 4) -> Shape:
        """Of any rank between the bounds, sometimes with axes of size one or zero."""
        rank = self.draw.whole(max(least, int(self.batched)), most)
        sizes = [self.draw.whole(1, 4) for _ in range(rank)]
        if rank and not self.batched and self.draw.chance(0.04):
            sizes[self.draw.whole(0, rank - 1)] = 0
        return tuple(sizes)

    def axis(self, rank: int) -> int:
        """One axis, counted from either end."""
        return self.draw.whole(-rank, rank - 1)

    def axes(self, rank: int) -> str:
        """`None`, an axis or several, in source."""
        if rank == 0 or self.draw.chance(0.2):
            return "None"
        if self.draw.chance(0.6):
            return str(self.axis(rank))
        chosen = self.draw.some(range(rank), 1)
        signed = [a - rank if self.draw.chance(0.3) else a for a in chosen]
        return str(tuple(signed) if self.draw.chance(0.7) else signed)

    def broadcast(self, shape: Shape) -> Shape:
        """A shape that broadcasts with another one, without making it larger."""
        kept = shape[self.draw.whole(0, len(shape)) :] if self.draw.chance(0.4) else shape
        return tuple(1 if self.draw.chance(0.2) else size for size in kept)

    def optional(self, **options: str) -> str:
        """Some of these keyword arguments, after a comma."""
        chosen = self.draw.some(list(options), 0)
        return "".join(f", {name}={options[name]}" for name in chosen)

    def flag(self, name: str) -> str:
        """A keyword argument that is true, or nothing."""
        return f", {name}=True" if self.draw.chance(0.4) else ""

    # Arrays.

    def floating(self, shape: Shape, numbers: str = "normal") -> str:
        """An array of floats."""
        return self.array(shape, self.draw.one(self.floats), numbers)

    def number(self, shape: Shape, numbers: str = "normal") -> str:
        """An array of floats or whole numbers."""
        if self.draw.chance(0.65):
            return self.floating(shape, numbers)
        return self.integer(shape, numbers=numbers)

    def anything(self, shape: Shape, numbers: str = "normal") -> str:
        """An array of any dtype."""
        if self.draw.chance(0.1):
            return self.boolean(shape)
        return self.number(shape, numbers)

    def wide(self) -> str:
        """A float dtype that algorithms on matrices take."""
        return self.draw.one([dtype for dtype in self.floats if dtype[-2:] in ("32", "64")])

    def integer(self, shape: Shape, below: int = 10, numbers: str = "normal") -> str:
        """An array of whole numbers."""
        return self.array(shape, self.draw.one(self.integers), numbers, below)

    def index(self, shape: Shape, below: int) -> str:
        """An array of whole numbers, as indices are."""
        return self.array(shape, self.draw.one(["int32", "int64"]), below=below)

    def boolean(self, shape: Shape) -> str:
        """An array of truth values."""
        return self.array(shape, "bool")

    def array(self, shape: Shape, dtype: str, numbers: str = "normal", below: int = 10) -> str:
        """An array; its place in the call is returned."""
        source = self._source(shape, dtype, numbers, below)
        self.operands.append(Operand(source, shape, dtype))
        return f"{{{len(self.operands) - 1}}}"

    def _source(self, shape: Shape, dtype: str, numbers: str, below: int) -> str:
        seed = self.draw.whole(0, 99)
        sizes = "".join(f"{size}, " for size in shape)
        if numbers == "distinct" and dtype != "bool":
            count = math.prod(shape)
            made = f"np.random.default_rng({seed}).permutation({count}).reshape({shape})"
            return _cast(made, dtype)
        if dtype == "bool":
            return f"whole({sizes}below=2, seed={seed}).astype('bool')"
        if "int" in dtype:
            made = f"whole({sizes}below={below}, seed={seed})"
            if numbers in ("positive", "unit"):
                made = f"({made} + 1)"
            return made if dtype == "int32" else f"{made}.astype({dtype!r})"
        made = f"numbers({sizes}seed={seed})"
        if numbers == "positive":
            made = f"(np.abs({made}) + 0.5)"
        elif numbers == "unit":
            made = f"(np.tanh({made}) * 0.9)"
        elif numbers == "probability":
            made = f"(np.tanh({made}) * 0.4 + 0.5)"
        elif numbers == "holes":
            made = f"np.where({made} > 1.0, np.nan, {made})"
        elif numbers == "wild":
            made = f"np.where({made} > 1.0, np.inf, np.where({made} < -1.0, np.nan, {made}))"
        return made if dtype == "float32" else _cast(made, dtype)


def _cast(made: str, dtype: str) -> str:
    if dtype == "bfloat16":  # which NumPy does not have
        return f"ops.cast({made}, 'bfloat16')"
    return f"{made}.astype({dtype!r})"
