"""`Layer`, the base of all layers: a `torch.nn.Module` with Keras's life cycle.

A call takes one of two paths. The *slow* one has the full semantics of Keras: it converts inputs,
builds the weights, resolves `training` and masks, records symbolic calls, and checks what can go
wrong. When it succeeds, it leaves a *plan*: what it found that cannot change until the layer itself
is changed. Later calls on plain tensors take the *fast* path, which only reads that plan.

Masks travel as `_keras_mask` on tensors in eager code. A lowered graph passes them as arguments
instead and calls `call_unmasked`, which neither looks for masks nor attaches any.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as _hooks

from ..dtype_policies import DTypePolicyMap
from ..dtype_policies import deserialize as deserialize_policy
from ..dtype_policies import get as get_policy
from ..dtypes import as_tensor
from ..graph.context import CONTEXT
from ..graph.infer import known_shape, real_mode
from ..graph.keras_tensor import KerasTensor, any_symbolic
from ..graph.masks import get_keras_mask, set_keras_mask
from ..graph.operation import Node, Operation, check_config, checked_name, refused_config
from ..graph.remat import RematMode, get_current_remat_mode, rematerialized
from ..naming import current_path, explain, nearest
from ..registry import builtin
from ..regularizers import get as get_regularizer
from ..tree import flatten, map_structure
from ..variables import READING
from .building import (
    as_shapes,
    build_children,
    is_recorded,
    module_state,
    recorded_build,
    refuse_dict,
    without_trace,
)
from .call_plan import CallPlan, autocast_of, cast_arguments, only_spec
from .call_spec import (
    CallSpec,
    is_tensor,
    place_masks,
    shape_arguments,
    signature_of,
    specs_of,
)
from .configs import layer_config, make_from, read_arguments
from .effects import CallEffects
from .input_spec import InputSpec, assert_input_compatibility
from .memory import mark_memory
from .quantizing import Quantizing

__all__ = ["Layer"]

Tensor = torch.Tensor
_module_call = torch.nn.Module.__call__
_tracing_state = torch._C._get_tracing_state


@builtin("keras.layers.Layer", "keras.Layer")
class Layer(Quantizing, CallEffects, Operation):
    """A callable with weights: the base class of all layers and models.

    Subclasses store their arguments in `__init__`, make weights in `build(input_shape)` and compute
    in `call`. The layer is a `torch.nn.Module`: its weights are its parameters, layers assigned to
    attributes (also in lists and dicts) are its children.

    Args:
        activity_regularizer: Penalty on the output, added to `losses`.
        trainable: Whether training changes the weights.
        dtype: A dtype name or policy. Default: the global policy.
        autocast: Whether floating inputs are cast to the compute dtype.
        name: Default: the class's name in snake case, numbered.

    Raises:
        ValueError: An unknown argument, with the nearest known one.

    Example:
        >>> import torch
        >>> class Linear(Layer):
        ...     def build(self, input_shape):
        ...         self.w = self.add_weight((input_shape[-1], 2), "ones")
        ...     def call(self, x):
        ...         return x @ self.w
        >>> Linear()(torch.ones(1, 3)).tolist()
        [[3.0, 3.0]]
    """

    # Whether the layer makes a mask where there was none; `None`: it does if it overrides
    # `compute_mask`.
    _creates_mask: bool | None = None
    # Whether array arguments of a call are converted to tensors of the compute dtype.
    _convert_input_args = True
    # Whether `call` may be given positional arguments that are not tensors.
    _allow_non_tensor_positional_args = False
    # Whether masks reach it only as arguments, so that a lowered graph may pass them like that; a
    # user's layer may also rely on masks that its inner layers find on tensors.
    _static_masks = False
    # How Keras's output lies in memory where ours may not: "row_major" (also "row_major_first":
    # only where channels come first), "time_major" (then the batch), "channels_first" or
    # "channels_last" whatever the format, "inputs" as they do, "inputs_else_row_major" where ours
    # always lies otherwise, "relaid" by its `_relay` ("inputs_relaid": if the inputs lie
    # otherwise), "resized" (row-major, or else channels first), or as a model's "outputs" do. See
    # `memory`.
    _keras_memory: str | None = None
    _call_plan: CallPlan | None = None
    # Whether what `build` makes is frozen, since the layer comes from the config of a frozen one.
    _freezes_built = False
    # Arguments that are handed on to the layers inside, whether or not `call` takes them.
    _call_context_args: frozenset[str] = frozenset({"training"})
    # Set where a layer is made in a `RematScope`.
    _remat_mode: RematMode | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._static_masks = cls.__module__.startswith("torchkeras.layers.")
        if "build" in cls.__dict__:
            cls.build = recorded_build(cls.__dict__["build"])
        if "forward" in cls.__dict__ and "call" not in cls.__dict__:
            cls.call = cls.__dict__["forward"]
        elif "call" in cls.__dict__:
            cls.forward = cls.__dict__["call"]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        early = len(self.__dict__) > 1  # more than what `Operation.__new__` notes
        if not isinstance(trainable, (bool, np.bool_)):
            raise ValueError(
                f"Expected `trainable` to be a boolean. Received: trainable={trainable!r} (of type"
                f" {type(trainable).__name__})."
            )
        # Written directly: none of these is a module, a parameter or anything to track.
        state = module_state()
        state.update(
            training=False,
            name=checked_name(name, type(self).__name__),
            built=False,
            autocast=autocast,
            supports_jit=True,
            _inbound_nodes=[],
            _outbound_nodes=[],
            _trainable=bool(trainable),
            _dtype_policy=get_policy(dtype),
            _activity_regularizer=get_regularizer(activity_regularizer),
            _call_signature=signature_of(type(self).call),
            _supports_masking=type(self).compute_mask is not Layer.compute_mask,
            _input_spec=None,
            _losses=[],
            _metrics=[],
            _build_shapes=None,
            _path=None,
            _stray_weights=[],
        )
        self.__dict__.update(state)
        if kwargs:
            self._read_input_shape(kwargs)
        if kwargs:
            self._refuse(kwargs)
        if early:
            self._take_early_state()
        mode = get_current_remat_mode()
        if mode is not None:
            self.__dict__["_remat_mode"] = mode
        if mode is not None or self._dtype_policy.quantization_mode is not None:
            self._route_forward()

    def _read_input_shape(self, kwargs: dict[str, Any]) -> None:
        """Take the shape arguments of old scripts, `input_shape` and its kin, from `kwargs`."""
        batch_size = kwargs.pop("batch_size", None)
        full = kwargs.pop("batch_input_shape", None)
        if "input_dim" in kwargs:
            self._input_shape_arg = (kwargs.pop("input_dim"),)
            kwargs.pop("input_shape", None)
        elif "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
            if shape is not None:
                self._input_shape_arg = (shape,) if isinstance(shape, int) else tuple(shape)
        elif full is not None:
            batch_size, self._input_shape_arg = full[0], tuple(full[1:])
        if batch_size is not None:
            self._input_batch_size = batch_size

    def _refuse(self, kwargs: dict[str, Any]) -> None:
        known = {"name", "dtype", "trainable", "activity_regularizer", "input_shape"}
        for cls in type(self).__mro__:
            if "__init__" in cls.__dict__:
                known.update(inspect.signature(cls.__init__).parameters)
        known -= {"self", "args", "kwargs"}
        hints = [nearest(key, known) for key in kwargs]
        raise ValueError(
            explain(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}."
                f" {' '.join(hint for hint in hints if hint)}".rstrip(),
                fix=f"the arguments are {', '.join(sorted(known))}.",
            )
        )

    # Settings that the plan depends on -----------------------------------------------------------

    @property
    def activity_regularizer(self) -> Any:
        """Penalty on the output, or `None`."""
        return self._activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, value: Any) -> None:
        self.__dict__.update(_activity_regularizer=get_regularizer(value), _call_plan=None)

    @property
    def input_spec(self) -> Any:
        """What the layer demands of its inputs."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self.__dict__.update(_input_spec=value, _call_plan=None)

    @property
    def supports_masking(self) -> bool:
        """Whether the mask of the input applies to the output too."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:
        self.__dict__.update(_supports_masking=value, _call_plan=None)

    @property
    def creates_mask(self) -> bool:
        """Whether the outputs may have a mask where the inputs have none."""
        if self._creates_mask is not None:
            return self._creates_mask
        return type(self).compute_mask is not Layer.compute_mask

    @property
    def passes_mask(self) -> bool:
        """Whether the outputs have the mask of the first input, as it is."""
        return self._supports_masking and type(self).compute_mask is Layer.compute_mask

    @property
    def path(self) -> str | None:
        """The names of the enclosing layers and this one, with slashes; `None` before building."""
        return self._path

    # Building ------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights; subclasses override it.

        Args:
            input_shape: The shape of the first input of `call`, `None` where unknown. With several
                inputs, name the parameters `<argument>_shape`.
        """
        self.built = True
        if not self._building:  # else a subclass goes on building
            self.__dict__["_build_shapes"] = {"input_shape": input_shape}
            with self._name_scope():
                self.__dict__["_path"] = current_path()
            self._lock_state()

    def _build_at_init(self) -> None:
        """Mark a layer without weights as built, unless a subclass has a `build` of its own.

        Constructors call it last, where Keras's layers count as built before the first call: their
        files then hold no build config. A user's subclass may still add state to what it inherits.
        """
        if type(self).build is Layer.build:
            self.__dict__["built"] = True
            if self._static_masks:
                self._lock_state()

    def _build_from(self, spec: CallSpec) -> None:
        if self.built:
            return
        shapes, build = spec.shapes(), self.build
        try:
            if is_recorded(build):  # it opens its own scope
                build(**shape_arguments(build, shapes, self))
            else:
                with real_mode(), self._name_scope():
                    if type(self).build is Layer.build:
                        self._build_in_call(shapes)
                        return
                    build(**shape_arguments(build, shapes, self))
        except KeyError as error:
            refuse_dict(self, shapes, error)
            raise
        assert_input_compatibility(self.input_spec, spec.first, self.name)

    def _build_in_call(self, shapes: dict[str, Any]) -> None:
        """Prepare a layer without a `build`: its children are built when `call` reaches them."""
        first = next(iter(shapes.values()), None)
        self.__dict__.update(_path=current_path(), _build_shapes={"input_shape": first})
        self._settle_policy()
        self._adopt_stray_weights()
        if all(getattr(layer, "built", True) for layer in self._layers):
            self._lock_state()  # nothing inside that the call will build

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes the layer was built with, for rebuilding it from a file."""
        shapes = self._build_shapes
        if shapes is None:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": dict(shapes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer from what `get_build_config` returned."""
        if not config:
            return
        if "input_shape" in config:
            self.build(as_shapes(config["input_shape"]))
        elif "shapes_dict" in config:
            self.build(**{key: as_shapes(shape) for key, shape in config["shapes_dict"].items()})

    # Calls ---------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plan, view = self._call_plan, CONTEXT.view
        if plan is None or (view is not None and CONTEXT.meta):
            return self._full_call(args, kwargs)
        if len(args) == 1 and not kwargs:
            x = args[0]
            unmasked = not plan.creates_mask and getattr(x, "_keras_mask", None) is None
            if unmasked and isinstance(x, Tensor):
                if plan.cast is not None and x.dtype is not plan.cast and x.is_floating_point():
                    x = x.to(plan.cast)
                if plan.checks and (  # `plan.fits`, one call cheaper
                    (plan.ndim is not None and x.dim() != plan.ndim)
                    or (plan.min_ndim is not None and x.dim() < plan.min_ndim)
                    or (plan.axis is not None and x.shape[plan.axis] != plan.size)
                ):
                    assert_input_compatibility(self.input_spec, x, self.name)
                if plan.autocast is not None or view is not None:
                    return self._run_call(plan, (x,), {})
                # `is_hooked`, one call cheaper.
                state = self.__dict__
                hooked = (
                    state["_forward_hooks"]
                    or state["_forward_pre_hooks"]
                    or state["_backward_hooks"]
                    or state["_backward_pre_hooks"]
                    or _hooks._global_forward_hooks
                    or _hooks._global_forward_pre_hooks
                    or _hooks._global_backward_hooks
                    or _hooks._global_backward_pre_hooks
                    or self._compiled_call_impl is not None
                    or _tracing_state()
                )
                call = self._wrapped_call_impl if hooked else self.forward
                try:
                    if plan.takes_training:
                        training = CONTEXT.training
                        if training is None:
                            training = self.training or plan.silent
                        return call(x, training=training)
                    return call(x)
                except (RuntimeError, IndexError) as error:
                    self._explain_failure(error, args, kwargs)
                    raise
        if not plan.creates_mask and plan.covers(args, kwargs):
            return self._run_call(plan, args, kwargs)
        if plan.covers(args, kwargs, masked=True):
            return self._run_masked(plan, args, kwargs)
        return self._full_call(args, kwargs)

    def _run_call(self, plan: CallPlan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `forward` with `training` resolved and weights seen in the compute dtype."""
        outer = CONTEXT.training
        training = kwargs.get("training")
        if training is not None:
            CONTEXT.training = training  # for the layers inside
        elif plan.takes_training:
            kwargs["training"] = (self.training or plan.silent) if outer is None else outer
        if not plan.accepts_training:
            kwargs.pop("training", None)
        former = None
        if plan.autocast is not READING.autocast or (
            CONTEXT.view is not None and CONTEXT.plain is not self._static_masks
        ):
            former = CONTEXT.set_view(plan.autocast, CONTEXT.meta, self._static_masks)
        try:
            return _module_call(self, *args, **kwargs)
        except (RuntimeError, IndexError) as error:
            self._explain_failure(error, args, kwargs)
            raise
        finally:
            if training is not None:
                CONTEXT.training = outer
            if former is not None:
                CONTEXT.set_view(*former)

    def _run_masked(self, plan: CallPlan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Hand the masks of the inputs to `call`, and theirs to the outputs."""
        arguments, previous = plan.place_masks(args, kwargs)
        outputs = self._run_call(plan, args, kwargs)
        self._attach_mask(args[0], outputs, previous, arguments)
        return outputs

    def _explain_failure(self, error: Exception, args: Any, kwargs: Any) -> None:
        """Say which layer torch refused and what it was given; users' layers speak for themselves.

        Raises:
            ValueError: The error is torch's, and the layer one of ours.
        """
        if type(error) not in (RuntimeError, IndexError) or not self._static_masks:
            return
        weights = {name: tuple(weight.shape) for name, weight in self._parameters.items()}
        raise ValueError(
            explain(
                f"Layer '{self.name}' (of type {type(self).__name__}) cannot compute with these"
                f" inputs: {error}",
                inputs=", ".join(
                    f"{str(x.dtype).removeprefix('torch.')} of shape {known_shape(x)} on {x.device}"
                    for x in flatten((args, kwargs))
                    if isinstance(x, Tensor)
                ),
                weights=weights or "none",
                fix="check the shapes and dtypes of what is passed to the layer.",
            )
        ) from error

    def rematerialized_call(
        self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Callable[..., Any]:
        """Return what to run in place of `layer_call` in a layer made in a `RematScope`."""
        return rematerialized(self, layer_call, args, kwargs)

    def _with_remat(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """Let `forward` follow the `RematScope` of the layer, if it has one."""
        if self._remat_mode is None:
            return forward

        def run(*args: Any, **kwargs: Any) -> Any:
            return self.rematerialized_call(forward, *args, **kwargs)(*args, **kwargs)

        return run

    def call_unmasked(self, *args: Any, **kwargs: Any) -> Any:
        """Call the built layer with the masks given as arguments and no others."""
        plan = self._call_plan or CallPlan(self)
        if plan.cast is not None:
            args = tuple(cast_arguments(arg, plan.cast) for arg in args)
        return self._run_call(plan, args, kwargs)

    def _full_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the layer with all of Keras's semantics; leave a plan for the next call."""
        self._require_init()
        original = (args, kwargs)
        alone = len(args) == 1 and not kwargs and is_tensor(args[0])
        symbolic = isinstance(args[0], KerasTensor) if alone else any_symbolic(args, kwargs)
        if self._convert_input_args and alone:
            args = (self._convert_input(args[0]),)
        elif self._convert_input_args:
            args, kwargs = map_structure(self._convert_input, (args, kwargs))
        spec = CallSpec(self, args, kwargs)
        if not alone and not self._allow_non_tensor_positional_args:
            self._check_positional(args)
        place = self._call_signature.before_training
        if len(args) > place:  # from there on by name, as `training` is handed on
            if is_tensor(args[place]) or isinstance(args[place], np.ndarray):
                raise TypeError(
                    explain(
                        f"Layer '{self.name}' (of type {type(self).__name__}) was given a tensor"
                        " for `training`.",
                        given=f"{len(args)} positional arguments",
                        fix="pass several inputs as a list.",
                    )
                )
            names = self._call_signature.names[place:]
            args, kwargs = args[:place], {**kwargs, **dict(zip(names, args[place:], strict=False))}
        assert_input_compatibility(self.input_spec, spec.first, self.name)
        outer_training, outer_arguments = CONTEXT.training, CONTEXT.arguments
        with self._name_scope():
            if not self.built:
                self._build_from(spec)
            outermost = not CONTEXT.entered and not CONTEXT.meta
            if outermost:
                CONTEXT.entered = True
                self._clear_losses()
            try:
                arguments, previous_mask = self._resolve_arguments(spec, kwargs)
                if symbolic:
                    outputs = self._symbolic_outputs(spec, args, arguments)
                else:
                    outputs = self._run_call(CallPlan(self), args, arguments)
                    if self._activity_regularizer is not None:
                        self._regularize_activity(outputs)
                if not self.built:
                    self.__dict__["built"] = True
                    self._adopt_stray_weights()
                    self._lock_state()
                self._attach_mask(spec.first, outputs, previous_mask, spec.arguments)
            finally:
                CONTEXT.training, CONTEXT.arguments = outer_training, outer_arguments
                if outermost:
                    CONTEXT.entered = False
        if symbolic:
            Node(self, *original, outputs)
        if self._keras_memory is not None:
            mark_memory(self, original, outputs)
        self.__dict__["_called"] = True
        if not symbolic or self._static_masks or self._infers_by_call():
            self._make_plan()  # else layers that `call` reaches are to be built in this one's scope
        return outputs

    def _infers_by_call(self) -> bool:
        """Whether a symbolic call runs `call`."""
        cls = type(self)
        return (
            cls.compute_output_shape is Layer.compute_output_shape
            and cls.compute_output_spec is Layer.compute_output_spec
        )

    def _make_plan(self) -> None:
        """Allow the fast path, if nothing that only the slow one does is ever needed."""
        regular = not self._adds_losses and self._activity_regularizer is None
        spec = only_spec(self._input_spec)
        simple = spec is None or (
            isinstance(spec, InputSpec)
            and spec.shape is None
            and spec.dtype is None
            and spec.max_ndim is None
            and len(spec.axes) <= 1
        )
        default = self._call_signature.training_default
        hands_on = len(self._call_context_args) > 1
        if self.built and regular and simple and not hands_on and default in (None, False):
            self.__dict__["_call_plan"] = CallPlan(self)

    def _convert_input(self, x: Any) -> Any:
        """Make a tensor of an array, and cast floating ones to the compute dtype."""
        if isinstance(x, Tensor):
            dtype = self._input_torch_dtype
            if dtype is None or x.dtype is dtype or not x.is_floating_point():
                return x
            cast = x.to(dtype)
            set_keras_mask(cast, get_keras_mask(x))
            return cast
        if isinstance(x, KerasTensor):
            return self._cast_symbolic(x)
        if isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array__"):
            array = np.asarray(x)
            if array.dtype.kind in "OUS":
                return x
            return self._convert_input(as_tensor(array, device=self._device_of_weights()))
        return x

    def _cast_symbolic(self, x: KerasTensor) -> KerasTensor:
        if "float" not in x.dtype or x.dtype == self.input_dtype or self._input_torch_dtype is None:
            return x
        cast = KerasTensor(x.shape, self.input_dtype, name=x.name)
        cast._keras_history, cast._keras_mask = x._keras_history, x._keras_mask
        return cast

    def _check_positional(self, args: tuple[Any, ...]) -> None:
        for arg in flatten(args):
            strings = isinstance(arg, np.ndarray) and not self._static_masks  # for inner layers
            if arg is not None and not is_tensor(arg) and not strings:
                raise ValueError(
                    explain(
                        "Only input tensors may be passed as positional arguments of layer"
                        f" '{self.name}' (of type {type(self).__name__}).",
                        given=f"{arg!r} (of type {type(arg).__name__})",
                        fix="pass a tensor or NumPy array, or pass this value by keyword.",
                    )
                )

    def _resolve_arguments(
        self, spec: CallSpec, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        """Fill in `training` and mask arguments; return them and the mask of the first input."""
        signature = self._call_signature
        asked = kwargs
        training = kwargs.get("training", spec.given.get("training"))
        handed_on = self._hand_on(spec, kwargs) if len(self._call_context_args) > 1 else {}
        kwargs = {**{k: v for k, v in kwargs.items() if k in spec.given}, **handed_on}
        if training is None:
            training = CONTEXT.training
        if training is None and signature.training_default is not None and not self.training:
            # Not where it was said to be `None`, which is Keras's way of handing on nothing.
            if "training" not in spec.given and "training" not in asked:
                training = signature.training_default
        if training is not None:
            CONTEXT.training = training
            if signature.takes_training:
                kwargs["training"] = training
        place_masks(signature, spec.arguments, spec.tensors, kwargs)
        previous = kwargs.get("mask")
        if previous is None:
            first = spec.first
            alone = is_tensor(first)
            previous = get_keras_mask(first) if alone else map_structure(get_keras_mask, first)
        return kwargs, previous

    def _hand_on(self, spec: CallSpec, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Resolve the registered arguments of the call; return those that `call` takes."""
        values = {}
        for name in self._call_context_args - {"training"}:
            value = kwargs.get(name, spec.given.get(name))
            value = CONTEXT.arguments.get(name) if value is None else value
            value = spec.arguments.get(name) if value is None else value
            if value is not None:
                values[name] = value
        CONTEXT.arguments = {**CONTEXT.arguments, **values}
        return {k: v for k, v in values.items() if k in self._call_signature.names}

    def _register_call_context_args(self, *names: str) -> None:
        """Let calls take arguments that reach the layers inside which registered them too.

        Args:
            names: Such as `"decoding"`: `layer(x, decoding=True)` then sets it for all calls
                inside that do not set it themselves.

        Raises:
            RuntimeError: The layer has been called already.
        """
        if self.__dict__.get("_called", False):
            raise RuntimeError(
                "Cannot add call-context args after the layer has been called. Register"
                f" {', '.join(names)} in `__init__`."
            )
        self.__dict__.update(
            _call_context_args=self._call_context_args | set(names), _call_plan=None
        )

    def _symbolic_outputs(
        self, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        former = CONTEXT.set_view(autocast_of(self), CONTEXT.meta, self._static_masks)
        try:
            if not self.built and not self._infers_by_call():
                build_children(self, args, kwargs)
            method = self.compute_output_spec
            if kwargs or getattr(method, "__func__", None) is not Layer.compute_output_spec:
                outputs = method(*args, **kwargs)
            elif type(self).compute_output_shape is Layer.compute_output_shape:
                outputs = Operation.compute_output_spec(self, *args)
            else:
                outputs = self._spec_by_shape(spec)
        finally:
            CONTEXT.set_view(*former)
        if isinstance(outputs, KerasTensor):
            return _as_fresh_output(outputs)
        return map_structure(_as_fresh_output, outputs)

    def _attach_mask(
        self, inputs: Any, outputs: Any, previous_mask: Any, arguments: dict[str, Any]
    ) -> None:
        unmasked = previous_mask is None or all([m is None for m in flatten(previous_mask)])
        hands_on = type(self).compute_mask is Layer.compute_mask
        if unmasked and (hands_on or (self._static_masks and not self.creates_mask)):
            return
        if not self._supports_masking:
            if not unmasked:
                warnings.warn(
                    f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with"
                    " a mask attached to it. However, this layer does not support masking and will"
                    " therefore destroy the mask information. Downstream layers will not see the"
                    " mask.",
                    stacklevel=4,
                )
            return
        flat = flatten(outputs)
        if all(get_keras_mask(output) is not None for output in flat):
            return
        if any_symbolic(inputs, outputs):
            masks = self._symbolic_mask(inputs, previous_mask)
        else:
            masks = self.compute_mask(inputs, previous_mask)
        if masks is None:
            return
        for output, mask in zip(flat, flatten(masks), strict=False):
            if get_keras_mask(output) is None and mask is not None:
                set_keras_mask(output, mask)

    def _symbolic_mask(self, inputs: Any, previous_mask: Any) -> Any:
        if type(self).compute_mask is Layer.compute_mask:
            return previous_mask
        return Operation.compute_output_spec(_MaskOf(self), inputs, previous_mask)

    def _regularize_activity(self, outputs: Any) -> None:
        for output in flatten(outputs):
            if isinstance(output, Tensor):
                penalty = self._activity_regularizer(output)
                if output.dim():
                    penalty = penalty / max(output.shape[0], 1)
                self.add_loss(penalty)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; subclasses override it."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call` method implemented."
        )

    forward = call

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return the mask of the outputs: that of the inputs, unless overridden."""
        return previous_mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return `KerasTensor`s with the shapes and dtypes of the outputs."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return Operation.compute_output_spec(self, *args, **kwargs)
        return self._spec_by_shape(CallSpec(self, args, kwargs))

    def _spec_by_shape(self, spec: CallSpec) -> Any:
        shapes = shape_arguments(self.compute_output_shape, spec.shapes(), self)
        return specs_of(self.compute_output_shape(**shapes), self.compute_dtype)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the shape of the output for the shape of the input.

        Args:
            input_shape: A shape with `None` where unknown; `<argument>_shape` for more inputs.
        """
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"Layer {type(self).__name__} does not have a `compute_output_shape` method"
                " implemented, nor a `call` to infer it from."
            )
        names = iter(self._call_signature.names)
        shapes = dict(zip(names, args, strict=False))
        shapes.update((key.removesuffix("_shape"), shape) for key, shape in kwargs.items())
        if kwargs and not args and "input" in shapes and "input" not in self._call_signature.names:
            shapes[self._call_signature.names[0]] = shapes.pop("input")
        inputs = {key: specs_of(shape, self.input_dtype) for key, shape in shapes.items()}
        if all(layer.built for layer in self._flatten_layers()):
            return self._output_shape_of(inputs)
        with without_trace():
            return copy.deepcopy(self)._output_shape_of(inputs)

    def _output_shape_of(self, inputs: dict[str, Any]) -> Any:
        first, *rest = inputs.values()
        others = dict(zip(list(inputs)[1:], rest, strict=True))
        self._build_from(CallSpec(self, (first,), others))
        outputs = Operation.compute_output_spec(self, first, **others)
        return map_structure(lambda tensor: tensor.shape, outputs)

    # Configs -------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with objects in them as configs."""
        self._require_init()
        return layer_config(self, Layer)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what `get_config` returned; a plain dtype policy comes by name."""
        check_config(cls, config)
        if isinstance(config.get("dtype"), dict):
            policy = deserialize_policy(config["dtype"])
            plain = not isinstance(policy, DTypePolicyMap) and policy.quantization_mode is None
            config = {**config, "dtype": policy.name if plain else policy}
        config = read_arguments(cls, config)  # whose names, if unknown, are reported as they are
        try:
            return make_from(cls, config)
        except Exception as error:
            raise refused_config(cls, config, error) from error

    # Copies leave the graph that the layer was called in behind.

    def __copy__(self) -> Layer:
        return copy.deepcopy(self)  # as in Keras: halves of a model would be in both

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        for key, value in self._state_to_copy().items():
            copied.__dict__[key] = copy.deepcopy(value, memo)
        copied.__setstate__(copied.__dict__)
        return copied

    def _state_to_copy(self) -> dict[str, Any]:
        dropped = ("_inbound_nodes", "_outbound_nodes", "_call_signature", "_call_plan")
        dropped += ("_announced", "_silent_at")
        if self._routed:
            dropped += ("forward",)
        state = {key: value for key, value in self.__dict__.items() if key not in dropped}
        state["_losses"] = []  # of the last call, with its graph
        return state

    def __getstate__(self) -> dict[str, Any]:
        return self._state_to_copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.update(
            _inbound_nodes=[], _outbound_nodes=[], _call_signature=signature_of(type(self).call)
        )
        if self._routed:
            self._route_forward()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.__dict__.get('name')}, built={self.built}>"

    __hash__, __eq__ = object.__hash__, object.__eq__


class _MaskOf(Operation):
    """`compute_mask` of a layer as an operation, to infer the mask's shape with."""

    def __init__(self, layer: Layer) -> None:
        self.name, self.call = layer.name, layer.compute_mask


def _as_fresh_output(output: Any) -> Any:
    """Return a symbolic output that is not one of the inputs handed through."""
    if isinstance(output, KerasTensor) and output._keras_history is not None:
        fresh = KerasTensor(output.shape, output.dtype)
        fresh._keras_mask = output._keras_mask
        return fresh
    return output
