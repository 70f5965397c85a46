"""Scopes, stateless calls, functions and the small machinery libraries import, against Keras."""

import itertools

import keras
import numpy as np
import pytest
import torch
from keras.src import backend as their_backend
from keras.src import utils as their_utils
from keras.src.backend.common import backend_utils as their_backend_utils
from keras.src.backend.common import dtypes as their_dtypes
from keras.src.backend.common.name_scope import current_path as their_path
from keras.src.backend.common.name_scope import name_scope as their_scope
from keras.src.backend.common.variables import AutocastScope as TheirAutocastScope
from keras.src.ops import operation_utils as their_shapes
from keras.src.utils import code_stats, dtype_utils, python_utils
from oracle import assert_close, seed_both, to_numpy

import torchkeras
from torchkeras import dtypes, naming
from torchkeras.dropin import helpers, padding, shapes
from torchkeras.graph.context import AutocastScope
from torchkeras.graph.function import map_graph

PAIR = pytest.mark.parametrize("k", [torchkeras, keras], ids=["ours", "theirs"])


def outcome(function, *args, **kwargs):
    """Return what a function gives, or the first of Python's own types that its error has."""
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return tuple(result) if isinstance(result, list) else result


# Stateless calls and scopes ----------------------------------------------------------------------


def stateful_model(k):
    seed_both()
    model = k.Sequential(
        [
            k.layers.Input((3,)),
            k.layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1"),
            k.layers.BatchNormalization(),
            k.layers.Dropout(0.5, seed=3),
            k.layers.Dense(2),
        ]
    )
    return model


@pytest.mark.parametrize("training", [False, True])
def test_stateless_calls(training):
    x = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
    results = []
    for k in (torchkeras, keras):
        model = stateful_model(k)
        weights = [torch.as_tensor(to_numpy(v)) * 2 for v in model.trainable_variables]
        state = [torch.as_tensor(to_numpy(v)) + 1 for v in model.non_trainable_variables]
        outputs = []
        for _ in range(2):
            y, state, losses = model.stateless_call(
                weights, state, x, training=training, return_losses=True
            )
            outputs += [y, *state, *losses]
        results.append([to_numpy(value) for value in (*outputs, *model.variables)])
    assert_close(*results)


@pytest.mark.parametrize("wrong", ["unbuilt", "trainable", "state"])
def test_errors_of_stateless_calls(wrong):
    def call(k):
        layer = k.layers.BatchNormalization()
        if wrong != "unbuilt":
            layer.build((None, 2))
        lists = [list(layer.trainable_variables), list(layer.non_trainable_variables)]
        if wrong != "unbuilt":
            lists[wrong == "state"].pop()
        return layer.stateless_call(*lists, np.ones((2, 2)))

    assert outcome(call, torchkeras) is outcome(call, keras) is ValueError


@PAIR
def test_a_scope_in_keras_terms(k):
    a, b = k.Variable([1.0, 2.0]), k.Variable([3.0, 4.0])
    with k.StatelessScope([(a, k.ops.ones(2) * 5)]) as scope:
        b.assign(a + b)
        b.assign_sub([1.0, 1.0])
        inside = to_numpy(b + 0.0)
        made = k.Variable("ones", shape=(2,))
        assert made._value is None
        nothing = scope.get_current_value(made)
    assert inside.tolist() == [7.0, 8.0] and nothing is None
    assert to_numpy(b).tolist() == [3.0, 4.0] and to_numpy(a).tolist() == [1.0, 2.0]
    assert to_numpy(scope.get_current_value(b)).tolist() == [7.0, 8.0]
    assert to_numpy(made).tolist() == [1.0, 1.0]


@PAIR
def test_metrics_and_optimizers_without_state(k):
    metric = k.metrics.MeanSquaredError()
    state = metric.stateless_reset_state()
    state = metric.stateless_update_state(state, np.zeros((2, 1)), np.ones((2, 1)))
    assert float(metric.stateless_result(state)) == 1.0 and float(metric.result()) == 0.0
    weight = k.Variable([1.0, 2.0])
    optimizer = k.optimizers.SGD(0.5)
    optimizer.build([weight])
    new, _ = optimizer.stateless_apply(
        [torch.tensor(to_numpy(v)) for v in optimizer.variables],
        [torch.ones(2)],
        [torch.tensor(to_numpy(weight))],
    )
    assert to_numpy(new[0]).tolist() == [0.5, 1.5] and to_numpy(weight).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(("k", "scope"), [(torchkeras, AutocastScope), (keras, TheirAutocastScope)])
