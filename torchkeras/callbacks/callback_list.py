"""Several callbacks as one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..distribution.processes import is_first
from ..naming import explain
from ..tree import flatten
from .callback import BATCH_HOOKS, HOOKS, Callback, is_default
from .history import History
from .logs import LazyLogs, as_logs
from .progbar import ProgbarLogger

__all__ = ["CallbackList"]

RawLogs = Mapping[str, Any] | None


def _no_hook(index: int, logs: RawLogs = None) -> None:
    """A batch hook that nobody listens to."""


# What a list without callbacks has.
_NO_LISTENERS: dict[str, list[Any]] = {hook: [] for hook in HOOKS}
_NO_HOOKS = dict.fromkeys(BATCH_HOOKS, _no_hook)


class CallbackList(Callback):
    """Calls several callbacks as one; the training loop talks to this.

    Which callbacks override which hook is found out at the start of each `fit`, `evaluate` and
    `predict`. A batch hook that none overrides does nothing and leaves `logs` unread; see
    `listens`.

    Args:
        callbacks: The callbacks, also nested in lists.
        add_history: Add a `History` if there is none.
        add_progbar: Add a `ProgbarLogger` if there is none.
        model: The model.
        **params: `verbose`, `epochs`, `steps`.

    Raises:
        TypeError: Something in `callbacks` is no callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = flatten(callbacks) if callbacks else []
        for callback in self.callbacks:
            _check(callback)
        self._history = self._find(History)
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        self._progbar = self._find(ProgbarLogger)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        self.set_model(model)
        self.set_params(params)
        self._find_listeners()

    def _find(self, kind: type) -> Any:
        if not self.callbacks:
            return None
        found = [callback for callback in self.callbacks if isinstance(callback, kind)]
        return found[-1] if found else None

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        _check(callback)
        self.callbacks.append(callback)
        if self._model is not None:
            callback.set_model(self._model)
        if self.params:
            callback.set_params(self.params)
        self._find_listeners()

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand the parameters of the call to all callbacks."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hand the model to all callbacks, and the history to the model."""
        if model is None:
            return
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self._active():
            callback.set_model(model)

    def _active(self) -> list[Any]:
        """The callbacks that are called in this process: of a job, one alone writes things down."""
        if not self.callbacks or is_first():
            return self.callbacks
        return [c for c in self.callbacks if not getattr(c, "_only_writes", False)]

    def looks_at_batches(self, hook: str) -> bool:
        """Whether a callback reads the results of batches, in any process of a job.

        The progress bar does not count: within an epoch it shows those of its own process.
        """
        return any(
            not isinstance(c, ProgbarLogger) and getattr(c, "_reads_batches", True)
            for c in self.callbacks
            if not is_default(c, hook)
        )

    def follows_batches(self, kind: str) -> bool:
        """Whether any callback but the progress bar is to be called for every batch.

        Args:
            kind: Of which loop: `"train"`, `"test"` or `"predict"`.
        """
        if self._listeners is _NO_LISTENERS:
            return False
        hooks = [hook for hook in BATCH_HOOKS if hook.startswith(f"on_{kind}_")]
        listeners = [c for hook in hooks for c in self._listeners[hook]]
        return not all(type(callback) is ProgbarLogger for callback in listeners)

    def set_iterator(self, iterator: Any) -> None:
        """Hand what `fit` draws its batches from, and all callbacks, to those that ask for it."""
        for callback in self.callbacks:
            if hasattr(callback, "set_iterator"):
                callback.set_iterator(iterator, self.callbacks)

    def listens(self, hook: str) -> bool:
        """Whether any callback overrides `hook`."""
        return bool(self._listeners[hook])

    def _find_listeners(self) -> None:
        active = self._active()
        if not active:
            self._listeners = _NO_LISTENERS
            self.__dict__.update(_NO_HOOKS)
            return
        self._listeners = {hook: [c for c in active if not is_default(c, hook)] for hook in HOOKS}
        # A batch hook becomes an attribute of this object: nothing is decided per batch.
        for hook in BATCH_HOOKS:
            listeners = self._listeners[hook]
            self.__dict__[hook] = _batch_hook(hook, listeners) if listeners else _no_hook

    def _call(self, hook: str, *args: Any, logs: RawLogs) -> None:
        listeners = self._listeners[hook]
        numbers = as_logs(logs) if listeners else logs
        for callback in listeners:
            getattr(callback, hook)(*args, numbers)

    def on_epoch_begin(self, epoch: int, logs: RawLogs = None) -> None:
        """Start an epoch."""
        self._call("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: RawLogs = None) -> None:
        """End an epoch."""
        self._call("on_epoch_end", epoch, logs=logs)

    def on_train_begin(self, logs: RawLogs = None) -> None:
        """Start `fit`."""
        self._find_listeners()
        self._call("on_train_begin", logs=logs)
        for callback in self.callbacks:
            if hasattr(callback, "resume_others"):
                callback.resume_others()

    def on_train_end(self, logs: RawLogs = None) -> None:
        """End `fit`."""
        self._call("on_train_end", logs=logs)

    def on_test_begin(self, logs: RawLogs = None) -> None:
        """Start `evaluate` or a validation."""
        self._find_listeners()
        self._call("on_test_begin", logs=logs)

    def on_test_end(self, logs: RawLogs = None) -> None:
        """End `evaluate` or a validation."""
        self._call("on_test_end", logs=logs)

    def on_predict_begin(self, logs: RawLogs = None) -> None:
        """Start `predict`."""
        self._find_listeners()
        self._call("on_predict_begin", logs=logs)

    def on_predict_end(self, logs: RawLogs = None) -> None:
        """End `predict`."""
        self._call("on_predict_end", logs=logs)


def _check(callback: Any) -> None:
    if isinstance(callback, type) or not hasattr(callback, "set_model"):
        is_class = isinstance(callback, type)
        raise TypeError(
            explain(
                "`callbacks` holds something that is no callback.",
                received=f"{callback!r} (of type {type(callback).__name__})",
                fix=f"pass an instance: `{callback.__name__}(...)`."
                if is_class
                else "derive it from `callbacks.Callback`, or use `LambdaCallback`.",
            )
        )


def _batch_hook(hook: str, listeners: list[Any]) -> Callable[..., None]:
    """One function that calls a hook of all listeners, of which there are some."""
    calls = [getattr(callback, hook) for callback in listeners]
    if len(calls) == 1 and type(listeners[0]) is ProgbarLogger:
        return calls[0]  # reads logs of any kind itself, and seldom

    def call(batch: int, logs: RawLogs = None) -> None:
        numbers = as_logs(logs)
        references = sys.getrefcount(numbers)
        for one in calls:
            one(batch, logs=numbers)
        # Whoever kept the logs expects the numbers of this batch, not those of a later one.
        if sys.getrefcount(numbers) > references and isinstance(numbers, LazyLogs):
            numbers.fill()

    return call
