"""The TensorFlow stand-in against TensorFlow: an expression gives the same values and dtypes."""

import importlib

import numpy as np
import pytest
import torch

import torchkeras.dropin.tensorflow as ours
from compat_tests import tf_names

theirs = pytest.importorskip("tensorflow")

_RANDOM = np.random.default_rng(0)
INPUTS = {
    "x": _RANDOM.normal(size=(3, 4)).astype("float32"),
    "y": _RANDOM.normal(size=(3, 4)).astype("float32"),
    "p": _RANDOM.uniform(0.1, 0.9, (3, 4)).astype("float32"),
    "v": _RANDOM.normal(size=4).astype("float32"),
    "i": _RANDOM.integers(0, 3, (3, 4)).astype("int32"),
    "j": np.array([2, 0, 1], "int32"),
    "b": _RANDOM.random((3, 4)) > 0.5,
    "z": _RANDOM.normal(size=(2, 3, 4)).astype("float32"),
    "m": (np.eye(3) * 3 + _RANDOM.random((2, 3, 3))).astype("float32"),
    "im": _RANDOM.random((2, 8, 10, 3)).astype("float32"),
    "u8": _RANDOM.integers(0, 256, (8, 10, 3)).astype("uint8"),
    "k": _RANDOM.normal(size=(3, 3, 3, 5)).astype("float32"),
    "s": np.array([["Hello World", "a b"], ["3.5 x", "ÄB c"]], dtype=object),
}

MATH = """
tf.abs(x) | tf.add(x, 2.0) | tf.subtract(1.0, x) | tf.multiply(x, y) | tf.divide(x, y)
tf.divide(i, i + 1) | tf.math.divide_no_nan(x, x * 0) | tf.pow(p, 2.0) | tf.pow(i, 2) | tf.square(i)
tf.sqrt(p) | tf.math.rsqrt(p) | tf.exp(x) | tf.math.log(p) | tf.math.log1p(p) | tf.math.expm1(x)
tf.sin(x) | tf.acos(p) | tf.atan2(x, y) | tf.cosh(x) | tf.sigmoid(x) | tf.math.erf(x)
tf.math.lgamma(p) | tf.math.digamma(p) | tf.sign(x) | tf.floor(x) | tf.round(x) | tf.math.ceil(x)
tf.negative(i) | tf.math.reciprocal(p) | tf.maximum(x, y) | tf.minimum(x, 0.0)
tf.math.floordiv(i, 2) | tf.math.floormod(i, 2) | tf.math.mod(x, 0.5) | tf.equal(i, 1)
tf.not_equal(i, 1) | tf.greater(x, y) | tf.less_equal(x, 0.0) | tf.logical_and(b, x > 0)
tf.logical_not(b) | tf.math.logical_xor(b, x > 0) | tf.math.is_nan(x / 0.0 * 0.0)
tf.math.squared_difference(x, y) | tf.math.xlogy(p, p) | tf.math.softplus(x) | tf.math.xdivy(x, p)
tf.math.multiply_no_nan(x, y) | tf.math.polyval([1.0, 2.0, 3.0], x) | tf.math.zero_fraction(i)
tf.reduce_sum(x) | tf.reduce_sum(x, 1) | tf.reduce_sum(i, axis=0, keepdims=True)
tf.reduce_mean(x, axis=[0, 1]) | tf.reduce_mean(i, 0) | tf.reduce_max(x, 0) | tf.reduce_min(i)
tf.reduce_prod(p, -1) | tf.reduce_all(b, 1) | tf.reduce_any(b) | tf.reduce_logsumexp(x, 1)
tf.math.reduce_std(x, 1) | tf.math.reduce_variance(x) | tf.math.reduce_euclidean_norm(x, 1)
tf.math.count_nonzero(i) | tf.math.count_nonzero(i, axis=1, dtype=tf.int32) | tf.argmax(x)
tf.argmax(x, axis=1) | tf.argmin(x, 1, output_type=tf.int32) | tf.cumsum(x)
tf.cumsum(x, axis=1, exclusive=True) | tf.cumsum(x, 1, reverse=True)
tf.math.cumprod(p, 1, exclusive=True, reverse=True) | tf.math.cumulative_logsumexp(x, 1)
tf.math.bincount(i) | tf.math.bincount(i, minlength=5) | tf.math.confusion_matrix(j, [1, 0, 1])
tf.math.top_k(x, 2)[0] | tf.math.top_k(x, 2).indices | tf.math.in_top_k(j, x, 2)
tf.math.segment_sum(x, [0, 0, 1]) | tf.math.segment_mean(x, [0, 0, 1])
tf.math.unsorted_segment_max(x, j, 3) | tf.math.l2_normalize(x, 1) | tf.add_n([x, y])
tf.math.accumulate_n([x, y]) | tf.math.invert_permutation(j) | tf.scalar_mul(2.0, x)
tf.clip_by_value(x, -0.5, 0.5) | tf.clip_by_norm(x, 1.0) | tf.clip_by_norm(x, 1.0, axes=1)
tf.clip_by_global_norm([x, y], 1.0)[0][1] | tf.linalg.global_norm([x, y])
tf.math.reciprocal_no_nan(x) | tf.math.reciprocal_no_nan(x * 0) | tf.math.igamma(p, p)
tf.math.ndtri(p) | tf.math.bessel_i0(x) | tf.math.softmax(x) | tf.add(x, np.ones(4))
tf.multiply(2, x) | tf.math.log_sigmoid(x) | tf.tanh(x) | tf.math.rint(x) | tf.cast(x, tf.int32)
tf.cast(b, tf.float32) | tf.cast(i, "float64") | tf.saturate_cast(x * 300, tf.uint8)
"""

