"""Lives of models beyond a stack: policies, quantized parts, callbacks, models of models.

And graphs that call a layer several times, hand arguments over, or hold cells and layers of users.
"""

from __future__ import annotations

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble

__all__ = ["program"]

_FIT = "show('history', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)"
_PATHS = "print([(w.path, keras.backend.standardize_dtype(w.dtype)) for w in model.weights])"
_RESEED = "keras.utils.set_random_seed(7)"


def _reloaded(draw: Draw, data: str, definitions: str = "", known: str = "{}") -> list[str]:
    """Save the model and go on with what was saved, here or in another process."""
    kind = draw.one(["m.keras", "m.keras", "m.keras", "json", "config"])
    lines = []
    if kind == "m.keras":
        lines.append("model.save('m.keras')")
    elif kind == "json":
        lines.append(
            "open('m.json', 'w').write(model.to_json())\nmodel.save_weights('m.weights.h5')"
        )
    if kind != "config" and draw.chance():
        lines += [HANDOVER, definitions, data]
    lines.append(f"known = {known}")
    if kind == "m.keras":
        lines.append("model = keras.models.load_model('m.keras', custom_objects=known)")
        return lines
    if kind == "json":
        made = "keras.models.model_from_json(open('m.json').read(), custom_objects=known)"
        lines.append(f"model = {made}\nmodel.load_weights('m.weights.h5')")
    else:
        lines.append(
            "config = keras.saving.serialize_keras_object(model)\n"
            "again = keras.saving.deserialize_keras_object(config, custom_objects=known)\n"
            "again.set_weights(model.get_weights())\nmodel = again"
        )
    lines.append(pieces.compilation(draw))
    return lines


