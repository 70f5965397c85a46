"""`applications`: names loaded on use, trained weights, and what differs from Keras.

Structure and numbers are compared with Keras's in `compat_tests/test_applications.py`.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras import applications
from torchkeras.applications import _builder, imagenet_utils
from torchkeras.applications.convnext import LayerScale, StochasticDepth
from torchkeras.applications.inception_resnet_v2 import CustomScaleLayer

TINY = {"alpha": 0.25, "include_top": False, "input_shape": (128, 128, 3)}


def test_a_family_is_loaded_on_first_use():
    code = (
        "import sys, torchkeras\n"
        "count = lambda: sum(n.startswith('torchkeras.applications.') for n in sys.modules)\n"
        "torchkeras.applications; print(count())\n"
        "torchkeras.applications.VGG16; print('torchkeras.applications.nasnet' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]


def test_every_name_is_there():
    assert set(applications.__all__) == {*applications._FAMILIES, *applications._HOMES}
    for name in applications.__all__:
        assert getattr(applications, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'VGG17'"):
        _ = applications.VGG17


@pytest.mark.parametrize("name", applications._HOMES)
def test_every_network_is_described(name):
    build, home = getattr(applications, name), applications._HOMES[name]
    assert (build.__name__, build.__module__) == (name, f"{applications.__name__}.{home}")
    arguments = build.__code__.co_varnames[: build.__code__.co_argcount]
    assert all(f"\n    {argument}: " in build.__doc__ for argument in arguments)
    assert "arXiv:" in build.__doc__


@pytest.fixture
def storage(tmp_path, monkeypatch):
    """Stand in for Keras's storage by a folder."""
    folder = tmp_path / "storage"
    folder.mkdir()
    monkeypatch.setattr(_builder, "_STORAGE", folder.as_uri())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return folder


def test_trained_weights_are_downloaded(storage, tmp_path):
    source = applications.MobileNet(weights=None, **TINY)
    (storage / "mobilenet").mkdir()
    source.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "w.weights.h5").rename(storage / "mobilenet" / "mobilenet_2_5_128_tf_no_top.h5")
    model = applications.MobileNet(**TINY)
    for a, b in zip(model.weights, source.weights, strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "home" / "models" / "mobilenet_2_5_128_tf_no_top.h5").is_file()


def test_a_download_with_another_hash_is_refused(storage):
    folder = storage / "mobilenet_v3"
    folder.mkdir()
    (folder / "weights_mobilenet_v3_small_224_1.0_float.h5").write_bytes(b"something else")
    with torch.device("meta"), pytest.raises(ValueError, match="hash"):
        applications.MobileNetV3Small(input_shape=(224, 224, 3))


@pytest.mark.parametrize(("name", "least"), [("MobileNet", 128), ("MobileNetV2", 96)])
def test_a_size_without_trained_weights_is_said(name, least, monkeypatch):
    asked = []
    monkeypatch.setattr(_builder, "get_file", lambda name, *a, **k: asked.append(name))
    monkeypatch.setattr(torchkeras.Model, "load_weights", lambda model, path: None)
    with torch.device("meta"), pytest.warns(UserWarning, match=f"sizes {least}.* 192, 224: those"):
        model = getattr(applications, name)(include_top=False, input_shape=(64, 64, 3))
    assert "224" in asked[0]
    assert model.name.endswith("_224")


def test_a_name_of_your_own_changes_nothing_else():
    with torch.device("meta"):
        models = [applications.EfficientNetV2B0(weights=None, name=name) for name in (None, "mine")]
    assert models[1].name == "mine"
    assert [type(a) for a in models[0].layers] == [type(a) for a in models[1].layers]


def test_nasnet_for_unknown_sizes_computes_what_that_for_known_ones_does():
    size = 65  # all halvings of which are even
    free, fixed = (
        applications.NASNetMobile(weights=None, include_top=False, input_shape=(n, n, 3))
        for n in (None, size)
    )
    fixed.set_weights(free.get_weights())
    x = torch.rand(1, size, size, 3)
    assert torch.equal(free(x), fixed(x))


def test_tensors_are_not_overwritten_and_need_not_be_floats():
    x = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)
    y = imagenet_utils.preprocess_input(x, mode="tf")
    assert y.dtype == torch.float32
    assert y.unique().tolist() == [1.0]
    leaf = torch.rand(1, 2, 2, 3, requires_grad=True)
    imagenet_utils.preprocess_input(leaf, mode="torch").sum().backward()
    assert leaf.grad is not None


def test_caffe_turns_the_channels_round():
    x = np.zeros((1, 1, 3)) + [1.0, 2.0, 3.0]
    assert np.allclose(imagenet_utils.preprocess_input(x), [[[-100.939, -114.779, -122.68]]])


def test_stochastic_depth_drops_whole_samples():
    layer = StochasticDepth(0.25)
    y = layer(torch.ones(4000, 2), training=True)
    assert (y[:, 0] == y[:, 1]).all()
    assert sorted({round(value, 4) for value in y[:, 0].tolist()}) == [0.0, 1.3333]
    # three standard deviations of the mean of 4000 draws
    assert y.mean().item() == pytest.approx(1, abs=3 * (1 / 3 / 4000) ** 0.5)


@pytest.mark.parametrize("layer", [LayerScale(0.1, 3), StochasticDepth(0.5), CustomScaleLayer(2.0)])
def test_the_families_own_layers_do_not_look_at_numbers(layer):
    with torch.device("meta"):
        layer = type(layer).from_config(layer.get_config())
        x = torch.rand(2, 3, requires_grad=True)
        y = layer([x, x]) if isinstance(layer, CustomScaleLayer) else layer(x)
        y.sum().backward()
    assert x.grad.shape == x.shape
    assert y.device.type == "meta"


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"weights": "gone.h5"}, "path of an existing file"),
        ({"weights": "imagenet", "classes": 3}, "put a classifier of your own on the model"),
        ({"weights": None, "input_shape": (8, 8, 3)}, "at least 32x32"),
        ({"weights": None, "input_shape": (None, None, 3)}, "all sizes of `input_shape`"),
    ],
)
def test_errors_say_what_to_do(kwargs, words):
    with pytest.raises(ValueError, match=words):
        applications.ResNet50(**kwargs)
