"""What a call leaves behind beside its outputs: losses; and calls that leave nothing.

`add_loss` keeps a loss on the layer until the next outermost call, or in the open `StatelessScope`
if that collects them. `stateless_call` takes the state as arguments and returns the new one.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import torch

from ..graph.context import ADDING, CONTEXT
from ..graph.keras_tensor import KerasTensor
from ..graph.scopes import StatelessScope
from ..naming import explain
from ..tree import flatten
from ..variables import READING
from .state import LayerState

__all__ = ["CallEffects"]

Tensor = torch.Tensor


class CallEffects(LayerState):
    """The part of `Layer` that keeps losses, and calls layers without side effects."""

    name: str
    built: bool
    _losses: list[Tensor]
    _adds_losses = False
    # Whether `ADDING` counts this layer.
    _announced = False
    # The version of `ADDING` at which no layer inside, nor this one, had ever added a loss.
    _silent_at = -1

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to what training minimizes, from within `call`.

        Args:
            loss: A scalar tensor, or several of them in a structure.

        Raises:
            ValueError: It is symbolic, or not a number.
        """
        if CONTEXT.meta:
            return
        losses = [self._checked_loss(item) for item in flatten(loss)]
        if not self._adds_losses:
            self.__dict__.update(_adds_losses=True, _call_plan=None)
        scope = READING.scope
        if scope is not None:
            if scope.collect_losses:
                for item in losses:
                    scope.add_loss(item, self)
            return
        self._losses.extend(losses)
        if not self._announced and not torch.compiler.is_compiling():
            self.__dict__["_announced"] = True
            ADDING.layers += 1
            ADDING.version += 1

    def _checked_loss(self, loss: Any) -> Tensor:
        if isinstance(loss, Tensor):
            return loss
        if isinstance(loss, KerasTensor):
            raise ValueError(
                f"Layer '{self.name}': a symbolic tensor cannot be added as a loss. Call"
                " `add_loss` inside the `call` method of a layer."
            )
        try:
            return torch.as_tensor(loss)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(
                f"Layer '{self.name}': `add_loss()` takes a scalar tensor. Received: {loss!r}"
            ) from None

    @property
    def losses(self) -> list[Tensor]:
        """The losses added in the last call, then the penalties on trainable weights."""
        losses: list[Tensor] = []
        for layer in _as_losses_stand(self):
            losses += layer._get_own_losses()
        for weight in self.trainable_weights:
            regularizer = getattr(weight, "regularizer", None)
            if regularizer is not None:
                losses.append(regularizer(weight))
        return losses

    def _get_own_losses(self) -> list[Tensor]:
        scope = READING.scope
        return self._losses if scope is None else scope.losses_of(self)

    def _clear_losses(self) -> None:
        """Forget the losses of the call before, here and in the layers inside."""
        if READING.scope is not None:
            READING.scope.clear_losses(self._flatten_layers())
        elif torch.compiler.is_compiling():
            for layer in self._flatten_layers():
                layer._losses.clear()
        elif ADDING.layers and self._silent_at != ADDING.version:
            version = ADDING.version
            adding = [layer for layer in self._flatten_layers() if layer._adds_losses]
            for layer in adding:
                layer._losses.clear()
            self.__dict__["_silent_at"] = -1 if adding else version

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Not available since Keras 3.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "`add_metric()` no longer exists. Create a metric in `__init__` and call its"
            " `update_state()`, or pass it to `compile(metrics=[…])`."
        )

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Call the layer with given state, changing none of its own.

        Gradients flow to the tensors given, so `torch.func.grad` and its like can be applied.

        Args:
            trainable_variables: A tensor for each of `trainable_variables`.
            non_trainable_variables: A tensor for each of `non_trainable_variables`: statistics,
                states of seeds.
            *args: Arguments of the call.
            return_losses: Whether to return the losses too.
            **kwargs: Arguments of the call.

        Returns: `(outputs, non_trainable_variables)` with the new values of the latter; and a list
            of losses if `return_losses`.

        Raises:
            ValueError: The layer is not built, or a list has another length.

        Example:
            >>> from torchkeras import layers
            >>> layer = layers.Dense(1, kernel_initializer="ones")
            >>> layer.build((None, 2))
            >>> x = torch.ones(1, 2)
            >>> layer.stateless_call([torch.zeros(2, 1), torch.ones(1)], [], x)[0].tolist()
            [[1.0]]
            >>> layer(x).tolist()
            [[2.0]]
        """
        self._require_init()
        if not self.built:
            raise ValueError(
                explain(
                    f"To call stateless_call, {type(self).__name__} '{self.name}' must be built"
                    " (i.e. its variables must have been already created).",
                    fix="call it on some data first, or call `build`.",
                )
            )
        mapping = []
        state = self.non_trainable_variables
        for name, given, own in (
            ("trainable_variables", trainable_variables, self.trainable_variables),
            ("non_trainable_variables", non_trainable_variables, state),
        ):
            if len(given) != len(own):
                raise ValueError(
                    explain(
                        f"Argument `{name}` must be a list of tensors corresponding 1:1 to"
                        f" {type(self).__name__}().{name}.",
                        given=f"a list of length {len(given)}",
                        expected=f"{len(own)} tensors",
                        fix=f"pass `layer.{name}`, or values in that order.",
                    )
                )
            mapping += zip(own, given, strict=True)
        with StatelessScope(mapping, collect_losses=return_losses) as scope:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        new_state = [scope.get_current_value(variable) for variable in state]
        return (outputs, new_state) if losses is None else (outputs, new_state, losses)


def _as_losses_stand(layer: LayerState) -> list[LayerState]:
    """Return a layer and those inside in the order of Keras's losses: deeper ones backwards."""
    found, queue = {id(layer): layer}, collections.deque(layer._layers)
    while queue:
        inner = queue.popleft()
        if isinstance(inner, LayerState) and id(inner) not in found:
            found[id(inner)] = inner
            queue.extendleft(inner._layers if inner._modules else ())
    return list(found.values())
