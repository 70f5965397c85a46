"""Low-rank adapters: what is read, trained, saved and refused."""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import layers

MAKERS = {
    "Dense": (lambda: layers.Dense(3), (2, 4), (4, 2)),
    "EinsumDense": (lambda: layers.EinsumDense("ab,bcd->acd", (3, 5)), (2, 4), (4, 3, 2)),
    "Conv2D": (lambda: layers.Conv2D(3, 2), (1, 4, 4, 2), (2, 2, 2, 2)),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(3, 2), (1, 4, 5), (2, 3, 2)),
}


@pytest.fixture(params=MAKERS)
def adapted(request):
    """A layer with adapters that change something, and an input."""
    make, shape, a_shape = MAKERS[request.param]
    layer, x = make(), torch.randn(shape)
    before = layer(x)
    layer.enable_lora(2, lora_alpha=6)
    assert tuple(layer.lora_kernel_a.shape) == a_shape
    torch.testing.assert_close(layer(x), before)  # `b` starts at zero
    layer.lora_kernel_b.assign(torch.ones(layer.lora_kernel_b.shape))
    return layer, x


def test_the_kernel_is_read_with_its_adapters(adapted):
    layer, x = adapted
    total = layer._kernel + 3.0 * layer.lora_kernel_a @ layer.lora_kernel_b
    torch.testing.assert_close(layer.kernel, total)
    twin = type(layer).from_config({**layer.get_config(), "lora_rank": None})
    twin.build(x.shape)
    twin.set_weights([total.detach(), layer.bias] if layer.bias is not None else [total.detach()])
    torch.testing.assert_close(twin(x), layer(x))


def test_only_adapters_and_bias_are_trained(adapted):
    layer, x = adapted
    names = {weight.name for weight in layer.trainable_weights}
    assert names <= {"bias", "lora_kernel_a", "lora_kernel_b"} and len(names) >= 2
    layer(x).sum().backward()
    assert layer._kernel.grad is None
    assert layer.lora_kernel_a.grad is not None and layer.lora_kernel_b.grad is not None


def test_state_dict_keeps_the_parts(adapted):
    layer, _ = adapted
    names = set(layer.state_dict())
    assert {"kernel", "lora_kernel_a", "lora_kernel_b"} <= names
    assert layer.state_dict()["kernel"].data_ptr() == layer._kernel.data_ptr()


def test_files_hold_the_sum(adapted):
    layer, x = adapted
    store = {}
    layer.save_own_variables(store)
    assert len(store) == len(layer.weights) - 2
    np.testing.assert_array_equal(store["0"].numpy(), layer.kernel.detach().numpy())
    expected = layer(x)
    layer.load_own_variables(store)
    assert not layer.lora_kernel_a.any() and not layer.lora_kernel_b.any()
    torch.testing.assert_close(layer(x), expected)


def test_the_constructor_asks_for_adapters():
    layer = layers.Dense(3, lora_rank=2, lora_alpha=4)
    assert not layer.lora_enabled
    layer.build((None, 5))
    assert layer.lora_enabled and layer.lora_alpha == 4
    config = layer.get_config()
    assert (config["lora_rank"], config["lora_alpha"]) == (2, 4)
    assert "lora_rank" not in layers.Dense(3).get_config()


def test_adapters_stay_in_float32():
    layer = layers.Dense(3, dtype="bfloat16", lora_rank=2)
    assert layer(torch.ones(1, 4)).dtype is torch.bfloat16
    assert layer.lora_kernel_a.dtype is torch.float32
    assert layer.kernel.dtype is layer._kernel.dtype is torch.bfloat16


def test_training_in_a_model():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, lora_rank=1), layers.Dense(1)])
    model.layers[1].trainable = False
    base = model.layers[0]._kernel.numpy().copy()
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"), epochs=2, verbose=0)
    np.testing.assert_array_equal(model.layers[0]._kernel.numpy(), base)
    assert model.layers[0].lora_kernel_b.any()


def test_compiles_and_functional_call():
    layer = layers.Dense(3, lora_rank=2)
    x = torch.randn(2, 4)
    layer(x)
    state = {name: torch.zeros_like(value) for name, value in layer.state_dict().items()}
    assert not torch.func.functional_call(layer, state, (x,)).any()


def test_a_class_that_keeps_its_kernel_under_the_inner_name():
    class Own(layers.Dense):
        def build(self, input_shape):
            self._kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
            self.bias = None

    layer = Own(3)
    layer(torch.ones(1, 4))
    assert layer.kernel is layer._kernel


def test_errors():
    with pytest.raises(AttributeError, match="You must build the layer"):
        _ = layers.Dense(3).kernel
    with pytest.raises(ValueError, match="isn't yet built"):
        layers.Dense(3).enable_lora(2)
    layer = layers.Dense(3, kernel_constraint="max_norm")
    layer.build((None, 2))
    with pytest.raises(ValueError, match="constraint"):
        layer.enable_lora(2)
    layer = layers.Dense(3, lora_rank=2)
    layer.build((None, 2))
    with pytest.raises(ValueError, match="already enabled"):
        layer.enable_lora(2)


def test_the_adapted_weight_stays_frozen(adapted):
    """Also where training is switched off and on again, as models do when they are loaded."""
    layer, _ = adapted
    layer.trainable = False
    assert layer.trainable_weights == []
    layer.trainable = True
    assert "kernel" not in {weight.name for weight in layer.trainable_weights}
    assert not layer._kernel.requires_grad
    assert layer.lora_kernel_a.trainable
