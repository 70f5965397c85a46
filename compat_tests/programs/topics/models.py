"""Models that users write: subclasses, own steps, own compile."""

from __future__ import annotations

import re

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble
from . import _model_freezing, _model_outputs, _model_pairs
from ._model_bodies import body, call_of, class_of, dense
from ._model_steps import LOSSES, Plan, overrides, plan_of

__all__ = ["program"]

_COMMON = (
    "_device", "_state", "_steps", "_plan", "_policy", "_keys", "_known", "_stack", "_children",
    "_train_step", "_test_step", "_entry", "_locked", "_sorted", "graph", "compiled_metrics",
)  # fmt: skip
_HELPERS = (
    "_build", "_run", "_resolve", "_train_step", "_loss_function", "_run_epoch", "_one_batch",
    "_bind", "_state", "_device", "_iterate", "_enter", "_forget", "_lower", "_convert", "_step",
)  # fmt: skip
_CONFIG = "attempt('config', lambda: json.dumps(model.get_config(), sort_keys=True, default=str))"
_RETURNED = ("", ", return_dict=True")
_SOURCES = ("compiled", "compiled", "compiled", "own", "given", "loss", "computed")


def _fitted(draw: Draw, plan: Plan) -> str:
    options = ["epochs=2", "batch_size=4", "verbose=0"]
    if draw.chance(0.2):
        options.append("shuffle=False")
    if draw.chance(0.25):
        options.append(draw.one(["validation_data=(x, y)", "validation_split=0.5"]))
    if draw.chance(0.2) and (
        plan is None or plan.weighted or "train_step" not in str(plan.methods)
    ):
        options.append("sample_weight=np.linspace(0.5, 2, len(x), dtype='float32')")
    return f"model.fit(x, y, {', '.join(options)}).history"


def _uses(draw: Draw, plan: Plan, least: int = 2, most: int = 5, config: bool = False) -> str:
    """What is done with a compiled model, in any order; `x` and `y` are there."""
    methods = str(plan.methods)
    # Keras hands arrays to the steps there, in three parts: no steps but its own take that.
    own = re.search("def (train_step|test_step|compute_loss|compute_metrics)", methods)
    on_batch = own is None and draw.chance()
    uses = [
        f"tried('history', lambda: {_fitted(draw, plan)})",
        f"show('history', {_fitted(draw, plan)})",
        "attempt('evaluated', lambda: model.evaluate(x, y, verbose=0))",
        "attempt('evaluated', lambda: model.evaluate(x, y, verbose=0, return_dict=True))",
        "show('predicted', model.predict(x, verbose=0, batch_size=4))",
        "show('called', model(x))",
        "show('called', model(x, training=False))",
        "print('names', model.metrics_names, [m.name for m in model.metrics])",
        "print('layers', [layer.name for layer in model.layers], model.built)",
        "print('paths', [w.path for w in model.weights])",
        "print('losses', len(model.losses), type(model.loss).__name__)",
        "print('optimizer', type(model.optimizer).__name__)",
        "attempt('count', lambda: model.count_params())",
        # Keras names its optimizers by modules of its own there.
        "attempt('compiled', lambda: {k: str(v) for k, v in model.get_compile_config().items()"
        " if k != 'optimizer'})",
        "model.set_weights([w * 0.5 for w in model.get_weights()])",
        "print('optimizer', [v.path for v in getattr(model.optimizer, 'variables', [])])",
    ]
    if config:
        uses.append(_CONFIG)
    if on_batch:
        uses += [
            f"attempt('trained', lambda: model.train_on_batch(x, y{draw.one(_RETURNED)}))",
            f"attempt('tested', lambda: model.test_on_batch(x, y{draw.one(_RETURNED)}))",
            "show('predicted', model.predict_on_batch(x))",
        ]
    lines = draw.some(draw.shuffled(uses), least, most)
    if draw.chance(0.25):  # compiled again
        place = draw.whole(0, len(lines))
        again = plan.compiled
        if plan.loss == "compiled":
            again = draw.one([plan.compiled, "model.compile('sgd')", "model.compile('sgd', 'mae')",
                              "model.compile('sgd', metrics=['mse'])"])  # fmt: skip
        lines.insert(place, again)
    counters = [f"{what}_calls" for what in ("train", "test", "predict")]
    counters += ["steps_made", "seen_training"]
    source = "".join(plan.init)
    lines += [f"print('{name}', model.{name})" for name in counters if f"self.{name} =" in source]
    return "\n".join(lines)


