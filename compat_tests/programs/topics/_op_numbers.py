"""Calls of `keras.ops` that compute with numbers: element by element, and over axes."""

from __future__ import annotations

from ._op_registry import CALLS, Arguments, calls
from ._operands import Shape, Writer

__all__ = ["UNARY"]

# Element by element.

# Ops of one float array that keep its shape, with numbers that they take.
UNARY = {
    "normal": (
        "abs absolute arctan arcsinh cbrt celu conj conjugate copy cos cosh deg2rad elu erf erfc"
        " exp exp2 expm1 fabs gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh i0 imag"
        " leaky_relu log_sigmoid negative rad2deg real relu relu6 selu sigmoid silu sin sinc sinh"
        " soft_shrink softplus softsign sparse_plus sparse_sigmoid square squareplus swish tan tanh"
        " tanh_shrink sign signbit ceil floor trunc round angle isreal nan_to_num"
        " stop_gradient zeros_like ones_like"
    ).split(),
    "unit": "arccos arcsin arctanh erfinv".split(),
    "positive": "log log10 log1p log2 rsqrt sqrt reciprocal arccosh".split(),
    "wild": "isfinite isinf isnan isneginf isposinf".split(),
}
_FLOATS_ONLY = set(
    "erf erfinv erfc celu elu gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh"
    " leaky_relu log_sigmoid selu sigmoid silu soft_shrink softplus softsign sparse_plus i0"
    " sparse_sigmoid squareplus swish tanh_shrink relu6 angle imag real".split()
)
_KEYWORDS = {
    "celu": {"alpha": "0.7"},
    "elu": {"alpha": "0.7"},
    "gelu": {"approximate": "False"},
    "hard_shrink": {"threshold": "0.3"},
    "soft_shrink": {"threshold": "0.3"},
    "leaky_relu": {"negative_slope": "0.1"},
    "squareplus": {"b": "2"},
    "round": {"decimals": "1"},
    "zeros_like": {"dtype": "'float16'"},
    "ones_like": {"dtype": "'int32'"},
    "nan_to_num": {"nan": "1.5", "posinf": "3.0", "neginf": "-3.0"},
}


def _unary(name: str, numbers: str) -> Arguments:
    def arguments(w: Writer) -> str:
        shape = w.shape()
        kind = "wild" if name == "nan_to_num" else numbers
        if name == "arccosh":
            x = w.floating(shape, "positive")
            return f"{x} + 1"
        floats = name in _FLOATS_ONLY and w.draw.chance(0.8)
        x = w.floating(shape, kind) if floats or kind == "unit" else w.anything(shape, kind)
        return x + w.optional(**_KEYWORDS.get(name, {}))

    return arguments


for _numbers, _names in UNARY.items():
    for _name in _names:
        CALLS[_name] = _unary(_name, _numbers)


def _pair(
    w: Writer, kind: str = "number", numbers: str = "normal", second: str | None = None
) -> str:
    """Two operands that broadcast, of one dtype or two; the second may be a Python scalar."""
    shape = w.shape()
    make = getattr(w, kind)
    x = make(shape, numbers=numbers) if kind != "boolean" else make(shape)
    if w.draw.chance(0.2) and kind != "boolean":
        scalar = w.draw.one(["2", "3", "1"] if kind == "integer" else ["2", "1.5", "True", "3"])
        return f"{x}, {scalar}"
    shape = w.broadcast(shape)
    if kind == "boolean":
        return f"{x}, {make(shape)}"
    second = second or numbers
    if w.draw.chance(0.5):
        return f"{x}, {w.array(shape, w.operands[0].dtype, second)}"
    return f"{x}, {make(shape, numbers=second)}"


