"""Control flow, assertions, files, tables of values and random numbers of the stand-in."""

import io
import sys

import numpy as np
import pytest
import torch

import torchkeras.dropin.tensorflow as tf
from torchkeras.layers import TextVectorization


def test_print(capsys, tmp_path):
    tf.print("loss:", torch.tensor([1.0, 2.0], requires_grad=True), {"a": torch.tensor(1)}, sep="|")
    tf.print("out", output_stream=sys.stdout)
    tf.print("kept", output_stream=f"file://{tmp_path / 'log'}", end="")
    printed = capsys.readouterr()
    assert printed.err.startswith("loss:|[1. 2.]|{'a': ") and printed.out == "out\n"
    assert (tmp_path / "log").read_text() == "kept"


def test_loops():
    i, total = tf.while_loop(
        lambda i, total: i < 5, lambda i, total: (i + 1, total + i), (tf.constant(0), 0)
    )
    assert (int(i), int(total)) == (5, 10)
    limited = tf.while_loop(
        lambda i: True, lambda i: [i + 1], [tf.constant(0)], maximum_iterations=3
    )
    assert limited[0] == 3 and isinstance(limited, list)
    assert tf.foldr(lambda a, r: a * 2 + r, torch.tensor([1, 2, 3])).item() == 17
    back = tf.scan(lambda a, r: a + r, torch.tensor([1, 2, 3]), reverse=True)
    assert back.tolist() == [6, 5, 3]
    found = tf.map_fn(lambda pair: (pair[0] + pair[1], pair[0]), (torch.arange(2), torch.ones(2)))
    assert [part.tolist() for part in found] == [[1, 2], [0, 1]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="no condition holds"):
        tf.case([(tf.constant(False), lambda: 1)])
    assert tf.switch_case(tf.constant(7), {0: lambda: "a", 1: lambda: "b"}) == "b"


def test_arrays_of_tensors():
    array = tf.TensorArray(tf.float32, size=2)
    array = array.write(3, 4.0).write(0, 1)
    assert array.stack().tolist() == [1, 0, 0, 4] and array.size() == 4
    assert array.read(3) == 4 and array.gather([3, 0]).tolist() == [4, 1]
    assert tf.TensorArray(tf.int32).unstack([[1], [2]]).concat().tolist() == [1, 2]
    assert tf.TensorArray(tf.int32).stack().shape == (0,)


@pytest.mark.parametrize(
    "fails",
    [
        lambda: tf.debugging.assert_equal([1, 2], [1, 3]),
        lambda: tf.debugging.assert_near(1.0, 1.1),
        lambda: tf.debugging.assert_less(3, 3),
        lambda: tf.debugging.assert_positive([1.0, 0.0]),
        lambda: tf.debugging.assert_rank(torch.ones(2), 2),
        lambda: tf.debugging.assert_rank_at_least(torch.ones(2), 2),
        lambda: _wrong_shapes(),
        lambda: tf.debugging.check_numerics(torch.tensor([np.nan]), "sum"),
        lambda: tf.Assert(False, ["data"]),
        lambda: tf.ensure_shape(torch.ones(2), [3]),
    ],
)
def test_assertions(fails):
    with pytest.raises(ValueError):
        fails()


def _wrong_shapes():
    x, y = torch.ones(2, 3), torch.ones(3, 3)
    tf.debugging.assert_shapes([(x, ("N", "D"))])
    tf.debugging.assert_shapes([(x, ("N", "D")), (y, ("N", 3))])


def test_assertions_that_hold():
    tf.debugging.assert_equal([1, 2], [1, 2])
    tf.debugging.assert_near(1.0, 1.0 + 1e-7)
    tf.debugging.assert_rank_at_least(torch.ones(2, 1), 1)
    tf.debugging.assert_type(torch.ones(2), tf.float32)
    assert tf.debugging.check_numerics(torch.ones(1), "sum") == 1
    with pytest.raises(TypeError, match="float32"):
        tf.debugging.assert_type(torch.ones(2), tf.int32)


