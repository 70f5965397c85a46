"""`TorchModuleWrapper`: any `torch.nn.Module` as a layer.

Keras stores the wrapped module in the config as a pickle, which runs code of whoever wrote the file
when it is loaded. Here nothing is pickled: the config names the module's class, and whoever loads
the model offers the module, or a function that makes it, in `custom_objects` under the layer's name
or the name of the module's class. Its weights are saved and loaded like all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin

from ..config import default_device
from ..naming import explain
from ..registry import builtin, get_registered_object
from .configs import base_config
from .layer import Layer

__all__ = ["TorchModuleWrapper"]


@builtin("keras.layers.TorchModuleWrapper")
class TorchModuleWrapper(Layer):
    """Makes a layer of a PyTorch module: its parameters are trained and saved with the model.

    Layers and models accept modules as they are, too; the wrapper adds a name, and `training` that
    reaches the module.

    Args:
        module: The module. Lazy ones must have been called once.
        name: Name of the layer.
        output_shape: Shape of the output, batch included; inferred when `None`.
        kwargs: Arguments of `Layer`.
    Raises:
        ValueError: The module has parameters whose shape is not known yet.

    Example:
        >>> TorchModuleWrapper(torch.nn.Linear(3, 2))(torch.ones(1, 3)).shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        module: torch.nn.Module,
        name: str | None = None,
        output_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(module, torch.nn.Module):
            raise ValueError(
                explain(
                    f"TorchModuleWrapper '{self.name}': `module` must be a torch.nn.Module.",
                    given=repr(module),
                )
            )
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
            raise ValueError(
                explain(
                    f"TorchModuleWrapper '{self.name}': the module has parameters without a shape.",
                    given=repr(module),
                    fix="call the lazy module once before wrapping it.",
                )
            )
        self.module = module.to(default_device())
        self.output_shape = output_shape
        self.built = True

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Call the module, in the mode that `training` says."""
        training = bool(training)
        if self.module.training is not training:
            self.module.train(training)
        return self.module(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the `output_shape` argument, or infer the shape."""
        if self.output_shape is not None:
            return self.output_shape
        return super().compute_output_shape(input_shape)

    def save_own_variables(self, store: Any) -> None:
        """Put the module's whole state, buffers included, into a store."""
        for key, value in self.module.state_dict().items():
            store[key] = value.detach().cpu().numpy()

    def load_own_variables(self, store: Any) -> None:
        """Take the module's state from a store."""
        state = {}
        for key in store.keys():
            name = key.decode() if isinstance(key, bytes) else key
            state[name] = torch.as_tensor(store[key][...])
        self.module.load_state_dict(state)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, the module by the name of its class."""
        module = {"class_name": type(self.module).__qualname__, "repr": repr(self.module)}
        return {**base_config(self), "module": module, "output_shape": self.output_shape}

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, Any] | None = None,
        safe_mode: bool | None = None,
    ) -> TorchModuleWrapper:
        """Rebuild the layer around a module that `custom_objects` offers.

        Raises:
            ValueError: None is offered.
        """
        config = dict(config)
        module = config.get("module")
        class_name = module.get("class_name") if isinstance(module, dict) else None
        for name in (config.get("name"), class_name):
            offered = get_registered_object(name, custom_objects) if name else None
            if offered is not None:
                is_module = isinstance(offered, torch.nn.Module)
                config["module"] = offered if is_module else offered()
                return cls(**config)
        raise ValueError(
            explain(
                f"TorchModuleWrapper '{config.get('name')}': the file does not contain the PyTorch"
                " module itself, since unpickling it would run code of the file's author.",
                module=class_name or "a pickle",
                fix="make the module and pass it when loading, as"
                f" custom_objects={{{config.get('name')!r}: module}}.",
            )
        )