@calls("add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin")
@calls("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
@calls("logical_and", "logical_or", "logical_xor")
def _any_pair(w: Writer) -> str:
    return _pair(w, "anything")


@calls("logaddexp", "logaddexp2", "arctan2", "hypot", "isclose", "allclose", "heaviside")
def _number_pair(w: Writer) -> str:
    return _pair(w)


@calls("divide", "true_divide", "floor_divide", "mod", "fmod", "divide_no_nan")
def _divided(w: Writer) -> str:
    return _pair(w, second="positive")


@calls("power")
def _power(w: Writer) -> str:
    if w.draw.chance(0.5):
        return f"{w.number(w.shape(), 'positive')}, {w.draw.one(['2', '0.5', '3', '2.0'])}"
    return _pair(w, "floating", "positive", "normal")


@calls("nextafter")
def _nextafter(w: Writer) -> str:
    shape = w.shape()
    return f"{w.array(shape, 'float32')}, {w.array(shape, 'float32')}"


@calls("ldexp")
def _ldexp(w: Writer) -> str:
    shape = w.shape()
    return f"{w.floating(shape)}, {w.index(w.broadcast(shape), 4)}"


@calls("gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor")
def _integers(w: Writer) -> str:
    return _pair(w, "integer")


@calls("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")
def _shifted(w: Writer) -> str:
    x = w.integer(w.shape())
    return f"{x}, {w.draw.whole(0, 3)}"


@calls("bitwise_invert", "bitwise_not")
def _inverted(w: Writer) -> str:
    return w.integer(w.shape())


@calls("logical_not")
def _not(w: Writer) -> str:
    return w.anything(w.shape())


@calls("clip")
def _clip(w: Writer) -> str:
    bounds = w.draw.one(["-0.5, 0.5", "0, 1", "1, 3", "x_min=0.0, x_max=2.0"])
    return f"{w.anything(w.shape())}, {bounds}"


@calls("threshold")
def _threshold(w: Writer) -> str:
    return f"{w.floating(w.shape())}, {w.draw.one(['0.5, 0.0', '0, -1', '0.1, 20.0'])}"


@calls("where")
def _where(w: Writer) -> str:
    shape = w.shape()
    condition = w.boolean(shape) if w.draw.chance(0.8) else w.integer(shape, 2)
    other = w.anything(w.broadcast(shape))
    second = w.draw.one(["0", "1.5"]) if w.draw.chance(0.3) else w.anything(w.broadcast(shape))
    return f"{condition}, {other}, {second}"


@calls("select")
def _select(w: Writer) -> str:
    shape = w.shape(1)
    conditions = f"[{w.boolean(shape)}, {w.boolean(shape)}]"
    choices = f"[{w.floating(shape)}, {w.floating(shape)}]"
    return f"{conditions}, {choices}" + w.optional(default=w.draw.one(["1", "-1.0"]))


# Over axes.


@calls("all", "any")
@calls("sum", "mean", "std", "var", "count_nonzero", "logsumexp", "median", "prod")
@calls("max", "min", "amax", "amin", "ptp")
def _reduced(w: Writer) -> str:
    shape = w.shape(0, 4)
    return f"{w.anything(shape, 'distinct' if w.draw.chance(0.3) else 'normal')}" + _over(w, shape)


def _over(w: Writer, shape: Shape) -> str:
    if w.draw.chance(0.15):
        return ""
    axes = w.axes(len(shape))
    return w.draw.one([f", axis={axes}", f", {axes}"]) + w.draw.one(["", "", ", keepdims=True"])


def _without_keepdims(w: Writer) -> str:
    shape = w.shape()
    return f"{w.anything(shape)}, axis={w.axes(len(shape))}"


CALLS["count_nonzero"] = _without_keepdims


@calls("nansum", "nanmean", "nanmax", "nanmin", "nanprod", "nanstd", "nanvar", "nanmedian")
def _nan_reduced(w: Writer) -> str:
    shape = w.shape(1)
    return w.number(shape, "holes") + _over(w, shape)


@calls("argmax", "argmin", "nanargmax", "nanargmin")
def _arg(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.draw.one(["None", str(w.axis(len(shape)))])
    return f"{w.number(shape, 'distinct')}, axis={axis}" + w.flag("keepdims")


@calls("argsort", "sort")
def _sorted(w: Writer) -> str:
    shape = w.shape(1)
    return f"{w.number(shape, 'distinct')}, axis={w.axis(len(shape))}"


@calls("argpartition")
def _argpartition(w: Writer) -> str:  # which element stands where within a part is not defined
    size = w.draw.whole(1, 3)
    place = w.draw.whole(0, size - 1)
    w.suffix = f"[..., {place}]"
    return f"{w.number((*w.shape(0, 2), size), 'distinct')}, {place}"


@calls("cumsum", "cumprod", "nancumsum", "nancumprod")
def _cumulative(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.draw.one(["None", str(w.axis(len(shape)))])
    return f"{w.anything(shape)}, axis={axis}" + w.optional(dtype="'float32'")


@calls("quantile", "percentile", "nanquantile", "nanpercentile")
def _quantile(w: Writer) -> str:
    shape = w.shape(1, 3)
    x = w.floating(shape, "distinct")
    scalar = w.draw.chance()
    q = w.draw.one(["0.3", "0.5", "0.9"]) if scalar else "[0.1, 0.5, 0.75]"
    axis = w.draw.one(["None", str(w.axis(len(shape)))])
    method = w.draw.one(["linear", "lower", "higher", "midpoint", "nearest"])
    return f"{x}, {q}, axis={axis}" + w.optional(method=repr(method), keepdims="True")


@calls("average")
def _average(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.axis(len(shape))
    x = w.number(shape)
    if w.draw.chance(0.4):
        return f"{x}, axis={axis}"
    sizes = (shape[axis],) if w.draw.chance() else shape
    return f"{x}, axis={axis}, weights={w.floating(sizes, 'positive')}"


@calls("moments")
def _moments(w: Writer) -> str:
    w.single = False
    shape = w.shape(1)
    axes = w.draw.some(range(len(shape)), 1)
    return f"{w.floating(shape)}, axes={axes}" + w.flag("keepdims")


@calls("norm")
def _norm(w: Writer) -> str:
    shape = w.shape(1, 3)
    x = w.floating(shape, "positive")
    if w.draw.chance(0.4) or len(shape) < 2:
        order = w.draw.one(["None", "1", "2", "np.inf", "-np.inf", "3"])
        return f"{x}, ord={order}, axis={w.axis(len(shape))}" + w.flag("keepdims")
    order = w.draw.one(["None", "'fro'", "1", "-1", "np.inf", "2", "'nuc'"])
    return f"{x}, ord={order}, axis={tuple(w.draw.some(range(len(shape)), 2, 2))}" + w.flag(
        "keepdims"
    )


@calls("normalize")
def _normalize(w: Writer) -> str:
    shape = w.shape(1)
    options = {"axis": str(w.axis(len(shape))), "order": w.draw.one(["1", "2", "3"])}
    return w.floating(shape, "positive") + w.optional(**options, epsilon="1e-3")


@calls("softmax", "log_softmax", "sparsemax")
def _softmax(w: Writer) -> str:
    shape = w.shape(1)
    return w.floating(shape) + w.optional(axis=str(w.axis(len(shape))))


@calls("glu")
def _glu(w: Writer) -> str:
    shape = [*w.shape(1, 3)]
    axis = w.axis(len(shape))
    shape[axis] = 2 * w.draw.whole(1, 2)
    return f"{w.floating(tuple(shape))}, axis={axis}"


@calls("diff")
def _diff(w: Writer) -> str:
    shape = w.shape(1)
    return w.number(shape) + w.optional(axis=str(w.axis(len(shape))), n=w.draw.one(["1", "2"]))


@calls("trapezoid")
def _trapezoid(w: Writer) -> str:
    shape = w.shape(1, 3)
    axis = w.axis(len(shape))
    y = w.floating(shape)
    if w.draw.chance(0.4):
        return f"{y}, {w.floating(shape)}, axis={axis}"
    return f"{y}, axis={axis}" + w.optional(dx="0.5")


@calls("top_k")
def _top_k(w: Writer) -> str:
    w.single = False
    size = w.draw.whole(2, 5)
    return f"{w.number((*w.shape(0, 2), size), 'distinct')}, {w.draw.whole(1, size)}"


@calls("in_top_k")
def _in_top_k(w: Writer) -> str:
    rows, classes = w.draw.whole(1, 4), w.draw.whole(2, 4)
    targets = w.index((rows,), classes)
    return f"{targets}, {w.array((rows, classes), 'float32')}, k={w.draw.whole(1, 2)}"


@calls("segment_sum", "segment_max", "segment_min", "segment_prod")
def _segments(w: Writer) -> str:
    shape = (w.draw.whole(2, 5), *w.shape(0, 2))
    data = w.number(shape)
    # Every segment has a row: what empty ones of whole numbers hold is no value of their dtype.
    ids = [0, 1, *(w.draw.whole(0, 1) for _ in range(shape[0] - 2))]
    return f"{data}, np.array({ids}), num_segments=2"
