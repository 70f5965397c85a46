"""Products of vectors, matrices and tensors.

Integers and booleans multiply in their own dtype where the device has such kernels, else in floats;
products of `int8` matrices are `int32`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..config import floatx
from ..dtypes import result_type, to_torch
from ..graph.infer import SizeMismatch, known_shape, unknown_size
from ..graph.operation import op
from .common import NUMPY, as_tensor, as_tensors, joint_dtype

__all__ = [
    "correlate",
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "outer",
    "slogdet",
    "tensordot",
    "trace",
    "vdot",
]


def _multiply(kernel: Callable[..., Tensor], *tensors: Tensor, int8_to: Any = None) -> Tensor:
    """Apply a product kernel in a dtype it has, and return the dtype that Keras's rules give."""
    dtype = tensors[0].dtype
    if any(x.dtype is not dtype for x in tensors):
        dtype = to_torch(result_type(*(x.dtype for x in tensors)))
    elif dtype is torch.int8 and int8_to is not None:
        dtype = int8_to
    compute = dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        if tensors[0].is_cuda:  # CUDA has no integer matrix products
            compute = to_torch(floatx())
        elif dtype is torch.bool:
            compute = torch.int32
    if any(x.dtype is not compute for x in tensors):
        tensors = tuple(x.to(compute) for x in tensors)
    result = kernel(*tensors)
    return result if compute is dtype else result.to(dtype)


@op(path=NUMPY + "Matmul")
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """The product of matrices; leading axes broadcast.

    Args:
        x1: `(..., N, K)`, or a vector.
        x2: `(..., K, M)`, or a vector.

    Example:
        >>> matmul([[1, 2]], [[3], [4]]).tolist()
        [[11]]
    """
    x1, x2 = as_tensors(x1, x2)
    if x1.dtype is x2.dtype and x1.is_floating_point():
        return torch.matmul(x1, x2)
    return _multiply(torch.matmul, x1, x2, int8_to=torch.int32)


