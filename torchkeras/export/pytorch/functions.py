"""Translators of what stands in a graph besides layers: activations, `keras.ops`, torch functions.

A translator of an op gets the writer, the op's tensors, its settings by name, and `symbol`, what
the call returns in Keras's graph. Ops that treat each element by itself keep the layout of what
they get; others have their axes translated, or get them as Keras has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...activations import (
    celu as activation_celu,
)
from ...activations import (
    elu as activation_elu,
)
from ...activations import (
    exponential as activation_exponential,
)
from ...activations import (
    gelu as activation_gelu,
)
from ...activations import (
    glu as activation_glu,
)
from ...activations import (
    hard_shrink as activation_hard_shrink,
)
from ...activations import (
    hard_sigmoid as activation_hard_sigmoid,
)
from ...activations import (
    hard_silu as activation_hard_silu,
)
from ...activations import (
    hard_tanh as activation_hard_tanh,
)
from ...activations import (
    leaky_relu as activation_leaky_relu,
)
from ...activations import (
    linear as activation_linear,
)
from ...activations import (
    log_sigmoid as activation_log_sigmoid,
)
from ...activations import (
    log_softmax as activation_log_softmax,
)
from ...activations import (
    mish as activation_mish,
)
from ...activations import (
    relu as activation_relu,
)
from ...activations import (
    relu6 as activation_relu6,
)
from ...activations import (
    selu as activation_selu,
)
from ...activations import (
    sigmoid as activation_sigmoid,
)
from ...activations import (
    silu as activation_silu,
)
from ...activations import (
    soft_shrink as activation_soft_shrink,
)
from ...activations import (
    softmax as activation_softmax,
)
from ...activations import (
    softplus as activation_softplus,
)
from ...activations import (
    softsign as activation_softsign,
)
from ...activations import (
    sparse_plus as activation_sparse_plus,
)
from ...activations import (
    sparse_sigmoid as activation_sparse_sigmoid,
)
from ...activations import (
    sparsemax as activation_sparsemax,
)
from ...activations import (
    squareplus as activation_squareplus,
)
from ...activations import (
    tanh as activation_tanh,
)
from ...activations import (
    tanh_shrink as activation_tanh_shrink,
)
from ...config import epsilon as default_epsilon
from ...graph.keras_tensor import KerasTensor
from ...layers import Layer
from ...ops import activation as kernels
from ...tree import flatten
from . import helpers
from .source import FIRST, KERAS, ClassWriter, Value, refuse, spelled
from .translate import OPS, constants, translate_layer

__all__ = ["activate", "apply_softmax", "elementwise", "reduce_axes"]

# Activations -------------------------------------------------------------------------------------

# Expressions of `{x}`, and of `{dim}`, the channels' axis.
_ACTIVATIONS: dict[Any, str] = {
    activation_celu: "F.celu({x})",
    activation_elu: "F.elu({x})",
    activation_exponential: "torch.exp({x})",
    activation_gelu: "F.gelu({x})",
    activation_glu: "F.glu({x}, dim={dim})",
    activation_hard_shrink: "F.hardshrink({x})",
    activation_hard_sigmoid: "F.hardsigmoid({x})",
    activation_hard_silu: "F.hardswish({x})",
    activation_hard_tanh: "F.hardtanh({x})",
    activation_leaky_relu: "F.leaky_relu({x}, 0.2)",
    activation_log_sigmoid: "F.logsigmoid({x})",
    activation_log_softmax: "F.log_softmax({x}, dim={dim})",
    activation_mish: "F.mish({x})",
    activation_relu: "F.relu({x})",
    activation_relu6: "F.relu6({x})",
    activation_selu: "F.selu({x})",
    activation_sigmoid: "torch.sigmoid({x})",
    activation_silu: "F.silu({x})",
    activation_soft_shrink: "F.softshrink({x})",
    activation_softmax: "F.softmax({x}, dim={dim})",
    activation_softplus: "F.softplus({x})",
    activation_softsign: "F.softsign({x})",
    activation_sparse_plus: (
        "torch.where({x} <= -1, 0, torch.where({x} < 1, ({x} + 1) ** 2 / 4, {x}))"
    ),
    activation_sparse_sigmoid: "(({x} + 1) / 2).clamp(0, 1)",
    activation_squareplus: "({x} + torch.sqrt({x}**2 + 4)) / 2",
    activation_tanh: "torch.tanh({x})",
    activation_tanh_shrink: "F.tanhshrink({x})",
}


def activation_expression(
    writer: ClassWriter, activation: Any, x: str, dim: int = -1
) -> str | None:
    """Return the expression of an activation, `x` itself for none; `None` if there is no form."""
    if activation is None or activation is activation_linear:
        return x
    if activation is activation_sparsemax:
        return f"{writer.helper(helpers.sparsemax)}({x}, dim={dim})"
    template = _ACTIVATIONS.get(activation)
    if template is None:
        module = getattr(activation, "__module__", "") or ""
        name = getattr(activation, "__name__", "")
        if module.startswith("torch") and not module.startswith("torchkeras") and name:
            home = "F" if module == "torch.nn.functional" else "torch"
            return f"{home}.{name}({x})"
        return f"torch.{name}({x})" if name in ("tanh", "sigmoid", "relu") else None
    return template.format(x=x, dim=dim)


def activate(writer: ClassWriter, layer: Any, activation: Any, x: Value) -> Value:
    """Write the activation at the end of a layer."""
    if activation is None or activation is activation_linear:
        return x
    if isinstance(activation, Layer):
        return translate_layer(writer, activation, x)
    x = writer.plain(x) if activation is activation_glu else x
    expression = activation_expression(writer, activation, str(x), x.dim(-1))
    if expression is None:
        raise refuse(
            layer,
            f"its activation {getattr(activation, '__name__', activation)!r} is a Python function",
            "use one of `keras.activations`, or a function of torch.nn.functional.",
        )
    shape = x.shape
    if activation is activation_glu:
        shape = (*shape[:-1], None if shape[-1] is None else shape[-1] // 2)
    return writer.emit(expression, x, shape=shape)


def apply_softmax(writer: ClassWriter, name: str, x: Value, axis: Any) -> Value:
    """Write a softmax (or log_softmax) over one axis or several."""
    if axis is None:
        axis = tuple(range(x.rank))
    dims = [x.dim(a) for a in ((axis,) if isinstance(axis, int) else axis)]
    if len(dims) == 1:
        return writer.emit(f"F.{name}({x}, dim={dims[0]})", x)
    joint = f"{x} - torch.logsumexp({x}, {spelled(tuple(dims))}, keepdim=True)"
    return writer.emit(joint if name == "log_softmax" else f"torch.exp({joint})", x)


# Ops: how they are written -----------------------------------------------------------------------


def elementwise(writer: ClassWriter, template: str, *args: Any, symbol: Any = None) -> Value:
    """Write an expression of several tensors or numbers, which broadcast."""
    values = [arg for arg in args if isinstance(arg, Value)]
    aligned = iter(writer.together(values))
    texts = [
        str(next(aligned)) if isinstance(arg, Value) else constants(writer, arg) for arg in args
    ]
    texts = [f"({text})" if text.startswith("-") else text for text in texts]
    like = _find(writer, values, texts)
    shape = like.shape if symbol is None else symbol.shape
    dtype = like.dtype if symbol is None else symbol.dtype
    return writer.emit(template.format(*texts), like, shape=shape, dtype=dtype)


def _find(writer: ClassWriter, values: Sequence[Value], texts: Sequence[str]) -> Value:
    """Return one of the values, in the layout that was chosen for all."""
    x = values[0]
    return x if str(x) in texts or x.twin is None else x.twin


def _elementwise(template: str) -> Callable[..., Value]:
    def translate(writer: ClassWriter, *args: Any, symbol: Any, **settings: Any) -> Value:
        inner = template
        for name, value in settings.items():
            inner = inner.replace(f"<{name}>", constants(writer, value))
        return elementwise(writer, inner, *args, symbol=symbol)

    return translate


def reduce_axes(
    writer: ClassWriter, x: Value, axis: Any, keepdims: bool
) -> tuple[Value, tuple[int, ...], str]:
    """Find the code's axes for a reduction.

    Returns: The value to reduce, its axes, and the layout of the result.
    """
    axes = tuple(range(x.rank)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(sorted(a % x.rank for a in axes))
    if x.layout == FIRST and not keepdims:
        kept = [a for a in range(x.rank) if a not in axes]
        moved = sorted(kept, key=x.dim)
        x = x if moved == kept else writer.plain(x)
    dims = tuple(sorted(x.dim(a) for a in axes))
    return x, dims, x.layout if keepdims else KERAS


def _reduction(name: str) -> Callable[..., Value]:
    def translate(
        writer: ClassWriter,
        x: Value,
        axis: Any = None,
        keepdims: bool = False,
        *,
        symbol: Any,
        **settings: Any,
    ) -> Value:
        if any(value is not None for value in settings.values()):
            raise NotImplementedError(f"'{name}' with {settings} cannot be written in PyTorch yet.")
        x = writer.cast(x, "float32") if name in ("mean", "var", "std") and "int" in x.dtype else x
        x, dims, layout = reduce_axes(writer, x, axis, keepdims)
        text = spelled(dims[0] if len(dims) == 1 else dims)
        extra = ", correction=0" if name in ("var", "std") else ""
        extra += ", keepdim=True" if keepdims else ""
        if name == "prod" and len(dims) > 1:
            x, text = writer.plain(x), "0"
            x = writer.emit(f"{x}.flatten()", x)
        return writer.emit(
            f"{x}.{name}({text}{extra})", shape=symbol.shape, dtype=symbol.dtype, layout=layout
        )

    return translate


def _method(template: str, *names: str) -> Callable[..., Any]:
    """Write an expression of tensors with axes as in Keras; settings fill `<name>`."""

    def translate(writer: ClassWriter, *args: Any, symbol: Any, **settings: Any) -> Value:
        texts = [constants(writer, arg) for arg in args]
        inner = template
        for name, value in settings.items():
            inner = inner.replace(f"<{name}>", constants(writer, value))
        return writer.emit(inner.format(*texts), shape=symbol.shape, dtype=symbol.dtype)

    return translate


def _register(maker: Callable[[str], Callable[..., Any]], table: dict[str, str]) -> None:
    OPS.update((name, maker(template)) for name, template in table.items())


_register(
    _elementwise,
    {
        "Add": "{} + {}",
        "Subtract": "{} - {}",
        "Multiply": "{} * {}",
        "Divide": "{} / {}",
        "TrueDivide": "{} / {}",
        "FloorDivide": "{} // {}",
        "Mod": "{} % {}",
        "Power": "{}**{}",
        "Negative": "-{}",
        "Absolute": "torch.abs({})",
        "Abs": "torch.abs({})",
        "Exp": "torch.exp({})",
        "Expm1": "torch.expm1({})",
        "Log": "torch.log({})",
        "Log1p": "torch.log1p({})",
        "Log2": "torch.log2({})",
        "Log10": "torch.log10({})",
        "Sqrt": "torch.sqrt({})",
        "Rsqrt": "torch.rsqrt({})",
        "Square": "{}**2",
        "Reciprocal": "1 / {}",
        "Sign": "torch.sign({})",
        "Sin": "torch.sin({})",
        "Cos": "torch.cos({})",
        "Tan": "torch.tan({})",
        "Arcsin": "torch.asin({})",
        "Arccos": "torch.acos({})",
        "Arctan": "torch.atan({})",
        "Arctan2": "torch.atan2({}, {})",
        "Sinh": "torch.sinh({})",
        "Cosh": "torch.cosh({})",
        "Tanh": "torch.tanh({})",
        "Erf": "torch.erf({})",
        "Erfinv": "torch.erfinv({})",
        "Floor": "torch.floor({})",
        "Ceil": "torch.ceil({})",
        "Round": "torch.round({}, decimals=<decimals>)",
        "Isnan": "torch.isnan({})",
        "Isinf": "torch.isinf({})",
        "Isfinite": "torch.isfinite({})",
        "ZerosLike": "torch.zeros_like({})",
        "OnesLike": "torch.ones_like({})",
        "StopGradient": "{}.detach()",
        "Copy": "{}.clone()",
        "Clip": "{}.clamp(<x_min>, <x_max>)",
        "Equal": "{} == {}",
        "NotEqual": "{} != {}",
        "Greater": "{} > {}",
        "GreaterEqual": "{} >= {}",
        "Less": "{} < {}",
        "LessEqual": "{} <= {}",
        "LogicalAnd": "torch.logical_and({}, {})",
        "LogicalOr": "torch.logical_or({}, {})",
        "LogicalXor": "torch.logical_xor({}, {})",
        "LogicalNot": "torch.logical_not({})",
        "Where": "torch.where({}, {}, {})",
        "Celu": "F.celu({}, <alpha>)",
        "Elu": "F.elu({}, <alpha>)",
        "HardShrink": "F.hardshrink({}, <threshold>)",
        "HardSigmoid": "F.hardsigmoid({})",
        "HardSilu": "F.hardswish({})",
        "HardTanh": "F.hardtanh({})",
        "LeakyRelu": "F.leaky_relu({}, <negative_slope>)",
        "LogSigmoid": "F.logsigmoid({})",
        "Relu": "F.relu({})",
        "Relu6": "F.relu6({})",
        "Selu": "F.selu({})",
        "Sigmoid": "torch.sigmoid({})",
        "Silu": "F.silu({})",
        "SoftShrink": "F.softshrink({}, <threshold>)",
        "Softplus": "F.softplus({})",
        "Softsign": "F.softsign({})",
        "SparseSigmoid": "(({} + 1) / 2).clamp(0, 1)",
        "Squareplus": "({0} + torch.sqrt({0}**2 + <b>)) / 2",
        "TanhShrink": "F.tanhshrink({})",
        "Threshold": "F.threshold({}, <threshold>, <default_value>)",
    },
)
_register(
    _reduction,
    {
        "Sum": "sum",
        "Mean": "mean",
        "Max": "amax",
        "Min": "amin",
        "Amax": "amax",
        "Amin": "amin",
        "Prod": "prod",
        "Var": "var",
        "Std": "std",
        "All": "all",
        "Any": "any",
        "Logsumexp": "logsumexp",
    },
)
_register(
    _method,
    {
        "Matmul": "{} @ {}",
        "Swapaxes": "{}.transpose(<axis1>, <axis2>)",
        "Moveaxis": "{}.movedim(<source>, <destination>)",
        "TakeAlongAxis": "torch.take_along_dim({}, {}, dim=<axis>)",
        "Diagonal": "{}.diagonal(<offset>, <axis1>, <axis2>)",
        "Tril": "{}.tril(<k>)",
        "Triu": "{}.triu(<k>)",
        "Ravel": "{}.flatten()",
        "Det": "torch.linalg.det({})",
        "Inv": "torch.linalg.inv({})",
    },
)


def _op(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        OPS.update(dict.fromkeys(names, function))
        return function

    return register


def _made(writer: ClassWriter, expression: str, symbol: Any) -> Value:
    return writer.emit(expression, shape=symbol.shape, dtype=symbol.dtype)


def _extremum_of(name: str, clamp: str) -> Callable[..., Value]:
    def translate(writer: ClassWriter, a: Any, b: Any, *, symbol: Any) -> Value:
        a, b = (a, b) if isinstance(a, Value) else (b, a)
        if isinstance(b, (int, float)):
            return elementwise(writer, f"{{}}.clamp({clamp}={{}})", a, b, symbol=symbol)
        return elementwise(writer, f"torch.{name}({{}}, {{}})", a, b, symbol=symbol)

    return translate


OPS["Maximum"] = _extremum_of("maximum", "min")
OPS["Minimum"] = _extremum_of("minimum", "max")


@_op("Gelu")
def _gelu(writer: ClassWriter, x: Value, approximate: bool = True, *, symbol: Any) -> Value:
    return writer.emit(f'F.gelu({x}, approximate="tanh")' if approximate else f"F.gelu({x})", x)


@_op("Glu")
def _glu(writer: ClassWriter, x: Value, axis: int = -1, *, symbol: Any) -> Value:
    return writer.emit(f"F.glu({x}, dim={x.dim(axis)})", x, shape=symbol.shape)


@_op("Sparsemax")
def _sparsemax(writer: ClassWriter, x: Value, axis: int = -1, *, symbol: Any) -> Value:
    return writer.emit(f"{writer.helper(helpers.sparsemax)}({x}, dim={x.dim(axis)})", x)


@_op("SparsePlus")
def _sparse_plus(writer: ClassWriter, x: Value, *, symbol: Any) -> Value:
    return writer.emit(_ACTIVATIONS[kernels.sparse_plus].format(x=x), x)


@_op("Softmax")
def _softmax(writer: ClassWriter, x: Value, axis: Any = -1, *, symbol: Any) -> Value:
    return apply_softmax(writer, "softmax", x, axis)


@_op("LogSoftmax")
def _log_softmax(writer: ClassWriter, x: Value, axis: Any = -1, *, symbol: Any) -> Value:
    return apply_softmax(writer, "log_softmax", x, axis)


def _arg_extremum(name: str) -> Callable[..., Value]:
    def translate(
        writer: ClassWriter, x: Value, axis: Any = None, keepdims: bool = False, *, symbol: Any
    ) -> Value:
        x = writer.plain(x)
        text = f"{x}.{name}({'' if axis is None else axis}{', keepdim=True' if keepdims else ''})"
        return _made(writer, f"{text}.int()", symbol)

    return translate


OPS["Argmax"], OPS["Argmin"] = _arg_extremum("argmax"), _arg_extremum("argmin")


@_op("Cast")
def _cast(writer: ClassWriter, x: Value, dtype: str, *, symbol: Any) -> Value:
    return writer.cast(x, symbol.dtype)


@_op("Identity")
def _identity(writer: ClassWriter, x: Value, *, symbol: Any) -> Value:
    return x


@_op("Reshape")
def _reshape(writer: ClassWriter, x: Value, newshape: Any, *, symbol: Any) -> Value:
    x = writer.plain(x)
    return _made(writer, f"{x}.reshape({_sizes(x, newshape)})", symbol)


def _sizes(x: Value, shape: Any) -> str:
    """Spell a target shape out; an unknown first size is the batch's."""
    sizes = list(shape) if isinstance(shape, (list, tuple)) else [shape]
    texts = []
    for i, size in enumerate(sizes):
        unknown = size is None or isinstance(size, KerasTensor)
        if unknown and i == 0 and -1 in sizes:
            texts.append(f"{x}.shape[0]")
        else:
            texts.append(str(size) if isinstance(size, Value) else "-1" if unknown else str(size))
    return ", ".join(texts)


