"""Pictures of models: `model_to_dot` and `plot_model`, which need pydot and, for files, Graphviz.

A layer is a box: a table in Graphviz's HTML with its name, class and what else is asked for. An
arrow leads from the layer that makes a tensor to each layer that takes it. A nested model is one
box, or with `expand_nested` a frame around its own boxes.
Sources: `keras.utils` for names, defaults and what is shown.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..callbacks.console import print_msg
from ..models.functional import Functional
from ..models.sequential import Sequential

__all__ = ["model_to_dot", "plot_model"]


class _Shown(NamedTuple):
    """What a box shows beside the class."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw a model as a graph for Graphviz.

    Args:
        model: A built model. A subclassed one is a single box.
        show_shapes: Show the shapes of inputs and outputs.
        show_dtype: Show the dtype of the outputs.
        show_layer_names: Show names beside classes.
        rankdir: `"TB"` draws from top to bottom, `"LR"` from left to right.
        expand_nested: Show the layers of models inside the model.
        dpi: Dots per inch.
        subgraph: Return a cluster, for use in another graph.
        show_layer_activations: Show the activations of layers that have one.
        show_trainable: Show whether layers with weights are trained.
        splines: How arrows run: `"ortho"`, `"curved"`, `"polyline"`, `"spline"` or `"line"`.

    Returns: A `pydot.Dot`, or a `pydot.Cluster` with `subgraph`.

    Raises:
        ValueError: The model is not built, or an argument is unknown.
        ImportError: pydot is not installed.
    """
    _check(model, kwargs)
    pydot = _pydot()
    if pydot is None:
        raise ImportError(_no_pydot("model_to_dot"))
    if subgraph:
        dot = _frame(pydot, model)
    else:
        dot = pydot.Dot(rankdir=rankdir, concentrate=True, dpi=dpi, splines=splines)
        dot.set_node_defaults(shape="record")
    shown = _Shown(
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    )
    _add_boxes(pydot, dot, model, shown, expand_nested)
    for source, target in dict.fromkeys(_arrows(model, expand_nested)):
        dot.add_edge(pydot.Edge(source, target, penwidth="2"))
    return dot


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw a model into a file.

    Args:
        model: A built model.
        to_file: The file; its extension says the format, such as `.png`, `.svg` or `.pdf`.
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi: As for
            `model_to_dot`.
        show_layer_activations, show_trainable, splines: As for `model_to_dot`.

    Returns: An image that Jupyter shows, where IPython is installed.

    Raises:
        ValueError: The model is not built, or an argument is unknown.
        ImportError: pydot or Graphviz is not installed. In a notebook this is only printed.
    """
    _check(model, kwargs)
    pydot = _pydot()
    missing = _no_pydot("plot_model") if pydot is None else _no_graphviz(pydot)
    if missing:
        if "IPython.core.magics.namespace" in sys.modules:
            print_msg(missing)
            return None
        raise ImportError(missing)
    dot = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
    )
    path = os.fspath(to_file)
    extension = os.path.splitext(path)[1][1:] or "png"
    dot.write(path, format=extension)
    if extension == "pdf":
        return None
    try:
        from IPython import display
    except ImportError:
        return None
    return display.Image(filename=path)


# Requirements -------------------------------------------------------------------------------------


def _check(model: Any, kwargs: dict[str, Any]) -> None:
    if not model.built:
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or by"
            " calling the model on a batch of data."
        )
    if kwargs.pop("layer_range", None) is not None:
        raise ValueError("Argument `layer_range` is no longer supported.")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments: {kwargs}")


def _pydot() -> Any:
    try:
        import pydot
    except ImportError:
        return None
    return pydot


def _no_pydot(function: str) -> str:
    return f"You must install pydot (`pip install pydot`) for `{function}` to work."


def _no_graphviz(pydot: Any) -> str:
    """What to say if Graphviz cannot be run; nothing if it can."""
    try:
        pydot.Dot().create()
    except (OSError, pydot.PydotException):
        return (
            "You must install graphviz (see https://graphviz.org/download/) for `plot_model` to"
            " work. `model_to_dot(model).to_string()` works without."
        )
    return ""


# Boxes --------------------------------------------------------------------------------------------


def _is_opened(layer: Any, expand_nested: bool) -> bool:
    return expand_nested and isinstance(layer, (Functional, Sequential))


def _parts(model: Any) -> list[Any]:
    """The layers and operations of a model; a subclassed model itself."""
    if isinstance(model, Sequential):
        return model.layers
    return model.operations if isinstance(model, Functional) else [model]


