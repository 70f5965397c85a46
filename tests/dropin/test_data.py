"""Small parts of Keras's data adapters, summaries and folders."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from torchkeras import layers
from torchkeras.dropin import data


def test_kinds():
    tensors = TensorDataset(torch.ones(2))
    assert data.is_torch_dataset(tensors) and not data.is_torch_dataset([1])
    assert data.is_torch_dataloader(DataLoader(tensors)) and not data.is_torch_dataloader(tensors)
    assert data.is_torch_tensor(torch.ones(1)) and not data.is_torch_tensor(np.ones(1))
    fake = type("RaggedTensor", (), {"__module__": "tensorflow.python.ops.ragged"})()
    assert data.is_tensorflow_ragged(fake) and data.is_tensorflow_tensor(fake)
    assert not data.is_tensorflow_sparse(fake) and not data.is_tf_dataset(fake)
    fake = type("Mine", (type("JAXSparse", (), {"__module__": "jax.experimental"}),), {})()
    assert data.is_jax_sparse(fake) and not data.is_jax_array(fake)
    fake = type("DatasetV2", (), {"__module__": "mine"})()
    assert not data.is_tf_dataset(fake) and not data.is_grain_dataset(fake)


def test_cardinality():
    x, y = np.ones((3, 2)), np.ones(3)
    data.check_data_cardinality(({"a": x}, y, None))
    with pytest.raises(ValueError, match=r"(?s)Data cardinality is ambiguous.*x sizes.*3"):
        data.check_data_cardinality(({"a": x}, y[:2]))


def test_specs_of_batches():
    batches = [{"a": np.ones((3, 2), "float32")}, {"a": np.ones((1, 2), "float32")}]
    spec = data.get_keras_tensor_spec(batches)["a"]
    assert spec.shape == (None, 2) and spec.dtype == "float32" and not spec.sparse
    with pytest.raises(ValueError, match="at least one axis"):
        data.get_keras_tensor_spec([np.float32(1)])
    with pytest.raises(ValueError, match="as many in each batch"):
        data.get_keras_tensor_spec([np.ones((2, 2)), np.ones(2)])


def test_iterators_keep_the_structure():
    batches = [({"a": torch.ones(2, requires_grad=True)}, np.zeros(2), None)]
    (inputs, targets, weights), *rest = data.get_numpy_iterator(batches)
    assert type(inputs["a"]) is np.ndarray and weights is None and not rest
    np.testing.assert_array_equal(targets, [0, 0])
    (inputs, targets), *rest = data.get_torch_dataloader([({"a": np.ones(2)}, np.zeros(2))])
    assert isinstance(inputs["a"], torch.Tensor) and isinstance(targets, torch.Tensor) and not rest


def test_arguments_beside_batches():
    with pytest.raises(ValueError, match="When providing `x` as a PyDataset, `y` should not"):
        data.raise_unsupported_arg("y", "the targets", "PyDataset")


def test_sizes_of_weights():
    layer = layers.Dense(3)
    layer.build((None, 4))
    assert data.count_params(layer.weights) == 15
    assert data.weight_memory_size([*layer.weights, layer.kernel]) == 60
    assert data.weight_memory_size([torch.ones(2, dtype=torch.bool)]) == 0.25


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.00 B"), (1023, "1023.00 B"), (1024, "1.00 KB"), (1.5 * 1024**5, "1.50 PB")],
)
def test_readable_sizes(size, text):
    assert data.readable_memory_size(size) == text


@pytest.fixture
def folder(tmp_path):
    for name in ("cats/a.txt", "cats/b.TXT", "dogs/c.txt", "dogs/d.jpg", ".hidden/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def test_folders(folder):
    files, labels, names = data.index_directory(str(folder), "inferred", (".txt",), shuffle=False)
    assert [path.rpartition("/")[2] for path in files] == ["a.txt", "b.TXT", "c.txt"]
    assert labels.tolist() == [0, 0, 1] and names == ["cats", "dogs"]
    shuffled = data.index_directory(str(folder), "inferred", (".txt",), seed=2, verbose=False)
    assert {*zip(files, labels.tolist(), strict=True)} == {
        *zip(shuffled[0], shuffled[1].tolist(), strict=True)
    }
    files, labels = data.index_subdirectory(str(folder / "dogs"), {"dogs": 4}, False, (".txt",))
    assert files == ["dogs/c.txt"] and labels == [4]


def test_folders_that_do_not_fit(folder):
    with pytest.raises(ValueError, match="did not match the names of the subdirectories"):
        data.index_directory(str(folder), "inferred", (".txt",), class_names=["birds"])
    with pytest.raises(ValueError, match=r"len\(labels\) is 1 while we found 4 files"):
        data.index_directory(str(folder), [0], (".txt",))
    with pytest.raises(ValueError, match="`class_names` cannot be specified"):
        data.index_directory(str(folder), None, (".txt",), class_names=["cats"])


def test_splits():
    samples, labels = [*"abcde"], [1, 2, 3, 4, 5]
    split = data.get_training_or_validation_split
    assert split(samples, labels, 0.4, "training") == ([*"abc"], [1, 2, 3])
    assert split(samples, None, 0.4, "validation") == ([*"de"], None)
    assert split(samples, labels, 0.1, "training") == (samples, labels)  # none is held out
    assert split(samples, labels, None, None) == (samples, labels)
    with pytest.raises(ValueError, match="must be either"):
        split(samples, labels, 0.4, "both")
