"""Distillation losses: their mathematics in closed form, structures, configs, errors."""

import numpy as np
import pytest
import scipy.special
import torch

from torchkeras import Input, Model, Sequential, layers, losses, registry
from torchkeras.distillation import DistillationLoss, FeatureDistillation, LogitsDistillation

RNG = np.random.default_rng(0)


def logits(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("loss", ["kl_divergence", "kld", losses.KLDivergence()])
@pytest.mark.parametrize("temperature", [1, 4.0])
def test_logits_are_compared_as_softened_probabilities(loss, temperature):
    teacher, student = logits(5, 3), logits(5, 3)
    p, q = (scipy.special.softmax(x / temperature, -1) for x in (teacher, student))
    expected = scipy.special.rel_entr(p, q).sum(-1).mean() * temperature**2
    actual = LogitsDistillation(temperature, loss).compute_loss(
        torch.tensor(teacher), torch.tensor(student)
    )
    assert actual.shape == ()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)  # losses compute in float32


def test_other_losses_see_the_divided_logits():
    teacher, student = logits(5, 3), logits(5, 3)
    actual = LogitsDistillation(2.0, "mse").compute_loss(
        torch.tensor(teacher), torch.tensor(student)
    )
    np.testing.assert_allclose(actual, ((teacher - student) ** 2).mean() / 4, rtol=1e-5)


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_one_loss_for_each_output_and_none_for_those_that_do_not_count(kind):
    teacher, student = torch.zeros(2, 3), torch.ones(2, 3)

    def three(a, b, c):
        return {"a": a, "b": b, "c": c} if kind is dict else kind((a, b, c))

    loss = FeatureDistillation(three("mse", None, "mae"))
    outputs = three(teacher, teacher, teacher), three(student, student * 100, student * 3)
    loss.validate_outputs(*outputs)
    assert loss.compute_loss(*outputs).item() == 4.0
    if kind is tuple:  # a list in configs, as they are JSON
        return
    again = FeatureDistillation.from_config(loss.get_config())
    assert again.compute_loss(*outputs).item() == 4.0


def test_a_function_of_ones_own_is_a_loss():
    loss = FeatureDistillation(lambda y_true, y_pred: (y_true - y_pred).abs().amax(-1))
    value = loss.compute_loss(torch.zeros(2, 3), torch.tensor([[1.0, 2, 3], [0, 0, 1]]))
    assert value.item() == 2.0


def test_the_student_gets_gradients():
    student = torch.randn(4, 3, requires_grad=True)
    LogitsDistillation().compute_loss(torch.randn(4, 3), student).backward()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("cls", [LogitsDistillation, FeatureDistillation])
def test_some_loss_is_needed(cls):
    with pytest.raises(ValueError, match="at least one non-`None`"):
        cls(loss=[None, None])


@pytest.mark.parametrize("temperature", [0, -1.0, "3", None])
def test_the_temperature_is_a_positive_number(temperature):
    with pytest.raises(ValueError, match="positive number"):
        LogitsDistillation(temperature)


def test_configs_make_equal_losses():
    for loss in (LogitsDistillation(2.5, "mae"), FeatureDistillation("mse", "a", "b")):
        again = registry.deserialize_keras_object(registry.serialize_keras_object(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()


def test_outputs_of_another_structure():
    x = torch.ones(2, 3)
    with pytest.raises(ValueError):
        LogitsDistillation().validate_outputs(x, [x])
    with pytest.raises(ValueError, match="another structure than the outputs"):
        FeatureDistillation(["mse", "mse"]).validate_outputs(x, x)


def test_layers_are_looked_up_in_the_models():
    model = Sequential([Input((2,)), layers.Dense(3, name="inner"), layers.Dense(1)])
    FeatureDistillation("mse", "inner", "inner").validate_model_compatibility(model, model)
    with pytest.raises(ValueError, match="In the student model: .*outer"):
        FeatureDistillation("mse", "inner", "outer").validate_model_compatibility(model, model)

    class Own(Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="the student has no symbolic inputs"):
        FeatureDistillation("mse", "inner", "x").validate_model_compatibility(model, Own())
    FeatureDistillation("mse").validate_model_compatibility(model, Own())


def test_the_base_computes_nothing():
    with pytest.raises(NotImplementedError, match="must define `compute_loss"):
        DistillationLoss().compute_loss(1, 2)