def _frame(pydot: Any, model: Any) -> Any:
    return pydot.Cluster(model.name, style="dashed", label=model.name, labeljust="l")


def _add_boxes(pydot: Any, dot: Any, model: Any, shown: _Shown, expand_nested: bool) -> None:
    for layer in _parts(model):
        if _is_opened(layer, expand_nested):
            frame = _frame(pydot, layer)
            _add_boxes(pydot, frame, layer, shown, expand_nested)
            dot.add_subgraph(frame)
        else:
            label = _label(layer, _last_call(layer, model), shown)
            style = {"fontname": "Helvetica", "border": "0", "margin": "0"}
            dot.add_node(pydot.Node(str(id(layer)), label=label, **style))


def _last_call(layer: Any, model: Any) -> Any:
    """The node of the layer's last call in the model; `None` if it was never called on symbols."""
    own = getattr(model, "_nodes", None)
    nodes = [node for node in layer._inbound_nodes if own is None or node in own]
    return nodes[-1] if nodes else None


def _label(layer: Any, node: Any, shown: _Shown) -> str:
    """The table of a box, in Graphviz's HTML."""
    kind = type(layer).__name__
    title = f"<b>{html.escape(layer.name)}</b> ({kind})" if shown.names else f"<b>{kind}</b>"
    cells = []
    if shown.shapes:
        if kind != "InputLayer":
            cells.append(
                _cell("Input shape", node and _listed(x.shape for x in node.input_tensors))
            )
        cells.append(_cell("Output shape", node and _listed(x.shape for x in node.outputs)))
    if shown.dtype:
        cells.append(_cell("Output dtype", node and _listed(x.dtype for x in node.outputs)))
    if shown.trainable and getattr(layer, "weights", None):
        color, word = (
            ("forestgreen", "Trainable") if layer.trainable else ("firebrick", "Non-trainable")
        )
        text = f'<font point-size="14" color="white"><b>{word}</b></font>'
        cells.append(f'<td bgcolor="{color}">{text}</td>')
    span = f'colspan="{max(1, len(cells))}"'
    rows = [f'<td {span} bgcolor="black"><font point-size="16" color="white">{title}</font></td>']
    activation = getattr(layer, "activation", None)
    if shown.activations and activation is not None:
        name = getattr(activation, "name", None) or getattr(activation, "__name__", activation)
        rows.append(_cell("Activation", str(name), span))
    if cells:
        rows.append("".join(cells))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<<table border="0" cellborder="1" bgcolor="black" cellpadding="10">{body}</table>>'


def _cell(title: str, value: str | None, attributes: str = "") -> str:
    text = f'<font point-size="14">{title}: <b>{html.escape(value or "?")}</b></font>'
    return f'<td bgcolor="white" {attributes}>{text}</td>'.replace(" >", ">")


def _listed(values: Any) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


# Arrows -------------------------------------------------------------------------------------------


def _arrows(model: Any, expand_nested: bool) -> Iterator[tuple[str, str]]:
    """Yield the ids of the boxes that an arrow joins; some pairs more than once."""
    if isinstance(model, Sequential):
        pairs = zip(model.layers[:-1], model.layers[1:], strict=True)
        joined = ((source, 0, target, 0) for source, target in pairs)
    elif isinstance(model, Functional):
        joined = (
            (tensor._keras_history.operation, tensor._keras_history.tensor_index, layer, i)
            for layer in model.operations
            for node in layer._inbound_nodes
            if node in model._nodes
            for i, tensor in enumerate(node.input_tensors)
        )
    else:
        return
    for source, output, target, input_ in joined:
        if expand_nested:
            source, target = _exit(source, output), _entrance(target, input_)
        yield str(id(source)), str(id(target))
    for layer in _parts(model):
        if _is_opened(layer, expand_nested):
            yield from _arrows(layer, expand_nested)


def _exit(layer: Any, output: int) -> Any:
    """The layer inside a nested model that makes its output of that number."""
    while isinstance(layer, (Functional, Sequential)):
        if isinstance(layer, Sequential):
            layer, output = layer.layers[-1], 0
        else:
            layer, _, output = layer.outputs[output]._keras_history
    return layer


def _entrance(layer: Any, input_: int) -> Any:
    """The layer inside a nested model that takes its input of that number."""
    while isinstance(layer, (Functional, Sequential)):
        if isinstance(layer, Sequential):
            layer, input_ = layer.layers[0], 0
        else:
            layer = layer.inputs[input_]._keras_history.operation
    return layer
