"""Callbacks that write files: `ModelCheckpoint` and `BackupAndRestore`.

A backup is a file of weights with a group of its own for what else training depends on: the epoch
and the batch, the metrics, and where in the data training was, random states included. Beside it
lie the epoch and the batch as JSON, where Keras looks for them. Where a model is cut over processes
(`FullyShardedDataParallel`), the file has no weights, but the name of a folder to which each
process has written its part.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..distribution.checkpoints import load_checkpoint, save_checkpoint
from ..distribution.processes import JOB, is_first
from ..distribution.strategy import replicas
from ..naming import explain
from ..saving.atomic import replacing
from ..saving.h5_guard import load_json, open_h5
from ..saving.weights_h5 import to_array, write_array
from .callback import Callback, Logs
from .console import print_msg
from .logs import as_numbers
from .monitor import MonitorCallback

__all__ = ["BackupAndRestore", "ModelCheckpoint"]

_MODEL_SUFFIXES = (".keras", ".h5", ".safetensors")
_WEIGHTS_SUFFIXES = (".weights.h5", ".safetensors")
_SHARDED_SUFFIXES = (".weights.json",)


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
        save_weights_only: Save the weights only; `filepath` ends in `.weights.h5` or
            `.safetensors`.
        mode: `"min"`, `"max"` or `"auto"`; see `MonitorCallback`.
        save_freq: `"epoch"`, or the number of batches between two files.
        initial_value_threshold: Value that the first saved model must improve on.
        max_shard_size: Write the weights as several files of at most so many GB, and `filepath`,
            which then ends in `.weights.json`, as a map of them. Needs `save_weights_only`.

    Raises:
        ValueError: `filepath` has another suffix, or `save_freq` is neither of these.
        KeyError: `filepath` names something that is not in `logs`.
        OSError: `filepath` is a directory.

    Example:
        >>> ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True).save_freq
        'epoch'
    """

    _carried = ("best", "_count", "_epoch")

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
        max_shard_size: float | None = None,
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
        self.max_shard_size = max_shard_size
        suffixes = _WEIGHTS_SUFFIXES if save_weights_only else _MODEL_SUFFIXES
        if max_shard_size is not None:
            suffixes = _SHARDED_SUFFIXES if save_weights_only else ()
        if not suffixes:
            raise ValueError(
                explain(
                    "ModelCheckpoint: only weights can be written as several files.",
                    max_shard_size=max_shard_size,
                    fix="pass `save_weights_only=True` and a filepath that ends in .weights.json.",
                )
            )
        if not self.filepath.endswith(suffixes):
            raise ValueError(
                explain(
                    f"ModelCheckpoint: the filepath must end in {' or '.join(suffixes)}"
                    f"{' with `save_weights_only=True`' if save_weights_only else ''}.",
                    filepath=self.filepath,
                    fix=f"pass {os.path.splitext(self.filepath)[0] + suffixes[0]!r}.",
                )
            )

    @property
    def _reads_batches(self) -> bool:
        return self._counter is not None

    @property
    def _count(self) -> list[int] | None:
        """How many batches have been counted since the last file, and the last one of them."""
        return None if self._counter is None else [self._counter.since, self._counter.last]

    @_count.setter
    def _count(self, value: list[int] | None) -> None:
        if self._counter is not None and value is not None:
            self._counter.since, self._counter.last = value

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch, for files saved within it."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Save if it is time to."""
        if self._counter is not None and self._counter.is_due(batch):
            self._save_model(epoch=self._epoch, batch=batch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save if files go by epochs."""
        self._settle()
        if self.save_freq == "epoch":
            self._save_model(epoch=epoch, batch=None, logs=logs)

    # The names and parameters of the next three are Keras's: subclasses override them.

    def _save_model(self, epoch: int, batch: int | None, logs: Logs) -> None:
        logs = logs or {}
        path = self._get_file_path(epoch, batch, logs)
        if not self._should_save_model(epoch, batch, logs, path):
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
        if self.max_shard_size is not None:
            size = self.max_shard_size
            self.model.save_weights(path, overwrite=True, max_shard_size=size)
        elif self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _get_file_path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
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

    def _should_save_model(
        self, epoch: int, batch: int | None, logs: dict[str, Any], filepath: str
    ) -> bool:
        announce = print_msg if self.verbose > 0 else _silent
        if not self.save_best_only:
            announce(f"\nEpoch {epoch + 1}: saving model to {filepath}")
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
            f"saving model to {filepath}"
        )
        self.best = current
        return True


def _silent(message: str) -> None:
    """Print nothing."""


class BackupAndRestore(Callback):
    """Lets a training that was interrupted go on where it was.

    When `fit` is called again with the same arguments, it goes on after the last backup, also in
    the middle of an epoch, and computes bit for bit what the interrupted run would have. Backed up
    are the weights, the state of the optimizer, the metrics, the random number generators, how far
    in the data training was, and what `EarlyStopping`, `ReduceLROnPlateau`, `ModelCheckpoint` and
    `TensorBoard` remember. Batches that are done are passed over: by their numbers, where data has
    any; otherwise they are drawn and dropped.

    Not backed up is what the user's own callbacks and data keep to themselves. A `PyDataset` is
    told of the beginning and the end of all epochs it missed; a generator of validation data starts
    from its beginning.

    Args:
        backup_dir: Directory for the backup, used for nothing else.
        save_freq: `"epoch"`, or the number of batches between backups.
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
        self._iterator: Any = None
        self._callbacks: list[Any] = []
        # What `resume_others` hands back: callbacks and their attributes.
        self._kept: list[tuple[Any, dict[str, Any]]] = []
        self._state: dict[str, Any] = {}
        self._current_epoch = 0
        self._last_batch_seen = 0
        # That of the last backup, if weights are cut over processes.
        self._folder: str | None = None

    @property
    def _reads_batches(self) -> bool:
        return self._counter is not None

    def set_iterator(self, iterator: Any, callbacks: list[Any]) -> None:
        """Receive the `EpochIterator` that `fit` draws from, and all callbacks of this `fit`.

        It is not one of Keras's hooks.
        """
        self._iterator, self._callbacks = iterator, callbacks

    # Restoring -----------------------------------------------------------------------------------

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
        if self._iterator is not None:
            self._iterator.keep_track()
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
        state, values = _read_state(weights_path)
        self._load(weights_path, state)
        if state is None:  # a backup of Keras's own
            if os.path.exists(metadata_path):
                with open(metadata_path) as file:
                    self._begin_at(json.load(file)["epoch"])
            return
        self._begin_at(state["epoch"])
        if self._counter is not None:  # the next backup comes when it would have come
            self._counter.since, self._counter.last = 0, state["batch"]
        if not _has_ended(metadata_path):
            self._kept, self._state = _attributes_in(self._callbacks, state, values), state
        if optimizer is not None and state["logs"] is not None:
            _step_schedulers(optimizer, state["logs"])
        if self._iterator is None or state["data"] is None:
            return
        if not _fit(_variables_beside_weights(self.model)["metrics"], values["metrics"]):
            self._show_a_batch()
        _set_variables(self.model, values)

        def restore_again() -> None:
            # Metrics were reset, and other callbacks may have changed something.
            self._load(weights_path, state)
            _set_variables(self.model, values)
            together = replicas()
            if together is not None:
                together.restored()

        self._iterator.restore(state["data"], then=restore_again)

    def _load(self, weights_path: str, state: dict[str, Any] | None) -> None:
        """Load the weights of a backup, and the optimizer's state."""
        self._folder = folder = None if state is None else state.get("folder")
        if folder is None:
            self.model.load_weights(weights_path)
        else:
            load_checkpoint(self.model, os.path.join(self.backup_dir, folder))

    def resume_others(self) -> None:
        """Give other callbacks back what they remembered, once all of them have begun to train.

        Those further down the list had not seen the end of the batch or epoch yet that is backed
        up: they see it now.
        """
        (kept, self._kept), (state, self._state) = (self._kept, []), (self._state, {})
        for callback, attributes in kept:
            for name, value in attributes.items():
                setattr(callback, name, value)
            if self._callbacks.index(callback) < self._callbacks.index(self):
                continue
            if callback._only_writes and not is_first():
                continue
            if state["logs"] is not None:
                callback.on_epoch_end(state["epoch"] - 1, dict(state["logs"]))
            else:
                logs = as_numbers(self.model.get_metrics_result())
                callback.on_train_batch_end(state["batch"], logs)
        if state.get("stopped") or (kept and self.model.stop_training):
            self.model._initial_epoch = self.params["epochs"]  # nothing is left to do

    def _show_a_batch(self) -> None:
        """Let metrics such as `R2Score` make the variables that they make at the first batch."""
        batch = self._iterator.data_adapter.peek(self._iterator.device)
        self.model.make_test_function()
        self.model.test_function([batch])

    def _begin_at(self, epoch: int) -> None:
        self._current_epoch = epoch
        self.model._initial_epoch = epoch

    # Backing up ----------------------------------------------------------------------------------

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Back up if backups go by epochs."""
        self._current_epoch = epoch + 1
        self._last_batch_seen = 0
        if self.save_freq == "epoch":
            self._back_up(0, logs or {})

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Back up if it is time to."""
        if self._counter is not None and self._counter.is_due(batch):
            self._last_batch_seen = batch
            self._back_up(batch + 1)

    def _back_up(self, done: int, logs: Logs = None) -> None:
        """Write a backup.

        Args:
            done: Batches of the epoch that are done, 0 at its end.
            logs: Results of an epoch that has ended, `None` within one.
        """
        together = replicas()
        if together is not None:
            together.merge(self.model)
            together.merge_statistics(self.model)
        folder = None
        if together is not None and together.is_cut:
            folder = f"{_FOLDER}{self._current_epoch}-{self._last_batch_seen}"
            save_checkpoint(self.model, os.path.join(self.backup_dir, folder))
        _write_once(lambda: self._write(done, logs, folder))

    def _write(self, done: int, logs: Logs, folder: str | None) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._weights_path):
            for path in (self._weights_path, self._training_metadata_path):
                if os.path.exists(path):
                    _copy(path, _previous(path))
        place = {"epoch": self._current_epoch, "batch": self._last_batch_seen}
        if logs is not None:
            logs = {name: value for name, value in logs.items() if isinstance(value, float)}
        data = None if self._iterator is None else self._iterator.position(done)
        # One file holds everything, so that its parts belong together whenever training is killed.
        fresh = os.path.join(self.backup_dir, "next.weights.h5")
        if folder is None:
            self.model.save_weights(fresh, overwrite=True)
        attributes, arrays = _carried_by(self._callbacks)
        state = {**place, "logs": logs, "data": data, "callbacks": attributes}
        state["stopped"], state["folder"] = bool(self.model.stop_training), folder
        beside = _variables_beside_weights(self.model) | arrays
        _add_state(fresh, state, beside, "r+" if folder is None else "w")
        os.replace(fresh, self._weights_path)
        self._remove_folders(folder)
        self._write_place(place)

    def _remove_folders(self, folder: str | None) -> None:
        """Remove the folders of former backups, but for the one that is kept as a second copy."""
        kept = [folder, self._folder if self.double_checkpoint else None]
        for name in os.listdir(self.backup_dir):
            if name.startswith(_FOLDER) and name not in kept:
                shutil.rmtree(os.path.join(self.backup_dir, name))
        self._folder = folder

    def _write_place(self, place: dict[str, Any]) -> None:
        with replacing(self._training_metadata_path) as file:  # where Keras looks for it
            file.write(json.dumps(place).encode())

    def on_train_end(self, logs: Logs = None) -> None:
        """Remove the backup, or note that training has come to its end."""
        self.model._initial_epoch = None
        self._iterator, self._callbacks = None, []
        _write_once(self._end)

    def _end(self) -> None:
        if self.delete_checkpoint and os.path.exists(self.backup_dir):
            shutil.rmtree(self.backup_dir)
        elif os.path.exists(self._weights_path):
            place = {"epoch": self._current_epoch, "batch": self._last_batch_seen}
            self._write_place({**place, "ended": True})


