"""Attacks by whole model files, after Keras's published advisories: each is made, and fails.

What a file would do if it could: create `witness`. The guards themselves are tested in
`test_hostile_files`, what is downloaded in `tests/utils`.
"""

import base64
import io
import json
import marshal
import os
import pathlib
import pickle
import re
import runpy
import struct
import time
import zipfile

import h5py
import numpy as np
import pytest
import torch

import torchkeras as keras
from tests.saving.fuzz import judge, memory_limit, peak, reset_peak, settings
from tests.saving.sweep import absurd, places
from tests.saving.test_hostile_files import HOSTILE
from torchkeras.export.pytorch import export_pytorch
from torchkeras.saving import FileFormatError, KerasFileEditor, load_model
from torchkeras.saving.conversion import convert_file
from torchkeras.saving.h5_guard import open_h5
from torchkeras.saving.inspection import inspect_file, report

L = keras.layers
FORMATS = ["keras", "h5", "safetensors"]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The bytes of one small model by format."""
    folder = tmp_path_factory.mktemp("originals")
    model = keras.Sequential([L.Input((4,)), L.Dense(3), L.Dense(2)])
    model.compile("sgd", "mse")
    for name in FORMATS:
        model.save(folder / f"m.{name}")
    return {name: (folder / f"m.{name}").read_bytes() for name in FORMATS}


def edited(data, kind, edit):
    """A copy of a model file, with another configuration."""

    def changed(text):
        config = json.loads(text)
        edit(config)
        return json.dumps(config)

    if kind == "keras":
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, changed(content) if name == "config.json" else content)
        return out.getvalue()
    if kind == "h5":
        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as file:
            config = changed(file.attrs["model_config"])
            del file.attrs["model_config"]
            file.attrs["model_config"] = config
        return stream.getvalue()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["keras_config"] = changed(header["__metadata__"]["keras_config"])
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data[8 + length :]


def refused(data, match=None, **options):
    """Load bytes that must be refused, quickly, by one exception that names the file."""
    before, start = settings(), time.monotonic()
    with pytest.raises(FileFormatError, match=match) as caught:
        load_model(io.BytesIO(data), **options)
    assert "<BytesIO>" in str(caught.value) and len(str(caught.value)) < 10_000
    assert time.monotonic() - start < 20 and settings() == before


def put(layer):
    """Edit a configuration so that its first layer is another one."""

    def edit(config):
        layers = config["config"]["layers"]
        layers[1] = {**layers[1], **layer}

    return edit


def layer(class_name, module="keras.layers", **config):
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "evil", **config},
        "registered_name": None,
        "build_config": None,
    }


# Byte code ---------------------------------------------------------------------------------------


@pytest.fixture
def witness(tmp_path):
    path = tmp_path / "witness"
    yield path
    assert not path.exists()


def byte_code(witness):
    source = f"lambda *args: open({str(witness)!r}, 'w')"
    function = eval(source)
    return base64.b64encode(marshal.dumps(function.__code__)).decode()


CARRIERS = {
    "a layer": lambda f: layer("Lambda", function=f),
    "its shape": lambda f: layer("Lambda", function="relu", output_shape=f),
    "its mask": lambda f: layer("Lambda", function="relu", mask=f),
    "its arguments": lambda f: layer("Lambda", function="relu", arguments={"x": f}),
    "switched off": lambda f: layer("Lambda", function=f, safe_mode=False),
    "an activation": lambda f: layer("Dense", units=3, activation=f),
    "an initializer": lambda f: layer("Dense", units=3, kernel_initializer=f),
    "a wrapper": lambda f: layer("TimeDistributed", layer=layer("Lambda", function=f)),
    "both ways": lambda f: layer("Bidirectional", layer=layer("Lambda", function=f)),
    "a cell": lambda f: layer("RNN", cell=layer("Lambda", function=f)),
    "a model": lambda f: layer("Sequential", "keras", layers=[layer("Lambda", function=f)]),
    "a model in it": lambda f: layer(
        "Sequential",
        "keras",
        layers=[layer("Sequential", "keras", layers=[CARRIERS["a layer"](f)])],
    ),
    "a list": lambda f: layer("Pipeline", layers=[[f]]),
    "an operation": lambda f: layer("VectorizedMap", "keras.src.ops.core", function=f),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_byte_code(originals, witness, carrier, kind):
    code = byte_code(witness)
    forms = (
        {"class_name": "__lambda__", "config": {"value": [code, None, None]}},
        {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}},
    )
    for form in forms:
        refused(edited(originals[kind], kind, put(CARRIERS[carrier](form))))


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4", "2.15.0"])
def test_byte_code_of_old_files(originals, witness, version):
    old = {
        "class_name": "Lambda",
        "config": {
            "name": "evil",
            "function": [byte_code(witness), None, None],
            "function_type": "lambda",
            "arguments": {},
        },
    }
    stream = io.BytesIO(edited(originals["h5"], "h5", put(old)))
    with h5py.File(stream, "r+") as file:
        file.attrs["keras_version"] = version
    refused(stream.getvalue(), "safe_mode")


@pytest.mark.parametrize("kind", ["keras", "safetensors"])
@pytest.mark.parametrize("where", ["loss", "metrics", "optimizer"])
def test_byte_code_in_how_it_was_compiled(originals, witness, where, kind):
    value = {"class_name": "__lambda__", "config": {"value": [byte_code(witness), None, None]}}

    def edit(config):
        config["compile_config"][where] = [value] if where == "metrics" else value

    refused(edited(originals[kind], kind, edit), "safe_mode")


# Names that are code ------------------------------------------------------------------------------

# Each would run, once written out, as the name of an attribute, in a comment, or in a docstring.
NAMES = [
    'd", open({path!r}, "w")) or self.x #',
    '\n    open({path!r}, "w")',
    '"""\nopen({path!r}, "w")\n"""',
    '\\"""\nopen({path!r}, "w")\n"""\\',
    "d\u2028open({path!r}, 'w')",
    "{{open({path!r}, 'w')}}",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_code(tmp_path, witness, name):
    name = name.format(path=str(witness)).replace("/", "\\x2f")  # no slash is allowed in names
    x = L.Input((4,), name=f"in {name}")
    y = L.SpectralNormalization(L.Dense(4), name=f"s {name}")(L.Dense(4, name=name)(x))
    keras.Model(x, y, name=f"m {name}").save(tmp_path / "m.keras")
    model = load_model(tmp_path / "m.keras")
    data = np.ones((2, 4), "float32")
    expected = model.predict(data, verbose=0)
    plain = model.to_torch()(torch.from_numpy(data)).detach().numpy()
    np.testing.assert_allclose(plain, expected, atol=1e-6)
    source, _ = export_pytorch(model, tmp_path / "plain", name="plain", verbose=False)
    runpy.run_path(source)["load"]()
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(data, data, verbose=0)
    assert not witness.exists()


def test_argument_names_that_are_code(tmp_path, witness):
    class Free(L.Layer):
        def call(self, x, **kwargs):
            return x

    x = L.Input((4,))
    keras.Model(x, Free(name="free")(x, option=1)).save(tmp_path / "m.keras")
    data = (tmp_path / "m.keras").read_bytes()

    def edit(config):
        call = config["config"]["layers"][1]["inbound_nodes"][0]["kwargs"]
        call[f"option=open({str(witness)!r}, 'w'), a"] = call.pop("option")

    refused(edited(data, "keras", edit), "no Python name", custom_objects={"Free": Free})
    assert not witness.exists()


# Names of code -----------------------------------------------------------------------------------

GADGETS = [
    ("os", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("subprocess", "Popen"),
    ("importlib", "import_module"),
    ("pickle", "loads"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("numpy", "load"),
    ("shutil", "rmtree"),
    ("keras.utils", "get_file"),
    ("keras.utils", "set_random_seed"),
    ("keras.saving", "load_model"),
    ("keras.saving", "save_model"),
    ("keras.models", "load_model"),
    ("keras.config", "enable_unsafe_deserialization"),
    ("keras.config", "set_floatx"),
    ("keras.src.saving.serialization_lib", "enable_unsafe_deserialization"),
    ("keras.src.utils.file_utils", "get_file"),
    ("keras.src.utils.python_utils", "func_load"),
    ("keras.applications", "ResNet50"),
    ("keras.datasets.mnist", "load_data"),
    ("torchkeras.registry", "load_code"),
    ("torchkeras.saving.atomic", "replacing"),
    ("torchkeras.graph.operation", "TorchFunction"),
    ("__main__", "main"),
    ("sys", "exit"),
]


@pytest.mark.parametrize(("module", "name"), GADGETS)
def test_names_of_code(originals, witness, module, name):
    as_function = {"module": module, "class_name": "function", "config": name}
    as_class = {"module": module, "class_name": name, "config": {"args": [str(witness)]}}
    for gadget in (as_function, as_class):
        for registered in (None, name, "function"):
            value = {**gadget, "registered_name": registered}
            places = [layer("Dense", units=3, activation=value), layer("Lambda", function=value)]
            places += [value, layer("Dense", units=3, kernel_regularizer=value, dtype=value)]
            for place in places:
                refused(edited(originals["keras"], "keras", put(place)))


def test_names_of_code_in_other_formats(originals, witness):
    value = {"module": "os", "class_name": "function", "config": "system"}
    for kind in FORMATS[1:]:
        refused(edited(originals[kind], kind, put(layer("Dense", units=3, activation=value))))


@pytest.mark.parametrize(
    "function",
    [
        "torch.load",
        "torch.Tensor.apply_",
        "torch.Tensor.set_",
        "torch.save",
        "os.system",
        "torch.hub",
        "torch.Tensor.index",  # waits for ever on some arguments
        "torch.tensor_split",  # allocates what a number says
    ],
)
def test_torch_functions_only_compute(originals, function):
    path = "torchkeras.graph.operation"
    refused(
        edited(originals["keras"], "keras", put(layer("TorchFunction", path, function=function)))
    )


def test_a_graph_calls_nothing_at_once(tmp_path):
    """An operation on constants would compute while loading."""
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.ops.add(inputs, 1.0)).save(tmp_path / "m.keras")

    def edit(config):
        node = config["config"]["layers"][1]["inbound_nodes"][0]
        node["args"] = [1.0, 2.0]

    data = edited((tmp_path / "m.keras").read_bytes(), "keras", edit)
    refused(data, "nothing that the model computes")


# Other files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("path", ["/etc/passwd", "vocabulary.txt", "http://127.0.0.1:1/words"])
@pytest.mark.parametrize("class_name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_vocabularies_of_this_computer(originals, tmp_path, monkeypatch, class_name, path, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vocabulary.txt").write_text("1\n2\n")
    evil = layer(class_name, vocabulary=path)
    if class_name == "TextVectorization":
        evil["config"] = {**L.TextVectorization().get_config(), "vocabulary": path}
    nested = layer("Sequential", "keras", layers=[evil])
    for place in (evil, nested):
        refused(edited(originals[kind], kind, put(place)), "safe_mode|vocabulary")


class Pickled:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path(self.path).touch, ()


def test_pickled_modules(originals, witness):
    text = base64.b64encode(pickle.dumps(Pickled(str(witness)))).decode()
    for module in (text, {"class_name": "Linear", "config": text}, {"module": text}):
        data = edited(originals["keras"], "keras", put(layer("TorchModuleWrapper", module=module)))
        refused(data)


def test_saved_graphs(originals, witness):
    evil = layer("TFSMLayer", filepath=str(witness))
    refused(edited(originals["keras"], "keras", put(evil)), "TensorFlow")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_do_not_block(tmp_path):
    pipe = tmp_path / "m.keras"
    os.mkfifo(pipe)
    with pytest.raises(FileFormatError, match="pipe"):
        load_model(pipe)
    model = keras.Sequential([L.Input((2,)), L.Dense(1)])
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink(str(pipe), "/x")
    with pytest.raises(FileFormatError, match="external link"):
        model.load_weights(tmp_path / "m.weights.h5")
    model.save(tmp_path / "folder", zipped=False)
    (tmp_path / "folder" / "model.weights.h5").unlink()
    os.mkfifo(tmp_path / "folder" / "model.weights.h5")
    for load in (load_model, model.load_weights):
        with pytest.raises(FileFormatError, match="neither a file nor a folder"):
            load(tmp_path / "folder")
    os.mkfifo(tmp_path / "s_00000.weights.h5")
    table = {"weight_map": {"/layers/dense/vars": "s_00000.weights.h5"}, "metadata": {}}
    (tmp_path / "s.weights.json").write_text(json.dumps(table))
    with pytest.raises(FileFormatError, match="is missing"):
        model.load_weights(tmp_path / "s.weights.json")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/vocabulary.txt"])
def test_folders_with_links_out_of_them(tmp_path, name):
    model = keras.Sequential([L.Input((2,)), L.Dense(1)])
    model.save(tmp_path / "folder", zipped=False)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / "folder" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(secret)
    (tmp_path / "folder" / "metadata.json").write_text("{}")
    with pytest.raises(FileFormatError, match="leads out of the folder"):
        load_model(tmp_path / "folder")
    path.unlink()
    (tmp_path / "folder" / "assets").mkdir(exist_ok=True)
    (tmp_path / "folder" / "assets" / "up").symlink_to(tmp_path)
    if name.startswith("assets"):
        with pytest.raises(FileFormatError, match="leads out of the folder"):
            load_model(tmp_path / "folder")


def test_shards_elsewhere(tmp_path):
    model = keras.Sequential([L.Input((2,)), L.Dense(1)])
    (tmp_path / "in").mkdir()
    model.save_weights(tmp_path / "in" / "m.weights.json", max_shard_size=1.0)
    (tmp_path / "in" / "m_00000.weights.h5").rename(tmp_path / "secret.h5")
    (tmp_path / "in" / "m_00000.weights.h5").symlink_to(tmp_path / "secret.h5")
    with pytest.raises(FileFormatError, match="link to another folder"):
        model.load_weights(tmp_path / "in" / "m.weights.json")
    for name in ("../secret.h5", str(tmp_path / "secret.h5"), "..", "", 3, None, {"a": 1}):
        table = {"weight_map": {"/layers/dense/vars": name}, "metadata": {}}
        (tmp_path / "in" / "m.weights.json").write_text(json.dumps(table))
        with pytest.raises(FileFormatError):
            model.load_weights(tmp_path / "in" / "m.weights.json")


# Absurd sizes and work ---------------------------------------------------------------------------

HUGE = 10**9
ABSURD = {
    "units": layer("Dense", units=HUGE),
    "filters": layer("Conv1D", filters=HUGE, kernel_size=3),
    "kernel": layer("Conv1D", filters=2, kernel_size=HUGE),
    "vocabulary": layer("Embedding", input_dim=HUGE, output_dim=64),
    "width": layer("Embedding", input_dim=64, output_dim=HUGE),
    "heads": layer("MultiHeadAttention", num_heads=HUGE, key_dim=64),
    "gates": layer("LSTM", units=10**6),
    "bins": layer("MelSpectrogram", num_mel_bins=HUGE),
    "oov": layer("StringLookup", vocabulary=["a"], num_oov_indices=HUGE, output_mode="one_hot"),
    "shape": {**layer("Dense", units=8), "build_config": {"input_shape": [None, HUGE]}},
    "negative": layer("Dense", units=-5),
    "float": layer("Dense", units=1e300),
    "text": layer("Dense", units="9" * 5000),
    "array": layer(
        "Dense",
        units=3,
        kernel_initializer={
            "class_name": "Constant",
            "module": "keras.initializers",
            "config": {
                "value": {
                    "class_name": "__numpy__",
                    "config": {"value": ["a"], "dtype": "U1000000000"},
                }
            },
            "registered_name": None,
        },
    ),
}


@pytest.mark.parametrize("size", ABSURD)
def test_absurd_sizes(originals, size):
    data = edited(originals["keras"], "keras", put(ABSURD[size]))
    refused_in_memory(data, None)


@pytest.mark.parametrize("kind", ["h5", "safetensors"])
def test_absurd_sizes_in_other_formats(originals, kind):
    refused(edited(originals[kind], kind, put(ABSURD["units"])))


def test_absurd_input_shapes(originals):
    def edit(config):
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, HUGE]
        config["config"].pop("build_input_shape", None)
        config.pop("build_config", None)

    refused(edited(originals["keras"], "keras", edit))


def test_absurd_optimizers(originals):
    def edit(config):
        config["compile_config"]["metrics"] = [
            {
                "module": "keras.metrics",
                "class_name": "AUC",
                "config": {"name": "auc", "num_thresholds": HUGE},
                "registered_name": None,
            }
        ]

    refused(edited(originals["keras"], "keras", edit))


def test_work_without_end(originals):
    """A recurrent layer unrolled over a long time; an axis taken apart."""

    def unroll(config):
        layers = config["config"]["layers"]
        layers[0]["config"]["batch_shape"] = [None, 10**6, 2]
        layers[1] = layer("SimpleRNN", units=1, unroll=True)
        del layers[2]
        config["config"].pop("build_input_shape", None)
        config.pop("build_config", None)

    refused(edited(originals["keras"], "keras", unroll))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: keras.ops.array_split(x, 1),
        lambda x: keras.ops.pad(x, 1, mode="reflect"),
        lambda x: keras.ops.repeat(x, [1, 2], axis=1),
        lambda x: keras.ops.histogram(keras.ops.ravel(x), 5)[0],
        L.Normalization(mean=0.5, variance=2.0),
    ],
    ids=["array_split", "pad", "repeat", "histogram", "Normalization"],
)
def test_absurd_numbers_of_operations(tmp_path, function):
    inputs = keras.Input((2,), batch_size=2, dtype="float32")
    keras.Model(inputs, function(inputs)).save(tmp_path / "m.keras")
    data = (tmp_path / "m.keras").read_bytes()
    for place in places(data):
        assert judge("keras", absurd(data, place, 10**9))[0] in ("loaded", "refused"), place


@pytest.mark.parametrize("depth", [60, 1000, 100_000])
def test_deep_nesting(originals, depth):
    deep = '{"module":"keras","class_name":"Sequential","config":{"name":"d","layers":['
    text = deep * depth + "]}}" * depth

    data = edited(originals["keras"], "keras", put({"config": "MARKER"}))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b'"MARKER"', text.encode()))
    refused(out.getvalue())


# Small files that are read as large ones ---------------------------------------------------------


def refused_in_memory(data, match):
    """Load bytes that must be refused, with no more memory than is promised."""
    before = reset_peak()
    refused(data, match)
    assert peak() - before < memory_limit(len(data))


def repacked(data, edit):
    """A compressed copy of an archive, with each member edited."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            for name in source.namelist():
                target.writestr(name, edit(name, source.read(name)))
    return out.getvalue()


