"""Parts of models that users write or change: optimizers, cells, losses, functions, attributes.

They are saved with a model, found again by those who know them, and trained on.
"""

from __future__ import annotations

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble

__all__ = ["program"]

_FIT = "show('history', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)"
_DATA = "x, y = numbers(8, 3), numbers(8, 2, seed=1)"
_MODEL = (
    "model = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation='tanh',"
    " name='first'), layers.Dense(2, name='out')])"
)

_OPTIMIZER = """
class Own(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, rate=0.5, name="own", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.rate = rate
    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.paces = [
            self.add_variable_from_reference(reference_variable=v, name="pace") for v in variables
        ]
    def update_step(self, gradient, variable, learning_rate):
        pace = self.paces[self._get_variable_index(variable)]
        self.assign(pace, self.rate * pace + gradient)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * pace)
    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
"""
_SGD = """
class Own(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * 0.5, variable, learning_rate)
"""
_SCHEDULE = """
class Own(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, first=0.05):
        self.first = first
    def __call__(self, step):
        return self.first / (1.0 + ops.cast(step, "float32"))
    def get_config(self):
        return {"first": self.first}
"""
_LOSS = """
class Own(keras.losses.Loss):
    def __init__(self, gain=2.0, name="own", **kwargs):
        super().__init__(name=name, **kwargs)
        self.gain = gain
    def call(self, y_true, y_pred):
        return self.gain * ops.mean(ops.square(y_true - y_pred), axis=-1)
    def get_config(self):
        return {**super().get_config(), "gain": self.gain}
"""
_METRIC = """
class Own(keras.metrics.Metric):
    def __init__(self, power=2, name="own", **kwargs):
        super().__init__(name=name, **kwargs)
        self.power = power
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(ops.sum(ops.abs(y_true - y_pred) ** self.power))
        self.count.assign_add(ops.cast(ops.size(y_true), "float32"))
    def result(self):
        return self.total / self.count
    def get_config(self):
        return {**super().get_config(), "power": self.power}
"""
_CELL = """
class Own(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.again = self.add_weight(shape=(self.units, self.units), name="again")
    def call(self, x, states):
        h = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(states[0], self.again))
        return h, [h]
    def get_config(self):
        return {**super().get_config(), "units": self.units}
"""
_STEP = """
class Own(keras.Model):
    def train_step(self, data):
        x, y = data
        result = super().train_step(data)
        return {**result, "twice": 2.0 * result["loss"]}
"""


