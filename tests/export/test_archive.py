"""`ExportArchive`: endpoints, collections, what is tracked, errors."""

import pytest
import torch
from safetensors.torch import load_file

from torchkeras import Input, InputSpec, Sequential, layers
from torchkeras.export import ExportArchive

SPEC = InputSpec(shape=(None, 3), dtype="float32")


@pytest.fixture
def model():
    return Sequential([Input((3,)), layers.Dense(4, name="first"), layers.Dropout(0.5)], name="m")


def loaded(path):
    return torch.export.load(path).module()


def test_several_endpoints_and_a_collection(model, tmp_path, capsys):
    archive = ExportArchive()
    archive.track_and_add_endpoint("serve", model, [SPEC])
    twice = archive.add_endpoint("twice", lambda x: 2 * model(x), [SPEC])
    archive.add_variable_collection("weights", model.variables)
    archive.write_out(tmp_path / "out")
    x = torch.randn(5, 3)
    expected = model(x, training=False)
    torch.testing.assert_close(loaded(tmp_path / "out" / "serve.pt2")(x), expected)
    torch.testing.assert_close(loaded(tmp_path / "out" / "twice.pt2")(x), 2 * expected)
    torch.testing.assert_close(twice(x), 2 * expected)
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    torch.testing.assert_close(weights["m/first/kernel"], model.layers[0].kernel.detach())
    assert capsys.readouterr().out.startswith("Saved the endpoints 'serve', 'twice' at")


def test_what_a_function_refers_to_is_tracked(model):
    archive = ExportArchive()
    program = archive.add_endpoint("serve", lambda x: model(x).sum(-1), [SPEC])
    assert [id(v) for v in archive.variables] == [id(v) for v in model.variables]
    assert len(archive.trainable_variables) == 2
    assert [v.dtype for v in archive.non_trainable_variables] == [torch.int32]  # a seed
    assert {name for name, _ in program.named_parameters()} == {"m.first.kernel", "m.first.bias"}


def test_inputs_in_a_structure(tmp_path):
    archive = ExportArchive()
    specs = {"x": SPEC, "y": [SPEC, InputSpec(shape=(3,), dtype="float32")]}
    fn = archive.add_endpoint(
        "serve", lambda d, z: d["x"] - d["y"][0] * d["y"][1] + z, [specs, SPEC]
    )
    x = torch.randn(4, 3)
    actual = fn({"x": x, "y": [x, torch.full((3,), 0.5)]}, x)
    torch.testing.assert_close(actual, 1.5 * x)


def test_one_endpoint_in_a_file(model, tmp_path):
    archive = ExportArchive()
    archive.add_endpoint("serve", model.call)  # its signature is the model's
    archive.write_out(tmp_path / "m.pt2", verbose=False)
    assert loaded(tmp_path / "m.pt2")(torch.ones(7, 3)).shape == (7, 4)
    archive.add_endpoint("other", model)
    with pytest.raises(ValueError, match="holds one endpoint"):
        archive.write_out(tmp_path / "m.pt2")


def test_wrong_arguments(model, tmp_path):
    archive = ExportArchive()
    with pytest.raises(ValueError, match="No endpoints have been set yet"):
        archive.write_out(tmp_path / "m")
    with pytest.raises(ValueError, match="that are built can be tracked"):
        archive.track(layers.Dense(1))
    with pytest.raises(ValueError, match="inputs of this function are unknown"):
        archive.add_endpoint("serve", lambda x: x)
    for name in (1, "a/b", ""):
        with pytest.raises(ValueError, match="needs a name of its own"):
            archive.add_endpoint(name, model)
    archive.add_endpoint("serve", model)
    with pytest.raises(ValueError, match="taken: serve"):
        archive.add_endpoint("serve", model)
    with pytest.raises(ValueError, match="list, tuple or set of variables"):
        archive.add_variable_collection("c", ["kernel"])
    with pytest.raises(ValueError, match="`options` are TensorFlow's"):
        archive.write_out(tmp_path / "m", options=1)
    with pytest.raises(ValueError, match="Unsupported format: 'zip'"):
        ExportArchive("zip")
    with pytest.raises(NotImplementedError, match="neptune_model"):
        ExportArchive("neptune_model")
