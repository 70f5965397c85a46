"""`Sequential`: a model that is a stack of layers."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from ..graph.keras_tensor import KerasTensor
from ..graph.masks import get_keras_mask
from ..layers import InputLayer, Layer, TorchModuleWrapper
from ..layers.state import HiddenByAttribute
from ..layers.strings import check_kind
from ..naming import auto_name, explain
from ..registry import CustomObjectScope, builtin, serialize_keras_object
from ..tree import flatten, map_structure
from ..variables import standardize_shape
from .functional import Functional
from .lowered import LoweredModel, hold
from .model import Model
from .structure import layer_from_config

__all__ = ["Sequential"]


@builtin("keras.Sequential", "keras.models.Sequential")
class Sequential(LoweredModel):
    """A model that passes its input through layers, one after the other.

    Once the shape of the input is known (from an `Input`, from `input_shape=` of the first layer,
    or from data) it is lowered as a functional model is.

    Args:
        layers: Layers, `torch.nn.Module`s, or an `Input` in first place.
        trainable: Whether training changes the weights.
        name: Default: `sequential`, `sequential_1`, …

    Raises:
        ValueError: Something else than a layer is given, or two layers share a name.

    Example:
        >>> import torch
        >>> model = Sequential([torch.nn.ReLU(), torch.nn.Flatten()])
        >>> model(torch.tensor([[[-1.0], [2.0]]])).tolist()
        [[0.0, 2.0]]
    """

    # The layers with their symbolic outputs, as of the last `build`; and those of them that the
    # next one need not call.
    _lowered_steps: Sequence[tuple[Layer, Any]] = ()
    _known_steps: Sequence[tuple[Layer, Any]] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # `Sequential([a, b], name)` has nothing to do with `Model(inputs, outputs)`.
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(
        self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self.__dict__.update(_stacked_layers=[], _functional=None)
        if layers is not None:
            if not isinstance(layers, Iterable):
                raise TypeError(
                    f"Sequential takes a list of layers. Received: {layers!r}. Put it into a list:"
                    " `Sequential([layer])`."
                )
            for layer in layers:
                self.add(layer, rebuild=False)
            self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top.

        Args:
            layer: A layer or a `torch.nn.Module`.
            rebuild: Whether to lower the model anew.
        """
        if isinstance(layer, KerasTensor) and layer._keras_history is not None:
            layer = layer._keras_history.operation
        if isinstance(layer, torch.nn.Module) and not isinstance(layer, Layer):
            layer = TorchModuleWrapper(layer)
        if not isinstance(layer, Layer):
            raise ValueError(
                explain(
                    f"Only instances of `Layer` can be added to Sequential model '{self.name}'.",
                    given=f"{layer!r} (of type {type(layer).__name__})",
                    expected="an instance of `keras.Layer` or `torch.nn.Module`",
                )
            )
        stack = self._stacked_layers
        before = len(stack)
        shape = getattr(layer, "_input_shape_arg", None)
        if not stack and shape is not None:
            batch_size = getattr(layer, "_input_batch_size", None)
            dtype = layer.input_dtype
            stack.append(InputLayer(batch_shape=(batch_size, *shape), dtype=dtype))
        if layer.name in [other.name for other in stack if other is not layer]:
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name"
                f" '{layer.name}' is already the name of a layer in this model. Update the `name`"
                " argument to pass a unique name."
            )
        if isinstance(layer, InputLayer) and stack and isinstance(stack[0], InputLayer):
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape"
                f" {stack[0].batch_shape}. You cannot add a different Input layer to it."
            )
        stack.append(layer)
        if rebuild:
            self.__dict__["_known_steps"] = self._lowered_steps  # only the new layer is called
            try:
                self._rebuild()
            finally:
                self.__dict__["_known_steps"] = ()
        elif self._functional is not None or self.built:
            self._forget_graph()
        else:  # there is nothing to forget
            for new in stack[before:]:
                hold(self, new)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off, and return it."""
        layer = self._stacked_layers.pop()
        self._forget_graph()
        if rebuild:
            self._rebuild()
        return layer

    def _forget_graph(self) -> None:
        self.__dict__.pop("forward", None)
        self.__dict__.update(_functional=None, built=False, _call_plan=None)
        for key in [key for key, module in self._modules.items() if isinstance(module, Layer)]:
            del self._modules[key]
        for layer in self._stacked_layers:
            hold(self, layer)

    def _rebuild(self) -> None:
        """Lower the model if the shape of its input is known."""
        self._forget_graph()
        if len(self._stacked_layers) > 1 and self._has_known_input():
            first = self._stacked_layers[0]
            self.build(first.batch_shape if isinstance(first, InputLayer) else first.input_shape)

    def _has_known_input(self) -> bool:
        first = self._stacked_layers[0] if self._stacked_layers else None
        return isinstance(first, InputLayer) or (
            isinstance(first, (Functional, Sequential)) and first.built
        )

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers.

        Args:
            input_shape: The shape of the input with its batch axis.

        Raises:
            ValueError: There are no layers, or another shape was fixed before.
        """
        try:
            input_shape = standardize_shape(input_shape)
        except ValueError:  # a structure of shapes: built by the first call
            return
        stack = self._stacked_layers
        if not stack:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call"
                " `model.add(layer)`."
            )
        guessed = not isinstance(stack[0], InputLayer)
        if guessed:
            stack.insert(0, InputLayer(batch_shape=input_shape, dtype=stack[0].input_dtype))
        elif stack[0].batch_shape != input_shape:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape"
                f" {stack[0].batch_shape}. You cannot build it with input_shape {input_shape}"
            )
        steps = [(stack[0], stack[0].output)]
        for layer, step in zip(stack[1:], self._known_steps[1:], strict=False):
            if layer is not step[0] or stack[0] is not self._known_steps[0][0]:
                break
            steps.append(step)
        x = steps[-1][1]
        for layer in stack[len(steps) :]:
            try:
                x = layer(x)
                steps.append((layer, x))
            except NotImplementedError:  # the layer cannot be called on symbolic tensors
                return
            except Exception as error:
                if guessed:  # another shape may do
                    del stack[0]
                if isinstance(error, TypeError):
                    raise self._not_a_stack_layer(layer, error) from error
                raise
        self.__dict__["_lowered_steps"] = steps
        functional = Functional(stack[0].output, x)  # takes a number, as Keras's does
        functional.__dict__.update(name=self.name, _fixed_sizes=False)
        self._adopt(functional)

    def _build_from(self, spec: Any) -> None:
        first = self._stacked_layers[0] if self._stacked_layers else None
        if not (first is None or isinstance(first, InputLayer) or self.built):
            for x in flatten(spec.first):  # strings shall not settle the width of the model
                if getattr(x, "dtype", None) == "string" or isinstance(x, np.ndarray):
                    check_kind(x, first.input_dtype, f"Model '{self.name}': the inputs")
        super()._build_from(spec)

    def _adopt(self, functional: Functional) -> None:
        """Run the generated function of an equal functional model."""
        self._forget_graph()
        self.__dict__.update(_functional=functional, _fast_entry=functional._fast_entry)
        self._modules.clear()
        self._modules.update(functional._modules)
        if type(self).call is Sequential.call:
            self.__dict__["forward"] = self._with_remat(types.MethodType(functional.lowered, self))

    def _not_a_stack_layer(self, layer: Layer, error: TypeError) -> Exception:
        required = [
            parameter.name
            for parameter in layer._call_signature.signature.parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            and parameter.default is parameter.empty
        ]
        if len(required) == 1:
            return error
        return ValueError(
            explain(
                "Layers of a Sequential model can only have a single required positional argument,"
                f" the input; layer '{layer.name}' (of type {type(layer).__name__}) has"
                f" {required}.",
                fix="use the functional API: `Model(inputs, outputs)`.",
            )
        )

    # Calls: those of the functional model, once there is one -------------------------------------

    def _standardize(self, inputs: Any) -> tuple[Any, ...]:
        return self._functional._standardize(inputs)

    @property
    def _input_dtypes(self) -> list[torch.dtype | None]:
        return self._functional._input_dtypes

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Pass the input through all layers."""
        if self._functional is not None:
            if kwargs:  # layers get what is registered for all calls inside without our help
                kwargs = {k: v for k, v in kwargs.items() if k not in self._call_context_args}
            return self._functional.call(inputs, training=training, mask=mask, **kwargs)
        try:
            return self._through_layers(inputs, training, mask)
        except Exception:
            # `build` has made nothing of a structure of shapes: other inputs may do.
            self.__dict__["built"] = all(layer.built for layer in self.layers)
            raise

    def _through_layers(self, inputs: Any, training: bool | None, mask: Any) -> Any:
        outputs = inputs
        for layer in self.layers:
            kwargs = {}
            if layer._call_signature.takes_mask:
                kwargs["mask"] = mask
            if layer._call_signature.takes_training and training is not None:
                kwargs["training"] = training
            outputs = layer(outputs, **kwargs)
            mask = map_structure(get_keras_mask, outputs)
        return outputs

    def compute_output_spec(
        self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Return the output as a symbolic tensor."""
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs)
        for layer in self.layers:
            inputs = layer.compute_output_spec(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for a shape of the input."""
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    # Structure -----------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input layer."""
        stack = self._stacked_layers
        return stack[1:] if stack and isinstance(stack[0], InputLayer) else stack[:]

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            f"`Sequential.layers` attribute is reserved for the layers of '{self.name}'. Use"
            " `add()` and `pop()` to change them."
        )

    @property
    def _layers(self) -> list[Any]:
        inner = {id(layer): layer for layer in (*self._stacked_layers, *self._child_layers())}
        return list(inner.values())

    def _of_functional(self, attribute: str, what: str) -> Any:
        if self._functional is None:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {what} yet. Build it, give it an"
                " `Input`, or call it on data."
            )
        return getattr(self._functional, attribute)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        return self._of_functional("inputs", "inputs")

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic output, in a list."""
        return self._of_functional("outputs", "outputs")

    @property
    def input(self) -> Any:
        """The symbolic input: of its first call in another model, or its own if there is none."""
        return super().input if self._inbound_nodes else self._of_functional("input", "input")

    @property
    def output(self) -> Any:
        """The symbolic output, likewise."""
        return super().output if self._inbound_nodes else self._of_functional("output", "output")

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._of_functional("input_shape", "input shape")

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return self._of_functional("output_shape", "output shape")

    @HiddenByAttribute
    def output_names(self) -> list[str]:
        """The name of the layer that makes the output."""
        return self._of_functional("output_names", "outputs")

    @HiddenByAttribute
    def graph(self) -> torch.fx.GraphModule:
        """The lowered graph as a `torch.fx.GraphModule`; its `code` shows the calls as Python."""
        return self._of_functional("graph", "graph")

    @property
    def input_dtype(self) -> str:
        """The dtype of the input."""
        stack = self._stacked_layers
        first_is_input = stack and isinstance(stack[0], InputLayer)
        return stack[0].dtype if first_is_input else super().input_dtype

    def get_config(self) -> dict[str, Any]:
        config = Model.get_config(self)
        config.pop("layers", None)
        config["layers"] = copy.deepcopy(
            [serialize_keras_object(layer) for layer in self._stacked_layers]
        )
        if self._functional is not None:
            config["build_input_shape"] = self._stacked_layers[0].batch_shape
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Sequential:
        if not isinstance(config, dict) or "name" not in config or "layers" not in config:
            raise ValueError(
                explain(
                    "A Sequential model configuration must be a dictionary containing the 'name'"
                    " and 'layers' keys.",
                    given=config,
                )
            )
        model = cls(name=config["name"])
        with CustomObjectScope(custom_objects or {}):
            for layer_config in config["layers"]:
                if model._has_known_input() and len(model._stacked_layers) > 1:
                    auto_name("functional")  # of the model up to here, which Keras makes
                model.add(layer_from_config(layer_config), rebuild=False)
        shape = config.get("build_input_shape")
        model._rebuild() if model._stacked_layers else None
        if model._functional is None and isinstance(shape, (list, tuple)) and model._stacked_layers:
            model.build(tuple(shape))
        return model

    def _state_to_copy(self) -> dict[str, Any]:
        state = super()._state_to_copy()
        for key in ("forward", "_lowered_steps", "_known_steps"):
            state.pop(key, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self._functional is not None and type(self).call is Sequential.call:
            self.__dict__["forward"] = self._with_remat(
                types.MethodType(self._functional.lowered, self)
            )
