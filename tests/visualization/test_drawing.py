"""Boxes and masks on images: pixels counted by hand, formats, layouts, errors."""

import builtins

import numpy as np
import pytest
import torch

from torchkeras.visualization import draw_bounding_boxes, draw_segmentation_masks


def blank(size=12, count=1, dtype="uint8"):
    return np.zeros((count, size, size, 3), dtype)


def box(*corners, labels=None, **more):
    boxes = np.array([corners], "float32")
    return {"boxes": boxes, "labels": [labels or [0] * len(corners)], **more}


@pytest.mark.parametrize(
    "thickness, rows",
    [
        (1, ["........", "........", "..####..", "..#..#..", "..#..#..", "..####..", "........"]),
        (2, ["........", "..####..", ".######.", ".######.", ".######.", ".######.", "..####.."]),
        (-1, ["........", "........", "..####..", "..####..", "..####..", "..####..", "........"]),
    ],
)
def test_lines(thickness, rows):
    image = draw_bounding_boxes(
        np.zeros((1, 7, 8, 1)), box([2, 2, 5, 5]), "xyxy", line_thickness=thickness
    )
    drawn = ["".join(".#"[int(v > 0)] for v in row) for row in image[0, :, :, 0]]
    assert drawn == rows


@pytest.mark.parametrize(
    "name, values",
    [
        ("yxyx", [2, 3, 7, 9]),
        ("xywh", [3, 2, 6, 5]),
        ("rel_xyxy", [3 / 12, 2 / 12, 9 / 12, 7 / 12]),
    ],
)
def test_formats_of_boxes(name, values):
    expected = draw_bounding_boxes(blank(), box([3, 2, 9, 7]), "xyxy")
    np.testing.assert_array_equal(draw_bounding_boxes(blank(), box(values), name), expected)


def test_boxes_that_are_none_and_boxes_beyond_the_image():
    boxes = box([2, 2, 5, 5], [3, 3, 9, 9], labels=[-1, -1])
    assert not draw_bounding_boxes(blank(), boxes, "xyxy").any()
    beyond = draw_bounding_boxes(blank(), box([-5, -5, 4, 4], [20, 20, 30, 30]), "xyxy")
    assert beyond[0, 0, 4].any() and not beyond[0, 0, 0].any()


def test_images_are_copied_and_scaled():
    image = np.full((1, 4, 4, 3), 0.5, "float32")
    drawn = draw_bounding_boxes(image, box([9, 9, 9, 9]), "xyxy")
    assert drawn.dtype == "uint8" and (drawn == 127).all() and (image == 0.5).all()
    assert (draw_bounding_boxes(image * 512, box([9, 9, 9, 9]), "xyxy") == 255).all()
    image = torch.full((1, 4, 4, 3), 7, dtype=torch.uint8)
    draw_bounding_boxes(image, box([0, 0, 3, 3]), "xyxy")
    assert (image == 7).all()


def test_layouts():
    last = draw_bounding_boxes(blank(), box([2, 3, 8, 9]), "xyxy", color=(1, 2, 3))
    first = draw_bounding_boxes(
        blank().transpose(0, 3, 1, 2),
        box([2, 3, 8, 9]),
        "xyxy",
        color=(1, 2, 3),
        data_format="channels_first",
    )
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))


def test_names_stand_above_boxes_or_in_them():
    pytest.importorskip("PIL")
    names = {0: "Hill"}
    low, high = (
        draw_bounding_boxes(
            blank(100), box([5, y, 90, 95]), "xyxy", class_mapping=names, line_thickness=1
        )[0, :, 7:88, 0]
        for y in (60, 5)
    )
    assert low[35:53].any() and not low[62:94].any()
    assert high[10:40].any() and not high[:4].any()
    sure = box([5, 60, 90, 95], confidences=[[0.75]])
    longer = draw_bounding_boxes(blank(200), sure, "xyxy", class_mapping=names)
    shorter = draw_bounding_boxes(blank(200), box([5, 60, 90, 95]), "xyxy", class_mapping=names)
    assert (longer > 0).sum() > (shorter > 0).sum()
    unnamed = draw_bounding_boxes(blank(200), sure, "xyxy", class_mapping={1: "x"})
    assert not unnamed[0, :58].any()


def test_names_need_pillow(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    draw_bounding_boxes(blank(), box([2, 2, 5, 5]), "xyxy")
    with pytest.raises(ImportError, match="pip install pillow"):
        draw_bounding_boxes(blank(), box([2, 2, 5, 5]), "xyxy", class_mapping={0: "a"})


def test_wrong_boxes():
    with pytest.raises(ValueError, match="must be batched 4D"):
        draw_bounding_boxes(blank()[0], box([2, 2, 5, 5]), "xyxy")
    with pytest.raises(TypeError, match="should be a dict"):
        draw_bounding_boxes(blank(), [[2, 2, 5, 5]], "xyxy")
    with pytest.raises(ValueError, match="'boxes' and 'labels'"):
        draw_bounding_boxes(blank(), {"boxes": [[[2, 2, 5, 5]]]}, "xyxy")


# Masks --------------------------------------------------------------------------------------------

MASK = np.array([[[0, 1, 2], [-1, 2, 9]]])
IMAGE = np.full((1, 2, 3, 3), 100, "uint8")


def test_colors_of_classes():
    colors = {1: (200, 0, 0), 2: (0, 0, 200)}
    drawn = draw_segmentation_masks(IMAGE, MASK, 2, colors, alpha=0.25)
    plain, one, two = [100] * 3, [125, 75, 75], [75, 75, 125]
    assert drawn.tolist() == [[[plain, one, two], [plain, two, plain]]]
    assert drawn.dtype == "uint8"
    drawn = draw_segmentation_masks(IMAGE, MASK, 2, colors, blend=False)
    assert drawn[0, 0].tolist() == [plain, [200, 0, 0], [0, 0, 200]]


def test_colors_by_default_differ():
    drawn = draw_segmentation_masks(IMAGE, MASK, alpha=1.0)
    assert drawn[0, 0, 0].tolist() == [0, 0, 0]
    assert len({tuple(pixel) for pixel in drawn.reshape(-1, 3)}) == 5  # 0, 1, 2, 9 and none


@pytest.mark.parametrize("blend", [True, False])
def test_a_class_to_be_ignored(blend):
    drawn = draw_segmentation_masks(IMAGE, MASK, 2, ignore_index=0, blend=blend)
    assert drawn[0, 0, 0].tolist() == [100] * 3
    assert drawn[0, 0, 1].tolist() != [100] * 3


@pytest.mark.parametrize(
    "masks",
    [MASK[..., None], torch.tensor(MASK), torch.tensor(MASK[..., None], dtype=torch.int8)],
)
def test_shapes_and_types_of_masks(masks):
    expected = draw_segmentation_masks(IMAGE, MASK)
    np.testing.assert_array_equal(draw_segmentation_masks(IMAGE, masks), expected)


def test_masks_of_images_with_channels_first():
    image, masks = IMAGE.transpose(0, 3, 1, 2), MASK[:, None]
    drawn = draw_segmentation_masks(image, masks, data_format="channels_first")
    np.testing.assert_array_equal(drawn, draw_segmentation_masks(IMAGE, MASK))


def test_wrong_masks():
    with pytest.raises(TypeError, match="must be in integer dtype"):
        draw_segmentation_masks(IMAGE, MASK.astype("float32"))
    with pytest.raises(ValueError, match="must be batched 4D"):
        draw_segmentation_masks(IMAGE[0], MASK)
