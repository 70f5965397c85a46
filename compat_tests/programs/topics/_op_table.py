"""How each function of `keras.ops` is called: its operands and arguments, drawn at random.

`CALLS` maps a name to a function that writes the arguments of a call; `ELSEWHERE` maps those that
are written otherwise to where or why. A test holds both against the names of the installed Keras.
"""

from __future__ import annotations

from collections.abc import Callable

from ..drawing import Draw
from ._operands import Call, Shape, Writer

__all__ = ["CALLS", "ELSEWHERE", "UNARY", "write"]

Arguments = Callable[[Writer], str]

CALLS: dict[str, Arguments] = {}

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
    text = f"ops.{name}({arguments})"
    if name in _NAMED:
        text = f"tuple({text})"
    return Call(name, tuple(writer.operands), text, writer.single)


def _op(*names: str) -> Callable[[Arguments], Arguments]:
    def register(arguments: Arguments) -> Arguments:
        CALLS.update(dict.fromkeys(names, arguments))
        return arguments

    return register


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


@_op("add", "subtract", "multiply", "maximum", "minimum", "fmax", "fmin")
@_op("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
@_op("logical_and", "logical_or", "logical_xor")
def _any_pair(w: Writer) -> str:
    return _pair(w, "anything")


@_op("logaddexp", "logaddexp2", "arctan2", "hypot", "isclose", "allclose", "heaviside")
def _number_pair(w: Writer) -> str:
    return _pair(w)


@_op("divide", "true_divide", "floor_divide", "mod", "fmod", "divide_no_nan")
def _divided(w: Writer) -> str:
    return _pair(w, second="positive")


@_op("power")
def _power(w: Writer) -> str:
    if w.draw.chance(0.5):
        return f"{w.number(w.shape(), 'positive')}, {w.draw.one(['2', '0.5', '3', '2.0'])}"
    return _pair(w, "floating", "positive", "normal")


@_op("nextafter")
def _nextafter(w: Writer) -> str:
    shape = w.shape()
    return f"{w.array(shape, 'float32')}, {w.array(shape, 'float32')}"


@_op("ldexp")
def _ldexp(w: Writer) -> str:
    shape = w.shape()
    return f"{w.floating(shape)}, {w.index(w.broadcast(shape), 4)}"


@_op("gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor")
def _integers(w: Writer) -> str:
    return _pair(w, "integer")


@_op("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift")
def _shifted(w: Writer) -> str:
    x = w.integer(w.shape())
    return f"{x}, {w.draw.whole(0, 3)}"


@_op("bitwise_invert", "bitwise_not")
def _inverted(w: Writer) -> str:
    return w.integer(w.shape())


@_op("logical_not")
def _not(w: Writer) -> str:
    return w.anything(w.shape())


@_op("clip")
def _clip(w: Writer) -> str:
    bounds = w.draw.one(["-0.5, 0.5", "0, 1", "1, 3", "x_min=0.0, x_max=2.0"])
    return f"{w.anything(w.shape())}, {bounds}"


@_op("threshold")
def _threshold(w: Writer) -> str:
    return f"{w.floating(w.shape())}, {w.draw.one(['0.5, 0.0', '0, -1', '0.1, 20.0'])}"


@_op("where")
def _where(w: Writer) -> str:
    shape = w.shape()
    condition = w.boolean(shape) if w.draw.chance(0.8) else w.integer(shape, 2)
    other = w.anything(w.broadcast(shape))
    second = w.draw.one(["0", "1.5"]) if w.draw.chance(0.3) else w.anything(w.broadcast(shape))
    return f"{condition}, {other}, {second}"


@_op("select")
def _select(w: Writer) -> str:
    shape = w.shape(1)
    conditions = f"[{w.boolean(shape)}, {w.boolean(shape)}]"
    choices = f"[{w.floating(shape)}, {w.floating(shape)}]"
    return f"{conditions}, {choices}" + w.optional(default=w.draw.one(["1", "-1.0"]))


# Over axes.


@_op("all", "any")
@_op("sum", "mean", "std", "var", "count_nonzero", "logsumexp", "median", "prod")
@_op("max", "min", "amax", "amin", "ptp")
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


@_op("nansum", "nanmean", "nanmax", "nanmin", "nanprod", "nanstd", "nanvar", "nanmedian")
def _nan_reduced(w: Writer) -> str:
    shape = w.shape(1)
    return w.number(shape, "holes") + _over(w, shape)


@_op("argmax", "argmin", "nanargmax", "nanargmin")
def _arg(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.draw.one(["None", str(w.axis(len(shape)))])
    return f"{w.number(shape, 'distinct')}, axis={axis}" + w.flag("keepdims")


@_op("argsort", "sort")
def _sorted(w: Writer) -> str:
    shape = w.shape(1)
    return f"{w.number(shape, 'distinct')}, axis={w.axis(len(shape))}"


@_op("argpartition")
def _argpartition(w: Writer) -> str:  # which element stands where within a part is not defined
    size = w.draw.whole(1, 3)
    return f"{w.number((*w.shape(0, 2), size), 'distinct')}, {w.draw.whole(0, size - 1)}"


@_op("cumsum", "cumprod", "nancumsum", "nancumprod")
def _cumulative(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.draw.one(["None", str(w.axis(len(shape)))])
    return f"{w.anything(shape)}, axis={axis}" + w.optional(dtype="'float32'")


@_op("quantile", "percentile", "nanquantile", "nanpercentile")
def _quantile(w: Writer) -> str:
    shape = w.shape(1, 3)
    x = w.floating(shape, "distinct")
    scalar = w.draw.chance()
    q = w.draw.one(["0.3", "0.5", "0.9"]) if scalar else "[0.1, 0.5, 0.75]"
    axis = w.draw.one(["None", str(w.axis(len(shape)))])
    method = w.draw.one(["linear", "lower", "higher", "midpoint", "nearest"])
    return f"{x}, {q}, axis={axis}" + w.optional(method=repr(method), keepdims="True")


@_op("average")
def _average(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.axis(len(shape))
    x = w.number(shape)
    if w.draw.chance(0.4):
        return f"{x}, axis={axis}"
    sizes = (shape[axis],) if w.draw.chance() else shape
    return f"{x}, axis={axis}, weights={w.floating(sizes, 'positive')}"


@_op("moments")
def _moments(w: Writer) -> str:
    w.single = False
    shape = w.shape(1)
    axes = w.draw.some(range(len(shape)), 1)
    return f"{w.floating(shape)}, axes={axes}" + w.flag("keepdims")


@_op("norm")
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


@_op("normalize")
def _normalize(w: Writer) -> str:
    shape = w.shape(1)
    options = {"axis": str(w.axis(len(shape))), "order": w.draw.one(["1", "2", "3"])}
    return w.floating(shape, "positive") + w.optional(**options, epsilon="1e-3")


@_op("softmax", "log_softmax", "sparsemax")
def _softmax(w: Writer) -> str:
    shape = w.shape(1)
    return w.floating(shape) + w.optional(axis=str(w.axis(len(shape))))


@_op("glu")
def _glu(w: Writer) -> str:
    shape = [*w.shape(1, 3)]
    axis = w.axis(len(shape))
    shape[axis] = 2 * w.draw.whole(1, 2)
    return f"{w.floating(tuple(shape))}, axis={axis}"


@_op("diff")
def _diff(w: Writer) -> str:
    shape = w.shape(1)
    return w.number(shape) + w.optional(axis=str(w.axis(len(shape))), n=w.draw.one(["1", "2"]))


@_op("trapezoid")
def _trapezoid(w: Writer) -> str:
    shape = w.shape(1, 3)
    axis = w.axis(len(shape))
    y = w.floating(shape)
    if w.draw.chance(0.4):
        return f"{y}, {w.floating(shape)}, axis={axis}"
    return f"{y}, axis={axis}" + w.optional(dx="0.5")


@_op("top_k")
def _top_k(w: Writer) -> str:
    w.single = False
    size = w.draw.whole(2, 5)
    return f"{w.number((*w.shape(0, 2), size), 'distinct')}, {w.draw.whole(1, size)}"


@_op("in_top_k")
def _in_top_k(w: Writer) -> str:
    rows, classes = w.draw.whole(1, 4), w.draw.whole(2, 4)
    targets = w.index((rows,), classes)
    return f"{targets}, {w.array((rows, classes), 'float32')}, k={w.draw.whole(1, 2)}"


@_op("segment_sum", "segment_max", "segment_min", "segment_prod")
def _segments(w: Writer) -> str:
    shape = (w.draw.whole(2, 5), *w.shape(0, 2))
    data = w.number(shape)
    # Every segment has a row: what empty ones of whole numbers hold is no value of their dtype.
    ids = [0, 1, *(w.draw.whole(0, 1) for _ in range(shape[0] - 2))]
    return f"{data}, np.array({ids}), num_segments=2"


# Shapes and places.


@_op("reshape")
def _reshape(w: Writer) -> str:
    shape = w.shape(1)
    x = w.anything(shape)
    options = ["-1", "(-1,)", f"(1, *{shape})", f"{shape[::-1]}", f"({shape[0]}, -1)", "[-1, 1]"]
    if 0 in shape:
        options = [str(shape[::-1])]
    return f"{x}, {w.draw.one(options)}"


@_op("transpose")
def _transpose(w: Writer) -> str:
    shape = w.shape()
    order = w.draw.shuffled(range(len(shape)))
    return w.anything(shape) + w.optional(axes=str(tuple(order)))


@_op("expand_dims")
def _expand_dims(w: Writer) -> str:
    shape = w.shape()
    axis = str(w.axis(len(shape) + 1))
    return f"{w.anything(shape)}, {w.draw.one([axis, f'axis={axis}', '(0, -1)'])}"


@_op("squeeze")
def _squeeze(w: Writer) -> str:
    shape = [*w.shape(1, 3), 1]
    x = w.anything(tuple(shape))
    return x + w.optional(axis=w.draw.one(["-1", str(len(shape) - 1), "(-1,)"]))


@_op("ravel")
def _ravel(w: Writer) -> str:
    return w.anything(w.shape())


@_op("flip", "fliplr", "flipud")
def _flip(w: Writer) -> str:
    return w.anything(w.shape(2))


def _flip_axis(w: Writer) -> str:
    shape = w.shape(1)
    return f"{w.anything(shape)}, axis={w.axes(len(shape))}"


CALLS["flip"] = _flip_axis


@_op("roll")
def _roll(w: Writer) -> str:
    shape = w.shape(1)
    rank = len(shape)
    options = [f"{w.draw.whole(-3, 3)}", f"1, axis={w.axis(rank)}"]
    if rank > 1:
        options.append("(1, 2), axis=(0, 1)")
    return f"{w.anything(shape)}, {w.draw.one(options)}"


@_op("rot90")
def _rot90(w: Writer) -> str:
    shape = w.shape(2)
    return w.anything(shape) + w.optional(k=str(w.draw.whole(-2, 3)), axes="(1, 0)")


@_op("swapaxes")
def _swapaxes(w: Writer) -> str:
    shape = w.shape(1)
    return f"{w.anything(shape)}, {w.axis(len(shape))}, {w.axis(len(shape))}"


@_op("moveaxis")
def _moveaxis(w: Writer) -> str:
    shape = w.shape(2)
    rank = len(shape)
    options = [f"{w.axis(rank)}, {w.axis(rank)}", "[0, 1], [-1, 0]", "(0,), (-1,)"]
    return f"{w.anything(shape)}, {w.draw.one(options)}"


@_op("repeat")
def _repeat(w: Writer) -> str:
    shape = w.shape(1, 3)
    axis = w.axis(len(shape))
    repeats = w.draw.one(["2", "3", str([w.draw.whole(0, 2) for _ in range(shape[axis])])])
    if w.draw.chance(0.2):
        return f"{w.anything(shape)}, 2"
    return f"{w.anything(shape)}, {repeats}, axis={axis}"


@_op("tile")
def _tile(w: Writer) -> str:
    shape = w.shape()
    repeats = tuple(w.draw.whole(1, 2) for _ in range(w.draw.whole(1, 4)))
    return f"{w.anything(shape)}, {w.draw.one(['2', str(repeats), str(list(repeats))])}"


@_op("broadcast_to")
def _broadcast_to(w: Writer) -> str:
    shape = w.shape(0, 3)
    target = (*w.shape(0, 1), *(w.draw.whole(1, 3) if size == 1 else size for size in shape))
    return f"{w.anything(shape)}, {target}"


@_op("pad")
def _pad(w: Writer) -> str:
    shape = tuple(size + 2 for size in w.shape(1, 3))
    widths = [(w.draw.whole(0, 2), w.draw.whole(0, 2)) for _ in shape]
    width = w.draw.one(["1", "((1, 1),)", "(1, 2)", str(widths), str(tuple(widths))])
    mode = w.draw.one(["", ", mode='constant', constant_values=2", ", 'reflect'", ", 'symmetric'"])
    return f"{w.number(shape)}, {width}{mode}"


@_op("concatenate")
def _concatenate(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.axis(len(shape))
    arrays = []
    for _ in range(w.draw.whole(1, 3)):
        sizes = list(shape)
        sizes[axis] = w.draw.whole(1, 3)
        arrays.append(w.anything(tuple(sizes)))
    return f"[{', '.join(arrays)}], axis={axis}"


@_op("stack")
def _stack(w: Writer) -> str:
    shape = w.shape(0, 3)
    arrays = ", ".join(w.anything(shape) for _ in range(w.draw.whole(1, 3)))
    return f"[{arrays}]" + w.optional(axis=str(w.axis(len(shape) + 1)))


@_op("hstack", "vstack", "dstack")
def _stacked(w: Writer) -> str:
    shape = w.shape(0, 3)
    return f"[{w.anything(shape)}, {w.anything(shape)}]"


@_op("append")
def _append(w: Writer) -> str:
    shape = w.shape(1, 3)
    axis = w.draw.one(["", f", axis={w.axis(len(shape))}"])
    return f"{w.anything(shape)}, {w.anything(shape)}{axis}"


@_op("split", "array_split")
def _split(w: Writer) -> str:
    w.single = False
    shape = [*w.shape(1, 3)]
    axis = w.axis(len(shape))
    shape[axis] = 4
    return f"{w.anything(tuple(shape))}, {w.draw.one(['2', '4', '[1, 3]', '(2,)'])}, axis={axis}"


@_op("hsplit", "vsplit", "dsplit")
def _splits(w: Writer) -> str:
    w.single = False
    return f"{w.anything((2, 2, 4))}, {w.draw.one(['2', '[1]'])}"


@_op("unstack")
def _unstack(w: Writer) -> str:
    w.single = False
    shape = w.shape(1, 3)
    axis = w.axis(len(shape))
    return f"{w.anything(shape)}, axis={axis}" + w.optional(num=str(shape[axis]))


@_op("meshgrid")
def _meshgrid(w: Writer) -> str:
    w.single = False
    return f"{w.number((3,))}, {w.number((2,))}" + w.optional(indexing="'ij'")


@_op("take")
def _take(w: Writer) -> str:
    shape = tuple(size + 1 for size in w.shape(1, 3))
    axis = w.axis(len(shape))
    indices = w.index(w.shape(0, 2), shape[axis]) if w.draw.chance() else "[0, -1]"
    return f"{w.anything(shape)}, {indices}" + w.draw.one([f", axis={axis}"] * 2 + [""])


@_op("take_along_axis")
def _take_along_axis(w: Writer) -> str:
    shape = list(w.shape(1, 3))
    axis = w.axis(len(shape))
    x = w.anything(tuple(shape))
    size, shape[axis] = shape[axis], w.draw.whole(1, 3)
    return f"{x}, {w.index(tuple(shape), max(size, 1))}, axis={axis}"


@_op("get_item")
def _get_item(w: Writer) -> str:
    return f"{w.anything((3, 4))}, {w.draw.one(['0', 'np.s_[1:]', 'np.s_[..., -1]', '(1, 2)'])}"


@_op("slice")
def _slice(w: Writer) -> str:
    start = (w.draw.whole(0, 1), w.draw.whole(0, 2))
    return f"{w.anything((3, 4))}, {start}, {w.draw.one(['(2, 2)', '[1, 2]', 'np.array([1, 1])'])}"


@_op("slice_update")
def _slice_update(w: Writer) -> str:
    x = w.floating((3, 4))
    update = w.array((2, 2), w.operands[0].dtype)
    return f"{x}, {w.draw.one(['(1, 1)', '[0, 2]'])}, {update}"


@_op("scatter")
def _scatter(w: Writer) -> str:
    return f"[[0, 1], [2, 0]], {w.number((2,))}, {w.draw.one(['(3, 2)', '[3, 3]'])}"


@_op("scatter_update")
def _scatter_update(w: Writer) -> str:
    x = w.number((3, 2))
    updates = w.array((2,), w.operands[0].dtype)
    reduction = w.draw.one(["add", "max", "min", "mul"])
    return f"{x}, [[0, 1], [2, 0]], {updates}" + w.optional(reduction=repr(reduction))


@_op("searchsorted")
def _searchsorted(w: Writer) -> str:
    return f"[1.0, 3.0, 5.0], {w.floating(w.shape(1, 2))}" + w.optional(side="'right'")


@_op("digitize")
def _digitize(w: Writer) -> str:
    return f"{w.number(w.shape())}, {w.draw.one(['[0.0, 1.0, 2.5]', 'np.array([-1.0, 0.5])'])}"


@_op("bincount")
def _bincount(w: Writer) -> str:
    shape = w.shape(1, 2)
    x = w.index(shape, 5)
    if w.draw.chance(0.4):
        return f"{x}, weights={w.array(shape, 'float32')}"
    return x + w.optional(minlength=w.draw.one(["3", "8"]))


@_op("histogram")
def _histogram(w: Writer) -> str:
    w.single = False
    return w.array(w.shape(1, 2), "float32") + w.optional(bins="4", range="(-2, 2)")


@_op("isin")
def _isin(w: Writer) -> str:
    return f"{w.integer(w.shape(), 6)}, [1, 2, 3]" + w.optional(invert="True")


@_op("nonzero")
def _nonzero(w: Writer) -> str:
    w.single = False
    return w.integer(w.shape(1, 3), 3)


@_op("unique")
def _unique(w: Writer) -> str:
    w.single = False
    flags = {f"return_{what}": "True" for what in ("inverse", "counts", "index")}
    return w.integer(w.shape(1, 2), 4) + w.optional(**flags)


@_op("unravel_index")
def _unravel_index(w: Writer) -> str:
    w.single = False
    return f"{w.index(w.shape(0, 2), 6)}, {w.draw.one(['(2, 3)', '(3, 2)', '(1, 6)'])}"


@_op("diag", "diagflat")
def _diag(w: Writer) -> str:
    return w.anything(w.shape(1, 2)) + w.optional(k=str(w.draw.whole(-2, 2)))


@_op("diagonal", "trace")
def _diagonal(w: Writer) -> str:
    shape = w.shape(2)
    options = {"offset": str(w.draw.whole(-1, 1))}
    if len(shape) > 2:
        options["axis1"], options["axis2"] = "1", w.draw.one(["2", "-1"])
        return w.anything(shape) + "".join(f", {k}={v}" for k, v in options.items())
    return w.anything(shape) + w.optional(**options)


@_op("tril", "triu")
def _triangle(w: Writer) -> str:
    return w.anything(w.shape(2)) + w.optional(k=str(w.draw.whole(-2, 2)))


@_op("vander")
def _vander(w: Writer) -> str:
    return w.number((w.draw.whole(1, 4),)) + w.optional(N="3", increasing="True")


@_op("rearrange")
def _rearrange(w: Writer) -> str:
    patterns = ["'a b c -> c (a b)'", "'a b c -> a c b'", "'a b (c d) -> a (b c) d', c=2"]
    pattern = w.draw.one([*patterns, "'a b c -> (a b c)'"])
    return f"{w.anything((2, 3, 4))}, {pattern}"


@_op("depth_to_space")
def _depth_to_space(w: Writer) -> str:
    return f"{w.floating((w.draw.whole(1, 2), 2, 3, 8))}, 2"


@_op("space_to_depth")
def _space_to_depth(w: Writer) -> str:
    return f"{w.floating((w.draw.whole(1, 2), 4, 2, 3))}, 2"


# Made of nothing.


@_op("zeros", "ones", "full")
def _filled(w: Writer) -> str:
    return str(w.draw.one([w.shape(), list(w.shape()), 3])) + w.optional(
        dtype=repr(w.draw.one(["int32", "float16", "bool", "uint8", "bfloat16"]))
    )


def _full(w: Writer) -> str:
    value = w.draw.one(["2", "1.5", "True", "-1"])
    return f"{w.shape()}, {value}" + w.optional(dtype=repr(w.draw.one(["int32", "float32"])))


CALLS["full"] = _full


@_op("full_like")
def _full_like(w: Writer) -> str:
    return f"{w.anything(w.shape())}, {w.draw.one(['2', '1.5'])}" + w.optional(dtype="'float32'")


@_op("arange")
def _arange(w: Writer) -> str:
    options = [
        "5",
        "2, 7",
        "0, 10, 3",
        "5.0",
        "0.5, 3",
        "5, 0, -1",
        "0, 1, 0.25",
        "start=1, stop=4",
    ]
    dtype = repr(w.draw.one(["int32", "float32", "uint8"]))
    return w.draw.one(options) + w.optional(dtype=dtype)


@_op("linspace", "logspace", "geomspace")
def _spaced(w: Writer) -> str:
    ends = w.draw.one(["1, 3", "0.5, 2.0", "[1.0, 2.0], [3.0, 4.0]", "1, [2.0, 3.0]"])
    return f"{ends}, num={w.draw.whole(2, 5)}" + w.optional(endpoint="False", dtype="'float32'")


@_op("eye", "identity", "tri")
def _eye(w: Writer) -> str:
    return f"{w.draw.whole(1, 4)}" + w.optional(dtype=repr(w.draw.one(["int32", "bool"])))


def _eye_of(w: Writer) -> str:
    options = {"M": str(w.draw.whole(1, 4)), "k": str(w.draw.whole(-1, 2)), "dtype": "'int32'"}
    return f"{w.draw.whole(1, 4)}" + w.optional(**options)


CALLS["eye"] = CALLS["tri"] = _eye_of


@_op("bartlett", "blackman", "hamming", "hanning")
def _window(w: Writer) -> str:
    return str(w.draw.whole(1, 6))


@_op("kaiser")
def _kaiser(w: Writer) -> str:
    return f"{w.draw.whole(1, 6)}, {w.draw.one(['2', '8.6'])}"


@_op("array", "convert_to_tensor", "cast", "saturate_cast", "view")
def _converted(w: Writer) -> str:
    x = w.anything(w.shape())
    dtype = w.draw.one(["float32", "int32", "bool", "uint8", "int16", "float16", "bfloat16"])
    return f"{x}, {dtype!r}"


def _made_of_python(w: Writer) -> str:
    if w.draw.chance(0.4):
        return _converted(w)
    return w.draw.one(["[1, 2]", "2.5", "[[True], [False]]", "[1, 2.5]", "3", "[]", "(1, 2)"])


CALLS["array"] = CALLS["convert_to_tensor"] = _made_of_python


def _view(w: Writer) -> str:
    return f"{w.array(w.shape(1, 3), 'float32')}, 'int32'"


CALLS["view"] = _view


@_op("convert_to_numpy", "is_tensor", "dtype", "ndim", "size", "shape")
def _asked(w: Writer) -> str:
    w.single = False
    return w.anything(w.shape())


# Matrices.


@_op("matmul")
def _matmul(w: Writer) -> str:
    inner, batch = w.draw.whole(1, 4), w.shape(0, 2)
    left = w.draw.one([(inner,), (2, inner), (*batch, 2, inner)])
    right = w.draw.one([(inner,), (inner, 3), (*batch, inner, 3)])
    return f"{w.number(left)}, {w.number(right)}"


@_op("dot")
def _dot(w: Writer) -> str:
    inner = w.draw.whole(1, 4)
    left, right = w.draw.one(
        [((inner,), (inner,)), ((2, inner), (inner,)), ((2, 3, inner), (inner, 2)), ((), (2, 3))]
    )
    return f"{w.number(left)}, {w.number(right)}"


@_op("inner", "vdot")
def _inner(w: Writer) -> str:
    inner = w.draw.whole(1, 4)
    return f"{w.number((inner,))}, {w.number((inner,))}"


@_op("outer", "kron")
def _outer(w: Writer) -> str:
    return f"{w.number(w.shape(1, 2))}, {w.number(w.shape(1, 2))}"


@_op("tensordot")
def _tensordot(w: Writer) -> str:
    axes = w.draw.one(["1", "([1], [0])", "[[1], [0]]"])
    return f"{w.number((2, 3))}, {w.number((3, 4))}, axes={axes}"


@_op("einsum")
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


@_op("cross")
def _cross(w: Writer) -> str:
    shape = (*w.shape(0, 2), 3)
    return f"{w.number(shape)}, {w.number(shape)}"


@_op("corrcoef")
def _corrcoef(w: Writer) -> str:
    return w.floating((w.draw.whole(2, 3), w.draw.whole(3, 5)))


@_op("correlate")
def _correlate(w: Writer) -> str:
    mode = repr(w.draw.one(["valid", "same", "full"]))
    return f"{w.number((w.draw.whole(3, 5),))}, {w.number((w.draw.whole(1, 3),))}, mode={mode}"


@_op("cdist")
def _cdist(w: Writer) -> str:
    return f"{w.array((2, 3), 'float32')}, {w.array((4, 3), 'float32')}"


def _square(w: Writer, rank: int = 3) -> Shape:
    return (*w.draw.one([(), (2,)]), rank, rank)


def _definite(w: Writer) -> str:
    """A symmetric matrix without zero or equal eigenvalues."""
    x = w.array((3, 3), w.wide())
    return f"ops.matmul({x}, ops.transpose({x})) + 2 * np.eye(3, dtype='float32')"


@_op("cholesky", "eigh", "logdet", "slogdet")
def _of_definite(w: Writer) -> str:
    w.single = False
    return _definite(w)


def _cholesky(w: Writer) -> str:
    return _definite(w) + w.flag("upper")


CALLS["cholesky"] = _cholesky


@_op("det", "inv", "matrix_rank", "pinv", "lu_factor", "cholesky_inverse")
def _of_matrix(w: Writer) -> str:
    w.single = False
    return w.array(_square(w), w.wide())


@_op("eig")
def _eig(w: Writer) -> str:  # eigenvectors of a general matrix have no agreed sign
    w.single = False
    return f"np.diag([3.0, 2.0, {w.draw.whole(4, 9)}.0]).astype('float32')"


@_op("qr", "svd")
def _decomposed(w: Writer) -> str:
    w.single = False
    return w.array((w.draw.whole(2, 4), w.draw.whole(2, 4)), w.wide())


def _svd(w: Writer) -> str:
    return _decomposed(w) + w.draw.one(["", ", compute_uv=False", ", full_matrices=False"])


def _qr(w: Writer) -> str:
    return _decomposed(w) + w.draw.one(["", ", mode='complete'"])


CALLS["svd"], CALLS["qr"] = _svd, _qr


@_op("solve", "solve_triangular")
def _solve(w: Writer) -> str:
    dtype = w.wide()
    a = f"{w.array((3, 3), dtype)} + 4 * np.eye(3, dtype={dtype!r})"
    return f"{a}, {w.array(w.draw.one([(3,), (3, 2)]), dtype)}"


@_op("lstsq")
def _lstsq(w: Writer) -> str:
    return f"{w.array((4, 2), 'float32')}, {w.array(w.draw.one([(4,), (4, 2)]), 'float32')}"


# Frequencies and complex numbers.


@_op("fft")
def _fft(w: Writer) -> str:
    w.single = False
    shape = w.shape(1, 3)
    return f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"


@_op("fft2", "ifft2")
def _fft2(w: Writer) -> str:
    w.single = False
    shape = (*w.shape(0, 1), 2, w.draw.whole(2, 4))
    return f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"


@_op("rfft")
def _rfft(w: Writer) -> str:
    w.single = False
    shape = (*w.shape(0, 2), w.draw.whole(2, 6))
    return w.array(shape, "float32") + w.optional(fft_length=w.draw.one(["4", "8", "3"]))


@_op("irfft")
def _irfft(w: Writer) -> str:
    shape = (*w.shape(0, 2), w.draw.whole(2, 5))
    x = f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"
    return x + w.optional(fft_length=w.draw.one(["4", "6"]))


@_op("stft")
def _stft(w: Writer) -> str:
    w.single = False
    return f"{w.array((*w.shape(0, 1), 20), 'float32')}, 4, 2, 8" + w.optional(
        window=w.draw.one(["'hamming'", "None"]), center="False"
    )


@_op("istft")
def _istft(w: Writer) -> str:
    shape = (*w.shape(0, 1), 6, 5)
    x = f"({w.array(shape, 'float32')}, {w.array(shape, 'float32')})"
    return f"{x}, 4, 2, 8" + w.optional(length="9")


@_op("extract_sequences")
def _extract_sequences(w: Writer) -> str:
    return f"{w.floating((*w.shape(0, 1), 9))}, {w.draw.whole(1, 4)}, {w.draw.whole(1, 3)}"


@_op("polar")
def _polar(w: Writer) -> str:
    w.single = False
    return f"{w.array((3,), 'float32', 'positive')}, {w.array((3,), 'float32')}"


@_op("view_as_complex")
def _view_as_complex(w: Writer) -> str:
    w.single = False
    return w.array((*w.shape(0, 2), 2), "float32")


@_op("view_as_real")
def _view_as_real(w: Writer) -> str:
    shape = w.shape(1, 2)
    return f"ops.view_as_complex({w.array((*shape, 2), 'float32')})"


# Networks.


@_op("conv")
def _conv(w: Writer) -> str:
    rank, cin = w.draw.whole(1, 3), w.draw.whole(1, 3)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 3, 5), cin))
    kernel = w.array((*w.draw.shape(rank, 1, 3), cin, 2), w.operands[0].dtype)
    return f"{x}, {kernel}" + w.optional(
        strides=w.draw.one(["1", "2", str((1,) * rank)]), padding="'same'"
    )


@_op("depthwise_conv", "separable_conv")
def _depthwise_conv(w: Writer) -> str:
    rank = w.draw.whole(1, 2)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 3, 5), 2))
    kernel = w.array((*w.draw.shape(rank, 1, 3), 2, 2), w.operands[0].dtype)
    return f"{x}, {kernel}" + w.optional(strides="2", padding="'same'")