def _summary(draw: Draw, options: str = "") -> str:
    """A summary, last, since there is a reason for it to differ."""
    return f"attempt('summary', lambda: model.summary({options}))" if draw.chance(0.15) else ""


def _data(draw: Draw, width: int, out: int) -> str:
    rows = draw.one([4, 6, 8])
    return f"x, y = numbers({rows}, {width}), numbers({rows}, {out}, seed=1)"


def _built(draw: Draw, width: int) -> str:
    """How a model is built before it is used, if at all."""
    return draw.one(["", "", "", "model(x)", "model(x[:1])", f"model(keras.Input(({width},)))",
                     f"model.build((None, {width}))\nmodel(x)"])  # fmt: skip


def _subclass(draw: Draw) -> str:
    """A subclass of `Model` with parts of training overridden."""
    width, kind = draw.whole(2, 4), draw.name("Net")
    made = body(draw, width)
    plan = plan_of(draw, (*_SOURCES, "added"))
    if draw.chance(0.8) or plan.loss != "compiled" or plan.trackers:
        overrides(draw, plan)
    if plan.loss == "added":
        made.call.append("self.add_loss(ops.mean(ops.square(x)))")
    made.init = [*plan.init, *made.init] if draw.chance() else [*made.init, *plan.init]
    end = draw.one(["super().build(input_shape)", "self.built = True"])
    takes = draw.chance(0.3)  # a config holds what the constructor takes, here at least
    made_by = {
        "parameters": ", **kwargs" if takes else "",
        "first": f"super().__init__({'**kwargs' if takes else ''})",
    }
    methods = [call_of(draw, made), *plan.methods]
    names = re.findall(r"self\.((?:blocks|heads|tower|scale)\d+) =", "\n".join(made.init))
    defaults = draw.some(sorted(set(names)), 0, 2) if draw.chance(0.3) else []
    source = class_of(
        kind, "keras.Model", made, methods, build_end=end, defaults=defaults, **made_by
    )
    end_of_build = made.build and end.startswith("super")
    return assemble(
        source,
        f"model = {kind}()",
        _data(draw, width, made.width),
        draw.one(["", "model(x)"]) if end_of_build else _built(draw, width),
        plan.compiled,
        _uses(draw, plan, config=takes),
        "show_weights('weights', model)",
        _summary(draw),
    )


def _functional_lines(draw: Draw, width: int) -> tuple[list[str], int]:
    units = draw.whole(1, 4)
    lines = [
        f"inputs = keras.Input(({width},){draw.one(['', ', name=' + repr(draw.name('entry'))])})"
    ]
    lines.append(f"x = {dense(draw, 3)}(inputs)")
    if draw.chance(0.4):
        lines.append(
            f"x = {draw.one(['layers.Dropout(0.3)', 'layers.LayerNormalization()', 'ops.relu'])}(x)"
        )
    lines.append(f"outputs = {dense(draw, units)}(x)")
    return lines, units