@pytest.mark.parametrize("attribute", ["layer_names", "weight_names"])
def test_names_listed_many_times(originals, attribute):
    """Each would be read again, and kept."""
    stream = io.BytesIO(originals["h5"])
    with h5py.File(stream, "r+") as file:
        group = file["model_weights"]
        first = group[group.attrs["layer_names"][0]]
        node = group if attribute == "layer_names" else first
        node.create_dataset("big", data=np.zeros(100_000))
        del node.attrs[attribute]
        for part in range(3):
            node.attrs[f"{attribute}{part}"] = np.array([b"big"] * 20_000)
    refused_in_memory(stream.getvalue(), "twice")


def test_one_text_in_many_attributes(originals):
    """Texts of any length stand elsewhere: a list of four thousand can mean one, of 2 MB."""
    text, count = 2_000_000, 4000
    stream = io.BytesIO(originals["h5"])
    with h5py.File(stream, "r+") as file:
        file.attrs["text"] = ["x" * text] * 2
        del file["model_weights"].attrs["layer_names"]
        file["model_weights"].attrs["layer_names"] = [f"{i:05}" for i in range(count)]
    data = bytearray(stream.getvalue())

    def references(length):
        """Yield where a length is followed by the address of a heap."""
        at = -1
        while (at := data.find(struct.pack("<I", length), at + 1)) >= 0:
            heap = int.from_bytes(data[at + 4 : at + 12], "little")
            if data[heap : heap + 4] == b"GCOL":
                yield at

    at = next(references(text))
    places = list(references(5))
    assert len(places) >= count
    for place in places:
        data[place : place + 16] = data[at : at + 16]
    refused_in_memory(bytes(data), "more than the file can hold")


