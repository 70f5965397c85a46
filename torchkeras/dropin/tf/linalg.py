"""`tf.linalg` and matrix products: a table from names to `keras.ops` or torch."""

from __future__ import annotations

from typing import Any

import torch

import torchkeras.ops as ops  # `from ... import ops` would import the package's root as well

from .math import MATH, global_norm
from .tables import named
from .tensors import matched, tensor_or_symbol

__all__ = ["LINALG", "matmul", "norm"]

t = tensor_or_symbol


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    name: str | None = None,
) -> Any:
    """Multiply matrices, as `keras.ops.matmul`; adjoints of real matrices are transposed ones."""
    a, b = matched(a, b)
    a = ops.conjugate(a) if adjoint_a else a
    b = ops.conjugate(b) if adjoint_b else b
    a = ops.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a
    b = ops.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b
    product = ops.matmul(a, b)
    return product if output_type is None else ops.cast(product, output_type)


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool = False,
    name: str | None = None,
) -> Any:
    """Norm of vectors, or of all elements; along two axes, of matrices."""
    x = t(tensor)
    if ord in ("euclidean", "fro") or (ord == 2 and not isinstance(axis, (tuple, list))):
        return ops.sqrt(ops.sum(ops.square(ops.abs(x)), axis=axis, keepdims=keepdims))
    if isinstance(axis, (tuple, list)) and len(axis) == 2:
        return torch.linalg.matrix_norm(x, ord, tuple(axis), keepdims)
    return torch.linalg.vector_norm(x, ord, axis, keepdims)


def _band_part(input: Any, num_lower: int, num_upper: int, name: str | None = None) -> Any:
    x = t(input)
    x = x if num_upper < 0 else ops.tril(x, int(num_upper))
    return x if num_lower < 0 else ops.triu(x, -int(num_lower))


def _diag(diagonal: Any, name: str = "diag", k: int = 0, **options: Any) -> Any:
    return torch.diag_embed(t(diagonal), offset=int(k))


def _diag_part(input: Any, name: str = "diag_part", k: int = 0, **options: Any) -> Any:
    return torch.diagonal(t(input), int(k), -2, -1)


def _set_diag(input: Any, diagonal: Any, name: str = "set_diag", k: int = 0) -> Any:
    return torch.diagonal_scatter(t(input), t(diagonal), int(k), -2, -1)


def _svd(
    tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> Any:
    if not compute_uv:
        return torch.linalg.svdvals(t(tensor))
    u, s, vh = torch.linalg.svd(t(tensor), full_matrices)
    return s, u, vh.mH


def _eye(
    num_rows: int,
    num_columns: int | None = None,
    batch_shape: Any = None,
    dtype: Any = torch.float32,
    name: str | None = None,
) -> torch.Tensor:
    made = ops.eye(int(num_rows), num_columns and int(num_columns), dtype=dtype)
    return made.expand(*map(int, batch_shape), *made.shape) if batch_shape is not None else made


def _solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Any:
    matrix, rhs = matched(matrix, rhs)
    return torch.linalg.solve(matrix.mH if adjoint else matrix, rhs)


def _triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None
) -> Any:
    matrix, rhs = matched(matrix, rhs)
    matrix = matrix.mH if adjoint else matrix
    return torch.linalg.solve_triangular(matrix, rhs, upper=lower == adjoint)


def _lstsq(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None
) -> Any:
    matrix, rhs = matched(matrix, rhs)
    if not l2_regularizer:
        return torch.linalg.lstsq(matrix, rhs).solution
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.solve(matrix.mH @ matrix + l2_regularizer * eye, matrix.mH @ rhs)


def _inverse(input: Any, adjoint: bool = False, name: str | None = None) -> Any:
    return ops.inv(t(input).mH if adjoint else t(input))


def _normalize(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None
) -> tuple[Any, Any]:
    size = norm(tensor, ord, axis, keepdims=True)
    return t(tensor) / size, size


def _transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Any:
    swapped = ops.swapaxes(t(a), -1, -2)
    return ops.conjugate(swapped) if conjugate else swapped


def _tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Any:
    return ops.tensordot(*matched(a, b), axes=axes)


def _einsum(equation: str, *inputs: Any, **options: Any) -> Any:
    return ops.einsum(equation, *map(t, inputs))


LINALG: dict[str, Any] = {
    "adjoint": lambda matrix, name=None: _transpose(matrix, conjugate=True),
    "band_part": _band_part,
    "cholesky": lambda input, name=None: ops.cholesky(t(input)),
    "cholesky_solve": lambda chol, rhs, name=None: torch.cholesky_solve(t(rhs), t(chol)),
    "cross": lambda a, b, name=None: torch.linalg.cross(*matched(a, b)),
    "det": lambda input, name=None: ops.det(t(input)),
    "diag": _diag,
    "diag_part": _diag_part,
    "eig": lambda tensor, name=None: ops.eig(t(tensor)),
    "eigh": lambda tensor, name=None: ops.eigh(t(tensor)),
    "eigvalsh": lambda tensor, name=None: torch.linalg.eigvalsh(t(tensor)),
    "einsum": _einsum,
    "expm": lambda input, name=None: torch.linalg.matrix_exp(t(input)),
    "eye": _eye,
    "global_norm": global_norm,
    "inv": _inverse,
    "l2_normalize": MATH["l2_normalize"],
    "logdet": lambda matrix, name=None: torch.logdet(t(matrix)),
    "lstsq": _lstsq,
    "matmul": matmul,
    "matrix_rank": lambda a, tol=None, name=None: torch.linalg.matrix_rank(t(a), atol=tol).int(),
    "matrix_transpose": _transpose,
    "matvec": lambda a, b, transpose_a=False, name=None: matmul(
        a, ops.expand_dims(t(b), -1), transpose_a
    ).squeeze(-1),
    "norm": norm,
    "normalize": _normalize,
    "pinv": lambda a, rcond=None, name=None: torch.linalg.pinv(t(a), rtol=rcond),
    "qr": lambda input, full_matrices=False, name=None: tuple(
        torch.linalg.qr(t(input), "complete" if full_matrices else "reduced")
    ),
    "set_diag": _set_diag,
    "slogdet": lambda input, name=None: torch.linalg.slogdet(t(input)),
    "solve": _solve,
    "svd": _svd,
    "tensordot": _tensordot,
    "tensor_diag": lambda diagonal, name=None: torch.diag(t(diagonal)),
    "tensor_diag_part": lambda input, name=None: torch.diagonal(t(input)),
    "trace": lambda x, name=None: torch.diagonal(t(x), 0, -2, -1).sum(-1),
    "triangular_solve": _triangular_solve,
}

named(LINALG)