def _has_ended(metadata_path: str) -> bool:
    """Whether a training ended of itself: the next one goes on with callbacks that start afresh."""
    try:
        with open(metadata_path) as file:
            return bool(json.load(file).get("ended"))
    except (OSError, ValueError, AttributeError):
        return False


def _previous(path: str) -> str:
    return f"{path}.bkp"


def _copy(source: str, target: str) -> None:
    """Copy a file so that `target` is at no time incomplete."""
    with open(source, "rb") as former, replacing(target) as file:
        shutil.copyfileobj(former, file)


# How folders of weights begin that are cut over processes; the epoch and the batch follow.
_FOLDER = "parts-"
# The group of a backup's file that holds what is no weight, as Keras has it.
_GROUP = "training_state"


def _variables_beside_weights(model: Any) -> dict[str, list[Any]]:
    """The variables of a model that files of weights leave out."""
    weights = {id(weight) for weight in getattr(model, "weights", ())}
    seeds = [v for v in getattr(model, "variables", ()) if id(v) not in weights]
    return {"seeds": seeds, "metrics": [v for metric in model.metrics for v in metric.variables]}


def _add_state(
    path: str, state: dict[str, Any], variables: dict[str, list[Any]], mode: str = "r+"
) -> None:
    """Add the state of training to a file of weights, or to a new one, down to the disk."""
    import h5py  # 0.09 s, and few programs save

    with h5py.File(path, mode) as file:
        group = file.create_group(_GROUP)
        group["state"] = np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)
        for kind, members in variables.items():
            group.create_group(kind)
            for i, variable in enumerate(members):
                write_array(group[kind], str(i), *to_array(variable))
    with open(path, "rb") as written:
        os.fsync(written.fileno())


