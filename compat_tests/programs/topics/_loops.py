"""The training loop: callbacks, the arguments of `fit`, optimizers. Used by `training`."""

from __future__ import annotations

from ..drawing import Draw, assemble

__all__ = ["RATES", "loop", "optimization"]

_PRINTER = """
class Printer(keras.callbacks.Callback):
    def say(self, hook, at=None, logs=None):
        values = {k: float(v) for k, v in (logs or {}).items() if k != "outputs"}
        print(hook, at, values)
"""
_HOOKS = (
    "train_begin", "train_end", "epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end",
    "test_begin", "test_end", "test_batch_begin", "test_batch_end", "predict_begin", "predict_end",
    "predict_batch_begin", "predict_batch_end", "batch_begin", "batch_end",
)  # fmt: skip


def _printer(draw: Draw) -> str:
    lines = [_PRINTER.strip("\n")]
    for hook in draw.some(_HOOKS, 2, 8):
        at = "" if hook in _WHOLE else ", at"
        lines.append(
            f"    def on_{hook}(self{at}, logs=None):\n"
            f"        self.say({hook!r}, {'at' if at else None}, logs)"
        )
    return "\n".join(lines)


_WHOLE = {f"{mode}_{end}" for mode in ("train", "test", "predict") for end in ("begin", "end")}


def _callbacks(draw: Draw, monitored: str) -> list[str]:
    best = draw.one(["True", "False"])
    patience = draw.whole(0, 2)
    mode = draw.one(["'auto'", "'min'", "'max'"])
    verbose = draw.one([0, 0, 1])
    options = [
        f"keras.callbacks.EarlyStopping(monitor={monitored!r}, patience={patience}, mode={mode},"
        f" restore_best_weights={best}, min_delta={draw.one([0, 0.01, 0.1])}, verbose={verbose},"
        f" start_from_epoch={draw.one([0, 0, 1])}, baseline={draw.one([None, None, 0.5])})",
        f"keras.callbacks.ReduceLROnPlateau(monitor={monitored!r}, factor=0.5, patience=0,"
        f" mode={mode}, min_delta={draw.one([0, 0.1])}, cooldown={draw.one([0, 1])},"
        f" min_lr={draw.one([0.0, 0.004])}, verbose={verbose})",
        f"keras.callbacks.ModelCheckpoint({_checkpoint(draw)}, monitor={monitored!r},"
        f" save_best_only={best}, mode={mode}, verbose={verbose},"
        f" save_freq={draw.one(['1', '3']) if draw.chance(0.2) else repr('epoch')})",
        "keras.callbacks.CSVLogger('log.csv')",
        "keras.callbacks.CSVLogger('other.csv', separator=';', append=True)",
        "keras.callbacks.TerminateOnNaN()",
        f"keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5, verbose={verbose})",
        "keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1))",
        "keras.callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: print('begins', e, logs),"
        " on_train_end=lambda logs: print('ends', sorted(logs)))",
        "keras.callbacks.BackupAndRestore('backup')",
        "keras.callbacks.SwapEMAWeights()",
        "keras.callbacks.SwapEMAWeights(swap_on_epoch=True)",
        "Printer()",
        "Printer()",
        "keras.callbacks.History()",
        "keras.callbacks.ProgbarLogger()",
    ]
    return draw.some(options, 0, 4)


def _checkpoint(draw: Draw) -> str:
    return draw.one(
        [
            "'best.keras'",
            "'at_{epoch:02d}.keras'",
            "'at_{epoch:02d}-{loss:.2f}.weights.h5', save_weights_only=True",
            "'w.weights.h5', save_weights_only=True",
        ]
    )


def _network(draw: Draw) -> str:
    # The bias before a BatchNormalization has no gradient but roundings, which many optimizers
    # make steps of.
    first = "layers.Dense(4)"
    middle = draw.one(
        [
            "layers.BatchNormalization(momentum=0.5)",
            "layers.Dropout(0.3, seed=2)",
            "layers.Dense(4, activation='relu', kernel_regularizer='l2')",
            "layers.LayerNormalization()",
        ]
    )
    if "Batch" in middle:
        first = "layers.Dense(4, use_bias=False)"
    return f"model = keras.Sequential([keras.Input((3,)), {first}, {middle}, layers.Dense(1)])"


