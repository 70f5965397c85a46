"""The processes of a job: how one joins, and what they tell each other.

`join` is what `keras.distribution.initialize` and `torchkeras run` under `torchrun` call. From then
on `JOB.processes` is a `Processes`; without it everything here does nothing, and nothing asks.

Letters: R processes, numbered by rank. Rank 0 writes files and prints.

What waits for others may wait in vain. Every wait here ends after a time (`timeout_s`): then each
waiting process notes in the job's store where it stands, looks who has noted nothing, and raises an
error that names those. The store is `torchrun`'s and outlives the processes.
"""

from __future__ import annotations

import atexit
import datetime
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ..naming import explain
from ..random import random_state, set_random_state

__all__ = ["JOB", "Job", "Processes", "ProcessesOfAxis", "is_first", "is_torchrun", "join", "leave"]

Tensor = torch.Tensor

TIMEOUT_S = 600.0
# How long a process that gives up waits for the notes of the others.
_NOTES_S = 2.0


class Job:
    """What this process belongs to.

    Attributes:
        processes: The job's processes, or `None` if this one is alone.
    """

    processes: Processes | None = None


JOB = Job()


def is_first() -> bool:
    """Whether this process writes and prints: it is alone, or rank 0."""
    return JOB.processes is None or JOB.processes.rank == 0


