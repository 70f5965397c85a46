"""Losses and metrics with all their arguments, masks and weights. Used by `training`."""

from __future__ import annotations

from ..drawing import Draw, assemble

__all__ = ["measure"]

# Kinds of data: `real` any numbers, `binary` 0 or 1 against probabilities, `onehot` and `classes`
# against distributions, `signs` -1 or 1, `positive` numbers above zero, `logits` 0 or 1 against
# any.
_LOSSES = {
    "MeanSquaredError": ("real", []),
    "MeanAbsoluteError": ("real", []),
    "MeanAbsolutePercentageError": ("positive", []),
    "MeanSquaredLogarithmicError": ("positive", []),
    "CosineSimilarity": ("real", ["axis=-1", "axis=1"]),
    "Huber": ("real", ["delta=0.5", "delta=2.0"]),
    "LogCosh": ("real", []),
    "Hinge": ("signs", []),
    "SquaredHinge": ("signs", []),
    "CategoricalHinge": ("onehot", []),
    "KLDivergence": ("onehot", []),
    "Poisson": ("positive", []),
    "BinaryCrossentropy": ("binary", ["label_smoothing=0.1", "axis=-1"]),
    "BinaryFocalCrossentropy": (
        "binary",
        ["apply_class_balancing=True, alpha=0.3", "gamma=1.0", "label_smoothing=0.2"],
    ),
    "CategoricalCrossentropy": ("onehot", ["label_smoothing=0.1", "from_logits=True"]),
    "CategoricalFocalCrossentropy": ("onehot", ["alpha=0.5", "gamma=1.0", "label_smoothing=0.1"]),
    "SparseCategoricalCrossentropy": ("classes", ["from_logits=True", "ignore_class=1"]),
    "Dice": ("binary", ["axis=(1,)", "axis=-1"]),
    "Tversky": ("binary", ["alpha=0.3", "beta=0.8", "alpha=0.3, beta=0.8", "alpha=0.7, axis=(1,)"]),
    "Circle": ("embedded", ["gamma=20.0", "margin=0.2", "remove_diagonal=False"]),
    "CategoricalGeneralizedCrossEntropy": ("classes", ["q=0.3"]),
}
_METRICS = {
    "MeanSquaredError": ("real", []),
    "RootMeanSquaredError": ("real", []),
    "MeanAbsoluteError": ("real", []),
    "MeanAbsolutePercentageError": ("positive", []),
    "MeanSquaredLogarithmicError": ("positive", []),
    "CosineSimilarity": ("real", ["axis=-1", "axis=0"]),
    "LogCoshError": ("real", []),
    "R2Score": (
        "real",
        ["class_aggregation=None", "class_aggregation='variance_weighted_average'"],
    ),
    "Hinge": ("signs", []),
    "SquaredHinge": ("signs", []),
    "CategoricalHinge": ("onehot", []),
    "KLDivergence": ("onehot", []),
    "Poisson": ("positive", []),
    "BinaryCrossentropy": ("binary", ["label_smoothing=0.1", "from_logits=True"]),
    "CategoricalCrossentropy": ("onehot", ["label_smoothing=0.1", "from_logits=True"]),
    "SparseCategoricalCrossentropy": ("classes", ["from_logits=True"]),
    "Accuracy": ("same", []),
    "BinaryAccuracy": ("binary", ["threshold=0.3"]),
    "CategoricalAccuracy": ("onehot", []),
    "SparseCategoricalAccuracy": ("classes", []),
    "TopKCategoricalAccuracy": ("onehot", ["k=2"]),
    "SparseTopKCategoricalAccuracy": ("classes", ["k=2"]),
    "Precision": ("binary", ["thresholds=0.3", "thresholds=[0.2, 0.7]", "class_id=1", "top_k=2"]),
    "Recall": ("binary", ["thresholds=0.3", "thresholds=[0.2, 0.7]", "class_id=1", "top_k=2"]),
    "TruePositives": ("binary", ["thresholds=[0.2, 0.7]"]),
    "FalsePositives": ("binary", ["thresholds=[0.2, 0.7]"]),
    "TrueNegatives": ("binary", ["thresholds=0.3"]),
    "FalseNegatives": ("binary", ["thresholds=0.3"]),
    "AUC": (
        "binary",
        ["curve='PR'", "num_thresholds=20", "multi_label=True", "summation_method='minoring'"],
    ),
    "PrecisionAtRecall": ("binary", ["recall=0.5", "recall=0.8, num_thresholds=20"]),
    "RecallAtPrecision": ("binary", ["precision=0.5"]),
    "SensitivityAtSpecificity": ("binary", ["specificity=0.5"]),
    "SpecificityAtSensitivity": ("binary", ["sensitivity=0.5"]),
    "F1Score": ("binary", ["average='macro'", "average='micro', threshold=0.5"]),
    "FBetaScore": ("binary", ["average='weighted', beta=2.0", "threshold=0.4, beta=0.5"]),
    "MeanIoU": ("same", []),
    "IoU": ("same", []),
    "BinaryIoU": ("binary", ["target_class_ids=[1]", "threshold=0.3"]),
    "OneHotIoU": ("onehot", []),
    "OneHotMeanIoU": ("onehot", []),
    "ConcordanceCorrelation": ("real", ["axis=0"]),
    "PearsonCorrelation": ("real", ["axis=0"]),
}
_NEEDED = {
    "MeanIoU": "num_classes=3",
    "IoU": "num_classes=3, target_class_ids=[0, 2]",
    "BinaryIoU": "",
    "OneHotIoU": "num_classes=3, target_class_ids=[0, 1]",
    "OneHotMeanIoU": "num_classes=3",
    "PrecisionAtRecall": "recall=0.5",
    "RecallAtPrecision": "precision=0.5",
    "SensitivityAtSpecificity": "specificity=0.5",
    "SpecificityAtSensitivity": "sensitivity=0.5",
}
_DATA = {
    "real": "y, p = numbers{s}, numbers{s_}",
    "positive": "y, p = np.abs(numbers{s}) + 0.5, np.abs(numbers{s_}) + 0.5",
    "signs": "y, p = np.sign(numbers{s}), numbers{s_}",
    "binary": "y, p = whole{b}, 1 / (1 + np.exp(-numbers{s_}))",
    "onehot": "y = np.eye(3, dtype='float32')[whole{k}]\np = np.exp(numbers{s_})\n"
    "p = p / p.sum(-1, keepdims=True)",
    "classes": "y = whole{k}\np = np.exp(numbers{s_})\np = p / p.sum(-1, keepdims=True)",
    "same": "y, p = whole{c}, whole{c_}",
    "embedded": "y, p = whole{k}, numbers{s_}\np = p / np.sqrt((p ** 2).sum(-1, keepdims=True))",
}


