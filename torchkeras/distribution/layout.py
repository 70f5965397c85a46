"""Meshes of devices, and how tensors lie on them.

Letters: N axes of a mesh. Devices are named as in Keras, `"cpu:0"` or `"gpu:1"`, counted over all
processes. Nothing here touches a device: a layout says which axis of a tensor is cut along which
axis of the mesh.
Source: `keras.distribution` (names, lookup rules).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch

from ..naming import explain
from ..registry import builtin
from .processes import JOB

__all__ = ["DeviceMesh", "LayoutMap", "TensorLayout", "get_device_count", "list_devices"]

_TYPES = {"gpu": "cuda", "cuda": "cuda", "cpu": "cpu"}


def list_devices(device_type: str | None = None) -> list[str]:
    """List the devices of one type that the job computes on, one for each of its processes.

    A process that is in no job lists those of this machine.

    Args:
        device_type: `"cpu"` or `"gpu"`; default: GPUs where there are any.

    Returns: Their names, as `["gpu:0", "gpu:1"]`.

    Raises:
        ValueError: Another type.

    Example:
        >>> list_devices("cpu")
        ['cpu:0']
    """
    if device_type is None:
        gpus = torch.cuda.is_available() if JOB.processes is None else JOB.processes.on_gpu
        device_type = "gpu" if gpus else "cpu"
    kind = _TYPES.get(device_type.lower())
    if kind is None:
        raise ValueError(
            explain(
                "list_devices: PyTorch here has no devices of that type.",
                device_type=repr(device_type),
                expected="'cpu' or 'gpu'",
            )
        )
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if JOB.processes is not None:
        count = JOB.processes.size if (kind == "cuda") == JOB.processes.on_gpu else 0
    return [f"{device_type.lower()}:{i}" for i in range(count)]


def get_device_count(device_type: str | None = None) -> int:
    """Count the devices of one type, as `list_devices` does.

    Example:
        >>> get_device_count("cpu")
        1
    """
    return len(list_devices(device_type))


@builtin("keras.distribution.DeviceMesh")
class DeviceMesh:
    """Devices in a grid whose axes have names.

    Args:
        shape: Sizes of the N axes, as `(4, 2)`.
        axis_names: Their names, as `("batch", "model")`.
        devices: Names of the devices, as many as the grid has places; default: `list_devices()`.

    Raises:
        ValueError: The arguments do not go together.

    Example:
        >>> DeviceMesh((1, 2), ("batch", "model"), ["cpu:0", "cpu:1"])
        <DeviceMesh shape=(1, 2), axis_names=('batch', 'model')>
    """

    def __init__(
        self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None
    ) -> None:
        given = {"shape": shape, "axis_names": axis_names}
        if not shape or not axis_names:
            raise ValueError(explain("DeviceMesh: Shape and axis_names cannot be empty.", **given))
        if len(shape) != len(axis_names):
            raise ValueError(
                explain("DeviceMesh: Shape and axis_names should have same size.", **given)
            )
        devices = np.array(list_devices() if devices is None else devices)
        if math.prod(shape) != devices.size:
            raise ValueError(
                explain(
                    "DeviceMesh: Shape does not match the number of devices.",
                    shape=shape,
                    devices=devices.size,
                )
            )
        self.shape = shape
        self.axis_names = axis_names
        self.devices = devices.reshape(shape)

    def __repr__(self) -> str:
        return f"<DeviceMesh shape={self.shape}, axis_names={self.axis_names}>"


@builtin("keras.distribution.TensorLayout")
class TensorLayout:
    """Which axes of a tensor are cut along which axes of a mesh.

    Args:
        axes: For each axis of the tensor the name of a mesh's axis, or `None` to keep it whole.
        device_mesh: The mesh; it may be set later, once.

    Raises:
        ValueError: A name that the mesh does not have.

    Example:
        >>> TensorLayout((None, "model")).axes
        (None, 'model')
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None) -> None:
        self.axes = tuple(axes)
        self._device_mesh: DeviceMesh | None = None
        if device_mesh is not None:
            self.device_mesh = device_mesh

    @property
    def device_mesh(self) -> DeviceMesh | None:
        """The mesh, if it is known."""
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, device_mesh: DeviceMesh) -> None:
        if self._device_mesh is not None:
            raise ValueError(
                f"TensorLayout: Cannot override device mesh value. It is {self._device_mesh}."
            )
        unknown = set(self.axes) - {None} - set(device_mesh.axis_names)
        if unknown:
            raise ValueError(
                explain(
                    "TensorLayout: Invalid axis names for Layout.",
                    given=sorted(map(str, unknown)),
                    expected=list(device_mesh.axis_names),
                )
            )
        self._device_mesh = device_mesh

    def __repr__(self) -> str:
        return f"<TensorLayout axes={self.axes}, device_mesh={self.device_mesh}>"


@builtin("keras.distribution.LayoutMap")
class LayoutMap(MutableMapping[str, "TensorLayout"]):
    """From the paths of variables to their layouts; keys are looked up as regular expressions.

    Args:
        device_mesh: What layouts without a mesh get.

    Example:
        >>> layouts = LayoutMap(DeviceMesh((1,), ("model",), ["cpu:0"]))
        >>> layouts[".*dense.*kernel"] = (None, "model")
        >>> layouts["model/dense_1/kernel"].axes, layouts["model/dense_1/bias"]
        ((None, 'model'), None)
    """

    def __init__(self, device_mesh: DeviceMesh | None) -> None:
        self._layouts: dict[str, TensorLayout] = {}
        self._device_mesh = device_mesh

    @property
    def device_mesh(self) -> DeviceMesh | None:
        """What layouts without a mesh get."""
        return self._device_mesh

    def __getitem__(self, key: str) -> TensorLayout | None:
        """Return the layout under the key, or under the one pattern that matches it wholly.

        Raises:
            ValueError: Several patterns match.
        """
        if key in self._layouts:
            return self._layouts[key]
        patterns = [pattern for pattern in self._layouts if re.fullmatch(pattern, key)]
        if len(patterns) > 1:
            raise ValueError(
                explain(
                    f"LayoutMap: Path '{key}' matches multiple layout specification keys.",
                    keys=patterns,
                    fix="write patterns of which only one matches each path.",
                )
            )
        return self._layouts[patterns[0]] if patterns else None

    def __setitem__(self, key: str, layout: TensorLayout | tuple[str | None, ...]) -> None:
        """Add a layout, or the axes of one.

        Raises:
            ValueError: The key is there already, or `layout` is neither.
        """
        if key in self._layouts:
            raise ValueError(f"LayoutMap: {key} already exist with value {self._layouts[key]}.")
        if isinstance(layout, tuple):
            layout = TensorLayout(layout)
        if not isinstance(layout, TensorLayout):
            raise ValueError(
                f"LayoutMap: {layout} should be a TensorLayout type, got {type(layout)}."
            )
        if layout.device_mesh is None and self._device_mesh is not None:
            layout.device_mesh = self._device_mesh
        self._layouts[key] = layout

    def __delitem__(self, key: str) -> None:
        del self._layouts[key]

    def __len__(self) -> int:
        return len(self._layouts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)
