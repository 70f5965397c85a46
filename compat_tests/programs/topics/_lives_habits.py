"""What users do with files and copies beside saving and loading a whole model.

Parts of a file, other models' weights, states beside weights, hooks of saving in classes, layers
taken out of models and put into others.
"""

from __future__ import annotations

import re

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble

__all__ = ["program"]

_FIT = "show('history', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)"
_LISTED = """\
with h5py.File('{}') as file:
    found = []
    file.visititems(lambda name, item: found.append(
        (name, getattr(item, 'shape', None), str(getattr(item, 'dtype', None)))))
    print(found)
"""
_STATES = (
    "show('predicted', model.predict(x, verbose=0))",
    "show('evaluated', model.evaluate(x, y, verbose=0))",
    "show_weights('weights', model)",
    "print([(l.name, l.trainable, l.built) for l in model.layers])",
    "print('config', as_json(model.get_config()))",
    "show_compiled(model.get_compile_config())",
    "show('optimizer', [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables])",
    "print([v.path for v in model.optimizer.variables])",
    "print(model.input_shape, model.output_shape, model.count_params())",
    "model.summary(show_trainable=True)",
)


def _plain(draw: Draw) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """A small model of named layers, and the shapes of its rows."""
    width = draw.whole(2, 4)
    hidden = [
        "layers.Dense(3, activation='tanh', name='first')",
        draw.one(
            [
                "layers.BatchNormalization(name='norm')",
                "layers.LayerNormalization(name='norm')",
                "layers.Dropout(0.5, seed=3, name='norm')",
                "layers.PReLU(name='norm')",
                "layers.GaussianNoise(0.2, name='norm')",
                "layers.Dense(3, name='norm')",
            ]
        ),
        "layers.Dense(2, name='head')",
    ]
    if draw.chance():
        source = f"model = keras.Sequential([keras.Input(({width},)), {', '.join(hidden)}])"
    else:
        calls = "\n".join(f"x = {layer}(x)" for layer in hidden)
        source = f"x = inputs = keras.Input(({width},))\n{calls}\nmodel = keras.Model(inputs, x)"
    return source, (width,), (2,)


def _data(inputs: tuple[int, ...], outputs: tuple[int, ...], rows: int = 6) -> str:
    return f"x, y = numbers(*{(rows, *inputs)}), numbers(*{(rows, *outputs)}, seed=1)"


def _looks(draw: Draw, most: int = 3) -> list[str]:
    return draw.some(_STATES, 1, most)


def _transferred(draw: Draw) -> str:
    """Layers of one model in another, frozen and thawed, through files."""
    source, inputs, outputs = _plain(draw)
    head = draw.one(["layers.Dense(2, name='new')", "layers.Dense(2, name='head')"])
    rebuilt = draw.one(
        [
            f"features = keras.Model(model.inputs, model.layers[-2].output)\n"
            f"model = keras.Sequential([features, {head}])\nmodel.build((None, *{inputs}))",
            f"features = keras.Model(model.inputs, model.get_layer('norm').output, name='base')\n"
            f"features.trainable = False\n"
            f"inputs = keras.Input({inputs})\n"
            f"model = keras.Model(inputs, {head}(features(inputs, training=False)))",
            f"model = keras.Model(model.inputs, {head}(model.layers[-2].output))",
            f"model = keras.Sequential([*model.layers[:-1], {head}])\n"
            f"model.build((None, *{inputs}))",
            f"other = keras.Sequential(name='other')\nfor layer in model.layers[:-1]:\n"
            f"    layer.trainable = False\n    other.add(layer)\nother.add({head})\n"
            f"other.build((None, *{inputs}))\nmodel = other",
            f"for layer in model.layers[:-1]:\n    layer.trainable = False\n"
            f"model = keras.Model(model.layers[0].input, {head}(model.get_layer('norm').output))",
            f"base = model\nbase.trainable = False\ninputs = keras.Input({inputs})\n"
            f"model = keras.Model(inputs, {head}(base(inputs)))",
            "both = keras.Model(model.inputs, [layer.output for layer in model.layers[-2:]])\n"
            "show('both', both.predict(x, verbose=0))",
        ]
    )
    thawed = draw.one(
        [
            "",
            "model.trainable = True",
            "for layer in model.layers:\n    layer.trainable = True",
            "model.layers[-1].trainable = False",
        ]
    )
    lines = [source, _data(inputs, outputs)]
    if draw.chance():
        lines += [pieces.compilation(draw), _FIT]
    if draw.chance(0.3):
        lines.append("model.save('base.keras')\nmodel = keras.models.load_model('base.keras')")
    lines += [rebuilt, pieces.compilation(draw), _FIT]
    if draw.chance():
        path = draw.one(["m.keras", "m.h5"])
        lines.append(f"model.save('{path}')\nmodel = keras.models.load_model('{path}')")
    lines += [
        thawed,
        pieces.compilation(draw),
        _FIT,
        *_looks(draw),
        "show_weights('weights', model)",
    ]
    return assemble(*lines)