def _functional_subclass(draw: Draw) -> str:
    """A subclass of `Model` that is made as a functional model."""
    width, kind = draw.whole(2, 4), draw.name("Net")
    lines, units = _functional_lines(draw, width)
    plan = plan_of(draw, _SOURCES)
    overrides(draw, plan)
    methods, init = list(plan.methods), list(plan.init)
    if draw.chance(0.3):
        methods.append(draw.one([
            "def call(self, inputs, training=None):\n"
            "    return super().call(inputs, training=training) * 2.0",
            "def call(self, inputs, training=None, mask=None):\n"
            "    return ops.tanh(super().call(inputs, training=training, mask=mask))",
        ]))  # fmt: skip
    style = draw.one(["inside", "inside", "inside", "handed", "named"])
    config, form = "", draw.one(["none", "none", "extended", "plain", "named"])
    made_by = f"{kind}()"
    given = draw.one(["inputs, outputs", "inputs=inputs, outputs=outputs"])
    parameters = ", units=4, **kwargs"
    if style == "inside":
        body_lines = [*lines, f"super().__init__({given}, **kwargs)", "self.units = units", *init]
        made_by = draw.one([f"{kind}()", f"{kind}(units=4)", f"{kind}(4, name='mine')"])
        config = {
            "extended": "return {**super().get_config(), 'units': self.units}",
            "plain": "return {'units': self.units}",
            "named": "return {'units': self.units, 'name': self.name}",
        }.get(form, "")
    elif style == "handed":
        parameters = ", inputs, outputs, units=4, **kwargs"
        body_lines = [f"super().__init__({given}, **kwargs)", "self.units = units", *init]
        made_by = f"{kind}(inputs, outputs)"
        config = {"extended": "return {**super().get_config(), 'units': self.units}"}.get(form, "")
    else:
        parameters = ", *args, **kwargs"
        body_lines = ["super().__init__(*args, **kwargs)", *init]
        made_by = f"{kind}({given})"
    if style == "named" and not init:
        constructor = ""
    else:
        constructor = "\n".join(
            [f"def __init__(self{parameters}):", *(f"    {x}" for x in body_lines)]
        )
    if config:
        methods.append(f"def get_config(self):\n    {config}")
    parts = [constructor, *methods] if constructor else methods
    source = "\n".join(
        [f"class {kind}(keras.Model):"]
        + ["    " + line for part in parts for line in part.splitlines()]
    )
    if not parts:
        source += "\n    pass"
    before = "\n".join(lines) if style != "inside" else ""
    more = [
        _CONFIG,
        f"attempt('again', lambda: {kind}.from_config(model.get_config())"
        ".predict(x, verbose=0).shape)",
        "attempt('cloned', lambda: type(keras.models.clone_model(model)).__name__)",
        f"attempt('loaded', lambda: loaded({kind}))",
        "print(isinstance(model, keras.Model), type(model).__name__, model.name)",
        "print('shapes', model.input_shape, model.output_shape)",
        "print('tensors', model.inputs[0].shape, len(model.outputs), model.output_names)",
    ]
    if "super().call(" not in source and "def predict_step" not in source:  # not in Keras's clones
        more.append(
            "attempt('cloned', lambda: keras.models.clone_model(model).predict(x, verbose=0))"
        )
    if "Dropout" in "".join(lines):  # for which Keras writes `training` into the graph
        more.remove(_CONFIG)
    chosen = draw.some(draw.shuffled(more), 1, 3)
    loading = ""
    if any("loaded(" in line for line in chosen):
        loading = (
            "def loaded(kind):\n    model.save('model.keras')\n"
            "    known = {kind.__name__: kind}\n"
            "    again = keras.models.load_model('model.keras', custom_objects=known)\n"
            "    return [type(again).__name__, again.predict(x, verbose=0)]"
        )
    return assemble(
        source,
        before,
        f"model = {made_by}",
        loading,
        _data(draw, width, units),
        plan.compiled,
        _uses(draw, plan, 1, 4),
        "\n".join(chosen),
        "show_weights('weights', model)",
    )


def _sequential_subclass(draw: Draw) -> str:
    """A subclass of `Sequential`."""
    width, kind, units = draw.whole(2, 4), draw.name("Chain"), draw.whole(1, 4)
    known = [f"keras.Input(({width},))"] if draw.chance(0.6) else []
    expressions = [*known, dense(draw, 3), dense(draw, units)]
    if draw.chance(0.3):
        expressions.insert(-1, draw.one(["layers.Dropout(0.3)", "layers.LayerNormalization()"]))
    plan = plan_of(draw, _SOURCES)
    overrides(draw, plan)
    methods = list(plan.methods)
    style = draw.one(["list", "added", "kept"])
    if style == "list":
        lines = [f"super().__init__([{', '.join(expressions)}], **kwargs)"]
    elif style == "added":
        lines = ["super().__init__(**kwargs)", *(f"self.add({e})" for e in expressions)]
    else:
        last = expressions.pop()
        lines = ["super().__init__(**kwargs)", *(f"self.add({e})" for e in expressions)]
        lines += [f"self.last = {last}", "self.add(self.last)"]
    if draw.chance(0.25):
        methods.append(
            "def call(self, inputs, training=None, mask=None):\n"
            "    return super().call(inputs, training=training, mask=mask) + 1.0"
        )
    if draw.chance(0.3):
        methods.append(draw.one([
            "def get_config(self):\n    return {**super().get_config(), 'extra': 1}",
            "def get_config(self):\n    return {'name': self.name}",
        ]))  # fmt: skip
    parts = [
        "\n".join(["def __init__(self, **kwargs):", *(f"    {x}" for x in [*lines, *plan.init])])
    ]
    parts += methods
    source = "\n".join(
        [f"class {kind}(keras.Sequential):"]
        + ["    " + line for part in parts for line in part.splitlines()]
    )
    more = [
        _CONFIG,
        "attempt('cloned', lambda: type(keras.models.clone_model(model)).__name__)",
        "attempt('shapes', lambda: [model.input_shape, model.output_shape])",
        "print('names', [layer.name for layer in model.layers], len(model.weights))",
    ]
    return assemble(
        source,
        f"model = {kind}({draw.one(['', '', 'name=' + repr('mine')])})",
        draw.one(["print('before', model.built, len(model.weights), len(model.layers))", ""]),
        _data(draw, width, units),
        _built(draw, width),
        plan.compiled,
        _uses(draw, plan, 1, 4),
        "\n".join(draw.some(draw.shuffled(more), 1, 2)),
        "show_weights('weights', model)",
    )


