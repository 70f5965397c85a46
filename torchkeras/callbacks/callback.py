"""The base class of callbacks."""

from __future__ import annotations

from typing import Any, ClassVar

from torch.nn.parallel import DistributedDataParallel

__all__ = ["BATCH_HOOKS", "HOOKS", "Callback", "is_default"]

Logs = dict[str, Any] | None

BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
)
HOOKS = (
    *BATCH_HOOKS,
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_begin",
    "on_train_end",
    "on_test_begin",
    "on_test_end",
    "on_predict_begin",
    "on_predict_end",
)


class Callback:
    """Base class for code that runs at certain points of `fit`, `evaluate` and `predict`.

    A subclass overrides the hooks it needs and leaves the others alone. `logs` is a dict from the
    names of losses and metrics to numbers. Batches and epochs are counted from 0.

    Attributes:
        params: What the call runs with: `"verbose"`, `"epochs"` and `"steps"`.
        model: The model it runs on.

    Example:
        >>> class Greeter(Callback):
        ...     def on_epoch_begin(self, epoch, logs=None):
        ...         print("epoch", epoch)
        >>> Greeter().on_epoch_begin(0)
        epoch 0
    """

    # Attributes that `BackupAndRestore` carries over to a training that goes on: numbers, lists of
    # numbers, lists of arrays, `None`.
    _carried: ClassVar[tuple[str, ...]] = ()
    # Whether it only writes down what it is told, which one process of a job does for all.
    _only_writes: ClassVar[bool] = False
    # Whether its batch hooks read `logs`; in a job these are then brought together every time.
    _reads_batches: Any = True

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Receive the parameters of the call."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receive the model."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model; the one inside if it was wrapped for distributed training."""
        model = self._model
        return model.module if isinstance(model, DistributedDataParallel) else model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Runs in `fit` before each epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Runs in `fit` after each epoch and its validation.

        `logs` holds the epoch's results, those of validation with the prefix `val_`.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Runs in `fit` before each batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Runs in `fit` after each batch; `logs` holds the results of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Runs in `evaluate`, and in validation, before each batch."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Runs in `evaluate`, and in validation, after each batch."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Runs in `predict` before each batch."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Runs in `predict` after each batch; `logs` holds the `"outputs"`."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Runs once when `fit` starts."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Runs once when `fit` ends; `logs` are those of the last epoch."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Runs when `evaluate`, or a validation, starts."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Runs when `evaluate`, or a validation, ends."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Runs when `predict` starts."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Runs when `predict` ends."""


_PARENTS = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def is_default(callback: Any, hook: str) -> bool:
    """Whether `callback` leaves a hook as it is in `Callback`, so that it needs no call.

    Args:
        callback: Any object; one without the hook counts as leaving it.
        hook: A name of `HOOKS`.
    """
    method = getattr(callback, hook, None)
    if method is None:
        return True
    if getattr(method, "__func__", None) is not getattr(Callback, hook):
        return False
    return hook not in _PARENTS or is_default(callback, _PARENTS[hook])
