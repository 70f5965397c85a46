"""Files between real Keras and torchkeras, both ways: same predictions, state, and training after.

Each model is built by the same code in both libraries. One library trains it a little and writes
it; the other reads it, must agree on weights, optimizer state and predictions, and both go on.
"""

import io
import json
import os
import warnings
import zipfile

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
import pytest
import torch
from oracle import seed_both, to_numpy

import torchkeras

LIBRARIES = {"keras": keras, "torchkeras": torchkeras}
WAYS = [("keras", "torchkeras"), ("torchkeras", "keras")]
# Both sides compute in float32 with other kernels; a few steps of training amplify that.
CLOSE = {"rtol": 2e-4, "atol": 2e-5}

RNG = np.random.default_rng(0)
X5 = RNG.normal(size=(16, 5)).astype("float32")
Y1 = (X5[:, :1] > 0).astype("float32")
IMAGES = RNG.normal(size=(8, 8, 8, 2)).astype("float32")
TOKENS = RNG.integers(1, 10, (8, 3)).astype("int32")
TOKENS[:, 2:] = 0
CLASSES = RNG.integers(0, 3, (8,))


def mlp(k):
    L = k.layers
    model = k.Sequential(
        [
            L.Input((5,)),
            L.Dense(8, activation="relu", kernel_regularizer=k.regularizers.L2(1e-3)),
            L.BatchNormalization(),
            L.Dropout(0.0),
            L.Activation("tanh"),
            L.ReLU(max_value=6.0),
            L.Dense(1, activation="sigmoid", kernel_constraint=k.constraints.MaxNorm(2.0)),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, X5, Y1


def cnn(k):
    L = k.layers
    inputs = k.Input((8, 8, 2))
    x = L.Rescaling(0.5, offset=0.1)(inputs)
    a = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = L.Conv2D(4, 1, use_bias=False)(a)
    x = L.MaxPooling2D()(L.BatchNormalization()(L.Add()([a, b])))
    pooled = L.GlobalAveragePooling2D()(x)
    flat = L.Dense(3)(L.Flatten()(x))
    outputs = L.Softmax()(L.Dense(3)(L.Concatenate()([pooled, flat])))
    model = k.Model(inputs, outputs)
    rate = k.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)
    model.compile(
        k.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        k.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", k.metrics.SparseCategoricalAccuracy(name="sca")],
    )
    return model, IMAGES, CLASSES


def text(k):
    L = k.layers
    inputs = k.Input((3,), dtype="int32")
    x = L.Embedding(10, 8, mask_zero=True)(inputs)
    x = L.LSTM(5, return_sequences=True)(x)
    y = L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    x = L.LayerNormalization()(L.Add()([x, y]))
    x = L.GlobalAveragePooling1D()(x)
    model = k.Model(inputs, L.Dense(3, name="logits")(x))
    model.compile(
        k.optimizers.AdamW(1e-2, clipnorm=1.0),
        k.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model, TOKENS, CLASSES


def multi(k):
    L = k.layers
    inner = k.Sequential([L.Input((3,)), L.Dense(4, activation="tanh"), L.Dense(4)], name="inner")
    entry = k.Input((4,))
    nested = k.Model(entry, L.Dense(2, activation="elu")(entry), name="nested")
    p, q = k.Input((3,), name="p"), k.Input((3,), name="q")
    shared = L.Dense(3, name="shared")
    left, right = nested(inner(shared(p))), nested(inner(shared(q)))
    joined = L.Concatenate(name="cat")([left, right])
    first = L.Dense(1, name="o1")(joined)
    second = L.Dense(2, activation="softmax", name="o2")(joined * 2.0)
    model = k.Model({"p": p, "q": q}, {"o1": first, "o2": second}, name="multi")
    model.compile(
        k.optimizers.RMSprop(1e-2, momentum=0.5, centered=True),
        {"o1": "mse", "o2": "categorical_crossentropy"},
        loss_weights={"o1": 1.0, "o2": 0.5},
        metrics={"o1": ["mae"], "o2": ["accuracy"]},
    )
    x = {"p": X5[:, :3], "q": X5[:, 2:]}
    return model, x, {"o1": Y1, "o2": np.eye(2, dtype="float32")[Y1[:, 0].astype(int)]}


def normalized(k):
    L = k.layers
    norm = L.Normalization()
    norm.adapt(X5[:, :4])
    model = k.Sequential(
        [L.Input((4,)), norm, L.Reshape((2, 2)), L.Masking(), L.LSTM(3), L.Dense(1)]
    )
    model.compile("sgd", k.losses.Huber())
    return model, X5[:, :4], Y1


def frozen(k):
    L = k.layers
    model = k.Sequential([L.Input((5,)), L.Dense(4, name="a"), L.Dense(3, name="b"), L.Dense(1)])
    model.layers[1].trainable = False
    model.compile(k.optimizers.Adam(1e-2, amsgrad=True), "mse")
    return model, X5, Y1


MODELS = [mlp, cnn, text, multi, normalized, frozen]


def trained(build, library):
    """Build a model with its own weights and train it a little."""
    k = LIBRARIES[library]
    seed_both(1)
    model, x, y = build(k)
    for _ in range(2):
        model.train_on_batch(x, y)
    return model, x, y


def flat(outputs):
    values = outputs.values() if isinstance(outputs, dict) else [outputs]
    return np.concatenate([to_numpy(v).reshape(-1) for v in values])


def assert_same(ours, theirs, x, compiled=True):
    """Weights and optimizer state are equal, predictions to rounding."""
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    if compiled:
        for v, w in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
            np.testing.assert_array_equal(to_numpy(v), to_numpy(w))
    assert_predicts_alike(ours, theirs, x)


def assert_predicts_alike(ours, theirs, x):
    a, b = (flat(model.predict_on_batch(x)) for model in (ours, theirs))
    np.testing.assert_allclose(a, b, **CLOSE)


def assert_trains_alike(ours, theirs, x, y):
    for _ in range(2):
        ours.train_on_batch(x, y)
        theirs.train_on_batch(x, y)
    assert_predicts_alike(ours, theirs, x)


def load_h5(path, reader, **kwargs):
    """Load an `.h5` file; whether the optimizer's state came along.

    Keras itself cannot train what it loads from `.h5`: it builds the optimizer for the weights that
    the model holds outside of its layers.
    """
    if reader == "keras":
        return keras.saving.load_model(path, compile=False, **kwargs), False
    return torchkeras.saving.load_model(path, **kwargs), True


@pytest.mark.parametrize(("writer", "reader"), WAYS)
@pytest.mark.parametrize("build", MODELS)
def test_models(tmp_path, build, writer, reader):
    model, x, y = trained(build, writer)
    path = str(tmp_path / "m")
    model.save_weights(f"{path}.weights.h5")
    other, _, _ = build(LIBRARIES[reader])
    other.optimizer.build(other.trainable_variables)
    other.load_weights(f"{path}.weights.h5")
    assert_same(other, model, x)
    # Before the .h5 file: Keras forgets how a model was compiled when it writes one.
    model.save(f"{path}.keras")
    if build is not multi:  # Keras cannot read the operation `Multiply` from its own .h5 files
        model.save(f"{path}.h5")
        loaded, compiled = load_h5(f"{path}.h5", reader)
        assert_same(loaded, model, x, compiled)
    loaded = LIBRARIES[reader].saving.load_model(f"{path}.keras")
    assert type(loaded).__name__ == type(model).__name__
    assert_same(loaded, model, x)
    ours, theirs = (m.evaluate(x, y, verbose=0, return_dict=True) for m in (loaded, model))
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert_trains_alike(loaded, model, x, y)


@pytest.mark.parametrize("build", MODELS)
def test_layout_is_the_same(tmp_path, build):
    """Not only readable: the same groups, attributes, dtypes and shapes."""
    layouts = []
    for library, k in LIBRARIES.items():
        k.utils.clear_session()
        model, _, _ = build(k)
        model.optimizer.build(model.trainable_variables)
        path = tmp_path / f"{library}.weights.h5"
        model.save_weights(str(path))
        layouts.append(layout(path))
    assert layouts[0] == layouts[1]


def layout(path):
    found = {}

    def visit(name, node):
        is_dataset = isinstance(node, h5py.Dataset)
        attributes = {key: str(value) for key, value in node.attrs.items()}
        found[name] = (node.shape, node.dtype, attributes) if is_dataset else attributes

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


@pytest.mark.parametrize("build", [mlp, cnn, normalized])
def test_legacy_layout_is_the_same(tmp_path, build):
    layouts, configs = [], []
    for library, k in LIBRARIES.items():
        k.utils.clear_session()
        model, _, _ = build(k)
        model.optimizer.build(model.trainable_variables)
        path = tmp_path / f"{library}.h5"
        model.save(str(path))
        layouts.append(layout(path))
        with h5py.File(path) as file:
            attributes = ("model_config", "training_config")
            configs.append([strip(json.loads(file.attrs[name])) for name in attributes])
            configs[-1].append({k: file.attrs[k] for k in ("backend", "keras_version")})
    assert layouts[0] == layouts[1]
    assert configs[0] == configs[1]


OPTIMIZERS = {
    "sgd": lambda k: k.optimizers.SGD(0.1),
    "momentum": lambda k: k.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipvalue=0.5),
    "rmsprop": lambda k: k.optimizers.RMSprop(1e-2),
    "centered": lambda k: k.optimizers.RMSprop(1e-2, momentum=0.3, centered=True),
    "adam": lambda k: k.optimizers.Adam(1e-2, global_clipnorm=1.0),
    "amsgrad": lambda k: k.optimizers.Adam(1e-2, amsgrad=True),
    "adamw": lambda k: k.optimizers.AdamW(1e-2, weight_decay=0.01),
    "cosine": lambda k: k.optimizers.Adam(k.optimizers.schedules.CosineDecay(1e-2, 20)),
    "ema": lambda k: k.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9),
    "accumulate": lambda k: k.optimizers.SGD(1e-2, gradient_accumulation_steps=3),
}


