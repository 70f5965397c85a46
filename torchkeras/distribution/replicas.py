"""Copies of a model that train side by side: one in each process, each on its part of every batch.

Letters: R processes, N rows of a batch. Process r takes N // R consecutive rows, the first N % R
processes one more. Where N < R some have none: such a process is *idle* in that step. It computes
on the batch's first row all the same, with weight zero, since every process must take part in what
all of them do together; nothing of it is recorded.

What keeps the copies alike: weights and the states of optimizers are rank 0's when `fit` begins;
random states are rank 0's when a pass through data begins; gradients are summed over all processes
before each update. What differs meanwhile is brought together at the end of each epoch, and before
backups: statistics that layers keep (their mean is taken), and metrics.

Metrics are sums, each process's over its own rows. `merge` adds them up, so that all processes have
those of the whole batch and read the same results; before they go on, all but rank 0 start again
from nothing (`separate`), and the next sum is right again. If a callback looks at batches, that
happens at every batch, on all processes: nothing is sent because somebody looks.
"""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..dtypes import to_numpy
from ..graph.context import CONTEXT
from ..naming import explain
from ..optimizers import Optimizer
from ..random import set_stream
from ..tree import flatten, map_structure
from .gradients import GradientSum
from .processes import Processes

__all__ = ["Part", "Replicas", "Share"]

Tensor = torch.Tensor


class Share(NamedTuple):
    """How much of a batch this process has.

    Args:
        rows: Rows of its own; 0 if it is idle.
        total: Rows of the whole batch.
    """

    rows: int
    total: int

    @property
    def fraction(self) -> float:
        """The weight of what it computes as a mean over its rows."""
        return self.rows / self.total


