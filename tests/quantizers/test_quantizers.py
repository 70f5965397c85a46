"""Quantizers where they differ from Keras's on purpose, and what no comparison with it shows."""

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import quantizers
from torchkeras.quantizers import affine, config, int4

GROUPS = {
    "positive": [0.5, 0.55, 0.6, 0.52],
    "negative": [-3.0, -3.1, -3.2, -2.9],
    "constant": [5.0, 5.0, 5.0, 5.0],
    "zero": [0.0, 0.0, 0.0, 0.0],
    "both sides": [-1.0, 2.0, 0.3, 0.0],
}


@pytest.mark.parametrize("to_numpy", [False, True])
@pytest.mark.parametrize("name", GROUPS)
def test_groups_on_one_side_of_zero_keep_their_numbers(name, to_numpy):
    # Keras clips the zero point, and such a group becomes another.
    x = torch.tensor(GROUPS[name])[:, None]
    q, scale, zero = quantizers.abs_max_quantize_grouped_with_zero_point(x, 4, to_numpy=to_numpy)
    assert q.dtype is zero.dtype is torch.int8 and -8 <= q.min() and q.max() <= 7
    assert ((q - zero) * scale - x).abs().max() <= 0.51 * scale.max()
    assert scale.max() <= max(x.abs().max().item(), 2.0) / 7


@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("name", GROUPS)
def test_unsigned_zero_points_fit(name, bits):
    x = torch.tensor([GROUPS[name]])
    scale, zero, maxq = affine.compute_quantization_parameters(x, bits=bits, per_channel=True)
    levels = affine.quantize_with_zero_point(x, scale, zero, maxq)
    error = affine.dequantize_with_zero_point(levels, scale, zero) - x
    assert error.abs().max() <= 0.51 * scale.max()


def test_value_ranges_of_any_width():
    x = torch.linspace(-1, 1, 8)[:, None]
    q, scale, zero = quantizers.abs_max_quantize_grouped_with_zero_point(x, 8, (-3, 3))
    assert (q.min(), q.max()) == (-3, 3)
    assert ((q - zero) * scale - x).abs().max() <= 0.51 * scale.max()


def test_blocks_are_dequantized_like_mapped_groups():
    levels = torch.randint(-8, 8, (10, 3), dtype=torch.int8)
    scale, zero = torch.rand(3, 3), torch.randint(-8, 8, (3, 3), dtype=torch.int8)
    mapped = affine.dequantize_with_sz_map(levels, scale, zero, torch.arange(10) // 4, 0)
    torch.testing.assert_close(
        affine.dequantize_blocks(levels, scale, zero, 4), mapped, rtol=0, atol=0
    )


def test_every_pair_of_nibbles_survives_packing():
    for dtype, numbers in (("int8", range(-8, 8)), ("uint8", range(16))):
        pairs = torch.cartesian_prod(*[torch.tensor(list(numbers))] * 2).to(getattr(torch, dtype))
        packed, _, length = int4.pack_int4(pairs, axis=1, dtype=dtype)
        assert packed.shape == (256, 1) and len(packed.unique()) == 256
        assert torch.equal(int4.unpack_int4(packed, length, axis=1, dtype=dtype), pairs)


def test_get():
    assert quantizers.get(None) is None
    assert quantizers.get("abs_max_quantizer", axis=0).axis == (0,)
    assert quantizers.get(quantizers.AbsMaxQuantizer, epsilon=0.5).epsilon == 0.5
    quantizer = quantizers.AbsMaxQuantizer()
    assert quantizers.get(quantizer) is quantizer
    assert isinstance(quantizers.get(quantizers.serialize(quantizer)), quantizers.AbsMaxQuantizer)
    with pytest.raises(ValueError, match="AbsMaxQuantizer"):
        quantizers.get("AbsMaxQuantiser")


def test_calibration_data_stays_out_of_configs():
    # In Keras such a config refers to itself through the layers of its structure.
    layer = torchkeras.layers.Dense(2)
    structure = {"pre_block_layers": [], "sequential_blocks": [layer]}
    full = config.GPTQConfig([1], len, quantization_layer_structure=structure)
    layer.quantization_config = full
    saved = layer.get_config()["quantization_config"]["config"]
    assert saved["quantization_layer_structure"] is saved["dataset"] is saved["tokenizer"] is None
    assert config.GPTQConfig.from_config(saved).get_config() == full.get_config()


@pytest.mark.parametrize(
    "filters", [None, "dense", ["x", "^de"], lambda layer: layer.name == "dense"]
)
def test_filters_let_through(filters):
    layer = torchkeras.layers.Dense(2, name="dense")
    assert config.should_quantize_layer(layer, filters)
    other = torchkeras.layers.Dense(2, name="head")
    assert config.should_quantize_layer(other, filters) == (filters is None)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (quantizers.fake_quant_with_min_max_vars, (-1.0, 1.0)),
        (quantizers.abs_max_quantize, (-1,)),
        (quantizers.compute_float8_amax_history, (torch.zeros(3, device="meta"),)),
        (quantizers.quantize_and_dequantize, (2.0, "float8_e4m3fn", "float32")),
    ],
)
def test_nothing_waits_for_the_device(function, arguments):
    x = torch.ones(2, 3, device="meta", requires_grad=True)
    for result in torch.utils._pytree.tree_leaves(function(x, *arguments)):
        assert result.device.type == "meta"


def test_float8_scales_follow_the_tensor():
    amax = torch.tensor(4.0, dtype=torch.float64)
    scale = quantizers.compute_float8_scale(amax, 1.0, 448.0)
    np.testing.assert_allclose(scale, 4 / 448)
    assert scale.dtype is torch.float64
