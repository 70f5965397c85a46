import threading

import numpy as np
import pytest
import torch

from torchkeras import Sequential, initializers, layers, metrics, optimizers, random
from torchkeras.graph.infer import compute_output_spec
from torchkeras.graph.keras_tensor import KerasTensor
from torchkeras.graph.scopes import (
    StatelessScope,
    SymbolicScope,
    get_stateless_scope,
    in_stateless_scope,
    in_symbolic_scope,
)
from torchkeras.variables import Variable


@pytest.fixture
def weight():
    return Variable([1.0, 2.0], name="weight")


@pytest.fixture
def state():
    return Variable([0.0, 0.0], trainable=False, name="state")


def test_all_code_sees_the_values_of_the_scope(weight):
    value = torch.tensor([3.0, 4.0])
    with StatelessScope([(weight, value)]) as scope:
        assert get_stateless_scope() is scope and in_stateless_scope()
        assert (weight + 1).tolist() == [4.0, 5.0]
        assert torch.stack([weight, weight]).sum() == 14.0
        assert weight.value is value and weight[1] == 4.0 and weight.numpy().tolist() == [3.0, 4.0]
        assert weight.trainable and weight.path == "weight"
    assert not in_stateless_scope()
    assert weight.tolist() == [1.0, 2.0]


def test_gradients_flow_to_the_values(weight):
    value = torch.tensor([3.0, 4.0], requires_grad=True)
    with StatelessScope([(weight, value)]):
        loss = (weight * weight).sum()
    loss.backward()
    assert value.grad.tolist() == [6.0, 8.0] and weight.grad is None


def test_function_transforms_see_through_it(weight):
    def squares(value):
        with StatelessScope([(weight, value)]):
            return (weight**2).sum()

    assert torch.func.grad(squares)(torch.tensor([5.0, 6.0])).tolist() == [10.0, 12.0]
    assert torch.vmap(squares)(torch.ones(3, 2)).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v.assign([5.0, 5.0]), [5.0, 5.0]),
        (lambda v: v.assign_add([1.0, 1.0]), [2.0, 2.0]),
        (lambda v: v.assign_sub([1.0, 1.0]), [0.0, 0.0]),
        (lambda v: v.add_(2.0), [3.0, 3.0]),
        (lambda v: v.detach().add_(2.0), [3.0, 3.0]),
        (lambda v: v.__setitem__(0, 9.0), [9.0, 1.0]),
        (lambda v: torch._foreach_mul_([v], 3.0), [3.0, 3.0]),
        (lambda v: setattr(v, "data", torch.full((2,), 4.0)), [4.0, 4.0]),
    ],
    ids="assign assign_add assign_sub method alias item foreach data".split(),
)
@pytest.mark.parametrize("mapped", [True, False])
def test_changes_stay_in_the_scope(state, change, expected, mapped):
    given = torch.ones(2)
    if not mapped:
        state.assign(given)
    with StatelessScope([(state, given)] if mapped else []) as scope:
        change(state)
        assert (state + 0).tolist() == expected
    assert scope.get_current_value(state).tolist() == expected
    assert given.tolist() == [1.0, 1.0]
    assert state.tolist() == ([0.0, 0.0] if mapped else [1.0, 1.0])


def test_a_trained_variable_changed_in_place_is_copied_and_returned(weight):
    given = torch.tensor([1.0, 1.0], requires_grad=True)
    with StatelessScope([(weight, given)]) as scope, torch.no_grad():
        assert weight.mul_(2.0) is weight
    assert given.tolist() == [1.0, 1.0] and scope.get_current_value(weight).tolist() == [2.0, 2.0]
    assert scope.get_current_value(Variable(0.0)) is None


def test_wrong_mappings():
    with pytest.raises(ValueError, match="must be Variable"):
        StatelessScope([(torch.ones(2), torch.ones(2))])
    with pytest.raises(ValueError, match=r"(?s)mapping.*weight.*\(3,\).*\(2,\)"):
        StatelessScope([(Variable([1.0, 2.0], name="weight"), torch.ones(3))])


def test_variables_made_in_a_scope_get_their_values_outside():
    with StatelessScope() as scope:
        made = Variable(initializers.Ones(), shape=(2,), name="made")
        assert made._value is None and "value" not in repr(made)
        assert (made + 1).tolist() == [2.0, 2.0]
        made.assign_add([1.0, 1.0])
        with pytest.raises(ValueError, match="stateless scope"):
            made._deferred_initialize()
        with StatelessScope():
            assert made._value is None
            assert made.value.tolist() == [2.0, 2.0]
    assert scope.get_current_value(made).tolist() == [2.0, 2.0]
    assert made._value is made and made.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="made is already initialized"):
        made._deferred_initialize()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(initializer=0.0), "while in a stateless scope"),
        (dict(initializer=initializers.Ones(), shape=(None,)), "known entirely"),
    ],
)
def test_variables_that_a_scope_cannot_make(arguments, message):
    with StatelessScope(), pytest.raises(ValueError, match=message):
        Variable(**arguments)


