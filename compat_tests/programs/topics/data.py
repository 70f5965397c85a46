"""Sources of data, and what a step is handed."""

from __future__ import annotations

from ..drawing import Draw, assemble
from . import _data_helpers, _data_kinds, _data_sources
from ._data_sources import Form

__all__ = ["PRELOAD", "program"]

PRELOAD = ("pandas", "datasets")

# Scripts that watch steps print with these: the containers, and what is in them. Two differences
# are meant (see the reasons), and most scripts do not print them, so that others are seen: batches
# that come through a `DataLoader` are lists in Keras on torch, and of a batch alone it converts
# nothing.
_LOOK = '''
def look(label, x):
    """Print what a step is handed."""
    if isinstance(x, dict):
        print(label, type(x).__name__, list(x))
        for key in x:
            look(f"{label}.{key}", x[key])
    elif isinstance(x, (list, tuple)):
        print(label, CONTAINER, len(x))
        for i, item in enumerate(x):
            look(f"{label}.{i}", item)
    elif x is None:
        print(label, None)
    else:
        print(label, ARRAY)
'''
_TENSOR = "isinstance(x, torch.Tensor), x.dtype, tuple(x.shape), x.flatten()[:3].tolist()"
_LOOK_AT = '''
def look_at(label, x):
    """Print an element of a pipeline."""
    if isinstance(x, dict):
        print(label, type(x).__name__, list(x))
        for key in x:
            look_at(f"{label}.{key}", x[key])
    elif isinstance(x, (list, tuple)):
        print(label, type(x).__name__, len(x))
        for i, item in enumerate(x):
            look_at(f"{label}.{i}", item)
    else:
        show(label, np.asarray(x))
'''


def _assemble(*pieces: str, loaded: bool = False, openly: bool = False) -> str:
    body = "\n".join(pieces)
    alone = "_on_batch(" in body and not openly
    loaded = loaded and not openly
    look = _LOOK.replace("CONTAINER", "'sequence'" if loaded else "type(x).__name__")
    look = look.replace("ARRAY", "tuple(x.shape), x.flatten()[:3].tolist()" if alone else _TENSOR)
    helpers = [text for name, text in (("look(", look), ("look_at(", _LOOK_AT)) if name in body]
    return assemble(*helpers, *pieces)


def _fitting(draw: Draw) -> str:
    """`fit`, then `evaluate` and `predict`, from one source."""
    form = _data_sources.form(draw, targets=True)
    source = _data_sources.source(draw, form)
    shared = [] if source.batched else [f"batch_size={draw.whole(1, 5)}"]
    once = source.arguments == "batches()" and not source.steps
    fit = ["verbose=0", *shared]
    if not once:
        fit.insert(0, "epochs=2")
    steps = draw.whole(1, 3)
    if source.steps or (not once and draw.chance(0.15)):
        fit.append(f"steps_per_epoch={steps}")
        if not source.batched:
            fit.remove(shared[0])
    if not source.batched:
        fit += draw.some(["shuffle=False", "validation_split=0.34"], 0, 2)
        if form.targets == "y" and draw.chance(0.1):
            fit.append("class_weight={0: 1.0, 1: 2.0}")
    if "validation_split=0.34" not in fit and draw.chance(0.4):
        if draw.chance() and source.batched:
            fit.append(f"validation_data={source.arguments}")
            if source.arguments == "batches()" and "epochs=2" in fit:
                fit.remove("epochs=2")  # see `_worn`
            if source.steps:
                fit.append("validation_steps=2")
        else:
            given = ", ".join(form.parts)
            fit.append(f"validation_data=({given})")
            fit += draw.some([f"validation_batch_size={draw.whole(1, 4)}", "validation_freq=2"])
    if source.batched and draw.chance(0.1):
        fit.append(draw.one(["shuffle=True", "shuffle=False"]))
    fit = list(dict.fromkeys(fit))
    calls = [f"show('history', model.fit({source.arguments}, {', '.join(fit)}).history)"]
    limits = [f"steps={steps}"] if source.steps or (not once and draw.chance(0.15)) else shared
    rest = ", ".join(["verbose=0", *limits])
    more = ", return_dict=True" if draw.chance() else ""
    calls.append(f"show('evaluated', model.evaluate({source.arguments}, {rest}{more}))")
    inputs = source.arguments if source.batched else form.inputs
    calls.append(f"show('predicted', model.predict({inputs}, {rest}))")
    chosen = draw.shuffled(calls) if draw.chance(0.4) else draw.some(calls, 1)
    if "data = Batches()" in source.source and draw.chance():
        # Only a built model is trained by Keras on each batch once, see `_with_workers`.
        weights = f", sample_weight={form.weights}" if form.weights else ""
        chosen.insert(0, f"model.test_on_batch({form.inputs}, {form.targets}{weights})")
        source = _data_sources.with_workers(draw, source)
    openly = draw.chance(0.15)
    written = (_data_sources.model(draw, form), form.arrays, source.source, *chosen)
    return _assemble(*written, loaded=source.batched, openly=openly)