def _state_names(draw: Draw) -> str:
    """State under names that `compile` and `Model` use themselves."""
    width, kind = draw.whole(2, 4), draw.name("Net")
    made = body(draw, width, 1, 2)
    numbers_ = ["0.5", "3", "None", "'text'", "[1, 2]", "{'a': 1}", "(1, 2)"]
    values = {
        "loss": [
            *LOSSES,
            "'mse'",
            "['mse']",
            "{'a': 'mse'}",
            "0.5",
            "lambda y, p: ops.mean(y - p)",
        ],
        "loss_fn": list(LOSSES),
        "loss_weights": ["[1.0]", "None", "0.5"],
        "optimizer": ["keras.optimizers.SGD(0.1)", "None", "'sgd'"],
        "loss_tracker": ["keras.metrics.Mean(name='loss')", "keras.metrics.Mean(name='mine')"],
        "error": ["keras.metrics.MeanAbsoluteError()"],
        "metric_list": ["[keras.metrics.Mean(name='one'), keras.metrics.Sum(name='two')]"],
        "metric_by_name": ["{'a': keras.metrics.Mean(name='first')}"],
        "compiled_loss_value": numbers_,
        "stop_training": ["True", "False"],
        "history": numbers_,
        "run_eagerly": ["True", "False"],
        "jit_compile": ["False", "True"],
        "steps": numbers_,
        "inputs": numbers_,
        "outputs": numbers_,
        "output_names": ["['a']", "None"],
        "input_dim": numbers_,
        "units": numbers_,
        "activation": ["keras.activations.relu", "'relu'", "layers.ReLU()"],
        "config": ["{'units': 3, 'deep': {'a': [1, 2]}}"],
        "state": ["[np.ones(2), 'a']"],
        "seed": ["keras.random.SeedGenerator(1)", "1"],
        # Names that libraries may use within, and users without knowing.
        **{name: numbers_ for name in _COMMON},
        "policy": ["keras.dtype_policies.DTypePolicy('float32')"],
    }
    names = draw.some(draw.shuffled(list(values)), 1, 4)
    if "loss" not in names and draw.chance(0.4):
        names.append("loss")
    lines = [f"self.{name} = {draw.one(values[name])}" for name in names]
    made.init = [*lines, *made.init] if draw.chance() else [*made.init, *lines]
    methods = [call_of(draw, made)]
    if draw.chance(0.4):  # a method of the user's, called on the way
        helper = draw.one(_HELPERS)
        methods.append(f"def {helper}(self, x, factor=2.0):\n    return x * factor")
        made.call.append(f"x = self.{helper}(x)")
        methods[0] = call_of(draw, made)
        lines = [line for line in lines if not line.startswith(f"self.{helper} =")]
        names = [name for name in names if name != helper]
        made.init = [line for line in made.init if not line.startswith(f"self.{helper} =")]
    own_loss = next((line for line in lines if line.startswith("self.loss = keras")), None)
    if own_loss:
        methods.append(
            "def train_step(self, data):\n"
            "    x, y = data\n"
            "    self.zero_grad()\n"
            "    loss = self.loss(y, self(x, training=True))\n"
            "    loss.backward()\n"
            "    gradients = [v.value.grad for v in self.trainable_weights]\n"
            "    with torch.no_grad():\n"
            "        self.optimizer.apply(gradients, self.trainable_weights)\n"
            "    return {'loss': loss}"
        )
    objects = ("activation", "optimizer", "seed", "policy", "loss", "metric", "error", "history")
    looks = [f"attempt({name!r}, lambda: model.{name})" for name in names
             if not any(word in name for word in objects)]  # fmt: skip
    looks += [f"attempt('{name}', lambda: type(model.{name}).__name__)" for name in names]
    compiled = draw.one(
        ["model.compile('sgd')", "model.compile()", "model.compile(optimizer='sgd')"]
    )
    if not own_loss and draw.chance(0.7):
        compiled = draw.one(
            ["model.compile('sgd', 'mse')", "model.compile('sgd', 'mse', metrics=['mae'])"]
        )
    return assemble(
        class_of(kind, "keras.Model", made, methods, build_end="self.built = True"),
        f"model = {kind}()",
        _data(draw, width, made.width),
        "\n".join(looks),
        compiled,
        "\n".join(looks),
        "print('names', model.metrics_names)",
        "tried('history', lambda: model.fit(x, y, batch_size=4, epochs=2, verbose=0).history)",
        "\n".join(looks),
        "attempt('evaluated', lambda: model.evaluate(x, y, verbose=0))",
        "show_weights('weights', model)",
    )


