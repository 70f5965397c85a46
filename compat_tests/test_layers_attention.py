"""`MultiHeadAttention` and `GroupQueryAttention` against Keras."""

import keras
import numpy as np
import pytest
import torch
from keras.src.layers.attention import multi_head_attention as theirs_module
from oracle import (
    as_list,
    assert_close,
    assert_same_config,
    assert_same_error,
    assert_same_variables,
    make_pair,
    random_input,
)

import torchkeras
from torchkeras.layers import attention as ours_module
from torchkeras.random import set_seed

QUERY, VALUE = (2, 4, 6), (2, 5, 6)
PATTERN = np.random.default_rng(3)
MASKS = {
    "none": {},
    "value": {"value_mask": np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]], bool)},
    "no value": {"value_mask": np.array([[1, 0, 1, 0, 1], [0] * 5], bool)},
    "key": {"key_mask": PATTERN.random((2, 5)) < 0.6},
    "attention": {"attention_mask": PATTERN.random((2, 4, 5)) < 0.5},
    "for all": {"attention_mask": (PATTERN.random((4, 5)) < 0.6).astype("int32")},
    "per head": {"attention_mask": PATTERN.random((2, 2, 4, 5)) < 0.6},
    "all of it": {
        "attention_mask": PATTERN.random((2, 4, 5)) < 0.7,
        "value_mask": PATTERN.random((2, 5)) < 0.7,
        "use_causal_mask": True,
    },
}
MASKS["attention"]["attention_mask"][0, 1] = False


def build_pair(kwargs, *shapes):
    """The layer in both libraries, with equal weights from equal seeds."""
    name = "GroupQueryAttention" if "head_dim" in kwargs else "MultiHeadAttention"
    ours, theirs = make_pair(name, kwargs)
    assert_same_config(ours, theirs)
    for seed, layer in ((set_seed, ours), (keras.utils.set_random_seed, theirs)):
        seed(5)
        layer.build(*shapes)
    assert_same_variables(ours, theirs)
    assert ours.get_config().get("attention_axes") == theirs.get_config().get("attention_axes")
    return ours, theirs


def seeing(kwargs, shapes, query_mask, options):
    """Which queries `(B, T)` may see something, with every head.

    The gradients of the others are Keras's only as far as torch's kernel computes them, which loses
    the sum of their weights where all scores are lowered; ours are exact (tests/layers).
    """
    batch, queries, keys = shapes[0][0], shapes[0][1], shapes[1][1]
    heads = kwargs["num_query_heads"] if "head_dim" in kwargs else kwargs["num_heads"]
    seen = np.ones((batch, heads, queries, keys), bool)
    for name in ("value_mask", "key_mask"):
        if name in options:
            seen &= options[name].astype(bool)[:, None, None]
    if query_mask is not None:
        seen &= query_mask[:, None, :, None]
    given = options.get("attention_mask")
    if given is not None:
        seen &= given.astype(bool)[:, None] if given.ndim == 3 else given.astype(bool)
    distance = np.arange(queries)[:, None] - np.arange(keys)
    if options.get("use_causal_mask"):
        seen &= distance >= 0
    if kwargs.get("sliding_window"):
        seen &= abs(distance) < kwargs["sliding_window"]
    return seen.any(-1).all(1)


def run_one(layer, inputs, query_mask=None, rows=None, **options):
    """Outputs of one call, and gradients of the sum of random multiples of them.

    Args:
        rows: `(B, T)`, the queries whose results count in the sum; all by default.
    """
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    if query_mask is not None:
        leaves[0]._keras_mask = torch.tensor(query_mask)
    options = {k: torch.tensor(v) if hasattr(v, "shape") else v for k, v in options.items()}
    torch.manual_seed(7)
    outputs = layer(*leaves, **options)
    mask = getattr(as_list(outputs)[0], "_keras_mask", None)
    assert (mask is None) == (query_mask is None)
    rng = np.random.default_rng(1)
    factors = [torch.tensor(rng.normal(size=t.shape)) for t in as_list(outputs)]
    if rows is not None:
        factors[0][~torch.tensor(rows)] = 0.0
    loss = sum((t * f).sum() for t, f in zip(as_list(outputs), factors, strict=True))
    weights = [w if isinstance(w, torch.Tensor) else w.value for w in layer.trainable_weights]
    return outputs, torch.autograd.grad(loss, leaves + weights, allow_unused=True)


