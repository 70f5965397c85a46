"""What graphs infer where sizes are unknown, and the errors of wrong arguments."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from torchkeras import Input, Model, ops
from torchkeras.graph.infer import SizeMismatch, compute_output_spec, infer_elementwise, infer_spec
from torchkeras.graph.keras_tensor import KerasTensor
from torchkeras.graph.operation import OPERATIONS
from torchkeras.models import model_from_json
from torchkeras.registry import register_keras_serializable


def kt(*shape, **options):
    return KerasTensor(shape, **options)


def test_sizes_that_differ_are_set_to_known_ones():
    def rows(x, y):
        if x.shape[0] != y.shape[0]:
            raise SizeMismatch("rows differ")
        return x + y

    assert infer_spec(rows, (kt(None, 4), kt(5, 4)), {}).shape == (5, 4)
    with pytest.raises(ValueError, match="rows differ"):
        infer_spec(rows, (kt(3, 4), kt(5, 4)), {})


@pytest.mark.parametrize("op", [ops.segment_sum, ops.segment_max, ops.segment_prod])
def test_segments_of_unknown_rows(op):
    ids = kt(10, dtype="int32")
    assert op(kt(None, 4), ids).shape == (None, 4)
    assert op(kt(None, 4), ids, num_segments=5).shape == (5, 4)
    with pytest.raises(ValueError, match="same leading dimension"):
        op(kt(9, 4), ids)


@pytest.mark.parametrize(
    "key, shape",
    [
        ((slice(5), slice(3, None), slice(3, 12, 2)), (None, 2, 5)),
        (slice(-1, None), (None, 5, 16)),
        ((..., slice(2)), (None, 5, 2)),
        ((None, slice(1, 3)), (1, None, 5, 16)),
        (3, (5, 16)),
        ((..., -1), (None, 5)),
    ],
)
def test_slices_of_an_unknown_size_are_unknown(key, shape):
    assert kt(None, 5, 16)[key].shape == shape


def test_a_key_with_two_ellipses_is_refused():
    with pytest.raises(ValueError, match="one ellipsis"):
        ops.get_item(kt(None, 5, 16), (..., 5, ...))


def test_a_slice_takes_what_there_is_when_the_graph_runs():
    x = Input((3,))
    model = Model(x, x[:2])
    assert model.outputs[0].shape == (None, 3)
    assert model(torch.zeros(5, 3)).shape == (2, 3) and model(torch.zeros(1, 3)).shape == (1, 3)


def test_reshape_to_a_symbolic_shape():
    sizes, size = kt(2, dtype="int32"), kt(dtype="int32")
    assert ops.reshape(kt(None, 20), sizes).shape == (None, None)
    assert ops.reshape(kt(None, 20), (None, size)).shape == (None, None)
    assert ops.reshape(torch.zeros(20), sizes).shape == (None, None)
    assert ops.reshape(kt(None, 20), (4, size)).shape == (4, None)


def test_repeat_and_positions():
    assert ops.repeat(kt(None, 3), [1, 2], axis=0).shape == (None, 3)
    assert ops.repeat(kt(None, 3), [1, 0, 2], axis=1).shape == (None, 3)
    assert [x.shape for x in ops.unravel_index(kt(None, 4), (3, 4))] == [(None, 4)] * 2
    assert ops.ldexp(kt(None, 3), kt(1, 3)).shape == (None, 3)
    with pytest.raises(TypeError, match="must be an integer"):
        ops.ldexp(1.0, 2.0)


def test_einsum_sets_unknown_sizes():
    x, y, z = kt(None, 3, 4), kt(None, 4, 5), kt(1, 1, 1, 9)
    assert ops.einsum("mij,ijk,...", x, y, z).shape == (1, 1, 1, 9, 5, None)
    with pytest.raises(ValueError):
        ops.einsum("ij,jk->ik", kt(2, 3), kt(4, 5))


def test_channels_of_convolutions():
    message = "input channels must match the kernel"
    for op, kernel in ((ops.conv, kt(3, 5, 4)), (ops.depthwise_conv, kt(3, 5, 1))):
        with pytest.raises(ValueError, match=message):
            op(kt(2, 10, 3), kernel)
        assert op(kt(2, 10, None), kernel).shape[:2] == (2, 8)
    with pytest.raises(ValueError, match=message):
        ops.conv_transpose(torch.zeros(2, 4, 3), torch.zeros(2, 4, 5), 2)
    assert ops.conv_transpose(kt(2, 4, None), kt(2, 4, 5), 2).shape == (2, 8, 4)


def test_batch_normalization_checks_its_vectors():
    x, v = kt(None, 3, 5), kt(5)
    assert ops.batch_normalization(x, v, v, -1, offset=v, scale=v).shape == (None, 3, 5)
    assert ops.batch_normalization(kt(None, None), v, v, -1).shape == (None, 5)
    for name in ("offset", "scale"):
        with pytest.raises(ValueError, match=f"`{name}` must be a vector of length 5"):
            ops.batch_normalization(x, v, v, -1, **{name: kt(3)})


@pytest.mark.parametrize("make", [lambda: kt(3, 4), lambda: torch.ones(3, 4)])
@pytest.mark.parametrize("op", [ops.softmax, ops.normalize])
def test_axes_out_of_range(op, make):
    with pytest.raises(ValueError, match="axis 10 is out of bounds"):
        op(make(), axis=10)
    assert op(make(), axis=-2).shape == (3, 4)


def test_softmax_of_one_value_warns():
    with pytest.warns(UserWarning, match="softmax over axis -1 of a tensor of shape .1, 1."):
        assert ops.softmax(torch.ones(1, 1)).item() == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.softmax(torch.ones(1, 2))


def test_sparse_is_a_mark_in_graphs_and_refused_elsewhere():
    x = kt(None, 3)
    assert ops.one_hot(x, 5, sparse=True).sparse and not ops.one_hot(x, 5).sparse
    assert ops.multi_hot(x, 5, sparse=True).sparse
    marked = kt(2, 3, sparse=True)
    assert ops.convert_to_tensor(marked).sparse
    assert not ops.convert_to_tensor(marked, sparse=False).sparse
    assert not ops.convert_to_tensor(x, sparse=True).sparse
    with pytest.raises(ValueError, match="sparse"):
        ops.one_hot([1], 2, sparse=True)
    with pytest.raises(ValueError, match="sparse"):
        ops.convert_to_tensor([1], sparse=True)


def test_decompositions_need_known_sizes():
    for op in (ops.qr, ops.svd):
        with pytest.raises(ValueError, match="last 2 dimensions fully-defined"):
            op(kt(None, 4))
    with pytest.raises(ValueError, match="`mode` argument value not supported"):
        ops.qr.operation(mode="full")


def test_jvp_of_symbolic_tensors():
    value, slope, aux = ops.jvp(
        lambda x: (ops.exp(x), ops.mean(x, -1, keepdims=True)), (kt(None, 7),), (kt(None, 7),), True
    )
    assert (value.shape, slope.shape, aux.shape) == ((None, 7), (None, 7), (None, 1))


def test_cond_compares_what_its_functions_return():
    same = ops.cond.operation()._check_output_spec
    assert same([kt(2)], [kt(2)]) and same(None, None) and same({"a": kt(2)}, {"a": kt(2)})
    assert not same([kt(2)], [kt(3)]) and not same(kt(2), None) and not same((kt(2),), [kt(2)])
    with pytest.raises(ValueError, match="same structure"):
        compute_output_spec(lambda p: ops.cond(p, lambda: p, lambda: (p, p)), kt())


@register_keras_serializable("tests")
def doubled(x):
    return x + x


def test_a_graph_names_the_function_of_vectorized_map():
    x = Input((4,))
    model = Model(x, ops.vectorized_map(doubled, x))
    copy = Model.from_config(model.get_config())
    assert copy(torch.ones(2, 4)).tolist() == model(torch.ones(2, 4)).tolist() == [[2.0] * 4] * 2


def test_rank_as_an_operation():
    rank = OPERATIONS["keras.src.ops.numpy.Ndim"]()
    assert rank(torch.zeros(2, 3)) == 2 and ops.ndim(kt(None, 3)) == 2


@pytest.mark.parametrize(
    "signature, shapes, result, function, numpy",
    [
        ("(n),(n)->()", [(3, 1, 2), (4, 2)], (3, 4), torch.dot, np.dot),
        ("(m,n),(n)->(m)", [(5, 2), (6, 2)], (6, 5), torch.mv, np.dot),
        (" ( m , n ) -> ( n , m ) ", [(4, 2, 3)], (4, 3, 2), torch.t, np.transpose),
        ("(),()->()", [(2, 1), (3,)], (2, 3), torch.add, np.add),
    ],
)
def test_vectorize_with_a_signature(signature, shapes, result, function, numpy):
    values = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(shapes)]
    expected = np.vectorize(numpy, signature=signature.replace(" ", ""))(*values)
    actual = ops.vectorize(function, signature=signature)(*map(torch.tensor, values))
    assert actual.shape == expected.shape == result
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "signature, message",
    [
        ("n->n", "not a valid gufunc signature"),
        ("(n)->()->()", "not a valid gufunc signature"),
        ("(n),->()", "not a valid gufunc signature"),
        ("(n),(m)->()", "arguments do not have the axes"),
        ("(n,n)->()", "arguments do not have the axes"),
        ("(n)->(n,n)", "results do not have the axes"),
    ],
)
def test_vectorize_refuses(signature, message):
    with pytest.raises(ValueError, match=message):
        ops.vectorize(lambda x: x, signature=signature)(torch.ones(3))


SETTINGS = {
    "Cast": {"dtype": "int16"},
    "Clip": {"x_min": -1, "x_max": 0.5},
    "Threshold": {"threshold": 0.0, "default_value": 1.0},
}
ELEMENTWISE = {
    cls.__name__: cls for cls in OPERATIONS.values() if getattr(cls, "elementwise", False)
}


def outcome(infer, operation, arguments):
    try:
        spec = infer(operation.call, arguments, {})
    except Exception:
        return "refused"
    return spec if spec is None else (spec.shape, spec.dtype, spec.sparse)


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_a_number_tells_what_an_elementwise_function_gives(name):
    cls = ELEMENTWISE[name]
    operation = cls(**SETTINGS.get(name, {}))
    told = 0
    for dtype, other in [("float32", "float32"), ("int8", "float16"), ("bool", "uint8")]:
        for shape in [(None, 3), (), (2, 1, None)]:
            first, second = kt(*shape, dtype=dtype), kt(4, 1, 3, dtype=other)
            second = second if shape != (2, 1, None) else kt(1, 5, 1, dtype=other)
            for arguments in [(first, second), (first, 2), (first, np.ones(3, other))]:
                arguments = (*arguments, first, first)[: len(cls.tensor_parameters)]
                short = outcome(infer_elementwise, operation, arguments)
                if short is not None:
                    assert short == outcome(infer_spec, operation, arguments), arguments
                    told += 1
    assert told >= 9


def test_a_number_does_not_tell_all():
    add = OPERATIONS["keras.src.ops.numpy.Add"]()
    assert infer_elementwise(add.call, (kt(2, 3), kt(2, 4)), {}) is None
    with pytest.raises(ValueError, match="2, 3"):
        ops.add(kt(2, 3), kt(2, 4))
    masked = kt(None, 3)
    masked._keras_mask = kt(None, dtype="bool")
    assert infer_elementwise(add.call, (masked, 1), {}) is None
    assert ops.where(kt(2, 3, dtype="bool"))[0].shape == (None,)


def test_arithmetic_on_symbolic_tensors_does_not_load_the_compiler():
    program = """if True:
        import sys, torchkeras as keras
        x = keras.Input((4,))
        y = keras.ops.relu(x * 2 - 1) / (1 + keras.layers.Dense(4)(x) ** 2)
        keras.Model(x, keras.ops.where(y > 0.5, keras.ops.exp(-y), keras.ops.cast(0, "float32")))
        assert "torch._dynamo" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_depends_on_values_or_unknown_sizes_is_unknown():
    counts = ops.bincount(kt(3, 4, dtype="int32"), weights=kt(3, 4), minlength=2)
    assert counts.shape == (3, None) and counts.dtype == "float32"
    assert ops.fold(kt(None, None, None), (4, 4), 2).shape == (None, None, 4, 4)
    assert ops.fold(kt(None, 12, None), (4, 4), 2).shape == (None, 3, 4, 4)
    assert ops.in_top_k(kt(3, dtype="int32"), kt(None, 5), 2).shape == (3,)
    assert ops.psnr(kt(None), kt(1), 1.0).shape == ()
    assert ops.psnr(kt(None, None, 3), kt(4, 5, 3), 1.0).shape == ()


