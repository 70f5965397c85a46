"""How a model and its data are spread over devices, and which way is in force.

Each device has a process of its own, which `torchrun` starts. `torchkeras run` joins them, and puts
a `DataParallel` over all in force; in scripts that are started otherwise `initialize()` joins them,
and `set_distribution` does the rest. Where there are more devices in a distribution than processes
in the job, `fit` raises and says so.
Source: `keras.distribution` (names, rules of layouts).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed

from ..config import at_clear_session
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..registry import builtin
from ..saving.api import WRITING
from ..tree import flatten
from .layout import DeviceMesh, LayoutMap, TensorLayout, list_devices
from .processes import JOB, Processes, is_first, join
from .replicas import Replicas

__all__ = [
    "DataParallel",
    "Distribution",
    "FullyShardedDataParallel",
    "ModelParallel",
    "distribute_tensor",
    "distribution",
    "initialize",
    "join_as_replicas",
    "replicas",
    "require_shared_data",
    "set_distribution",
]


class _Current:
    """The distribution in force, and that which `clear_session` returns to."""

    value: Distribution | None = None
    default: Distribution | None = None


def distribution() -> Distribution | None:
    """Return the distribution in force, or `None`."""
    return _Current.value


def set_distribution(value: Distribution | None) -> None:
    """Put a distribution in force for the models made from here on; `None` for none.

    Args:
        value: A `DataParallel`, a `FullyShardedDataParallel`, a `ModelParallel`, or `None`.
    """
    _Current.value = value
    several = JOB.processes is not None and value is not None
    WRITING.once = JOB.processes.write_once if several else None
    WRITING.is_first = is_first()


at_clear_session(lambda: set_distribution(_Current.default))


def replicas() -> Replicas | None:
    """Return the copies of models that train side by side, or `None` if a model trains alone.

    Raises:
        NotImplementedError: The distribution in force has more or fewer devices than the job has
            processes.
    """
    current = _Current.value
    if current is None or (JOB.processes is None and current.device_mesh.devices.size == 1):
        return None
    return current._replicas()


def join_as_replicas() -> Processes | None:
    """Join the job that `torchrun` has started, and train data-parallel in it from now on.

    Returns: The processes; `None` if there is one only.
    """
    processes = join()
    if processes is not None:
        _Current.default = DataParallel()
        set_distribution(_Current.default)
    return processes


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Join the processes of a job, each of which computes on one device.

    Under `torchrun` no argument is needed; under `torchkeras run` it has been done already. All
    processes begin with the same random seeds. A distribution is to be set afterwards.

    Args:
        job_addresses: `host:port` of the first process, also as the first of several, which are
            separated by commas. Default: the environment variable
            `KERAS_DISTRIBUTION_JOB_ADDRESSES`, or what `torchrun` says.
        num_processes: How many there are; `KERAS_DISTRIBUTION_NUM_PROCESSES`, or as above.
        process_id: The number of this one; `KERAS_DISTRIBUTION_PROCESS_ID`, or as above.

    Raises:
        ValueError: There are several, and nothing says where the first one is.
    """
    known = os.environ.get
    job_addresses = job_addresses or known("KERAS_DISTRIBUTION_JOB_ADDRESSES")
    if num_processes is None and "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
        num_processes = int(known("KERAS_DISTRIBUTION_NUM_PROCESSES"))
    if process_id is None and "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:
        process_id = int(known("KERAS_DISTRIBUTION_PROCESS_ID"))
    count = int(known("WORLD_SIZE", 1)) if num_processes is None else num_processes
    if count > 1 or job_addresses is not None:
        first = job_addresses.split(",")[0] if job_addresses else None
        join(first, num_processes, process_id)