def _looks(draw: Draw, label: str, width: int) -> str:
    """What may be asked of a model, built or not."""
    looks = [
        f"attempt('{label} built', lambda: model.built)",
        f"attempt('{label} weights', lambda: [w.path for w in model.weights])",
        f"attempt('{label} layers', lambda: [(a.name, a.built) for a in model.layers])",
        f"attempt('{label} count', lambda: model.count_params())",
        f"attempt('{label} layer', lambda: model.get_layer(index=0).name)",
        f"attempt('{label} states', lambda: [len(w) for w in model.get_weights()])",
        f"attempt('{label} config', lambda: model.get_build_config())",
        f"attempt('{label} losses', lambda: len(model.losses))",
        f"attempt('{label} input', lambda: model.input_shape)",
        f"attempt('{label} spec', lambda: model.input_spec)",
        f"attempt('{label} trainable', lambda: [len(model.trainable_weights), model.trainable])",
    ]
    return "\n".join(draw.some(draw.shuffled(looks), 2, 5))


def _building(draw: Draw) -> str:
    """Models looked at before and after they are built, in the ways that models are built."""
    width, kind = draw.whole(2, 4), draw.name("Net")
    made = body(draw, width)
    call = call_of(draw, made)
    if draw.chance(0.3):  # what `build` cannot know
        call = call.replace(")", ", power)", 1) if "*" not in call.split("\n")[0] else call
        needs = ", power" in call.split("\n")[0]
        head, _, rest = call.partition("\n")
        if needs and "=" in head:
            head = head.replace(", power", ", power=None")
            needs = False
        call = head + "\n" + rest
    else:
        needs = False
    methods = [call]
    if not made.build and draw.chance(0.5):
        inner = draw.one([
            ["super().build(input_shape)"],
            ["self.built = True"],
            ["self.extra = self.add_weight(shape=(input_shape[-1],), name='extra')",
             "super().build(input_shape)"],
            ["self.made_for = input_shape", "super().build(input_shape)"],
            ["pass"],
        ])  # fmt: skip
        methods.append("\n".join(["def build(self, input_shape):", *(f"    {x}" for x in inner)]))
    end = draw.one(["super().build(input_shape)", "self.built = True", "pass"])
    extra = ", power=2.0" if needs else ""
    ways = [f"model.build((None, {width}))", f"model.build((4, {width}))", f"model(x{extra})",
            f"model(x[:1]{extra})", f"model(keras.Input(({width},)){extra})",
            f"model.build(input_shape=(None, {width}))"]  # fmt: skip
    ways += [] if needs else ["model.predict(x, verbose=0)"]
    way = draw.one(ways)
    if ".build(" in way and not any("def build" in m for m in methods) and not made.build:
        way += f"\nmodel(x{extra})"  # Keras 3 makes no weights in a `build` that is not overridden
    fitted = (
        ["model.compile('sgd', 'mse')",
         "tried('history', lambda: model.fit(x, y, batch_size=4, verbose=0).history)"]
        if draw.chance() and not needs else []
    )  # fmt: skip
    return assemble(
        class_of(kind, "keras.Model", made, methods, build_end=end),
        f"model = {kind}()",
        _data(draw, width, made.width),
        _looks(draw, "before", width),
        way if "\n" in way or draw.chance(0.6) else f"attempt('way', lambda: {way})",
        _looks(draw, "after", width),
        f"attempt('called', lambda: model(x{extra}))",
        *fitted,
        _looks(draw, "last", width),
        "show_weights('weights', model)",
        _summary(draw),
    )