def test_a_tensor_that_is_left_out_is_none_in_the_graph():
    y = ops.batch_normalization(kt(None, 3), np.zeros(3), np.ones(3), -1, scale=kt(3))
    arguments = y._keras_history.operation._inbound_nodes[0].arguments
    assert len(arguments.args) == 5 and arguments.args[3] is None and not arguments.kwargs


def test_sizes_of_matrices_that_are_not_known():
    assert ops.solve(kt(3, 3), kt(None)).shape == (3,)
    with pytest.raises(ValueError):  # of matrices, Keras asks for known sizes
        ops.solve_triangular(kt(3, 3), kt(None, 2))
    assert ops.cdist(kt(2, None), kt(4, 3)).shape == (2, 4)
    assert ops.lstsq(kt(None, 2), kt(4, 2)).shape == (2, 2)  # torch has no kernel without data
    with pytest.raises(ValueError):
        ops.lstsq(kt(3, 2), kt(4, 2))
    images, numbers = kt(4, 5, None), np.ones(2, "float32")
    moved = ops.image.scale_and_translate(images, (6, 7, 2), numbers, numbers, (0, 1), "linear")
    assert moved.shape == (6, 7, 2)


def test_arrays_in_graphs_are_converted_as_elsewhere():
    """torch computes with wide unsigned dtypes in few places; `as_tensor` makes signed ones."""
    x, numbers = Input((2,), dtype="uint16"), np.array([1, 3], "uint16")
    assert Model(x, ops.less_equal(x, numbers))(np.array([[2, 2]], "uint16")).tolist() == [[0, 1]]


