"""Training that users write themselves, against real Keras: overridden steps, state, GANs.

The scripts are in the style of Keras's guides; histories and weights must agree.
"""

import keras
import numpy as np
import pytest
import torch
from fitting import WEIGHTS, X, Y, both, clear, fit_both
from oracle import to_numpy

import torchkeras


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


# Overridden parts ----------------------------------------------------------------------------


def custom_train_step(k):
    """As in Keras's guide for torch: by hand, with `zero_grad`, `backward` and `.value.grad`."""

    class Custom(k.Model):
        def train_step(self, data):
            x, y = data
            self.zero_grad()
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            loss.backward()
            weights = self.trainable_weights[:]
            gradients = [v.value.grad for v in weights]
            with torch.no_grad():
                self.optimizer.apply(gradients, weights)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    return Custom


def custom_low_level(k):
    """A `train_step` that tracks its own metrics and needs no compiled loss."""

    class Custom(k.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.loss_tracker = k.metrics.Mean(name="loss")
            self.mae_metric = k.metrics.MeanAbsoluteError(name="mae")
            self.loss_fn = k.losses.MeanSquaredError()

        def train_step(self, data):
            x, y = data
            self.zero_grad()
            y_pred = self(x, training=True)
            loss = self.loss_fn(y, y_pred)
            loss.backward()
            weights = self.trainable_weights[:]
            with torch.no_grad():
                self.optimizer.apply([v.value.grad for v in weights], weights)
            self.loss_tracker.update_state(loss)
            self.mae_metric.update_state(y, y_pred)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        @property
        def metrics(self):
            return [self.loss_tracker, self.mae_metric]

    return Custom


def custom_compute_loss(k):
    class Custom(k.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.extra = k.metrics.Mean(name="extra")

        def compute_loss(self, x, y, y_pred, sample_weight, training=True):
            loss = ((y - y_pred) ** 2).mean() + 0.01 * sum(self.losses, torch.tensor(0.0))
            self.extra.update_state(loss * 2)
            return loss

    return Custom


def custom_compute_loss_old(k):
    class Custom(k.Model):
        def compute_loss(self, x, y, y_pred, sample_weight):
            return ((y - y_pred) ** 2).mean() * 2

    return Custom


def custom_compute_metrics(k):
    class Custom(k.Model):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            results = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**results, "bias": (y_pred - y).mean()}

    return Custom


def custom_test_step(k):
    class Custom(k.Model):
        def test_step(self, data):
            x, y = data
            y_pred = self(x, training=False)
            self.compute_loss(y=y, y_pred=y_pred)
            for metric in self.metrics:
                if metric.name != "loss":
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    return Custom


def custom_calls_super(k):
    class Custom(k.Model):
        def train_step(self, data):
            logs = super().train_step(data)
            return {**logs, "twice": logs["loss"] * 2}

    return Custom


CUSTOM = [
    (custom_train_step, {"optimizer": "sgd", "loss": "mse"}),
    (custom_low_level, {"optimizer": "sgd"}),
    (custom_compute_loss, {"optimizer": "sgd"}),
    (custom_compute_loss, {"optimizer": "sgd", "loss": "mae", "metrics": ["mae"]}),
    (custom_compute_loss_old, {"optimizer": "sgd", "metrics": ["mae"]}),
    (custom_compute_metrics, {"optimizer": "sgd", "loss": "mse", "metrics": ["mae"]}),
    (custom_test_step, {"optimizer": "sgd", "loss": "mse"}),
    (custom_calls_super, {"optimizer": "sgd", "loss": "mse", "metrics": ["mae"]}),
]


@pytest.mark.parametrize(("custom", "arguments"), CUSTOM, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("style", ["functional", "subclassed"])
def test_overridden_steps(custom, arguments, style):
    def make(k):
        L = k.layers
        cls = custom(k)
        if style == "functional":
            x = k.Input((6,))
            h = L.Dense(4, activation="tanh", kernel_regularizer="l2")(x)
            return cls(x, L.Dense(1)(h))

        class Net(cls):
            def __init__(self):
                super().__init__()
                self.hidden = L.Dense(4, activation="tanh", kernel_regularizer="l2")
                self.head = L.Dense(1)

            def call(self, x):
                return self.head(self.hidden(x))

        return Net()

    validate = custom not in (custom_low_level,)
    fit_both(make, arguments, (X, Y), validation_data=(X, Y) if validate else None, batch_size=16)


# Subclassed models ---------------------------------------------------------------------------


def block_class(k):
    L = k.layers

    class Block(L.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.dense = L.Dense(units, activation="relu")
            self.drop = L.Dropout(0.2)

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
            self.count = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="count"
            )
            self.dense.build(input_shape)

        def call(self, x, training=None):
            h = self.drop(self.dense(x), training=training) * self.scale
            self.add_loss(1e-3 * (h**2).sum())
            if training:
                self.count.assign_add(1.0)
            return h

    return Block


def test_subclassed_model_with_everything():
    def make(k):
        L = k.layers
        Block = block_class(k)

        class Net(k.Model):
            def __init__(self):
                super().__init__()
                self.blocks = [Block(5), Block(4)]
                self.heads = {"out": L.Dense(1)}
                self.seen = k.metrics.Mean(name="seen")

            def call(self, x, training=False):
                for block in self.blocks:
                    x = block(x, training=training)
                self.seen.update_state(x.sum())
                return self.heads["out"](x)

        return Net()

    ours, theirs = fit_both(
        make,
        {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]},
        (X, Y),
        batch_size=16,
        validation_data=(X, Y),
    )
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]