def _processes() -> tuple[int, int]:
    """How many processes there are, and which one this is."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size(), torch.distributed.get_rank()
    return 1, 0


def distribute_tensor(tensor: Any, layout: TensorLayout) -> Any:
    """Lay a tensor out over the devices of a mesh; with one device it is laid out already.

    Args:
        tensor: A tensor, the same in all processes, or a symbolic one, which is returned.
        layout: How.

    Returns: A `torch.distributed.tensor.DTensor`, of which each process holds its part.

    Raises:
        NotImplementedError: The mesh has more or fewer devices than the job has processes.
    """
    mesh = layout.device_mesh
    if isinstance(tensor, KerasTensor) or mesh is None or mesh.devices.size == 1:
        return tensor
    processes = JOB.processes
    if processes is None or mesh.devices.size != processes.size:
        raise NotImplementedError(
            explain(
                f"A process computes on one device, and this mesh has {mesh.devices.size}.",
                layout=layout,
                processes=1 if processes is None else processes.size,
                fix="start as many processes with `torchrun`, and call"
                " `keras.distribution.initialize()`.",
            )
        )
    # Costly to import, and needed by few.
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor import distribute_tensor as distribute

    kind = "cuda" if processes.on_gpu else "cpu"
    names = tuple(mesh.axis_names)
    grid = init_device_mesh(kind, tuple(mesh.shape), mesh_dim_names=names)
    cut = {axis: dim for dim, axis in enumerate(layout.axes) if axis is not None}
    placements = [Shard(cut[name]) if name in cut else Replicate() for name in names]
    return distribute(torch.as_tensor(tensor).detach(), grid, placements)


def require_shared_data(x: Any) -> None:
    """Refuse data of which each process of a job would take all where it should take a part.

    Raises:
        ValueError: A distribution over several processes is in force, and shares out datasets.
    """
    current = distribution()
    if current is None or not (current._is_multi_process and current.auto_shard_dataset):
        return
    if JOB.processes is not None:  # `training.data.sharding` shares out data of every kind
        return
    raise ValueError(
        explain(
            "When using a multi-worker distribution with auto-sharding enabled, data cannot be"
            " shared out among the workers.",
            received=type(x),
            fix="give each process its own part, for instance by torch's `DistributedSampler`, and"
            " set `distribution.auto_shard_dataset = False`.",
        )
    )


class Distribution:
    """Base class: where variables and data are to lie.

    Args:
        device_mesh: The devices.
        batch_dim_name: The mesh's axis along which batches are cut.
        auto_shard_dataset: Whether each process takes its own part of a dataset.
    """

    def __init__(
        self,
        device_mesh: DeviceMesh,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
    ) -> None:
        self.device_mesh = device_mesh
        self.batch_dim_name = batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset
        self._num_processes, self._process_id = _processes()
        self._is_multi_process = self._num_processes > 1
        self._copies: Replicas | None = None
        self._job: Processes | None = None  # that they are of

    def _replicas(self) -> Replicas | None:
        """What trains under this distribution in this process, of whose job it is a part."""
        processes, devices = JOB.processes, self.device_mesh.devices.size
        if devices != (1 if processes is None else processes.size):
            raise NotImplementedError(
                explain(
                    f"A process computes on one device, and this distribution has {devices}.",
                    distribution=self,
                    processes=1 if processes is None else processes.size,
                    fix=f"start {devices} processes: `torchrun --nproc-per-node {devices} -m"
                    " torchkeras run script.py`, or call `keras.distribution.initialize()` under"
                    " `torchrun` before you make the distribution.",
                )
            )
        if self._copies is None or self._job is not processes:
            self._copies, self._job = self._make_copies(processes), processes
        return self._copies

    def _make_copies(self, processes: Processes) -> Replicas:
        raise NotImplementedError(f"`fit` does not train models under {type(self).__name__}.")

    @property
    def num_processes(self) -> int:
        """Number of processes in the job."""
        return self._num_processes

    @property
    def num_model_replicas(self) -> int:
        """How many copies of the model compute side by side."""
        raise NotImplementedError(f"{type(self).__name__} must define `num_model_replicas`.")

    @property
    def data_shard_id(self) -> int:
        """Which part of the data this process takes; the processes of a replica share one."""
        per_replica = max(1, self.num_processes // self.num_model_replicas)
        return self._process_id // per_replica

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """Return the layout of a batch: cut along its first axis."""
        return TensorLayout(
            [self.batch_dim_name, *[None] * (len(data_shape) - 1)], self.device_mesh
        )

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """Return the layout of a variable: its own, or whole on every device."""
        own = getattr(variable, "_layout", None)
        return own or TensorLayout([None] * len(variable.shape), self.device_mesh)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """Return the layout of an intermediate result, or `None` to leave it."""
        return None

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Put this distribution in force within a `with` block."""
        former = distribution()
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(former)

    def distribute_dataset(self, dataset: Any) -> Any:
        """Return this process's part of a dataset: all of it where there is one process.

        Raises:
            ValueError: There are several processes, and this is no `tf.data.Dataset`; torch's
                `DistributedSampler` splits for them.
        """
        if not self._is_multi_process or not self.auto_shard_dataset:
            return dataset
        if hasattr(dataset, "rebatch") and hasattr(dataset, "element_spec"):
            return self.distribute_tf_dataset(dataset)
        raise ValueError(
            explain(
                f"The dataset type {type(dataset)} is not supported for auto-sharding in"
                " multi-process setting.",
                fix="use a DataLoader with torch's `DistributedSampler`, and"
                " `auto_shard_dataset=False`.",
            )
        )

    def distribute_tf_dataset(self, dataset: Any) -> Any:
        """Return this process's part of a `tf.data.Dataset`: all of it where there is one process.

        Each batch is divided among the processes, or among the copies of the model where one takes
        several processes.

        Args:
            dataset: Yields batches of the whole job's size.

        Raises:
            ValueError: It yields no batches, or such as cannot be divided evenly.
        """
        if not self._is_multi_process:
            return dataset
        if any(len(spec.shape) == 0 for spec in flatten(dataset.element_spec)):
            raise ValueError(
                explain(
                    f"{type(self).__name__}: the batch size of the dataset is unknown.",
                    element_spec=dataset.element_spec,
                    fix="call `dataset.batch(batch_size)` first.",
                )
            )
        replicas, processes = self.num_model_replicas, self.num_processes
        if replicas == 1:
            return dataset
        by_process = replicas >= processes
        shards = processes if by_process else replicas
        size = len(flatten(next(iter(dataset)))[0])
        if size % shards:
            raise ValueError(
                explain(
                    "Global batch size must be divisible by the number of"
                    f" {'processes' if by_process else 'copies of the model'}.",
                    batch_size=size,
                    number=shards,
                )
            )
        index = self._process_id if by_process else self.data_shard_id
        return dataset.rebatch(size // shards).shard(shards, index).prefetch(-1)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self.device_mesh}>"


@builtin("keras.distribution.DataParallel")
class DataParallel(Distribution):
    """Every device has the whole model and takes a part of each batch.

    Args:
        device_mesh: A mesh of one axis.
        devices: Instead of a mesh: the devices; default: `list_devices()`.
        auto_shard_dataset: Whether each process takes its own part of a dataset.

    Raises:
        ValueError: `device_mesh` is no mesh.

    Example:
        >>> DataParallel(devices=["cpu:0", "cpu:1"]).num_model_replicas
        2
    """

    def __init__(
        self,
        device_mesh: DeviceMesh | None = None,
        devices: Sequence[str] | None = None,
        auto_shard_dataset: bool = True,
    ) -> None:
        if device_mesh is None:
            devices = devices or list_devices()
            device_mesh = DeviceMesh((len(devices),), ["batch"], devices)
        if not isinstance(device_mesh, DeviceMesh):
            raise ValueError(
                "DataParallel: Expect `mesh` to be an instance of `DeviceMesh`."
                f" Received: {device_mesh!r} (of type {type(device_mesh)})"
            )
        if device_mesh.devices.ndim != 1:
            warnings.warn(
                f"Expect the input mesh to be 1D, but received {device_mesh}: batches are cut along"
                " its first axis only.",
                stacklevel=2,
            )
        super().__init__(device_mesh, device_mesh.axis_names[0], auto_shard_dataset)

    @property
    def num_model_replicas(self) -> int:
        """One copy of the model per device."""
        return self.device_mesh.devices.size

    def _make_copies(self, processes: Processes) -> Replicas:
        return Replicas(processes, self.auto_shard_dataset)


class FullyShardedDataParallel(DataParallel):
    """Every device takes a part of each batch, and holds a part of every weight only.

    Keras has nothing of the kind: this class is torchkeras's own, on PyTorch's FSDP2. A script
    stays as it is. A model is made whole and cut when it is first trained, tested or asked for
    predictions; from then on each device holds 1/N of its weights, of their gradients and of the
    optimizer's slots. The weights of a layer are brought together while it computes. `model.save`
    and `save_weights` write ordinary files, once.

    Args:
        device_mesh: A mesh of one axis.
        devices: Instead of a mesh: the devices; default: `list_devices()`.
        auto_shard_dataset: Whether each process takes its own part of a dataset.
        mixed_precision: Whether the weights of layers with a mixed dtype policy, such as
            `"mixed_bfloat16"`, travel in their compute dtype: half the bytes. Gradients are added
            up in float32. Or a `torch.distributed.fsdp.MixedPrecisionPolicy`, for all layers.
        reshard_after_forward: Whether a layer lets go of the whole weights after its forward pass,
            and gathers them again for the backward pass. An integer: as in `fully_shard`.

    Raises:
        ValueError: `device_mesh` is no mesh.

    Example:
        >>> FullyShardedDataParallel(devices=["cpu:0", "cpu:1"]).num_model_replicas
        2
    """

    def __init__(
        self,
        device_mesh: DeviceMesh | None = None,
        devices: Sequence[str] | None = None,
        auto_shard_dataset: bool = True,
        mixed_precision: Any = True,
        reshard_after_forward: bool | int = True,
    ) -> None:
        super().__init__(device_mesh, devices, auto_shard_dataset)
        self.mixed_precision = mixed_precision
        self.reshard_after_forward = reshard_after_forward

    def _make_copies(self, processes: Processes) -> Replicas:
        # By name: FSDP2 and DTensor are costly to import, and needed by few.
        module = importlib.import_module(f"{__package__}.fully_sharded")
        return module.FullyShardedReplicas(
            processes, self.auto_shard_dataset, self.mixed_precision, self.reshard_after_forward
        )


@builtin("keras.distribution.ModelParallel")
class ModelParallel(Distribution):
    """Variables are cut over the devices as a `LayoutMap` says, batches along one axis of the mesh.

    Args:
        layout_map: Layouts by the paths of variables; its mesh is the distribution's.
        batch_dim_name: The mesh's axis along which batches are cut; default: the first.
        auto_shard_dataset: Whether each process takes its own part of a dataset.

    Raises:
        ValueError: `layout_map` is missing or no `LayoutMap`.

    Example:
        >>> mesh = DeviceMesh((1, 2), ("batch", "model"), ["cpu:0", "cpu:1"])
        >>> ModelParallel(layout_map=LayoutMap(mesh)).num_model_replicas
        1
    """

    def __init__(
        self,
        *,
        layout_map: LayoutMap | None = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("device_mesh", None)  # of Keras 3.0; the map has it
        if kwargs:
            raise TypeError(f"ModelParallel has no arguments {sorted(kwargs)}.")
        if layout_map is None:
            raise ValueError("ModelParallel: You must specify a layout_map argument.")
        if not isinstance(layout_map, LayoutMap):
            raise ValueError(
                "ModelParallel: Argument `layout_map` must be a `LayoutMap` instance."
                f" Received: {layout_map!r}"
            )
        mesh = layout_map.device_mesh
        super().__init__(mesh, batch_dim_name or mesh.axis_names[0], auto_shard_dataset)
        self._layout_map = layout_map

    def _make_copies(self, processes: Processes) -> Replicas:
        module = importlib.import_module(f"{__package__}.model_parallel")
        return module.ModelReplicas(processes, self)

    @property
    def num_model_replicas(self) -> int:
        """The size of the mesh's axis along which batches are cut."""
        return self.device_mesh.shape[list(self.device_mesh.axis_names).index(self.batch_dim_name)]

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """Return the layout of a variable: its own, the map's, or whole on every device."""
        mapped = self._layout_map[variable.path]
        own = getattr(variable, "_layout", None)
        return own or mapped or super().get_variable_layout(variable)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """Return the map's layout of an intermediate result."""
        return self._layout_map[path]
