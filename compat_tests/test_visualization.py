"""`keras.visualization` against Keras: masks, and boxes where OpenCV is installed."""

import keras
import numpy as np
import pytest

import torchkeras

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, 9, 11, 3), "uint8")
MASKS = RNG.integers(-1, 4, (2, 9, 11, 1))
COLORS = {i: tuple(RNG.integers(0, 256, 3).tolist()) for i in range(5)}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.3},
        {"color_mapping": COLORS},
        {"color_mapping": COLORS, "ignore_index": 2},
        {"blend": False},
    ],
)
def test_masks(options):
    # Keras leaves out the class `num_classes`, which its documentation counts among the classes.
    expected, actual = (
        np.asarray(k.visualization.draw_segmentation_masks(IMAGES, MASKS, 4, **options))
        for k in (keras, torchkeras)
    )
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("thickness", [-1, 1, 2, 3, 4, 5, 8])
def test_boxes(thickness):
    pytest.importorskip("cv2")
    boxes = {
        "boxes": RNG.uniform(-5, 45, (2, 6, 2))[..., [0, 1, 0, 1]]
        + RNG.uniform(0, 20, (2, 6, 4)) * [0, 0, 1, 1],
        "labels": RNG.integers(-1, 3, (2, 6)),
    }
    images = RNG.uniform(0, 1, (2, 40, 50, 3)).astype("float32")
    drawn = [
        k.visualization.draw_bounding_boxes(
            images, boxes, "xyxy", color=(9, 200, 77), line_thickness=thickness
        )
        for k in (keras, torchkeras)
    ]
    np.testing.assert_array_equal(drawn[1], drawn[0])
