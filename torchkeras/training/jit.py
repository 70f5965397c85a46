"""Compiled steps: what `jit_compile=True` runs for each batch, and how `"auto"` decides.

A training step becomes one graph: forward pass, loss, gradients, the update and the metrics.
Dynamo traces `torch.autograd.grad` inside of it, so that AOTAutograd sees forward and backward
together and keeps nothing between them that it does not need. Compiling only the forward pass, with
a backward pass that autograd calls, was measured to be slower than no compilation at all.

What changes from step to step and is kept in Python, the learning rate and the step count, reaches
the graph as 0-d tensors that are written to beforehand: a new number is not a new graph.

Graphs are made for the shapes of the batches that come most. The smaller last batch of an epoch
runs uncompiled, which costs less than compiling it ever could; where other shapes keep coming, the
graph is made once more, for sizes that vary.
"""

from __future__ import annotations

import copy
import importlib.util
import itertools
import os
import shutil
import time
import types
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch

from ..graph.masks import get_keras_mask, set_keras_mask
from ..optimizers import Optimizer
from ..optimizers.plan import HostScalar
from ..tree import flatten
from .data import unpack_x_y_sample_weight

__all__ = [
    "CompiledStep",
    "GraphUpdate",
    "LONG_RUN",
    "Trial",
    "can_be_one_graph",
    "compiled",
    "detached",
    "guarded",
    "masks_of",
    "may_be_captured",
    "may_try",
    "with_masks",
]

Tensor = torch.Tensor

# Batches of other shapes that run uncompiled before a graph for all shapes is made.
PATIENCE = 32
# Numbers in the weights, slots and metrics of a model up to which its step is captured.
CAPTURED_MOST = 1 << 23
# Graphs that a step is given: more of them mean that something in it changes all the time.
STARTS = 8


class TensorNumber:
    """A number that graphs read from memory; in the place of an optimizer's `HostScalar`s.

    Args:
        device: Where the variables are.
    """

    def __init__(self, device: torch.device) -> None:
        # With an axis: of 0-d tensors Dynamo makes symbols, and then traces all of it once more.
        self.tensor = torch.zeros(1, dtype=torch.float64, device=device)
        self._host = HostScalar(self.tensor) if device.type == "cpu" else None

    def get(self) -> Tensor:
        """Return the number as a 0-d tensor."""
        return self.tensor.view(())

    def set(self, value: float) -> None:
        """Overwrite the number, without waiting for the device."""
        if self._host is None:
            self.tensor.fill_(value)
        else:
            self._host.set(value)


class GraphUpdate:
    """An optimizer's update as a part of a graph.

    The rules of built-in optimizers take the learning rate and the step count as tensors too. So a
    copy of the optimizer that shares its slots, and has such tensors in the place of its numbers,
    does in a graph what the optimizer does outside.

    Args:
        optimizer: One that `fits`, built.
        variables: What is updated.
    """

    def __init__(self, optimizer: Optimizer, variables: list[Tensor]) -> None:
        device = variables[0].device
        self.optimizer = optimizer
        self.rate, self.updates = TensorNumber(device), TensorNumber(device)
        self.inner = inner = copy.copy(optimizer)
        inner.__dict__.update(_rate=self.rate, _clock=self.updates, _lookahead=None)
        inner._reset_plans()
        self.plan = plan = inner._plan_for(variables)
        # A graph must not see a variable and an alias of it.
        originals = dict(zip(map(id, plan.aliases), variables, strict=True))
        for group in plan.groups:
            group.variables = [originals[id(alias)] for alias in group.variables]
            group.decayed = [originals[id(alias)] for alias in group.decayed]
        plan.aliases = []
        self._variables, self._plans = variables, optimizer._plans
        self._addresses = [*map(_address, variables)]

    @staticmethod
    def fits(optimizer: Any, variables: list[Tensor]) -> bool:
        """Whether an optimizer's update can be a part of a graph: a rule of ours, at each batch."""
        return (
            isinstance(optimizer, Optimizer)
            and type(optimizer).__module__.startswith(_OURS)
            and type(optimizer).apply is Optimizer.apply
            and optimizer.can_apply_where()
            and not optimizer.use_ema
            and not any(getattr(v, "constraint", None) is not None for v in variables)
            and len({v.device for v in variables}) == 1
        )

    def begin(self) -> None:
        """Write the numbers of this step to where the graph reads them.

        Raises:
            RuntimeError: The weights or the slots are not where they were: the graph is of no use.
        """
        optimizer = self.optimizer
        moved = [*map(_address, self._variables)] != self._addresses
        if moved or optimizer._plans is not self._plans:
            raise RuntimeError("The weights were moved, or the optimizer was built anew.")
        self.rate.set(optimizer._learning_rate_now())
        self.updates.set(optimizer._clock.get())

    def __call__(self, grads: Any) -> None:
        """Update the variables; this is traced."""
        with torch.no_grad():
            self.inner._step(self.plan, grads)

    @property
    def kept(self) -> list[Tensor]:
        """All that it reads and writes from step to step."""
        slots = [x for group in self.plan.groups for kind in group.slots for x in kind]
        return [*self._variables, *slots, self.rate.tensor, self.updates.tensor]

    def end(self) -> None:
        """Count the step."""
        clock = self.optimizer._clock
        clock.set(clock.get() + 1)


