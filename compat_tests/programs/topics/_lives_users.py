"""Layers and models that users write with saving in mind, and models of operations."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from .. import pieces
from ..drawing import Draw

__all__ = ["Cast", "built", "cast", "layer", "operations"]

Shape = tuple[int, ...]


@dataclass
class Cast:
    """A model and who must be known to load it.

    Args:
        classes: The definitions of the classes that it uses.
        source: Statements that make `model`.
        inputs, outputs: The shapes of a row.
        unregistered: Classes that `custom_objects` must name.
        subclassed: Whether the model is a class of the user's, without a graph.
    """

    classes: str
    source: str
    inputs: Shape
    outputs: Shape
    unregistered: list[str] = field(default_factory=list)
    subclassed: bool = False

    @property
    def known(self) -> str:
        """The dict for `custom_objects`."""
        return "{" + ", ".join(f"{name!r}: {name}" for name in self.unregistered) + "}"


_FACTOR_CONFIGS = (
    """
    def get_config(self):
        config = super().get_config()
        config.update({"factor": self.factor})
        return config
""",
    """
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
""",
    """
    def get_config(self):
        return {"factor": self.factor, "name": self.name}
""",
    "",
)
_FACTOR_INIT = """
    def __init__(self, factor=0.5, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
"""
_SCALE_BUILD = """
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
"""
_SCALE_CALL = """
    def call(self, x):
        return x * self.scale + self.factor
"""


def _scale(draw: Draw, units: int) -> tuple[str, str, bool]:
    more = draw.one(
        [
            "",
            "",
            """
    def compute_output_shape(self, input_shape):
        return input_shape
""",
            """
    def save_own_variables(self, store):
        store["mine"] = self.scale.numpy() if hasattr(self.scale, "numpy") else self.scale
    def load_own_variables(self, store):
        self.scale.assign(store["mine"])
""",
            """
    def get_build_config(self):
        return {"width": int(self.scale.shape[0])}
    def build_from_config(self, config):
        self.build((None, config["width"]))
""",
        ]
    )
    ending = draw.one(["", "        super().build(input_shape)\n", "        self.built = True\n"])
    parts = [_FACTOR_INIT, _SCALE_BUILD + ending, _SCALE_CALL, more, draw.one(_FACTOR_CONFIGS)]
    return "".join(parts), f"factor={draw.one([0.1, 0.25, 2])}", False


def _counter(draw: Draw, units: int) -> tuple[str, str, bool]:
    body = (
        _FACTOR_INIT
        + """        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="count")
    def call(self, x):
        self.count.assign_add(1.0)
        return x * self.factor
"""
        + draw.one(_FACTOR_CONFIGS)
    )
    return body, "factor=0.5", False


def _inner(draw: Draw, units: int) -> tuple[str, str, bool]:
    build = draw.one(
        [
            "",
            """
    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.units))
        self.built = True
""",
            """
    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(self.first.compute_output_shape(input_shape))
        super().build(input_shape)
""",
        ]
    )
    config = draw.one(
        [
            "",
            """
    def get_config(self):
        config = super().get_config()
        config["units"] = self.units
        return config
""",
        ]
    )
    second = draw.one(["LayerNormalization()", "BatchNormalization()", "PReLU()", "Dense(units)"])
    body = f"""
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, activation="tanh")
        self.second = layers.{second}
{build}
    def call(self, x):
        return self.second(self.first(x))
{config}
"""
    return body, f"{draw.one(['', 'units='])}{units}", True


def _blocks(draw: Draw, units: int) -> tuple[str, str, bool]:
    made, used = draw.one(
        [
            ("[layers.Dense(units) for _ in range(depth)]", "self.blocks"),
            (
                "{f'at{i}': layers.Dense(units, activation='tanh') for i in range(depth)}",
                "self.blocks.values()",
            ),
            ("[layers.Dense(units, name=f'block_{i}') for i in range(depth)]", "self.blocks"),
            (
                "[[layers.Dense(units), layers.LayerNormalization()] for _ in range(depth)]",
                "[b for pair in self.blocks for b in pair]",
            ),
        ]
    )
    body = f"""
    def __init__(self, units, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.units, self.depth = units, depth
        self.blocks = {made}
    def build(self, input_shape):
        for block in {used}:
            block.build(input_shape)
            input_shape = (*input_shape[:-1], self.units)
    def call(self, x):
        for block in {used}:
            x = block(x)
        return x
    def get_config(self):
        return {{**super().get_config(), "units": self.units, "depth": self.depth}}
"""
    return body, f"{units}, depth={draw.whole(1, 3)}", True


def _argument(draw: Draw, units: int) -> tuple[str, str, bool]:
    config = draw.one(
        [
            "",
            """
    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}
    @classmethod
    def from_config(cls, config):
        config["inner"] = keras.saving.deserialize_keras_object(config["inner"])
        return cls(**config)
