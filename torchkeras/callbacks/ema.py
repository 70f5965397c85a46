"""`SwapEMAWeights`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..naming import explain
from .callback import Callback, Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Evaluates the model with the moving averages of its weights, and trains it with the weights.

    The optimizer must keep averages: `use_ema=True`.

    Args:
        swap_on_epoch: Swap at the end of each epoch too, and back at the start of the next, so that
            callbacks further down the list, such as `ModelCheckpoint`, see the averages.
            `BackupAndRestore` must see the weights, so it belongs further up.

    Raises:
        ValueError: The optimizer keeps no averages.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._averages_in_model = False

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """Each weight with its average."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        several = getattr(optimizer, "optimizers", None)
        candidates = [optimizer] if several is None else several
        averaging = [one for one in candidates if getattr(one, "use_ema", False)]
        if not averaging:
            raise ValueError(
                explain(
                    "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer.",
                    optimizer=type(optimizer).__name__,
                    use_ema=getattr(optimizer, "use_ema", None),
                    fix="make the optimizer with `use_ema=True`.",
                )
            )
        for one in averaging:
            averages = one._model_variables_moving_average
            yield from zip(one._trainable_variables, averages, strict=True)

    @torch.no_grad()
    def _swap(self, averages_in_model: bool) -> None:
        if self._averages_in_model == averages_in_model:
            return
        for weight, average in self._pairs():
            former = torch.clone(weight)
            weight.assign(average)
            average.assign(former)
        self._averages_in_model = averages_in_model

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Train with the weights."""
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Let later callbacks see the averages."""
        if not self.swap_on_epoch or self._averages_in_model:
            return
        self._swap(True)
        if epoch == self.params["epochs"] - 1:
            # `fit` ends by giving the model the averages, which by now are in it.
            for weight, average in self._pairs():
                average.assign(weight)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Evaluate with the averages."""
        self._swap(True)

    def on_test_end(self, logs: Logs = None) -> None:
        """Back to the weights."""
        self._swap(False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Predict with the averages."""
        self._swap(True)

    def on_predict_end(self, logs: Logs = None) -> None:
        """Back to the weights."""
        self._swap(False)
