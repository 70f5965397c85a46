"""Calls of every op: its name, arguments (arrays become tensors) and keyword arguments."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """A call of an op.

    Attributes:
        name: The op, dotted under `ops`.
        args: Arrays, which become tensors, and settings.
        kwargs: Settings.
        looks: The shape of the result depends on values, so there is none without data; or the
            result is no tensor, so that no graph can have it.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    looks: bool = False

    @property
    def id(self) -> str:
        described = [_described(a) for a in self.args]
        settings = [f"{key}={value}" for key, value in self.kwargs.items()]
        return "-".join([self.name, *described, *settings])[:80].replace("\n", "")


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.kind}{'x'.join(map(str, value.shape))}"
    if isinstance(value, (list, tuple)) and any(map(callable, value)):
        return "+".join(map(_described, value))
    return getattr(value, "__name__", str(value))


def f(*shape: int, seed: int = 0) -> np.ndarray:
    """Normally distributed floats."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


def p(*shape: int) -> np.ndarray:
    """Floats in (0.1, 0.9)."""
    return np.random.default_rng(shape).uniform(0.1, 0.9, shape).astype("float32")


def i(*shape: int, high: int = 5, seed: int = 0) -> np.ndarray:
    """Integers from 0 on."""
    return np.random.default_rng([seed, *shape]).integers(0, high, shape).astype("int32")


def b(*shape: int, seed: int = 0) -> np.ndarray:
    """Booleans."""
    return np.random.default_rng([seed, *shape]).integers(0, 2, shape).astype(bool)


def nans(*shape: int) -> np.ndarray:
    """Floats, every third of them NaN."""
    x = f(*shape)
    x.flat[::3] = np.nan
    return x


def spd(n: int) -> np.ndarray:
    """A positive definite matrix."""
    x = f(n, n).astype("float64")
    return (x @ x.T + n * np.eye(n)).astype("float32")


def case(name: str, *args: Any, looks: bool = False, **kwargs: Any) -> Case:
    """Write a case as the call it is."""
    return Case(name, args, kwargs, looks)


_ANY = (
    "abs absolute angle arcsinh arctan cbrt ceil conj conjugate copy cos cosh deg2rad exp exp2"
    " expm1 fabs floor isfinite isinf isnan isneginf isposinf isreal logical_not nan_to_num"
    " negative rad2deg ravel real reciprocal relu relu6 round sigmoid sign signbit sin sinc sinh"
    " square tan tanh trunc erf erfc sort argsort sum mean var std max min amax amin ptp all any"
    " argmax argmin count_nonzero cumsum cumprod flip fliplr flipud transpose squeeze tril triu"
    " zeros_like ones_like array stop_gradient nansum size"
).split()
_FLOAT = (
    "celu elu gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid"
    " log_softmax selu silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid"
    " sparsemax squareplus swish tanh_shrink i0 normalize layer_normalization rms_normalization"
    " logsumexp median nanmedian average nanmean nanvar nanstd nanmax nanmin nanprod nancumsum"
    " nancumprod nanargmax nanargmin corrcoef"
).split()
_POSITIVE = "log log10 log1p log2 sqrt rsqrt arcsin arccos arctanh erfinv".split()
_PAIR = (
    "add subtract multiply divide true_divide divide_no_nan mod fmod equal not_equal greater"
    " greater_equal less less_equal maximum minimum fmax fmin logical_and logical_or logical_xor"
    " arctan2 hypot heaviside logaddexp logaddexp2 isclose allclose nextafter"
).split()
_BITS = "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift".split()
_BITS += "left_shift right_shift gcd lcm".split()

UNARY = [case(name, x) for name in _ANY for x in (f(3, 4), i(3, 4))]
UNARY += [case(name, f(3, 4)) for name in _FLOAT]
UNARY += [case(name, p(3, 4)) for name in _POSITIVE]
UNARY += [case(name, i(3, 4)) for name in ("bitwise_not", "bitwise_invert")]
UNARY += [case("arccosh", 1 + p(3)), case("sqrt", i(3, 4)), case("glu", f(3, 4))]
UNARY += [case("clip", x, 0, 1) for x in (f(3, 4), i(3, 4))]
UNARY += [case("isnan", nans(3, 4)), case("nan_to_num", nans(3, 4), nan=1.0)]
UNARY += [case("round", f(3, 4), decimals=1), case("round", f(3, 4), 2)]
UNARY += [
    case("threshold", f(3, 4), 0.5, 2.0),
    case("gelu", f(3, 4), approximate=False),
    case("leaky_relu", f(3, 4), negative_slope=0.1),
    case("elu", f(3, 4), alpha=0.5),
    case("softmax", f(3, 4), axis=0),
    case("softmax", f(2, 3, 4), axis=(0, 2)),
    case("log_softmax", f(2, 3, 4), axis=(0, 2)),
    case("sparsemax", f(3, 4), axis=0),
    case("squareplus", f(3, 4), b=2),
    case("cast", f(3, 4), "int32"),
    case("cast", i(3, 4), "float16"),
    case("saturate_cast", 300 * f(3, 4), "uint8"),
    case("saturate_cast", i(3, 4), "float32"),
    case("convert_to_tensor", f(3, 4)),
    case("convert_to_tensor", f(3, 4), dtype="int32"),
    case("view", f(3, 4), dtype="int32"),
]

PAIRS = [case(name, *xs) for name in _PAIR for xs in ((f(3, 4), f(4)), (i(3, 4), i(3, 1) + 1))]
PAIRS += [case(name, f(3, 4), 2.0) for name in _PAIR if name not in ("nextafter", "isclose")]
PAIRS += [case(name, 2, f(3, 4)) for name in "add subtract multiply divide maximum less".split()]
PAIRS += [case("power", p(3, 4), f(3, 4)), case("power", i(3, 4), 2), case("power", 2.0, f(3))]
PAIRS += [case("floor_divide", f(3, 4), f(3, 4)), case("floor_divide", i(3, 4), 2)]
PAIRS += [case("ldexp", f(3, 4), i(3, 4)), case("isclose", f(3), f(3), rtol=0.1)]
PAIRS += [case(name, i(3, 4), i(3, 4, high=3) + 1) for name in _BITS]
PAIRS += [case(name, b(3, 4), b(3, 4, seed=1)) for name in ("logical_and", "equal", "maximum")]
PAIRS += [case("multiply", i(3, 4), 0.5), case("add", b(3, 4), 1)]

_AXES = "sum mean var std max min amax amin ptp all any".split()
REDUCTIONS = [case(n, f(2, 3, 4), axis=a) for n in _AXES for a in (0, -1, (0, 2), [1])]
REDUCTIONS += [case(n, f(2, 3, 4), axis=1, keepdims=True) for n in _AXES]
REDUCTIONS += [case(n, nans(2, 3, 4), axis=(0, 1)) for n in "nansum nanmean nanvar nanmax".split()]
REDUCTIONS += [case(n, nans(2, 3, 4), axis=1) for n in "nanmin nanargmax nanprod nanstd".split()]
REDUCTIONS += [case(n, nans(2, 3, 4), axis=1) for n in "nancumsum nancumprod nanmedian".split()]
REDUCTIONS += [
    case("max", f(2, 3), initial=9.0),
    case("min", f(2, 3), axis=1, initial=-9.0),
    case("prod", f(2, 3, 4)),
    case("prod", f(2, 3, 4), axis=(0, 1), keepdims=True),
    case("prod", i(2, 3), dtype="float32"),
    case("argmax", f(2, 3), axis=1, keepdims=True),
    case("argmin", f(2, 3), axis=0),
    case("count_nonzero", i(2, 3), axis=0),
    case("cumsum", f(2, 3), axis=1),
    case("cumsum", i(2, 3), axis=0, dtype="float32"),
    case("cumprod", f(2, 3), axis=1),
    case("average", f(2, 3), axis=1),
    case("average", f(2, 3), axis=1, weights=p(2, 3)),
    case("logsumexp", f(2, 3, 4), axis=(0, 1), keepdims=True),
    case("quantile", f(2, 3), 0.3),
    case("quantile", f(2, 3, 4), np.float32([0.2, 0.9]), axis=(0, 2)),
    case("quantile", f(2, 5), np.float32([0.2, 0.9]), axis=1, keepdims=True, method="lower"),
    case("percentile", f(2, 5), 30.0, axis=1),
    case("nanquantile", nans(2, 5), 0.3, axis=1),
    case("nanpercentile", nans(2, 5), 30.0, axis=1),
    case("median", f(2, 4), axis=1, keepdims=True),
    case("diff", f(2, 5)),
    case("diff", f(2, 5), n=2, axis=1),
    case("trapezoid", f(2, 5)),
    case("trapezoid", f(2, 5), dx=0.5, axis=0),
]

SHAPING = [
    case("reshape", f(2, 6), (3, 4)),
    case("reshape", f(2, 6), (2, -1, 3)),
    case("reshape", f(2, 6), -1),
    case("squeeze", f(2, 1, 3), axis=1),
    case("expand_dims", f(2, 3), axis=1),
    case("expand_dims", f(2, 3), -1),
    case("expand_dims", f(2, 3), axis=(0, -1)),
    case("transpose", f(2, 3, 4), axes=(0, 2, 1)),
    case("moveaxis", f(2, 3, 4), 1, -1),
    case("moveaxis", f(2, 3, 4), (0, 1), (2, 0)),
    case("swapaxes", f(2, 3, 4), 1, 2),
    case("broadcast_to", f(1, 3), (2, 3)),
    case("concatenate", [f(2, 3), f(2, 4)], axis=1),
    case("concatenate", [f(2, 3), i(2, 3)]),
    case("stack", [f(2, 3), f(2, 3, seed=1)], axis=1),
    case("append", f(2, 3), f(2, 3), axis=1),
    case("append", f(2, 3), f(2)),
    case("hstack", [f(2, 3), f(2, 1)]),
    case("vstack", [f(2, 3), f(1, 3)]),
    case("dstack", [f(2, 3), f(2, 3)]),
    case("meshgrid", f(2), f(3)),
    case("meshgrid", f(2), f(3), indexing="ij"),
    case("split", f(2, 6), 3, axis=1),
    case("split", f(2, 6), [1, 4], axis=1),
    case("array_split", f(2, 5), 2, axis=1),
    case("hsplit", f(2, 4), 2),
    case("vsplit", f(4, 2), 2),
    case("dsplit", f(2, 2, 4), 2),
    case("unstack", f(2, 3), axis=1),
    case("repeat", f(2, 3), 2, axis=1),
    case("repeat", f(2, 3), 2),
    case("repeat", f(2, 3), [1, 0, 2], axis=1),
    case("tile", f(2, 3), (2, 1)),
    case("tile", f(2, 3), 2),
    case("pad", f(2, 3), ((1, 0), (0, 2))),
    case("pad", f(2, 3), ((1, 1), (2, 2)), constant_values=7.0),
    case("pad", f(4, 5), ((1, 1), (2, 2)), mode="reflect"),
    case("pad", f(4, 5), ((1, 1), (1, 1)), mode="symmetric"),
    case("pad", f(4, 5), ((1, 1), (2, 0)), mode="circular"),
    case("pad", f(4, 5), ((1, 1), (2, 0)), mode="replicate"),
    case("flip", f(2, 3), axis=1),
    case("flip", f(2, 3, 4), axis=(0, 2)),
    case("rot90", f(2, 3)),
    case("rot90", f(2, 3, 4), k=3, axes=(1, 2)),
    case("roll", f(2, 3), 1, axis=1),
    case("roll", f(2, 3), 2),
    case("tril", f(3, 3), k=-1),
    case("triu", f(2, 3, 3), k=1),
    case("diag", f(3)),
    case("diag", f(3, 3), k=1),
    case("diagflat", f(2, 2)),
    case("diagonal", f(2, 3, 4), offset=1, axis1=1, axis2=2),
    case("unravel_index", i(3, high=6), (2, 3)),
]

CREATION = [
    case("zeros", (2, 3)),
    case("ones", (2,), dtype="int32"),
    case("full", (2, 3), 5.0),
    case("full", (2, 3), f(3)),
    case("full_like", f(2, 3), 5),
    case("zeros_like", f(2, 3), dtype="int32"),
    case("ones_like", i(2, 3), dtype="bool"),
    case("arange", 5),
    case("arange", 1, 10, 3),
    case("arange", 0.0, 1.0, 0.25),
    case("arange", 3, dtype="float32"),
    case("linspace", 0, 1, 5),
    case("linspace", 0.0, 2.0, num=4, endpoint=False),
    case("linspace", f(2), f(2, seed=1), 3),
    case("linspace", 0.0, 1.0, 5, retstep=True),
    case("logspace", 0.0, 2.0, 4),
    case("logspace", 0.0, 2.0, 4, endpoint=False, base=2),
    case("geomspace", 1.0, 8.0, 4),
    case("eye", 3),
    case("eye", 3, 4, k=1, dtype="int32"),
    case("eye", 3, k=-1),
    case("identity", 3),
    case("tri", 3, 4, k=1),
    case("vander", f(3)),
    case("vander", i(3), N=2, increasing=True),
    case("bartlett", 5),
    case("blackman", 5),
    case("hamming", 5),
    case("hanning", 5),
    case("kaiser", 5, 14.0),
]

INDEXING = [
    case("get_item", f(3, 4), 1),
    case("get_item", f(3, 4), (slice(None), 1)),
    case("get_item", f(3, 4), (slice(0, 2), None, slice(None, None, 2))),
    case("get_item", f(2, 3, 4), (Ellipsis, -1)),
    case("take", f(3, 4), i(2, 2, high=3), axis=0),
    case("take", f(3, 4), i(2, 2, high=4) - 2, axis=1),
    case("take", f(2, 3, 4), [0, 2], axis=1),
    case("take", f(3, 4), i(3, high=12)),
    case("take", f(3, 4), 1, axis=-1),
    case("take_along_axis", f(3, 4), i(3, 2, high=3), axis=1),
    case("take_along_axis", f(3, 4), i(5, high=12)),
    case("where", b(3, 4), f(3, 4), f(4)),
    case("where", b(3, 4), f(3, 4), 0),
    case("where", b(3, 4), 1.0, i(3, 4)),
    case("where", b(3, 4), 1, 2),
    case("where", b(3, 4), looks=True),
    case("select", [b(3), b(3, seed=1)], [f(3), f(3, seed=1)]),
    case("select", [b(3)], [f(3)], default=2.0),
    case("nonzero", i(3, 4), looks=True),
    case("isin", i(3, 4), i(2)),
    case("isin", i(3, 4), i(2), invert=True),
    case("sort", f(3, 4), axis=0),
    case("sort", f(3, 4), axis=None),
    case("argsort", i(3, 4), axis=0),
    case("argsort", f(3, 4), axis=None),
    case("searchsorted", np.float32([0, 1, 2]), f(4)),
    case("searchsorted", np.float32([0, 1, 2]), np.float32([1, 1.5]), side="right"),
    case("digitize", f(3, 4), np.float32([-1, 0, 1])),
    case("bincount", i(6), looks=True),
    case("bincount", i(6), weights=f(6), minlength=8, looks=True),
    case("bincount", i(2, 6), minlength=7, looks=True),
    case("histogram", f(9), bins=4, looks=True),
    case("histogram", f(9), bins=4, range=(-1, 1), looks=True),
    case("unique", i(3, 4), looks=True),
    case("unique", i(9), return_inverse=True, return_counts=True, return_index=True, looks=True),
    case("unique", i(4, 2, high=2), axis=0, looks=True),
    case("unique", i(9), size=7, fill_value=-1, looks=True),
    case("slice", f(3, 4), (1, 0), (2, 3)),
    case("slice_update", f(3, 4), (1, 1), f(2, 2)),
    case("scatter", np.int32([[0], [2], [2]]), f(3, 2), (4, 2)),
    case("scatter", np.int32([[0, 1], [2, 0]]), f(2), (3, 2)),
    case("scatter_update", f(4, 2), np.int32([[0], [2]]), f(2, 2)),
    case("scatter_update", f(4), np.int32([[0], [2], [2]]), f(3), reduction="add"),
    case("scatter_update", f(4), np.int32([[0], [2], [2]]), f(3), reduction="max"),
    case("scatter_update", f(4, 2), np.int32([[0], [2], [2]]), f(3, 2), reduction="min"),
    case("scatter_update", f(4, 2), np.int32([[0, 1], [2, 0]]), f(2), reduction="mul"),
]

PRODUCTS = [
    case("matmul", f(3, 4), f(4, 2)),
    case("matmul", f(2, 3, 4), f(4, 2)),
    case("matmul", f(4), f(4, 2)),
    case("matmul", i(3, 4), i(4, 2)),
    case("matmul", i(3, 4), f(4, 2)),
    case("dot", f(3, 4), f(4, 2)),
    case("dot", f(3, 4), f(4)),
    case("dot", f(3, 4), 2.0),
    case("dot", i(3), i(3)),
    case("tensordot", f(2, 3, 4), f(3, 4, 5)),
    case("tensordot", f(2, 3, 4), f(5, 3), axes=[[1], [1]]),
    case("tensordot", f(2, 3), f(3, 2), axes=(0, 1)),
    case("inner", f(2, 3), f(4, 3)),
    case("vdot", f(3), f(3, seed=1)),
    case("outer", f(2, 2), f(3)),
    case("kron", f(2, 2), f(1, 3)),
    case("einsum", "ij,jk->ik", f(2, 3), f(3, 4)),
    case("einsum", "...ij->...ji", f(2, 3, 4)),
    case("einsum", "bi,bi->b", i(2, 3), i(2, 3, seed=1)),
    case("cross", f(2, 3), f(2, 3, seed=1)),
    case("trace", f(3, 4)),
    case("trace", i(2, 3, 4), offset=1, axis1=1, axis2=2),
    case("correlate", f(5), f(3)),
    case("correlate", f(5), f(3), mode="same"),
    case("correlate", f(5), f(3), mode="full"),
    case("slogdet", spd(3)),
]

MATH = [
    case("segment_sum", f(5, 2), np.int32([0, 0, 1, 3, -1]), num_segments=4),
    case("segment_max", f(5), np.int32([0, 0, 1, 2, 2]), num_segments=3),
    case("segment_min", f(5), np.int32([0, 0, 1, 2, 2]), num_segments=3),
    case("segment_prod", f(5, 2), np.int32([0, 0, 1, 2, 2]), num_segments=4),
    case("segment_sum", f(5), np.int32([0, 0, 1, 2, 2]), looks=True),
    case("top_k", f(3, 5), 2),
    case("in_top_k", i(3), f(3, 5), 2),
    case("logdet", spd(3)),
    case("cdist", f(2, 3, 4), f(2, 5, 4)),
    case("fft", (f(2, 4), f(2, 4, seed=1))),
    case("fft2", (f(2, 4), f(2, 4, seed=1))),
    case("ifft2", (f(2, 4), f(2, 4, seed=1))),
    case("rfft", f(2, 6)),
    case("rfft", f(2, 6), fft_length=8),
    case("irfft", (f(2, 4), f(2, 4, seed=1))),
    case("irfft", (f(2, 4), f(2, 4, seed=1)), fft_length=5),
    case("extract_sequences", f(2, 9), 4, 2),
    case("stft", f(2, 16), 6, 2, 8),
    case("stft", f(16), 8, 4, 8, window="hamming", center=False),
    case("istft", (f(2, 9, 5), f(2, 9, 5, seed=1)), 6, 2, 8),
    case("istft", (f(9, 5), f(9, 5, seed=1)), 8, 4, 8, length=30),
    case("view_as_complex", f(3, 2)),
]

LINALG = [
    case("cholesky", spd(3)),
    case("cholesky", spd(3), upper=True),
    case("cholesky_inverse", np.tril(spd(3))),
    case("det", spd(3)),
    case("eigh", spd(3)),
    case("inv", spd(3)),
    case("lu_factor", spd(3)),
    case("norm", f(3, 4)),
    case("norm", f(3, 4), axis=1, keepdims=True),
    case("norm", f(3, 4), ord=1, axis=0),
    case("norm", f(2, 3, 4), ord="fro", axis=(1, 2)),
    case("norm", i(3, 4), axis=-1),
    case("qr", f(4, 3)),
    case("qr", f(4, 3), mode="complete"),
    case("solve", spd(3), f(3)),
    case("solve", spd(3), f(3, 2)),
    case("solve_triangular", np.tril(spd(3)), f(3, 2), lower=True),
    case("solve_triangular", np.triu(spd(3)), f(3)),
    case("svd", f(4, 3), compute_uv=False),
    case("lstsq", f(4, 3), f(4, 2)),
    case("matrix_rank", spd(3)),
    case("pinv", f(4, 3)),
]

NN = [
    case("conv", f(2, 9, 3), f(3, 3, 4)),
    case("conv", f(2, 9, 8, 4), f(3, 2, 2, 6), strides=2, padding="same"),
    case("conv", f(2, 9, 8, 3), f(3, 3, 3, 4), padding="same", dilation_rate=2),
    case("conv", f(2, 3, 9, 8), f(2, 2, 3, 4), data_format="channels_first"),
    case("conv", f(2, 5, 6, 7, 2), f(2, 2, 2, 2, 3), strides=(1, 2, 1)),
    case("depthwise_conv", f(2, 9, 8, 3), f(3, 3, 3, 2), strides=2, padding="same"),
    case("separable_conv", f(2, 9, 3), f(3, 3, 2), f(1, 6, 4), padding="same"),
    case("conv_transpose", f(2, 5, 3), f(3, 4, 3), strides=2, padding="same"),
    case("conv_transpose", f(2, 5, 4, 3), f(3, 3, 2, 3), strides=2, padding="valid"),
    case("conv_transpose", f(2, 5, 4, 3), f(2, 2, 2, 3), strides=3, padding="valid"),
    case("conv_transpose", f(2, 5, 3), f(3, 4, 3), strides=2, padding="same", output_padding=1),
    case("conv_transpose", f(2, 3, 5, 4), f(3, 3, 2, 3), data_format="channels_first"),
    case("conv_transpose", f(2, 5, 3), f(3, 4, 3), dilation_rate=2),
    case("max_pool", f(2, 9, 3), 2),
    case("max_pool", f(2, 9, 8, 3), 3, strides=2, padding="same"),
    case("max_pool", f(2, 3, 9, 8), (2, 3), data_format="channels_first"),
    case("average_pool", f(2, 9, 7, 3), 3, strides=2, padding="same"),
    case("average_pool", f(2, 4, 5, 6, 3), 2),
    case("adaptive_average_pool", f(2, 9, 8, 3), (3, 2)),
    case("adaptive_max_pool", f(2, 9, 3), 4),
    case("unfold", f(2, 3, 5, 6), 2),
    case("unfold", f(2, 3, 5, 6), (2, 3), stride=2, padding=1),
    case("fold", f(2, 12, 20), (5, 6), 2),
    case("depth_to_space", f(2, 3, 4, 8), 2),
    case("depth_to_space", f(2, 8, 3, 4), 2, data_format="channels_first"),
    case("space_to_depth", f(2, 4, 6, 3), 2),
    case("space_to_depth", f(2, 3, 4, 6), 2, data_format="channels_first"),
    case("moments", f(2, 3, 4), (0, 1)),
    case("moments", f(2, 3, 4), -1, keepdims=True),
    case("batch_normalization", f(2, 5, 3), f(3), p(3), -1),
    case("batch_normalization", f(2, 3, 5), f(3), p(3), 1, offset=f(3), scale=p(3)),
    case("layer_normalization", f(2, 3, 4), p(4), f(4)),
    case("layer_normalization", f(2, 3, 4), p(3), axis=1),
    case("layer_normalization", f(2, 3, 4), axis=(1, 2), epsilon=0.1),
    case("rms_normalization", f(2, 3, 4), p(4)),
    case("rms_normalization", f(2, 3, 4), axis=(1, 2)),
    case("normalize", f(2, 3), axis=0),
    case("normalize", f(2, 3), order=1),
    case("normalize", f(2, 3), order=3),
    case("dot_product_attention", f(2, 5, 4, 8), f(2, 6, 4, 8), f(2, 6, 4, 8, seed=1)),
    case("dot_product_attention", *[f(2, 5, 4, 8, seed=s) for s in (0, 1, 2)], is_causal=True),
    case("dot_product_attention", *[f(2, 5, 4, 8)] * 3, mask=b(2, 1, 5, 5), scale=0.5),
    case("dot_product_attention", *[f(2, 5, 4, 8)] * 3, mask=b(2, 1, 5, 5), is_causal=True),
    case("dot_product_attention", *[f(2, 5, 4, 8)] * 3, bias=f(2, 4, 5, 5)),
    case("dot_product_attention", f(2, 5, 4, 8), f(2, 6, 2, 8), f(2, 6, 2, 8, seed=1)),
    case("binary_crossentropy", p(3, 4), p(4, 3).T),
    case("binary_crossentropy", p(3, 4), f(3, 4), from_logits=True),
    case("categorical_crossentropy", p(3, 4), p(4, 3).T),
    case("categorical_crossentropy", p(3, 4), f(3, 4), from_logits=True, axis=0),
    case("sparse_categorical_crossentropy", i(3, high=4), p(3, 4)),
    case("sparse_categorical_crossentropy", i(3, 1, high=4), f(3, 4), from_logits=True),
    case("sparse_categorical_crossentropy", i(3, 2, high=4), f(3, 4, 2), axis=1),
    case("ctc_loss", i(2, 3) + 1, f(2, 7, 6), np.int32([2, 3]), np.int32([7, 6])),
    case("ctc_decode", p(2, 5, 4), np.int32([5, 3])),
    case("ctc_decode", p(2, 5, 4), np.int32([5, 3]), merge_repeated=False, mask_index=3),
    case("ctc_decode", f(2, 5, 4), np.int32([5, 3]), "beam_search", 6, 3),
    case("ctc_decode", f(2, 4, 3), np.int32([4, 1]), "beam_search", 20, 20, mask_index=2),
    case("one_hot", i(3, 2), 5),
    case("one_hot", i(3, 2) - 1, 4, axis=1, dtype="int32"),
    case("multi_hot", i(3, 2), 5),
    case("multi_hot", i(3), 5),
    case("psnr", p(3, 4), p(3, 4) + 0.1, 1.0),
    case("polar", p(3), f(3)),
]

# Turned and moved a little, and nearly itself.
AFFINE = np.float32([[0.9, -0.4, 0.7, 0.5, 1.1, -1.3, 0, 0], [1.1, 0.1, -2.2, 0, 0.8, 0.4, 0, 0]])
CORNERS = np.float32([[[0, 0], [4, 0], [0, 5], [4, 5]]]).repeat(2, 0)

IMAGES = [
    case("image.resize", f(2, 6, 5, 3), (4, 7)),
    case("image.resize", f(6, 5, 3), (3, 3), interpolation="nearest"),
    case("image.resize", f(2, 6, 5, 3), (9, 8), interpolation="bicubic"),
    case("image.resize", f(2, 8, 8, 3), (3, 3), antialias=True),
    case("image.resize", f(2, 3, 6, 5), (4, 7), data_format="channels_first"),
    case("image.resize", i(2, 6, 5, 3, high=255), (4, 7)),
    case("image.resize", f(2, 6, 9, 3), (4, 4), crop_to_aspect_ratio=True),
    case("image.resize", f(2, 6, 9, 3), (4, 4), pad_to_aspect_ratio=True, fill_value=2.0),
    case("image.rgb_to_grayscale", p(2, 4, 5, 3)),
    case("image.rgb_to_grayscale", p(3, 4, 5), data_format="channels_first"),
    case("image.rgb_to_hsv", p(2, 4, 5, 3)),
    case("image.hsv_to_rgb", p(2, 4, 5, 3)),
    case("image.extract_patches", f(2, 6, 6, 3), (2, 3)),
    case("image.extract_patches", f(2, 6, 6, 3), 3, strides=1, padding="same"),
    case("image.extract_patches", f(2, 7, 7, 3), 2, strides=1, dilation_rate=2),
    case("image.extract_patches", f(2, 3, 6, 6), 2, data_format="channels_first"),
    case("image.extract_patches_3d", f(2, 4, 4, 4, 2), 2),
    case("image.pad_images", f(2, 4, 5, 3), 1, 2, 3, None, None, 9),
    case("image.crop_images", f(2, 6, 5, 3), 1, 2, None, None, 3, 2),
    case("image.map_coordinates", f(4, 5), f(2, 6) * 4 + 2, 1),
    case("image.map_coordinates", f(4, 5, 3), f(3, 2, 3) * 4 + 2, 0, fill_value=7.0),
    *[
        case("image.map_coordinates", i(6, high=99), f(1, 9) * 9 + 2, order, fill_mode=mode)
        for order in (0, 1)
        for mode in ("constant", "nearest", "wrap", "mirror", "reflect")
    ],
    *[
        case("image.affine_transform", p(2, 6, 5, 3), AFFINE, kind, mode, 0.3)
        for kind in ("nearest", "bilinear")
        for mode in ("constant", "nearest", "wrap", "mirror", "reflect")
    ],
    case("image.affine_transform", p(3, 6, 5), AFFINE[0], data_format="channels_first"),
    case("image.affine_transform", i(2, 6, 5, 3, high=255), AFFINE * 0.9931),
    case("image.perspective_transform", p(2, 6, 5, 3), CORNERS, CORNERS + p(2, 4, 2)),
    case("image.perspective_transform", p(6, 5, 3), CORNERS[0] + p(4, 2), CORNERS[0], "nearest"),
    case("image.gaussian_blur", p(2, 6, 5, 3), (3, 3), (1.0, 0.5), "channels_last"),
    case("image.gaussian_blur", p(3, 6, 5), (5, 5), (0.7, 2.0), "channels_first"),
    case("image.elastic_transform", np.ones((2, 6, 5, 3), "float32"), 3.0, 1.0),
    case("image.scale_and_translate", f(4, 5), (3, 9), p(2) + 0.5, f(2), (0, 1), "linear"),
    case("image.scale_and_translate", f(4, 5), (4, 9), p(1) + 1.5, f(1), (1,), "cubic", False),
    case("image.scale_and_translate", i(8, high=99), (3,), p(1), f(1), (0,), "lanczos3"),
    case("image.scale_and_translate", f(8), (12,), p(1) + 1, f(1), (0,), "lanczos5"),
    case("image.sobel_edges", f(2, 6, 5, 3)),
    case("image.sobel_edges", f(2, 3, 6, 5), data_format="channels_first"),
    case("image.ssim", p(2, 13, 12, 3), p(2, 13, 12, 3) ** 1.1),
    case("image.ssim", p(3, 9, 8), p(3, 9, 8) ** 2, 2.0, 5, 1.0, data_format="channels_first"),
]

# Every setting that no case above gives.
OPTIONS = [
    case("celu", f(3, 4), alpha=0.5),
    case("glu", f(4, 3), axis=0),
    case("hard_shrink", f(3, 4), threshold=0.2),
    case("soft_shrink", f(3, 4), threshold=0.2),
    case("nan_to_num", np.float32([np.inf, -np.inf, np.nan, 1]), posinf=9.0, neginf=-9.0),
    case("allclose", f(3), f(3) + 0.01, rtol=0.0, atol=0.1),
    case("allclose", nans(3), nans(3), equal_nan=True),
    case("isclose", nans(4), nans(4) + 0.01, atol=0.1, equal_nan=True),
    case("argmin", f(2, 3), axis=1, keepdims=True),
    case("cumprod", i(2, 3), axis=-1, dtype="float32"),
    *[case(n, nans(2, 4), axis=1, keepdims=True) for n in "nanargmax nanargmin".split()],
    *[
        case(n, nans(2, 3, 4), axis=(0, 2), keepdims=True)
        for n in "nansum nanmean nanvar nanstd nanmax nanmin nanprod nanmedian".split()
    ],
    *[case(n, nans(2, 4), axis=0, dtype="float64") for n in "nancumsum nancumprod".split()],
    *[
        case(n, f(3, 4), q, axis=(0, 1), method=method, keepdims=True)
        for n, q in (("percentile", 30.0), ("nanquantile", 0.3), ("nanpercentile", 30.0))
        for method in ("higher", "midpoint", "nearest")
    ],
    case("trapezoid", f(2, 5), x=np.float32([0, 1, 3, 4, 7])),
    case("array", f(2), dtype="int32"),
    case("unstack", f(2, 3), num=2),
    case("zeros", (2, 3), dtype="bool"),
    case("full", (2, 3), 2, dtype="float16"),
    case("full_like", i(2, 3), 1.5, dtype="float32"),
    case("linspace", f(2), f(2) + 3, 4, axis=-1, dtype="float64"),
    case("logspace", f(2), f(2) + 1, 4, axis=1, dtype="float64"),
    case("geomspace", p(2), p(2) + 1, 4, endpoint=False, dtype="float64", axis=1),
    case("identity", 3, dtype="int8"),
    case("tri", 3, dtype="bool"),
    case("diagflat", f(2), k=-1),
    case("isin", i(5), i(2), assume_unique=True),
    case("unique", i(9), sorted=False, looks=True),
    case("top_k", f(3, 5), 5, sorted=True),
    *[
        case(f"segment_{n}", f(5), np.int32([0, 0, 1, 3, 3]), 4, sorted=True)
        for n in ("sum", "max", "min", "prod")
    ],
    case("cross", f(3, 2, 4), f(4, 3), axisa=0, axisb=-1, axisc=1),
    case("cross", f(3, 4), f(3, 4, seed=1), axis=0),
    case("eig", f(3, 3)),
    case("svd", f(4, 3), full_matrices=False, compute_uv=False),
    case("imag", f(3) + 1j * f(3, seed=1)),
    case("view_as_real", (f(3) + 1j * f(3, seed=1)).astype("complex64")),
    case("argpartition", f(3, 7), 2, axis=1),
    case("rearrange", f(2, 3, 8), "b t (h d) -> b h t d", h=2),
    case("cholesky_inverse", np.triu(spd(3)), upper=True),
    case("lstsq", f(4, 3), f(4), rcond=0.1),
    case("matrix_rank", np.diag(np.float32([3, 1, 0.1])), tol=0.5),
    case("pinv", np.diag(np.float32([3, 1, 0.1])), rcond=0.1),
    case("istft", (f(2, 7, 5), f(2, 7, 5, seed=1)), 8, 4, 8, window="hamming", center=False),
    case("normalize", np.zeros((2, 3), "float32"), epsilon=1e-3),
    case("rms_normalization", f(2, 3), epsilon=0.5),
    case("batch_normalization", f(2, 3), f(3), p(3), 1, epsilon=0.5),
    case("moments", f(2, 3), 0, synchronized=False),
    case("multi_hot", i(2, 3, 4), 5, axis=1, dtype="int32"),
    case("one_hot", i(3), 5, sparse=False),
    case("multi_hot", i(3), 5, sparse=False),
    case("bincount", i(6), sparse=False, looks=True),
    case("convert_to_tensor", i(3), sparse=False, ragged=False),
    case("dot_product_attention", *[f(2, 5, 4, 8)] * 3, flash_attention=False),
    case("ctc_loss", i(2, 3), f(2, 7, 6), np.int32([2, 3]), np.int32([7, 6]), mask_index=5),
    *[
        case(n, f(2, 3, 8, 7), (3, 2), data_format="channels_first")
        for n in ("adaptive_average_pool", "adaptive_max_pool", "average_pool")
    ],
    case("adaptive_max_pool", f(2, 4, 5, 6, 2), 2),
    case("max_pool", f(2, 4, 5, 6, 2), 2, padding="same"),
    case("depthwise_conv", f(2, 3, 9, 8), f(3, 3, 3, 2), data_format="channels_first"),
    case("depthwise_conv", f(2, 9, 8, 3), f(3, 3, 3, 2), padding="same", dilation_rate=2),
    case("separable_conv", f(2, 9, 8, 3), f(3, 3, 3, 2), f(1, 1, 6, 4), strides=2),
    case("separable_conv", f(2, 3, 9), f(3, 3, 2), f(1, 6, 4), data_format="channels_first"),
    case("separable_conv", f(2, 9, 3), f(3, 3, 2), f(1, 6, 4), padding="same", dilation_rate=2),
    case("conv_transpose", f(2, 2, 3, 4, 2), f(2, 2, 2, 3, 2), strides=2),
    case("unfold", f(2, 3, 5, 6), 2, dilation=2, stride=(2, 1)),
    case("fold", f(2, 12, 9), (5, 6), 2, dilation=2, padding=1, stride=2),
    *[
        case(f"image.{n}", p(2, 3, 4, 5), data_format="channels_first")
        for n in ("rgb_to_hsv", "hsv_to_rgb")
    ],
    case("image.pad_images", f(3, 4, 5), 1, 2, 3, 4, data_format="channels_first"),
    case("image.crop_images", f(3, 6, 5), 1, 2, 1, 0, data_format="channels_first"),
    case("image.ssim", p(2, 13, 12, 3), p(2, 13, 12, 3) ** 2, k1=0.1, k2=0.2),
    case("image.perspective_transform", p(3, 6, 5), CORNERS[0], CORNERS[0] + p(4, 2),
         fill_value=2.0, data_format="channels_first"),
    case("image.elastic_transform", p(3, 4, 5), 3.0, 1.0, "nearest", "constant", 2.0,
         data_format="channels_first"),
    case("image.extract_patches_3d", f(2, 5, 6, 7, 2), (2, 1, 3), (1, 2, 2), padding="same"),
    case("image.extract_patches_3d", f(2, 6, 6, 6), 2, 1, 2, data_format="channels_first"),
    *[
        case("image.resize", p(2, 6, 5, 3), (4, 9), interpolation=kind, antialias=antialias)
        for kind in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
        for antialias in (False, True)
    ],
    case("image.resize", p(6, 9, 3), (4, 4), pad_to_aspect_ratio=True, fill_mode="constant"),
]  # fmt: skip

# Functions of tensors of either library, that files can name.


def doubled(x):
    return x + x


def squared(x):
    return x * x


def total(x, y):
    return x + y


def product(x, y):
    return x * y


def sum_and_product(x, y):
    return x + y, x * y


def fibonacci(x, y):
    return y, x + y


def twice(x, _):
    return x + x, x


FUNCTIONS = [
    case("cond", b(1)[0], lambda: 1, lambda: 2, looks=True),
    case("switch", i(1)[0], [total, product], f(3), f(3, seed=1)),
    case("while_loop", lambda x: x.sum() < 9, doubled, p(3), 9, looks=True),
    case("while_loop", lambda x, y: True, fibonacci, [f(3), f(3)], 4),
    case("fori_loop", 1, 4, product, f(3)),
    case("scan", sum_and_product, f(3), f(4, 3)),
    case("scan", sum_and_product, f(3), f(4, 3), reverse=True, unroll=True),
    case("scan", twice, f(3), length=3),
    case("associative_scan", total, f(5, 2)),
    case("associative_scan", product, f(2, 5), reverse=True, axis=1),
    case("map", squared, f(4, 3)),
    case("vectorized_map", squared, f(4, 3)),
    case("jvp", squared, (f(3),), (f(3, seed=1),)),
    case("jvp", sum_and_product, (f(3), f(3)), (f(3), f(3)), has_aux=True),
    case("convert_to_numpy", f(2, 3), looks=True),
    case("is_tensor", f(2, 3), looks=True),
    case("is_tensor", 2, looks=True),
    case("shape", f(2, 3), looks=True),
    case("ndim", f(2, 3), looks=True),
    case("dtype", f(2, 3), looks=True),
]

CASES = [
    *UNARY,
    *PAIRS,
    *REDUCTIONS,
    *SHAPING,
    *CREATION,
    *INDEXING,
    *PRODUCTS,
    *MATH,
    *LINALG,
    *NN,
    *IMAGES,
    *OPTIONS,
    *FUNCTIONS,
]
