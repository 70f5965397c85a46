"""Files of older Keras: genuine ones of tf.keras 2.15, and others made by hand after its documents.

`data/make_tf_keras_2_15.txt` made the genuine files and recorded what their models computed.
"""

import io
import json
import pathlib
import warnings
import zipfile

import h5py
import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras.constraints import Keras2RadialConstraint
from torchkeras.saving import FileFormatError, load_model
from torchkeras.saving.legacy_config import modernize, to_legacy
from torchkeras.saving.legacy_training import (
    decode,
    load_optimizer_state,
    modernize_training,
)

DATA = pathlib.Path(__file__).parent / "data" / "tf_keras_2_15.zip"
# float32 on other kernels, after two epochs of training.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}

with zipfile.ZipFile(DATA) as _archive:
    FILES = {name: _archive.read(name) for name in _archive.namelist()}


def recorded(name):
    arrays = np.load(io.BytesIO(FILES[f"{name}.npz"]))
    groups = {
        key: [arrays[f"{key}{i}"] for i in range(2) if f"{key}{i}" in arrays]
        for key in ("x", "y", "p", "after")
    }
    return {key: value if len(value) > 1 else value[0] for key, value in groups.items()}


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", sorted(n for n in FILES if n.endswith((".h5", ".keras"))))
def test_tf_keras_files(name):
    if name.endswith(".weights.h5"):
        pytest.skip("weights only; see test_tf_keras_weights")
    known = recorded(name.partition(".")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(io.BytesIO(FILES[name]))
    predictions = as_list(model.predict(known["x"], verbose=0))
    for ours, theirs in zip(predictions, as_list(known["p"]), strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)
    # The optimizer's state came along: one more step leads to where tf.keras got.
    if int(model.optimizer.iterations) == 0:
        pytest.fail("the optimizer starts afresh")
    model.train_on_batch(known["x"], known["y"])
    for ours, theirs in zip(
        as_list(model.predict(known["x"], verbose=0)), as_list(known["after"]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "multi", "text"])
def test_tf_keras_weights_of_whole_files(name):
    known = recorded(name)
    model = load_model(io.BytesIO(FILES[f"{name}.keras"]), compile=False)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(io.BytesIO(FILES[f"{name}.h5"]))
    for ours, theirs in zip(
        as_list(model.predict(known["x"], verbose=0)), as_list(known["p"]), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_tf_keras_weights():
    known = recorded("mlp")
    model = load_model(io.BytesIO(FILES["mlp.keras"]), compile=False)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(io.BytesIO(FILES["mlp.weights.h5"]))
    np.testing.assert_allclose(model.predict(known["x"], verbose=0), known["p"], **CLOSE)


# Made by hand ------------------------------------------------------------------------------------


def h5_model(config, weights, version, training=None):
    """An `.h5` file as Keras 1 and 2 wrote it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        if training:
            file.attrs["training_config"] = json.dumps(training).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        if version:
            group.attrs["keras_version"] = version.encode()
        for name, arrays in weights.items():
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [f"{name}/w{i}:0".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                layer.create_dataset(f"{name}/w{i}:0", data=array)
    return io.BytesIO(buffer.getvalue())


RNG = np.random.default_rng(0)


def dense_weights(n, m):
    return [RNG.normal(size=(n, m)).astype("f"), RNG.normal(size=m).astype("f")]


def test_keras_2_sequential_as_a_list():
    """Until Keras 2.2.2 the configuration of `Sequential` was a list of layers."""
    first, second = dense_weights(3, 4), dense_weights(4, 2)
    glorot = {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
    }
    shared = {"trainable": True, "use_bias": True, "kernel_initializer": glorot}
    shared["bias_initializer"] = {"class_name": "Zeros", "config": {}}
    shared["kernel_regularizer"] = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Dense",
                "config": {
                    "name": "dense_1",
                    "batch_input_shape": [None, 3],
                    "dtype": "float32",
                    "units": 4,
                    "activation": "relu",
                    **shared,
                },
            },
            {
                "class_name": "Dense",
                "config": {"name": "dense_2", "units": 2, "activation": "linear", **shared},
            },
        ],
    }
    training = {
        "optimizer_config": {
            "class_name": "SGD",
            "config": {"lr": 0.125, "momentum": 0.5, "decay": 0.0, "nesterov": False},
        },
        "loss": "mean_squared_error",
        "metrics": ["accuracy"],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    weights = {"dense_1": first, "dense_2": second}
    model = load_model(h5_model(config, weights, "2.1.6", training))
    x = RNG.normal(size=(5, 3)).astype("f")
    hidden = np.maximum(x @ first[0] + first[1], 0)
    expected = hidden @ second[0] + second[1]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert float(model.optimizer.learning_rate) == 0.125
    assert model.optimizer.momentum == 0.5
    assert model.input_shape == (None, 3)


def test_keras_2_functional_model():
    """Class `Model`, lists as nodes, and one output in a list."""
    w = dense_weights(3, 3)
    config = {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": [
                {
                    "name": "input_1",
                    "class_name": "InputLayer",
                    "config": {
                        "batch_input_shape": [None, 3],
                        "dtype": "float32",
                        "sparse": False,
                        "name": "input_1",
                    },
                    "inbound_nodes": [],
                },
                {
                    "name": "dense_1",
                    "class_name": "Dense",
                    "config": {"name": "dense_1", "units": 3, "activation": "tanh"},
                    "inbound_nodes": [[["input_1", 0, 0, {}]]],
                },
                {
                    "name": "add_1",
                    "class_name": "Add",
                    "config": {"name": "add_1", "trainable": True},
                    "inbound_nodes": [[["input_1", 0, 0, {}], ["dense_1", 0, 0, {}]]],
                },
            ],
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [["add_1", 0, 0]],
        },
    }
    model = load_model(h5_model(config, {"input_1": [], "dense_1": w, "add_1": []}, "2.3.1"))
    x = RNG.normal(size=(5, 3)).astype("f")
    expected = x + np.tanh(x @ w[0] + w[1])
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert not model.compiled


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_keras_1_layers():
    """Names of arguments, and the LSTM's twelve weights."""
    kernel = RNG.normal(size=(2, 2, 1, 2)).astype("f")
    bias = RNG.normal(size=2).astype("f")
    gates = [
        RNG.normal(size=shape).astype("f") for _ in range(4) for shape in ((2, 3), (3, 3), (3,))
    ]
    config = {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "Convolution2D",
                "config": {
                    "name": "conv",
                    "batch_input_shape": [None, 3, 4, 1],
                    "input_dtype": "float32",
                    "nb_filter": 2,
                    "nb_row": 2,
                    "nb_col": 2,
                    "init": "glorot_uniform",
                    "activation": "relu",
                    "border_mode": "valid",
                    "subsample": [1, 1],
                    "dim_ordering": "tf",
                    "W_regularizer": None,
                    "bias": True,
                },
            },
            {"class_name": "Reshape", "config": {"name": "r", "target_shape": [6, 2]}},
            {"class_name": "Dropout", "config": {"name": "drop", "p": 0.25}},
            {
                "class_name": "LSTM",
                "config": {
                    "name": "lstm",
                    "output_dim": 3,
                    "init": "glorot_uniform",
                    "inner_init": "orthogonal",
                    "forget_bias_init": "one",
                    "activation": "tanh",
                    "inner_activation": "sigmoid",
                    "return_sequences": False,
                    "consume_less": "cpu",
                    "dropout_W": 0.0,
                    "dropout_U": 0.0,
                    "input_dim": 2,
                    "input_length": None,
                },
            },
        ],
    }
    weights = {"conv": [kernel, bias], "r": [], "drop": [], "lstm": gates}
    model = load_model(h5_model(config, weights, ""))
    assert model.layers[2].rate == 0.25
    x = RNG.normal(size=(2, 3, 4, 1)).astype("f")
    conv = np.zeros((2, 2, 3, 2), "f")
    for i in range(2):
        for j in range(3):
            patch = x[:, i : i + 2, j : j + 2, 0]
            conv[:, i, j] = np.maximum(np.einsum("bij,ijo->bo", patch, kernel[:, :, 0]) + bias, 0)
    w = {gate: gates[3 * i : 3 * i + 3] for i, gate in enumerate("icfo")}
    h = c = np.zeros((2, 3), "f")
    for step in conv.reshape(2, 6, 2).transpose(1, 0, 2):
        z = {g: step @ w[g][0] + h @ w[g][1] + w[g][2] for g in w}
        c = sigmoid(z["f"]) * c + sigmoid(z["i"]) * np.tanh(z["c"])
        h = sigmoid(z["o"]) * np.tanh(c)
    np.testing.assert_allclose(model.predict(x, verbose=0), h, rtol=1e-4, atol=1e-5)


