"""GPTQ and AWQ: that they see the data, and that it helps."""

import itertools

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import layers
from torchkeras.quantizers import AWQConfig, GPTQConfig, affine, awq, calibration, gptq


def correlated(n, samples=512, seed=0):
    """Inputs of which few directions matter."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(n, n, generator=generator) * torch.logspace(0, -2, n)[:, None]
    noise = torch.randn(samples, n, generator=generator)
    return torch.randn(samples, n, generator=generator) @ mix + 0.05 * noise


def kernel(rows, columns):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(1))


def dense(config, rows=32, columns=8):
    layer = layers.Dense(columns)
    layer.build((None, rows))
    layer.kernel.assign(kernel(rows, columns))
    layer.quantize(config=config)
    return layer


def error(layer, x, weights):
    return (layer(x) - x @ weights - layer.bias).square().mean().item()


@pytest.mark.parametrize(
    ("group", "order", "bits"), [*itertools.product([-1, 8], [False, True], [3, 4])]
)
def test_gptq_beats_rounding_by_far(group, order, bits):
    x, w = correlated(32), kernel(32, 8)
    config = GPTQConfig(None, None, group_size=group, activation_order=order, weight_bits=bits)
    errors = []
    for data in (None, x):
        layer = dense(config)
        observer = gptq.GPTQ(layer, config)
        if data is not None:
            observer.observe(data)
        observer.calibrate()
        errors.append(error(layer, x, w))
    assert errors[1] < 0.4 * errors[0]


def test_the_cholesky_factor_beats_the_inverse():
    # Keras spreads errors by the inverse Hessian as it is.
    x, w = correlated(64), kernel(64, 16)
    config = GPTQConfig(None, None, group_size=-1)
    observer = gptq.GPTQ(dense(config, 64, 16), config)
    observer.observe(x)
    hessian = observer.hessian + 0.01 * observer.hessian.diagonal().mean() * torch.eye(64)

    def loss(spread):
        levels, scale, zero, groups = gptq.gptq_quantize_matrix(
            w.t(), spread, compute_scale_zero=observer.quantizer.find_params
        )
        rebuilt = affine.dequantize_with_sz_map(levels, scale, zero, groups)
        return (x @ (w - rebuilt.t())).square().mean()

    assert loss(gptq._spread(hessian)) < 0.6 * loss(torch.linalg.inv(hessian))


@pytest.mark.parametrize(("rows", "group"), [(300, -1), (300, 96), (256, 256), (130, 7)])
def test_groups_may_span_blocks(rows, group):
    # In Keras a group that begins before a block of 128 columns is counted twice.
    w = kernel(rows, 4)
    levels, scale, zero, groups = gptq.gptq_quantize_matrix(
        w.t(), torch.eye(rows), group_size=group
    )
    count = 1 if group == -1 else -(-rows // group)
    assert scale.shape == zero.shape == (4, count)
    rebuilt = affine.dequantize_with_sz_map(levels, scale, zero, groups)
    assert (rebuilt.t() - w).abs().max() <= 0.51 * scale.max()


def test_a_singular_hessian_is_explained():
    config = GPTQConfig(None, None, hessian_damping=0.0, group_size=-1)
    observer = gptq.GPTQ(dense(config, 8), config)
    observer.observe(torch.ones(4, 8))
    with pytest.raises(ValueError, match="hessian_damping"):
        observer.calibrate()


def test_awq_cares_for_what_large_inputs_meet():
    x, w = torch.randn(256, 32), kernel(32, 8)
    x[:, :3] *= 50
    config = AWQConfig(None, None, group_size=16)
    errors = []
    for data in (None, x):
        layer = dense(config)
        observer = awq.AWQ(layer, config)
        if data is not None:
            observer.observe(data)
        observer.calibrate()
        errors.append(error(layer, x, w))
    assert errors[1] < 0.5 * errors[0]
    assert layer.awq_scales[:3].min() > layer.awq_scales[3:].max()


# Whole models ------------------------------------------------------------------------------------


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(2, 4)
        self.norm = layers.LayerNormalization()
        self.wide = layers.Dense(24, activation="relu")
        self.narrow = layers.Dense(8)

    def call(self, x):
        x = self.norm(x + self.attention(x, x))
        return x + self.narrow(self.wide(x))


TOKENS = np.random.default_rng(0).integers(0, 20, 300)


def model():
    torchkeras.utils.set_random_seed(0)
    inputs = torchkeras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs)
    blocks = [Block(), Block()]
    for block in blocks:
        x = block(x)
    outputs = layers.Dense(5)(x)
    built = torchkeras.Model(inputs, outputs)
    structure = {"pre_block_layers": [built.layers[1]], "sequential_blocks": blocks}
    return built, structure


@pytest.mark.filterwarnings("ignore:Layer LayerNormalization does not have")
@pytest.mark.parametrize("cls", [GPTQConfig, AWQConfig])
def test_layers_see_the_data(cls, monkeypatch, capsys):
    # In Keras they do not: what is to observe them is never called.
    seen = []
    observer = gptq.GPTQ if cls is GPTQConfig else awq.AWQ
    free = observer.free
    monkeypatch.setattr(observer, "free", lambda self: (seen.append(self.num_samples), free(self)))
    built, structure = model()
    ids = torch.tensor(TOKENS[:24]).view(2, 12)
    expected = built(ids)
    config = cls(
        [TOKENS],
        object(),
        num_samples=20,
        sequence_length=12,
        group_size=4,
        quantization_layer_structure=structure,
    )
    built.quantize(config=config)
    assert seen == [20 * 12] * 12
    assert "2/2" in capsys.readouterr().out
    quantized = [layer for layer in built._flatten_layers() if layer.quantization_mode]
    assert len(quantized) == 12 and all(layer._calibrated for layer in quantized)
    # What no data passed stays as it was, and usable.
    assert built.layers[-1].quantization_mode is None
    error = (built(ids) - expected).square().mean() / expected.square().mean()
    assert error < 0.05
    assert built.predict(ids, verbose=0).shape == (2, 12, 5)


def test_hooks_and_modes_are_as_before():
    built, structure = model()
    block = structure["sequential_blocks"][0]
    config = GPTQConfig([TOKENS], object(), num_samples=3, sequence_length=12, group_size=-1)
    block.wide.quantize(config=config)
    built.train()
    calibration.gptq_quantize(config, structure)
    assert block.wide._calibrated and not block.wide._forward_pre_hooks
    assert block.narrow.quantization_mode is None
    assert built.training


def test_progress_and_filters():
    built, structure = model()
    config = GPTQConfig([TOKENS], object(), num_samples=3, sequence_length=12, group_size=-1)
    first = structure["sequential_blocks"][0]
    for layer in (first.wide, first.narrow):
        layer.quantize(config=config)
    done = []
    calibration.gptq_quantize(config, structure, f"^{first.wide.name}$", done.append)
    assert done == [1, 2]
    assert first.wide._calibrated and not first.narrow._calibrated


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"dataset": None}, "requires a dataset"),
        ({"tokenizer": None}, "requires a dataset"),
        ({"structure": None}, "structure must be provided"),
        ({"structure": {"pre_block_layers": []}}, "No sequential blocks"),
    ],
)
def test_what_calibration_needs(change, match):
    arguments = {"dataset": [TOKENS], "tokenizer": object(), "structure": {}, **change}
    config = AWQConfig(arguments["dataset"], arguments["tokenizer"])
    with pytest.raises(ValueError, match=match):
        calibration.awq_quantize(config, arguments["structure"])


# Data --------------------------------------------------------------------------------------------


class Letters:
    def tokenize(self, text):
        return [ord(letter) for letter in text]


@pytest.mark.parametrize("strategy", ["strided", "linspace", "random"])
def test_sequences_are_runs_of_the_tokens(strategy):
    texts = ["abcdefg", "hijk"]
    data = calibration.get_dataloader(Letters(), 5, texts, num_samples=7, strategy=strategy)
    assert data.shape == (7, 1, 5) and data.dtype == np.int32
    whole = "".join(texts) * 4
    assert all("".join(map(chr, sample)) in whole for sample in data[:, 0])
    again = calibration.get_dataloader(Letters(), 5, iter(texts), num_samples=7, strategy=strategy)
    np.testing.assert_array_equal(data, again)


def test_texts_may_be_set_apart():
    data = calibration.get_dataloader(Letters(), 5, ["aa", "bb"], num_samples=1, eos_id=0)
    assert data.tolist() == [[[97, 97, 0, 98, 98]]]


@pytest.mark.parametrize("dataset", ["a text", 3, []])
def test_no_data(dataset):
    with pytest.raises(ValueError if dataset == [] else TypeError, match="dataset"):
        calibration.get_dataloader(Letters(), 3, dataset)


def test_unknown_strategy():
    with pytest.raises(ValueError, match="linspace"):
        calibration.get_dataloader(Letters(), 3, ["abc"], strategy="all")
