"""Programs on dtypes: policies, casts, files of low precision. A part of the topic `draws`."""

from __future__ import annotations

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble

__all__ = ["WRITERS"]

_POLICIES = ("mixed_float16", "mixed_bfloat16", "bfloat16", "float16", "float64", "float32")
_HALF = ("float16", "bfloat16")


def _policy(draw: Draw) -> str:
    """Statements that set the global policy, or nothing."""
    policy = draw.one(_POLICIES)
    ways = [
        f"keras.config.set_dtype_policy({policy!r})",
        f"keras.mixed_precision.set_global_policy({policy!r})",
        f"keras.config.set_dtype_policy(keras.DTypePolicy({policy!r}))",
        "",
    ]
    if "mixed" not in policy:
        ways += [f"keras.config.set_floatx({policy!r})", f"keras.backend.set_floatx({policy!r})"]
    return draw.one(ways)


def _dtype(draw: Draw) -> str:
    """An optional `dtype` of a layer, after a comma."""
    policy = draw.one(_POLICIES)
    return draw.one(
        ["", "", f", dtype={policy!r}", f", dtype={policy!r}",
         f", dtype=keras.DTypePolicy({policy!r})"]
    )  # fmt: skip


def _with_dtype(expression: str, dtype: str) -> str:
    """A layer's expression with one more argument."""
    return expression[:-1] + (dtype if expression[-2] != "(" else dtype[2:]) + ")"


def _model(draw: Draw) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """A model whose layers have policies of their own: source, rows in, rows out."""
    shape = draw.shape(draw.whole(1, 3), 2, 5)
    expressions, after = pieces.stack(draw, shape, draw.whole(1, 4))
    expressions = [_with_dtype(e, _dtype(draw) if draw.chance(0.4) else "") for e in expressions]
    given = draw.one(["", "", ", dtype='float16'", ", dtype='float64'", ", dtype='float32'"])
    if draw.chance():
        body = "".join(f"    {e},\n" for e in [f"keras.Input({shape}{given})", *expressions])
        source = f"model = keras.Sequential([\n{body}])"
    else:
        body = "\n".join(f"x = {e}(x)" for e in expressions)
        source = f"inputs = x = keras.Input({shape}{given})\n{body}\nmodel = keras.Model(inputs, x)"
    return source, shape, after


_FACTS = """
print(model.dtype, model.compute_dtype, model.variable_dtype, model.dtype_policy.name)
for layer in model.layers:
    print(layer.name, layer.dtype, layer.compute_dtype, layer.input_dtype, layer.output.dtype)
for w in model.weights:
    print(w.path, keras.backend.standardize_dtype(w.dtype), tuple(w.shape))
"""
_OPTIMIZER = """
print(type(model.optimizer).__name__, len(model.optimizer.variables))
for v in model.optimizer.variables:
    print(v.path, keras.backend.standardize_dtype(v.dtype), tuple(v.shape))
"""


def _facts(draw: Draw) -> str:
    """Dtypes of a model's parts, and what it computes."""
    source, shape, _ = _model(draw)
    given = draw.one(["float32", "float32", "float64", "float16", "int32"])
    return assemble(
        _policy(draw),
        source,
        _FACTS,
        f"x = (numbers(*{(3, *shape)}) * 3).astype({given!r})",
        'show("called", model(x))',
        'show("predicted", model.predict(x, verbose=0))' if draw.chance() else "",
        "pprint.pprint(model.get_config())" if draw.chance(0.3) else "",
        "for layer in model.layers: pprint.pprint(layer.get_config())" if draw.chance(0.3) else "",
        "copied = keras.Model.from_config(model.get_config()) if not isinstance(model,"
        " keras.Sequential) else keras.Sequential.from_config(model.get_config())\n"
        "print([l.dtype_policy.name for l in copied.layers], copied.dtype_policy.name)"
        if draw.chance(0.3)
        else "",
    )