def _written(draw: Draw) -> str:
    """Optimizers, schedules, losses, metrics, cells and steps of users', saved with a model."""
    kind = draw.one(["optimizer", "sgd", "schedule", "loss", "metric", "cell", "step"])
    definition = {"optimizer": _OPTIMIZER, "sgd": _SGD, "schedule": _SCHEDULE, "loss": _LOSS,
                  "metric": _METRIC, "cell": _CELL, "step": _STEP}[kind].strip("\n")  # fmt: skip
    decorator = draw.one(["", "@keras.saving.register_keras_serializable('mine')\n"])
    definition = decorator + definition
    model, data = _MODEL, _DATA
    compiled = {
        "optimizer": f"Own({draw.one(['', '0.05', '0.05, rate=0.25, clipnorm=1.0'])}), 'mse'",
        "sgd": "Own(0.05, momentum=0.5), 'mse'",
        "schedule": "keras.optimizers.SGD(Own(0.1)), 'mse'",
        "loss": "'sgd', Own(" + draw.one(["", "gain=3.0", "reduction='sum'"]) + ")",
        "metric": f"'sgd', 'mse', {draw.one(['metrics', 'weighted_metrics'])}=[Own(power=1)]",
    }.get(kind, "'sgd', 'mse'")
    if kind == "cell":
        cells = draw.one(["Own(3)", "[Own(3), layers.GRUCell(2)]"])
        rnn = draw.one([f"layers.RNN({cells})", f"layers.Bidirectional(layers.RNN({cells}))"])
        model = f"model = keras.Sequential([keras.Input((4, 3)), {rnn}, layers.Dense(2)])"
        data = "x, y = numbers(8, 4, 3), numbers(8, 2, seed=1)"
    elif kind == "step":
        model = (
            "inputs = keras.Input((3,))\n"
            "model = Own(inputs, layers.Dense(2)(layers.Dense(3, activation='tanh')(inputs)))"
        )
    compile_ = f"model.compile({compiled})"
    lines = [definition, data, model, compile_, _FIT]
    way = draw.one(["m.keras", "m.keras", "weights", "copy", "compile config"])
    if way == "m.keras":
        lines.append("model.save('m.keras')")
    elif way == "weights":
        lines.append("model.save_weights('m.weights.h5')")
    if way in ("m.keras", "weights") and draw.chance():
        lines += [HANDOVER, definition, data]
    lines.append("known = {'Own': Own}")
    if way == "m.keras":
        lines.append(
            draw.one(
                [
                    "model = keras.models.load_model('m.keras', custom_objects=known)",
                    "with keras.saving.custom_object_scope(known):\n"
                    "    model = keras.models.load_model('m.keras')",
                    "keras.utils.get_custom_objects().update(known)\n"
                    "model = keras.models.load_model('m.keras')",
                ]
            )
        )
    elif way == "weights":
        lines.append(f"{model}\n{compile_}\nmodel.load_weights('m.weights.h5')")
    elif way == "copy":
        lines.append(
            "with keras.saving.custom_object_scope(known):\n    twin = copy.deepcopy(model)\n"
            "show('twin', twin.predict(x, verbose=0))\nkeras.utils.set_random_seed(7)"
        )
    else:
        lines.append(
            "with keras.saving.custom_object_scope(known):\n"
            "    model.compile_from_config(json.loads(json.dumps(model.get_compile_config())))"
        )
    lines += draw.some(
        [
            "show_compiled(model.get_compile_config())",
            "print([(v.path, tuple(v.shape)) for v in model.optimizer.variables])",
            "print([m.name for m in model.metrics], model.metrics_names)",
            "show('evaluated', model.evaluate(x, y, verbose=0, return_dict=True))",
            "print('config', as_json(model.get_config()))",
            "print(type(model.optimizer).__name__, int(model.optimizer.iterations))",
        ],
        1,
        3,
    )
    lines += [_FIT, "show_weights('weights', model)"]
    return assemble(*lines)


def _changed(draw: Draw) -> str:
    """Attributes of layers and models that are set after the fact, then saved."""
    changes = [
        "model.get_layer('first').activation = keras.activations.relu",
        "model.get_layer('first').activation = keras.activations.get('linear')",
        "model.get_layer('drop').rate = 0.25",
        "model.get_layer('first').kernel_regularizer = keras.regularizers.L2(0.1)",
        "for layer in model.layers:\n    if hasattr(layer, 'kernel_regularizer'):\n"
        "        setattr(layer, 'kernel_regularizer', keras.regularizers.L1(0.01))",
        "layer = model.get_layer('first')\nkeras.utils.set_random_seed(3)\n"
        "layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape))",
        "model.get_layer('norm').momentum = 0.5",
        "model.get_layer('norm').epsilon = 0.1",
        "model.name = 'other'",
        "model.get_layer('out').name = 'head'",
        "model.get_layer('first').trainable = False",
        "model.get_layer('first').kernel.trainable = False",
        "model.get_layer('first').mine = [1, 2]\nprint(model.get_layer('first').mine)",
        "model.mine = {'a': 1}\nprint(dict(model.mine))",
        "model.extra = layers.Dense(1, name='extra')\nprint(len(model.layers), len(model.weights))",
        "model.tracker = keras.metrics.Mean(name='tracker')\n"
        "print([m.name for m in model.metrics])",
        "model.get_layer('first').bias.assign_add(np.ones(3))",
        "model.optimizer.learning_rate = 0.5",
        "model.get_layer('first').units = 3",
        "model.get_layer('first').bias_constraint = keras.constraints.NonNeg()",
        "model.get_layer('norm').moving_mean.assign(np.ones(3))",
        "model.loss = 'mae'",
        "model.layers.pop()\nprint(len(model.layers))",
        "attempt('weights', lambda: setattr(model, 'weights', []))",
        "attempt('layers', lambda: setattr(model, 'layers', []))",
        "model.get_layer('first').input_spec = None",
        "print(model.get_layer('out').kernel.name, model.get_layer('out').kernel.path)",
        "model.get_layer('first').get_config = lambda: {'units': 3, 'name': 'first'}",
    ]
    stack = (
        "layers.Dense(3, activation='tanh', name='first')",
        "layers.Dropout(0.5, seed=4, name='drop')",
        "layers.BatchNormalization(name='norm')",
        "layers.Dense(2, name='out')",
    )
    if draw.chance():
        source = f"model = keras.Sequential([keras.Input((3,)), {', '.join(stack)}], name='net')"
    else:
        calls = "\n".join(f"h = {layer}(h)" for layer in stack)
        source = f"h = a = keras.Input((3,))\n{calls}\nmodel = keras.Model(a, h, name='net')"
    compiled = "model.compile(keras.optimizers.SGD(0.05), 'mse')"
    lines = [source, _DATA, compiled]
    if draw.chance(0.7):
        lines.append(_FIT)
    lines += draw.shuffled(draw.some(changes, 1, 4))
    if draw.chance():
        lines += [compiled, _FIT]
    way = draw.one(["m.keras", "m.keras", "m.h5", "clone", "json", "config", "copy", "none"])
    if way.startswith("m."):
        lines.append(f"model.save('{way}')")
        if draw.chance():
            lines += [HANDOVER, _DATA]
        lines.append(f"model = keras.models.load_model('{way}')")
        if way == "m.h5":
            lines.append(compiled)
    elif way == "copy":
        lines.append(
            "twin = copy.deepcopy(model)\nshow('twin', twin.predict(x, verbose=0))\n"
            "keras.utils.set_random_seed(7)"
        )
    elif way != "none":
        made = {
            "clone": "keras.models.clone_model(model)",
            "json": "keras.models.model_from_json(model.to_json())",
            "config": "model.__class__.from_config(model.get_config())",
        }[way]
        lines.append(
            f"again = {made}\nagain.set_weights(model.get_weights())\nmodel = again\n{compiled}"
        )
    lines += draw.some(
        [
            "print('config', as_json(model.get_config()))",
            "print([(w.path, w.trainable) for w in model.weights])",
            "model.summary()",
            "print(len(model.losses), len(model.trainable_weights))",
            "print([type(l).__name__ for l in model.layers])",
        ],
        1,
        2,
    )
    lines += ["show('predicted', model.predict(x, verbose=0))", _FIT]
    lines.append("show_weights('weights', model)")
    return assemble(*lines)