class Part(NamedTuple):
    """Which rows of each batch a process takes.

    Args:
        rank: The number of the process.
        size: How many processes there are.

    Example:
        >>> [Part(rank, 4).bounds(6) for rank in range(4)]
        [(0, 2), (2, 4), (4, 5), (5, 6)]
    """

    rank: int
    size: int

    def share(self, total: int) -> Share:
        """Return how many of `total` rows are its own."""
        return Share(total // self.size + (self.rank < total % self.size), total)

    def bounds(self, total: int) -> tuple[int, int]:
        """Return where its rows begin and end; those of an idle process are the first one."""
        each, more = divmod(total, self.size)
        first = self.rank * each + min(self.rank, more)
        last = first + each + (self.rank < more)
        return (first, last) if last > first else (0, 1)

    def of(self, batch: Any, total: int) -> Any:
        """Take its rows of a batch; what does not have `total` rows stays."""
        first, last = self.bounds(total)

        def take(leaf: Any) -> Any:
            shape = getattr(leaf, "shape", ())
            return leaf[first:last] if len(shape) and shape[0] == total else leaf

        return map_structure(take, batch, none_is_leaf=False)

    def order(self, order: Tensor | None, total: int, batch_size: int) -> tuple[Tensor, int]:
        """Return the numbers of its rows in a pass, and how many of them make a batch.

        Args:
            order: The numbers of all rows in the order of the pass; `None`: as they are.
            total: How many rows there are.
            batch_size: Rows of a whole batch.

        Example:
            >>> order, batch_size = Part(1, 2).order(None, 7, 4)
            >>> order.tolist(), batch_size
            ([2, 3, 6], 2)
        """
        if order is None:
            order = torch.arange(total, device="cpu")
        whole = total // batch_size * batch_size
        first, last = self.bounds(batch_size)
        rows = order[:whole].view(-1, batch_size)[:, first:last].reshape(-1)
        if whole < total:
            start, stop = self.bounds(total - whole)
            rows = torch.cat([rows, order[whole + start : whole + stop]])
        return rows, last - first


class Replicas:
    """The copies of models in the processes of a job, seen from one of them.

    Args:
        processes: The processes.
        shards_data: Whether data is the whole job's, and each takes its part; else each has been
            given its own.

    Attributes:
        part: Which rows of a batch are this process's.
        share: How many they are in the present batch.
        each_batch: Whether metrics are brought together after every batch.
        is_cut: Whether each process holds a part of the weights only; see `cut.py`.
    """

    is_cut = False

    def __init__(self, processes: Processes, shards_data: bool = True) -> None:
        self.processes = processes
        self.shards_data = shards_data
        self.part = Part(processes.rank, processes.size)
        self.share = Share(1, 1)
        self.each_batch = False
        self._drawn: collections.deque[Share] = collections.deque()
        self._merged = True
        self._versions: dict[int, int] = {}
        self._sums: dict[tuple[int, ...], GradientSum] = {}
        self._listening = False
        self._steps = 0

    def __deepcopy__(self, memo: Any) -> Replicas:
        return self  # that of the job, in copies of models too

    # Batches -------------------------------------------------------------------------------------

    def draw(self, share: Share) -> None:
        """Note the share of a batch that is handed out; steps take them in this order."""
        self._drawn.append(share)
        self.share = share

    def next_share(self) -> Share:
        """Go on to the batch whose step begins, and return its share."""
        if self._drawn:
            self.share = self._drawn.popleft()
        self._steps += 1
        self.processes.doing = f"step {self._steps}"
        CONTEXT.idle = self.share.rows == 0
        return self.share

    def begin_pass(self) -> None:
        """Note that data is read from its beginning."""
        self.processes.doing = f"reading data after step {self._steps}"

    def rows_of(self, batch: Any) -> Any:
        """Take this process's part of a batch, and note it as the next one."""
        total = _count_rows(batch)
        self._drawn.clear()
        self.draw(self.part.share(total))
        return self.part.of(batch, total)

    def agreed_share(self, rows: int | None, total: int | None) -> Share | None:
        """Ask the other processes about a batch of a stream, of which nobody knows the length.

        Args:
            rows: Those this process has, `None` if its stream has ended.
            total: Those of the whole batch, if this process knows.

        Returns: Its share; `None` if the streams have ended.

        Raises:
            RuntimeError: Some have and some have not.
        """
        living, together = self.processes.add_up(float(rows is not None), float(rows or 0))
        if living == 0:
            return None
        if living < self.processes.size or rows is None:
            ended = [r for r, end in enumerate(self.processes.gather(rows is None)) if end]
            raise RuntimeError(
                explain(
                    "The data of some processes has ended before that of others.",
                    ended_on_ranks=ended,
                    after_step=self._steps,
                    fix="let every process read the same data: fix the seeds of generators, or pass"
                    " `steps_per_epoch`.",
                )
            )
        return Share(rows, int(together) if total is None else total)

    @contextlib.contextmanager
    def step_of(self, model: Any) -> Iterator[None]:
        """Draw this process's own random numbers; without rows, leave metrics as they are."""
        set_stream(self.part.rank)
        CONTEXT.share = self.share.fraction
        try:
            if self.share.rows:
                yield
            else:
                with self._unrecorded(model):
                    yield
        finally:
            set_stream(0)
            CONTEXT.share = None

    @contextlib.contextmanager
    def _unrecorded(self, model: Any) -> Iterator[None]:
        known = _metric_states(model)
        saved = [variable.detach().clone() for variable in known]
        try:
            yield
        finally:
            CONTEXT.idle = False
            with torch.no_grad():
                fresh = {id(variable): variable for variable in _metric_states(model)}
                for variable, value in zip(known, saved, strict=True):
                    fresh.pop(id(variable), None)
                    variable.detach().copy_(value)
                for variable in fresh.values():  # made by this very step
                    variable.detach().zero_()

    # Gradients -----------------------------------------------------------------------------------

    def sum_of(self, variables: Sequence[Tensor]) -> GradientSum:
        """Return what adds up the gradients of these variables; within `fit` it listens to them."""
        key = tuple(map(id, variables))
        found = self._sums.get(key)
        if found is None or any(
            a is not b for a, b in zip(found.variables, variables, strict=True)
        ):
            while len(self._sums) >= 4:  # buckets are as large as the models
                self._sums.pop(next(iter(self._sums))).detach()
            found = self._sums[key] = GradientSum(variables, self.processes)
        if self._listening and not found.hooks:
            found.attach()
        return found

    def gradients_of(
        self, loss: Tensor, variables: list[Tensor], plain: Callable[..., Any]
    ) -> Sequence[Tensor | None]:
        """Return the gradients of this process's part of a loss, on their way to the others.

        Args:
            loss: The loss.
            variables: Those it may depend on.
            plain: Computes them.
        """
        gradient_sum = self.sum_of(variables)
        gradient_sum.overlapping = True
        try:
            return plain(loss, variables)
        finally:
            gradient_sum.overlapping = False

    def own_gradients_of(
        self, loss: Tensor, variables: list[Tensor], plain: Callable[..., Any]
    ) -> Sequence[Tensor | None]:
        """Return gradients within a step whose optimizers see to the rest (`reducing`)."""
        return plain(loss, variables)

    def update(
        self, optimizer: Any, grads: Sequence[Tensor | None], variables: list[Tensor]
    ) -> None:
        """Let an optimizer apply the sums of what `gradients_of` has returned."""
        optimizer.apply(self.sum_of(variables).finish(grads), variables)

    @contextlib.contextmanager
    def reducing(self, optimizers: Sequence[Any], weighted: bool = True) -> Iterator[None]:
        """Let optimizers apply the sums of the gradients that they are given.

        Args:
            optimizers: Those that a step of the user's calls.
            weighted: Whether gradients are those of means over each process's rows; else of parts
                of what is divided by all rows.
        """
        for optimizer in optimizers:
            optimizer.__dict__["apply"] = self._applying(optimizer, weighted)
        try:
            yield
        finally:
            for optimizer in optimizers:
                del optimizer.__dict__["apply"]

    def _applying(self, optimizer: Any, weighted: bool = True) -> Any:
        plain = optimizer.apply
        factor = self.share.fraction if weighted else float(self.share.rows > 0)

        def apply(grads: Sequence[Any], trainable_variables: Any = None) -> None:
            grads = list(grads)
            known = trainable_variables
            variables = list(optimizer._trainable_variables if known is None else known)
            if grads and len(grads) == len(variables):
                grads = self.sum_of(variables).reduce(grads, factor)
            plain(grads, known if known is None else variables)

        return apply

    # Beginning and end ---------------------------------------------------------------------------

    def begin_fit(self, model: Any) -> None:
        """Make the copies of a model alike.

        Raises:
            RuntimeError: They have different weights on different processes.
        """
        self.end_fit()
        self.processes.doing = f"the beginning of `fit` of model '{model.name}'"
        weights = self._replicated(model)
        self.processes.check_equal(
            "models", (len(weights), sum(weight.numel() for weight in weights))
        )
        self.processes.spread(weights)
        self._note_versions(model)
        self._listening = not (model.jit_compile and not model.run_eagerly)

    def prepare(self, model: Any) -> None:
        """Do what a model needs before anything is computed with it."""

    def held(self, variables: Sequence[Any]) -> Sequence[Any]:
        """Return what optimizers are given in the place of some variables of a model."""
        return variables

    def cut_slots(self, optimizer: Any, model: Any) -> dict[int, Any]:
        """Return by their `id` the slots of which each process has a part; here there are none."""
        return {}

    def _replicated(self, model: Any) -> list[Any]:
        """The variables of which all processes hold all."""
        optimizer = getattr(model, "optimizer", None)
        weights = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
        return list({id(weight): weight for weight in weights}.values())

    def end_fit(self) -> None:
        """Let go of the variables."""
        self._listening = False
        for gradient_sum in self._sums.values():
            gradient_sum.detach()

    def begin_epoch(self, model: Any, callbacks: Any) -> None:
        """Begin an epoch of `fit`, whose metrics have been reset, or restored, on all processes."""
        self.forget_drawn()
        self.restored()
        self.each_batch = callbacks.looks_at_batches("on_train_batch_end")

    def begin_evaluation(self, callbacks: Any) -> None:
        """Begin an evaluation, whose metrics have been reset."""
        self.forget_drawn()
        self.restored()
        self.each_batch = callbacks.looks_at_batches("on_test_batch_end")

    def agreement_on_stops(self) -> Callable[[bool], bool] | None:
        """Return what makes a process's wish to end an epoch that of all; `None` if none can."""
        return self.processes.any if self.each_batch else None

    def forget_drawn(self) -> None:
        """Forget batches that were drawn and never used."""
        self._drawn.clear()

    def restored(self) -> None:
        """Note that metrics are the same on all processes: they have been reset, or restored."""
        self._merged = True

    # Metrics and statistics ----------------------------------------------------------------------

    @torch.no_grad()
    def separate(self, model: Any) -> None:
        """Let all processes but rank 0 record from nothing, if metrics were brought together."""
        if not self._merged:
            return
        self._merged = False
        if self.part.rank:
            for variable in _metric_states(model):
                if variable.aggregation not in ("mean", "only_first_replica"):
                    variable.detach().zero_()

    def merge(self, model: Any) -> None:
        """Bring metrics together: all processes have those of all rows then."""
        if not self._merged:
            self._merged = True
            self._merge(_metric_states(model), "sum")

    def merge_statistics(self, model: Any) -> None:
        """Take the mean of what layers have recorded since `fit` began, or since the last time."""
        changed = [
            variable
            for variable in model.non_trainable_variables
            if variable.is_floating_point()
            and self._versions.get(id(variable)) != _version(variable)
        ]
        self._merge(changed, "mean")
        self._note_versions(model)

    def _merge(self, variables: Sequence[Any], default: str) -> None:
        kinds: dict[str, list[Any]] = {"sum": [], "mean": [], "only_first_replica": []}
        for variable in variables:
            kind = getattr(variable, "aggregation", None)
            kinds[kind if kind in kinds else default].append(variable)
        self.processes.sum_all(kinds["sum"])
        self.processes.sum_all(kinds["mean"], 1.0 / self.processes.size)
        self.processes.spread(kinds["only_first_replica"])

    def _note_versions(self, model: Any) -> None:
        self._versions = {id(v): _version(v) for v in model.non_trainable_variables}

    def common_logs(
        self, logs: dict[str, Any], own: Mapping[str, Any], whole: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return logs of a step of the user's that are the same on all processes.

        In them are results of metrics, and other numbers of the last batch, of which all rows have
        the mean; a tracker called "loss" may be there and unused beside a "loss" that was returned.

        Args:
            logs: Of this process; single numbers are floats.
            own: Results of the metrics by name, of this process's rows.
            whole: Those of all rows.
        """
        share = self.share
        sent = []
        for name, value in logs.items():
            # What an idle process has computed may be anything.
            number = value if isinstance(value, float) and share.rows else 0.0
            is_other = share.rows > 0 and not _is_same(value, own.get(name))
            sent += [float(is_other), share.fraction * number]
        sums = iter(self.processes.add_up(*sent) if sent else ())
        common = {}
        for name, value in logs.items():
            others, mean = next(sums), next(sums)
            if name in whole and not others:
                common[name] = whole[name]
            else:
                common[name] = mean if isinstance(value, float) else value
        return common

    # Outputs -------------------------------------------------------------------------------------

    def gather_outputs(self, outputs: Any) -> Any:
        """Return the outputs for a whole batch, rows in order, from those for this part of it.

        Raises:
            ValueError: They do not have one row for each of the batch.
        """
        counts = [
            Part(rank, self.part.size).share(self.share.total).rows
            for rank in range(self.part.size)
        ]
        return map_structure(lambda leaf: self._gather_leaf(leaf, counts), outputs)

    def _gather_leaf(self, leaf: Any, counts: list[int]) -> Any:
        own = counts[self.part.rank]
        if not isinstance(leaf, Tensor) or leaf.dim() == 0 or len(leaf) != max(own, 1):
            raise ValueError(
                explain(
                    "`predict` on several processes needs outputs with one row for each input.",
                    output=tuple(getattr(leaf, "shape", ())) or type(leaf),
                    rows=own,
                    fix="return such from `predict_step`, or call `set_distribution(None)` first.",
                )
            )
        rows = leaf.new_zeros((max(counts), *leaf.shape[1:]))
        rows[:own] = leaf[:own]
        # As bytes, which every backend carries, whatever the dtype.
        sent = self.processes.gather_equal(rows.reshape(-1).view(torch.uint8))
        parts = [part.view(rows.dtype).view(rows.shape) for part in sent]
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def _count_rows(batch: Any) -> int:
    return next((int(x.shape[0]) for x in flatten(batch) if getattr(x, "ndim", 0)), 1)


def _is_same(value: Any, other: Any) -> bool:
    """Whether a number or an array in logs is a result of a metric."""
    if other is None:
        return False
    a, b = (to_numpy(x) if isinstance(x, Tensor) else np.asarray(x) for x in (value, other))
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _metric_states(model: Any) -> list[Any]:
    states = {id(v): v for metric in model.metrics for v in metric.variables}
    return list(states.values())


def _version(variable: Tensor) -> int:
    return -1 if variable.is_inference() else variable._version


def optimizers_of(model: Any) -> list[Any]:
    """Return the optimizers that a model holds, of which some may wrap others."""
    held = [getattr(model, "optimizer", None), *model.__dict__.values()]
    held += [getattr(part, "optimizer", None) for part in model._flatten_layers(include_self=False)]
    found = {id(item): item for item in held if isinstance(item, Optimizer)}
    for optimizer in list(found.values()):
        found.pop(id(getattr(optimizer, "inner_optimizer", None)), None)
    return list(found.values())
