import numpy as np
import pytest
import torch

from torchkeras import Sequential, layers, random
from torchkeras.graph.scopes import StatelessScope
from torchkeras.layers import Layer


class Noisy(Layer):
    """State of every kind: a weight, a statistic, a seed, a loss."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = random.SeedGenerator(7)

    def build(self, shape):
        self.gain = self.add_weight((), "ones", regularizer="l2", name="gain")
        self.total = self.add_weight((), "zeros", trainable=False, name="total")

    def call(self, x):
        self.add_loss(x.mean())
        self.total.assign_add(x.sum())
        return self.gain * x + random.normal(x.shape, seed=self.seeds)


def values(variables):
    return [v.detach().numpy().copy() for v in variables]


def test_a_stateless_call_gives_what_a_call_would_and_changes_nothing():
    layer, twin = Noisy(), Noisy()
    layer.build((3,))
    twin.build((3,))
    x = torch.arange(3.0)
    before = values(layer.variables)
    y, state, losses = layer.stateless_call(
        layer.trainable_variables, layer.non_trainable_variables, x, return_losses=True
    )
    torch.testing.assert_close(y, twin(x))
    np.testing.assert_equal(values(state), values(twin.non_trainable_variables))
    assert values(losses) == values(twin.losses)
    assert layer._losses == [] and len(losses) == 2
    np.testing.assert_equal(values(layer.variables), before)
    # The new state leads on to what a second call would give.
    y, _ = layer.stateless_call(layer.trainable_variables, state, x)
    torch.testing.assert_close(y, twin(x))


def test_gradients_of_stateless_calls_are_those_of_calls():
    model = Sequential([layers.Input((3,)), layers.Dense(2), layers.BatchNormalization()])
    x = torch.randn(6, 3)
    weights = [w.detach().clone() for w in model.trainable_variables]
    state = [v.detach().clone() for v in model.non_trainable_variables]

    def loss(weights):
        y, new_state = model.stateless_call(weights, state, x, training=True)
        return y.square().sum() + y.sum(), new_state

    grads, new_state = torch.func.grad(loss, has_aux=True)(weights)
    y = model(x, training=True)
    expected = torch.autograd.grad(y.square().sum() + y.sum(), model.trainable_variables)
    for actual, wanted in zip(grads, expected, strict=True):
        torch.testing.assert_close(actual, wanted)
    for actual, wanted in zip(new_state, model.non_trainable_variables, strict=True):
        torch.testing.assert_close(actual, wanted.detach())


def test_given_state_is_used_and_left_alone():
    layer = Noisy()
    layer.build((2,))
    total = torch.tensor(10.0)
    state = [total, *layer.non_trainable_variables[1:]]
    _, new = layer.stateless_call([torch.tensor(2.0)], state, torch.ones(2))
    assert float(new[0]) == 12.0 and float(total) == 10.0 and float(layer.total) == 0.0


def test_errors_of_stateless_calls():
    layer = Noisy(name="noisy")
    with pytest.raises(ValueError, match="(?s)must be built.*Fix"):
        layer.stateless_call([], [], torch.ones(2))
    layer.build((2,))
    with pytest.raises(ValueError, match="(?s)`trainable_variables`.*length 0.*1 tensors"):
        layer.stateless_call([], layer.non_trainable_variables, torch.ones(2))
    with pytest.raises(ValueError, match="`non_trainable_variables`"):
        layer.stateless_call(layer.trainable_variables, [], torch.ones(2))


@pytest.mark.parametrize("loss", ["text", None])
def test_what_is_no_loss(loss):
    with pytest.raises(ValueError, match="takes a scalar tensor"):
        Layer().add_loss(loss)


def test_losses_of_a_scope_do_not_reach_the_layer():
    layer = Noisy()
    layer(torch.ones(2))
    assert len(layer.losses) == 2
    with StatelessScope():
        assert len(layer.losses) == 1  # the penalty; the loss of the call is none of the scope's
    assert len(layer.losses) == 2


def test_losses_stand_as_in_keras_deeper_ones_backwards():
    class Adds(Layer):
        def __init__(self, value, *inner):
            super().__init__()
            self.value, self.inner = value, list(inner)

        def call(self, x):
            self.add_loss(torch.tensor(float(self.value)))
            for layer in self.inner:
                x = layer(x)
            return x

    layer = Adds(0, Adds(1, Adds(2), Adds(3, Adds(4), Adds(5))), Adds(6, Adds(7), Adds(8)))
    layer(torch.ones(1))
    assert [int(loss) for loss in layer.losses] == [0, 1, 3, 5, 4, 2, 6, 8, 7]


def test_own_losses_by_their_private_name_in_keras():
    class Adds(Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2, kernel_regularizer="l2")

        def call(self, x):
            self.add_loss(x.sum())
            return self.inner(x)

    layer = Adds()
    with torch.no_grad():
        layer(torch.ones(1, 2))
    assert [float(loss) for loss in layer._get_own_losses()] == [2.0]
    assert layer.inner._get_own_losses() == []
