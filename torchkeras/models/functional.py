"""`Functional`: a model made of the calls between symbolic inputs and outputs.

The graph is lowered once, when the model is made, to a generated function of flat inputs, which
then is the module's `forward`. `model.graph.code` shows its calls.
"""

from __future__ import annotations

import functools
import inspect
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ..dtypes import to_torch
from ..graph.code import Code
from ..graph.context import CONTEXT
from ..graph.function import run_through_graph
from ..graph.keras_tensor import KerasTensor
from ..graph.lower import (
    DisconnectedError,
    Lowering,
    attach_mask,
    drop_dead_code,
    sort_graph,
)
from ..graph.masks import get_keras_mask
from ..graph.operation import Node, Operation
from ..layers import Input, InputSpec, Layer
from ..layers.input_spec import assert_input_compatibility
from ..layers.state import HiddenByAttribute
from ..layers.strings import as_values, check_kind, is_text
from ..naming import explain, nearest
from ..registry import builtin
from ..tree import flatten, flatten_with_path, map_structure
from .lowered import LoweredModel, fits, hold
from .model import Model, insert_base
from .structure import functional_config, functional_from_config

__all__ = ["Functional", "constructs_functional"]

Tensor = torch.Tensor
_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD


@builtin("keras.src.models.functional.Functional", "keras.models.Functional", "keras.Functional")
class Functional(LoweredModel):
    """A model defined by its symbolic inputs and outputs; `Model(inputs, outputs)` makes one.

    Args:
        inputs: Symbolic tensors, one or in a list, tuple or dict.
        outputs: Symbolic tensors computed from them, likewise.
        name: Default: `functional`, `functional_1`, …
        trainable: Whether training changes the weights.

    Raises:
        ValueError: Something else than symbolic tensors is given, or the outputs depend on other
            inputs.

    Example:
        >>> import torch
        >>> x = Input((3,))
        >>> model = Functional(x, torch.relu(x) + 1)
        >>> model(torch.tensor([[-1.0, 0.0, 2.0]])).tolist()
        [[1.0, 1.0, 3.0]]
    """

    # Whether data must have the sizes of the inputs; a `Sequential` leaves that to its layers.
    _fixed_sizes = True
    _warned_of_structure = False

    # A config that a user's `get_config` extends; the tensors are settings of no class.
    _config_excludes = ("inputs", "outputs")
    _convert_input_args = False
    _allow_non_tensor_positional_args = True

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        trainable = kwargs.pop("trainable", None)
        for what, struct in (("inputs", inputs), ("outputs", outputs)):
            if not flatten(struct):
                raise ValueError(
                    explain(
                        f"`{what}` argument cannot be empty.",
                        inputs=inputs,
                        outputs=outputs,
                        fix="pass at least one symbolic tensor.",
                    )
                )
        _check_tensors(inputs, "inputs")
        _check_tensors(outputs, "outputs")
        if not all(_is_entry(tensor) for tensor in flatten(inputs)):
            inputs, outputs = _cut_out(inputs, outputs)
        Model.__init__(self, name=name, **kwargs)
        self.__dict__["_inputs_struct"] = inputs
        self.__dict__["_outputs_struct"] = outputs
        self.__dict__["inputs"] = flatten(inputs)
        self.__dict__["outputs"] = flatten(outputs)
        self.__dict__["_computed_also"] = []
        self._lower_graph()
        self.__dict__.update(_build_shapes={"input_shape": None}, built=True)
        if trainable is not None:  # of the model; its layers keep what they have, frozen or not
            self.__dict__["_trainable"] = bool(trainable)

    def _lower_graph(self, held: Mapping[Any, str] | None = None) -> None:
        """Sort the graph, register its layers, and generate `forward`.

        Args:
            held: The attributes of layers that are registered already.
        """
        try:
            graph = sort_graph(self.inputs, self.outputs)
        except DisconnectedError as error:
            raise self._disconnected(error) from error
        if self._computed_also:
            # What was added comes last, so that weights keep their order.
            operations = dict.fromkeys(graph.operations)
            for tensor in self._computed_also:
                operations |= dict.fromkeys(sort_graph(self.inputs, [tensor]).operations)
            graph = sort_graph(self.inputs, [*self.outputs, *self._computed_also])
            graph.operations = list(operations)
        self.__dict__["_sorted"] = graph
        self.__dict__["_nodes"] = set(graph.nodes)
        self.__dict__["operations"] = graph.operations
        names = (tensor.dtype for tensor in self.inputs)
        input_dtypes = [None if name == "string" else to_torch(name) for name in names]
        self.__dict__["_input_dtypes"] = input_dtypes
        entry = None
        if len(input_dtypes) == 1:
            shape = self.inputs[0].shape
            entry = (input_dtypes[0], len(shape), shape[1:])
        self.__dict__["_fast_entry"] = entry
        keys = {}
        for operation in graph.operations:
            if isinstance(operation, torch.nn.Module):
                keys[operation] = (held or {}).get(operation) or hold(self, operation)
        self.__dict__["_input_keys"] = keys
        code = Code()
        lowering = Lowering(code, graph, self.inputs, self._returned(), keys)
        if lowering.held:
            self._modules["_constants"] = lowering.constants
        self.__dict__["lowered"] = lowered = code.compile("<lowered graph>")
        if not _is_single(self._inputs_struct):
            # What callers pass, which `torch.export` asks for; the code itself takes flat inputs.
            lowered.__signature__ = inspect.Signature(
                [inspect.Parameter(name, _POSITIONAL) for name in ("self", "inputs")]
            )
        if type(self).call is Functional.call:
            self.__dict__["forward"] = self._with_remat(types.MethodType(self.lowered, self))

    def compute_also(self, tensors: Sequence[KerasTensor]) -> None:
        """Compute more in each call than the outputs: layers that leave a loss or a metric.

        Args:
            tensors: What they returned, computed from the model's inputs.

        Raises:
            ValueError: One depends on other inputs.
        """
        former = self._computed_also
        self.__dict__["_computed_also"] = [*former, *tensors]
        try:
            self._lower_graph()
        except ValueError:
            self.__dict__["_computed_also"] = former
            raise

    def _disconnected(self, error: DisconnectedError) -> ValueError:
        """Add to an error which of the outputs it is about."""
        for path, tensor in flatten_with_path(self._outputs_struct):
            try:
                sort_graph(self.inputs, [tensor])
            except DisconnectedError:
                where = _dotted(path)
                return ValueError(
                    f"Output with path `{where}` is not connected to inputs.\n{error}"
                )
        return error

    def _returned(self) -> Any:
        """Return the outputs in the structure that a call gives: one alone is not in a list."""
        return self.outputs[0] if _is_single(self._outputs_struct) else self._outputs_struct

    @functools.cached_property
    def fx_graph(self) -> torch.fx.Graph:
        """The calls that the model makes, in PyTorch's form for tools that read or change them."""
        graph = torch.fx.Graph()
        Lowering(graph, self._sorted, self.inputs, self._returned(), self._input_keys)
        return drop_dead_code(graph)

    @functools.cached_property
    def graph(self) -> torch.fx.GraphModule:
        """`fx_graph` as a module with the model's layers; `code` shows the calls as Python."""
        return torch.fx.GraphModule(self, self.fx_graph)

    # Calls ---------------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Compute the outputs.

        Args:
            inputs: Tensors in the structure of the model's inputs.
            training: Whether layers act as in training.
            mask: Masks of the inputs, in their structure.
        """
        flat = self._standardize(inputs)
        if mask is not None:
            for x, x_mask in zip(flat, flatten(mask), strict=False):
                attach_mask(x, x_mask)
        if any(get_keras_mask(x) is not None for x in flat):
            return self._interpret(flat)
        return self.lowered(self, *flat)

    def _interpret(self, flat: tuple[Any, ...]) -> Any:
        """Run the graph call by call: masks that come in with the data travel on the tensors."""
        return run_through_graph(self._sorted, self.inputs, flat, self._returned())

    def _run_through_graph(
        self,
        inputs: Any,
        operation_fn: Callable[[Any], Callable[..., Any]] | None = None,
        call_fn: Callable[..., Any] | None = None,
    ) -> Any:
        """Make the calls of the graph with something else than the operations themselves."""
        values = flatten(inputs)
        return run_through_graph(
            self._sorted, self.inputs, values, self._returned(), operation_fn, call_fn
        )

    def _standardize(self, inputs: Any) -> tuple[Any, ...]:
        """Bring inputs into the flat order, dtypes and ranks of the model's."""
        struct = self._inputs_struct
        if self._input_spec is not None:  # set by the user
            assert_input_compatibility(self._input_spec, inputs, self.name)
        flat = None
        if isinstance(inputs, dict) and not isinstance(struct, dict):
            names = [tensor.name for tensor in self.inputs]
            missing = [name for name in names if name not in inputs]
            if not missing:
                flat = [inputs[name] for name in names]
            elif all(isinstance(part, KerasTensor) for part in _parts(struct)):
                raise ValueError(
                    explain(
                        f"Model '{self.name}': missing data for input '{missing[0]}'."
                        f" {nearest(missing[0], set(inputs) - set(names))}".rstrip(),
                        given=list(inputs),
                        expected=names,
                        fix="use the names of the inputs as keys.",
                    )
                )
        elif isinstance(struct, dict) and isinstance(inputs, dict):
            missing = [key for key in struct if key not in inputs]
            if missing:
                raise self._wrong_structure(inputs)
            extra = [key for key in inputs if key not in struct]
            if extra:
                self._warn_of_structure(inputs)
            flat = [inputs[key] for key in sorted(struct)] if _is_flat(struct) else None
        elif _is_single(struct) and not isinstance(inputs, (list, tuple)):
            flat = [inputs]
        if flat is None:
            flat = flatten(inputs)
            if isinstance(struct, dict) and not isinstance(inputs, dict):
                if list(struct) != sorted(struct):
                    raise self._wrong_structure(inputs)
                self._warn_of_structure(inputs)
        if len(flat) != len(self.inputs):
            raise self._wrong_structure(inputs)
        return tuple(self._standardize_one(i, x) for i, x in enumerate(flat))

    def _standardize_one(self, index: int, x: Any) -> Any:
        spec = self.inputs[index]
        if x is None:
            if not getattr(spec._keras_history.operation, "optional", False):
                raise ValueError(
                    f"The input '{spec.name}' is not optional, but None was passed. Please provide"
                    " a valid tensor."
                )
            return None
        if isinstance(x, KerasTensor):
            return x
        dtype = self._input_dtypes[index]
        mask = get_keras_mask(x)
        if not isinstance(x, Tensor):
            x = self._as_input(x, spec)
        if dtype is not None and x.dtype is not dtype:
            x = x.to(dtype)
        rank, expected = x.ndim, len(spec.shape)
        if rank == expected + 1 and x.shape[-1] == 1:
            x = x.squeeze(-1)
        elif rank == expected - 1 and spec.shape[-1] == 1:
            x = x[..., None]
        elif rank != expected or not (
            CONTEXT.meta or not self._fixed_sizes or fits(x.shape[1:], spec.shape[1:])
        ):
            raise ValueError(
                explain(
                    f"Model '{self.name}': the data for the input with name '{spec.name}' and path"
                    f" '{self._input_path(index)}' has the wrong shape: expected"
                    f" shape={(None, *spec.shape[1:])}, found shape={tuple(x.shape)}.",
                    fix="the batch axis is missing: for one sample pass `x[None]`."
                    if tuple(x.shape) == spec.shape[1:]
                    else "the first axis is the batch; the others must have the sizes that the"
                    " model was made or built for.",
                )
            )
        return attach_mask(x, mask)

    def _as_input(self, x: Any, spec: KerasTensor) -> Any:
        """Return an array as a tensor; strings stay what torch has no tensors of."""
        values = as_values(x)
        check_kind(values, spec.dtype, f"Model '{self.name}': the data for input '{spec.name}'")
        return values if is_text(values) else values.to(self._device_of_weights())

    def _input_path(self, index: int) -> str:
        """Where an input stands in the structure of the inputs."""
        return _dotted(flatten_with_path(self._inputs_struct)[index][0])

    def _warn_of_structure(self, inputs: Any) -> None:
        """Warn, once, that the inputs had to be matched by their order or their names alone."""
        if not self._warned_of_structure:
            self.__dict__["_warned_of_structure"] = True
            warnings.warn(self._structure_message(inputs), stacklevel=4)

    def _structure_message(self, inputs: Any) -> str:
        names = map_structure(lambda tensor: tensor.name, self._inputs_struct)
        given = map_structure(
            lambda x: f"Tensor(shape={tuple(x.shape)})" if hasattr(x, "shape") else repr(x), inputs
        )
        return (
            "The structure of `inputs` doesn't match the expected structure.\n"
            f"Expected: {names}\nReceived: inputs={given}"
        )

    def _wrong_structure(self, inputs: Any) -> ValueError:
        struct, count = self._inputs_struct, len(self.inputs)
        named = (
            f" named input(s) with keys {list(struct)}" if isinstance(struct, dict) else " input(s)"
        )
        return ValueError(
            explain(
                f"Model '{self.name}' expects {count}{named}, but received {len(flatten(inputs))}."
                f" {self._structure_message(inputs)}",
                fix="pass one array per input, in their order, or in a dict by their names.",
            )
        )

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Return the outputs as symbolic tensors, for inputs of any admissible shape."""
        flat = flatten(inputs)
        known = [x.shape for x in flat] == [tensor.shape for tensor in self.inputs]
        if known and not any(x._keras_mask is not None for x in flat):
            return map_structure(_copy_spec, self._returned())
        return Operation.compute_output_spec(self, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes of the outputs for shapes of the inputs."""
        from_shape = functools.partial(_spec_of_shape, self.inputs)
        outputs = self.compute_output_spec(from_shape(input_shape))
        return map_structure(lambda tensor: tensor.shape, outputs)

    # Structure -----------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers of the graph, from inputs to outputs."""
        return [operation for operation in self.operations if isinstance(operation, Layer)]

    @layers.setter
    def layers(self, value: Any) -> None:
        Model.layers.fset(self, value)  # which says that they cannot be set

    @property
    def _operations(self) -> list[Operation]:
        return self.operations

    @property
    def _layers(self) -> list[Any]:
        """The layers of the graph, then other modules assigned to attributes."""
        inner = {id(layer): layer for layer in self.layers}
        inner.update((id(layer), layer) for layer in self._child_layers())
        return list(inner.values())

    @property
    def input(self) -> Any:
        """The symbolic inputs, in their structure."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic outputs, in their structure."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of shapes."""
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of shapes."""
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @HiddenByAttribute
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs."""
        return [tensor._keras_history.operation.name for tensor in self.outputs]

    @property
    def _nodes_by_depth(self) -> dict[int, list[Node]]:
        return self._sorted.nodes_by_depth

    @property
    def input_spec(self) -> Any:
        """What the inputs must look like; checked when they are standardized."""
        if self._input_spec is not None:
            return self._input_spec
        return None

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        # Without an entry, every call is standardized, and meets the check there.
        self.__dict__.update(_input_spec=value, _fast_entry=None)

    def input_specs(self) -> list[InputSpec]:
        """Return the `InputSpec` of each input."""
        return [
            InputSpec(
                shape=(None, *tensor.shape[1:]),
                allow_last_axis_squeeze=True,
                name=tensor._keras_history.operation.name,
                optional=getattr(tensor._keras_history.operation, "optional", False),
            )
            for tensor in self.inputs
        ]

    # Configs and copies --------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        if not constructs_functional(type(self)):
            return Model.get_config(self)
        return functional_config(self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Model:
        if "layers" in config and "input_layers" in config:
            return functional_from_config(cls, config, custom_objects)
        return super().from_config(config)

    # Copies hold the calls of the graph as a list, and record them anew on the copied layers.

    def _state_to_copy(self) -> dict[str, Any]:
        dropped = ("inputs", "outputs", "_sorted", "_nodes", "operations", "_input_keys")
        dropped += ("fx_graph", "lowered", "forward", "graph")
        state = {
            key: value for key, value in super()._state_to_copy().items() if key not in dropped
        }
        nodes = self._sorted.nodes
        state["_calls"] = [(n.operation, n.args, n.kwargs, n.structure) for n in nodes]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for call in self.__dict__.pop("_calls"):
            Node(*call)
        self.__dict__["inputs"] = flatten(self._inputs_struct)
        self.__dict__["outputs"] = flatten(self._outputs_struct)
        # Layers that were renamed keep the attribute that they had.
        self._lower_graph({layer: key for key, layer in self._modules.items()})

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if type(self).__reduce__ is not object.__reduce__:  # scikeras gives `Model` one of its own
            return super().__reduce_ex__(protocol)
        return _unmade, (type(self),), self._state_to_copy()


def _unmade(cls: type) -> Functional:
    """Make an object to be filled; a user's class may not have become functional yet."""
    if not issubclass(cls, Functional):
        insert_base(cls, Functional)
    return cls.__new__(cls)


Model._functional_class = Functional


def _is_single(struct: Any) -> bool:
    """Whether a structure is one tensor, or a list or tuple of one."""
    return isinstance(struct, KerasTensor) or (
        isinstance(struct, (list, tuple))
        and len(struct) == 1
        and isinstance(struct[0], KerasTensor)
    )


def _dotted(path: Sequence[Any]) -> str:
    return ".".join(map(str, path))


def _parts(struct: Any) -> Any:
    return struct if isinstance(struct, (list, tuple)) else [struct]


def _is_flat(struct: dict[str, Any]) -> bool:
    return all(isinstance(value, KerasTensor) for value in struct.values())


def _is_entry(tensor: KerasTensor) -> bool:
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index].is_input