def _trained(draw: Draw) -> str:
    """Training in low precision, and the optimizer's variables."""
    policy, (source, shape, after) = _policy(draw), _model(draw)
    rows = draw.whole(3, 6)
    optimizer = pieces.optimizer(draw)
    if draw.chance(0.2):
        optimizer = f"keras.optimizers.LossScaleOptimizer({optimizer})"
    elif draw.chance(0.2):
        optimizer = "keras.optimizers.SGD(0.01, loss_scale_factor=8.0)"
    jit = ", auto_scale_loss=False" if draw.chance(0.2) else ""
    # Cosines of rows of one or two numbers turn with what bfloat16 rounds off.
    further = "hinge" if "bfloat16" in policy + source else "cosine_similarity"
    metrics = draw.one(["", "", ", metrics=['mae']", f", metrics=['mse', {further!r}]"])
    loss = draw.one(["mse", "mae", "huber"])
    # Signs of errors that are as small as what is rounded off are by chance: far from zero.
    far = "y += 8 * np.sign(y)" if loss == "mae" else ""
    return assemble(
        policy,
        source,
        f"model.compile({optimizer}, {loss!r}{metrics}{jit})",
        f"x, y = numbers(*{(rows, *shape)}), numbers(*{(rows, *after)}, seed=1)",
        far,
        f"history = model.fit(x, y, epochs={draw.whole(1, 2)}, batch_size=3, verbose=0)",
        'show("history", history.history)',
        _OPTIMIZER,
        _FACTS if draw.chance(0.3) else "",
        'show("evaluated", model.evaluate(x, y, verbose=0))' if draw.chance() else "",
        "pprint.pprint(model.optimizer.get_config())" if draw.chance(0.3) else "",
        "print(as_json(model.get_compile_config()))" if draw.chance(0.2) else "",
    )


def _filed(draw: Draw) -> str:
    """A model in a file, opened under another policy."""
    source, shape, after = _model(draw)
    path = draw.one(["model.keras", "model.keras", "model.h5"])
    compiled = draw.chance(0.6)
    rows = 4
    return assemble(
        _policy(draw),
        source,
        f"model.compile({pieces.optimizer(draw)}, 'mse')" if compiled else "",
        f"x, y = numbers(*{(rows, *shape)}), numbers(*{(rows, *after)}, seed=1)",
        "model.fit(x, y, epochs=1, batch_size=4, verbose=0)" if compiled else "",
        'show("called", model.predict(x, verbose=0))',
        f"model.save({path!r})",
        "model.save_weights('w.weights.h5')",
        HANDOVER,
        _policy(draw),
        f"model = keras.models.load_model({path!r})",
        _FACTS,
        _OPTIMIZER if compiled else "",
        f"x, y = numbers(*{(rows, *shape)}), numbers(*{(rows, *after)}, seed=1)",
        'show("called", model.predict(x, verbose=0))',
        "model.load_weights('w.weights.h5')\nshow('again', model.predict(x, verbose=0))"
        if draw.chance(0.3)
        else "",
        'show("history", model.fit(x, y, epochs=1, batch_size=4, verbose=0).history)'
        if compiled
        else "",
    )


_CUSTOM = (
    """
    class Custom(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 2), initializer="ones", name="w")
            self.k = self.add_weight(shape=(2,), dtype="float32", trainable=False, name="k")
            self.n = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False,
                                     name="n")
        def call(self, x):
            SEEN.add(keras.backend.standardize_dtype(x.dtype))
            SEEN.add((self.compute_dtype, self.variable_dtype, self.dtype_policy.name))
            return ops.matmul(x, self.w) + ops.cast(self.k, x.dtype)
    """,
    """
    class Custom(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(autocast=False, **kwargs)
            self.inner = layers.Dense(2)
        def call(self, x):
            SEEN.add(keras.backend.standardize_dtype(x.dtype))
            return self.inner(x)
    """,
    """
    class Custom(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.Dense(2, dtype=self.dtype_policy)
            self.other = layers.Dense(2, dtype="float32")
        def call(self, x):
            a, b = self.inner(x), self.other(x)
            SEEN.add(tuple(keras.backend.standardize_dtype(part.dtype) for part in (a, b)))
            return a + ops.cast(b, a.dtype)
    """,
    """
    class Custom(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.w = self.add_weight(shape=(3, 2), initializer="ones", autocast=False, name="w")
            self.v = keras.Variable(np.ones(2, "float32"), name="v")
        def call(self, x):
            SEEN.add(keras.backend.standardize_dtype(x.dtype))
            return ops.cast(ops.matmul(ops.cast(x, "float32"), self.w), self.compute_dtype) + 1
    """,
    """
    class Custom(layers.Dense):
        def __init__(self, units=2, **kwargs):
            super().__init__(units, **kwargs)
        def call(self, x):
            y = super().call(x)
            SEEN.add(keras.backend.standardize_dtype(y.dtype))
            return ops.cast(y, "float32")
    """,
)


