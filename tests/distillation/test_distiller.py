"""`Distiller`: what it trains, how often the student runs, files, errors."""

import numpy as np
import pytest
import torch

from torchkeras import Input, Model, Sequential, layers, saving
from torchkeras.distillation import (
    DistillationLoss,
    Distiller,
    FeatureDistillation,
    LogitsDistillation,
)
from torchkeras.random import set_seed

X = np.random.default_rng(0).standard_normal((16, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")
CROSSENTROPY = "sparse_categorical_crossentropy"


def network(units, *extra):
    inner = layers.Dense(units, activation="relu", name="inner")
    return Sequential([Input((4,)), inner, *extra, layers.Dense(2, name="top")])


def make(losses=None, **kwargs):
    set_seed(1)
    losses = LogitsDistillation(2.0) if losses is None else losses
    return Distiller(network(8), network(8), losses, **kwargs)


def test_only_the_student_is_trained_and_it_learns_from_the_teacher():
    distiller = make(student_loss_weight=0.0)
    distiller.compile("adam", loss=CROSSENTROPY)
    teacher = [w.copy() for w in distiller.teacher.get_weights()]
    history = distiller.fit(X, Y, epochs=20, verbose=0).history
    assert history["total_loss"][-1] < 0.8 * history["total_loss"][0]
    assert history["student_loss"] == [0.0] * 20  # it has no weight
    for before, after in zip(teacher, distiller.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    ids = {id(w) for w in distiller.trainable_weights}
    assert ids == {id(w) for w in distiller.student.weights}


def test_the_total_is_the_weighted_sum():
    class Constant(DistillationLoss):
        def __init__(self, value):
            self.value = value

        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return 0 * student_outputs.sum() + self.value

    distiller = make(
        [Constant(1.0), Constant(10.0)],
        distillation_loss_weights=[2.0, 0.5],
        student_loss_weight=0.25,
    )
    distiller.compile("sgd", loss=lambda y, y_pred: 0 * y_pred.sum(-1) + 4.0)
    results = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    assert results["student_loss"] == 4.0
    assert results["distillation_loss"] == 7.0
    assert results["total_loss"] == pytest.approx(0.25 * 4 + 0.75 * 7)


def test_the_student_runs_once_for_predictions_and_features():
    distiller = make(FeatureDistillation("mse", "inner", "inner"))
    distiller.compile("sgd", loss=CROSSENTROPY)
    calls = []
    inner = distiller.student.get_layer("inner")
    inner.register_forward_hook(lambda layer, args, output: calls.append(output.is_meta))
    distiller.train_on_batch(X, Y)
    assert calls.count(False) == 1  # others only infer shapes
    assert distiller._extracted is None  # nothing of the batch is kept


def test_features_of_layers_inside():
    distiller = make(FeatureDistillation("mse", "inner", "inner"), student_loss_weight=0.0)
    distiller.compile("sgd", loss=CROSSENTROPY)
    first = distiller.evaluate(X, Y, verbose=0, return_dict=True)["distillation_loss"]
    x = torch.tensor(X)
    inner = [m.get_layer("inner")(x) for m in (distiller.teacher, distiller.student)]
    assert first == pytest.approx(((inner[0] - inner[1]) ** 2).mean().item(), rel=1e-5)
    distiller.student.set_weights(distiller.teacher.get_weights())
    assert distiller.evaluate(X, Y, verbose=0, return_dict=True)["distillation_loss"] == 0.0


def test_sample_weights_count_for_the_students_own_loss():
    distiller = make(student_loss_weight=1.0)
    distiller.compile("sgd", loss=CROSSENTROPY)
    weights = np.where(Y == 1, 2.0, 0.0).astype("float32")
    whole = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    some = distiller.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    assert whole["student_loss"] != some["student_loss"]


def test_several_outputs():
    def two_headed():
        x = Input((4,))
        return Model(x, [layers.Dense(2)(x), layers.Dense(1)(x)])

    distiller = Distiller(two_headed(), two_headed(), LogitsDistillation(2.0, ["kld", "mse"]))
    distiller.compile("sgd", loss=[CROSSENTROPY, "mse"])
    history = distiller.fit(X, [Y, X[:, :1]], verbose=0).history
    assert np.isfinite(history["total_loss"]).all()


def test_a_file_holds_all_of_it_and_how_it_was_compiled(tmp_path):
    distiller = make(
        [LogitsDistillation(2.0), FeatureDistillation("mse", "inner", "inner")],
        distillation_loss_weights=[1.0, 0.5],
        student_loss_weight=0.7,
    )
    distiller.compile("adam", loss=CROSSENTROPY, metrics=["accuracy"])
    distiller.fit(X, Y, verbose=0)
    distiller.save(tmp_path / "d.keras")
    again = saving.load_model(tmp_path / "d.keras")
    assert again.student_loss_weight == 0.7
    assert not again.teacher.trainable
    np.testing.assert_array_equal(again.predict(X, verbose=0), distiller.predict(X, verbose=0))
    expected = distiller.evaluate(X, Y, verbose=0, return_dict=True)
    assert again.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(expected)


@pytest.mark.parametrize(
    "kwargs, match",
    [
        ({"student_loss_weight": 1.5}, "between 0.0 and 1.0"),
        ({"student_loss_weight": "half"}, "between 0.0 and 1.0"),
        ({"losses": [LogitsDistillation()], "distillation_loss_weights": [1, 2]}, "as many"),
    ],
)
def test_arguments_out_of_range(kwargs, match):
    with pytest.raises(ValueError, match=match):
        make(**kwargs)


def test_some_distillation_loss_is_needed():
    with pytest.raises(ValueError, match="cannot be `None`"):
        Distiller(network(2), network(2), None)


def test_models_must_fit_each_other():
    with pytest.raises(ValueError, match="teacher must be a `keras.Model`"):
        Distiller("teacher", network(2), LogitsDistillation())
    narrow = Sequential([Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="the inputs of teacher and student must agree"):
        Distiller(network(2), narrow, LogitsDistillation())
    wide = Sequential([Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="the outputs of teacher and student must agree"):
        Distiller(network(2), wide, LogitsDistillation())


def test_compile_needs_a_loss_and_a_list_of_metrics():
    with pytest.raises(ValueError, match="`loss` cannot be `None`"):
        make().compile("adam")
    with pytest.raises(ValueError, match="must be a list or tuple"):
        make().compile("adam", loss="mse", metrics="mae")


def test_a_loss_that_is_no_scalar():
    class PerSample(DistillationLoss):
        def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
            return (teacher_outputs - student_outputs).sum(-1)

    distiller = make(PerSample())
    distiller.compile("sgd", loss=CROSSENTROPY)
    with pytest.raises(ValueError, match="must return a scalar"):
        distiller.train_on_batch(X, Y)
