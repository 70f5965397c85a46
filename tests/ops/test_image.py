"""Ops on images against SciPy and closed forms, and what they refuse."""

import numpy as np
import pytest
import scipy.ndimage
import torch

import torchkeras
from torchkeras import ops
from torchkeras.ops import image
from torchkeras.ops.image_warp import _gathered, compute_homography_matrix, sample
from torchkeras.random import SeedGenerator

# Names of SciPy's for what lies outside.
SCIPY_MODES = {"nearest": "nearest", "wrap": "grid-wrap", "mirror": "mirror", "reflect": "reflect"}


def noise(*shape, dtype="float64"):
    return np.random.default_rng(shape).uniform(0, 9, shape).astype(dtype)


@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("shape", [(7,), (5, 6), (4, 3, 5)], ids=str)
def test_map_coordinates_as_in_scipy(shape, mode):
    x = noise(*shape)
    places = noise(len(shape), 40) * 2 - 6  # also far outside
    expected = scipy.ndimage.map_coordinates(x, places, order=1, mode=SCIPY_MODES[mode])
    actual = image.map_coordinates(x, places, 1, fill_mode=mode)
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)
    expected = scipy.ndimage.map_coordinates(x, places, order=0, mode=SCIPY_MODES[mode])
    np.testing.assert_array_equal(image.map_coordinates(x, places, 0, fill_mode=mode), expected)


@pytest.mark.parametrize("mode", ["constant", *SCIPY_MODES])
def test_batches_are_read_as_arrays_are(mode):
    x = torch.tensor(noise(2, 3, 5, 6))
    positions = [torch.tensor(noise(2, 4, 7) * 2 - 5) for _ in range(2)]
    actual = sample(x, positions, 1, mode, fill_value=2.5)
    for b in range(2):
        for c in range(3):
            places = torch.stack([position[b] for position in positions])
            expected = image.map_coordinates(x[b, c], places, 1, mode, 2.5)
            # Positions relative to the size are rounded twice, at 6 pixels and values up to 9.
            np.testing.assert_allclose(actual[b, c], expected, rtol=1e-9, atol=1e-9)


def test_images_of_one_pixel():
    x = torch.full((1, 1, 1, 1), 3.0)
    positions = [torch.tensor([[[-4.0, 0.0, 5.0]]])] * 2
    for mode in ("nearest", "wrap", "mirror", "reflect"):
        assert sample(x, positions, 1, mode).flatten().tolist() == [3.0] * 3
        assert _gathered(x, positions, 0, mode, 0).flatten().tolist() == [3.0] * 3
    assert sample(x, positions, 1, "constant", 7.0).flatten().tolist() == [7.0, 3.0, 7.0]


def test_affine_transform_turns_by_right_angles():
    x = torch.tensor(noise(2, 5, 5, 3))
    quarter = [0.0, 1.0, 0.0, -1.0, 0.0, 4.0, 0.0, 0.0]  # reads (x, y) at (y, 4 - x)
    for interpolation in ("nearest", "bilinear"):
        turned = image.affine_transform(x, quarter, interpolation)
        np.testing.assert_allclose(turned, np.rot90(x, -1, (1, 2)), rtol=1e-12)


def test_gradients_of_an_affine_transform():
    x = torch.tensor(noise(1, 4, 4, 1), requires_grad=True)
    matrix = torch.tensor([[0.83, 0.11, 0.37, -0.23, 1.07, 0.41, 0, 0]], dtype=torch.float64)
    matrix.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: image.affine_transform(a, b), (x, matrix))


def test_one_transform_for_a_batch_of_images():
    x = torch.tensor(noise(3, 4, 4, 1))
    shift = torch.tensor([1.0, 0, 1.0, 0, 1.0, 0, 0, 0])
    each = image.affine_transform(x, shift.expand(3, 8))
    np.testing.assert_array_equal(image.affine_transform(x, shift), each)
    assert shift.tolist() == [1.0, 0, 1.0, 0, 1.0, 0, 0, 0]


def test_homography_takes_end_points_to_start_points():
    start, end = torch.tensor(noise(2, 4, 2)), torch.tensor(noise(2, 4, 2) + 1)
    m = compute_homography_matrix(start, end).unsqueeze(1).unbind(-1)
    x, y = end.unbind(-1)
    scale = m[6] * x + m[7] * y + 1
    moved = torch.stack([m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5]], -1)
    np.testing.assert_allclose(moved / scale.unsqueeze(-1), start, rtol=1e-8, atol=1e-8)