def _custom(draw: Draw) -> str:
    """Layers by users under a policy."""
    given = draw.one(["float32", "float64", "float16", "int32", "uint8"])
    dtype = _dtype(draw)[2:]
    return assemble(
        _policy(draw),
        # How often `call` runs is nobody's business.
        "SEEN = set()",
        draw.one(_CUSTOM),
        f"""
        layer = Custom({dtype})
        print(layer.dtype, layer.compute_dtype, layer.variable_dtype, layer.input_dtype)
        x = np.arange(6).reshape(2, 3).astype({given!r})
        show("y", layer(x))
        for w in layer.weights:
            print(w.path, keras.backend.standardize_dtype(w.dtype))
        """,
        draw.one(
            [
                "inputs = keras.Input((3,))\noutputs = layer(inputs)\nprint(outputs.dtype)\n"
                "model = keras.Model(inputs, outputs)\nshow('model', model.predict(x, verbose=0))",
                "pprint.pprint(layer.get_config())",
                "spec = keras.KerasTensor((2, 3), dtype='float32')\n"
                "print(layer.compute_output_spec(spec).dtype)",
                f"layer.dtype_policy = {draw.one(_POLICIES)!r}\nshow('changed', layer(x))",
                "",
            ]
        ),
        "print(sorted(SEEN, key=str))",
    )


_ONES = (
    "Dense(2)", "Conv1D(2, 2)", "LSTM(2)", "GRU(2)", "SimpleRNN(2)", "BatchNormalization()",
    "LayerNormalization()", "UnitNormalization()", "Softmax()", "Activation('gelu')", "ReLU()",
    "LeakyReLU()", "PReLU()", "ELU()", "Dropout(0.5)", "SpatialDropout1D(0.5)",
    "GaussianNoise(0.1)", "GaussianDropout(0.2)", "AlphaDropout(0.2)", "MaxPooling1D()",
    "AveragePooling1D()", "GlobalMaxPooling1D()", "GlobalAveragePooling1D()", "Flatten()",
    "Reshape((-1,))", "Permute((2, 1))", "UpSampling1D()", "ZeroPadding1D()", "Cropping1D(1)",
    "Masking()", "Rescaling(0.5)", "Normalization(mean=1.0, variance=2.0)", "Identity()",
    "RMSNormalization()", "GroupNormalization(1)", "SeparableConv1D(2, 2)", "DepthwiseConv1D(2)",
    "EinsumDense('abc,cd->abd', (None, 2))", "Bidirectional(layers.LSTM(2))",
    "TimeDistributed(layers.Dense(2))", "Lambda(lambda x: x * 2)", "Conv1DTranspose(2, 2)",
    "Discretization(bin_boundaries=[0.0, 1.0])", "SpectralNormalization(layers.Dense(2))",
    "ActivityRegularization(0.1)", "AdaptiveAveragePooling1D(2)",
)  # fmt: skip
_WHOLE = (
    "Embedding(10, 3)", "CategoryEncoding(10, output_mode='count')", "Hashing(4)",
    "CategoryEncoding(10, output_mode='multi_hot')", "IntegerLookup(vocabulary=[1, 2, 3])",
    "Discretization(bin_boundaries=[2.0, 5.0], output_mode='one_hot')", "Rescaling(0.1)",
    "Hashing(3, output_mode='multi_hot')", "Embedding(10, 3, mask_zero=True)", "Dense(2)",
    "IntegerLookup(vocabulary=[1, 2, 3], output_mode='multi_hot')", "Flatten()", "Identity()",
    "RepeatVector(2)", "Normalization(mean=1.0, variance=2.0)", "Softmax()", "ReLU()",
)  # fmt: skip
_MERGES = (
    "Add()([a, b])", "Multiply()([a, b])", "Concatenate()([a, b])", "Average()([a, b])",
    "Maximum()([a, b])", "Subtract()([a, b])", "Dot(1)([a, b])", "Dot(1, normalize=True)([a, b])",
    "Dot((1, 1), normalize=True)([a, b])", "Minimum()([a, b])",
)  # fmt: skip


