"""Recurrent layers against `torch.nn`'s, and masks against sequences without the masked steps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import torchkeras
from torchkeras import layers
from torchkeras.random import set_seed

TORCH = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}
CELLS = {"LSTM": "LSTMCell", "GRU": "GRUCell", "SimpleRNN": "SimpleRNNCell"}
DOUBLE = {"rtol": 1e-10, "atol": 1e-12}


def torch_layer(layer):
    """The module of torch that has the weights of `layer` (none of them a GRU's gates swapped)."""
    kernel, recurrent, bias = (w.detach() for w in layer.weights)
    module = TORCH[type(layer).__name__](*kernel.shape[:1], layer.units, batch_first=True).double()
    rows = (lambda w: w) if bias.dim() == 1 else _swap_gates
    first, second = (bias, torch.zeros_like(bias)) if bias.dim() == 1 else bias
    values = (rows(kernel.T), rows(recurrent.T), rows(first), rows(second))
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), values, strict=True):
            parameter.copy_(value)
    return module


def _swap_gates(weight):
    z, r, h = weight.chunk(3)
    return torch.cat([r, z, h])


def make(name, units=3, width=4, batch=None, **kwargs):
    set_seed(0)
    layer = getattr(layers, name)(
        units, dtype="float64", bias_initializer="random_normal", seed=1, **kwargs
    )
    layer.build((batch, None, width))
    return layer


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", list(TORCH))
def test_equals_torch(name, backwards):
    layer = make(name, return_sequences=True, return_state=True, go_backwards=backwards)
    x = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    outputs, *states = layer(x)
    expected, last = torch_layer(layer)(x.flip(1) if backwards else x)
    torch.testing.assert_close(outputs, expected, **DOUBLE)
    last = last if isinstance(last, tuple) else (last,)
    torch.testing.assert_close(states, [state[0] for state in last], **DOUBLE)
    grads = [
        torch.autograd.grad(y.square().sum(), x, retain_graph=True) for y in (outputs, expected)
    ]
    torch.testing.assert_close(*grads, **DOUBLE)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(list(TORCH)),
    rows=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4),
    backwards=st.booleans(),
    zero=st.booleans(),
    given_state=st.booleans(),
    fused=st.booleans(),
)
def test_masked_steps_might_as_well_not_be_there(name, rows, backwards, zero, given_state, fused):
    mask = torch.tensor(rows)
    options = {} if fused else {"activation": "softsign"}
    layer = make(
        name,
        return_sequences=True,
        return_state=True,
        go_backwards=backwards,
        zero_output_for_mask=zero,
        **options,
    )
    assert layer._fused == fused
    x = torch.randn(len(rows), 5, 4, dtype=torch.float64)
    start = [torch.randn(len(rows), 3, dtype=torch.float64) for _ in layer.state_size]
    state = start if given_state else None
    outputs, *states = layer(x, mask=mask, initial_state=state)
    if not given_state:
        start = [torch.zeros_like(s) for s in start]
    for b, row in enumerate(rows):
        row = row[::-1] if backwards else row
        kept = x[b, mask[b]]
        begin = [s[b : b + 1] for s in start]
        if not len(kept):
            torch.testing.assert_close([s[b : b + 1] for s in states], begin, **DOUBLE)
            assert not outputs[b].any()
            continue
        short, *last = layer(kept[None], initial_state=begin)
        torch.testing.assert_close([s[b : b + 1] for s in states], last, **DOUBLE)
        count = 0
        for t, used in enumerate(row):
            count += used
            visible = used or (count and not zero)
            expected = short[0, count - 1] if visible else torch.zeros(3, dtype=torch.float64)
            torch.testing.assert_close(outputs[b, t], expected, **DOUBLE)


@pytest.mark.parametrize("name", list(TORCH))
def test_gradients_under_masks(name):
    mask = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]], dtype=torch.bool)
    layer = make(name, return_sequences=True, return_state=True)
    x = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    weights = [w.detach().clone().requires_grad_() for w in layer.weights]

    def run(x, *weights):
        names = [f"cell.{w.name}" for w in layer.weights]
        return torch.func.functional_call(
            layer, dict(zip(names, weights, strict=True)), (x,), {"mask": mask}
        )

    assert torch.autograd.gradcheck(run, (x, *weights))


def test_values_at_masked_steps_do_not_matter():
    layer = make("LSTM", return_sequences=True, return_state=True)
    mask = torch.tensor([[True, False, True, False]])
    x = torch.randn(1, 4, 4, dtype=torch.float64)
    spoiled = x.clone()
    spoiled[~mask] = float("nan")
    torch.testing.assert_close(layer(spoiled, mask=mask), layer(x, mask=mask))


