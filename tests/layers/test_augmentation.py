"""Image layers: what goes along with images, randomness, errors, and life inside models."""

import random

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras import layers
from torchkeras.layers.augmentation import BaseImagePreprocessingLayer, as_interval
from torchkeras.layers.bounding_boxes import densify_bounding_boxes


def colored(batch=4, height=8, width=10, seed=0):
    x = np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3))
    return torch.tensor(x, dtype=torch.float32)


RANDOM = {
    "AugMix": {},
    "CutMix": {},
    "MixUp": {},
    "RandAugment": {"num_ops": 4},
    "RandomBrightness": {"factor": 0.9},
    "RandomColorDegeneration": {"factor": 0.9},
    "RandomColorJitter": {"brightness_factor": 0.9, "hue_factor": 0.9},
    "RandomContrast": {"factor": 0.9},
    "RandomCrop": {"height": 3, "width": 4},
    "RandomElasticTransform": {},
    "RandomErasing": {"fill_value": 3.0},
    "RandomGaussianBlur": {"factor": (0.5, 0.5)},
    "RandomHue": {"factor": 0.9},
    "RandomPerspective": {"factor": (1.0, 1.0)},
    "RandomPosterization": {"factor": 8},
    "RandomRotation": {"factor": 0.4},
    "RandomSaturation": {"factor": 0.9},
    "RandomSharpness": {"factor": 0.9},
    "RandomShear": {"x_factor": 0.9, "y_factor": 0.9},
    "RandomTranslation": {"height_factor": 0.9, "width_factor": 0.9},
    "RandomZoom": {"height_factor": 0.9},
    "Solarization": {"addition_factor": 0.5, "threshold_factor": 0.5},
}
# Drawn once for a batch; mixing needs different images.
SHARED = ("AugMix", "CutMix", "MixUp", "RandAugment", "RandomCrop")


def made(name, **options):
    return getattr(layers, name)(**RANDOM[name], **options)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    x = colored()
    first, again, other = made(name, seed=1), made(name, seed=1), made(name, seed=2)
    random.seed(0)
    results = [first(x) for _ in range(4)]
    random.seed(0)
    assert all(torch.equal(result, again(x)) for result in results)
    assert any(not torch.equal(results[0], result) for result in results[1:])
    random.seed(0)
    assert any(not torch.equal(result, other(x)) for result in results)
    keras.utils.set_random_seed(3)
    unseeded = made(name)(x)
    keras.utils.set_random_seed(3)
    assert torch.equal(made(name)(x), unseeded)


@pytest.mark.parametrize("name", [name for name in RANDOM if name not in SHARED])
def test_each_image_is_changed_on_its_own(name):
    changed = made(name, seed=3)(colored(1).expand(20, -1, -1, -1))
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 1


@pytest.mark.parametrize("name", RANDOM)
def test_inference_changes_nothing(name):
    x = colored()
    layer = made(name)
    assert torch.equal(layer(x, training=False), x)
    model = keras.Sequential([layer])
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)


@pytest.mark.parametrize("name", RANDOM)
def test_inferring_shapes_draws_nothing(name):
    layer = made(name, seed=4)
    before = [variable.tolist() for variable in layer.variables]
    state = random.getstate()
    shape = layer(keras.Input((8, 10, 3))).shape
    assert shape == layer.compute_output_shape((None, 8, 10, 3))
    assert [variable.tolist() for variable in layer.variables] == before
    assert random.getstate() == state


def test_about_half_of_the_images_are_flipped():
    x = torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1).expand(400, -1, -1, -1)
    flipped = layers.RandomFlip("horizontal", seed=0)(x)[:, 0, 0, 0].mean()
    assert 0.4 < flipped < 0.6  # 4 standard deviations


def test_erased_boxes_have_the_asked_area():
    layer = layers.RandomErasing((1.0, 1.0), scale=(0.25, 0.25), fill_value=1.0, seed=0)
    erased = layer(torch.zeros(50, 64, 64, 1)).mean((1, 2, 3))
    # Each side is half of the image's, up to a row or column.
    assert ((erased - 0.25).abs() < 2 / 64).all()


