"""Classes and functions that were called otherwise."""

import importlib
import inspect
import pickle

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import constraints as keras_constraints
from torchkeras.activations import hard_sigmoid, keras2_hard_sigmoid


def test_aliases_stand_for_our_classes(old):
    dense = old.layers.Dense(2, input_shape=(3,))
    assert type(dense) is torchkeras.layers.Dense and isinstance(dense, old.layers.Dense)
    assert type(dense) == old.layers.Dense != old.layers.Conv2D  # noqa: E721 - as scripts do
    assert issubclass(torchkeras.layers.Dense, old.layers.Dense)
    assert {torchkeras.layers.Dense: 1}[old.layers.Dense] == 1
    assert pickle.loads(pickle.dumps(old.layers.Dense)) is torchkeras.layers.Dense
    assert old.layers.Dense is old.layers.Dense
    assert not isinstance(dense, old.layers.Conv2D)
    copy = old.layers.Dense.from_config(dense.get_config())
    assert type(copy) is torchkeras.layers.Dense and copy.units == 2


def test_classes_derived_from_aliases(old):
    class Own(old.layers.Dense):
        def __init__(self, units, factor=2, **kwargs):
            super().__init__(units, activation="hard_sigmoid", **kwargs)
            self.factor = factor

        def call(self, inputs):
            return self.factor * super().call(inputs)

    layer = Own(2, name="own")
    assert layer(torch.zeros(1, 3)).tolist() == [[1.0, 1.0]]
    assert layer.activation is keras2_hard_sigmoid and isinstance(layer, old.layers.Dense)
    assert not isinstance(old.layers.Dense(1), Own) and Own != old.layers.Dense
    config = layer.get_config()
    assert config["units"] == 2 and Own.from_config(dict(config, factor=3)).factor == 3


def test_hard_sigmoid(old, mixed):
    keras = importlib.import_module("keras")
    for root, meant in ((old, keras2_hard_sigmoid), (mixed, hard_sigmoid), (keras, hard_sigmoid)):
        assert root.layers.Dense(1, activation="hard_sigmoid").activation is meant
        assert root.layers.Activation("hard_sigmoid").activation is meant
        assert root.activations.hard_sigmoid is root.activations.get("hard_sigmoid") is meant
        lstm = root.layers.LSTM(2, recurrent_activation="hard_sigmoid")
        assert lstm.recurrent_activation is meant
    assert old.layers.ConvLSTM2D(2, 3).recurrent_activation is keras2_hard_sigmoid
    assert mixed.layers.ConvLSTM2D(2, 3).recurrent_activation is torchkeras.activations.sigmoid


def test_names_that_get_takes(old, mixed):
    assert old.regularizers.get("l1_l2").get_config() == {"l1": 0.01, "l2": 0.01}
    assert old.layers.Dense(1, kernel_regularizer="l1_l2").kernel_regularizer.l1 == 0.01
    assert mixed.regularizers.get("l1_l2").l1 == 0.0
    assert old.constraints.get("maxnorm").max_value == 2
    assert isinstance(old.constraints.get("nonneg"), keras_constraints.NonNeg)
    assert isinstance(old.constraints.get("radial_constraint"), old.constraints.RadialConstraint)
    with pytest.raises(ValueError, match="maxnorm"):
        mixed.constraints.get("maxnorm")


def test_counts_of_metrics_take_weights(old, mixed):
    assert old.metrics.MeanIoU(2).dtype == "float32" and mixed.metrics.MeanIoU(2).dtype != "float32"
    metric = old.metrics.IoU(2, [0, 1])
    metric.update_state([0, 1, 1], [0, 1, 0], sample_weight=[0.5, 0.25, 0.25])
    np.testing.assert_allclose(metric.result(), (0.5 / 0.75 + 0.25 / 0.5) / 2, rtol=1e-6)


def test_layers_that_computed_something_else(old, mixed):
    assert old.layers.RandomCrop(2, 3)(np.ones((1, 5, 5, 3)), training=False).shape[1] == 2
    assert mixed.layers.RandomCrop(2, 3)(np.ones((1, 5, 5, 3)), training=False).shape[1] == 5
    with pytest.raises(ValueError, match="ActivityRegularization"):
        old.layers.MultiHeadAttention(2, 3, activity_regularizer="l2")
    with pytest.raises(ValueError, match="computed without it"):
        old.layers.Conv3DTranspose(2, 3, dilation_rate=2)