def _outputs(draw: Draw) -> str:
    """Dtypes of outputs of single layers."""
    lines = [_policy(draw)]
    kind = draw.one(["float", "whole", "merge"])
    given = draw.one(["float32", "float16", "float64"])
    if kind == "float":
        lines.append(f"x = numbers(2, 4, 3).astype({given!r})")
    elif kind == "whole":
        lines.append(f"x = whole(3, 4).astype({draw.one(['int32', 'int64', 'uint8'])!r})")
    else:
        other = draw.one(["float32", "float16", "float64", "int32"])
        lines.append(f"a, b = numbers(2, 4).astype({given!r}), (3 * numbers(2, 4, seed=1))"
                     f".astype({other!r})")  # fmt: skip
    for i in range(draw.whole(2, 4)):
        dtype = _dtype(draw)
        if kind == "merge":
            made, arguments = draw.one(_MERGES).split(")(", maxsplit=1)
            dtype = dtype if made[-1] != "(" else dtype[2:]
            lines.append(f"layer{i} = layers.{made}{dtype})")
            lines.append(f"show('y{i}', layer{i}({arguments})")
        else:
            made = draw.one(_ONES if kind == "float" else _WHOLE)
            lines.append(f"layer{i} = layers.{_with_dtype(made, dtype)}")
            lines.append(f"show('y{i}', layer{i}(x))")
            inputs = f"keras.Input(x.shape[1:], dtype={draw.one([given, 'float32'])!r})"
            if kind == "float" and draw.chance(0.4):
                lines.append(f"print(layer{i}({inputs}).dtype)")
        lines.append(
            f"print([(w.path, keras.backend.standardize_dtype(w.dtype)) for w in layer{i}.weights])"
        )
        lines.append(f"print(layer{i}.dtype, layer{i}.compute_dtype)")
        if draw.chance(0.25):
            lines.append(f"pprint.pprint(layer{i}.get_config())")
        if draw.chance(0.15) and kind == "float":
            lines.append(f"show('t{i}', layer{i}(x, training=True))"
                         if "Dropout" in made or "Batch" in made else "")  # fmt: skip
    return assemble("\n".join(lines))


