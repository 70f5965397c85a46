"""`TorchModuleWrapper`: any `torch.nn.Module` as a layer.

A module that is assigned to an attribute of a layer or model is wrapped by itself, as in Keras, so
that it is listed among the layers, follows `training`, and can be frozen. What can only hold other
modules (`ModuleList` and its like), or has no weights yet (lazy modules), stays as it is.

Keras stores the module in the config as a pickle, and so does this. Loading one runs code of
whoever wrote the file: it is refused, unless safe mode is off. Without that, whoever loads the
model offers the module, or a function that makes it, in `custom_objects` under the layer's name or
the name of the module's class. Weights are saved and loaded like all others.
"""

from __future__ import annotations

import base64
import copy
import io
import pickle
import pickletools
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin

from ..config import default_device
from ..graph.operation import Operation
from ..naming import explain, name_scope
from ..registry import builtin, get_registered_object, in_safe_mode
from ..variables import READING, Variable
from .configs import base_config
from .layer import Layer
from .state import LayerState
from .tracking import Tracked

__all__ = ["TorchModuleWrapper"]

_HEAD_BYTES = 1 << 16  # of a pickle, in which it names the class


@builtin("keras.layers.TorchModuleWrapper")
class TorchModuleWrapper(Layer):
    """Makes a layer of a PyTorch module: its parameters are trained and saved with the model.

    What the wrapper does not have itself (`weight`, `in_features`, …) is looked up in the module.
    `training` reaches the module; a call that says nothing leaves the wrapper in its own mode, and
    that is, as PyTorch's and Keras's, the training mode, until `eval()`.

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

    _allow_non_tensor_positional_args = True
    _wrap_module = None  # it holds the module itself

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
        if _is_lazy(module):
            raise ValueError(
                explain(
                    f"TorchModuleWrapper '{self.name}': the module has parameters without a shape.",
                    given=repr(module),
                    fix="call the lazy module once before wrapping it.",
                )
            )
        self.module = module.to(default_device())
        self._adopt_parameters()
        self.output_shape = output_shape
        self.training = module.training
        self.built = True

    def _adopt_parameters(self) -> None:
        """Let weights of the module have what Keras's variables have: `path`, `value`, `assign`."""
        with name_scope(self.name):
            for key, parameter in self.module.named_parameters():
                if type(parameter) is torch.nn.Parameter:
                    Variable.adopt(parameter, key.replace(".", "_"))

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Layer:
        super()._apply(fn, recurse)
        self._adopt_parameters()  # for other devices, torch may make new parameters
        return self

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            module = self.__dict__.get("_modules", {}).get("module")
            if module is None or name.startswith("__"):
                raise
            return getattr(module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        module = self.__dict__.get("_modules", {}).get("module")
        if module is not None and any(
            name in part for part in (module._parameters, module._buffers, module._modules)
        ):
            setattr(module, name, value)  # tied weights: `self.head.weight = self.embed.weight`
        else:
            super().__setattr__(name, value)

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Call the module, in the mode that `training` says."""
        module = self._modules["module"]
        training = bool(training)
        if module.training is not training:
            module.train(training)
        dtype = READING.autocast
        device = None if dtype is None else self._device_of_weights().type
        if device in (None, "meta"):
            return module(*args, **kwargs)
        with torch.autocast(device, dtype):  # its weights have the variable dtype
            return module(*args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the `output_shape` argument, or infer the shape."""
        if self.output_shape is not None:
            return self.output_shape
        return super().compute_output_shape(input_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module returns, found out with inputs of these shapes and dtypes."""
        if self.output_shape is not None:
            return super().compute_output_spec(*args, **kwargs)
        return Operation.compute_output_spec(self, *args, **kwargs)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # A checkpoint of PyTorch's, made where no wrapper was around the module.
        for key in [key for key in state_dict if key.startswith(prefix)]:
            if not key.startswith(f"{prefix}module."):
                state_dict[f"{prefix}module.{key[len(prefix) :]}"] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

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
        """Constructor arguments; the module as a pickle, or, if it has none, by its class's name.

        The pickle is text in base64, as in Keras.
        """
        config = {**base_config(self), "output_shape": self.output_shape}
        stream = io.BytesIO()
        try:
            torch.save(_of_pytorch_alone(self.module), stream)
        except (AttributeError, TypeError, pickle.PicklingError):  # local classes, lambdas, …
            name = type(self.module).__qualname__
            return {**config, "module": {"class_name": name, "repr": repr(self.module)}}
        return {**config, "module": base64.b64encode(stream.getvalue()).decode("ascii")}

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, Any] | None = None,
        safe_mode: bool | None = None,
    ) -> TorchModuleWrapper:
        """Rebuild the layer around a module that `custom_objects` offers, or from a pickle.

        Raises:
            ValueError: None is offered, and there is no pickle, or safe mode is not off.
        """
        config = dict(config)
        module = config.get("module")
        if isinstance(module, torch.nn.Module):
            return cls(**config)
        pickled = isinstance(module, str)
        class_name = _class_in(module) if pickled else dict(module or {}).get("class_name")
        for name in (config.get("name"), class_name):
            offered = get_registered_object(name, custom_objects) if name else None
            if offered is not None:
                is_module = isinstance(offered, torch.nn.Module)
                return cls(**{**config, "module": offered if is_module else offered()})
        unsafe = (in_safe_mode() if safe_mode is None else safe_mode) is False
        if pickled and unsafe:
            stream = io.BytesIO(base64.b64decode(module))
            config["module"] = torch.load(stream, map_location="cpu", weights_only=False)
            return cls(**config)
        offer = (
            "make the module and pass it when loading, as"
            f" custom_objects={{{config.get('name')!r}: module}}"
        )
        if not pickled:
            raise ValueError(
                explain(
                    f"TorchModuleWrapper '{config.get('name')}': the config does not contain the"
                    " PyTorch module itself, which could not be pickled.",
                    module=class_name,
                    fix=f"{offer}.",
                )
            )
        raise ValueError(
            explain(
                f"TorchModuleWrapper '{config.get('name')}': the PyTorch module is a pickle, and"
                " `torch.load` of it would be arbitrary code execution, by the author of the file.",
                module=class_name,
                fix=f"{offer}; or, if you trust the file, pass `safe_mode=False` to the loading"
                " function or call `keras.config.enable_unsafe_deserialization()`.",
            )
        )


def _of_pytorch_alone(module: torch.nn.Module) -> torch.nn.Module:
    """Copy a module, with parameters of PyTorch's own class, which any program can unpickle."""
    copied = copy.deepcopy(module)
    plain: dict[int, torch.nn.Parameter] = {}  # by the variable; some may be tied
    for part in copied.modules():
        for key, weight in part._parameters.items():
            if isinstance(weight, Variable):
                made = torch.nn.Parameter(weight.detach(), weight.requires_grad)
                part._parameters[key] = plain.setdefault(id(weight), made)
    return copied


def _is_lazy(module: torch.nn.Module) -> bool:
    return isinstance(module, LazyModuleMixin) and module.has_uninitialized_params()


def _class_in(pickled: str) -> str | None:
    """Return the name of the class that a pickle of `torch.save` makes; nothing is unpickled."""
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(pickled))) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                head = file.read(_HEAD_BYTES)
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name == "GLOBAL":
                return argument.rpartition(" ")[2]
    except (StopIteration, ValueError, zipfile.BadZipFile):
        pass
    return None


_HOLDS_ONLY = (
    LayerState,
    Tracked,
    torch.nn.ModuleDict,
    torch.nn.ModuleList,
    torch.nn.ParameterDict,
    torch.nn.ParameterList,
)


def _wrapped(value: Any) -> Any:
    """Wrap what is assigned to an attribute of a layer, if it is a module that can be called."""
    if not isinstance(value, torch.nn.Module) or isinstance(value, _HOLDS_ONLY) or _is_lazy(value):
        return value
    return TorchModuleWrapper(value)


LayerState._wrap_module = staticmethod(_wrapped)
