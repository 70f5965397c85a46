import copy
import pickle

import numpy as np
import pytest
import torch

from torchkeras import Sequential, layers, metrics
from torchkeras.layers import Dense, Input, Layer
from torchkeras.layers.tracking import DotNotTrackScope, no_automatic_dependency_tracking
from torchkeras.naming import get_uid
from torchkeras.random import make_default_seed, set_seed
from torchkeras.variables import Variable


class Linear(Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1], self.units), "ones", name="w")

    def call(self, x):
        return x @ self.w


class Probe(Layer):
    """Returns what `training` it was called with."""

    def call(self, x, training=None):
        self.seen = training
        return x


class Listed(Layer):
    def build(self, input_shape):
        self.ws = []
        self.ws.append(self.add_weight((1,), "glorot_uniform", name="w"))


def test_a_second_build_that_fails_keeps_the_weights_and_draws_a_seed_as_in_keras():
    layer = Listed(name="l")
    layer.build((1, 2))
    set_seed(1)
    with pytest.raises(ValueError, match="already built"):
        layer.build((1, 2))
    assert [w.path for w in layer.weights] == ["l/w"] and layer.ws == []
    after = make_default_seed()
    set_seed(1)
    make_default_seed()
    assert make_default_seed() == after


def test_it_is_a_module_whose_weights_are_parameters():
    layer = Linear(2, name="l")
    assert not layer.built and layer.weights == []
    assert layer(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]
    assert layer.built and isinstance(layer, torch.nn.Module)
    assert list(layer.state_dict()) == ["w"] and list(layer.parameters()) == layer.weights
    assert layer.w.path == "l/w" and layer.path == "l"
    assert layer.get_build_config() == {"input_shape": (1, 3)}


def test_the_second_call_takes_the_fast_path(monkeypatch):
    layer = Linear(2)
    layer(torch.ones(1, 3))
    monkeypatch.setattr(Layer, "_full_call", None)
    assert layer(torch.ones(4, 3)).shape == (4, 2)


def test_hooks_fire_on_both_paths():
    layer, seen = Linear(2), []
    layer.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    for _ in range(2):
        layer(torch.ones(1, 3))
    assert seen == [(1, 2)] * 2


@pytest.mark.parametrize(
    "x", [np.ones((1, 3)), np.ones((1, 3), "int64"), torch.ones(1, 3).double()]
)
def test_inputs_become_tensors_of_the_compute_dtype(x):
    layer = Dense(2)
    for _ in range(2):
        assert layer(x).dtype == torch.float32


def test_only_tensors_go_by_position():
    with pytest.raises(ValueError, match=r"(?s)Only input tensors.*dense.*'text'"):
        Dense(2, name="dense")("text")


def test_unknown_arguments_of_call_and_constructor():
    with pytest.raises(TypeError, match=r"(?s)cannot be called like this.*expected: call"):
        Linear(2)(torch.ones(1, 3), nonsense=1)
    with pytest.raises(ValueError, match=r"(?s)activaton.*Did you mean 'activation'\?"):
        Dense(2, activaton="relu")


def test_forgetting_super_init_is_explained():
    class Forgetful(Layer):
        def __init__(self):
            self.dense = Dense(2)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        Forgetful()(torch.ones(1, 2))


def test_state_assigned_before_super_init_is_registered():
    class Early(Layer):
        def __init__(self):
            self.scale = Variable([2.0], name="scale")
            self.inner = [Dense(2)]
            super().__init__()

        def call(self, x):
            return self.inner[0](x) * self.scale

    layer = Early()
    layer(torch.ones(1, 1))
    assert [w.name for w in layer.weights] == ["scale", "kernel", "bias"]
    assert "inner.0.kernel" in layer.state_dict()


def test_trainable_must_be_a_bool():
    with pytest.raises(ValueError, match="boolean"):
        Dense(2, trainable="yes")


class TestInputSpecs:
    @pytest.mark.parametrize("calls", [0, 1, 2], ids=["first", "second", "third"])
    @pytest.mark.parametrize(("shape", "message"), [((2, 4), "axis -1"), ((3,), "min_ndim=2")])
    def test_both_paths_check(self, calls, shape, message):
        layer = Dense(2, name="d")
        layer.build((None, 3))
        for _ in range(calls):
            layer(torch.ones(2, 3))
        with pytest.raises(ValueError, match=f"'d' is incompatible.*{message}"):
            layer(torch.ones(shape))


