"""`training` and `trainable`, the training loop, optimizers, losses and metrics."""

from __future__ import annotations

import re

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble
from ._combinations import WRITERS
from ._loops import loop, optimization
from ._measures import measure

__all__ = ["program"]


def program(draw: Draw) -> str:
    """Write a program."""
    writers = [_transfer, _transfer, _contexts, _freezing, loop, loop, optimization, measure]
    return draw.one([*writers, *WRITERS])(draw)


def _normalizing(draw: Draw, width: int) -> str:
    """Layers that act otherwise in training, numbers of which do not hang on the draw."""
    momentum = draw.one([0.5, 0.8])
    return draw.one(
        [
            f"layers.BatchNormalization(momentum={momentum})",
            f"layers.BatchNormalization(momentum={momentum}, center=False)",
            f"layers.BatchNormalization(momentum={momentum}, trainable=False)",
            "layers.Dropout(0.5, seed=3)",
            "layers.GaussianNoise(0.5, seed=4)",
            "layers.AlphaDropout(0.3, seed=5)",
            f"layers.Dense({width}, activation='tanh')",
            "layers.SpectralNormalization(layers.Dense(3))",
        ][: 8 if width == 3 else 7]
    )


# What a functional call says of `training` holds, as Keras's guides promise. Keras lets the mode of
# `fit` go before it; a program that begins so holds both to the promise, and is compared in full.
_KEPT = """
def keep_word():
    functional = __import__("keras.src.models.functional", fromlist=["functional"])

    def operation_fn(operation, **context):
        def call(*args, training=None, **kwargs):
            default = inspect.signature(operation.call).parameters.get("training")
            said = isinstance(training, bool) and training is not getattr(default, "default", None)
            named = {k: v for k, v in context.items() if v is not None}
            named = {k: v for k, v in named.items() if k in operation._call_context_args}
            if training is not None and (said or "training" not in named):
                named["training"] = training
            return operation(*args, **{**kwargs, **named})
        return call if hasattr(operation, "_call_context_args") else operation

    functional.operation_fn = operation_fn

keep_word()
"""


def _kept_word(draw: Draw, source: str) -> str:
    """Mostly the promise, where a functional call says what `training` is."""
    says = re.search(r"inputs, training=(True|False)\)", source)
    return _KEPT if says and draw.chance(0.85) else ""


def _base(draw: Draw, name: str) -> str:
    """A model with layers that know training, flat or with a model inside."""
    width = draw.whole(2, 4)
    parts = [f"layers.Dense({width}, name='first')", "layers.BatchNormalization(momentum=0.5)"]
    parts += [_normalizing(draw, width) for _ in range(draw.whole(0, 2))]
    shape = draw.one(["sequential", "functional", "nested", "deep"])
    listed = ", ".join(parts)
    if shape == "sequential":
        return f"{name} = keras.Sequential([keras.Input((4,)), {listed}], name='base')"
    if shape == "functional":
        calls = "\n".join(f"h = {part}(h)" for part in parts)
        return (
            f"inner_inputs = keras.Input((4,))\nh = inner_inputs\n{calls}\n"
            f"{name} = keras.Model(inner_inputs, h, name='base')"
        )
    inner = f"keras.Sequential([{listed}], name='inner')"
    said = draw.one(["", ", training=False", ", training=True", ", training=None"])
    if shape == "deep":
        inner = f"keras.Sequential([layers.Dense(4), {inner}], name='middle')"
    return (
        f"inner = {inner}\ninner_inputs = keras.Input((4,))\n"
        f"{name} = keras.Model(inner_inputs, layers.Dense(3)(inner(inner_inputs{said})),"
        " name='base')"
    )


_FLAGS = """
def flags(layer, depth=0):
    # Clones name their input layers otherwise.
    name = "inputs" if isinstance(layer, layers.InputLayer) else layer.name
    print(" " * depth, name, layer.trainable, len(layer.trainable_weights),
          len(layer.non_trainable_weights))
    for inner in getattr(layer, "layers", []):
        flags(inner, depth + 1)
"""


def _freeze(draw: Draw, model: str) -> list[str]:
    """Ways to freeze and thaw."""
    options = [
        f"{model}.trainable = False",
        f"{model}.trainable = True",
        f"for layer in {model}.layers[:-1]:\n    layer.trainable = False",
        f"for layer in {model}.layers[1:]:\n    layer.trainable = True",
        f"{model}.layers[-1].trainable = False",
        f"{model}.layers[0].trainable = False",
        f"for layer in {model}.layers:\n"
        "    if isinstance(layer, layers.BatchNormalization):\n        layer.trainable = False",
        f"for layer in {model}._flatten_layers(include_self=False, recursive=True):\n"
        "    layer.trainable = not layer.name.startswith('first')",
        f"for layer in {model}.layers:\n    for inner in getattr(layer, 'layers', []):\n"
        f"        inner.trainable = {draw.one(['True', 'False'])}",
    ]
    return draw.some(options, 0, 2)


_FIT = (
    "show({label!r}, {model}.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False).history)"
)


def _fit(label: str, model: str = "model") -> str:
    return _FIT.format(label=label, model=model)