def test_sizes_that_are_not_needed_stay_unknown():
    """An unknown size is set to a known one only where no other fits."""
    kernel = kt(None, 2, 3)  # as many steps as one likes: the first number that fits proves nothing
    assert ops.conv(kt(None, 5, 2), kernel).shape == (None, None, 3)
    depthwise, pointwise = kt(2, 2, 2), kt(None, None, None)
    assert ops.separable_conv(kt(None, 5, None), depthwise, pointwise).shape == (None, 4, None)
    images = kt(None, None, 4, None)
    assert ops.image.rgb_to_hsv(images).shape == (None, None, 4, 3)
    assert ops.image.rgb_to_grayscale(images).shape == (None, None, 4, 1)


def test_configs_have_the_data_format_of_their_session():
    x = Input((4, 4, 2))
    assert ops.max_pool(x, 2)._keras_history.operation.data_format == "channels_last"


@pytest.mark.parametrize("op", [ops.cbrt, ops.deg2rad, ops.rad2deg, ops.i0, ops.corrcoef])
def test_int64_becomes_float64(op):
    assert op(torch.tensor([8])).dtype == torch.float64
    assert op(kt(2, dtype="int64")).dtype == "float64"
    assert op(torch.tensor([8], dtype=torch.int32)).dtype == torch.float32


