import collections
import gc
import math
import types
import weakref

import pytest
import torch

from torchkeras import layers, ops
from torchkeras.graph.code import Code
from torchkeras.layers import Input
from torchkeras.models import Model

Pair = collections.namedtuple("Pair", "a b")


def echo(*args, **kwargs):
    return args, kwargs


def run(*args, **kwargs):
    """Call `echo` in generated code, with these arguments spelled out there."""
    code = Code()
    code.output(code.call_function(echo, args, kwargs))
    return code.compile("<test>")(None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        ...,
        True,
        -3,
        1e300,
        math.inf,
        "a'\"\n\u2028{x}\\",
        (1,),
        (),
        [1, [2.5, "b"]],
        {"a": (1, None), 2: [True]},
        slice(None, 3),
        slice(1, None, [2]),
        Pair(1, [2]),
        torch.float16,
        int,
        echo,
    ],
    ids=lambda value: type(value).__name__,  # the same in every process
)
def test_arguments_arrive_as_they_are(value):
    args, kwargs = run(value, key=[value])
    assert args == (value,) and kwargs == {"key": [value]}
    assert type(args[0]) is type(value)


def test_what_is_no_number_arrives_too():
    nan = run(math.nan)[0][0]
    assert math.isnan(nan)


def test_a_value_is_let_go_where_it_is_last_used():
    alive = []

    class Thing:
        pass

    things = []

    def make(*used):
        gc.collect()
        alive.append(sum(thing() is not None for thing in things))
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    code = Code()
    a = code.call_function(make)
    b = code.call_function(make, (a,))
    c = code.call_function(make, ([a, b],))
    d = code.call_function(make, (c,))
    code.call_module("make", (a,))
    code.output(code.call_function(make, ({"x": d},)))

    del a, b, c, d
    code.compile("<test>")(types.SimpleNamespace(_modules={"make": make}))
    # `a` lives until the fifth call; `b` ends with the third, `c` with the fourth.
    assert alive == [0, 1, 2, 2, 2, 1]


def test_only_calls_of_modules_are_made_for_nothing():
    made = []
    code = Code()
    x = code.placeholder("x")
    code.call_function(made.append, ("function",))
    code.call_method("append", (code.get_attr("made"), "method"))
    code.call_module("call", ("module",))
    code.output(x)

    owner = types.SimpleNamespace(made=made, _modules={"call": made.append})
    assert code.compile("<test>")(owner, 5) == 5
    assert made == ["module"]


def test_attributes_and_modules_of_any_name():
    names = ["dense", "a b", "class", 'q"', "1st", "\u2028"]
    code = Code()
    squares = [code.call_module(name, (i,)) for i, name in enumerate(names)]
    code.output([*squares, *map(code.get_attr, names)])
    owner = types.SimpleNamespace(_modules=dict.fromkeys(names, lambda x: x * x))
    for i, name in enumerate(names):
        setattr(owner, name, i)
    assert code.compile("<test>")(owner) == [0, 1, 4, 9, 16, 25, 0, 1, 2, 3, 4, 5]


def test_names_of_parameters_are_told_apart_from_each_other_and_from_ours():
    code = Code()
    inputs = [code.placeholder(name) for name in ("x", "x", "_global0", "_value1", "max")]
    total = code.call_function(max, inputs)
    code.output((code.call_function(echo, (total,)), inputs))
    (args, _), values = code.compile("<test>")(None, 1, 2, 3, 4, 5)
    assert args == (5,) and values == [1, 2, 3, 4, 5]


def test_the_function_and_the_graph_make_the_same_calls():
    tokens = Input((None,), dtype="int32", name="tokens")
    extra = Input((4,), name="for")
    x = layers.Embedding(10, 4, mask_zero=True)(tokens)
    x = layers.LSTM(4, return_sequences=True)(layers.Dropout(0.1)(x))
    y = layers.Dense(4, name="a b")(layers.GlobalAveragePooling1D()(x)) * torch.arange(4.0)
    low, high = ops.split(layers.add([y, extra]), 2, axis=-1)
    model = Model([tokens, extra], {"z": low[:, 0], "a": [high, torch.relu(y)], "m": x})
    given = torch.tensor([[1, 2, 0], [3, 0, 0]], dtype=torch.int32), torch.rand(2, 4)
    ours, graphs = model(given), model.graph(*given)
    assert list(ours) == list(graphs) == ["a", "m", "z"]
    torch.testing.assert_close(graphs, ours, rtol=0, atol=0)
    assert torch.equal(ours["m"]._keras_mask, given[0] != 0)
    assert torch.equal(graphs["m"]._keras_mask, given[0] != 0)