def _transfer(draw: Draw) -> str:
    """A base whose call says what `training` is, a head, and fine-tuning."""
    said = draw.one(["", "training=False", "training=False", "training=True", "training=None"])
    call = f"base(inputs{', ' + said if said else ''})"
    compile_ = pieces.compilation(draw)
    base = _base(draw, "base")
    kept = _kept_word(draw, base + call)
    lines = [
        kept,
        base,
        *_freeze(draw, "base"),
        "inputs = keras.Input((4,))",
        draw.one([f"h = {call}", f"h = {call}\nh = layers.Dropout(0.25, seed=7)(h)"]),
        "model = keras.Model(inputs, layers.Dense(1)(h))",
        compile_,
        "x = numbers(8, 4)\ny = numbers(8, 1, seed=1)",
        _FLAGS,
        "flags(model)",
        _fit("fitted"),
        "show_weights('weights', model)",
    ]
    if draw.chance(0.5):  # thaw, with or without another compilation
        lines += _freeze(draw, "base")
        lines += [draw.one([compile_, "pass"]), _fit("tuned"), "show_weights('tuned', model)"]
        lines.append("flags(model)")
    ending = draw.one(["none", "clone", "config", "file", "json", "batch", "parts"])
    if ending in ("clone", "config", "json"):
        copied = {
            "clone": "keras.models.clone_model(model)",
            "config": "keras.Model.from_config(model.get_config())",
            "json": "keras.models.model_from_json(model.to_json())",
        }[ending]
        lines += [
            f"other = {copied}\nother.set_weights(model.get_weights())\nflags(other)",
            pieces.compilation(draw, "other"),
            _fit("copied", "other"),
            "show_weights('copied', other)",
        ]
    elif ending in ("file", "parts"):
        extension = draw.one(["keras", "h5"] if draw.chance(0.3) else ["keras"])
        lines.append(f"model.save('model.{extension}')")
        if ending == "parts":
            lines += [HANDOVER, kept, "x = numbers(8, 4)\ny = numbers(8, 1, seed=1)", _FLAGS]
        lines += [
            f"loaded = keras.models.load_model('model.{extension}')\nflags(loaded)",
            "show('predicted', loaded.predict(x, verbose=0))",
            _fit("loaded", "loaded"),
            "show_weights('loaded', loaded)",
        ]
    elif ending == "batch":
        lines += [
            "show('trained', model.train_on_batch(x, y))",
            "show('tested', model.test_on_batch(x, y))",
            "show('called', model(x))",
            "show('training', model(x, training=True))",
            "show_weights('after', model)",
        ]
    return assemble(*lines)


def _contexts(draw: Draw) -> str:
    """Layers that are told `training` and hand it on, or leave that to the call's context.

    All of them take `training`: inside a `call` that does not, Keras 3 trains no Dropout, and we do
    (README).
    """
    kind = draw.name("Block")
    handed = draw.one(["", ", training=training", ", training=False", ", training=True"])
    default = draw.one(["training=None", "training=False", "training=None"])
    inner = draw.one(
        [
            "layers.BatchNormalization(momentum=0.5)",
            "layers.Dropout(0.5, seed=1)",
            "keras.Sequential([layers.Dense(3), layers.BatchNormalization(momentum=0.5)])",
        ]
    )
    used = draw.one(["", "", ", training=False", ", training=True"])
    source = f"""
class {kind}(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3)
        self.inner = {inner}

    def call(self, x, {default}):
        return self.inner(self.dense(x){handed})

    def get_config(self):
        return super().get_config()
"""
    lines = [source]
    if draw.chance(0.4):
        outer = draw.name("Outer")
        lines.append(f"""
class {outer}(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block = {kind}()

    def call(self, x, training=None):
        return self.block(x{draw.one(["", ", training=training", ", training=False"])})
""")
        kind = outer
    if draw.chance(0.5):
        lines.append(
            f"inputs = keras.Input((4,))\nh = {kind}(name='block')(inputs{used})\n"
            "model = keras.Model(inputs, layers.Dense(1)(h))"
        )
    else:
        lines.append(f"model = keras.Sequential([{kind}(name='block'), layers.Dense(1)])")
    freeze = draw.one(["", "model.get_layer('block').trainable = False"])
    lines += [
        "x = numbers(8, 4)\ny = numbers(8, 1, seed=1)",
        "show('called', model(x))" if draw.chance() else "",
        "show('training', model(x, training=True))" if draw.chance() else "",
        pieces.compilation(draw) if not freeze or draw.chance() else "",
        freeze,
        pieces.compilation(draw),
        _fit("fitted"),
        "show_weights('weights', model)",
        "show('evaluated', model.evaluate(x, y, verbose=0))",
        "show('predicted', model.predict(x, verbose=0))",
    ]
    if default == "training=False" and used == ", training=False":
        return assemble(*lines)  # Keras does not tell it from a call that says nothing
    return assemble(_kept_word(draw, "\n".join(lines)), *lines)


def _freezing(draw: Draw) -> str:
    """Any model, frozen and thawed here and there, before and after `compile`."""
    model = pieces.model(draw)
    rows = draw.whole(4, 9)
    steps = []
    for i in range(draw.whole(1, 3)):
        steps += _freeze(draw, "model")[:1]
        if draw.chance(0.5):
            steps.append(pieces.compilation(draw))
        steps.append(f"show('history {i}', model.fit(x, y, batch_size=4, verbose=0).history)")
        steps.append(
            f"print({i}, model.count_params(), [w.path for w in model.trainable_weights],"
            " [w.path for w in model.non_trainable_weights])"
        )
    return assemble(
        model.source,
        pieces.compilation(draw),
        f"x = numbers(*{(rows, *model.inputs)})\ny = {pieces.target(model, rows)}",
        "show('predicted', model.predict(x, verbose=0))",
        *steps,
        draw.one(["show_weights('weights', model)", "model.summary()", ""]),
        draw.one(
            [
                "print([(v.path, tuple(v.shape)) for v in model.optimizer.variables])",
                "show('evaluated', model.evaluate(x, y, verbose=0))",
            ]
        ),
    )