# Configurations ----------------------------------------------------------------------------------


def layer(name, inner, version="2.3.1"):
    return modernize({"class_name": name, "config": inner}, "m.h5", version)["config"]


def test_arguments_that_no_longer_exist():
    assert "time_major" not in layer("LSTM", {"units": 2, "time_major": False})
    with pytest.raises(FileFormatError, match="time_major=True"):
        layer("LSTM", {"name": "a", "units": 2, "time_major": True})
    assert layer("BatchNormalization", {"axis": [3], "fused": True}) == {"axis": 3}
    with pytest.raises(FileFormatError, match="'a' .Dense. has slope=2"):
        layer("Dense", {"name": "a", "units": 1, "slope": 2})
    assert layer("LeakyReLU", {"alpha": 0.05}) == {"negative_slope": 0.05}
    old = {"rate": 0.5, "trainable": True, "noise_shape": None, "seed": None}
    assert layer("SpatialDropout1D", old) == {"rate": 0.5, "seed": None}
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    assert layer("Dense", {"units": 1, "dtype": policy})["dtype"]["class_name"] == "DTypePolicy"


def test_tensorflow_operations_that_are_not_read_are_named():
    node = '{"name": "add", "op": "AddV2", "input": ["x", "y"]}'
    with pytest.raises(FileFormatError, match="AddV2"):
        layer("TensorFlowOpLayer", {"name": "tf_op_layer_add", "node_def": node}, "2.3.0")
    with pytest.raises(FileFormatError, match="RaggedTensor.from_tensor"):
        inner = {"name": "r", "cls_symbol": "RaggedTensor", "method_name": "from_tensor"}
        layer("ClassMethod", inner, "2.15.0")