@_op("Transpose")
def _transpose(writer: ClassWriter, x: Value, axes: Any = None, *, symbol: Any) -> Value:
    x = writer.plain(x)
    axes = tuple(reversed(range(x.rank))) if axes is None else tuple(a % x.rank for a in axes)
    return _made(writer, f"{x}.permute({', '.join(map(str, axes))})", symbol)


@_op("Squeeze")
def _squeeze(writer: ClassWriter, x: Value, axis: Any = None, *, symbol: Any) -> Value:
    x = writer.plain(x)
    axes = axis
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return _made(writer, f"{x}.squeeze({spelled(axes)})", symbol)


@_op("ExpandDims")
def _expand_dims(writer: ClassWriter, x: Value, axis: Any, *, symbol: Any) -> Value:
    x = writer.plain(x)
    rank = len(symbol.shape)
    axes = sorted(a % rank for a in ((axis,) if isinstance(axis, int) else axis))
    text = "".join(f".unsqueeze({a})" for a in axes)
    return _made(writer, f"{x}{text}", symbol)


@_op("Concatenate")
def _concatenate(writer: ClassWriter, xs: Sequence[Any], axis: Any = 0, *, symbol: Any) -> Value:
    return concatenate(writer, xs, axis, symbol.shape, symbol.dtype)


