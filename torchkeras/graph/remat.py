"""Rematerialization: compute a layer's inside again in the backward pass instead of keeping it.

`remat(f)` is `torch.utils.checkpoint` with two cares added. What `f` reads from its surroundings
(`training`, the dtype of mixed precision, an open `StatelessScope`) is the same the second time;
and the second run starts from the state that the first one found, seeds above all, so that dropout
drops the same elements, and changes no state.

`RematScope` makes layers and operations that are created within it compute like that.
Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"; Keras 3 (modes).
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from ..config import get_global_attribute
from ..naming import explain
from ..tree import flatten, map_structure
from ..variables import READING, Variable
from .context import CONTEXT
from .keras_tensor import KerasTensor, any_symbolic
from .scopes import StatelessScope

__all__ = ["RematMode", "RematScope", "get_current_remat_mode", "remat", "rematerialized"]

Function = Callable[..., Any]
_MODES = ("full", "activations", "larger_than", "list_of_layers", None)
_STACK = "remat_scope_stack"


class RematMode(NamedTuple):
    """How layers made now are rematerialized; see `RematScope`."""

    mode: str | None
    output_size_threshold: int
    layer_names: Sequence[str]


class RematScope:
    """Within it, created layers keep little for the backward pass, and compute it again there.

    Args:
        mode: `"full"`: what layers compute; `"activations"`: only their activation functions;
            `"larger_than"`: layers with outputs above a size; `"list_of_layers"`: layers by name;
            `None`: nothing.
        output_size_threshold: For `"larger_than"`, in elements of all outputs together.
        layer_names: For `"list_of_layers"`.

    Raises:
        ValueError: Another mode.

    Example:
        >>> with RematScope(mode="larger_than", output_size_threshold=2048):
        ...     get_current_remat_mode().output_size_threshold
        2048
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Sequence[str] | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(
                explain(
                    f"RematScope: invalid mode {mode!r}.",
                    expected=", ".join(map(repr, _MODES)),
                )
            )
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = layer_names or []

    def __enter__(self) -> RematScope:
        get_global_attribute(_STACK, [], set_to_default=True).append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        scopes = get_global_attribute(_STACK)
        if scopes:  # `clear_session` may have closed it
            scopes.pop()


def get_current_remat_mode() -> RematMode | None:
    """Return how layers made now are rematerialized, or `None` outside of any scope."""
    scopes = get_global_attribute(_STACK)
    if not scopes:
        return None
    return RematMode(scopes[-1].mode, scopes[-1].output_size_threshold, scopes[-1].layer_names)


def remat(f: Function) -> Function:
    """Let a function keep only its arguments for the backward pass, and compute the rest again.

    Args:
        f: A function of tensors, or a layer.

    Example:
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> remat(lambda x: x.exp().exp())(x).backward()
        >>> torch.allclose(x.grad, (x + x.exp()).exp())
        True
    """

    @functools.wraps(f, updated=())
    def rematerialized_f(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled() or CONTEXT.meta or any_symbolic(args, kwargs):
            return f(*args, **kwargs)
        call = functools.partial(f, **kwargs)
        if torch.compiler.is_compiling():  # which draws and replays random numbers itself
            return checkpoint(call, *args, use_reentrant=False)
        return checkpoint(call, *args, use_reentrant=False, context_fn=_Record().contexts)

    return rematerialized_f


class _Record(TorchFunctionMode):
    """Notes the values of variables that a function finds, to run it again from there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[Variable, torch.Tensor]] = {}

    def contexts(self) -> tuple[Any, Any]:
        """Return the context of the first run and that of the second."""
        surroundings = (CONTEXT.training, CONTEXT.entered, READING.autocast)
        return self, self._again(*surroundings)

    @contextlib.contextmanager
    def _again(self, training: Any, entered: bool, autocast: Any) -> Iterator[None]:
        # The backward pass of an accelerator runs on a thread of its own.
        former = (CONTEXT.training, CONTEXT.entered)
        former_view = CONTEXT.set_view(autocast, False)
        CONTEXT.training, CONTEXT.entered = training, True
        try:
            with StatelessScope(self.found.values()):
                yield
        finally:
            CONTEXT.training, CONTEXT.entered = former
            CONTEXT.set_view(*former_view)

    def __torch_function__(
        self, function: Function, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        for x in flatten((args, kwargs or {})):
            if isinstance(x, Variable) and id(x) not in self.found:
                self._note(x)
        return function(*args, **(kwargs or {}))

    def _note(self, variable: Variable) -> None:
        if READING.scope is not None:
            value = READING.scope.value_of(variable)
            if not variable.created_trainable:
                value = value.clone()
        elif variable.created_trainable:
            return
        else:
            value = variable.detach().clone()
        self.found[id(variable)] = (variable, value)


def rematerialized(operation: Any, call: Function, args: Any, kwargs: Any) -> Function:
    """Return what an operation is to run in place of `call` for the given arguments."""
    mode = operation._remat_mode
    if mode is None:
        return call
    if mode.mode == "activations":
        if getattr(operation, "activation", None) is None:
            return call
        return _with_remat_activation(operation, call)
    if (
        mode.mode == "full"
        or (mode.mode == "list_of_layers" and operation.name in mode.layer_names)
        or (
            mode.mode == "larger_than"
            and _output_size(operation, args, kwargs) > mode.output_size_threshold
        )
    ):
        return remat(call)
    return call


def _with_remat_activation(layer: Any, call: Function) -> Function:
    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        activation = layer.activation
        layer.activation = remat(activation)
        try:
            return call(*args, **kwargs)
        finally:
            layer.activation = activation

    return run


def _output_size(operation: Any, args: Any, kwargs: Any) -> int:
    """Count the elements of the outputs, inferred once for each combination of input shapes."""
    inputs = [x for x in flatten((args, kwargs)) if isinstance(x, torch.Tensor)]
    sizes = operation.__dict__.setdefault("_remat_sizes", {})
    key = tuple(x.shape for x in inputs)
    if key not in sizes:
        args, kwargs = map_structure(_spec_of, (args, kwargs))
        outputs = flatten(operation.compute_output_spec(*args, **kwargs))
        specs = [x for x in outputs if isinstance(x, KerasTensor)]
        sizes[key] = sum(math.prod(size or 1 for size in x.shape) for x in specs)
    return sizes[key]


def _spec_of(x: Any) -> Any:
    return KerasTensor(x.shape, x.dtype) if isinstance(x, torch.Tensor) else x
