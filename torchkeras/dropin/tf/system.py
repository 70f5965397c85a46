"""Devices, summaries and checkpoints: what surrounds the computing in a script."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from ...config import default_device
from ...dtypes import to_numpy
from ...naming import explain
from ...saving.api import WRITING
from ...saving.tf_bundle import is_checkpoint, latest_checkpoint
from ...saving.tf_checkpoint import restore_objects
from ...variables import Variable
from .modules import Module
from .tables import named
from .tensors import as_tensor

__all__ = [
    "COMPAT",
    "COMPAT_V1",
    "COMPAT_V1_LOGGING",
    "CONFIG",
    "CONFIG_EXPERIMENTAL",
    "CONFIG_OPTIMIZER",
    "CONFIG_THREADING",
    "SUMMARY",
    "SUMMARY_EXPERIMENTAL",
    "TRAIN",
    "device",
    "get_logger",
]


# Devices ------------------------------------------------------------------------------------------


class PhysicalDevice(NamedTuple):
    """A device as TensorFlow lists it."""

    name: str
    device_type: str


def _listed(prefix: str) -> Callable[..., list[PhysicalDevice]]:
    def devices(device_type: str | None = None) -> list[PhysicalDevice]:
        """The CPU and each CUDA device (called GPU, as in TensorFlow), or those of one type."""
        gpus = [("GPU", i) for i in range(torch.cuda.device_count())]
        found = [PhysicalDevice(f"{prefix}:{t}:{i}", t) for t, i in [("CPU", 0), *gpus]]
        return [d for d in found if device_type in (None, d.device_type)]

    return devices


_physical = _listed("/physical_device")


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Accept a setting that PyTorch has no need of."""


def _memory_info(device: str) -> dict[str, int]:
    if not torch.cuda.is_available():
        raise ValueError(f"No memory statistics for {device!r}: there is no CUDA device.")
    number = int(device.rpartition(":")[2]) if device[-1].isdigit() else 0
    return {
        "current": torch.cuda.memory_allocated(number),
        "peak": torch.cuda.max_memory_allocated(number),
    }


CONFIG: dict[str, Any] = {
    "LogicalDevice": PhysicalDevice,
    "LogicalDeviceConfiguration": lambda **kwargs: kwargs,
    "PhysicalDevice": PhysicalDevice,
    "experimental_run_functions_eagerly": _nothing,
    "functions_run_eagerly": lambda: True,
    "get_soft_device_placement": lambda: True,
    "get_visible_devices": _physical,
    "list_logical_devices": _listed("/device"),
    "list_physical_devices": _physical,
    "run_functions_eagerly": _nothing,
    "set_logical_device_configuration": _nothing,
    "set_soft_device_placement": _nothing,
    "set_visible_devices": _nothing,
}
CONFIG_EXPERIMENTAL: dict[str, Any] = {
    "VirtualDeviceConfiguration": lambda **kwargs: kwargs,
    "enable_op_determinism": lambda: torch.use_deterministic_algorithms(True),
    "enable_tensor_float_32_execution": lambda enabled: setattr(
        torch.backends.cuda.matmul, "allow_tf32", bool(enabled)
    ),
    "get_memory_growth": lambda device: True,
    "get_memory_info": _memory_info,
    "list_logical_devices": _listed("/device"),
    "list_physical_devices": _physical,
    "set_memory_growth": _nothing,
    "set_virtual_device_configuration": _nothing,
}
CONFIG_THREADING: dict[str, Any] = {
    "get_inter_op_parallelism_threads": torch.get_num_interop_threads,
    "get_intra_op_parallelism_threads": torch.get_num_threads,
    "set_inter_op_parallelism_threads": _nothing,
    "set_intra_op_parallelism_threads": lambda num_threads: torch.set_num_threads(num_threads),
}
CONFIG_OPTIMIZER: dict[str, Any] = {"set_jit": _nothing, "set_experimental_options": _nothing}


def device(device_name: Any) -> Any:
    """Put new tensors on a device: `"/CPU:0"`, `"/GPU:0"`, `"cuda:1"`."""
    found = re.search(r"(cpu|gpu|cuda)(?::(\d+))?$", str(device_name).lower())
    if found is None:
        raise ValueError(
            explain(
                f"tf.device: {device_name!r} is no device that PyTorch has.",
                expected="'/CPU:0' or '/GPU:0'",
                fix="use a name of `tf.config.list_physical_devices()`.",
            )
        )
    kind, number = found.groups()
    if kind == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        return contextlib.nullcontext()  # soft placement: where there is no GPU, the CPU
    return torch.device("cuda", int(number or 0))


# Summaries ----------------------------------------------------------------------------------------

_WRITERS: list[_Writer] = []
_STEP: list[int | None] = [None]
_RECORDED = [True]


