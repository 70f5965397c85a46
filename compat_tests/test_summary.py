"""`model.summary()` against keras 3.15.1: every character, escape codes included."""

import keras
import numpy as np
import pytest
import rich.style

import torchkeras


def sequential(k):
    return k.Sequential(
        [k.layers.Input((100,)), k.layers.Dense(64, activation="relu"), k.layers.Dropout(0.2)],
        name="chain",
    )


def unbuilt(k):
    return k.Sequential([k.layers.Dense(64), k.layers.Dropout(0.2)])


def empty(k):
    return k.Sequential(name="nothing")


def built_by_shape(k):
    model = unbuilt(k)
    model.build((None, 20))
    return model


def compiled(k):
    model = sequential(k)
    model.compile("adam", "mse")
    return model


def trained(k):
    model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(3), k.layers.Dense(1)])
    model.compile(k.optimizers.Adam(), "mse")
    model.fit(np.zeros((8, 4)), np.zeros((8, 1)), verbose=0)
    return model


def convolutional(k):
    L = k.layers
    x = inputs = L.Input((28, 28, 1), name="image")
    x = L.Conv2D(8, 3, padding="same")(x)
    x = L.BatchNormalization()(x)
    x = L.Activation("relu")(x)
    x = L.MaxPooling2D()(x)
    x = L.Flatten()(x)
    return k.Model(inputs, L.Dense(10)(x), name="cnn")


def branches(k):
    L = k.layers
    inputs = L.Input((4,))
    a, b = L.Dense(3)(inputs), L.Dense(3)(inputs)
    return k.Model(inputs, [L.Dense(2)(L.Concatenate()([a, b])), L.Add()([a, b])])


def shared(k):
    L = k.layers
    dense = L.Dense(4, name="shared")
    inputs = L.Input((4,))
    return k.Model(inputs, dense(dense(inputs)))


def shared_branches(k):
    L = k.layers
    dense = L.Dense(4, name="shared_between_both_of_the_branches")
    one, two = L.Input((4,), name="one"), L.Input((4,), name="two")
    return k.Model([one, two], L.Add(name="sum")([dense(one), dense(two)]))


def operations(k):
    inputs = k.layers.Input((4,))
    x = k.ops.relu(inputs * 2.0) + inputs
    return k.Model(inputs, -x / 3.0)


def sub_model(k):
    L = k.layers
    inputs = L.Input((4,))
    hidden = L.Dense(3, name="hidden")(inputs)
    k.Model(inputs, L.Dense(2)(hidden))
    return k.Model(inputs, hidden)


def nested(k):
    L = k.layers
    inner = k.Sequential([L.Input((4,)), L.Dense(3), L.Dense(2)], name="inner")
    inputs = L.Input((4,))
    middle = k.Model(inputs, L.Dense(5)(inner(inputs)), name="middle")
    return k.Sequential([L.Input((4,)), middle, L.Dense(1)], name="outer")


def nested_branches(k):
    L = k.layers
    inner = k.Sequential([L.Input((4,)), L.Dense(3)], name="inner")
    a, b = L.Input((4,)), L.Input((4,))
    return k.Model([a, b], L.Add()([inner(a), inner(b)]), name="outer")


def long_names(k):
    L = k.layers
    return k.Sequential(
        [
            L.Input((4,)),
            L.Dense(3, name="a_layer_whose_name_is_a_good_deal_longer_than_its_column_is_wide"),
            L.Dense(3, name="words that are broken between each other where the column ends"),
            L.Dense(1),
        ],
        name="a model with a name that is longer than a line of eighty characters, and is broken",
    )


def folded_name(k):
    return k.Sequential([k.layers.Input((2,)), k.layers.Dense(1)], name="m" * 130)


def wide_characters(k):
    L = k.layers
    return k.Sequential(
        [L.Input((2,)), L.Dense(1, name="層の名前" * 9), L.Dense(1, name="e\u0301")]
    )


def frozen(k):
    model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(3), k.layers.Dense(1)])
    model.layers[0].trainable = False
    return model


def mixed(k):
    L = k.layers
    return k.Sequential(
        [L.Input((4,)), L.Dense(300, dtype="float64"), L.Dense(700, dtype="float16")]
    )


def recurrent(k):
    L = k.layers
    return k.Sequential(
        [L.Input((None,)), L.Embedding(1000, 8, mask_zero=True), L.LSTM(4, return_sequences=True)]
    )


def two_outputs(k):
    L = k.layers
    inputs = L.Input((7, 3))
    sequence, *state = L.LSTM(4, return_sequences=True, return_state=True)(inputs)
    return k.Model(inputs, [sequence, state[0]])