def _inner_models(draw: Draw) -> tuple[str, str, int]:
    """A model to be used in others: its source, its expression, its width; it takes 3."""
    units = draw.whole(1, 4)
    name = draw.name("inner")
    form = draw.one(["sequential", "functional", "subclass", "open"])
    if form == "sequential":
        return (
            f"{name} = keras.Sequential("
            f"[keras.Input((3,)), {dense(draw, 2)}, {dense(draw, units)}])",
            name,
            units,
        )
    if form == "open":
        return f"{name} = keras.Sequential([{dense(draw, 2)}, {dense(draw, units)}])", name, units
    if form == "functional":
        return (
            (
                f"{name}_in = keras.Input((3,))\n"
                f"{name} = keras.Model({name}_in,"
                f" {dense(draw, units)}({dense(draw, 2)}({name}_in)))"
            ),
            name,
            units,
        )
    kind = draw.name("Part")
    made = body(draw, 3, 1, 2)
    source = class_of(
        kind, "keras.Model", made, [call_of(draw, made)], build_end="self.built = True"
    )
    return f"{source}\n{name} = {kind}()", name, made.width


def _nested(draw: Draw) -> str:
    """Models in models."""
    sources = [_inner_models(draw) for _ in range(draw.whole(1, 3))]
    names = [name for _, name, _ in sources]
    total = sum(width for _, _, width in sources)
    units = draw.whole(1, 3)
    lines = [source for source, _, _ in sources]
    lines.append("x = numbers(8, 3)")
    for name in names:
        lines.append(draw.one([
            "", "", f"{name}(x)", f"show({name!r}, {name}.predict(x, verbose=0))",
            f"{name}.trainable = False", f"{name}.compile('sgd', 'mse', metrics=['mae'])",
        ]))  # fmt: skip
    form = draw.one(["subclass", "subclass", "functional", "sequential", "list"])
    joined = "[" + ", ".join(f"{name}(entry)" for name in names) + "]"
    if form == "functional":
        merged = f"layers.concatenate({joined})" if len(names) > 1 else f"{names[0]}(entry)"
        lines += ["entry = keras.Input((3,))", f"merged = {merged}"]
        lines.append(f"model = keras.Model(entry, {dense(draw, units)}(merged))")
    elif form == "sequential":
        known = "keras.Input((3,)), " if draw.chance() else ""
        lines.append(f"model = keras.Sequential([{known}{names[0]}, {dense(draw, units)}])")
    else:
        kind = draw.name("Outer")
        if form == "list":
            init = f"        self.parts = [{', '.join(names)}]"
            outputs = "[part(x) for part in self.parts]"
        else:
            init = "\n".join(f"        self.{name}_part = {name}" for name in names)
            outputs = "[" + ", ".join(f"self.{name}_part(x)" for name in names) + "]"
        lines.append(
            f"class {kind}(keras.Model):\n    def __init__(self):\n"
            f"        super().__init__()\n{init}\n"
            f"        self.top = {dense(draw, units)}\n"
            f"    def call(self, x, training=None):\n"
            f"        return self.top(ops.concatenate({outputs}, axis=-1))\nmodel = {kind}()"
        )
    del total
    plan = Plan(
        "compiled",
        False,
        [],
        [],
        f"model.compile({pieces.optimizer(draw)}, 'mse', metrics=['mae'])",
        False,
    )
    more = [
        f"print('inner', [w.path for w in {names[0]}.weights], {names[0]}.built)",
        f"show('inner', {names[0]}(x))",
        f"attempt('found', lambda: model.get_layer({names[0]}.name).name)",
        f"{names[0]}.trainable = False\nprint('frozen', len(model.trainable_weights))",
        f"attempt('inner metrics', lambda: {names[0]}.metrics_names)",
    ]
    if form in ("functional", "sequential"):
        more.append("print(as_json(model.get_config()))")
    return assemble(
        "\n".join(line for line in lines if line),
        f"y = numbers(8, {units}, seed=1)",
        draw.one(["", "", "model(x)", "model.build((None, 3))\nmodel(x)"]),
        plan.compiled,
        _uses(draw, plan, 1, 4),
        "\n".join(draw.some(draw.shuffled(more), 1, 3)),
        "show_weights('weights', model)",
        _summary(draw, "expand_nested=True, show_trainable=True"),
    )