""",
            """
    def get_config(self):
        config = super().get_config()
        config.update({"inner": keras.layers.serialize(self.inner)})
        return config
    @classmethod
    def from_config(cls, config):
        inner = keras.layers.deserialize(config.pop("inner"))
        return cls(inner, **config)
""",
        ]
    )
    body = f"""
    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
    def build(self, input_shape):
        self.inner.build(input_shape)
        self.built = True
    def call(self, x):
        return self.inner(x) * 2.0
{config}
"""
    inner = draw.one(
        [
            f"layers.Dense({units})",
            f"layers.Dense({units}, activation='tanh', name='within')",
            f"keras.Sequential([layers.Dense(3), layers.Dense({units})])",
        ]
    )
    return body, f"{draw.one(['', 'inner='])}{inner}", True


def _activated(draw: Draw, units: int) -> tuple[str, str, bool]:
    body = """
    def __init__(self, units, activation=None, kernel_initializer="glorot_uniform",
                 kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
    def call(self, x):
        return self.activation(keras.ops.matmul(x, self.kernel) + self.bias)
    def get_config(self):
        config = super().get_config()
        config.update({
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        })
        return config
"""
    options = draw.some(
        ["activation='tanh'", "kernel_initializer='he_normal'", "kernel_regularizer='l2'"], 0, 3
    )
    return body, ", ".join([str(units), *options]), True


def _dense_subclass(draw: Draw, units: int) -> tuple[str, str, bool]:
    body = """
    def __init__(self, units, gain=1.0, **kwargs):
        super().__init__(units, **kwargs)
        self.gain = gain
    def call(self, x):
        return super().call(x) * self.gain
    def get_config(self):
        return {**super().get_config(), "gain": self.gain}
"""
    return body, f"{units}, gain={draw.one([0.5, 2.0])}{draw.one(['', ', use_bias=False'])}", True


def _wrapper(draw: Draw, units: int) -> tuple[str, str, bool]:
    body = """
    def call(self, x):
        return self.layer(x) - 0.5
"""
    return body, f"layers.Dense({units})", True


_KINDS = {
    "Scale": ("layers.Layer", _scale),
    "Counter": ("layers.Layer", _counter),
    "Inner": ("layers.Layer", _inner),
    "Blocks": ("layers.Layer", _blocks),
    "Holder": ("layers.Layer", _argument),
    "Activated": ("layers.Layer", _activated),
    "Gained": ("layers.Dense", _dense_subclass),
    "Around": ("layers.Wrapper", _wrapper),
}


def _decorated(draw: Draw, definition: str, name: str, unregistered: list[str]) -> str:
    decorator = draw.one(
        [
            "",
            "@keras.saving.register_keras_serializable()\n",
            "@keras.utils.register_keras_serializable('mine')\n",
            f"@keras.saving.register_keras_serializable(package='mine', name='Other{name}')\n",
        ]
    )
    if not decorator:
        unregistered.append(name)
    return decorator + definition


def layer(draw: Draw, shape: Shape, unregistered: list[str]) -> tuple[str, str, Shape]:
    """A layer of the user's: its class, the expression that makes it, its output shape."""
    stem = draw.one(list(_KINDS))
    base, writer = _KINDS[stem]
    name, units = draw.name(stem), draw.whole(2, 4)
    body, arguments, changes = writer(draw, units)
    if draw.chance(0.3):
        arguments += f", name={draw.name('own')!r}"
    definition = f"class {name}({base}):\n{textwrap.indent(textwrap.dedent(body), '    ')}"
    lines = "\n".join(line for line in definition.splitlines() if line.strip())
    after = (*shape[:-1], units) if changes else shape
    return _decorated(draw, lines, name, unregistered), f"{name}({arguments})", after


def _stack(draw: Draw, shape: Shape, unregistered: list[str]) -> tuple[str, list[str], Shape]:
    """Layers of the user's among built-in ones."""
    classes, expressions, after = [], [], shape
    own = draw.whole(1, 2)
    kinds = draw.shuffled([True] * own + [False] * draw.whole(0, 2))
    for mine in kinds:
        if mine:
            definition, expression, after = layer(draw, after, unregistered)
            classes.append(definition)
        else:
            expression, after = pieces.layer(draw, after)
        expressions.append(expression)
    return "\n".join(classes), expressions, after


def _with_own_layers(draw: Draw) -> Cast:
    shape = draw.shape(draw.whole(1, 2), 2, 4)
    unregistered: list[str] = []
    classes, expressions, after = _stack(draw, shape, unregistered)
    if draw.chance():
        lines = "".join(f"    {e},\n" for e in [f"keras.Input({shape})", *expressions])
        source = f"model = keras.Sequential([\n{lines}])"
    else:
        calls = "\n".join(f"x = {e}(x)" for e in expressions)
        source = f"x = inputs = keras.Input({shape})\n{calls}\nmodel = keras.Model(inputs, x)"
    return Cast(classes, source, shape, after, unregistered)


_MODEL_CONFIGS = (
    "",
    '    def get_config(self):\n        return {"units": self.units}\n',
    "    def get_config(self):\n        config = super().get_config()\n"
    '        config["units"] = self.units\n        return config\n',
)


def built(model: str, inputs: tuple[int, ...], subclassed: bool) -> str:
    """Build a model by a shape; what Keras's `build` leaves without weights is called, too."""
    build = f"{model}.build({(None, *inputs)})"
    if not subclassed:
        return build
    return f"{build}\nprint('made', len({model}.weights))\n{model}(numbers(2, *{inputs}))"


def _own_model(draw: Draw) -> Cast:
    width, units = draw.whole(2, 4), draw.whole(2, 4)
    name, unregistered = draw.name("Net"), []
    style = draw.one(["calls", "calls", "functional", "sequential"])
    config = draw.one(_MODEL_CONFIGS)
    extra = draw.one(["", "", "layers.LayerNormalization()", "layers.BatchNormalization()"])
    if style == "calls":
        body = (
            "class {0}(keras.Model):\n"
            "    def __init__(self, units, **kwargs):\n"
            "        super().__init__(**kwargs)\n"
            "        self.units = units\n"
            "        self.first = layers.Dense(units, activation='tanh')\n"
            + (f"        self.extra = {extra}\n" if extra else "")
            + "        self.head = layers.Dense(2, name='head')\n"
            "    def call(self, x, training=None):\n"
            "        x = self.first(x)\n"
            + ("        x = self.extra(x, training=training)\n" if "Batch" in extra else "")
            + ("        x = self.extra(x)\n" if "LayerN" in extra else "")
            + "        return self.head(x)\n"
            + config
        )
        made = draw.one(
            [
                built("model", (width,), True),
                f"model(numbers(2, {width}))",
                f"model(keras.Input(({width},)))",
            ]
        )
    elif style == "functional":
        body = (
            "class {0}(keras.Model):\n"
            "    def __init__(self, units, **kwargs):\n"
            f"        inputs = keras.Input(({width},))\n"
            "        x = layers.Dense(units, activation='tanh')(inputs)\n"
            + (f"        x = {extra}(x)\n" if extra else "")
            + "        super().__init__(inputs=inputs, outputs=layers.Dense(2)(x), **kwargs)\n"
            "        self.units = units\n" + _MODEL_CONFIGS[1]
        )
        made = ""
    else:
        body = (
            "class {0}(keras.Sequential):\n"
            "    def __init__(self, units, **kwargs):\n"
            "        super().__init__(**kwargs)\n"
            "        self.units = units\n"
            "        self.add(layers.Dense(units, activation='tanh'))\n"
            + (f"        self.add({extra})\n" if extra else "")
            + "        self.add(layers.Dense(2))\n"
            + _MODEL_CONFIGS[1]
            + "    @classmethod\n"
            "    def from_config(cls, config, custom_objects=None):\n"
            "        return cls(**config)\n"
        )
        made = f"model.build((None, {width}))"
    classes = _decorated(draw, body.replace("{0}", name).rstrip("\n"), name, unregistered)
    named = draw.one(["", f", name={draw.name('net')!r}"])
    source = f"model = {name}({units}{named})\n{made}"
    return Cast(classes, source, (width,), (2,), unregistered, subclassed=True)


def operations(draw: Draw) -> Cast:
    """A functional model whose nodes are operations."""
    width = draw.whole(3, 5)
    lines = [f"inputs = keras.Input(({width},))", "x = inputs"]
    if draw.chance():
        lines.append(f"x = layers.Dense({width})(x)")
    for _ in range(draw.whole(1, 4)):
        lines.append(
            "x = "
            + draw.one(
                [
                    "x * 2 + 1",
                    "1.5 - x",
                    "2 * x + inputs[:, :1]",
                    "x / 3.0",
                    "-x",
                    "abs(x) + 0.1",
                    "x ** 2",
                    "1 / (1 + ops.exp(-x))",
                    "ops.relu(x) + x",
                    "ops.tanh(x)",
                    "ops.clip(x, -1, 1) + 0.1 * x",
                    "ops.where(x > 0, x, 0.1 * x)",
                    "ops.softmax(x, axis=-1)",
                    "x - ops.mean(x, axis=-1, keepdims=True)",
                    "ops.concatenate([x, x * 0.5], axis=-1)",
                    "layers.concatenate([x, inputs])",
                    "x * ops.sigmoid(x)",
                    "ops.add(x, 1)",
                    "ops.multiply(x, 0.5)",
                    "ops.subtract(x, ops.ones((1,)))",
                    "ops.square(x)",
                    "ops.take(x, [0, 1, 0], axis=-1)",
                    "x[:, ::2]",
                    "x[..., 1:]",
                    "x[:, :2]",
                    "ops.cumsum(x, axis=1)",
                    "ops.flip(x, axis=1)",
                    "ops.pad(x, ((0, 0), (1, 0)))",
                    "ops.cast(ops.cast(x, 'float64'), 'float32')",
                    "ops.maximum(x, 0.5) + x",
                    "ops.log(1 + ops.abs(x))",
                    "ops.squeeze(x[..., None], axis=-1)",
                    "ops.reshape(x[:, None, :], (-1, x.shape[-1]))",
                    "ops.stack([x, x + 1], axis=1)[:, 1]",
                    "ops.split(ops.concatenate([x, x], axis=-1), 2, axis=-1)[0]",
                    "ops.einsum('bi,bj->bij', x, x)[:, 0]",
                    "ops.sum(x[:, None] * x[:, :, None], axis=-1)",
                    "ops.expand_dims(x, 1)[:, 0, ...]",
                    "ops.leaky_relu(x, negative_slope=0.3)",
                    "ops.normalize(x + 3, axis=-1)",
                    "x + ops.convert_to_tensor([1.0])",
                ]
            )
        )
        # An axis of one element leaves nothing to slice further.
        if any(cut in lines[-1] for cut in ("::2", "1:]", ":2]")):
            lines.append(f"x = layers.Dense({width})(x)")
    if draw.chance():
        lines.append("x = layers.Dense(2)(x)")
    else:
        lines.append(draw.one(["x = ops.mean(x, axis=-1, keepdims=True)", "x = x[:, :2] * 1.0"]))
    outputs = (1,) if "mean" in lines[-1] else (2,)
    name = draw.one(["", "", ", name='graph'"])
    lines.append(f"model = keras.Model(inputs, x{name})")
    return Cast("", "\n".join(lines), (width,), outputs)


def cast(draw: Draw) -> Cast:
    """A model for a life."""
    kind = draw.one(["built in", "built in", "layers", "layers", "model", "operations"])
    if kind == "layers":
        return _with_own_layers(draw)
    if kind == "model":
        return _own_model(draw)
    if kind == "operations":
        return operations(draw)
    piece = pieces.model(draw, subclassed=False)
    return Cast("", piece.source, piece.inputs, piece.outputs)
