"""Every kind of data that `fit`, `evaluate` and `predict` take gives what plain arrays give."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import torchkeras
from torchkeras import layers, utils
from torchkeras.training.data import (
    arrays,
    get_data_adapter,
    hugging_face,
    train_validation_split,
)

ROWS, BATCH = 26, 8  # the last batch is smaller
X = np.random.default_rng(0).normal(size=(ROWS, 4)).round(2).astype("float32")
Y = (X.sum(1) > 0).astype("int64")
W = np.linspace(0.1, 1, ROWS).astype("float32")
STARTS = range(0, ROWS, BATCH)


def batches(*arrays):
    return [tuple(a[i : i + BATCH] for a in arrays) for i in STARTS]


class Samples(Dataset):
    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        return tuple(a[index] for a in self.arrays)


class Stream(IterableDataset):
    def __init__(self, *arrays):
        self.arrays = arrays

    def __iter__(self):
        return iter(Samples(*self.arrays)[i] for i in range(ROWS))


class Numbered(utils.PyDataset):
    def __init__(self, *arrays, **options):
        super().__init__(**options)
        self.batches = batches(*arrays)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class Again:
    """Starts anew each time."""

    def __init__(self, make):
        self.make = make

    def __iter__(self):
        return iter(self.make())


def frame_of(package):
    def source(x, *others):
        module = pytest.importorskip(package)
        frame = module.DataFrame({name: column for name, column in zip("abcd", x.T, strict=True)})
        return (frame, *(module.Series(other) for other in others))

    return source


def pandas_nullable(x, *others):
    frame = pd.DataFrame(x, columns=list("abcd")).convert_dtypes()
    return (frame, *(pd.Series(other).convert_dtypes() for other in others))


def pyarrow_backed(x, *others):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(x, columns=list("abcd")).convert_dtypes(dtype_backend="pyarrow")
    return (frame, *(pd.Series(other).convert_dtypes(dtype_backend="pyarrow") for other in others))


def sparse(form):
    return lambda x, *others: (getattr(scipy.sparse, form)(x), *others)


def sparse_with_sums(x, *others):
    """Entries that lie twice in the same place."""
    matrix = scipy.sparse.coo_matrix(x / 2)
    row, column, data = (np.tile(part, 2) for part in (matrix.row, matrix.col, matrix.data))
    return (scipy.sparse.coo_matrix((data, (row, column)), x.shape), *others)


def columns_as(form):
    def source(*arrays):
        datasets = pytest.importorskip("datasets")
        names = ("x", "y", "w")[: len(arrays)]
        data = datasets.Dataset.from_dict(dict(zip(names, arrays, strict=True)))
        if form == "columns":
            return tuple(data[name] for name in names)
        if form == "transform":
            data = data.with_transform(lambda b: {k: torch.tensor(v) for k, v in b.items()})
        if form == "stream":
            data = data.to_iterable_dataset()
        return (data, *names[1:])

    return source


def grain(*arrays):
    module = pytest.importorskip("grain")
    return (module.MapDataset.source(Samples(*arrays)).batch(BATCH),)


def tensorflow(*arrays):
    module = pytest.importorskip("tensorflow")
    return (module.data.Dataset.from_tensor_slices(arrays).batch(BATCH),)


SOURCES = {
    "tensors": lambda *a: tuple(map(torch.tensor, a)),
    "double": lambda *a: tuple(x.astype("float64") if x.dtype.kind == "f" else x for x in a),
    "column by column": lambda x, *a: (np.asfortranarray(x), *a),
    "pandas": frame_of("pandas"),
    "pandas nullable": pandas_nullable,
    "pandas pyarrow": pyarrow_backed,
    "polars": frame_of("polars"),
    **{form: sparse(f"{form}_matrix") for form in ("csr", "coo", "csc", "lil", "bsr", "dok")},
    "csr array": sparse("csr_array"),
    "sums": sparse_with_sums,
    "sparse tensor": lambda x, *a: (torch.tensor(x).to_sparse(), *a),
    "csr tensor": lambda x, *a: (torch.tensor(x).to_sparse_csr(), *a),
    "columns": columns_as("columns"),
    "hugging face": columns_as("whole"),
    "hugging face transform": columns_as("transform"),
    "hugging face stream": columns_as("stream"),
    "generator": lambda *a: (iter(batches(*a) * 3),),
    "py_dataset": lambda *a: (Numbered(*a),),
    "py_dataset threads": lambda *a: (Numbered(*a, workers=2),),
    "py_dataset processes": lambda *a: (Numbered(*a, workers=2, use_multiprocessing=True),),
    "dataset": lambda *a: (Samples(*a),),
    "subset": lambda *a: (Subset(Samples(*a), range(ROWS)),),
    "stream": lambda *a: (Stream(*a),),
    "tensor dataset": lambda *a: (TensorDataset(*map(torch.tensor, a)),),
    "loader": lambda *a: (DataLoader(Samples(*a), batch_size=BATCH),),
    "iterable": lambda *a: (Again(lambda: batches(*a)),),
    "grain": grain,
    "tf.data": tensorflow,
}
# Whose batches are as large as the data says.
BATCHED = ("generator", "py_dataset", "loader", "iterable", "grain", "tf.data")


def trained(name, source, weighted):
    """Train on a source; return all numbers that come out."""
    torchkeras.utils.set_random_seed(1)
    model = torchkeras.Sequential([layers.Dense(3, activation="tanh"), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"])
    options = {"verbose": 0} if name.startswith(BATCHED) else {"verbose": 0, "batch_size": BATCH}
    steps = len(STARTS) if name == "generator" else None
    arguments = (X, Y, W) if weighted else (X, Y)
    data = dict(zip(("x", "y", "sample_weight"), source(*arguments), strict=False))
    history = model.fit(**data, epochs=2, shuffle=False, steps_per_epoch=steps, **options).history
    scores = model.evaluate(**data, steps=steps, **options)
    return [*history.values(), scores, model.predict(source(X)[0], steps=steps, **options)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.filterwarnings("ignore:.*fork:Warning", "ignore:Sparse CSR:UserWarning")
def test_same_numbers_as_from_arrays(name, weighted):
    expected = trained("arrays", lambda *arrays: arrays, weighted)
    for ours, theirs in zip(trained(name, SOURCES[name], weighted), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("name", ["csr", "csr tensor", "sums", "columns", "hugging face", "polars"])
@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
def test_split_shuffled_and_weighted_by_class(name):
    results = []
    for source in (SOURCES[name], lambda *arrays: arrays):
        torchkeras.utils.set_random_seed(1)
        model = torchkeras.Sequential([layers.Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        options = {"validation_split": 0.25, "class_weight": {0: 0.5, 1: 3.0}, "verbose": 0}
        history = model.fit(*source(X, Y), batch_size=5, epochs=3, **options).history
        results.append([*history.values()])
    np.testing.assert_allclose(*results, rtol=1e-5)


# Hugging Face datasets ----------------------------------------------------------------------------


def test_named_columns_are_inputs_by_name():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"a": X, "b": X[:, :2], "label": Y})
    inputs = {name: torchkeras.Input((width,), name=name) for name, width in (("a", 4), ("b", 2))}
    outputs = layers.Dense(1)(layers.Concatenate()(list(inputs.values())))
    model = torchkeras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    history = model.fit(data, y="label", validation_data=(data, "label"), verbose=0).history
    assert set(history) == {"loss", "val_loss"}
    only_inputs = data.remove_columns("label")
    np.testing.assert_allclose(
        model.predict(only_inputs, verbose=0),
        model.predict({"a": X, "b": X[:, :2]}, verbose=0),
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match="'labels'(.|\n)*'label'"):
        model.fit(data, y="labels")


def test_columns_of_text_and_of_unequal_lists():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"t": ["a b", "b"], "r": [[1], [1, 2]], "y": [0, 1]})
    (batch,) = get_data_adapter(data["t"]).batches()
    assert batch.tolist() == ["a b", "b"]
    with pytest.raises(ValueError, match="rows equally long"):
        get_data_adapter(data["r"], data["y"])


@pytest.mark.parametrize("form", ["table", "transform", "stream"])
def test_images_and_texts(form):
    datasets = pytest.importorskip("datasets")
    image = pytest.importorskip("PIL.Image")
    pictures = [image.fromarray(np.full((5, 6, 3), i, "uint8")) for i in range(4)]
    data = datasets.Dataset.from_dict({"image": pictures, "text": list("abcd"), "y": [0, 1, 1, 0]})
    if form == "transform":
        data = data.with_transform(lambda batch: batch)
    elif form == "stream":
        data = data.to_iterable_dataset()
    adapter = get_data_adapter(data, "y", batch_size=3)
    (x, y), (last, _) = adapter.batches()
    assert x["image"].shape == (3, 5, 6, 3) and x["image"][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert x["text"].tolist() == ["a", "b", "c"] and y.tolist() == [0, 1, 1]
    assert last["text"].tolist() == ["d"]
    if form != "table":
        with pytest.raises(ValueError, match="`class_weight` should not"):
            get_data_adapter(data, "y", class_weight={0: 1.0})
    with pytest.raises(ValueError, match=r"`x\['train'\]`"):
        get_data_adapter(datasets.DatasetDict(train=data))


def test_large_columns_are_read_batch_by_batch(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(hugging_face, "WHOLE_BYTES", 8)
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 8)
    data = datasets.Dataset.from_dict({"x": X, "y": Y})
    for shuffle in (False, True, "batch"):
        passes = []
        for x, y in ((data["x"], data["y"]), (X, Y)):
            torch.manual_seed(0)
            adapter = get_data_adapter(x, y, batch_size=BATCH, shuffle=shuffle)
            passes.append([torch.cat(part) for part in zip(*adapter.batches(), strict=True)])
        assert all(map(torch.equal, *passes))


# What frames may hold -----------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_columns_that_are_not_numbers_are_named(package):
    module = pytest.importorskip(package)
    frame = module.DataFrame({"size": [1.0, 2.0], "color": ["red", "blue"]})
    with pytest.raises(ValueError, match="`x` has columns that are not numbers.*\n.*color"):
        get_data_adapter(frame, np.zeros(2))


def test_frames_of_mixed_numbers():
    for package in ("pandas", "polars"):
        module = pytest.importorskip(package)
        frame = module.DataFrame({"a": [1, 2], "b": [0.5, None], "c": [True, False]})
        (batch,) = get_data_adapter(frame).batches()
        torch.testing.assert_close(
            batch, torch.tensor([[1, 0.5, 1], [2, torch.nan, 0]]), equal_nan=True
        )


def test_lazy_frames_are_to_be_collected():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match=r"pass `x.collect\(\)`"):
        get_data_adapter(polars.LazyFrame({"a": [1]}))


def test_sparse_arrays_have_two_axes():
    with pytest.raises(ValueError, match=r"`x` is a sparse array(.|\n)*\(2, 3, 4\)"):
        get_data_adapter(torch.zeros(2, 3, 4).to_sparse())


def test_rows_are_brought_together_before_they_are_shuffled():
    x = np.asfortranarray(np.random.default_rng(0).normal(size=(50, 3)).astype("float32"))
    assert get_data_adapter(x, shuffle=True)._leaves[0].is_contiguous()
    assert not get_data_adapter(x)._leaves[0].is_contiguous()
    repeated = get_data_adapter(np.broadcast_to(x[:1], (50, 3)), shuffle=True)
    assert repeated._leaves[0].stride(0) == 0


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("dtype, order", [("f4", "C"), ("f8", "C"), (">f2", "C"), ("u2", "F")])
def test_mapped_files_hold_what_arrays_hold(dtype, order, shuffle, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 300)
    values = (X * 8).round().clip(0).astype(dtype)
    file = np.memmap(tmp_path / "data", dtype, "w+", shape=X.shape, order=order)
    file[...] = values
    passes = []
    for x in (values, file, file[::-1][::-1]):
        torch.manual_seed(0)
        (first, _, _), (last, _, _) = train_validation_split((x, Y, None), 0.2)
        adapter = get_data_adapter(first, Y[:20], batch_size=BATCH, shuffle=shuffle)
        parts = zip(*adapter.batches(), strict=True)
        passes.append([*map(torch.cat, parts), *get_data_adapter(last).batches()])
    for found in passes[1:]:
        for a, b in zip(found, passes[0], strict=True):
            assert a.dtype == b.dtype and torch.equal(a, b)


def private_bytes():
    """Memory of this process that no file backs."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