ARRAYS = """
tf.constant([1, 2]) | tf.constant(1.5) | tf.constant(3, shape=[2, 2]) | tf.constant([[True]])
tf.convert_to_tensor([1.0, 2.0]) | tf.constant(2**40) | tf.constant(np.arange(3))
tf.fill([2, 2], 7) | tf.zeros([2, 3]) | tf.ones(3, tf.int32) | tf.zeros_like(x)
tf.ones_like(i, dtype=tf.float32) | tf.range(5) | tf.range(1.0, 2.0, 0.25) | tf.range(5, 1, -2)
tf.linspace(0.0, 1.0, 5) | tf.eye(3) | tf.eye(2, 3, batch_shape=[2]) | tf.reshape(x, [2, -1])
tf.reshape(x, (-1,)) | tf.transpose(x) | tf.transpose(z, [2, 0, 1]) | tf.expand_dims(x, 1)
tf.squeeze(tf.expand_dims(x, 0), axis=[0]) | tf.concat([x, y], axis=1) | tf.stack([x, y], axis=2)
tf.unstack(x)[1] | tf.unstack(x, axis=1)[0] | tf.split(x, 2, axis=1)[1]
tf.split(x, [1, 3], axis=1)[1] | tf.split(x, [1, -1], 1)[1] | tf.tile(x, [2, 1])
tf.repeat(x, 2, axis=0) | tf.repeat(v, [1, 0, 2, 1]) | tf.pad(x, [[1, 0], [0, 2]])
tf.pad(x, [[1, 1], [2, 2]], "REFLECT") | tf.pad(x, [[1, 1], [2, 2]], "SYMMETRIC")
tf.pad(x, [[1, 1], [0, 0]], constant_values=3.0) | tf.slice(x, [1, 0], [2, -1]) | tf.reverse(x, [1])
tf.gather(x, [2, 0]) | tf.gather(x, j, axis=0) | tf.gather(x, [[3, 0]], axis=1)
tf.gather(z, [[1, 0], [2, 2]], batch_dims=1) | tf.gather(z, [[1, 0], [2, 2]], axis=2, batch_dims=1)
tf.gather(x, j, batch_dims=1) | tf.gather_nd(x, [[0, 1], [2, 3]]) | tf.gather_nd(x, [[0], [2]])
tf.gather_nd(z, [[[1]], [[0]]], batch_dims=1) | tf.scatter_nd([[1], [3], [1]], [1.0, 2.0, 3.0], [5])
tf.tensor_scatter_nd_update(x, [[0, 1], [2, 2]], [9.0, 8.0])
tf.tensor_scatter_nd_add(x, [[0], [0]], y[:2]) | tf.tensor_scatter_nd_sub(v, [[0]], [1.0])
tf.tensor_scatter_nd_max(x, [[0, 1]], [9.0]) | tf.tensor_scatter_nd_min(x, [[0]], [v])
tf.one_hot(i, 3) | tf.one_hot(j, 4, on_value=5.0, off_value=-1.0)
tf.one_hot(j, 3, axis=0, dtype=tf.int32) | tf.boolean_mask(x, b)
tf.boolean_mask(x, [True, False, True]) | tf.boolean_mask(z, [True, False, True], axis=1)
tf.where(b, x, y) | tf.where(x > 0, x, 0.0) | tf.where(b) | tf.broadcast_to(v, [2, 4])
tf.meshgrid([1, 2], [3, 4, 5])[0] | tf.meshgrid([1, 2], [3, 4], indexing="ij")[1]
tf.roll(x, 1, axis=1) | tf.sort(x) | tf.sort(x, direction="DESCENDING") | tf.argsort(v) | tf.size(x)
tf.rank(z) | tf.unique([3, 1, 3, 2])[0] | tf.unique([3, 1, 3, 2])[1]
tf.unique_with_counts([3, 1, 3])[2] | tf.sequence_mask([1, 3], 4)
tf.sequence_mask([1, 3], dtype=tf.float32) | tf.searchsorted([1.0, 2.0], [1.5])
tf.histogram_fixed_width(x, [-1.0, 1.0], 4)
tf.reverse_sequence(x, [1, 2, 4], seq_axis=1, batch_axis=0)
tf.strided_slice(x, [0, 1], [3, 4], [2, 1]) | tf.unravel_index([5, 7], [3, 4]) | tf.identity(x)
tf.dynamic_partition(v, [0, 1, 0, 1], 2)[0] | tf.dynamic_stitch([[0, 2], [1]], [[1, 2], [3]])
tf.stop_gradient(x) | tf.complex(x, y) | tf.ensure_shape(x, [None, 4]) | tf.shape(x)
tf.shape(z)[1:] * 2 | tf.nn.space_to_depth(im, 2)
tf.nn.depth_to_space(tf.nn.space_to_depth(im, 2), 2) | x[..., tf.newaxis]
tf.while_loop(lambda a: a < 10, lambda a: [a + 3], [tf.constant(0)])[0]
tf.cond(tf.constant(True), lambda: x, lambda: y) | tf.map_fn(lambda r: r * 2 + 1, x)
tf.scan(lambda a, r: a + r, x) | tf.foldl(lambda a, r: a + r, x)
tf.vectorized_map(lambda r: tf.reduce_sum(r) * r, x)
tf.switch_case(tf.constant(1), [lambda: x, lambda: y])
tf.case([(tf.constant(False), lambda: x)], default=lambda: y)
tf.TensorShape([2, 3]).num_elements() | tf.py_function(lambda a: a.numpy() + 1, [v], tf.float32)
tf.numpy_function(lambda a: a + 1, [v], tf.float32)
"""

