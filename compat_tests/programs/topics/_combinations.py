"""Losses, metrics, optimizers, callbacks, schedules and policies together. Used by `training`."""

from __future__ import annotations

from ..drawing import HANDOVER, Draw, assemble
from ._loops import RATES

__all__ = ["WRITERS"]

# Steps that do not blow roundings up: a gradient of 1e-9 moves little.
_OPTIMIZERS = (
    "SGD({rate}, momentum=0.9)", "SGD({rate}, nesterov=True, momentum=0.5)", "SGD({rate})",
    "Adam({rate}, epsilon=0.01)", "Adam({rate}, epsilon=0.01, amsgrad=True)",
    "AdamW({rate}, epsilon=0.01, weight_decay=0.02)", "Nadam({rate}, epsilon=0.01)",
    "Adamax({rate}, epsilon=0.01)", "RMSprop({rate}, epsilon=0.01, centered=True)",
    "Adagrad({rate}, initial_accumulator_value=0.5)", "Adadelta({rate}, epsilon=0.01)",
    "Ftrl({rate}, initial_accumulator_value=0.5)", "Lamb({rate}, epsilon=0.01)",
)  # fmt: skip


def _optimizer(draw: Draw) -> str:
    text = draw.one(_OPTIMIZERS).format(rate=draw.one(RATES))
    extra = draw.one(["", "", "clipnorm=0.5", "global_clipnorm=1.0", "use_ema=True",
                      "gradient_accumulation_steps=2", "weight_decay=0.01"])  # fmt: skip
    if extra and extra.split("=")[0] not in text:
        text = f"{text[:-1]}, {extra})"
    return f"keras.optimizers.{text}"


# Several outputs ---------------------------------------------------------------------------------


def _heads(draw: Draw) -> str:
    """A model of two or three outputs, in a list or a dict, parts of it frozen."""
    width = draw.whole(2, 4)
    body = draw.one(
        [
            f"h = layers.Dense({width}, activation='tanh', name='body')(inputs)",
            f"h = layers.Dense({width}, kernel_regularizer='l2', name='body')(inputs)",
            "h = layers.BatchNormalization(momentum=0.5, name='body')(inputs)",
            f"h = layers.Dense({width}, name='body')(inputs)\n"
            "h = layers.ActivityRegularization(l1=0.01)(h)",
            f"h = keras.Sequential([layers.Dense({width}), layers.LayerNormalization()],"
            " name='body')(inputs)",
        ]
    )
    return body