def test_lambda_byte_code_is_refused():
    inner = {"name": "l", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}
    model = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [{"class_name": "Lambda", "config": inner}]},
    }
    with pytest.raises(ValueError, match="safe_mode"):
        load_model(h5_model(model, {}, "2.3.1"))


def test_special_values():
    special = {"a": {"class_name": "__tuple__", "items": [1, [2, {"class_name": "__tuple__"}]]}}
    assert decode(special) == {"a": (1, [2, ()])}
    assert decode({"class_name": "TensorShape", "items": [None, 3]}) == [None, 3]


def test_training_configurations():
    loss = {"class_name": "Huber", "config": {"reduction": "auto", "delta": 2.0, "fn": "huber"}}
    mae = {
        "class_name": "MeanMetricWrapper",
        "config": {"name": "mae", "fn": "mean_absolute_error"},
    }
    accuracy = {
        "class_name": "MeanMetricWrapper",
        "config": {"name": "acc", "fn": "binary_accuracy"},
    }
    config = modernize_training(
        {
            "optimizer_config": {
                "class_name": "Custom>Adam",
                "config": {"lr": 0.5, "is_legacy_optimizer": False, "jit_compile": True},
            },
            "loss": {"out": loss},
            "metrics": [[mae, accuracy]],
            "loss_weights": None,
        },
        "m.h5",
    )
    assert config["optimizer"]["config"] == {"learning_rate": 0.5}
    assert config["loss"]["out"]["config"] == {"reduction": "sum_over_batch_size", "delta": 2.0}
    assert keras.metrics.deserialize(config["metrics"][0]).name == "mae"
    assert config["metrics"][1] == "acc"
    with pytest.raises(FileFormatError, match="no optimizer"):
        modernize_training({"loss": "mse"}, "m.h5")
    with pytest.raises(FileFormatError, match=r"Adam\(speed=3\)"):
        modernize_training(
            {"optimizer_config": {"class_name": "Adam", "config": {"speed": 3}}}, "m.h5"
        )


def test_a_whole_number_may_be_the_learning_rate():
    old = {"class_name": "Adadelta", "config": {"learning_rate": 1, "decay": 0.0}}
    config = modernize_training({"optimizer_config": old}, "m.h5")["optimizer"]
    assert float(keras.optimizers.deserialize(config).learning_rate) == 1.0


def test_weights_of_labels_may_be_an_array():
    weights = {"class_name": "__numpy__", "config": {"value": [0.25, 0.75], "dtype": "float32"}}
    inner = {"name": "auc", "multi_label": True, "num_labels": 2, "label_weights": weights}
    metrics = [{"class_name": "AUC", "config": inner}]
    config = modernize_training({"optimizer": "sgd", "metrics": metrics}, "m.keras")
    auc = keras.metrics.deserialize(config["metrics"][0])
    assert np.asarray(auc.label_weights).tolist() == [0.25, 0.75]


