"""Callbacks that record, report or watch: `History`, `CSVLogger`, `TerminateOnNaN` and others."""

from __future__ import annotations

import csv
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TextIO

import numpy as np

from ..naming import explain
from .callback import Callback, Logs
from .console import print_msg

__all__ = ["CSVLogger", "History", "LambdaCallback", "RemoteMonitor", "TerminateOnNaN"]


class History(Callback):
    """Records the results of each epoch; `fit` adds one and returns it.

    Attributes:
        epoch: Numbers of the epochs of the last `fit`.
        history: From the name of each loss and metric to its values, one per epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        """Begin a new list of epochs."""
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Record the epoch's results."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class CSVLogger(Callback):
    """Writes the results of each epoch as a line of a CSV file.

    Args:
        filename: The file.
        separator: What stands between columns.
        append: Add to a file that is there already, instead of replacing it.
    """

    _only_writes = True

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.sep = separator
        self.filename = os.fspath(filename)
        self.append = append
        self.keys: list[str] | None = None
        self.append_header = True
        self.csv_file: TextIO | None = None
        self.writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Open the file."""
        self._close()
        if self.append and os.path.exists(self.filename):
            self.append_header = os.path.getsize(self.filename) == 0
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a line, and before the first one a header."""
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            # The first epoch may come without validation and a later one with it.
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        if self.writer is None:
            self.writer = csv.writer(self.csv_file, delimiter=self.sep)
            if self.append_header:
                self.writer.writerow(["epoch", *self.keys])
        self.writer.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])
        self.csv_file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self.writer = None


def _cell(value: Any) -> Any:
    """A value as one cell: several numbers become `"[1, 2]"`, quotes included."""
    single = isinstance(value, str) or np.ndim(value) == 0
    return value if single else f'"[{", ".join(map(str, value))}]"'


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin: Called with `(epoch, logs)`.
        on_epoch_end: Called with `(epoch, logs)`.
        on_train_begin: Called with `(logs)`.
        on_train_end: Called with `(logs)`.
        on_train_batch_begin: Called with `(batch, logs=...)`.
        on_train_batch_end: Called with `(batch, logs=...)`.
        **kwargs: Any other hook of `Callback`.

    Example:
        >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch)).on_epoch_end(3, {})
        3
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update(kwargs)
        self.__dict__.update({name: hook for name, hook in named.items() if hook is not None})


class TerminateOnNaN(Callback):
    """Stops training when the loss is no longer finite.

    Looks at the loss after each batch, which waits for the device each time.

    Args:
        raise_error: Raise an error instead of ending `fit` in the ordinary way.

    Raises:
        RuntimeError: The loss is not finite and `raise_error` is set.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Check the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                explain(
                    f"NaN or Inf loss encountered at batch {batch}: training cannot go on.",
                    loss=float(loss),
                    fix="lower the learning rate, clip gradients, or mend bad values in the data.",
                )
            )
        print_msg(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class RemoteMonitor(Callback):
    """Posts the results of each epoch to a server; needs the `requests` package.

    Args:
        root: Address of the server.
        path: Path on it.
        field: Form field that holds the results as JSON.
        headers: More HTTP headers.
        send_as_json: Post JSON itself instead of a form.
    """

    _only_writes = True

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: dict[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.send_as_json = send_as_json
        self.root, self.path = root, path
        self.field, self.headers = field, headers

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Post the results; a server that cannot be reached is a warning only."""
        try:
            import requests
        except ImportError as error:
            raise ImportError(
                "RemoteMonitor requires the `requests` library. Fix: `pip install requests`."
            ) from error
        results = {"epoch": epoch, **{name: _plain(v) for name, v in (logs or {}).items()}}
        url = self.root + self.path
        try:
            if self.send_as_json:
                requests.post(url, json=results, headers=self.headers)
            else:
                requests.post(url, {self.field: json.dumps(results)}, headers=self.headers)
        except requests.exceptions.RequestException:
            warnings.warn(
                f"Could not reach RemoteMonitor root server at {self.root} ({url}).", stacklevel=2
            )


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bytes)) or not isinstance(value, (np.ndarray, np.generic, Iterable)):
        return value
    array = np.asarray(value)
    alone = array.size == 1 and isinstance(value, (np.ndarray, np.generic))
    return array.item() if alone else array.tolist()
