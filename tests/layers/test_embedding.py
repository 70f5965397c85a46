"""`Embedding`: rows by index, masks, errors, LoRA."""

import numpy as np
import pytest
import torch

from torchkeras import layers


def test_picks_rows_and_accumulates_their_gradients():
    layer = layers.Embedding(5, 3)
    ids = torch.tensor([[4, 1], [1, 1]])
    outputs = layer(ids)
    assert torch.equal(outputs, layer.embeddings[ids])
    outputs.sum().backward()
    counts = torch.bincount(ids.flatten(), minlength=5)
    assert torch.equal(layer.embeddings.grad, counts[:, None].expand(5, 3).float())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32, torch.bool])
def test_other_dtypes_are_truncated(dtype):
    layer = layers.Embedding(5, 3)
    ids = torch.tensor([[0, 1], [1, 1]])
    assert torch.equal(layer(ids.to(dtype)), layer(ids))
    assert torch.equal(layer(ids + 0.75), layer(ids))


@pytest.mark.parametrize(("ids", "given"), [([[1, 5]], "from 1 to 5"), ([[-6, 2]], "from -6 to 2")])
def test_indices_out_of_range(ids, given):
    layer = layers.Embedding(5, 3, name="words")
    with pytest.raises(ValueError) as error:
        layer(torch.tensor(ids))
    message = str(error.value)
    assert "'words'" in message and given in message and "from 0 to 4" in message
    assert "Fix:" in message


def test_negative_indices_count_from_the_end():
    """As in Keras; TensorFlow refuses them."""
    layer = layers.Embedding(5, 3, lora_rank=2)
    layer.build()
    layer.lora_embeddings_b.assign(torch.ones(2, 3))
    ids = torch.tensor([[-1, 2, -5]])
    torch.testing.assert_close(layer(ids), layer(torch.tensor([[4, 2, 0]])))
    layer.quantize("int8")
    torch.testing.assert_close(layer(ids), layer(torch.tensor([[4, 2, 0]])))


def test_mask_zero():
    ids = torch.tensor([[0, 2], [3, 0]])
    masked = layers.Embedding(5, 3, mask_zero=True)
    assert torch.equal(masked(ids)._keras_mask, ids != 0)
    for given in (ids.tolist(), ids.numpy()):
        assert torch.equal(masked.compute_mask(given), ids != 0)
    assert not hasattr(layers.Embedding(5, 3)(ids), "_keras_mask")


def test_starts_from_given_weights():
    matrix = np.eye(4, 2, dtype="float32")
    layer = layers.Embedding(4, 2, weights=[matrix])
    assert np.array_equal(layer.embeddings.numpy(), matrix)
    assert "weights" not in layer.get_config()


def test_mixed_precision_keeps_the_matrix_in_float32():
    layer = layers.Embedding(4, 2, dtype="mixed_bfloat16")
    assert layer(torch.tensor([[1]])).dtype == torch.bfloat16
    assert layer.embeddings.dtype == torch.float32


def test_state_dict_and_module_moves():
    layer = layers.Embedding(4, 2)
    layer.build()
    assert list(layer.state_dict()) == ["embeddings"]
    assert layer.double()(torch.tensor([1])).dtype == torch.float64


def test_lora_trains_a_correction_of_low_rank():
    layer = layers.Embedding(6, 4, lora_rank=2, lora_alpha=6)
    ids = torch.tensor([0, 5])
    before = layer(ids)
    assert torch.equal(before, layer._embeddings[ids])  # b starts at zero
    assert [w.name for w in layer.trainable_weights] == ["lora_embeddings_a", "lora_embeddings_b"]
    layer.lora_embeddings_b.assign(np.ones((2, 4)))
    merged = layer._embeddings + 3.0 * layer.lora_embeddings_a @ layer.lora_embeddings_b
    torch.testing.assert_close(layer.embeddings, merged)
    torch.testing.assert_close(layer(ids), merged[ids])
    store = {}
    layer.save_own_variables(store)
    torch.testing.assert_close(store["0"], merged.detach())
    layer.load_own_variables(store)
    torch.testing.assert_close(layer(ids), merged[ids])


def test_config_round_trip():
    layer = layers.Embedding(6, 4, embeddings_regularizer="l2", mask_zero=True, lora_rank=2)
    config = layer.get_config()
    assert layers.Embedding.from_config(config).get_config() == config
    assert "lora_rank" not in layers.Embedding(6, 4).get_config()


def test_meta():
    with torch.device("meta"):
        layer = layers.Embedding(4, 2, mask_zero=True)
        outputs = layer(torch.zeros((2, 3), dtype=torch.int64))
        outputs.sum().backward()
    assert outputs.is_meta and outputs._keras_mask.is_meta and layer.embeddings.grad.is_meta


def test_compiles():
    layer = layers.Embedding(4, 2)
    ids = torch.tensor([[1, 2]])
    expected = layer(ids)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    assert torch.equal(compiled(ids), expected)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda():
    layer = layers.Embedding(4, 2).cuda()
    assert layer(torch.tensor([[1, 2]], device="cuda")).is_cuda