def concatenate(
    writer: ClassWriter, xs: Sequence[Any], axis: int, shape: Any, dtype: str | None = None
) -> Value:
    """Write a concatenation of values along an axis of Keras's."""
    values = [x for x in xs if isinstance(x, Value)]
    together = iter(writer.together(values))
    texts = [str(next(together)) if isinstance(x, Value) else constants(writer, x) for x in xs]
    like = _find(writer, values, texts)
    joined = f"torch.cat(({', '.join(texts)}), dim={like.dim(axis)})"
    return writer.emit(joined, like, shape=shape, dtype=dtype)


@_op("Stack")
def _stack(writer: ClassWriter, xs: Sequence[Any], axis: int = 0, *, symbol: Any) -> Value:
    texts = ", ".join(constants(writer, x) for x in xs)
    return _made(writer, f"torch.stack(({texts}), dim={axis})", symbol)


@_op("Split")
def _split(
    writer: ClassWriter, x: Value, indices_or_sections: Any, axis: int = 0, *, symbol: Any
) -> Any:
    x = writer.plain(x)
    where = spelled(
        indices_or_sections
        if isinstance(indices_or_sections, int)
        else tuple(map(int, indices_or_sections))
    )
    parts = [writer.value(s.shape, s.dtype) for s in flatten(symbol)]
    targets = ", ".join(map(str, parts)) + ("," if len(parts) == 1 else "")
    writer.assign(targets, f"torch.tensor_split({x}, {where}, dim={axis})")
    return parts