_OURS = __name__.partition(".")[0] + ".optimizers."
_address, _numel = Tensor.data_ptr, Tensor.numel


Compile = Callable[..., Callable[..., Any]]


class Step(Protocol):
    """What a `CompiledStep` compiles."""

    def __call__(self, data: Any) -> Any:
        """Run uncompiled."""

    def graphs(self) -> Iterator[Callable[[Compile], Callable[..., Any]]]:
        """Yield the ways to compile it, the best first.

        Each is a function that is given a compiler of functions, and returns a function of `x`, `y`
        and `sample_weight` that does what the step does. The compiler may be told what a function
        keeps from call to call, if nothing that it returns is used.
        """


# What outputs carry along as attributes, a graph returns beside them.


def detached(x: Tensor) -> Tensor:
    """Return a tensor without its history, but with its mask."""
    plain = x.detach()
    set_keras_mask(plain, get_keras_mask(x))
    return plain


def masks_of(outputs: Any) -> list[Any]:
    """Return the masks of a model's outputs, `None` for those without."""
    return [get_keras_mask(x) for x in flatten(outputs)]


def with_masks(outputs: Any, masks: list[Any]) -> Any:
    """Attach the masks that a graph has returned to its outputs."""
    for x, mask in zip(flatten(outputs), masks, strict=True):
        set_keras_mask(x, mask)
    return outputs


class CompiledStep:
    """A step that runs as a graph where it can, and else as it is.

    The first batch runs uncompiled: it builds what is not built yet. So do batches of other shapes,
    unless they keep coming. Where the compiler fails, `report` is told so once, and everything runs
    uncompiled from there on; a mistake in the model raises what it raises without.

    Args:
        step: See `Step`.
        report: Told the failure.
        captures: Whether CUDA graphs may be made of it, see `may_be_captured`.
    """

    def __init__(
        self, step: Step, report: Callable[[Exception], None], captures: bool = True
    ) -> None:
        self.step = step
        self.report = report
        self.captures = captures
        self.failed = False
        self._run: Callable[..., Any] | None = None
        self._shapes: Any = None  # those of the graph, or before there is one, of the last batch
        self._dynamic = False
        self._others = 0
        self._starts = 0

    def __call__(self, data: Any) -> Any:
        if self.failed:
            return self.step(data)
        if type(data) is tuple and len(data) == 2:
            batch = (*data, None)
        else:
            batch = unpack_x_y_sample_weight(data)
        if not self._dynamic:
            x, y, sample_weight = batch
            if type(x) is Tensor and type(y) is Tensor and sample_weight is None:
                shapes: Any = (x.shape, x.dtype, y.shape, y.dtype)
            else:
                shapes = _shapes_of(batch)
            if shapes != self._shapes:
                if self._run is None:
                    self._shapes = shapes
                self._others += self._run is not None
                if self._others < PATIENCE:
                    return self.step(data)
                self._dynamic, self._run = True, None
        if self._run is None:
            return self._start(data, batch)
        try:
            return self._run(*batch)
        except Exception as error:
            return self._start(data, batch, error)

    def _start(self, data: Any, batch: Any, error: Exception | None = None) -> Any:
        """Compile and run for the first time; the graphs of a step are tried one by one.

        First of all another graph beside those there are, where something in the model has changed.
        """
        self._starts += 1
        ways: Iterator[Callable[[Compile], Callable[..., Any]]] = self.step.graphs()
        if self._run is not None and _is_untraced(error):
            run = self._run
            ways = itertools.chain([lambda compile: run], ways)
        for make in ways if self._starts <= STARTS else ():
            try:
                with _tracing():
                    self._run = make(self._compile)
                    return self._run(*batch)
            except Exception as failure:
                error = failure
        result = self.step(data)  # raises too if the fault is the user's
        self.failed, self._run = True, None
        self.report(error)
        return result

    def _compile(
        self, function: Callable[..., Any], kept: Sequence[Tensor] = ()
    ) -> Callable[..., Any]:
        options = None
        if self.captures and not self._dynamic and may_be_captured(kept):
            for tensor in kept:
                torch._dynamo.mark_static_address(tensor)
            options = {"triton.cudagraphs": True}
        own = _own_code(function)
        return torch.compile(own, fullgraph=True, dynamic=self._dynamic, options=options)