# Scripts -----------------------------------------------------------------------------------------


def state_in_a_layer(k):
    class Center(k.layers.Layer):
        def build(self, input_shape):
            self.mean = self.add_weight(
                shape=(input_shape[-1],), initializer="zeros", trainable=False, name="mean"
            )
            self.count = self.add_weight(
                shape=(), initializer="zeros", trainable=False, dtype="int32", name="count"
            )

        def call(self, x, training=None):
            if training:
                self.mean.assign(self.mean * 0.9 + 0.1 * k.ops.mean(x, axis=0))
                self.count.assign_add(1)
            return x - self.mean

    model = k.Sequential([k.Input((6,)), Center(), k.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=2, batch_size=16, verbose=0, shuffle=False).history
    return history["loss"], to_numpy(model.layers[0].mean), to_numpy(model.layers[0].count)


def metric_in_a_layer(k):
    class Watched(k.layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = k.metrics.Mean(name="activity")

        def call(self, x):
            self.mean.update_state(k.ops.mean(x))
            return x

    model = k.Sequential([k.Input((6,)), k.layers.Dense(1), Watched()])
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(
        X, Y, epochs=2, batch_size=16, verbose=0, shuffle=False, validation_split=0.2
    ).history
    return list(history), list(history.values()), model.evaluate(X, Y, verbose=0)


def metric_of_ones_own(k):
    class Total(k.metrics.Metric):
        def __init__(self, name="total", **kwargs):
            super().__init__(name=name, **kwargs)
            self.total = self.add_weight(name="total", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(k.ops.sum(k.ops.abs(y_true - y_pred)))

        def result(self):
            return self.total / 2.0

        def reset_state(self):
            self.total.assign(0.0)

    model = k.Sequential([k.Input((6,)), k.layers.Dense(1)])
    model.compile("adam", "mse", metrics=[Total(), "mae"])
    history = model.fit(X, Y, epochs=2, verbose=0, shuffle=False, validation_split=0.2).history
    return list(history), list(history.values())


def loss_of_ones_own(k):
    class Scaled(k.losses.Loss):
        def __init__(self, factor, name="scaled"):
            super().__init__(name=name)
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * k.ops.mean(k.ops.square(y_true - y_pred), axis=-1)

    model = k.Sequential([k.Input((6,)), k.layers.Dense(1)])
    model.compile("adam", Scaled(2.0))
    return model.fit(X, Y, epochs=2, verbose=0, shuffle=False, sample_weight=WEIGHTS).history[
        "loss"
    ]


def cell_of_ones_own(k):
    class Cell(k.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.units = self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel"
            )
            self.recurrent = self.add_weight(
                shape=(self.units, self.units), initializer="orthogonal", name="recurrent"
            )

        def call(self, x, states):
            x = k.ops.matmul(x, self.kernel) + k.ops.matmul(states[0], self.recurrent)
            x = k.ops.tanh(x)
            return x, [x]

    model = k.Sequential([k.Input((3, 2)), k.layers.RNN(Cell(4)), k.layers.Dense(1)])
    model.compile("adam", "mse")
    series = X.reshape(50, 3, 2)
    return model.fit(series, Y, epochs=2, verbose=0, shuffle=False).history["loss"]


def gan_by_batches(k):
    """The discriminator is frozen while the generator trains through it."""
    L = k.layers
    crossentropy = k.losses.BinaryCrossentropy(from_logits=True)
    judge = k.Sequential([k.Input((6,)), L.Dense(3, activation="relu"), L.Dense(1)], name="judge")
    judge.compile("adam", crossentropy)
    maker = k.Sequential([k.Input((2,)), L.Dense(6)], name="maker")
    noise = k.Input((2,))
    gan = k.Model(noise, judge(maker(noise)))
    judge.trainable = False
    gan.compile("adam", crossentropy)
    losses = []
    for _ in range(3):
        judge.trainable = True
        losses.append(judge.train_on_batch(X, np.ones((50, 1))))
        judge.trainable = False
        losses.append(gan.train_on_batch(X[:, :2], np.ones((50, 1))))
    return losses


def gan_by_class(k):
    """Two optimizers in one `train_step`."""

    class GAN(k.Model):
        def __init__(self, judge, maker):
            super().__init__()
            self.judge = judge
            self.maker = maker
            self.judge_loss = k.metrics.Mean(name="judge_loss")
            self.maker_loss = k.metrics.Mean(name="maker_loss")
            self.built = True

        def compile(self, judge_optimizer, maker_optimizer, loss_fn):
            super().compile()
            self.judge_optimizer = judge_optimizer
            self.maker_optimizer = maker_optimizer
            self.loss_fn = loss_fn

        @property
        def metrics(self):
            return [self.judge_loss, self.maker_loss]

        def update(self, model, optimizer, inputs, labels):
            self.zero_grad()
            loss = self.loss_fn(labels, inputs())
            loss.backward()
            weights = model.trainable_weights
            with torch.no_grad():
                optimizer.apply([w.value.grad for w in weights], weights)
            return loss

        def train_step(self, data):
            real = data[0] if isinstance(data, tuple) else data
            noise, count = real[:, :2], len(real)
            both = torch.cat([self.maker(noise), real])
            labels = torch.cat([torch.ones(count, 1), torch.zeros(count, 1)])
            loss = self.update(self.judge, self.judge_optimizer, lambda: self.judge(both), labels)
            self.judge_loss.update_state(loss)
            loss = self.update(
                self.maker,
                self.maker_optimizer,
                lambda: self.judge(self.maker(noise)),
                torch.zeros(count, 1),
            )
            self.maker_loss.update_state(loss)
            return {m.name: m.result() for m in self.metrics}

    L = k.layers
    model = GAN(
        k.Sequential([k.Input((6,)), L.Dense(3, activation="relu"), L.Dense(1)]),
        k.Sequential([k.Input((2,)), L.Dense(6)]),
    )
    model.compile(
        k.optimizers.Adam(1e-2),
        k.optimizers.Adam(1e-2),
        k.losses.BinaryCrossentropy(from_logits=True),
    )
    history = model.fit(X, epochs=3, batch_size=16, verbose=0, shuffle=False).history
    return list(history), list(history.values())


def compiled_again(k):
    model = k.Sequential([k.Input((6,)), k.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, shuffle=False)
    model.compile("adam", "mae", metrics=["mse"])
    history = model.fit(X, Y, epochs=2, verbose=0, shuffle=False).history
    return list(history), list(history.values()), int(model.optimizer.iterations)


SCRIPTS = [
    state_in_a_layer,
    metric_in_a_layer,
    metric_of_ones_own,
    loss_of_ones_own,
    cell_of_ones_own,
    gan_by_batches,
    gan_by_class,
    compiled_again,
]


def same(a, b):
    if isinstance(b, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    elif isinstance(b, str):
        assert a == b
    else:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
@pytest.mark.filterwarnings("ignore:.*trainable:UserWarning")
def test_scripts(script):
    same(*both(script))


def test_shuffles_agree_where_nothing_needs_a_look_at_the_data():
    """A built model without compiled losses: Keras takes no batch to build from, nor do we."""

    def orders(k):
        class Recorder(k.Model):
            def train_step(self, data):
                x = data[0] if isinstance(data, tuple) else data
                seen.append(x[:, 0].tolist())
                return {"rows": len(x)}

        seen = []
        k.utils.set_random_seed(3)
        inputs = k.Input((1,))
        model = Recorder(inputs, k.layers.Dense(1)(inputs))
        model.compile()
        model.fit(np.arange(10.0)[:, None], batch_size=4, epochs=2, verbose=0)
        return seen

    ours, theirs = orders(torchkeras), orders(keras)
    assert len(ours) == 6
    assert ours == theirs


def test_stateless_compute_loss():
    """The loss of given weights, while the model's own stay."""
    results = {}
    for k in (keras, torchkeras):
        x = k.Input((3,))
        y = k.layers.Dense(2, kernel_regularizer="l2", kernel_initializer="ones")(x)
        model = k.Model(x, y)
        model.compile("sgd", "mse")
        given = [2 * v.value for v in model.trainable_variables]
        batch = torch.ones(4, 3)
        state = (model.non_trainable_variables, model.metrics_variables)
        (y_pred, _) = model.stateless_call(given, state[0], batch)
        loss, (weights, others, metrics) = model.stateless_compute_loss(
            given, *state, batch, torch.zeros(4, 2), y_pred
        )
        assert [w is v for w, v in zip(weights, given, strict=True)] == [True, True]
        assert len(others) == len(state[0]) and len(metrics) == len(state[1])
        assert (k.ops.convert_to_numpy(model.layers[1].kernel) == 1).all()
        results[k] = loss.item()
    assert results[torchkeras] == pytest.approx(results[keras], rel=1e-6)
    assert results[torchkeras] == pytest.approx(36 + 0.01 * 6 * 4)
