"""Configurations and files as Keras 1.2 wrote them, with all arguments of its layers."""

import copy
import io
import json

import h5py


def normal(random, *shape):
    return random.normal(0, 0.7, shape).astype("float32")


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, "trainable": True, **config}}


def sequential(shape, *layers, dtype="float32"):
    """`Sequential` was a list of layers, the first one with the shape of the input."""
    layers = copy.deepcopy(list(layers))
    layers[0]["config"].update(batch_input_shape=[None, *shape], input_dtype=dtype)
    return {"class_name": "Sequential", "config": layers}


NO_PENALTIES = {
    "W_regularizer": None,
    "b_regularizer": None,
    "activity_regularizer": None,
    "W_constraint": None,
    "b_constraint": None,
}


def dense(name, units, activation="linear", kind="Dense", **more):
    given = {"output_dim": units, "init": "glorot_uniform", "activation": activation}
    given |= {**NO_PENALTIES, "bias": True, "input_dim": None}
    return layer(kind, name, **{**given, **more})


def convolution(kind, name, filters, size, order="tf", **more):
    given = {"nb_filter": filters, "init": "glorot_uniform", "activation": "linear"}
    given |= {**NO_PENALTIES, "bias": True, "border_mode": "valid"}
    if "1D" in kind:
        given |= {"filter_length": size, "subsample_length": 1, "input_dim": None}
        given |= {"input_length": None}
    else:
        places = 3 if "3D" in kind else 2
        names = (
            ("kernel_dim1", "kernel_dim2", "kernel_dim3") if places == 3 else ("nb_row", "nb_col")
        )
        given |= dict(zip(names, (size,) * places, strict=True))
        given |= {"subsample": [1] * places, "dim_ordering": order}
    return layer(kind, name, **{**given, **more})


def recurrent(kind, name, units, **more):
    given = {
        "return_sequences": True, "go_backwards": False, "stateful": False, "unroll": False,
        "consume_less": "cpu", "input_dim": 3, "input_length": None, "output_dim": units,
        "init": "glorot_uniform", "inner_init": "orthogonal", "activation": "tanh",
        "W_regularizer": None, "U_regularizer": None, "b_regularizer": None, "dropout_W": 0.0,
        "dropout_U": 0.0,
    }  # fmt: skip
    if kind != "SimpleRNN":
        given["inner_activation"] = "hard_sigmoid"
    if kind == "LSTM":
        given["forget_bias_init"] = "one"
    return layer(kind, name, **{**given, **more})


def h5(config, weights, version="1.2.2", backend="tensorflow", names=True):
    """A file as Keras 1 wrote it; `backend` is what later versions noted."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = version.encode()
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        if backend:
            group.attrs["backend"] = backend.encode()
        if version.partition(".")[0] != "1":
            group.attrs["keras_version"] = version.encode()
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            stored = group.create_group(name)
            stored.attrs["weight_names"] = [f"{name}_w{i}".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                stored.create_dataset(f"{name}_w{i}", data=array)
    return io.BytesIO(buffer.getvalue())
