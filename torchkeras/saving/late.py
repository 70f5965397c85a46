"""First values of weights that are drawn late: only where a file that is being loaded has none.

A model in a file is built from its configuration and then gets the file's weights. Drawing random
values first would take several times as long as reading the file, and they are never seen. So
while a model is built here, large weights get memory without values. `LateValues` keeps a list of
them and looks at every operation of torch: one that overwrites such a weight as a whole takes it
off the list; before any other one meets it, it gets the values that it would have had. At the end
all that are left get theirs, and where loading fails, zeros: nobody meets memory without values.

The values are those that would have been drawn at once, to the bit: only initializers of this
library count as late, and of the random ones only those with an integer for a seed, whose numbers
depend on nothing else. (What torch does not tell is a look at memory itself, by `Tensor.tolist` or
`data_ptr`, of a weight of this size while a model is being built.)
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..dtypes import standardize_dtype, to_torch
from ..initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from ..variables import READING, Variable, standardize_shape

__all__ = ["LateValues", "late_values", "replace", "unwatched", "written"]

_FROM_BYTES = 1 << 16  # below, an initializer takes no longer than all this
_FILLS = (Zeros, Ones)
_DRAWS = (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Operations that take a tensor only for its shape, and those that overwrite one.
_FOR_SHAPE = frozenset("empty_like zeros_like ones_like full_like rand_like randn_like".split())
_FOR_SHAPE |= frozenset("new_empty new_zeros new_ones new_full new_empty_strided".split())
_OVERWRITING = frozenset("copy_ fill_ zero_ normal_ uniform_".split())


class _Late(NamedTuple):
    """A weight's memory, and what its values come from."""

    room: torch.Tensor
    initializer: Any
    dtype: str

    def draw(self) -> None:
        """Give it its first values."""
        with torch.inference_mode(False), torch.no_grad(), torch.device(self.room.device):
            self.room.copy_(self.initializer(tuple(self.room.shape), dtype=self.dtype))


class LateValues(TorchDispatchMode):
    """The weights that have no values yet; as a mode of torch, it looks after them.

    Attributes:
        pending: Weights by the address of their storage object.
        paused: Whether operations are let pass, since they do not look at values.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pending: dict[int, _Late] = {}
        self.paused = False
        self._fresh: _Late | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled inside; skipping would import torch._dynamo, 1.2 s

    # For `Variable` ------------------------------------------------------------------------------

    def room_for(
        self,
        initializer: Any,
        shape: Any,
        dtype: Any,
        device: torch.device,
        layout: Sequence[int] | None,
        memory_format: torch.memory_format,
    ) -> torch.Tensor | None:
        """Return memory for a weight, laid out as it wants it; `None` if it cannot wait.

        Args:
            initializer, shape, dtype, layout, memory_format: Arguments of the variable.
            device: Where the weight will be.
        """
        self._fresh = None
        if type(initializer) not in (*_FILLS, *_DRAWS) or shape is None or device.type == "meta":
            return None
        shape = standardize_shape(shape)
        name = standardize_dtype(dtype)
        kind = to_torch(name)
        if None in shape or not _can_wait(initializer, shape, kind):
            return None
        if layout is None:
            room = torch.empty(shape, dtype=kind, device=device)
        elif sorted(layout) == list(range(len(shape))):
            sizes = [shape[axis] for axis in layout]
            room = torch.empty(sizes, dtype=kind, device=device, memory_format=memory_format)
            room = room.permute(*sorted(range(len(layout)), key=layout.__getitem__))
        else:
            return None
        self._fresh = _Late(room, copy.copy(initializer), name)
        return room

    def room_like(self, reference: torch.Tensor) -> torch.Tensor | None:
        """Return memory for zeros with the shape and place of axes of a tensor, or `None`."""
        self._fresh = None
        large = reference.nbytes >= _FROM_BYTES and not reference.is_meta
        if type(reference) is not Variable or not large or reference.dtype not in _FLOATS:
            return None
        room = torch.empty_like(reference, requires_grad=False)
        self._fresh = _Late(room, Zeros(), standardize_dtype(room.dtype))
        return room

    def watch(self) -> None:
        """Note that the memory asked for last is a weight now."""
        if self._fresh is not None:
            self.pending[_key(self._fresh.room)] = self._fresh
            self._fresh = None

    # While a file is loaded ----------------------------------------------------------------------

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Let weights that are made in the block wait."""
        outer, READING.late = READING.late, self
        try:
            yield
        finally:
            READING.late = outer

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look after them while a block overwrites them."""
        outer, _ACTIVE.values = _ACTIVE.values, self
        try:
            with self if self.pending else contextlib.nullcontext():
                yield
        finally:
            _ACTIVE.values = outer

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.run(func, args, kwargs or {})

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation; weights that it reads get values before it."""
        if not self.pending or self.paused:
            return func(*args, **kwargs)
        overwritten = self._meet(func, args, kwargs)
        result = func(*args, **kwargs)
        if overwritten is not None:  # only now: it could have failed
            self.pending.pop(overwritten, None)
        return result

    def _meet(self, func: Any, args: Any, kwargs: Any) -> int | None:
        """Draw what an operation reads; return the key of what it overwrites as a whole."""
        name = func.overloadpacket.__name__
        if name in _FOR_SHAPE:
            return None
        overwritten = None
        for i, arg in enumerate((*args, *kwargs.values())):
            for tensor in arg if isinstance(arg, (list, tuple)) else (arg,):
                key = _key(tensor) if isinstance(tensor, torch.Tensor) else None
                late = self.pending.get(key) if key is not None else None
                if late is None:
                    continue
                if i == 0 and name in _OVERWRITING and _is_whole(tensor, late.room):
                    overwritten = key
                else:
                    self._draw(key)
        return overwritten

    def _draw(self, key: int) -> None:
        self.pending[key].draw()
        del self.pending[key]

    def finish(self) -> None:
        """Give values to all that are left."""
        while self.pending:
            self._draw(next(iter(self.pending)))

    def abandon(self) -> None:
        """Give zeros to all that are left, cheaply: nobody should have them any more."""
        while self.pending:
            self.pending.popitem()[1].room.zero_()