def test_decay_is_the_schedule_that_it_was():
    old = {"class_name": "SGD", "config": {"lr": 0.2, "decay": 0.5, "momentum": 0.0}}
    config = modernize_training({"optimizer_config": old}, "m.h5")["optimizer"]
    optimizer = keras.optimizers.deserialize(config)
    rates = [float(optimizer._learning_rate(step)) for step in range(3)]
    np.testing.assert_allclose(rates, [0.2 / (1 + 0.5 * step) for step in range(3)], rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "names", "kinds"),
    [
        # tf.keras from 2.11: the order of today, and momenta that plain SGD does not use
        (keras.optimizers.SGD(), ["SGD/m/k:0", "SGD/m/b:0"], []),
        (keras.optimizers.SGD(use_ema=True), ["SGD/average/k:0", "SGD/average/b:0", "SGD/m/k:0",
         "SGD/m/b:0"], ["SGD/average/k:0", "SGD/average/b:0"]),
        (keras.optimizers.Adam(), ["Adam/m/k:0", "Adam/v/k:0", "Adam/m/b:0", "Adam/v/b:0"],
         ["Adam/m/k:0", "Adam/v/k:0", "Adam/m/b:0", "Adam/v/b:0"]),
        # before: by kind, or each kind beside the other (Ftrl)
        (keras.optimizers.Adamax(), ["A/k/m:0", "A/b/m:0", "A/k/v:0", "A/b/v:0"],
         ["A/k/m:0", "A/k/v:0", "A/b/m:0", "A/b/v:0"]),
        (keras.optimizers.Adam(amsgrad=True), ["A/k/m:0", "A/b/m:0", "A/k/v:0", "A/b/v:0",
         "A/k/vhat:0", "A/b/vhat:0"], ["A/k/m:0", "A/k/v:0", "A/b/m:0", "A/b/v:0", "A/k/vhat:0",
         "A/b/vhat:0"]),
        (keras.optimizers.RMSprop(momentum=0.5), ["R/k/rms:0", "R/b/rms:0", "R/k/momentum:0",
         "R/b/momentum:0"], ["R/k/rms:0", "R/b/rms:0", "R/k/momentum:0", "R/b/momentum:0"]),
        (keras.optimizers.Ftrl(), ["F/k/accumulator:0", "F/k/linear:0", "F/b/accumulator:0",
         "F/b/linear:0"], ["F/k/accumulator:0", "F/k/linear:0", "F/b/accumulator:0",
         "F/b/linear:0"]),
        # Keras up to 2.3: numbered, with stand-ins for the slots of AMSGrad
        (keras.optimizers.Adam(), ["V_1:0", "V_2:0", "V_3:0", "V_4:0", "1:V_5:0", "1:V_6:0"],
         ["V_1:0", "V_3:0", "V_2:0", "V_4:0"]),
    ],
)  # fmt: skip
def test_state_of_optimizers_of_every_generation(optimizer, names, kinds):
    """Each value tells its name by a number."""
    weights = [keras.Variable(np.zeros(2), name="k"), keras.Variable(np.zeros(2), name="b")]
    optimizer.build(weights)
    numbers = dict(zip(names, range(1, len(names) + 1), strict=True))
    values = [np.full(1 if name[:2] == "1:" else 2, numbers[name], "float32") for name in names]
    new = names[0].split("/")[1:2] in (["m"], ["average"])
    count = "iteration:0" if new else "A/iter:0"
    assert load_optimizer_state(optimizer, [np.int64(7), *values], [count, *names], "2.15.0")
    assert int(optimizer.iterations) == 7
    assert float(optimizer.learning_rate) == pytest.approx(float(type(optimizer)().learning_rate))
    slots = [float(variable[0]) for variable in optimizer.variables[2:]]
    assert slots == [numbers[name] for name in kinds]


def test_a_state_that_does_not_fit_starts_afresh():
    optimizer = keras.optimizers.Adam()
    optimizer.build([keras.Variable(np.zeros(2))])
    for values, message in (([], "no state"), ([np.int64(3), np.ones(5)], "does not fit")):
        with pytest.warns(UserWarning, match=message):
            assert not load_optimizer_state(optimizer, values, None, "2.15.0")
    assert int(optimizer.iterations) == 0