def _separable_conv(w: Writer) -> str:
    rank = w.draw.whole(1, 2)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 3, 5), 2))
    kernel = w.array((*w.draw.shape(rank, 1, 3), 2, 2), w.operands[0].dtype)
    points = w.array((*(1,) * rank, 4, 3), w.operands[0].dtype)
    return f"{x}, {kernel}, {points}" + w.optional(padding="'same'")


CALLS["separable_conv"] = _separable_conv


@_op("conv_transpose")
def _conv_transpose(w: Writer) -> str:
    rank = w.draw.whole(1, 2)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 2, 4), 2))
    kernel = w.array((*w.draw.shape(rank, 2, 3), 3, 2), w.operands[0].dtype)
    return f"{x}, {kernel}, strides={w.draw.whole(1, 2)}" + w.optional(padding="'same'")


@_op("max_pool", "average_pool")
def _pool(w: Writer) -> str:
    rank = w.draw.whole(1, 3)
    x = w.floating((w.draw.whole(1, 2), *w.draw.shape(rank, 2, 5), 2))
    return f"{x}, {w.draw.one(['2', str((2,) * rank)])}" + w.optional(
        strides=w.draw.one(["1", "2"]), padding="'same'"
    )


@_op("adaptive_average_pool", "adaptive_max_pool")
def _adaptive_pool(w: Writer) -> str:
    rank = w.draw.whole(1, 3)
    x = w.array((w.draw.whole(1, 2), *w.draw.shape(rank, 2, 5), 2), "float32")
    return f"{x}, {w.draw.one(['2', str((2,) * rank), '1'])}"