def test_inner_scopes_see_outer_values_and_keep_their_own(weight, state):
    with StatelessScope([(weight, torch.zeros(2))]) as outer:
        with StatelessScope([(state, torch.ones(2))]) as inner:
            assert (weight + state).tolist() == [1.0, 1.0]
            assert weight.value.tolist() == [0.0, 0.0]
            weight.assign([7.0, 7.0])
        assert outer.get_current_value(weight).tolist() == [0.0, 0.0]
        assert state.value.tolist() == [0.0, 0.0]
    assert inner.get_current_value(weight).tolist() == [7.0, 7.0]


def test_a_scope_closes_after_an_error_and_is_its_threads_own(weight):
    seen = []
    with pytest.raises(KeyError), StatelessScope([(weight, torch.zeros(2))]):
        thread = threading.Thread(target=lambda: seen.append((weight + 0).tolist()))
        thread.start()
        thread.join()
        raise KeyError
    assert seen == [[1.0, 2.0]] and weight.value is weight


def test_random_numbers_go_on_outside_as_if_nothing_had_been_drawn():
    generator = random.SeedGenerator(3)
    random.normal((2,), seed=generator)
    with StatelessScope() as scope:
        drawn = [random.normal((2,), seed=generator) for _ in range(2)]
        assert scope.get_current_value(generator.state).tolist() == [3, 3]
    again = [random.normal((2,), seed=generator) for _ in range(2)]
    assert all(map(torch.equal, drawn, again))
    with StatelessScope([(generator.state, torch.tensor([3, 1]))]):
        assert torch.equal(random.normal((2,), seed=generator), drawn[0])
    with StatelessScope():
        made = random.SeedGenerator(5)
        assert random.draw_seed(made).tolist() == [5, 0]
    assert made.next().tolist() == [5, 0]


def test_metrics_in_a_scope_leave_the_metric_alone():
    metric = metrics.Mean()
    metric.update_state([1.0, 3.0])  # the count is kept beside its variable
    with StatelessScope() as scope:
        metric.update_state([10.0])
        assert metric.count.value == 3.0
        assert float(metric.result()) == pytest.approx(14 / 3)
        metric.reset_state()
        metric.update_state([4.0])
        assert float(metric.result()) == 4.0
    assert scope.get_current_value(metric.count) == 1.0
    assert float(metric.result()) == 2.0 and metric.count == 2.0


def test_an_optimizer_in_a_scope_updates_the_scope(weight):
    twin = Variable(weight.detach())
    optimizer, reference = optimizers.Adam(0.1), optimizers.Adam(0.1)
    optimizer.build([weight])
    reference.build([twin])
    gradient = torch.tensor([1.0, -2.0])
    with StatelessScope() as scope:
        for _ in range(3):
            optimizer.apply([gradient], [weight])
        assert optimizer.iterations + 0 == 3
    for _ in range(3):
        reference.apply([gradient])
    torch.testing.assert_close(scope.get_current_value(weight), twin.detach())
    assert weight.tolist() == [1.0, 2.0] and int(optimizer.iterations) == 0
    optimizer.apply([gradient])
    assert int(optimizer.iterations) == 1


def test_losses_are_collected_if_asked_for():
    class Lossy(layers.Layer):
        def call(self, x):
            self.add_loss(x.sum())
            return x

    layer = Lossy()
    with StatelessScope(collect_losses=True) as scope:
        layer(torch.ones(2))
        assert [float(loss) for loss in layer.losses] == [2.0]
        layer(torch.ones(3))  # which forgets the losses of the call before
        assert [float(loss) for loss in layer.losses] == [3.0]
    assert [float(loss) for loss in scope.losses] == [3.0] and layer.losses == []
    with StatelessScope():
        layer(torch.ones(2))
        assert layer.losses == []


def test_a_whole_model_in_a_scope():
    model = Sequential([layers.Input((3,)), layers.Dense(4), layers.BatchNormalization()])
    x = torch.randn(8, 3)
    mapping = [(v, torch.ones_like(v)) for v in model.variables]
    before = [v.numpy() for v in model.variables]
    with StatelessScope(mapping) as scope:
        inside = model(x, training=True)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
        assert scope.get_current_value(variable) is not None
    for variable, value in mapping:
        variable.assign(value)
    torch.testing.assert_close(inside, model(x, training=True))


def test_symbolic_scopes():
    seen = []

    def function(x):
        seen.append((in_symbolic_scope(), in_stateless_scope()))
        return x * 2

    assert compute_output_spec(function, KerasTensor((None, 3))).shape == (None, 3)
    assert set(seen) == {(True, True)}
    assert not in_symbolic_scope()
    with SymbolicScope(), SymbolicScope():
        assert in_symbolic_scope() and not in_stateless_scope()
    assert not in_symbolic_scope()


def test_shape_inference_changes_nothing(state):
    def function(x):
        state.assign_add([1.0, 1.0])
        return x

    compute_output_spec(function, KerasTensor((2,)))
    assert state.tolist() == [0.0, 0.0]