_FUNCTIONS = (
    ("lambda x: x * 2.0 + 1.0", ""),
    ("lambda x: ops.concatenate([x, x[:, :1]], axis=-1)", ""),
    ("lambda x, gain=1.0: x * gain", ", arguments={'gain': 3.0}"),
    ("lambda x: ops.mean(x, axis=-1, keepdims=True)", ", output_shape=(1,)"),
    ("ops.tanh", ""),
    ("keras.activations.gelu", ""),
    ("double", ""),
    ("shifted(0.5)", ""),
    ("lambda x: keras.activations.relu(x) - offset", ""),
    ("lambda x, mask=None: x", ", mask=None"),
)


def _functions(draw: Draw) -> str:
    """Lambdas and functions in models, opened by those who trust them."""
    function, options = draw.one(_FUNCTIONS)
    definitions = (
        "offset = 0.25\ndef double(x):\n    return x * 2.0\n"
        "def shifted(by):\n    return lambda x: x + by"
    )
    definitions += "\nknown = {'double': double, 'ops': ops, 'offset': offset, 'keras': keras}"
    source = (
        "model = keras.Sequential([keras.Input((3,)),"
        f" layers.Lambda({function}{options}, name='lambda'), layers.Dense(2)])"
    )
    lines = [definitions, _DATA, source, "model.compile('sgd', 'mse')", _FIT]
    path = draw.one(["m.keras", "m.keras", "m.h5"])
    way = draw.one(["file", "file", "clone", "json"])  # Keras copies by config, which takes trust
    how = ", compile=False" if path == "m.h5" else ""
    trusted = draw.one(
        [", safe_mode=False", ", safe_mode=False, custom_objects=known", ", custom_objects=known"]
    )
    if way == "file":
        lines.append(f"model.save('{path}')")
        if draw.chance():
            lines += [HANDOVER, definitions, _DATA]
        lines.append(
            f"def opened():\n    global model\n"
            f"    model = keras.models.load_model('{path}'{trusted}{how})\n"
            "    return model.count_params()\ntried('opened', opened)"
        )
        if path == "m.h5":
            lines.append("if 'model' in globals():\n    model.compile('sgd', 'mse')")
    elif way == "clone":
        lines.append(
            "keras.config.enable_unsafe_deserialization()\n"
            "with keras.saving.custom_object_scope(known):\n"
            "    model = keras.models.clone_model(model)\nmodel.compile('sgd', 'mse')"
        )
    else:
        lines.append(
            draw.one(["", "keras.config.enable_unsafe_deserialization()"])
            + "\ntried('json', lambda: keras.models.model_from_json(model.to_json(),"
            " custom_objects=known).count_params())"
        )
    lines.append(
        "if 'model' in globals():\n    show('predicted', model.predict(x, verbose=0))\n"
        "    print(sorted(model.layers[0].get_config()), model.output_shape)"
    )
    return assemble(*lines)