def compare(kwargs, shapes=(QUERY, VALUE), query_mask=None, tolerance=None, **options):
    ours, theirs = build_pair(kwargs, *shapes)
    inputs = [random_input(shape, seed=i) for i, shape in enumerate(shapes)]
    if query_mask is not None:
        query_mask = np.array(query_mask)
    rows = seeing(kwargs, shapes, query_mask, options) if len(shapes[0]) == 3 else None
    a = run_one(ours, inputs, query_mask, rows, **options)
    b = run_one(theirs, inputs, query_mask, rows, **options)
    assert_close(a[0], b[0], "output", **(tolerance or {}))
    assert_close(a[1], b[1], "gradient", **(tolerance or {"rtol": 1e-4, "atol": 1e-5}))
    for v, w in zip(ours.variables, theirs.variables, strict=True):
        assert_close(v, w, "state after the call")
    return ours, theirs


VARIANTS = [
    {},
    {"value_dim": 5, "use_bias": False},
    {"output_shape": 7, "kernel_initializer": "he_normal", "bias_initializer": "ones"},
    {"output_shape": (3, 2)},
    {"use_gate": True, "value_dim": 4},
    {"sliding_window": 2},
    {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": "l1"},
    {"dropout": 0.4},
    {"dropout": 0.4, "seed": 3},
]


@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_variants_under_masks(variant, mask):
    compare({"num_heads": 2, "key_dim": 3, **variant}, training=True, **MASKS[mask])


@pytest.mark.parametrize("mask", ["none", "attention", "no value"])
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_inference_and_scores(dropout, scores, mask):
    kwargs = {"num_heads": 2, "key_dim": 3, "dropout": dropout, "seed": 1}
    compare(kwargs, return_attention_scores=scores, training=False, **MASKS[mask])


@pytest.mark.parametrize("kwargs", [{}, {"dropout": 0.3}, {"return": True}], ids=str)
def test_causal_mask_alone(kwargs):
    options = {"return_attention_scores": kwargs.pop("return", False)}
    kwargs = {"num_heads": 2, "key_dim": 3, **kwargs}
    for shapes in ((QUERY, QUERY), (QUERY, VALUE), (VALUE, QUERY)):
        compare(kwargs, shapes, use_causal_mask=True, training=True, **options)


@pytest.mark.parametrize("mask", ["none", "value", "attention"])
def test_mask_of_the_query(mask):
    query_mask = [[True, True, False, False], [False, True, True, True]]
    for dropout in (0.0, 0.4):
        kwargs = {"num_heads": 2, "key_dim": 3, "dropout": dropout}
        compare(kwargs, query_mask=query_mask, training=True, **MASKS[mask])


def test_a_key_of_its_own():
    compare({"num_heads": 2, "key_dim": 3}, (QUERY, VALUE, (2, 5, 8)))
    assert_same_error(
        lambda k: k.layers.MultiHeadAttention(2, 3)(
            torch.zeros(1, 4, 6), torch.zeros(1, 5, 6), torch.zeros(1, 3, 6)
        ),
        "key_shape",
    )


@pytest.mark.parametrize("axes", [None, 1, (2,), (1, 2), -1], ids=str)
def test_more_axes(axes):
    shape = (2, 3, 4, 5)
    kwargs = {"num_heads": 2, "key_dim": 3, "attention_axes": axes}
    compare(kwargs, (shape, shape), return_attention_scores=True)
    compare({**kwargs, "use_gate": True}, (shape, shape))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
@pytest.mark.parametrize("mask", ["none", "attention"])
def test_dtype_policies(policy, mask):
    loose = {"mixed_float16": 0.02, "mixed_bfloat16": 0.15, "bfloat16": 0.15}.get(policy)
    # In float64 Keras rounds its inputs or weights to float32 somewhere.
    tolerance = {"rtol": loose, "atol": loose} if loose else {"rtol": 1e-4, "atol": 1e-6}
    compare({"num_heads": 2, "key_dim": 3, "dtype": policy}, tolerance=tolerance, **MASKS[mask])


@pytest.mark.parametrize("scores", [False, True])
def test_symbolic_call(scores):
    specs = []
    for library in (torchkeras, keras):
        query = library.Input((None, 6))
        layer = library.layers.MultiHeadAttention(2, 3)
        outputs = layer(query, query, return_attention_scores=scores)
        specs.append([(tuple(t.shape), t.dtype) for t in as_list(outputs)])
    assert specs[0] == specs[1]
    assert layer.compute_output_shape((None, 4, 6), (None, 5, 6)) == (None, 4, 6)


def test_masks_in_a_functional_model():
    ids = torch.tensor([[1, 2, 0, 0], [3, 0, 4, 1]])

    def model(library):
        library.utils.set_random_seed(0)
        x = library.Input((4,), dtype="int32")
        embedded = library.layers.Embedding(5, 6, mask_zero=True)(x)
        attended = library.layers.MultiHeadAttention(2, 3)(embedded, embedded)
        return library.Model(x, library.layers.LSTM(2)(attended))

    assert_close(*(model(library)(ids) for library in (torchkeras, keras)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"key_dim": 2, "num_heads": 0},
        {"key_dim": 2, "num_heads": 2.5},
        {"num_heads": 2, "key_dim": -1},
        {"num_heads": 2, "key_dim": 2, "value_dim": 0},
        {"num_heads": 2, "key_dim": 2, "output_shape": 1.5},
        {"num_heads": 2, "key_dim": 2, "attention_axes": "1"},
        {"num_heads": 2, "key_dim": 2, "sliding_window": 0},
        {"num_heads": 2, "key_dim": 2, "flash_attention": True, "dropout": 0.1},
    ],
    ids=str,
)
def test_bad_arguments(arguments):
    assert_same_error(lambda k: k.layers.MultiHeadAttention(**arguments), list(arguments)[-1])