def test_the_variable_makes_tensorflow_keras_keras_2(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    keras = importlib.import_module("tensorflow.keras")
    assert keras.__version__.startswith("2.")
    assert keras.layers.Dense(1, activation="hard_sigmoid").activation is keras2_hard_sigmoid
    assert importlib.import_module("keras").__version__.startswith("3.")


def test_defaults_and_order_of_keras_2(old, mixed):
    assert old.layers.AveragePooling2D().pool_size == (2, 2)
    assert old.layers.LeakyReLU().negative_slope == pytest.approx(0.3)
    assert old.layers.LeakyReLU(0.2).negative_slope == 0.2
    assert old.layers.LeakyReLU(alpha=0.1).negative_slope == 0.1
    assert old.regularizers.l1_l2().l2 == pytest.approx(0.01)
    assert mixed.regularizers.l1_l2().l2 == 0
    assert old.regularizers.l2(l=0.5).l2 == 0.5
    assert old.layers.Input((3,), 4, "x", "int32").dtype == "int32"
    assert float(old.optimizers.Lion().learning_rate) == pytest.approx(1e-4)
    assert old.optimizers.RMSprop().ema_overwrite_frequency == 100
    loss = old.losses.SparseCategoricalCrossentropy(True, None, "none", "mine")
    assert loss.name == "mine" and loss.reduction == "none"
    assert old.losses.MeanSquaredError(reduction="auto").reduction == "sum_over_batch_size"
    layer = old.layers.Conv3DTranspose(2, 3, 2, "same", 1, "channels_last")
    assert layer.data_format == "channels_last"


def test_optimizers_of_the_legacy_module(old):
    legacy = importlib.import_module("tf_keras.optimizers.legacy")
    assert type(legacy.Adam(lr=0.1)) is torchkeras.optimizers.Adam
    assert legacy.SGD(decay=0.1).lr == 0.01
    for name in legacy.__all__:
        if name not in ("Optimizer", "LegacyOptimizerWarning"):
            assert isinstance(getattr(legacy, name)(), torchkeras.optimizers.Optimizer)
    model = old.Sequential([old.layers.Dense(1, input_shape=(2,))])
    model.compile(legacy.RMSprop(0.1), "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)


def test_functions(old):
    categories = old.utils.to_categorical(torch.tensor([0, 2]), num_classes=3)
    assert isinstance(categories, np.ndarray) and categories.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert old.utils.to_categorical(y=[1]).tolist() == [[0, 1]]
    x = torch.tensor([-1.0, 2.0])
    assert old.activations.relu(x, alpha=0.5).tolist() == [-0.5, 2.0]
    assert old.backend.dot(x=torch.eye(2), y=torch.eye(2)).tolist() == torch.eye(2).tolist()
    with pytest.raises(TypeError, match="negative_slope"):
        old.activations.relu(x, alpha=0.5, negative_slope=0.5)
    with pytest.raises(ValueError, match="use_legacy_format"):
        old.layers.serialize(old.layers.Dense(1), use_legacy_format=True)
    config = old.layers.serialize(old.layers.Dense(1), use_legacy_format=False)
    assert old.layers.deserialize(config, use_legacy_format=False).units == 1


def test_checkpoints(mixed, tmp_path):
    model = mixed.Sequential([mixed.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="no folder"):
        whole = mixed.callbacks.ModelCheckpoint(tmp_path / "m{epoch}", period=2, options=None)
    with pytest.warns(UserWarning, match="cp.ckpt.weights.h5"):
        weights = mixed.callbacks.ModelCheckpoint(tmp_path / "cp.ckpt", save_weights_only=True)
    assert isinstance(whole, torchkeras.callbacks.ModelCheckpoint)
    x = np.ones((4, 2))
    model.fit(x, x[:, :1], epochs=5, verbose=0, callbacks=[whole, weights])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cp.ckpt.weights.h5", "m2.keras", "m4.keras"
    ]  # fmt: skip
    other = mixed.Sequential([mixed.layers.Dense(1, input_shape=(2,))])
    other.load_weights(tmp_path / "cp.ckpt")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    seen = []
    callback = mixed.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: seen.append(batch))
    model.fit(x, x[:, :1], verbose=0, callbacks=[callback])
    assert seen == [0]


def test_configs(old, mixed):
    config = {"class_name": "Dense", "config": {"units": 3, "activation": "hard_sigmoid"}}
    for root in (old, mixed):  # the text is Keras 2's
        assert root.layers.deserialize(config).activation is keras2_hard_sigmoid
        inputs = root.Input((3,))
        model = root.Model(inputs, root.layers.Dense(2, activation="hard_sigmoid")(inputs))
        for made in (model, root.Sequential([model.layers[-1]])):
            whole = {"class_name": type(made).__name__, "config": made.get_config()}
            copy = root.models.model_from_config(whole)  # the text is today's
            assert copy.layers[-1].activation is model.layers[-1].activation
    assert old.activations.deserialize("hard_sigmoid") is keras2_hard_sigmoid
    assert mixed.activations.deserialize("hard_sigmoid") is hard_sigmoid
    with pytest.raises(TypeError, match="expects a dictionary"):
        old.models.model_from_config([])


def test_signatures(old):
    ours = inspect.signature(torchkeras.layers.Dense)
    assert inspect.signature(old.layers.Dense) == ours

    class Own(old.layers.Dense):
        def __init__(self, units, more):
            super().__init__(units)

    assert list(inspect.signature(Own).parameters) == ["units", "more"]
