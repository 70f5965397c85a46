"""Calls of `keras.ops` that move, join and make numbers: shapes, places, new tensors."""

from __future__ import annotations

from ._op_registry import CALLS, calls
from ._operands import Writer

__all__: list[str] = []

# Shapes and places.


@calls("reshape")
def _reshape(w: Writer) -> str:
    shape = w.shape(1)
    x = w.anything(shape)
    options = ["-1", "(-1,)", f"(1, *{shape})", f"{shape[::-1]}", f"({shape[0]}, -1)", "[-1, 1]"]
    if 0 in shape:
        options = [str(shape[::-1])]
    return f"{x}, {w.draw.one(options)}"


@calls("transpose")
def _transpose(w: Writer) -> str:
    shape = w.shape()
    order = w.draw.shuffled(range(len(shape)))
    return w.anything(shape) + w.optional(axes=str(tuple(order)))


@calls("expand_dims")
def _expand_dims(w: Writer) -> str:
    shape = w.shape()
    axis = str(w.axis(len(shape) + 1))
    return f"{w.anything(shape)}, {w.draw.one([axis, f'axis={axis}', '(0, -1)'])}"


@calls("squeeze")
def _squeeze(w: Writer) -> str:
    shape = [*w.shape(1, 3), 1]
    x = w.anything(tuple(shape))
    return x + w.optional(axis=w.draw.one(["-1", str(len(shape) - 1), "(-1,)"]))


@calls("ravel")
def _ravel(w: Writer) -> str:
    return w.anything(w.shape())


@calls("flip", "fliplr", "flipud")
def _flip(w: Writer) -> str:
    return w.anything(w.shape(2))


def _flip_axis(w: Writer) -> str:
    shape = w.shape(1)
    return f"{w.anything(shape)}, axis={w.axes(len(shape))}"


CALLS["flip"] = _flip_axis


@calls("roll")
def _roll(w: Writer) -> str:
    shape = w.shape(1)
    rank = len(shape)
    options = [f"{w.draw.whole(-3, 3)}", f"1, axis={w.axis(rank)}"]
    if rank > 1:
        options.append("(1, 2), axis=(0, 1)")
    return f"{w.anything(shape)}, {w.draw.one(options)}"


@calls("rot90")
def _rot90(w: Writer) -> str:
    shape = w.shape(2)
    return w.anything(shape) + w.optional(k=str(w.draw.whole(-2, 3)), axes="(1, 0)")


@calls("swapaxes")
def _swapaxes(w: Writer) -> str:
    shape = w.shape(1)
    return f"{w.anything(shape)}, {w.axis(len(shape))}, {w.axis(len(shape))}"


@calls("moveaxis")
def _moveaxis(w: Writer) -> str:
    shape = w.shape(2)
    rank = len(shape)
    options = [f"{w.axis(rank)}, {w.axis(rank)}", "[0, 1], [-1, 0]", "(0,), (-1,)"]
    return f"{w.anything(shape)}, {w.draw.one(options)}"


@calls("repeat")
def _repeat(w: Writer) -> str:
    shape = w.shape(1, 3)
    axis = w.axis(len(shape))
    repeats = w.draw.one(["2", "3", str([w.draw.whole(0, 2) for _ in range(shape[axis])])])
    if w.draw.chance(0.2):
        return f"{w.anything(shape)}, 2"
    return f"{w.anything(shape)}, {repeats}, axis={axis}"


@calls("tile")
def _tile(w: Writer) -> str:
    shape = w.shape()
    repeats = tuple(w.draw.whole(1, 2) for _ in range(w.draw.whole(1, 4)))
    return f"{w.anything(shape)}, {w.draw.one(['2', str(repeats), str(list(repeats))])}"


@calls("broadcast_to")
def _broadcast_to(w: Writer) -> str:
    shape = w.shape(0, 3)
    target = (*w.shape(0, 1), *(w.draw.whole(1, 3) if size == 1 else size for size in shape))
    return f"{w.anything(shape)}, {target}"


@calls("pad")
def _pad(w: Writer) -> str:
    shape = tuple(size + 2 for size in w.shape(1, 3))
    widths = [(w.draw.whole(0, 2), w.draw.whole(0, 2)) for _ in shape]
    width = w.draw.one(["1", "((1, 1),)", "(1, 2)", str(widths), str(tuple(widths))])
    mode = w.draw.one(["", ", mode='constant', constant_values=2", ", 'reflect'", ", 'symmetric'"])
    return f"{w.number(shape)}, {width}{mode}"


@calls("concatenate")
def _concatenate(w: Writer) -> str:
    shape = w.shape(1)
    axis = w.axis(len(shape))
    arrays = []
    for _ in range(w.draw.whole(1, 3)):
        sizes = list(shape)
        sizes[axis] = w.draw.whole(1, 3)
        arrays.append(w.anything(tuple(sizes)))
    return f"[{', '.join(arrays)}], axis={axis}"