def is_torchrun() -> bool:
    """Whether `torchrun` has started this process as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1


def join(
    address: str | None = None,
    size: int | None = None,
    rank: int | None = None,
    timeout_s: float | None = None,
) -> Processes | None:
    """Join the processes of a job; once joined, this does nothing.

    With a GPU for each process of this machine, GPUs compute and NCCL carries; else CPUs and gloo.

    Args:
        address: `host:port` of rank 0. Default: as `torchrun` says.
        size: Number of processes. Default: as `torchrun` says.
        rank: The number of this one. Default: as `torchrun` says.
        timeout_s: How long to wait for others, in seconds. Default: the environment variable
            `TORCHKERAS_TIMEOUT_S`, or 600.

    Returns: The processes; `None` if there is one only.

    Raises:
        ValueError: Nothing says how many there are, or where.
    """
    if JOB.processes is not None:
        return JOB.processes
    given = {"RANK": rank, "WORLD_SIZE": size}
    if address is not None:
        given["MASTER_ADDR"], _, given["MASTER_PORT"] = address.rpartition(":")
    for name, value in given.items():
        if value is not None:
            os.environ[name] = str(value)
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise ValueError(
            explain(
                "keras.distribution.initialize: it is not known which job to join.",
                job_addresses=address,
                num_processes=size,
                process_id=rank,
                fix="start the script with `torchrun --nproc-per-node N`, or pass all three.",
            )
        )
    if int(os.environ["WORLD_SIZE"]) == 1:
        return None
    if timeout_s is None:
        timeout_s = float(os.environ.get("TORCHKERAS_TIMEOUT_S", TIMEOUT_S))
    timeout = datetime.timedelta(seconds=timeout_s)
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    on_gpu = local_rank < torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    store = None
    if not dist.is_initialized():
        store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
        store.set_timeout(timeout)
        store = dist.PrefixStore(_generation(), store)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=size,
            timeout=timeout,
        )
        atexit.register(leave)
    if on_gpu:
        torch.cuda.set_device(local_rank)  # the default device "cuda" is this one now
    JOB.processes = Processes(dist.get_rank(), dist.get_world_size(), store, timeout_s, on_gpu)
    JOB.processes.begin_alike()
    return JOB.processes


def _generation() -> str:
    """The name under which this start of the processes meets.

    An agent of `torchrun` may keep its store when it starts its processes again, with addresses in
    it where nobody is any more. On one machine all of them have been started equally often.
    """
    on_one_machine = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
    count = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if on_one_machine else "0"
    return f"torchkeras/{count}"


def leave() -> None:
    """Leave the job; what still runs on other processes is not waited for."""
    JOB.processes = None
    if dist.is_initialized():
        dist.destroy_process_group()


class Processes:
    """The processes of a job, seen from one of them.

    Args:
        rank: The number of this one.
        size: How many there are.
        store: Where to leave notes on what went wrong; `None` for nowhere.
        timeout_s: How long a wait may last, in seconds; only for messages.
        on_gpu: Whether they compute on GPUs.

    Attributes:
        group: Those among whom numbers are added up and gathered; `None` for all of the job.
    """

    group: Any = None

    def __init__(
        self, rank: int, size: int, store: Any, timeout_s: float, on_gpu: bool = False
    ) -> None:
        self.rank, self.size, self.timeout_s, self.on_gpu = rank, size, timeout_s, on_gpu
        self._store = store
        # For messages: what this process is about.
        self.doing = "its first steps"
        self._writing = 0

    def __repr__(self) -> str:
        return f"<Processes rank={self.rank} of {self.size}>"

    # Waiting -------------------------------------------------------------------------------------

    def wait(self, work: Any) -> None:
        """Wait for something that was begun on all processes.

        Raises:
            RuntimeError: Another process does not come, or has ended.
        """
        try:
            work.wait()
        except RuntimeError as error:
            raise self._given_up(error) from error

    def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raise self._given_up(error) from error

    def _given_up(self, error: RuntimeError) -> RuntimeError:
        """The error for a wait that has failed, with the ranks that gave no sign of life."""
        silent = self._silent_ranks()
        who = f"rank {', '.join(map(str, silent))} did not come" if silent else "one did not come"
        return RuntimeError(
            explain(
                f"Rank {self.rank} of {self.size} waited for the other processes in vain: {who}"
                " (it hangs, has ended, or does something else).",
                doing=self.doing,
                timeout_s=self.timeout_s,
                reason=str(error).splitlines()[0][:200],
                fix="look at the first error above, which may be another rank's. All processes must"
                " make the same calls with the same data; work that takes one of them longer than"
                " the timeout needs a larger TORCHKERAS_TIMEOUT_S.",
            )
        )

    def _silent_ranks(self) -> list[int]:
        others = [rank for rank in range(self.size) if rank != self.rank]
        if self._store is None:
            return []
        keys = [f"waits/{rank}" for rank in range(self.size)]
        try:
            self._store.set(keys[self.rank], self.doing)
            end = time.monotonic() + _NOTES_S
            while time.monotonic() < end and not self._store.check(keys):
                time.sleep(0.05)
            return [rank for rank in others if not self._store.check([keys[rank]])]
        except RuntimeError:  # the store has ended too
            return []

    # Telling each other --------------------------------------------------------------------------

    def sum_(self, tensor: Tensor) -> Tensor:
        """Add up a contiguous tensor over all processes, in place, and return it."""
        self.wait(dist.all_reduce(tensor, group=self.group, async_op=True))
        return tensor

    def begin_sum(self, tensor: Tensor) -> Any:
        """Begin `sum_`, and return what `wait` waits for."""
        return self._call(dist.all_reduce, tensor, group=self.group, async_op=True)

    def add_up(self, *numbers: float) -> list[float]:
        """Add up numbers of the host over all processes."""
        return self.sum_(torch.tensor(numbers, dtype=torch.float64, device="cpu")).tolist()

    def any(self, value: bool) -> bool:
        """Whether it is so on any process."""
        return self.add_up(float(bool(value)))[0] > 0

    def gather(self, value: Any) -> list[Any]:
        """Return the objects that all processes have passed, by rank.

        They are pickled, between processes of one job of one user.
        """
        found: list[Any] = [None] * self.size
        with torch.device("cpu"):
            self._call(dist.all_gather_object, found, value, group=self.group)
        return found

    def gather_rows(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes by rank; they may differ in their first axis."""
        counts = self.gather(len(tensor))
        rows = tensor.new_zeros((max(counts), *tensor.shape[1:]))
        rows[: len(tensor)] = tensor
        parts = self.gather_equal(rows)
        return [part[:count] for part, count in zip(parts, counts, strict=True)]

    def gather_equal(self, tensor: Tensor) -> list[Tensor]:
        """Return the contiguous tensors of all processes by rank; they have one shape."""
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        self.wait(dist.all_gather(parts, tensor, group=self.group, async_op=True))
        return parts

    def from_first(self, value: Any) -> Any:
        """Return the object that rank 0 has passed."""
        held = [value]
        with torch.device("cpu"):
            self._call(dist.broadcast_object_list, held, 0)
        return held[0]

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        self.add_up(0.0)

    def check_equal(self, what: str, value: Any) -> None:
        """Refuse to go on where processes differ.

        Args:
            what: How the error calls it, as "model".
            value: Something small that can be compared.

        Raises:
            RuntimeError: They do, on all of them.
        """
        values = self.gather(value)
        strange = [rank for rank, other in enumerate(values) if other != values[0]]
        if strange:
            raise RuntimeError(
                explain(
                    f"The processes of the job have different {what}.",
                    rank_0=values[0],
                    **{f"rank_{strange[0]}": values[strange[0]]},
                    fix="let all processes run the same script on the same data: fix the seeds of"
                    " random choices, sort what comes from folders, and read the same files.",
                )
            )

    # Being alike ---------------------------------------------------------------------------------

    def begin_alike(self) -> None:
        """Seed the generators of Python, NumPy and torch alike, with numbers of rank 0's."""
        seed = self.from_first(random.getrandbits(32))
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def align_random_states(self, *generators: torch.Generator) -> None:
        """Give all generators of random numbers the states they have on rank 0.

        Args:
            generators: Those of the data's own.
        """
        state = random_state(*generators) if self.rank == 0 else None
        state = self.from_first(state)
        if self.rank:
            state["cuda"] = []  # rank 0's card is another one
            set_random_state(state, *generators)

    @torch.no_grad()
    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values they have on rank 0, many of them at a time."""
        for same in _alike(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
            self.wait(dist.broadcast(flat, 0, async_op=True))
            if self.rank:
                _put_back(flat, same)

    @torch.no_grad()
    def sum_all(self, tensors: Iterable[Tensor], factor: float = 1.0) -> None:
        """Add up tensors over all processes, in place, many at a time.

        Args:
            tensors: Of any dtypes.
            factor: Of the sums.
        """
        for same in _alike(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
            whole = not flat.is_floating_point()
            self.sum_(flat.to(torch.int64) if flat.dtype == torch.bool else flat)
            _put_back(flat if whole or factor == 1.0 else flat.mul_(factor), same)

    # Writing -------------------------------------------------------------------------------------

    def write_once(self, write: Callable[[], Any]) -> Any:
        """Let rank 0 write files, and the others wait until they are there.

        Args:
            write: Does it. What it calls may call this again.

        Returns: What `write` returned, on rank 0.
        """
        if self._writing:
            return write()
        self._writing += 1
        try:
            return write() if self.rank == 0 else None
        finally:
            self._writing -= 1
            self.barrier()


class ProcessesOfAxis(Processes):
    """The processes along one axis of a mesh, of which each has other rows of a batch.

    Those along the other axes of the mesh have the same rows. Numbers are added up and gathered
    along the axis; all the job agrees on what to do.

    Args:
        whole: The processes of the job.
        rank: The number of this one along the axis.
        size: How many there are.
        group: Their process group.
    """

    def __init__(self, whole: Processes, rank: int, size: int, group: Any) -> None:
        super().__init__(rank, size, whole._store, whole.timeout_s, whole.on_gpu)
        self.whole, self.group = whole, group
        self.any, self.check_equal = whole.any, whole.check_equal
        self.spread, self.align_random_states = whole.spread, whole.align_random_states
        self.barrier, self.write_once = whole.barrier, whole.write_once

    def _given_up(self, error: RuntimeError) -> RuntimeError:
        self.whole.doing = self.doing
        return self.whole._given_up(error)


def _alike(tensors: Iterable[Tensor], largest: int = 64 << 20) -> Iterable[list[Tensor]]:
    """Yield groups of tensors of one dtype and device, none much larger than `largest` bytes."""
    groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    sizes: dict[tuple[torch.dtype, torch.device], int] = {}
    for tensor in tensors:
        key = tensor.dtype, tensor.device
        groups.setdefault(key, []).append(tensor)
        sizes[key] = sizes.get(key, 0) + tensor.numel() * tensor.element_size()
        if sizes[key] >= largest:
            yield groups.pop(key)
            del sizes[key]
    yield from groups.values()


def _put_back(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    """Copy a flat tensor into those it was made of."""
    start = 0
    for tensor in tensors:
        tensor.detach().copy_(flat[start : start + tensor.numel()].view(tensor.shape))
        start += tensor.numel()
