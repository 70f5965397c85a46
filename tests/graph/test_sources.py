"""`get_source_inputs`: each input once, whatever the graph."""

import torchkeras
from torchkeras import Input, layers, ops
from torchkeras.utils import get_source_inputs


def test_inputs_of_a_graph():
    x, z, unused = Input((3,), name="x"), Input((3,), name="z"), Input((3,), name="unused")
    y = layers.Add()([z, layers.Dense(3)(x)])
    y = ops.concatenate([y, x, z])
    assert [id(t) for t in get_source_inputs(y)] == [id(z), id(x)]
    assert get_source_inputs(x) == [x]
    model = torchkeras.Model([x, unused], layers.Dense(1)(x))
    again = model([z, x])
    assert [id(t) for t in get_source_inputs(again)] == [id(z), id(x)]


def test_what_is_not_symbolic():
    assert get_source_inputs("text") == "text"
    alone = torchkeras.KerasTensor((2,))
    assert get_source_inputs(alone) == [alone]


def test_deep_graphs_need_no_deep_stack():
    x = y = Input((1,))
    for _ in range(2000):
        y = y + 1
    assert get_source_inputs(y) == [x]