def test_autocast_scopes(k, scope):
    plain, fixed = k.Variable([1.5]), k.Variable([1.5], autocast=False)
    with scope("bfloat16"):
        assert plain.value.dtype is torch.bfloat16 and fixed.value.dtype is torch.float32
        with scope(None):
            assert plain.value.dtype is torch.float32
    with pytest.raises(ValueError, match="can only be used with a floating-point target dtype"):
        scope("int32")


@pytest.mark.parametrize(
    ("scope", "path"),
    [(naming.name_scope, naming.current_path), (their_scope, their_path)],
    ids=["ours", "theirs"],
)
def test_name_scopes(scope, path):
    caller = object()
    with scope("a"), scope("b", caller=caller), scope("b", caller=caller), scope("c", caller):
        assert path() == "a/b/c"
        with scope("c", caller, deduplicate=False), scope("d", override_parent="/x/y"):
            assert path() == "x/y/d"
    assert path() == ""
    with pytest.raises(ValueError, match="must be a string and cannot contain character `/`"):
        scope("a/b")


@pytest.mark.parametrize("mode", ["full", "activations", "larger_than", "list_of_layers", None])
def test_rematerialized_layers(mode):
    x = torch.randn(4, 3)
    results = []
    for k in (torchkeras, keras):
        with k.RematScope(mode, output_size_threshold=1, layer_names=["dense"]):
            layer = k.layers.Dense(2, activation="tanh", kernel_initializer="ones", name="dense")
        given = x.clone().requires_grad_()
        y = layer(given)
        y.sum().backward()
        again = k.remat(lambda x, scale=1.0: (x * scale).exp())(given, scale=2.0)
        results.append([to_numpy(value) for value in (y, given.grad, again)])
    assert_close(*results)


# Graphs ------------------------------------------------------------------------------------------


@PAIR
def test_functions(k):
    a, b = k.KerasTensor((None, 3)), k.KerasTensor((None, 3))
    hidden = k.ops.sigmoid(a + b)
    function = k.Function({"a": a, "b": b}, [hidden * 2, hidden], name="f")
    assert [type(op).__name__ for op in function.operations] == ["Add", "Sigmoid", "Multiply"]
    values = {"a": np.zeros((2, 3), "float32"), "b": np.zeros((2, 3), "float32")}
    assert [to_numpy(x).tolist() for x in function(values)] == [[[1.0] * 3] * 2, [[0.5] * 3] * 2]
    assert function.compute_output_shape({"a": (7, 3), "b": (7, 3)}) == [(7, 3), (7, 3)]
    for wrong in (values["a"], {**values, "a": np.zeros((2, 4))}, {**values, "a": np.zeros(3)}):
        with pytest.raises(ValueError, match="invalid input structure|incompatible inputs"):
            function(wrong)


@PAIR
def test_the_map_of_a_graph(k):
    from_keras = k is keras
    graph_of = keras.src.ops.function.map_graph if from_keras else map_graph
    x = k.Input((3,))
    left, right = k.layers.Dense(2, name="l")(x), k.layers.Dense(2, name="r")(x)
    out = k.layers.Add(name="sum")([left, k.ops.relu(right)])
    keys, by_depth, operations, by_operation_depth = graph_of([x], [out])
    assert len(keys) == 5
    names = {depth: [n.operation.name for n in nodes] for depth, nodes in by_depth.items()}
    assert {d: len(n) for d, n in names.items()} == {0: 1, 1: 1, 2: 2, 3: 1} or len(names) == 4
    assert [op.name for op in operations][-1] == "sum" and by_operation_depth[0] == operations[-1:]
    node = out._keras_history.operation._inbound_nodes[0]
    assert [p.operation.name for p in node.parent_nodes][0] == "l"
    assert node.arguments.keras_tensors == node.input_tensors == [left, node.input_tensors[1]]


@PAIR
def test_configs_of_operations(k):
    class Scale(k.Operation):
        def __init__(self, by, plus=1.0, name=None):
            super().__init__(name=name)
            self.by, self.plus = by, plus

        def call(self, x):
            return self.by * x + self.plus

    scale = Scale(2.0, name="scale")
    assert scale.get_config() == {"name": "scale", "by": 2.0, "plus": 1.0}
    assert Scale.from_config(scale.get_config()).plus == 1.0
    with pytest.raises(NotImplementedError):
        Scale(object()).get_config()
    with pytest.raises(TypeError, match="[Ee]rror when deserializing class 'Scale'"):
        Scale.from_config({"unknown": 1})
    first = scale(k.KerasTensor((2,)))
    scale(k.KerasTensor((3,)))
    assert scale.output is first


