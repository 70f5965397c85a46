"""Conversion, control flow and differentiation: what `keras.ops` has beside NumPy's functions.

Control flow runs in Python, step by step, as PyTorch does. While a graph infers shapes there are no
values to look at: a condition counts as true there, and a loop returns what it was given.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..dtypes import standardize_dtype, to_torch
from ..graph.context import CONTEXT
from ..graph.infer import known_shape, marked_sparse
from ..graph.keras_tensor import KerasTensor
from ..graph.operation import elementwise_op, op
from ..tree import flatten, is_nested, map_structure, pack_sequence_as
from .common import DType, as_tensor, as_tensors

__all__ = [
    "associative_scan",
    "cast",
    "cond",
    "convert_to_numpy",
    "convert_to_tensor",
    "custom_gradient",
    "dtype",
    "fori_loop",
    "is_tensor",
    "map",
    "ndim",
    "saturate_cast",
    "scan",
    "shape",
    "size",
    "stop_gradient",
    "switch",
    "vectorize",
    "vectorized_map",
    "while_loop",
]

_PATH = "keras.src.ops.core."

# Conversion --------------------------------------------------------------------------------------


@elementwise_op(path=_PATH + "Cast")
def cast(x: Tensor, dtype: DType) -> Tensor:
    """`x` in another dtype.

    Args:
        x: Anything numeric.
        dtype: The dtype.

    Example:
        >>> cast([0.5, 2.0], "int32").tolist()
        [0, 2]
    """
    return as_tensor(x, to_torch(dtype))


@op(path=_PATH + "SaturateCast")
def saturate_cast(x: Tensor, dtype: DType) -> Tensor:
    """`x` in another dtype, values out of its range replaced by its bounds.

    Args:
        x: Anything numeric.
        dtype: The dtype.

    Example:
        >>> saturate_cast([-1.0, 300.0], "uint8").tolist()
        [0, 255]
    """
    x = as_tensor(x)
    target = to_torch(dtype)
    if target is torch.bool:
        return x.clamp(0, 1).to(target)
    if x.dtype is torch.bool or target is x.dtype:
        return x.to(target)
    bounds = _range(target)
    limits = _range(x.dtype)
    low, high = builtins.max(bounds[0], limits[0]), builtins.min(bounds[1], limits[1])
    if x.is_floating_point() and not target.is_floating_point:
        # The integer bound may not be a float of this width: the next one inside has to do.
        low, high = _inside(low, x.dtype, 1), _inside(high, x.dtype, -1)
    return x.clamp(low, high).to(target)


def _range(dtype: torch.dtype) -> tuple[float, float]:
    info = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    return info.min, info.max


def _inside(bound: float, dtype: torch.dtype, direction: int) -> float:
    nearest = torch.tensor(float(bound), dtype=dtype, device="cpu")
    if (nearest.item() - bound) * direction < 0:
        nearest = torch.nextafter(nearest, torch.zeros_like(nearest))
    return nearest.item()


def convert_to_tensor(
    x: Any, dtype: DType = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """`x` as a tensor.

    Args:
        x: A tensor, array, number, or nested list of those.
        dtype: The result is cast to it.
        sparse, ragged: Accepted as in Keras; must not be true, unless `x` is symbolic.

    Raises:
        ValueError: `sparse` or `ragged` is true.

    Example:
        >>> convert_to_tensor([1, 2]).dtype
        torch.int32
    """
    if (sparse or ragged) and not isinstance(x, KerasTensor):
        name = "sparse" if sparse else "ragged"
        raise ValueError(f"`{name}=True` is not supported: torch has no such tensors here.")
    return _convert_to_tensor(x, dtype=dtype, sparse=sparse, ragged=ragged)


@op(path=_PATH + "ConvertToTensor")
def _convert_to_tensor(
    x: Tensor, dtype: DType = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    x = as_tensor(x, dtype)
    return marked_sparse(x, False) if CONTEXT.meta and sparse is False else x


def convert_to_numpy(x: Any) -> np.ndarray:
    """`x` as a NumPy array on the host, without its gradient.

    Args:
        x: A tensor, array, number, or list of those. `bfloat16` becomes the dtype of `ml_dtypes`
            where that package is installed, else `float32`.

    Example:
        >>> convert_to_numpy(torch.tensor([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """
    if isinstance(x, (list, tuple)):
        return np.array([convert_to_numpy(item) for item in x])
    if not isinstance(x, Tensor):
        return np.array(x)
    x = x.detach().cpu().resolve_conj().resolve_neg()
    if x.dtype is not torch.bfloat16:
        return np.array(x.numpy())
    array = x.float().numpy()
    try:
        import ml_dtypes
    except ImportError:
        return array
    return array.astype(ml_dtypes.bfloat16)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor; symbolic ones are not.

    Example:
        >>> is_tensor(torch.zeros(2)), is_tensor([0, 0])
        (True, False)
    """
    return isinstance(x, Tensor)


def shape(x: Any) -> tuple[int | None, ...]:
    """The sizes of `x`, `None` where a symbolic tensor does not know its own.

    Example:
        >>> shape(torch.zeros(2, 3))
        (2, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(as_tensor(x).shape)


def dtype(x: Any) -> str:
    """The name of the dtype of `x`.

    Example:
        >>> dtype(torch.zeros(2))
        'float32'
    """
    return standardize_dtype(x.dtype)


def ndim(x: Any) -> int:
    """The number of axes of `x`.

    Example:
        >>> ndim([[1, 2]])
        2
    """
    return len(shape(x))


@op(path="keras.src.ops.numpy.Ndim")
def _ndim(x: Tensor) -> Tensor:
    """`ndim` in a graph's file; the function itself needs no node, since ranks are known."""
    x = as_tensor(x)
    return torch.full((), x.ndim, dtype=torch.int32, device=x.device)


@op(path="keras.src.ops.numpy.Size")
def size(x: Tensor) -> Tensor:
    """The number of values in `x`, as a tensor.

    Example:
        >>> size([[1, 2]]).item()
        2
    """
    x = as_tensor(x)
    return torch.full((), x.numel(), dtype=torch.int64, device=x.device)


# Control flow ------------------------------------------------------------------------------------


@op(path=_PATH + "Cond")
def cond(pred: Tensor, true_fn: Callable[..., Tensor], false_fn: Callable[..., Tensor]) -> Any:
    """What one of two functions returns.

    Args:
        pred: Whether it is the first.
        true_fn, false_fn: Functions of nothing, whose results are alike.

    Raises:
        ValueError: `pred` is symbolic, and the results differ in structure, shape or dtype.

    Example:
        >>> cond(True, lambda: 1, lambda: 2)
        1
    """
    if not CONTEXT.meta:
        return true_fn() if pred else false_fn()
    results = true_fn(), false_fn()
    if not _alike(*results):
        kinds = [map_structure(_kind, result) for result in results]
        raise ValueError(
            "cond: `true_fn` and `false_fn` must return the same structure, shapes and dtypes."
            f" Received: {kinds[0]} and {kinds[1]}"
        )
    return results[0]


def _alike(first: Any, second: Any) -> bool:
    """Whether two functions of `cond` may return these."""
    return map_structure(_kind, first) == map_structure(_kind, second)


def _kind(x: Any) -> Any:
    return (known_shape(x), x.dtype) if hasattr(x, "shape") else type(x)


# Under the name by which subclasses of Keras's operation class call it.
cond.operation._check_output_spec = staticmethod(_alike)


@op(path=_PATH + "Switch")
def switch(index: Tensor, branches: Sequence[Callable[..., Tensor]], *operands: Tensor) -> Any:
    """What one of several functions returns.

    Args:
        index: Which; out of range it is the nearest.
        branches: The functions.
        operands: Their arguments.

    Example:
        >>> switch(1, [lambda x: x, lambda x: 2 * x], 3)
        6
    """
    index = 0 if CONTEXT.meta else int(index)
    return branches[builtins.max(0, builtins.min(index, len(branches) - 1))](*operands)


@op(path=_PATH + "WhileLoop")
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Tensor,
    maximum_iterations: int | None = None,
) -> Any:
    """Apply a function again and again while a condition holds.

    Args:
        cond: Tells from the variables whether to go on.
        body: Returns their next values.
        loop_vars: Their first values: one, or a list.
        maximum_iterations: The most steps.

    Example:
        >>> while_loop(lambda x: x < 10, lambda x: 2 * x, 3).item()
        12
    """
    several = isinstance(loop_vars, (tuple, list))
    values = tuple(map_structure(as_tensor, tuple(loop_vars) if several else (loop_vars,)))
    step = 0
    while not CONTEXT.meta and (maximum_iterations is None or step < maximum_iterations):
        if not cond(*values):
            break
        result = body(*values)
        values = tuple(result) if isinstance(result, (list, tuple)) else (result,)
        step += 1
    return values if several else values[0]


@op(path=_PATH + "ForiLoop")
def fori_loop(lower: int, upper: int, body_fun: Callable[[int, Any], Any], init_val: Tensor) -> Any:
    """Apply a function for each integer of a range.

    Args:
        lower, upper: The range.
        body_fun: Returns the next value from the integer and the value.
        init_val: The first value.

    Example:
        >>> fori_loop(0, 4, lambda i, total: total + i, 0)
        6
    """
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


@op(path=_PATH + "Scan")
def scan(
    f: Callable[..., Tensor],
    init: Tensor,
    xs: Tensor | None = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Go through slices along the first axis, carrying a value on.

    Args:
        f: Takes the carried value and a slice; returns the next carried value and a result.
        init: The first carried value.
        xs: What is sliced, in any structure.
        length: The number of steps, if there are no `xs`.
        reverse: Whether to begin at the end.
        unroll: Accepted as in Keras.

    Returns:
        The last carried value, and all results stacked.

    Raises:
        TypeError: `f` is no function.
        ValueError: There are neither `xs` nor `length`, or `unroll` is no positive number.

    Example:
        >>> total, sums = scan(lambda c, x: (c + x, c + x), 0, torch.tensor([1, 2, 3]))
        >>> total.item(), sums.tolist()
        (6, [1, 3, 6])
    """
    _check_callable(f)
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(
            f"scan: `unroll` must be an positive integer or boolean. Received: {unroll=}"
        )
    if xs is None and length is None:
        raise ValueError(
            "scan: there is nothing to scan over and no `length`. Received: xs=None, length=None"
        )
    leaves = [] if xs is None else as_tensors(*flatten(xs))
    steps = len(leaves[0]) if length is None else int(length)
    carry = map_structure(as_tensor, init)
    blank = map_structure(torch.zeros_like, carry)
    results = []
    for i in reversed(range(steps)) if reverse else range(steps):
        parts = [leaf[i] for leaf in leaves]
        part = None if xs is None else pack_sequence_as(xs, parts) if is_nested(xs) else parts[0]
        carry, result = f(carry, part)
        results.append(blank if result is None else result)
    if reverse:
        results.reverse()
    return carry, map_structure(lambda *items: torch.stack(as_tensors(*items)), *results)


@op(path=_PATH + "Map")
def map(f: Callable[..., Tensor], xs: Tensor) -> Any:
    """What a function returns for each slice along the first axis, stacked.

    Args:
        f: The function.
        xs: What is sliced, in any structure.

    Example:
        >>> map(lambda x: x + 1, torch.tensor([1, 2])).tolist()
        [2, 3]
    """
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


@op(path=_PATH + "VectorizedMap")
def vectorized_map(function: Callable[..., Any], elements: Tensor) -> Any:
    """`map` in one go, by `torch.vmap`.

    Args:
        function: Its tensors lack the first axis.
        elements: What is sliced, in any structure.

    Example:
        >>> vectorized_map(lambda x: x.sum(), torch.tensor([[1, 2], [3, 4]])).tolist()
        [3, 7]
    """
    return torch.vmap(function)(map_structure(as_tensor, elements))


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """Let a function of scalars take tensors, broadcast.

    Args:
        pyfunc: The function.
        excluded: Positions and names of arguments passed on as they are.
        signature: The axes that `pyfunc` itself works on, as NumPy writes them: `"(m,n),(n)->(m)"`.
            Default: none, so that it gets scalars.

    Raises:
        ValueError: `pyfunc` is no function, `signature` is malformed, or arguments or results do
            not have the axes it names.

    Example:
        >>> vectorize(lambda a, b: a + b)([1, 2], 10).tolist()
        [11, 12]
        >>> vectorize(torch.dot, signature="(n),(n)->()")(torch.ones(3, 2), torch.ones(2)).tolist()
        [2.0, 2.0, 2.0]
    """
    if not callable(pyfunc):
        raise ValueError(f"vectorize: `pyfunc` must be callable. Received: pyfunc={pyfunc!r}")
    core, results = (None, None) if signature is None else _core_axes(signature)
    kept = frozenset(excluded or ())

    def vectorized(*args: Any, **kwargs: Any) -> Any:
        places = [i for i in range(len(args)) if i not in kept]
        names = [name for name in kwargs if name not in kept]
        given = as_tensors(*(args[i] for i in places), *(kwargs[name] for name in names))
        axes = [()] * len(given) if core is None else core
        sizes = _core_sizes(signature, axes, given)
        firsts = [x.ndim - len(labels) for x, labels in zip(given, axes, strict=True)]
        pairs = list(zip(given, firsts, strict=True))
        outer = torch.broadcast_shapes(*(x.shape[:first] for x, first in pairs))
        given = [x.expand(*outer, *x.shape[first:]) for x, first in pairs]

        def on_scalars(*values: Tensor) -> Any:
            filled = list(args)
            for i, value in zip(places, values, strict=False):
                filled[i] = value
            named = dict(zip(names, values[len(places) :], strict=True))
            result = pyfunc(*filled, **{**kwargs, **named})
            if results is not None:
                _check_core(signature, results, sizes, result)
            return result

        for _ in outer:
            on_scalars = torch.vmap(on_scalars)
        return on_scalars(*given)

    return vectorized


_CORE = re.compile(r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)")


def _core_axes(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Parse the names of axes in a signature, of the arguments and of the results."""
    sides = signature.split("->")
    parts = [[tuple(re.findall(r"\w+", core)) for core in _CORE.findall(side)] for side in sides]
    rests = [_CORE.sub("()", side).replace(" ", "") for side in sides]
    if len(sides) != 2 or any(
        rest != ",".join(["()"] * len(part)) or not part
        for rest, part in zip(rests, parts, strict=True)
    ):
        raise ValueError(
            f"vectorize: {signature!r} is not a valid gufunc signature; expected one like"
            " '(m,n),(n)->(m)'."
        )
    return parts[0], parts[1]


def _core_sizes(
    signature: str | None, axes: Sequence[tuple[str, ...]], given: Sequence[Tensor]
) -> dict[str, int]:
    """Return the size of each named axis of the arguments."""
    sizes: dict[str, int] = {}
    fits = len(axes) == len(given) and all(
        x.ndim >= len(names)
        and all(
            sizes.setdefault(name, size) == size
            for name, size in zip(names, x.shape[x.ndim - len(names) :], strict=True)
        )
        for names, x in zip(axes, given, strict=True)
    )
    if not fits:
        raise ValueError(
            f"vectorize: the arguments do not have the axes of signature={signature!r}."
            f" Received shapes: {[tuple(x.shape) for x in given]}"
        )
    return sizes


def _check_core(
    signature: str | None, axes: Sequence[tuple[str, ...]], sizes: dict[str, int], result: Any
) -> None:
    """Refuse results that do not have the axes that the signature names."""
    parts = result if isinstance(result, (tuple, list)) else (result,)
    shapes = [tuple(part.shape) for part in parts]
    fits = len(parts) == len(axes) and all(
        len(shape) == len(names)
        and all(
            sizes.setdefault(name, size) == size for name, size in zip(names, shape, strict=True)
        )
        for names, shape in zip(axes, shapes, strict=True)
    )
    if not fits:
        raise ValueError(
            f"vectorize: the function's results do not have the axes of signature={signature!r}."
            f" Received shapes: {shapes}"
        )


@op(path=_PATH + "AssociativeScan")
def associative_scan(
    f: Callable[..., Tensor], elems: Tensor, reverse: bool = False, axis: int = 0
) -> Any:
    """All partial results of an associative function along an axis, in logarithmic depth.

    Args:
        f: Combines two structures like `elems`, slice by slice.
        elems: Tensors of the same size along the axis, in any structure.
        reverse: Whether to begin at the end.
        axis: The axis.

    Raises:
        TypeError: `f` is no function.
        ValueError: The sizes along the axis differ.

    Source: Blelloch 1990; `jax.lax.associative_scan`.

    Example:
        >>> associative_scan(lambda a, b: a + b, torch.tensor([1, 2, 3])).tolist()
        [1, 3, 6]
    """
    _check_callable(f)
    leaves = [leaf.movedim(axis, 0) for leaf in as_tensors(*flatten(elems))]
    if len({leaf.shape[0] for leaf in leaves}) > 1:
        raise ValueError(
            "associative_scan: all tensors must have the same size along `axis`, which becomes"
            " their first dimension."
            f" Received: {[tuple(leaf.shape) for leaf in leaves]}"
        )

    def combine(first: list[Tensor], second: list[Tensor]) -> Sequence[Tensor]:
        if is_nested(elems):
            result = f(pack_sequence_as(elems, first), pack_sequence_as(elems, second))
        else:
            result = f(first[0], second[0])
        return as_tensors(*flatten(result))

    leaves = [leaf.flip(0) for leaf in leaves] if reverse else leaves
    leaves = _partial_results(combine, leaves)
    leaves = [leaf.flip(0) for leaf in leaves] if reverse else leaves
    leaves = [leaf.movedim(0, axis) for leaf in leaves]
    return pack_sequence_as(elems, leaves) if is_nested(elems) else leaves[0]


def _partial_results(
    combine: Callable[[list[Tensor], list[Tensor]], Sequence[Tensor]], x: list[Tensor]
) -> list[Tensor]:
    """Combine pairs, solve the half as long problem, and fill in the places between."""
    count = x[0].shape[0]
    if count < 2:
        return x
    pairs = combine([t[0 : count - 1 : 2] for t in x], [t[1::2] for t in x])
    odd = _partial_results(combine, pairs)
    before = odd if count % 2 else [t[:-1] for t in odd]
    even = [t[:1] for t in x]
    if count > 2:
        rest = combine(before, [t[2::2] for t in x])
        even = [torch.cat(part) for part in zip(even, rest, strict=True)]
    merged = []
    for first, second in zip(even, odd, strict=True):
        paired = torch.stack((first[: len(second)], second), 1).flatten(0, 1)
        merged.append(torch.cat((paired, first[len(second) :])))
    return merged


def _check_callable(f: Any) -> None:
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f!r}")


# Gradients ---------------------------------------------------------------------------------------


@op(path=_PATH + "StopGradient")
def stop_gradient(variable: Tensor) -> Tensor:
    """The same values, taken as constants by gradients.

    Example:
        >>> stop_gradient(torch.ones(1, requires_grad=True)).requires_grad
        False
    """
    return as_tensor(variable).detach()


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function compute its own gradient.

    Args:
        f: Returns its result and a function that takes its arguments and the gradient with respect
            to the result, as `upstream=`, and returns the gradient for each argument.

    Example:
        >>> @custom_gradient
        ... def double_gradient(x):
        ...     return x * x, lambda x, upstream: 2 * (2 * x * upstream)
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> double_gradient(x).backward()
        >>> x.grad.item()
        12.0
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return _CustomGradient.apply(f, kwargs, *args)

    return wrapped


class _CustomGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, f: Callable[..., Any], kwargs: dict[str, Any], *args: Any) -> Any:
        result, ctx.gradient = f(*args, **kwargs)
        ctx.save_for_backward(*[arg for arg in args if isinstance(arg, Tensor)])
        ctx.args = [None if isinstance(arg, Tensor) else arg for arg in args]
        ctx.places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
        return result

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        args = list(ctx.args)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[place] = tensor
        gradients = ctx.gradient(*args, upstream=upstream)
        gradients = gradients if isinstance(gradients, (list, tuple)) else (gradients,)
        missing = (None,) * (len(args) - len(gradients))
        return (None, None, *gradients, *missing)
