"""Calls of `keras.ops` on matrices, and on frequencies and complex numbers."""

from __future__ import annotations

from ._op_registry import CALLS, calls
from ._operands import Shape, Writer

__all__: list[str] = []

# Matrices.


@calls("matmul")
def _matmul(w: Writer) -> str:
    inner, batch = w.draw.whole(1, 4), w.shape(0, 2)
    left = w.draw.one([(inner,), (2, inner), (*batch, 2, inner)])
    right = w.draw.one([(inner,), (inner, 3), (*batch, inner, 3)])
    return f"{w.number(left)}, {w.number(right)}"


@calls("dot")
def _dot(w: Writer) -> str:
    inner = w.draw.whole(1, 4)
    left, right = w.draw.one(
        [((inner,), (inner,)), ((2, inner), (inner,)), ((2, 3, inner), (inner, 2)), ((), (2, 3))]
    )
    return f"{w.number(left)}, {w.number(right)}"


@calls("inner", "vdot")
def _inner(w: Writer) -> str:
    inner = w.draw.whole(1, 4)
    return f"{w.number((inner,))}, {w.number((inner,))}"


@calls("outer", "kron")
def _outer(w: Writer) -> str:
    return f"{w.number(w.shape(1, 2))}, {w.number(w.shape(1, 2))}"


@calls("tensordot")
def _tensordot(w: Writer) -> str:
    axes = w.draw.one(["1", "([1], [0])", "[[1], [0]]"])
    return f"{w.number((2, 3))}, {w.number((3, 4))}, axes={axes}"


@calls("einsum")
def _einsum(w: Writer) -> str:
    subscripts, *shapes = w.draw.one(
        [
            ("ij,jk->ik", (2, 3), (3, 4)),
            ("ij->ji", (2, 3)),
            ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
            ("ii->i", (3, 3)),
            ("...i,i->...", (2, 3, 4), (4,)),
            ("i,j->ij", (2,), (3,)),
            ("ij,ij", (2, 3), (2, 3)),
            ("abc,cd,db->a", (2, 3, 4), (4, 2), (2, 3)),
        ]
    )
    return f"{subscripts!r}, " + ", ".join(w.number(shape) for shape in shapes)


@calls("cross")
def _cross(w: Writer) -> str:
    w.single = False
    shape = (*w.shape(0, 2), 3)
    return f"{w.number(shape)}, {w.number(shape)}"


@calls("corrcoef")
def _corrcoef(w: Writer) -> str:
    return w.floating((w.draw.whole(2, 3), w.draw.whole(3, 5)))


@calls("correlate")
def _correlate(w: Writer) -> str:
    mode = repr(w.draw.one(["valid", "same", "full"]))
    return f"{w.number((w.draw.whole(3, 5),))}, {w.number((w.draw.whole(1, 3),))}, mode={mode}"


@calls("cdist")
def _cdist(w: Writer) -> str:
    return f"{w.array((2, 3), 'float32')}, {w.array((4, 3), 'float32')}"


def _square(w: Writer, rank: int = 3) -> Shape:
    return (*w.draw.one([(), (2,)]), rank, rank)


def _definite(w: Writer) -> str:
    """A symmetric matrix without zero or equal eigenvalues."""
    x = w.array((3, 3), w.wide())
    return f"ops.matmul({x}, ops.transpose({x})) + 2 * ops.eye(3)"


@calls("cholesky", "eigh", "logdet", "slogdet")
def _of_definite(w: Writer) -> str:
    w.single = False
    return _definite(w)


def _cholesky(w: Writer) -> str:
    return _definite(w) + w.flag("upper")


CALLS["cholesky"] = _cholesky


@calls("det", "inv", "matrix_rank", "pinv", "lu_factor", "cholesky_inverse")
def _of_matrix(w: Writer) -> str:
    w.single = False
    return w.array(_square(w), w.wide())


@calls("eig")
def _eig(w: Writer) -> str:  # eigenvectors of a general matrix have no agreed sign
    w.single = False
    return f"np.diag([3.0, 2.0, {w.draw.whole(4, 9)}.0]).astype('float32')"


@calls("qr", "svd")
def _decomposed(w: Writer) -> str:
    w.single = False
    return w.array((w.draw.whole(2, 4), w.draw.whole(2, 4)), w.wide())


def _svd(w: Writer) -> str:
    return _decomposed(w) + w.draw.one(["", ", compute_uv=False", ", full_matrices=False"])


def _qr(w: Writer) -> str:
    return _decomposed(w) + w.draw.one(["", ", mode='complete'"])


CALLS["svd"], CALLS["qr"] = _svd, _qr


@calls("solve", "solve_triangular")
def _solve(w: Writer) -> str:
    dtype = w.wide()
    a = f"{w.array((3, 3), dtype)} + 4 * ops.eye(3, dtype={dtype!r})"
    return f"{a}, {w.array(w.draw.one([(3,), (3, 2)]), dtype)}"


@calls("lstsq")
def _lstsq(w: Writer) -> str:
    return f"{w.array((4, 2), 'float32')}, {w.array(w.draw.one([(4,), (4, 2)]), 'float32')}"


# Frequencies and complex numbers.


@calls("fft")
def _fft(w: Writer) -> str:
    w.single = False
    shape = w.shape(1, 3)
    return f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"


@calls("fft2", "ifft2")
def _fft2(w: Writer) -> str:
    w.single = False
    shape = (*w.shape(0, 1), 2, w.draw.whole(2, 4))
    return f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"


@calls("rfft")
def _rfft(w: Writer) -> str:
    w.single = False
    shape = (*w.shape(0, 2), w.draw.whole(2, 6))
    return w.array(shape, "float32") + w.optional(fft_length=w.draw.one(["4", "8", "3"]))


@calls("irfft")
def _irfft(w: Writer) -> str:
    shape = (*w.shape(0, 2), w.draw.whole(2, 5))
    x = f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"
    return x + w.optional(fft_length=w.draw.one(["4", "6"]))


@calls("stft")
def _stft(w: Writer) -> str:
    w.single = False
    return f"{w.array((*w.shape(0, 1), 20), 'float32')}, 4, 2, 8" + w.optional(
        window=w.draw.one(["'hamming'", "None"]), center="False"
    )


@calls("istft")
def _istft(w: Writer) -> str:
    shape = (*w.shape(0, 1), 6, 5)
    x = f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"
    return f"{x}, 4, 2, 8" + w.optional(length="9")


@calls("extract_sequences")
def _extract_sequences(w: Writer) -> str:
    return f"{w.floating((*w.shape(0, 1), 9))}, {w.draw.whole(1, 4)}, {w.draw.whole(1, 3)}"


@calls("polar")
def _polar(w: Writer) -> str:
    w.single = False
    return f"{w.array((3,), 'float32', 'positive')}, {w.array((3,), 'float32')}"


@calls("view_as_complex")
def _view_as_complex(w: Writer) -> str:
    w.single = False
    return w.array((*w.shape(0, 2), 2), "float32")


@calls("view_as_real")
def _view_as_real(w: Writer) -> str:
    shape = w.shape(1, 2)
    return f"ops.view_as_complex({w.array((*shape, 2), 'float32')})"