def _other_weights(draw: Draw) -> str:
    """Weights of one model in another that is not quite the same."""
    source, inputs, outputs = _plain(draw)
    others = [
        source.replace("Dense(2, name='head')", "Dense(3, name='head')"),
        source.replace("name='head'", "name='tail'"),
        source.replace(
            "layers.Dense(2, name='head')", "layers.Dense(2, name='head', use_bias=False)"
        ),
        source.replace(f"({inputs[0]},)", f"({inputs[0] + 1},)"),
        source.replace("Dense(3, activation", "Dense(4, activation"),
        source,
    ]
    other = draw.one(others)
    save, load = draw.one(
        [
            ("model.save_weights('w.weights.h5')", "model.load_weights('w.weights.h5'{})"),
            ("keras.saving.save_weights(model, 'w.weights.h5')",
             "keras.saving.load_weights(model, 'w.weights.h5'{})"),
            ("model.save('w.keras')", "model.load_weights('w.keras'{})"),
            ("model.save('w.h5')", "model.load_weights('w.h5'{})"),
            ("model.save_weights('w.weights.json', max_shard_size=1e-7)",
             "model.load_weights('w.weights.json'{})"),
        ]
    )  # fmt: skip
    options = draw.one(["", "", ", skip_mismatch=True", ", by_name=True",
                        ", by_name=True, skip_mismatch=True"])  # fmt: skip
    lines = [source, _data(inputs, outputs)]
    if draw.chance() or "'w.h5'" in save:
        lines += [pieces.compilation(draw), _FIT]
    lines.append(save)
    if draw.chance():
        lines.append(HANDOVER)
    lines.append(other)
    lines.append(f"tried('load', lambda: {load.format(options)})")
    lines.append("show_weights('weights', model)")
    return assemble(*lines)


