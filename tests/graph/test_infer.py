import numpy as np
import pytest
import torch

from torchkeras import Variable, layers, ops
from torchkeras.graph.context import CONTEXT
from torchkeras.graph.infer import SizeMismatch, infer_spec, known_shape
from torchkeras.graph.keras_tensor import KerasTensor
from torchkeras.models import Model


def spec(function, *shapes, dtype="float32"):
    out = infer_spec(function, tuple(KerasTensor(s, dtype) for s in shapes), {})
    return out.shape, out.dtype


def test_unknown_sizes_stay_unknown():
    assert spec(torch.relu, (None, 3, None)) == ((None, 3, None), "float32")
    assert spec(lambda x: x.flatten(1), (None, 3, 4)) == ((None, 12), "float32")
    assert spec(lambda x: x.reshape(-1, 3), (None, 4, 3)) == ((None, 3), "float32")
    assert spec(lambda x: x.sum(0), (None, 3)) == ((3,), "float32")
    assert spec(lambda x: torch.cat([x, x]), (None, 3)) == ((None, 3), "float32")
    assert spec(lambda x: x > 0, (2,)) == ((2,), "bool")


def test_a_rank_that_depends_on_data_is_an_error():
    with pytest.raises(ValueError, match="rank"):
        spec(lambda x: x[0] if x.shape[0] == 83 else x, (None, 3))


def test_what_cannot_run_on_meta_runs_on_zeros():
    def look(x):
        return x * 2 if x.sum().item() == 0 else x[:1]

    assert spec(look, (None, 3)) == ((None, 3), "float32")


def test_the_first_error_is_the_one_reported():
    with pytest.raises(RuntimeError, match="shape"):
        spec(lambda x: x.reshape(7), (2, 3))


def test_weights_are_not_touched_and_layers_inside_are_built_for_real():
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.norm = layers.BatchNormalization()
            self.dense = layers.Dense(2)

        def call(self, x, training=None):
            return self.dense(self.norm(x, training=True))

    outer = Outer()
    outer(layers.Input((3,)))
    assert outer.dense.kernel.shape == (3, 2) and not outer.dense.kernel.is_meta
    assert outer.norm.moving_mean.tolist() == [0.0] * 3
    assert outer.dense.get_build_config() == {"input_shape": (None, 3)}
    assert not CONTEXT.meta and CONTEXT.view is None


def test_nothing_leaks_after_an_error():
    with pytest.raises(RuntimeError):
        spec(lambda x: x.reshape(7), (2, 3))
    assert not CONTEXT.meta and torch.is_grad_enabled()
    assert torch.empty(1).device.type == "cpu"


def test_random_numbers_are_not_drawn():
    dropout = layers.Dropout(0.5, seed=1)
    before = dropout.seed_generator.state.tolist()
    torch.manual_seed(0)
    dropout(layers.Input((4,)), training=True)
    assert dropout.seed_generator.state.tolist() == before
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(1))


def test_unknown_sizes_follow_those_of_arrays():
    x = layers.Input((None, 4))
    assert (x + np.ones((7, 4), "float32")).shape == (None, 7, 4)
    assert ops.maximum(torch.ones(3, 1, 4), x).shape == (3, None, 4)
    assert (layers.Input((4,)) * Variable(np.ones((5, 4)))).shape == (5, 4)
    with pytest.raises(ValueError, match="None, 4"):
        x + np.ones((7, 5))


def test_how_much_a_mask_picks_is_unknown():
    x = layers.Input((4, 2))
    assert x[x > 0].shape == (None,)
    assert x[x[:, :, 0] > 0].shape == (None, 2)
    model = Model(x, ops.sum(x[x > 0], keepdims=True))
    assert float(model(np.array([[[1.0, -2.0], [3.0, -4.0], [0, 0], [0, 0]]]))) == 4


def test_sizes_are_set_to_those_of_arrays_only_where_they_have_to_be():
    assert spec(torch.matmul, (None, None), (4, 3)) == ((None, 3), "float32")

    def alike(x, y):
        if x.shape != y.shape:
            raise SizeMismatch("not alike")
        return x

    # More axes than can be tried one set of sizes after the other.
    sizes = (2, 3, 4, 5, 6, 7)
    assert spec(alike, (None,) * 6, sizes) == (sizes, "float32")


def test_sizes_are_set_to_how_many_numbers_a_list_has():
    def repeated(x, repeats):
        return torch.repeat_interleave(
            x, torch.tensor(repeats, device="cpu").to(x.device), output_size=6
        )

    assert infer_spec(repeated, (KerasTensor((None,)), [1, 2, 3]), {}).shape == (6,)


def test_known_shape_of_a_concrete_tensor():
    assert known_shape(torch.ones(83, 2)) == (83, 2)


def test_code_that_splits_an_unknown_size():
    assert spec(lambda x: x.reshape(2, x.shape[0] // 2, 3), (None, 3)) == ((2, None, 3), "float32")
    assert spec(lambda x: torch.stack(x.chunk(4)), (None, 3)) == ((4, None, 3), "float32")