def test_equations():
    for rank in range(4, 9):
        for axes in ((1,), (2,), (1, 2)):
            assert ours_module._build_attention_equation(
                rank, axes
            ) == theirs_module._build_attention_equation(rank, axes)
    for free in range(1, 5):
        for bound in (1, 2):
            for new in (1, 2, 3):
                assert ours_module._build_proj_equation(
                    free, bound, new
                ) == theirs_module._build_proj_equation(free, bound, new)


def test_subclass_with_its_own_attention():
    """What keras-hub and others do: override `_compute_attention` and use the parts' names."""

    def make(library):
        class Own(library.layers.MultiHeadAttention):
            def _compute_attention(
                self, query, key, value, attention_mask=None, training=None, *args, **kwargs
            ):
                scores = torch.einsum(self._dot_product_equation, key, query / self._key_dim)
                scores = self._masked_softmax(scores, attention_mask)
                return torch.einsum(self._combine_equation, scores, value), scores

        return Own(num_heads=2, key_dim=3, name="layer")

    ours, theirs = make_pair(make)
    results = []
    x = torch.tensor(random_input(QUERY))
    for layer, seed in ((ours, set_seed), (theirs, keras.utils.set_random_seed)):
        seed(0)
        results.append(layer(x, x, use_causal_mask=True))
        assert layer._query_dense.name == "query" and layer._output_dense.name == "attention_output"
        assert (layer._num_heads, layer._key_dim, layer._value_dim) == (2, 3, 3)
    assert_close(*results)


