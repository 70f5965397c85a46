"""TensorFlow's control flow: conditions and loops run at once, in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import torchkeras.ops as ops  # `from ... import ops` would import the package's root as well

from ...naming import explain
from ...tree import flatten, map_structure
from .tables import named
from .tensors import StringTensor, as_tensor, tensor_or_symbol

__all__ = ["CONTROL", "DEBUGGING", "InvalidArgumentError"]

t = tensor_or_symbol


class InvalidArgumentError(ValueError):
    """What an assertion of `tf.debugging` raises."""


def _cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    name: str | None = None,
) -> Any:
    return ops.cond(pred, true_fn, false_fn)


def _case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    for condition, function in pred_fn_pairs:
        if bool(condition):
            return function()
    if default is None:
        raise InvalidArgumentError("tf.case: no condition holds, and there is no `default`.")
    return default()


def _switch_case(
    branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case"
) -> Any:
    pairs = branch_fns.items() if isinstance(branch_fns, dict) else branch_fns
    if not isinstance(branch_fns, dict) and callable(branch_fns[0]):
        pairs = enumerate(branch_fns)
    table = dict(pairs)
    last = table[max(table)] if default is None else default
    return table.get(int(branch_index), last)()


def _while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: int | None = None,
    name: str | None = None,
) -> Any:
    values = map_structure(t, loop_vars)
    count = 0
    while (maximum_iterations is None or count < maximum_iterations) and bool(cond(*values)):
        values = body(*values)
        values = values if isinstance(values, (list, tuple)) else (values,)
        count += 1
    return type(loop_vars)(values) if type(loop_vars) in (list, tuple) else values


def _stacked(results: Sequence[Any]) -> Any:
    def stack(*values: Any) -> Any:
        made = [as_tensor(value) for value in values]
        if isinstance(made[0], StringTensor):
            return StringTensor(np.stack([np.asarray(value) for value in made]))
        return torch.stack(made)

    return map_structure(stack, *results)


def _started(initializer: Any) -> Any:
    return None if initializer is None else map_structure(t, initializer)


def _rows(elems: Any) -> list[Any]:
    elems = map_structure(t, elems)
    return [map_structure(lambda x, i=i: x[i], elems) for i in range(len(flatten(elems)[0]))]


def _map_fn(
    fn: Callable[[Any], Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
    fn_output_signature: Any = None,
) -> Any:
    return _stacked([fn(row) for row in _rows(elems)])


def _vectorized_map(
    fn: Callable[[Any], Any], elems: Any, fallback_to_while_loop: bool = True, warn: bool = True
) -> Any:
    return torch.vmap(fn, randomness="different")(map_structure(t, elems))


def _scan(
    fn: Callable[[Any, Any], Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    rows = _rows(elems)
    rows = rows[::-1] if reverse else rows
    state, results = _started(initializer), []
    if initializer is None:
        state, *rows = rows
        results.append(state)
    for row in rows:
        state = fn(state, row)
        results.append(state)
    return _stacked(results[::-1] if reverse else results)


def _fold(right: bool) -> Any:
    def fold(fn: Any, elems: Any, initializer: Any = None, **options: Any) -> Any:
        rows = _rows(elems)[::-1] if right else _rows(elems)
        state = _started(initializer)
        if initializer is None:
            state, *rows = rows
        for row in rows:
            state = fn(state, row)
        return state

    return fold


def _py_function(
    func: Callable[..., Any] | None = None, inp: Any = None, Tout: Any = None, name: str = ""
) -> Any:
    results = func(*inp)
    if isinstance(Tout, (list, tuple)):
        results = results if isinstance(results, (list, tuple)) else [results]
        return [as_tensor(r, dtype) for r, dtype in zip(results, Tout, strict=True)]
    return as_tensor(results, Tout)


def _numpy_function(
    func: Callable[..., Any] | None = None,
    inp: Any = None,
    Tout: Any = None,
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    arrays = [np.asarray(as_tensor(x)) for x in inp]
    return _py_function(
        func, [a.item() if a.dtype == object and not a.ndim else a for a in arrays], Tout
    )


def _print(
    *inputs: Any,
    output_stream: Any = None,
    summarize: int = 3,
    sep: str = " ",
    end: str = "\n",
    **_: Any,
) -> None:
    """Print tensors as arrays, by default to the stream of errors."""
    stream = sys.stderr if output_stream is None else output_stream
    shown = [str(map_structure(_shown, value)) for value in inputs]
    if isinstance(stream, str):
        with open(stream.removeprefix("file://"), "a") as file:
            print(*shown, sep=sep, end=end, file=file)
    else:
        print(*shown, sep=sep, end=end, file=stream)


def _shown(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy(force=True)
    return value


class TensorArray:
    """A list of tensors to write to and to stack.

    Args:
        dtype: Of its elements.
        size: Number of elements at first.
        dynamic_size: Ignored; it always grows.
        options: Ignored.

    Example:
        >>> TensorArray("float32").write(0, 1.0).write(1, 2.0).stack().tolist()
        [1.0, 2.0]
    """

    def __init__(
        self, dtype: Any, size: Any = 0, dynamic_size: bool = False, **options: Any
    ) -> None:
        self.dtype = dtype
        self._values: list[Any] = [None] * int(size or 0)

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """Set an element; returns the array."""
        index = int(index)
        self._values += [None] * (index + 1 - len(self._values))
        self._values[index] = as_tensor(value, self.dtype)
        return self

    def read(self, index: Any, name: str | None = None) -> Any:
        """Return an element."""
        return self._values[int(index)]

    def size(self, name: str | None = None) -> Any:
        """The number of elements."""
        return torch.tensor(len(self._values), dtype=torch.int32)

    def stack(self, name: str | None = None) -> Any:
        """All elements along a new first axis."""
        known = next((v for v in self._values if v is not None), None)
        if known is None:
            return as_tensor([], self.dtype)
        return torch.stack([torch.zeros_like(known) if v is None else v for v in self._values])

    def concat(self, name: str | None = None) -> Any:
        """All elements along their first axis."""
        return torch.cat(self._values)

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """Take the rows of a tensor as elements."""
        self._values = list(as_tensor(value))
        return self

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """Some elements along a new first axis."""
        return torch.stack([self._values[int(i)] for i in indices])


CONTROL: dict[str, Any] = {
    "TensorArray": TensorArray,
    "case": _case,
    "cond": _cond,
    "foldl": _fold(right=False),
    "foldr": _fold(right=True),
    "group": lambda *inputs, **kwargs: None,
    "map_fn": _map_fn,
    "no_op": lambda name=None: None,
    "numpy_function": _numpy_function,
    "print": _print,
    "py_function": _py_function,
    "scan": _scan,
    "switch_case": _switch_case,
    "tuple": lambda tensors, control_inputs=None, name=None: list(tensors),
    "vectorized_map": _vectorized_map,
    "while_loop": _while_loop,
}


# Assertions ---------------------------------------------------------------------------------------


def _assertion(holds: Callable[..., Any], sign: str) -> Any:
    def check(
        x: Any, y: Any, message: str | None = None, summarize: Any = None, name: str = ""
    ) -> None:
        if not bool(torch.as_tensor(holds(as_tensor(x), as_tensor(y))).all()):
            raise InvalidArgumentError(
                explain(message or f"The condition x {sign} y does not hold.", x=x, y=y)
            )

    return check


def _assert(condition: Any, data: Any = None, summarize: Any = None, name: str = "") -> None:
    if not bool(as_tensor(condition).all()):
        raise InvalidArgumentError(f"Expected the condition to be true. Data: {data}")


def _check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    x = t(tensor)
    if not bool(torch.isfinite(x).all()):
        raise InvalidArgumentError(f"{message} : Tensor had NaN or Inf values.")
    return x


def _assert_rank(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    if len(as_tensor(x).shape) != int(rank):
        raise ValueError(
            f"{message or ''} The tensor must have rank {rank}. Received rank"
            f" {len(as_tensor(x).shape)}, shape {tuple(as_tensor(x).shape)}."
        )


def _assert_rank_at_least(x: Any, rank: Any, message: str | None = None, name: str = "") -> None:
    if len(as_tensor(x).shape) < int(rank):
        raise ValueError(
            f"{message or ''} The tensor must have rank {rank} or higher. Received shape"
            f" {tuple(as_tensor(x).shape)}."
        )


def _assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str = "") -> None:
    if t(tensor).dtype != tf_type:
        raise TypeError(f"{message or ''} {t(tensor).dtype} is not {tf_type}.")


def _assert_shapes(shapes: Any, data: Any = None, **options: Any) -> None:
    sizes: dict[Any, int] = {}
    for x, wanted in shapes.items() if isinstance(shapes, dict) else shapes:
        found = tuple(as_tensor(x).shape)
        agrees = len(found) == len(wanted)
        for size, symbol in zip(found, wanted, strict=False):
            agrees &= symbol is None or size == (
                symbol if isinstance(symbol, int) else sizes.setdefault(symbol, size)
            )
        if not agrees:
            raise ValueError(f"Specified shapes {wanted} do not fit the tensor of shape {found}.")


DEBUGGING: dict[str, Any] = {
    "Assert": _assert,
    "assert_equal": _assertion(lambda x, y: x == y, "=="),
    "assert_near": _assertion(lambda x, y: torch.isclose(x, y.to(x.dtype), 1e-5, 1e-5), "~"),
    "assert_none_equal": _assertion(lambda x, y: x != y, "!="),
    "assert_greater": _assertion(lambda x, y: x > y, ">"),
    "assert_greater_equal": _assertion(lambda x, y: x >= y, ">="),
    "assert_less": _assertion(lambda x, y: x < y, "<"),
    "assert_less_equal": _assertion(lambda x, y: x <= y, "<="),
    "assert_non_negative": lambda x, message=None, summarize=None, name=None: DEBUGGING[
        "assert_greater_equal"
    ](x, 0, message),
    "assert_positive": lambda x, message=None, summarize=None, name=None: DEBUGGING[
        "assert_greater"
    ](x, 0, message),
    "assert_rank": _assert_rank,
    "assert_rank_at_least": _assert_rank_at_least,
    "assert_shapes": _assert_shapes,
    "assert_type": _assert_type,
    "assert_all_finite": lambda x, message, name=None: _check_numerics(x, message),
    "check_numerics": _check_numerics,
    "is_numeric_tensor": lambda tensor: isinstance(tensor, torch.Tensor),
    "enable_check_numerics": lambda *args, **kwargs: torch.autograd.set_detect_anomaly(True),
    "disable_check_numerics": lambda: torch.autograd.set_detect_anomaly(False),
    "set_log_device_placement": lambda log_device_placement: None,
}

named(CONTROL)
named(DEBUGGING)
