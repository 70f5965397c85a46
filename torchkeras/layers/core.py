"""Basic layers: `Dense`, `EinsumDense`, `Identity`, `Lambda`.

Letters: B batch, D input width, U units. Kernels have Keras's shape `(D, U)`, bias `(U,)`.
`EinsumDense` is one matrix product whenever its equation is (input axes at the end, kernel axes
in order), as in attention projections; any other equation goes to `torch.einsum`.
"""

from __future__ import annotations

import inspect
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..activations import KERNELS, linear
from ..dtypes import result_type, to_torch
from ..graph.keras_tensor import KerasTensor
from ..initializers import VarianceScaling
from ..naming import explain
from ..registry import (
    CustomObjectScope,
    builtin,
    deserialize_keras_object,
    dump_code,
    in_safe_mode,
    load_code,
    serialize_keras_object,
)
from ..tree import flatten, map_shape_structure, map_structure
from ._kernel import KernelLayer
from .building import keep_settings
from .call_spec import ignores_training
from .configs import base_config, make_from
from .input_spec import InputSpec
from .layer import Layer
from .quantized_kernel import QuantizedKernel

__all__ = ["Dense", "EinsumDense", "Identity", "Lambda"]

Shape = Sequence["int | None"]


def _matched(x: Tensor, *weights: Tensor | None) -> list[Tensor | None]:
    """`x` and the weights in the dtype they promote to; a whole `x` takes that of the weights."""
    dtype = weights[0].dtype
    if x.is_floating_point():
        dtype = to_torch(result_type(x.dtype, dtype))
    return [None if t is None else t.to(dtype) for t in (x, *weights)]


@builtin("keras.layers.Dense")
class Dense(QuantizedKernel, KernelLayer):
    """Matrix product with a learned kernel, plus a bias, then an activation.

    Args:
        units: Width of the output.
        activation: Function, name or layer applied to the result; `None` for none.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        kernel_constraint, bias_constraint: Projections of the weights after each update.
        lora_rank, lora_alpha: Size and weight of low-rank adapters; see `enable_lora`.
        quantization_config: How `quantize` quantizes the layer; a policy says that it does.
        kwargs: Arguments of `Layer`, such as `name`, `dtype`, `input_shape`.
    Shapes:
        inputs: `(B, ..., D)`. Result: `(B, ..., units)`. kernel: `(D, units)`. bias: `(units,)`.
    Raises:
        ValueError: `units` is not a positive integer.
    Source: `keras.layers.Dense`.

    Example:
        >>> Dense(3)(torch.ones(2, 4)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            **kwargs,
        )
        units = _positive(self, "units", units)
        keep_settings(self, units=units, use_bias=use_bias, _supports_masking=True)
        self._new_axes = (units,)
        self._keep_quantization(quantization_config)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Make the kernel for inputs of width `input_shape[-1]`."""
        width = input_shape[-1]
        self._build_target((width, self.units), self._add_kernel)
        self.bias = self._add_bias((self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})
        self.built = True
        self._start_lora()

    @ignores_training
    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return `activation(inputs @ kernel + bias)`."""
        kernel, bias = self.kernel, self.bias
        if inputs.dtype is not kernel.dtype:
            inputs, kernel, bias = _matched(inputs, kernel, bias)
        if bias is None:
            x = torch.matmul(inputs, kernel)
        elif inputs.dim() == 2:
            x = torch.addmm(bias, inputs, kernel)  # on a CPU faster than F.linear
        else:
            x = F.linear(inputs, kernel.t(), bias)
        activation = self.activation
        if activation is linear or activation is None:
            return x
        return KERNELS.get(activation, activation)(x)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The input's shape with `units` in place of the last axis."""
        return (*input_shape[:-1], self.units)