@_op("Unstack")
def _unstack(writer: ClassWriter, x: Value, num: Any = None, axis: int = 0, *, symbol: Any) -> Any:
    x = writer.plain(x)
    parts = [writer.value(s.shape, s.dtype) for s in flatten(symbol)]
    targets = ", ".join(map(str, parts)) + ("," if len(parts) == 1 else "")
    writer.assign(targets, f"{x}.unbind({axis})")
    return parts


@_op("Einsum")
def _einsum(writer: ClassWriter, *operands: Any, subscripts: str, symbol: Any) -> Value:
    texts = ", ".join(constants(writer, x) for x in operands)
    return _made(writer, f"torch.einsum({spelled(subscripts)}, {texts})", symbol)


@_op("Dot")
def _dot(writer: ClassWriter, a: Value, b: Value, *, symbol: Any) -> Value:
    if isinstance(b, Value) and b.rank > 2:
        text = f"torch.tensordot({writer.plain(a)}, {writer.plain(b)}, dims=([-1], [-2]))"
        return _made(writer, text, symbol)
    return _made(writer, f"{constants(writer, a)} @ {constants(writer, b)}", symbol)


@_op("Tensordot")
def _tensordot(writer: ClassWriter, a: Value, b: Value, axes: Any = 2, *, symbol: Any) -> Value:
    dims = axes if isinstance(axes, int) else [[d] if isinstance(d, int) else list(d) for d in axes]
    text = f"{constants(writer, a)}, {constants(writer, b)}, dims={spelled(dims)}"
    return _made(writer, f"torch.tensordot({text})", symbol)