LINALG = """
tf.matmul(x, y, transpose_b=True) | tf.matmul(x, y, transpose_a=True)
tf.linalg.matmul(m, m, adjoint_a=True) | tf.linalg.matvec(x, v)
tf.tensordot(x, y, axes=[[1], [1]]) | tf.tensordot(z, v, 1) | tf.einsum("ij,kj->ik", x, y)
tf.einsum("bij,bjk->bik", m, m) | tf.norm(x) | tf.norm(x, axis=1) | tf.norm(x, ord=1, axis=1)
tf.norm(x, ord=np.inf, axis=1, keepdims=True) | tf.linalg.norm(m, axis=[1, 2]) | tf.linalg.inv(m)
tf.linalg.det(m) | tf.linalg.slogdet(m)[1] | tf.linalg.trace(m) | tf.linalg.diag(x)
tf.linalg.diag_part(m) | tf.linalg.set_diag(m, x[:2, :3]) | tf.linalg.band_part(m, 1, 0)
tf.linalg.band_part(m, -1, 0) | tf.linalg.band_part(m, 0, -1)
tf.linalg.cholesky(tf.matmul(m, m, transpose_b=True)) | tf.linalg.solve(m, m)
tf.linalg.triangular_solve(m, m) | tf.linalg.triangular_solve(m, m, lower=False)
tf.linalg.triangular_solve(m, m, adjoint=True) | tf.linalg.svd(m)[0]
tf.linalg.svd(m, compute_uv=False) | tf.linalg.eigvalsh(tf.matmul(m, m, transpose_b=True))
tf.linalg.lstsq(x, x, fast=False) | tf.linalg.lstsq(m, m, l2_regularizer=0.5) | tf.linalg.expm(m)
tf.linalg.logdet(tf.matmul(m, m, transpose_b=True))
tf.linalg.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]) | tf.linalg.matrix_transpose(z)
tf.linalg.matrix_rank(m) | tf.linalg.normalize(x, axis=1)[0] | tf.linalg.pinv(m)
tf.linalg.adjoint(m) | tf.linalg.tensor_diag(v) | tf.linalg.l2_normalize(x, 1)
tf.signal.frame(v, 2, 1) | tf.signal.frame(v, 3, 2, pad_end=True)
tf.abs(tf.signal.stft(tf.reshape(im, [-1]), 64, 32)) | tf.signal.hann_window(8)
tf.signal.hamming_window(8) | tf.signal.dct(x) | tf.signal.dct(x, norm="ortho")
tf.signal.overlap_and_add(z, 2) | tf.signal.mfccs_from_log_mel_spectrograms(x)
tf.signal.overlap_and_add(x, 4)
tf.signal.inverse_stft(tf.signal.stft(tf.reshape(im, [-1]), 64, 32), 64, 32)
tf.audio.decode_wav(tf.audio.encode_wav(p, 8000)).audio
tf.audio.decode_wav(tf.audio.encode_wav(p, 8000), 1, 5).sample_rate
tf.audio.decode_wav(tf.audio.encode_wav(p, 8000), 1, 5)[0] | tf.signal.rfft(v)
tf.signal.irfft(tf.signal.rfft(v)) | tf.abs(tf.signal.fft(tf.complex(x, y)))
tf.signal.linear_to_mel_weight_matrix(8, 33, 8000.0, 80.0, 3600.0)
"""