def _handed_over(draw: Draw) -> str:
    """A user's model in a file, opened where its class is known."""
    width, kind = draw.whole(2, 4), draw.name("Net")
    # What a `build` leaves to the first call has its weights read by Keras without a word.
    made = body(draw, width, in_build=False)
    plan = plan_of(draw, ("compiled", "compiled", "own", "computed"))
    if draw.chance():
        overrides(draw, plan)
    made.init = [*made.init, *plan.init, "self.rate = rate"]
    config = draw.one([
        "def get_config(self):\n    return {**super().get_config(), 'rate': self.rate}",
        "def get_config(self):\n    return {'rate': self.rate, 'name': self.name}",
        "", "",
    ])  # fmt: skip
    methods = [call_of(draw, made), *plan.methods, *([config] if config else [])]
    source = class_of(kind, "keras.Model", made, methods, ", rate=0.5, **kwargs",
                      "super().__init__(**kwargs)", "self.built = True")  # fmt: skip
    registered = draw.chance(0.4)
    if registered:
        source = source.replace(
            f"class {kind}(", f"@keras.saving.register_keras_serializable('mine')\nclass {kind}("
        )
    blocks = {w for b in made.before for w in [b.split("(")[0].removeprefix("class ")]}
    objects = ", ".join(f"{name!r}: {name}" for name in [kind, *sorted(blocks)])
    whole = draw.chance(0.7)
    compiled = "None" if "def compile" in source else "model.compiled"
    rows = draw.one([4, 6, 8])
    data = f"x, y = numbers({rows}, {width}), numbers({rows}, {made.width}, seed=1)"
    if whole:
        custom = "" if registered and not blocks else f", custom_objects={{{objects}}}"
        save, load = (
            "model.save('model.keras')",
            f"model = keras.models.load_model('model.keras'{custom})",
        )
    else:
        save = "model.save_weights('model.weights.h5')"
        load = f"model = {kind}(rate=0.25)\nmodel(x)\nmodel.load_weights('model.weights.h5')"
    return assemble(
        source,
        f"model = {kind}(rate=0.25)",
        data,
        plan.compiled,
        draw.one(
            [
                "model(x)",
                "tried('history', lambda: model.fit(x, y, batch_size=4, verbose=0).history)\n"
                "model(x)",
            ]
        ),
        save,
        "show('predicted', model.predict(x, verbose=0))",
        HANDOVER,
        source,
        data,
        load,
        # Keras calls a model compiled though its own `compile` was not called.
        f"print('read', type(model).__name__, model.name, {compiled})",
        "show('predicted', model.predict(x, verbose=0))",
        # Paths in a file's model follow its building, which Keras leaves to the layers inside.
        "show('weights', model.get_weights())",
        "print([w.name for w in model.weights])",
        plan.compiled if not whole or compiled == "None" or draw.chance() else "",
        "tried('history', lambda: model.fit(x, y, batch_size=4, verbose=0).history)",
    )


_WRITERS = (
    [_subclass] * 6 + [_functional_subclass] * 4 + [_sequential_subclass] * 2
    + [_model_outputs.program] * 4 + [_state_names] * 2 + [_building] * 3 + [_nested] * 3
    + [_model_pairs.program] * 4 + [_handed_over] * 2 + [_model_freezing.program] * 4
)  # fmt: skip


def program(draw: Draw) -> str:
    """Write a program."""
    return draw.one(_WRITERS)(draw)