def _outputs(draw: Draw) -> str:
    """Fit, evaluate and go on with a model of several outputs."""
    as_dict = draw.chance()
    names = ["a", "b", "c"][: draw.whole(2, 3)]
    heads = {
        "a": "a = layers.Dense(1, name='a')(h)",
        "b": "b = layers.Dense(3, activation='softmax', name='b')(h)",
        "c": "c = layers.Dense(2, activation='sigmoid', name='c')(h)",
    }
    targets = {
        "a": "numbers(9, 1, seed=1)",
        "b": "whole(9, below=3, seed=2)",
        "c": "whole(9, 2, below=2, seed=3)",
    }
    losses = {
        "a": ["'mse'", "keras.losses.Huber(delta=0.5)", "'mae'", "lambda t, p: ops.abs(t - p)"],
        "b": ["'sparse_categorical_crossentropy'", "keras.losses.SparseCategoricalCrossentropy()"],
        "c": ["'binary_crossentropy'", "keras.losses.BinaryFocalCrossentropy()", "'mse'"],
    }
    metrics = {
        "a": ["'mae'", "keras.metrics.RootMeanSquaredError()", "['mae', 'mse']"],
        "b": ["'accuracy'", "['acc']", "keras.metrics.SparseTopKCategoricalAccuracy(k=2)"],
        "c": ["'accuracy'", "keras.metrics.AUC(num_thresholds=20)", "[keras.metrics.Precision()]"],
    }
    weights = {"a": "np.linspace(0, 1, 9)", "b": "np.ones(9)", "c": "np.linspace(1, 0, 9)"}

    def struct(values: dict[str, str], some: bool = False) -> str:
        chosen = [n for n in names if not some or draw.chance(0.7)] or names[:1]
        if as_dict or (some and draw.chance()):
            return "{" + ", ".join(f"{n!r}: {values[n]}" for n in chosen) + "}"
        return "[" + ", ".join(values[n] for n in names) + "]"

    arguments = [f"optimizer={_optimizer(draw)}"]
    arguments.append(f"loss={struct({n: draw.one(losses[n]) for n in names})}")
    if draw.chance(0.4):
        arguments.append(f"loss_weights={struct({n: str(draw.one([0.5, 2.0])) for n in names})}")
    for kind in ("metrics", "weighted_metrics"):
        if draw.chance(0.5):
            chosen = struct({n: draw.one(metrics[n]) for n in names}, some=True)
            arguments.append(f"{kind}={chosen}")
    weight = f", sample_weight={struct(weights)}" if draw.chance(0.4) else ""
    y = struct(targets)
    lines = [
        "inputs = keras.Input((4,))",
        _heads(draw),
        *(heads[n] for n in names),
        f"model = keras.Model(inputs, {struct({n: n for n in names})})",
        "model.get_layer('body').trainable = False" if draw.chance(0.25) else "",
        f"model.compile({', '.join(arguments)})",
        f"x = numbers(9, 4)\ny = {y}",
        f"history = model.fit(x, y{weight}, epochs=2, batch_size=4, verbose={draw.one([0, 2])},"
        f" shuffle=False{draw.one(['', ', validation_data=(x, y)', ', validation_split=0.4'])})",
        "show('history', {key: history.history[key] for key in sorted(history.history)})",
        "print(list(history.history))" if draw.chance() else "",
        f"show('evaluated', model.evaluate(x, y{weight}, batch_size=4, verbose=0,"
        f" return_dict={draw.one(['True', 'False'])}))",
        "print(model.metrics_names, [m.name for m in model.metrics])",
        "show('weights', model.get_weights())",
    ]
    ending = draw.whole(0, 3)
    if ending == 0:
        lines += [
            f"show('batch', model.train_on_batch(x, y{weight}, return_dict=True))",
            "show('tested', model.test_on_batch(x, y))",
            "show('weights on', model.get_weights())",
        ]
    elif ending == 1 and not any(w in " ".join(arguments) for w in ("lambda", "delta")):
        lines += [
            "model.save('model.keras')",
            HANDOVER,
            f"x = numbers(9, 4)\ny = {y}",
            "model = keras.models.load_model('model.keras')",
            "show('evaluated', model.evaluate(x, y, verbose=0, return_dict=True))",
            "history = model.fit(x, y, epochs=1, batch_size=4, verbose=0, shuffle=False)",
            "show('history', history.history)",
            "print(model.metrics_names, [m.name for m in model.metrics])",
            "print([(v.path, tuple(v.shape)) for v in model.optimizer.variables])",
            "show('weights', model.get_weights())",
        ]
    elif ending == 2:
        lines += [
            f"model.compile({', '.join([f'optimizer={_optimizer(draw)}', *arguments[1:2]])})",
            "show('again', model.fit(x, y, epochs=1, batch_size=5, verbose=0).history)",
        ]
    return assemble(*lines)


# Policies ----------------------------------------------------------------------------------------

_STATE = """
def state(model):
    optimizer = model.optimizer
    print(type(optimizer).__name__, len(optimizer.variables), len(model.trainable_variables))
    for v in optimizer.variables:
        print(v.path, keras.backend.standardize_dtype(v.dtype), tuple(v.shape))
    for layer in model.layers:
        print(layer.name, layer.dtype_policy.name, layer.compute_dtype, layer.trainable,
              [layer.name for layer in getattr(layer, "layers", [])])
    if hasattr(optimizer, "dynamic_scale"):
        print("scale", float(optimizer.dynamic_scale), int(optimizer.step_counter),
              int(optimizer.iterations), type(optimizer.inner_optimizer).__name__,
              int(optimizer.inner_optimizer.iterations))
"""


