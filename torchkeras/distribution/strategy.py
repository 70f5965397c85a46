"""How a model and its data are spread over devices, and which way is in force.

One process and one device are all that runs today: `fit` under a distribution of several devices
raises and says so. The classes are complete as descriptions, so that scripts can be written.
Source: `keras.distribution` (names, rules of layouts).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch.distributed

from ..config import at_clear_session
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..registry import builtin
from ..tree import flatten
from .layout import DeviceMesh, LayoutMap, TensorLayout, list_devices

__all__ = [
    "DataParallel",
    "Distribution",
    "ModelParallel",
    "distribute_tensor",
    "distribution",
    "initialize",
    "require_one_device",
    "require_shared_data",
    "set_distribution",
]


class _Current:
    """The distribution in force."""

    value: Distribution | None = None


def distribution() -> Distribution | None:
    """Return the distribution in force, or `None`."""
    return _Current.value


def set_distribution(value: Distribution | None) -> None:
    """Put a distribution in force for the models made from here on; `None` for none.

    Args:
        value: A `DataParallel`, a `ModelParallel`, or `None`.
    """
    _Current.value = value


at_clear_session(lambda: set_distribution(None))


def require_one_device() -> None:
    """Refuse to go on under a distribution over several devices.

    Raises:
        NotImplementedError: One is in force.
    """
    current = distribution()
    if current is not None and current.device_mesh.devices.size > 1:
        raise NotImplementedError(
            explain(
                "Training on several devices through `keras.distribution` is not available yet.",
                distribution=current,
                fix="call `set_distribution(None)`, and wrap the model, which is a torch.nn.Module,"
                " in `torch.nn.parallel.DistributedDataParallel`.",
            )
        )


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Join the processes of a job; `torchrun` does so before a script starts.

    Args:
        job_addresses, num_processes, process_id: As in Keras.

    Raises:
        NotImplementedError: More than one process, which is not available yet.
    """
    if job_addresses is None and num_processes in (None, 1) and process_id in (None, 0):
        return
    raise NotImplementedError(
        explain(
            "keras.distribution.initialize: jobs of several processes are not available yet.",
            job_addresses=job_addresses,
            num_processes=num_processes,
            fix="call `torch.distributed.init_process_group` and train with PyTorch's DDP.",
        )
    )


def _processes() -> tuple[int, int]:
    """How many processes there are, and which one this is."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size(), torch.distributed.get_rank()
    return 1, 0


def distribute_tensor(tensor: Any, layout: TensorLayout) -> Any:
    """Lay a tensor out over the devices of a mesh; with one device it is laid out already.

    Args:
        tensor: A tensor, or a symbolic one, which is returned.
        layout: How.

    Raises:
        NotImplementedError: The mesh has several devices, which is not available yet.
    """
    mesh = layout.device_mesh
    if isinstance(tensor, KerasTensor) or mesh is None or mesh.devices.size == 1:
        return tensor
    raise NotImplementedError(
        explain(
            "Tensors over several devices through `keras.distribution` are not available yet.",
            layout=layout,
            fix="use `torch.distributed.tensor.distribute_tensor`.",
        )
    )


def require_shared_data(x: Any) -> None:
    """Refuse data of which each process of a job would take all where it should take a part.

    Raises:
        ValueError: A distribution over several processes is in force, and shares out datasets.
    """
    current = distribution()
    if current is None or not (current._is_multi_process and current.auto_shard_dataset):
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
