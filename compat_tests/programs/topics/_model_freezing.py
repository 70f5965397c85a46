"""Users' layers and models frozen and thawed, inside and out, and what copies of them keep."""

from __future__ import annotations

from .. import pieces
from ..drawing import Draw, assemble
from ._model_bodies import dense

__all__ = ["program"]

_FLAGS = '''
def flags(layer, depth=0):
    """Print what is trained, and how much, at every depth."""
    print("  " * depth + type(layer).__name__, layer.trainable, len(layer.trainable_weights))
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        flags(inner, depth + 1)
'''


def _inside(draw: Draw, width: int) -> tuple[list[str], list[str], list[str], int]:
    """Lines of `__init__`, `build` and `call` of a block, and the width of what it returns."""
    init: list[str] = []
    build: list[str] = []
    call: list[str] = []
    for _ in range(draw.whole(1, 3)):
        kind, units = draw.whole(0, 6), draw.whole(1, 4)
        name = draw.name("part")
        if kind == 0:
            init.append(f"self.{name} = {dense(draw, units)}")
        elif kind == 1:
            init.append(f"self.{name} = keras.Sequential([{dense(draw, 2)}, {dense(draw, units)}])")
        elif kind == 2:
            init.append(f"self.{name} = {dense(draw, units)}\nself.{name}.trainable = False")
        elif kind == 3:
            said = draw.one([", training=training", ", training=False", ", training=True"])
            given = draw.one(["momentum=0.5", "momentum=0.5, trainable=False"])
            init.append(f"self.{name} = layers.BatchNormalization({given})")
            call.append(f"x = self.{name}(x * 2.0{said})")
            continue
        elif kind == 4:
            build.append(f"self.{name} = {dense(draw, units)}")
        elif kind == 5:
            init.append(f"self.{name} = [{dense(draw, units)}, {dense(draw, units)}]")
            call.append(f"for layer in self.{name}:\n    x = layer(x)")
            width = units
            continue
        else:
            init.append(f"self.{name} = self.add_weight(shape=({width},), initializer='ones')")
            call.append(f"x = x * self.{name}")
            continue
        call.append(f"x = self.{name}(x)")
        width = units
    return init, build, call, width


def _class(draw: Draw, kind: str, width: int) -> tuple[str, int]:
    """The source of a class, and the width of what it returns."""
    if draw.chance(0.15):
        given = draw.one(["units", "units, activation='tanh'", "units=units, use_bias=False"])
        open_ = draw.chance(0.7)
        return (
            f"class {kind}(layers.Dense):\n"
            f"    def __init__(self, units=3{', **kwargs' if open_ else ''}):\n"
            f"        super().__init__({given}{', **kwargs' if open_ else ''})"
        ), 3
    init, build, call, units = _inside(draw, width)
    open_, written = draw.chance(0.85), draw.chance(0.4)
    base = draw.one(["layers.Layer", "layers.Layer", "keras.Model"])
    methods = [
        [
            f"def __init__(self, rate=0.5{', **kwargs' if open_ else ''}):",
            f"    super().__init__({'**kwargs' if open_ else ''})",
            "    self.rate = rate",
            *(f"    {line}" for text in init for line in text.splitlines()),
        ]
    ]
    if build:
        end = draw.one(["super().build(input_shape)", "self.built = True", ""])
        lines = [*build, *([end] if end else [])]
        methods.append(["def build(self, input_shape):", *(f"    {line}" for line in lines)])
    methods.append(
        [
            "def call(self, x, training=None):",
            *(f"    {line}" for text in call for line in text.splitlines()),
            "    return x * self.rate",
        ]
    )
    if written and open_:
        methods.append(
            ["def get_config(self):", "    return {**super().get_config(), 'rate': self.rate}"]
        )
    body = "\n".join("    " + line for method in methods for line in method)
    return f"class {kind}({base}):\n{body}", units


