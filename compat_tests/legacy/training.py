"""Every optimizer of Keras 2, those of `optimizers.legacy`, every loss and metric; added ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from .cases import Case

__all__ = ["training_cases"]

# The class: other arguments than the defaults, one set a case.
_OPTIMIZERS: dict[str, tuple[dict[str, Any], ...]] = {
    "Adadelta": ({"rho": 0.9},),
    "Adafactor": ({"learning_rate": 0.01},),
    "Adagrad": ({"initial_accumulator_value": 0.3},),
    "Adam": ({"amsgrad": True}, {"epsilon": 1e-3}, {"clipnorm": 0.1}, {"weight_decay": 0.01}),
    "AdamW": ({"weight_decay": 0.1},),
    "Adamax": ({"beta_1": 0.8},),
    "Ftrl": ({"l1_regularization_strength": 0.01}, {"beta": 0.1}),
    "Lion": ({"beta_2": 0.9},),
    "Nadam": ({"beta_1": 0.8},),
    "RMSprop": ({"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True}),
    "SGD": ({"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"clipvalue": 0.1}),
}
_NEW = ({"use_ema": True}, {"global_clipnorm": 0.1})
_OLD = ({"decay": 0.3},)
_ONLY_NEW = ("Adafactor", "AdamW", "Lion")
_ARGUMENTS_ONLY_NEW = ("weight_decay", "beta")
_SCHEDULES: dict[str, dict[str, Any]] = {
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 2},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [3], "values": [0.1, 0.01]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 4, "power": 2.0},
}
_LOSSES = ("BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
           "CategoricalFocalCrossentropy", "CategoricalHinge", "CosineSimilarity", "Hinge", "Huber",
           "KLDivergence", "LogCosh", "MeanAbsoluteError", "MeanAbsolutePercentageError",
           "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
           "SquaredHinge")  # fmt: skip
_METRICS = ("mae", "mse", "accuracy", "acc", "kullback_leibler_divergence", "log_cosh",
            "AUC", "BinaryAccuracy", "CategoricalAccuracy",
            "CosineSimilarity", "KLDivergence", "MeanAbsoluteError", "Precision", "Recall",
            "RootMeanSquaredError", "TopKCategoricalAccuracy")  # fmt: skip


def training_cases(keras: Any) -> Iterator[Case]:
    """Yield a case of each optimizer and argument, schedule, loss and metric.

    Raises:
        LookupError: `keras` has an optimizer or schedule that the tables lack.
    """
    names = {n for n in dir(keras.optimizers) if n[0].isupper()} - {"Optimizer"}
    names |= {n for n in dir(keras.optimizers.schedules) if n[0].isupper()}
    if missing := names - _OPTIMIZERS.keys() - _SCHEDULES.keys() - {"LearningRateSchedule"}:
        raise LookupError(f"The tables of compat_tests/legacy/training.py lack {sorted(missing)}.")
    for name, variants in _OPTIMIZERS.items():
        for options in ({}, *variants, *_NEW):
            yield _optimizer(name, options)
        for options in ({}, *variants, *_OLD):
            if name not in _ONLY_NEW and not options.keys() & set(_ARGUMENTS_ONLY_NEW):
                yield _optimizer(f"legacy.{name}", options)
    for name, options in _SCHEDULES.items():
        yield _optimizer("Adam", {"learning_rate": (name, options)})
    for name in _LOSSES:
        for loss in (name, f"{name}()"):
            # From the logits of a softmax tf_keras would compute a binary crossentropy, too.
            last = "sigmoid" if "Binary" in loss else "softmax"
            yield _case(f"loss {loss}", _compiled(loss=loss), last)
    for name in _METRICS:
        yield _case(f"metric {name}", _compiled(metrics=name))
    for name, make in _ADDED.items():
        yield Case(f"added {name}", make, ((3,),), _compiled())


def _added_loss(keras: Any) -> Any:
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    model.add_loss(keras.backend.mean(keras.backend.square(hidden)) * 0.3)
    model.add_loss(keras.backend.sum(keras.backend.abs(inputs)))
    return model


def _added_metric(keras: Any) -> Any:
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    model.add_metric(keras.backend.mean(hidden), name="height", aggregation="mean")
    return model


def _added_with_weights(keras: Any) -> Any:
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    other = keras.layers.Dense(5, activation="tanh")(keras.layers.Dense(4)(hidden))
    model.add_loss(keras.backend.mean(other))
    return model


def _added_inside(keras: Any) -> Any:
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2)(_added_loss(keras)(inputs))
    return keras.Model(inputs, outputs)


_ADDED = {
    "loss": _added_loss,
    "metric": _added_metric,
    "loss of layers with weights": _added_with_weights,
    "loss of a model inside": _added_inside,
}


def _optimizer(name: str, options: dict[str, Any]) -> Case:
    def compile(keras: Any) -> dict[str, Any]:
        given = dict(options)
        if isinstance(given.get("learning_rate"), tuple):
            schedule, arguments = given["learning_rate"]
            given["learning_rate"] = getattr(keras.optimizers.schedules, schedule)(**arguments)
        home = keras.optimizers.legacy if name.startswith("legacy.") else keras.optimizers
        optimizer = getattr(home, name.rpartition(".")[2])
        return {"optimizer": optimizer(**{"learning_rate": 0.01, **given}), "loss": "mse"}

    case = _case(f"{name}({options})", compile)
    return case if options else dataclasses.replace(case, formats=(*case.formats, "tf"))


def _compiled(loss: str = "mse", metrics: str | None = None) -> Any:
    def compile(keras: Any) -> dict[str, Any]:
        given = getattr(keras.losses, loss[:-2])() if loss.endswith("()") else loss
        if loss[0].isupper() and not loss.endswith("()"):
            given = getattr(keras.losses, loss)().get_config()["name"]
        of_class = metrics is not None and metrics[0].isupper()
        metric = getattr(keras.metrics, metrics)() if of_class else metrics
        return {
            "optimizer": keras.optimizers.Adam(0.01),
            "loss": given,
            "metrics": None if metric is None else [metric],
        }

    return compile


def _case(title: str, compile: Any, activation: str = "softmax") -> Case:
    def make(keras: Any) -> Any:
        layers = [keras.layers.Dense(4, activation="tanh", input_shape=(3,))]
        return keras.Sequential([*layers, keras.layers.Dense(6, activation=activation)])

    return Case(title, make, ((3,),), compile, _one_hot)


def _one_hot(outputs: list[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    return [np.eye(6, dtype="float32")[random.integers(0, 6, len(out))] for out in outputs]
