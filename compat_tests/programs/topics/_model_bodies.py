"""What the models of `models` compute: layers kept in all the ways that users keep them.

Rows are `(width,)`, in and out. `training` is always a parameter of a `call` whose layers care:
where a `call` says nothing of it, `fit` trains here and does not in Keras 3 (README).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..drawing import Draw

__all__ = ["Body", "body", "call_of", "class_of", "dense"]


@dataclass
class Body:
    """What a model computes.

    Args:
        width: The size of a row that comes out.
        init: Lines of `__init__`.
        call: Lines that turn `x` into `x`.
        build: Lines of `build`, for what is made there; they know `width`.
        trains: Whether `training` matters.
        before: Source that stands before the class.
    """

    width: int
    init: list[str] = field(default_factory=list)
    call: list[str] = field(default_factory=list)
    build: list[str] = field(default_factory=list)
    trains: bool = False
    before: list[str] = field(default_factory=list)


_ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "softplus", "elu", "linear", "silu")


def dense(draw: Draw, units: int | str, name: str | None = None) -> str:
    """A dense layer with some settings."""
    options = [
        f"activation={draw.one(_ACTIVATIONS)!r}",
        "use_bias=False",
        f"kernel_initializer={draw.one(['he_normal', 'ones', 'orthogonal'])!r}",
        "kernel_regularizer=keras.regularizers.L2(0.01)",
        "bias_initializer='ones'",
        "activity_regularizer='l2'",
        "trainable=False",
    ]
    chosen = draw.some(options[:-2] if draw.chance(0.8) else options, 0, 2)
    if name is not None:
        chosen.append(f"name={name!r}")
    return f"layers.Dense({', '.join([str(units), *chosen])})"


def body(draw: Draw, width: int, least: int = 1, most: int = 3, in_build: bool = True) -> Body:
    """Some layers on each other, for rows of a width."""
    made = Body(width)
    habits = [_attribute, _attribute, _listed, _by_key, _numbered, _inner_model, _block, _weight]
    habits += [_optional, _residual, _shared, _nested_list, _switching, _switching]
    if in_build:
        habits += [_built_later, _weight_built_later]
    for _ in range(draw.whole(least, most)):
        draw.one(habits)(draw, made)
    return made


def _attribute(draw: Draw, made: Body) -> None:
    units, name = draw.whole(1, 4), draw.name("dense")
    given = draw.name("head") if draw.chance(0.3) else None
    made.init.append(f"self.{name} = {dense(draw, units, given)}")
    made.call.append(draw.one([f"x = self.{name}(x)", f"x = ops.relu(self.{name}(x) + 0.5)"]))
    made.width = units


def _listed(draw: Draw, made: Body) -> None:
    units, count, name = draw.whole(1, 4), draw.whole(1, 3), draw.name("blocks")
    if draw.chance():
        made.init.append(f"self.{name} = [{dense(draw, units)} for _ in range({count})]")
    else:
        made.init += [f"self.{name} = []", f"for i in range({count}):"]
        made.init.append(f"    self.{name}.append({dense(draw, units)})")
    made.call += [f"for block in self.{name}:", "    x = block(x)"]
    made.width = units


def _by_key(draw: Draw, made: Body) -> None:
    units, name = draw.whole(1, 4), draw.name("heads")
    keys = draw.shuffled(["b", "a", "c"])[: draw.whole(1, 3)]
    items = ", ".join(f"{key!r}: {dense(draw, units)}" for key in keys)
    made.init.append(f"self.{name} = {{{items}}}")
    if draw.chance(0.3):
        made.init.append(f"self.{name}['late'] = {dense(draw, units)}")
    made.call.append(draw.one([
        f"x = sum(self.{name}[key](x) for key in {draw.shuffled(keys)!r})",
        f"x = ops.add(0.0, sum(head(x) for head in self.{name}.values()))",
    ]))  # fmt: skip
    made.width = units


def _numbered(draw: Draw, made: Body) -> None:
    units, count, stem = draw.whole(1, 4), draw.whole(1, 3), draw.name("step")
    made.init.append(f"for i in range({count}):")
    made.init.append(f"    setattr(self, f'{stem}_{{i}}', {dense(draw, units)})")
    made.call.append(f"for i in range({count}):")
    made.call.append(f"    x = getattr(self, f'{stem}_{{i}}')(x)")
    made.width = units


def _inner_model(draw: Draw, made: Body) -> None:
    units, name = draw.whole(1, 4), draw.name("inner")
    known = f"keras.Input(({made.width},)), " if draw.chance() else ""
    if draw.chance(0.7):
        given = f", name={draw.name('inside')!r}" if draw.chance(0.3) else ""
        made.init.append(
            f"self.{name} = keras.Sequential("
            f"[{known}{dense(draw, 3)}, {dense(draw, units)}]{given})"
        )
    else:
        made.init += [
            f"entry = keras.Input(({made.width},))",
            f"self.{name} = keras.Model(entry, {dense(draw, units)}({dense(draw, 2)}(entry)))",
        ]
    made.call.append(f"x = self.{name}(x)")
    made.width = units


def _block(draw: Draw, made: Body) -> None:
    units, kind, name = draw.whole(1, 4), draw.name("Block"), draw.name("block")
    made.before.append(
        f"class {kind}(layers.Layer):\n"
        f"    def __init__(self, units, **kwargs):\n"
        f"        super().__init__(**kwargs)\n"
        f"        self.units = units\n"
        f"        self.inner = {dense(draw, 'units')}\n"
        f"    def call(self, x):\n"
        f"        return {draw.one(['self.inner(x)', 'ops.tanh(self.inner(x))'])}\n"
        f"    def get_config(self):\n"
        f"        return {{**super().get_config(), 'units': self.units}}"
    )
    made.init.append(f"self.{name} = {kind}({units})")
    made.call.append(f"x = self.{name}(x)")
    made.width = units


def _weight(draw: Draw, made: Body) -> None:
    name = draw.name("scale")
    trained = ", trainable=False" if draw.chance(0.2) else ""
    made.init.append(
        f"self.{name} = self.add_weight(shape=({made.width},),"
        f" initializer={draw.one(['ones', 'random_normal'])!r}, name={name!r}{trained})"
    )
    made.call.append(f"x = x * self.{name}")


def _optional(draw: Draw, made: Body) -> None:
    name = draw.name("norm")
    made.init.append(
        f"self.{name} = layers.LayerNormalization() if {draw.one([True, False])} else None"
    )
    made.call += [f"if self.{name} is not None:", f"    x = self.{name}(x)"]


def _residual(draw: Draw, made: Body) -> None:
    name = draw.name("dense")
    made.init.append(f"self.{name} = {dense(draw, made.width)}")
    if draw.chance():
        made.init.append(f"self.{name}_sum = layers.Add()")
        made.call.append(f"x = self.{name}_sum([x, self.{name}(x)])")
    else:
        made.call.append(f"x = x + self.{name}(x)")


def _shared(draw: Draw, made: Body) -> None:
    name = draw.name("tied")
    made.init.append(f"self.{name} = {dense(draw, made.width)}")
    made.init.append(f"self.{name}_again = self.{name}")
    made.call.append(f"x = self.{name}_again(self.{name}(x))")


def _nested_list(draw: Draw, made: Body) -> None:
    units, name = draw.whole(1, 4), draw.name("tower")
    inner = f"[{dense(draw, 2)}, {dense(draw, units)}]"
    made.init.append(f"self.{name} = [{inner}, {draw.one(['()', '{}', '[None]'])}]")
    made.call += [f"for part in self.{name}[0]:", "    x = part(x)"]
    made.width = units


def _switching(draw: Draw, made: Body) -> None:
    name = draw.name("part")
    options = ["Dropout(0.3)", "BatchNormalization(momentum=0.5)", "GaussianNoise(0.1)"]
    expression = draw.one(options)
    if "Batch" in expression:  # which a row of one feature may make ill-conditioned
        made.call.append("x = x * 2.0")
    made.init.append(f"self.{name} = layers.{expression}")
    made.call.append(f"x = self.{name}(x{draw.one(['', ', training=training'])})")
    made.trains = True


def _built_later(draw: Draw, made: Body) -> None:
    units, name = draw.whole(1, 4), draw.name("late")
    made.build.append(f"self.{name} = {dense(draw, units)}")
    if draw.chance(0.3) and not made.call:
        made.build.append(f"self.{name}.build(input_shape)")
    made.call.append(f"x = self.{name}(x)")
    made.width = units


def _weight_built_later(draw: Draw, made: Body) -> None:
    name = draw.name("shift")
    made.build.append(
        f"self.{name} = self.add_weight(shape=({made.width},), initializer='ones', name={name!r})"
    )
    made.call.append(f"x = x + self.{name}")


def call_of(draw: Draw, made: Body, returned: str = "x") -> str:
    """The source of `call`, unindented."""
    name = draw.one(["x", "x", "inputs"])
    signatures = [f"self, {name}, training=None", f"self, {name}, training=False"]
    if not made.trains:
        signatures += [f"self, {name}"] * 3 + [f"self, {name}, scale=1.0", f"self, {name}, **extra"]
        signatures.append(f"self, {name}, mask=None")
    else:
        signatures += [f"self, {name}, training=None, mask=None", f"self, {name}, *, training=None"]
    lines = [f"def call({draw.one(signatures)}):"]
    if name != "x":
        lines.append(f"    x = {name}")
    return "\n".join([*lines, *(f"    {line}" for line in made.call), f"    return {returned}"])


def class_of(
    kind: str,
    base: str,
    made: Body,
    methods: list[str],
    parameters: str = "",
    first: str = "super().__init__()",
    build_end: str = "super().build(input_shape)",
    defaults: Sequence[str] = (),
) -> str:
    """The source of a class: `__init__` and `build` of a body, and these methods."""
    init = [f"def __init__(self{parameters}):", f"    {first}", *(f"    {x}" for x in made.init)]
    parts = ["\n".join(init)]
    if made.build:
        build = ["def build(self, input_shape):", *(f"    {line}" for line in made.build)]
        parts.append("\n".join([*build, f"    {build_end}"]))
    parts += methods
    if defaults:  # Keras loses layers, not lists and weights, behind those
        parts.insert(0, "\n".join(f"{name} = None" for name in defaults))
    indented = "\n".join("    " + line for part in parts for line in part.splitlines())
    return "\n".join([*made.before, f"class {kind}({base}):", indented])
