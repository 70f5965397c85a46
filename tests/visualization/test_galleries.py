"""Galleries: what matplotlib is given to draw."""

import numpy as np
import pytest
import torch

from torchkeras.visualization import (
    plot_bounding_box_gallery,
    plot_image_gallery,
    plot_segmentation_mask_gallery,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = (
    matplotlib.pyplot if hasattr(matplotlib, "pyplot") else pytest.importorskip("matplotlib.pyplot")
)

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), "uint8")
BOXES = {"boxes": np.full((5, 1, 4), [1, 1, 4, 4]), "labels": np.zeros((5, 1), int)}


@pytest.fixture
def drawn():
    """Draw without showing; returns the images of the figure, `None` where a place is empty."""

    def draw(function, *args, **kwargs):
        function(*args, show=False, **kwargs)
        places = plt.gcf().axes
        return [place.images[0].get_array() if place.images else None for place in places]

    yield draw
    plt.close("all")


def test_all_images_have_a_place(drawn):
    shown = drawn(plot_image_gallery, IMAGES)
    assert len(shown) == 6 and shown[5] is None
    for image, expected in zip(shown, IMAGES, strict=False):
        np.testing.assert_array_equal(image, expected)
    assert len(drawn(plot_image_gallery, IMAGES, rows=1)) == 5
    assert len(drawn(plot_image_gallery, IMAGES, cols=2)) == 6
    assert len(drawn(plot_image_gallery, IMAGES, rows=1, cols=2)) == 2


@pytest.mark.parametrize("low, high", [(0, 1), (-1, 1)])
def test_ranges_of_values(drawn, low, high):
    images = torch.tensor([low, (low + high) / 2, high]).reshape(3, 1, 1, 1).expand(3, 2, 2, 3)
    shown = drawn(plot_image_gallery, images, value_range=(low, high))
    assert [int(image[0, 0, 0]) for image in shown[:3]] == [0, 127, 255]


def test_layouts_and_gray_images(drawn):
    shown = drawn(plot_image_gallery, IMAGES.transpose(0, 3, 1, 2), data_format="channels_first")
    np.testing.assert_array_equal(shown[0], IMAGES[0])
    np.testing.assert_array_equal(drawn(plot_image_gallery, IMAGES[..., :1])[0], IMAGES[0, ..., 0])


def test_titles(drawn):
    names = {0: "cat", 1: "dog"}
    drawn(
        plot_image_gallery, IMAGES[:2], y_true=[0, 1], y_pred=torch.tensor([1, 7]), label_map=names
    )
    titles = [place.get_title() for place in plt.gcf().axes]
    assert titles == ["Label: cat  Pred: dog", "Label: dog  Pred: Unknown"]
    with pytest.raises(ValueError, match="`label_map` must be given"):
        plot_image_gallery(IMAGES, y_true=[0] * 5)


def test_files(tmp_path):
    plot_image_gallery(IMAGES, path=tmp_path / "g.png")
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    assert not plt.get_fignums()
    with pytest.raises(ValueError, match="not both"):
        plot_image_gallery(IMAGES, path=tmp_path / "g.png", show=True)
    with pytest.raises(ValueError, match="must be batched 4D"):
        plot_image_gallery(IMAGES[0])


def test_boxes(drawn):
    shown = drawn(
        plot_bounding_box_gallery,
        np.zeros((5, 6, 6, 3)),
        "xyxy",
        y_true=BOXES,
        value_range=(0, 1),
        line_thickness=1,
        legend=True,
    )
    assert shown[0][1, 1].tolist() == [0, 188, 212] and not shown[0][0].any()
    labels = [text.get_text() for text in plt.gcf().legends[0].get_texts()]
    assert labels == ["Ground Truth", "Prediction"]
    shown = drawn(plot_bounding_box_gallery, IMAGES, "xyxy", y_true=BOXES, y_pred=BOXES)
    assert shown[0][1, 1].tolist() == [255, 235, 59]  # those predicted are on top
    with pytest.raises(ValueError, match="not both"):
        plot_bounding_box_gallery(IMAGES, "xyxy", legend=True, legend_handles=[1])


def test_masks(drawn):
    masks = np.zeros((5, 6, 6), "int32")
    masks[:, :3] = 1
    colors = {1: (9, 8, 7)}
    shown = drawn(
        plot_segmentation_mask_gallery,
        IMAGES,
        1,
        y_true=masks,
        y_pred=masks[..., None].astype("float32"),
        color_mapping=colors,
        alpha=1.0,
    )
    assert len(shown) == 15
    np.testing.assert_array_equal(shown[3], IMAGES[1])
    for image in shown[4:6]:
        assert (image[:3] == [9, 8, 7]).all()
        np.testing.assert_array_equal(image[3:], IMAGES[1, 3:])