def test_lookup():
    content = tf.lookup.KeyValueTensorInitializer([1, 2], ["one", "two"])
    table = tf.lookup.StaticHashTable(content, "many")
    assert table[torch.tensor([[2], [5]])].tolist() == [[b"two"], [b"many"]]
    assert table.size() == 2 and table.export()[1].tolist() == [b"one", b"two"]
    with pytest.raises(ValueError, match="2 keys do not fit 1 values"):
        tf.lookup.KeyValueTensorInitializer([1, 2], [1])
    with pytest.raises(ValueError, match="two values"):
        tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1, 1], [1, 2]), 0)


def test_files(tmp_path):
    path = str(tmp_path / "new" / "a.txt")
    tf.io.write_file(path, "text")
    assert tf.io.read_file(tf.constant(path)).numpy() == b"text"
    assert tf.io.gfile.exists(path) and tf.io.gfile.listdir(tmp_path) == ["new"]
    with tf.io.gfile.GFile(tf.constant(path), "r") as file:
        assert file.read() == "text"
    with pytest.raises(FileExistsError, match="overwrite"):
        tf.io.gfile.copy(path, path)
    tf.io.gfile.rename(path, path + "2")
    assert tf.io.matching_files(str(tmp_path / "new" / "*")).tolist() == [f"{path}2".encode()]
    tf.io.gfile.rmtree(tmp_path / "new")
    assert not tf.io.gfile.exists(path + "2")


def test_images(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype("uint8")
    assert tf.io.decode_image(tf.io.encode_png(pixels)).tolist() == pixels.tolist()
    assert tf.io.decode_png(tf.io.encode_png(pixels[..., :1])).shape == (5, 7, 1)
    floats = tf.image.decode_png(tf.io.encode_png(pixels), dtype=tf.float32)
    torch.testing.assert_close(floats, torch.from_numpy(pixels) / 255)
    frames = [pillow.fromarray(pixels), pillow.fromarray(255 - pixels)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert tf.io.decode_gif(buffer.getvalue()).shape == (2, 5, 7, 3)
    assert tf.io.decode_image(buffer.getvalue(), expand_animations=False).ndim == 3


def test_stateless_numbers_depend_on_the_seed_alone():
    for draw in (
        lambda seed: tf.random.stateless_uniform([3], seed=seed),
        lambda seed: tf.random.stateless_normal([3], seed=seed),
        lambda seed: tf.random.stateless_categorical(torch.zeros(1, 50), 3, seed=seed),
        lambda seed: tf.image.stateless_random_crop(
            torch.arange(60.0).reshape(5, 4, 3), [2, 2, 3], seed
        ),
    ):
        assert torch.equal(draw([1, 2]), draw([1, 2]))
        assert any(not torch.equal(draw([1, 2]), draw([1, other])) for other in range(3, 9))
    first, second = tf.random.split([1, 2])
    assert first.tolist() != second.tolist()
    assert tf.random.fold_in([1, 2], 3).tolist() != tf.random.fold_in([1, 2], 4).tolist()


def test_seeds_start_sequences():
    tf.random.set_seed(1)
    first = [tf.random.uniform([2], seed=3) for _ in range(2)]
    tf.random.set_seed(1)
    again = [tf.random.uniform([2], seed=3) for _ in range(2)]
    assert torch.equal(torch.stack(first), torch.stack(again)) and not torch.equal(*first)
    generator = tf.random.Generator.from_seed(5)
    assert not torch.equal(generator.normal([4]), generator.normal([4]))
    assert tf.random.get_global_generator() is tf.random.get_global_generator()
    with pytest.raises(ValueError, match="maxval"):
        tf.random.uniform([2], dtype=tf.int32)


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize(
    ("kind", "odds"), [("log_uniform", np.log([2 / 1, 5 / 4]) / np.log(9)), ("uniform", 1 / 8)]
)
def test_negative_samples(kind, odds, unique):
    sample = getattr(tf.random, f"{kind}_candidate_sampler")
    true = tf.constant([[0], [3]], tf.int64)
    drawn, expected, of_drawn = sample(true, 1, 1, unique, 8)
    np.testing.assert_allclose(expected[:, 0], np.broadcast_to(odds, 2), rtol=1e-6)
    drawn, expected, of_drawn = sample(true, 1, 5, unique, 8, seed=4)
    assert drawn.dtype is torch.int64 and drawn.shape == of_drawn.shape == (5,)
    assert 0 <= drawn.min() and drawn.max() < 8 and expected.shape == (2, 1)
    if unique:
        assert len(set(drawn.tolist())) == 5 and (expected < 1).all()
        with pytest.raises(ValueError, match="no 9 different"):
            sample(true, 1, 9, True, 8)
    else:
        np.testing.assert_allclose(expected[:, 0], 5 * np.broadcast_to(odds, 2), rtol=1e-6)
        many = sample(true, 1, 4000, False, 8)[0]
        np.testing.assert_allclose((many == 0).double().mean(), np.max(odds), atol=0.04)


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda n: tf.random.normal(n, 2.0, 3.0), 2.0, 3.0),
        (lambda n: tf.random.uniform(n, -1.0, 3.0), 1.0, 4 / 12**0.5),
        (lambda n: tf.random.truncated_normal(n), 0.0, 0.8796),
        (lambda n: tf.random.gamma(n, 2.0, 4.0), 0.5, 2**0.5 / 4),
        (lambda n: tf.random.poisson(n, 4.0), 4.0, 2.0),
        (
            lambda n: tf.cast(tf.random.uniform(n, 0, 10, tf.int32), tf.float32),
            4.5,
            99**0.5 / 12**0.5,
        ),
    ],
)
def test_distributions(draw, mean, deviation):
    torch.manual_seed(0)
    x = draw([20_000])
    assert float(x.mean()) == pytest.approx(mean, abs=5 * deviation / 20_000**0.5)
    assert float(x.std()) == pytest.approx(deviation, rel=0.03)