class TestTraining:
    def test_default_is_inference(self):
        class NoneIsNoDefault(Layer):
            def call(self, x, training=False):
                self.seen = training
                return x

        for layer, seen in ((Probe(), None), (NoneIsNoDefault(), False)):
            for _ in range(2):
                layer(torch.ones(1))
                assert layer.seen is seen

    def test_argument_then_enclosing_call_then_mode(self):
        class Outer(Layer):
            def __init__(self):
                super().__init__()
                self.probe = Probe()

            def call(self, x):
                return self.probe(x)

        outer = Outer()
        for _ in range(2):
            outer(torch.ones(1), training=True)
            assert outer.probe.seen is True
            outer(torch.ones(1), training=False)
            assert outer.probe.seen is False
            outer(torch.ones(1))
            assert outer.probe.seen is None
            outer.train()(torch.ones(1))
            assert outer.probe.seen is True
            outer.eval()

    def test_the_default_of_the_signature_counts(self):
        class Always(Layer):
            def call(self, x, training=True):
                self.seen = training
                return x

        layer = Always()
        for _ in range(2):
            layer(torch.ones(1))
            assert layer.seen is True

    def test_none_that_is_handed_on_is_not_the_default(self):
        class Always(Layer):
            def call(self, x, training=True):
                self.seen = training
                return x

        class Outer(Layer):
            def __init__(self):
                super().__init__()
                self.inner = Always()

            def call(self, x, training=None):
                return self.inner(x, training=training)

        outer = Outer()
        for _ in range(2):
            outer(torch.ones(1))
            assert not outer.inner.seen
            outer(torch.ones(1), training=True)
            assert outer.inner.seen is True

    def test_it_is_restored_after_an_error(self):
        class Failing(Layer):
            def call(self, x):
                raise KeyError

        with pytest.raises(KeyError):
            Failing()(torch.ones(1), training=True)
        probe = Probe()
        probe(torch.ones(1))
        assert probe.seen is None


class TestState:
    def test_order_of_weights_is_keras(self):
        class Mixed(Layer):
            def __init__(self):
                super().__init__()
                self.inner = Dense(1)
                self.steps = self.add_weight((), "zeros", trainable=False, name="steps")
                self.scale = self.add_weight((), "ones", name="scale")

            def call(self, x):
                return self.inner(x) * self.scale

        layer = Mixed()
        layer(torch.ones(1, 2))
        names = [w.name for w in layer.weights]
        assert names == ["scale", "steps", "kernel", "bias"]
        assert [w.name for w in layer.trainable_weights] == ["scale", "kernel", "bias"]
        layer.trainable = False
        assert layer.trainable_weights == [] and not layer.inner.trainable
        assert not layer.scale.requires_grad
        layer.trainable = True
        assert layer.scale.requires_grad and not layer.steps.requires_grad

    def test_frozen_from_the_start(self):
        layer = Dense(2, trainable=False)
        layer.build((None, 3))
        assert not layer.kernel.requires_grad
        layer.trainable = True
        assert layer.kernel.requires_grad

    def test_weights_without_an_attribute_are_kept(self):
        class Stray(Layer):
            def build(self, input_shape):
                self.add_weight((2,), "ones", name="a")
                self.add_weight((2,), "ones", name="a")

            def call(self, x):
                return x

        layer = Stray()
        layer(torch.ones(1))
        assert list(layer.state_dict()) == ["a", "a_1"]

    def test_seeds_and_metrics_are_no_weights(self):
        class Counting(Layer):
            def __init__(self):
                super().__init__()
                self.dropout = layers.Dropout(0.5)
                self.mean = metrics.Mean(name="m")

            def call(self, x):
                self.mean.update_state(x)
                return self.dropout(x)

        layer = Counting()
        layer(torch.ones(2))
        assert layer.weights == [] and len(layer.variables) == 1
        assert [m.name for m in layer.metrics] == ["m"] and len(layer.metrics_variables) == 2
        assert float(layer.mean.result()) == 1

    def test_plain_parameters_and_modules_count(self):
        class Both(Layer):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(3, 2)
                self.scale = torch.nn.Parameter(torch.ones(2))

            def call(self, x):
                return self.linear(x) * self.scale

        layer = Both()
        assert layer(torch.ones(1, 3)).shape == (1, 2)
        assert len(layer.trainable_weights) == 3
        layer.trainable = False
        assert not layer.linear.weight.requires_grad

    def test_get_and_set_weights(self):
        layer = Dense(2, name="d")
        layer.build((None, 3))
        values = [np.full((3, 2), 2.0), np.ones(2)]
        layer.set_weights(values)
        for weight, value in zip(layer.get_weights(), values, strict=True):
            np.testing.assert_array_equal(weight, value)
        with pytest.raises(ValueError, match=r"(?s)'d'.*length 1.*expecting 2"):
            layer.set_weights(values[:1])
        with pytest.raises(ValueError, match=r"(?s)d/kernel.*given: \(2, 3\).*expected: \(3, 2\)"):
            layer.set_weights([values[0].T, values[1]])
        np.testing.assert_array_equal(layer.get_weights()[1], values[1])

    def test_weights_in_bfloat16_come_as_float32(self):
        layer = Dense(2, dtype="bfloat16")
        layer.build((None, 3))
        assert layer.get_weights()[0].dtype == np.float32
        layer.set_weights([2 * weight for weight in layer.get_weights()])
        assert layer.kernel.dtype == torch.bfloat16

    def test_count_params_needs_a_built_layer(self):
        layer = Dense(2)
        with pytest.raises(ValueError, match="isn't built"):
            layer.count_params()
        layer.build((None, 3))
        assert layer.count_params() == 8

    def test_old_style_add_weight(self):
        with pytest.raises(ValueError, match="keyword"):
            Layer().add_weight("name", (2,))


