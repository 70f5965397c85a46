"""`MultiOptimizer` and `OptimizerMap`: who updates what, errors, state and configs."""

import copy
import functools
import pickle

import pytest
import torch

import torchkeras as keras
from torchkeras import optimizers
from torchkeras.naming import name_scope
from torchkeras.optimizers import SGD, Adam, LossScaleOptimizer, MultiOptimizer, OptimizerMap
from torchkeras.variables import Variable


def variable(path, value=(1.0, 1.0)):
    scope, _, name = path.rpartition("/")
    with name_scope(scope):
        return Variable(list(value), name=name)


def three():
    return [variable("a/kernel"), variable("b/kernel"), variable("a/bias")]


def ones(variables):
    return [torch.ones_like(v) for v in variables]


# The map ------------------------------------------------------------------------------------------


def test_map_prefers_equal_keys_to_expressions():
    first, second, rest = SGD(name="first"), SGD(name="second"), SGD(name="rest")
    chosen = OptimizerMap(rest, {"a/.*": first})
    chosen["a/b"] = second
    assert [chosen[key] for key in ("a/b", "a/c", "a", "x/a/c")] == [second, first, rest, rest]
    assert chosen(variable("a/kernel")) is first and chosen.default_optimizer is rest
    assert list(chosen) == ["a/.*", "a/b"] and len(chosen) == 2
    del chosen["a/b"]
    assert chosen["a/b"] is first


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda m: m["ab"], ValueError, r"Multiple(.|\n)*'a\.', '\.b'"),
        (lambda m: m.__setitem__("a.", SGD()), ValueError, "'a.' already exists"),
        (lambda m: m.__setitem__(3, SGD()), ValueError, "key must be a string"),
        (lambda m: m.__setitem__("c", "sgd"), ValueError, "must be a Keras Optimizer"),
        (
            lambda m: m.__setitem__("c", LossScaleOptimizer(SGD())),
            ValueError,
            "cannot be LossScaleOptimizer",
        ),
        (lambda m: m.__setitem__("c", MultiOptimizer(m)), ValueError, "cannot be MultiOptimizer"),
        (lambda m: OptimizerMap("sgd"), TypeError, "default_optimizer"),
        (lambda m: OptimizerMap(SGD(), [SGD()]), TypeError, "must be a dictionary"),
    ],
)
def test_mistakes_with_the_map(action, error, message):
    chosen = OptimizerMap(SGD(), {"a.": SGD(), ".b": SGD()})
    with pytest.raises(error, match=message):
        action(chosen)


# Steps --------------------------------------------------------------------------------------------


def test_each_variable_has_its_optimizer():
    variables = three()
    alone = copy.deepcopy(variables)
    optimizer = MultiOptimizer(OptimizerMap(Adam(0.1), {"a/.*": SGD(0.25, momentum=0.5)}))
    momentum, adam = SGD(0.25, momentum=0.5), Adam(0.1)
    for _ in range(3):
        optimizer.apply(ones(variables), variables)
        momentum.apply(ones(alone)[:2], [alone[0], alone[2]])
        adam.apply(ones(alone)[:1], [alone[1]])
    assert all(map(torch.equal, variables, alone))
    assert [o.name.rstrip("_0123456789") for o in optimizer.optimizers] == ["sgd", "adam"]
    counts = [optimizer.iterations, *(o.iterations for o in optimizer.optimizers)]
    assert [int(count) for count in counts] == [3, 3, 3]
    own, inside = optimizer.variables[:2], optimizer.variables[2:]
    assert [v.name for v in own] == ["iteration", "learning_rate"]
    assert inside == [v for o in optimizer.optimizers for v in o.variables]


def test_variables_in_another_order_and_functions_as_maps():
    variables = three()
    sgd, rest = SGD(0.5), SGD(0.25)
    optimizer = MultiOptimizer(lambda v: sgd if v.path.startswith("a/") else rest)
    optimizer.build(variables)
    backwards = variables[::-1]
    optimizer.apply([torch.full((2,), float(i)) for i in range(3)], backwards)
    assert [v[0].item() for v in backwards] == [1.0, 0.75, 0.0]
    optimizer.apply(ones(variables))
    assert [v[0].item() for v in backwards] == [0.5, 0.5, -0.5]


def test_missing_gradients_are_the_business_of_each():
    variables = three()
    optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {"a/.*": SGD(0.5)}))
    with pytest.warns(UserWarning, match="a/bias"):
        optimizer.apply([*ones(variables)[:2], None], variables)
    assert [v[0].item() for v in variables] == [0.5, 0.5, 1.0]
    with pytest.raises(ValueError, match="No gradients provided"):
        optimizer.apply([None, torch.ones(2), None])
    optimizer.apply([])
    assert int(optimizer.iterations) == 1


def test_an_optimizer_without_variables_is_left_unbuilt():
    variables = three()
    optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {".*": Adam(0.1)}))
    optimizer.apply(ones(variables), variables)
    assert [o.built for o in optimizer.optimizers] == [True, False]


def test_averages_and_the_end_of_training():
    variables = three()
    averaging = SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer = MultiOptimizer(OptimizerMap(SGD(1.0), {"a/.*": averaging}))
    for _ in range(2):
        optimizer.apply(ones(variables), variables)
    optimizer.finalize_variable_values(variables)
    assert [v[0].item() for v in variables] == [-0.5, -1.0, -0.5]


