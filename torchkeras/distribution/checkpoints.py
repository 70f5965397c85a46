"""Checkpoints of models that are cut over processes: folders in which each process writes its part.

The format is that of `torch.distributed.checkpoint`: a file for each process, and `.metadata`,
which says where in the files each part of each tensor is. So a job of another size, or one process
alone, reads it too. Tensors are named by their places: `variables/3` is the fourth of a
model's `variables`, `optimizer/0` the first of its optimizer's.

PyTorch reads `.metadata` by `pickle`, which may run whatever a file says. Here only the classes are
known that such files consist of, and nothing but tensors is read.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from ..naming import explain
from .processes import JOB
from .strategy import replicas

__all__ = ["load_checkpoint", "save_checkpoint"]

Tensor = torch.Tensor

_METADATA = ".metadata"


def save_checkpoint(model: Any, folder: Any) -> None:
    """Save the state of a model and its optimizer such that each process writes what it holds.

    Not in Keras. All processes call it. Within `fit`, `BackupAndRestore` does it by itself. For one
    ordinary file call `model.save`, which gathers everything in one process.

    Args:
        model: The model; it is built.
        folder: Where to write; what is there is replaced once all has been written.

    Example:
        Under `torchrun`, after `fit`:

            keras.distribution.save_checkpoint(model, "checkpoints/10")
    """
    # Costly to import.
    import torch.distributed.checkpoint as dcp

    folder = os.fspath(folder)
    fresh, former = f"{folder}.next", f"{folder}.former"
    state = _state(model)
    _once(lambda: shutil.rmtree(fresh, ignore_errors=True))
    with _quietly():
        dcp.save(state, checkpoint_id=fresh)

    def replace() -> None:
        shutil.rmtree(former, ignore_errors=True)
        if os.path.exists(folder):
            os.rename(folder, former)
        os.rename(fresh, folder)
        shutil.rmtree(former, ignore_errors=True)

    _once(replace)


def load_checkpoint(model: Any, folder: Any) -> None:
    """Load what `save_checkpoint` has written, also with another number of processes.

    Args:
        model: One like the model that was saved; built, and compiled if its optimizer's state is to
            be loaded.
        folder: The folder.

    Raises:
        ValueError: The folder is no such checkpoint, or one of another model.
    """
    import torch.distributed.checkpoint as dcp

    folder = os.fspath(folder)
    if not os.path.exists(os.path.join(folder, _METADATA)):
        former = f"{folder}.former"  # training was killed between two renamings
        if not os.path.exists(os.path.join(former, _METADATA)):
            raise ValueError(
                explain(
                    f"'{folder}' is no checkpoint: it has no file {_METADATA}.",
                    fix="pass the folder that was given to `save_checkpoint`.",
                )
            )
        folder = former
    state = _state(model)
    reader = _reader(folder)
    known = reader.read_metadata().state_dict_metadata
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    found = {name: tuple(entry.size) for name, entry in known.items()}
    if shapes != found:
        strange = sorted(set(shapes.items()) ^ set(found.items()))
        raise ValueError(
            explain(
                f"'{folder}' is the checkpoint of another model than '{model.name}'.",
                first_differences=strange[:4],
                fix="make and compile the model as it was when the checkpoint was saved.",
            )
        )
    with _quietly():
        dcp.load(state, storage_reader=reader)


def _state(model: Any) -> dict[str, Tensor]:
    """The tensors of a model and its optimizer, those of which others hold parts as `DTensor`s."""
    together = replicas()
    if together is not None:
        together.prepare(model)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
    state = {f"variables/{i}": v.detach() for i, v in enumerate(model.variables)}
    if optimizer is not None:
        variables = optimizer.variables
        cut = {} if together is None else together.cut_slots(optimizer, model)
        for i, variable in enumerate(variables):
            state[f"optimizer/{i}"] = cut.get(id(variable), variable.detach())
    return state


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep PyTorch from warning where a process is alone."""
    with warnings.catch_warnings():
        if JOB.processes is None:
            warnings.simplefilter("ignore", UserWarning)
        yield


def _once(function: Any) -> None:
    if JOB.processes is None:
        function()
    else:
        JOB.processes.write_once(function)


def _reader(folder: str) -> Any:
    """A reader of a folder that reads tensors, and nothing else."""
    from torch.distributed.checkpoint import FileSystemReader
    from torch.distributed.checkpoint.metadata import StorageMeta, TensorStorageMetadata

    class Reader(FileSystemReader):
        def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
            path = os.path.join(folder, _METADATA)
            with open(path, "rb") as file:
                metadata = _Unpickler(file, path).load()
            entries = getattr(metadata, "state_dict_metadata", {})
            if not all(isinstance(entry, TensorStorageMetadata) for entry in entries.values()):
                raise _refused(path, "something that is no tensor")
            files = (info.relative_path for info in metadata.storage_data.values())
            if any(os.path.basename(name) != name for name in files):
                raise _refused(path, "a path to another folder")
            if metadata.storage_meta is None:
                metadata.storage_meta = StorageMeta()
            metadata.storage_meta.load_id = self.load_id
            return metadata

    return Reader(folder)


class _Unpickler(pickle.Unpickler):
    """Knows only what the metadata of checkpoints consist of.

    Args:
        file: Opened for reading.
        path: For messages.
    """

    def __init__(self, file: Any, path: str) -> None:
        super().__init__(file)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if name in _KNOWN.get(module, ()) or (
            module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)
        ):
            return super().find_class(module, name)
        raise _refused(self._path, f"{module}.{name}")


_KNOWN = {
    "torch": ("Size",),
    "torch.serialization": ("_get_layout",),
    "torch.distributed.checkpoint.metadata": (
        "Metadata",
        "TensorStorageMetadata",
        "TensorProperties",
        "ChunkStorageMetadata",
        "MetadataIndex",
        "StorageMeta",
        "_MEM_FORMAT_ENCODING",
    ),
    "torch.distributed.checkpoint.filesystem": ("_StorageInfo",),
    "pathlib": ("PosixPath", "WindowsPath"),
}


def _refused(path: str, what: str) -> ValueError:
    return ValueError(
        explain(
            f"'{path}' is not loaded: it holds {what}, which no checkpoint of a model does.",
            fix="load checkpoints that `save_checkpoint` or `BackupAndRestore` has written.",
        )
    )