class TestLosses:
    def test_regularizers_and_added_losses(self):
        class Penalized(Layer):
            def __init__(self):
                super().__init__()
                self.dense = Dense(2, kernel_regularizer="l2", kernel_initializer="ones")

            def call(self, x):
                self.add_loss(x.sum())
                return self.dense(x)

        layer = Penalized()
        for _ in range(3):
            layer(torch.ones(1, 3))
            assert [loss.item() for loss in layer.losses] == pytest.approx([3.0, 0.06])

    def test_activity_regularizer_is_per_sample(self):
        layer = Dense(2, activity_regularizer="l1", kernel_initializer="ones")
        for _ in range(2):
            layer(torch.ones(4, 3))
            assert [loss.item() for loss in layer.losses] == pytest.approx([0.01 * 3 * 2])

    def test_symbolic_losses_are_refused(self):
        with pytest.raises(ValueError, match="symbolic"):
            Layer().add_loss(Input((1,)))
        with pytest.raises(NotImplementedError, match="update_state"):
            Layer().add_metric(1)


class TestConfigs:
    def test_library_layers_read_their_attributes(self):
        layer = Dense(3, activation="relu", kernel_regularizer="l2", name="d")
        twin = Dense.from_config(layer.get_config())
        assert twin.get_config() == layer.get_config()
        assert layer.get_config()["activation"] == "relu"

    def test_users_layers_without_get_config(self):
        config = Linear(3, name="l").get_config()
        assert config["units"] == 3 and Linear.from_config(config).units == 3

    def test_users_get_config_gets_the_base_only(self):
        class Own(Dense):
            def __init__(self, extra, **kwargs):
                super().__init__(4, **kwargs)
                self.extra = extra

            def get_config(self):
                config = super().get_config()
                assert config.pop("units") == 4
                return {**config, "extra": self.extra}

        class Plain(Layer):
            def __init__(self, a, **kwargs):
                super().__init__(**kwargs)

            def get_config(self):
                return super().get_config()

        assert Own(2).get_config()["extra"] == 2
        assert set(Plain(1).get_config()) == {"name", "trainable", "dtype"}

    def test_positional_arguments_without_names(self):
        class Star(Layer):
            def __init__(self, *sizes):
                super().__init__()

        with pytest.raises(NotImplementedError, match="get_config"):
            Star(1, 2).get_config()


