"""TensorBoard: what stands in the event files."""

import builtins
import json

import numpy as np
import pytest

from torchkeras import Sequential, layers
from torchkeras.callbacks import TensorBoard

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

EVERYTHING = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}


def read(folder):
    accumulator = EventAccumulator(str(folder), EVERYTHING)
    accumulator.Reload()
    return accumulator


def scalars(folder):
    accumulator = read(folder)
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


def fit(callback, epochs=2, validation=True):
    model = Sequential(
        [layers.Input((2,)), layers.Dense(3, name="hidden"), layers.Dense(1, name="out")]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(12, 2))
    y = x.sum(1, keepdims=True)
    return model, model.fit(
        x,
        y,
        4,
        epochs,
        0,
        [callback],
        validation_data=(x, y) if validation else None,
    )


def test_epochs(tmp_path):
    _, history = fit(TensorBoard(tmp_path))
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert set(train) == {"epoch_loss", "epoch_mae", "epoch_learning_rate"}
    assert set(validation) == {
        *("epoch_loss", "epoch_mae"),
        *("evaluation_loss_vs_iterations", "evaluation_mae_vs_iterations"),
    }
    assert [step for step, _ in train["epoch_loss"]] == [0, 1]
    values = [value for _, value in validation["epoch_mae"]]
    np.testing.assert_allclose(values, history.history["val_mae"], rtol=1e-6)
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [3, 6]
    assert train["epoch_learning_rate"][0][1] == pytest.approx(0.01)


@pytest.mark.parametrize("update_freq, steps", [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6])])
def test_batches(tmp_path, update_freq, steps):
    fit(TensorBoard(tmp_path, update_freq=update_freq, write_steps_per_second=True))
    train = scalars(tmp_path / "train")
    for tag in ("batch_loss", "batch_mae", "batch_steps_per_second"):
        assert [step for step, _ in train[tag]] == steps
    assert all(value > 0 for _, value in train["epoch_steps_per_second"])


def test_batches_are_not_read_for_epochs(tmp_path, counting):
    logs = counting(loss=1.0)
    callback = TensorBoard(tmp_path)
    callback.on_train_batch_begin(0)
    callback.on_train_batch_end(0, logs)
    assert logs.reads == 0


def test_weights(tmp_path):
    fit(TensorBoard(tmp_path, histogram_freq=2, write_images=True), epochs=3)
    found = read(tmp_path / "train")
    tags = [tuple(tag.split("/")[-3:]) for tag in found.Tags()["histograms"]]
    assert sorted(tags) == [
        (layer, weight, "histogram") for layer in ("hidden", "out") for weight in ("bias", "kernel")
    ]
    tag = next(tag for tag in found.Tags()["histograms"] if "hidden/kernel" in tag)
    assert [event.step for event in found.Histograms(tag)] == [0, 2]
    image = next(tag for tag in found.Tags()["images"] if "hidden/kernel" in tag)
    assert (found.Images(image)[0].height, found.Images(image)[0].width) == (2, 3)


def test_weights_that_are_no_numbers(tmp_path):
    callback = TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    model = Sequential([layers.Input((2,)), layers.Dense(3, name="hidden")])
    model.compile("sgd", "mse")
    callback.set_model(model)
    hidden = model.layers[0]
    hidden.bias.assign(np.full(3, np.nan))
    hidden.kernel.assign([[np.inf, 1.0, 2.0], [3.0, 4.0, 5.0]])
    callback.on_train_begin()
    callback.on_epoch_end(0, {})
    callback.on_train_end()
    found = read(tmp_path / "train")
    assert [tag.split("/")[-2] for tag in found.Tags()["histograms"]] == ["kernel"]
    (histogram,) = found.Histograms(found.Tags()["histograms"][0])
    assert (histogram.histogram_value.num, histogram.histogram_value.max) == (5, 5.0)


def test_weights_that_have_grown_without_bound(tmp_path):
    callback = TensorBoard(tmp_path, histogram_freq=1)
    model = Sequential([layers.Input((2,)), layers.Dense(3, use_bias=False)])
    model.compile("sgd", "mse")
    callback.set_model(model)
    model.layers[0].kernel.assign(np.full((2, 3), -3e30))
    callback.on_train_begin()
    callback.on_epoch_end(0, {})
    callback.on_train_end()
    found = read(tmp_path / "train")
    (histogram,) = found.Histograms(found.Tags()["histograms"][0])
    assert histogram.histogram_value.num == 6 and histogram.histogram_value.max < -1e19


