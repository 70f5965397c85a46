"""TensorFlow's linear algebra: products, decompositions, diagonals, norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...naming import explain
from .common import TABLE, as_dtype, axes, in_tensorflow, integers, pair, tensor

__all__: list[str] = []


def _turned(x: Tensor, transpose: bool, adjoint: bool = False) -> Tensor:
    x = x.mT if transpose or adjoint else x
    return torch.resolve_conj(x.conj()) if adjoint and x.is_complex() else x


@in_tensorflow("linalg.matmul")
def _matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
) -> Any:
    a, b = pair(a, b)
    product = _turned(a, transpose_a, adjoint_a) @ _turned(b, transpose_b, adjoint_b)
    return product if output_type is None else product.to(as_dtype(output_type))


@in_tensorflow("linalg.matvec")
def _matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
) -> Any:
    a, b = pair(a, b)
    return (_turned(a, transpose_a, adjoint_a) @ b.unsqueeze(-1)).squeeze(-1)


@in_tensorflow("einsum", "linalg.einsum")
def _einsum(equation: Any, *inputs: Any, **options: Any) -> Any:
    if not inputs:
        raise ValueError(
            explain(
                "The file does not say which tensors `tf.einsum` is of: tf.keras writes only the"
                " equation, and cannot read such a file either.",
                given=f"equation={equation!r}",
                fix="build the model in code, with `keras.ops.einsum`, and load the weights.",
            )
        )
    return torch.einsum(equation, *(tensor(x) for x in inputs))


@in_tensorflow("meshgrid")
def _meshgrid(*args: Any, **kwargs: Any) -> Any:
    raise ValueError(
        explain(
            "The file does not say which tensors `tf.meshgrid` is of: tf.keras writes only the"
            " first one.",
            fix="build the model in code, with `keras.ops.meshgrid`, and load the weights.",
        )
    )


@in_tensorflow("tensordot")
def _tensordot(a: Any, b: Any, axes: Any) -> Any:
    a, b = pair(a, b)
    if isinstance(axes, int):
        return torch.tensordot(a, b, axes)
    first, second = (list(integers(axis)) for axis in axes)
    return torch.tensordot(a, b, (first, second))


@in_tensorflow("linalg.matrix_transpose")
def _matrix_transpose(a: Any, conjugate: bool = False) -> Any:
    return _turned(tensor(a), True, conjugate)


@in_tensorflow("linalg.adjoint")
def _adjoint(matrix: Any) -> Any:
    return _turned(tensor(matrix), True, True)


@in_tensorflow("linalg.trace")
def _trace(x: Any) -> Any:
    return torch.diagonal(tensor(x), 0, -2, -1).sum(-1)


@in_tensorflow("linalg.cross")
def _cross(a: Any, b: Any) -> Any:
    return torch.linalg.cross(*pair(a, b))


@in_tensorflow("linalg.band_part")
def _band_part(input: Any, num_lower: Any, num_upper: Any) -> Any:
    x = tensor(input)
    rows = torch.arange(x.shape[-2], device=x.device)[:, None]
    columns = torch.arange(x.shape[-1], device=x.device)
    lower, upper = int(num_lower), int(num_upper)
    kept = torch.ones(x.shape[-2:], dtype=torch.bool, device=x.device)
    if lower >= 0:
        kept &= rows - columns <= lower
    if upper >= 0:
        kept &= columns - rows <= upper
    return torch.where(kept, x, torch.zeros_like(x))


# Decompositions and equations --------------------------------------------------------------------


@in_tensorflow("linalg.cholesky")
def _cholesky(input: Any) -> Any:
    return torch.linalg.cholesky(tensor(input))


@in_tensorflow("linalg.cholesky_solve")
def _cholesky_solve(chol: Any, rhs: Any) -> Any:
    chol, rhs = pair(chol, rhs)
    return torch.cholesky_solve(rhs, chol)


@in_tensorflow("linalg.det")
def _det(input: Any) -> Any:
    return torch.linalg.det(tensor(input))


@in_tensorflow("linalg.logdet")
def _logdet(matrix: Any) -> Any:
    return 2 * torch.log(torch.diagonal(torch.linalg.cholesky(tensor(matrix)), 0, -2, -1)).sum(-1)


@in_tensorflow("linalg.slogdet")
def _slogdet(input: Any) -> Any:
    return tuple(torch.linalg.slogdet(tensor(input)))


@in_tensorflow("linalg.inv")
def _inv(input: Any, adjoint: bool = False) -> Any:
    return torch.linalg.inv(_turned(tensor(input), False, adjoint))


@in_tensorflow("linalg.pinv")
def _pinv(a: Any, rcond: Any = None, validate_args: bool = False) -> Any:
    x = tensor(a)
    if rcond is None:
        rcond = 10.0 * max(x.shape[-2:]) * torch.finfo(x.dtype).eps
    return torch.linalg.pinv(x, rtol=rcond)


@in_tensorflow("linalg.expm")
def _expm(input: Any) -> Any:
    return torch.linalg.matrix_exp(tensor(input))


@in_tensorflow("linalg.eigvalsh")
def _eigvalsh(tensor: Any) -> Any:
    return torch.linalg.eigvalsh(TABLE["identity"](tensor))


@in_tensorflow("linalg.svd")
def _svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True) -> Any:
    x = TABLE["identity"](tensor)
    if not compute_uv:
        return torch.linalg.svdvals(x)
    u, s, vh = torch.linalg.svd(x, full_matrices=full_matrices)
    return s, u, torch.resolve_conj(vh.mH)


@in_tensorflow("linalg.qr")
def _qr(input: Any, full_matrices: bool = False) -> Any:
    return tuple(torch.linalg.qr(tensor(input), "complete" if full_matrices else "reduced"))


@in_tensorflow("linalg.solve")
def _solve(matrix: Any, rhs: Any, adjoint: bool = False) -> Any:
    matrix, rhs = pair(matrix, rhs)
    return torch.linalg.solve(_turned(matrix, False, adjoint), rhs)


@in_tensorflow("linalg.triangular_solve")
def _triangular_solve(matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False) -> Any:
    matrix, rhs = pair(matrix, rhs)
    upper = not lower
    if adjoint:
        matrix, upper = _turned(matrix, False, True), not upper
    return torch.linalg.solve_triangular(matrix, rhs, upper=upper)


@in_tensorflow("linalg.lstsq")
def _lstsq(matrix: Any, rhs: Any, l2_regularizer: Any = 0.0, fast: bool = True) -> Any:
    a, b = pair(matrix, rhs)
    if not fast:
        return torch.linalg.lstsq(a, b, driver="gelsd").solution
    identity = torch.eye(min(a.shape[-2:]), dtype=a.dtype, device=a.device) * l2_regularizer
    if a.shape[-2] >= a.shape[-1]:
        return torch.linalg.solve(a.mH @ a + identity, a.mH @ b)
    return a.mH @ torch.linalg.solve(a @ a.mH + identity, b)


@in_tensorflow("linalg.matrix_rank")
def _matrix_rank(a: Any, tol: Any = None, validate_args: bool = False) -> Any:
    x = tensor(a)
    values = torch.linalg.svdvals(x)
    if tol is None:
        tol = torch.finfo(x.dtype).eps * max(x.shape[-2:]) * values.amax(-1, keepdim=True)
    return (values > tol).sum(-1).int()


# Diagonals ---------------------------------------------------------------------------------------


def _single(k: Any) -> int:
    if not isinstance(k, int):
        raise ValueError(
            explain(
                "Bands of several diagonals are not provided.",
                given=f"k={k!r}",
                expected="one whole number",
            )
        )
    return k


@in_tensorflow("linalg.diag")
def _diag(
    diagonal: Any,
    k: Any = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Any:
    x, k = tensor(diagonal), _single(k)
    least_rows, least_columns = x.shape[-1] + max(-k, 0), x.shape[-1] + max(k, 0)
    rows, columns = int(num_rows), int(num_cols)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows = least_rows if rows == -1 else rows
    columns = least_columns if columns == -1 else columns
    made = torch.full((*x.shape[:-1], rows, columns), padding_value, dtype=x.dtype, device=x.device)
    return torch.diagonal_scatter(made, x, k, -2, -1)


@in_tensorflow("linalg.diag_part")
def _diag_part(input: Any, k: Any = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT") -> Any:
    return torch.diagonal(tensor(input), _single(k), -2, -1).clone()


@in_tensorflow("linalg.set_diag")
def _set_diag(input: Any, diagonal: Any, k: Any = 0, align: str = "RIGHT_LEFT") -> Any:
    x, diagonal = pair(input, diagonal)
    return torch.diagonal_scatter(x, diagonal, _single(k), -2, -1)


@in_tensorflow("linalg.tensor_diag")
def _tensor_diag(diagonal: Any) -> Any:
    x = tensor(diagonal)
    return torch.diag(x.reshape(-1)).reshape(*x.shape, *x.shape)


@in_tensorflow("linalg.tensor_diag_part")
def _tensor_diag_part(input: Any) -> Any:
    x = tensor(input)
    shape = x.shape[: x.ndim // 2]
    size = shape.numel()
    return torch.diagonal(x.reshape(size, size)).reshape(shape).clone()


# Norms -------------------------------------------------------------------------------------------


@in_tensorflow("norm")
def _norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None) -> Any:
    x, keepdims = TABLE["identity"](tensor), bool(keepdims)
    dims = axes(axis, x.ndim)
    if axis is None or isinstance(axis, int) or len(dims) == 1:
        dims = dims if axis is not None else tuple(range(x.ndim))
        order = 2 if ord in ("euclidean", "fro") else float(ord)
        return torch.linalg.vector_norm(x, order, dims, keepdim=keepdims)
    order = "fro" if ord in ("euclidean", "fro") else float(ord)
    return torch.linalg.matrix_norm(x, order, dims, keepdim=keepdims)


@in_tensorflow("compat.v1.norm")
def _norm_v1(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: Any = None,
    keep_dims: Any = None,
) -> Any:
    return _norm(tensor, ord, axis, keepdims or keep_dims)


@in_tensorflow("linalg.normalize")
def _normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None) -> Any:
    norm = _norm(tensor, ord, axis, True)
    return TABLE["identity"](tensor) / norm, norm
