"""Subclassed models: tracking, building, configs, freezing, copies, and use as torch modules."""

import copy
import json
import pickle
import types
from unittest import mock

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import layers as L
from torchkeras import metrics
from torchkeras.models import Model, Sequential, load_model, model_from_json
from torchkeras.registry import CustomObjectScope

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


@pytest.fixture(autouse=True)
def _fresh_compiler():
    """Torch limits how often a function is compiled, and models share theirs."""
    yield
    torch.compiler.reset()


class Net(Model):
    """Layers in lists, dicts and tuples, a weight of its own, a metric, dropout."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = [L.Dense(units, activation="relu"), L.Dense(units)]
        self.heads = {"out": L.Dense(1), "spare": [L.Dense(2)]}
        self.pair = (L.Dense(1), "text")
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")
        self.drop = L.Dropout(0.5)
        self.seen = metrics.Mean(name="seen")

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x)
        x = self.drop(x, training=training)
        return self.gain * (self.heads["out"](x) + self.pair[0](x))


@pytest.fixture
def net():
    model = Net(name="net")
    model(X)
    return model


def test_everything_is_tracked(net):
    assert [w.path.split("/", 1)[1] for w in net.weights[:3]] == [
        "gain",
        f"{net.blocks[0].name}/kernel",
        f"{net.blocks[0].name}/bias",
    ]
    assert len(net.weights) == 1 + 2 * 4  # the spare layer is not built
    assert [layer.name for layer in net.layers] == [
        layer.name
        for layer in (*net.blocks, net.heads["out"], net.heads["spare"][0], net.pair[0], net.drop)
    ]
    keys = set(net.state_dict())
    assert {"gain", "blocks.0.kernel", "blocks.1.bias", "heads.out.kernel"} <= keys
    assert net.metrics == [net.seen]
    assert net.pair[1] == "text" and net.heads["out"] is net.get_layer(net.heads["out"].name)


def test_containers_stay_python_containers(net):
    new = Net()
    assert isinstance(new.blocks, list) and isinstance(new.heads, dict)
    new.blocks.append(L.Dense(5))
    assert len(new.layers) == 7
    del new.blocks[2]
    assert len(new.layers) == 6
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        net.blocks.append(L.Dense(5))
    assert len(net.blocks) == 2


def test_layers_assigned_again_replace_the_old_ones_until_the_model_is_built(net):
    new = Net()
    new.blocks = [L.Dense(4)]
    assert sum(isinstance(layer, L.Dense) for layer in new.layers) == 4
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        net.blocks = [L.Dense(4)]


def test_get_layer(net):
    assert net.get_layer(index=0) is net.blocks[0]
    assert net.get_layer(index=-1) is net.drop
    name = net.blocks[0].name
    with pytest.raises(ValueError, match="Did you mean") as error:
        net.get_layer(name + "x")
    assert name in str(error.value)
    with pytest.raises(ValueError, match="only has 6 layers"):
        net.get_layer(index=6)
    for wrong in ({}, {"name": name, "index": 0}):
        with pytest.raises(ValueError, match="either a layer name or a layer index"):
            net.get_layer(**wrong)


def test_build_by_shape():
    model = Net()
    assert not model.built and len(model.weights) == 1
    with pytest.raises(ValueError, match="isn't built"):
        Net(2).count_params()
    model.build((None, 4))
    assert model.built
    assert model.count_params() == 1 + (4 * 3 + 3) + (3 * 3 + 3) + 2 * (3 + 1)


def test_a_model_that_cannot_be_inferred_is_built_by_data():
    class Looks(Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x):
            if float(x.sum()) == 123.0:
                raise RuntimeError("no zeros, please")
            return self.dense(x)

    model = Looks()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    assert model.built and model.predict(X, verbose=0).shape == (6, 2)


def test_several_arguments_of_call():
    class Two(Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, a, b=None, scale=1.0):
            x = self.dense(a) * scale
            return x if b is None else x + self.dense(b)

    model = Two()
    both = model(X, b=X)
    torch.testing.assert_close(both, 2 * model(X))
    torch.testing.assert_close(both, model(X, scale=2.0))


def test_training_is_passed_down():
    seen = []

    class Spy(L.Layer):
        def call(self, x, training=None):
            seen.append(training)
            return x

    class Outer(Model):
        def __init__(self):
            super().__init__()
            self.stack = Sequential([Spy(), L.Dropout(0.1)])

        def call(self, x):
            return self.stack(x)

    model = Outer()
    model(X)
    seen.clear()
    model(X)
    model(X, training=True)
    model.train()
    model(X)
    model(X, training=False)
    assert [bool(value) for value in seen] == [False, True, True, False]


def test_config_and_json():
    model = Net(5, name="mine")
    assert model.get_config()["units"] == 5
    again = Net.from_config(model.get_config())
    assert again.units == 5 and again.name == "mine"
    model(X)
    with CustomObjectScope({"Net": Net}):
        again = model_from_json(model.to_json())
    assert again.built
    again.set_weights(model.get_weights())
    torch.testing.assert_close(again(X), model(X))
    with pytest.raises(TypeError, match="Net"):
        model_from_json(model.to_json())


def test_config_of_a_class_that_takes_no_arguments():
    class Bare(Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    assert isinstance(Bare.from_config(Bare().get_config()), Bare)


def test_a_config_that_does_not_fit_says_so():
    with pytest.raises(ValueError, match="Did you mean 'units'"):
        Net.from_config({"unit": 3})

    class Strict(Model):
        def __init__(self, units):
            super().__init__()

    with pytest.raises(TypeError, match="Unable to revive model of class Strict"):
        Strict.from_config({"unit": 3})


# Freezing ------------------------------------------------------------------------------------


def test_freezing_a_layer(net):
    net.blocks[0].trainable = False
    assert len(net.trainable_weights) == 7 and len(net.non_trainable_weights) == 2
    assert not net.blocks[0].kernel.requires_grad
    net(X).sum().backward()
    assert net.blocks[0].kernel.grad is None and net.blocks[1].kernel.grad is not None


def test_freezing_the_model_reaches_all_layers(net):
    net.trainable = False
    assert net.trainable_weights == [] and len(net.non_trainable_weights) == 9
    assert not any(layer.trainable for layer in net.layers)
    assert not any(p.requires_grad for p in net.parameters())
    net.trainable = True
    assert len(net.trainable_weights) == 9


@pytest.mark.parametrize("recompile", [True, False])
def test_frozen_weights_do_not_change_in_fit(net, recompile):
    net.compile("adam", "mse")
    net.fit(X, X[:, :1], verbose=0)
    net.blocks[0].trainable = False
    frozen, free = net.blocks[0].kernel.numpy(), net.blocks[1].kernel.numpy()
    if recompile:
        net.compile("adam", "mse")
        net.fit(X, X[:, :1], verbose=0)
    else:
        with pytest.warns(UserWarning, match="`trainable` state of layers has changed"):
            net.fit(X, X[:, :1], verbose=0)
    np.testing.assert_array_equal(net.blocks[0].kernel.numpy(), frozen)
    assert (net.blocks[1].kernel.numpy() != free).any()


def test_thawing_without_compiling_again_is_an_error(net):
    net.blocks[0].trainable = False
    net.compile("adam", "mse")
    net.fit(X, X[:, :1], verbose=0)
    net.blocks[0].trainable = True
    with pytest.warns(UserWarning, match="trainable"), pytest.raises(ValueError, match="Unknown"):
        net.fit(X, X[:, :1], verbose=0)


# Losses --------------------------------------------------------------------------------------


def test_losses_of_a_call_and_of_weights():
    class Penalized(Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")

        def call(self, x):
            y = self.dense(x)
            self.add_loss(y.sum())
            return y

    model = Penalized()
    for _ in range(2):  # the second call replaces the losses of the first
        y = model(X)
        assert len(model.losses) == 3
    by_hand = y.sum() + 0.01 * y.abs().sum() / 6 + 0.01 * (model.dense.kernel**2).sum()
    torch.testing.assert_close(sum(model.losses), by_hand)


class Adds(Model):
    """Adds a loss of its own, and has a layer that does."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2, activity_regularizer="l2")

    def call(self, x):
        self.add_loss(0.1 * x.sum())
        return self.dense(x)