def _edited_state(draw: Draw) -> str:
    """Optimizers, metrics and generators whose state was changed by hand, and comes back."""
    source, inputs, outputs = _plain(draw)
    optimizer = draw.one(
        [
            "keras.optimizers.Adam(0.01, epsilon=0.01)",
            "keras.optimizers.SGD(0.01, momentum=0.9)",
            "keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)",
            "keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5)",
            "keras.optimizers.Adam(0.01, epsilon=0.01, gradient_accumulation_steps=2)",
            "keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5))",
            "keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.02, 5))",
            "keras.optimizers.RMSprop(0.01, epsilon=0.01, centered=True, momentum=0.5)",
            "keras.optimizers.Adafactor(0.01)",
            "keras.optimizers.Nadam(0.01, epsilon=0.01)",
            "keras.optimizers.Ftrl(0.05)",
            "keras.optimizers.Lamb(0.01, epsilon=0.01)",
            "keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))",
        ]
    )
    metrics = draw.one(
        [
            "",
            ", metrics=['mae']",
            ", metrics=[keras.metrics.MeanSquaredError(name='error')]",
            ", weighted_metrics=['mae']",
            ", jit_compile=False, run_eagerly=True",
        ]
    )
    edits = draw.some(
        [
            "model.optimizer.iterations.assign(5)",
            "model.optimizer.exclude_from_weight_decay(var_names=['bias'])",
            "print(float(model.optimizer.learning_rate))",
            "model.stop_training = True",
            "if model.optimizer.built:\n"
            "    model.optimizer.finalize_variable_values(model.trainable_variables)",
            "model.reset_metrics()",
            "model.layers[0].trainable = False",
            "store = {}\nmodel.optimizer.save_own_variables(store)\nprint(sorted(store))",
            "model.optimizer.build(model.trainable_variables)",
            "print([(m.name, len(m.variables)) for m in model.metrics], model.metrics_names)",
        ],
        0,
        3,
    )
    if "schedules" not in optimizer and draw.chance():
        edits.append(
            draw.one(
                [
                    "model.optimizer.learning_rate = 0.05",
                    "model.optimizer.learning_rate.assign(0.05)",
                ]
            )
        )
    path = draw.one(["m.keras", "m.keras", "m.h5"])
    kept = draw.one(
        [
            f"model.save('{path}')",
            f"keras.saving.save_model(model, '{path}')",
            "model.save('m.keras', include_optimizer=False)",
            "model.save('folder', zipped=False)",
        ]
    )
    path = re.search(r"'([\w.]+)'", kept)[1]
    lines = [
        source,
        _data(inputs, outputs),
        f"model.compile({optimizer}, 'mse'{metrics})",
        draw.one([_FIT, "show('loss', model.train_on_batch(x, y))", ""]),
        *edits,
        kept,
    ]
    if draw.chance():
        lines += [HANDOVER, _data(inputs, outputs)]
    lines.append(f"model = keras.models.load_model('{path}')")
    if "include_optimizer" in kept:
        lines.append(
            "print(model.compiled, type(getattr(model, 'optimizer', None)).__name__)\n"
            "model.compile('sgd', 'mse')"
        )
    lines += [*_looks(draw), _FIT, *_looks(draw, 2)]
    return assemble(*lines)


_HOOKS = {
    "build config": """
    def get_build_config(self):
        return {"shape": [None, WIDTH], "mine": True}
    def build_from_config(self, config):
        print("build from", sorted(config))
        self.build(tuple(config["shape"]))
""",
    "compile config": """
    def get_compile_config(self):
        return {"rate": 0.01}
    def compile_from_config(self, config):
        print("compile from", sorted(config))
        self.compile(keras.optimizers.SGD(config["rate"]), "mse")
""",
    "own compile": """
    def compile(self, optimizer, loss, gain=1.0, **kwargs):
        super().compile(optimizer, loss, **kwargs)
        self.gain = gain
    def get_compile_config(self):
        return {**super().get_compile_config(), "gain": self.gain}
""",
    "own variables": """
    def save_own_variables(self, store):
        store["offset"] = keras.ops.convert_to_numpy(self.offset)
    def load_own_variables(self, store):
        print("load", sorted(store.keys()))
        self.offset.assign(store["offset"])
""",
    "super variables": """
    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["extra"] = np.arange(3.0)
    def load_own_variables(self, store):
        print("load", sorted(store.keys()), store["extra"][()].tolist())
        self.offset.assign(store["0"])
""",
    "assets": """
    def save_assets(self, folder):
        with open(os.path.join(folder, "words.txt"), "w") as file:
            file.write("one two")
    def load_assets(self, folder):
        print("assets", open(os.path.join(folder, "words.txt")).read())
""",
    "from config": """
    @classmethod
    def from_config(cls, config, custom_objects=None):
        print("from config", sorted(config))
        return cls(**config)
""",
    "plain": "",
}


