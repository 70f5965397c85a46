"""`compile`, `fit` and their kin: what they return, train, report and leave behind."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pytest
import torch

from torchkeras import callbacks, config, losses, metrics, optimizers
from torchkeras import layers as L
from torchkeras.models import Model, Sequential, load_model
from torchkeras.random import set_seed
from torchkeras.training.data import PyDataset
from torchkeras.training.steps import without_grad_in

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5], [3.0]])).astype("float32")
LABELS = (Y[:, 0] > 0).astype("int64")


def linear(**kwargs):
    """A linear model that starts from zeros, so that its updates can be computed by hand."""
    model = Sequential([L.Input((4,)), L.Dense(1, kernel_initializer="zeros")])
    if kwargs:
        model.compile(**kwargs)
    return model


def mlp(**kwargs):
    model = Sequential([L.Input((4,)), L.Dense(8, "relu"), L.Dropout(0.2), L.Dense(1)])
    model.compile(**{"optimizer": "adam", "loss": "mse", **kwargs})
    return model


# One update, by hand -------------------------------------------------------------------------


def test_one_update_is_a_step_down_the_gradient():
    model = linear(optimizer=optimizers.SGD(0.1), loss="mse")
    history = model.fit(X, Y, batch_size=40, verbose=0)
    assert history.history["loss"] == pytest.approx([float((Y**2).mean())])
    np.testing.assert_allclose(
        model.layers[0].kernel.numpy(), 0.1 * 2 * X.T @ Y / 40, rtol=1e-5, atol=1e-6
    )


def test_sample_weights_and_class_weights_scale_gradients():
    weights = np.where(LABELS == 1, 3.0, 0.5).astype("float32")
    by_sample = linear(optimizer=optimizers.SGD(0.1), loss="mse")
    by_sample.fit(X, LABELS.astype("float32"), sample_weight=weights, verbose=0, batch_size=40)
    by_class = linear(optimizer=optimizers.SGD(0.1), loss="mse")
    by_class.fit(X, LABELS, class_weight={0: 0.5, 1: 3.0}, verbose=0, batch_size=40)
    by_hand = 0.1 * 2 * X.T @ (weights * LABELS)[:, None] / 40
    for model in (by_sample, by_class):
        np.testing.assert_allclose(model.layers[0].kernel.numpy(), by_hand, rtol=1e-5, atol=1e-6)


def test_the_loss_of_an_epoch_weighs_batches_by_their_size():
    model = linear(optimizer=optimizers.SGD(0.0), loss="mse", metrics=["mae"])
    history = model.fit(X, Y, batch_size=32, verbose=0).history
    assert history["loss"][0] == pytest.approx(float((Y**2).mean()), rel=1e-5)
    assert history["mae"][0] == pytest.approx(float(np.abs(Y).mean()), rel=1e-5)


def test_metrics_start_anew_each_epoch():
    model = linear(optimizer=optimizers.SGD(0.0), loss="mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=3, verbose=0).history
    assert history["mae"] == pytest.approx([history["mae"][0]] * 3)


def test_penalties_of_weights_and_layers_are_part_of_the_loss():
    class Adds(L.Layer):
        def call(self, x):
            self.add_loss(2.0 * x.mean())
            return x

    dense = L.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")
    model = Sequential([L.Input((4,)), dense, Adds()])
    model.compile(optimizers.SGD(0.0), "mse")
    pred = X.sum(axis=1, keepdims=True)
    expected = ((Y - pred) ** 2).mean() + 0.01 * 4 + 2 * pred.mean()
    assert model.evaluate(X, Y, batch_size=40, verbose=0) == pytest.approx(expected, rel=1e-5)
    history = model.fit(X, Y, batch_size=40, verbose=0).history
    assert history["loss"] == pytest.approx([expected], rel=1e-5)


def test_a_model_with_only_losses_of_its_own():
    class Auto(Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(4, kernel_initializer="zeros")

        def call(self, x):
            y = self.dense(x)
            self.add_loss(((x - y) ** 2).mean())
            return y

    model = Auto()
    model.compile(optimizers.SGD(0.5))
    history = model.fit(X, epochs=5, verbose=0).history["loss"]
    assert history[0] > history[-1] > 0
    assert model.evaluate(X, verbose=0) < history[-1]


# What fit takes ------------------------------------------------------------------------------


class Batches(PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10]


def generator():
    while True:
        yield from (Batches()[i] for i in range(4))


def loader():
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(data, batch_size=10)


SOURCES = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 10},
    "tensors": lambda: {"x": torch.tensor(X), "y": torch.tensor(Y), "batch_size": 10},
    "dataset": lambda: {"x": Batches()},
    "generator": lambda: {"x": generator(), "steps_per_epoch": 4},
    "loader": lambda: {"x": loader()},
}


@pytest.mark.parametrize("name", SOURCES)
def test_all_sources_train_alike(name):
    model = linear(optimizer="sgd", loss="mse")
    history = model.fit(**SOURCES[name](), epochs=2, shuffle=False, verbose=0)
    reference = linear(optimizer="sgd", loss="mse")
    expected = reference.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    assert history.history["loss"] == pytest.approx(expected.history["loss"], rel=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], reference.get_weights()[0], rtol=1e-6)


def test_validation():
    model = linear(optimizer=optimizers.SGD(0.0), loss="mse", metrics=["mae"])
    history = model.fit(X, Y, epochs=4, validation_split=0.25, validation_freq=2, verbose=0).history
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"]
    assert history["val_loss"] == pytest.approx([float((Y[30:] ** 2).mean())] * 2, rel=1e-5)
    history = model.fit(
        X,
        Y,
        validation_data=(X, Y),
        validation_steps=2,
        validation_batch_size=5,
        epochs=2,
        verbose=0,
    ).history
    assert history["val_loss"] == pytest.approx([float((Y[:10] ** 2).mean())] * 2, rel=1e-5)


def test_initial_epoch_and_steps():
    epochs, batches = [], []
    spy = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch),
        on_train_batch_end=lambda batch, logs: batches.append(batch),
    )
    history = linear(optimizer="sgd", loss="mse").fit(
        X,
        Y,
        initial_epoch=2,
        epochs=4,
        steps_per_epoch=2,
        batch_size=10,
        callbacks=[spy],
        verbose=0,
    )
    assert epochs == history.epoch == [2, 3]
    assert batches == [0, 1, 0, 1]


def test_steps_per_execution_groups_the_hooks():
    calls = []
    spy = callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: calls.append(batch),
        on_train_batch_end=lambda batch, logs: calls.append(batch),
    )
    model = linear(optimizer="sgd", loss="mse", steps_per_execution=3)
    one = linear(optimizer="sgd", loss="mse")
    a = model.fit(X, Y, batch_size=10, shuffle=False, callbacks=[spy], verbose=0).history
    b = one.fit(X, Y, batch_size=10, shuffle=False, verbose=0).history
    assert calls == [0, 2, 3, 3]
    assert a == b
    np.testing.assert_array_equal(model.predict(X, verbose=0), one.predict(X, verbose=0))


def test_stop_training():
    stop = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1)
    )
    model = linear(optimizer="sgd", loss="mse")
    assert model.fit(X, Y, epochs=9, callbacks=[stop], verbose=0).epoch == [0, 1]
    assert len(model.fit(X, Y, verbose=0).epoch) == 1  # the wish is forgotten


def test_interrupted_training_leaves_a_usable_model():
    class Interrupt(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1 and self.model.history.epoch == [0]:
                raise KeyboardInterrupt

    model, twin = (linear(optimizer="adam", loss="mse", metrics=["mae"]) for _ in range(2))
    options = {"batch_size": 10, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, callbacks=[Interrupt()], **options)
    assert model.history.epoch == [0] and set(model.history.history) == {"loss", "mae"}
    assert not model.training and int(model.optimizer.iterations) == 6
    twin.fit(X, Y, **options)
    twin.fit(X[:20], Y[:20], **options)
    np.testing.assert_array_equal(model.predict(X, verbose=0), twin.predict(X, verbose=0))
    again, expected = (m.fit(X, Y, epochs=2, **options).history for m in (model, twin))
    assert again == expected


def test_stateless_compute_loss_changes_nothing():
    model = linear(optimizer="sgd", loss="mse")
    model.compute_loss(None, torch.as_tensor(Y), torch.zeros(40, 1))  # builds the loss
    state = (model.trainable_variables, model.non_trainable_variables, model.metrics_variables)
    kernel = torch.ones(4, 1, requires_grad=True)
    y_pred = torch.as_tensor(X) @ kernel
    loss, (trainable, *rest) = model.stateless_compute_loss(
        [kernel, torch.zeros(1)], *state[1:], x=X, y=torch.as_tensor(Y), y_pred=y_pred
    )
    assert loss.item() == pytest.approx(((X.sum(1, keepdims=True) - Y) ** 2).mean(), rel=1e-5)
    (slope,) = torch.autograd.grad(loss, [kernel])
    assert slope.shape == (4, 1) and trainable[0] is kernel and len(rest) == 2
    assert not model.get_weights()[0].any()
    with pytest.raises(ValueError):
        model.stateless_compute_loss([kernel], *state[1:], y=Y, y_pred=y_pred)


def test_limit_of_epochs():
    before = config.max_epochs()
    config.set_max_epochs(2)
    try:
        with pytest.warns(UserWarning, match="Limiting epochs to 2"):
            assert linear(optimizer="sgd", loss="mse").fit(X, Y, epochs=5, verbose=0).epoch == [
                0,
                1,
            ]
    finally:
        config.set_max_epochs(before)


@pytest.mark.parametrize(
    ("verbose", "shown"), [(0, ""), (1, "2/2"), (2, "2/2 - "), ("auto", "2/2")], ids=str
)
def test_verbose(verbose, shown, capsys):
    linear(optimizer="sgd", loss="mse").fit(X, Y, verbose=verbose)
    output = capsys.readouterr().out
    assert shown in output and bool(output) == bool(shown)


def test_modes_of_the_module():
    seen = []

    class Spy(L.Layer):
        def call(self, x, training=None):
            if not x.is_meta:  # when shapes are inferred, nothing is told
                seen.append((bool(training), self.training))
            return x

    model = Sequential([L.Input((4,)), Spy(), L.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=40, verbose=0, validation_data=(X, Y), validation_batch_size=40)
    model.predict(X, batch_size=40, verbose=0)
    model.train_on_batch(X, Y)
    model(X)
    assert seen == [(True, True), (False, False), (False, False), (True, True), (False, False)]
    assert not model.training


# What comes back -----------------------------------------------------------------------------


def test_evaluate():
    model = linear(optimizer="sgd", loss="mse")
    mse, mae = float((Y**2).mean()), float(np.abs(Y).mean())
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(mse, rel=1e-5)
    model = linear(optimizer="sgd", loss="mse", metrics=["mae"])
    assert model.evaluate(X, Y, verbose=0) == pytest.approx([mse, mae], rel=1e-5)
    named = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert named == pytest.approx({"loss": mse, "mae": mae}, rel=1e-5)
    assert all(type(value) is float for value in named.values())
    some = model.evaluate(X, Y, steps=1, batch_size=10, verbose=0)
    assert some[0] == pytest.approx(float((Y[:10] ** 2).mean()), rel=1e-5)


def test_the_list_of_several_outputs_begins_with_the_loss():
    x = L.Input((4,))
    model = Model(x, [L.Dense(1, name="a")(x), L.Dense(1, name="b")(x)])
    model.compile("sgd", "mse", metrics=[["mae"], ["mae"]])
    named = model.evaluate(X, [Y, Y], verbose=0, return_dict=True)
    # As in Keras: the loss, the losses of the outputs, and the others by name.
    order = ["loss", "a_loss", "b_loss", "a_mae", "b_mae"]
    assert model.evaluate(X, [Y, Y], verbose=0) == [named[name] for name in order]
    assert named["loss"] == pytest.approx(named["a_loss"] + named["b_loss"])


@pytest.mark.parametrize("batch_size", [1, 7, 40, None])
def test_predict(batch_size):
    model = mlp()
    whole = model(X).detach().numpy()
    np.testing.assert_allclose(
        model.predict(X, batch_size=batch_size, verbose=0), whole, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(model.predict_on_batch(X), whole, rtol=1e-5, atol=1e-6)


def test_on_batch():
    model = linear(optimizer=optimizers.SGD(0.1), loss="mse", metrics=["mae"])
    first = model.train_on_batch(X, Y)
    assert first == pytest.approx([float((Y**2).mean()), float(np.abs(Y).mean())], rel=1e-5)
    second = model.test_on_batch(X, Y, return_dict=True)
    assert list(second) == ["loss", "mae"] and second["loss"] < first[0]
    with pytest.raises(ValueError, match="cannot be specified at the same"):
        model.train_on_batch(X, Y, sample_weight=np.ones(40), class_weight={0: 1.0})


# Optimizers and losses of torch --------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda model: torch.optim.SGD,
        lambda model: functools.partial(torch.optim.Adam, lr=0.1),
        lambda model: torch.optim.AdamW(model.parameters(), lr=0.1),
    ],
    ids=["class", "partial", "instance"],
)
def test_optimizers_of_torch(make, tmp_path):
    model = linear()
    model.compile(make(model), torch.nn.MSELoss())
    history = model.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]
    with pytest.warns(UserWarning, match="cannot be written down"):
        assert model.get_compile_config() == {}
    with pytest.warns(UserWarning, match="call `compile` again after loading"):
        model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_schedulers_of_torch_step_after_each_epoch():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.compile(torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5), "mse")
    rates = []
    spy = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[spy])
    assert rates == pytest.approx([0.1, 0.05, 0.025])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0125)


def test_a_scheduler_that_watches_the_validation():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    model.compile(optimizers.TorchOptimizer(optimizer, plateau), "mse")
    model.fit(X, Y, epochs=3, verbose=0, validation_split=0.2)
    assert plateau.last_epoch == 3 and plateau.best < float("inf")


def _scheduled(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize(
    "make",
    [
        lambda model: torch.optim.AdamW,
        lambda model: torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
        _scheduled,
        lambda model: optimizers.Muon(0.01),
        lambda model: optimizers.LossScaleOptimizer(
            optimizers.Adam(
                optimizers.schedules.CosineDecay(0.1, 10),
                use_ema=True,
                gradient_accumulation_steps=2,
            )
        ),
    ],
    ids=["class", "instance", "scheduler", "muon", "loss scale"],
)
def test_copies_of_a_trained_model_go_on_as_it_does(make, copied):
    model = mlp()
    model.compile(make(model), losses.Huber(), metrics=["mae", metrics.R2Score()])
    model.fit(X, Y, epochs=2, verbose=0)
    twin = copied(model)
    assert twin.optimizer is not model.optimizer
    state = torch.get_rng_state()
    expected = model.fit(X, Y, epochs=2, verbose=0).history
    torch.set_rng_state(state)
    assert twin.fit(X, Y, epochs=2, verbose=0).history == expected
    for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_end_for_any_optimizer_that_asks():
    seen = []

    class Asks(optimizers.SGD):
        def on_epoch_end(self, logs=None):
            seen.append(sorted(logs))

    linear(optimizer=Asks(), loss="mse").fit(X, Y, epochs=2, verbose=0, validation_split=0.5)
    assert seen == [["loss", "val_loss"]] * 2


# Precision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_policies(policy):
    layers = [L.Input((4,), dtype="float32"), L.Dense(8, "relu", dtype=policy)]
    model = Sequential([*layers, L.Dense(1, dtype=policy)])
    model.compile(optimizers.SGD(0.05), "mse")
    history = model.fit(X, Y, epochs=6, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2
    expected = torch.float64 if policy == "float64" else torch.float32
    assert all(w.dtype is expected for w in model.weights)


def test_float16_scales_the_loss():
    class Half(Sequential):
        pass

    model = Half([L.Input((4,)), L.Dense(1, dtype="mixed_float16")])
    model.dtype_policy = "mixed_float16"
    model.compile("sgd", "mse")
    assert isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])


# Compiled steps ------------------------------------------------------------------------------


def fake_compiler(where):
    """A `torch.compile` that fails when it is called, or when its result is."""

    def compile(function, *args, **kwargs):
        if where == "compile":
            raise RuntimeError("no compiler here")

        def fast(*args, **kwargs):
            if where == "call":
                raise RuntimeError("no C++ compiler found")
            return function(*args, **kwargs)

        return fast

    return compile


class Custom(Sequential):
    def train_step(self, data):
        return super().train_step(data)


@pytest.mark.parametrize("cls", [Sequential, Custom])
@pytest.mark.parametrize("where", ["compile", "call", None])
def test_jit_compile_never_changes_or_ends_a_run(where, cls, monkeypatch):
    def run(**kwargs):
        set_seed(1)
        model = cls([L.Input((4,)), L.Dense(3, "relu"), L.BatchNormalization(), L.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"], **kwargs)
        history = model.fit(X, Y, epochs=2, verbose=0, validation_split=0.2).history
        return history, model.predict(X, verbose=0)

    expected = run()
    monkeypatch.setattr(torch, "compile", fake_compiler(where))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        actual = run(jit_compile=True)
    # The update in a graph is not torch's fused Adam, and rounds otherwise: by at most half a unit
    # in the last place (6e-8) of each weight, four steps long; sums of three terms may cancel.
    exact = where is not None or cls is Custom
    rounding = {"rtol": 0, "atol": 0} if exact else {"rtol": 4e-6, "atol": 1e-7}
    assert set(actual[0]) == set(expected[0]) == {"loss", "mae", "val_loss", "val_mae"}
    for name, values in expected[0].items():
        np.testing.assert_allclose(actual[0][name], values, **rounding)
    np.testing.assert_allclose(actual[1], expected[1], **rounding)
    told = [w for w in caught if "could not be compiled and goes on without" in str(w.message)]
    assert len(told) == (where is not None)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch 2.9's own, while it traces
def test_compiled_steps_see_the_losses_of_layers():
    class Adds(L.Layer):
        def call(self, x):
            self.add_loss(x.mean())
            return x

    def run(**kwargs):
        model = Sequential([L.Input((4,)), L.Dense(2, kernel_initializer="ones"), Adds()])
        model.compile("sgd", "mse", **kwargs)
        options = {"epochs": 2, "batch_size": len(X), "shuffle": False, "verbose": 0}
        return model.fit(X, X[:, :2], **options).history["loss"]

    def by_torch(function, **options):
        return real(function, backend="eager", **options)

    expected = run()
    real = torch.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", by_torch)
        assert run(jit_compile=True) == pytest.approx(expected)


def test_mistakes_are_not_taken_for_the_compilers(monkeypatch):
    monkeypatch.setattr(torch, "compile", fake_compiler(None))

    def wrong(y_true, y_pred):
        if not y_pred.is_meta:
            raise RuntimeError("the user's mistake")
        return y_pred

    model = linear(optimizer="sgd", loss=wrong, jit_compile=True)
    with pytest.raises(RuntimeError, match="the user's mistake"):
        model.fit(X, Y, verbose=0)
    assert model.jit_compile


def test_eager_wins_over_jit():
    with pytest.warns(UserWarning, match="`jit_compile` cannot also be True"):
        assert not linear(optimizer="sgd", run_eagerly=True, jit_compile=True).jit_compile


# Overridden parts ----------------------------------------------------------------------------


def test_gradients_by_backward_as_in_keras_on_torch():
    class ByHand(Sequential):
        def train_step(self, data):
            x, y = data
            self.zero_grad()
            loss = self.compute_loss(x, y, self(x, training=True))
            loss.backward()
            weights = self.trainable_weights
            with torch.no_grad():
                self.optimizer.apply([w.value.grad for w in weights], weights)
            return {"loss": loss, "lr": self.optimizer.learning_rate}

    model = ByHand([L.Input((4,)), L.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(0.1), "mse")
    history = model.fit(X, Y, batch_size=40, epochs=2, verbose=0).history
    reference = linear(optimizer=optimizers.SGD(0.1), loss="mse")
    expected = reference.fit(X, Y, batch_size=40, epochs=2, verbose=0).history
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert history["lr"] == pytest.approx([0.1, 0.1])


def test_compute_loss_and_metrics_of_ones_own():
    class Mine(Sequential):
        def __init__(self, layers):
            super().__init__(layers)
            self.worst = metrics.Mean(name="worst")

        def compute_loss(self, x, y, y_pred, sample_weight=None):
            return ((y - y_pred) ** 2).sum()

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.worst.update_state((y - y_pred).abs().max())
            return super().compute_metrics(x, y, y_pred, sample_weight)

    model = Mine([L.Input((4,)), L.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(0.0))
    history = model.fit(X, Y, batch_size=40, verbose=0).history
    assert history["loss"] == pytest.approx([float((Y**2).sum())], rel=1e-5)
    assert history["worst"] == pytest.approx([float(np.abs(Y).max())], rel=1e-5)


@pytest.mark.parametrize("compiled", [["mae"], None])
def test_steps_as_keras_2_wrote_them(compiled):
    class Old(Sequential):
        def train_step(self, data):
            x, y = data
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
            self.zero_grad()
            loss.backward()
            weights = self.trainable_variables
            self.optimizer.apply_gradients(zip([w.grad for w in weights], weights, strict=True))
            self.compiled_metrics.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics if m.name != "compile_metrics"}

    models = [
        cls([L.Input((4,)), L.Dense(1, kernel_initializer="ones", kernel_regularizer="l2")])
        for cls in (Old, Sequential)
    ]
    logs = []
    for model in models:
        model.compile(optimizers.SGD(0.01), "mse", metrics=compiled)
        logs.append(model.fit(X, Y, batch_size=16, shuffle=False, verbose=0).history["loss"])
        logs.append(model.get_weights()[0])
    np.testing.assert_allclose(logs[0], logs[2], rtol=1e-5)
    np.testing.assert_allclose(logs[1], logs[3], rtol=1e-5)


def test_steps_without_a_dict():
    class Silent(Sequential):
        def train_step(self, data):
            super().train_step(data)
            return {}

    model = Silent([L.Input((4,)), L.Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(X, Y, verbose=0).history == {}


# Masks ---------------------------------------------------------------------------------------


def test_masked_steps_count_neither_in_the_loss_nor_in_metrics():
    tokens = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])
    targets = np.ones((2, 4, 1), "float32")
    targets[tokens == 0] = 1e6
    inputs = L.Input((4,), dtype="int32")
    outputs = L.Embedding(4, 1, mask_zero=True, embeddings_initializer="zeros")(inputs)
    model = Model(inputs, outputs)
    model.compile(optimizers.SGD(0.0), "mse", metrics=["mae"])
    history = model.fit(tokens, targets, verbose=0).history
    assert history["loss"] == pytest.approx([1.0]) and history["mae"] == pytest.approx([1.0])
    assert model.evaluate(tokens, targets, verbose=0) == pytest.approx([1.0, 1.0])


# Compile configs -----------------------------------------------------------------------------


def test_compile_config_round_trip():
    model = linear()
    assert model.get_compile_config() == {}
    model.compile(
        optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)),
        losses.Huber(0.5),
        loss_weights=[0.5],
        metrics=["mae", metrics.MeanSquaredError(name="m")],
        weighted_metrics=["mse"],
    )
    again = linear()
    again.compile_from_config(model.get_compile_config())
    assert again.get_compile_config() == model.get_compile_config()
    assert again.optimizer.built
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_what_is_not_compiled_again_stays():
    model = linear(optimizer="adam", loss=["mse"], loss_weights=[2.0], metrics=["mae"])
    before = model.evaluate(X, Y, verbose=0, return_dict=True)
    model.compile(optimizers.SGD(0.1))
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == before
    assert model.loss == ["mse"] and list(model.fit(X, Y, verbose=0).history) == ["loss", "mae"]
    config = model.get_compile_config()
    again = linear()
    again.compile_from_config(config)
    again.set_weights(model.get_weights())
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    model.compile("adam", "mae", metrics=[])
    assert list(model.fit(X, Y, verbose=0).history) == ["loss"]


def test_an_overridden_compile_is_not_called_by_loading():
    class Mine(Sequential):
        def compile(self, optimizer, extra):
            super().compile(optimizer, "mse")
            self.extra = extra

    model = Mine([L.Input((4,)), L.Dense(1)])
    with pytest.warns(UserWarning, match="`compile\\(\\)` method is custom"):
        model.compile_from_config({"optimizer": "sgd", "loss": "mse"})
    assert not model.compiled


# Mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: linear().fit(X, Y), ValueError, "call `compile"),
        (lambda: linear().evaluate(X, Y), ValueError, "call `compile"),
        (lambda: linear(loss="mse", optimizer=None).fit(X, Y), ValueError, "without an optimizer"),
        (lambda: linear(optimizer="sgd").fit(X, Y, verbose=0), ValueError, "[Nn]o loss to compute"),
        (lambda: linear(optimizer="adm"), ValueError, "Did you mean 'Adam'"),
        (lambda: linear(steps_per_execution=0), ValueError, "steps_per_execution"),
        (lambda: linear(loss="mse").fit(X, Y[:5]), ValueError, "different numbers of samples"),
        (lambda: linear(loss="mse").fit(X, verbose=0), ValueError, "no targets"),
        (lambda: linear(loss="mse").evaluate(X, Y, nonsense=1), ValueError, "nonsense"),
        (lambda: linear(loss="mse").fit(X, Y, nonsense=1), TypeError, "nonsense"),
        (lambda: linear().predict(X[:0], verbose=0), ValueError, "empty"),
    ],
)
def test_mistakes(action, error, message):
    with pytest.raises(error, match=message):
        action()


def test_a_model_without_weights():
    model = Sequential([L.Input((4,)), L.ReLU()])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        model.fit(X, X, verbose=0)


def test_grad_mode_of_the_caller_does_not_matter():
    model = linear(optimizer="sgd", loss="mse")
    before = model.get_weights()[0]
    with torch.no_grad():
        model.fit(X, Y, verbose=0)
    assert (model.get_weights()[0] != before).any()


def test_metrics_that_evaluation_makes_can_be_trained_with():
    x, y = X[:8], np.eye(4, dtype="float32")[[0, 1, 2, 3] * 2]
    for stack in ([L.Input((4,))], []):
        model = Sequential([*stack, L.Dense(4, activation="sigmoid")])
        own = [metrics.AUC(multi_label=True), metrics.F1Score(), metrics.R2Score()]
        model.compile("sgd", "binary_crossentropy", metrics=own)
        first = model.evaluate(x, y, verbose=0)
        model.fit(x, y, verbose=0)
        model.optimizer.learning_rate = 0.0
        model.fit(x, y, verbose=0)
        again = model.evaluate(x, y, verbose=0)
        assert len(first) == len(again) == 4 and first[0] > again[0]


def test_logs_are_sorted_by_the_names_of_the_metrics():
    class Pair(metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred)

        def result(self):
            return {"b": super().result(), "a": 1.0}

    class Listener(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.seen = list(logs)
            logs["added"] = 0.0

    model = Sequential([L.Input((2,)), L.Dense(1)])
    model.compile("sgd", "mse", metrics=[Pair(name="pair"), "mae"])
    x, y, listener = np.ones((4, 2)), np.ones((4, 1)), Listener()
    history = model.fit(x, y, validation_data=(x, y), callbacks=[listener], verbose=0)
    # As in Keras: what a metric gives stands where its own name belongs.
    names = ["loss", "mae", "a", "b", "val_a", "val_b", "val_loss", "val_mae"]
    assert listener.seen == names
    assert list(history.history) == [*names, "added"]


class Keeping(L.Layer):
    """Makes a tensor at its first call, and computes with it from there on."""

    kept = None

    def call(self, inputs):
        if self.kept is None and not inputs.is_meta:
            self.kept = torch.full((4,), 2.0)
        return inputs if self.kept is None else inputs * self.kept


class KeepingMetric(metrics.Metric):
    """Replaces its state at each update."""

    total = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total = (self.total + y_pred.sum()).requires_grad_(False)

    def reset_state(self):
        self.total = torch.zeros(())

    def result(self):
        return self.total.add_(0.0)


@pytest.mark.parametrize("first", ["evaluate", "predict"])
def test_what_users_classes_keep_can_be_trained_with(first):
    dense = L.Dense(4)
    model = Sequential([L.Input((4,)), dense, Keeping(), L.Dense(4)])
    model.compile("sgd", "mse", metrics=[KeepingMetric(name="kept")])
    getattr(model, first)(*((X[:8],) if first == "predict" else (X[:8], X[:8])), verbose=0)
    before = dense.get_weights()[0]
    assert np.isfinite(model.fit(X[:8], X[:8], verbose=0).history["kept"]).all()
    assert (dense.get_weights()[0] != before).any()


def test_inference_mode_is_for_models_without_code_of_the_users():
    ours, wrapped = Sequential([L.Dense(4)]), Sequential([torch.nn.Linear(4, 4)])
    assert without_grad_in(ours) is without_grad_in(wrapped) is torch.inference_mode
    assert without_grad_in(Sequential([L.Dense(4), Keeping()])) is torch.no_grad


class Handed(Model):
    """Notes what its steps are handed, of two inputs whose first axes may differ."""

    def __init__(self):
        super().__init__()
        self.part = L.Dense(2)
        self.handed = []

    def call(self, x):
        a, b = x
        return self.part(a) + b.mean()

    def train_step(self, data):
        self.handed.append(data)
        return super().train_step(data)

    def test_step(self, data):
        self.handed.append(data)
        return super().test_step(data)

    def predict_step(self, data):
        self.handed.append(data)
        return super().predict_step(data)


def test_inputs_of_a_batch_alone_may_have_unequal_first_axes():
    model = Handed()
    model.compile("sgd", "mse")
    x, y = (np.ones((4, 3), "float32"), np.ones((7, 1), "float32")), np.ones((4, 2), "float32")
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    assert model.predict_on_batch(x).shape == (4, 2)
    trained, tested, predicted = model.handed
    for handed in (trained, tested):
        assert len(handed) == 3 and handed[2] is None
    assert len(predicted) == 1 and [len(part) for part in predicted[0]] == [4, 7]
    with pytest.raises(ValueError, match="different numbers of samples"):
        model.fit(x, y, verbose=0)


def test_predict_on_batch_hands_on_a_tuple_of_one():
    class Noting(Sequential):
        def predict_step(self, data):
            assert type(data) is tuple and len(data) == 1
            return super().predict_step(data)

    Noting([L.Dense(1)]).predict_on_batch(np.ones((2, 3)))


def test_compiled_metrics_have_no_result_before_the_first_batch():
    model = linear(optimizer="sgd", loss="mse", metrics=["mae"])
    with pytest.raises(ValueError, match="has not yet been built"):
        model.get_metrics_result()
    model.train_on_batch(X, Y)
    assert set(model.get_metrics_result()) == {"loss", "mae"}


class Inside(L.Layer):
    """Makes a layer in `build` and leaves it to `call` to build it, which symbolic calls skip."""

    def build(self, input_shape):
        self.dense = L.Dense(1)

    def call(self, x):
        return self.dense(x)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@pytest.mark.parametrize("deferred", [False, True])
def test_layers_that_the_first_batch_builds_are_trained(deferred):
    model = Sequential([*([] if deferred else [L.Input((4,))]), Inside()])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    kernel, bias = model.trainable_weights
    assert bias.item() != 0 and len(model.optimizer.variables) == 2 and kernel.shape == (4, 1)
    model.compile("sgd", "mse")
    before = bias.item()
    model.train_on_batch(X, Y)
    assert bias.item() != before


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"])
def test_callbacks_freeze_and_thaw(hook):
    def toggle(self, at, logs=None):
        self.model.layers[0].trainable = at >= 1
        kernels.append(self.model.layers[0].kernel.numpy().copy())

    kernels = []
    model = Sequential([L.Input((4,)), L.Dense(2), L.Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse")
    toggler = type("Toggler", (callbacks.Callback,), {hook: toggle})()
    model.fit(X[:9], Y[:9], batch_size=3, epochs=3, verbose=0, callbacks=[toggler])
    moved = [bool((a != b).any()) for a, b in zip(kernels, kernels[1:], strict=False)]
    if hook == "on_epoch_begin":
        assert moved == [False, True]
    elif hook == "on_train_batch_begin":
        assert moved == [False, True, True] * 2 + [False, True]
    else:  # the first batch of all ran before the first hook
        assert moved == [False, True, True] * 2 + [False, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": lambda y: y},
        {"loss": "mse", "metrics": [abs]},
        {"loss": lambda a, b: None},
        {"loss": lambda a, b: "low"},
        {"loss": "ctc"},
    ],
)
def test_a_refused_fit_leaves_the_statistics_alone(wrong):
    model = Sequential([L.Input((4,)), L.BatchNormalization(), L.Dense(1)])
    model.compile("sgd", **wrong)
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError)):
        model.fit(X, Y, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_validation_data_is_looked_at_before_anything_is_built():
    model = Sequential([L.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="4 parts"):
        model.fit(X, Y, validation_data=(X, Y, None, None), verbose=0)
    with pytest.raises(TypeError, match="must be an integer"):
        model.fit(X, Y, steps_per_epoch=2.5, verbose=0)
    assert not model.built
