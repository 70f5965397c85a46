"""Optimizers of `torch.optim` in the place of ours, against a plain PyTorch loop."""

import functools

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from torchkeras import constraints, optimizers
from torchkeras.optimizers import TorchOptimizer
from torchkeras.variables import Variable

FACTORIES = [
    torch.optim.AdamW,
    functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    functools.partial(torch.optim.RMSprop, lr=0.01, centered=True),
    functools.partial(torch.optim.Adam, lr=0.1, amsgrad=True),
    functools.partial(torch.optim.Adagrad, lr=0.1),
    functools.partial(torch.optim.ASGD, lr=0.1),
    functools.partial(torch.optim.Rprop, lr=0.1),
]
each_factory = pytest.mark.parametrize("factory", FACTORIES, ids=str)


def _pair():
    values = [torch.linspace(-1, 1, 6).reshape(2, 3), torch.ones(3)]
    return [Variable(v) for v in values], [torch.nn.Parameter(v.clone()) for v in values]


def _grads(step):
    return [torch.full((2, 3), 1.0 - step), torch.tensor([1.0, -2.0, step])]


def _loop(optimizer, parameters, steps):
    for step in steps:
        for parameter, grad in zip(parameters, _grads(step), strict=True):
            parameter.grad = grad
        optimizer.step()


@pytest.mark.parametrize("made", [False, True], ids=["class", "object"])
@each_factory
def test_steps_are_those_of_a_pytorch_loop(factory, made):
    ours, theirs = _pair()
    optimizer = optimizers.get(factory(ours) if made else factory)
    for step in range(5):
        optimizer.apply(_grads(step), ours)
    _loop(factory(theirs), theirs, range(5))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b) and a.grad is None
    assert int(optimizer.iterations) == 5 and isinstance(optimizer, optimizers.Optimizer)


@each_factory
def test_state_survives_a_store(factory):
    ours, theirs = _pair()
    optimizer = TorchOptimizer(factory)
    for step in range(3):
        optimizer.apply(_grads(step), ours)
    optimizer.learning_rate = 0.25
    store = {}
    optimizer.save_own_variables(store)
    assert all(isinstance(value, np.ndarray) for value in store.values())
    again = TorchOptimizer(factory)
    with torch.no_grad():
        for a, b in zip(ours, theirs, strict=True):
            b.copy_(a)
    with pytest.warns(UserWarning, match="not been built"):
        again.load_own_variables(store)
    again.build(theirs)
    with pytest.warns(UserWarning, match="not written with a torch optimizer"):
        again.load_own_variables({"0": np.zeros(())})
    again.load_own_variables(store)
    assert float(again.learning_rate) == 0.25 and int(again.iterations) == 3
    for step in range(3, 6):
        optimizer.apply(_grads(step), ours)
        again.apply(_grads(step), theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)
    assert len(again.variables) == len(optimizer.variables) > 2


def test_groups_of_an_object_are_kept():
    ours, _ = _pair()
    groups = [{"params": ours[:1], "lr": 1.0}, {"params": ours[1:], "lr": 0.1}]
    optimizer = TorchOptimizer(torch.optim.SGD(groups, lr=1.0))
    before = [v.detach().clone() for v in ours]
    assert float(optimizer.learning_rate) == 1.0
    optimizer.learning_rate = 0.5
    optimizer.apply([torch.ones(2, 3), torch.ones(3)], ours)
    torch.testing.assert_close(ours[0].data, before[0] - 0.5)
    torch.testing.assert_close(ours[1].data, before[1] - 0.05)  # the ratio of the rates stays


def test_parameters_must_be_the_models():
    ours, theirs = _pair()
    statistics = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    TorchOptimizer(torch.optim.SGD([*ours, statistics], lr=0.1)).build(ours)
    TorchOptimizer(torch.optim.SGD(ours[:1], lr=0.1)).build(ours)
    with pytest.raises(ValueError, match=r"not the model's(.|\n)*model.parameters"):
        TorchOptimizer(torch.optim.SGD([*ours, *theirs], lr=0.1)).build(ours)