def _positive(layer: Layer, name: str, value: Any) -> int:
    """`value` as an `int`, so that numpy integers work too."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number <= 0:
        raise ValueError(
            explain(
                f"{type(layer).__name__} '{layer.name}': `{name}` must be a positive integer.",
                given=f"{name}={value!r}",
                fix=f"pass for example {name}=10.",
            )
        )
    return number


# EinsumDense -------------------------------------------------------------------------------------

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class _Equation(NamedTuple):
    """An einsum equation of an input and a kernel; `left`/`right` say where the `...` is."""

    inputs: str
    kernel: str
    outputs: str
    left: bool
    right: bool


def _parse_equation(equation: str) -> _Equation:
    if not isinstance(equation, str):
        raise TypeError(
            f"EinsumDense: `equation` must be a string like 'ab,bc->ac'. Received: {equation!r}"
        )
    found = _EQUATION.fullmatch(equation.replace(" ", ""))
    if found:
        before, inputs, after, kernel, out_before, outputs, out_after = found.groups()
        if before == out_before and after == out_after and not (before and after):
            return _Equation(inputs, kernel, outputs, bool(before), bool(after))
    raise ValueError(
        explain(
            "EinsumDense: cannot read the equation.",
            given=f"equation={equation!r}",
            expected="'[X],[Y]->[Z]', '...[X],[Y]->...[Z]' or '[X]...,[Y]->[Z]...', letters only",
        )
    )


def _analyze_einsum_string(
    equation: str, bias_axes: str | None, input_shape: Shape, output_shape: int | Shape
) -> tuple[list, list | None, list, list[int], list[int]]:
    """Shapes that follow from an equation, in the form in which libraries import it from Keras.

    Args:
        equation: The einsum equation.
        bias_axes: Letters of the output axes that have a bias, or `None`.
        input_shape: With the batch axis.
        output_shape: As the user gave it: without the batch axis and what `...` stands for.

    Returns:
        Kernel shape, bias shape (or `None`), full output shape, and which axes of the kernel are
        summed over and which appear in the output.

    Raises:
        ValueError: Equation and shapes contradict each other.
    """
    spec = _parse_equation(equation)
    sizes = list(input_shape)
    elided = len(sizes) - len(spec.inputs)
    if elided < 0 or (elided > 0 and not (spec.left or spec.right)):
        raise _einsum_error(
            f"the input has {len(sizes)} axes, but the equation names {len(spec.inputs)}",
            equation,
            input_shape=tuple(sizes),
        )
    given = [output_shape] if isinstance(output_shape, int) else list(output_shape)
    skip = elided if spec.left else 0
    full = [sizes[0], *sizes[1 : max(skip, 1)], *given]
    full += sizes[len(sizes) - elided :] if elided and not spec.left else []
    if len(full) - elided < len(spec.outputs):  # as in Keras, sizes too many mean nothing
        raise _einsum_error(
            f"the output has {len(full) - elided} named axes, but the equation"
            f" names {len(spec.outputs)}",
            equation,
            output_shape=tuple(given),
            fix="`output_shape` leaves out the batch axis and the axes of '...'.",
        )
    in_size = {letter: sizes[skip + i] for i, letter in enumerate(spec.inputs)}
    out_size = {letter: full[skip + i] for i, letter in enumerate(spec.outputs)}
    _check_axes(spec, in_size, out_size, equation)
    kernel_shape = [out_size.get(letter, in_size.get(letter)) for letter in spec.kernel]
    summed = [i for i, letter in enumerate(spec.kernel) if letter not in out_size]
    kept = [i for i, letter in enumerate(spec.kernel) if letter in out_size]
    bias_shape = None
    if bias_axes is not None:
        unknown = [letter for letter in bias_axes if letter not in out_size]
        if unknown:
            raise _einsum_error(
                f"bias axis '{unknown[0]}' is not an axis of the output", equation, fix=None
            )
        first = min(spec.outputs.index(letter) for letter in bias_axes)
        bias_shape = [out_size[c] if c in bias_axes else 1 for c in spec.outputs[first:]]
        bias_shape += [] if spec.left else [1] * elided
    return kernel_shape, bias_shape, full, summed, kept


def _check_axes(spec: _Equation, in_size: dict, out_size: dict, equation: str) -> None:
    for letter, size in in_size.items():
        if out_size.get(letter) is not None and out_size[letter] != size:
            raise _einsum_error(
                f"axis '{letter}' is {size} in the input, but {out_size[letter]} in the output",
                equation,
            )
    for letter in spec.outputs:
        if letter not in spec.inputs and letter not in spec.kernel:
            raise _einsum_error(f"output axis '{letter}' is nowhere on the left side", equation)
    for letter in spec.kernel:
        if letter not in in_size and letter not in out_size:
            raise _einsum_error(f"kernel axis '{letter}' has no size: it occurs once", equation)


def _einsum_error(what: str, equation: str, fix: str | None = None, **facts: Any) -> ValueError:
    return ValueError(explain(f"EinsumDense: {what}.", equation=repr(equation), **facts, fix=fix))


def _matrix_product_axes(equation: str) -> int:
    """How many trailing input axes meet as many leading kernel axes; 0: no plain matrix product.

    >>> _matrix_product_axes("abc,cde->abde"), _matrix_product_axes("abc,bcd->abd")
    (1, 0)
    """
    spec = _parse_equation(equation)
    letters = spec.inputs + spec.kernel
    for n in range(1, min(len(spec.inputs), len(spec.kernel)) + 1):
        joined = spec.inputs[:-n] + spec.kernel[n:]
        if spec.inputs[-n:] == spec.kernel[:n] and joined == spec.outputs and not spec.right:
            return n if len(set(letters)) == len(letters) - n else 0
    return 0


@builtin("keras.layers.EinsumDense")
class EinsumDense(QuantizedKernel, KernelLayer):
    """`Dense` over any axes, chosen by an einsum equation of the input and the kernel.

    Args:
        equation: Such as `"abc,cd->abd"`; `...` may stand for axes on one side.
        output_shape: Without the batch axis and the axes of `...`; `None` for unknown sizes.
        activation: Function, name or layer applied to the result; `None` for none.
        bias_axes: Letters of the output axes along which the bias varies; `None` for no bias.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Penalties added to the loss.
        kernel_constraint, bias_constraint: Projections of the weights after each update.
        lora_rank, lora_alpha: Size and weight of low-rank adapters; see `enable_lora`.
        gptq_unpacked_column_size: Kept for configs; it has no effect.
        quantization_config: How `quantize` quantizes the layer; a policy says that it does.
        kwargs: Arguments of `Layer`.
    Shapes: As the equation says.
    Raises:
        ValueError: The equation cannot be read or contradicts the shapes.
    Source: `keras.layers.EinsumDense`.

    Example:
        >>> EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d")(
        ...     torch.ones(2, 3, 4)
        ... ).shape
        torch.Size([2, 3, 5])
    """

    _keras_memory = "relaid"
    _zero_name = "zero_point"
    _output_shape_is_argument = True  # without the batch, unlike a model's

    def __init__(
        self,
        equation: str,
        output_shape: int | Shape,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            **kwargs,
        )
        self.equation = equation
        self.partial_output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        if 0 in self.partial_output_shape:
            raise ValueError(
                "EinsumDense: the sizes in `output_shape` must be positive. Received:"
                f" output_shape={output_shape}"
            )
        self.bias_axes = bias_axes
        self.gptq_unpacked_column_size = gptq_unpacked_column_size
        self._keep_quantization(quantization_config)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The constructor's argument of this name, as a tuple."""
        return self.partial_output_shape

    def build(self, input_shape: Shape) -> None:
        """Make the kernel and bias that the equation asks for."""
        kernel_shape, bias_shape, _, summed, kept = _analyze_einsum_string(
            self.equation, self.bias_axes, input_shape, self.partial_output_shape
        )
        self.input_spec = InputSpec(ndim=len(input_shape))
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and (
            initializer.input_axes is None or initializer.output_axes is None
        ):
            # The concrete seed: a clone of the config alone would draw another one.
            axes = {"input_axes": summed, "output_axes": kept, "seed": initializer.seed}
            initializer = type(initializer).from_config({**initializer.get_config(), **axes})
        n = _matrix_product_axes(self.equation)
        self._summed_axes = n
        self._new_axes = tuple(kernel_shape[n:])
        spec = _parse_equation(self.equation)
        self._reduced_axes = tuple(summed)
        # The kernel's axes: those of rows, then those of columns in the order of the outputs.
        columns = tuple(spec.kernel.index(c) for c in spec.outputs if c in spec.kernel)
        self._kernel_axes = self._reduced_axes + columns
        first = -len(spec.inputs) if spec.left else 0
        self._inputs_axes = tuple(
            first + i for i, letter in enumerate(spec.inputs) if letter not in spec.outputs
        )
        self._build_target(kernel_shape, lambda shape: self._add_kernel(shape, initializer))
        self.bias = None if bias_shape is None else self._add_bias(bias_shape)
        self._matrix_shape = (-1, math.prod(self._new_axes))
        self._bias_in_product = bias_shape is not None and tuple(bias_shape) == self._new_axes
        self.built = True
        self._start_lora()

    def _relay(self, twin: Tensor) -> Tensor | None:
        """Do to strides what Keras does."""
        kernel = torch.empty(self.kernel.shape, device="meta")
        product = torch.einsum(self.equation, twin, kernel)
        return None if product.is_contiguous() else product

    @ignores_training
    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return `activation(einsum(equation, inputs, kernel) + bias)`."""
        kernel, bias = self.kernel, self.bias
        if inputs.dtype is not kernel.dtype:
            inputs, kernel, bias = _matched(inputs, kernel, bias)
        n = self._summed_axes
        if n:
            flat = inputs if n == 1 else inputs.flatten(-n)
            if self._bias_in_product:
                x = F.linear(flat, kernel.view(self._matrix_shape).t(), bias.view(-1))
                bias = None
            else:
                x = torch.matmul(flat, kernel.view(self._matrix_shape))
            if len(self._new_axes) != 1:
                x = x.view(inputs.shape[:-n] + self._new_axes)
        else:
            x = torch.einsum(self.equation, inputs, kernel)
        if bias is not None:
            x = x + bias
        activation = self.activation
        if activation is linear or activation is None:
            return x
        return KERNELS.get(activation, activation)(x)

    # Quantization --------------------------------------------------------------------------------

    def _matrix_size(self) -> tuple[int, int]:
        shape = self._float_shape
        r = math.prod(shape[i] for i in self._reduced_axes)
        return r, math.prod(shape) // r

    def _as_matrix(self, weight: Tensor, mode: str) -> Tensor:
        # In four bits files have the kernel cut into rows as it comes.
        weight = weight if mode == "int4" else weight.permute(self._kernel_axes)
        return weight.reshape(self._matrix_size())

    def _from_matrix(self, matrix: Tensor, mode: str) -> Tensor:
        shape = self._float_shape
        if mode == "int4":
            return matrix.reshape(shape)
        axes = self._kernel_axes
        back = [axes.index(i) for i in range(len(axes))]
        return matrix.reshape([shape[i] for i in axes]).permute(back)

    def _int8_layout(self, matrix: Any) -> tuple[int, ...]:
        n, axes = len(self._reduced_axes), self._kernel_axes
        return axes[n:] + axes[:n]

    def _int8_scale_shape(self, matrix: Any) -> tuple[int, ...]:
        """That of the outputs, with 1 for axes that the kernel has not got."""
        spec = _parse_equation(self.equation)
        sizes = dict(zip(spec.kernel, self._float_shape, strict=True))
        elided = self.input_spec.ndim - len(spec.inputs) if spec.right else 0
        return (*(sizes.get(c, 1) for c in spec.outputs), *[1] * elided)

    @property
    def original_kernel_shape(self) -> tuple[int, ...]:
        """The shape of the kernel before it was quantized."""
        return self._float_shape

    @property
    def _int4_unpacked_column_size(self) -> int:
        return self._orig_output_dim

    def _block_size(self, config: Any) -> int | None:
        size = super()._block_size(config)
        return None if size == -1 else size

    def _calibrated_size(self) -> tuple[int, int]:
        """Rows and columns by which files cut a kernel: the widest axis stands alone."""
        shape = self._float_shape
        if len(shape) not in (2, 3):
            raise ValueError(
                explain(
                    f"EinsumDense '{self.name}': calibrated quantization only supports 2D or 3D"
                    " kernels.",
                    kernel_shape=shape,
                    fix="use 'int8' or 'int4', or leave the layer out by `filters`.",
                )
            )
        n = 1 if len(shape) == 2 or shape.index(max(shape)) == 0 else 2
        return math.prod(shape[:n]), math.prod(shape[n:])

    def _calibrated_build(self, config: Any) -> None:
        super()._calibrated_build(config)
        if self.quantization_mode == "gptq" or getattr(config, "mode", None) == "gptq":
            self.gptq_unpacked_column_size = self._calibrated_size()[1]

    def _product(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if self._summed_axes:
            return super()._product(inputs, kernel)
        return torch.einsum(self.equation, inputs, kernel)

    def _adapter_product(self, inputs: Tensor) -> Tensor:
        if self._summed_axes:
            return super()._adapter_product(inputs)
        a, b = self._adapters()
        return torch.einsum(self.equation, inputs, a @ b)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """What the equation makes of `input_shape`."""
        analysis = _analyze_einsum_string(
            self.equation, self.bias_axes, input_shape, self.partial_output_shape
        )
        return tuple(analysis[2])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; a regularizer of the activity is always listed, as in Keras."""
        config = super().get_config()
        config.setdefault("activity_regularizer", None)
        if not config.get("gptq_unpacked_column_size"):
            config.pop("gptq_unpacked_column_size", None)
        return config


