"""What layers, models, optimizers and metrics of Keras 2 had."""

import importlib

import numpy as np
import pytest
import torch

from torchkeras import dropin
from torchkeras.models import Model

X, Y = np.ones((8, 3), "float32"), np.eye(2, dtype="float32")[[0, 1] * 4]


def small(keras, **options):
    layers = [
        keras.layers.Dense(4, activation="relu", input_shape=(3,)),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile(**{"optimizer": "sgd", "loss": "mse", "metrics": ["mae"], **options})
    return model


def test_generators(mixed):
    model = small(mixed)

    def batches():
        while True:
            yield X, Y

    history = model.fit_generator(
        batches(), steps_per_epoch=2, epochs=3, workers=4, use_multiprocessing=True, verbose=0
    )
    assert len(history.history["loss"]) == 3
    assert len(model.evaluate_generator(batches(), steps=2, workers=2)) == 2
    assert model.predict_generator((X for _ in range(2)), steps=2).shape == (16, 2)
    model.fit(X, Y, verbose=0, max_queue_size=5, workers=2, use_multiprocessing=False)


def test_classes_and_probabilities(mixed):
    model = small(mixed)
    found = model.predict(X, verbose=0)
    assert (model.predict_classes(X) == found.argmax(-1)).all()
    np.testing.assert_array_equal(model.predict_proba(X), found)
    single = mixed.Sequential([mixed.layers.Dense(1, input_shape=(3,))])
    assert single.predict_classes(X).tolist() == (single.predict(X, verbose=0) > 0.5).tolist()
    single.layers[0].set_weights([np.full((3, 1), 2.0), np.zeros(1)])
    with pytest.warns(UserWarning, match="no probabilities"):
        single.predict_proba(X)


def test_names_of_metrics(old):
    model = small(old)
    assert model.metrics_names == []
    values = model.evaluate(X, Y, verbose=0)
    assert model.metrics_names == ["loss", "mae"] and len(values) == 2
    assert "metrics_names" not in vars(type(model))


@pytest.mark.parametrize("root", ["tf_keras", "tensorflow.keras"])
def test_lists_go_with_the_names(root):
    keras = importlib.import_module(root)
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(2, name=name)(inputs) for name in ("zz", "aa")]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", metrics=["mae", "mse"])
    values = model.evaluate(X, [Y, Y], verbose=0)
    by_name = model.evaluate(X, [Y, Y], verbose=0, return_dict=True)
    assert dict(zip(model.metrics_names, values, strict=True)) == by_name
    if root == "tf_keras":
        assert model.metrics_names == [
            "loss", "zz_loss", "aa_loss", "zz_mae", "zz_mse", "aa_mae", "aa_mse"
        ]  # fmt: skip


def test_arguments_that_did_nothing(mixed):
    model = small(mixed, sample_weight_mode="temporal", experimental_run_tf_function=False)
    assert model.sample_weight_mode == "temporal"
    with pytest.raises(ValueError, match="target_tensors"):
        small(mixed, target_tensors=[1])
    model.train_on_batch(X, Y, reset_metrics=True)
    with pytest.raises(ValueError, match="reset_metrics"):
        model.train_on_batch(X, Y, reset_metrics=False)
    with pytest.raises(TypeError, match="name them"):
        model.train_on_batch(X, Y, None, None, True)