def test_perspective_with_points_on_a_line_gives_no_error():
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    assert image.perspective_transform(torch.ones(4, 4, 1), line, line).shape == (4, 4, 1)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "bfloat16", "float64"])
def test_dtypes_are_kept(dtype):
    x = ops.cast(noise(2, 12, 12, 3) * 25, dtype)
    identity = [1.0, 0, 0, 0, 1.0, 0, 0, 0]
    corners = [[0, 0], [11, 0], [0, 11], [11, 11]]
    for result in (
        image.affine_transform(x, identity),
        image.affine_transform(x, identity, "nearest", "wrap"),
        image.perspective_transform(x, corners, corners),
        image.elastic_transform(x, alpha=0.0),
        image.resize(x, (12, 12), interpolation="bicubic"),
        image.resize(x, (12, 12), interpolation="lanczos3"),
        image.scale_and_translate(x, x.shape, [1.0, 1.0], [0.0, 0.0], (1, 2), "cubic"),
    ):
        assert result.dtype == x.dtype
        # Only doubles are fine enough to show how weights are rounded.
        np.testing.assert_allclose(result.double(), x.double(), rtol=1e-6 * (dtype == "float64"))
    assert image.gaussian_blur(x).dtype == image.sobel_edges(x).dtype == x.dtype


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos3", "lanczos5"])
def test_scaling_keeps_what_is_constant(method):
    x = torch.full((7, 5), 3.0, dtype=torch.float64)
    for shape, factor in (((14, 10), 2.0), ((3, 2), 0.4)):
        scaled = image.scale_and_translate(x, shape, [factor] * 2, [0.0, 0.0], (0, 1), method)
        np.testing.assert_allclose(scaled, np.full(shape, 3.0), rtol=1e-6)


def test_lanczos_resizes_as_scaling_does():
    x = torch.tensor(noise(1, 6, 8, 2))
    for size in ((12, 5), (3, 16)):
        scale = [size[0] / 6, size[1] / 8]
        for method in ("lanczos3", "lanczos5"):
            expected = image.scale_and_translate(
                x, (1, *size, 2), scale, [0.0, 0.0], (1, 2), method, antialias=False
            )
            np.testing.assert_allclose(image.resize(x, size, method), expected, atol=1e-5)


def test_gaussian_blur_as_in_scipy():
    x = noise(9, 8, 1)
    expected = scipy.ndimage.gaussian_filter(
        x[..., 0], sigma=(0.5, 1.5), mode="constant", radius=(3, 2)
    )
    blurred = image.gaussian_blur(x, (7, 5), sigma=(1.5, 0.5))
    np.testing.assert_allclose(blurred[..., 0], expected, rtol=1e-6)


def test_sobel_edges_as_in_scipy():
    x = noise(2, 5, 6, 3)
    edges = image.sobel_edges(x)
    for i in range(2):
        for channel in range(3):
            for k in (0, 1):
                expected = scipy.ndimage.sobel(x[i, ..., channel], axis=k, mode="constant")
                np.testing.assert_allclose(edges[i, ..., channel, k], expected, atol=1e-10)


def test_similarity():
    x = torch.tensor(noise(2, 3, 20, 20) / 9)
    options = {"data_format": "channels_first", "filter_size": 7}
    same, less = image.ssim(x, x, **options), image.ssim(x, x.flip(-1), **options)
    np.testing.assert_allclose(same, [1.0, 1.0], rtol=1e-9)
    assert (less < 0.5).all()
    np.testing.assert_allclose(image.ssim(x, x.flip(-1), **options)[1], less[1])


def test_elastic_transform_follows_its_seed():
    x = torch.tensor(noise(2, 16, 16, 1))
    first, again = (image.elastic_transform(x, 3.0, 2.0, seed=7) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, image.elastic_transform(x, 3.0, 2.0, seed=8))
    seeds = SeedGenerator(7)
    assert torch.equal(first, image.elastic_transform(x, 3.0, 2.0, seed=seeds))
    assert not torch.equal(first, image.elastic_transform(x, 3.0, 2.0, seed=seeds))
    assert not torch.equal(first[0], first[1])


def test_sizes_that_are_not_known():
    x = torchkeras.KerasTensor((None, None, None, 3))
    assert image.resize(x, (224, 300)).shape == (None, 224, 300, 3)
    crop = image.crop_images(x, 1, 1, target_height=224, target_width=300)
    assert crop.shape == (None, 224, 300, 3)
    pad = image.pad_images(x, 1, 1, target_height=16, target_width=16)
    assert pad.shape == (None, 16, 16, 3)
    assert image.crop_images(x, 1, 1, 1, 1).shape == (None, None, None, 3)