def _dot(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.ndim == 0 or x2.ndim == 0:
        return torch.mul(x1, x2)
    if x2.ndim <= 2:
        return torch.matmul(x1, x2)
    return torch.tensordot(x1, x2, ([-1], [-2]))


@op(path=NUMPY + "Dot")
def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """The sum of products over the last axis of `x1` and the last but one of `x2`.

    Scalars multiply everything; the only axis of a vector is the one summed over.

    Example:
        >>> dot([1, 2], [3, 4]).item()
        11
    """
    return _multiply(_dot, *as_tensors(x1, x2))


@op(path=NUMPY + "Tensordot")
def tensordot(x1: Tensor, x2: Tensor, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes.

    Args:
        x1, x2: Tensors.
        axes: How many last axes of `x1` meet as many first ones of `x2`; or the axes of each.

    Example:
        >>> tensordot([[1, 2]], [[3], [4]], axes=[[1], [0]]).tolist()
        [[11]]
    """
    if not isinstance(axes, int):
        axes = [[a] if isinstance(a, int) else list(a) for a in axes]
    return _multiply(lambda a, b: torch.tensordot(a, b, axes), *as_tensors(x1, x2))


@op(path=NUMPY + "Inner")
def inner(x1: Tensor, x2: Tensor) -> Tensor:
    """The sum of products over the last axes.

    Example:
        >>> inner([1, 2], [3, 4]).item()
        11
    """
    return _multiply(torch.inner, *as_tensors(x1, x2))


@op(path=NUMPY + "Vdot")
def vdot(x1: Tensor, x2: Tensor) -> Tensor:
    """The sum of products of all values, the first conjugated.

    Example:
        >>> vdot([1, 2], [3, 4]).item()
        11
    """
    x1, x2 = as_tensors(x1, x2)
    return _multiply(torch.vdot, x1.reshape(-1), x2.reshape(-1))


@op(path=NUMPY + "Outer")
def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """The products of each value of one tensor with each of the other.

    Example:
        >>> outer([1, 2], [3, 4]).tolist()
        [[3, 4], [6, 8]]
    """
    x1, x2 = as_tensors(x1, x2)
    return torch.outer(x1.reshape(-1), x2.reshape(-1))


@op(path=NUMPY + "Kron")
def kron(x1: Tensor, x2: Tensor) -> Tensor:
    """The Kronecker product: each value of `x1` times all of `x2`, in place of it.

    Example:
        >>> kron([1, 2], [1, 10]).tolist()
        [1, 10, 2, 20]
    """
    return torch.kron(*as_tensors(x1, x2))


@op(path=NUMPY + "Einsum")
def einsum(subscripts: str, *operands: Tensor, **kwargs: Any) -> Tensor:
    """A sum of products, in Einstein's notation.

    Args:
        subscripts: A letter per axis of each operand, and those of the result after `->`.
        operands: The tensors.
        kwargs: NumPy's, such as `optimize`; torch chooses the order of the products by itself.

    Example:
        >>> einsum("ij,j->i", [[1, 2], [3, 4]], [1, 10]).tolist()
        [21, 43]
    """
    tensors = as_tensors(*operands)
    dtype = tensors[0].dtype
    mixed = any(x.dtype is not dtype for x in tensors)
    if mixed:
        dtype = joint_dtype(*(x.dtype for x in tensors))
        tensors = tuple(x.to(dtype) for x in tensors)
    try:
        if not dtype.is_floating_point:
            product = functools.partial(torch.einsum, subscripts)
            return _multiply(product, *tensors, int8_to=None if mixed else torch.int32)
        return torch.einsum(subscripts, *tensors)
    except ValueError as error:  # of the package that orders the products
        raise SizeMismatch(f"einsum: {error}") from error


@op(path=NUMPY + "Cross")
def cross(
    x1: Tensor,
    x2: Tensor,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Tensor:
    """The vector product in three dimensions.

    Args:
        x1, x2: Vectors of three components, or of two (the third is then 0).
        axisa, axisb: The axes of the components.
        axisc: The axis of the components of the result.
        axis: All three at once.

    Example:
        >>> cross([1, 0, 0], [0, 1, 0]).tolist()
        [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = as_tensors(x1, x2)
    if x1.dtype is not x2.dtype:
        target = to_torch(result_type(x1.dtype, x2.dtype))
        x1, x2 = x1.to(target), x2.to(target)
    x1, x2 = x1.movedim(axisa, -1), x2.movedim(axisb, -1)
    if x1.shape[-1] == 2 and x2.shape[-1] == 2:
        return x1[..., 0] * x2[..., 1] - x1[..., 1] * x2[..., 0]
    x1, x2 = torch.broadcast_tensors(_with_third(x1), _with_third(x2))
    return torch.linalg.cross(x1, x2).movedim(-1, axisc)


def _with_third(x: Tensor) -> Tensor:
    if known_shape(x)[-1] is None:  # no size but this one fits whatever the other operand is
        return x.narrow(-1, 0, 3)
    return x if x.shape[-1] == 3 else torch.cat((x, torch.zeros_like(x[..., :1])), -1)


@op(path=NUMPY + "Trace")
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum over a diagonal in the plane of two axes.

    Example:
        >>> trace([[1, 2], [3, 4]]).item()
        5
    """
    x = as_tensor(x)
    target = x.dtype if x.dtype not in _NARROW else torch.int32
    return torch.sum(torch.diagonal(x, offset, axis1, axis2), -1, dtype=target)


_NARROW = frozenset({torch.bool, torch.int8, torch.int16, torch.uint8})


@op(path=NUMPY + "Correlate")
def correlate(x1: Tensor, x2: Tensor, mode: str = "valid") -> Tensor:
    """The cross-correlation of two vectors.

    Args:
        x1, x2: Vectors.
        mode: `valid` (full overlap), `same` (as long as `x1`) or `full`.

    Raises:
        ValueError: `mode` is another word, or an argument is no vector.

    Example:
        >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0]).tolist()
        [2.0, 3.0]
    """
    x1, x2 = as_tensors(x1, x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(
            "correlate: both arguments must be vectors."
            f" Received: shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    dtype = to_torch(result_type(x1.dtype, x2.dtype, float))
    x1, x2 = x1.to(dtype), x2.to(dtype)
    long, short = x1.shape[0], x2.shape[0]
    full = torch.nn.functional.conv1d(x1[None], x2[None, None], padding=short - 1)[0]
    if mode == "full":
        return full
    if mode not in ("valid", "same"):
        raise ValueError(f"correlate: `mode` must be valid, same or full. Received: mode={mode!r}")
    size = long if mode == "same" else abs(long - short) + 1
    if mode == "valid" and None in (*known_shape(x1), *known_shape(x2)):
        return full.new_empty(unknown_size())
    return full.narrow(0, (full.shape[0] - size) // 2, size)


@op(path=NUMPY + "Slogdet")
def slogdet(x: Tensor) -> tuple[Tensor, Tensor]:
    """The sign of the determinant of matrices, and the logarithm of its modulus.

    Example:
        >>> [part.item() for part in slogdet([[1.0, 0.0], [0.0, -1.0]])]
        [-1.0, 0.0]
    """
    return tuple(torch.linalg.slogdet(as_tensor(x)))