def test_arguments_that_have_changed_places(old, mixed, tmp_path):
    model = old.Sequential([old.layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse", ["mae"], [2.0])
    loss, error = model.evaluate(X, Y[:, :1], verbose=0)
    assert model.metrics_names == ["loss", "mae"] and loss > 0 and error > 0
    model.save(tmp_path / "m.h5", True, "h5")
    model.save_weights(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="name the argument"):
        model.load_weights(tmp_path / "w.h5", True)
    metric = old.metrics.Mean()
    assert metric.add_weight("n", shape=(2,), aggregation=None).shape == (2,)


def test_shapes_and_tensors_of_calls(mixed):
    model = small(mixed)
    first, last = model.layers
    assert first.input_shape == model.input_shape == (None, 3)
    assert first.output_shape == last.get_input_shape_at(0) == (None, 4)
    assert last.output_shape == model.output_shape == last.get_output_shape_at(0) == (None, 2)
    assert last.get_input_at(0) is first.output and last.get_output_at(0) is last.output
    assert first.input_mask is None and last.get_output_mask_at(0) is None
    assert first.updates == model.state_updates == [] and not first.stateful and not first.dynamic
    assert len(first.inbound_nodes) == 1 and first in model.submodules
    with pytest.raises(AttributeError, match="never been called"):
        _ = mixed.layers.Dense(1).output_shape


def test_a_program_s_own_attributes_hide_them(mixed):
    class Own(mixed.layers.Layer):
        def __init__(self):
            super().__init__()
            self.input_shape = 5
            self.updates = mixed.layers.Dense(1)
            self.inner = mixed.layers.Dense(2)
            self.dynamic = self.add_weight(shape=(2,), name="w")

    layer = Own()
    assert layer.input_shape == 5 and isinstance(layer.updates, mixed.layers.Dense)
    assert isinstance(layer.dynamic, torch.nn.Parameter)


def test_weights_before_the_first_call(mixed):
    known = mixed.layers.Dense(2, input_shape=(3,))
    assert [w.shape for w in known.get_weights()] == [(3, 2), (2,)]
    values = [np.full((3, 2), 2.0, "float32"), np.ones(2, "float32")]
    for layer in (mixed.layers.Dense(2), mixed.layers.Dense(2, weights=values)):
        layer.set_weights(values)
        assert layer(X)[0].tolist() == [7.0, 7.0]
    model = mixed.Sequential([mixed.layers.Dense(2, weights=values, input_shape=(3,))])
    assert model(X)[0].tolist() == [7.0, 7.0]


def test_layers_take_what_had_no_effect(mixed):
    mixed.layers.LSTM(3, implementation=2, time_major=False, dynamic=False)
    mixed.layers.BatchNormalization(fused=True, adjustment=None)
    for make in (
        lambda: mixed.layers.LSTM(3, time_major=True),
        lambda: mixed.layers.BatchNormalization(adjustment=abs),
        lambda: mixed.layers.Dense(3, nonsense=1),
    ):
        with pytest.raises(ValueError, match="time_major|adjustment|nonsense"):
            make()


def test_add_weight_as_in_tutorials(mixed):
    class Linear(mixed.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight("kernel", shape=[int(input_shape[-1]), 2])
            self.bias = self.add_weight("bias", (2,), "float32", "ones", trainable=False)

        def call(self, inputs):
            return inputs @ self.kernel + self.bias

    layer = Linear()
    assert layer(X).shape == (8, 2)
    assert layer.kernel.name == "kernel" and layer.bias.tolist() == [1, 1]
    assert [w.name for w in layer.trainable_weights] == ["kernel"]


def test_add_loss(mixed):
    class Penalty(mixed.layers.Layer):
        def call(self, inputs):
            self.add_loss(lambda: inputs.sum(), inputs=True)
            return inputs

    layer = Penalty()
    layer(X)
    assert float(layer.losses[0]) == 24
    with pytest.raises(ValueError, match="only once"):
        layer.add_loss(lambda: 1.0)
    model = small(mixed)
    with pytest.raises(ValueError, match="symbolic tensor"):
        model.add_loss(model.output)


def test_files(mixed, tmp_path):
    model, other = small(mixed), small(mixed)
    model.save_weights(tmp_path / "w.h5", save_format="h5")
    other.load_weights(tmp_path / "w.h5", options=None)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for save in (
        lambda: model.save(tmp_path / "folder"),
        lambda: model.save(tmp_path / "folder", save_format="tf"),
        lambda: model.save(tmp_path / "m.keras", signatures={"a": 1}),
    ):
        with pytest.raises(ValueError, match=r"\.keras"):
            save()
    with pytest.raises(ValueError, match=r"w\.weights\.h5"):
        model.save_weights(tmp_path / "w")
    model.save(tmp_path / "m.h5", True, False)
    loaded = mixed.models.load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    model.save(tmp_path / "m.keras")
    loaded = mixed.models.load_model(tmp_path / "m.keras")
    assert isinstance(loaded.optimizer, mixed.optimizers.SGD)
    with pytest.raises(RuntimeError, match="to_json"):
        model.to_yaml()


def test_states(mixed):
    layer = mixed.layers.LSTM(2, stateful=True, batch_input_shape=(8, 1, 3))
    model = mixed.Sequential([layer])
    first = model.predict(X[:, None], batch_size=8, verbose=0)
    assert not np.allclose(model.predict(X[:, None], batch_size=8, verbose=0), first)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(X[:, None], batch_size=8, verbose=0), first)
    metric = mixed.metrics.Mean()
    metric.update_state(3.0)
    metric.reset_states()
    assert float(metric.result()) == 0 and len(metric.get_weights()) == 2


def test_state_of_an_optimizer(mixed):
    model, other = small(mixed, optimizer="adam"), small(mixed, optimizer="adam")
    other.set_weights(model.get_weights())
    model.fit(X, Y, epochs=3, verbose=0)
    other.set_weights(model.get_weights())
    state = model.optimizer.get_weights()
    shapes = [(3, 4), (4,), (4, 2), (2,)]
    assert [np.shape(value) for value in state] == [(), *shapes, *shapes]
    other._make_train_function()
    other.optimizer._create_all_weights(other.trainable_variables)
    other.optimizer.set_weights(state)
    assert int(other.optimizer.iterations) == 3
    assert model.train_on_batch(X, Y) == other.train_on_batch(X, Y)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])
    assert len(model.optimizer.weights) == 9
    assert model.optimizer.variables() == model.optimizer.variables
    slot = model.optimizer.get_slot(model.layers[0].kernel, "m")
    assert slot.shape == (3, 4) and model.optimizer.get_slot_names() == ["momentums", "velocities"]
    with pytest.raises(ValueError, match="shape"):
        other.optimizer.set_weights([state[0], *state[:0:-1]])


