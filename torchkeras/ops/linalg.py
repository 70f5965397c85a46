"""Linear algebra on matrices, `(..., N, M)`: norms, decompositions, equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..graph.infer import SizeMismatch
from ..graph.operation import op
from ..tree import map_structure
from .common import Axes, as_floating, as_tensor, as_tensors, check_known, promote

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eig",
    "eigh",
    "inv",
    "jvp",
    "lstsq",
    "lu_factor",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "solve",
    "solve_triangular",
    "svd",
]

_PATH = "keras.src.ops.linalg."


def _matrix(x: Any, square: bool = True) -> Tensor:
    """Return `x` as a tensor of matrices.

    Raises:
        ValueError: It has fewer than two axes, or its matrices are not square.
    """
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"Input should have rank >= 2. Received: shape={tuple(x.shape)}")
    if square and x.shape[-2] != x.shape[-1]:
        raise ValueError(f"Expected a square matrix. Received: shape={tuple(x.shape)}")
    return x


@op(path=_PATH + "Cholesky")
def cholesky(x: Tensor, upper: bool = False) -> Tensor:
    """The triangular factor of positive definite matrices.

    Args:
        x: `(..., N, N)`.
        upper: Whether the upper factor is returned.

    Raises:
        ValueError: A matrix is not positive definite.

    Example:
        >>> cholesky([[4.0, 0.0], [0.0, 9.0]]).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    x = _matrix(x)
    try:
        return torch.linalg.cholesky(x, upper=upper)
    except torch.linalg.LinAlgError as error:
        raise ValueError(f"Cholesky decomposition failed: {error}") from error