class Trial:
    """A step whose model leaves it to a measurement whether it is compiled.

    Compilation takes long and may bring nothing, so it is tried only where it can cost at most a
    fiftieth of the run: some uncompiled steps are timed, and what is left of the run is compared
    with a guess of how long the compiler will take. Then blocks of compiled and uncompiled steps
    take turns, and the run goes on with the compiled ones if their best block is faster by a
    twentieth. Nothing is said of failures: nobody asked for it.

    Args:
        step: Uncompiled.
        steps_left: How often it will be called.
        decided: Told once what to go on with.
    """

    def __init__(
        self, step: Any, steps_left: int, decided: Callable[[Callable[..., Any]], None]
    ) -> None:
        self.step, self.decided = step, decided
        self.current: Callable[..., Any] = step
        self._steps_left = steps_left
        self._compiled: CompiledStep | None = None
        self._calls = 0
        self._start = 0.0
        self._best: dict[Any, float] = {}

    def __call__(self, data: Any) -> Any:
        if self._calls % BLOCK == 0:
            self._turn()
        self._calls += 1
        return self.current(data)

    def _turn(self) -> None:
        """End a block of steps and begin another, of the other kind."""
        if self.decided is None:
            return
        now, block = _clock_after(self.step.variables), self._calls // BLOCK
        if block > 1:  # the first one warms up
            best = self._best.get(self.current, float("inf"))
            self._best[self.current] = min(best, (now - self._start) / BLOCK)
        if block == 3 and not self._pays():
            self._decide(self.step)
        elif block == 3:
            # Nobody would hear of what a captured step does not take.
            self._compiled = CompiledStep(self.step, lambda error: None, captures=False)
            self.current = self._compiled
        elif block > 3:
            if self._compiled.failed or block == BLOCKS:
                fast = self._best.get(self._compiled, float("inf"))
                keeps = not self._compiled.failed and fast < 0.95 * self._best[self.step]
                self._decide(self._compiled if keeps else self.step)
            else:
                if block == 4:  # the compiler ran in it
                    del self._best[self._compiled]
                self.current = self._compiled if block % 2 else self.step
        self._start = _clock_after(self.step.variables)

    def _pays(self) -> bool:
        left = (self._steps_left - self._calls) * self._best[self.step]
        return left >= 50 * guessed_compile_s(len(self.step.variables))

    def _decide(self, step: Callable[..., Any]) -> None:
        self.current = step
        self.decided(step)
        self.decided = None


# Steps in a row that a `Trial` times, and how many times; shorter runs never try.
BLOCK, BLOCKS = 10, 12
LONG_RUN = 1000


def guessed_compile_s(count: int) -> float:
    """Guess how long it takes to compile a step, in seconds: measured were 5 to 20 for 6 to 28.

    Args:
        count: Of the weights.
    """
    return 10 + 0.5 * count


def may_try(step: Any) -> bool:
    """Whether `"auto"` may try compilation: it can be done, and bit-equal runs are not asked for.

    Args:
        step: A `TrainStep`.
    """
    if not step.variables or torch.are_deterministic_algorithms_enabled():
        return False
    device = step.variables[0].device.type
    if device == "cpu":
        names = (os.environ.get("CXX"), "g++", "clang++", "cl")
        works = any(name and shutil.which(name) for name in names)
    else:
        works = device == "cuda" and importlib.util.find_spec("triton") is not None
    return works and can_be_one_graph()