class _Writer:
    """Writes to TensorBoard's files through `torch.utils.tensorboard`; in one of the processes."""

    writer: Any = None

    def __init__(self, logdir: Any, **options: Any) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                explain("tf.summary needs TensorBoard.", fix="`pip install tensorboard`.")
            ) from error
        if WRITING.is_first:
            self.writer = SummaryWriter(os.fspath(logdir))

    @contextlib.contextmanager
    def as_default(self, step: int | None = None) -> Iterator[_Writer]:
        """Let summaries inside be written here."""
        former = _STEP[0]
        _WRITERS.append(self)
        _STEP[0] = former if step is None else int(step)
        try:
            yield self
        finally:
            _WRITERS.pop()
            _STEP[0] = former
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if self.writer is not None:
            self.writer.flush()

    def close(self) -> None:
        """End writing."""
        if self.writer is not None:
            self.writer.close()


def _summary(add: Callable[..., Any]) -> Any:
    def write(name: str, data: Any, step: Any = None, **options: Any) -> bool:
        if not _WRITERS or not _RECORDED[-1]:
            return False
        step = _STEP[0] if step is None else int(step)
        if step is None:
            raise ValueError("No step set. Pass `step`, or use `tf.summary.experimental.set_step`.")
        known = {"sample_rate": options["sample_rate"]} if "sample_rate" in options else {}
        if _WRITERS[-1].writer is not None:
            add(_WRITERS[-1].writer, name, data, step, **known)
        return True

    return write


def _add_sounds(writer: Any, name: str, data: Any, step: int, sample_rate: Any = 44100) -> None:
    for place, sound in enumerate(as_tensor(data)[:3]):
        writer.add_audio(f"{name}/{place}", sound.T, step, int(sample_rate))


@contextlib.contextmanager
def _record_if(condition: Any) -> Iterator[None]:
    """Write summaries inside only where a condition, or what a function gives now, holds."""
    _RECORDED.append(bool(condition() if callable(condition) else condition))
    try:
        yield
    finally:
        _RECORDED.pop()


def _set_step(step: Any) -> None:
    _STEP[0] = None if step is None else int(step)


SUMMARY: dict[str, Any] = {
    "create_file_writer": _Writer,
    "audio": _summary(_add_sounds),
    "create_noop_writer": lambda: contextlib.nullcontext(),
    "flush": lambda writer=None, name=None: [w.flush() for w in _WRITERS] and None,
    "histogram": _summary(lambda w, n, d, s: w.add_histogram(n, to_numpy(as_tensor(d)), s)),
    "image": _summary(lambda w, n, d, s: w.add_images(n, as_tensor(d), s, dataformats="NHWC")),
    "record_if": _record_if,
    "scalar": _summary(lambda w, n, d, s: w.add_scalar(n, float(as_tensor(d).detach()), s)),
    "text": _summary(lambda w, n, d, s: w.add_text(n, str(d), s)),
}
SUMMARY_EXPERIMENTAL: dict[str, Any] = {"get_step": lambda: _STEP[0], "set_step": _set_step}


# Checkpoints --------------------------------------------------------------------------------------