def _predicting(draw: Draw) -> str:
    """`predict` from data without targets, or with them."""
    form = _data_sources.form(draw, targets=draw.chance(0.3))
    source = _data_sources.source(draw, form)
    if draw.chance():
        source = _data_sources.with_workers(draw, source)
    limits = [] if source.batched else [f"batch_size={draw.whole(1, 5)}"]
    if source.steps or draw.chance(0.2):
        limits = ["steps=2"]
    given = source.arguments if source.batched else form.inputs
    lines = [f"show('predicted', model.predict({', '.join([given, 'verbose=0', *limits])}))"]
    if draw.chance(0.3) and not source.steps:
        lines *= 2
    openly = draw.chance(0.15)
    written = (_data_sources.model(draw, form), form.arrays, source.source, *lines)
    return _assemble(*written, loaded=source.batched, openly=openly)


def _on_batch(draw: Draw) -> str:
    """`train_on_batch` and its sisters."""
    form = _data_sources.form(draw, targets=True)
    change = draw.one(["", "", "torch.from_numpy({0})", "keras.ops.convert_to_tensor({0})"])
    lines = []
    if change:
        names = [n for n in "abyzw" if f"\n{n} = " in f"\n{form.arrays}"]
        for n in draw.some(names, 1):
            lines.append(f"{n} = {change.format(n)}")
    weights = f", sample_weight={form.weights}" if form.weights else ""
    if form.targets == "y" and not weights and draw.chance(0.2):
        weights = ", class_weight={0: 1.0, 1: 2.0}"
    more = draw.one(["", "", ", return_dict=True"])
    for _ in range(draw.whole(1, 3)):
        lines.append(
            draw.one(
                [
                    f"show('trained', model.train_on_batch({form.inputs}, {form.targets}"
                    f"{weights}{more}))",
                    f"show('tested', model.test_on_batch({form.inputs}, {form.targets}"
                    f"{weights if 'class' not in weights else ''}{more}))",
                    f"show('predicted', model.predict_on_batch({form.inputs}))",
                ]
            )
        )
    openly = draw.chance(0.15)
    return _assemble(_data_sources.model(draw, form), form.arrays, *lines, openly=openly)


def _uneven(draw: Draw) -> str:
    """Inputs of unequal first axes, for a model that takes them."""
    rows, other = draw.whole(2, 5), draw.whole(2, 5)
    shape = draw.one([f"({other}, 3)", f"({other},)", f"({other}, 1)"])
    inputs = draw.one(["(a, b)", "[a, b]", "{'a': a, 'b': b}"])
    taken = "x['a'], x['b']" if "{" in inputs else "x"
    steps = draw.chance(0.5)
    own = (
        "    def train_step(self, data):\n"
        "        look('train', data)\n        return super().train_step(data)"
        if steps
        else ""
    )
    calls = [
        f"show('trained', model.train_on_batch({inputs}, y))",
        f"show('tested', model.test_on_batch({inputs}, y))",
        f"show('predicted', model.predict_on_batch({inputs}))",
        f"attempt('fit', lambda: model.fit({inputs}, y, verbose=0).history)",
    ]
    reach = draw.one(["ops.mean(b)", "ops.sum(b, axis=0)[:1]", "ops.max(b)"])
    return _assemble(
        f"class Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.part = layers.Dense(2)\n    def call(self, x):\n        a, b = {taken}\n"
        f"        return self.part(a) + ops.cast({reach}, 'float32')\n{own}",
        f"model = Net()\nmodel.compile('sgd', 'mse')\na = numbers({rows}, 3)\n"
        f"b = numbers(*{shape.replace(',)', ',)')}, seed=1)\ny = numbers({rows}, 2, seed=2)",
        *draw.some(calls, 2),
    )