def test_two_unknown_sizes_need_not_be_the_same():
    """Their stand-ins are, so what follows from their difference would look known."""
    assert ops.correlate(kt(None), kt(None)).shape == (None,)
    assert ops.correlate(kt(5), kt(3)).shape == (3,)
    assert ops.conv(kt(None, None, 3), kt(None, 3, 2)).shape == (None, None, 2)
    assert ops.conv(kt(None, 8, 3), kt(None, 3, 2), 2, "same").shape == (None, 4, 2)
    assert ops.depthwise_conv(kt(None, 9, 9, 2), kt(3, None, 2, 1)).shape == (None, 7, None, 2)


def test_unknown_sizes_that_can_only_be_one_number():
    assert ops.cross(kt(4, None), kt(4, None)).shape == (4, 3)
    assert ops.view_as_complex(kt(None, None)).shape == (None,)
    unknown, mask = kt(None, None, None, None), np.ones((1, 1, 3, 3), bool)
    assert ops.dot_product_attention(unknown, unknown, unknown, mask=mask).shape == unknown.shape
    assert ops.nanmedian(unknown).shape == ()  # without a kernel, which would want 83**4 numbers


@pytest.mark.parametrize("wide, narrow", [("int64", "uint8"), ("float64", "float32")])
def test_wide_operands_stay_wide(wide, narrow):
    x, y = torch.ones(2, 2).numpy().astype(wide), torch.ones(2, 2).numpy().astype(narrow)
    expected = torch.int64 if wide == "int64" else torch.float64
    assert ops.einsum("ij,jk->ik", x, y).dtype == expected
    if wide == "float64":
        assert ops.cdist(x, y).dtype == expected
        assert ops.solve(2 * np.eye(2, dtype=wide), y).dtype == expected
        assert ops.binary_crossentropy(y, x).dtype == expected