def _read_state(path: str) -> tuple[dict[str, Any] | None, dict[str, list[Any]]]:
    """Return what `_add_state` wrote; `None` if the file has only weights."""
    with open_h5(path) as file:
        group = file.group(_GROUP)
        if group is None:
            return None, {}
        state = load_json(file.read(file.dataset(group, "state")).tobytes(), path)
        values = {}
        carried = [
            _array_kind(number, name)
            for number, (_, _, names) in enumerate(state["callbacks"])
            for name in names
        ]
        for kind in ("seeds", "metrics", *carried):
            members = file.group(kind, group)
            numbers = range(len(file.names(members)))
            values[kind] = [file.read(file.dataset(members, str(i))) for i in numbers]
        return state, values


def _write_once(write: Callable[[], None]) -> None:
    """Write files; in a job one process does so, and the others wait."""
    if JOB.processes is None:
        write()
    else:
        JOB.processes.write_once(write)


def _set_variables(model: Any, values: dict[str, list[Any]]) -> None:
    for kind, variables in _variables_beside_weights(model).items():
        if not _fit(variables, values[kind]):
            warnings.warn(
                f"BackupAndRestore: the {kind} of model '{model.name}' are not those of the backup,"
                " and stay as they are. Call `fit` with the model and arguments it had.",
                stacklevel=2,
            )
            continue
        for variable, value in zip(variables, values[kind], strict=True):
            variable.assign(value)


