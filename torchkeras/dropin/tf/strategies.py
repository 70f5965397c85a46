"""`tf.distribute`: strategies, which mean the processes that `torchrun` has started.

Under the runner `fit` and its relatives train data-parallel by themselves. In a loop of one's own
each process is a replica, as TensorFlow has them: a distributed dataset gives it its rows of every
batch; `run` calls a function in which optimizers apply the sums of the gradients of all replicas;
`reduce` and `gather` bring results together. A process that is alone is the only replica: there
`run` is a call, and the others return what they are given.

What is made in `scope()` is what `run` looks after. Metrics are added up and statistics of layers
averaged after each call, so that everybody may read and save them everywhere.
Source: `tf.distribute.Strategy` (names, sums of gradients).
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch

from ...distribution.replicas import Replicas, Share
from ...distribution.strategy import replicas
from ...graph.context import CONTEXT
from ...layers import Layer
from ...metrics import Metric
from ...naming import explain
from ...optimizers import Optimizer
from ...tree import flatten, map_structure
from .tensors import as_tensor

__all__ = ["DISTRIBUTE", "DISTRIBUTE_EXPERIMENTAL", "MirroredStrategy", "Strategy", "replica_loss"]

Tensor = torch.Tensor
_END = object()


class ReduceOp:
    """How values of replicas are combined."""

    SUM = "sum"
    MEAN = "mean"


def _is_mean(reduce_op: Any) -> bool:
    return str(reduce_op).lower().endswith("mean")


class _Made:
    """What has been made in a strategy's scope; to `Replicas` it is a model that trains."""

    name, jit_compile, run_eagerly = "of the strategy", False, True

    def __init__(self) -> None:
        self.layers: list[Any] = []
        self.metrics: list[Any] = []
        self._optimizers: list[Any] = []

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is made within a `with` block."""
        kinds = ((Layer, self.layers), (Metric, self.metrics), (Optimizer, self._optimizers))
        plain = [(cls, cls.__init__) for cls, _ in kinds]
        for cls, found in kinds:
            cls.__init__ = _noting(cls.__init__, found)
        try:
            yield
        finally:
            for cls, init in plain:
                cls.__init__ = init

    @property
    def optimizers(self) -> list[Any]:
        """Those that no other one holds."""
        parts = flatten([list(vars(item).values()) for item in self._optimizers])
        held = set(map(id, parts))
        return [item for item in self._optimizers if id(item) not in held]

    @property
    def variables(self) -> list[Any]:
        """The weights of all layers, each once."""
        found = (weight for layer in self.layers for weight in layer._parameters.values())
        return list({id(weight): weight for weight in found if weight is not None}.values())

    @property
    def non_trainable_variables(self) -> list[Any]:
        """What layers keep for themselves, and frozen weights."""
        return [weight for weight in self.variables if not weight.requires_grad]


def _noting(init: Callable[..., None], found: list[Any]) -> Callable[..., None]:
    @functools.wraps(init)
    def noted(item: Any, *args: Any, **kwargs: Any) -> None:
        found.append(item)
        init(item, *args, **kwargs)

    return noted


class Strategy:
    """Training on the devices of the job: one in each process that `torchrun` has started.

    Without `torchrun` there is one. Under `torchrun ... -m torchkeras run script.py` models train
    data-parallel in `fit`, inside `scope()` and outside, and in loops of one's own by `run`.

    Example:
        >>> strategy = Strategy()
        >>> double = strategy.run(lambda x: 2 * x, args=(torch.ones(3),))
        >>> strategy.reduce(ReduceOp.SUM, double, axis=0).item()
        6.0
    """

    extended = None

    def __init__(self, device: Any = None, **options: Any) -> None:
        self._device = device
        self._made = _Made()
        self._begun = 0
        # The latest batches that datasets have given, this process's share of each, and how many
        # processes have one.
        self._batches: collections.deque[tuple[list[Any], Share, int]]
        self._batches = collections.deque(maxlen=16)

    @property
    def num_replicas_in_sync(self) -> int:
        """How many processes train together."""
        together = replicas()
        return 1 if together is None else together.processes.size

    @property
    def cluster_resolver(self) -> _Resolver:
        """Which of the workers this process is."""
        together = replicas()
        if together is None:
            return _Resolver()
        return _Resolver("worker", together.processes.rank, together.processes.size)

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Look after what is made inside; a process that is alone has nothing to do."""
        _ENTERED.append(self)
        try:
            with contextlib.nullcontext() if replicas() is None else self._made.noting():
                yield self
        finally:
            _ENTERED.remove(self)

    # Loops of one's own --------------------------------------------------------------------------

    def run(
        self, fn: Callable[..., Any], args: Any = (), kwargs: Any = None, options: Any = None
    ) -> Any:
        """Call a function on this replica's rows, and return what it returns here.

        What the function hands to optimizers is added up over all replicas, as TensorFlow does it:
        divide losses by the rows of the whole batch, by `tf.nn.compute_average_loss`.

        Args:
            fn: The function; all processes must call it equally often.
            args, kwargs: Its arguments, with the batch of a distributed dataset.
            options: Ignored.

        Raises:
            NotImplementedError: Weights are cut over the processes.
        """
        together, kwargs = _replicas(), kwargs or {}
        if together is None:
            with _running(self):
                return fn(*args, **kwargs)
        made = self._made
        if self._begun != len(made.layers):  # the copies begin alike
            together.begin_fit(made)
            together.end_fit()
            self._begun = len(made.layers)
        together.forget_drawn()
        share, busy = self._share_of((args, kwargs), together)
        together.draw(share)
        together.next_share()
        together.separate(made)
        with (
            together.step_of(made),
            together.reducing(made.optimizers, weighted=False),
            _running(self, together, busy),
        ):
            outputs = fn(*args, **kwargs)
        together.merge(made)
        together.merge_statistics(made)
        return outputs

    def _share_of(self, arguments: Any, together: Replicas) -> tuple[Share, int]:
        """This process's share of the batch among arguments; an equal one of what is not known.

        Beside it there is the number of processes that have rows.
        """
        given = {id(leaf) for leaf in flatten(arguments)}
        for leaves, share, busy in reversed(self._batches):
            if any(id(leaf) in given for leaf in leaves):
                return share, busy
        return Share(1, together.part.size), together.part.size

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """Bring the values of all replicas together, as sum or mean.

        Args:
            reduce_op: `ReduceOp.SUM` or `MEAN`, also as text.
            value: What `run` has returned.
            axis: An axis of the values to sum or average over as well; `None` for none.
        """
        together, is_mean = _replicas(), _is_mean(reduce_op)

        def reduced(x: Any) -> Any:
            if together is None and axis is None:
                return x
            x = as_tensor(x).detach()
            total = x if axis is None else x.sum(axis)
            count = 1 if axis is None or not x.dim() else x.shape[axis]
            if together is not None:
                idle = together.share.rows == 0  # its values are of another's row
                total = torch.zeros_like(total) if idle else total.clone()
                total = together.processes.sum_(total.contiguous())
                if is_mean:
                    (count,) = together.processes.add_up(0.0 if idle else count)
            return total / count if is_mean else total

        return map_structure(reduced, value)

    def gather(self, value: Any, axis: int) -> Any:
        """Join the values of all replicas along an axis."""
        together = _replicas()
        if together is None:
            return value

        def joined(x: Any) -> Tensor:
            rows = as_tensor(x).detach().movedim(axis, 0).contiguous()
            rows = rows[:0] if together.share.rows == 0 else rows
            return torch.cat(together.processes.gather_rows(rows)).movedim(0, axis)

        return map_structure(joined, value)

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """The values of the replicas of this process, of which there is one."""
        return (value,)

    # Data ----------------------------------------------------------------------------------------

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """Return a dataset that gives each replica its rows of every batch.

        Args:
            dataset: Yields batches for all replicas together, the same in all processes.
            options: Ignored.
        """
        together = _replicas()
        return dataset if together is None else _Distributed(dataset, self, together, False)

    def distribute_datasets_from_function(self, dataset_fn: Any, options: Any = None) -> Any:
        """Return a dataset that gives the replicas one after the other the batches of another one.

        Args:
            dataset_fn: Takes an input context, of the only pipeline there is, and returns a dataset
                of batches for one replica.
            options: Ignored.
        """
        together = _replicas()
        dataset = dataset_fn(_InputContext(self.num_replicas_in_sync))
        return dataset if together is None else _Distributed(dataset, self, together, True)


