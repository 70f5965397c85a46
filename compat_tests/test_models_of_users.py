"""Models in the habits of users, against real Keras: what the generated programs found.

State under names of `compile`, functional subclasses and their configs, `build` methods, steps
where `call` needs more, single batches.
"""

import numpy as np
import pytest
import torch
from fitting import WEIGHTS, X, Y, both, clear
from oracle import to_numpy


@pytest.fixture(autouse=True)
def _fresh_names():
    clear()
    yield
    clear()


def same(action, **close):
    """Run in both libraries, and compare plain results exactly, numbers closely."""
    ours, theirs = both(action)
    assert_same(ours, theirs, **close)
    return ours


def assert_same(ours, theirs, **close):
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, **close)
    elif isinstance(theirs, (float, np.ndarray)):
        np.testing.assert_allclose(ours, theirs, **{"rtol": 1e-4, "atol": 1e-5, **close})
    else:
        assert ours == theirs


def by_hand(self, x, y, y_pred, loss):
    """The rest of a `train_step` in the manner of Keras's guide for torch."""
    self.zero_grad()
    loss.backward()
    weights = self.trainable_weights[:]
    with torch.no_grad():
        self.optimizer.apply([w.value.grad for w in weights], weights)
    return {"loss": loss}


# State ---------------------------------------------------------------------------------------


