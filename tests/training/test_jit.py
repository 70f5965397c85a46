"""Compiled steps: one graph each, for the batches that come, beside the same step uncompiled."""

import gc
import shutil
import warnings
import weakref

import numpy as np
import pytest
import torch

from torchkeras import (
    Model,
    Sequential,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
    regularizers,
    utils,
)
from torchkeras.training import jit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(72, 4)).astype("float32")  # batches of 32: the last one is smaller
Y = (X @ np.array([[1.0], [-2.0], [0.5], [3.0]])).astype("float32")

pytestmark = [
    pytest.mark.skipif(not jit.can_be_one_graph(), reason="this torch makes no whole graphs"),
    pytest.mark.filterwarnings("ignore:The .grad attribute"),  # torch's own, while it traces
]


@pytest.fixture
def graphs(monkeypatch):
    """Trace, and count the graphs, without generating code."""
    found, real = [], torch.compile
    torch._dynamo.reset()

    def backend(graph, inputs):
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, backend=backend, **options))
    yield found
    torch._dynamo.reset()


@pytest.fixture
def lowered(monkeypatch):
    """As `graphs`, with gradients and updates lowered to what code is generated from."""
    found, real = [], torch.compile
    lower = torch._dynamo.lookup_backend("aot_eager")
    torch._dynamo.reset()

    def backend(graph, inputs):
        found.append(graph)
        return lower(graph, inputs)

    monkeypatch.setattr(torch, "compile", lambda f, **options: real(f, backend=backend, **options))
    yield found
    torch._dynamo.reset()


def network(*more):
    return Sequential(
        [
            layers.Input((4,)),
            layers.Dense(6, "tanh", kernel_regularizer=regularizers.L2(0.01)),
            layers.BatchNormalization(),
            *more,
            layers.Dense(1),
        ]
    )


def run(make=network, optimizer="adam", epochs=3, weights=None, whole=False, **options):
    """Train, and if `whole` evaluate and predict; return the model and all numbers."""
    utils.set_random_seed(1)
    model = make()
    optimizer = optimizer() if callable(optimizer) else optimizer
    model.compile(optimizer, **{"loss": "mse", "metrics": ["mae"], **options})
    data = {"shuffle": False, "verbose": 0, "validation_data": (X, Y) if whole else None}
    history = model.fit(X, Y, epochs=epochs, sample_weight=weights, **data).history
    numbers = [*history.values(), *model.get_weights()]
    return model, [*numbers, model.predict(X, verbose=0).ravel()] if whole else numbers


def assert_same(actual, expected):
    """Kernels sum in another order and round elsewhere: some float32 roundings a step."""
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(
        optimizers.schedules.ExponentialDecay(0.02, 2, 0.8), amsgrad=True
    ),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0),
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, global_clipnorm=1.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_one_graph_with_the_update_in_it(graphs, name):
    whole = name == "adam"
    expected = run(optimizer=OPTIMIZERS[name], whole=whole)[1]
    model, actual = run(optimizer=OPTIMIZERS[name], whole=whole, jit_compile=True)
    assert_same(actual, expected)
    assert int(model.optimizer.iterations) == 9
    # To train, to test and to predict: none for the smaller last batches.
    assert len(graphs) == (3 if whole else 1)
    calls = [str(node.target) for node in graphs[0].graph.nodes]
    assert sum("grad" in call and "enabled" not in call for call in calls) == 1
    updated = [call for call in calls if "_foreach_" in call]
    assert updated, "the update is not in the graph"


def after_the_graph():
    """Optimizers whose update stays outside, with a word on what else they do there."""

    class Own(optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, gradient * learning_rate)

    return {
        "a rule of one's own": lambda: Own(0.05),
        "accumulation": lambda: optimizers.SGD(0.05, gradient_accumulation_steps=2),
        "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.05)),
    }


@pytest.mark.parametrize("name", after_the_graph())
def test_other_updates_come_after_the_graph(graphs, name):
    make = after_the_graph()[name]
    expected = run(optimizer=make)[1]
    assert_same(run(optimizer=make, jit_compile=True)[1], expected)
    assert len(graphs) == 1