@_op("batch_normalization")
def _batch_normalization(w: Writer) -> str:
    width = w.draw.whole(1, 4)
    x = w.floating((2, *w.shape(0, 2), width))
    mean, variance = w.floating((width,)), w.floating((width,), "positive")
    options = {"offset": w.floating((width,)), "scale": w.floating((width,))}
    return f"{x}, {mean}, {variance}, axis=-1" + w.optional(**options, epsilon="1e-2")


@_op("layer_normalization")
def _layer_normalization(w: Writer) -> str:
    shape = (*w.shape(1, 2), w.draw.whole(2, 4))
    x = w.floating(shape)
    width = shape[-1:]
    return x + w.optional(gamma=w.floating(width), beta=w.floating(width), epsilon="1e-2")


@_op("rms_normalization")
def _rms_normalization(w: Writer) -> str:
    shape = w.shape(1, 3)
    return w.floating(shape) + w.optional(scale=w.floating(shape[-1:]), epsilon="1e-2")


@_op("one_hot")
def _one_hot(w: Writer) -> str:
    shape = w.shape(0, 2)
    x = w.index(shape, 4)
    dtype = repr(w.draw.one(["int32", "float16", "bool"]))
    return f"{x}, {w.draw.whole(4, 5)}" + w.optional(axis=str(w.axis(len(shape) + 1)), dtype=dtype)