def may_be_captured(kept: Sequence[Tensor]) -> bool:
    """Whether a step is to be captured in a CUDA graph, which launches all its kernels at once.

    That is for small models, whose kernels take less time than to launch them. Not for steps whose
    results are looked at: the next one overwrites them.

    Args:
        kept: All that the step writes to, if nothing that it returns is used.
    """
    return bool(kept) and kept[0].is_cuda and sum(map(_numel, kept)) <= CAPTURED_MOST


def _clock_after(variables: list[Tensor]) -> float:
    """The time, once the device has done all it was told to."""
    if variables and variables[0].is_cuda:
        torch.cuda.synchronize(variables[0].device)
    return time.perf_counter()


def _shapes_of(batch: Any) -> list[Any]:
    """Return what a graph is made for: the shapes and dtypes of a batch."""
    if all(part is None or isinstance(part, Tensor) for part in batch):
        return [None if part is None else (part.shape, part.dtype) for part in batch]
    leaves = flatten(batch)
    return [(x.shape, x.dtype) if isinstance(x, Tensor) else type(x) for x in leaves]


def can_be_one_graph() -> bool:
    """Whether this torch traces gradients as a part of a graph; it does from 2.11 on."""
    return hasattr(torch._dynamo.config, "trace_autograd_ops")


def _is_untraced(error: Exception | None) -> bool:
    """Whether Dynamo was asked for a graph outside of `_tracing`, where it makes none."""
    return isinstance(error, torch._dynamo.exc.Unsupported) and "trace_autograd_ops" in str(error)


def _tracing() -> Any:
    """The settings under which graphs of whole steps are traced."""
    options = {"trace_autograd_ops": True} if can_be_one_graph() else {}
    return torch._dynamo.config.patch(**options)


def compiled(
    function: Callable[..., Any], report: Callable[[Exception], None], guard: bool = True
) -> Callable[..., Any]:
    """Compile a function with `torch.compile`; on a failure report it and go on without.

    Updates by optimizers are left out: what is in them is no graph, and where a part of a step
    fails after others have run, all of it would be done twice.

    Args:
        function: A step or a model.
        report: Told the failure, once.
        guard: Whether failures in calls are seen to here.
    """
    if not hasattr(Optimizer.apply, "_torchdynamo_disable"):
        Optimizer.apply = torch.compiler.disable(Optimizer.apply)  # type: ignore[method-assign]
    try:
        fast = torch.compile(_own_code(function))
    except Exception as error:
        report(error)
        return function
    if not guard:
        return fast

    def call(*args: Any) -> Any:
        # Parts that cannot be compiled run as they are, and not the step from its beginning.
        with torch._dynamo.config.patch(suppress_errors=True):
            return fast(*args)

    return guarded(call, function, report)


def _own_code(function: Any) -> Any:
    """Return a function, or a model's `__call__`, with a code object and globals of its own.

    All models share one such function, and torch limits how often it compiles the same one. What it
    compiles it keeps among the globals, for as long as they live.
    """
    if isinstance(function, torch.nn.Module):
        return types.MethodType(_own_code(type(function).__call__), function)
    if not isinstance(function, types.FunctionType):
        return function
    own = types.FunctionType(
        function.__code__.replace(),
        dict(function.__globals__),
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    own.__kwdefaults__ = function.__kwdefaults__
    # A code object and what is compiled of it hold each other, where no collector looks.
    forget = torch._C._dynamo.eval_frame.reset_code
    weakref.finalize(own, forget, own.__code__).atexit = False
    return own


def guarded(
    fast: Callable[..., Any], plain: Callable[..., Any], report: Callable[[Exception], None]
) -> Callable[..., Any]:
    """Call `fast` until it fails where `plain` does not: then the compiler was at fault."""
    works = True

    def call(*args: Any) -> Any:
        nonlocal works
        if not works:
            return plain(*args)
        try:
            return fast(*args)
        except Exception as error:
            failure = error
        result = plain(*args)  # raises too if the fault is the user's
        works = False
        report(failure)
        return result

    return call