def _replicas() -> Replicas | None:
    """The replicas of loops of one's own.

    Raises:
        NotImplementedError: Weights are cut over the processes.
    """
    together = replicas()
    if together is not None and together.is_cut:
        raise NotImplementedError(
            explain(
                "tf.distribute.Strategy: loops of one's own do not train weights that are cut over"
                " processes.",
                fix="train with `fit`, perhaps in a `train_step` of your own; or leave"
                " `keras.distribution.DataParallel()` in force.",
            )
        )
    return together


class _Distributed(Iterable[Any]):
    """This process's part of the batches of a dataset.

    Args:
        dataset: The dataset.
        strategy: Is told the shares.
        together: Who else has a part.
        in_turn: Whether a batch is for one replica, and the next one for the next.
    """

    def __init__(self, dataset: Any, strategy: Strategy, together: Replicas, in_turn: bool) -> None:
        self.dataset, self.in_turn = dataset, in_turn
        self._strategy, self._together = strategy, together

    @property
    def element_spec(self) -> Any:
        """Shapes and dtypes of the batches before they are shared out."""
        return self.dataset.element_spec

    def __len__(self) -> int:
        return -(-len(self.dataset) // (self._together.part.size if self.in_turn else 1))

    def __iter__(self) -> _Pass:
        return _Pass(self._parts())

    def _parts(self) -> Iterator[Any]:
        together, part = self._together, self._together.part
        together.begin_pass()
        together.processes.align_random_states()
        batches = iter(self.dataset)
        while True:
            count = part.size if self.in_turn else 1
            drawn = list(itertools.islice(batches, count))
            rows = [_rows(batch) for batch in drawn]
            total, own, batch = sum(rows), None, None
            if drawn and not self.in_turn:
                own, batch = part.share(total).rows, part.of(drawn[0], total)
            elif drawn:
                has_one = part.rank < len(drawn)
                own = rows[part.rank] if has_one else 0
                batch = drawn[part.rank] if has_one else map_structure(lambda x: x[:1], drawn[0])
            share = together.agreed_share(own, total if drawn else None)
            if share is None:
                return
            busy = len(drawn) if self.in_turn else min(total, part.size)
            self._strategy._batches.append((flatten(batch), share, busy))
            yield batch


class _Pass(Iterator[Any]):
    """One pass over a distributed dataset, with the method that TensorFlow's iterators have."""

    def __init__(self, parts: Iterator[Any]) -> None:
        self._parts = parts

    def __next__(self) -> Any:
        return next(self._parts)

    def get_next(self) -> Any:
        """The next batch."""
        return next(self._parts)


def _rows(batch: Any) -> int:
    return next((int(leaf.shape[0]) for leaf in flatten(batch) if getattr(leaf, "ndim", 0)), 1)


class _InputContext(NamedTuple):
    """What a function that makes a dataset is told."""

    num_replicas_in_sync: int
    num_input_pipelines: int = 1
    input_pipeline_id: int = 0

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """A replica's part of a batch.

        Raises:
            ValueError: It cannot be divided.
        """
        if global_batch_size % self.num_replicas_in_sync:
            raise ValueError(
                f"The global_batch_size {global_batch_size} is not divisible by"
                f" num_replicas_in_sync {self.num_replicas_in_sync}."
            )
        return global_batch_size // self.num_replicas_in_sync


class _Resolver(NamedTuple):
    """Which worker a process is; of one that is alone nothing is known, as in TensorFlow."""

    task_type: str | None = None
    task_id: int | None = None
    workers: int = 1

    def cluster_spec(self) -> _Resolver:
        """Return what `as_dict` is asked of."""
        return self

    def as_dict(self) -> dict[str, list[str]]:
        """The workers by the name of their task."""
        names = [f"worker:{i}" for i in range(self.workers)]
        return {} if self.task_type is None else {self.task_type: names}


# Inside -------------------------------------------------------------------------------------------


class _ReplicaContext(NamedTuple):
    """What a function within `run` knows of its replica."""

    strategy: Strategy
    together: Replicas | None
    busy: int  # replicas that have rows

    @property
    def replica_id_in_sync_group(self) -> int:
        """The number of the replica."""
        return 0 if self.together is None else self.together.part.rank

    @property
    def num_replicas_in_sync(self) -> int:
        """How many there are."""
        return self.strategy.num_replicas_in_sync

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        """Bring the values of all replicas together."""
        return self.strategy.reduce(reduce_op, value)


_ENTERED: list[Strategy] = []
_RUNNING: list[_ReplicaContext] = []


@contextlib.contextmanager
def _running(strategy: Strategy, together: Replicas | None = None, busy: int = 1) -> Iterator[None]:
    _RUNNING.append(_ReplicaContext(strategy, together, busy))
    try:
        yield
    finally:
        _RUNNING.pop()


def replica_loss(total: Tensor, rows: int | None = None, whole: Any = None) -> Tensor:
    """Return a replica's part of a mean over the rows of a batch, or of a loss all replicas share.

    Parts add up to the whole within `run`. In a `train_step`, which `fit` calls, the mean over all
    processes is taken, weighted by their rows, so there parts are means.

    Args:
        total: The sum over the replica's rows; or the loss that is shared.
        rows: How many they are; `None` for a loss that is shared.
        whole: Rows of the whole batch, if the caller says.
    """
    context = _RUNNING[-1] if _RUNNING else None
    if context is None or context.together is None:
        if rows is None:
            return total
        # In `fit` of several processes this is a part of the batch only.
        return total / (rows if whole is None else whole * (CONTEXT.share or 1.0))
    share = context.together.share
    if share.rows == 0:  # a row of another replica's, which must not reach what all share
        return total * 0.0
    if rows is None:
        return total / context.busy
    if whole is None:
        whole = share.total if rows == share.rows else rows * context.busy
    return total / whole


# Kinds --------------------------------------------------------------------------------------------


class MirroredStrategy(Strategy):
    """Training on the devices of the job.

    Args:
        devices: As many as the job has processes.
        options: Ignored.

    Raises:
        NotImplementedError: More devices are named than there are processes.
    """

    def __init__(self, devices: Any = None, **options: Any) -> None:
        if devices is not None and len(devices) > self.num_replicas_in_sync:
            raise NotImplementedError(
                explain(
                    "tf.distribute.MirroredStrategy: one process trains on one device.",
                    devices=list(devices),
                    fix="start a process per device, `torchrun --nproc_per_node N -m torchkeras run"
                    " script.py`.",
                )
            )
        super().__init__(devices)


def _elsewhere(name: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            explain(
                f"tf.distribute.{name} is not provided.",
                fix="start processes with `torchrun` and use `keras.distribution`.",
            )
        )

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


_DEFAULT = Strategy()

DISTRIBUTE_EXPERIMENTAL: dict[str, Any] = {
    name: _elsewhere(name) for name in ("ParameterServerStrategy", "TPUStrategy")
}
DISTRIBUTE_EXPERIMENTAL["MultiWorkerMirroredStrategy"] = MirroredStrategy
DISTRIBUTE: dict[str, Any] = {
    **DISTRIBUTE_EXPERIMENTAL,
    "InputContext": _InputContext,
    "MirroredStrategy": MirroredStrategy,
    "OneDeviceStrategy": Strategy,
    "ReduceOp": ReduceOp,
    "Strategy": Strategy,
    "get_replica_context": lambda: _RUNNING[-1] if _RUNNING else None,
    "get_strategy": lambda: _ENTERED[-1] if _ENTERED else _DEFAULT,
    "has_strategy": lambda: bool(_ENTERED),
    "in_cross_replica_context": lambda: not _RUNNING,
}