NN = """
tf.nn.relu(x) | tf.nn.relu6(x * 10) | tf.nn.elu(x) | tf.nn.selu(x) | tf.nn.leaky_relu(x)
tf.nn.leaky_relu(x, 0.1) | tf.nn.gelu(x) | tf.nn.gelu(x, approximate=True) | tf.nn.silu(x)
tf.nn.swish(x) | tf.nn.crelu(x) | tf.nn.softmax(x) | tf.nn.softmax(x, axis=0) | tf.nn.log_softmax(x)
tf.nn.softsign(x) | tf.nn.conv2d(im, k, 1, "SAME") | tf.nn.conv2d(im, k, [1, 2, 2, 1], "VALID")
tf.nn.conv2d(im, k, 2, "SAME") | tf.nn.conv2d(im, k, 1, "VALID", dilations=2)
tf.nn.conv2d(im, k, 1, [[0, 0], [1, 1], [2, 2], [0, 0]])
tf.nn.conv1d(z, k[0, :, :, :2][:, :1] * tf.ones([3, 4, 2]), 1, "SAME")
tf.nn.depthwise_conv2d(im, k[..., :2], [1, 1, 1, 1], "SAME")
tf.nn.separable_conv2d(im, k[..., :1], tf.ones([1, 1, 3, 4]), [1, 1, 1, 1], "VALID")
tf.nn.conv2d_transpose(im, tf.transpose(k, [0, 1, 3, 2]), [2, 16, 20, 5], 2, "SAME")
tf.nn.conv2d_transpose(im, tf.transpose(k, [0, 1, 3, 2]), [2, 17, 21, 5], [1, 2, 2, 1], "VALID")
tf.nn.conv2d_transpose(im, tf.transpose(k, [0, 1, 3, 2]), [2, 15, 19, 5], 2, "SAME")
tf.nn.max_pool2d(im, 2, 2, "VALID") | tf.nn.max_pool(im, [1, 3, 3, 1], [1, 2, 2, 1], "SAME")
tf.nn.avg_pool2d(im, 3, 2, "SAME") | tf.nn.avg_pool1d(z, 2, 1, "VALID")
tf.nn.pool(im, [2, 2], "AVG", [2, 2]) | tf.nn.softmax_cross_entropy_with_logits(p, x)
tf.nn.softmax_cross_entropy_with_logits(labels=p, logits=x, axis=0)
tf.nn.sparse_softmax_cross_entropy_with_logits(labels=j, logits=x)
tf.nn.sigmoid_cross_entropy_with_logits(labels=p, logits=x) | tf.nn.l2_loss(x)
tf.nn.weighted_cross_entropy_with_logits(p, x, 2.0) | tf.nn.moments(x, [0])[1]
tf.nn.moments(x, [0, 1], keepdims=True)[0] | tf.nn.batch_normalization(x, v, v * v + 1, v, v, 1e-3)
tf.nn.batch_normalization(x, v, v * v + 1, None, None, 1e-3) | tf.nn.embedding_lookup(x, j)
tf.nn.embedding_lookup(x, j, max_norm=1.0) | tf.nn.bias_add(x, v)
tf.nn.local_response_normalization(im, 2, 1.0, 0.1, 0.5) | tf.nn.top_k(x, 2)[1]
tf.nn.l2_normalize(x, 1) | tf.nn.dropout(x, 0.0) | tf.nn.compute_average_loss(v)
tf.nn.compute_average_loss(v, global_batch_size=8) | tf.nn.in_top_k(j, x, 1)
tf.nn.zero_fraction(i)
"""

