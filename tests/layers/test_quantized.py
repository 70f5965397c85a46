"""Quantized layers: what they compute exactly, how they are switched, copied, compiled, moved."""

import copy
import pickle

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import layers, quantizers
from torchkeras.layers.quantized import _int8_product, integer_product

CONFIGS = {
    "int8": lambda: quantizers.Int8QuantizationConfig(),
    "int8 weights": lambda: quantizers.Int8QuantizationConfig(activation_quantizer=None),
    "int4": lambda: quantizers.Int4QuantizationConfig(),
    "int4 blocks": lambda: quantizers.Int4QuantizationConfig(block_size=4),
    "int4 channels": lambda: quantizers.Int4QuantizationConfig(block_size=None),
    "float8": lambda: quantizers.Float8QuantizationConfig(),
    "gptq": lambda: quantizers.GPTQConfig(None, None, group_size=4),
    "awq": lambda: quantizers.AWQConfig(None, None, group_size=4),
}
INTEGERS = ["int8", "int8 weights", "int4", "int4 blocks", "int4 channels"]
X = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))


def built(layer, shape):
    layer.build(shape)
    return layer


def dense(name, calibrated=True, **kwargs):
    torchkeras.utils.set_random_seed(0)
    layer = built(layers.Dense(6, **kwargs), (None, 10))
    config = CONFIGS[name]()
    layer.quantize(config=config)
    if name in ("gptq", "awq") and calibrated:
        cls = quantizers.gptq.GPTQ if name == "gptq" else quantizers.awq.AWQ
        observer = cls(layer, config)
        observer.observe(X)
        observer.calibrate()
    return layer


def embedding(name, cls=layers.Embedding, **kwargs):
    layer = built(cls(7, 6, **kwargs), None)
    layer.quantize(config=CONFIGS[name]())
    return layer


# Arithmetic --------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 5, 64])
@pytest.mark.parametrize("rows", [3, 64, 4096])
def test_integers_are_multiplied_exactly(rows, columns):
    generator = torch.Generator().manual_seed(rows)
    x, w = (
        torch.randint(-127, 128, shape, generator=generator, dtype=torch.int8)
        for shape in ((2, 3, rows), (rows, columns))
    )
    product = _int8_product(x, w)
    assert product.shape == (2, 3, columns)
    assert torch.equal(product.long(), x.long() @ w.long())
    assert _int8_product(x[:0], w).shape == (0, 3, columns)