@pytest.mark.parametrize("name", list(TORCH))
def test_cell_by_cell_is_the_same(name):
    layer = make(name, return_sequences=True)
    cell = getattr(layers, CELLS[name]).from_config(layer.cell.get_config())
    loop = layers.RNN(cell, return_sequences=True, dtype="float64")
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    loop.build(x.shape)
    loop.set_weights(layer.get_weights())
    torch.testing.assert_close(loop(x), layer(x), **DOUBLE)


def test_weights_lie_as_torch_wants_them():
    layer = make("LSTM")
    assert layer.cell.kernel.shape == (4, 12) and layer.cell.kernel.t().is_contiguous()
    assert layer.cell.recurrent_kernel.t().is_contiguous()
    layer(torch.randn(2, 3, 4, dtype=torch.float64)).sum().backward()
    assert layer.cell.kernel.grad.stride() == layer.cell.kernel.stride()
    assert list(layer.state_dict()) == ["cell.kernel", "cell.recurrent_kernel", "cell.bias"]


def test_dropout_is_the_same_at_all_steps():
    layer = make("LSTM", width=40, dropout=0.5)
    seen = []
    layer._kernel = lambda x, states, pad=None: seen.append(x) or (x[..., :3], states)
    layer(torch.ones(2, 6, 40, dtype=torch.float64), training=True)
    dropped = seen[0] == 0
    assert 0.2 < dropped.double().mean() < 0.8
    assert (dropped == dropped[:, :1]).all() and (dropped[0] != dropped[1]).any()
    assert layer.cell._dropout_mask is None  # the next batch gets other masks


@pytest.mark.parametrize(
    "options", [{}, {"activation": "relu"}, {"recurrent_dropout": 0.5}], ids=str
)
def test_stateful_trains_from_batch_to_batch(options):
    layer = make("LSTM", stateful=True, return_sequences=True, batch=2, **options)
    whole = make("LSTM", return_sequences=True, **options)
    x = torch.randn(2, 6, 4, dtype=torch.float64)
    parts = [layer(x[:, :3]), layer(x[:, 3:])]
    torch.testing.assert_close(torch.cat(parts, 1), whole(x), **DOUBLE)
    torch.cat(parts, 1).sum().backward()  # the states were overwritten, not what gradients need
    assert layer.cell.kernel.grad.isfinite().all()
    layer.reset_state()
    torch.testing.assert_close(layer(x[:, :3]), parts[0], **DOUBLE)
    with pytest.raises(ValueError, match="batch of 1"):
        layer(x[:1])


def test_states_move_with_the_module_and_are_no_weights():
    layer = layers.LSTM(2, stateful=True)
    layer(torch.ones(1, 2, 3))
    assert len(layer.weights) == 3 and len(layer.states) == 2
    assert layer.double().states[0].dtype == torch.float64


@pytest.mark.parametrize("name", list(TORCH))
def test_meta_with_everything(name):
    with torch.device("meta"):
        layer = getattr(layers, name)(
            3, dropout=0.5, return_sequences=True, return_state=True, stateful=True
        )
        mask = torch.ones((2, 5), dtype=torch.bool)
        outputs, *_ = layer(torch.zeros(2, 5, 4), mask=mask, training=True)
        outputs.sum().backward()
    assert outputs.is_meta and all(w.grad.is_meta for w in layer.trainable_weights)


def test_compiled_layer_is_the_same():
    layer = layers.LSTM(3, return_sequences=True)
    x = torch.randn(2, 4, 5)
    expected = layer(x)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


def test_export_keeps_the_kernel():
    layer = layers.LSTM(3)
    x = torch.randn(2, 4, 5)
    layer(x)
    program = torch.export.export(layer, (x,), strict=False)
    assert any("lstm" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), layer(x))


def test_use_cudnn_true_demands_a_kernel():
    x = torch.ones(1, 2, 3)
    assert layers.LSTM(2, use_cudnn=True)(x).shape == (1, 2)
    with pytest.raises(ValueError, match="use_cudnn"):
        layers.LSTM(2, use_cudnn=True, recurrent_dropout=0.5)(x)
    assert layers.LSTM(2, use_cudnn=False)(x).shape == (1, 2)