def loop(draw: Draw) -> str:
    """`fit` with its arguments and callbacks."""
    rows = draw.one([8, 10, 13])
    validated = draw.one(["none", "data", "weights", "split"])
    monitored = "loss" if validated == "none" or draw.chance(0.3) else "val_loss"
    callbacks = _callbacks(draw, monitored)
    ema = any("EMA" in c for c in callbacks)
    metrics = draw.one(["", ", metrics=['mae']", ", metrics=['mae'], weighted_metrics=['mse']"])
    rate = draw.one([0.01, 0.03, 0.1])
    average = ", use_ema=True, ema_momentum=0.5" if ema else ""
    extra = draw.one(
        ["", "", ", steps_per_execution=1", ", run_eagerly=True"]
    )  # more: Keras refuses
    # What callbacks print shares its line with the bar, if the clock has let that one be drawn.
    printing = any(word in c for c in callbacks for word in ("Printer", "print", "verbose=1"))
    arguments = [
        f"epochs={draw.whole(1, 4)}",
        f"batch_size={draw.whole(3, 5)}",
        f"verbose={draw.one([0, 2] if printing else [0, 2, 1])}",
    ]
    if draw.chance(0.6):
        arguments.append("shuffle=False")
    if draw.chance(0.2):
        arguments.append("initial_epoch=1")
    if draw.chance(0.2):
        arguments.append(f"steps_per_epoch={draw.whole(1, 2)}")
    arguments += {
        "none": [],
        "data": ["validation_data=(numbers(6, 3, seed=8), numbers(6, 1, seed=9))"],
        "weights": [
            "validation_data=(numbers(6, 3, seed=8), numbers(6, 1, seed=9), np.linspace(0, 1, 6))"
        ],
        "split": [f"validation_split={draw.one([0.25, 0.4])}"],
    }[validated]
    if validated != "none":
        arguments += draw.some(
            ["validation_freq=2", "validation_batch_size=2", "validation_steps=1"], 0, 1
        )
    weighting = draw.one(["", "", "sample_weight=np.linspace(0.5, 2, len(x))"])
    if weighting:
        arguments.append(weighting)
    classes = not weighting and draw.chance(0.2)
    if classes:
        arguments.append("class_weight={0: 1.0, 1: 3.0}")
    target = "whole(%d, 1, below=2, seed=1)" if classes else "numbers(%d, 1, seed=1)"
    lines = [
        _printer(draw) if any("Printer" in c for c in callbacks) else "",
        _network(draw),
        f"model.compile(keras.optimizers.SGD({rate}{average}), 'mse'{metrics}{extra})",
        f"x = numbers({rows}, 3)\ny = {target % rows}",
        f"callbacks = [{', '.join(callbacks)}]",
        f"history = model.fit(x, y, {', '.join([*arguments, 'callbacks=callbacks'])})",
        "show('history', history.history)\nprint(history.epoch, history.params)",
        "show('weights', model.get_weights())",
        "print(round(float(model.optimizer.learning_rate), 6), int(model.optimizer.iterations))",
    ]
    if any("CSV" in c for c in callbacks):
        names = [n for n in ("log", "other") if any(f"'{n}.csv'" in c for c in callbacks)]
        lines += [f"print(open('{name}.csv').read())" for name in names]
    if any("Checkpoint" in c for c in callbacks):
        lines.append("print(sorted(f for f in os.listdir('.') if f.endswith(('.keras', '.h5'))))")
    for i, c in enumerate(callbacks):
        if "EarlyStopping" in c:
            lines.append(
                f"print(callbacks[{i}].stopped_epoch, callbacks[{i}].wait,"
                f" callbacks[{i}].best_epoch, callbacks[{i}].patience)"
            )
    if draw.chance(0.4):
        rest = [c for c in callbacks if "Printer" in c or "Lambda" in c]
        lines.append(
            f"show('evaluated', model.evaluate(x, y, batch_size=4, verbose={draw.one([0, 2])},"
            f" return_dict=True, callbacks=[{', '.join(rest)}]))\n"
            f"show('predicted', model.predict(x, batch_size=5, verbose=0,"
            f" callbacks=[{', '.join(rest)}]))"
        )
    if draw.chance(0.3):
        lines.append("show('more', model.fit(x, y, epochs=2, batch_size=5, verbose=2).history)")
    return assemble(*lines)