def test_a_text_of_no_size(originals):
    """The HDF5 library steps from text to text by their sizes, without end."""
    data = bytearray(edited(originals["h5"], "h5", lambda config: None))
    heap = data.index(b"GCOL")
    data[heap + 16 : heap + 32] = bytes(16)
    refused(bytes(data), "heap of texts")


@pytest.mark.parametrize("style", [{}, {"libver": "latest"}, {"track_order": True}])
def test_texts_that_lie_about_nothing(tmp_path, style):
    with h5py.File(tmp_path / "a.h5", "w", **style) as file:
        group = file.create_group("group")
        for i in range(5):
            group.attrs[f"text{i}"] = "x" * 1000 * i
        group.attrs["list"] = ["a", "", "ccc"]
    with open_h5(tmp_path / "a.h5") as opened:
        group = opened.group("group")
        for i in range(5):
            assert opened.attribute(group, f"text{i}") == "x" * 1000 * i
        assert opened.attribute(group, "list") == ["a", "", "ccc"]


def test_text_is_counted(tmp_path, monkeypatch):
    """So does an attribute that each of many groups has."""
    monkeypatch.setattr("torchkeras.saving.h5_guard._BOMB_FLOOR", 0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["text"] = "x" * 50_000
    with open_h5(tmp_path / "a.h5") as opened:
        for _ in range(4):
            assert len(opened.attribute(opened.handle, "text")) == 50_000
        with pytest.raises(FileFormatError, match="one text many times"):
            for _ in range(4):
                opened.attribute(opened.handle, "text")


def test_values_are_counted(tmp_path, monkeypatch):
    """Each array is within the limit, all are not; to read one again costs nothing."""
    monkeypatch.setattr("torchkeras.saving.h5_guard._BOMB_FLOOR", 0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "abcdefghijkl":
            file.create_dataset(name, data=np.zeros(1_000_000, "u1"), compression="gzip")
    assert (tmp_path / "a.h5").stat().st_size < 80_000
    with open_h5(tmp_path / "a.h5") as opened:
        for name in "aaaaaaaaaaaaaaaaaaaabbbb":
            opened.read(opened.dataset(opened.handle, name))
        with pytest.raises(FileFormatError, match="shape bomb"):
            for name in "abcdefghijkl":
                opened.dataset(opened.handle, name)


def test_groups_with_many_names(tmp_path):
    """Forty groups, each with two names for the next: a million million paths."""
    model = keras.Sequential([L.Input((2,)), L.Dense(1)])
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "r+") as file:
        group = file["layers"]
        for i in range(40):
            outer = file.create_group(f"n{i}")
            outer["a"] = outer["b"] = group
            group = outer
    for read in (inspect_file, keras.saving.KerasFileEditor):
        with pytest.raises(FileFormatError, match="hard link"):
            read(str(tmp_path / "m.weights.h5"))
    model.load_weights(tmp_path / "m.weights.h5")  # goes where the model's layers are


def test_compressed_configurations(originals):
    """A megabyte of JSON takes thirty of memory; compressed, it takes a kilobyte of a file."""

    def edit(name, content):
        if name != "config.json":
            return content
        return b'{"x": [' + b"[]," * 4_400_000 + b"0]," + content[1:]

    refused_in_memory(repacked(originals["keras"], edit), "decompression bomb")


def test_compressed_vocabularies(tmp_path):
    lookup = L.IntegerLookup()
    lookup.adapt([3, 7])
    inputs = keras.Input((2,), dtype="int64")
    keras.Model(inputs, lookup(inputs)).save(tmp_path / "m.keras")

    def edit(name, content):
        return b"12\n" * 4_400_000 if name.startswith("assets") else content

    data = repacked((tmp_path / "m.keras").read_bytes(), edit)
    refused_in_memory(data, "decompression bomb")


def test_compressed_weights_allow_nothing(originals):
    """What a layer may take goes by the bytes of weights, which are no zeros that follow them."""

    def edit(name, content):
        if name == "model.weights.h5":
            return content + bytes(40_000_000)
        if name == "config.json":
            config = json.loads(content)
            config["config"]["layers"][1]["config"]["units"] = 20_000_000
            return json.dumps(config).encode()
        return content

    refused_in_memory(repacked(originals["keras"], edit), "more memory than weights")


# Safetensors -------------------------------------------------------------------------------------


def tensors(header, body=b"\x00" * 64, length=None):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded) if length is None else length) + encoded + body


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LIES = {
    "length": tensors({"a": entry([4], 0, 16)}, length=1 << 40),
    "short": tensors({"a": entry([4], 0, 16)}, length=5),
    "end": tensors({"a": entry([4], 0, 1 << 40)}),
    "shape": tensors({"a": entry([1 << 40], 0, 64)}),
    "product": tensors({"a": entry([1 << 32, 1 << 32], 0, 64)}),
    "negative": tensors({"a": entry([-4], 0, 64)}),
    "reversed": tensors({"a": entry([4], 16, 0)}),
    "overlap": tensors({"a": entry([8], 0, 32), "b": entry([8], 16, 48)}),
    "gap": tensors({"a": entry([4], 16, 32)}),
    "dtype": tensors({"a": entry([4], 0, 16, "PICKLE")}),
    "twice": tensors(b'{"a":{"dtype":"F32","shape":[16],"data_offsets":[0,64]},"a":3}'),
    "metadata": tensors({"__metadata__": {"keras_config": 3}, "a": entry([16], 0, 64)}),
    "config": tensors({"__metadata__": {"keras_config": "{"}, "a": entry([16], 0, 64)}),
    "deep": tensors({"__metadata__": {"keras_config": "[" * 100_000}, "a": entry([16], 0, 64)}),
    "paths": tensors({"__metadata__": {"keras_paths": "[1]"}, "a": entry([16], 0, 64)}),
    "aliases": tensors({"__metadata__": {"aliases": "3"}, "a": entry([16], 0, 64)}),
}


