"""Recurrent layers and cells against Keras: outputs, gradients, states, masks, configs, draws."""

import itertools

import keras
import numpy as np
import pytest
import torch
from oracle import (
    assert_close,
    assert_same_config,
    assert_same_error,
    assert_same_variables,
    compare_layer,
    make_pair,
    random_input,
    run,
    run_on_meta,
)

import torchkeras

SHAPE = (4, 5, 3)
# Where another test already looks at the config, the symbolic call and the meta device.
VALUES = {"config": False, "symbolic": False, "meta": False}
LAYERS = ["LSTM", "GRU", "SimpleRNN"]
MASKS = {
    "none": None,
    "right": np.arange(5) < np.array([[5], [3], [1], [2]]),
    "left": np.arange(5) >= np.array([[0], [3], [4], [2]]),
    "holes": np.array([[1, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool),
    "empty rows": np.array([[0] * 5, [1, 0, 0, 0, 0], [0] * 5, [1] * 5], bool),
}
RETURNS = [
    dict(zip(("return_sequences", "return_state"), flags, strict=True))
    for flags in itertools.product([False, True], repeat=2)
]


@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("returns", RETURNS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_masks_and_returns(name, returns, mask):
    compare_layer(
        name,
        {"units": 4, **returns},
        SHAPE,
        mask=MASKS[mask],
        training=True,
        output_shapes=[(None, 5, 3), (None, None, 3)],
        **({} if mask in ("none", "holes") else VALUES),
    )


@pytest.mark.parametrize("mask", ["none", "left", "holes", "empty rows"])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_backwards_and_zero_output(name, zero, mask):
    kwargs = {"units": 2, "go_backwards": True, "zero_output_for_mask": zero}
    for returns in RETURNS[1:]:
        compare_layer(name, {**kwargs, **returns}, SHAPE, mask=MASKS[mask], **VALUES)


def test_a_mask_with_an_axis_for_features():
    compare_layer("LSTM", {"units": 2}, SHAPE, mask=MASKS["holes"][..., None], meta=False)


VARIANTS = [
    {"use_bias": False},
    {"activation": "relu", "kernel_regularizer": "l2"},
    {"activation": None, "bias_initializer": "random_normal"},
    {"recurrent_activation": "hard_sigmoid"},
    {"recurrent_activation": "tanh", "kernel_constraint": "non_neg", "use_bias": False},
    {"kernel_initializer": "zeros", "recurrent_initializer": "glorot_normal", "trainable": False},
    {"activity_regularizer": "l2", "recurrent_regularizer": "l1"},
    {"unroll": True},
]


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_arguments(name, variant, mask):
    if name == "SimpleRNN":
        variant = {k: v for k, v in variant.items() if k != "recurrent_activation"}
        # Keras's SimpleRNN takes an activity regularizer and forgets it.
        variant.pop("activity_regularizer", None)
    kwargs = {"units": 3, "return_sequences": True, **variant}
    compare_layer(
        name,
        kwargs,
        SHAPE,
        mask=MASKS[mask],
        gradients=variant.get("trainable", True),
        config=mask == "none",
        symbolic=False,
        meta=mask == "none",
    )


def test_lstm_without_unit_forget_bias():
    compare_layer("LSTM", {"units": 3, "unit_forget_bias": False}, SHAPE)


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("bias", [False, True])
def test_gru_with_the_reset_gate_before(bias, mask):
    kwargs = {"units": 3, "reset_after": False, "use_bias": bias, "bias_initializer": "ones"}
    compare_layer("GRU", kwargs, SHAPE, mask=MASKS[mask])
    compare_layer("GRU", {**kwargs, "recurrent_dropout": 0.5, "seed": 1}, SHAPE, training=True)


DROPOUTS = [
    {"dropout": 0.4},
    {"recurrent_dropout": 0.4},
    {"dropout": 0.3, "recurrent_dropout": 0.6},
]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("dropout", DROPOUTS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_dropout_draws_the_same_numbers(name, dropout, mask, seed):
    kwargs = {"units": 3, "seed": seed, "return_sequences": True, **dropout}
    compare_layer(name, kwargs, SHAPE, mask=MASKS[mask], training=True, calls=2, **VALUES)


@pytest.mark.parametrize("name", LAYERS)
def test_inference_counts_the_draws_but_drops_nothing(name):
    kwargs = {"units": 3, "dropout": 0.4, "recurrent_dropout": 0.4, "seed": 1}
    compare_layer(name, kwargs, SHAPE, training=False, calls=2)


@pytest.mark.parametrize("mask", ["none", "holes", "empty rows"])
@pytest.mark.parametrize("name", LAYERS)
def test_initial_state(name, mask):
    count = 2 if name == "LSTM" else 1
    states = [torch.tensor(random_input((4, 2), seed=9 + i)) for i in range(count)]
    for given in (states, [s.numpy() for s in states], [s.double() for s in states]):
        compare_layer(
            name,
            {"units": 2, "return_sequences": True, "return_state": True},
            SHAPE,
            mask=MASKS[mask],
            call_kwargs={"initial_state": given},
            **VALUES,
        )


@pytest.mark.parametrize("mask", ["none", "holes", "empty rows"])
@pytest.mark.parametrize("variant", [{}, {"activation": "relu"}, {"return_state": True}], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_stateful(name, variant, mask):
    kwargs = {"units": 2, "stateful": True, **variant}
    ours, theirs = compare_layer(
        name,
        kwargs,
        SHAPE,
        mask=MASKS[mask],
        calls=3,
        **VALUES,
        gradients=False,  # Keras's fail: the states they need are overwritten in place
    )
    assert len(ours.states) == len(theirs.states)
    for a, b in zip(ours.states, theirs.states, strict=True):
        assert_close(a, b)
        assert (a.name, a.trainable) == (b.name, b.trainable)
    for layer in (ours, theirs):
        layer.reset_state()
        assert all(not np.any(state.numpy()) for state in layer.states)
    inputs = random_input(SHAPE)
    assert_close(run(ours, inputs, False).outputs, run(theirs, inputs, False).outputs)


def test_stateful_needs_one_batch_size():
    def unknown(library):
        library.layers.LSTM(2, stateful=True)(library.Input((5, 3)))

    assert_same_error(unknown, "batch")

    def changed(library):
        layer = library.layers.LSTM(2, stateful=True)
        layer(torch.zeros(4, 5, 3))
        layer(torch.zeros(2, 5, 3))

    assert_same_error(changed, "batch of 2")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("name", LAYERS)
def test_dtype_policies(name, mask, policy):
    kwargs = {"units": 3, "dtype": policy, "return_sequences": True, "return_state": True}
    # The fused kernels keep what Keras rounds after each operation.
    loose = {"rtol": 0.06, "atol": 0.06}
    if policy == "float64":  # somewhere Keras's loop over steps rounds to float32
        loose = {"rtol": 1e-5, "atol": 1e-6}
    if policy == "bfloat16":
        kwargs["recurrent_initializer"] = "glorot_uniform"  # neither library draws orthogonal ones
    compare_layer(
        name, kwargs, SHAPE, mask=MASKS[mask], gradients=policy == "float64", **VALUES, **loose
    )


def test_integer_inputs():
    compare_layer("LSTM", {"units": 3}, SHAPE, input_dtype="int32", gradients=False)


@pytest.mark.parametrize("name", LAYERS)
def test_symbolic_initial_state(name):
    def build(library):
        library.utils.set_random_seed(0)
        x = library.Input((None, 3))
        encoder = getattr(library.layers, name)(2, return_state=True)
        _, *states = encoder(x)
        decoder = getattr(library.layers, name)(2, return_sequences=True)
        return library.Model(x, decoder(x, initial_state=states))

    inputs = torch.tensor(random_input(SHAPE))
    assert_close(*(build(library)(inputs) for library in (torchkeras, keras)))


# Cells and RNN -----------------------------------------------------------------------------------

CELLS = ["LSTMCell", "GRUCell", "SimpleRNNCell"]


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("dropout", [{}, *DROPOUTS], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_cells_alone(name, dropout, implementation):
    kwargs = {"units": 3, "seed": 2, **dropout}
    if name != "SimpleRNNCell":
        kwargs["implementation"] = implementation
    ours, theirs = make_pair(name, kwargs)
    assert_same_config(ours, theirs)
    inputs = torch.tensor(random_input((4, 3)))
    results = []
    for layer in (ours, theirs):
        states = layer.get_initial_state(batch_size=4)
        states = [state + 0.5 for state in states]
        output, new = layer(inputs, states, training=True)
        again, _ = layer(inputs, new, training=True)
        results.append([output, *new, again])
    assert_close(*results)
    assert_same_variables(ours, theirs)
    assert ours.state_size == theirs.state_size and ours.output_size == theirs.output_size


def stacked(*cells):
    def make(library):
        library.utils.clear_session()  # what is numbered in the config begins alike
        made = [getattr(library.layers, name)(units, **options) for name, units, options in cells]
        options = {"return_sequences": True, "return_state": True}
        return library.layers.RNN(made, **options, name="layer")

    return make


STACKS = [
    [("LSTMCell", 3, {}), ("LSTMCell", 2, {})],
    [("SimpleRNNCell", 3, {}), ("GRUCell", 2, {"activation": "relu"})],
    [("LSTMCell", 3, {"dropout": 0.5, "seed": 1}), ("GRUCell", 2, {"recurrent_dropout": 0.5})],
    [("GRUCell", 2, {})],
]


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("cells", STACKS, ids=str)
def test_stacked_cells(cells, mask):
    training = None if "dropout" in str(cells) else True
    compare_layer(stacked(*cells), None, SHAPE, mask=MASKS[mask], training=training)


@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("name", CELLS)
def test_rnn_over_library_cells(name, mask):
    def make(library):
        cell = getattr(library.layers, name)(3, name="cell")
        return library.layers.RNN(cell, return_state=True, name="layer")

    compare_layer(make, None, SHAPE, mask=MASKS[mask])


def own_cell(library):
    """A cell of the user's: one state, no `output_size`, no `get_initial_state`."""

    class Minimal(library.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="ones", name="kernel"
            )

        def call(self, inputs, states):
            output = torch.tanh(torch.matmul(inputs, self.kernel + 0.0) * 0.1 + states[0])
            return output, [output]

    return Minimal


@pytest.mark.parametrize("mask", ["none", "holes", "empty rows"])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True}], ids=str)
def test_rnn_over_a_cell_of_the_users(options, mask):
    compare_layer(
        lambda k: k.layers.RNN(own_cell(k)(2, name="minimal"), name="layer", **options),
        None,
        SHAPE,
        mask=MASKS[mask],
        config=False,
    )


def test_rnn_refuses_what_is_no_cell():
    assert_same_error(lambda k: k.layers.RNN(object()), "`call`")
    assert_same_error(lambda k: k.layers.RNN(k.layers.Dense(2)), "`state_size`")
    assert_same_error(lambda k: k.layers.StackedRNNCells([k.layers.Dense(2)]), "`state_size`")


@pytest.mark.parametrize("name", LAYERS)
def test_bad_arguments(name):
    assert_same_error(lambda k: getattr(k.layers, name)(0), "`units`")
    assert_same_error(lambda k: getattr(k.layers, name)(2)(torch.zeros(2, 3)))
    if name != "SimpleRNN":
        assert_same_error(lambda k: getattr(k.layers, name)(2, use_cudnn="yes"), "use_cudnn")


def test_shapes_that_do_not_fit():
    layer = torchkeras.layers.LSTM(2)
    layer(torch.zeros(1, 4, 3))
    with pytest.raises(ValueError, match=r"\(batch, time, 3\)"):
        layer(torch.zeros(1, 4, 5))
    with pytest.raises(ValueError, match="initial_state"):
        layer(torch.zeros(1, 4, 3), initial_state=[torch.zeros(1, 3), torch.zeros(1, 2)])


# Wrappers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", ["none", "right", "holes"])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("sequences", [False, True])
def test_bidirectional(sequences, merge_mode, mask):
    def make(library):
        inner = library.layers.LSTM(2, return_sequences=sequences, name="lstm")
        return library.layers.Bidirectional(inner, merge_mode=merge_mode, name="layer")

    compare_layer(make, None, SHAPE, mask=MASKS[mask], output_shapes=[(None, 5, 3)])


def test_bidirectional_with_states_and_its_own_backward_layer():
    def make(library):
        forward = library.layers.GRU(2, return_state=True, return_sequences=True, name="a")
        backward = library.layers.GRU(
            2, return_state=True, return_sequences=True, go_backwards=True, name="b"
        )
        return library.layers.Bidirectional(forward, backward_layer=backward, name="layer")

    states = [torch.tensor(random_input((4, 2), seed=i)) for i in (5, 6)]
    compare_layer(make, None, SHAPE)
    compare_layer(make, None, SHAPE, call_kwargs={"initial_state": states}, meta=False)


@pytest.mark.parametrize("merge_mode", ["concat", None])
def test_bidirectional_gives_its_own_dtype(merge_mode):
    def dtypes(library):
        inner = library.layers.GRU(2, dtype="float32")
        layer = library.layers.Bidirectional(inner, merge_mode=merge_mode, dtype="float64")
        y = layer(random_input(SHAPE))
        return [x.dtype for x in (y if merge_mode is None else [y])]

    ours, theirs = make_pair(dtypes)
    assert ours == theirs


def test_bidirectional_stateful():
    def make(library):
        inner = library.layers.LSTM(2, stateful=True, name="lstm")
        return library.layers.Bidirectional(inner, name="layer")

    ours, theirs = compare_layer(make, None, SHAPE, calls=2, symbolic=False, gradients=False)
    assert_close(ours.states, theirs.states)
    for layer in (ours, theirs):
        layer.reset_state()
    assert_close(ours.states, theirs.states)


def test_bidirectional_refuses_layers_that_do_not_match():
    assert_same_error(lambda k: k.layers.Bidirectional("lstm"), "layer")
    assert_same_error(
        lambda k: k.layers.Bidirectional(k.layers.LSTM(2), merge_mode="max"), "merge_mode"
    )
    assert_same_error(
        lambda k: k.layers.Bidirectional(k.layers.LSTM(2), backward_layer=k.layers.LSTM(2))
    )
    assert_same_error(lambda k: k.layers.Bidirectional(k.layers.LSTM(2)).reset_state())


INNER = [
    ("Dense", {"units": 2}, (3, 4, 5)),
    ("Conv2D", {"filters": 2, "kernel_size": 2}, (2, 3, 4, 4, 2)),
    ("Flatten", {}, (2, 3, 2, 2)),
    ("BatchNormalization", {}, (9, 4, 5)),
    ("Dropout", {"rate": 0.5, "seed": 1}, (3, 4, 5)),
    ("LSTM", {"units": 2}, (2, 3, 4, 5)),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inner", INNER, ids=lambda inner: inner[0])
def test_time_distributed(inner, training):
    name, kwargs, shape = inner

    def make(library):
        layer = getattr(library.layers, name)(name="inner", **kwargs)
        return library.layers.TimeDistributed(layer, name="layer")

    compare_layer(make, None, shape, training=training)


def test_time_distributed_passes_masks_on():
    def make(library):
        return library.layers.TimeDistributed(library.layers.LSTM(2, name="inner"), name="layer")

    mask = np.random.default_rng(0).random((2, 3, 4)) < 0.6
    compare_layer(make, None, (2, 3, 4, 5), mask=mask)
    bad = torch.ones(2, 2, dtype=torch.bool)
    assert_same_error(lambda k: make(k)(torch.zeros(2, 3, 4, 5), mask=bad), "mask")
    assert_same_error(lambda k: make(k)(torch.zeros(2, 3)), "3 axes")


def test_subclass_may_replace_the_inner_loop():
    class Last(torchkeras.layers.LSTM):
        def inner_loop(self, sequences, initial_state, mask, training=False):
            return sequences[:, -1], sequences, initial_state

    assert torch.equal(Last(3)(torch.ones(2, 4, 3)), torch.ones(2, 3))


@pytest.mark.parametrize(
    "kwargs", [{}, {"activation": "relu"}, {"dropout": 0.5, "seed": 1}], ids=str
)
@pytest.mark.parametrize("name", LAYERS)
def test_trains_on_meta(name, kwargs):
    kwargs = {"units": 2, "return_sequences": True, **kwargs}
    mask = torch.tensor(MASKS["holes"])
    layer = run_on_meta(name, kwargs, random_input(SHAPE), mask=mask)
    assert all(weight.grad is not None for weight in layer.trainable_weights)


def test_keras_loads_what_it_would_have_written():
    """Weight order and shapes are Keras's, so values can be handed over one by one."""
    ours, theirs = make_pair("LSTM", {"units": 3})
    ours.build(SHAPE)
    theirs.build(SHAPE)
    theirs.set_weights([w + 0.1 for w in ours.get_weights()])
    ours.set_weights(theirs.get_weights())
    x = random_input(SHAPE)
    assert_close(run(ours, x).outputs, run(theirs, x).outputs)
    assert keras.__version__.startswith("3.")
