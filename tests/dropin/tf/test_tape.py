"""`dropin.tf.tape`: gradients as TensorFlow's tapes give them, on torch's autograd."""

import types

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras.dropin.tf import tape as module
from torchkeras.dropin.tf.modules import (
    Variable,
    custom_gradient,
    function,
    grad_pass_through,
    recompute_grad,
)
from torchkeras.dropin.tf.tape import GradientTape
from torchkeras.training.steps import RECORDING


@pytest.fixture
def within_tapes_only():
    """Recording as a program with tapes has it."""
    module.record_within_tapes_only()
    yield
    module.record_everything()


def test_variables_are_sources_without_watch():
    v, w = Variable(3.0), Variable(2.0, trainable=False)
    with GradientTape() as tape:
        y = v * v * w
    assert [g if g is None else g.item() for g in tape.gradient(y, [v, w])] == [12.0, None]


def test_constants_are_sources_once_watched():
    x, other = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = (x**2 * other).sum()
    gradient = tape.gradient(y, {"x": x, "rest": [other]})
    assert gradient["x"].tolist() == [6.0, 16.0]
    assert gradient["rest"] == [None]
    assert not x.requires_grad  # what comes after the tape is not recorded


def test_without_accessed_variables():
    v = Variable(3.0)
    with GradientTape(watch_accessed_variables=False) as tape:
        y = v * v
    assert tape.gradient(y, v) is None
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(v)
        y = v * v
    assert tape.gradient(y, v).item() == 6.0


def test_inner_results_are_sources():
    v = Variable(2.0)
    with GradientTape(persistent=True) as tape:
        y = v * 3
        z = y * y
    assert tape.gradient(z, y).item() == 12.0
    assert tape.gradient(z, v).item() == 36.0


def test_a_tape_is_spent_after_one_gradient():
    v = Variable(2.0)
    with GradientTape() as tape:
        y = v * v
    tape.gradient(y, v)
    with pytest.raises(RuntimeError, match="(?s)non-persistent.*persistent=True"):
        tape.gradient(y, v)
    tape.reset()
    with tape:
        y = v * v
    assert tape.gradient(y, v).item() == 4.0


def test_a_tape_is_entered_once():
    with GradientTape() as tape, pytest.raises(ValueError, match="still recording"), tape:
        pass


@pytest.mark.parametrize("unconnected", ["zero", module.UnconnectedGradients.ZERO])
def test_unconnected_sources(unconnected):
    v, w = Variable(2.0), Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = v * v
    found = tape.gradient(y, [v, w], unconnected_gradients=unconnected)
    assert [g.tolist() for g in found] == [4.0, [0.0, 0.0]]


def test_weights_of_the_target():
    v = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = v * v
    assert tape.gradient(y, v, output_gradients=torch.tensor([1.0, 10.0])).tolist() == [2.0, 40.0]


def test_several_targets_are_summed():
    v = Variable(2.0)
    with GradientTape() as tape:
        y = [v * v, {"z": v * 3}]
    assert tape.gradient(y, v).item() == 7.0