@pytest.mark.parametrize(("writer", "reader"), WAYS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(tmp_path, name, writer, reader):
    def build(k):
        model = k.Sequential([k.layers.Input((5,)), k.layers.Dense(3), k.layers.Dense(1)])
        model.compile(OPTIMIZERS[name](k), "mse")
        return model, X5, Y1

    model, x, y = trained(build, writer)
    path = str(tmp_path / "m")
    model.save(f"{path}.keras")
    model.save(f"{path}.h5")
    loaded, compiled = load_h5(f"{path}.h5", reader)
    assert_same(loaded, model, x, compiled)
    loaded = LIBRARIES[reader].saving.load_model(f"{path}.keras")
    assert_same(loaded, model, x)
    assert_trains_alike(loaded, model, x, y)


# Subclasses --------------------------------------------------------------------------------------


def subclassed(k):
    """A model whose layers are in all kinds of containers, registered in its library."""
    L = k.layers

    @k.saving.register_keras_serializable("saving_test")
    class Containers(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.blocks = [L.Dense(2), [L.Dense(2), L.Dense(2)], {"b": L.Dense(2), "a": L.ReLU()}]
            self.branch = {"x": L.Dense(2), "y": L.Dense(2)}
            self._hidden = L.Dense(2)
            self.z = L.BatchNormalization()
            self.drop = L.Dropout(0.0)
            self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
            self.pair = (self._hidden, L.Dense(2))

        def call(self, x, training=None):
            x = self.blocks[0](x)
            x = self.blocks[1][1](self.blocks[1][0](x))
            x = self.blocks[2]["a"](self.blocks[2]["b"](x))
            x = self.branch["y"](self.branch["x"](x))
            return self.pair[1](self.drop(self.z(self._hidden(x), training=training))) * self.scale

    model = Containers(name="containers")
    model(X5[:2, :2])
    # Not Adam: the bias before BatchNormalization has no gradient but noise, which Adam scales up.
    model.compile(k.optimizers.SGD(1e-2, momentum=0.9), "mse")
    return model, X5[:, :2], Y1


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_subclassed_model(tmp_path, writer, reader):
    other, _, _ = subclassed(LIBRARIES[reader])  # registers the class
    model, x, y = trained(subclassed, writer)
    path = str(tmp_path / "m")
    model.save_weights(f"{path}.weights.h5")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(f"{path}.weights.h5")
    assert_same(other, model, x)
    model.save(f"{path}.keras")
    custom_objects = {"Containers": type(other)}
    loaded = LIBRARIES[reader].saving.load_model(f"{path}.keras", custom_objects)
    assert_same(loaded, model, x)
    assert_trains_alike(loaded, model, x, y)


def test_subclassed_layout_is_the_same(tmp_path):
    test_layout_is_the_same(tmp_path, subclassed)


def custom_layer(k):
    @k.saving.register_keras_serializable("saving_test", name="Affine")
    class Affine(k.layers.Layer):
        def __init__(self, units, inner=None, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.inner = inner or k.layers.Dense(units)

        def build(self, input_shape):
            if not self.inner.built:
                self.inner.build(input_shape)
            # Weights in a list, others after them: files number them as they were made.
            self.offsets = [self.add_weight(shape=(self.units,), initializer="ones", name="offset")]
            self.extra = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
            self.offsets.append(self.add_weight(shape=(1,), initializer="zeros", name="shift"))

        def call(self, x):
            return (self.inner(x) + self.offsets[0]) * self.factor + self.offsets[1]

        def get_config(self):
            inner = k.saving.serialize_keras_object(self.inner)
            return {**super().get_config(), "units": self.units, "inner": inner}

        @classmethod
        def from_config(cls, config):
            config["inner"] = k.saving.deserialize_keras_object(config["inner"])
            return cls(**config)

    inputs = k.Input((5,))
    model = k.Model(inputs, k.layers.Dense(1)(Affine(3)(inputs)))
    model.compile("adam", "mse")
    return model, X5, Y1


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_custom_layer(tmp_path, writer, reader):
    custom_layer(LIBRARIES[reader])
    model, x, y = trained(custom_layer, writer)
    model.save(str(tmp_path / "m.keras"))
    model.save(str(tmp_path / "m.h5"))
    loaded, go_on = load_h5(str(tmp_path / "m.h5"), reader)
    assert_same(loaded, model, x, go_on)
    loaded = LIBRARIES[reader].saving.load_model(str(tmp_path / "m.keras"))
    assert_same(loaded, model, x)
    assert_trains_alike(loaded, model, x, y)


def double(x):
    return x * 2.0


@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_lambda_of_a_named_function(tmp_path, writer, reader, extension):
    k = LIBRARIES[writer]
    model = k.Sequential([k.layers.Input((5,)), k.layers.Lambda(double), k.layers.Dense(2)])
    path = str(tmp_path / f"m.{extension}")
    model.save(path)
    loaded = LIBRARIES[reader].saving.load_model(path, custom_objects={"double": double})
    assert_same(loaded, model, X5, False)


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_lambda_of_byte_code_needs_trust(tmp_path, writer, reader):
    k = LIBRARIES[writer]
    model = k.Sequential([k.layers.Input((5,)), k.layers.Lambda(lambda x: x * 3.0)])
    path = str(tmp_path / "m.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns in some versions
        model.save(path)
    with pytest.raises(ValueError, match="safe_mode"):
        LIBRARIES[reader].saving.load_model(path)
    loaded = LIBRARIES[reader].saving.load_model(path, safe_mode=False)
    np.testing.assert_allclose(to_numpy(loaded.predict_on_batch(X5)), X5 * 3.0, rtol=1e-6)


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_torch_module_wrapper_weights(tmp_path, writer, reader):
    def build(k):
        module = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3))
        model = k.Sequential([k.layers.Input((5,)), k.layers.TorchModuleWrapper(module)])
        model.compile("sgd", "mse")
        return model, X5, X5[:, :3]

    model, x, _ = trained(build, writer)
    path = str(tmp_path / "m.weights.h5")
    model.save_weights(path)
    other, _, _ = build(LIBRARIES[reader])
    other.load_weights(path)
    assert_same(other, model, x, False)


@pytest.mark.parametrize(("writer", "reader"), WAYS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float16"])
def test_dtypes(tmp_path, policy, writer, reader):
    k = LIBRARIES[writer]
    layers = [k.layers.Input((5,)), k.layers.Dense(3, dtype=policy)]
    model = k.Sequential(layers)
    for name in ("m.keras", "m.weights.h5"):
        path = str(tmp_path / name)
        if name == "m.keras":
            model.save(path)
            loaded = LIBRARIES[reader].saving.load_model(path)
        else:
            model.save_weights(path)
            loaded.set_weights([np.zeros((5, 3), "float32"), np.zeros(3, "float32")])
            loaded.load_weights(path)
        for a, b in zip(model.weights, loaded.weights, strict=True):
            np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
        assert loaded.layers[0].dtype_policy.name == policy


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_file_objects(writer, reader):
    """The way that scikeras pickles models."""
    from keras.src.saving import saving_lib

    model, x, y = trained(mlp, writer)
    buffer = io.BytesIO()
    if writer == "keras":
        saving_lib.save_model(model, buffer)
    else:
        torchkeras.saving.save_model(model, buffer)
    buffer = io.BytesIO(buffer.getvalue())
    if reader == "keras":
        loaded = saving_lib.load_model(buffer)
    else:
        loaded = torchkeras.saving.load_model(buffer)
    assert_same(loaded, model, x)


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_folders(tmp_path, writer, reader):
    model, x, y = trained(cnn, writer)
    model.save(str(tmp_path / "folder"), zipped=False)
    assert_same(LIBRARIES[reader].saving.load_model(str(tmp_path / "folder")), model, x)


@pytest.mark.parametrize(("writer", "reader"), WAYS)
def test_shards(tmp_path, writer, reader):
    model, x, y = trained(mlp, writer)
    path = str(tmp_path / "m.weights.json")
    model.save_weights(path, max_shard_size=300 / 1024**3)
    assert len(list(tmp_path.iterdir())) > 3
    other, _, _ = mlp(LIBRARIES[reader])
    other.optimizer.build(other.trainable_variables)
    other.load_weights(path)
    assert_same(other, model, x)


@pytest.mark.parametrize(("writer", "reader"), WAYS)
@pytest.mark.parametrize("by_name", [None, True])
def test_weights_out_of_whole_models(tmp_path, writer, reader, by_name):
    model, x, y = trained(frozen, writer)
    other, _, _ = frozen(LIBRARIES[reader])
    other.optimizer.build(other.trainable_variables)
    path = str(tmp_path / "m.h5")
    model.save(path)
    other.layers[-1]._name = other.layers[-1].name = model.layers[-1].name
    other.load_weights(path, **({"by_name": True} if by_name else {}))
    assert_same(other, model, x, False)
    if not by_name:
        model.save(str(tmp_path / "m.keras"))
        other.load_weights(str(tmp_path / "m.keras"))
        assert_same(other, model, x, False)


def test_large_archives(tmp_path, monkeypatch):
    """Weights that are written where they are to be in the archive, and read there."""
    monkeypatch.setattr("torchkeras.saving.budget._IN_MEMORY", 1000)
    path = str(tmp_path / "m.keras")
    layers = torchkeras.layers
    model = torchkeras.Sequential([layers.Input((150,)), layers.Dense(160), layers.Dense(2)])
    model.save(path)
    theirs = keras.saving.load_model(path)
    theirs.save(path)
    ours = torchkeras.saving.load_model(path)
    for found in (theirs, ours):
        for weight, value in zip(found.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, value)


def test_archive_members_are_keras_s(tmp_path):
    members, configs = [], []
    for library, k in LIBRARIES.items():
        k.utils.clear_session()
        model, _, _ = cnn(k)
        path = tmp_path / f"{library}.keras"
        model.save(str(path))
        with zipfile.ZipFile(path) as archive:
            members.append([(i.filename, i.compress_type) for i in archive.infolist()])
            configs.append(json.loads(archive.read("config.json")))
            metadata = json.loads(archive.read("metadata.json"))
            assert set(metadata) == {"keras_version", "date_saved"}
    assert members[0] == members[1]
    without_ids = [strip(config) for config in configs]
    assert without_ids[0] == without_ids[1]


def strip(config):
    """Drop what differs for no reason of the format.

    Ids of shared objects are memory addresses; Keras on torch names its own optimizer subclasses,
    and writes the mask argument of calls that were given none.
    """
    if isinstance(config, list):
        return [strip(v) for v in config]
    if not isinstance(config, dict):
        return config
    config = {k: strip(v) for k, v in config.items() if k != "shared_object_id"}
    if str(config.get("module")).startswith("keras.src.backend.torch.optimizers"):
        config.update(module="keras.optimizers", registered_name=None)
    if "args" in config and config.get("kwargs") == {"mask": None}:
        config["kwargs"] = {}
    return config


ERRORS = {
    "extension": lambda k, m, d: m.save(f"{d}/m.xyz"),
    "weights extension": lambda k, m, d: m.save_weights(f"{d}/m.h5"),
    "missing keras": lambda k, m, d: k.saving.load_model(f"{d}/no.keras"),
    "text as keras": lambda k, m, d: k.saving.load_model(text_file(d, "m.keras")),
    "text as other": lambda k, m, d: k.saving.load_model(text_file(d, "m.txt")),
    "zipped": lambda k, m, d: m.save(f"{d}/m.keras", zipped=False),
    "by_name": lambda k, m, d: (
        m.save_weights(f"{d}/m.weights.h5"),
        m.load_weights(f"{d}/m.weights.h5", by_name=True),
    ),
    "unknown argument": lambda k, m, d: m.save(f"{d}/m.keras", nonsense=1),
    "unbuilt": lambda k, m, d: k.Sequential([k.layers.Dense(1)]).save_weights(f"{d}/a.weights.h5"),
}


def text_file(folder, name):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write("no model")
    return path


@pytest.mark.parametrize("case", ERRORS)
def test_errors_have_the_same_type(tmp_path, case):
    for k in LIBRARIES.values():
        model = k.Sequential([k.layers.Input((5,)), k.layers.Dense(2)])
        with pytest.raises(ValueError):
            ERRORS[case](k, model, str(tmp_path))


def test_mismatch_has_the_same_type_and_says_more(tmp_path):
    for name, k in LIBRARIES.items():
        small = k.Sequential([k.layers.Input((5,)), k.layers.Dense(2, name="head")])
        large = k.Sequential([k.layers.Input((5,)), k.layers.Dense(3, name="head")])
        for extension in ("weights.h5", "h5", "keras"):
            path = str(tmp_path / f"{name}.{extension}")
            (small.save_weights if extension == "weights.h5" else small.save)(path)
            with pytest.raises(ValueError) as caught:
                large.load_weights(path)
            if name == "torchkeras":
                message = str(caught.value)
                for part in (path, "head/kernel", "(5, 3)", "(5, 2)", "Fix:"):
                    assert part in message
            # Keras's own call of `__array__` is deprecated by NumPy.
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                large.load_weights(path, skip_mismatch=True)
            assert any(issubclass(w.category, UserWarning) for w in warned)