def _check_tensors(struct: Any, what: str) -> None:
    for x in flatten(struct):
        if not isinstance(x, KerasTensor):
            raise ValueError(
                explain(
                    f"All `{what}` values must be KerasTensors.",
                    given=f"{x!r} of type {type(x).__name__}",
                    fix="inputs come from `Input(...)`, outputs from calling layers on them.",
                )
            )
        if x._keras_history is None:
            raise ValueError(
                explain(
                    f"`{what}`: the symbolic tensor '{x.name}' comes from no layer.",
                    fix="make it with `Input(...)`, or by calling layers on such a tensor.",
                )
            )


def _copy_spec(tensor: KerasTensor) -> KerasTensor:
    copied = KerasTensor(tensor.shape, tensor.dtype)
    copied._keras_mask = tensor._keras_mask
    return copied


def _spec_of_shape(inputs: list[KerasTensor], shape: Any) -> Any:
    if isinstance(shape, dict):
        by_name = {tensor.name: tensor.dtype for tensor in inputs}
        return {key: KerasTensor(s, by_name.get(key, "float32")) for key, s in shape.items()}
    if shape and isinstance(shape[0], (list, tuple)):
        return [KerasTensor(s, t.dtype) for s, t in zip(shape, inputs, strict=True)]
    return KerasTensor(shape, inputs[0].dtype)