def test_random_images():
    image = torch.arange(48.0).reshape(4, 4, 3) / 48
    torch.manual_seed(0)
    flips = {tuple(tf.image.random_flip_left_right(image)[0, 0].tolist()) for _ in range(20)}
    assert flips == {tuple(image[0, 0].tolist()), tuple(image[0, 3].tolist())}
    assert len({float(tf.image.random_brightness(image, 0.2).mean()) for _ in range(5)}) == 5
    changed = tf.image.random_contrast(image, 0.5, 0.6) - image.mean((0, 1))
    ratio = changed / (image - image.mean((0, 1)))
    assert 0.5 <= float(ratio.nanmedian()) <= 0.6
    with pytest.raises(ValueError, match="value.shape >= size"):
        tf.image.random_crop(image, [5, 5, 3])
    with pytest.raises(ValueError, match="not within"):
        tf.image.crop_to_bounding_box(image, 2, 2, 3, 3)


@pytest.mark.parametrize("name", ["SparseTensor", "RaggedTensor", "IndexedSlices"])
def test_kinds_that_there_are_none_of(name):
    kind = getattr(tf, name)
    assert not isinstance(torch.ones(1), kind)
    with pytest.raises(NotImplementedError, match=f"'tensorflow.{name}' has no instances"):
        kind(1)
    with pytest.raises(AttributeError, match="Fix: "):
        _ = kind.from_tensor


def test_strings_of_different_length():
    assert tf.strings.split(["a b", "c d"]).shape == (2, 2)
    parts = tf.strings.split(["a b", "c"])
    assert parts.to_list() == [[b"a", b"b"], [b"c"]] and parts.row_lengths().tolist() == [2, 1]
    assert parts.to_tensor().tolist() == [[b"a", b"b"], [b"c", b""]]
    assert parts.to_tensor("-", shape=[None, 3]).tolist()[1] == [b"c", b"-", b"-"]
    assert parts.to_tensor(shape=[2, 1]).tolist() == [[b"a"], [b"c"]]
    assert [row.tolist() for row in parts] == parts.to_list() and parts[1].tolist() == [b"c"]
    assert parts.flat_values.tolist() == [b"a", b"b", b"c"] and len(parts) == 2
    for refused in (lambda: parts.shape, lambda: tf.strings.split([["a b", "c"]])):
        with pytest.raises(NotImplementedError, match="ragged"):
            refused()