class TestDtypes:
    def test_mixed_precision_casts_weights_inside_calls_only(self):
        layer = Dense(2, dtype="mixed_bfloat16")
        for _ in range(2):
            assert layer(torch.ones(1, 3)).dtype == torch.bfloat16
            assert layer.kernel.dtype == torch.float32 and isinstance(layer.kernel, Variable)
        layer(torch.ones(1, 3)).sum().backward()
        assert layer.kernel.grad.dtype == torch.float32

    def test_a_float32_layer_inside_a_mixed_one(self):
        class Outer(Layer):
            def __init__(self):
                super().__init__(dtype="mixed_bfloat16")
                self.a, self.b = Dense(2, dtype="mixed_bfloat16"), Dense(2, dtype="float32")

            def call(self, x):
                return self.b(self.a(x))

        outer = Outer()
        for _ in range(2):
            assert outer(torch.ones(1, 3)).dtype == torch.float32

    def test_to_changes_the_policy(self):
        layer = Dense(2)
        layer.build((None, 3))
        layer.double()
        assert layer.dtype == "float64" and type(layer.kernel) is Variable
        assert layer(torch.ones(1, 3)).dtype == torch.float64

    def test_to_meta_keeps_variables(self):
        layer = Dense(2, name="d")
        layer.build((None, 3))
        layer.to("meta")
        assert type(layer.kernel) is Variable and layer.kernel.path == "d/kernel"


class TestCopies:
    @pytest.mark.parametrize(
        "twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
    )
    def test_copies_are_apart(self, twin):
        layer = Dense(2, name="d")
        layer(Input((3,)))
        other = twin(layer)
        x = torch.rand(2, 3)
        torch.testing.assert_close(other(x), layer(x))
        assert other._inbound_nodes == [] and other.kernel is not layer.kernel
        other.kernel.assign(torch.zeros(3, 2))
        assert layer.kernel.abs().sum() > 0


class TestMasks:
    def test_masks_follow_tensors(self):
        x = torch.ones(2, 3)
        x._keras_mask = torch.tensor([True, False])
        dense = Dense(2)
        for _ in range(2):
            assert dense(x)._keras_mask is x._keras_mask

    def test_a_layer_that_destroys_a_mask_warns(self):
        x = torch.ones(2, 3)
        x._keras_mask = torch.tensor([True, False])
        with pytest.warns(UserWarning, match="destroy the mask"):
            Linear(2)(x)


def test_compile_and_export():
    class Net(Layer):
        def __init__(self):
            super().__init__()
            self.blocks = [Dense(4, activation="relu"), layers.Dropout(0.5), Dense(1)]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    net = Net()
    x = torch.rand(3, 2)
    expected = net(x)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    exported = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(exported(x), expected)


@pytest.mark.parametrize("size", ["1D", "2D", "3D"])
@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("AvgPool", "AveragePooling"),
        ("Convolution", "Conv"),
        ("GlobalAvgPool", "GlobalAveragePooling"),
        ("GlobalMaxPool", "GlobalMaxPooling"),
        ("MaxPool", "MaxPooling"),
    ],
)
def test_other_names(alias, name, size):
    assert getattr(layers, alias + size) is getattr(layers, name + size)