IMAGE = """
tf.image.resize(im, [4, 5]) | tf.image.resize(im, (12, 9))
tf.image.resize(im[0], [4, 5], antialias=True) | tf.image.resize(u8, [3, 7], method="nearest")
tf.image.resize(im, [4, 5], "area") | tf.image.resize(u8, [5, 5])
tf.image.resize(im, [12, 9], "bicubic") | tf.image.resize(im, [12, 9], "lanczos3")
tf.image.resize(im, [6, 30], preserve_aspect_ratio=True) | tf.image.resize_with_pad(im, 12, 12)
tf.image.resize_with_crop_or_pad(im, 6, 13) | tf.image.resize_with_crop_or_pad(u8, 9, 9)
tf.image.crop_to_bounding_box(im, 1, 2, 4, 5) | tf.image.pad_to_bounding_box(im, 1, 2, 12, 15)
tf.image.central_crop(im, 0.5) | tf.image.flip_left_right(im) | tf.image.flip_up_down(u8)
tf.image.rot90(im) | tf.image.rot90(u8, 3) | tf.image.transpose(im)
tf.image.adjust_brightness(im, 0.2) | tf.image.adjust_contrast(im, 2.0)
tf.image.adjust_brightness(u8, 0.2) | tf.image.adjust_contrast(u8, 0.5)
tf.image.adjust_saturation(im, 0.5) | tf.image.adjust_hue(im, 0.2) | tf.image.adjust_gamma(im, 0.5)
tf.image.convert_image_dtype(u8, tf.float32) | tf.image.convert_image_dtype(im, tf.uint8)
tf.image.per_image_standardization(im) | tf.image.rgb_to_grayscale(im)
tf.image.per_image_standardization(u8) | tf.image.rgb_to_grayscale(u8)
tf.image.grayscale_to_rgb(im[..., :1]) | tf.image.rgb_to_hsv(im) | tf.image.hsv_to_rgb(im)
tf.image.rgb_to_yuv(im) | tf.image.yuv_to_rgb(im) | tf.image.total_variation(im)
tf.image.psnr(im, im * 0.9, 1.0) | tf.image.image_gradients(im)[0]
tf.image.ssim(tf.image.resize(im, [16, 16]), tf.image.resize(im * 0.9, [16, 16]), 1.0)
tf.image.sobel_edges(im)
tf.image.extract_patches(im, [1, 3, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
tf.image.crop_and_resize(im, [[0.1, 0.2, 0.8, 0.9], [0.0, 0.0, 1.0, 1.2]], [0, 1], [4, 5])
tf.image.non_max_suppression([[0.0, 0, 1, 1], [0, 0, 1, 1.1], [0, 2, 1, 3]], [0.9, 0.8, 0.7], 3)
tf.image.decode_png(tf.io.encode_png(u8)) | tf.io.decode_image(tf.io.encode_png(u8), channels=3)
tf.io.decode_png(tf.io.encode_png(u8), channels=1)
"""