def _losses(draw: Draw) -> str:
    """Losses and metrics in half precision."""
    given = draw.one(["float16", "bfloat16", "float32", "float64", "int32"])
    half = draw.one(["", "", ", dtype='float16'", ", dtype='bfloat16'", ", dtype='float64'",
                     ", dtype='mixed_float16'"])  # fmt: skip
    losses = ["MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh", "CosineSimilarity",
              "MeanSquaredLogarithmicError", "Poisson", "KLDivergence", "BinaryCrossentropy",
              "Hinge", "CategoricalCrossentropy", "MeanAbsolutePercentageError"]  # fmt: skip
    metrics = ["MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError", "BinaryAccuracy",
               "CosineSimilarity", "AUC", "Precision", "Recall", "BinaryCrossentropy", "Hinge",
               "CategoricalAccuracy", "Mean", "Sum", "R2Score", "F1Score"]  # fmt: skip
    lines = [
        _policy(draw),
        "p = np.random.default_rng(0).uniform(0.1, 0.9, (4, 3))",
        "t = np.eye(4, 3)",
        f"p = ops.convert_to_tensor(p, dtype={given if given != 'int32' else 'float16'!r})",
        f"t = ops.convert_to_tensor(t, dtype={given!r})",
        "w = np.array([1.0, 2.0, 0.5, 1.5], 'float32')",
    ]
    for _ in range(draw.whole(1, 3)):
        name = draw.one(losses)
        reduction = draw.one(["", "", ", reduction='none'", ", reduction='sum'"])
        weighted = draw.one(["", ", w"])
        lines.append(f"loss = keras.losses.{name}({(half + reduction)[2:]})")
        lines.append(f"show('{name}', loss(t, p{weighted}))")
        lines.append("print(loss.dtype, loss.name)")
    for _ in range(draw.whole(1, 3)):
        name = draw.one(metrics)
        lines.append(f"metric = keras.metrics.{name}({half[2:]})")
        values = "p" if name in ("Mean", "Sum") else "t, p"
        weighted = draw.one(["", ", sample_weight=w"]) if name not in ("Mean", "Sum") else ""
        lines.append(f"metric.update_state({values}{weighted})")
        lines.append(f"show('{name}', metric.result())")
        lines.append("print(metric.dtype, [(v.path, keras.backend.standardize_dtype(v.dtype))"
                     " for v in metric.variables])")  # fmt: skip
    return assemble("\n".join(lines))


def _policies(draw: Draw) -> str:
    """Policies themselves."""
    name = draw.one([*_POLICIES, "int8_from_float32", "int8_from_mixed_bfloat16", "int32", "bool",
                     "complex64", "float8_from_mixed_bfloat16", "int4_from_float32"])  # fmt: skip
    other = draw.one(_POLICIES)
    lines = [_policy(draw)]
    lines += draw.some(
        [
            f"policy = keras.dtype_policies.get({name!r})\nprint(policy.name,"
            " policy.compute_dtype, policy.variable_dtype, policy.quantization_mode)\n"
            "print(policy.get_config(), keras.dtype_policies.serialize(policy))",
            f"print(keras.DTypePolicy({other!r}) == keras.DTypePolicy({draw.one(_POLICIES)!r}))",
            "print(keras.config.floatx(), keras.config.dtype_policy().name)",
            "print(keras.DTypePolicy().name)",
            f"attempt('wrong', lambda: keras.DTypePolicy({draw.one(['mixed', 'float', 3])!r}))",
            f"policies = keras.dtype_policies.DTypePolicyMap({{'first': {other!r}}},"
            f" default_policy={draw.one(['None', repr(draw.one(_POLICIES))])})\n"
            "inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name='first'),"
            " layers.Dense(2, name='second')])\n"
            "print(policies['first'].name, policies['second'].name, policies.name,"
            " policies.get_config())\n"
            "print(len(policies), list(policies))",
            f"layer = layers.MultiHeadAttention(2, 2, dtype=keras.dtype_policies.DTypePolicyMap("
            f"{{'attention/query': {other!r}}}), name='attention')\n"
            "show('y', layer(numbers(2, 3, 4), numbers(2, 3, 4)))\n"
            "print([(w.path, keras.backend.standardize_dtype(w.dtype)) for w in layer.weights])",
            "x = keras.Variable(np.ones(2, 'float32'))\n"
            "print(keras.backend.standardize_dtype(x.dtype), x.name)",
            "show('tensor', ops.convert_to_tensor([1.0, 2.0]))\nshow('zeros', ops.zeros((2,)))",
            "show('sum', ops.ones((2,)) + 1.5)",
            "with keras.name_scope('a'):\n    v = keras.Variable(1.0, dtype='float16')\n"
            "print(v.path, keras.backend.standardize_dtype(v.dtype))",
            "print(keras.Input((2,)).dtype, keras.backend.standardize_dtype(keras.ops.arange(3)"
            ".dtype))",
            "show('initial', keras.initializers.HeNormal(seed=1)((2, 2)))",
            "show('random', keras.random.uniform((2,), seed=3))",
        ],
        3,
        7,
    )
    return assemble("\n".join(lines))


WRITERS = [_facts, _trained, _filed, _custom, _outputs, _outputs, _losses, _policies]
