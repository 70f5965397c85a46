"""`Model.export(format="torchscript")`: numbers, open batch sizes, errors."""

import pytest
import torch

from torchkeras import Input, Sequential, layers
from torchkeras.export.torchscript import export_torchscript


@pytest.mark.architectures("vae", "lstm_classifier", "transformer")
def test_architectures(architecture, inputs, call, tmp_path):
    architecture.export(tmp_path / "m.pt", format="torchscript", verbose=False)
    program = torch.jit.load(tmp_path / "m.pt")
    for n in (1, 3):
        data = [x[:n] for x in inputs]
        with torch.no_grad():
            torch.testing.assert_close(program(*data), call(data), rtol=1e-5, atol=1e-5)


def test_where_it_was_written_is_said(tmp_path, capsys):
    model = Sequential([Input((3,)), layers.Dense(2)])
    path = export_torchscript(model, tmp_path / "m.pt")
    assert capsys.readouterr().out == f"Saved TorchScript at '{path}'.\n"


def test_errors(tmp_path):
    model = Sequential([Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="is a `.pt` file"):
        model.export(tmp_path / "m.pt2", format="torchscript")
    (tmp_path / "m.pt").write_bytes(b"old")
    with pytest.raises(NotImplementedError, match="Python code"):
        model = Sequential([Input((3,)), layers.Lambda(lambda x: x + 1)])
        model.export(tmp_path / "m.pt", format="torchscript")
    assert (tmp_path / "m.pt").read_bytes() == b"old"