@pytest.mark.parametrize(
    ("name", "inner", "today"),
    [
        ("RandomCrop", {"height": 2, "width": 3, "rng_type": "stateful"}, "keras._legacy.layers"),
        ("MultiHeadAttention", {"num_heads": 1, "key_dim": 2}, "keras.layers"),
        (
            "MultiHeadAttention",
            {"num_heads": 1, "key_dim": 2, "activity_regularizer": "l2", "query_shape": [2]},
            "keras._legacy.layers",
        ),
    ],
)
def test_layers_that_computed_something_else_have_their_own_class(name, inner, today):
    modern = modernize({"class_name": name, "config": {"name": "a", **inner}}, "file", "2.15.0")
    made = keras.layers.deserialize(modern)
    assert type(made).__name__ == name
    assert keras.layers.serialize(made)["module"] == today
    assert type(made).from_config(made.get_config()).get_config() == made.get_config()


def test_names_of_keras_2_as_arguments():
    inner = {"name": "a", "filters": 1, "kernel_size": 3, "bias_regularizer": "l1_l2"}
    inner |= {"kernel_constraint": "radial_constraint", "bias_constraint": "maxnorm"}
    config = {"class_name": "Conv2D", "config": inner}
    made = keras.layers.deserialize(modernize(config, "file", "2.15.0"))
    assert made.bias_regularizer.get_config() == {"l1": 0.01, "l2": 0.01}
    assert isinstance(made.kernel_constraint, Keras2RadialConstraint)
    assert isinstance(made.bias_constraint, keras.constraints.MaxNorm)


@pytest.mark.parametrize("name", ["Resizing", "UpSampling2D"])
def test_bicubic_is_the_curve_of_keras_2(name):
    sizes = {"height": 2, "width": 3} if name == "Resizing" else {"size": (2, 3)}
    inner = layer(name, {"name": "a", **sizes, "interpolation": "bicubic"})
    assert inner["interpolation"] == "keras2_bicubic"
    made = getattr(keras.layers, name)(**inner)
    assert type(made).from_config(made.get_config()).interpolation == "keras2_bicubic"
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype("float32")
    today = getattr(keras.layers, name)(**{**inner, "interpolation": "bicubic"})
    assert np.abs(np.asarray(made(x)) - np.asarray(today(x))).max() > 1e-2


@pytest.mark.parametrize("name", ["Dense", "Conv1D", "LSTM", "GRU", "ConvLSTM1D"])
def test_hard_sigmoid_is_that_of_keras_2(name):
    argument = "activation" if name in ("Dense", "Conv1D") else "recurrent_activation"
    inner = layer(name, {"name": "a", argument: "hard_sigmoid"})
    assert inner[argument] == "keras2_hard_sigmoid"
    function = keras.activations.get(inner[argument])
    x = np.linspace(-4, 4, 33, dtype="float32")
    np.testing.assert_allclose(function(x), np.clip(0.2 * x + 0.5, 0, 1), atol=1e-7)
    assert keras.activations.serialize(function) == "keras2_hard_sigmoid"


def test_modern_configurations_survive_the_round_trip():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu")])
    config = keras.saving.serialize_keras_object(model)
    legacy = to_legacy(json.loads(json.dumps(config)))
    assert "module" not in legacy and "module" not in legacy["config"]["layers"][0]
    back = keras.saving.deserialize_keras_object(modernize(legacy, "m.h5", "3.15.1"))
    assert back.get_config() == model.get_config()


def test_layers_of_models_inside_other_layers_have_the_same_form():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.TimeDistributed(inner)])
    legacy = to_legacy(keras.saving.serialize_keras_object(model))
    inside = legacy["config"]["layers"][-1]["config"]["layer"]
    assert inside["module"] == "keras" and [*inside["config"]["layers"][-1]] == [
        "class_name",
        "config",
    ]


def test_weights_only_file_says_so():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("layers")
    with pytest.raises(FileFormatError, match="load_weights"):
        load_model(io.BytesIO(buffer.getvalue()))


def test_a_model_saved_before_its_first_step_loads_without_a_word(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.25), "mse")
    model.save(tmp_path / "new.h5")
    loaded = load_model(tmp_path / "new.h5")  # a warning would be an error
    assert float(loaded.optimizer.learning_rate) == 0.25 and int(loaded.optimizer.iterations) == 0
    loaded.fit(np.ones((4, 3)), np.ones((4, 2)), batch_size=2, verbose=0)
    assert int(loaded.optimizer.iterations) == 2