@_op("multi_hot")
def _multi_hot(w: Writer) -> str:
    return f"{w.index(w.shape(1, 2), 4)}, {w.draw.whole(4, 5)}" + w.optional(dtype="'int32'")


@_op("binary_crossentropy")
def _binary_crossentropy(w: Writer) -> str:
    shape = w.shape(1, 3)
    if w.draw.chance():
        return f"{w.floating(shape, 'probability')}, {w.floating(shape)}, from_logits=True"
    return f"{w.floating(shape, 'probability')}, {w.floating(shape, 'probability')}"


@_op("categorical_crossentropy")
def _categorical_crossentropy(w: Writer) -> str:
    shape = (*w.shape(0, 2), w.draw.whole(2, 4))
    target, output = w.floating(shape, "probability"), w.floating(shape, "probability")
    return f"{target}, {output}" + w.flag("from_logits")


@_op("sparse_categorical_crossentropy")
def _sparse_categorical_crossentropy(w: Writer) -> str:
    shape, classes = w.shape(0, 2), w.draw.whole(2, 4)
    target, output = w.index(shape, classes), w.floating((*shape, classes), "probability")
    return f"{target}, {output}" + w.flag("from_logits")


@_op("ctc_loss")
def _ctc_loss(w: Writer) -> str:
    target = f"{w.array((2, 2), 'int32', below=3)} + 1"
    return f"{target}, {w.array((2, 6, 5), 'float32')}, [2, 1], [6, 5]"