def _hooked(draw: Draw) -> str:
    """Classes that have a say in how they are saved."""
    width = draw.whole(2, 3)
    base = draw.one(["layers.Layer", "keras.Model"])
    hooks = draw.some(sorted(_HOOKS), 1, 3)
    if base == "layers.Layer":
        hooks = [h for h in hooks if "compile" not in h] or ["assets"]
    if "own variables" in hooks and "super variables" in hooks:
        hooks.remove("own variables")
    if "own compile" in hooks and "compile config" in hooks:
        hooks.remove("compile config")
    decorator = draw.one(["@keras.saving.register_keras_serializable()", ""])
    definition = (
        f"{decorator}\nclass Hooked({base}):\n"
        "    def __init__(self, units=2, **kwargs):\n"
        "        super().__init__(**kwargs)\n        self.units = units\n"
        "        self.inner = layers.Dense(units, name='inner')\n"
        "    def build(self, input_shape):\n"
        "        self.offset = self.add_weight(shape=(self.units,), initializer='ones',"
        " name='offset')\n"
        "        self.inner.build(input_shape)\n        self.built = True\n"
        "    def call(self, x):\n        return self.inner(x) + self.offset\n"
        "    def get_config(self):\n"
        "        return {**super().get_config(), 'units': self.units}\n"
        + "".join(_HOOKS[h].replace("WIDTH", str(width)).lstrip("\n") for h in hooks)
    )
    if base == "layers.Layer":
        made = f"model = keras.Sequential([keras.Input(({width},)), Hooked(2), layers.Dense(2)])"
    else:
        made = draw.one(
            [f"model = Hooked(2)\nmodel.build((None, {width}))", "model = Hooked(2)\nmodel(x)"]
        )
    more = ", gain=2.0" if "own compile" in hooks else ""
    optimizer = draw.one(["'sgd', 'mse'", "optimizer=keras.optimizers.SGD(0.01), loss='mae'"])
    compiled = f"model.compile({optimizer}{more})"
    kinds = ["m.keras", "m.keras", "m.weights.h5", "folder"]
    path = draw.one(kinds)
    known = "{'Hooked': Hooked}"
    lines = [definition, _data((width,), (2,)), made, compiled, _FIT]
    if path == "m.weights.h5":
        lines += ["model.save_weights('m.weights.h5')"]
        load = f"{made}\n{compiled}\nmodel.load_weights('m.weights.h5')"
    else:
        lines.append(f"model.save('{path}'{', zipped=False' if path == 'folder' else ''})")
        load = f"model = keras.models.load_model('{path}', custom_objects={known})"
    if draw.chance():
        lines += [HANDOVER, definition, _data((width,), (2,))]
    lines += [load, "print(model.compiled, getattr(model, 'gain', None))"]
    lines += [*_looks(draw, 2), _FIT, "show_weights('weights', model)"]
    return assemble(*lines)