def _cudnn(kernel, recurrent, bias, gates):
    """The weights as `CuDNNLSTM` and `CuDNNGRU` keep them: each gate's kernels transposed."""
    split = np.hsplit(kernel, gates)
    return [
        np.hstack([part.T.reshape(part.shape) for part in split]),
        np.hstack([part.T for part in np.hsplit(recurrent, gates)]),
        bias.reshape(-1),
    ]


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_layers_of_cudnn(tmp_path, kind, wrapped):
    gates, units, random = {"LSTM": 4, "GRU": 3}[kind], 2, np.random.default_rng(0)
    sides = 2 if wrapped else 1
    plain, stored = [], []
    for _ in range(sides):
        kernel, recurrent = (
            random.normal(size=(3, gates * units)),
            random.normal(size=(2, gates * 2)),
        )
        bias = random.normal(size=(2, gates * units))
        plain += [kernel, recurrent, bias.sum(0) if kind == "LSTM" else bias]
        stored += _cudnn(kernel, recurrent, bias, gates)
    shape = {"batch_input_shape": [None, 5, 3]}
    inner = {"name": "rnn", "units": units, "return_sequences": True, "stateful": False}
    layer = {"class_name": f"CuDNN{kind}", "config": inner | ({} if wrapped else shape)}
    if wrapped:
        config = {"name": "both", "layer": layer, "merge_mode": "concat", **shape}
        layer = {"class_name": "Bidirectional", "config": config}
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        text = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
        file.attrs["model_config"] = json.dumps(text).encode()
        file.attrs["keras_version"] = b"2.2.4"
        group = file.create_group("model_weights")
        name = layer["config"]["name"]
        group.attrs["layer_names"] = [name.encode()]
        node = group.create_group(name)
        names = [f"w{i}" for i in range(len(stored))]
        node.attrs["weight_names"] = [n.encode() for n in names]
        for n, value in zip(names, stored, strict=True):
            node[n] = value.astype("float32")
    model = load_model(path, compile=False)
    own = getattr(keras.layers, kind)(units, return_sequences=True, name="rnn")
    expected = keras.Sequential([keras.layers.Bidirectional(own) if wrapped else own])
    expected.build((None, 5, 3))
    expected.set_weights(plain)
    x = random.normal(size=(4, 5, 3)).astype("float32")
    np.testing.assert_allclose(
        model.predict(x, verbose=0), expected.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_states_and_masks_of_recurrent_layers_beside_sequences(tmp_path):
    """tf.keras wrote `lstm([x, h, c])` as a list, and took the mask of `x` all the same."""

    def node(*names):
        return [[[name, 0, 0, {}] for name in names]]

    def old(name, class_name, inputs=(), **config):
        nodes = node(*inputs) if inputs else []
        config = {"name": name, **config}
        return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": nodes}

    names = ("x", "h", "c")
    shapes = ([None, 3, 2], [None, 4], [None, 4])
    layers = [
        old(name, "InputLayer", batch_input_shape=shape, dtype="float32")
        for name, shape in zip(names, shapes, strict=True)
    ]
    layers.append(old("m", "Masking", ["x"], mask_value=0.0))
    layers.append(old("lstm", "LSTM", ["m", "h", "c"], units=4, return_sequences=True))
    layers.append(old("drop", "Dropout", ["lstm"], rate=0.5))
    layers[-1]["inbound_nodes"][0][0][3] = {"training": False}
    ends = {"input_layers": [[name, 0, 0] for name in names], "output_layers": [["drop", 0, 0]]}
    config = {"class_name": "Functional", "config": {"name": "f", "layers": layers, **ends}}
    model = keras.models.model_from_json(json.dumps({**config, "keras_version": "2.15.0"}))
    model.save(tmp_path / "m.keras")
    x = torch.tensor([[[1.0, 1.0], [0.0, 0.0], [1.0, 2.0]]])
    h = torch.full((1, 4), 0.5)
    for made in (model, load_model(tmp_path / "m.keras")):
        result = made([x, h, h], training=True)
        assert torch.equal(result[:, 0], result[:, 1])  # held at the step that is masked
        assert (result != 0).all()  # no dropout, as the call says


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "nancumsum", "prod", "ones_like", "view"])
def test_operations_with_a_dtype_are_no_layers(name, tmp_path):
    inputs = keras.Input((3,))
    extra = ("float32",) if name == "view" else ()
    model = keras.Model(inputs, getattr(keras.ops, name)(inputs, *extra))
    model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5")
    x = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(again(x), model(x))