def _mixed(draw: Draw) -> str:
    """Mixed precision: scaled losses, skipped steps, frozen parts, files opened under policies."""
    policy = draw.one(["mixed_float16", "mixed_float16", "mixed_float16", "mixed_bfloat16"])
    where = draw.one(["global", "global", "layers", "model"])
    dtype = f", dtype={policy!r}" if where == "layers" else ""
    inner = draw.one(
        [
            f"keras.Sequential([layers.Dense(4, use_bias=False{dtype}),"
            f" layers.BatchNormalization(momentum=0.5{dtype})], name='base')",
            f"layers.Dense(4, activation='relu', name='base'{dtype})",
            f"layers.Dense(4, name='base', kernel_regularizer='l2'{dtype})",
        ]
    )
    head = draw.one(["layers.Dense(1)", "layers.Dense(1, dtype='float32')"])
    style = draw.one(["functional", "sequential"])
    if style == "functional":
        model = (
            f"base = {inner}\ninputs = keras.Input((4,))\n"
            f"model = keras.Model(inputs, {head}(base(inputs)))"
        )
    else:
        named = f", dtype={policy!r}" if where == "model" and draw.chance() else ""
        model = (
            f"base = {inner}\nmodel = keras.Sequential([keras.Input((4,)), base, {head}]{named})"
        )
    optimizer = _optimizer(draw)
    wrapped = draw.one(["", "", "", "initial_scale=8.0", "dynamic_growth_steps=2"])
    if wrapped:
        optimizer = f"keras.optimizers.LossScaleOptimizer({optimizer}, {wrapped})"
    auto = ", auto_scale_loss=False" if draw.chance(0.2) else ""
    freeze = draw.one(["", "", "base.trainable = False", "model.layers[-1].trainable = False"])
    scales = wrapped or (where == "global" and policy == "mixed_float16" and not auto)
    # The first batch overflows: no step is made, the scale is halved.
    huge = bool(scales) and draw.chance(0.3)
    loss = "mse" if huge else draw.one(["mse", "mae", "huber"])
    # Where an error is as small as what bfloat16 rounds off, its sign is by chance: far from zero.
    data = f"x, y = numbers(8, 4), {'20 * ' if loss == 'mae' else ''}numbers(8, 1, seed=1)"
    mended = "y[1] = 0" if huge else ""
    compile_ = f"model.compile({optimizer}, {loss!r}{auto})"
    lines = [
        f"keras.mixed_precision.set_global_policy({policy!r})" if where == "global" else "",
        model,
        *draw.shuffled([freeze, compile_]),
        _STATE,
        data,
        "y[1] = 3e38" if huge else "",
        "fitted = model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False)",
        "show('history', fitted.history)" if not huge else "",
        "state(model)",
        "show('weights', model.get_weights())",
    ]
    ending = draw.one(["none", "thaw", "file", "parts", "config"])
    if ending == "thaw":
        lines += [
            "base.trainable = True",
            compile_,
            mended,
            "show('tuned', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)",
            "state(model)\nshow('weights', model.get_weights())",
        ]
    elif ending in ("file", "parts"):
        lines.append("model.save('model.keras')")
        if ending == "parts":
            other = draw.one(["", "keras.mixed_precision.set_global_policy('mixed_float16')"])
            lines += [HANDOVER, other, _STATE, data]
        else:
            lines.append(
                draw.one(["", "keras.mixed_precision.set_global_policy('float32')", mended])
            )
        lines += [
            "model = keras.models.load_model('model.keras')\nstate(model)",
            "show('predicted', model.predict(x, verbose=0))",
            "show('loaded', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)"
            if not huge
            else "",
            "state(model)\nshow('weights', model.get_weights())",
        ]
    elif ending == "config":
        lines += [
            "print(as_json(keras.optimizers.serialize(model.optimizer)))",
            "print(as_json(model.get_compile_config()))",
        ]
    return assemble(*lines)


# Callbacks that act ------------------------------------------------------------------------------