def test_learning_rate_before_and_after_the_build():
    optimizer = optimizers.get(functools.partial(torch.optim.SGD, lr=0.5))
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 0.25
    w = Variable([1.0])
    optimizer.apply([torch.ones(1)], [w])
    assert w.item() == 0.75
    optimizer.learning_rate.assign(0.125)
    optimizer.apply([torch.ones(1)], [w])
    assert w.item() == 0.625
    optimizer.optimizer.param_groups[0]["lr"] = 0.5
    assert float(optimizer.learning_rate) == 0.5
    assert float(TorchOptimizer(torch.optim.AdamW).learning_rate) == pytest.approx(0.001)


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_schedulers(interval):
    w = Variable([0.0])
    inner = torch.optim.SGD([w], lr=1.0)
    scheduler = lr_scheduler.StepLR(inner, step_size=1, gamma=0.5)
    optimizer = TorchOptimizer(inner, scheduler, interval=interval)
    rates = []
    for _ in range(3):
        rates.append(float(optimizer.learning_rate))
        for _ in range(2):
            optimizer.apply([torch.ones(1)], [w])
        optimizer.on_epoch_end({"loss": 1.0})
    assert rates == ([1.0, 0.5, 0.25] if interval == "epoch" else [1.0, 0.25, 0.0625])


def test_a_scheduler_stands_for_its_optimizer():
    w = Variable([0.0])
    plateau = lr_scheduler.ReduceLROnPlateau(torch.optim.SGD([w], lr=1.0), patience=0, factor=0.5)
    optimizer = optimizers.get(plateau)
    optimizer.apply([torch.ones(1)], [w])
    for loss in (1.0, 2.0):
        optimizer.on_epoch_end({"val_loss": torch.tensor(loss), "loss": 0.0})
    assert float(optimizer.learning_rate) == 0.5
    with pytest.raises(ValueError, match="val_loss"):
        optimizer.on_epoch_end({})
    other = lr_scheduler.StepLR(torch.optim.SGD([w], lr=1.0), 1)
    with pytest.raises(ValueError, match="belong"):
        TorchOptimizer(torch.optim.SGD([w], lr=1.0), other)
    with pytest.raises(ValueError, match="interval"):
        TorchOptimizer(torch.optim.AdamW, interval="day")


def test_missing_gradients_and_wrong_arguments():
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    optimizer = TorchOptimizer(functools.partial(torch.optim.SGD, lr=0.5))
    with pytest.raises(ValueError, match="not built"):
        optimizer.apply([torch.ones(1)])
    with pytest.warns(UserWarning, match=r"\['a'\]"):
        optimizer.apply([None, torch.ones(1)], [a, b])
    assert (a.item(), b.item()) == (1.0, 0.5)
    with pytest.raises(ValueError, match="No gradients"):
        optimizer.apply([None, None], [a, b])
    with pytest.raises(ValueError, match="one to one"):
        optimizer.apply([torch.ones(1)], [a, b])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([torch.ones(1)], [Variable([1.0])])
    with pytest.raises(ValueError, match="torch.optim"):
        TorchOptimizer("adam")


def test_gradients_of_the_user_are_put_back():
    w = Variable([1.0])
    w.grad = torch.tensor([7.0])
    TorchOptimizer(functools.partial(torch.optim.SGD, lr=0.5)).apply([torch.ones(1)], [w])
    assert w.grad.item() == 7.0 and w.item() == 0.5


def test_constraint_acts_after_the_step():
    w = Variable([0.25, 1.0])
    w.constraint = constraints.NonNeg()
    TorchOptimizer(functools.partial(torch.optim.SGD, lr=1.0)).apply(
        [torch.tensor([1.0, 0.5])], [w]
    )
    assert w.tolist() == [0.0, 0.5]


def test_an_optimizer_that_needs_a_closure():
    with pytest.raises(ValueError, match="LBFGS.*closure"):
        optimizers.get(torch.optim.LBFGS)


def test_it_has_no_config():
    with pytest.raises(NotImplementedError, match=r"sgd(.|\n)*include_optimizer=False"):
        optimizers.serialize(optimizers.get(functools.partial(torch.optim.SGD, lr=0.1)))


def test_loss_scale_around_a_torch_optimizer():
    w = Variable([1.0])
    inner = TorchOptimizer(functools.partial(torch.optim.SGD, lr=0.5))
    optimizer = optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    optimizer.apply([torch.tensor([4.0])], [w])
    optimizer.apply([torch.tensor([float("inf")])], [w])
    assert w.item() == 0.5 and int(optimizer.iterations) == 1
