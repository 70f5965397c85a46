"""`keras.distillation` against Keras: losses, configs, steps of training, files."""

import json

import keras
import numpy as np
import pytest
import torch

import torchkeras

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4)).astype("float32")
Y = RNG.integers(0, 3, 12)
A, B = RNG.standard_normal((2, 5, 3)).astype("float32")
RTOL = 2e-5  # float32, both run the same arithmetic in another order


@pytest.mark.parametrize("loss", ["mse", "cosine_similarity", "huber", "categorical_crossentropy"])
@pytest.mark.parametrize("name, kwargs", [("Logits", {"temperature": 2.5}), ("Feature", {})])
def test_losses(name, kwargs, loss):
    values = [
        getattr(k.distillation, f"{name}Distillation")(loss=loss, **kwargs).compute_loss(
            torch.tensor(A), torch.tensor(B)
        )
        for k in (keras, torchkeras)
    ]
    np.testing.assert_allclose(values[1], values[0], rtol=RTOL)


def test_divergence_of_logits():
    values = [
        k.distillation.LogitsDistillation(3.0, k.losses.KLDivergence()).compute_loss(
            torch.tensor(A), torch.tensor(B)
        )
        for k in (keras, torchkeras)
    ]
    np.testing.assert_allclose(values[1], values[0], rtol=RTOL)


def network(k, units):
    return k.Sequential(
        [
            k.Input((4,), name="in"),
            k.layers.Dense(units, activation="relu", name="inner"),
            k.layers.Dense(3, name="top"),
        ],
        name=f"net_{units}",
    )


def distiller(k, weight=0.4):
    k.utils.set_random_seed(3)
    d = k.distillation
    losses = [
        d.LogitsDistillation(2.0, k.losses.KLDivergence()),
        d.FeatureDistillation("mse", "inner", "inner"),
    ]
    teacher, student = network(k, 6), network(k, 6)
    return d.Distiller(teacher, student, losses, [1.0, 0.5], weight)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_training(weight):
    histories, predictions = [], []
    for k in (keras, torchkeras):
        model = distiller(k, weight)
        loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
        fit = model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
        histories.append(fit.history)
        predictions.append(model.predict(X, verbose=0))
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(predictions[1], predictions[0], rtol=1e-4, atol=1e-6)


def test_configs():
    configs = [json.loads(json.dumps(distiller(k).get_config())) for k in (keras, torchkeras)]
    assert configs[1].keys() == configs[0].keys()
    assert configs[1]["distillation_losses"] == configs[0]["distillation_losses"]
    again = torchkeras.distillation.Distiller.from_config(configs[0])
    assert again.get_config()["student_loss_weight"] == 0.4


@pytest.mark.parametrize("writer, reader", [(keras, torchkeras), (torchkeras, keras)])
def test_files(writer, reader, tmp_path):
    model = distiller(writer)
    model(X)  # builds it
    model.save(tmp_path / "d.keras")
    again = reader.saving.load_model(tmp_path / "d.keras")
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(again.predict(X, verbose=0), expected, rtol=RTOL, atol=1e-6)
    assert type(again.distillation_losses[1]).__name__ == "FeatureDistillation"