_ACTS = (
    "self.model.stop_training = epoch >= 1",
    "self.model.optimizer.learning_rate = 0.05 / (epoch + 1)",
    "self.model.optimizer.learning_rate.assign(0.02)",
    "print('inside', np.round(self.model.evaluate(x, y, verbose=0), 4))",
    "print('predicted', np.round(self.model.predict(x[:2], verbose=0), 4).tolist())",
    "self.model.layers[0].trainable = epoch % 2 == 0",
    "self.model.layers[-1].set_weights([w * 0.5 for w in self.model.layers[-1].get_weights()])",
    "logs['extra'] = epoch * 2.0",
    "logs.pop('mae', None)",
    "self.model.save_weights(f'at_{epoch}.weights.h5')",
    "print(int(self.model.optimizer.iterations), self.params)",
    "print(sorted(logs), round(float(self.model.optimizer.learning_rate), 5))",
    "self.kept = self.model.get_weights()",
    "self.model.train_on_batch(x[:3], y[:3])",
    "self.model.optimizer.iterations.assign(0)",
    "self.model.reset_metrics()",
)


def _acting(draw: Draw) -> str:
    """Callbacks of users that change what is trained, and how."""
    acts = draw.some(_ACTS, 1, 3)
    batch_acts = draw.one(
        [
            [],
            [],
            ["if batch == 1: self.model.stop_training = True"],
            ["print('batch', batch, {k: round(float(v), 4) for k, v in (logs or {}).items()})"],
            ["self.model.optimizer.learning_rate = 0.01 * (batch + 1)"],
            ["if batch == 0: self.model.reset_metrics()"],
        ]
    )
    hook = draw.one(["epoch_end", "epoch_end", "epoch_begin"])
    if hook == "epoch_begin":
        acts = [a for a in acts if "logs" not in a] or ["print('begins', epoch, logs)"]
    batch_hook = draw.one(["train_batch_end", "train_batch_begin", "batch_end"])
    lines = ["class Acting(keras.callbacks.Callback):"]
    lines.append(f"    def on_{hook}(self, epoch, logs=None):")
    lines += [f"        {act}" for act in acts]
    if batch_acts:
        lines.append(f"    def on_{batch_hook}(self, batch, logs=None):")
        lines += [f"        {act}" for act in batch_acts]
    if draw.chance(0.4):
        lines.append("    def set_model(self, model):\n        super().set_model(model)\n"
                     "        print('model', model.name)")  # fmt: skip
    rate = "0.05" if any("learning_rate" in a for a in [*acts, *batch_acts]) else draw.one(RATES)
    more = draw.some(
        [
            "keras.callbacks.EarlyStopping('loss', patience=0, restore_best_weights=True)",
            "keras.callbacks.CSVLogger('log.csv')",
            "keras.callbacks.ModelCheckpoint('best.weights.h5', monitor='loss',"
            " save_best_only=True, save_weights_only=True)",
            "keras.callbacks.TerminateOnNaN()",
            "keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: print('sees',"
            " {k: round(float(v), 4) for k, v in logs.items()}))",
        ],
        0,
        2,
    )
    callbacks = draw.shuffled(["Acting()", *more])
    arguments = [f"epochs={draw.whole(1, 3)}", f"batch_size={draw.whole(3, 5)}", "shuffle=False"]
    arguments.append(f"verbose={draw.one([0, 0, 2])}")
    if draw.chance(0.4):
        arguments.append("validation_data=(x[:4], y[:4])")
    optimizer = draw.one(["SGD({})", "SGD({}, momentum=0.9)", "Adam({}, epsilon=0.01)"])
    return assemble(
        "\n".join(lines),
        "model = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation='tanh'),"
        f" {draw.one(['layers.Dense(3)', 'layers.BatchNormalization(momentum=0.5)'])},"
        " layers.Dense(1)])",
        f"model.compile(keras.optimizers.{optimizer.format(rate)}, 'mse'"
        f"{draw.one(['', ', metrics=[' + repr('mae') + ']'])}"
        f"{draw.one(['', '', ', run_eagerly=True'])})",
        "x, y = numbers(10, 3), numbers(10, 1, seed=1)",
        f"callbacks = [{', '.join(callbacks)}]",
        f"history = model.fit(x, y, {', '.join(arguments)}, callbacks=callbacks)",
        "show('history', history.history)\nprint(history.epoch)",
        "show('weights', model.get_weights())",
        "print(round(float(model.optimizer.learning_rate), 5), int(model.optimizer.iterations))",
        "print(open('log.csv').read())" if any("CSV" in c for c in callbacks) else "",
        "print(sorted(f for f in os.listdir('.') if f.endswith('.h5')))",
        "show('more', model.fit(x, y, batch_size=5, verbose=0, shuffle=False).history)"
        if draw.chance(0.4)
        else "",
        "show('evaluated', model.evaluate(x, y, verbose=0, callbacks=[keras.callbacks.Callback()]))"
        if draw.chance(0.3)
        else "",
    )