class Watch(torchkeras.callbacks.Callback):
    """Keeps the greatest growth of memory."""

    def __init__(self):
        super().__init__()
        self.before, self.growth = private_bytes(), 0

    def look(self, batch, logs=None):
        if batch % 16 == 0:
            self.growth = max(self.growth, private_bytes() - self.before)

    on_train_batch_end = on_predict_batch_end = look


SIZE, LIMIT = 200 << 20, 60 << 20


def mapped(dtype, order="C"):
    def source(path):
        width = 1024
        shape = (SIZE // (width * np.dtype(dtype).itemsize), width)
        return np.memmap(path, dtype, "w+", shape=shape, order=order)  # a hole takes no disk

    return source


def generated(path):
    batch = np.zeros((512, 1024), "float32")
    return iter((batch + i, batch[:, 0]) for i in range(SIZE // batch.nbytes))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    "source, shuffle",
    [
        (mapped("float32"), True),
        (mapped("float64"), False),
        (mapped("uint16", order="F"), False),
        (generated, False),
    ],
)
def test_data_larger_than_memory_streams(source, shuffle, tmp_path):
    x = source(tmp_path / "data")
    y = {"y": np.zeros(len(x), "float32")} if isinstance(x, np.memmap) else {}
    model = torchkeras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = Watch()
    split = {"validation_split": 0.1, "batch_size": 512} if y else {}
    model.fit(x, **y, shuffle=shuffle, callbacks=[watch], verbose=0, **split)
    if y:
        model.predict(x, batch_size=512, callbacks=[watch], verbose=0)
    assert 0 <= watch.growth < LIMIT