def test_the_learning_rate(mixed):
    backend = importlib.import_module("tensorflow.keras.backend")
    model = small(mixed, optimizer=mixed.optimizers.Adam(lr=0.25))
    assert float(model.optimizer.lr) == 0.25
    backend.set_value(model.optimizer.lr, 0.5)
    assert float(model.optimizer.learning_rate) == backend.get_value(model.optimizer.lr) == 0.5
    model.optimizer.lr = 0.125
    assert float(model.optimizer.lr) == float(model.optimizer._decayed_lr("float32")) == 0.125


def test_decay(mixed):
    model = small(mixed, optimizer=mixed.optimizers.SGD(lr=0.5, decay=0.1))
    optimizer = model.optimizer
    w = torch.nn.Parameter(torch.zeros(()))
    for step in range(3):
        before = float(w.detach())
        optimizer.apply_gradients([(torch.ones(()), w)], name="step")
        assert before - float(w.detach()) == pytest.approx(0.5 / (1 + 0.1 * step))
    assert float(optimizer.lr) == float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 0.25
    assert float(optimizer.lr) == 0.25 == optimizer.lr.numpy()
    assert float(optimizer._decayed_lr("float32")) == pytest.approx(0.25 / 1.3)


def test_gradients(mixed):
    optimizer = mixed.optimizers.SGD(0.5)
    w = torch.nn.Parameter(torch.ones(2))
    optimizer.minimize(lambda: (w**2).sum(), [w])
    assert w.tolist() == [0, 0]
    with pytest.raises(ValueError, match="grad_loss"):
        optimizer.minimize(lambda: w.sum(), [w], grad_loss=1.0)
    ((gradient, variable),) = optimizer.compute_gradients(lambda: (3 * w).sum(), [w])
    assert gradient.tolist() == [3, 3] and variable is w
    assert optimizer.get_gradients(w.sum(), [w])[0].tolist() == [1, 1]
    slot = optimizer.add_variable_from_reference(
        model_variable=w, variable_name="m", initial_value=np.full(2, 4.0)
    )
    assert slot.tolist() == [4, 4] and "m" in slot.path


def test_nothing_is_set_while_nothing_is_replaced(mixed):
    assert mixed.layers.Dense is not None and hasattr(Model, "fit_generator")
    dropin.uninstall()
    stand_in = importlib.import_module("torchkeras.dropin.tensorflow")
    assert stand_in.keras.layers.Dense is not None
    assert not hasattr(Model, "fit_generator")