@_op("Repeat")
def _repeat(writer: ClassWriter, x: Value, repeats: Any, axis: Any = None, *, symbol: Any) -> Value:
    x = writer.plain(x)
    dim = "" if axis is None else f", dim={axis}"
    return _made(writer, f"{x}.repeat_interleave({constants(writer, repeats)}{dim})", symbol)


@_op("Tile")
def _tile(writer: ClassWriter, x: Value, repeats: Any, *, symbol: Any) -> Value:
    sizes = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    return _made(writer, f"torch.tile({writer.plain(x)}, {spelled(sizes)})", symbol)


@_op("Flip")
def _flip(writer: ClassWriter, x: Value, axis: Any = None, *, symbol: Any) -> Value:
    axes = tuple(range(x.rank)) if axis is None else (axis,) if isinstance(axis, int) else axis
    dims = tuple(x.dim(a) for a in axes)
    return writer.emit(f"{x}.flip({spelled(dims)})", x)


@_op("Roll")
def _roll(writer: ClassWriter, x: Value, shift: Any, axis: Any = None, *, symbol: Any) -> Value:
    dims = "" if axis is None else f", {spelled(axis)}"
    return _made(writer, f"torch.roll({writer.plain(x)}, {spelled(shift)}{dims})", symbol)


@_op("Pad")
def _pad(
    writer: ClassWriter,
    x: Value,
    pad_width: Any,
    mode: str = "constant",
    constant_values: Any = None,
    *,
    symbol: Any,
) -> Value:
    x = writer.plain(x)
    if isinstance(pad_width, int):
        pad_width = [(pad_width, pad_width)] * x.rank
    pairs = [(p, p) if isinstance(p, int) else tuple(p) for p in pad_width]
    pairs = pairs * x.rank if len(pairs) == 1 else pairs
    if mode != "constant":
        raise NotImplementedError(
            f"ops.pad with mode={mode!r} cannot be written in plain PyTorch yet.\nFix: use"
            " `torch.nn.functional.pad`, which is written as it is."
        )
    flat = tuple(n for pair in reversed(pairs) for n in pair)
    value = f", value={constants(writer, constant_values)}" if constant_values else ""
    return _made(writer, f"F.pad({x}, {spelled(flat)}{value})", symbol)


