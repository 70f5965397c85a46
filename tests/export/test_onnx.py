"""`Model.export(format="onnx")`, where onnx and its runtime are installed, and where not."""

import importlib.util
import os

import numpy as np
import pytest
import torch

from torchkeras import Input, InputSpec, Model, Sequential, layers
from torchkeras.export import onnx
from torchkeras.export.onnx import export_onnx
from torchkeras.tree import flatten


def recurrent():
    return Sequential([Input((4, 3), name="x"), layers.Bidirectional(layers.LSTM(4))])


def pixels():
    stack = [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
    return Sequential([Input((None, None, 3)), *stack, layers.GlobalAveragePooling2D()])


def keyed():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    return Model({"x": a, "y": b}, layers.Subtract()([a, layers.Dense(3)(b)]))


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(
    "make, shapes",
    [
        (recurrent, lambda n: [(n, 4, 3)]),
        (pixels, lambda n: [(n, 8, 4 + n, 3)]),
        (keyed, lambda n: [(n, 3), (n, 3)]),
    ],
)
def test_files_compute_what_the_model_does_for_any_open_size(make, shapes, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = make()
    path = tmp_path / "m.onnx"
    model.export(path, format="onnx", verbose=False)
    session = runtime.InferenceSession(path)
    for n in (1, 2, 5):
        data = [random(*shape) + i for i, shape in enumerate(shapes(n))]
        inputs = {x.name: value for x, value in zip(session.get_inputs(), data, strict=True)}
        tensors = [torch.from_numpy(x) for x in data]
        expected = model(dict(zip("xy", tensors, strict=True)) if make is keyed else tensors[0])
        actual = session.run(None, inputs)[0]
        np.testing.assert_allclose(actual, expected.detach(), rtol=1e-4, atol=1e-5)


# All ten take two minutes: `TORCHKERAS_ALL_ONNX=1 pytest tests/export/test_onnx.py`.
SOME = () if os.environ.get("TORCHKERAS_ALL_ONNX") else ("wide_and_deep", "vae")


@pytest.mark.architectures(*SOME)
def test_architectures(architecture, inputs, call, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "m.onnx"
    architecture.export(path, format="onnx", verbose=False)
    session = runtime.InferenceSession(path)
    for n in (1, 3):
        data = [x[:n] for x in inputs]
        named = {x.name: v.numpy() for x, v in zip(session.get_inputs(), data, strict=True)}
        outputs = session.run(None, named)
        for actual, expected in zip(outputs, flatten(call(data)), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_names_of_inputs_and_version_of_operators(tmp_path):
    package = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    model = Sequential([Input((3,)), layers.Dense(2)])
    spec = InputSpec(shape=(2, 3), dtype="float32", name="given")
    path = export_onnx(model, tmp_path / "m.onnx", False, input_signature=[spec], opset_version=18)
    written = package.load(path)
    assert [x.name for x in written.graph.input] == ["given"]
    assert written.opset_import[0].version == 18


def test_packages_that_are_missing(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        onnx.importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name)
    )
    model = Sequential([Input((3,)), layers.Dense(2)])
    with pytest.raises(ImportError, match="requires onnx.*pip install onnx onnxscript"):
        model.export(tmp_path / "m.onnx", format="onnx")
