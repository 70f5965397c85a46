"""Gradients added up over the processes of a job, while autograd still computes others.

Two ways were at hand. PyTorch's `DistributedDataParallel` wraps a model's call and listens to
gradients being accumulated in `.grad`; a step here takes them straight from `autograd.grad`, which
accumulates nothing, so that each step would have to write, read and clear `.grad`, and models whose
steps call parts of themselves (GANs, distillation) could not be wrapped at all. So this does what
its reducer does, with hooks on the variables, which `autograd.grad` calls too: a gradient goes into
its place in a flat *bucket*; a full bucket is added up by one all-reduce that runs beside the rest
of the backward pass; the optimizer then reads the sums where they lie. The copy into the bucket is
the only one, and one kernel copies a whole bucket.

Buckets are filled in the order in which a backward pass meets the variables, last layers first. The
first one is small, so that sending begins early; the others are of the size at which a network's
throughput is full. All processes send their buckets in the same order, whatever the order in which
they fill: a variable without a gradient on some process counts as zeros there.

Each process weights its loss by its part of the batch's rows beforehand, so the sum is the gradient
of the mean over the whole batch, also where parts differ in size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..naming import explain
from ..optimizers.plan import is_dense
from .processes import Processes

__all__ = ["GradientSum"]

Tensor = torch.Tensor

FIRST_BYTES = 1 << 20
BUCKET_BYTES = 25 << 20


class _Bucket:
    """Gradients that are added up together.

    Args:
        variables: Of one dtype, on one device.
        extra: Elements behind the gradients.
    """

    def __init__(self, variables: Sequence[Tensor], extra: int) -> None:
        first = variables[0]
        size = sum(variable.numel() for variable in variables)
        self.flat = torch.zeros(size + extra, dtype=first.dtype, device=first.device)
        self.extra = self.flat[size:]
        self.views: list[Tensor] = []
        start = 0
        for variable in variables:
            self.views.append(_place(self.flat, start, variable))
            start += variable.numel()
        self.begin()

    def begin(self) -> None:
        """Forget what has arrived."""
        self.arrived: list[Tensor] = []
        self.places: list[Tensor] = []

    def is_full(self) -> bool:
        return len(self.arrived) == len(self.views)

    def pack(self, factor: float = 1.0) -> None:
        """Copy what has arrived to its places, times a factor."""
        if self.arrived:
            torch._foreach_copy_(self.places, self.arrived)
        if factor != 1.0 and self.places:
            torch._foreach_mul_(self.places, factor)


def _place(flat: Tensor, start: int, variable: Tensor) -> Tensor:
    """The part of a flat tensor from `start` on, laid out like a variable if that has no gaps."""
    if is_dense(variable):
        return flat.as_strided(variable.shape, variable.stride(), start)
    return flat[start : start + variable.numel()].view(variable.shape)


class GradientSum:
    """Adds up the gradients of some variables over all processes.

    Args:
        variables: Whose gradients, in the order in which they will come.
        processes: Those of the job.

    Raises:
        NotImplementedError: A variable takes its gradient for its new value, as statistics of
            float8 training do; such cannot be added up.
    """

    def __init__(self, variables: Sequence[Tensor], processes: Processes) -> None:
        strange = [v for v in variables if getattr(v, "overwrite_with_gradient", False)]
        if strange:
            raise NotImplementedError(
                explain(
                    "Variables that are overwritten with their gradients cannot be trained on"
                    " several processes.",
                    variables=[getattr(v, "path", tuple(v.shape)) for v in strange[:3]],
                    fix="train without float8, or in one process.",
                )
            )
        self.processes = processes
        self.variables = list(variables)
        self.hooks: list[Any] = []
        self.overlapping = False
        self._factor = 1.0
        self._missing: Sequence[int] = ()
        self._where: list[tuple[_Bucket, int]] = [None] * len(self.variables)  # type: ignore
        self.buckets: list[_Bucket] = []
        self._fill_buckets()
        self._begin()

    def _fill_buckets(self) -> None:
        groups: list[list[int]] = []
        open_groups: dict[Any, tuple[list[int], int]] = {}
        for number in reversed(range(len(self.variables))):
            variable = self.variables[number]
            key = variable.dtype, variable.device
            group, held = open_groups.get(key, (None, 0))
            if group is None:
                group = []
                groups.append(group)
            group.append(number)
            held += variable.numel() * variable.element_size()
            limit = FIRST_BYTES if group is groups[0] else BUCKET_BYTES
            open_groups[key] = (group, held) if held < limit else (None, 0)
        for i, group in enumerate(groups):
            # Behind the last one, for each variable how many processes have a gradient of it.
            extra = len(self.variables) if i == len(groups) - 1 else 0
            bucket = _Bucket([self.variables[number] for number in group], extra)
            self.buckets.append(bucket)
            for place, number in enumerate(group):
                self._where[number] = bucket, place

    def _begin(self) -> None:
        self._works: list[Any] = []
        for bucket in self.buckets:
            bucket.begin()
        self.buckets[-1].extra.fill_(1)

    # While autograd runs -------------------------------------------------------------------------

    def attach(self) -> None:
        """Listen to the gradients of the variables."""
        for number, variable in enumerate(self.variables):
            self.hooks.append(variable.register_hook(self._listener(number)))

    def detach(self) -> None:
        """Listen no more."""
        while self.hooks:
            self.hooks.pop().remove()

    def _listener(self, number: int) -> Callable[[Tensor], Tensor | None]:
        bucket, place = self._where[number]
        view = bucket.views[place]

        def listen(grad: Tensor) -> Tensor | None:
            if not self.overlapping or grad.layout != torch.strided:
                return None
            bucket.arrived.append(grad)
            bucket.places.append(view)
            if bucket.is_full():
                self._send_full()
            return view  # where the sum will be

        return listen

    def _send_full(self) -> None:
        while len(self._works) < len(self.buckets):
            bucket = self.buckets[len(self._works)]
            if not bucket.is_full():
                return
            self._send(bucket)

    def _send(self, bucket: _Bucket) -> None:
        bucket.pack(self._factor)
        if bucket is self.buckets[-1] and self._missing:
            bucket.extra[self._missing] = 0
        self._works.append(self.processes.begin_sum(bucket.flat))

    # Afterwards ----------------------------------------------------------------------------------

    def finish(self, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the sums, once they have arrived.

        Args:
            grads: What autograd returned: sums to be, `None` for variables the loss does not
                depend on here, or gradients that were not listened to.

        Returns: The sums; `None` where no process has a gradient.
        """
        self._missing = [number for number, grad in enumerate(grads) if grad is None]
        results: list[Tensor | None] = []
        for number, grad in enumerate(grads):
            bucket, place = self._where[number]
            view = bucket.views[place]
            if grad is None:
                view.zero_()
            elif grad is not view and not _same_memory(grad, view):
                bucket.arrived.append(grad if grad.layout == torch.strided else grad.to_dense())
                bucket.places.append(view)
            results.append(view)
        for bucket in self.buckets[len(self._works) :]:
            self._send(bucket)
        for work in self._works:
            self.processes.wait(work)
        if self._missing:
            users = self.buckets[-1].extra[self._missing].tolist()
            for number, count in zip(self._missing, users, strict=True):
                if count == 0:
                    results[number] = None
        self._missing = ()
        self._begin()
        return results

    def reduce(self, grads: Sequence[Tensor | None], factor: float) -> list[Tensor | None]:
        """Add up gradients that are there already, each times a factor of this process's."""
        self._factor = factor
        try:
            return self.finish(grads)
        finally:
            self._factor = 1.0


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return a.data_ptr() == b.data_ptr() and a.device == b.device and a.numel() > 0