# By TensorFlow 2.21: `tf.image.resize` of the squares of 0 to 4 to 3 and 7 pixels, plain, and of 3
# smoothed.
RESIZED = {
    "keras2_bicubic": (
        [0.17221, 4.0, 14.2436],
        [-0.05816, 0.35997, 1.65414, 4.0, 7.36508, 12.41668, 16.40713],
        [0.16923, 4.19535, 13.33846],
    ),
    "area": ([0.4, 4.4, 13.2], [0.0, 0.6, 1.6, 4.0, 8.0, 11.79999, 16.0], None),
    "gaussian": (
        [0.33924, 4.21301, 13.62529],
        [0.071, 0.61801, 1.83811, 4.21301, 7.75999, 11.89353, 15.503],
        [0.71024, 4.68204, 12.2417],
    ),
    "mitchellcubic": (
        [0.24701, 4.11111, 13.92032],
        [0.0, 0.45435, 1.76417, 4.11111, 7.47846, 12.25632, 16.0],
        [0.40955, 4.42768, 12.81313],
    ),
    "lanczos5": (
        [0.01656, 4.0, 14.48455],
        [-0.00351, 0.13595, 2.07126, 4.0, 6.48448, 12.89858, 16.46972],
        [0.1804, 3.91359, 13.58405],
    ),
}


@pytest.mark.parametrize("mode", RESIZED)
def test_resized_as_by_tensorflow(mode):
    x = (torch.arange(5.0) ** 2).reshape(1, 1, 5, 1)
    smaller, larger, smoothed = RESIZED[mode]
    for size, antialias, expected in ((3, False, smaller), (7, False, larger), (3, True, smoothed)):
        if expected is not None:
            for images, sides in ((x, (1, size)), (x.transpose(1, 2), (size, 1))):
                found = image.resize(images, sides, mode, antialias)
                np.testing.assert_allclose(found.flatten(), expected, atol=2e-5)


def test_smoothing_to_one_column():
    """torch's own kernel fills the column with its first value."""
    x = torch.tensor(noise(2, 5, 4, 3))
    for mode, method in (("bilinear", "linear"), ("bicubic", "cubic")):
        expected = image.scale_and_translate(
            x, (2, 3, 1, 3), [3 / 5, 1 / 4], [0.0, 0.0], (1, 2), method
        )
        np.testing.assert_allclose(image.resize(x, (3, 1), mode, True), expected, atol=1e-5)


IMAGE, BATCH = np.zeros((4, 4, 3), "float32"), np.zeros((2, 4, 4, 3), "float32")
CORNERS = np.float32([[0, 0], [3, 0], [0, 3], [3, 3]])
REFUSED = {
    "rank": (lambda: image.resize(IMAGE[0], (2, 2)), ValueError, "images.shape=(4, 3)"),
    "size": (lambda: image.resize(IMAGE, (2,)), ValueError, "size=(2,)"),
    "negative": (lambda: image.resize(IMAGE, (2, -1)), ValueError, "size=(2, -1)"),
    "mode": (lambda: image.resize(IMAGE, (2, 2), "box"), ValueError, "interpolation='box'"),
    "fill": (lambda: image.resize(IMAGE, (2, 2), fill_mode="wrap"), ValueError, "'wrap'"),
    "channels": (lambda: image.rgb_to_hsv(IMAGE[..., :2]), ValueError, "with 2 channels"),
    "integers": (lambda: image.hsv_to_rgb(IMAGE.astype(int)), ValueError, "float dtype"),
    "transform": (lambda: image.affine_transform(IMAGE, CORNERS[None]), ValueError, "(1, 4, 2)"),
    "affine mode": (
        lambda: image.affine_transform(IMAGE, np.zeros(8), fill_mode="edge"),
        ValueError,
        "fill_mode='edge'",
    ),
    "points": (
        lambda: image.perspective_transform(IMAGE, CORNERS[:3], CORNERS),
        ValueError,
        "start_points.shape=(3, 2)",
    ),
    "both points": (
        lambda: image.perspective_transform(IMAGE, CORNERS, CORNERS[None]),
        ValueError,
        "same shape",
    ),
    "axes": (lambda: image.map_coordinates(IMAGE, CORNERS, 1), ValueError, "len(coordinates)=4"),
    "order": (lambda: image.map_coordinates(IMAGE, np.zeros((3, 1)), 3), NotImplementedError, "3"),
    "method": (
        lambda: image.scale_and_translate(IMAGE, (4, 4, 3), [1.0], [0.0], (0,), "area"),
        ValueError,
        "method='area'",
    ),
    "one image": (lambda: image.sobel_edges(IMAGE), ValueError, "images.shape=(4, 4, 3)"),
    "second": (lambda: image.ssim(IMAGE, IMAGE[0]), ValueError, "image2.shape=(4, 3)"),
    "patches": (lambda: image.extract_patches_3d(BATCH, (2, 2)), TypeError, "size=(2, 2)"),
    "padding": (
        lambda: image.pad_images(IMAGE, 3, 0, target_height=6, target_width=4),
        ValueError,
        "bottom_padding=-1",
    ),
    "cropping": (
        lambda: image.crop_images(IMAGE, 3, 0, target_height=2, target_width=4),
        ValueError,
        "height=4",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_errors_say_what_was_given(what):
    call, kind, text = REFUSED[what]
    with pytest.raises(kind) as raised:
        call()
    assert text in str(raised.value)