@calls("stack")
def _stack(w: Writer) -> str:
    shape = w.shape(0, 3)
    arrays = ", ".join(w.anything(shape) for _ in range(w.draw.whole(1, 3)))
    return f"[{arrays}]" + w.optional(axis=str(w.axis(len(shape) + 1)))


@calls("hstack", "vstack", "dstack")
def _stacked(w: Writer) -> str:
    shape = w.shape(0, 3)
    return f"[{w.anything(shape)}, {w.anything(shape)}]"


@calls("append")
def _append(w: Writer) -> str:
    shape = w.shape(1, 3)
    axis = w.draw.one(["", f", axis={w.axis(len(shape))}"])
    return f"{w.anything(shape)}, {w.anything(shape)}{axis}"


@calls("split", "array_split")
def _split(w: Writer) -> str:
    w.single = False
    shape = [*w.shape(1, 3)]
    axis = w.axis(len(shape))
    shape[axis] = 4
    return f"{w.anything(tuple(shape))}, {w.draw.one(['2', '4', '[1, 3]', '(2,)'])}, axis={axis}"


@calls("hsplit", "vsplit", "dsplit")
def _splits(w: Writer) -> str:
    w.single = False
    return f"{w.anything((2, 2, 4))}, {w.draw.one(['2', '[1]'])}"


@calls("unstack")
def _unstack(w: Writer) -> str:
    w.single = False
    shape = w.shape(1, 3)
    axis = w.axis(len(shape))
    return f"{w.anything(shape)}, axis={axis}" + w.optional(num=str(shape[axis]))


@calls("meshgrid")
def _meshgrid(w: Writer) -> str:
    w.single = False
    return f"{w.number((3,))}, {w.number((2,))}" + w.optional(indexing="'ij'")


@calls("take")
def _take(w: Writer) -> str:
    shape = tuple(size + 1 for size in w.shape(1, 3))
    axis = w.axis(len(shape))
    indices = w.index(w.shape(0, 2), shape[axis]) if w.draw.chance() else "[0, -1]"
    return f"{w.anything(shape)}, {indices}" + w.draw.one([f", axis={axis}"] * 2 + [""])


@calls("take_along_axis")
def _take_along_axis(w: Writer) -> str:
    shape = list(w.shape(1, 3))
    axis = w.axis(len(shape))
    x = w.anything(tuple(shape))
    size, shape[axis] = shape[axis], w.draw.whole(1, 3)
    return f"{x}, {w.index(tuple(shape), max(size, 1))}, axis={axis}"


@calls("get_item")
def _get_item(w: Writer) -> str:
    return f"{w.anything((3, 4))}, {w.draw.one(['0', 'np.s_[1:]', 'np.s_[..., -1]', '(1, 2)'])}"


@calls("slice")
def _slice(w: Writer) -> str:
    start = (w.draw.whole(0, 1), w.draw.whole(0, 2))
    return f"{w.anything((3, 4))}, {start}, {w.draw.one(['(2, 2)', '[1, 2]', 'np.array([1, 1])'])}"


@calls("slice_update")
def _slice_update(w: Writer) -> str:
    x = w.floating((3, 4))
    update = w.array((2, 2), w.operands[0].dtype)
    return f"{x}, {w.draw.one(['(1, 1)', '[0, 2]'])}, {update}"


@calls("scatter")
def _scatter(w: Writer) -> str:
    return f"[[0, 1], [2, 0]], {w.number((2,))}, {w.draw.one(['(3, 2)', '[3, 3]'])}"


@calls("scatter_update")
def _scatter_update(w: Writer) -> str:
    x = w.number((3, 2))
    updates = w.array((2,), w.operands[0].dtype)
    reduction = w.draw.one(["add", "max", "min", "mul"])
    return f"{x}, [[0, 1], [2, 0]], {updates}" + w.optional(reduction=repr(reduction))


@calls("searchsorted")
def _searchsorted(w: Writer) -> str:
    return f"[1.0, 3.0, 5.0], {w.floating(w.shape(1, 2))}" + w.optional(side="'right'")


@calls("digitize")
def _digitize(w: Writer) -> str:
    return f"{w.number(w.shape())}, {w.draw.one(['[0.0, 1.0, 2.5]', 'np.array([-1.0, 0.5])'])}"


@calls("bincount")
def _bincount(w: Writer) -> str:
    shape = w.shape(1, 2)
    x = w.index(shape, 5)
    if w.draw.chance(0.4):
        return f"{x}, weights={w.array(shape, 'float32')}"
    return x + w.optional(minlength=w.draw.one(["3", "8"]))


@calls("histogram")
def _histogram(w: Writer) -> str:
    w.single = False
    return w.array(w.shape(1, 2), "float32") + w.optional(bins="4", range="(-2, 2)")


