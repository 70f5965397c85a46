"""Configurations as Keras 2.0 to 2.2 wrote them, with all arguments of its layers."""

import copy

GLOROT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
}
ORTHOGONAL = {"class_name": "Orthogonal", "config": {"gain": 1.0, "seed": None}}
ZEROS = {"class_name": "Zeros", "config": {}}
ONES = {"class_name": "Ones", "config": {}}


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def options(*weights):
    """How weights start, are penalized and projected."""
    found = {"activity_regularizer": None}
    for weight in weights:
        start = ORTHOGONAL if weight == "recurrent" else ZEROS if weight == "bias" else GLOROT
        found |= {f"{weight}_initializer": start, f"{weight}_regularizer": None}
        found[f"{weight}_constraint"] = None
    return found


def dense(name, units, activation="linear", **more):
    given = {"units": units, "activation": activation, "use_bias": True}
    return layer("Dense", name, **{**given, **options("kernel", "bias"), **more})


def convolution(kind, name, filters, size, **more):
    rank = 1 if "1D" in kind else 3 if "3D" in kind else 2
    weights = ("depthwise", "pointwise") if kind.startswith("Separable") else ("kernel",)
    given = {"filters": filters, "kernel_size": [size] * rank, "strides": [1] * rank}
    given |= {"padding": "valid", "data_format": "channels_last", "dilation_rate": [1] * rank}
    given |= {"activation": "linear", "use_bias": True}
    return layer(kind, name, **{**given, **options(*weights, "bias"), **more})


def recurrent(kind, name, units, **more):
    given = {"return_sequences": True, "return_state": False, "go_backwards": False,
             "stateful": False, "unroll": False, "implementation": 1, "units": units,
             "activation": "tanh", "use_bias": True, "dropout": 0.0,
             "recurrent_dropout": 0.0}  # fmt: skip
    if kind in ("GRU", "LSTM"):
        given["recurrent_activation"] = "hard_sigmoid"
    if kind == "LSTM":
        given["unit_forget_bias"] = True
    return layer(kind, name, **{**given, **options("kernel", "recurrent", "bias"), **more})


def sequential(shape, *layers, batch=None, dtype="float32"):
    """A `Sequential` until Keras 2.2.2: a list."""
    layers = copy.deepcopy(list(layers))
    layers[0]["config"].update(batch_input_shape=[batch, *shape], dtype=dtype)
    return {"class_name": "Sequential", "config": layers}


def named_sequential(name, shape, *layers, **more):
    """A `Sequential` since Keras 2.2.3."""
    layers = sequential(shape, *layers, **more)["config"]
    return {"class_name": "Sequential", "config": {"name": name, "layers": layers}}


def input_layer(name, shape, dtype="float32"):
    inner = {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False, "name": name}
    return {"class_name": "InputLayer", "name": name, "config": inner, "inbound_nodes": []}


def node(one, *calls):
    """A layer of a functional model; each call is a list of `(layer, node, tensor)`."""
    inbound = [[[*reference, {}] for reference in call] for call in calls]
    name = one["name"] if "name" in one else one["config"]["name"]
    return {**one, "name": name, "inbound_nodes": inbound}


def functional(layers, inputs, outputs, name="model_1"):
    inner = {"name": name, "layers": layers, "input_layers": [[n, 0, 0] for n in inputs]}
    return {"class_name": "Model", "config": {**inner, "output_layers": outputs}}
