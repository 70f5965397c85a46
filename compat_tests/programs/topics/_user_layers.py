"""Classes of layers as users write them, for programs of any topic: see `user_layer`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..drawing import Draw

__all__ = ["ONE", "UserLayer", "user_layer"]


@dataclass
class UserLayer:
    """A class of layers for rows of some width; what comes out has that width too.

    Args:
        source: The definition of the class.
        kind: The name of the class.
        make: The expression that makes one.
        signature: How `call` is written: `one`, `training`, `mask`, `keyword`, `number`, `choice`,
            `two`, `optional`, `list`, `dict`.
        restorable: Whether a config brings the layer back.
        counts: Whether calls change weights.
        inner: The expression that makes the layer it is given, part of `make`; or nothing.
    """

    source: str
    kind: str
    make: str
    signature: str
    restorable: bool
    counts: bool = False
    inner: str = ""

    def called(
        self, draw: Draw, layer: str, x: str, said: Sequence[bool | None] = (True, False, None)
    ) -> str:
        """A call of `layer` on the tensor, array or symbolic tensor `x`.

        Args:
            draw: Where choices come from.
            layer, x: Expressions.
            said: What it may say of `training`.
        """
        arguments = {
            "one": [x],
            "training": [x, *(f"{x}, training={mode}" for mode in said)],
            "mask": [x],
            "keyword": [x, f"{x}, scale=0.5", f"{x}, scale=2.0"],
            "number": [x, f"{x}, times=3"],
            "choice": [x, f"{x}, how='times'", f"{x}, by={{'much': 0.5}}"],
            "two": [f"{x}, {x}", f"{x}, other={x}"],
            "optional": [x, f"{x}, None", f"{x}, {x}", f"{x}, other={x}"],
            "list": [f"[{x}, {x}]", f"({x}, {x})"],
            "dict": [f"{{'b': {x}, 'a': {x}}}", f"{{'a': {x}, 'b': {x}}}"],
        }
        return f"{layer}({draw.one(arguments[self.signature])})"


@dataclass
class _Body:
    """What stands in the methods of a class that is being written."""

    width: int
    init: list[str] = field(default_factory=list)
    build: list[str] = field(default_factory=list)
    call: list[str] = field(default_factory=list)
    counts: bool = False
    named: bool = False


def _weight(draw: Draw, name: str, trainable: str = "") -> str:
    start = draw.one(["'ones'", "'glorot_uniform'", "'random_normal'"])
    shape = "(input_shape[-1], input_shape[-1])"
    extra = draw.one(["", "", "", ", regularizer='l2'", ", trainable=False"])
    return f"self.add_weight(shape={shape}, initializer={start}, name='{name}'{trainable or extra})"


_NAMED = "Dense(self.units, name='inner')"


def _inner(draw: Draw) -> str:
    return "layers." + draw.one(
        [
            "Dense(self.units)",
            "Dense(self.units)",
            "Dense(self.units, use_bias=False)",
            "Dense(self.units, activation='tanh', kernel_regularizer='l2')",
            "Dense(self.units, activity_regularizer='l2')",
            _NAMED,
            "LayerNormalization()",
            "BatchNormalization(momentum=0.5)",
            "Dropout(0.5)",
            "Activation('tanh')",
        ]
    )


def _add_weights(draw: Draw, body: _Body) -> None:
    name = draw.name("w")
    first, second = _weight(draw, f"{name}_b"), _weight(draw, f"{name}_a")
    kind = draw.one(["one", "one", "list", "append", "dict", "nested", "twice", "deleted", "tuple"])
    sources = {
        "one": [f"self.{name} = {first}"],
        "list": [f"self.{name} = [{first}, {second}]"],
        "append": [
            f"self.{name} = []", f"self.{name}.append({first})", f"self.{name}.append({second})"
        ],
        "dict": [f"self.{name} = {{'b': {first}, 'a': {second}}}"],
        "nested": [f"self.{name} = [[{first}], {{'a': [{second}]}}]"],
        "twice": [f"self.{name} = {first}", f"self.{name} = {second}"],
        "deleted": [
            f"self.{name}_gone = {first}", f"self.{name} = {second}", f"del self.{name}_gone"
        ],
        "tuple": [f"self.{name} = ({first}, {second})"],
    }  # fmt: skip
    body.build += sources[kind]
    reads = {
        "list": [f"self.{name}[0]", f"self.{name}[1]"],
        "append": [f"self.{name}[1]", f"self.{name}[0]"],
        "dict": [f"self.{name}['a']", f"self.{name}['b']"],
        "nested": [f"self.{name}[0][0]", f"self.{name}[1]['a'][0]"],
        "tuple": [f"self.{name}[-1]"],
    }
    for read in reads.get(kind, [f"self.{name}"]):
        if draw.chance(0.15):  # a second name for it
            body.call.append(f"self.{name}_last = {read}")
        body.call.append(draw.one([f"x = ops.matmul(x, {read})", f"x = x @ {read}"]))


def _add_layers(draw: Draw, body: _Body) -> None:
    name = draw.name("part")
    first, second = _inner(draw), _inner(draw)
    kinds = ["one", "one", "list", "append", "dict", "nested", "twice", "deleted", "shared"]
    kind = draw.one([*kinds, "sequential", "loop", "alias", "functional"])
    # Keras's gradients of one of two weights of the same path add up from step to step.
    if f"layers.{_NAMED}" in (first, second):
        once = kind in ("one", "alias") and not body.named
        body.named = body.named or once
        if not once:
            first, second = (text.replace(", name='inner'", "") for text in (first, second))
    sources = {
        "one": [f"self.{name} = {first}"],
        "list": [f"self.{name} = [{first}, {second}]"],
        "append": [f"self.{name} = []", f"for _ in range(2):\n    self.{name}.append({first})"],
        "dict": [f"self.{name} = {{'b': {first}, 'a': {second}}}"],
        "nested": [f"self.{name} = {{'x': [{first}], 'y': ({second},)}}"],
        "twice": [f"self.{name} = layers.Dense(3)", f"self.{name} = {second}"],
        "deleted": [
            # Keras goes on counting a deleted or replaced layer among its layers; one that was
            # never built has nothing to show for it.
            f"self.{name}_gone = layers.Dense(3)", f"self.{name} = {second}",
            f"del self.{name}_gone"
        ],
        "shared": [f"self.{name} = {first}", f"self.{name}_all = [self.{name}, self.{name}]"],
        "sequential": [f"self.{name} = keras.Sequential([{first}, {second}])"],
        "functional": [
            "inputs = keras.Input((self.units,))",
            f"self.{name} = keras.Model(inputs, {first}(inputs) + inputs)",
        ],
        "loop": [f"for i in range(2):\n    setattr(self, f'{name}_{{i}}', {first})"],
        "alias": [f"self.{name} = {first}", f"self.{name}_again = self.{name}"],
    }  # fmt: skip
    calls = {
        "list": [f"for part in self.{name}:\n    x = part(x)"],
        "append": [f"for part in reversed(self.{name}):\n    x = part(x)"],
        "dict": [f"for part in self.{name}.values():\n    x = part(x)"],
        "nested": [f"x = self.{name}['y'][0](self.{name}['x'][0](x))"],
        "shared": [f"for part in self.{name}_all:\n    x = part(x)"],
        "loop": [f"x = self.{name}_0(self.{name}_1(x))"],
        "alias": [f"x = x + self.{name}_again(x)"],
    }
    place = draw.one([body.init, body.init, body.build])
    place += sources[kind]
    if place is body.build and kind in ("one", "alias", "twice", "sequential") and draw.chance():
        place.append(f"self.{name}.build(input_shape)")
    body.call += calls.get(kind, [f"x = self.{name}(x)"])
    if draw.chance(0.15) and kind == "one" and "Dense" in first:
        body.counts = True
        body.call.append(f"self.{name}.kernel.assign(self.{name}.kernel * 0.5)")


def _add_count(draw: Draw, body: _Body) -> None:
    name = draw.name("count")
    place = draw.one([body.init, body.build])
    place.append(
        f"self.{name} = self.add_weight(shape=(), initializer='zeros', trainable=False,"
        f" name='{name}')"
    )
    changes = [f"self.{name}.assign_add(1.0)", f"self.{name}.assign(self.{name} + 1.0)"]
    changes.append(f"self.{name}.assign(ops.mean(x))")
    body.call += [draw.one(changes), *draw.some([f"x = x + 0.1 * self.{name}"])]
    body.counts = True


def _add_loss(draw: Draw, body: _Body) -> None:
    body.call.append(
        draw.one(["self.add_loss(0.01 * ops.sum(ops.square(x)))", "self.add_loss(ops.mean(x))"])
    )


def _add_metric(draw: Draw, body: _Body) -> None:
    name = draw.name("seen")
    body.init.append(f"self.{name} = keras.metrics.{draw.one(['Mean', 'Sum'])}(name='{name}')")
    body.call.append(f"self.{name}.update_state(x)")


def _add_seed(draw: Draw, body: _Body) -> None:
    name = draw.name("seed")
    body.init.append(f"self.{name} = keras.random.SeedGenerator(1)")
    body.call.append(f"x = x + keras.random.normal(ops.shape(x), seed=self.{name})")


def _add_setting(draw: Draw, body: _Body) -> None:
    name = draw.name("note")
    body.init.append(f"self.{name} = {draw.one(['None', '[]', '{}', '(1, 2)', repr('text')])}")
    body.call.append(
        draw.one([f"self.{name} = x.shape[-1]", f"self.{name} = len(x.shape)", "x = x * 0.5"])
    )


_PARTS = (
    (_add_weights, 5), (_add_layers, 6), (_add_count, 1), (_add_loss, 1), (_add_metric, 1),
    (_add_seed, 0.5), (_add_setting, 1),
)  # fmt: skip

# Signatures with one tensor.
ONE = ("one", "training", "mask", "keyword", "number", "choice")
_SIGNATURES = {
    "one": ("x", []),
    "training": ("x, training=None", ["if training:\n    x = x * 2.0"]),
    "mask": ("x, mask=None", []),
    "keyword": ("x, *, scale=1.0", ["x = x * scale"]),
    "number": ("x, times=2", ["x = x * times"]),
    "choice": (
        "x, how='plus', *, by=None",
        ["x = x + 1.0 if how == 'plus' else x * 2.0", "if by is not None:\n    x = x * by['much']"],
    ),
    "two": ("x, other", ["x = x + other"]),
    "optional": ("x, other=None", ["if other is not None:\n    x = x + other"]),
    "list": ("inputs", ["x, other = inputs", "x = x - 0.5 * other"]),
    "dict": ("inputs", ["x = inputs['a'] - 0.5 * inputs['b']"]),
}


def _shape_of_build(signature: str) -> tuple[str, list[str]]:
    """The parameters of `build`, and how the shape of `x` is had from them."""
    if signature in ("two", "optional"):
        return "x_shape, other_shape" + "=None" * (signature == "optional"), [
            "input_shape = x_shape"
        ]
    if signature == "list":
        return "input_shape", ["input_shape = input_shape[0]"]
    if signature == "dict":
        return "input_shape", ["input_shape = input_shape['a']"]
    return "input_shape", []


def _method(head: str, lines: list[str]) -> str:
    return textwrap.indent(f"{head}\n" + textwrap.indent("\n".join(lines), "    "), "    ")


def user_layer(
    draw: Draw,
    width: int,
    signatures: tuple[str, ...] = tuple(_SIGNATURES),
    registered: bool | None = None,
    exact: bool = False,
) -> UserLayer:
    """Write a class of layers.

    Args:
        draw: Where choices come from.
        width: The size of the last axis of its inputs.
        signatures: What `call` may take.
        registered: Whether it is registered for serialization; `None`: either.
        exact: Whether its config must bring it back, without warnings or exceptions.
    """
    kind, body = draw.name("Custom"), _Body(width)
    signature = draw.one([s for s in signatures for _ in range(4 if s == "one" else 1)])
    parts = [part for part, share in _PARTS for _ in range(int(share * 2))]
    for _ in range(draw.whole(1, 3)):
        draw.one(parts)(draw, body)
    config = draw.one(["none", "extended", "extended", "updated", "inner"] + ["bare"] * (not exact))
    restorable = True
    arguments, kept, items = ["units"], ["self.units = units"], ["'units': self.units"]
    made = [str(width)]
    if draw.chance(0.3):
        arguments.append("factor=0.5")
        kept.append("self.factor = factor")
        body.call.append("x = x * self.factor")
        items.append("'factor': self.factor")
        made += draw.some(["factor=0.25"])
    restore, inner = [], ""
    if config == "inner":  # a layer comes as an argument
        arguments.append("inner=None")
        kept.append("self.inner = inner")
        body.call.append("if self.inner is not None:\n    x = self.inner(x)")
        inner = draw.one(
            [
                f"layers.Dense({width})",
                "layers.Activation('tanh')",
                f"keras.Sequential([layers.Dense({width}, activation='tanh')])",
                "layers.BatchNormalization()",
            ]
        )
        made.append(f"inner={inner}")
        habit = draw.one(["automatic", "saved", "saved", "as it is"] if not exact else ["saved"])
        if habit == "automatic":
            config = "none"
        else:
            saved = {
                "saved": "keras.saving.serialize_keras_object(self.inner)",
                "as it is": "self.inner",
            }
            items.append(f"'inner': {saved[habit]}")
        if habit == "saved":
            way = draw.one(["config", "init"])
            if way == "config":
                restore = [
                    "@classmethod\ndef from_config(cls, config):\n"
                    "    config['inner'] = keras.saving.deserialize_keras_object(config['inner'])\n"
                    "    return cls(**config)"
                ]
            else:
                kept[-1] = (
                    "if isinstance(inner, dict):\n"
                    "    inner = keras.saving.deserialize_keras_object(inner)\nself.inner = inner"
                )
    habits = ["**kwargs"] if exact else ["**kwargs", "**kwargs", "**kwargs", "name=None", ""]
    given = draw.one(habits)
    handed = {"**kwargs": "**kwargs", "name=None": "name=name", "": ""}[given]
    if given == "**kwargs" and draw.chance(0.1):
        made.append("activity_regularizer='l2'")
    if given == "**kwargs" and draw.chance(0.1):
        # In mixed precision Keras assigns to the copy of a variable that it has cast.
        assigns = body.counts or any("keras.metrics" in line for line in body.init)
        mixed = [] if assigns else ["dtype='mixed_bfloat16'"]
        made.append(draw.one(["trainable=False", "dtype='float64'", *mixed]))
    if given and draw.chance(0.3):
        made.append(f"name={draw.name('mine')!r}")
    if given != "**kwargs" and config in ("extended", "updated", "inner"):
        restorable = False  # what super's config holds, the constructor refuses
    base = "keras.layers.Layer"
    parameters = ", ".join(["self", *arguments, *([given] if given else [])])
    methods = [
        _method(f"def __init__({parameters}):", [f"super().__init__({handed})", *kept, *body.init])
    ]
    if body.build or draw.chance(0.3):
        shapes, found = _shape_of_build(signature)
        ends = ["", "", "super().build(input_shape)", "self.built = True"]
        end = draw.one(ends if signature not in ("two", "optional") else ends[:2] + ends[3:])
        lines = [*found, *body.build]
        if end:
            if "super" in end and draw.chance(0.3) and not found:
                lines.insert(0, end)
            else:
                lines.append(end)
        methods.append(_method(f"def build(self, {shapes}):", lines or ["pass"]))
    head, start = _SIGNATURES[signature]
    methods.append(_method(f"def call(self, {head}):", [*start, *body.call, "return x"]))
    if draw.chance(0.2) and signature in ONE:
        methods.append(
            draw.one(
                [
                    _method("def compute_output_shape(self, input_shape):", ["return input_shape"]),
                    _method(
                        "def compute_output_shape(self, input_shape):",
                        ["return (*input_shape[:-1], self.units)"],
                    ),
                    _method(
                        "def compute_output_spec(self, x, **kwargs):",
                        ["return keras.KerasTensor(x.shape, dtype=self.compute_dtype)"],
                    ),
                ]
            )
        )
    text = ", ".join(items)
    if config in ("extended", "inner"):
        line = f"return {{**super().get_config(), {text}}}"
        methods.append(_method("def get_config(self):", [line]))
    elif config == "updated":
        lines = ["config = super().get_config()", f"config.update({{{text}}})", "return config"]
        methods.append(_method("def get_config(self):", lines))
    elif config == "bare":
        methods.append(_method("def get_config(self):", [f"return {{{text}}}"]))
    methods += [textwrap.indent(method, "    ") for method in restore]
    if registered is None:
        registered = draw.chance(0.4)
    decorator = ""
    if registered:
        decorator = draw.one(
            ["@keras.saving.register_keras_serializable()\n",
             "@keras.saving.register_keras_serializable('mine')\n",
             f"@keras.saving.register_keras_serializable('mine', '{kind}Kind')\n"]
        )  # fmt: skip
    source = f"{decorator}class {kind}({base}):\n" + "\n".join(methods)
    make = f"{kind}({', '.join(made)})"
    return UserLayer(source, kind, make, signature, restorable, body.counts, inner)