# What goes along --------------------------------------------------------------------------------


def everything(box_format="xyxy"):
    boxes = torch.tensor([[1.0, 2.0, 4.0, 5.0]]).expand(4, 1, 4).contiguous()
    return {
        "images": colored(),
        "labels": torch.eye(4),
        "bounding_boxes": {"boxes": boxes, "labels": torch.ones(4, 1, dtype=torch.int32)},
        "segmentation_masks": (colored(seed=1)[..., :1] > 128).float(),
    }


def test_all_parts_move_together():
    data = everything()
    data["images"] = torch.zeros(4, 8, 10, 1)
    data["images"][:, 2:5, 1:4] = 9.0  # what the box is around
    data["segmentation_masks"] = data["images"] / 9
    for layer in (
        layers.RandomFlip(seed=1, bounding_box_format="xyxy"),
        layers.RandomTranslation((0.25, 0.25), (0.4, 0.4), "constant", bounding_box_format="xyxy"),
        layers.RandomCrop(6, 7, seed=0, bounding_box_format="xyxy"),
        layers.RandomRotation((0.5, 0.5), "constant", bounding_box_format="xyxy"),
        layers.CenterCrop(6, 8, bounding_box_format="xyxy"),
    ):
        result = layer(data)
        boxes = result["bounding_boxes"]["boxes"][:, 0].round().int().tolist()
        for image, mask, (left, top, right, bottom) in zip(
            result["images"], result["segmentation_masks"], boxes, strict=True
        ):
            inside = image[top:bottom, left:right]
            name = type(layer).__name__
            turned = name == "RandomRotation"  # boxes turn about the middle of pixels
            assert inside.sum() >= 9.0 * (4 if turned else inside.numel()) - 1e-3, name
            assert image.sum() - inside.sum() <= 9.0 * (5 if turned else 0) + 1e-3, name
            assert ((mask == 0) | (mask == 1)).all(), name
        assert torch.equal(result["labels"], data["labels"])


def test_the_callers_data_stay():
    data = everything()
    before = {**data, "bounding_boxes": dict(data["bounding_boxes"])}
    images = data["images"].clone()
    for layer in (
        layers.RandomFlip(bounding_box_format="xyxy"),
        layers.RandomBrightness((0.9, 0.9), bounding_box_format="xyxy"),
        layers.RandAugment(bounding_box_format="xyxy"),
        layers.MaxNumBoundingBoxes(3, bounding_box_format="xyxy"),
    ):
        layer(data)
        assert data.keys() == before.keys()
        assert all(data[key] is before[key] for key in ("images", "labels", "segmentation_masks"))
        assert data["bounding_boxes"]["boxes"] is before["bounding_boxes"]["boxes"]
    assert torch.equal(data["images"], images)


def test_one_image_with_all_parts():
    data = everything()
    one = {
        key: {k: v[0] for k, v in value.items()} if isinstance(value, dict) else value[0]
        for key, value in data.items()
    }
    layer = layers.RandomZoom((0.2, 0.2), seed=1, bounding_box_format="xyxy")
    result, batch = layer(one), layer(data)
    assert torch.allclose(result["images"], batch["images"][0])
    assert torch.allclose(
        result["bounding_boxes"]["boxes"], batch["bounding_boxes"]["boxes"][0], atol=1e-5
    )
    assert result["bounding_boxes"]["labels"].shape == (1,)
    assert result["labels"].shape == (4,)
    assert result["segmentation_masks"].shape == (8, 10, 1)


def test_masks_are_distorted_as_images():
    images = (colored(2, 40, 40) > 128).float()
    options = {"scale": (1.0, 1.0), "interpolation": "nearest"}
    layer = layers.RandomElasticTransform((1.0, 1.0), **options, seed=2)
    result = layer({"images": images, "segmentation_masks": images})
    assert torch.equal(result["images"], result["segmentation_masks"])
    assert not torch.equal(result["images"], images)


