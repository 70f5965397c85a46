"""Operations and the nodes that record their calls; `@op`, which makes an operation of a function.

An operation is anything that can be called on symbolic tensors: a layer, or a function under `@op`.
Each symbolic call adds a `Node` to it; the nodes form the graph that a functional model lowers.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import torch

from ..config import standardize_data_format
from ..dtypes import standardize_dtype
from ..naming import auto_name, explain, to_snake_case
from ..tree import flatten
from .arguments import SymbolicArguments, symbolic_ones
from .infer import infer_elementwise, infer_spec, without_stand_ins
from .keras_tensor import KerasHistory, KerasTensor, any_symbolic
from .remat import RematMode, get_current_remat_mode, rematerialized

__all__ = ["OPERATIONS", "Node", "Operation", "TorchFunction", "elementwise_op", "op", "op_alias"]

F = TypeVar("F", bound=Callable[..., Any])

# Classes made by `op` and the like, by the path that files carry for them.
OPERATIONS: dict[str, type] = {}


class Node:
    """One call of an operation on symbolic tensors.

    Args:
        operation: What was called.
        call_args: Its positional arguments.
        call_kwargs: Its keyword arguments.
        outputs: The `KerasTensor`s it returned, in any structure.

    Raises:
        ValueError: An output is not a tensor.
    """

    def __init__(
        self,
        operation: Any,
        call_args: tuple[Any, ...] = (),
        call_kwargs: dict[str, Any] | None = None,
        outputs: Any = None,
    ) -> None:
        self.operation = operation
        self.args, self.kwargs = call_args, dict(call_kwargs) if call_kwargs else {}
        self.structure = outputs
        if isinstance(outputs, KerasTensor):
            self.outputs = [outputs]
        else:
            self.outputs = [] if outputs is None else flatten(outputs)
        for output in self.outputs:
            if not isinstance(output, KerasTensor):
                raise ValueError(
                    explain(
                        f"'{operation.name}' was called on a symbolic tensor, where all operation"
                        " outputs must be tensors.",
                        given=repr(output),
                        fix="return tensors only, or make the call inside a layer's `call`.",
                    )
                )
        self.input_tensors = symbolic_ones(self.args, self.kwargs)
        self.is_input = not self.input_tensors
        index = len(operation._inbound_nodes)
        operation._inbound_nodes.append(self)
        for tensor in self.input_tensors:
            if tensor._keras_history is not None:
                tensor._keras_history.operation._outbound_nodes.append(self)
        if all([tensor.record_history for tensor in self.input_tensors]):
            for i, tensor in enumerate(self.outputs):
                tensor._keras_history = KerasHistory(operation, index, i)

    @functools.cached_property
    def arguments(self) -> SymbolicArguments:
        """What the call was given."""
        return SymbolicArguments(*self.args, **self.kwargs)

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """What the call returned, flat."""
        return self.outputs

    @property
    def parent_nodes(self) -> list[Node]:
        """The calls whose results this call uses."""
        histories = [tensor._keras_history for tensor in self.input_tensors]
        return [h.operation._inbound_nodes[h.node_index] for h in histories if h is not None]

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}, id={id(self)}>"


class Operation:
    """Something that may be called on tensors and on symbolic tensors.

    Subclasses write `call(*args, **kwargs)` and store their constructor's arguments.

    Args:
        name: Default: the class's name in snake case, numbered.
    """

    # Set where an operation is made in a `RematScope`.
    _remat_mode: RematMode | None = None
    quantization_mode: Any = None
    # TensorFlow's AutoGraph rewrites what `tf.data.Dataset.map` calls, and all that this calls, but
    # no object with this attribute: as it leaves the package `keras` alone.
    autograph_info__: dict[str, Any] = {}

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        # Kept as they came: the config of a class that does not write its own.
        self.__dict__["_init_arguments"] = (args, kwargs)
        return self

    def __init__(self, name: str | None = None) -> None:
        self.name = checked_name(name, type(self).__name__)
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []
        mode = get_current_remat_mode()
        if mode is not None:
            self._remat_mode = mode

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        call = self.call if self.quantization_mode is None else self.quantized_call
        if self._remat_mode is not None:
            call = self.rematerialized_call(call, *args, **kwargs)
        return call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute on concrete tensors."""
        raise NotImplementedError(f"Operation {type(self).__name__} must define `call`.")

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute in the quantized form; called where there is a `quantization_mode`."""
        raise NotImplementedError(f"Operation {type(self).__name__} has no quantized form.")

    def rematerialized_call(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what to run in place of `fn` in an operation made in a `RematScope`."""
        return rematerialized(self, fn, args, kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Infer what `call` returns, and record the call."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return `KerasTensor`s like the tensors that `call` would return.

        Raises:
            ValueError: `call` fails on tensors without data.
        """
        try:
            return infer_spec(self.call, args, kwargs)
        except Exception as error:
            # What torch refuses is a bad value here: the arguments do not go together.
            torch_refused = type(error) in (RuntimeError, IndexError)
            raise (ValueError if torch_refused else type(error))(
                explain(
                    f"Could not infer what '{self.name}' (of type {type(self).__name__}) returns:"
                    f" {without_stand_ins(str(error))}",
                    arguments=_describe(args, kwargs),
                    fix="check the arguments; or, if `call` looks at values, define"
                    " `compute_output_spec` or `compute_output_shape`.",
                )
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; only the name to a subclass that adds its own.

        Raises:
            NotImplementedError: An argument is not a number, string, bool or `None`, nor made of
                such.
        """
        config = {"name": self.name}
        if type(self).get_config is not Operation.get_config:
            return config
        arguments = init_config(self)
        for key, value in arguments.items():
            if not all(isinstance(x, (str, int, float, bool, type(None))) for x in flatten(value)):
                raise NotImplementedError(
                    explain(
                        f"{type(self).__name__} was made with an argument that a config cannot"
                        " describe.",
                        argument=f"{key}={value!r}",
                        fix="define `get_config`, and `from_config` if need be.",
                    )
                )
        parameters = inspect.signature(type(self).__init__).parameters.values()
        if not any(p.name == "name" or p.kind is p.VAR_KEYWORD for p in parameters):
            return arguments
        return {**config, **arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make one from what `get_config` returned.

        Raises:
            TypeError: The constructor refuses the config.
        """
        try:
            return cls(**config)
        except Exception as error:
            raise refused_config(cls, config, error) from error

    @property
    def input(self) -> Any:
        """What the operation was called on at its first call on symbolic tensors."""
        return self._get_node_attribute_at_index(0, "input_tensors", "input")

    @property
    def output(self) -> Any:
        """What the operation returned at its first call on symbolic tensors."""
        return self._get_node_attribute_at_index(0, "output_tensors", "output")

    def _get_node_attribute_at_index(self, node_index: int, attr: str, attr_name: str) -> Any:
        """Return the tensors of one call, or the only one.

        Raises:
            AttributeError: The operation was never called on symbolic tensors.
            ValueError: Not as often as that.
        """
        nodes = self._inbound_nodes
        if not nodes:
            raise AttributeError(
                f"The layer {self.name} has never been called and thus has no defined"
                f" {attr_name}. Call it on an `Input` first."
            )
        if len(nodes) <= node_index:
            raise ValueError(
                f"Asked to get {attr_name} at node {node_index}, but '{self.name}' has only"
                f" {len(nodes)} inbound nodes, one for each call."
            )
        tensors = getattr(nodes[node_index], attr)
        return tensors[0] if len(tensors) == 1 else tensors


def checked_name(name: Any, class_name: str) -> str:
    """Return the name of an object, made from its class where none was given.

    Raises:
        ValueError: It is no string, or contains a slash.
    """
    if name is None:
        return auto_name(class_name)
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            f"Argument `name` of {class_name} must be a string and cannot contain character `/`."
            f" Received: name={name!r}"
        )
    return name


def check_config(cls: type, config: Any) -> None:
    """Refuse what is no config of an object of this class.

    Raises:
        TypeError: It is no dict.
    """
    if not isinstance(config, Mapping):
        raise TypeError(
            f"{cls.__name__}.from_config: `config` must be a dict, as of `get_config()`."
            f" Received: {config!r}"
        )


def refused_config(cls: type, config: Any, error: Exception) -> TypeError:
    """Return what to raise where a constructor refuses a config."""
    return TypeError(
        explain(
            f"Error when deserializing class '{cls.__name__}': {error}",
            config=config,
            fix="define `from_config` where the constructor takes other arguments.",
        )
    )


def init_config(
    obj: Any, drop: tuple[str, ...] = ("name",), allow_unnamed: bool = False
) -> dict[str, Any]:
    """Return the arguments that the constructor of `obj` was called with, by name.

    Args:
        obj: What was made.
        drop: Names to leave out.
        allow_unnamed: Whether to leave out positional arguments without names, not to refuse them.

    Raises:
        NotImplementedError: It takes positional arguments without names.
    """
    args, kwargs = obj.__dict__["_init_arguments"]
    signature = inspect.signature(type(obj).__init__)
    bound = signature.bind(obj, *args, **kwargs)
    bound.apply_defaults()
    config: dict[str, Any] = {}
    for i, (key, parameter) in enumerate(signature.parameters.items()):
        if i == 0 or key in drop:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = bound.arguments[key].items()
            config.update((k, v) for k, v in extra if k not in drop)
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            given = parameter.kind is parameter.POSITIONAL_ONLY or bound.arguments[key]
            if given and not allow_unnamed:
                raise NotImplementedError(
                    f"{type(obj).__name__} takes positional arguments without names, so its config"
                    " cannot be derived. Define `get_config` and `from_config`."
                )
        else:
            config[key] = bound.arguments[key]
    return config


def _describe(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    parts = [repr(arg) for arg in args] + [f"{key}={value!r}" for key, value in kwargs.items()]
    return ", ".join(parts)


# Functions as operations -------------------------------------------------------------------------


class _OpBase(Operation):
    """Base of the classes that `op` makes: the function's config in, its tensors through `call`."""

    function: Callable[..., Any]
    tensor_parameters: tuple[str, ...]
    config_parameters: dict[str, Any]
    # Settings that are functions: a config names them, and the registry finds them.
    function_parameters: tuple[str, ...] = ()
    check: Callable[..., None] | None = None
    elementwise = False

    def __init__(self, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name)
        config = dict(zip(self.config_parameters, args, strict=False))
        config.update(kwargs)
        unknown = set(config) - set(self.config_parameters)
        if unknown or len(args) > len(self.config_parameters):
            raise TypeError(
                f"{type(self).__name__} takes {list(self.config_parameters)}, got {args} {kwargs}."
            )
        self.config = {**self.config_parameters, **config}
        if self.check is not None:
            self.check(**self.config)

    def __getattr__(self, name: str) -> Any:
        # `Squeeze(axis=1).axis`, as in Keras.
        try:
            return self.__dict__["config"][name]
        except KeyError:
            raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'") from None

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return type(self).function(*args, **kwargs, **self.config)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """See `Operation`; of elementwise functions a number of each tensor is enough."""
        spec = infer_elementwise(self.call, args, kwargs) if self.elementwise else None
        return super().compute_output_spec(*args, **kwargs) if spec is None else spec

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.config}

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is found by its path: its name in its module is the function's.
        return _operation_from_config, (type(self)._keras_path, self.get_config())


def _operation_from_config(path: str, config: dict[str, Any]) -> Operation:
    return OPERATIONS[path](**config)


@overload
def op(function: F) -> F: ...
@overload
def op(
    *,
    path: str | None = None,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    elementwise: bool = False,
) -> Callable[[F], F]: ...
def op(
    function: Any = None,
    *,
    path: str | None = None,
    name: str | None = None,
    check: Callable[..., None] | None = None,
    elementwise: bool = False,
    keywords: tuple[str, ...] = (),
) -> Any:
    """Make one plain torch function eager, symbolic and serializable.

    The parameters annotated with a type that mentions `Tensor` are what a call passes on; all
    others are the configuration of the operation, and stand in its config, those annotated `DType`
    and `Shape` as a name and as a tuple.

    Args:
        function: Computes on tensors.
        path: Keras's path of the operation class, such as `keras.src.ops.numpy.Squeeze`. Default:
            made from the module and the function's name.
        name: The class's name, where it is not the function's in camel case.
        check: Called with the configuration when an operation is made; raises where it is wrong.
        elementwise: Whether each number of the result depends on one of each tensor, broadcast.
        keywords: Tensors that a graph hands on by keyword, as their files in Keras do.

    Example:
        >>> @op
        ... def twice(x: torch.Tensor, plus: int = 0) -> torch.Tensor:
        ...     return 2 * x + plus
        >>> twice(torch.tensor(3), plus=1)
        tensor(7)
        >>> twice(KerasTensor((None, 2))).shape
        (None, 2)
    """
    if function is None:
        return functools.partial(
            op, path=path, name=name, check=check, elementwise=elementwise, keywords=keywords
        )
    return _make_op(function, path, name, check, elementwise, keywords)


def _make_op(
    function: Callable[..., Any],
    path: str | None,
    name: str | None,
    check: Callable[..., None] | None,
    elementwise: bool,
    keywords: tuple[str, ...],
) -> Any:
    signature = inspect.signature(function)
    tensors, functions, config = [], [], {}
    settle: dict[str, Callable[[Any], Any]] = {}
    for key, parameter in signature.parameters.items():
        annotation = str(parameter.annotation)
        if "Tensor" in annotation:
            tensors.append(key)
        elif parameter.kind is not parameter.VAR_KEYWORD:
            if rule := _SETTLE.get(annotation, _SETTLE.get(key)):
                settle[key] = rule
            if "Callable" in annotation:
                functions.append(key)
            required = parameter.default is parameter.empty
            config[key] = None if required else parameter.default
    if path is None:
        family = function.__module__.rpartition(".")[2]
        class_name = name or "".join(part.title() for part in function.__name__.split("_"))
        path = f"keras.src.ops.{family}.{class_name}"
    class_name = path.rpartition(".")[2]
    members = {
        "function": staticmethod(_tensors_first(function, signature, tensors)),
        "tensor_parameters": tuple(tensors),
        "config_parameters": config,
        "function_parameters": tuple(functions),
        "check": None if check is None else staticmethod(check),
        "elementwise": elementwise,
        "_keras_path": path,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
    }
    cls = OPERATIONS[path] = type(class_name, (_OpBase,), members)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if type(value) in _MAYBE_SYMBOLIC and any_symbolic(value):
                return symbolic(args, kwargs)
        if not kwargs:
            return function(*args)
        for value in kwargs.values():
            if type(value) in _MAYBE_SYMBOLIC and any_symbolic(value):
                return symbolic(args, kwargs)
        return function(*args, **kwargs)

    def symbolic(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        settings = {
            k: settle[k](v) if k in settle else v
            for k, v in bound.items()
            if k in config and not any_symbolic(v)
        }
        if "data_format" in config:  # that of this session, in others too
            settings.setdefault("data_format", standardize_data_format(None))
        operation = cls(**settings)
        inputs: list[Any] = []
        extra: dict[str, Any] = {}
        for key, parameter in signature.parameters.items():
            if key in settings:
                continue
            if key in config:
                if key in bound:  # a setting that is itself symbolic is passed on like a tensor
                    del operation.config[key]
                    extra[key] = bound[key]
            elif parameter.kind is parameter.VAR_KEYWORD:
                continue  # of another library's function, which ours takes and leaves
            elif key in keywords:
                extra[key] = bound.get(key, parameter.default)
            elif parameter.kind is parameter.VAR_POSITIONAL:
                inputs.extend(bound.get(key, ()))
            else:  # also where it is left out: some of Keras's operations want each when they load
                inputs.append(bound.get(key, parameter.default))
        return operation.symbolic_call(*inputs, **extra)

    # Code of its own: profilers show the op's name, and `torch.compile` caches per code object.
    call.__code__ = call.__code__.replace(co_name=function.__name__)
    call.operation = cls
    return call


elementwise_op = functools.partial(op, elementwise=True)


def op_alias(function: Callable[..., Any], path: str) -> Any:
    """Give an op a second class, under another of Keras's paths; return the op.

    Example:
        >>> from torchkeras.ops import absolute
        >>> op_alias(absolute, "keras.src.ops.numpy.Abs") is absolute
        True
    """
    cls = function.operation
    members = {"_keras_path": path, "__module__": cls.__module__, "__doc__": cls.__doc__}
    OPERATIONS[path] = type(path.rpartition(".")[2], (cls,), members)
    return function


def _plain_shape(shape: Any) -> Any:
    try:
        return tuple(operator.index(size) if size is not None else None for size in shape)
    except TypeError:
        return (shape,) if isinstance(shape, int) else shape


# How a setting is written into a config, by its annotation or its name.
_SETTLE: dict[str, Callable[[Any], Any]] = {
    "DType": lambda dtype: None if dtype is None else standardize_dtype(dtype),
    "Shape": _plain_shape,
    "data_format": standardize_data_format,
}


def _tensors_first(
    function: Callable[..., Any], signature: inspect.Signature, tensors: list[str]
) -> Callable[..., Any]:
    """Let `function` take its tensors by position where its signature has settings between them."""
    names = list(signature.parameters)
    if names[: len(tensors)] == tensors:
        return function
    last = signature.parameters[tensors[-1]]
    before = names[: names.index(last.name)]

    @functools.wraps(function)
    def reordered(*args: Any, **kwargs: Any) -> Any:
        if last.kind is last.VAR_POSITIONAL:
            return function(*[kwargs.pop(name) for name in before], *args, **kwargs)
        return function(**dict(zip(tensors, args, strict=False)), **kwargs)

    return reordered


_MAYBE_SYMBOLIC = frozenset({KerasTensor, list, tuple, dict})


class TorchFunction(Operation):
    """A function of `torch`, `torch.nn.functional` or `torch.Tensor` in the graph.

    Args:
        function: The function, or its dotted name, which is what a config carries.

    Raises:
        ValueError: The name is not that of a torch function that files may name.
    """

    def __init__(self, function: Callable[..., Any] | str, name: str | None = None) -> None:
        table = _torch_functions()
        if isinstance(function, str):
            if function not in table:
                raise ValueError(
                    f"'{function}' is not a torch function that a file may name. Call it in a"
                    " registered layer or function of yours."
                )
            self.function, self.path = table[function], function
        else:
            paths = [path for path, known in table.items() if known is function]
            self.function = function
            self.path = paths[0] if paths else f"{function.__module__}.{function.__qualname__}"
        super().__init__(name=name or auto_name(to_snake_case(self.path.rpartition(".")[2])))

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "function": self.path}


TorchFunction._keras_path = "torchkeras.graph.operation.TorchFunction"
OPERATIONS[TorchFunction._keras_path] = TorchFunction


@functools.cache
def _torch_functions() -> dict[str, Callable[..., Any]]:
    """The torch functions that a file may name."""
    homes = {
        "torch": torch,
        "torch.nn.functional": torch.nn.functional,
        "torch.Tensor": torch.Tensor,
        "torch.special": torch.special,
        "torch.linalg": torch.linalg,
        "torch.fft": torch.fft,
    }
    return {
        f"{prefix}.{name}": function
        for prefix, home in homes.items()
        for name in sorted(_IN_FILES)
        if callable(function := getattr(home, name, None))  # torch.half is a dtype
    }


# An open list would be a hole: torch has functions that call Python, reach for memory, loop or
# allocate by a number, or wait for ever on wrong arguments. These only compute.
_IN_FILES = frozenset(
    # of each element
    "abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2"
    " arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or"
    " bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip clone complex conj"
    " contiguous copysign cos cosh deg2rad detach digamma div divide entr eq erf erfc erfinv exp"
    " exp2 expit expm1 fix float_power floor floor_divide fmax fmin fmod frac gammaln ge greater"
    " greater_equal gt heaviside hypot i0 i0e imag isclose isfinite isinf isnan isneginf isposinf"
    " isreal ldexp le lerp less less_equal lgamma log log10 log1p log2 logaddexp logaddexp2"
    " logical_and logical_not logical_or logical_xor logit lt masked_fill maximum minimum mul"
    " multiply nan_to_num ndtr ndtri ne neg negative nextafter not_equal polar positive pow rad2deg"
    " real reciprocal relu remainder round rsqrt rsub sgn sigmoid sign signbit sin sinc sinh sqrt"
    " square sub subtract tan tanh true_divide trunc where xlog1py xlogy"
    # dtypes
    " bfloat16 bool byte char double float half int long short to type_as"
    # along axes
    " all amax amin aminmax any argmax argmin argsort count_nonzero cummax cummin cumprod cumsum"
    " diff dist kthvalue logcumsumexp logsumexp max mean median min mode nanmean nanmedian"
    " nanquantile nansum norm prod quantile sort std std_mean sum topk var var_mean"
    # shapes and places
    " atleast_1d atleast_2d atleast_3d broadcast_to bucketize cat chunk column_stack concat"
    " concatenate diag diag_embed diagonal dim dstack expand expand_as flatten flip fliplr flipud"
    " full_like gather hstack index_select moveaxis movedim narrow numel ones_like permute ravel"
    " repeat repeat_interleave reshape reshape_as roll rot90 row_stack scatter scatter_add"
    " searchsorted select size split split_with_sizes squeeze stack swapaxes swapdims t take"
    " take_along_dim tile transpose tril triu unbind unflatten unfold unsqueeze view view_as vstack"
    " zeros_like"
    # products, linear algebra, spectra
    " addbmm addmm addmv addr baddbmm bmm cdist cholesky cross det dot eigh einsum fft fft2 fftn"
    " fftshift ifft ifft2 ifftn ifftshift inner inv irfft irfft2 irfftn istft kron lstsq matmul"
    " matrix_exp matrix_norm mm multi_dot mv outer pinv qr rfft rfft2 rfftn slogdet solve stft svd"
    " tensordot trace vecdot vector_norm"
    # layers and losses
    " adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d"
    " adaptive_max_pool2d adaptive_max_pool3d affine_grid alpha_dropout avg_pool1d avg_pool2d"
    " avg_pool3d batch_norm bilinear binary_cross_entropy binary_cross_entropy_with_logits celu"
    " channel_shuffle conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"
    " cosine_embedding_loss cosine_similarity cross_entropy ctc_loss dropout dropout1d dropout2d"
    " dropout3d elu embedding feature_alpha_dropout fold gaussian_nll_loss gelu glu grid_sample"
    " group_norm hardshrink hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss"
    " instance_norm interpolate kl_div l1_loss layer_norm leaky_relu linear local_response_norm"
    " log_softmax logsigmoid lp_pool1d lp_pool2d lp_pool3d margin_ranking_loss max_pool1d"
    " max_pool2d max_pool3d mish mse_loss nll_loss normalize one_hot pad pairwise_distance"
    " pixel_shuffle pixel_unshuffle poisson_nll_loss prelu relu6 rms_norm"
    " scaled_dot_product_attention selu silu smooth_l1_loss soft_margin_loss softmax softmin"
    " softplus softshrink softsign tanhshrink threshold triplet_margin_loss".split()
)


def _record_torch_function(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return TorchFunction(function).symbolic_call(*args, **kwargs)


KerasTensor.record_torch_function = staticmethod(_record_torch_function)