def test_losses_of_compiled_models():
    model = Adds()
    model(X)
    expected = [loss.item() for loss in model.losses]
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for _ in range(2):
        compiled(torch.tensor(X))
        assert [loss.item() for loss in model.losses] == pytest.approx(expected)


def test_losses_of_one_model_do_not_slow_down_another():
    model = Adds()
    model(X)
    other = Sequential([L.Input((4,)), L.Dense(2)])
    torch.compile(other, fullgraph=True, backend="eager")(torch.tensor(X))
    assert len(model.losses) == 2  # those of its last call, still

    other.compile("sgd", "mse")
    looks = []
    looked, asked = other._flatten_layers, other.compute_loss
    other.__dict__["_flatten_layers"] = lambda *args, **kw: looks.append(1) or looked(*args, **kw)
    for _ in range(2):
        del looks[:]
        step = other.make_train_function()
        with mock.patch.object(Sequential, "compute_loss", side_effect=asked) as full:
            for _ in range(3):
                model(X)
                step([(torch.tensor(X), torch.zeros(len(X), 2))])
        # At most once: when some layer has got its first loss, or a place in a model.
        assert len(looks) <= 1 and not full.called
        Sequential([L.Input((4,)), L.Dense(2)])


def test_losses_that_come_later_count():
    class Late(L.Layer):
        late = False

        def call(self, x):
            if self.late:
                self.add_loss(x.sum() * 0 + 2.0)
            return x

    late = Late()
    model = Sequential([L.Input((4,)), late, L.Dense(2, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    data = (X, np.zeros((len(X), 2)))
    assert model.evaluate(*data, verbose=0) == 0
    late.late = True
    assert model.evaluate(*data, verbose=0) == 2
    assert model.evaluate(*data, verbose=0) == 2  # and do not pile up
    late.late = False
    assert model.evaluate(*data, verbose=0) == 0
    # One that has added losses elsewhere, and then gets into a model that is in use.
    late.late = True
    other = Sequential([L.Input((4,)), L.Dense(2, kernel_initializer="zeros")])
    other.compile("sgd", "mse")
    assert other.evaluate(*data, verbose=0) == 0
    other.add(late)
    other.compile("sgd", "mse")
    assert other.evaluate(*data, verbose=0) == 2
    for twin in (copy.deepcopy(other), other):
        twin(X), twin(X)
        assert [loss.item() for loss in twin.losses] == [2.0]


# Copies and torch ----------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(net, copied, monkeypatch):
    # Pickle finds classes by their module, which the importer of the tests does not list.
    module = types.ModuleType(Net.__module__)
    module.Net = Net
    monkeypatch.setitem(__import__("sys").modules, Net.__module__, module)
    net.compile("adam", "mse", metrics=["mae"])
    net.fit(X, X[:, :1], verbose=0)
    twin = copied(net)
    assert type(twin) is Net and twin.units == 3
    torch.testing.assert_close(twin(X), net(X))
    assert list(twin.state_dict()) == list(net.state_dict())
    before = net.get_weights()
    twin.fit(X, X[:, :1], verbose=0)
    assert int(twin.optimizer.iterations) == 2 and int(net.optimizer.iterations) == 1
    for a, b in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loop_of_torch(net):
    x, y = torch.tensor(X), torch.tensor(X[:, :1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    net.train()
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    net.eval()
    torch.testing.assert_close(net(x), net(x))


def test_torch_compile_and_export(net):
    x = torch.tensor(X)
    torch.testing.assert_close(torch.compile(net, fullgraph=True, backend="eager")(x), net(x))
    torch.testing.assert_close(torch.export.export(net, (x,)).module()(x), net(x))


def test_state_dict_and_functional_call(net):
    twin = Net()
    twin(X)
    twin.load_state_dict(net.state_dict())
    torch.testing.assert_close(twin(X), net(X))
    doubled = {name: 2 * p for name, p in net.named_parameters() if name == "gain"}
    torch.testing.assert_close(
        torch.func.functional_call(net, doubled, (torch.tensor(X),)), 2 * net(X)
    )


def test_properties_that_have_no_value_yet_say_why():
    with pytest.raises(AttributeError, match="no defined input shape yet"):
        _ = Sequential([L.Dense(2)]).input_shape
    assert not hasattr(Sequential([L.Dense(2)]), "input_shape")
    with pytest.raises(AttributeError, match="never been called"):
        _ = L.Dense(2).output


def test_forgetting_super_init():
    class Forgot(Model):
        def __init__(self):
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(RuntimeError, match="forgot to call `super"):
        Forgot()(torch.ones(1, 2))


def test_a_built_model_takes_the_fast_path_and_forgets_old_losses(monkeypatch):
    class Noted(L.Layer):
        def call(self, x):
            self.add_loss(x.sum())
            return x

    class Fast(Model):
        def __init__(self):
            super().__init__()
            self.dense, self.noted = L.Dense(2), Noted()

        def call(self, x):
            return self.noted(self.dense(x))

    model, x = Fast(), torch.ones(1, 3)
    expected = model(x)
    monkeypatch.setattr(Fast, "_full_call", None)
    for _ in range(2):
        torch.testing.assert_close(model(x), expected)
        assert len(model.losses) == 1


@pytest.mark.parametrize("make", [Model, lambda: Sequential([L.Dense(1)])], ids=["plain", "stack"])
def test_layers_cannot_be_set(make):
    with pytest.raises(AttributeError, match="layers` attribute is reserved.*Use "):
        make().layers = [L.Dense(2)]


def test_a_model_that_predict_built_can_be_trained_and_loaded(tmp_path):
    model = Net()
    model.predict(X, verbose=0)
    assert not any(weight.is_inference() for weight in model.weights)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    model.load_weights(tmp_path / "m.weights.h5")


def test_a_list_that_holds_itself(tmp_path):
    class Cyclic(Model):
        def __init__(self):
            super().__init__()
            self.blocks = [L.Dense(2)]
            self.blocks.append(self.blocks)

        def call(self, x):
            return self.blocks[0](x)

    model = Cyclic()
    expected = model(X)
    assert len(model.variables) == 2
    with CustomObjectScope({"Cyclic": Cyclic}):
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
    torch.testing.assert_close(again(X), expected)


# Steps and `build`s of users -----------------------------------------------------------------


class Own(Model):
    """Trains by its own step; its `call` takes more than a batch's inputs."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(1)

    def call(self, x, factor):
        return self.dense(x) * factor

    def train_step(self, data):
        x, y = data
        self.zero_grad()
        loss = ((self(x, factor=2.0) - y) ** 2).mean()
        loss.backward()
        weights = self.trainable_weights
        with torch.no_grad():
            self.optimizer.apply([w.value.grad for w in weights], weights)
        return {"error": loss}


def test_a_model_that_only_its_own_step_can_call_trains():
    model = Own()
    model.compile("sgd")
    history = model.fit(torch.ones(4, 2), torch.ones(4, 1), epochs=3, verbose=0).history
    assert history["error"][-1] < history["error"][0]


def test_build_of_a_model_whose_call_needs_more():
    model = Own()
    model.build((None, 2))
    assert model.built and not model.weights
    assert model(torch.ones(1, 2), factor=0.0).tolist() == [[0.0]]


def test_weights_that_a_build_left_to_the_first_call_are_read(tmp_path):
    class Later(Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = L.Dense(2)

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
            super().build(input_shape)

        def call(self, x):
            return self.dense(x) * self.scale

    model, x = Later(), torch.ones(1, 3)
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras", custom_objects={"Later": Later})
    torch.testing.assert_close(loaded(x), expected)


def test_a_layer_goes_before_the_default_of_its_class():
    class Net(Model):
        dense = None

        def __init__(self, layer=None):
            super().__init__()
            if layer is not None:
                self.dense = layer

    assert isinstance(Net(L.Dense(1)).dense, L.Dense)
    assert Net().dense is Net.dense is None


OLD_TEXT = {
    "2.3.1": '{"class_name": "Sequential", "config": {"name": "s", "layers": [{"class_name": '
    '"Dense", "config": {"name": "d", "trainable": true, "batch_input_shape": [null, 3], '
    '"dtype": "float32", "units": 2, "activation": "hard_sigmoid", "use_bias": true}}]}, '
    '"keras_version": "2.3.1", "backend": "tensorflow"}',
    "1.2.2": '{"class_name": "Sequential", "config": [{"class_name": "Dense", "config": '
    '{"name": "d", "trainable": true, "batch_input_shape": [null, 3], "output_dim": 2, '
    '"init": "glorot_uniform", "activation": "hard_sigmoid", "bias": true, "input_dim": null}}],'
    ' "keras_version": "1.2.2"}',
}


@pytest.mark.parametrize("version", OLD_TEXT)
def test_model_from_json_of_old_text(version):
    model = model_from_json(OLD_TEXT[version])
    model.set_weights([np.full((3, 2), 1.0), np.zeros(2)])
    assert model(np.ones((1, 3), "float32")).tolist() == [[1.0, 1.0]]  # 0.2 * 3 + 0.5, clipped
    assert model(np.full((1, 3), 0.5, "float32"))[0, 0].item() == pytest.approx(0.8)


def test_model_from_json_of_byte_code():
    function = ["4wAAAAAAAAAAAAAAAAEAAAABAAAAQwAAAHMEAAAAfABTAKkAqQHaAXhyAQAAAA==", None, None]
    layer = {
        "class_name": "Lambda",
        "config": {"name": "l", "batch_input_shape": [None, 3], "function": function,
                   "function_type": "lambda", "arguments": {}},
    }  # fmt: skip
    config = {"name": "s", "layers": [layer]}
    text = json.dumps({"class_name": "Sequential", "config": config, "keras_version": "2.3.1"})
    for options in ({}, {"safe_mode": True}):
        with pytest.raises(ValueError, match="safe_mode"):
            model_from_json(text, **options)


@pytest.mark.parametrize("given", [None, 3, ["{}"]])
def test_model_from_json_of_no_text(given):
    with pytest.raises(TypeError, match="takes the text"):
        model_from_json(given)


def test_model_from_json_of_yaml():
    with pytest.raises(ValueError, match="not valid JSON"):
        model_from_json("class_name: Sequential\nconfig: {}")