def test_mixed_masks_and_labels():
    data = {key: everything()[key] for key in ("images", "labels", "segmentation_masks")}
    data["labels"] = torch.arange(4.0)  # of rank 1
    layer = layers.MixUp(seed=0)
    drawn = layer.get_random_transformation(data)
    labels = layer.transform_labels(data["labels"], drawn)
    weight, order = drawn["mix_weight"], drawn["permutation_order"]
    assert torch.allclose(labels, weight * data["labels"] + (1 - weight) * order)
    masks = layer.transform_segmentation_masks(data["segmentation_masks"], drawn)
    assert masks.shape == data["segmentation_masks"].shape


def test_boxes_of_other_formats_are_turned_too():
    turned = {}
    for box_format in ("xyxy", "rel_xywh"):
        layer = layers.RandomRotation(0.2, seed=5, bounding_box_format=box_format)
        convert = keras.utils.bounding_boxes.convert_format
        size = {"height": 8, "width": 10}
        boxes = convert(everything()["bounding_boxes"], "xyxy", box_format, **size)
        result = layer({"images": colored(), "bounding_boxes": boxes})
        turned[box_format] = convert(result["bounding_boxes"], box_format, "xyxy", **size)["boxes"]
    assert torch.allclose(turned["xyxy"], turned["rel_xywh"], atol=1e-4)


def test_perspective_boxes_are_of_the_layers_format():
    layer = layers.RandomPerspective((1.0, 1.0), scale=0.0, bounding_box_format="rel_yxyx")
    boxes = {"boxes": torch.tensor([[[0.1, 0.2, 0.3, 0.4]]]), "labels": torch.ones(1, 1)}
    result = layer({"images": colored(1), "bounding_boxes": boxes})
    assert torch.allclose(result["bounding_boxes"]["boxes"], boxes["boxes"], atol=1e-5)


def test_lists_of_boxes():
    ragged = {"boxes": [[[0, 0, 1, 1], [1, 1, 2, 2]], [[3, 3, 4, 4]]], "labels": [[1, 2], [3]]}
    dense = densify_bounding_boxes(ragged, is_batched=True)
    assert dense["boxes"].tolist()[1] == [[3, 3, 4, 4], [0, 0, 0, 0]]
    assert dense["labels"].tolist() == [[1, 2], [3, -1]]
    one = densify_bounding_boxes({"boxes": ragged["boxes"][0], "labels": [1, 2]}, max_boxes=3)
    assert one["boxes"].shape == (3, 4)
    assert one["labels"].tolist() == [1, 2, -1]
    arrays = {"boxes": [np.ones((2, 4)), np.ones((1, 4))], "labels": [np.ones(2), np.ones(1)]}
    assert densify_bounding_boxes(arrays)["boxes"].shape == (2, 2, 4)


# Policies ---------------------------------------------------------------------------------------


def test_rand_augment_calls_only_what_is_drawn(monkeypatch):
    layer, called = layers.RandAugment(num_ops=3, seed=0), []
    for name in layer._AUGMENT_LAYERS:
        inner = getattr(layer, name)

        def noted(x, *args, name=name, transform=inner.transform_images, **kwargs):
            called.append(name)
            return transform(x, *args, **kwargs)

        monkeypatch.setattr(inner, "transform_images", noted)
    drawn = layer.get_random_transformation(colored())
    layer.transform_images(colored(), drawn)
    assert called == [layer._AUGMENT_LAYERS[i] for i in drawn["layer_idxes"].tolist()]