def _arrays(kind: str, shape: tuple[int, ...], seed: int) -> str:
    listed = ", ".join(map(str, shape))
    rows = ", ".join(map(str, shape[:-1]))
    return _DATA[kind].format(
        s=f"({listed}, seed={seed})",
        s_=f"({listed}, seed={seed + 50})",
        b=f"({listed}, below=2, seed={seed})",
        k=f"({rows}, below=3, seed={seed})",
        c=f"({listed}, below=3, seed={seed})",
        c_=f"({listed}, below=3, seed={seed + 50})",
    )


def _called(name: str, kind: str, arguments: list[str]) -> str:
    return f"keras.{kind}.{name}({', '.join(a for a in arguments if a)})"


def measure(draw: Draw) -> str:
    """Losses or metrics: called, in `compile`, or behind a mask."""
    return draw.one([_losses, _losses, _metrics, _metrics, _compiled, _masked])(draw)


def _losses(draw: Draw) -> str:
    name = draw.one([*_LOSSES])
    kind, options = _LOSSES[name]
    flat = kind == "embedded" or draw.chance(0.5)
    shape = (draw.whole(3, 6), 3) if flat else (draw.whole(2, 4), draw.whole(2, 3), 3)
    reduction = draw.one(["sum_over_batch_size", "sum", "none", "mean", "mean_with_sample_weight"])
    arguments = [draw.one(options) if options and draw.chance(0.7) else ""]
    if draw.chance(0.6):
        arguments.append(f"reduction={reduction!r}" if reduction != "none" else "reduction=None")
    lines = [
        _arrays(kind, shape, draw.whole(0, 40)),
        f"loss = {_called(name, 'losses', arguments)}",
        "show('loss', loss(y, p))",
        "print(as_json(loss.get_config()))" if draw.chance(0.4) else "",
    ]
    # Fewer axes of weights fit by chance only.
    rows = str(shape[0]) + ("" if len(shape) < 3 else draw.one([", 1", f", {shape[1]}"]))
    if name not in ("Dice", "Tversky", "Circle"):
        lines.append(f"show('weighted', loss(y, p, sample_weight=np.abs(numbers({rows}, seed=5))))")
        if draw.chance(0.4):
            lines.append(
                f"p = ops.convert_to_tensor(p)\np._keras_mask = ops.convert_to_tensor("
                f"whole({', '.join(map(str, shape[:-1]))}, below=2, seed=6) > 0)\n"
                "show('masked', loss(y, p))\n"
                f"show('both', loss(y, p, sample_weight=np.abs(numbers({rows}, seed=5))))"
            )
    if draw.chance(0.3):
        lines.append(
            "other = keras.losses.deserialize(keras.losses.serialize(loss))\n"
            "show('again', other(y, p))"
        )
    return assemble(*lines)


