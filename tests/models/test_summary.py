"""`summary()`: what is printed, and the layout of tables of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchkeras import Model, Sequential, layers
from torchkeras.models.summary import print_summary
from torchkeras.models.text_table import (
    PLAIN,
    Style,
    console_width,
    draw_table,
    draw_text,
    terminal_colors,
)

CHAIN = """\
Model: "chain"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ hidden (Dense)                  │ (None, 64)             │         6,464 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ a_name_that_goes_on_for_longer… │ (None, 64)             │             0 │
│ (Dropout)                       │                        │               │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 6,464 (25.25 KB)
 Trainable params: 6,464 (25.25 KB)
 Non-trainable params: 0 (0.00 B)
"""
BRANCHES = """\
Model: "branches"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ x (InputLayer)      │ (None, 4)         │          0 │ -                 │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ a (Dense)           │ (None, 3)         │         15 │ x[0][0]           │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ b (Dense)           │ (None, 3)         │         15 │ x[0][0]           │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ sum (Add)           │ (None, 3)         │          0 │ a[0][0], b[0][0]  │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 30 (120.00 B)
 Trainable params: 30 (120.00 B)
 Non-trainable params: 0 (0.00 B)
"""


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch):
    for name in ("FORCE_COLOR", "NO_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


def chain():
    name = "a_name_that_goes_on_for_longer_than_the_column"
    parts = [layers.Dense(64, name="hidden"), layers.Dropout(0.2, name=name)]
    return Sequential([layers.Input((100,)), *parts], name="chain")


def branches():
    x = layers.Input((4,), name="x")
    both = [layers.Dense(3, name="a")(x), layers.Dense(3, name="b")(x)]
    return Model(x, layers.Add(name="sum")(both), name="branches")


@pytest.mark.parametrize("make, expected", [(chain, CHAIN), (branches, BRANCHES)])
def test_text(capsys, make, expected):
    make().summary()
    assert capsys.readouterr().out == expected
    parts = []
    print_summary(make(), print_fn=parts.append)
    assert parts == [expected]


def test_nested_rows_and_trainable_column():
    inner = Sequential([layers.Input((4,)), layers.Dense(3, name="deep")], name="inner")
    inner.trainable = False
    outer = Sequential([layers.Input((4,)), inner, layers.ReLU(name="relu")])
    parts = []
    outer.summary(print_fn=parts.append, expand_nested=True, show_trainable=True)
    rows = [line.split("│")[1:-1] for line in parts[0].splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells == [
        ["inner (Sequential)", "(None, 3)", "15", "N"],
        ["└ deep (Dense)", "(None, 3)", "15", "N"],
        ["relu (ReLU)", "(None, 3)", "0", "-"],
    ]
    assert rows[1][0].startswith("    └")


def test_several_outputs_and_layers_without_shapes():
    class Split(layers.Layer):
        def call(self, x):
            return x[:, :1], x

        def compute_output_shape(self, input_shape):
            return (None, 1), tuple(input_shape)

    class Net(Model):
        def __init__(self):
            super().__init__()
            self.split = Split(name="split")
            self.late = layers.Dense(2, name="late")

        def call(self, x):
            return self.split(x)[0]

    net = Net()
    parts = []
    net.summary(print_fn=parts.append)
    assert "│ ?" in parts[0] and "0 (unbuilt)" in parts[0]
    x = layers.Input((3,))
    Model(x, list(Split(name="s")(x))).summary(print_fn=parts.append)
    assert "[(None, 1), (None, 3)]" in parts[1]


def test_an_argument_called_output_shape_is_no_output_shape():
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.EinsumDense("ab,bc->ac", output_shape=3)
            self.twice = layers.Lambda(lambda x: x * 2, output_shape=(3,))

        def call(self, x):
            return self.twice(self.dense(x))

    net = Net()
    net(layers.Input((4,)))
    parts = []
    net.summary(print_fn=parts.append)
    assert parts[0].count("(None, 3)") == 2


def test_layer_range():
    parts = []
    branches().summary(print_fn=parts.append, layer_range=("a", "b"))
    assert [line.split()[1] for line in parts[0].splitlines() if line[0] == "│"] == ["a", "b"]
    for bad in (("a",), ("a", 1), ("a", "z")):
        with pytest.raises(ValueError, match="layer_range"):
            branches().summary(layer_range=bad)


def test_bad_widths():
    with pytest.raises(ValueError, match="Insufficient console width"):
        chain().summary(line_length=10)
    with pytest.raises(ValueError, match="one entry per column, so 3"):
        chain().summary(positions=[0.5, 1.0])


STYLES = st.sampled_from([PLAIN, Style(True), Style(color=34), Style(True, 9)])
CELLS = st.lists(st.tuples(st.text("ab (层é", max_size=12), STYLES), max_size=4)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=3),
    widths=st.tuples(*[st.integers(4, 30)] * 3),
    spare=st.integers(-9, 40),
    alignment=st.tuples(*[st.sampled_from(["left", "center", "right"])] * 3),
)
def test_all_lines_of_a_table_are_equally_wide(rows, widths, spare, alignment):
    length = sum(widths) + spare
    if min(widths) + spare / 3 < 6:
        return
    header = ["one", "two", "three"]
    text = draw_table(header, rows, alignment, widths, length, 500, None)
    wide = [sum(2 if char == "层" else 1 for char in line) for line in text.splitlines()]
    assert set(wide) == {length}
    cut = draw_table(header, rows, alignment, widths, length, 7, None)
    assert max(len(line) for line in cut.splitlines()) <= 7


def test_text_is_folded_where_no_break_is():
    assert draw_text([("ab cdefghi", PLAIN)], 4, None) == "ab \ncdef\nghi\n"
    assert draw_text([("ab", Style(True))], 4, 256) == "\x1b[1mab\x1b[0m\n"


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({}, None),
        ({"FORCE_COLOR": "1"}, 256),
        ({"FORCE_COLOR": "1", "TERM": "linux"}, 16),
        ({"FORCE_COLOR": "1", "TERM": "linux", "COLORTERM": "truecolor"}, 256),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, None),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, 0),
        ({"TTY_COMPATIBLE": "1"}, 256),
        ({"TTY_COMPATIBLE": "0", "FORCE_COLOR": "1"}, None),
    ],
)
def test_colors(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert terminal_colors() == expected


def test_console_width(monkeypatch):
    assert console_width() == 80
    monkeypatch.setenv("COLUMNS", "133")
    assert console_width() == 133
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert console_width() == 80