@_op("BroadcastTo")
def _broadcast_to(writer: ClassWriter, x: Value, shape: Any, *, symbol: Any) -> Value:
    sizes = ", ".join("-1" if n is None else str(n) for n in shape)
    return _made(writer, f"{writer.plain(x)}.expand({sizes})", symbol)


@_op("Take")
def _take(writer: ClassWriter, x: Any, indices: Any, axis: Any = None, *, symbol: Any) -> Value:
    source = constants(writer, x, "table")
    if not isinstance(x, Value):
        x = writer.value(tuple(x.shape), "float32", fixed=source)
    x = writer.plain(x)
    if axis is None:
        return _made(writer, f"torch.take({x}, {constants(writer, indices)}.long())", symbol)
    axis %= x.rank
    if isinstance(indices, int):
        return _made(writer, f"{x}.select({axis}, {indices})", symbol)
    index = constants(writer, indices)
    index = index if isinstance(indices, (list, tuple)) else f"{index}.long()"
    return _made(writer, f"{x}[{':, ' * axis}{index}]", symbol)


@_op("GetItem")
def _get_item(writer: ClassWriter, x: Value, key: Any, *, symbol: Any) -> Value:
    x = writer.plain(x)
    items = key if isinstance(key, (tuple, list)) else (key,)
    if any(isinstance(item, slice) and (item.step or 1) < 0 for item in items):
        raise NotImplementedError(
            "A slice with a negative step cannot be written in plain PyTorch.\nFix: use"
            " `keras.ops.flip`."
        )
    return _made(writer, f"{x}[{', '.join(_index(writer, item) for item in items)}]", symbol)