def _cut_out(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Make new entries of intermediate tensors, and record the calls behind them anew."""
    flat = flatten(inputs)
    nodes = sort_graph(flat, flatten(outputs)).nodes
    values: dict[int, KerasTensor] = {}
    for tensor in flat:
        if _is_entry(tensor):
            values[id(tensor)] = tensor
        else:
            name = tensor._keras_history.operation.name
            values[id(tensor)] = Input(
                batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{name}_input"
            )

    def value_of(x: Any) -> Any:
        if isinstance(x, KerasTensor):
            if id(x) not in values:
                values[id(x)] = _copy_spec(x)
            return values[id(x)]
        return x

    for node in nodes:
        if node.is_input or all(id(tensor) in values for tensor in node.outputs):
            continue
        args, kwargs = map_structure(value_of, (node.args, node.kwargs))
        Node(node.operation, args, kwargs, map_structure(value_of, node.structure))
    return map_structure(value_of, inputs), map_structure(value_of, outputs)


def constructs_functional(cls: type) -> bool:
    """Whether `cls(inputs, outputs, name=…)` makes such a model, so that a config can."""
    init: Callable[..., Any] = cls.__init__
    if init is Functional.__init__:
        return True
    code = getattr(init, "__code__", None)
    if code is None:
        return False
    names = code.co_varnames[1 : code.co_argcount]
    takes_all = code.co_flags & 0x04 and code.co_flags & 0x08  # *args and **kwargs
    return bool(takes_all) or names == ("inputs", "outputs", "name")