def _metric(draw: Draw) -> tuple[str, str]:
    """A metric in source, and its kind of data."""
    name = draw.one([*_METRICS])
    kind, options = _METRICS[name]
    needed = _NEEDED.get(name, "")
    chosen = draw.one(options) if options and draw.chance(0.7) else needed
    return _called(name, "metrics", [chosen]), kind


def _metrics(draw: Draw) -> str:
    metric, kind = _metric(draw)
    lines = [f"metric = {metric}"]
    shape = (draw.whole(3, 6), 3)
    for i in range(draw.whole(1, 3)):
        lines.append(_arrays(kind, shape, draw.whole(0, 40)))
        weights = f", sample_weight=np.abs(numbers({shape[0]}, seed=5))" if draw.chance(0.4) else ""
        lines.append(f"metric.update_state(y, p{weights})\nshow('result {i}', metric.result())")
    lines += [
        "print(metric.name, metric.dtype, [(v.path, tuple(v.shape)) for v in metric.variables])",
        "show('state', [keras.ops.convert_to_numpy(v) for v in metric.variables])",
        "print(as_json(metric.get_config()))" if draw.chance(0.4) else "",
        "metric.reset_state()\nshow('reset', metric.result())" if draw.chance(0.4) else "",
        "show('called', metric(y, p))" if draw.chance(0.5) else "",
    ]
    return assemble(*lines)


_HEADS = {
    "binary": "sigmoid",
    "onehot": "softmax",
    "classes": "softmax",
    "real": "linear",
    "positive": "softplus",
    "signs": "tanh",
}