@pytest.mark.parametrize("write_graph", [True, False])
def test_structure(tmp_path, write_graph):
    model, _ = fit(TensorBoard(tmp_path, write_graph=write_graph), epochs=1)
    found = read(tmp_path / "train")
    assert ("keras" in found.Tags()["tensors"]) == write_graph
    if write_graph:
        (event,) = found.Tensors("keras")
        assert event.tensor_proto.string_val[0].decode() == model.to_json()
        assert found.SummaryMetadata("keras").plugin_data.plugin_name == "graph_keras_model"


def embedding_model():
    model = Sequential([layers.Input((2,)), layers.Embedding(3, 2, name="words"), layers.Flatten()])
    model.compile("sgd", "mse")
    return model


def test_embeddings(tmp_path):
    (tmp_path / "labels.tsv").write_text("a\nb\nc\n")
    model = embedding_model()
    logs = tmp_path / "logs"
    callback = TensorBoard(
        logs, embeddings_freq=1, embeddings_metadata={"words": str(tmp_path / "labels.tsv")}
    )
    model.fit(np.array([[0, 1]]), np.zeros((1, 4)), verbose=0, callbacks=[callback])
    config = (logs / "train" / "projector_config.pbtxt").read_text()
    assert "words" in config
    (table,) = (logs / "train").rglob("tensors.tsv")
    assert len(table.read_text().splitlines()) == 3
    bad = TensorBoard(logs, embeddings_freq=1, embeddings_metadata={"wrods": "x"})
    with pytest.raises(ValueError, match="wrods"):
        bad.set_model(model)


def test_standalone_evaluation(tmp_path):
    model, _ = fit(TensorBoard(tmp_path / "a"), epochs=1, validation=False)
    callback = TensorBoard(tmp_path / "b")
    model.evaluate(np.zeros((2, 2)), np.zeros((2, 1)), verbose=0, callbacks=[callback])
    assert "evaluation_loss_vs_iterations" in scalars(tmp_path / "b" / "validation")


def traces(folder):
    """The names of the steps' events in each trace that was written."""
    found = sorted((folder / "train" / "plugins" / "profile").glob("*.pt.trace.json"))
    return [
        [event["name"] for event in json.loads(path.read_text())["traceEvents"]] for path in found
    ]


def test_profile(tmp_path):
    fit(TensorBoard(tmp_path, profile_batch=(2, 3)), epochs=1)
    (names,) = traces(tmp_path)
    # Two batches with a matrix product for each of the two layers.
    assert names.count("aten::addmm") == 4


def test_profile_of_a_training_that_ends_early(tmp_path):
    callback = TensorBoard(tmp_path, profile_batch="3,9")
    fit(callback, epochs=1, validation=False)
    (names,) = traces(tmp_path)
    assert names.count("aten::addmm") == 2
    assert callback._profile is None


@pytest.mark.parametrize("profile_batch", [-1, (3, 2), (0, 2), "a", "1,2,3", None, ()])
def test_bad_batches_to_profile(tmp_path, profile_batch):
    with pytest.raises(ValueError, match="`profile_batch` must"):
        TensorBoard(tmp_path, profile_batch=profile_batch)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="'epochs'"):
        TensorBoard(tmp_path, update_freq="epochs")


def test_missing_package(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"torchkeras\[tensorboard\]"):
        TensorBoard(tmp_path).on_train_begin()


def test_labels_lie_beside_the_logs(tmp_path):
    (tmp_path / "labels.tsv").write_text("a\nb\nc\n")
    assert TensorBoard(tmp_path)._labels("labels.tsv") == ["a", "b", "c"]
    assert TensorBoard(tmp_path / "logs")._labels(str(tmp_path / "labels.tsv")) == ["a", "b", "c"]
    with pytest.raises(FileNotFoundError):
        TensorBoard(tmp_path / "logs")._labels("labels.tsv")
