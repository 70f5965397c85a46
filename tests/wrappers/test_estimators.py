"""Keras models as scikit-learn estimators: the protocol, pipelines, warm starts, errors."""

import subprocess
import sys

import numpy as np
import pytest

import torchkeras as keras
from torchkeras.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

sklearn = pytest.importorskip("sklearn")
QUIET = {"verbose": 0}


def build(X, y, loss="mse", width=4):
    model = keras.Sequential(
        [
            keras.Input((X.shape[1],)),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(y.shape[1]),
        ]
    )
    model.compile(keras.optimizers.Adam(0.05), loss)
    return model


def compiled_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def data(n=20):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)), rng.integers(0, 2, n)


def test_a_classifier_learns_labels_of_any_type_in_a_pipeline():
    X, y = data(60)
    labels = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
    classifier = SKLearnClassifier(
        build,
        model_kwargs={"loss": keras.losses.CategoricalCrossentropy(from_logits=True)},
        fit_kwargs={"epochs": 60, **QUIET},
    )
    pipeline = sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), classifier)
    keras.utils.set_random_seed(0)
    pipeline.fit(X, labels)
    assert pipeline.score(X, labels) > 0.9
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert pipeline.decision_function(X).shape == (60, 2)


def test_a_given_model_is_cloned_unless_started_warm():
    X, y = data()
    model = compiled_model()
    before = model.get_weights()
    cold = SKLearnRegressor(model, fit_kwargs=QUIET).fit(X, y.astype(float))
    assert cold.model_ is not model
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    warm = SKLearnRegressor(model, warm_start=True, fit_kwargs=QUIET).fit(X, y)
    assert warm.model_ is model
    fitted = model.get_weights()[0]
    assert warm.fit(X, y, epochs=2).model_ is model and warm.epoch_ == 2
    assert not np.array_equal(fitted, model.get_weights()[0])


def test_cloning_keeps_every_parameter():
    model = compiled_model()
    estimator = SKLearnTransformer(model, model_kwargs={"a": 1}, fit_kwargs={"epochs": 2})
    copy = sklearn.base.clone(estimator)
    assert copy.model is model
    assert copy.model_kwargs == {"a": 1} and copy.fit_kwargs == {"epochs": 2}
    warm = sklearn.base.clone(SKLearnRegressor(model, warm_start=True))
    assert warm.model is not model


def test_arguments_of_fit_do_not_stay():
    X, y = data()
    estimator = SKLearnRegressor(build, fit_kwargs=QUIET)
    assert len(estimator.fit(X, y, epochs=3).history_.epoch) == 3
    assert estimator.fit_kwargs == QUIET and estimator.fit(X, y).epoch_ == 1


def test_what_cannot_be_fitted():
    X, y = data()
    uncompiled = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(RuntimeError, match=r"needs to be compiled(.|\n)*model.compile"):
        SKLearnRegressor(uncompiled).fit(X, y)
    with pytest.raises(ValueError, match="only one class"):
        SKLearnClassifier(build).fit(X, np.zeros(20, int))
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        SKLearnClassifier(build).fit(X, X[:, 0])
    with pytest.raises(sklearn.exceptions.NotFittedError):
        SKLearnRegressor(build).predict(X)


def test_metadata_routing():
    estimator = SKLearnRegressor(build)
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        estimator.set_fit_request(sample_weight=True)
    with sklearn.config_context(enable_metadata_routing=True):
        assert estimator.set_fit_request(sample_weight=True) is estimator
        assert estimator.get_metadata_routing().fit.requests["sample_weight"] is True


def test_without_scikit_learn_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from torchkeras import wrappers\n"
        "try: wrappers.SKLearnClassifier\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install scikit-learn" in done.stdout, done.stderr