@op(path=_PATH + "CholeskyInverse")
def cholesky_inverse(x: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is `x`.

    Raises:
        ValueError: torch has no kernel for the dtype.

    Example:
        >>> cholesky_inverse([[2.0, 0.0], [0.0, 4.0]]).diagonal().tolist()
        [0.25, 0.0625]
    """
    x = _matrix(x)
    try:
        return torch.cholesky_inverse(x, upper=upper)
    except RuntimeError as error:
        raise ValueError(f"Cholesky inverse failed: {error}") from error


@op(path=_PATH + "Det")
def det(x: Tensor) -> Tensor:
    """The determinant.

    Example:
        >>> det([[2.0, 0.0], [0.0, 3.0]]).item()
        6.0
    """
    return torch.linalg.det(_matrix(x))


@op(path=_PATH + "Eig")
def eig(x: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvalues, and the eigenvectors as columns; complex.

    Example:
        >>> eig([[2.0, 0.0], [0.0, 3.0]])[0].real.tolist()
        [2.0, 3.0]
    """
    return tuple(torch.linalg.eig(_matrix(x)))


@op(path=_PATH + "Eigh")
def eigh(x: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvalues of Hermitian matrices in ascending order, and the eigenvectors as columns.

    Example:
        >>> eigh([[3.0, 0.0], [0.0, 2.0]])[0].tolist()
        [2.0, 3.0]
    """
    return tuple(torch.linalg.eigh(_matrix(x)))


@op(path=_PATH + "Inv")
def inv(x: Tensor) -> Tensor:
    """The inverse.

    Example:
        >>> inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    return torch.linalg.inv(_matrix(x))


@op(path=_PATH + "LuFactor")
def lu_factor(x: Tensor) -> tuple[Tensor, Tensor]:
    """Both triangular factors in one matrix, and which row each was exchanged with.

    Example:
        >>> lu_factor([[2.0, 0.0], [0.0, 4.0]])[1].tolist()
        [0, 1]
    """
    factors, pivots = torch.linalg.lu_factor(_matrix(x, square=False))
    return factors, pivots - 1  # torch counts rows from 1


@op(path=_PATH + "Norm")
def norm(x: Tensor, ord: Any = None, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """A norm of vectors or matrices.

    Args:
        x: Anything numeric.
        ord: A number, `inf`, `-inf`, `fro` or `nuc`; default: the root of the sum of squares.
        axis: The axis of vectors, or the two of matrices; `None` means all.
        keepdims: Whether reduced axes stay, with size 1.

    Example:
        >>> norm([3.0, 4.0]).item()
        5.0
    """
    axis = tuple(axis) if isinstance(axis, list) else axis
    return torch.linalg.norm(as_floating(x), ord, axis, keepdims)


def _check_mode(mode: str) -> None:
    if mode not in ("reduced", "complete"):
        raise ValueError(
            "qr: `mode` argument value not supported. Expected one of {'reduced', 'complete'}."
            f" Received: mode={mode}"
        )


@op(path=_PATH + "Qr", check=_check_mode)
def qr(x: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """An orthogonal and an upper triangular factor.

    Args:
        x: `(..., M, N)`.
        mode: `reduced` or `complete`.

    Raises:
        ValueError: `mode` is another word; or a size is unknown, and with it which is the lesser.

    Example:
        >>> [part.shape for part in qr(torch.ones(3, 2))]
        [torch.Size([3, 2]), torch.Size([2, 2])]
    """
    _check_mode(mode)
    x = _matrix(x, square=False)
    check_known(x, 2)
    return tuple(torch.linalg.qr(x, mode))


@op(path=_PATH + "Solve")
def solve(a: Tensor, b: Tensor) -> Tensor:
    """The `x` for which `a @ x = b`.

    Args:
        a: `(..., N, N)`.
        b: `(..., N)` or `(..., N, M)`.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 8.0]).tolist()
        [1.0, 2.0]
    """
    return torch.linalg.solve(*_equation(a, b))


@op(path=_PATH + "SolveTriangular")
def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Tensor:
    """`solve` for triangular matrices.

    Args:
        a: `(..., N, N)`.
        b: `(..., N)` or `(..., N, M)`.
        lower: Whether the lower triangle is used.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> solve_triangular([[2.0, 2.0], [0.0, 4.0]], [4.0, 4.0]).tolist()
        [1.0, 1.0]
    """
    a, b = _equation(a, b)
    if b.ndim == a.ndim - 1:
        return torch.linalg.solve_triangular(a, b.unsqueeze(-1), upper=not lower).squeeze(-1)
    return torch.linalg.solve_triangular(a, b, upper=not lower)


def _equation(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    a, b = promote(*as_tensors(a, b), float)
    a = _matrix(a)
    if b.ndim < 1:
        raise ValueError("Expected input `b` to have rank >= 1. Received a scalar.")
    rows = b.shape[-2] if b.ndim == a.ndim else b.shape[-1]
    if b.ndim in (a.ndim, a.ndim - 1) and rows != a.shape[-1]:
        # Of a vector, an unknown size may fit; of matrices, Keras asks for a known one.
        error = SizeMismatch if b.ndim < a.ndim else ValueError
        raise error(
            "`b` must have as many rows as `a` has columns."
            f" Received: a.shape={tuple(a.shape)}, b.shape={tuple(b.shape)}"
        )
    return a, b


@op(path=_PATH + "SVD")
def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition `u @ diag(s) @ vh`.

    Args:
        x: `(..., M, N)`.
        full_matrices: Whether `u` and `vh` are square.
        compute_uv: Whether they are returned beside `s`.

    Raises:
        ValueError: A size is unknown, so that the number of singular values is too.

    Example:
        >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).tolist()
        [4.0, 3.0]
    """
    x = _matrix(x, square=False)
    check_known(x, 2)
    if not compute_uv:
        return torch.linalg.svdvals(x)
    return tuple(torch.linalg.svd(x, full_matrices))


@op(path=_PATH + "Lstsq")
def lstsq(a: Tensor, b: Tensor, rcond: float | None = None) -> Tensor:
    """The `x` that makes `|a @ x - b|` least.

    Args:
        a: `(M, N)`.
        b: `(M,)` or `(M, K)`.
        rcond: Singular values below this part of the largest one count as 0.

    Example:
        >>> lstsq([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [1.0, 2.0, 3.0]).round().tolist()
        [1.0, 2.0]
    """
    a, b = as_tensors(a, b)
    vector = b.ndim == a.ndim - 1
    right = b.unsqueeze(-1) if vector else b
    if a.is_cuda:  # its only driver wants full rank
        result = torch.linalg.pinv(a, rtol=rcond) @ right
    else:
        result = torch.linalg.lstsq(a, right, rcond=rcond, driver="gelsd").solution
    return result.squeeze(-1) if vector else result


@op(path=_PATH + "MatrixRank")
def matrix_rank(x: Tensor, tol: float | None = None) -> Tensor:
    """The rank: how many singular values are above `tol`.

    Example:
        >>> matrix_rank([[1.0, 0.0], [0.0, 0.0]]).item()
        1
    """
    return torch.linalg.matrix_rank(as_tensor(x), atol=tol).to(torch.int32)


@op(path=_PATH + "Pinv")
def pinv(x: Tensor, rcond: float | None = None) -> Tensor:
    """The pseudo-inverse.

    Args:
        x: `(..., M, N)`.
        rcond: Singular values below this part of the largest one count as 0.

    Example:
        >>> pinv([[2.0, 0.0], [0.0, 4.0]]).diagonal()
        tensor([0.5000, 0.2500])
    """
    return torch.linalg.pinv(as_tensor(x), rtol=rcond)


@op(path=_PATH + "JVP")
def jvp(
    fun: Callable[..., Tensor], primals: Tensor, tangents: Tensor, has_aux: bool = False
) -> Any:
    """The value of a function and its derivative in a direction.

    Args:
        fun: The function.
        primals: Its arguments.
        tangents: The direction, one for each.
        has_aux: Whether `fun` returns a pair, the second part of which is passed on.

    Example:
        >>> [x.item() for x in jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))]
        [0.0, 2.0]
    """
    primals, tangents = map_structure(as_tensor, (tuple(primals), tuple(tangents)))
    return torch.func.jvp(fun, primals, tangents, has_aux=has_aux)