STRINGS = """
tf.strings.length(s) | tf.strings.length("ÄB", unit="UTF8_CHAR") | tf.strings.lower(s)
tf.strings.upper("ä", encoding="utf-8") | tf.strings.lower("ÄB") | tf.strings.split("a b  c")
tf.strings.split("a,b,,c", ",") | tf.strings.strip("  a ")
tf.strings.regex_replace(s, "[a-c ]+", "_")
tf.strings.regex_replace("abab", "(a)(b)", r"\\2\\1", replace_global=False)
tf.strings.regex_full_match(s, "[A-Za-z ]*") | tf.strings.join([s, s], separator="-")
tf.strings.join(["a", "b"]) | tf.strings.reduce_join(s)
tf.strings.reduce_join(s, axis=1, separator="+") | tf.strings.reduce_join(["a", "b"], axis=0)
tf.strings.substr(s, 1, 2) | tf.strings.substr("hello", -3, 2) | tf.strings.to_number(["1.5", "2"])
tf.strings.to_number("7", tf.int32) | tf.strings.as_string([1, 20])
tf.strings.as_string([1.5, 2.0]) | tf.strings.as_string([1.5], precision=2)
tf.strings.as_string([True]) | tf.strings.as_string(7, width=3, fill="0")
tf.strings.bytes_split("abc") | tf.strings.unicode_split("äbc", "UTF-8")
tf.strings.unicode_decode("äb", "UTF-8") | tf.strings.to_hash_bucket_fast(s, 1000)
tf.strings.to_hash_bucket_strong(s, 50, [1, 2]) | tf.as_string(i)
tf.strings.ngrams(["a", "b", "c"], 2) | tf.strings.format("n {}", tf.constant(3)) | s + "!"
s == "a b" | tf.constant(["a", "b"]) | tf.reshape(s, [-1]) | tf.concat([s, s], 0)
tf.gather(tf.constant(["a", "b"]), [1, 0]) | tf.where([True, False], ["a", "b"], "c")
tf.io.decode_csv(["1,2.5,x", "3,,y"], [[0], [1.0], ["n"]])[1]
tf.io.decode_csv("1,2.5,x", [0, 1.0, "n"])[2] | tf.io.decode_raw("abcd", tf.uint8)
tf.io.decode_raw("abcd", tf.int16) | tf.expand_dims(s, -1) | tf.stack(["a", "b"])
tf.io.encode_base64("ab?>") | tf.io.decode_base64("YWI_Pg")
"""

# Where other kernels or constants compute: bound by float32 over the sizes at hand.
LOOSE = (
    "lanczos",
    "yuv",
    "hue",
    "inv(",
    "pinv",
    "expm",
    "lstsq",
    "ssim",
    "solve",
    "mel",
)


def expressions(text):
    return [part.strip() for line in text.strip().splitlines() for part in line.split(" | ")]


CASES = [e for t in (MATH, ARRAYS, LINALG, NN, IMAGE, STRINGS) for e in expressions(t)]


def evaluate(tf, expression):
    inputs = {name: tf.constant(value) for name, value in INPUTS.items()}
    return eval(expression, {"tf": tf, "np": np, **inputs})


def as_array(result):
    if isinstance(result, torch.Tensor):
        return result.resolve_conj().numpy(force=True)
    value = result.numpy() if hasattr(result, "numpy") else result
    return np.asarray(value, dtype=object if isinstance(value, bytes) else None)


@pytest.mark.parametrize("expression", CASES)
def test_as_tensorflow(expression):
    mine, other = as_array(evaluate(ours, expression)), as_array(evaluate(theirs, expression))
    assert mine.shape == other.shape
    if not expression.startswith(("tf.shape", "tf.TensorShape")):
        assert mine.dtype == other.dtype
    if other.dtype == object:
        assert mine.tolist() == other.tolist()
        return
    tolerance = 2e-4 if any(word in expression for word in LOOSE) else 1e-5
    if other.dtype == np.uint8:  # rounding of a half may differ by one
        assert np.abs(mine.astype(int) - other.astype(int)).max() <= 1
    else:
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