@_op("ctc_decode")
def _ctc_decode(w: Writer) -> str:
    w.single = False
    strategy = w.draw.one(["'greedy'", "'beam_search', beam_width=4"])
    return f"{w.array((2, 5, 4), 'float32')}, [5, 3], strategy={strategy}"


@_op("dot_product_attention")
def _dot_product_attention(w: Writer) -> str:
    dtype = w.draw.one(w.floats)
    q, k, v = (w.array((1, length, 2, 4), dtype) for length in (3, 3, 3))
    options = {"is_causal": "True", "scale": "0.7"}
    if w.draw.chance(0.3):
        return f"{q}, {k}, {v}, mask=np.tri(3, dtype=bool)[None, None]"
    return f"{q}, {k}, {v}" + w.optional(**options)


@_op("unfold")
def _unfold(w: Writer) -> str:
    return f"{w.floating((1, 2, 4, 5))}, 2" + w.optional(stride="2", padding="1", dilation="1")


@_op("fold")
def _fold(w: Writer) -> str:
    return f"{w.floating((1, 8, 12))}, (4, 5), 2"


@_op("psnr")
def _psnr(w: Writer) -> str:
    shape = w.shape(1, 3)
    return f"{w.array(shape, 'float32')}, {w.array(shape, 'float32')}, 1.0"