# Loops of users ----------------------------------------------------------------------------------


def _own_loop(draw: Draw) -> str:
    """Steps made by hand: gradients by torch, `apply` and its kin, metrics, `*_on_batch`."""
    optimizer = _optimizer(draw)
    scaled = "loss_scale" in optimizer
    apply = draw.one(
        [
            "optimizer.apply_gradients(zip(gradients, variables))",
            "optimizer.apply(gradients, variables)",
            "optimizer.apply(gradients)",
        ]
    )
    metric = draw.one(
        ["keras.metrics.MeanSquaredError()", "keras.metrics.Mean()", "keras.metrics.Sum()"]
    )
    updated = "y, p" if "Squared" in metric else "loss"
    loss = draw.one(
        ["keras.losses.MeanSquaredError()", "keras.losses.Huber()", "keras.losses.LogCosh()"]
    )
    freeze = draw.one(["", "", "model.layers[0].trainable = False"])
    lines = [
        "model = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation='tanh'),"
        f" {draw.one(['layers.Dense(4)', 'layers.BatchNormalization(momentum=0.5)'])},"
        " layers.Dense(1)])",
        freeze,
        f"optimizer, loss_fn, metric = {optimizer}, {loss}, {metric}",
        "optimizer.build(model.trainable_variables)" if apply.endswith("(gradients)") else "",
        "x, y = ops.convert_to_tensor(numbers(8, 3)), ops.convert_to_tensor(numbers(8, 1, seed=1))",
        f"""
for step in range({draw.whole(2, 5)}):
    p = model(x, training=True)
    loss = loss_fn(y, p)
    model.zero_grad()
    {"optimizer.scale_loss(loss)" if scaled else "loss"}.backward()
    variables = list(model.trainable_weights)
    gradients = [v.value.grad for v in variables]
    with torch.no_grad():
        {apply}
    metric.update_state({updated})
    print(step, round(float(loss), 5), round(float(metric.result()), 5))
""",
        "show('weights', model.get_weights())",
        "print(round(float(optimizer.learning_rate), 6), int(optimizer.iterations))",
        "print([(v.path, tuple(v.shape)) for v in optimizer.variables])",
        "metric.reset_state()\nprint(float(metric.result()))" if draw.chance(0.3) else "",
    ]
    if draw.chance(0.3):
        lines += [
            "model.compile(optimizer, loss_fn, metrics=['mae'])",
            "show('fitted', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)",
            "show('weights on', model.get_weights())",
        ]
    return assemble(*lines)


def _on_batch(draw: Draw) -> str:
    """`train_on_batch` and its kin, between calls of `fit` and `evaluate`."""
    metrics = draw.one(["", ", metrics=['mae']", ", metrics=['mae'], weighted_metrics=['mse']"])
    weights = ["", "", ", sample_weight=np.linspace(0.5, 2, 6)", ", class_weight={0: 1.0, 1: 3.0}"]
    steps = []
    for i in range(draw.whole(3, 7)):
        weight = draw.one(weights)
        steps.append(
            draw.one(
                [
                    f"show('train {i}', model.train_on_batch(x, y{weight}))",
                    f"show('train {i}', model.train_on_batch(x, y{weight}, return_dict=True))",
                    f"show('test {i}', model.test_on_batch(x, y))",
                    f"show('test {i}', model.test_on_batch(x, y, return_dict=True))",
                    f"show('predict {i}', model.predict_on_batch(x))",
                    "model.reset_metrics()",
                    f"show('fit {i}', model.fit(x, y, batch_size=3, verbose=0).history)",
                    f"show('evaluate {i}', model.evaluate(x, y, verbose=0))",
                    f"show('metrics {i}', model.get_metrics_result())",
                    f"print({i}, model.metrics_names, [m.name for m in model.metrics])",
                    "model.layers[0].trainable = False",
                    f"model.compile({_optimizer(draw)}, 'mae'{metrics})",
                    f"show('losses {i}', [float(loss) for loss in model.losses])",
                ]
            )
        )
    middle = draw.one(
        ["layers.Dropout(0.3, seed=1)", "layers.BatchNormalization(momentum=0.5)",
         "layers.Dense(3, activity_regularizer='l2', kernel_regularizer='l1')"]
    )  # fmt: skip
    return assemble(
        f"model = keras.Sequential([keras.Input((3,)), layers.Dense(4, use_bias=False), {middle},"
        " layers.Dense(1, activation='sigmoid')])",
        f"model.compile({_optimizer(draw)}, 'binary_crossentropy'{metrics})",
        "x, y = numbers(6, 3), whole(6, 1, below=2, seed=1)",
        *steps,
        "show('weights', model.get_weights())",
        "print(int(model.optimizer.iterations), len(model.optimizer.variables))",
    )