class _Active(threading.local):
    """Whose weights are being overwritten on this thread."""

    values: LateValues | None = None


_ACTIVE = _Active()


@contextlib.contextmanager
def late_values() -> Iterator[LateValues]:
    """Make a list of weights without values, and leave none without them at the end.

    Example:
        >>> from torchkeras.layers import Dense
        >>> with late_values() as late:
        ...     with late.collecting():
        ...         layer = Dense(512, kernel_initializer="ones")
        ...         layer.build((None, 512))
        ...     print(len(late.pending))
        1
        >>> bool((layer.kernel == 1).all())
        True
    """
    late = LateValues()
    try:
        yield late
        late.finish()
    except BaseException:
        late.abandon()
        raise


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Let a block have other tensors of weights' memory without values being drawn for them."""
    values = _ACTIVE.values
    if values is None:
        yield
        return
    values.paused = True
    try:
        yield
    finally:
        values.paused = False


def written(tensor: torch.Tensor) -> None:
    """Tell that something other than torch has overwritten a weight as a whole."""
    if _ACTIVE.values is not None:
        _ACTIVE.values.pending.pop(_key(tensor), None)
    torch.autograd.graph.increment_version(tensor)


def replace(variable: torch.nn.Parameter, values: torch.Tensor) -> bool:
    """Let a weight have the memory of `values` from now on, if nobody has met its own yet.

    Args:
        variable: The weight.
        values: Its values, in memory that is nobody else's.

    Returns:
        Whether it has.
    """
    late = None if _ACTIVE.values is None else _ACTIVE.values.pending.get(_key(variable))
    if late is None or not _is_whole(variable, late.room):
        return False
    same = values.dtype == variable.dtype and values.device == variable.device
    if not same or values.shape != variable.shape or values.stride() != variable.stride():
        return False
    key = _key(variable)
    variable.data = values
    del _ACTIVE.values.pending[key]
    return True


def _key(tensor: torch.Tensor) -> int | None:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse ones and the like
        return None


def _is_whole(tensor: torch.Tensor, room: torch.Tensor) -> bool:
    return tensor.shape == room.shape and tensor.dtype == room.dtype


def _can_wait(initializer: Any, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    """Whether values can be drawn at any time, and drawing them is known not to fail."""
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size < _FROM_BYTES:
        return False
    if isinstance(initializer, _FILLS):
        return dtype in _FLOATS
    axes = getattr(initializer, "input_axes", None), getattr(initializer, "output_axes", None)
    flat = isinstance(initializer, Orthogonal) and len(shape) < 2
    return type(initializer.seed) is int and axes == (None, None) and dtype in _FLOATS and not flat