def _own_steps(draw: Draw) -> str:
    """Steps that take the data apart by hand."""
    form = _data_sources.form(draw, targets=True)
    form = Form("a", "y", form.weights, form.arrays, form.rows) if "y = " in form.arrays else form
    source = _data_sources.source(draw, form)
    unpack = draw.one(
        [
            "x, y, w = keras.utils.unpack_x_y_sample_weight(data)",
            "x, y, w = (*data, None)[:3]",
            "x, y, *w = data\n        w = w[0] if w else None",
        ]
    )
    arguments = ["verbose=0"] + (["steps_per_epoch=2"] if source.steps else [])
    if not source.batched:
        arguments.append(f"batch_size={draw.whole(2, 4)}")
    limits = [a.replace("steps_per_epoch", "steps") for a in arguments]
    return _assemble(
        "class Own(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.part = layers.Dense(2)\n    def call(self, x):\n"
        "        return self.part(x)\n"
        f"    def train_step(self, data):\n        {unpack}\n        look('train', (x, y, w))\n"
        "        self.zero_grad()\n        y_pred = self(x, training=True)\n"
        "        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=w)\n"
        "        loss.backward()\n"
        "        weights = list(self.trainable_weights)\n"
        "        with torch.no_grad():\n"
        "            self.optimizer.apply([v.value.grad for v in weights], weights)\n"
        "        return {'mine': loss}\n"
        f"    def test_step(self, data):\n        {unpack}\n        look('test', (x, y, w))\n"
        "        y_pred = self(x, training=False)\n"
        "        return {'mine': self.compute_loss(x, y, y_pred, w)}",
        "model = Own()\nmodel.compile('sgd', 'mse')",
        form.arrays,
        source.source,
        f"show('history', model.fit({source.arguments}, {', '.join(arguments)}).history)",
        f"show('evaluated', model.evaluate({source.arguments}, {', '.join(limits)},"
        " return_dict=True))",
        loaded=source.batched,
    )


def _wrong(draw: Draw) -> str:
    """Data that does not fit."""
    form = _data_sources.form(draw, targets=True)
    form = Form("a", "y", "", form.arrays, form.rows)
    calls = [
        "model.fit(a, y[:-1], verbose=0)",
        "model.fit(a, y, sample_weight=np.ones(2), verbose=0)",
        "model.fit(a[:, :2], y, verbose=0)",
        "model.fit([a, a], y, verbose=0)",
        "model.fit({'b': a}, y, verbose=0)",
        "model.fit(a.tolist(), y.tolist(), verbose=0)",
        "model.fit(((a, y) for _ in range(1)), y, verbose=0)",
        "model.fit(a, y, validation_split=1.5, verbose=0)",
        "model.fit(a, y, validation_split=0.01, verbose=0)",
        "model.fit(a, y, batch_size=2.5, verbose=0)",
        "model.fit(a, y[:, :1], verbose=0)",
        "model.fit(a, y, class_weight={0: 1.0}, sample_weight=np.ones(len(a)), verbose=0)",
        "model.fit(tf.data.Dataset.from_tensor_slices((a, y)).batch(2), y, verbose=0)",
        "model.fit(tf.data.Dataset.from_tensor_slices((a, y)).batch(2), validation_split=0.5)",
        "model.fit(a, None, verbose=0)",
        "model.fit(a, verbose=0)",
        "model.fit(a, y, steps_per_epoch=0, verbose=0)",
        "model.fit(np.array([['u', 'v', 'w']]), y[:1], verbose=0)",
        "model.fit(a[:0], y[:0], verbose=0)",
        "model.evaluate(a, y[1:], verbose=0)",
        "model.evaluate(a, y, sample_weight=np.ones(1), verbose=0)",
        "model.predict('text', verbose=0)",
        "model.predict(3.0, verbose=0)",
        "model.predict(object(), verbose=0)",
        "model.predict(a[0], verbose=0)",
        "model.predict(a[:0], verbose=0)",
        "model.train_on_batch(a, y[:-1])",
        "model.train_on_batch(a)",
        "model.train_on_batch(a, y, class_weight={0: 1.0}, sample_weight=np.ones(len(a)))",
        "model.test_on_batch(a[:, :2], y)",
        "model.predict_on_batch(a[:, :1])",
    ]
    chosen = draw.shuffled(draw.some(calls, 2, 6))
    lines = [f"attempt('call {i}', lambda: {call})" for i, call in enumerate(chosen)]
    plain = (
        f"model = keras.Sequential([{draw.one(['', 'keras.Input((3,)), '])}layers.Dense(2)])"
        "\nmodel.compile('sgd', 'mse')\n"
        f"a, y = numbers({form.rows}, 3), numbers({form.rows}, 2, seed=1)"
    )
    shown = [
        line.replace("lambda: model.fit", "lambda: type(model.fit").replace("0))", "0)).__name__)")
        if "model.fit" in line and line.endswith("0))")
        else line
        for line in lines
    ]
    return _assemble(plain, *shown)