def test_pipeline_passes_training_and_masks():
    seen = {}

    class Noting(keras.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True

        def call(self, x, training=False, mask=None):
            seen.update(training=training, mask=mask)
            return x

    pipeline = keras.layers.Pipeline([Noting()])
    with pytest.warns(UserWarning, match="does not support masking"):
        pipeline(torch.ones(2), training=True, mask=torch.ones(2))
    assert seen["training"] is True and seen["mask"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="list of configs under `layers`"):
        keras.layers.Pipeline.from_config({"layers": None})


# Users' layers ----------------------------------------------------------------------------------


class Blue(BaseImagePreprocessingLayer):
    """A user's layer that keeps blue where chance says so."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.interpolation = "bilinear"

    def get_random_transformation(self, data, training=True, seed=None):
        return self.backend.random.uniform((4, 1, 1, 1), seed=self._get_seed_generator()) < 0.5

    def _transform_images(self, images, transformation, interpolation):
        blue = self.backend.numpy.multiply(images, np.float32([0, 0, 1]))
        return self.backend.numpy.where(transformation, blue, images)

    def transform_labels(self, labels, transformation, training=True):
        return labels + 1


def test_users_layers():
    layer = Blue(seed=1, factor=0.5)
    assert layer.factor == (-0.5, 0.5)
    data = {"images": colored(), "labels": np.zeros(4)}
    result = layer(data)
    gone = (result["images"][..., :2] == 0).flatten(1).all(1)
    assert gone.any() and not gone.all()
    assert result["labels"].tolist() == [1] * 4
    assert layer.transform_labels(np.zeros(2), None).tolist() == [1, 1]
    with pytest.raises(NotImplementedError, match="Blue 'blue.*transform_bounding_boxes"):
        boxes = everything()["bounding_boxes"]
        Blue(bounding_box_format="xyxy")({**data, "bounding_boxes": boxes})
    again = Blue.from_config(layer.get_config())
    assert again.factor == (-0.5, 0.5) and again.seed == 1


# In models --------------------------------------------------------------------------------------


def test_files(tmp_path):
    model = keras.Sequential(
        [keras.Input((8, 10, 3)), layers.RandAugment(seed=3), layers.RandomFlip(seed=4)]
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert torch.equal(again(colored(), training=True), model(colored(), training=True))


def test_training_with_augmentation():
    inputs = keras.Input((8, 10, 3))
    x = layers.RandomContrast(0.5, seed=1)(layers.RandomFlip(seed=1)(inputs))
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    model.compile("sgd", "mse")
    x = colored() / 255
    model.fit(x, np.zeros((4, 1)), epochs=2, verbose=0)
    a, b = model.predict(x, verbose=0), model.predict(x, verbose=0)
    np.testing.assert_array_equal(a, b)
    assert model.evaluate(x, a, verbose=0) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", RANDOM)
def test_half_precision(name):
    result = made(name, dtype="mixed_float16")(colored() / 255)
    assert result.dtype is torch.float16
    assert result.isfinite().all()


def test_bytes_become_floats():
    x = colored().to(torch.uint8)
    for layer in (layers.RandomBrightness(0.5), layers.RandomFlip(), layers.CenterCrop(4, 4)):
        assert layer(x).dtype is layer(x, training=False).dtype is torch.float32
    assert layers.Resizing(4, 4)(x).dtype is torch.uint8


# Errors -----------------------------------------------------------------------------------------

REFUSED = {
    "factor": (lambda: layers.RandomBrightness(2.0), "factor=2.0"),
    "factor of one": (lambda: layers.RandomBrightness([0.1]), "factor=[0.1]"),
    "no number": (lambda: layers.RandomContrast("a lot"), "factor=a lot"),
    "range": (lambda: layers.RandomBrightness(0.1, value_range=[1]), "value_range=[1]"),
    "gray": (lambda: layers.RandomGrayscale(1.5), "factor=1.5"),
    "bits": (lambda: layers.RandomPosterization(9), "[1, 8]"),
    "even": (lambda: layers.RandomGaussianBlur(kernel_size=4), "kernel_size=4"),
    "sigma": (lambda: layers.RandomGaussianBlur(sigma=2), "sigma=2"),
    "addition": (lambda: layers.Solarization(addition_factor=1.5), "addition_factor=1.5"),
    "shear": (lambda: layers.RandomShear(x_factor=-0.5), "x_factor=-0.5"),
    "shift": (lambda: layers.RandomTranslation(0.1, (0.1, 2)), "width_factor=(0.1, 2)"),
    "zoom": (lambda: layers.RandomZoom(-1.0), "(-1.0, 1.0]"),
    "corners": (lambda: layers.RandomPerspective(scale=2.0), "scale=2.0"),
    "filling": (lambda: layers.RandomErasing(fill_value=(1, 2)), "fill_value=(1, 2)"),
    "no factor": (lambda: layers.Resizing(2, 2, factor=1.0), "factor=1.0"),
    "rank": (lambda: layers.RandomFlip()(np.ones((4, 4))), "images.shape=(4, 4)"),
    "channels": (lambda: layers.RandomHue(0.1)(np.ones((4, 4, 2))), "2 channels"),
    "format": (
        lambda: layers.RandomFlip()(everything()),
        "give the constructor one, such as bounding_box_format='xyxy'",
    ),
    "boxes": (
        lambda: layers.RandomFlip(bounding_box_format="xyxy")(
            {"images": colored(), "bounding_boxes": {"boxes": torch.ones(4, 1, 4)}}
        ),
        "'boxes' and 'labels'",
    ),
    "labels": (
        lambda: densify_bounding_boxes({"boxes": torch.ones(4, 1, 4), "labels": torch.ones(4)}),
        "labels.shape=(4,)",
    ),
    "lists": (
        lambda: densify_bounding_boxes({"boxes": [[[0, 0, 1, 1]]], "labels": []}),
        "1 boxes, labels=[]",
    ),
    "four": (lambda: keras.utils.bounding_boxes.convert_format([1.0], "xyxy", "xywh"), "(1,)"),
    "source": (
        lambda: keras.utils.bounding_boxes.convert_format(np.ones(4), "xyyx", "xywh"),
        "'xyyx'",
    ),
    "iou": (
        lambda: keras.utils.bounding_boxes.compute_iou(np.ones(4), np.ones((1, 4)), "xyxy"),
        "boxes1.shape=(4,)",
    ),
    "size of images": (
        lambda: keras.utils.bounding_boxes.compute_iou(
            np.ones((1, 4)), np.ones((1, 4)), "rel_xyxy"
        ),
        "'rel_xyxy'",
    ),
    "variance": (
        lambda: keras.utils.bounding_boxes.encode_box_to_deltas(
            np.ones((1, 4)), np.ones((1, 4)), "xyxy", "xyxy", variance=[1, 2]
        ),
        "(2,)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_errors_say_what_was_given(what):
    call, text = REFUSED[what]
    with pytest.raises(ValueError) as raised:
        call()
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: layers.RandomRotation(0.1, fill_mode="edge"), "`fill_mode` edge"),
        (lambda: layers.RandomZoom(0.1, interpolation="bicubic"), "`interpolation` bicubic"),
        (lambda: layers.RandomElasticTransform(fill_mode="edge"), "`fill_mode` edge"),
        (lambda: layers.CutMix(bounding_box_format="xyxy")(everything()), "CutMix 'cut_mix"),
        (
            lambda: layers.RandomElasticTransform(bounding_box_format="xyxy")(everything()),
            "leave the part out",
        ),
        (
            lambda: keras.utils.bounding_boxes.crop(np.ones(4), 0, 0, 1, 1, "xywh"),
            "convert the boxes",
        ),
    ],
)
def test_what_is_not_implemented(call, text):
    with pytest.raises(NotImplementedError) as raised:
        call()
    assert text in str(raised.value)


def test_intervals():
    assert as_interval((0.5, -0.5), "x", -1, 1) == (-0.5, 0.5)
    assert as_interval(0.5, "x", 0, 1, symmetric=False) == (0, 0.5)
    assert as_interval(-0.5, "x", -1, 1) == (-0.5, 0.5)
    # Equal ends keep their order and kinds: a config is read as it was written.
    assert str(as_interval((0, 0.0), "x", 0, 1)) == "(0, 0.0)"