# Images.


def _image(w: Writer, channels: int = 3) -> str:
    shape = (*w.draw.one([(), (2,)]), w.draw.whole(4, 6), w.draw.whole(4, 6), channels)
    return w.array(shape, w.draw.one(w.floats), "probability")


@_op("image.rgb_to_grayscale", "image.rgb_to_hsv", "image.hsv_to_rgb")
def _of_image(w: Writer) -> str:
    return _image(w)


@_op("image.gaussian_blur", "image.sobel_edges")
def _filtered(w: Writer) -> str:  # Keras on torch forgets the default of `data_format`
    x = w.array((2, 4, 5, 3), w.draw.one(w.floats), "probability")
    return f"{x}, data_format='channels_last'"


@_op("image.resize")
def _resize(w: Writer) -> str:  # "lanczos3" and "lanczos5" are not there in Keras on torch
    how = w.draw.one(["bilinear", "nearest", "bicubic"])
    how = f", interpolation={how!r}" if w.draw.chance(0.7) else ""
    fit = w.draw.one(["", "", ", antialias=True", ", crop_to_aspect_ratio=True",
                      ", pad_to_aspect_ratio=True"])  # fmt: skip
    return f"{_image(w)}, {w.draw.one(['(3, 7)', '(8, 8)', '(4, 2)'])}{how}{fit}"


