"""Images: what Keras's tests do not see."""

import numpy as np
import pytest
import torch

from torchkeras.preprocessing import image as faces
from torchkeras.utils import array_to_img, images, img_to_array, load_img, save_img


def test_tensors_that_require_gradients_and_bfloat16():
    x = torch.linspace(0, 1, 12).reshape(2, 2, 3)
    plain = np.asarray(array_to_img(x))
    np.testing.assert_array_equal(np.asarray(array_to_img(x.requires_grad_())), plain)
    assert np.abs(np.asarray(array_to_img(x.bfloat16())).astype(int) - plain).max() <= 2


def test_the_given_array_is_left_alone():
    x = np.random.default_rng(0).uniform(0, 9, (3, 3, 3)).astype("float32")
    before = x.copy()
    array_to_img(x)
    np.testing.assert_array_equal(x, before)


def test_a_file_object_needs_a_format(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        save_img(file, np.zeros((2, 3, 3)), file_format="jpg")
    assert load_img(tmp_path / "x").size == (3, 2)


def test_a_loaded_image_does_not_keep_its_file_open(tmp_path):
    path = tmp_path / "x.png"
    save_img(path, np.zeros((2, 3, 3)))
    image = load_img(path)
    path.unlink()
    assert img_to_array(image).shape == (2, 3, 3)


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        array_to_img(np.zeros((2, 2, 3)))


def test_nearest_name_of_an_interpolation(tmp_path):
    save_img(tmp_path / "x.png", np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="bilinear"):
        load_img(tmp_path / "x.png", target_size=(4, 4), interpolation="bilnear")


def test_the_older_path_has_the_same_functions():
    assert all(getattr(faces, name) is getattr(images, name) for name in images.__all__)
