import copy
import pickle
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest
import torch

from torchkeras import tree
from torchkeras.layers import Dense, Input, Layer
from torchkeras.layers.tracking import (
    TrackedDict,
    TrackedList,
    TrackedOrderedDict,
    TrackedSet,
    Tracker,
)
from torchkeras.metrics import Mean
from torchkeras.models import Model
from torchkeras.variables import Variable


def keys(layer):
    return sorted(layer.state_dict())


def built(units=1):
    dense = Dense(units, use_bias=False)
    dense.build((None, 1))
    return dense


class Holder(Layer):
    def call(self, x):
        return x


def test_lists_behave_like_lists_and_show_in_the_state_dict():
    holder = Holder()
    holder.blocks = []
    assert keys(holder) == [] and holder.blocks == [] and isinstance(holder.blocks, list)
    holder.blocks.append(built())
    holder.blocks += [built()]
    holder.blocks.extend([torch.nn.Linear(1, 1)])
    assert keys(holder) == [
        "blocks.0.kernel",
        "blocks.1.kernel",
        "blocks.2.bias",
        "blocks.2.weight",
    ]
    del holder.blocks[1:]
    assert keys(holder) == ["blocks.0.kernel"]
    holder.blocks[0] = built()
    holder.blocks.insert(0, Variable(1.0))
    assert keys(holder) == ["blocks.0", "blocks.1.kernel"]
    holder.blocks.clear()
    assert keys(holder) == [] and holder.weights == []


def test_dicts_and_nesting():
    holder = Holder()
    holder.parts = {"a": built(), "rest": [built(), {"b": (built(), 3)}]}
    assert keys(holder) == ["parts.a.kernel", "parts.rest.0.kernel", "parts.rest.1.b.0.kernel"]
    holder.parts["rest"].append(built())
    holder.parts["rest"][1]["c"] = built()
    assert "parts.rest.2.kernel" in keys(holder) and "parts.rest.1.c.kernel" in keys(holder)
    inner = holder.parts.pop("rest")
    inner.append(built())  # no longer ours
    assert keys(holder) == ["parts.a.kernel"]
    assert len(holder.weights) == 1


def test_plain_data_is_left_alone():
    holder = Holder()
    holder.sizes, holder.names, holder.pair = [1, 2], {"a": 1}, (1, 2)
    assert holder.sizes == [1, 2] and holder.names == {"a": 1} and holder.pair == (1, 2)
    assert not holder._modules


def test_reassigning_and_deleting():
    holder = Holder()
    holder.x = [built()]
    holder.x = [built(), built()]
    assert keys(holder) == ["x.0.kernel", "x.1.kernel"]
    holder.x = built()
    assert keys(holder) == ["x.kernel"]
    holder.x = (built(),)
    assert keys(holder) == ["x.0.kernel"]
    holder.x = None
    assert keys(holder) == [] and holder.x is None
    holder.x = [built()]
    del holder.x
    assert keys(holder) == [] and not hasattr(holder, "x")


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
def test_copies_follow_their_own_owner(twin):
    holder = Holder()
    holder.x = [built(), [built()]]
    other = twin(holder)
    assert keys(other) == keys(holder)
    other.x.append(built())
    other.x[1].append(built())
    assert keys(other) == ["x.0.kernel", "x.1.0.kernel", "x.1.1.kernel", "x.2.kernel"]
    assert keys(holder) == ["x.0.kernel", "x.1.0.kernel"]
    assert other.x[0] is not holder.x[0]


def test_layers_in_lists_train_and_move_with_the_owner():
    holder = Holder()
    holder.x = [built()]
    holder.trainable = False
    assert not holder.x[0].trainable
    holder.double()
    assert holder.x[0].kernel.dtype == torch.float64


