import copy
import pickle

import pytest
import torch

from torchkeras import Input, Model, Sequential, layers
from torchkeras.graph import remat as remat_module
from torchkeras.graph.keras_tensor import KerasTensor
from torchkeras.graph.operation import Operation
from torchkeras.graph.remat import RematScope, get_current_remat_mode, remat


class Counted(layers.Layer):
    """Counts how often it computes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.runs = 0

    def call(self, x):
        self.runs += 1
        return x.exp()


def run(layer):
    """Return how often a layer computed in a forward and backward pass."""
    x = torch.ones(2, 3, requires_grad=True)
    before = layer.runs
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, x.exp())
    return layer.runs - before


def test_scopes_nest():
    assert get_current_remat_mode() is None
    with RematScope(mode="larger_than", output_size_threshold=3):
        assert get_current_remat_mode() == ("larger_than", 3, [])
        with RematScope(mode="list_of_layers", layer_names=["a"]):
            assert get_current_remat_mode().layer_names == ["a"]
        assert get_current_remat_mode().mode == "larger_than"
    assert get_current_remat_mode() is None
    with pytest.raises(ValueError, match="invalid mode 'some'"):
        RematScope(mode="some")


@pytest.mark.parametrize(
    ("scope", "runs"),
    [
        (RematScope("full"), 2),
        (RematScope(None), 1),
        (RematScope("activations"), 1),
        (RematScope("larger_than", output_size_threshold=5), 2),
        (RematScope("larger_than", output_size_threshold=6), 1),
        (RematScope("list_of_layers", layer_names=["counted"]), 2),
        (RematScope("list_of_layers", layer_names=["other"]), 1),
    ],
    ids=lambda value: getattr(value, "mode", value),
)
def test_layers_made_in_a_scope_compute_again_in_the_backward_pass(scope, runs):
    with scope:
        layer = Counted(name="counted")
    run(layer)  # the first call builds it
    assert run(layer) == runs
    assert run(Counted()) == 1


def test_nothing_is_computed_again_without_gradients_or_for_shapes(monkeypatch):
    monkeypatch.setattr(remat_module, "checkpoint", None)
    with RematScope():
        layer = Counted()
    with torch.no_grad():
        layer(torch.ones(2))
    assert layer(KerasTensor((None, 3))).shape == (None, 3)
    assert remat(torch.exp)(KerasTensor((2,))).shape == (2,)


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
def test_copies_compute_with_their_own_weights(twin):
    with RematScope():
        layer = layers.Dense(2)
    layer.build((None, 3))
    other = twin(layer)
    other.kernel.assign(torch.zeros(3, 2))
    assert other(torch.ones(1, 3)).tolist() == [[0.0, 0.0]]
    assert other._remat_mode == layer._remat_mode


def test_the_second_run_repeats_the_first_and_changes_nothing():
    dropout = layers.Dropout(0.5, seed=3)
    norm = layers.BatchNormalization()
    dense = layers.Dense(4, dtype="mixed_bfloat16")

    def function(x, scale=1.0):
        return norm(dropout(dense(x).float() * x, training=True), training=True) * scale

    x = torch.randn(8, 4, requires_grad=True)
    function(x)
    state = [v for layer in (dropout, norm, dense) for v in layer.variables]
    first = [v.detach().clone() for v in state]
    weights = torch.arange(32.0).reshape(8, 4)
    results = []
    for f in (function, remat(function)):
        for variable, value in zip(state, first, strict=True):
            variable.assign(value)
        y, z = f(x), f(x, scale=2.0)
        loss = (y * weights).sum() + z.square().sum()
        grads = torch.autograd.grad(loss, [x, dense.kernel, norm.gamma])
        results.append([y, z, *grads, *(v.detach().clone() for v in state)])
    for plain, again in zip(*results, strict=True):
        assert torch.equal(plain, again)


def test_layers_that_are_mixed_in_precision_or_train_know_it_the_second_time():
    class Asks(layers.Layer):
        def build(self, shape):
            self.gain = self.add_weight((), "ones", name="gain")

        def call(self, x, training=None):
            return x * self.gain * (3.0 if training else 1.0)

    with RematScope():
        layer = Asks(dtype="mixed_bfloat16")
    x = torch.ones(2, requires_grad=True)
    y = layer(x, training=True)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert layer.gain.grad == 6.0 and x.grad.tolist() == [3.0, 3.0]


def test_activations_only():
    runs = []

    def activation(x):
        runs.append(1)
        return x.exp()

    with RematScope(mode="activations"):
        layer = layers.Dense(2, activation=activation)
    layer.build((None, 3))
    runs.clear()
    layer(torch.ones(1, 3)).sum().backward()
    assert len(runs) == 2 and layer.activation is activation


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_models_made_in_a_scope(kind):
    inner = Counted()
    with RematScope():
        if kind == "functional":
            x = Input((3,))
            model = Model(x, inner(x))
        else:
            model = Sequential([Input((3,)), inner])
    before = inner.runs
    model(torch.ones(2, 3, requires_grad=True)).sum().backward()
    assert inner.runs - before == 2


def test_stateless_calls_of_rematerialized_layers():
    with RematScope():
        layer = layers.Dense(1, use_bias=False)
    layer.build((None, 2))
    kernel = torch.ones(2, 1, requires_grad=True)
    y, _ = layer.stateless_call([kernel], [], torch.full((1, 2), 3.0))
    y.sum().backward()  # the scope is closed by now
    assert y.item() == 6.0 and kernel.grad.tolist() == [[3.0], [3.0]]


def test_operations():
    class Twice(Operation):
        def call(self, x):
            return 2 * x

        def quantized_call(self, x):
            return 3 * x

    with RematScope():
        twice = Twice()
    x = torch.ones(1, requires_grad=True)
    assert twice(x) == 2.0 and twice._remat_mode.mode == "full"
    twice.quantization_mode = "int8"
    assert twice(x) == 3.0


def test_compiled_functions():
    function = torch.compile(remat(lambda x: x.exp().sin()), backend="eager")
    x = torch.ones(2, requires_grad=True)
    function(x).sum().backward()
    torch.testing.assert_close(x.grad, x.exp().cos() * x.exp())