def _compiled(draw: Draw) -> str:
    kind = draw.one([*_HEADS])
    names = [n for n, (k, _) in _LOSSES.items() if k == kind]
    loss = draw.one(names)
    option = draw.one(["", *_LOSSES[loss][1]])
    if "logits" in option or "(1," in option:
        option = ""
    metrics = []
    for name, (k, options) in _METRICS.items():
        if k == kind and draw.chance(0.25):
            chosen = draw.one([_NEEDED.get(name, ""), *options])
            # Means over a batch's rows, or results of several numbers, are no logs.
            if not any(s in chosen for s in ("logits", "axis=0", "None")):
                metrics.append(_called(name, "metrics", [chosen]))
    weight = ", sample_weight=np.abs(numbers(12, seed=5))" if draw.chance(0.4) else ""
    where = draw.one(["metrics", "metrics", "weighted_metrics"])
    head = f"layers.Dense(3, activation='{_HEADS[kind]}')"
    return assemble(
        f"model = keras.Sequential([keras.Input((4,)), {head}])",
        f"model.compile(keras.optimizers.SGD(0.05), {_called(loss, 'losses', [option])},"
        f" {where}=[{', '.join(metrics)}])",
        _arrays(kind, (12, 3), draw.whole(0, 40)),
        "x = numbers(12, 4, seed=77)",
        f"show('history', model.fit(x, y{weight}, epochs=2, batch_size=5, verbose=0,"
        " shuffle=False).history)",
        f"show('evaluated', model.evaluate(x, y{weight}, batch_size=5, verbose=0,"
        " return_dict=True))",
        "print(model.metrics_names, [m.name for m in model.metrics])",
        "show('weights', model.get_weights())",
    )


def _masked(draw: Draw) -> str:
    """Sequences behind a mask; CTC among the losses."""
    source = draw.one(
        [
            "keras.Input((5, 3)), layers.Masking(0.0)",
            "keras.Input((5,)), layers.Embedding(7, 3, mask_zero=True)",
        ]
    )
    embedded = "Embedding" in source
    middle = draw.one(
        [
            "layers.LSTM(4, return_sequences=True)",
            "layers.Dense(4, activation='tanh')",
            "layers.GRU(4, return_sequences=True)",
            "layers.Dropout(0.2, seed=1)",
        ]
    )
    loss = draw.one(["mse", "mae", "sparse", "ctc", "bce"])
    head = {
        "mse": "layers.Dense(2)",
        "mae": "layers.Dense(2)",
        "sparse": "layers.Dense(4, activation='softmax')",
        "ctc": "layers.Dense(4)",
        "bce": "layers.Dense(2, activation='sigmoid')",
    }[loss]
    spelled = {
        "mse": "'mse'",
        "mae": "keras.losses.MeanAbsoluteError(reduction='sum')",
        "sparse": "'sparse_categorical_crossentropy'",
        "ctc": "keras.losses.CTC()",
        "bce": "'binary_crossentropy'",
    }[loss]
    target = {
        "mse": "numbers(6, 5, 2, seed=1)",
        "mae": "numbers(6, 5, 2, seed=1)",
        "sparse": "whole(6, 5, below=4, seed=1)",
        "ctc": "1 + whole(6, 2, below=3, seed=1)",
        "bce": "whole(6, 5, 2, below=2, seed=1)",
    }[loss]
    x = "whole(6, 5, below=7, seed=3)" if embedded else "numbers(6, 5, 3, seed=3)"
    cut = "x[:, 3:] = 0" if draw.chance(0.8) else "x[0, 2:] = 0"
    metrics = draw.one(["", ", metrics=['mae']", ", weighted_metrics=['mse']"])
    if loss in ("sparse", "ctc"):
        metrics = ", metrics=['accuracy']" if loss == "sparse" and draw.chance() else ""
    weight = ""
    if loss != "ctc":
        weight = draw.one(
            ["", "", ", sample_weight=np.linspace(0, 1, 6)", ", sample_weight=np.ones((6, 5))"]
        )
    return assemble(
        f"model = keras.Sequential([{source}, {middle}, {head}])",
        f"model.compile(keras.optimizers.SGD(0.01), {spelled}{metrics})",
        f"x = {x}\n{cut}\nx[:, 0] = 1\ny = {target}",
        f"show('history', model.fit(x, y{weight}, epochs=2, batch_size=3, verbose=0,"
        " shuffle=False).history)",
        f"show('evaluated', model.evaluate(x, y{weight}, verbose=0))",
        "show('predicted', model.predict(x, verbose=0))",
        "show('weights', model.get_weights())",
    )