def test_ordered_dicts_keep_their_order_and_sets_hold_state():
    holder = Holder()
    holder.parts = OrderedDict(b=built(), a=built())
    assert isinstance(holder.parts, OrderedDict) and list(holder.parts) == ["b", "a"]
    assert keys(holder) == ["parts.a.kernel", "parts.b.kernel"]
    holder.parts.move_to_end("b")
    holder.parts["c"] = built()
    assert list(holder.parts) == ["a", "b", "c"] and len(holder.weights) == 3
    del holder.parts
    dense = built()
    holder.bag = {dense}
    assert isinstance(holder.bag, set) and keys(holder) == ["bag.0.kernel"]
    holder.bag.add(built())
    assert len(holder.weights) == 2
    holder.bag.discard(dense)
    assert len(holder.weights) == 1


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("make", [lambda x: OrderedDict(a=x), lambda x: {x}], ids=["dict", "set"])
def test_copies_of_the_rarer_kinds(make, twin):
    holder = Holder()
    holder.x = make(built())
    other = twin(holder)
    assert keys(other) == keys(holder) and type(other.x) is type(holder.x)
    other.x.clear()
    assert keys(other) == [] and len(keys(holder)) == 1


def test_lists_let_go_of_state_by_identity():
    holder = Holder()
    first, second = Variable([1.0, 2.0]), Variable([1.0, 2.0])
    holder.x = [first, second]
    holder.x.remove(second)
    assert holder.x[0] is first and len(holder.x) == 1
    with pytest.raises(ValueError, match="does not hold"):
        holder.x.remove(second)


def test_tracked_objects_are_containers_to_tree():
    holder = Holder()
    holder.x = [1, {"b": (built(), 2), "a": 3}]
    leaves = tree.flatten(holder.x)
    assert leaves[:2] == [1, 3] and leaves[3] == 2
    mapped = tree.map_structure(lambda leaf: 0, holder.x)
    assert mapped == [0, {"b": (0, 0), "a": 0}] and isinstance(mapped, TrackedList)
    holder.y = mapped  # nobody's until it is assigned
    holder.y.append(built())
    assert "y.2.kernel" in keys(holder)


def test_weights_in_containers_are_cast_like_others():
    class Listed(Layer):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")
            self.gains = [self.add_weight((), "ones")]
            self.named = {"a": self.add_weight((), "ones")}

        def call(self, x):
            assert self.named["a"].dtype is self.named.get("a").dtype is torch.bfloat16
            assert [value.dtype for value in self.named.values()] == [torch.bfloat16]
            return x * self.gains[0] * self.named["a"] + sum(gain for gain in self.gains)

    layer = Listed()
    for _ in range(2):
        assert layer(torch.ones(2)).dtype is torch.bfloat16
    assert layer.gains[0].dtype is torch.float32


class TestTracker:
    def make(self, **options):
        self.numbers, self.texts = [], []
        stores = {
            "numbers": (lambda x: isinstance(x, int), self.numbers),
            "texts": (lambda x: isinstance(x, str), self.texts),
        }
        return Tracker(stores, **options)

    def test_it_sorts_and_follows(self):
        tracker = self.make()
        items = tracker.track([1, {"a": "x", "b": [2]}])
        assert (self.numbers, self.texts) == ([1, 2], ["x"])
        items[1]["b"].append(3)
        items.remove(1)
        assert self.numbers == [2, 3]
        items.clear()
        assert self.numbers == [] and self.texts == []
        assert tracker.track((5, "y")) == (5, "y") and self.numbers == [5]
        tracker.untrack(5)
        assert self.numbers == [] and self.texts == ["y"]

    def test_locks_and_exclusions(self):
        tracker = self.make(exclusions={"texts": ["numbers"]})
        tracker.track(1)
        tracker.lock("no more")
        assert tracker.track(1) == 1
        with pytest.raises(ValueError, match="no more"):
            tracker.track("x")
        tracker.unlock()
        tracker.track("x")
        assert self.texts == ["x"]

    def test_containers_by_hand(self):
        tracker = self.make()
        named = TrackedOrderedDict({"a": 1}, tracker=tracker)
        named["b"] = 2
        named.pop("a")
        bag = TrackedSet([7], tracker=tracker)
        bag.add(8)
        pairs = TrackedDict(zip("xy", [3, 4], strict=True), tracker=tracker)
        assert self.numbers == [2, 7, 8, 3, 4] and len(pairs) == 2
        assert list(TrackedList([1, 2])) == [1, 2]  # of no tracker


def test_metrics_in_lists_and_dicts_are_found_in_their_order():
    class WithMetrics(Model):
        def __init__(self):
            super().__init__()
            self.parts = {name: Mean(name=name) for name in ("total", "kl")}
            self.more = []
            self.more.append([Mean(name="z")])
            self.more[0].append(Mean(name="y"))
            self.parts["late"] = Mean(name="late")

    model = WithMetrics()
    assert [metric.name for metric in model.metrics] == ["total", "kl", "z", "y", "late"]
    model.more[0][1].update_state(3.0)
    model.reset_metrics()
    assert float(model.more[0][1].result()) == 0