# Layers without weights --------------------------------------------------------------------------


@builtin("keras.layers.Identity")
class Identity(Layer):
    """Returns its inputs, of any structure.

    Shapes: Result: as `inputs`.

    Example:
        >>> Identity()(torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    _keras_memory = "inputs"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        """Return `inputs`."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the shapes and dtypes of `inputs`."""
        return map_structure(lambda x: KerasTensor(x.shape, dtype=x.dtype), inputs)


@builtin("keras.layers.Lambda")
class Lambda(Layer):
    """Calls a function.

    A named function is saved by its name and must be registered (or passed in `custom_objects`)
    to be loaded again. A Python lambda is saved as byte code, which is loaded only where the user
    turned safe mode off, and only by the same Python version. A subclass of `Layer` has neither
    drawback.

    Args:
        function: Called with the inputs first, then `arguments`, and `mask` and `training` if it
            has parameters of these names.
        output_shape: A shape without the batch axis, or a function from input shape to output
            shape; inferred when `None`.
        mask: A function `(inputs, mask)` that makes the output mask, or that mask itself.
        arguments: More keyword arguments for `function`.
        kwargs: Arguments of `Layer`.

    Example:
        >>> Lambda(lambda x: x**2)(torch.tensor([3.0])).tolist()
        [9.0]
    """

    _output_shape_is_argument = True  # without the batch, unlike a model's

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(
                f"Lambda: `function` must be callable. Received: {function!r} of type"
                f" {type(function).__name__}"
            )
        if arguments and not isinstance(arguments, Mapping):
            raise TypeError(f"Lambda: `arguments` must be a dict. Received: {arguments!r}")
        self.arguments = arguments or {}
        self.function = function
        self.mask = mask
        self._makes_mask = callable(mask)
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        names = _parameter_names(function)
        self._fn_expects_training_arg = "training" in names
        self._fn_expects_mask_arg = "mask" in names

    @property
    def output_shape(self) -> Any:
        """The constructor's argument of this name."""
        return self._output_shape

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Return `function(inputs, **arguments)`."""
        arguments = dict(self.arguments)
        if self._fn_expects_mask_arg:
            arguments["mask"] = mask
        if self._fn_expects_training_arg:
            arguments["training"] = training
        return self.function(inputs, **arguments)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return what the `mask` argument says."""
        return self.mask(inputs, mask) if self._makes_mask else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return what the `output_shape` argument says, or infer it.

        Raises:
            NotImplementedError: The function does not run on tensors without data.
        """
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        if self._output_shape is not None:
            batch = flatten(input_shape)[0]
            return map_shape_structure(lambda s: (batch, *s), self._output_shape)
        try:
            return super().compute_output_shape(input_shape)
        except Exception as error:
            raise NotImplementedError(
                explain(
                    f"Lambda '{self.name}': could not infer the shape of its output: {error}",
                    input_shape=input_shape,
                    fix="pass the `output_shape` argument.",
                )
            ) from error

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, functions as their name or (lambdas) byte code."""
        config = base_config(self)
        for name in ("function", "output_shape", "mask"):
            value = getattr(self, name)
            if callable(value):
                config[name] = _function_config(value)
            elif value is not None:
                config[name] = value if name == "output_shape" else serialize_keras_object(value)
        config["arguments"] = serialize_keras_object(self.arguments)
        return config

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, Any] | None = None,
        safe_mode: bool | None = None,
    ) -> Lambda:
        """Rebuild the layer.

        Raises:
            ValueError: It holds byte code, and safe mode is not off.
        """
        unsafe = (in_safe_mode() if safe_mode is None else safe_mode) is False
        config = dict(config)
        for name in ("function", "output_shape", "mask", "arguments"):
            if name in config:
                config[name] = _load_function(config[name], custom_objects, unsafe)
        shape = config.get("output_shape")
        if isinstance(shape, list) and all(s is None or isinstance(s, int) for s in shape):
            config["output_shape"] = tuple(shape)
        return make_from(cls, config)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        for key in ("function", "mask", "_output_shape", "_init_arguments"):
            state[key] = map_structure(_in_pickle, state[key])
        return state