@_op("image.affine_transform")
def _affine_transform(w: Writer) -> str:
    x = _image(w)
    batch = (2,) if len(w.operands[0].shape) == 4 else ()
    transform = f"np.array([1.0, 0.1, 0.3, 0.05, 0.9, -0.2, 0.0, 0.0]) * np.ones({(*batch, 8)})"
    mode = w.draw.one(["constant", "nearest", "wrap", "mirror", "reflect"])
    return f"{x}, ({transform}).astype('float32')" + w.optional(
        interpolation="'nearest'", fill_mode=repr(mode), fill_value="0.5"
    )


@_op("image.perspective_transform")
def _perspective_transform(w: Writer) -> str:
    x = _image(w)
    batch = (2,) if len(w.operands[0].shape) == 4 else ()
    start = f"np.array([[0.0, 0], [0, 3], [3, 0], [3, 3]], 'float32') * np.ones({(*batch, 4, 2)}, 'float32')"  # noqa: E501
    return f"{x}, {start}, {start} + np.array([[0.3, 0.1], [0.2, -0.3], [-0.1, 0.2], [0.1, 0.3]], 'float32')"  # noqa: E501


@_op("image.map_coordinates")
def _map_coordinates(w: Writer) -> str:
    mode = w.draw.one(["constant", "nearest", "wrap", "mirror", "reflect"])
    x = w.number((4, 5))
    coordinates = f"ops.abs({w.array((2, 3), 'float32')}) + 0.2"
    return f"{x}, {coordinates}, {w.draw.one(['0', '1'])}" + w.optional(fill_mode=repr(mode))