def test_configs_rebuild_the_layers():
    for layer in (
        make("LSTM", dropout=0.1, stateful=True, batch=2),
        make("GRU", reset_after=False),
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)]),
        layers.Bidirectional(layers.LSTM(2), merge_mode="sum"),
        layers.TimeDistributed(layers.Dense(2)),
    ):
        config = layer.get_config()
        assert type(layer).from_config(config).get_config() == config


def test_bidirectional_equals_torch():
    layer = layers.Bidirectional(layers.LSTM(3, return_sequences=True, dtype="float64"))
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    layer.build(x.shape)
    module = torch.nn.LSTM(4, 3, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        parameters = iter(module.parameters())
        for part in (layer.forward_layer, layer.backward_layer):
            kernel, recurrent, bias = part.weights
            for value in (kernel.T, recurrent.T, bias, torch.zeros_like(bias)):
                next(parameters).copy_(value)
    torch.testing.assert_close(layer(x), module(x)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("merge_mode", ["concat", "ave", None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda **o: layers.LSTM(3, **o),
        lambda **o: layers.GRU(3, use_bias=False, **o),
        lambda **o: layers.SimpleRNN(3, activation="relu", **o),
    ],
)
def test_one_kernel_call_for_both_directions(make, sequences, merge_mode, monkeypatch):
    inner = make(return_sequences=sequences, return_state=True)
    layer = layers.Bidirectional(inner, merge_mode=merge_mode)
    x = torch.randn(2, 5, 4)
    states = [torch.randn(2, 3) for _ in range(2 * len(inner.state_size))]
    layer.build(x.shape)
    for initial_state in (None, states):
        assert layer._fuses(None, initial_state)
        fused = layer(x, initial_state=initial_state)
        with monkeypatch.context() as patch:
            patch.setattr(layer, "_may_fuse", False)
            called = layer(x, initial_state=initial_state)
        torch.testing.assert_close(list(fused), list(called))


def test_bidirectional_calls_its_layers_where_that_shows():
    layer = layers.Bidirectional(layers.LSTM(3))
    x = torch.randn(2, 5, 4)
    layer(x)
    calls = []
    layer.forward_layer.register_forward_hook(lambda *args: calls.append(args))
    layer(x)
    assert len(calls) == 1
    for options in ({"dropout": 0.1}, {"stateful": True}, {"activation": "relu"}):
        other = layers.Bidirectional(layers.LSTM(3, **options))
        other.build(x.shape)
        assert not other._fuses(None, None)
    with pytest.raises(ValueError, match="features"):
        fresh = layers.Bidirectional(layers.LSTM(3))
        fresh(x)
        fresh(torch.randn(2, 5, 3))


def test_bidirectional_compiles_after_a_fused_call():
    layer = layers.Bidirectional(layers.LSTM(2))
    x = torch.randn(2, 3, 4)
    expected = layer(x)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


def test_bidirectional_takes_initial_weights():
    first = layers.Bidirectional(layers.GRU(2))
    x = torch.randn(2, 3, 4)
    expected = first(x)
    second = layers.Bidirectional(layers.GRU(2), weights=first.get_weights())
    torch.testing.assert_close(second(x), expected)


def test_time_distributed_folds_time_into_the_batch_only_where_it_may():
    calls = []

    class Counting(layers.Layer):
        def call(self, x):
            calls.append(x.shape)
            return x

    x = torch.randn(2, 3, 4)
    assert torch.equal(layers.TimeDistributed(Counting())(x), x)
    assert calls == [(2, 4)] * 3
    folded = layers.TimeDistributed(layers.Dense(2))
    folded(x)
    assert folded._pure
    stateful = layers.TimeDistributed(layers.BatchNormalization())
    stateful(x)
    assert not stateful._pure


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", list(TORCH))
def test_cuda(name):
    layer = getattr(layers, name)(3, return_sequences=True, return_state=True)
    x, mask = torch.randn(2, 5, 4), torch.rand(2, 5) < 0.6
    expected = layer(x, mask=mask)
    layer.cuda()
    outputs = layer(x.cuda(), mask=mask.cuda())
    for a, b in zip(outputs, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=1e-5)


def test_fit_draws_no_masks_before_its_first_step():
    layer = layers.SimpleRNN(2, dropout=0.5, recurrent_dropout=0.5, seed=7)
    model = torchkeras.Sequential([torchkeras.Input((3, 1)), layer])
    model.compile("sgd", "mse")
    model.fit(torch.ones(2, 3, 1), torch.ones(2, 2), verbose=0)
    (state,) = (v.tolist() for v in layer.variables if "seed" in v.path)
    assert state == [7, 2]