class TestLock:
    """A layer that is built takes no new state, as in Keras."""

    class Late(Layer):
        def call(self, x):
            self.scale = self.add_weight(shape=(), initializer="ones")
            return x * self.scale

    def test_state_made_in_call(self):
        with pytest.raises(ValueError, match="(?s)cannot add new elements of state.*Fix"):
            self.Late()(torch.ones(2))

    @pytest.mark.parametrize(
        "late",
        [
            lambda layer: setattr(layer, "late", Dense(1)),
            lambda layer: setattr(layer, "late", Variable(1.0)),
            lambda layer: setattr(layer, "late", [Dense(1)]),
            lambda layer: setattr(layer, "late", metrics.Mean()),
            lambda layer: layer.parts.append(Dense(1)),
            lambda layer: layer.parts[0].update(a=Dense(1)),
            lambda layer: layer.add_weight(shape=()),
        ],
        ids="layer variable list metric append inner add_weight".split(),
    )
    def test_state_added_to_a_built_layer(self, late):
        layer = Layer()
        layer.parts = [{}]
        layer.build((None, 2))
        with pytest.raises(ValueError, match="cannot add new elements of state"):
            late(layer)
        layer._tracker.unlock()
        late(layer)
        assert layer._tracker.locked is False
        layer._tracker.lock()
        assert layer._tracker.locked

    def test_state_tracked_by_hand(self):
        """As bayesflow does with layers that it keeps in a dict of dicts."""
        layer, head, mean = Layer(), Dense(1), metrics.Mean(name="m")
        head.build((None, 2))
        weight = Variable([1.0], name="w")
        assert layer._tracker.track(head) is head
        assert layer._tracker.track([weight, mean, head]) == [weight, mean, head]
        assert [w.name for w in layer.weights] == ["w", "kernel", "bias"]
        assert layer.metrics == [mean] and len(layer._layers) == 1

    def test_what_is_not_new_or_no_state_of_keras(self):
        layer = Dense(2)
        layer.build((None, 2))
        layer.same, layer.number, layer.items = layer.kernel, 3, [1, 2]
        layer.items.append(3)
        layer.head = torch.nn.Linear(2, 2)  # what PyTorch users exchange
        assert layer.items == [1, 2, 3]

    def test_inner_layers_may_be_built_by_the_first_call(self):
        class Outer(Layer):
            def __init__(self):
                super().__init__()
                self.first, self.second = Dense(2), None

            def call(self, x):
                if self.second is None:
                    self.second = Dense(3)
                return self.second(self.first(x))

        layer = Outer()
        assert layer(torch.ones(1, 2)).shape == (1, 3) and len(layer.weights) == 4

    def test_untracking(self):
        layer = Layer()
        layer.weight = layer.add_weight()
        layer.weight = layer._untrack_variable(layer.weight)
        assert layer.weight is None and layer.weights == []
        held = Variable([1.0], name="held")
        layer._track_variable(held)
        assert layer.weights == [held] and "held" in layer.state_dict()


def test_state_without_tracking():
    layer = Layer()
    with DotNotTrackScope():
        layer.inner, layer.parts = Dense(1), [Dense(1)]
    assert layer._layers == [] and isinstance(layer.inner, Dense) and type(layer.parts) is list

    class Quiet(Layer):
        @no_automatic_dependency_tracking
        def keep(self, value):
            self.kept = value

    quiet = Quiet()
    quiet.keep(Dense(1))
    assert quiet._layers == [] and isinstance(quiet.kept, Dense)


def test_add_weight_by_position():
    layer = Layer()
    weight = layer.add_weight((2,), "ones", "float16")
    assert weight.tolist() == [1.0, 1.0] and weight.dtype is torch.float16
    with pytest.raises(ValueError, match="`name` must be passed as a keyword argument"):
        layer.add_weight("kernel")
    with pytest.raises(ValueError, match="`shape` was passed both positionally and as a keyword"):
        layer.add_weight((2,), shape=(2,))
    with pytest.raises(TypeError, match="takes at most 3 positional arguments"):
        layer.add_weight((2,), "ones", "float16", "name")


class TestArgumentsHandedOn:
    class Inner(Layer):
        def __init__(self):
            super().__init__()
            self._register_call_context_args("plus")

        def call(self, x, plus=0):
            return x + plus

    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.inner = TestArgumentsHandedOn.Inner()

        def call(self, x):
            return self.inner(x)

    @pytest.mark.parametrize("wrap", [lambda x: x, lambda x: Sequential([x])])
    def test_they_reach_layers_that_registered_them(self, wrap):
        layer = wrap(self.Outer())
        layer._register_call_context_args("plus")
        x = torch.zeros(1, 1)
        for _ in range(2):
            assert layer(x, plus=3).item() == 3.0 and layer(x).item() == 0.0

    def test_but_no_others_and_not_too_late(self):
        layer = Layer()
        assert set(layer._call_context_args) == {"training"}
        with pytest.raises(TypeError, match="plus"):
            self.Outer()(torch.zeros(1), plus=3)
        outer = self.Outer()
        outer(torch.zeros(1))
        with pytest.raises(RuntimeError, match="after the layer has been called"):
            outer._register_call_context_args("plus")

    def test_the_inner_call_decides(self):
        class Sets(Layer):
            def __init__(self):
                super().__init__()
                self.inner = TestArgumentsHandedOn.Inner()
                self._register_call_context_args("plus")

            def call(self, x):
                return self.inner(x, plus=1)

        assert Sets()(torch.zeros(1), plus=3).item() == 1.0


