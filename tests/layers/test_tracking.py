import copy
import pickle

import pytest
import torch

from torchkeras.layers import Dense, Layer
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