@pytest.mark.parametrize("lie", LIES)
def test_safetensors_that_lie(tmp_path, lie):
    path = tmp_path / "m.safetensors"
    path.write_bytes(LIES[lie])
    model = keras.Sequential([L.Input((2,)), L.Dense(1)])
    for load in (load_model, model.load_weights):
        with pytest.raises(FileFormatError, match="m.safetensors"):
            load(path)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "a\\b", "C:x", "..", ""])
def test_assets_that_leave_their_folder(originals, name):
    data = originals["safetensors"]
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    end = len(data) - 8 - length
    header[f"__assets__/{name}"] = entry([4], end, end + 4, "U8")
    refused(tensors(header, data[8 + length :] + b"evil"), "asset")


# What a file may not change ----------------------------------------------------------------------


def test_no_file_changes_settings(originals):
    before = settings()

    def edit(config):
        config["config"]["layers"][1]["config"]["dtype"] = {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "mixed_float16"},
            "registered_name": None,
        }

    model = load_model(io.BytesIO(edited(originals["keras"], "keras", edit)))
    assert model.layers[0].compute_dtype == "float16"
    assert settings() == before


def test_a_name_cannot_become_registered(originals):
    known = dict(keras.saving.get_custom_objects())
    value = layer("Evil", "package", x=1)
    value["registered_name"] = "package>Evil"
    refused(edited(originals["keras"], "keras", put(value)), "custom_objects")
    assert keras.saving.get_custom_objects() == known


