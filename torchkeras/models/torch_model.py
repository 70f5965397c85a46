"""`TorchModel`: any `torch.nn.Module` with `compile`, `fit`, `evaluate`, `predict`, `save_weights`.

`Model.from_torch(module)` makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..layers import TorchModuleWrapper
from ..naming import auto_name, explain, to_snake_case
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from .model import Model

__all__ = ["TorchModel"]


@builtin("torchkeras.models.TorchModel")
class TorchModel(Model):
    """A PyTorch module as a model; its weights are trained, saved and counted as a layer's are.

    Args:
        module: The module.
        output: What of the module's result is the model's, where that is not a tensor: a key or
            attribute (`"logits"`), an index, or a function. Default: all of it.
        name: Default: the module's class in snake case, numbered.
        kwargs: Arguments of `Layer`.

    Shapes:
        inputs: As the module takes them (images with channels first): a tensor; a list or tuple,
            which become its arguments; or a dict, its arguments by name. Result: as `output` says.

    Raises:
        ValueError: `module` is no module.

    Example:
        >>> model = TorchModel(torch.nn.Linear(3, 2))
        >>> model.compile("sgd", "mse")
        >>> model.predict(torch.ones(4, 3), verbose=0).shape
        (4, 2)
    """

    def __init__(
        self,
        module: torch.nn.Module,
        output: str | int | Callable[[Any], Any] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(module, torch.nn.Module):
            raise ValueError(
                explain(
                    "`from_torch` makes a model of a torch.nn.Module.",
                    given=f"{module!r} (of type {type(module).__name__})",
                )
            )
        kind = type(getattr(module, "module", module))
        super().__init__(name=name or auto_name(to_snake_case(kind.__name__)), **kwargs)
        self.module = (
            module if isinstance(module, TorchModuleWrapper) else TorchModuleWrapper(module)
        )
        self.result = output
        self.training = False  # as of any new model
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Call the module."""
        if isinstance(inputs, Mapping):
            outputs = self.module(**inputs, training=training)
        elif isinstance(inputs, (list, tuple)):
            outputs = self.module(*inputs, training=training)
        else:
            outputs = self.module(inputs, training=training)
        result = self.result
        if result is None:
            return outputs
        if callable(result):
            return result(outputs)
        return getattr(outputs, result) if hasattr(outputs, str(result)) else outputs[result]

    def to_torch(self) -> torch.nn.Module:
        """Return the module itself."""
        return self.module.module

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; the module as `TorchModuleWrapper` writes it."""
        output = self.result
        config = {"name": self.name, "module": serialize_keras_object(self.module)}
        return {**config, "output": serialize_keras_object(output) if callable(output) else output}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> TorchModel:
        """Make the model from its config; see `TorchModuleWrapper` for when that is refused."""
        module = deserialize_keras_object(config["module"], custom_objects=custom_objects)
        output = config.get("output")
        if isinstance(output, dict):
            output = deserialize_keras_object(output, custom_objects=custom_objects)
        return cls(module, output, name=config.get("name"))


Model._torch_class = TorchModel