def test_text_vectorization_splits_with_tensorflow():
    layer = TextVectorization(
        standardize=tf.strings.lower, split=lambda x: tf.strings.split(x, ",")
    )
    layer.adapt(["A b,c", "c"])
    assert layer.get_vocabulary() == ["", "[UNK]", "c", "a b"]
    assert layer(["a B,C,q", "C"]).tolist() == [[3, 2, 1], [2, 0, 0]]


def test_softmax_over_one_place_does_not_warn():
    assert tf.nn.softmax(torch.ones(2, 1)).tolist() == [[1.0], [1.0]]


# On the `meta` device a stray tensor on the CPU, or a look at a value, is an error.
DEVICE_CLEAN = {
    "resize": lambda x: tf.image.resize(x, [4, 5]),
    "nearest": lambda x: tf.image.resize(x, [4, 5], "nearest"),
    "crops": lambda x: tf.image.resize_with_crop_or_pad(x, 4, 20),
    "gray": tf.image.rgb_to_grayscale,
    "yuv": lambda x: tf.image.yuv_to_rgb(tf.image.rgb_to_yuv(x)),
    "hsv": lambda x: tf.image.hsv_to_rgb(tf.image.rgb_to_hsv(x)),
    "saturation": lambda x: tf.image.adjust_saturation(x, 0.5),
    "contrast": lambda x: tf.image.adjust_contrast(x, 0.5),
    "standard": tf.image.per_image_standardization,
    "sobel": tf.image.sobel_edges,
    "ssim": lambda x: tf.image.ssim(x, x, 1.0),
    "psnr": lambda x: tf.image.psnr(x, x, 1.0),
    "variation": tf.image.total_variation,
    "stft": lambda x: tf.signal.stft(tf.reshape(x, [-1]), 16, 8),
    "inverse": lambda x: tf.signal.inverse_stft(tf.signal.stft(tf.reshape(x, [-1]), 16, 8), 16, 8),
    "dct": tf.signal.dct,
    "conv": lambda x: tf.nn.conv2d(x, tf.ones([3, 3, 3, 2]), 2, "SAME"),
    "pool": lambda x: tf.nn.avg_pool2d(x, 2, 2, "SAME"),
    "one_hot": lambda x: tf.one_hot(tf.cast(x, tf.int32), 4),
    "normalize": lambda x: tf.math.l2_normalize(x, -1),
    "clip": lambda x: tf.clip_by_global_norm([x], 1.0)[0],
    "band": lambda x: tf.linalg.band_part(x, -1, 0),
    "mask": lambda x: tf.sequence_mask(tf.cast(x[0, 0, :, 0], tf.int32), 5),
    "noise": lambda x: x + tf.random.normal(tf.shape(x)),
    "dropout": lambda x: tf.nn.dropout(x, 0.5),
    "gather": lambda x: tf.gather(x, [0, 1], axis=1),
    "scatter": lambda x: tf.scatter_nd([[0], [1]], x[0, :2], [4, 12, 3]),
    "where": lambda x: tf.where(x > 0, x, tf.zeros_like(x)),
}


@pytest.mark.parametrize("name", DEVICE_CLEAN)
def test_no_stray_tensors(name):
    x = torch.zeros(2, 12, 12, 3, device="meta")
    # Those make tensors of their own, on the default device.
    makes = name in ("conv", "dropout", "gather", "noise", "scatter")
    with torch.device("meta" if makes else "cpu"):
        made = DEVICE_CLEAN[name](x)
    for part in made if isinstance(made, list) else [made]:
        assert part.device.type == "meta"
