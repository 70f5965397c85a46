"""`model_to_dot`: the boxes and arrows of Keras's. pydot is a package that only these need."""

import re

import keras
import pytest

import torchkeras

pydot = pytest.importorskip("pydot")


def chain(k):
    return k.Sequential(
        [
            k.Input((4,), name="x"),
            k.layers.Dense(3, activation="relu", name="a"),
            k.layers.Dropout(0.5, name="b"),
            k.layers.Dense(2, trainable=False, name="c"),
        ],
        name="chain",
    )


def branches(k):
    x, z = k.Input((4,), name="x"), k.Input((4,), name="z")
    shared = k.layers.Dense(4, activation="tanh", name="shared")
    y = k.layers.Add(name="sum")([shared(x), shared(z)])
    y = k.layers.Concatenate(name="both")([y, k.ops.relu(z), y])
    return k.Model([x, z], [y, k.layers.Dense(1, name="head")(y)], name="branches")


def nested(k):
    x, z = k.Input((4,), name="p"), k.Input((4,), name="q")
    y, head = branches(k)([x, z])
    y = k.layers.Dense(4, name="middle")(y)
    y = chain(k)(y)
    inner = k.Sequential(
        [k.Input((2,)), k.Sequential([k.Input((2,)), k.layers.Dense(2, name="d")], name="i")],
        name="o",
    )
    return k.Model([x, z], [k.layers.Add(name="end")([inner(y), head])], name="nested")


def subclassed(k):
    class Mine(k.Model):
        def build(self, shape):
            self.built = True

        def call(self, x):
            return x

    model = Mine(name="mine")
    model.build((None, 2))
    return model


def described(dot):
    """Boxes as `(frames, text)`, and arrows as pairs of the texts of their boxes."""
    boxes, arrows, texts = [], [], {}

    def visit(graph, frames):
        for node in graph.get_nodes():
            label = node.get_label()
            if label is not None:
                text = re.sub(r"<[^<>]*>", "|", str(label).strip('"')[1:-1])
                texts[node.get_name().strip('"')] = text = re.sub(r"\|+", "|", text)
                boxes.append((frames, text))
        arrows.extend((e.get_source(), e.get_destination()) for e in graph.get_edges())
        for inner in graph.get_subgraphs():
            visit(inner, (*frames, inner.get_label()))

    visit(dot, ())
    return sorted(boxes), sorted(tuple(texts[end.strip('"')] for end in pair) for pair in arrows)


PLAIN = [
    {},
    {"show_layer_names": False},
    {"show_layer_activations": True, "show_trainable": True, "rankdir": "LR", "dpi": 96},
]
MODELS = [chain, branches, nested, subclassed]
CASES = [(make, options) for make in MODELS for options in PLAIN]
# Of layers that are called twice, or never on symbols, Keras shows no shapes.
CASES += [(chain, {"show_shapes": True, "show_dtype": True})]


@pytest.mark.parametrize("expand_nested", [False, True])
@pytest.mark.parametrize(("make", "options"), CASES)
def test_model_to_dot(make, options, expand_nested):
    dots = []
    for library in (torchkeras, keras):
        library.utils.clear_session()
        model = make(library)
        dots.append(library.utils.model_to_dot(model, expand_nested=expand_nested, **options))
    ours, theirs = dots
    assert described(ours) == described(theirs)
    for name in ("rankdir", "dpi", "splines", "concentrate"):
        assert ours.get(name) == theirs.get(name)


def test_a_shared_layer_shows_its_shapes():
    dot = torchkeras.utils.model_to_dot(branches(torchkeras), show_shapes=True)
    boxes, _ = described(dot)
    text = next(text for _, text in boxes if "shared" in text)
    assert "(None, 4)" in text and "?" not in text
    assert "[(None, 4), (None, 4)]" in next(text for _, text in boxes if "sum" in text)


def test_subgraph_and_names_with_markup():
    model = torchkeras.Sequential(
        [torchkeras.Input((2,)), torchkeras.layers.Dense(1, name="a<b&c")]
    )
    cluster = torchkeras.utils.model_to_dot(model, subgraph=True)
    assert isinstance(cluster, pydot.Cluster)
    assert "a&lt;b&amp;c" in cluster.to_string()


@pytest.mark.parametrize("function", ["model_to_dot", "plot_model"])
def test_errors(function, tmp_path):
    model = chain(torchkeras)
    draw = getattr(torchkeras.utils, function)
    with pytest.raises(ValueError, match="not yet been built"):
        draw(torchkeras.Sequential([torchkeras.layers.Dense(1)]))
    with pytest.raises(ValueError, match="layer_range"):
        draw(model, layer_range=(0, 1))
    with pytest.raises(ValueError, match="Unrecognized.*colour"):
        draw(model, colour="red")


def test_plot_model(tmp_path, monkeypatch):
    path = tmp_path / "model.svg"
    written = []
    monkeypatch.setattr(pydot.Dot, "create", lambda self, *a, **k: b"")
    monkeypatch.setattr(
        pydot.Dot, "write", lambda self, path, format: written.append((path, format)) or True
    )
    torchkeras.utils.plot_model(chain(torchkeras), path, show_shapes=True)
    torchkeras.utils.plot_model(chain(torchkeras), str(tmp_path / "model"))
    assert written == [(str(path), "svg"), (str(tmp_path / "model"), "png")]

    def no_graphviz(self, *args, **kwargs):
        raise FileNotFoundError("dot")

    monkeypatch.setattr(pydot.Dot, "create", no_graphviz)
    with pytest.raises(ImportError, match="graphviz"):
        torchkeras.utils.plot_model(chain(torchkeras), path)