# Measures of users -------------------------------------------------------------------------------


def _own_measures(draw: Draw) -> str:
    """Losses and metrics of one's own, as functions and classes, in `compile` and in files."""
    loss = draw.one(["my_loss", "MyLoss()", "MyLoss(factor=3.0, name='mine')",
                     "MyLoss(reduction='sum')", "keras.losses.get('mse')"])  # fmt: skip
    metric = draw.one(
        ["my_metric", "MyMetric()", "MyMetric(name='counted')",
         "keras.metrics.MeanMetricWrapper(my_metric, name='wrapped')",
         "keras.metrics.get('mean_absolute_error')", "keras.losses.mean_squared_error"]
    )  # fmt: skip
    decorated = draw.chance()
    register = "@keras.saving.register_keras_serializable('own')\n" if decorated else ""
    source = f"""
{register}def my_loss(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)

{register}def my_metric(y_true, y_pred):
    return ops.max(ops.abs(y_true - y_pred), axis=-1)

{register}class MyLoss(keras.losses.Loss):
    def __init__(self, factor=2.0, name='my_loss', reduction='sum_over_batch_size', dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * ops.mean(ops.abs(y_true - y_pred), axis=-1)

    def get_config(self):
        return {{**super().get_config(), 'factor': self.factor}}

{register}class MyMetric(keras.metrics.Metric):
    def __init__(self, name='my_metric', **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name='total', initializer='zeros')
        self.count = self.add_variable((), 'zeros', name='count')

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = ops.abs(y_true - y_pred)
        if sample_weight is not None:
            values = values * ops.reshape(ops.cast(sample_weight, values.dtype), (-1, 1))
        self.total.assign_add(ops.sum(values))
        self.count.assign(self.count + ops.cast(ops.size(values), 'float32'))

    def result(self):
        return {
        draw.one(
            [
                "self.total / ops.maximum(self.count, 1.0)",
                "{'first': self.total, 'second': self.count}",
            ]
        )
    }
"""
    where = draw.one(["metrics", "metrics", "weighted_metrics"])
    weight = ", sample_weight=np.linspace(0, 1, 8)" if draw.chance(0.4) else ""
    lines = [
        source,
        "model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(1)])",
        f"model.compile({_optimizer(draw)}, {loss}, {where}=[{metric}, 'mae'])",
        "x, y = numbers(8, 3), numbers(8, 1, seed=1)",
        f"history = model.fit(x, y{weight}, epochs=2, batch_size=3, verbose={draw.one([0, 2])},"
        " shuffle=False)",
        "show('history', history.history)",
        f"show('evaluated', model.evaluate(x, y{weight}, verbose=0, return_dict=True))",
        "print(model.metrics_names, [m.name for m in model.metrics],"
        " [v.path for v in model.metrics_variables])",
        "show('weights', model.get_weights())",
    ]
    ending = draw.whole(0, 3)
    known = "{'my_loss': my_loss, 'MyLoss': MyLoss, 'my_metric': my_metric, 'MyMetric': MyMetric}"
    if ending == 0:
        given = "" if decorated else f", custom_objects={known}"
        lines += [
            "print(as_json(model.get_compile_config()))",
            "model.save('model.keras')",
            HANDOVER,
            source,
            "x, y = numbers(8, 3), numbers(8, 1, seed=1)",
            f"model = keras.models.load_model('model.keras'{given})",
            "show('evaluated', model.evaluate(x, y, verbose=0, return_dict=True))",
            "show('on', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)",
            "show('weights', model.get_weights())",
        ]
    elif ending == 1:
        lines += [
            f"loss = {loss}",
            "print(as_json(keras.losses.serialize(loss)))" if loss != "my_loss" else "",
            "show('alone', loss(ops.ones((2, 1)), ops.zeros((2, 1))))",
            "metric = MyMetric()\nmetric.update_state(ops.ones((2, 1)), ops.zeros((2, 1)))",
            "show('result', metric.result())\nprint([v.path for v in metric.variables])",
            "state = metric.stateless_reset_state()",
            "state = metric.stateless_update_state(state, ops.ones((2, 1)), ops.zeros((2, 1)))",
            "show('stateless', metric.stateless_result(state))\nshow('kept', metric.result())",
        ]
    return assemble(*lines)