def _with_memory(draw: Draw) -> str:
    """Layers with states beside weights: vocabularies, statistics, seeds, recurrent states."""
    kind = draw.one(["words", "numbers", "dropout", "stateful", "normal", "buckets", "statistics"])
    path = draw.one(["m.keras", "m.keras", "m.weights.h5", "copy", "clone", "config"])
    if path in ("clone", "config") and kind in ("words", "numbers", "buckets"):
        path = "copy"  # configs hold nothing that was learned
    define = {
        "words": "lookup = layers.{}\nlookup.adapt(np.array(['a', 'b', 'a', 'c']))\n"
        "model = keras.Sequential([lookup])\nx = np.array([['a'], ['d'], ['c']])".format(
            draw.one(
                [
                    "StringLookup()",
                    "StringLookup(num_oov_indices=2)",
                    "StringLookup(max_tokens=3)",
                    "StringLookup(output_mode='multi_hot')",
                    "StringLookup(output_mode='count', mask_token=None)",
                    "TextVectorization()",
                    "TextVectorization(output_mode='multi_hot')",
                    "TextVectorization(output_sequence_length=3)",
                    "TextVectorization(ngrams=2, output_mode='tf_idf')",
                ]
            )
        ),
        "numbers": "lookup = layers.{}\nlookup.adapt(np.array([5, 3, 5, 9]))\n"
        "model = keras.Sequential([lookup])\nx = np.array([[5], [4], [9]])".format(
            draw.one(
                [
                    "IntegerLookup()",
                    "IntegerLookup(output_mode='one_hot')",
                    "IntegerLookup(num_oov_indices=2, mask_token=0)",
                ]
            )
        ),
        "buckets": "lookup = layers.{}\nlookup.adapt(numbers(20, 1))\n"
        "model = keras.Sequential([lookup])\nx = numbers(4, 1, seed=2)".format(
            draw.one(
                [
                    "Discretization(num_bins=3)",
                    "Discretization(num_bins=4, output_mode='one_hot')",
                ]
            )
        ),
        "normal": "norm = layers.{}\nnorm.adapt(numbers(6, 3) * 2 + 1)\n"
        "model = keras.Sequential([keras.Input((3,)), norm, layers.Dense(2)])\n"
        "x = numbers(4, 3, seed=2)".format(
            draw.one(["Normalization()", "Normalization(axis=None)", "Normalization(invert=True)"])
        ),
        "dropout": "model = keras.Sequential([keras.Input((3,)), layers.{}, layers.Dense(2)])\n"
        "x = numbers(4, 3, seed=2)\nshow('drawn', model(x, training=True))".format(
            draw.one(["Dropout(0.5, seed=1)", "Dropout(0.5)", "GaussianNoise(0.5, seed=4)",
                      "GaussianDropout(0.3)", "AlphaDropout(0.2, seed=2)"])
        ),
        "stateful": "model = keras.Sequential([keras.Input(batch_shape=(2, 3, 2)),"
        " layers.{}, layers.Dense(2)])\n"
        "x = numbers(2, 3, 2)\nshow('first', model.predict(x, verbose=0))".format(
            draw.one(["LSTM(2, stateful=True)", "GRU(2, stateful=True)",
                      "SimpleRNN(2, stateful=True)",
                      "RNN(layers.LSTMCell(2), stateful=True)",
                      "RNN([layers.GRUCell(2), layers.GRUCell(3)], stateful=True)",
                      "Bidirectional(layers.GRU(2, stateful=True))"])
        ),
        "statistics": "model = keras.Sequential([keras.Input((3,)), layers.{}, layers.Dense(2)])\n"
        "x = numbers(4, 3, seed=2)\nshow('first', model(x, training=True))".format(
            draw.one(["BatchNormalization(momentum=0.5)",
                      "SpectralNormalization(layers.Dense(3))",
                      "BatchNormalization(renorm=True)",
                      "BatchNormalization(center=False, scale=False)"])
        ),
    }[kind]  # fmt: skip
    lines = [define]
    taken = {
        "m.keras": ("model.save('m.keras')", "again = keras.models.load_model('m.keras')"),
        "m.weights.h5": (
            "model.save_weights('m.weights.h5')",
            f"{define}\nagain = model\nagain.load_weights('m.weights.h5')",
        ),
        "copy": ("", "again = copy.deepcopy(model)"),
        "clone": ("", "again = keras.models.clone_model(model)"),
        "config": ("", "again = keras.Sequential.from_config(model.get_config())"),
    }[path]
    lines.append(taken[0])
    if path.startswith("m.") and draw.chance():
        lines += [HANDOVER, re.search(r"^x = .*$", define, re.MULTILINE)[0]]
        taken = (taken[0], taken[1])
    lines.append(taken[1])
    lines += draw.some(
        [
            "print('config', as_json(again.layers[0].get_config()))",
            f"print([({'v.name' if path == 'copy' else 'v.path'}, tuple(v.shape),"
            " keras.backend.standardize_dtype(v.dtype)) for v in again.variables])",
            "print('build', as_json(again.layers[0].get_build_config()))",
            "print(again.built, [l.built for l in again.layers])",
            "store = {}\nagain.layers[0].save_own_variables(store)\nprint(sorted(store))",
        ],
        1,
        2,
    )
    if kind in ("words", "numbers"):
        lines.append("print(np.array(again.layers[0].get_vocabulary()).tolist())")
    if path in ("clone", "config"):
        lines.append("again.set_weights(model.get_weights())")
    # Keras's models take no strings.
    y = f"again{'.layers[0]' if kind == 'words' else ''}(x)"
    if kind in ("words", "numbers"):  # which, encoded, are of `floatx()` here
        y = f"ops.cast({y}, 'float32')"
    lines.append(f"show('y', {y})")
    if kind == "dropout" and path.startswith("m."):
        lines.append("show('drawn', again(x, training=True))")
    if kind == "stateful":
        lines.append("again.layers[0].reset_states()\nshow('y', again.predict(x, verbose=0))")
    return assemble(*lines)