class Interleaved(Model):
    """Keras lists layers and weights in the order in which they come, not list by list."""

    def __init__(self):
        super().__init__()
        self.dense, self.norms, self.named = [], [], {}
        for i in range(2):
            self.dense.append(Dense(2, name=f"dense{i}"))
            self.norms.append([Dense(2, name=f"norm{i}")])
            self.named[f"z{i}"] = Dense(2, name=f"named{i}")
        self.head = Dense(1, name="head")
        self.norms[0].append(Dense(2, name="late"))

    def call(self, x):
        return x


ARRIVAL = ["dense0", "norm0", "named0", "dense1", "norm1", "named1", "head", "late"]


def test_layers_in_lists_have_the_order_in_which_they_came():
    model = Interleaved()
    for copied in (model, copy.deepcopy(model)):
        assert [layer.name for layer in copied.layers] == ARRIVAL
    model.pair = (model.head, Dense(2, name="new"))
    assert [layer.name for layer in model.layers] == [*ARRIVAL, "new"]
    del model.pair, model.norms[0][0]
    model.extra = Dense(2, name="extra")
    assert [layer.name for layer in model.layers] == [*ARRIVAL[:1], *ARRIVAL[2:], "extra"]
    model.named = {}
    del model.dense
    assert [layer.name for layer in model.layers] == ["norm1", "head", "late", "extra"]
    assert len(model._children_order) == 4  # what is gone is not kept alive


class Weights(Holder):
    def build(self, shape):
        self.a, self.b = [], {}
        for i in range(2):
            self.a.append(self.add_weight(shape=(1,), name=f"a{i}"))
            self.b[f"k{i}"] = self.add_weight(shape=(), name=f"b{i}", trainable=i == 0)
        self.c = self.add_weight(shape=(3,), name="c")
        self.a.append(self.add_weight(shape=(1,), name="a2"))


def test_weights_in_lists_have_the_order_in_which_they_were_made():
    layer = Weights()
    layer(torch.ones(1, 1))
    expected = ["a0", "b0", "a1", "c", "a2", "b1"]  # what is not trained comes last
    for copied in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.double()):
        assert [weight.name for weight in copied.weights] == expected
    assert [tuple(v.shape) for v in layer.get_weights()] == [(1,), (), (1,), (3,), (1,), ()]

    class Nameless(Holder):
        def build(self, shape):
            self.add_weight(shape=(1,), name="first")
            self.second = self.add_weight(shape=(1,), name="second")

    layer = Nameless()
    layer(torch.ones(1, 1))
    assert [weight.name for weight in layer.weights] == ["first", "second"]


class Pair(NamedTuple):
    first: Layer
    second: Layer


class Named(dict):
    pass


def test_named_tuples_and_other_classes_of_containers_hold_layers():
    holder = Holder()
    holder.before = built()
    holder.pair = Pair(built(2), built(3))
    holder.named = Named(a=built(4))
    holder.after = built(5)
    holder.plain = Pair(1, 2)
    for copied in (holder, copy.deepcopy(holder), pickle.loads(pickle.dumps(holder))):
        assert [layer.units for layer in copied._layers] == [1, 2, 3, 4, 5]
        assert isinstance(copied.pair, Pair) and copied.pair.second is copied._layers[2]
    assert "pair.1.kernel" in keys(holder) and "named.0.kernel" in keys(holder)
    holder.pair = None
    del holder.named
    assert [layer.units for layer in holder._layers] == [1, 5]


def test_a_constructor_without_the_super_call_is_named():
    class Forgetful(Layer):
        def __init__(self):
            self.units = 3

    layer = Forgetful()
    assert layer.units == 3 and not hasattr(layer, "built")
    for use in (repr, lambda x: x.weights, lambda x: x(torch.ones(1, 2))):
        with pytest.raises((AttributeError, RuntimeError), match="forgot to call `super"):
            use(layer)


