"""The table of Keras's names, and what leads where no module of ours has a name."""

import importlib

import numpy as np
import pytest

from torchkeras.dropin import sources
from torchkeras.dropin.absent import is_absent

pytestmark = pytest.mark.usefixtures("installed")


def test_modules_and_names():
    assert sources.has_module("layers.core.dense") and not sources.has_module("layers.core.dens")
    assert {"Dense", "_int8_build", "ops"} - {"_int8_build"} <= sources.names("layers.core.dense")
    assert sources.names("no.module") == frozenset()
    public = sources.public_names("layers.attention.multi_head_attention")
    assert public == sorted(public) and "_build_proj_equation" not in public
    assert "_build_proj_equation" in sources.names("layers.attention.multi_head_attention")


def test_imports_lead_to_what_they_import():
    from_package = importlib.import_module("keras.src.layers.layer")
    assert sources.find("layers.core.dense", "ops") is importlib.import_module("keras.src.ops")
    assert sources.find("layers.core.dense", "Layer") is from_package.Layer
    assert sources.find("ops.numpy", "np") is np


def test_another_engine_leads_to_torch():
    torch_side = importlib.import_module("keras.src.backend.torch.numpy")
    assert sources.find("backend.jax.numpy", "einsum") is torch_side.einsum
    lost = sources.find("backend.jax.trainer", "JAXTrainer")
    with pytest.raises(NotImplementedError, match="belongs to another engine; torch is the only"):
        lost()


def test_what_has_no_equivalent_is_a_placeholder():
    lost = sources.find("applications.vgg16", "WEIGHTS_PATH")
    assert is_absent(lost) and repr(lost) == (
        "<no equivalent of keras.src.applications.vgg16.WEIGHTS_PATH>"
    )
    with pytest.raises(NotImplementedError, match="no equivalent of this internal name"):
        lost + "/x"


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(sources, "_table", lambda: {"a": {"imports": {"no_such_package": "thing"}}})
    sources._module.cache_clear()
    try:
        lost = sources.find("a", "thing")
    finally:
        sources._module.cache_clear()
    with pytest.raises(NotImplementedError, match=r"install the package `no_such_package`"):
        lost()


def test_star_imports_of_other_engines():
    names = {}
    exec("from keras.src.backend.tensorflow import *\n", names)
    exec("from keras.src.backend.tensorflow.numpy import *\n", names)
    assert names["einsum"] is importlib.import_module("keras.src.backend.torch.numpy").einsum
