"""Weights under PyTorch's parametrizations and pruning: used, trained by `fit`, put back."""

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations, parametrize, prune

from torchkeras import Input, Model, Sequential, layers, ops, regularizers

PARAMETRIZATIONS = {
    "weight_norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "spectral_norm": parametrizations.spectral_norm,
}
PRUNINGS = {
    "l1": lambda layer, name: prune.l1_unstructured(layer, name, 0.5),
    "random": lambda layer, name: prune.random_unstructured(layer, name, 0.5),
    "structured": lambda layer, name: prune.ln_structured(layer, name, 0.5, n=2, dim=-1),
}
SHAPES = {"dense": (6,), "conv": (6, 6, 3), "lstm": (4, 6)}


def make(kind):
    """A small model, and the layer in it to work on."""
    torch.manual_seed(0)
    penalty = regularizers.L2(1e-3)
    if kind == "dense":
        layer = layers.Dense(4, activation="tanh", kernel_regularizer=penalty)
        stack = [layer]
    elif kind == "conv":
        layer = layers.Conv2D(4, 3, activation="tanh", kernel_regularizer=penalty)
        stack = [layer, layers.GlobalAveragePooling2D()]
    else:
        stack = [layers.LSTM(4, kernel_regularizer=penalty)]
        layer = stack[0].cell
    model = Sequential([Input(SHAPES[kind]), *stack, layers.Dense(1)])
    return model, layer


def data(kind):
    rng = np.random.default_rng(0)
    return rng.random((8, *SHAPES[kind]), dtype="float32"), rng.random((8, 1), dtype="float32")


def train(model, x, y):
    """Train the model; return the names of the parameters that did not change."""
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, batch_size=4, verbose=0)
    return [name for name, value in model.named_parameters() if torch.equal(value, before[name])]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("apply", [*PARAMETRIZATIONS, *PRUNINGS])
def test_weight_is_computed_trained_and_put_back(apply, kind):
    model, layer = make(kind)
    x, y = data(kind)
    path, strides = layer.kernel.path, layer.kernel.stride()
    plain = model.predict(x, verbose=0)
    (PARAMETRIZATIONS.get(apply) or PRUNINGS[apply])(layer, "kernel")
    if apply == "weight_norm":
        np.testing.assert_allclose(model.predict(x, verbose=0), plain, rtol=1e-4, atol=1e-6)
    else:
        assert not np.allclose(model.predict(x, verbose=0), plain)
    assert train(model, x, y) == []
    model.eval()
    expected = model.predict(x, verbose=0)
    seen = layer.kernel.detach().clone()
    if apply in PRUNINGS:
        assert (seen == 0).float().mean() == 0.5
        prune.remove(layer, "kernel")
    else:
        parametrize.remove_parametrizations(layer, "kernel")
    weight = layer.kernel
    torch.testing.assert_close(weight.detach(), seen)
    assert weight.path == path and weight.stride() == strides and weight.regularizer is not None
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert train(model, x, y) == [] and len(list(model.parameters())) == len(model.weights)


def test_global_pruning():
    model, layer = make("conv")
    x, y = data("conv")
    pairs = [(layer, "kernel"), (model.layers[-1], "kernel")]
    strides = layer.kernel.stride()
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=0.25)
    assert train(model, x, y) == []
    zeros, total = (sum(f(p.kernel) for p, _ in pairs) for f in (zeros_of, torch.Tensor.numel))
    assert zeros == round(total * 0.25)
    for pair in pairs:
        prune.remove(*pair)
    assert zeros_of(layer.kernel) > 0 and layer.kernel.stride() == strides


def zeros_of(weight):
    return int((weight == 0).sum())


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
def test_old_weight_norm():
    model, layer = make("conv")
    x, y = data("conv")
    plain, path = model.predict(x, verbose=0), layer.kernel.path
    torch.nn.utils.weight_norm(layer, "kernel")
    np.testing.assert_allclose(model.predict(x, verbose=0), plain, rtol=1e-4, atol=1e-6)
    assert train(model, x, y) == []
    expected = model.predict(x, verbose=0)
    torch.nn.utils.remove_weight_norm(layer, "kernel")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-6)
    assert layer.kernel.path == path


def test_hooks_of_cells_fire():
    seen = []
    layer = layers.Bidirectional(layers.GRU(2))
    x = torch.rand(3, 4, 5)
    expected = layer(x)
    layer.forward_layer.cell.register_forward_pre_hook(lambda cell, args: seen.append(args))
    torch.testing.assert_close(layer(x), expected)
    assert len(seen) == 4


def test_parameters_as_a_vector():
    """`parameters_to_vector`, LBFGS and the like flatten weights by `view`."""
    model, layer = make("conv")
    x = torch.from_numpy(data("conv")[0])
    before, kernel = model(x), layer.kernel.detach().clone()
    vector = torch.nn.utils.parameters_to_vector(model.parameters())
    torch.testing.assert_close(vector[: kernel.numel()], kernel.flatten())
    torch.testing.assert_close(model(x), before)
    with pytest.raises(RuntimeError, match="invalid for input"):
        layer.kernel.view(7)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)

    def loss():
        optimizer.zero_grad()
        value = model(x).square().mean()
        value.backward()
        return value

    first = optimizer.step(loss)
    assert loss() < first


def test_parameter_of_a_variable():
    layer = layers.Dense(2)
    layer.build((None, 3))
    parameter = torch.nn.Parameter(layer.kernel)
    assert type(parameter) is type(layer.kernel) and parameter.path == layer.kernel.path
    assert parameter.data_ptr() == layer.kernel.data_ptr() and parameter.is_leaf
    assert type(layer.kernel.detach()) is torch.Tensor

    class Fixed(layers.Dense):
        def call(self, x):
            return ops.matmul(x, self.kernel.detach().view(3, 2))

    fixed = Fixed(2)
    x = torch.rand(4, 3)
    expected = fixed(x)
    compiled = torch.compile(Model.from_torch(fixed), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)