def _worn(draw: Draw) -> str:
    """A generator that ends before the last epoch does, or that several validations go on with."""
    form = Form("a", "y", "", "a, y = numbers(7, 3), numbers(7, 2, seed=1)", 7)
    kind = draw.one(["training", "validation", "endless"])
    source = _data_sources.generator(draw, form, endless=kind == "endless")
    rest = "epochs=2, verbose=0, callbacks=[told]"
    if kind == "training":
        last = "loss"
        call = f"model.fit(batches(), {draw.one(['', 'steps_per_epoch=5, '])}{rest})"
    else:
        last = "val_loss"
        steps = draw.whole(1, 4) if kind == "endless" else None
        call = f"model.fit(a, y, validation_data=batches(), validation_steps={steps}, {rest})"
    if kind == "endless":
        call += (
            "\ntaken = [float(y[0, 0]) for (_, y), _ in zip(batches(), seen)]"
            "\nprint('in turn', taken == seen)"
        )
    # The whole of the first epoch, and with arrays all but the second validation, is compared.
    return _assemble(
        "seen = []\nclass Watched(keras.Sequential):\n    def test_step(self, data):\n"
        "        seen.append(float(data[1][0, 0]))\n        return super().test_step(data)",
        "def tell(epoch, logs):\n    for name in logs:\n"
        f"        show('worn' if epoch and name == {last!r} else f'epoch {{epoch}} {{name}}',"
        " logs[name])",
        "told = keras.callbacks.LambdaCallback(on_epoch_end=tell)",
        "model = Watched([layers.Dense(2)])\nmodel.compile('sgd', 'mse')",
        form.arrays,
        source.source,
        call,
    )


def _shared_generator(draw: Draw) -> str:
    """A generator that several calls go on with; Keras draws two batches before each."""
    form = _data_sources.form(draw, targets=True)
    source = _data_sources.generator(draw, form, endless=True)
    calls = [
        f"show('history', model.fit(data, steps_per_epoch={draw.whole(2, 4)},"
        f" epochs={draw.whole(1, 2)}, verbose=0).history)",
        f"show('evaluated', model.evaluate(data, steps={draw.whole(2, 4)}, verbose=0))",
        f"show('predicted', model.predict(data, steps={draw.whole(2, 4)}, verbose=0))",
    ]
    lines = [draw.one(calls) for _ in range(draw.whole(2, 4))]
    written = (_data_sources.model(draw, form), form.arrays, source.source)
    return _assemble(*written, "data = batches()", *lines, loaded=True)


def _with_workers(draw: Draw) -> str:
    """A `PyDataset` with workers, which trains as with one, and that one as Keras's."""
    form = Form("a", "y", "", "a, y = numbers(9, 3), numbers(9, 2, seed=1)", 9)
    source = _data_sources.py_dataset(draw, form)
    several = _data_sources.with_workers(draw, source)
    several = several.source.rpartition("data = ")[2]
    shuffle = draw.one(["", ", shuffle=False"])
    one = source.source.rpartition("\n")[0]
    return _assemble(
        "class Watched(keras.Sequential):\n"
        "    def train_step(self, data):\n        seen.append(float(data[1][0, 0]))\n"
        "        return super().train_step(data)\n"
        "    def test_step(self, data):\n        seen.append(float(data[1][0, 0]))\n"
        "        return super().test_step(data)",
        form.arrays,
        one,
        "def trained(data):\n    keras.utils.set_random_seed(1)\n"
        "    model = Watched([layers.Dense(2)])\n    model.compile('sgd', 'mse')\n"
        f"    history = model.fit(data, epochs=2, verbose=0{shuffle}).history\n"
        "    return history, model.evaluate(data, verbose=0)",
        "seen = []\none = trained(Batches())\nshow('one', (one, seen))\nfirst, seen = seen, []\n"
        f"several = trained({several})\nprint('as with one', (one, first) == (several, seen))",
    )


def program(draw: Draw) -> str:
    """Write a program."""
    kinds = [_fitting] * 6 + [_predicting] * 2 + [_on_batch] * 2 + [_uneven, _own_steps, _wrong]
    kinds += [_data_helpers.utilities, _data_helpers.adapted] * 2
    kinds += [_worn, _shared_generator, _with_workers, _data_kinds.plain, _data_kinds.features]
    kinds += [_data_kinds.masked, _data_kinds.weighted, _data_kinds.classes] * 2
    kinds += [_data_kinds.frames, _data_kinds.texts] * 2
    kinds += [_data_helpers.folders, _data_helpers.pipeline, _data_helpers.windows]
    written = draw.one(kinds)(draw)
    return written if written.startswith("import") else _assemble(written)