class Checkpoint:
    """Saves and restores the variables of models, optimizers, modules and single variables.

    The files are PyTorch's, read without running code. Those of TensorFlow are read as well.

    Args:
        root: An object, for the name `root`.
        kwargs: Objects by name, which are also attributes.

    Example:
        >>> from tempfile import mkdtemp
        >>> v = Variable(1.0)
        >>> path = Checkpoint(v=v).save(mkdtemp() + "/ckpt")
        >>> _ = v.assign(5.0); _ = Checkpoint(v=v).restore(path)
        >>> v.item(), path.endswith("ckpt-1")
        (1.0, True)
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        self._objects = {**({} if root is None else {"root": root}), **kwargs}
        self.save_counter = Variable(0, dtype="int64", trainable=False)
        self.__dict__.update(kwargs)

    def save(self, file_prefix: Any, options: Any = None) -> str:
        """Write `{file_prefix}-{number}`; returns that path."""
        self.save_counter.assign_add(1)
        return self.write(f"{os.fspath(file_prefix)}-{int(self.save_counter)}")

    def write(self, file_prefix: Any, options: Any = None) -> str:
        """Write to a path, and return it; of several processes the first one writes."""
        path = os.fspath(file_prefix)
        _once(lambda: self._write(path))
        return path

    def _write(self, path: str) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        found = {name: _variables(item) for name, item in self._objects.items()}
        tensors = {name: [v.detach().clone() for v in vs] for name, vs in found.items()}
        tensors["save_counter"] = [self.save_counter.detach().clone()]
        torch.save(tensors, path + _SUFFIX)
        with open(os.path.join(os.path.dirname(path) or ".", "checkpoint"), "w") as file:
            file.write(f'model_checkpoint_path: "{os.path.basename(path)}"\n')

    def restore(self, save_path: Any, options: Any = None) -> _Status:
        """Set the variables to what a file has; `None` does nothing."""
        if save_path is None:
            return _Status()
        path = os.fspath(save_path)
        if not os.path.exists(path + _SUFFIX):
            if not is_checkpoint(path):
                raise FileNotFoundError(
                    explain(
                        f"tf.train.Checkpoint: there is no checkpoint {path!r}.",
                        expected=f"{path}{_SUFFIX}, or TensorFlow's {path}.index",
                    )
                )
            restore_objects({**self._objects, "save_counter": self.save_counter}, path)
            return _Status()
        saved = torch.load(path + _SUFFIX, weights_only=True, map_location=default_device())
        for name, item in {**self._objects, "save_counter": self.save_counter}.items():
            variables, values = _variables(item), saved.get(name, [])
            if len(variables) != len(values):
                raise ValueError(
                    explain(
                        f"tf.train.Checkpoint: {name!r} has {len(variables)} variables, the file"
                        f" {len(values)}.",
                        fix="build the model and the optimizer before restoring.",
                    )
                )
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return _Status()

    read = restore


_SUFFIX = ".ckpt.pt"


class _Status:
    """What `restore` gives; everything has been checked already."""

    def assert_consumed(self) -> _Status:
        """Return itself."""
        return self

    assert_existing_objects_matched = assert_nontrivial_match = expect_partial = assert_consumed


def _once(write: Callable[[], Any]) -> None:
    write() if WRITING.once is None else WRITING.once(write)


def _variables(item: Any) -> list[Variable]:
    if isinstance(item, Variable):
        return [item]
    if isinstance(item, Module) or hasattr(item, "variables"):
        return list(item.variables)
    return []


class CheckpointManager:
    """Numbers checkpoints in a folder and deletes old ones.

    Args:
        checkpoint: What to save.
        directory: Where.
        max_to_keep: How many to keep; `None` for all.
        checkpoint_name: Of the files.
        options: Ignored.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: Any,
        max_to_keep: int | None = None,
        checkpoint_name: str = "ckpt",
        **options: Any,
    ) -> None:
        self.checkpoint, self.directory = checkpoint, os.fspath(directory)
        self._keep, self._name = max_to_keep, checkpoint_name

    @property
    def checkpoints(self) -> list[str]:
        """The paths of what is there, the oldest first."""
        pattern = re.compile(rf"{re.escape(self._name)}-(\d+){re.escape(_SUFFIX)}$")
        names = os.listdir(self.directory) if os.path.isdir(self.directory) else []
        found = sorted((int(m[1]), n) for n in names if (m := pattern.match(n)))
        return [os.path.join(self.directory, n.removesuffix(_SUFFIX)) for _, n in found]

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the newest."""
        return (self.checkpoints or [None])[-1]

    def save(self, checkpoint_number: Any = None, **options: Any) -> str:
        """Save, delete what is too old, and return the path."""
        prefix = os.path.join(self.directory, self._name)
        if checkpoint_number is None:
            path = self.checkpoint.save(prefix)
        else:
            path = self.checkpoint.write(f"{prefix}-{int(checkpoint_number)}")
        _once(self._forget_old)
        return path

    def _forget_old(self) -> None:
        for old in self.checkpoints[: -self._keep] if self._keep else ():
            os.remove(old + _SUFFIX)

    def restore_or_initialize(self) -> str | None:
        """Restore the newest, if there is one."""
        newest = self.latest_checkpoint
        self.checkpoint.restore(newest)
        return newest


def _latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    path = latest_checkpoint(checkpoint_dir, latest_filename)
    is_there = path is not None and (os.path.exists(path + _SUFFIX) or is_checkpoint(path))
    return path if is_there else None


TRAIN: dict[str, Any] = {
    "Checkpoint": Checkpoint,
    "CheckpointManager": CheckpointManager,
    "latest_checkpoint": _latest_checkpoint,
}


# Small things -------------------------------------------------------------------------------------


def get_logger() -> logging.Logger:
    """The logger named `tensorflow`, on which scripts set a level."""
    return logging.getLogger("tensorflow")


def _as_bytes(value: Any, encoding: str = "utf-8") -> bytes:
    return value.encode(encoding) if isinstance(value, str) else bytes(value)


def _as_text(value: Any, encoding: str = "utf-8") -> str:
    return value if isinstance(value, str) else bytes(value).decode(encoding)


COMPAT: dict[str, Any] = {
    "as_bytes": _as_bytes,
    "as_str": _as_text,
    "as_text": _as_text,
    "dimension_value": lambda dimension: dimension,
}
COMPAT_V1: dict[str, Any] = {"enable_eager_execution": _nothing, "enable_v2_behavior": _nothing}
COMPAT_V1_LOGGING: dict[str, Any] = {
    **{name: getattr(logging, name) for name in ("DEBUG", "ERROR", "FATAL", "INFO", "WARN")},
    "set_verbosity": lambda v: get_logger().setLevel(v),
    "get_verbosity": lambda: get_logger().level,
}

for _table in (CONFIG, CONFIG_EXPERIMENTAL, CONFIG_THREADING, SUMMARY, COMPAT):
    named(_table)