def test_a_loss_of_the_users_survives_compile():
    def action(k):
        class Own(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(1)
                self.loss = k.losses.MeanAbsoluteError()

            def call(self, x):
                return self.dense(x)

            def train_step(self, data):
                x, y = data
                y_pred = self(x)
                return by_hand(self, x, y, y_pred, self.loss(y, y_pred))

        model = Own()
        model.compile("sgd")
        history = model.fit(X, Y, verbose=0, shuffle=False).history
        return type(model.loss).__name__, history, model.metrics_names

    same(action)


@pytest.mark.parametrize("overridden", [False, True])
def test_metrics_that_an_own_step_never_updates(overridden):
    def action(k):
        class Own(k.Model):
            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
                return ((y - y_pred) ** 2).mean()

            def train_step(self, data):
                x, y = data
                y_pred = self(x, training=True)
                by_hand(self, x, y, y_pred, self.compute_loss(x, y, y_pred))
                return {m.name: m.result() for m in self.metrics}

        if overridden:  # then it runs on shapes, where the metrics are made
            Own.compute_metrics = lambda self, *args, **kwargs: k.Model.compute_metrics(
                self, *args, **kwargs
            )
        inputs = k.Input((6,))
        model = Own(inputs, k.layers.Dense(1)(inputs))
        model.compile("sgd", metrics=["mae"])
        return model.fit(X, Y, verbose=0, shuffle=False).history

    same(action)


def test_losses_in_a_list_for_outputs_in_a_dict():
    def action(k):
        class Own(k.Model):
            def __init__(self):
                super().__init__()
                self.b, self.a = k.layers.Dense(1), k.layers.Dense(1)

            def call(self, x):
                return {"b": self.b(x), "a": self.a(x)}

        model = Own()
        model.compile("sgd", ["mse", "mae"])
        targets = {"b": Y, "a": Y + 1}
        return model.evaluate(X, targets, verbose=0), model.metrics_names

    same(action)


@pytest.mark.parametrize("with_targets", [True, False])
def test_what_overrides_hand_on_is_bound_before_the_first_step(with_targets):
    """They run on shapes once; a step of the user's need not call them, and nothing is drawn."""

    def action(k):
        class Own(k.Model):
            def __init__(self):
                super().__init__()
                self.dense, self.times = k.layers.Dense(6), 0

            def call(self, x):
                return self.dense(x)

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
                self.times += 1
                return super().compute_loss(x, x, y_pred, sample_weight)

            def compute_metrics(self, x, y, y_pred, sample_weight=None):
                return super().compute_metrics(x, x, y_pred, sample_weight)

            def test_step(self, data):
                return {"tested": 0.5}

        model = Own()
        model.compile("sgd", "mse", metrics=["accuracy"])
        data = (X, X) if with_targets else (X,)
        model.evaluate(*data, verbose=0)
        once = model.times
        history = model.fit(*data, batch_size=4, verbose=0).history
        return once, history, model.get_weights()

    assert same(action)[0] == 1


# One batch -----------------------------------------------------------------------------------


def test_single_batches_draw_nothing_but_masks():
    def action(k):
        model = k.Sequential([k.Input((6,)), k.layers.Dense(3), k.layers.Dropout(0.5)])
        model.compile("sgd", "mse")
        results = [model.train_on_batch(X, Y), model.test_on_batch(X, Y, WEIGHTS)]
        results.append(model.predict_on_batch(X))
        return results, model.fit(X, Y, verbose=0).history

    same(action)


# Functional subclasses -----------------------------------------------------------------------


def functional(k, own_config=True):
    class Own(k.Model):
        def __init__(self, units=2, **kwargs):
            inputs = k.Input((6,))
            super().__init__(inputs=inputs, outputs=k.layers.Dense(units)(inputs), **kwargs)
            self.units = units

        if own_config:

            def get_config(self):
                return {**super().get_config(), "units": self.units}

    return Own


def test_config_of_a_functional_subclass():
    def action(k):
        kind = functional(k)
        config = kind(3, name="own").get_config()
        return sorted(config), kind.from_config(config).predict(X, verbose=0).shape

    same(action)


def test_config_of_a_functional_subclass_made_of_tensors():
    def action(k):
        class Own(k.Model):
            def __init__(self, inputs, outputs, factor=2.0, **kwargs):
                super().__init__(inputs, outputs, **kwargs)
                self.factor = factor

            def get_config(self):
                return {**super().get_config(), "factor": self.factor}

        inputs = k.Input((6,))
        model = Own(inputs, k.layers.Dense(1)(inputs), factor=3.0)
        with pytest.raises(TypeError):
            Own.from_config(model.get_config())
        return sorted(model.get_config())

    same(action)


@pytest.mark.parametrize("own_config", [True, False])
def test_clone_of_a_functional_subclass(own_config):
    def action(k):
        model = functional(k, own_config)(3)
        clone = k.models.clone_model(model)
        return clone.predict(X, verbose=0), [w.shape[-1] for w in clone.weights]

    same(action)


# Building ------------------------------------------------------------------------------------


def test_a_build_that_calls_its_super_leaves_the_rest_to_the_call():
    def action(k):
        class Own(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(2)

            def build(self, input_shape):
                self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
                super().build(input_shape)

            def call(self, x, power):
                return self.dense(x) * self.scale**power

        model = Own()
        model.build((None, 6))
        before = [w.path for w in model.weights]
        out = to_numpy(model(X, power=2.0))
        return before, [w.path for w in model.weights], out

    same(action)


def test_a_weight_made_in_init_settles_no_parent():
    def action(k):
        class Inner(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(2)
                self.scale = self.add_weight(shape=(2,), name="scale")

            def call(self, x):
                return self.dense(x) * self.scale

        class Outer(k.Model):
            def __init__(self):
                super().__init__()
                self.inner = Inner()

            def call(self, x):
                return self.inner(x)

        model = Outer()
        model(X)
        return [w.path for w in model.weights]

    same(action)


# Steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("called", [True, False])
def test_an_own_step_where_call_needs_more(called):
    def action(k):
        class Own(k.Model):
            def __init__(self):
                super().__init__()
                self.dense = k.layers.Dense(1)
                self.built = True

            def call(self, a, b):
                return self.dense(a) - self.dense(b)

            def train_step(self, data):
                (a, b), y = data
                y_pred = self(a, b)
                return by_hand(self, a, y, y_pred, ((y - y_pred) ** 2).mean())

        model = Own()
        model(X, X) if called else model.dense(X)
        model.compile("sgd")
        return model.fit([X, X[::-1].copy()], Y, verbose=0, shuffle=False).history

    same(action)


# Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["Model", "Sequential", "Layer"])
def test_names_that_users_give_their_helpers_and_settings(base):
    """Methods and values under plausible private names meet none of the library's own."""
    methods = "_build _run _device _state _resolve _bind _iterate _run_epoch _one_batch _train_step"
    methods += " _loss_function _overrides _listed _enter _forget _lower _is_ready"
    values = "_plan _locked _children _steps _keys _known _stack _entry _test_step _policy graph"
    values += " compiled_metrics output_names"

    def action(k):
        kind = k.layers.Layer if base == "Layer" else getattr(k, base)
        listed = base == "Sequential"

        class Own(kind):
            def __init__(self):
                super().__init__(**({"layers": [k.layers.Dense(1)]} if listed else {}))
                self.dense = self.layers[0] if listed else k.layers.Dense(1)
                for name in values.split():
                    setattr(self, name, [name])

            def call(self, x, training=None, mask=None):
                x = super().call(x) if listed else self.dense(x)
                for name in methods.split():
                    x = getattr(self, name)(x)
                return x

        for name in methods.split():
            setattr(Own, name, lambda self, x: x + 1)
        model = k.Sequential([Own()]) if base == "Layer" else Own()
        model.compile("sgd", "mse")
        results = [model.fit(X, Y, verbose=0).history, model.predict(X, verbose=0)]
        own = model.layers[0] if base == "Layer" else model
        return results, [list(getattr(own, name)) for name in values.split()]

    same(action)


def test_defaults_of_a_class_hide_no_state():
    def action(k):
        class Own(k.Model):
            blocks = scale = heads = None

            def __init__(self):
                super().__init__()
                self.blocks = [k.layers.Dense(2)]
                self.heads = {"a": k.layers.Dense(1)}
                self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")

            def call(self, x):
                return self.heads["a"](self.blocks[0](x) * self.scale)

        model = Own()
        return to_numpy(model(X)), [w.path for w in model.weights]

    same(action)


def test_training_said_to_be_none_says_nothing():
    # Keras's notes on calls: the argument of the call "if not None", then that of the outer call.
    # Its release 3.15 hands `None` on instead: a layer inside acts as in inference then.
    def act(keras):
        seen = []

        class Inner(keras.layers.Layer):
            def call(self, x, training=None):
                seen.append(training)
                return x

        class Outer(keras.layers.Layer):
            def __init__(self):
                super().__init__()
                self.inner = Inner()

            def call(self, x, training=None):
                return self.inner(x, training=None)

        layer = Outer()
        layer(X)
        seen.clear()
        for mode in (True, False):
            layer(X, training=mode)
        return seen

    ours, theirs = both(act)
    assert ours == [True, False] and theirs == [None, None]