def test_metrics_losses_and_weights(graphs):
    class Own(metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.numbers = [*getattr(self, "numbers", ()), float((y_true - y_pred).mean())]
            super().update_state(self.numbers[-1])

    options = {"loss": losses.Huber(), "metrics": ["mae", metrics.R2Score()]}
    options["weighted_metrics"] = ["mse"]
    weights = np.linspace(0, 1, len(X))
    expected = run(weights=weights, **options)[1]
    assert_same(run(weights=weights, jit_compile=True, **options)[1], expected)
    assert len(graphs) == 1
    expected = run(metrics=[Own()])[1]
    assert_same(run(metrics=[Own()], jit_compile=True)[1], expected)
    assert len(graphs) == 2


def test_arrays_in_layers_are_no_hindrance_in_inference_mode(graphs):
    tokens = RNG.integers(0, 6, (64, 3))
    lookup = layers.IntegerLookup(vocabulary=[1, 2, 3], output_mode="multi_hot")
    model = Sequential([layers.Input((3,), dtype="int64"), lookup, layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(tokens, Y[:64], validation_data=(tokens, Y[:64]), verbose=0)
    expected = model(tokens).detach()
    np.testing.assert_allclose(model.predict(tokens, verbose=0), expected, rtol=1e-6)
    assert model.jit_compile and len(graphs) == 3


class Counts(layers.Layer):
    """Adds a loss that differs in inference, and counts its calls."""

    def build(self, input_shape):
        self.seen = self.add_weight((), "zeros", trainable=False)

    def call(self, x, training=False):
        self.seen.assign_add(1.0 if training else 0.5)
        self.add_loss((0.1 if training else 0.2) * ops.mean(ops.square(x)))
        return x


class OwnLoss(Model):
    """Overrides the loss alone, without a `training` parameter."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def call(self, x):
        return self.inner(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.abs(y - y_pred) ** 1.5)


@pytest.mark.parametrize("make", [lambda: network(Counts()), OwnLoss], ids=["adds", "own loss"])
def test_models_with_more_to_their_loss(lowered, make):
    outcomes = []
    for jit_compile in (False, True):
        sgd = optimizers.SGD(0.05)
        model, numbers = run(make, sgd, epochs=2, whole=True, jit_compile=jit_compile)
        outcomes.append([*numbers, *model.evaluate(X, Y, verbose=0)])
        assert model.jit_compile == jit_compile
    assert_same(*reversed(outcomes))
    assert len(lowered) == 3  # none is traced twice, nor anew for another evaluation


class Total(metrics.Mean):
    """One of the user's own, which stays outside of graphs; the mask reaches it all the same."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        mask = getattr(y_pred, "_keras_mask", None)
        super().update_state(float("nan") if mask is None else mask.sum(), sample_weight)


@pytest.mark.parametrize(("kind", "own"), [(layers.GRU, False), (layers.LSTM, True)])
def test_masks_reach_losses_and_metrics(lowered, kind, own):
    tokens = RNG.integers(0, 5, (40, 6))

    def make():
        parts = [layers.Embedding(5, 4, mask_zero=True), kind(3, return_sequences=True)]
        return Sequential([layers.Input((6,), dtype="int32"), *parts, layers.Dense(5)])

    outcomes = []
    for jit_compile in (False, True):
        utils.set_random_seed(1)
        model = make()
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        add = [Total()] if own else []
        model.compile("adam", loss, metrics=["accuracy", *add], jit_compile=jit_compile)
        fit = {"epochs": 2, "batch_size": 20, "shuffle": False, "verbose": 0}
        history = model.fit(tokens, tokens, validation_data=(tokens, tokens), **fit).history
        outcomes.append([*history.values(), *model.get_weights()])
        assert model.jit_compile == jit_compile
    assert_same(*outcomes)
    assert len(lowered) == 2
    targets = [str(node.target) for node in lowered[0].graph.nodes]
    steps = {layers.GRU: "gru_steps", layers.LSTM: "lstm"}[kind]
    assert sum(target.startswith(f"torchkeras.{steps}") for target in targets) == 1


class OwnStep(Model):
    """Overrides the training step, in PyTorch's way."""

    def __init__(self):
        super().__init__()
        self.inner, self.tracker = network(), metrics.Mean(name="loss")

    def call(self, x):
        return self.inner(x)

    def train_step(self, data):
        x, y = data
        loss = ops.mean(ops.square(y - self(x, training=True)))
        self.zero_grad()
        loss.backward()
        weights = self.trainable_weights
        self.optimizer.apply([weight.grad for weight in weights], weights)
        self.tracker.update_state(loss.detach())
        return {"loss": self.tracker.result()}


def test_steps_of_ones_own_are_compiled_in_parts(lowered, monkeypatch):
    monkeypatch.setattr(optimizers.Optimizer, "apply", optimizers.Optimizer.apply)  # is replaced
    expected = run(OwnStep, metrics=None)[1]
    model, actual = run(OwnStep, metrics=None, jit_compile=True)
    assert_same(actual, expected)
    assert model.jit_compile and lowered


@torch._dynamo.config.patch(recompile_limit=1)
def test_models_do_not_disturb_each_other(graphs):
    """torch limits how often it compiles the same code, and all models share theirs."""
    models = [network() for _ in range(2)]
    for _ in range(2):
        for model in models:
            if not model.compiled:
                model.compile("sgd", "mse", jit_compile=True)
            model.fit(X[:64], Y[:64], epochs=2, verbose=0)
    assert len(graphs) == 2
    assert all(model.jit_compile for model in models)


def test_shapes_that_keep_changing_get_a_graph_for_all(graphs, monkeypatch):
    monkeypatch.setattr(jit, "PATIENCE", 4)
    model = network()
    model.compile("sgd", "mse", jit_compile=True)
    other = network()
    other.compile("sgd", "mse")
    other.set_weights(model.get_weights())
    for size in (8, 8, 8, 5, 6, 7, 9, 10, 11, 12, 13, 8):
        loss, expected = (m.train_on_batch(X[:size], Y[:size]) for m in (model, other))
        assert loss == pytest.approx(expected, rel=1e-4)
    assert len(graphs) == 2
    assert model.jit_compile


def test_a_graph_is_made_anew_where_its_tensors_are_no_longer_those(graphs):
    outcomes = []
    for jit_compile in (False, True):
        utils.set_random_seed(1)
        model = network()
        optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
        model.compile(optimizer, "mse", jit_compile=jit_compile)
        fit = {"epochs": 2, "shuffle": False, "verbose": 0}
        model.fit(X, Y, **fit)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.fit(X, Y, **fit)
        for weight in model.weights:
            weight.data = weight.data.clone()  # as `model.to(…)` does
        optimizer.learning_rate = 0.02
        model.fit(X, Y, **fit)
        outcomes.append(model.get_weights())
    assert_same(*outcomes)
    assert len(graphs) == 3
    assert model.jit_compile


def test_graphs_die_with_their_model(graphs):
    model = network()
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(X[:64], Y[:64], epochs=1, verbose=0)
    graph = weakref.ref(graphs.pop())
    del model
    for _ in range(2):  # the code, and then what was compiled of it
        gc.collect()
    assert graph() is None


def test_a_model_that_is_no_graph_runs_with_one_message(graphs):
    class Looks(layers.Layer):
        def call(self, x):
            return x * 2 if float(x.detach().sum()) > 0 else x

    expected = run(lambda: network(Looks()))[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        actual = run(lambda: network(Looks()), jit_compile=True)[1]
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    told = [w for w in caught if "could not be compiled and goes on without" in str(w.message)]
    assert len(told) == 1


# By the real compiler ----------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor needs a C++ compiler")
def test_with_the_real_compiler_and_its_cache():
    def make():
        return Sequential([layers.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(1)])

    counters = torch._dynamo.utils.counters["aot_autograd"]
    in_cache = ("autograd_cache_saved", "autograd_cache_hit")  # a hit is one of an earlier process
    before = sum(counters[name] for name in in_cache)
    expected = run(make)[1]
    assert_same(run(make, jit_compile=True)[1], expected)
    assert sum(counters[name] for name in in_cache) == before + 1


# "auto" ------------------------------------------------------------------------------------------


class Clock:
    """Tells the time by what has been called, in seconds per call."""

    def __init__(self, monkeypatch, compiled):
        self.now, self.compiled, self.compilations = 0.0, compiled, 0
        monkeypatch.setattr(jit, "_clock_after", lambda variables: self.now)
        monkeypatch.setattr(jit, "CompiledStep", self.compile)

    def step(self, data):
        self.now += 1.0

    def compile(self, step, report, captures):
        assert not captures
        clock = self
        self.compilations += 1

        class Compiled:
            failed = clock.compiled is None
            calls = 0

            def __call__(self, data):
                self.calls += 1
                clock.now += (30.0 if self.calls < 3 else 0.0) + (clock.compiled or 1.0)

        return Compiled()


@pytest.mark.parametrize(
    ("compiled", "steps", "taken"),
    [
        (0.5, 5000, True),
        (0.97, 5000, False),
        (2.0, 5000, False),
        (None, 5000, False),
        (0.5, 500, None),
    ],
    ids=["faster", "hardly faster", "slower", "failed", "short"],
)
def test_auto_goes_on_with_what_is_faster(monkeypatch, compiled, steps, taken):
    clock = Clock(monkeypatch, compiled)
    step = clock.step
    owner = type("Step", (), {"variables": (), "__call__": lambda self, data: step(data)})()
    decisions = []
    trial = jit.Trial(owner, steps, decisions.append)
    for _ in range(400):
        trial(None)
    assert len(decisions) == 1
    assert (decisions[0] is not owner) == bool(taken)
    assert clock.compilations == (taken is not None)
    assert trial.current is decisions[0]


def test_auto_tries_in_long_runs_only(monkeypatch):
    tried = []

    class Noted(jit.Trial):
        def __init__(self, step, steps, decided):
            tried.append(steps)
            super().__init__(step, steps, decided)

    monkeypatch.setattr("torchkeras.training.trainer.Trial", Noted)
    monkeypatch.setattr("torchkeras.training.trainer.LONG_RUN", 6)
    model = network()
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert tried == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, epochs=2, verbose=0)
    assert tried == []  # the functions of the first call are kept, and nothing is tried twice
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=40, verbose=0)
    assert tried == ([120] if jit.may_try(model._settled_train_step) else [])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, Y, epochs=3, verbose=0)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(X, Y, epochs=3, verbose=0)
    torch.use_deterministic_algorithms(True)
    try:
        model.compile("sgd", "mse")
        model.fit(X, Y, epochs=3, verbose=0)
    finally:
        torch.use_deterministic_algorithms(False)
    assert len(tried) <= 1


# CUDA graphs --------------------------------------------------------------------------------------


def test_small_models_on_cuda_are_captured(monkeypatch):
    with torch._subclasses.FakeTensorMode():
        weight = torch.empty(1000, device="cuda")
    assert jit.may_be_captured([weight])
    assert not jit.may_be_captured([]) and not jit.may_be_captured([torch.empty(3)])
    monkeypatch.setattr(jit, "CAPTURED_MOST", 999)
    assert not jit.may_be_captured([weight])


def test_a_captured_step_stays_where_it_is(lowered, monkeypatch):
    """Here on a CPU, up to the call of Inductor: it is told all that the step writes to."""
    kept, asked, real = [], [], torch.compile
    monkeypatch.setattr(jit, "may_be_captured", lambda tensors: kept.extend(tensors) or bool(kept))

    def without_options(function, options, **more):
        asked.append(options)
        return real(function, **more)

    monkeypatch.setattr(torch, "compile", without_options)
    model, numbers = run(jit_compile=True)
    assert asked == [{"triton.cudagraphs": True}]
    assert_same(numbers, run()[1])
    slots = model.optimizer.variables[2:]  # behind the step count and the learning rate
    state = [*model.variables, *model.metrics_variables, *slots]
    before = [tensor.clone() for tensor in state]
    model.fit(X[:32], Y[:32], verbose=0)
    assert len(asked) == 1
    places = {tensor.data_ptr() for tensor in kept}
    changed = [now for now, then in zip(state, before, strict=True) if not torch.equal(now, then)]
    assert len(changed) > 12 and {tensor.data_ptr() for tensor in changed} <= places
    assert all(hasattr(tensor, "_dynamo_static_input_type") for tensor in kept)


def test_steps_whose_results_are_used_are_not_captured(lowered, monkeypatch):
    kept = []
    monkeypatch.setattr(jit, "may_be_captured", kept.append)

    class Own(metrics.Metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            self.seen = y_pred

        def result(self):
            return self.seen.sum()

    run(jit_compile=True, metrics=[Own()])
    run(lambda: network(layers.ActivityRegularization(l2=0.1)), jit_compile=True)
    run(optimizer=lambda: optimizers.Adam(use_ema=True), jit_compile=True)
    assert kept and not any(map(list, kept))