def _compiled(draw: Draw) -> str:
    """Ways of compiling, in files and without."""
    losses = draw.one(
        [
            "loss='mse'", "loss=['mse']", "loss={'out': 'mse'}", "loss=keras.losses.Huber()",
            "loss=keras.losses.mean_absolute_error", "loss='mean_squared_error'",
            "loss=['mse'], loss_weights=[0.5]", "loss={'out': 'mse'}, loss_weights={'out': 2.0}",
            "loss=keras.losses.MeanSquaredError(reduction='sum')",
        ]
    )  # fmt: skip
    metrics = draw.one(
        [
            "", ", metrics=['mae', 'mse']", ", metrics={'out': ['mae']}", ", metrics=[['mae']]",
            ", metrics=[keras.metrics.MeanAbsoluteError(name='m')], weighted_metrics=['mse']",
            ", metrics=[keras.metrics.mean_absolute_error]", ", weighted_metrics=['mae']",
            ", metrics=['cosine_similarity', keras.metrics.RootMeanSquaredError()]",
        ]
    )  # fmt: skip
    options = draw.one(["", "", ", run_eagerly=True", ", jit_compile=False",
                        ", auto_scale_loss=False"])  # fmt: skip
    optimizer = draw.one([pieces.optimizer(draw), "'adam'", "keras.optimizers.Adam",
                          "{'class_name': 'SGD', 'config': {'learning_rate': 0.05}}"])  # fmt: skip
    if optimizer == "'adam'" or optimizer == "keras.optimizers.Adam":
        optimizer = "keras.optimizers.RMSprop(0.01, epsilon=0.1)"
    source = (
        "a = keras.Input((3,), name='a')\n"
        "model = keras.Model(a, layers.Dense(2, name='out')(a), name='net')"
    )
    looks = [
        "show_compiled(model.get_compile_config())",
        "print([m.name for m in model.metrics], model.metrics_names)",
        "show('evaluated', model.evaluate(x, y, verbose=0))",
        "show('evaluated', model.evaluate(x, y, sample_weight=np.arange(8.0), verbose=0,"
        " return_dict=True))",
        "show('tested', model.test_on_batch(x, y))",
        "show('metrics', model.get_metrics_result())",
        "print(model.run_eagerly, model.jit_compile)",
        "print(len(model.variables), len(model.non_trainable_variables))",
        "model.reset_metrics()",
    ]
    lines = [source, _DATA, f"model.compile({optimizer}, {losses}{metrics}{options})"]
    lines.append(draw.one([_FIT, "", "show('loss', model.train_on_batch(x, y))"]))
    lines += draw.some(looks, 0, 2)
    way = draw.one(["m.keras", "m.keras", "m.keras", "compile config", "again"])
    if way == "m.keras":
        lines.append("model.save('m.keras')")
        if draw.chance():
            lines += [HANDOVER, _DATA]
        lines.append("model = keras.models.load_model('m.keras')")
    elif way == "compile config":
        lines.append(
            "config = json.loads(json.dumps(model.get_compile_config()))\n"
            "fresh = keras.models.clone_model(model)\nfresh.set_weights(model.get_weights())\n"
            "fresh.compile_from_config(config)\nmodel = fresh"
        )
    else:
        lines.append("model.compile('sgd', 'mae')")
    lines += draw.some(looks, 1, 3)
    lines += [_FIT, "show('evaluated', model.evaluate(x, y, verbose=0))"]
    lines.append("show_weights('weights', model)")
    return assemble(*lines)


def program(draw: Draw) -> str:
    """Write a program."""
    writer = draw.one([_written, _written, _changed, _changed, _functions, _compiled])
    return writer(draw)