def _fit(variables: list[Any], values: list[Any]) -> bool:
    return [tuple(v.shape) for v in variables] == [tuple(v.shape) for v in values]


def _array_kind(number: int, name: str) -> str:
    return f"callback_{number}_{name}"


def _carried_by(callbacks: list[Any]) -> tuple[list[Any], dict[str, list[Any]]]:
    """What callbacks remember: attributes as JSON can hold them, and lists of arrays.

    Returns: For each callback with any, its class, its attributes and the names of those that are
        arrays; and these.
    """
    found: list[Any] = []
    arrays: dict[str, list[Any]] = {}
    for callback in _remembering(callbacks):
        values = {name: getattr(callback, name, None) for name in callback._carried}
        lists = {name: value for name, value in values.items() if _are_arrays(value)}
        for name, value in lists.items():
            arrays[_array_kind(len(found), name)] = value
        plain = {name: _plain(value) for name, value in values.items() if name not in lists}
        found.append([type(callback).__name__, plain, list(lists)])
    return found, arrays


def _remembering(callbacks: list[Any]) -> list[Any]:
    return [callback for callback in callbacks if getattr(callback, "_carried", ())]


def _are_arrays(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, np.ndarray) for item in value)


def _plain(value: Any) -> Any:
    """A number as Python has it; `None` and lists of numbers stay."""
    is_python = value is None or isinstance(value, (bool, int, float, list))
    return value if is_python else float(value)


def _attributes_in(
    callbacks: list[Any], state: dict[str, Any], values: dict[str, list[Any]]
) -> list[tuple[Any, dict[str, Any]]]:
    """What the callbacks of a backup remembered; nothing if they are others."""
    callbacks = _remembering(callbacks)
    if [kind for kind, _, _ in state["callbacks"]] != [type(c).__name__ for c in callbacks]:
        warnings.warn(
            "BackupAndRestore: the callbacks are not those of the backup, and start afresh. Call"
            " `fit` with the callbacks it had, in their order.",
            stacklevel=2,
        )
        return []
    return [
        (callback, plain | {name: values[_array_kind(number, name)] for name in arrays})
        for number, (callback, (_, plain, arrays)) in enumerate(
            zip(callbacks, state["callbacks"], strict=True)
        )
    ]


def _step_schedulers(optimizer: Any, logs: dict[str, float]) -> None:
    """Do what `fit` does after all callbacks have ended an epoch, a backup's among them."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    step = getattr(inner, "on_epoch_end", None)
    if step is not None:
        step(logs)