RATES = (
    "0.01",
    "0.05",
    "keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5, staircase=True)",
    "keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.05, 0.02, 0.01])",
    "keras.optimizers.schedules.PolynomialDecay(0.05, 5, 0.001, power=2.0, cycle=True)",
    "keras.optimizers.schedules.InverseTimeDecay(0.05, 1, 0.5)",
    "keras.optimizers.schedules.CosineDecay(0.01, 4, warmup_target=0.05, warmup_steps=2)",
    "keras.optimizers.schedules.CosineDecayRestarts(0.05, 2, t_mul=2.0, m_mul=0.5)",
)
_SPECIFIC = {
    "SGD": ["momentum=0.9", "momentum=0.5, nesterov=True"],
    "Adam": ["epsilon=0.01", "epsilon=0.01, amsgrad=True", "epsilon=0.01, beta_1=0.5"],
    "AdamW": ["epsilon=0.01, weight_decay=0.1"],
    "Adamax": ["epsilon=0.01"],
    "Nadam": ["epsilon=0.01"],
    "RMSprop": ["epsilon=0.01", "epsilon=0.01, centered=True, momentum=0.5"],
    "Adagrad": ["initial_accumulator_value=0.5"],
    "Adadelta": ["epsilon=0.01", "epsilon=0.01, rho=0.5"],
    "Ftrl": ["l1_regularization_strength=0.001", "beta=0.1, initial_accumulator_value=0.5"],
    "Adafactor": ["relative_step=False", "beta_2_decay=-0.5"],
    "Lamb": ["epsilon=0.01"],
    "Muon": ["epsilon=0.01, adam_lr_ratio=0.5"],
    "ScheduleFreeAdamW": ["epsilon=0.01"],
}


def optimization(draw: Draw) -> str:
    """An optimizer, its arguments, its variables, and its state in use."""
    name = draw.one([*_SPECIFIC])
    rate = draw.one(RATES)
    options = draw.some(
        [
            "weight_decay=0.05" if name != "AdamW" else "",
            "use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2",
            "use_ema=True, ema_momentum=0.9",
            f"gradient_accumulation_steps={draw.whole(2, 3)}",
            f"loss_scale_factor={draw.one(['2.0', '128.0'])}",
        ],
        0,
        2,
    )
    if sum("ema" in o for o in options) > 1:
        options = options[:1]
    options.append(draw.one(["", "", "clipnorm=0.5", "clipvalue=0.1", "global_clipnorm=0.5"]))
    options.append(draw.one(["", *_SPECIFIC[name]]))
    listed = "".join(f", {option}" for option in options if option)
    lines = [
        _network(draw),
        f"optimizer = keras.optimizers.{name}({rate}{listed})",
        draw.one(
            ["", "", "optimizer.exclude_from_weight_decay(var_names=['bias'])"]
            if "weight_decay" in listed
            else [""]
        ),
        "model.layers[0].trainable = False" if draw.chance(0.15) else "",
    ]
    if draw.chance(0.15):
        lines.append(
            "optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)"
        )
    lines += [
        "model.compile(optimizer, 'mse')",
        "x = numbers(12, 3)\ny = numbers(12, 1, seed=1)",
        "fitted = model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False)",
        "show('history', fitted.history)",
        "print([(v.path, v.name, tuple(v.shape)) for v in model.optimizer.variables])",
        "show('weights', model.get_weights())",
        "show('state', [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables])"
        if draw.chance()
        else "",
    ]
    ending = draw.whole(0, 4)
    if ending == 0:
        lines.append(
            "config = keras.optimizers.serialize(model.optimizer)\nprint(as_json(config))\n"
            "print(type(keras.optimizers.deserialize(config)).__name__)"
        )
    elif ending == 1:
        lines.append(
            "model.save('model.keras')\nmodel = keras.models.load_model('model.keras')\n"
            "print([v.path for v in model.optimizer.variables])\n"
            "show('on', model.fit(x, y, batch_size=4, verbose=0, shuffle=False).history)\n"
            "show('weights on', model.get_weights())"
        )
    elif ending == 2:
        lines.append(
            "model.optimizer.finalize_variable_values(model.trainable_variables)\n"
            "show('final', model.get_weights())\n"
            "print(float(model.optimizer.learning_rate))"
        )
    return assemble(*lines)