def test_operators_of_variables_promote_alike():
    names = ("bool", "uint8", "int8", "int32", "bfloat16", "float16", "float32")
    operators = "add sub mul truediv floordiv mod pow matmul and or xor eq lt".split()
    for first, second in itertools.permutations(names, 2):
        ours = [torchkeras.Variable("ones", (1,), d, trainable=False) for d in (first, second)]
        theirs = [keras.Variable("ones", (1,), d, trainable=False) for d in (first, second)]
        for name in operators:
            method = f"__{name}__"
            assert (
                getattr(ours[0], method)(ours[1]).dtype
                is getattr(theirs[0], method)(theirs[1]).dtype
            ), (first, name, second)


def test_the_first_values_of_variables_have_keras_dtypes():
    for value in (1, 1.5, True, [1, 2], [1.0], np.ones(1), np.float64(1), np.int64(1), [True]):
        ours, theirs = torchkeras.Variable(value), keras.Variable(value, trainable=False)
        assert dtypes.standardize_dtype(ours.dtype) == theirs.dtype, value


# Shape rules -------------------------------------------------------------------------------------

SHAPES = [(), (1,), (3,), (2, 3), (None, 3), (1, None), (2, None, 4), (2, 3, 4)]


@pytest.mark.parametrize("name", ["broadcast_shapes", "compute_matmul_output_shape"])
def test_rules_of_two_shapes(name):
    for pair in itertools.product(SHAPES, repeat=2):
        if name == "compute_matmul_output_shape" and () in pair:
            continue  # where Keras stumbles over an index
        ours, theirs = getattr(shapes, name), getattr(their_shapes, name)
        assert outcome(ours, *pair) == outcome(theirs, *pair), pair


def test_rules_with_axes():
    axes = [None, 0, -1, 2, (0,), (0, -1), [1, 0], (0, 1, 2), (-1, 0, 1)]
    for shape, axis in itertools.product(SHAPES, axes):
        several = axis if isinstance(axis, (list, tuple)) else ()
        twice = len({item % max(len(shape), 1) for item in several}) < len(several)
        for keepdims in () if twice else (False, True):  # where Keras stumbles over an index
            assert outcome(shapes.reduce_shape, shape, axis, keepdims) == outcome(
                their_shapes.reduce_shape, shape, axis, keepdims
            ), (shape, axis)
        name = "compute_expand_dims_output_shape"
        assert outcome(getattr(shapes, name), shape, axis) == outcome(
            getattr(their_shapes, name), shape, axis
        ), (shape, axis)
        if not isinstance(axis, int):
            name = "compute_transpose_output_shape"
            assert outcome(getattr(shapes, name), shape, axis) == outcome(
                getattr(their_shapes, name), shape, axis
            ), (shape, axis)


@pytest.mark.parametrize("new", [(6,), (-1,), (3, -1), (2, None, 1), (-1, -1), (-2, 3), (4, 2), ()])
def test_reshape(new):
    for shape in ((2, 3), (None, 3), (6, 1), (1,)):
        args = (shape, new, "newshape")
        assert outcome(shapes.compute_reshape_output_shape, *args) == outcome(
            their_shapes.compute_reshape_output_shape, *args
        ), shape


def test_take_along_axis():
    for shape, indices, axis in itertools.product(SHAPES, SHAPES, (None, 0, -1, 5)):
        name = "compute_take_along_axis_output_shape"
        if axis is None and len(indices) == 0:
            continue
        assert outcome(getattr(shapes, name), shape, indices, axis) == outcome(
            getattr(their_shapes, name), shape, indices, axis
        ), (shape, indices, axis)