def test_a_subclass_may_call_its_own_list_of_layers_as_the_inner_one_is_called():
    class Chain(Layer):
        def __init__(self, *layers):
            super().__init__()
            self._layers = layers

        def call(self, x):
            for layer in self._layers:
                x = layer(x)
            return x

    chain = Chain(Dense(3), Dense(2))
    assert chain(torch.ones(1, 4)).shape == (1, 2)
    assert len(chain.weights) == 4 and len(list(chain.parameters())) == 4
    assert [type(layer) for layer in chain._flatten_layers()] == [Chain, Dense, Dense]


class Renaming(Layer):
    """Gives a weight a second name in `call`, and changes weights there."""

    def build(self, input_shape):
        self.kernels = [self.add_weight((2, 2), name=f"kernel_{i}") for i in range(2)]
        self.count = self.add_weight((), "zeros", name="count")
        self.inner = Dense(2)
        self.inner.build(input_shape)

    def call(self, x):
        self.last = self.kernels[1]
        self.both = [self.kernels[0], self.last]
        self.count.assign_add(1.0)
        self.inner.kernel.assign(self.inner.kernel * 0.5)
        return self.inner(x @ self.last) + self.count


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_what_a_call_sees_of_a_weight_is_the_weight(dtype):
    layer = Renaming(dtype=dtype)
    layer(Input((2,)))
    assert layer.last is layer.kernels[1] and layer.both[0] is layer.kernels[0]
    before = layer.inner.kernel.numpy().copy()
    names = ["kernel_0", "kernel_1", "count", "kernel", "bias"]
    assert [w.name for w in layer.weights] == names
    assert not any(w.is_meta for w in layer.weights) and float(layer.count) == 0.0
    for _ in range(2):
        layer(torch.ones(1, 2))
    assert [w.name for w in layer.weights] == names
    assert float(layer.count) == 2.0
    np.testing.assert_allclose(layer.inner.kernel.numpy(), before / 4, rtol=1e-2)


def test_a_deleted_weight_stays_away():
    class Deleting(Layer):
        def build(self, input_shape):
            self.kept = self.add_weight((2,), name="kept")
            self.dropped = self.add_weight((3,), name="dropped")
            del self.dropped

    layer = Deleting()
    layer.build((None, 2))
    assert [w.name for w in layer.weights] == ["kept"]


def test_arguments_that_a_constructor_hands_on_are_in_the_config():
    class Named(Dense):
        def __init__(self, *args, factor=2.0, **kwargs):
            super().__init__(*args, **kwargs)
            self.factor = factor

    config = Named(3, activation="relu", factor=4.0).get_config()
    assert (config["units"], config["activation"], config["factor"]) == (3, "relu", 4.0)
    assert Named.from_config(config).units == 3


class Swaps(Dense):
    """Takes a weight of its base away while it is built, and makes another."""

    def build(self, input_shape):
        super().build(input_shape)
        self._trainable_variables.remove(self._kernel)
        self.w = self.add_weight(name="w", shape=(input_shape[-1], self.units))

    def call(self, x):
        return x @ self.w


def test_weights_taken_out_of_the_private_list_leave_the_layer():
    layer = Swaps(3)
    layer.build((None, 2))
    assert [w.name for w in layer.weights] == ["bias", "w"]
    assert [w.name for w in layer.trainable_weights] == ["bias", "w"]
    assert sorted(layer.state_dict()) == ["bias", "w"]
    layer.set_weights([w + 1 for w in layer.get_weights()])
    again = Swaps.from_config(layer.get_config())
    again.build((None, 2))
    again.set_weights(layer.get_weights())
    x = torch.ones(1, 2)
    assert torch.equal(layer(x), again(x))


def test_the_private_lists_of_weights_change_the_layer():
    layer = Dense(3)
    layer.build((None, 2))
    kernel, bias = layer._trainable_variables
    with pytest.raises(ValueError, match="has no such weight"):
        layer._non_trainable_variables.remove(kernel)
    assert layer._trainable_variables.pop() is bias
    assert [w.name for w in layer.weights] == ["kernel"]
    layer._tracker.unlock()
    layer._trainable_variables.extend([bias])
    assert {w.name for w in layer.weights} == {"kernel", "bias"}
    layer._trainable_variables.clear()
    assert layer.weights == []
    assert tree.map_structure(lambda w: w.name, Swaps(1)._trainable_variables) == []
