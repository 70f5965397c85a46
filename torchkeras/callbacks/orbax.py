"""`OrbaxCheckpoint`: a name of Keras's that needs JAX's checkpoint library, and says so."""

from __future__ import annotations

from typing import Any

from ..naming import explain
from .callback import Callback

__all__ = ["OrbaxCheckpoint"]


class OrbaxCheckpoint(Callback):
    """Checkpoints in JAX's Orbax format: not supported.

    Args:
        directory, monitor, verbose, save_best_only, mode, save_freq: As in Keras.
        initial_value_threshold, max_to_keep, save_on_background, save_weights_only: As in Keras.

    Raises:
        NotImplementedError: Always; `ModelCheckpoint` and `BackupAndRestore` write files.
    """

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ) -> None:
        raise NotImplementedError(
            explain(
                "OrbaxCheckpoint writes with JAX's Orbax, but torchkeras computes with PyTorch.",
                directory=directory,
                fix="use `callbacks.ModelCheckpoint`, or `callbacks.BackupAndRestore` to resume.",
            )
        )

    def is_multihost_enabled(self) -> bool:
        """Whether several hosts write one checkpoint: never."""
        return False

    def is_primary_host(self) -> bool:
        """Whether this is the host that coordinates: always."""
        return True

    def wait_until_finished(self) -> None:
        """Return when all is written, hence at once."""