def test_quantizers_of_other_dtypes():
    quantizer = quantizers.AbsMaxQuantizer(value_range=(-2000, 2000), output_dtype="int16")
    w = torch.randint(-127, 128, (10, 4), dtype=torch.int8)
    y = integer_product(X, w, torch.full((4,), 100.0), quantizer)
    torch.testing.assert_close(y, X @ (w / 100.0), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", INTEGERS)
def test_gradients_are_those_of_the_dequantized_kernel(name):
    layer = dense(name)
    x = X.clone().requires_grad_()
    upstream = torch.randn(3, 6)
    layer(x).backward(upstream)
    torch.testing.assert_close(x.grad, upstream @ layer._dequantized().t())
    torch.testing.assert_close(layer.bias.grad, upstream.sum(0))


@pytest.mark.parametrize("name", [n for n in INTEGERS if n != "float8"])
@pytest.mark.parametrize("tie", [True, False])
def test_the_way_back_has_gradients(name, tie):
    # In Keras they stop where inputs are rounded.
    layer = embedding(name, layers.ReversibleEmbedding, tie_weights=tie)
    x = torch.randn(2, 6, requires_grad=True)
    upstream = torch.randn(2, 7)
    layer(x, reverse=True).backward(upstream)
    rows = layer(torch.arange(7)).detach() if tie else None
    if tie:
        torch.testing.assert_close(x.grad, upstream @ rows)
    assert x.grad.abs().max() > 0


EQUATIONS = {
    "...x,xy->...y": (4, (2, 3, 8)),
    "abc...,cd->abd...": ((None, 4), (2, 3, 8, 5)),
    "abc,bcd->abd": ((3, 4), (2, 3, 8)),
    "ab,cb->ac": (4, (2, 8)),
    "btnh,nhd->btd": ((None, 4), (2, 3, 2, 4)),
    "abc,cde->abde": ((None, 2, 5), (2, 3, 8)),
}


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("name", [*INTEGERS, "float8"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_any_equation(equation, name, lora):
    # Keras knows none with dots here, nor without rounded inputs one that is no matrix product.
    output_shape, shape = EQUATIONS[equation]
    layer = built(
        layers.EinsumDense(equation, output_shape, bias_axes=equation[-1].strip(".") or None), shape
    )
    if lora and name != "float8":
        layer.enable_lora(2)
        layer.lora_kernel_b.assign(torch.randn(layer.lora_kernel_b.shape))
    x = torch.randn(shape, requires_grad=True)
    expected = layer(x)
    layer.quantize(config=CONFIGS[name]())
    y = layer(x)
    assert y.shape == expected.shape
    assert (y - expected).square().mean() < 0.02 * expected.square().mean()
    y.sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0


def test_integer_inputs():
    layer = dense("int8")
    ids = torch.arange(30).view(3, 10)
    torch.testing.assert_close(layer(ids), layer(ids.float()))


@pytest.mark.parametrize("name", ["int8", "int4", "int4 channels"])
def test_indices_outside_of_a_quantized_vocabulary(name):
    with pytest.raises(ValueError, match="outside of the vocabulary"):
        embedding(name)(torch.tensor([7]))


# Switching ---------------------------------------------------------------------------------------


def test_float_layers_pay_nothing():
    layer = built(layers.Dense(2), (None, 3))
    assert "forward" not in layer.__dict__
    layer.quantize("int8")
    assert layer.forward.__func__ is layers.Dense._int8_call
    layer = layers.Dense(2, dtype="float8_from_float32")
    assert layer.forward.__func__ is layers.Dense._float8_call


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_policy_of_a_built_layer(mode):
    layer = built(layers.Dense(4), (None, 3))
    expected = layer(torch.ones(2, 3))
    layer.dtype_policy = f"{mode}_from_float32"
    assert layer._is_quantized and layer.quantization_mode == mode
    assert (layer(torch.ones(2, 3)) - expected).abs().max() < 0.3
    with pytest.raises(ValueError, match="already quantized"):
        layer.quantize("int8")


def test_policies_by_path():
    policies = torchkeras.dtype_policies.DTypePolicyMap("float32", {"b": "int8_from_float32"})
    policies._policy_map["b"] = torchkeras.dtype_policies.get("int8_from_float32")
    floating, integers = (layers.Dense(2, dtype=policies, name=name) for name in "ab")
    for layer in (floating, integers):
        layer(torch.ones(1, 3))
    assert floating.kernel.dtype is torch.float32
    assert integers.kernel.dtype is torch.int8
    floating.quantize("int4")
    assert policies["a"].name == "int4/128_from_float32"
    assert floating(torch.ones(1, 3)).shape == (1, 2)


def test_a_layer_of_ones_own():
    class Halved(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((shape[-1],), "ones")

        def call(self, x):
            return x * self.w

        def quantize(self, mode=None, type_check=True, config=None):
            self.quantized_build(None, mode)
            self.dtype_policy = f"{mode}_from_{self.dtype_policy.name}"

        def quantized_build(self, shape, mode):
            self.factor = self.add_weight((), "ones", trainable=False)
            self.factor.assign(0.5)
            self._is_quantized = True

        def _int8_call(self, x):
            return x * self.factor

    layer = Halved()
    assert layer(torch.ones(2)).tolist() == [1, 1]
    layer.quantize("int8")
    assert layer(torch.ones(2)).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="already quantized"):
        layer.quantize("int8")


def test_a_layer_that_knows_no_modes():
    layer = layers.LayerNormalization(dtype="int8_from_float32")
    with pytest.raises(NotImplementedError, match="LayerNormalization.*_int8_call"):
        layer(torch.ones(2, 3))
    layer = built(layers.LayerNormalization(), (None, 3))
    with pytest.raises(NotImplementedError, match="does not have a `quantize`"):
        layer.dtype_policy = "int8_from_float32"


# Weights -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["int4", "gptq", "awq"])
def test_the_kernel_of_packed_layers_is_seen_unpacked(name):
    layer = dense(name)
    kernel = layer.kernel
    assert tuple(kernel.shape) == ((10, 6) if name == "int4" else (6, 10))
    assert kernel.dtype is (torch.int8 if name == "int4" else torch.uint8)
    assert not any(weight.shape == (10, 6) for weight in layer.weights)


@pytest.mark.parametrize("name", CONFIGS)
def test_copies_and_state_dicts(name):
    layer = dense(name)
    expected = layer(X)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin.forward.__self__ is twin
        torch.testing.assert_close(twin(X), expected, rtol=0, atol=0)
        assert all(a is not b for a, b in zip(twin.weights, layer.weights, strict=True))
    other = dense(name)
    for weight in other.weights:
        weight.assign(torch.zeros(weight.shape))
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(X), expected, rtol=0, atol=0)


def test_blocks_that_a_file_mixes():
    layer = dense("int4 blocks")
    store = {}
    layer.save_own_variables(store)
    groups = torch.tensor([2, 0, 1, 0, 1, 2, 0, 1, 0, 1.0])
    layer.load_own_variables({**store, "4": groups})
    integers = layer.kernel.float()
    scale, zero = layer.kernel_scale[groups.long()], layer.kernel_zero[groups.long()].float()
    torch.testing.assert_close(layer(X), X @ ((integers - zero) * scale) + layer.bias)


def test_a_store_of_another_mode():
    store = {}
    dense("int8").save_own_variables(store)
    with pytest.raises(ValueError, match="expected 5 variables.*received\n? 3|expected 5"):
        dense("int4").load_own_variables(store)


@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_layers_that_await_their_data(mode):
    layer = dense(mode, calibrated=False)
    floating = built(layers.Dense(6), (None, 10))
    floating.set_weights([layer._kernel, layer.bias])
    torch.testing.assert_close(layer(X), floating(X))
    with pytest.raises(ValueError, match="has not seen the data"):
        layer.save_own_variables({})
    store = {}
    dense(mode).save_own_variables(store)
    layer.load_own_variables(store)  # a file brings what data would have made
    torch.testing.assert_close(layer(X), dense(mode)(X))
    with pytest.raises(NotImplementedError, match="lora"):
        layer.enable_lora(2)


def test_moving_to_another_dtype():
    layer = dense("int8").to(torch.bfloat16)
    assert layer.dtype_policy.name == "int8_from_bfloat16"
    assert layer.kernel.dtype is torch.int8 and layer.kernel_scale.dtype is torch.bfloat16
    assert layer(X).dtype is torch.bfloat16
    with pytest.raises(ValueError, match="float16"):
        dense("int8").half()


def test_nothing_of_what_was_moved_away_stays():
    layer = built(layers.Dense(6), (None, 10))
    layer.enable_lora(2)
    layer.to(torch.float64)
    assert [weight.dtype for weight in layer.weights] == [torch.float64] * 4
    layer.quantize("int4")
    layer.to("meta")
    assert len(layer.weights) == 7 and all(weight.is_meta for weight in layer.weights)


def test_new_weights_join_the_others_on_their_device():
    layer = built(layers.Dense(6), (None, 10)).to("meta")
    layer.enable_lora(2)
    layer.quantize("float8")
    assert len(layer.weights) == 10 and all(weight.is_meta for weight in layer.weights)


@pytest.mark.parametrize("name", ["gptq", "awq"])
def test_kernels_that_cannot_be_calibrated(name):
    layer = built(layers.EinsumDense("ab,bcde->acde", (3, 4, 5)), (None, 2))
    with pytest.raises(ValueError, match="2D or 3D"):
        layer.quantize(config=CONFIGS[name]())


def test_a_calibrated_mode_needs_its_numbers():
    layer = built(layers.Dense(2), (None, 3))
    with pytest.raises(ValueError, match="group size"):
        layer.quantized_build((3, 2), "gptq")


# Devices and compilers ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_meta(name):
    layer = dense(name).to("meta")
    x = torch.ones(3, 10, device="meta", requires_grad=True)
    y = layer(x, training=True)
    assert y.shape == (3, 6) and y.device.type == "meta"
    y.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("name", ["int4", "int8"])
def test_meta_of_embeddings(name):
    layer = embedding(name, layers.ReversibleEmbedding).to("meta")
    ids = torch.ones(2, 3, dtype=torch.long, device="meta")
    assert layer(ids).shape == (2, 3, 6)
    assert layer(layer(ids), reverse=True).shape == (2, 3, 7)


@pytest.mark.parametrize("name", CONFIGS)
def test_export(name):
    layer = dense(name)
    exported = torch.export.export(layer, (X,)).module()
    torch.testing.assert_close(exported(X), layer(X))


@pytest.mark.parametrize("name", ["int8", "int4", "float8"])
def test_compile(name):
    torch._dynamo.reset()
    layer = dense(name)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    outputs = compiled(x)
    torch.testing.assert_close(outputs, layer(y))
    outputs.sum().backward()
    layer(y).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


# float8 ------------------------------------------------------------------------------------------


def test_float8_updates_come_as_gradients():
    layer = dense("float8")
    layer(X, training=True).sum().backward()
    np.testing.assert_allclose(layer.inputs_amax_history.grad[0], X.abs().max())
    np.testing.assert_allclose(layer.kernel_amax_history.grad[0], layer.kernel.abs().max().item())
    assert layer.inputs_scale.grad == 1.0  # no history yet
    assert layer.outputs_grad_amax_history.grad[0] == 1.0
    for weight in layer.parameters():
        weight.grad = None
    layer(X, training=False).sum().backward()
    assert layer.inputs_scale.grad is None and layer.kernel.grad is not None


def test_float8_without_lora():
    layer = built(layers.Dense(6), (None, 10))
    layer.enable_lora(2)
    layer.quantize("float8")
    with pytest.raises(NotImplementedError, match="LoRA"):
        layer(X)