def _model(draw: Draw, kind: str, width: int, given: list[str]) -> list[str]:
    """Statements that make `block`, and `model` of it."""
    lines = [f"block = {kind}({draw.one(given)})"]
    top = dense(draw, 1, "top")
    form = draw.one(["chain", "chain", "graph", "graph", "nested", "inner graph", "user's"])
    if form == "chain":
        lines.append(f"model = keras.Sequential([keras.Input(({width},)), block, {top}])")
    elif form == "nested":
        lines.append(f"inner = keras.Sequential([keras.Input(({width},)), block])")
        lines.append(f"model = keras.Sequential([keras.Input(({width},)), inner, {top}])")
    elif form in ("graph", "inner graph"):
        lines.append(f"inputs = keras.Input(({width},))")
        if form == "graph":
            lines.append("h = block(inputs)")
        else:
            lines += ["inner = keras.Model(inputs, block(inputs))",
                      f"inputs = keras.Input(({width},))", "h = inner(inputs)"]  # fmt: skip
        lines.append(f"model = keras.Model(inputs, {top}(h))")
    else:
        lines = [
            "class Whole(keras.Model):\n    def __init__(self, **kwargs):\n"
            f"        super().__init__(**kwargs)\n        self.block = {kind}()\n"
            f"        self.top = {top}\n"
            "    def call(self, x, training=None):\n"
            "        return self.top(self.block(x, training=training))",
            "model = Whole()\nblock = model.block\nmodel(x)",
        ]
    return lines


_FREEZES = (
    "block.trainable = False", "block.trainable = False", "model.trainable = False",
    "model.trainable = True", "block.trainable = True", "model.layers[-1].trainable = False",
    "for layer in model.layers[:-1]:\n    layer.trainable = False",
    "for layer in block._flatten_layers(include_self=False):\n    layer.trainable = False",
    "model.trainable = False\nblock.trainable = True",
    "block.trainable = False\nfor layer in block._flatten_layers(include_self=False):\n"
    "    layer.trainable = True",
)  # fmt: skip

_COPIES = (
    "keras.models.clone_model(model)",
    "type(model).from_config(model.get_config(), custom_objects=known)",
    "keras.models.model_from_json(model.to_json(), custom_objects=known)",
    "saved('model.keras')",
    "saved('model.keras')",
    "saved('model.h5')",
)

_SAVED = """
def saved(path):
    model.save(path)
    return keras.models.load_model(path, custom_objects=known, compile=False)
"""


def program(draw: Draw) -> str:
    """Write a program."""
    width, kind = draw.whole(2, 4), draw.name("Block")
    source, _ = _class(draw, kind, width)
    given = ["", ""]
    if "(keras.Model)" not in source:  # whose arguments Keras forgets
        given.append("rate=0.25" if "rate=0.5" in source else "2")
    if "**kwargs" in source and draw.chance(0.5):
        given.append("trainable=False")
    made = _model(draw, kind, width, given)
    user = "class Whole" in made[0]
    compiled = f"model.compile({pieces.optimizer(draw)}, 'mse')"
    fit = "show('history', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)"
    steps: list[str] = []
    for _ in range(draw.whole(1, 3)):
        steps += [draw.one(_FREEZES), "flags(model)"]
        if draw.chance(0.6) or len(steps) == 2:
            steps.append(compiled)
        steps.append(draw.one([fit, fit, "show('called', model(x, training=True))"]))
    taken = "**kwargs" in source and "__init__(units, " not in source
    copies = [c for c in _COPIES if not user or "h5" not in c and "json" not in c]
    copy = draw.one([c for c in copies if taken or "h5" not in c])
    known = f"known = {{{kind!r}: {kind}{', ' + repr('Whole') + ': Whole' if user else ''}}}"
    if "clone" in copy:
        known = ""
    call = "again(x)\n    " if user else ""
    copied = (
        f"def copied():\n    again = {copy}\n    {call}flags(again)\n"
        "    again.compile('sgd', 'mse')\n"
        "    again.set_weights(model.get_weights())\n"
        "    print('losses', round(again.fit(x, y, verbose=0).history['loss'][0], 4))\n"
        "    return [*again.get_weights(), again.predict(x, verbose=0)]"
    )
    return assemble(
        source,
        f"x, y = numbers(8, {width}), numbers(8, 1, seed=1)",
        _FLAGS,
        *made,
        known,
        _SAVED if "saved" in copy else "",
        "flags(model)",
        *steps,
        "show_weights('weights', model)" if draw.chance() else "",
        "attempt('config', lambda: json.dumps(block.get_config(), sort_keys=True))",
        copied,
        "attempt('copied', copied)",
    )