@_op("image.extract_patches")
def _extract_patches(w: Writer) -> str:
    return f"{_image(w)}, {w.draw.one(['2', '(2, 3)'])}" + w.optional(strides="1", padding="'same'")


@_op("image.extract_patches_3d")
def _extract_patches_3d(w: Writer) -> str:
    return f"{w.floating((1, 4, 4, 4, 2))}, {w.draw.one(['2', '(2, 2, 1)'])}"


@_op("image.crop_images")
def _crop(w: Writer) -> str:
    x = _image(w)
    return f"{x}, " + w.draw.one(
        ["1, 1, 1, 1", "top_cropping=1, left_cropping=0, target_height=2, target_width=3",
         "bottom_cropping=1, right_cropping=1, target_height=2, target_width=2"]
    )  # fmt: skip


@_op("image.pad_images")
def _pad_images(w: Writer) -> str:
    x = _image(w)
    return f"{x}, " + w.draw.one(
        ["1, 2, 0, 1", "top_padding=1, left_padding=2, target_height=9, target_width=9"]
    )


@_op("image.scale_and_translate")
def _scale_and_translate(w: Writer) -> str:
    method = w.draw.one(["linear", "cubic", "lanczos3", "lanczos5"])
    return (
        f"{w.array((4, 5, 2), 'float32')}, (6, 7, 2), np.array([1.5, 1.2], 'float32'),"
        f" np.array([0.3, -0.2], 'float32'), (0, 1), {method!r}"
    ) + w.optional(antialias="False")


@_op("image.ssim")
def _ssim(w: Writer) -> str:
    shape = (*w.draw.one([(), (2,)]), 8, 8, 2)
    x, y = (w.array(shape, "float32", "probability") for _ in range(2))
    return f"{x}, {y}, filter_size={w.draw.one([3, 5])}"