def test_loss_scale_is_one_for_all():
    variables = three()
    inner = SGD(0.5, loss_scale_factor=3.0)
    optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {"a/.*": inner}), loss_scale_factor=8.0)
    assert inner.loss_scale_factor == 8.0 and optimizer.scale_loss(2.0) == 16.0
    optimizer.apply([8 * g for g in ones(variables)], variables)
    assert [v[0].item() for v in variables] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("ask", [True, False])
def test_inside_a_dynamic_loss_scale(ask, monkeypatch):
    variables = three()
    inner = MultiOptimizer(OptimizerMap(SGD(0.5), {"a/.*": optimizers.Nadam(0.1)}))
    inner.loss_scale_factor = 7.0
    optimizer = LossScaleOptimizer(inner, initial_scale=4.0)
    assert {o.loss_scale_factor for o in inner.optimizers} == {None}
    optimizer.build(variables)
    if not ask:
        assert not optimizer._asks_the_device(torch.empty((), dtype=bool, device="meta"))
        monkeypatch.setattr(optimizer, "_asks_the_device", lambda finite: False)
    alone = [Variable([1.0, 1.0]), Variable([1.0, 1.0])]
    sgd, nadam = SGD(0.5), optimizers.Nadam(0.1)
    for step in range(5):
        grads = [4 * g for g in ones(variables)]
        if step % 2:
            grads[1].fill_(float("nan"))
        else:
            sgd.apply(ones(alone)[:1], alone[:1])
            nadam.apply(ones(alone)[:1], alone[1:])
        optimizer.apply([g * optimizer.dynamic_scale / 4 for g in grads])
    torch.testing.assert_close(variables[1].data, alone[0].data)
    torch.testing.assert_close(variables[0].data, alone[1].data)
    assert int(optimizer.iterations) == int(inner.optimizers[0].iterations) == 3


def test_schedulers_of_pytorch_inside_step_by_epoch():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    torchs = torch.optim.SGD(model.layers[0].parameters(), lr=0.5)
    halving = torch.optim.lr_scheduler.ExponentialLR(torchs, 0.5)
    first = optimizers.TorchOptimizer(halving)
    chosen = {id(v): first for v in model.layers[0].trainable_variables}
    rest = SGD(0.0)
    model.compile(MultiOptimizer(lambda v: chosen.get(id(v), rest)), "mse")
    model.fit(torch.ones(2, 2), torch.ones(2, 1), epochs=3, verbose=0)
    assert float(first.learning_rate) == pytest.approx(0.5 / 8)


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (lambda v: "sgd", "a/kernel is not an Optimizer instance"),
        (lambda v: LossScaleOptimizer(SGD()), "LossScaleOptimizer cannot be used inside"),
        (lambda v: MultiOptimizer(OptimizerMap(SGD())), "MultiOptimizer cannot be used inside"),
    ],
)
def test_build_refuses(chosen, message):
    with pytest.raises(ValueError, match=message):
        MultiOptimizer(chosen).build(three())


def test_apply_refuses():
    variables = three()
    optimizer = MultiOptimizer(OptimizerMap(SGD()))
    with pytest.raises(ValueError, match="build"):
        optimizer.apply(ones(variables))
    with pytest.raises(ValueError, match="set_weights"):
        optimizer.set_weights([])
    optimizer.build(variables)
    with pytest.raises(ValueError, match="one-to-one"):
        optimizer.apply(ones(variables)[:2], variables[:2])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply(ones(variables), three())


def test_there_is_no_learning_rate():
    optimizer = MultiOptimizer(OptimizerMap(SGD(0.5)))
    assert not hasattr(optimizer, "learning_rate")
    with pytest.raises(AttributeError, match="cannot be accessed"):
        optimizer.learning_rate  # noqa: B018
    with pytest.raises(AttributeError, match="cannot be set"):
        optimizer.learning_rate = 0.1


# Copies, configs, state ---------------------------------------------------------------------------


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_alike(copier):
    variables = three()
    optimizer = MultiOptimizer(OptimizerMap(SGD(0.5, momentum=0.5), {"a/.*": Adam(0.1)}))
    optimizer.apply(ones(variables), variables)
    others, again = copier((variables, optimizer))
    assert again.get_config() == optimizer.get_config()
    for v, o in ((variables, optimizer), (others, again)):
        o.apply(ones(v), v)
        o.apply(ones(v))
    for x, y in zip([*variables, *optimizer.variables], [*others, *again.variables], strict=True):
        assert torch.equal(x, y) and x is not y


def test_config_and_state():
    make = functools.partial(
        MultiOptimizer, OptimizerMap(SGD(0.5, momentum=0.5), {"a/.*": Adam(0.1)}), name="both"
    )
    optimizer, variables = make(), three()
    optimizer.apply(ones(variables), variables)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert again.optimizers[0] is not optimizer.optimizers[0]
    others = [*map(copy.deepcopy, variables)]
    again.build(others)
    again.set_weights(optimizer.variables)
    for v, o in ((variables, optimizer), (others, again)):
        o.apply(ones(v), v)
    assert all(map(torch.equal, variables, others))


def test_stateless():
    variables = three()
    optimizer = MultiOptimizer(OptimizerMap(SGD(0.5, momentum=0.5), {"a/.*": Adam(0.1)}))
    optimizer.build(variables)
    values, state = optimizer.stateless_apply(optimizer.variables, ones(variables), variables)
    assert values[1].tolist() == [0.5, 0.5] and variables[1].tolist() == [1.0, 1.0]
    assert len(state) == len(optimizer.variables) and int(state[0]) == 1
    assert int(optimizer.iterations) == 0
