"""`tf.GradientTape` on torch's autograd.

Autograd records whatever touches a trainable weight; TensorFlow only what happens within a tape.
What was computed before a tape is a constant to it: a target that comes from the same model must
not be differentiated. So once a program uses tapes, recording is off but within them
(`record_within_tapes_only`), and in `fit` for training steps that are not written with tapes.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import torch

from ...naming import explain
from ...training.steps import RECORDING, names_in
from ...tree import flatten, map_structure

__all__ = [
    "GradientTape",
    "UnconnectedGradients",
    "record_everything",
    "record_within_tapes_only",
    "uses_tapes",
]


class _Open(threading.local):
    """The tapes that record on this thread, innermost last."""

    def __init__(self) -> None:
        self.tapes: list[GradientTape] = []


_OPEN = _Open()


class UnconnectedGradients:
    """What `GradientTape.gradient` gives for a source that the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Record operations, to differentiate by trainable weights and by watched tensors afterwards.

    Args:
        persistent: Whether gradients can be computed more than once.
        watch_accessed_variables: Whether trainable variables count as sources without `watch`.

    Raises:
        RuntimeError: A second call of a gradient method without `persistent`.

    Example:
        >>> x = torch.tensor(3.0)
        >>> with GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> tape.gradient(y, x).item()
        6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        self._edges: dict[int, tuple[torch.Tensor, Any]] = {}  # keeps the tensors, so ids hold
        self._is_spent = False
        self._is_alone = True  # no other tape records the same graph
        self._switch: Any = None

    def __enter__(self) -> GradientTape:
        self._start()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._is_recording:
            self._stop()
        for tensor, _ in self._edges.values():
            if tensor.is_leaf and not isinstance(tensor, torch.nn.Parameter):
                if not any(id(tensor) in tape._edges for tape in _OPEN.tapes):
                    tensor.requires_grad_(False)  # later operations are not recorded

    @property
    def _is_recording(self) -> bool:
        return any(tape is self for tape in _OPEN.tapes)

    def _start(self) -> None:
        if self._is_recording:
            raise ValueError("Tape is still recording: a tape cannot be entered twice.")
        if _OPEN.tapes:
            for tape in (self, *_OPEN.tapes):
                tape._is_alone = False
        self._switch = torch.enable_grad()
        self._switch.__enter__()
        _OPEN.tapes.append(self)

    def _stop(self) -> None:
        _OPEN.tapes.remove(self)
        self._switch.__exit__(None, None, None)

    def watch(self, tensor: Any) -> None:
        """Make tensors, or structures of them, sources to differentiate by."""
        for leaf in flatten(tensor):
            if not isinstance(leaf, torch.Tensor):
                raise ValueError(f"Passed in object {leaf!r} of type {type(leaf)}, not tf.Tensor.")
            if not (leaf.is_floating_point() or leaf.is_complex()):
                continue  # TensorFlow warns; its gradient is `None`
            if not leaf.requires_grad:
                leaf.requires_grad_(True)
            self._edges[id(leaf)] = (leaf, torch.autograd.graph.get_gradient_edge(leaf))

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Let what happens inside be unknown to the tape."""
        with torch.no_grad():
            yield

    def reset(self) -> None:
        """Forget what was watched."""
        self._edges.clear()
        self._is_spent = False

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = UnconnectedGradients.NONE,
    ) -> Any:
        """Differentiate the sum of the target by each source.

        Args:
            target: A tensor or a structure of tensors, computed within the tape.
            sources: Variables and watched tensors, in any structure.
            output_gradients: Weights of the target's elements; by default ones.
            unconnected_gradients: `"none"` or `"zero"`: for sources without influence.

        Returns:
            Gradients in the structure of the sources.
        """
        self._spend()
        targets = [t for t in flatten(target) if t is not None]
        seeds = flatten(output_gradients) if output_gradients is not None else [None] * len(targets)
        pairs = [
            (t, torch.ones_like(t) if seed is None else torch.as_tensor(seed, dtype=t.dtype))
            for t, seed in zip(targets, seeds, strict=True)
            if isinstance(t, torch.Tensor)
        ]
        flat = [_as_source(source) for source in flatten(sources)]
        found = self._differentiate([t for t, _ in pairs], flat, [seed for _, seed in pairs])
        if UnconnectedGradients.ZERO in (unconnected_gradients, str(unconnected_gradients)):
            found = [
                torch.zeros_like(s) if g is None else g for g, s in zip(found, flat, strict=True)
            ]
        gradients = iter(found)
        return map_structure(lambda _: next(gradients), sources)

    def jacobian(
        self,
        target: torch.Tensor,
        sources: Any,
        unconnected_gradients: str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Differentiate each element of the target by each source.

        Args:
            target: `(*t)`.
            sources: Tensors `(*s)` in any structure.
            unconnected_gradients: As for `gradient`.
            parallel_iterations, experimental_use_pfor: Ignored; all rows are computed together.

        Returns:
            Tensors `(*t, *s)` in the structure of the sources.
        """
        self._spend()
        flat = [_as_source(source) for source in flatten(sources)]
        rows = torch.eye(target.numel(), dtype=target.dtype, device=target.device)
        rows = rows.reshape(-1, *target.shape)
        found = self._differentiate([target], flat, [rows], batched=True)
        shaped: list[Any] = []
        for g, source in zip(found, flat, strict=True):
            if g is None and unconnected_gradients == UnconnectedGradients.ZERO:
                g = source.new_zeros(target.numel(), *source.shape)
            shaped.append(None if g is None else g.reshape(*target.shape, *source.shape))
        jacobians = iter(shaped)
        return map_structure(lambda _: next(jacobians), sources)

    def batch_jacobian(
        self,
        target: torch.Tensor,
        source: torch.Tensor,
        unconnected_gradients: str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Differentiate each element of the target by the source's row of the same sample.

        Args:
            target: `(B, *t)`, of which row i depends on row i of the source alone.
            source: `(B, *s)`.
            unconnected_gradients: As for `gradient`.
            parallel_iterations, experimental_use_pfor: Ignored.

        Returns:
            `(B, *t, *s)`.
        """
        if target.shape[0] != source.shape[0]:
            raise ValueError(
                f"The batches of target {tuple(target.shape)} and source {tuple(source.shape)}"
                " differ in size."
            )
        self._spend()
        inner = target[0].numel()
        rows = torch.eye(inner, dtype=target.dtype, device=target.device)
        rows = rows.reshape(inner, 1, *target.shape[1:]).expand(inner, *target.shape)
        (found,) = self._differentiate([target], [_as_source(source)], [rows], batched=True)
        if found is None:
            if unconnected_gradients != UnconnectedGradients.ZERO:
                return None
            found = source.new_zeros(inner, *source.shape)
        return found.movedim(0, 1).reshape(*target.shape, *source.shape[1:])

    def _spend(self) -> None:
        if self._is_spent and not self._persistent:
            raise RuntimeError(
                explain(
                    "A non-persistent GradientTape can only be used to compute one set of gradients"
                    " (or jacobians).",
                    fix="make it with `tf.GradientTape(persistent=True)`.",
                )
            )
        self._is_spent = True
        if self._is_recording and not self._persistent:
            self._stop()

    def _differentiate(
        self,
        targets: Sequence[torch.Tensor],
        sources: Sequence[torch.Tensor],
        seeds: Sequence[torch.Tensor],
        batched: bool = False,
    ) -> list[torch.Tensor | None]:
        """Return a gradient per source; `None` where there is none."""
        connected = [i for i, t in enumerate(targets) if t.requires_grad]
        places = [i for i, source in enumerate(sources) if self._is_source(source)]
        found: list[torch.Tensor | None] = [None] * len(sources)
        if not connected or not places:
            return found
        recorded = bool(_OPEN.tapes)  # by another tape, or by this one within its context
        keeps = recorded or self._persistent or not self._is_alone
        ends, starts = [targets[i] for i in connected], [seeds[i] for i in connected]
        try:
            if any(getattr(sources[i], "rows_differ", False) for i in places):
                gradients = _left_in_grad(ends, starts, [sources[i] for i in places], keeps)
            else:
                gradients = torch.autograd.grad(
                    ends,
                    [self._edges.get(id(sources[i]), (None, sources[i]))[1] for i in places],
                    starts,
                    retain_graph=keeps,
                    create_graph=recorded,
                    allow_unused=True,
                    is_grads_batched=batched,
                )
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            raise RuntimeError(
                explain(
                    "GradientTape: a variable that the target was computed with has been assigned"
                    " to since.",
                    fix="compute all gradients of a step before you apply any of them.",
                )
            ) from error
        for place, gradient in zip(places, gradients, strict=True):
            found[place] = gradient
        return found

    def _is_source(self, source: torch.Tensor) -> bool:
        if id(source) in self._edges:
            return True
        return source.requires_grad and (self._watch_accessed or not source.is_leaf)


def _left_in_grad(
    targets: list[torch.Tensor], seeds: list[Any], sources: list[Any], keeps: bool
) -> list[torch.Tensor | None]:
    """Return gradients of weights that are cut over processes: FSDP2 leaves them in `.grad`."""
    for source in sources:
        source.grad = None
    torch.autograd.backward(targets, seeds, retain_graph=keeps)
    found = [source.grad for source in sources]
    for source in sources:
        source.grad = None
    return found


def _as_source(source: Any) -> torch.Tensor:
    if isinstance(source, torch.Tensor):
        return source
    raise TypeError(
        explain(
            f"GradientTape: {source!r} is no source of a gradient.",
            fix="pass variables or watched tensors.",
        )
    )


# Which operations are recorded --------------------------------------------------------------------


def record_within_tapes_only() -> None:
    """Switch autograd off outside of tapes; in `fit`, for training steps written with tapes."""
    if not RECORDING.by_tapes:
        RECORDING.by_tapes = True
        torch.set_grad_enabled(False)


def record_everything() -> None:
    """Undo `record_within_tapes_only`."""
    if RECORDING.by_tapes:
        RECORDING.by_tapes = False
        torch.set_grad_enabled(True)


def uses_tapes() -> bool:
    """Whether a program that imports TensorFlow now is written with tapes, and not with torch.

    The code of the module that imports is looked at, and that of the main script.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        names = names_in(frame.f_code)
        if "GradientTape" in names and "torch" not in names:
            return True
        frame = frame.f_back
    return False