_GRAPHS = (
    # One layer called on two inputs, and on its own output.
    "a, b = keras.Input((3,), name='a'), keras.Input((3,), name='b')\n"
    "shared = layers.Dense(3, activation='tanh', name='shared')\n"
    "h = layers.Concatenate(name='both')([shared(a), shared(shared(b))])\n"
    "model = keras.Model([a, b], layers.Dense(2, name='out')(h))",
    # A mask that flows, and one that is given.
    "a = keras.Input((4,), dtype='int32', name='a')\n"
    "e = layers.Embedding(6, 3, mask_zero=True, name='embed')(a)\n"
    "h = layers.LSTM(3, name='lstm')(e)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "a = keras.Input((4, 3), name='a')\nm = keras.Input((4,), dtype='bool', name='m')\n"
    "h = layers.GRU(3, name='gru')(a, mask=m)\n"
    "model = keras.Model([a, m], layers.Dense(2, name='out')(h))",
    # Keyword arguments and several outputs of a layer.
    "a = keras.Input((4, 3), name='a')\n"
    "h, s, c = layers.LSTM(3, return_sequences=True, return_state=True, name='encode')(a)\n"
    "h = layers.LSTM(3, name='decode')(h, initial_state=[s, c])\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "a = keras.Input((4, 3), name='a')\n"
    "h, w = layers.MultiHeadAttention(2, 2, name='attend')(a, a, return_attention_scores=True)\n"
    "h = layers.Flatten(name='flat')(h)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "a = keras.Input((4, 3), name='a')\n"
    "h = layers.MultiHeadAttention(1, 2, name='attend')(a, value=a, use_causal_mask=True)\n"
    "h = layers.GlobalAveragePooling1D(name='pool')(h)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    # Models in models, called twice, frozen in part.
    "inner = keras.Sequential([keras.Input((3,)), layers.Dense(3, name='deep')], name='inner')\n"
    "a = keras.Input((3,), name='a')\nh = inner(inner(a))\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "i = keras.Input((3,), name='i')\n"
    "inner = keras.Model(i, [layers.Dense(2, name='p')(i), layers.Dense(3, name='q')(i)],"
    " name='inner')\na = keras.Input((3,), name='a')\np, q = inner(a)\n"
    "h = layers.Concatenate(name='both')([p, q])\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "inner = keras.Sequential([layers.Dense(3, name='deep'), layers.BatchNormalization(name='bn')],"
    " name='inner')\ninner.trainable = False\n"
    "a = keras.Input((3,), name='a')\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(inner(a)))",
    # Wrappers and cells.
    "a = keras.Input((4, 3), name='a')\n"
    "h = layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode='sum',"
    " name='both')(a)\n"
    "h = layers.TimeDistributed(layers.Dense(2), name='each')(h)\n"
    "h = layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], name='stack')(h)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "a = keras.Input((4, 3), name='a')\n"
    "h = layers.Bidirectional(layers.GRU(2), backward_layer=layers.LSTM(2, go_backwards=True),"
    " name='both')(a)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "a = keras.Input((3,), name='a')\n"
    "h = layers.SpectralNormalization(layers.Dense(3), name='spectral')(a)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    # Nested structures of inputs and outputs.
    "a = {'x': keras.Input((3,), name='x'), 'z': [keras.Input((2,), name='z')]}\n"
    "h = layers.Concatenate(name='both')([a['x'], a['z'][0]])\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
    "a = keras.Input((3,), name='a')\nb = keras.Input((3,), name='b', optional=True)\n"
    "h = layers.Dense(3, name='first')(a)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(ops.add(h, 1.0)))",
    "a = keras.Input((3,), name='a')\nh = layers.Dense(4, name='first')(a)\n"
    "p, q = ops.split(h, 2, axis=-1)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(p * ops.sigmoid(q)))",
    "a = keras.Input((None, 3), name='a')\n"
    "h = layers.Conv1D(2, 2, padding='same', name='conv')(a)\n"
    "h = layers.GlobalMaxPooling1D(name='pool')(h)\n"
    "model = keras.Model(a, layers.Dense(2, name='out')(h))",
)


def _values(source: str, rows: int = 6) -> str:
    """Data for the inputs of a graph."""
    if "'z'" in source:
        x = f"{{'x': numbers({rows}, 3), 'z': [numbers({rows}, 2, seed=3)]}}"
    elif "name='m'" in source:
        x = f"[numbers({rows}, 4, 3), whole({rows}, 4, below=2).astype('bool')]"
    elif "[a, b]" in source:
        x = f"[numbers({rows}, 3), numbers({rows}, 3, seed=3)]"
    elif "int32" in source:
        x = f"whole({rows}, 4, below=6)"
    elif "(4, 3)" in source or "(None, 3)" in source:
        x = f"numbers({rows}, 4, 3)"
    else:
        x = f"numbers({rows}, 3)"
    return f"x, y = {x}, numbers({rows}, 2, seed=1)"


def _graphs(draw: Draw) -> str:
    source = draw.one(_GRAPHS)
    data = _values(source)
    looks = [
        "print('config', as_json(model.get_config()))",
        "print([l.name for l in model.layers], model.name)",
        _PATHS,
        "model.summary(expand_nested=True)",
        "print('build', [as_json(l.get_build_config()) for l in model.layers])",
        "print(keras.tree.map_structure(lambda t: (t.name, t.shape, t.dtype), model.input))",
        "print(model.input_shape, model.output_shape, model.output_names)"
        if "'z'" not in source
        else "print(model.output_shape)",
        "print([(l.name, len(l._inbound_nodes)) for l in model.layers])",
        "print(len(model.trainable_weights), [l.trainable for l in model.layers])",
    ]
    if "mask_zero" in source:  # Keras's graphs hold the operations that make masks
        looks = [look for look in looks if "config" not in look and "summary" not in look]
    change = draw.one(
        [
            "",
            "",
            "model.layers[-1].trainable = False",
            "model.trainable = False\nmodel.layers[-1].trainable = True",
            "model.trainable = False",
        ]
    )
    lines = [source, data, change, pieces.compilation(draw), _FIT]
    way = draw.one(["files", "files", "clone", "copy", "sub"])
    if way == "files":
        lines += _reloaded(draw, data)
    elif way == "clone":
        lines.append(
            "clone = keras.models.clone_model(model)\nclone.set_weights(model.get_weights())\n"
            f"model = clone\n{pieces.compilation(draw)}"
        )
    elif way == "copy":
        copied = draw.one(["copy.deepcopy(model)", "pickle.loads(pickle.dumps(model))"])
        lines.append(
            f"twin = {copied}\nshow('twin', twin.predict(x, verbose=0))\n"
            f"show('loss of the twin', twin.train_on_batch(x, y))\n{_RESEED}"
        )
    else:
        lines.append(
            "part = keras.Model(model.inputs, model.layers[-2].output)\n"
            "show('part', [np.shape(v) for v in keras.tree.flatten("
            "part.predict(keras.tree.flatten(x), verbose=0))])\n"
            "part.save('part.keras')\npart = keras.models.load_model('part.keras')\n"
            "print(part.name, [l.name for l in part.layers])"
        )
    lines += draw.some(looks, 1, 3)
    lines += ["show('predicted', model.predict(x, verbose=0))", _FIT]
    lines.append("show_weights('weights', model)")
    return assemble(*lines)


def _policies(draw: Draw) -> str:
    """Models of mixed policies, opened under others."""
    policy = draw.one(["mixed_bfloat16", "bfloat16", "float64", "mixed_float16", "float32"])
    apart = draw.one(["", ", dtype='float32'", ", dtype=keras.DTypePolicy('mixed_bfloat16')"])
    where = draw.one(["global", "layers"])
    option = "" if where == "global" else f", dtype={policy!r}"
    normal = draw.one(["", f"    layers.LayerNormalization(name='norm'{option}),\n"])
    source = (
        f"model = keras.Sequential([\n    keras.Input((3,)),\n"
        f"    layers.Dense(4, activation='tanh', name='first'{option}),\n{normal}"
        f"    layers.Dense(2, name='out'{apart}),\n])"
    )
    data = "x, y = numbers(6, 3), numbers(6, 2, seed=1)"
    lines = [f"keras.config.set_dtype_policy({policy!r})"] if where == "global" else []
    lines += [source, data, "model.compile('sgd', 'mse')"]
    lines.append("show('loss', model.train_on_batch(x, y))")
    looks = [
        "print('config', as_json(model.get_config()))",
        "print([(l.name, l.dtype_policy.name, l.compute_dtype, l.variable_dtype)"
        " for l in model.layers], model.dtype_policy.name)",
        "print(type(model.optimizer).__name__, len(model.optimizer.variables))",
        _PATHS,
        "show_compiled(model.get_compile_config())",
        "print(keras.config.dtype_policy().name, keras.config.floatx())",
    ]
    lines += draw.some(looks, 0, 1)
    other = draw.one(["", "keras.config.set_dtype_policy('float32')",
                      "keras.config.set_dtype_policy('mixed_bfloat16')",
                      "keras.config.set_floatx('float64')"])  # fmt: skip
    way = draw.one(["model.save('m.keras')", "model.save_weights('m.weights.h5')"])
    lines.append(way)
    if draw.chance():
        lines += [HANDOVER, data]
    lines.append(other)
    if "weights" in way:
        lines.append(f"{source}\nmodel.compile('sgd', 'mse')\nmodel.load_weights('m.weights.h5')")
    else:
        lines.append("model = keras.models.load_model('m.keras')")
    lines += draw.some(looks, 1, 3)
    lines.append("show('predicted', model.predict(x, verbose=0))")
    lines.append("show('loss', model.train_on_batch(x, y))")
    # Compared as bfloat16 is, whichever policy the second process names.
    lines.append("show('rounded to bfloat16', [np.shape(w) for w in model.get_weights()])")
    return assemble(*lines)


_CALLBACKS = (
    "keras.callbacks.EarlyStopping('loss', patience=1, restore_best_weights=True)",
    "keras.callbacks.ModelCheckpoint('c{epoch:02d}.keras')",
    "keras.callbacks.ModelCheckpoint('c.weights.h5', save_weights_only=True, monitor='loss',"
    " save_best_only=True, mode='min')",
    "keras.callbacks.CSVLogger('log.csv', append=True)",
    "keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5)",
    "keras.callbacks.ReduceLROnPlateau('loss', factor=0.5, patience=1, min_delta=10.0)",
    "keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs:"
    " model.save_weights(f'e{epoch}.weights.h5'))",
    "keras.callbacks.BackupAndRestore('backup')",
    "keras.callbacks.BackupAndRestore('backup', delete_checkpoint=False)",
    "keras.callbacks.TerminateOnNaN()",
    "keras.callbacks.SwapEMAWeights(swap_on_epoch=True)",
    "keras.callbacks.ModelCheckpoint('best.keras', monitor='val_loss', save_best_only=True)",
)


def _called_back(draw: Draw) -> str:
    """Callbacks that write and restore, and training that goes on from their files."""
    chosen = draw.some(_CALLBACKS, 1, 3)
    averaged = any("SwapEMA" in c for c in chosen)
    optimizer = (
        "keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5)"
        if averaged
        else draw.one(["keras.optimizers.SGD(0.05, momentum=0.5)",
                       "keras.optimizers.Adam(0.01, epsilon=0.01)"])
    )  # fmt: skip
    hidden = draw.one(["layers.Dense(3, activation='tanh')", "layers.BatchNormalization()",
                       "layers.Dropout(0.3, seed=2)"])  # fmt: skip
    if any("delete_checkpoint" in c for c in chosen):  # which holds the states of generators here
        hidden = "layers.LayerNormalization()"
    source = f"model = keras.Sequential([keras.Input((3,)), {hidden}, layers.Dense(2)])"
    data = "x, y = numbers(8, 3), numbers(8, 2, seed=1)"
    callbacks = f"[{', '.join(chosen)}]"
    validated = ", validation_data=(x, y)" if "val_loss" in callbacks or draw.chance(0.3) else ""
    fit = (
        f"done = model.fit(x, y, epochs=3, batch_size=4, verbose=0, shuffle=False{validated},"
        f" callbacks={callbacks})\nshow('history', done.history)\nprint(done.epoch)"
    )
    lines = [source, data, f"model.compile({optimizer}, 'mse')", fit]
    lines.append("print(sorted(os.listdir('.')))")
    if "log.csv" in callbacks:
        lines.append("print(open('log.csv').readline().strip(), len(open('log.csv').readlines()))")
    lines.append("print(float(model.optimizer.learning_rate), int(model.optimizer.iterations))")
    goes_on = ["", f"{source}\nmodel.compile({optimizer}, 'mse')"]
    for name in ("best.keras", "c02.keras"):
        if f"'{name}'" in callbacks or (name == "c02.keras" and "c{epoch" in callbacks):
            goes_on.append(
                f"if os.path.exists('{name}'):\n    model = keras.models.load_model('{name}')"
            )
    if "'c.weights.h5'" in callbacks:
        goes_on.append("model.load_weights('c.weights.h5')")
    lines.append(draw.one(goes_on))
    lines.append("show('evaluated', model.evaluate(x, y, verbose=0))")
    again = fit.replace("epochs=3", draw.one(["epochs=5, initial_epoch=3", "epochs=2"]))
    lines += [again, "show_weights('weights', model)"]
    return assemble(*lines)


_COMPOSED = (
    """
    {0}
    class Coder(keras.Model):
        def __init__(self, width=2, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.encoder = keras.Sequential([layers.Dense(width, activation="tanh")], name="enc")
            self.decoder = keras.Sequential([layers.Dense(3)], name="dec")
        def call(self, x):
            return self.decoder(self.encoder(x))
        def get_config(self):
            return {{**super().get_config(), "width": self.width}}
    """,
    """
    {0}
    class Coder(keras.Model):
        def __init__(self, encoder=None, decoder=None, **kwargs):
            super().__init__(**kwargs)
            self.encoder = encoder or keras.Sequential([layers.Dense(2)], name="enc")
            self.decoder = decoder or keras.Sequential([layers.Dense(3)], name="dec")
        def call(self, x):
            return self.decoder(self.encoder(x))
        def get_config(self):
            return {{
                "encoder": keras.saving.serialize_keras_object(self.encoder),
                "decoder": keras.saving.serialize_keras_object(self.decoder),
                "name": self.name,
            }}
        @classmethod
        def from_config(cls, config):
            for key in ("encoder", "decoder"):
                config[key] = keras.saving.deserialize_keras_object(config[key])
            return cls(**config)
    """,
    """
    {0}
    class Coder(keras.Model):
        def __init__(self, width=2, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.inner = layers.Dense(width, activation="tanh")
            self.outer = layers.Dense(3)
            self.loss_tracker = keras.metrics.Mean(name="loss")
        @property
        def metrics(self):
            return [self.loss_tracker]
        def call(self, x):
            return self.outer(self.inner(x))
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = ops.mean(ops.square(y - y_pred)) + 0.1
            self.loss_tracker.update_state(loss)
            return loss
        def get_config(self):
            return {{**super().get_config(), "width": self.width}}
    """,
    """
    {0}
    class Coder(keras.Model):
        def __init__(self, width=2, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.parts = {{"in": layers.Dense(width), "out": [layers.Dense(3), layers.ReLU()]}}
            self.step = self.add_weight(shape=(), initializer="zeros", trainable=False, name="step")
        def call(self, x, training=False):
            if training:
                self.step.assign(self.step + 1)
            x = self.parts["in"](x)
            for part in self.parts["out"]:
                x = part(x)
            self.add_loss(0.01 * ops.sum(ops.square(x)))
            return x
        def get_config(self):
            return {{**super().get_config(), "width": self.width}}
    """,
    """
    {0}
    class Coder(layers.Layer):
        def __init__(self, width=2, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.net = keras.Sequential([layers.Dense(width), layers.Dropout(0.2, seed=1)])
            self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")
        def build(self, shape):
            self.net.build(shape)
            self.last = layers.Dense(3)
            self.last.build((None, self.width))
        def call(self, x, training=None):
            return self.last(self.net(x, training=training)) * self.scale
        def get_config(self):
            return {{**super().get_config(), "width": self.width}}
    """,
)


def _composed(draw: Draw) -> str:
    """Models and layers of users that hold models, with metrics and losses of their own."""
    text = draw.one(_COMPOSED)
    decorator = draw.one(["@keras.saving.register_keras_serializable('own')", ""])
    definition = assemble(text.format(decorator)).split("set_random_seed(0)\n", 1)[1]
    known = "{'Coder': Coder}"
    data = "x, y = numbers(8, 3), numbers(8, 3, seed=1)"
    name = draw.one(["", "name='coder'"])
    if "layers.Layer" in text:
        made = f"model = keras.Sequential([keras.Input((3,)), Coder({name})])"
    else:
        made = f"model = Coder({name})\nmodel(x)"
    compiled = "model.compile(keras.optimizers.SGD(0.05, momentum=0.5), 'mse')"
    lines = [definition, data, made, compiled, _FIT]
    lines.append(
        draw.one(
            [
                "",
                "",
                "model.layers[0].trainable = False\n" + compiled + "\n" + _FIT,
                "model.trainable = False\n" + compiled,
            ]
        )
    )
    kind = draw.one(["m.keras", "m.keras", "weights", "copy"])
    if kind == "m.keras":
        lines.append("model.save('m.keras')")
    elif kind == "weights":
        lines.append("model.save_weights('m.weights.h5')")
    if kind != "copy" and draw.chance():
        lines += [HANDOVER, definition, data]
    lines.append(f"known = {known}")
    if kind == "m.keras":
        lines.append("model = keras.models.load_model('m.keras', custom_objects=known)")
    elif kind == "weights":
        lines.append(f"{made}\n{compiled}\nmodel.load_weights('m.weights.h5')")
    else:
        copied = draw.one(["copy.deepcopy(model)", "pickle.loads(pickle.dumps(model))"])
        lines.append(
            f"with keras.saving.custom_object_scope(known):\n    twin = {copied}\n"
            "show('twin', twin.predict(x, verbose=0))\nprint(twin.compiled, len(twin.weights))\n"
            + _RESEED
        )
    looks = [
        "print([l.name for l in model.layers], [m.name for m in model.metrics])",
        "print([(w.path, w.trainable) for w in model.weights])" if kind != "copy" else "",
        "print(len(model.variables), len(model.trainable_variables), model.count_params())",
        "print([tuple(v.shape) for v in model.optimizer.variables])",
        "show('evaluated', model.evaluate(x, y, verbose=0, return_dict=True))",
    ]
    lines += draw.some(looks, 1, 3)
    lines += ["show('predicted', model.predict(x, verbose=0))", _FIT]
    lines.append("show_weights('weights', model)" if kind != "copy" else "")
    return assemble(*lines)


def _smaller(draw: Draw) -> str:
    """Adapters and few bits in parts of models, saved and loaded."""
    made = (
        "inner = keras.Sequential([layers.Dense(4, 'tanh', name='deep')], name='inner')\n"
        "model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name='first'), inner,"
        " layers.Dense(2, name='out')])"
    )
    data = "x, y = numbers(6, 3), numbers(6, 2, seed=1)"
    steps = {
        "adapt": "model.get_layer('first').enable_lora(2)",
        "adapt within": "model.get_layer('inner').layers[0].enable_lora(1)",
        "bits": "model.quantize('int8')",
        "bits of one": "model.get_layer('first').quantize('int8')",
        "four bits": "model.quantize('int4')",
        "chosen": "model.quantize('int8', filters='first')",
        "float8": "model.get_layer('out').quantize('float8')",
    }
    chosen = draw.one(
        [["adapt"], ["adapt within"], ["adapt", "adapt within"], ["bits"], ["bits of one"],
         ["four bits"], ["chosen"], ["float8"], ["bits of one", "adapt within"]]
    )  # fmt: skip
    lines = [made, data, "model.compile('sgd', 'mse')", _FIT]
    lines += [steps[c] for c in chosen]
    quantized = any(c not in ("adapt", "adapt within") for c in chosen)
    trains = not quantized or chosen == ["float8"]
    lines.append("model.compile('sgd', 'mse')")
    if trains:
        lines.append(_FIT)
    looks = [
        "print([(w.path, tuple(w.shape), keras.backend.standardize_dtype(w.dtype), w.trainable)"
        " for w in model.weights])",
        "print([(l.name, l.dtype_policy.name) for l in model.layers])",
        "print('config', as_json(model.get_config()))",
        "attempt('again', lambda: model.quantize('int8'))",
        "print(model.count_params(), len(model.trainable_weights))",
        "model.summary()",
        "store = {}\nmodel.get_layer('first').save_own_variables(store)\n"
        "print({k: tuple(np.shape(v)) for k, v in store.items()})",
    ]
    lines += draw.some(looks, 0, 2)
    way = draw.one(["m.keras", "m.keras", "weights", "into plain", "copy"])
    if way == "copy":
        lines.append(
            "twin = copy.deepcopy(model)\n"
            "print('alike', np.allclose(model.predict(x, verbose=0), twin.predict(x, verbose=0),"
            f" atol=1e-6))\n{_RESEED}"
        )
    elif way == "m.keras":
        lines.append("model.save('m.keras')")
        if draw.chance():
            lines += [HANDOVER, data]
        lines.append("model = keras.models.load_model('m.keras')")
    else:
        lines.append("model.save_weights('m.weights.h5')")
        if draw.chance():
            lines += [HANDOVER, data]
        again = [] if way == "into plain" else [steps[c] for c in chosen]
        lines += [made, *again, "model.compile('sgd', 'mse')"]
        lines.append("tried('load', lambda: model.load_weights('m.weights.h5'))")
    lines += draw.some(looks, 1, 2)
    lines.append("show('predicted', model.predict(x, verbose=0))")
    if trains and way != "into plain":
        lines.append(_FIT)
    return assemble(*lines)


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one([_graphs, _graphs, _policies, _called_back, _composed, _composed, _smaller])
    return writer(draw)
