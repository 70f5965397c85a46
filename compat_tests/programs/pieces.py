"""Pieces that programs of several topics are made of: built-in layers, models, compilations.

Shapes are those of one row, without the batch. Everything is source text.
"""

from __future__ import annotations

from dataclasses import dataclass

from .drawing import Draw

__all__ = ["Piece", "activation", "compilation", "layer", "model", "optimizer", "stack", "target"]

Shape = tuple[int, ...]

_ACTIVATIONS = (
    "relu", "tanh", "sigmoid", "gelu", "elu", "selu", "softplus", "silu", "leaky_relu",
    "hard_sigmoid", "linear", "exponential", "mish", "relu6", "softsign", "hard_silu",
)  # fmt: skip
_INITIALIZERS = (
    "glorot_uniform", "he_normal", "lecun_normal", "ones", "zeros", "orthogonal", "random_normal",
    "truncated_normal", "variance_scaling", "random_uniform",
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A model in source.

    Args:
        source: Statements that make it.
        name: The variable that holds it.
        inputs: The shape of a row that goes in.
        outputs: The shape of a row that comes out.
    """

    source: str
    name: str
    inputs: Shape
    outputs: Shape


def activation(draw: Draw) -> str:
    """The name of an activation, quoted."""
    return repr(draw.one(_ACTIVATIONS))


def _weighted(draw: Draw, kernel: str = "kernel") -> str:
    """Optional arguments of layers with a kernel, after a comma."""
    options = [
        f"activation={activation(draw)}",
        "use_bias=False",
        f"{kernel}_initializer={draw.one(_INITIALIZERS)!r}",
        f"{kernel}_regularizer=keras.regularizers.L2(0.01)",
        f"{kernel}_constraint='max_norm'",
        "bias_initializer='random_normal'",
        "activity_regularizer='l1'",
        "trainable=False",
        f"name={draw.name('part')!r}",
    ]
    return "".join(f", {option}" for option in draw.some(options, 0, 3))


def _any_rank(draw: Draw, shape: Shape) -> tuple[str, Shape]:
    """Layers that take rows of any rank and keep the shape."""
    options = [
        f"Activation({activation(draw)})",
        "ReLU()",
        f"LeakyReLU(negative_slope={draw.one([0.1, 0.3])})",
        "PReLU()",
        "ELU(alpha=0.5)",
        "Softmax()",
        f"BatchNormalization(momentum={draw.one([0.5, 0.9])})",
        "BatchNormalization(scale=False)",
        "LayerNormalization()",
        "RMSNormalization()",
        "UnitNormalization()",
        "Identity()",
        "ActivityRegularization(l2=0.01)",
        "Rescaling(0.5, offset=1.0)",
        "Lambda(lambda x: x * 2.0)",
        "Dropout(0.5)",
        "GaussianNoise(0.1)",
    ]
    return draw.one(options), shape


def _of_features(draw: Draw, shape: Shape) -> tuple[str, Shape]:
    units = draw.whole(1, 5)
    options = [
        (f"Dense({units}{_weighted(draw)})", (units,)),
        (f"Dense({units}{_weighted(draw)})", (units,)),
        (f"EinsumDense('ab,bc->ac', output_shape={units}, bias_axes='c')", (units,)),
        (f"RepeatVector({units})", (units, *shape)),
        (f"Reshape(({shape[0]}, 1))", (shape[0], 1)),
        (f"Reshape((1, {shape[0]}))", (1, shape[0])),
    ]
    return draw.one(options)


def _of_sequences(draw: Draw, shape: Shape) -> tuple[str, Shape]:
    steps, width = shape
    units, window = draw.whole(1, 4), draw.whole(1, min(3, steps))
    recurrent = draw.one(["LSTM", "GRU", "SimpleRNN"])
    options = [
        (f"Conv1D({units}, {window}, padding='same'{_weighted(draw)})", (steps, units)),
        (f"Conv1D({units}, {window}, padding='causal')", (steps, units)),
        (f"Conv1D({units}, {window})", (steps - window + 1, units)),
        (f"DepthwiseConv1D({window}, padding='same')", shape),
        (f"SeparableConv1D({units}, {window}, padding='same')", (steps, units)),
        (f"{recurrent}({units})", (units,)),
        (f"{recurrent}({units}, return_sequences=True)", (steps, units)),
        (f"Bidirectional(layers.{recurrent}({units}))", (2 * units,)),
        (f"TimeDistributed(layers.Dense({units}))", (steps, units)),
        (f"Dense({units}{_weighted(draw)})", (steps, units)),
        ("GlobalAveragePooling1D()", (width,)),
        ("GlobalMaxPooling1D()", (width,)),
        ("MaxPooling1D(2, padding='same')", ((steps + 1) // 2, width)),
        # Where padding is uneven, Keras on torch counts elements of the border twice.
        ("AveragePooling1D(3, 1, padding='same')", (steps, width)),
        ("UpSampling1D(2)", (2 * steps, width)),
        ("ZeroPadding1D(1)", (steps + 2, width)),
        ("Permute((2, 1))", (width, steps)),
        ("Flatten()", (steps * width,)),
        ("SpatialDropout1D(0.3)", shape),
    ]
    return draw.one(options)


def _of_images(draw: Draw, shape: Shape) -> tuple[str, Shape]:
    height, width, channels = shape
    units, window = draw.whole(1, 4), draw.whole(1, 3)
    half = ((height + 1) // 2, (width + 1) // 2)
    options = [
        (f"Conv2D({units}, {window}, padding='same'{_weighted(draw)})", (height, width, units)),
        (f"Conv2D({units}, {window}, strides=2, padding='same')", (*half, units)),
        (f"Conv2DTranspose({units}, {window}, padding='same')", (height, width, units)),
        (f"DepthwiseConv2D({window}, padding='same')", shape),
        (f"SeparableConv2D({units}, {window}, padding='same')", (height, width, units)),
        ("MaxPooling2D(2, padding='same')", (*half, channels)),
        ("AveragePooling2D((1, 3), 1, padding='same')", shape),
        ("GlobalAveragePooling2D()", (channels,)),
        ("GlobalMaxPooling2D(keepdims=True)", (1, 1, channels)),
        ("UpSampling2D(2)", (2 * height, 2 * width, channels)),
        ("ZeroPadding2D(1)", (height + 2, width + 2, channels)),
        ("Flatten()", (height * width * channels,)),
        (f"Reshape(({height * width}, {channels}))", (height * width, channels)),
        ("SpatialDropout2D(0.3)", shape),
        # Without the offset, means of what is normalized are nothing but rounding.
        (f"GroupNormalization(groups={channels}, beta_initializer='ones')", shape),
    ]
    return draw.one(options)


def layer(draw: Draw, shape: Shape) -> tuple[str, Shape]:
    """A built-in layer for rows of a shape: the expression that makes it, and its output shape."""
    by_rank = {1: _of_features, 2: _of_sequences, 3: _of_images}
    special = by_rank.get(len(shape), _any_rank)
    size = 1
    for n in shape:
        size *= n
    writer = special if draw.chance(0.65) and size < 200 else _any_rank
    expression, after = writer(draw, shape)
    return f"layers.{expression}", after


def stack(draw: Draw, shape: Shape, depth: int) -> tuple[list[str], Shape]:
    """So many layers on each other, and their output shape."""
    expressions = []
    for _ in range(depth):
        expression, shape = layer(draw, shape)
        expressions.append(expression)
    return expressions, shape


def _sequential(draw: Draw, name: str, shape: Shape) -> Piece:
    expressions, after = stack(draw, shape, draw.whole(1, 4))
    first = [f"keras.Input({shape})"]
    lines = "".join(f"    {expression},\n" for expression in first + expressions)
    return Piece(f"{name} = keras.Sequential([\n{lines}])", name, shape, after)


def _functional(draw: Draw, name: str, shape: Shape) -> Piece:
    lines, after = [f"inputs = keras.Input({shape})", "x = inputs"], shape
    for _ in range(draw.whole(1, 4)):
        if draw.chance(0.2):  # a branch that comes back
            expression, after = _any_rank(draw, after)
            merge = draw.one(["add", "multiply", "maximum", "average"])
            lines.append(f"x = layers.{merge}([x, layers.{expression}(x)])")
        else:
            expression, after = layer(draw, after)
            lines.append(f"x = {expression}(x)")
    lines.append(f"{name} = keras.Model(inputs, x)")
    return Piece("\n".join(lines), name, shape, after)


# Layers whose calls take `training`.
_TRAINED = ("Dropout", "SpatialDropout", "GaussianNoise", "BatchNormalization", "LSTM", "GRU",
            "SimpleRNN", "Bidirectional", "TimeDistributed")  # fmt: skip


def _subclass(draw: Draw, name: str, shape: Shape) -> Piece:
    expressions, after = stack(draw, shape, draw.whole(1, 3))
    kind = draw.name("Net")
    made = "\n".join(f"        self.part{i} = {e}" for i, e in enumerate(expressions))
    # `call` always takes `training`, and may hand it on: where a call says nothing of it, `fit`
    # trains here and does not in Keras 3 (README).
    takes = tuple(f"layers.{kind}" for kind in _TRAINED)
    handed_on = [", training=training" if e.startswith(takes) else "" for e in expressions]
    if draw.chance(0.3):
        handed_on = [""] * len(expressions)
    calls = "\n".join(f"        x = self.part{i}(x{t})" for i, t in enumerate(handed_on))
    source = (
        f"class {kind}(keras.Model):\n    def __init__(self):\n        super().__init__()\n{made}\n"
        f"    def call(self, x, training=None):\n{calls}\n        return x\n{name} = {kind}()"
    )
    return Piece(source, name, shape, after)


def _nested(draw: Draw, name: str, shape: Shape) -> Piece:
    inner = draw.one([_sequential, _functional])(draw, draw.name("inner"), shape)
    expression, after = layer(draw, inner.outputs)
    source = (
        f"{inner.source}\nouter = keras.Input({shape})\n"
        f"{name} = keras.Model(outer, {expression}({inner.name}(outer)))"
    )
    return Piece(source, name, shape, after)


def model(draw: Draw, name: str = "model", subclassed: bool = True) -> Piece:
    """A model of built-in layers, in one of the styles that users have."""
    shape = draw.shape(draw.whole(1, 3), 2, 5)
    styles = [_sequential, _functional, _functional, _nested]
    if subclassed:
        styles.append(_subclass)
    return draw.one(styles)(draw, name, shape)


def optimizer(draw: Draw) -> str:
    """An optimizer whose steps do not blow roundings up: a gradient of 1e-9 moves little."""
    options = [
        "keras.optimizers.SGD(0.01)",
        "keras.optimizers.SGD(0.01, momentum=0.9)",
        "keras.optimizers.SGD(0.01, momentum=0.5, nesterov=True)",
        "keras.optimizers.Adam(0.01, epsilon=0.01)",
        "keras.optimizers.RMSprop(0.01, epsilon=0.01)",
        "keras.optimizers.Adagrad(0.05, epsilon=0.1)",
        "keras.optimizers.SGD(0.01, clipnorm=1.0)",
        "keras.optimizers.SGD(0.01, weight_decay=0.01)",
        "keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5))",
        "'sgd'",
    ]
    return draw.one(options)


def compilation(draw: Draw, name: str = "model") -> str:
    """A call of `compile` for a model with one output, any shape."""
    loss = draw.one(["'mse'", "'mae'", "keras.losses.Huber()", "'log_cosh'"])
    options = ["metrics=['mae']", "metrics=[keras.metrics.MeanSquaredError(name='error')]"]
    arguments = [f"optimizer={optimizer(draw)}", f"loss={loss}", *draw.some(options, 0, 1)]
    return f"{name}.compile({', '.join(arguments)})"


def target(piece: Piece, rows: int) -> str:
    """Targets for a model, as source."""
    return f"numbers(*{(rows, *piece.outputs)}, seed=1)"