def _index(writer: ClassWriter, item: Any) -> str:
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        text = [
            "" if part is None else constants(writer, part)
            for part in (item.start, item.stop, item.step)
        ]
        return ":".join(text[: 3 if text[2] else 2])
    return constants(writer, item)


@_op("Normalize")
def _normalize(
    writer: ClassWriter,
    x: Value,
    axis: Any = -1,
    order: Any = 2,
    epsilon: Any = None,
    *,
    symbol: Any,
) -> Value:
    dims = tuple(x.dim(a) for a in ((axis,) if isinstance(axis, int) else axis))
    limit = default_epsilon() if epsilon is None else epsilon
    name = writer.helper(helpers.normalize_over)
    return writer.emit(f"{name}({x}, {spelled(dims)}, {order}, {spelled(limit)})", x)


@_op("OneHot")
def _one_hot(
    writer: ClassWriter,
    x: Value,
    num_classes: int,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    *,
    symbol: Any,
) -> Value:
    x = writer.plain(x)
    text = f"F.one_hot({x}.long(), {num_classes}).to(torch.{symbol.dtype})"
    rank = len(symbol.shape)
    if axis % rank != rank - 1:
        text += f".movedim(-1, {axis})"
    return _made(writer, text, symbol)


def _cumulative(name: str) -> Callable[..., Value]:
    def translate(
        writer: ClassWriter, x: Value, axis: Any = None, dtype: Any = None, *, symbol: Any
    ) -> Value:
        x = writer.plain(x)
        x = writer.emit(f"{x}.flatten()", x, shape=symbol.shape) if axis is None else x
        return writer.cast(writer.emit(f"{x}.{name}({axis or 0})", x), symbol.dtype)

    return translate


OPS["Cumsum"], OPS["Cumprod"] = _cumulative("cumsum"), _cumulative("cumprod")


# Functions of torch ------------------------------------------------------------------------------


def _torch_function(
    writer: ClassWriter, operation: Any, *args: Any, symbol: Any, **kwargs: Any
) -> Any:
    """Write a call of a torch function as it stands."""
    home, _, name = operation.path.rpartition(".")
    texts = [constants(writer, arg) for arg in args]
    texts += [f"{key}={constants(writer, value)}" for key, value in kwargs.items()]
    if home == "torch.Tensor":
        call = f"{texts[0]}.{name}({', '.join(texts[1:])})"
    else:
        home = "F" if home == "torch.nn.functional" else home
        call = f"{home}.{name}({', '.join(texts)})"
    if isinstance(symbol, KerasTensor):
        return _made(writer, call, symbol)
    parts = [writer.value(s.shape, s.dtype) for s in flatten(symbol)]
    writer.assign(", ".join(map(str, parts)) + ("," if len(parts) == 1 else ""), call)
    return parts


OPS["TorchFunction"] = _torch_function
