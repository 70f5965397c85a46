"""Pictures of models where what draws them is not installed; the pictures: `compat_tests`."""

import sys

import pytest

from torchkeras import Input, Sequential, layers, utils


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    return Sequential([Input((2,)), layers.Dense(1)])


@pytest.mark.parametrize("function", ["model_to_dot", "plot_model"])
def test_without_pydot(model, function):
    with pytest.raises(ImportError, match=f"pip install pydot.*{function}"):
        getattr(utils, function)(model)


def test_a_notebook_goes_on_without_pydot(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython.core.magics.namespace", sys)
    assert utils.plot_model(model) is None
    assert "pip install pydot" in capsys.readouterr().out