class _Code:
    """A lambda in a pickle: read back from its byte code, since it has no name to be found by."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, ...]:
        return load_code, (dump_code(self.function),)


def _in_pickle(value: Any) -> Any:
    return _Code(value) if _is_lambda(value) else value


def _is_lambda(value: Any) -> bool:
    return inspect.isfunction(value) and value.__name__ == "<lambda>"


def _parameter_names(function: Callable[..., Any]) -> Sequence[str]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # built-in functions may have no signature
        return ()


def _function_config(function: Callable[..., Any]) -> Any:
    if _is_lambda(function):
        code, defaults, closure = dump_code(function)
        return {
            "class_name": "__lambda__",
            "config": {"code": code, "defaults": defaults, "closure": closure},
        }
    return serialize_keras_object(function)


def _load_function(config: Any, custom_objects: Mapping[str, Any] | None, unsafe: bool) -> Any:
    if not isinstance(config, dict) or config.get("class_name") != "__lambda__":
        return deserialize_keras_object(config, custom_objects=custom_objects)
    if not unsafe:
        raise ValueError(
            explain(
                "A `Lambda` layer holds a Python lambda as byte code. Loading it would be arbitrary"
                " code execution, by the author of the file, so it is refused.",
                fix="if you trust the file, pass `safe_mode=False` to the loading function or call"
                " `keras.config.enable_unsafe_deserialization()`; better, replace the lambda by a"
                " named, registered function or a `Layer` subclass and save again.",
            )
        )
    code = config["config"]
    dumped = code["value"] if "value" in code else None
    with CustomObjectScope(custom_objects or {}):
        return load_code(dumped or (code["code"], code.get("defaults"), code.get("closure")))