def subclassed(k):
    class Net(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = k.layers.Dense(3)
            self.drop = k.layers.Dropout(0.5)
            self.inner = k.Sequential([k.layers.Dense(2), k.layers.ReLU()])

        def call(self, x):
            return self.inner(self.drop(self.hidden(x)))

    return Net(name="net")


def subclassed_and_called(k):
    model = subclassed(k)
    model(np.zeros((2, 4), "float32"))
    return model


def subclassed_with_models(k):
    class Pair(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.encoder = two_outputs(k)
            self.decoder = sequential(k)

        def call(self, x):
            return self.decoder(self.encoder(x)[0])

    return Pair(name="pair")


def scalars(k):
    inputs = k.layers.Input((), batch_size=3)
    return k.Model(inputs, k.layers.Rescaling(2.0)(inputs))


MODELS = [
    *(sequential, unbuilt, empty, built_by_shape, compiled, trained, convolutional, branches),
    *(shared, shared_branches, operations, sub_model, nested, nested_branches, long_names),
    *(folded_name, wide_characters, frozen, mixed, recurrent, two_outputs, subclassed),
    *(subclassed_and_called, subclassed_with_models, scalars),
]
OPTIONS = {
    "plain": {},
    "trainable": {"show_trainable": True},
    "expanded": {"expand_nested": True},
    "both": {"show_trainable": True, "expand_nested": True},
    "short": {"line_length": 50},
    "long": {"line_length": 120},
}


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    # rich keeps the escape codes it worked out for the first terminal it saw
    rich.style.Style.parse.cache_clear()
    rich.style.Style._add.cache_clear()


def make(model, library):
    library.utils.clear_session(free_memory=False)
    return model(library)


def printed(model, library, **options):
    """What `summary` hands to `print_fn`."""
    made, parts = make(model, library), []
    made.summary(print_fn=parts.append, **options)
    return parts


def assert_same(ours, theirs):
    """Equal texts; pytest's own comparison of long lines takes minutes."""
    ours, theirs = "".join(ours), "".join(theirs)
    if ours != theirs:
        pytest.fail(f"ours:\n{ours}\ntheirs:\n{theirs}", pytrace=False)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.__name__)
def test_text(model, options):
    try:
        expected = printed(model, keras, **OPTIONS[options])
    except ValueError:
        with pytest.raises(ValueError):
            printed(model, torchkeras, **OPTIONS[options])
        return
    parts = printed(model, torchkeras, **OPTIONS[options])
    assert len(parts) == 1
    assert_same(parts, expected)


@pytest.mark.parametrize("width", [60, 79, 100, 150])
@pytest.mark.parametrize("model", [sequential, branches, long_names, nested])
def test_terminals_of_other_widths(monkeypatch, model, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for options in OPTIONS.values():
        assert_same(printed(model, torchkeras, **options), printed(model, keras, **options))


@pytest.mark.parametrize(
    "positions",
    [
        [0.3, 0.6, 1.0],
        [0.5, 0.75, 0.9],
        [0.2, 0.3, 0.4],
        [0.2, 0.4, 0.6, 1.0],
        [0.4, 0.6, 0.8, 1.0, 1.5],
        [0.01, 0.5, 1.0],
        [0.5, 0.2, 1.0],
    ],
)
@pytest.mark.parametrize("model", [sequential, long_names, trained])
@pytest.mark.parametrize("line_length", [None, 33, 64, 200])
def test_positions(model, positions, line_length):
    options = {"positions": positions, "line_length": line_length}
    try:
        expected = printed(model, keras, **options)
    except ValueError:
        with pytest.raises(ValueError, match="Insufficient console width"):
            printed(model, torchkeras, **options)
        return
    assert_same(printed(model, torchkeras, **options), expected)


@pytest.mark.parametrize(
    "layer_range",
    [("hidden", "out"), ("out", "hidden"), ("h", "h"), (".*", "mid"), ["mid", "mid"]],
)
def test_layer_range(layer_range):
    def model(k):
        L = k.layers
        names = ("hidden", "mid", "hidden_2", "out")
        return k.Sequential([L.Input((2,)), *(L.Dense(2, name=name) for name in names)])

    expected = printed(model, keras, layer_range=layer_range)
    assert_same(printed(model, torchkeras, layer_range=layer_range), expected)


@pytest.mark.parametrize("layer_range", [("dense",), ("dense", 3), ("dense", "none"), "ab c"])
def test_bad_layer_range(layer_range):
    for library in (keras, torchkeras):
        with pytest.raises(ValueError):
            printed(sequential, library, layer_range=layer_range)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"FORCE_COLOR": "1"},
        {"FORCE_COLOR": ""},
        {"FORCE_COLOR": "1", "TERM": "xterm"},
        {"FORCE_COLOR": "1", "TERM": "dumb"},
        {"FORCE_COLOR": "1", "TERM": "xterm-kitty"},
        {"FORCE_COLOR": "1", "TERM": "linux", "COLORTERM": "truecolor"},
        {"FORCE_COLOR": "1", "NO_COLOR": "1"},
        {"TTY_COMPATIBLE": "1", "COLUMNS": "120"},
        {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "0"},
    ],
    ids=str,
)
@pytest.mark.parametrize("model", [sequential, branches, long_names, frozen, two_outputs, unbuilt])
def test_what_a_terminal_gets(monkeypatch, capsys, environment, model):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = []
    for library in (keras, torchkeras):
        for options in OPTIONS.values():
            if options.get("line_length") != 50:
                make(model, library).summary(**options)
        out.append(capsys.readouterr().out)
    assert_same(out[1], out[0])


def test_narrow_headers(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = []
    for library in (keras, torchkeras):
        make(trained, library).summary(line_length=40, positions=[0.4, 0.7, 1.0])
        make(trained, library).summary(line_length=44, show_trainable=True, positions=[0.3, 0.6, 1])
        out.append(capsys.readouterr().out)
    assert_same(out[1], out[0])


def test_logged(caplog):
    expected, model = printed(sequential, keras), make(sequential, torchkeras)
    torchkeras.config.disable_interactive_logging()
    try:
        with caplog.at_level("INFO"):
            model.summary()
    finally:
        torchkeras.config.enable_interactive_logging()
    assert_same(caplog.messages, expected)