@calls("isin")
def _isin(w: Writer) -> str:
    return f"{w.integer(w.shape(), 6)}, [1, 2, 3]" + w.optional(invert="True")


@calls("nonzero")
def _nonzero(w: Writer) -> str:
    w.single = False
    return w.integer(w.shape(1, 3), 3)


@calls("unique")
def _unique(w: Writer) -> str:
    w.single = False
    flags = {f"return_{what}": "True" for what in ("inverse", "counts", "index")}
    return w.integer(w.shape(1, 2), 4) + w.optional(**flags)


@calls("unravel_index")
def _unravel_index(w: Writer) -> str:
    w.single = False
    return f"{w.index(w.shape(0, 2), 6)}, {w.draw.one(['(2, 3)', '(3, 2)', '(1, 6)'])}"


@calls("diag", "diagflat")
def _diag(w: Writer) -> str:
    return w.anything(w.shape(1, 2)) + w.optional(k=str(w.draw.whole(-2, 2)))


@calls("diagonal", "trace")
def _diagonal(w: Writer) -> str:
    shape = w.shape(2)
    options = {"offset": str(w.draw.whole(-1, 1))}
    if len(shape) > 2:
        options["axis1"], options["axis2"] = "1", w.draw.one(["2", "-1"])
        return w.anything(shape) + "".join(f", {k}={v}" for k, v in options.items())
    return w.anything(shape) + w.optional(**options)


@calls("tril", "triu")
def _triangle(w: Writer) -> str:
    return w.anything(w.shape(2)) + w.optional(k=str(w.draw.whole(-2, 2)))


@calls("vander")
def _vander(w: Writer) -> str:
    return w.number((w.draw.whole(1, 4),)) + w.optional(N="3", increasing="True")


@calls("rearrange")
def _rearrange(w: Writer) -> str:
    patterns = ["'a b c -> c (a b)'", "'a b c -> a c b'", "'a b (c d) -> a (b c) d', c=2"]
    pattern = w.draw.one([*patterns, "'a b c -> (a b c)'"])
    return f"{w.anything((2, 3, 4))}, {pattern}"


@calls("depth_to_space")
def _depth_to_space(w: Writer) -> str:
    return f"{w.floating((w.draw.whole(1, 2), 2, 3, 8))}, 2"


@calls("space_to_depth")
def _space_to_depth(w: Writer) -> str:
    return f"{w.floating((w.draw.whole(1, 2), 4, 2, 3))}, 2"


# Made of nothing.


@calls("zeros", "ones", "full")
def _filled(w: Writer) -> str:
    return str(w.draw.one([w.shape(), list(w.shape()), 3])) + w.optional(
        dtype=repr(w.draw.one(["int32", "float16", "bool", "uint8", "bfloat16"]))
    )


def _full(w: Writer) -> str:
    value = w.draw.one(["2", "1.5", "True", "-1"])
    return f"{w.shape()}, {value}" + w.optional(dtype=repr(w.draw.one(["int32", "float32"])))


CALLS["full"] = _full


@calls("full_like")
def _full_like(w: Writer) -> str:
    return f"{w.anything(w.shape())}, {w.draw.one(['2', '1.5'])}" + w.optional(dtype="'float32'")


@calls("arange")
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


@calls("linspace", "logspace", "geomspace")
def _spaced(w: Writer) -> str:
    ends = w.draw.one(["1, 3", "0.5, 2.0", "[1.0, 2.0], [3.0, 4.0]", "1, [2.0, 3.0]"])
    return f"{ends}, num={w.draw.whole(2, 5)}" + w.optional(endpoint="False", dtype="'float32'")


@calls("eye", "identity", "tri")
def _eye(w: Writer) -> str:
    return f"{w.draw.whole(1, 4)}" + w.optional(dtype=repr(w.draw.one(["int32", "bool"])))


def _eye_of(w: Writer) -> str:
    options = {"M": str(w.draw.whole(1, 4)), "k": str(w.draw.whole(-1, 2)), "dtype": "'int32'"}
    return f"{w.draw.whole(1, 4)}" + w.optional(**options)


CALLS["eye"] = CALLS["tri"] = _eye_of


@calls("bartlett", "blackman", "hamming", "hanning")
def _window(w: Writer) -> str:
    return str(w.draw.whole(1, 6))


@calls("kaiser")
def _kaiser(w: Writer) -> str:
    return f"{w.draw.whole(1, 6)}, {w.draw.one(['2', '8.6'])}"


@calls("array", "convert_to_tensor", "cast", "saturate_cast", "view")
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


@calls("convert_to_numpy", "is_tensor", "dtype", "ndim", "size", "shape")
def _asked(w: Writer) -> str:
    w.single = False
    return w.anything(w.shape())
