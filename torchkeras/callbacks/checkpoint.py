"""Callbacks that write files: `ModelCheckpoint` and `BackupAndRestore`.

A backup is two files, weights and metadata, and training may be killed between any two steps of
writing them. Both carry the same random mark, so that a restart can tell which metadata belongs to
the weights that are there.
"""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import shutil
import warnings
from typing import Any

import numpy as np
import torch

from ..naming import explain
from .callback import Callback, Logs
from .console import print_msg
from .monitor import MonitorCallback

__all__ = ["BackupAndRestore", "ModelCheckpoint"]

_MODEL_SUFFIXES = (".keras", ".h5", ".safetensors")
_WEIGHTS_SUFFIXES = (".weights.h5", ".safetensors")


class _BatchCounter:
    """Tells after every so many batches, counted across epochs."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.since = 0
        self.last = -1

    def is_due(self, batch: int) -> bool:
        """Note that batches up to `batch` are done; batches may be reported several at a time."""
        new_epoch = batch <= self.last
        self.since += batch + 1 if new_epoch else batch - self.last
        self.last = batch
        if self.since < self.every:
            return False
        self.since = 0
        return True


def _check_save_freq(callback: Callback, save_freq: Any) -> None:
    if save_freq != "epoch" and not isinstance(save_freq, int):
        raise ValueError(
            explain(
                f"{type(callback).__name__}: Invalid value of `save_freq`.",
                received=f"Unrecognized save_freq: {save_freq!r}",
                fix="pass 'epoch', or the number of batches between two files.",
            )
        )


class ModelCheckpoint(MonitorCallback):
    """Saves the model or its weights as training goes on.

    Args:
        filepath: Where to. May contain `{epoch}` (from 1), `{batch}` and the names of metrics, each
            with a format: `"model.{epoch:02d}-{val_loss:.2f}.keras"`.
        monitor: Name of the metric that tells which model is best.
        verbose: 1 prints what is done.
        save_best_only: Save only when the metric improves.
        save_weights_only: Save the weights only; `filepath` ends in `.weights.h5`.
        mode: `"min"`, `"max"` or `"auto"`; see `MonitorCallback`.
        save_freq: `"epoch"`, or the number of batches between two files.
        initial_value_threshold: Value that the first saved model must improve on.

    Raises:
        ValueError: `filepath` has another suffix, or `save_freq` is neither of these.
        KeyError: `filepath` names something that is not in `logs`.
        OSError: `filepath` is a directory.

    Example:
        >>> ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True).save_freq
        'epoch'
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        _check_save_freq(self, save_freq)
        self._counter = _BatchCounter(save_freq) if isinstance(save_freq, int) else None
        self._epoch = 0
        suffixes = _WEIGHTS_SUFFIXES if save_weights_only else _MODEL_SUFFIXES
        if not self.filepath.endswith(suffixes):
            raise ValueError(
                explain(
                    f"ModelCheckpoint: the filepath must end in {' or '.join(suffixes)}"
                    f"{' with `save_weights_only=True`' if save_weights_only else ''}.",
                    filepath=self.filepath,
                    fix=f"pass {os.path.splitext(self.filepath)[0] + suffixes[0]!r}.",
                )
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch, for files saved within it."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save if it is time to."""
        if self._counter is not None and self._counter.is_due(batch):
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save if files go by epochs."""
        self._settle()
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        logs = logs or {}
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(
                explain(
                    "ModelCheckpoint: please specify a non-directory filepath.",
                    filepath=path,
                    fix="name a file inside this directory, or remove the directory.",
                )
            )
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        fields = {"epoch": epoch + 1, **logs}
        if batch is not None:
            fields.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise KeyError(
                explain(
                    f"ModelCheckpoint: the filepath names {error}, which is not in the logs.",
                    filepath=self.filepath,
                    available=sorted(fields),
                )
            ) from error

    def _should_save(self, epoch: int, logs: dict[str, Any], path: str) -> bool:
        announce = print_msg if self.verbose > 0 else _silent
        if not self.save_best_only:
            announce(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None or np.ndim(current) > 0:
            missing = "it is not in the logs" if current is None else f"it is {current}"
            warnings.warn(
                f"Can save best model only with {self.monitor} available as a single number, but "
                f"{missing}; saving this model.",
                stacklevel=4,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            announce(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        announce(
            f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, "
            f"saving model to {path}"
        )
        self.best = current
        return True


def _silent(message: str) -> None:
    """Print nothing."""


class BackupAndRestore(Callback):
    """Lets a training that was interrupted go on where it was.

    The weights, the optimizer's state, the states of the random number generators and the epoch's
    number are backed up. When `fit` is called again with the same arguments, it begins with the
    epoch after the last complete one, and computes what the interrupted run would have.

    Args:
        backup_dir: Directory for the backup, used for nothing else.
        save_freq: `"epoch"`, or the number of batches between backups. A backup made within an
            epoch holds newer weights, but that epoch is started again.
        double_checkpoint: Keep the backup before the last one too, for the case that the last one
            cannot be read.
        delete_checkpoint: Remove the directory when training has ended.

    Raises:
        ValueError: `backup_dir` is empty, `save_freq` is neither of these, or, when training
            begins, the model is not built.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError(
                explain("Empty `backup_dir` argument passed.", received=repr(backup_dir))
            )
        _check_save_freq(self, save_freq)
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        by_batches = isinstance(save_freq, int) and save_freq > 0
        self._counter = _BatchCounter(save_freq) if by_batches else None
        self._weights_path = os.path.join(self.backup_dir, "latest.weights.h5")
        self._training_metadata_path = os.path.join(self.backup_dir, "training_metadata.json")
        self._prev_weights_path = _previous(self._weights_path)
        self._prev_training_metadata_path = _previous(self._training_metadata_path)
        self._current_epoch = 0
        self._last_batch_seen = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Restore the last backup, if there is one."""
        if not self.model.built:
            raise ValueError(
                explain(
                    "BackupAndRestore: the model must be built before `fit`.",
                    model=getattr(self.model, "name", self.model),
                    fix="give the model an `Input`, or call it on a batch of data first.",
                )
            )
        try:
            self._restore(self._weights_path, self._training_metadata_path)
        except (OSError, ValueError):
            if not os.path.exists(self._prev_weights_path):
                raise
            self._restore(self._prev_weights_path, self._prev_training_metadata_path)

    def _restore(self, weights_path: str, metadata_path: str) -> None:
        if not os.path.exists(weights_path):
            return
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None and not getattr(optimizer, "built", True):
            optimizer.build(self.model.trainable_variables)
        self.model.load_weights(weights_path)
        metadata = _read_metadata(metadata_path, _mark_of(weights_path))
        if metadata is None:
            return
        self._current_epoch = metadata["epoch"]
        self.model._initial_epoch = self._current_epoch
        if metadata.get("random"):
            _set_random_states(metadata["random"])

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Back up if backups go by epochs."""
        self._current_epoch = epoch + 1
        self._last_batch_seen = 0
        if self.save_freq == "epoch":
            self._back_up()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Back up if it is time to."""
        if self._counter is not None and self._counter.is_due(batch):
            self._last_batch_seen = batch
            self._back_up(within_epoch=True)

    def _back_up(self, within_epoch: bool = False) -> None:
        import h5py  # 0.09 s, and few programs save

        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._weights_path):
            for path in (self._weights_path, self._training_metadata_path):
                if os.path.exists(path):
                    _copy(path, _previous(path))
        mark = secrets.token_hex(8)
        fresh = os.path.join(self.backup_dir, "next.weights.h5")
        self.model.save_weights(fresh, overwrite=True)
        with h5py.File(fresh, "r+") as file:
            file.attrs["backup_mark"] = mark
        metadata = {
            "epoch": self._current_epoch,
            "batch": self._last_batch_seen,
            "mark": mark,
            # Within an epoch they say nothing about how it will be started again.
            "random": None if within_epoch else _random_states(),
        }
        with open(_next(self._training_metadata_path), "w") as file:
            json.dump(metadata, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._weights_path)
        os.replace(_next(self._training_metadata_path), self._training_metadata_path)

    def on_train_end(self, logs: Logs = None) -> None:
        """Remove the backup."""
        self.model._initial_epoch = None
        if self.delete_checkpoint and os.path.exists(self.backup_dir):
            shutil.rmtree(self.backup_dir)


def _previous(path: str) -> str:
    return f"{path}.bkp"


def _next(path: str) -> str:
    return f"{path}.next"


def _copy(source: str, target: str) -> None:
    """Copy a file so that `target` is at no time incomplete."""
    shutil.copyfile(source, _next(target))
    os.replace(_next(target), target)


def _mark_of(weights_path: str) -> str | None:
    import h5py  # 0.09 s, and few programs save

    with h5py.File(weights_path, "r") as file:
        return file.attrs.get("backup_mark")


def _read_metadata(path: str, mark: str | None) -> dict[str, Any] | None:
    """The metadata that belongs to the weights with this mark."""
    for candidate in (path, _next(path)):
        if os.path.exists(candidate):
            with open(candidate) as file:
                metadata = json.load(file)
            if mark is None or metadata.get("mark", mark) == mark:
                return metadata
    return None


def _random_states() -> dict[str, Any]:
    """States of the generators of torch, NumPy and Python, as JSON can hold them."""
    name, keys, *rest = np.random.get_state()
    return {
        "torch": _encode(torch.get_rng_state()),
        "cuda": [_encode(s) for s in torch.cuda.get_rng_state_all()]
        if torch.cuda.is_initialized()
        else [],
        "numpy": [name, keys.tolist(), *rest],
        "python": random.getstate(),
    }


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(_decode(states["torch"]))
    if states["cuda"] and torch.cuda.device_count() >= len(states["cuda"]):
        torch.cuda.set_rng_state_all([_decode(s) for s in states["cuda"]])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))


def _encode(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _decode(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