def _by_hand(draw: Draw) -> str:
    """Layers put in and taken out, names changed, weights set one by one, files overwritten."""
    source, inputs, outputs = _plain(draw)
    acts = [
        "model.name = 'renamed'\nprint(model.name)",
        "model.layers[0].name = 'other'\nprint([w.path for w in model.weights])",
        "model.get_layer('first').kernel.assign(model.get_layer('first').kernel * 2)",
        "kernel, bias = model.get_layer('head').get_weights()\n"
        "model.get_layer('head').set_weights([kernel * 2, bias + 1])",
        "attempt('shape', lambda: model.get_layer('head').set_weights([np.ones((1, 1))]))",
        "attempt('missing', lambda: model.get_layer('nowhere'))",
        "attempt('missing', lambda: keras.models.load_model('nowhere.keras'))",
        "attempt('missing', lambda: model.load_weights('nowhere.weights.h5'))",
        "attempt('name', lambda: model.save('model'))",
        "attempt('name', lambda: model.save('model.pb'))",
        "attempt('name', lambda: model.save_weights('model.h5'))",
        "attempt('name', lambda: model.load_weights('model.txt'))",
        "attempt('twice', lambda: (model.save('t.keras'), model.save('t.keras', overwrite=True)))",
        "import pathlib\nmodel.save(pathlib.Path('p.keras'))\n"
        "model = keras.models.load_model(pathlib.Path('p.keras'))",
        "import io\nstream = io.BytesIO()\nkeras.saving.save_model(model, 'b.keras')\n"
        "stream.write(open('b.keras', 'rb').read())\nstream.seek(0)\n"
        "print(len(stream.getvalue()) > 100)",
        "open('bad.keras', 'wb').write(b'nothing')\n"
        "attempt('bad', lambda: keras.models.load_model('bad.keras'))",
        "open('bad.weights.h5', 'wb').write(b'nothing')\n"
        "attempt('bad', lambda: model.load_weights('bad.weights.h5'))",
        "os.makedirs('deep/er')\nmodel.save('deep/er/m.keras')\nprint(os.listdir('deep/er'))",
        "attempt('no folder', lambda: model.save('not/there/m.keras'))",
        "print(sorted(model.get_layer('first').get_config()))",
        "for w in model.trainable_weights:\n    w.assign(keras.ops.zeros_like(w))",
        f"import h5py\nmodel.save_weights('w.weights.h5')\n{_LISTED.format('w.weights.h5')}",
        f"import h5py\nmodel.save('w.h5')\n{_LISTED.format('w.h5')}"
        "    print(sorted(file.attrs), list(file['model_weights'].attrs['layer_names']))",
        "info = keras.saving.serialize_keras_object(model.optimizer)\nprint(as_json(info))",
        "print(model.get_layer(index=1).name, model.layers.index(model.get_layer('head')))",
        "model.get_layer('first').trainable = False\nprint(len(model.trainable_weights),"
        " len(model.non_trainable_weights))",
        "clone = keras.models.clone_model(model)\nprint([np.allclose(a, b) for a, b in"
        " zip(clone.get_weights(), model.get_weights())])\nclone.set_weights(model.get_weights())\n"
        "show('clone', clone.predict(x, verbose=0))",
        "pair = [pickle.loads(pickle.dumps(l)) for l in model.layers if l.name == 'first']\n"
        "print([(type(l).__name__, l.name, l.built, len(l.weights)) for l in pair])",
        # Keras copies through a file, and draws seeds.
        "twin = copy.copy(model)\nprint(twin is model, len(twin.weights),"
        " np.allclose(twin.predict(x, verbose=0), model.predict(x, verbose=0)))\n"
        "model.set_weights([w * 0.9 for w in model.get_weights()])\n"
        "print(np.allclose(twin.get_weights()[0], model.get_weights()[0]))",
        "text = model.to_json(indent=2)\nmodel2 = keras.models.model_from_json(text)\n"
        "print(model2.name, len(model2.weights), text.count('\\n') > 5)",
        "tree = model.get_state_tree()\nmodel.set_state_tree(tree)\nprint(sorted(tree))",
        "print(model.get_metrics_result())",
        "print(model.compiled, model.built)",
        "print(keras.utils.get_source_inputs(model.outputs[0])[0].name)",
    ]
    if "Sequential" in source:
        acts += [
            "model.pop()\nmodel.add(layers.Dense(2, name='fresh'))",
            "model.add(layers.Activation('tanh', name='last'))",
            "attempt('again', lambda: model.add(layers.Dense(2, name='first')))",
            "model.add(layers.Dropout(0.5))\nmodel.pop()",
            "model = keras.Sequential(model.layers, name='rewrapped')\n"
            f"model.build((None, *{inputs}))",
        ]
    lines = [source, _data(inputs, outputs)]
    if draw.chance(0.7):
        lines += [pieces.compilation(draw), _FIT]
    else:
        lines += ["model.compile('sgd', 'mse')"]
    for act in draw.some(acts, 2, 6):
        lines.append(act)
        # Writing `.h5` takes the optimizer out of what Keras's later files hold.
        if any(word in act for word in ("pop()", "add(", "rewrapped", "w.h5")):
            lines.append(pieces.compilation(draw))
        if "copy.copy" in act or "pickle" in act:
            lines.append("keras.utils.set_random_seed(7)")
    lines += _looks(draw, 2)
    if draw.chance():
        path = draw.one(["m.keras", "m.h5"])
        lines.append(f"model.save('{path}')")
        if draw.chance():
            lines += [HANDOVER, _data(inputs, outputs)]
        lines.append(f"model = keras.models.load_model('{path}')")
    lines += _looks(draw)
    lines += [_FIT, "show_weights('weights', model)"]
    return assemble(*lines)