# GroupQueryAttention -----------------------------------------------------------------------------

GROUPS = {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 1}


@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"use_bias": False, "kernel_initializer": "he_normal"},
        {"use_gate": True, "bias_initializer": "ones"},
        {"sliding_window": 2},
        {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": "l1"},
        {"dropout": 0.4},
        {"dropout": 0.4, "seed": 3},
    ],
    ids=str,
)
def test_groups_under_masks(variant, heads, mask):
    kwargs = {**GROUPS, "num_key_value_heads": heads, **variant}
    ours, theirs = compare(kwargs, training=True, **MASKS[mask])
    assert_close(list(ours.losses), list(theirs.losses), "losses")


@pytest.mark.parametrize("mask", ["none", "attention", "no value"])
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_groups_in_inference_and_scores(dropout, scores, mask):
    kwargs = {**GROUPS, "dropout": dropout, "seed": 1}
    compare(kwargs, return_attention_scores=scores, training=False, **MASKS[mask])


@pytest.mark.parametrize("options", [{}, {"return_attention_scores": True}], ids=str)
def test_groups_with_a_causal_mask_alone(options):
    for shapes in ((QUERY, QUERY), (QUERY, VALUE), (VALUE, QUERY)):
        compare(GROUPS, shapes, use_causal_mask=True, training=True, **options)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_groups_and_dtype_policies(policy):
    bound = 0.02 if policy == "mixed_float16" else 0.15
    compare({**GROUPS, "dtype": policy}, tolerance={"rtol": bound, "atol": bound})


def test_groups_and_a_key_of_its_own():
    compare(GROUPS, (QUERY, VALUE, (2, 5, 8)))


@pytest.mark.parametrize("scores", [False, True])
def test_symbolic_call_with_groups(scores):
    specs = []
    for library in (torchkeras, keras):
        query, value = library.Input((None, 6)), library.Input((5, 6))
        layer = library.layers.GroupQueryAttention(**GROUPS)
        outputs = layer(query, value, return_attention_scores=scores)
        specs.append([(tuple(t.shape), t.dtype) for t in as_list(outputs)])
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("action", "match"),
    [
        (lambda k: k.layers.GroupQueryAttention(3, 3, 2), "num_key_value_heads"),
        (lambda k: k.layers.GroupQueryAttention(3, 2, 1, sliding_window=0), "sliding_window"),
        (
            lambda k: k.layers.GroupQueryAttention(3, 2, 1, flash_attention=True, dropout=0.1),
            "Dropout is not supported",
        ),
        (
            lambda k: k.layers.GroupQueryAttention(3, 2, 1).compute_output_shape(
                (1, 2, 3), (1, 2, 4)
            ),
            "must be equal",
        ),
        (
            lambda k: k.layers.GroupQueryAttention(3, 2, 1).compute_output_shape(
                (1, 2, 3), (1, 2, 3), (1, 3, 3)
            ),
            "must be equal",
        ),
    ],
)
def test_bad_groups(action, match):
    assert_same_error(action, match)


def test_subclass_of_groups_with_its_own_attention():
    """It gets as many heads of keys as of queries, and finds whether scores are wanted."""

    def make(library):
        class Own(library.layers.GroupQueryAttention):
            def _compute_attention(self, query, key, value, attention_mask=None, training=None):
                scores = torch.einsum(self._dot_product_equation, query, key)
                scores = self._masked_softmax(scores * self._inverse_sqrt_head_dim, attention_mask)
                self.seen = self._return_attention_scores
                return torch.einsum(self._combine_equation, scores, value), scores

        return Own(3, 4, 2, name="layer")

    ours, theirs = make_pair(make)
    x, results = torch.tensor(random_input(QUERY)), []
    for layer, seed in ((ours, set_seed), (theirs, keras.utils.set_random_seed)):
        seed(0)
        results.append(layer(x, x, use_causal_mask=True, return_attention_scores=True))
        assert layer.seen is True
    assert_close(*results)