def test_tapes_in_tapes():
    v = Variable(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = v**3
        first = inner.gradient(y, v)
    assert first.item() == 12.0
    assert outer.gradient(first, v).item() == 12.0


def test_two_tapes_over_the_same_operations():
    v, w = Variable(2.0), Variable(3.0)
    with GradientTape() as a, GradientTape() as b:
        y = v * w
    assert (a.gradient(y, v).item(), b.gradient(y, w).item()) == (3.0, 2.0)


def test_stop_recording():
    v = Variable(2.0)
    with GradientTape() as tape:
        with tape.stop_recording():
            constant = v * v
        y = constant * v
    assert tape.gradient(y, v).item() == 4.0


def test_jacobians():
    kernel = Variable(np.arange(6.0, dtype="float32").reshape(2, 3))
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = (x @ kernel) ** 2
    expected = torch.func.jacrev(lambda k: (x @ k) ** 2)(kernel.detach())
    torch.testing.assert_close(tape.jacobian(y, kernel), expected)
    expected = torch.func.vmap(torch.func.jacrev(lambda r: (r @ kernel.detach()) ** 2))(x)
    torch.testing.assert_close(tape.batch_jacobian(y, x), expected)
    assert tape.jacobian(y, torch.zeros(2)) is None
    with pytest.raises(ValueError, match="differ in size"):
        tape.batch_jacobian(y, torch.zeros(3))


def test_a_variable_assigned_in_between():
    v = Variable(2.0)
    with GradientTape() as tape:
        y = v * v
    v.assign(5.0)
    with pytest.raises(RuntimeError, match="(?s)assigned to since.*before you apply"):
        tape.gradient(y, v)


@pytest.mark.parametrize("source", [2.0, "v", np.ones(2)])
def test_other_sources_are_refused(source):
    with GradientTape() as tape:
        y = Variable(1.0) * 2
    with pytest.raises(TypeError, match="no source of a gradient"):
        tape.gradient(y, source)


def test_custom_gradient():
    @custom_gradient
    def clipped(x, y):
        return x * y, lambda upstream: (upstream * y.clamp(max=1.0), None)

    v = Variable(3.0)
    with GradientTape() as tape:
        z = clipped(v, 5.0)
    assert (z.item(), tape.gradient(z, v).item()) == (15.0, 1.0)


# What is recorded ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["by parameter", "none used"])
def test_custom_gradients_of_variables(name, within_tapes_only):
    weight = Variable([3.0])

    @custom_gradient
    def scaled(x):
        def gradient(upstream, variables=None):
            if name == "none used":
                assert variables is None
                return upstream * 7.0
            assert variables == [weight]
            return upstream * weight, [upstream * x * 7.0]

        return x * (2.0 if name == "none used" else weight), gradient

    x = torch.tensor([2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = scaled(x)
    gradients = tape.gradient(y, [x, weight])
    assert gradients == ([7.0, None] if name == "none used" else [3.0, 14.0])


def test_gradients_passed_through_and_computed_again(within_tapes_only):
    x = torch.tensor(1.3)
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        rounded = grad_pass_through(torch.round)(x) * 2.0
        cubed = recompute_grad(lambda x: x**3)(x)
    assert rounded == 2.0 and tape.gradient(rounded, x) == 2.0
    assert float(tape.gradient(cubed, x)) == pytest.approx(3 * 1.3**2)


def test_nothing_is_recorded_outside_of_tapes(within_tapes_only):
    v = Variable(2.0)
    target = v * 10
    assert not target.requires_grad
    with GradientTape() as tape:
        loss = (target - v * v) ** 2
    assert not (v * v).requires_grad
    assert tape.gradient(loss, v).item() == -128.0  # the target is a constant


def test_recording_is_undone():
    module.record_within_tapes_only()
    assert RECORDING.by_tapes and not torch.is_grad_enabled()
    module.record_everything()
    assert not RECORDING.by_tapes and torch.is_grad_enabled()


class Taped(torchkeras.Model):
    """A step whose target is computed before the tape."""

    def __init__(self):
        super().__init__()
        self.dense = torchkeras.layers.Dense(1, use_bias=False, kernel_initializer="ones")

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, _ = data
        target = 2 * self(x, training=True)
        self.recorded = target.requires_grad
        with GradientTape() as tape:
            loss = ((self(x, training=True) - target) ** 2).mean()
        gradients = tape.gradient(loss, self.trainable_variables)
        self.gradients = [g.tolist() for g in gradients]
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


class Decorated(Taped):
    """The step is a `@tf.function`."""

    train_step = function(Taped.train_step)


class Torch(Taped):
    """A step in the manner of PyTorch: all of it is recorded."""

    def train_step(self, data):
        x, _ = data
        target = 2 * self(x, training=True)
        self.recorded = target.requires_grad
        loss = ((self(x, training=True) - target.detach()) ** 2).mean()
        self.zero_grad()
        loss.backward()
        self.gradients = [v.grad.tolist() for v in self.trainable_variables]
        return {"loss": loss}


@pytest.mark.parametrize("switch", [False, True], ids=["torch program", "program with tapes"])
@pytest.mark.parametrize(("kind", "recorded"), [(Taped, False), (Decorated, False), (Torch, True)])
def test_training_steps(kind, recorded, switch, request):
    if switch:
        request.getfixturevalue("within_tapes_only")
    model = kind()
    model.compile("sgd")
    model.fit(torch.ones(4, 2), torch.ones(4, 1), verbose=0)
    assert model.recorded is recorded
    assert model.gradients == [[[-4.0], [-4.0]]]


def test_standard_steps_train_within_programs_with_tapes(within_tapes_only):
    model = torchkeras.Sequential([torchkeras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(torchkeras.optimizers.SGD(0.1), "mse")
    before = model.train_on_batch(torch.ones(4, 2), torch.ones(4, 1))
    assert model.evaluate(torch.ones(4, 2), torch.ones(4, 1), verbose=0) < before
    assert not torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("def step():\n  with tf.GradientTape() as tape: pass\nfound = ask()", True),
        ("import torch\ntf.GradientTape\nfound = ask()", False),
        ("x = tf.constant(1)\nfound = ask()", False),
    ],
)
def test_programs_are_looked_at(source, uses):
    space = {"ask": module.uses_tapes, "tf": types.SimpleNamespace(GradientTape=0, constant=abs)}
    exec(compile(source, "script.py", "exec"), space)
    assert space["found"] is uses