def _unbuilt(draw: Draw) -> str:
    """Models that are saved or copied before they have weights, or after other shapes."""
    layers_ = draw.one(
        [
            "layers.Dense(3), layers.Dense(2)",
            "layers.Flatten(), layers.Dense(2)",
            "layers.Dense(3, activation='relu'), layers.BatchNormalization(), layers.Dense(2)",
            "keras.Sequential([layers.Dense(3)]), layers.Dense(2)",
        ]
    )
    name = draw.one(["", ", name='net'"])
    lines = [
        f"model = keras.Sequential([{layers_}]{name})",
        "x, y = numbers(4, 3), numbers(4, 2, seed=1)",
        draw.one(
            ["", "model.compile('sgd', 'mse')", "model.compile('adam', 'mse', metrics=['mae'])"]
        ),
        *draw.some(
            [
                "print(model.built, [l.built for l in model.layers], len(model.weights))",
                "attempt('weights', lambda: model.get_weights())",
                "model.summary()",
                "attempt('count', lambda: model.count_params())",
                "print('config', as_json(model.get_config()))",
                "attempt('shape', lambda: model.input_shape)",
                "attempt('set', lambda: model.set_weights([np.ones((3, 3))]))",
                "attempt('save weights', lambda: model.save_weights('u.weights.h5'))",
            ],
            1,
            3,
        ),
    ]
    way = draw.one(
        [
            "model.save('m.keras')\nmodel = keras.models.load_model('m.keras')",
            "tried('h5', lambda: model.save('m.h5'))",
            "model = copy.deepcopy(model)",
            "model = pickle.loads(pickle.dumps(model))",
            "model = keras.models.clone_model(model)",
            "model = keras.Sequential.from_config(model.get_config())",
            "model = keras.models.model_from_json(model.to_json())",
        ]
    )
    lines += [way, "print(model.name, model.built, model.compiled, len(model.weights))"]
    # Building by `fit` fixes the size of the batch in Keras.
    lines.append(draw.one(["model.build((None, 3))", "model(x)"]))
    copied = "copy" in way or "pickle" in way
    lines.append(f"print(model.built, [w.{'name' if copied else 'path'} for w in model.weights])")
    # Keras's copy draws other seeds.
    lines.append("model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])")
    lines.append("keras.utils.set_random_seed(1)\nmodel.compile('sgd', 'mse')")
    lines += [_FIT, "show('predicted', model.predict(x, verbose=0))"]
    if draw.chance():
        lines.append("model.save('n.keras')\nmodel = keras.models.load_model('n.keras')")
    lines += _looks(draw)
    return assemble(*lines)


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one(
        [_transferred, _other_weights, _edited_state, _hooked, _with_memory, _by_hand, _by_hand,
         _unbuilt]
    )  # fmt: skip
    return writer(draw)