# Other ways to a file ----------------------------------------------------------------------------


@pytest.mark.parametrize("fill", HOSTILE, ids=lambda fill: fill.__name__)
def test_tools_refuse_hostile_weights(originals, tmp_path, fill):
    """`KerasFileEditor`, `load_weights`, `inspect` and `convert` read no more than `load_model`."""

    def edit(name, data):
        if name != "model.weights.h5":
            return data
        stream = io.BytesIO(data)
        with h5py.File(stream, "r+") as file:
            group = file["layers/dense/vars"]
            del group["0"]
            fill(group)
            group.move("d", "0")
        return stream.getvalue()

    path = tmp_path / "m.keras"
    path.write_bytes(repacked(originals["keras"], edit))
    receiver = load_model(io.BytesIO(originals["keras"]))
    for use in (
        load_model,
        receiver.load_weights,
        KerasFileEditor,
        lambda path: report(inspect_file(path)),
        lambda path: convert_file(str(path), str(tmp_path / "m.safetensors")),
    ):
        with pytest.raises(FileFormatError, match="m.keras"):
            use(path)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_the_table_of_advisories_names_tests():
    root = pathlib.Path(__file__).parents[2]
    text = (root / "SECURITY.md").read_text()
    named = {
        name
        for line in text.splitlines()
        if "CVE-" in line or "GHSA-" in line
        for name in re.findall(r"`(test_\w+)`", line)
    }
    files = ("saving/test_attacks.py", "saving/test_hostile_files.py", "utils/test_files.py")
    code = "".join((root / "tests" / name).read_text() for name in files)
    assert len(named) > 10 and all(f"def {name}(" in code for name in named)