def test_there_are_cases():
    assert len(set(CASES)) == len(CASES) >= 400
    assert importlib.import_module("torchkeras.dropin.tensorflow") is ours


def examples(tf):
    """Messages with features of all kinds, one of them missing in the second."""
    train = tf.train

    def feature(**lists):
        return train.Feature(**lists)

    common = {
        "text": feature(bytes_list=train.BytesList(value=[b"ab\x00\xff", "é".encode()])),
        "x": feature(float_list=train.FloatList(value=[1.5, -2.25, 3e10])),
    }
    for integers in ([1, -2, 2**40, 300], [5]):
        whole = {"n": feature(int64_list=train.Int64List(value=integers))}
        extra = {"one": feature(int64_list=train.Int64List(value=[7]))} if len(integers) > 1 else {}
        made = train.Example(features=train.Features(feature={**common, **whole, **extra}))
        yield made.SerializeToString()


def read(tf, path, compression):
    """What one side makes of a file of records."""
    kinds = {
        "text": tf.io.FixedLenFeature([2], tf.string),
        "x": tf.io.FixedLenFeature([3], tf.float32),
        "n": tf.io.VarLenFeature(tf.int64),
        "one": tf.io.FixedLenFeature([], tf.int64, default_value=-1),
    }
    dataset = tf.data.TFRecordDataset([str(path)], compression_type=compression)
    rows = []
    for serialized in [*dataset, *dataset.batch(2)]:
        found = tf.io.parse_example(serialized, kinds)
        found["n"] = tf.sparse.to_dense(found["n"])
        rows.append({name: as_array(value).tolist() for name, value in found.items()})
    return rows


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_records_both_ways(tmp_path, compression):
    for name, tf in (("ours", ours), ("theirs", theirs)):
        options = tf.io.TFRecordOptions(compression_type=compression)
        with tf.io.TFRecordWriter(str(tmp_path / name), options) as writer:
            for message in examples(tf):
                writer.write(message)
        rows = read(ours, tmp_path / name, compression)
        assert rows == read(theirs, tmp_path / name, compression)
        assert len(rows) == 3 and rows[1]["one"] == -1


@pytest.mark.parametrize("name", ["x", "i", "b", "u8"])
def test_serialized_tensors_both_ways(name):
    for mine, other in ((ours, theirs), (theirs, ours)):
        message = mine.io.serialize_tensor(mine.constant(INPUTS[name])).numpy()
        dtype = getattr(other, INPUTS[name].dtype.name)
        np.testing.assert_array_equal(as_array(other.io.parse_tensor(message, dtype)), INPUTS[name])


def lookup(tf):
    content = tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([3, 4]))
    table = tf.lookup.StaticHashTable(content, default_value=-1)
    return table.lookup(tf.constant([["b", "z"], ["a", "a"]]))


def test_lookup():
    mine, other = as_array(lookup(ours)), as_array(lookup(theirs))
    assert mine.dtype == other.dtype
    np.testing.assert_array_equal(mine, other)


class TestTheTable:
    def test_document_is_up_to_date(self):
        assert not tf_names.is_stale(), "run `python -m compat_tests.tf_names`"

    def test_names_are_tensorflow_s(self):
        unknown = set()
        for space in ("", *ours.NAMESPACES):
            for name in ours.names_of(space):
                found = theirs
                for part in (*filter(None, space.split(".")), name):
                    found = getattr(found, part, None)
                if found is None and name not in ("newaxis", "__version__"):
                    unknown.add(f"{space}.{name}".lstrip("."))
        assert unknown == set()

    def test_chains(self, tmp_path):
        folder = tmp_path / "package"
        folder.mkdir()
        (folder / "a.py").write_text(
            "import tensorflow as tf\n"
            "from tensorflow.math import exp as e\n"
            "import tensorflow.compat.v2 as tf2\n"
            "tf.data.Dataset.range(3); tf.keras.layers.Dense; tf.compat.v1.Session; tf2.abs(e(2))\n"
            "tf.data.Dataset; other.data.Dataset\n"
        )
        (folder / "b.py").write_text("print 'Python 2'\n")
        assert tf_names.scan(tmp_path) == {
            "abs": (1, 1),
            "data.Dataset": (2, 1),
            "math.exp": (1, 1),
        }