def _schedules(draw: Draw) -> str:
    """Schedules alone and in optimizers: values, configs, files, steps that go on."""
    own = """
class Halving(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start):
        self.start = start

    def __call__(self, step):
        return self.start / (1 + ops.cast(step, 'float32'))

    def get_config(self):
        return {'start': self.start}
"""
    rate = draw.one([*(r for r in RATES if "schedules" in r), "Halving(0.05)"])
    known = ", custom_objects={'Halving': Halving}" if "Halving" in rate else ""
    lines = [
        own if known else "",
        f"schedule = {rate}",
        "show('values', [float(schedule(step)) for step in range(8)])",
        f"show('tensor', schedule(ops.convert_to_tensor({draw.whole(0, 9)})))",
        "print(as_json(schedule.get_config()))" if draw.chance() else "",
        "other = keras.optimizers.schedules.deserialize("
        f"keras.optimizers.schedules.serialize(schedule){known})\n"
        "show('other', [float(other(step)) for step in (0, 3, 6)])"
        if draw.chance()
        else "",
        "model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(1)])",
        f"model.compile(keras.optimizers.{draw.one(['SGD', 'SGD', 'Adagrad'])}(schedule), 'mse')",
        "x, y = numbers(8, 3), numbers(8, 1, seed=1)",
        "show('fitted', model.fit(x, y, epochs=2, batch_size=3, verbose=0, shuffle=False).history)",
        "show('rate', float(model.optimizer.learning_rate))",
    ]
    ending = draw.whole(0, 4)
    if ending == 0:
        lines.append("attempt('set', lambda: setattr(model.optimizer, 'learning_rate', 0.1))")
    elif ending == 1:
        callback = draw.one(
            ["keras.callbacks.ReduceLROnPlateau('loss', patience=0)",
             "keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)"]
        )  # fmt: skip
        lines.append(
            f"attempt('fit', lambda: model.fit(x, y, epochs=3, verbose=0,"
            f" callbacks=[{callback}]).history)"
        )
    elif ending == 2:
        lines += [
            "model.save('model.keras')",
            f"model = keras.models.load_model('model.keras'{known})",
            "print(type(model.optimizer._learning_rate).__name__, int(model.optimizer.iterations))",
            "show('on', model.fit(x, y, batch_size=3, verbose=0, shuffle=False).history)",
            "show('rate', float(model.optimizer.learning_rate))",
        ]
    elif ending == 3:
        lines += [
            f"model.optimizer.learning_rate = {draw.one([r for r in RATES if 'schedules' in r])}",
            "show('on', model.fit(x, y, batch_size=3, verbose=0, shuffle=False).history)",
            "show('rate', float(model.optimizer.learning_rate))",
        ]
    lines.append("show('weights', model.get_weights())")
    return assemble(*lines)


WRITERS = (_outputs, _outputs, _mixed, _mixed, _acting, _own_loop, _on_batch, _own_measures,
           _schedules)  # fmt: skip