def test_operands_of_any_dtypes():
    assert ops.binary_crossentropy([1.0, 0.0], np.array([1, 0], "int8")).dtype == torch.float32
    assert ops.solve(2 * np.eye(2, dtype="int8"), [2.0, 4.0]).tolist() == [1.0, 2.0]
    whole = torch.ones(1, 3, 2, 4, dtype=torch.int8)
    assert ops.dot_product_attention(whole, whole, whole, is_causal=True).eq(1.0).all()
    with pytest.raises(ValueError, match="Cholesky inverse failed"):
        ops.cholesky_inverse(torch.eye(2, dtype=torch.int8))
    assert ops.flip(torch.tensor(3.0), axis=0).item() == 3.0
    assert ops.prod(torch.full((9, 9), 1.5).half().fill_(1), keepdims=True).shape == (1, 1)


def test_tensors_by_keyword_as_in_the_files_of_keras():
    x, weights, rows = Input((3,)), np.ones(3, "float32"), np.ones((1, 3), "float32")
    made = {
        "weights": ops.average(x, -1, weights),
        "scale": ops.rms_normalization(x, weights),
        "constant_values": ops.pad(x, ((0, 0), (1, 0))),
    }
    for key, y in made.items():
        model = Model(x, y)
        node = json.loads(model.to_json())["config"]["layers"][1]["inbound_nodes"][0]
        assert len(node["args"]) == 1 and list(node["kwargs"]) == [key]
        again = model_from_json(model.to_json())
        np.testing.assert_array_equal(again(rows), model(rows))


def test_encodings_note_their_dtype():
    x = Input((3,), dtype="int32")
    for y in (ops.one_hot(x, 5), ops.multi_hot(x, 5)):
        assert y._keras_history.operation.get_config()["dtype"] == "float32"


def test_how_many_values_differ_is_known_of_one():
    assert ops.unique(Input(batch_shape=())).shape == (1,)
    assert ops.unique(Input(batch_shape=(1,))).shape == (1,)
    assert ops.unique(Input(batch_shape=(2,))).shape == (None,)