def test_a_policy_in_a_config_arrives_as_a_name():
    seen = []

    class Asks(Layer):
        def __init__(self, dtype=None, **kwargs):
            seen.append(dtype)
            super().__init__(dtype=dtype, **kwargs)

    Asks.from_config(Asks(dtype="mixed_bfloat16").get_config())
    assert seen == ["mixed_bfloat16", "mixed_bfloat16"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a_shape, b", "argument `b`, which does not end in `_shape`"),
        ("a_shape, c_shape", r"`c_shape`, but `call\(\)` does not have argument `c`"),
    ],
)
def test_arguments_of_build_are_explained(arguments, message):
    namespace = {}
    exec(f"def build(self, {arguments}): pass", namespace)
    cls = type("Odd", (Layer,), {"build": namespace["build"], "call": lambda self, a, b: a})
    with pytest.raises(ValueError, match=message):
        cls()(torch.ones(1), torch.ones(1))


def test_paths_stay_when_weights_come_later():
    class Outer(Layer):
        def __init__(self):
            super().__init__(name="outer")
            self.inner = Dense(1, name="inner")

        def call(self, x):
            return self.inner(x)

    outer = Outer()
    outer(torch.ones(1, 2))
    with outer.inner._unlocked():
        late = outer.inner.add_weight(name="late")
    assert late.path == "outer/inner/late"


@pytest.mark.parametrize("layer", [Dense(2, name="d"), Linear(2, name="d")])
def test_a_dict_for_a_tensor_is_named(layer):
    message = r"(?s)Layer 'd' .*called on a dict.*given: \{'a': \(1, 3\)\}.*layer\(inputs\['a'\]\)"
    with pytest.raises(KeyError, match=message):
        layer({"a": torch.ones(1, 3)})
    assert layer(torch.ones(1, 3)).shape == (1, 2)


@pytest.mark.parametrize("wrong", ["a/b", 3])
def test_a_new_name_is_checked_as_the_first(wrong):
    for layer in (Dense(2, name="a"), Sequential([Dense(2)], name="a")):
        with pytest.raises(ValueError, match="`name`"):
            layer.name = wrong
        layer.name = "b"
        assert layer.name == "b"


class Around(Layer):
    """Leaves it to `call` to build the layer inside."""

    def __init__(self):
        super().__init__()
        self.parts = {"x": [Dense(2)]}

    def call(self, x):
        return self.parts["x"][0](x)


class Declared(Around):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


class Refusing(Declared):
    def call(self, x):
        raise TypeError("not yet")


def test_a_symbolic_call_builds_what_is_inside_a_layer_that_declares_its_shape():
    layer = Declared()
    assert layer(Input((3,))).shape == (None, 2)
    assert layer.built and [w.path for w in layer.weights] == [
        f"{layer.name}/{layer.parts['x'][0].name}/{name}" for name in ("kernel", "bias")
    ]
    with pytest.warns(UserWarning, match="cannot build the layers inside it.*not yet"):
        assert Refusing()(Input((3,))).shape == (None, 2)


class Made(Around):
    def build(self, input_shape):
        self.parts = {"x": [Dense(2)]}
        self.parts["x"][0].build(input_shape)


@pytest.mark.parametrize("cls", [Around, Made])
def test_asking_for_the_shape_of_an_unbuilt_layer_leaves_nothing_behind(cls):
    set_seed(1)
    cls()
    seed = make_default_seed()
    set_seed(1)
    layer, number = cls(), get_uid("dense")
    assert layer.compute_output_shape((None, 3)) == (None, 2)
    assert not layer.built and layer.weights == []
    assert make_default_seed() == seed and get_uid("dense") == number + 1
    if cls is Around:
        layer.build((None, 3))  # which builds nothing inside
        assert layer.compute_output_shape((None, 3)) == (None, 2) and layer.weights == []
