"""Functional models: structures of inputs and outputs, sharing, torch in the graph, copies."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch

from torchkeras import layers as L
from torchkeras import tree
from torchkeras.layers import legacy
from torchkeras.models import Functional, Model, Sequential, clone_model, model_from_json
from torchkeras.saving import load_model

RNG = np.random.default_rng(0)
A = RNG.normal(size=(5, 4)).astype("float32")
B = RNG.normal(size=(5, 3)).astype("float32")


@pytest.fixture(autouse=True)
def _fresh_compiler():
    """Torch limits how often a function is compiled, and models share theirs."""
    yield
    torch.compiler.reset()


def two_by_two(kind):
    """A model of two inputs and two outputs, in lists, tuples or dicts."""
    a, b = L.Input((4,), name="a"), L.Input((3,), name="b")
    x, y = L.Dense(3, name="x")(a), L.Dense(2, name="y")(L.Concatenate()([a, b]))
    if kind == "dict":
        return Model({"b": b, "a": a}, {"y": y, "x": x})
    return Model(kind([a, b]), kind([x, y]))


def expected(model):
    """The outputs of `two_by_two`, computed by hand."""
    x, y = model.get_layer("x"), model.get_layer("y")
    ab = np.concatenate([A, B], axis=1)
    return [
        A @ x.kernel.numpy() + x.bias.numpy(),
        ab @ y.kernel.numpy() + y.bias.numpy(),
    ]


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_and_tuples(kind):
    model = two_by_two(kind)
    outputs = model(kind([A, B]))
    assert type(outputs) is kind
    for actual, wanted in zip(outputs, expected(model), strict=True):
        np.testing.assert_allclose(actual.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    by_name = model({"b": B, "a": A})
    torch.testing.assert_close(by_name[1], outputs[1])


def test_dicts_come_out_in_the_order_of_their_keys():
    model = two_by_two("dict")
    outputs = model({"a": A, "b": B})
    assert list(outputs) == ["x", "y"]
    assert list(model.predict({"a": A, "b": B}, verbose=0)) == ["x", "y"]
    for actual, wanted in zip(outputs.values(), expected(model), strict=True):
        np.testing.assert_allclose(actual.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_extra_keys_are_ignored_with_a_warning():
    model = two_by_two("dict")
    with pytest.warns(UserWarning, match="structure of `inputs`"):
        outputs = model({"a": A, "b": B, "c": B})
    assert sorted(outputs) == ["x", "y"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([A], "doesn't match the expected structure"),
        ([A, B, B], "doesn't match the expected structure"),
        ([A, B[:, :2]], "'b' and path '1' has the wrong shape"),
        ([A, B[0, 0]], "'b' and path '1' has the wrong shape"),
        ({"a": A, "bb": B}, "missing data for input 'b'"),
    ],
    ids=["too_few", "too_many", "size", "rank", "key"],
)
def test_wrong_inputs(data, message):
    with pytest.raises(ValueError, match=message):
        two_by_two(list)(data)


def test_rank_one_data_gets_the_axis_it_lacks():
    x = L.Input((1,))
    model = Model(x, L.Dense(2, kernel_initializer="ones")(x))
    assert model(np.ones(5, "float32")).tolist() == [[1.0, 1.0]] * 5


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (lambda a: [], lambda a: [], "`inputs` argument cannot be empty"),
        (lambda a: a, lambda a: [], "`outputs` argument cannot be empty"),
        (lambda a: a, lambda a: 3, "All `outputs` values must be KerasTensors"),
        (lambda a: a, lambda a: L.add([a, L.Input((4,))]), "not connected"),
        (
            lambda a: a,
            lambda a: L.Dense(1, name="same")(L.Dense(1, name="same")(a)),
            '"same" is used 2 times',
        ),
    ],
)
def test_no_graph(inputs, outputs, message):
    a = L.Input((4,))
    with pytest.raises(ValueError, match=message):
        Model(inputs(a), outputs(a))


def test_shared_layers_have_one_set_of_weights():
    shared = L.Dense(3, use_bias=False)
    a, b = L.Input((4,)), L.Input((4,))
    first = shared(a)
    model = Model([a, b], L.Subtract()([first, shared(b)]))
    assert len(model.weights) == 1
    np.testing.assert_allclose(model([A, A]).detach().numpy(), 0.0)
    assert shared.output is first


def test_models_in_models_share_weights_and_show_in_state_dict():
    inner = Sequential([L.Input((4,)), L.Dense(4, name="d")], name="inner")
    x = L.Input((4,))
    outer = Model(x, inner(inner(x)))
    np.testing.assert_allclose(outer(A).detach(), inner(inner(A)).detach(), rtol=1e-6)
    assert list(outer.state_dict()) == ["inner.d.kernel", "inner.d.bias"]
    assert outer.layers[1] is inner


def test_a_model_cut_out_of_the_middle():
    x = L.Input((4,))
    hidden = L.Dense(6, activation="relu", name="hidden")(x)
    full = Model(x, L.Dense(2, name="tail")(hidden))
    lower = Model(full.input, full.get_layer("hidden").output)
    upper = Model(full.get_layer("hidden").output, full.output)
    torch.testing.assert_close(upper(lower(A)), full(A))
    assert upper.weights[0] is full.get_layer("tail").kernel


def test_torch_functions_and_modules_in_the_graph():
    x = L.Input((4,))
    h = torch.nn.functional.silu(L.Dense(4)(x)) * 2 + torch.ones(4)
    h = L.TorchModuleWrapper(torch.nn.LayerNorm(4))(h)
    model = Model(x, torch.cat([h, x], dim=-1))
    dense, norm = model.layers[1].kernel, model.layers[2].module
    by_hand = torch.nn.functional.silu(torch.tensor(A) @ dense) * 2 + 1
    torch.testing.assert_close(model(A), torch.cat([norm(by_hand), torch.tensor(A)], dim=-1))
    assert "silu" in model.graph.code


def test_optional_inputs():
    class Maybe(L.Layer):
        def call(self, x, y=None):
            return x if y is None else x + y

        def compute_output_shape(self, x_shape, y_shape=None):
            return x_shape

    a, b = L.Input((4,), name="a"), L.Input((4,), name="b", optional=True)
    model = Model([a, b], Maybe()(a, b))
    np.testing.assert_allclose(model([A, None]).numpy(), A)
    np.testing.assert_allclose(model([A, A]).numpy(), 2 * A)
    with pytest.raises(ValueError, match="'a' is not optional"):
        model([None, A])


def test_variables_have_their_methods_in_a_graph_and_are_not_changed_by_inference():
    class Counter(L.Layer):
        def build(self, input_shape):
            self.count = self.add_weight((), "zeros", trainable=False, name="count")
            self.scale = self.add_weight((4,), "ones", name="scale")

        def call(self, x):
            self.count.assign_add(1.0)
            return x * self.scale.value

    x = L.Input((4,))
    layer = Counter()
    model = Model(x, layer(x))
    assert float(layer.count) == 0.0
    model(A)
    model(A)
    assert float(layer.count) == 2.0


def test_variables_have_their_methods_under_mixed_precision():
    class Counter(L.Layer):
        def build(self, input_shape):
            self.count = self.add_weight((), "zeros", trainable=False, name="count")
            self.scale = self.add_weight((4,), "ones", name="scale")

        def call(self, x):
            self.count.assign_add(1.0)
            assert self.scale.dtype is x.dtype is torch.bfloat16
            assert self.scale.path.endswith("scale")
            return x * self.scale.value

    x = L.Input((4,))
    layer = Counter(dtype="mixed_bfloat16")
    model = Model(x, layer(x))
    model(A).float().sum().backward()
    assert float(layer.count) == 1.0
    np.testing.assert_allclose(layer.scale.grad.numpy(), A.sum(axis=0), rtol=2e-2, atol=2e-2)


def test_subclasses_of_model_become_functional():
    class Mine(Model):
        def double(self, x):
            return 2 * self(x)

    x = L.Input((4,))
    model = Mine(x, L.Dense(2)(x))
    assert isinstance(model, (Mine, Functional))
    torch.testing.assert_close(model.double(A), 2 * model(A))
    again = Mine.from_config(model.get_config())
    assert type(again) is Mine
    assert type(clone_model(model)) is Mine


def test_a_graph_inside_the_constructor_of_a_subclass():
    class Mine(Model):
        def __init__(self, units, **kwargs):
            x = L.Input((4,))
            super().__init__(x, L.Dense(units)(x), **kwargs)
            self.units = units

        def get_config(self):
            return {"units": self.units, "name": self.name}

    model = Mine(3, name="mine")
    again = Mine.from_config(model.get_config())
    assert again.output_shape == (None, 3) and again.name == "mine"


def test_attributes_outside_the_graph_are_tracked():
    x = L.Input((4,))
    model = Model(x, L.Dense(2)(x))
    model.extra = L.Dense(5)
    model.extra.build((None, 2))
    assert len(model.weights) == 4
    assert len(model.layers) == 2


def masked(return_sequences=True):
    tokens = L.Input((6,), dtype="int32")
    h = L.Embedding(9, 4, mask_zero=True)(tokens)
    return Model(tokens, L.LSTM(3, return_sequences=return_sequences)(h))


def test_masks_travel_to_the_output():
    tokens = torch.tensor([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 1]])
    model = masked()
    output = model(tokens)
    assert output._keras_mask.tolist() == (tokens != 0).tolist()
    # After the last token, a masked LSTM repeats its state.
    torch.testing.assert_close(output[0, 3], output[0, 2])


def test_masks_given_with_the_data():
    x = L.Input((3, 2))
    model = Model(x, L.LSTM(2)(x))
    data = torch.tensor(RNG.normal(size=(1, 3, 2)).astype("float32"))
    short = model.layers[1](data[:, :2])
    torch.testing.assert_close(model(data, mask=torch.tensor([[True, True, False]])), short)


# Copies --------------------------------------------------------------------------------------


def functional():
    x = L.Input((4,))
    h = torch.tanh(L.Dense(4)(x)) + x
    return Model(x, L.Dense(2)(L.BatchNormalization()(L.Dropout(0.5)(h))))


def nested():
    x = L.Input((4,))
    return Model(x, [L.Dense(1)(functional()(x)), x * 2])


COPIED = [
    (functional, A),
    (nested, A),
    (lambda: two_by_two(list), [A, B]),
    (lambda: two_by_two("dict"), {"a": A, "b": B}),
    (masked, RNG.integers(0, 9, (5, 6))),
]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize(("make", "data"), COPIED)
def test_copies_are_independent_and_equal(make, data, copied):
    model = make()
    model.compile("adam", "mse")
    before = model.predict(data, verbose=0)  # so that there are functions to leave behind
    twin = copied(model)
    assert type(twin) is type(model) and twin.name == model.name
    assert [w.path for w in twin.weights] == [w.path for w in model.weights]
    assert not {id(w) for w in twin.weights} & {id(w) for w in model.weights}
    tree.map_structure(np.testing.assert_array_equal, twin.predict(data, verbose=0), before)
    assert twin.to_json() == model.to_json()
    targets = tree.map_structure(lambda y: y + 1, before)
    twin.fit(data, targets, verbose=0)
    assert int(twin.optimizer.iterations) == 1
    tree.map_structure(np.testing.assert_array_equal, model.predict(data, verbose=0), before)
    assert any((a != b).any() for a, b in zip(twin.get_weights(), model.get_weights(), strict=True))


def test_a_way_to_pickle_that_a_library_gives_to_all_models(monkeypatch):
    """As scikeras does, which keeps models as files."""
    monkeypatch.setattr(Model, "__reduce__", lambda model: (str.upper, (model.name,)), False)
    model = functional()
    assert pickle.loads(pickle.dumps(model)) == model.name.upper()


def test_equal_models_have_equal_attributes():
    """Whatever number the names of their layers have; keras-hub compares the lists of `dir`."""
    model = functional()
    assert dir(model) == dir(type(model).from_config(model.get_config())) == dir(functional())
    assert "layers" in dir(model) and "dense" not in dir(model)


def test_a_pickle_of_a_trained_model_goes_on_where_it_was():
    y = A[:, :2]
    model = functional()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(A, y, epochs=2, verbose=0)
    twin = pickle.loads(pickle.dumps(model))
    assert twin.evaluate(A, y, verbose=0) == model.evaluate(A, y, verbose=0)
    results = []
    for one in (model, twin):
        torch.manual_seed(0)  # dropout without a seed draws from torch's own generator
        results.append(one.fit(A, y, epochs=2, verbose=0).history)
    assert results[0] == results[1]


def test_a_model_trained_on_a_batch_can_be_pickled():
    """What would let a compiled step take over is a function made within `train_on_batch`."""
    model = functional()
    model.compile("adam", "mse")
    model.train_on_batch(A, A[:, :2])
    twin = pickle.loads(pickle.dumps(model))
    assert twin.evaluate(A, A[:, :2], verbose=0) == model.evaluate(A, A[:, :2], verbose=0)


@pytest.mark.parametrize(("make", "data"), COPIED)
def test_json_round_trip(make, data):
    model = make()
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    tree.map_structure(
        np.testing.assert_array_equal,
        again.predict(data, verbose=0),
        model.predict(data, verbose=0),
    )


# As a torch module ---------------------------------------------------------------------------


def as_tensors(data):
    return tree.map_structure(torch.as_tensor, data)


@pytest.mark.parametrize(("make", "data"), COPIED)
def test_torch_compile_without_graph_breaks(make, data):
    model = make()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(as_tensors(data)), model(as_tensors(data)))


@pytest.mark.parametrize(("make", "data"), COPIED)
def test_torch_export(make, data):
    model = make()
    program = torch.export.export(model, (as_tensors(data),))
    torch.testing.assert_close(program.module()(as_tensors(data)), model(as_tensors(data)))


def test_calls_on_several_threads():
    model = functional()
    wanted = model(A)
    failures = []

    def work():
        try:
            for _ in range(30):
                torch.testing.assert_close(model(A), wanted)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_hooks_of_torch_fire():
    model = functional()
    seen = []
    model.layers[1].register_forward_hook(lambda module, args, output: seen.append(output.shape))
    model(A)
    assert seen == [(5, 4)]


def test_a_state_dict_fits_a_second_model_of_the_process():
    def build():
        x = L.Input((4,))
        inner = Sequential([L.Input((3,)), L.Dense(3), L.Dense(2)])
        return Model(x, inner(L.Dense(3)(x)))

    first, second = build(), build()
    assert list(first.state_dict()) != list(second.state_dict())
    second.load_state_dict(first.state_dict())
    batch = torch.rand(2, 4)
    torch.testing.assert_close(second(batch), first(batch))
    other = Model(first.inputs, L.Dense(2, name="head")(first.outputs[0]))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict(first.state_dict())


def test_a_structure_that_does_not_match_is_said_once():
    model = two_by_two("dict")
    data = {"a": A, "b": B, "c": B}
    with pytest.warns(UserWarning, match="structure of `inputs`"):
        model(data)
    model(data)  # warnings are errors here


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("dict", A, r"expects 2 named input\(s\) with keys \['b', 'a'\], but received 1"),
        (list, A, r"expects 2 input\(s\), but received 1"),
        (list, [A[0], B], r"name 'a' and path '0'.*expected shape=\(None, .*found shape="),
    ],
)
def test_messages_say_what_is_expected(kind, data, message):
    with pytest.raises(ValueError, match=message):
        two_by_two(kind)(data)


def test_an_input_spec_of_ones_own():
    x = L.Input((None, 3))
    model = Model(x, L.Dense(2)(x))
    model.input_spec = L.InputSpec(shape=(None, 4, 3))
    assert model(np.zeros((2, 4, 3))).shape == (2, 4, 2)
    for use in (model, lambda data: model(torch.tensor(data)), lambda d: model.predict(d)):
        with pytest.raises(ValueError, match=r"expected shape=\(None, 4, 3\), found shape=\(2, 3"):
            use(np.zeros((2, 3, 3), "float32"))


def test_an_output_that_is_not_connected_is_named():
    a, b = L.Input((2,), name="a"), L.Input((2,), name="b")
    with pytest.raises(ValueError, match="(?s)Output with path `y.1` is not connected.*'b'"):
        Model(a, {"x": a * 2, "y": [a * 3, b * 3]})


def test_a_config_that_names_no_such_layer():
    x = L.Input((2,), name="x")
    config = Model(x, L.Dense(1, name="d")(x)).get_config()
    config["layers"] = config["layers"][1:]
    with pytest.raises(ValueError, match="Missing node: x"):
        Model.from_config(config)


def test_layers_may_have_the_names_of_attributes():
    x = L.Input((4,))
    model = Model(x, L.Dense(4)(x))
    data = np.ones((2, 4), "float32")
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(data, data, verbose=0)
    names = sorted({*vars(model), "call", "µ", "ﬁ", "class", 'weird "name"\n'} - {"name"})
    y = x
    for name in names:
        y = L.Dense(4, name=name)(y)
    model = Model(x, y)
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(data, data, verbose=0)
    expected = data
    for layer in model.layers[1:]:
        expected = layer(expected)
    np.testing.assert_allclose(model.predict(data, verbose=0), expected.detach(), rtol=1e-6)
    assert [layer.name for layer in model.layers[1:]] == names
    assert "outputs_.kernel" in model.state_dict()


def test_frozen_layers_of_inner_models_stay_frozen_in_copies(tmp_path):
    inner = Sequential([L.Input((3,)), L.Dense(2), L.BatchNormalization(), L.Dense(2)])
    for layer in inner.layers[:2]:
        layer.trainable = False
    x = L.Input((3,))
    model = Model(x, L.Dense(1)(inner(x)))
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    copies = [load_model(tmp_path / "m.keras"), load_model(tmp_path / "m.h5")]
    copies += [clone_model(model), model_from_json(model.to_json()), copy.deepcopy(model)]
    for each in copies:
        assert [layer.trainable for layer in each.layers[1].layers] == [False, False, True]
        assert len(each.trainable_weights) == 4
    np.testing.assert_array_equal(copies[1](A[:, :3]).detach(), model(A[:, :3]).detach())


def test_a_model_that_is_not_trained_leaves_its_layers_as_they_are():
    x, dense = L.Input((3,)), L.Dense(2)
    model = Model(x, dense(x), trainable=False)
    assert not model.trainable and not model.trainable_weights and dense.trainable
    model.trainable = True
    assert len(model.trainable_weights) == 2


def test_training_said_in_a_call_holds_in_fit_and_in_copies(tmp_path):
    class Block(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = L.BatchNormalization(momentum=0.5)

        def call(self, x, training=False):
            return self.norm(x, training=training)

    x = L.Input((4,))
    base = Sequential([L.Dense(4), L.BatchNormalization(momentum=0.5)])
    silent, said = Block(name="silent"), Block(name="said")
    y = said(base(silent(x), training=False), training=False)
    model = Model(x, L.Dense(1)(y))
    model.save(tmp_path / "m.keras")
    known = {"Block": Block}
    copies = [model, load_model(tmp_path / "m.keras", known), clone_model(model)]
    copies += [model_from_json(model.to_json(), known), copy.deepcopy(model)]
    for each in copies:
        each.compile("sgd", "mse")
        each.fit(A, A[:, :1], verbose=0)
        norms = [each.get_layer("silent").norm, each.layers[2].layers[1]]
        norms.append(each.get_layer("said").norm)
        moved = [bool(norm.moving_mean.any()) for norm in norms]
        assert moved == [True, False, False]


def test_compute_also():
    """Calls on which no output depends are made, and kept by configs, files and copies."""
    inputs = L.Input((3,))
    hidden = L.Dense(2, name="hidden")(inputs)
    model = Model(inputs, L.Dense(1, name="out")(hidden))
    order = [weight.path for weight in model.weights]
    square = torch.mean(L.Dense(2, name="more")(torch.square(hidden)))
    model.compute_also([legacy.AddLoss()(square), legacy.AddMetric(metric_name="square")(square)])
    assert [weight.path for weight in model.weights][: len(order)] == order
    x = np.ones((4, 3), "float32")
    model(x)
    loss = model.losses[0].item()
    assert loss != 0.0 and [metric.name for metric in model.metrics] == ["square"]
    for copy_of in (
        Model.from_config(model.get_config()),
        clone_model(model),
        copy.deepcopy(model),
    ):
        copy_of.set_weights(model.get_weights())
        copy_of(x)
        assert copy_of.losses[0].item() == pytest.approx(loss)
        assert copy_of.metrics[0].result().item() == pytest.approx(loss)
    other = L.Input((3,))
    with pytest.raises(ValueError, match="not connected"):
        model.compute_also([legacy.AddLoss()(torch.mean(other))])
    model(x)