@pytest.mark.parametrize("mode", ["valid", "same", "causal", "full"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_windows(mode, data_format):
    for shape, size, strides, dilation in itertools.product(
        ((1, 7, 6, 5), (None, None, 6, 5), (2, 3, 3, 3)),
        ((2, 2), (3, 1), (7, 7)),
        (1, 2, (1, 3)),
        (1, 2, (2, 1), (1, 1, 1)),
    ):
        if mode != "causal" and dilation == 1:
            pooled = (shape, size, strides, mode, data_format)
            assert outcome(shapes.compute_pooling_output_shape, *pooled) == outcome(
                their_shapes.compute_pooling_output_shape, *pooled
            ), pooled
        args = (shape, 4, size, strides, mode, data_format, dilation)
        assert outcome(shapes.compute_conv_output_shape, *args) == outcome(
            their_shapes.compute_conv_output_shape, *args
        ), args


@pytest.mark.parametrize("axis", [0, -1, np.int64(1), [0, -1], "1", [0, "1"], 5])
def test_axes(axis):
    assert outcome(shapes.canonicalize_axes, axis, 3) == outcome(
        their_backend_utils.canonicalize_axes, axis, 3
    )


@pytest.mark.parametrize("extra", [None, 0, 1])
def test_paddings_of_transposed_convolutions(extra):
    name = "compute_conv_transpose_padding_args_for_jax"
    for kernel, stride, mode in itertools.product((1, 2, 3, 4), (1, 2, 3), ("valid", "same")):
        if extra is not None and extra >= stride:
            continue
        args = ((1, 5, 5, 3), (kernel, kernel, 3, 3), stride, mode, extra, 1)
        assert getattr(padding, name)(*args) == getattr(their_backend_utils, name)(*args), args


# Helpers -----------------------------------------------------------------------------------------


def test_the_lattice_of_dtypes():
    assert dtypes.ALLOWED_DTYPES == their_dtypes.ALLOWED_DTYPES
    assert dtypes.LATTICE_UPPER_BOUNDS == their_dtypes.LATTICE_UPPER_BOUNDS
    names = [*dtypes.ALLOWED_DTYPES, "int", "float", "none"]
    for pair in itertools.product(names, repeat=2):
        assert outcome(dtypes._least_upper_bound, *pair) == outcome(
            their_dtypes._least_upper_bound, *pair
        ), pair
    for name, precision in itertools.product(names, ("16", "32", "64", "8")):
        assert outcome(dtypes._resolve_weak_type, name, precision) == outcome(
            their_dtypes._resolve_weak_type, name, precision
        ), (name, precision)
    for name, weak in itertools.product(names, (True, False)):
        assert outcome(dtypes._respect_weak_type, name, weak) == outcome(
            their_dtypes._respect_weak_type, name, weak
        ), name


@pytest.mark.parametrize("name", [*their_dtypes.ALLOWED_DTYPES, "text", ""])
def test_sizes_of_dtypes(name):
    if "float8" not in name:  # which Keras does not know here
        assert outcome(helpers.dtype_size, name) == outcome(dtype_utils.dtype_size, name)
    assert helpers.is_float(name) == dtype_utils.is_float(name)


def test_common_dtypes():
    names = ("float16", "bfloat16", "float32", "float64", "int32", "bool")
    for chosen in itertools.combinations(names, 3):
        tensors = [torch.ones(1, dtype=getattr(torch, name)) for name in chosen]
        ours, theirs = (
            helpers.cast_to_common_dtype(tensors),
            dtype_utils.cast_to_common_dtype(tensors),
        )
        assert [x.dtype for x in ours] == [x.dtype for x in theirs], chosen


@pytest.mark.parametrize("axis", [1, [1], (1, 2), [3, 2, 1], [0, 2], (-1, -2), [1, 1], []])
def test_continuous_axes(axis):
    assert helpers.is_continuous_axis(axis) == python_utils.is_continuous_axis(axis)


@pytest.mark.parametrize("diagonal", [True, False])
def test_masks_of_pairs(diagonal):
    labels = np.array([0, 1, 0, 2])
    theirs = their_utils.numerical_utils.build_pos_neg_masks(labels, labels, diagonal)
    ours = helpers.build_pos_neg_masks(labels, labels, diagonal)
    assert_close(list(ours), list(theirs))


def test_logs_and_lines(tmp_path):
    logs = {"b": torch.tensor(1.5), "a": {"c": np.float32(2)}, "text": "x", "many": [1, 2]}
    assert helpers.pythonify_logs(logs) == python_utils.pythonify_logs(logs)
    assert helpers.pythonify_logs(None) == {}
    (tmp_path / "one.py").write_text('"""Doc."""\n\n# note\nx = 1\n"""More\n"""\ny = 2  # two\n')
    (tmp_path / "one_test.py").write_text("z = 3\n")
    (tmp_path / "two.txt").write_text("text\n")
    assert helpers.count_loc(tmp_path) == code_stats.count_loc(str(tmp_path)) == 2


def test_functions_by_their_code():
    def outer(n):
        return lambda x, y=2: n + x * y

    for dump, load in itertools.product((helpers, python_utils), repeat=2):
        assert load.func_load(dump.func_dump(outer(3)))(4) == 11
    assert their_backend.backend() == "torch"
