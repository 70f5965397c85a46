"""Layers that users write: alone, in models, in files."""

from __future__ import annotations

from .. import pieces
from ..drawing import HANDOVER, Draw, assemble
from ._layer_kinds import special
from ._user_layers import ONE, UserLayer, user_layer

__all__ = ["program", "user_layer"]


def _config_of(what: str, more: str = "") -> str:
    # Keras writes the stand-in of its inference for sizes that are not known, or the first batch's.
    text = f"json.dumps({what}.get_config(), sort_keys=True{more})"
    return f"""attempt('config', lambda: re.sub('shape": .[0-9]+,', 'shape": [null,', {text}))"""


# Keras notes masks that were not given as arguments of the call, so not of layers that take masks.
_CONFIG = _config_of("model")
_LOOKS = (
    "show_weights('weights', layer)",
    "print('paths', layer.path, [v.path for v in layer.variables])",
    "show('losses', layer.losses)",
    "print('metrics', [m.name for m in layer.metrics], len(layer.metrics_variables))",
    "attempt('parameters', lambda: layer.count_params())",
    "print('trained', [w.path for w in layer.trainable_weights])",
    "print('kept', [w.path for w in layer.non_trainable_weights])",
    _config_of("layer", ", default=str"),
    "attempt('build config', lambda: json.dumps(layer.get_build_config()))",
    "print('built', layer.built, layer.compute_dtype, layer.supports_masking)",
    "print('repr', repr(layer).split()[0])",
)


def _looked_at(draw: Draw, least: int = 2, most: int = 5) -> list[str]:
    return draw.some(_LOOKS, least, most)


def _alone(draw: Draw) -> str:
    """A layer that is built or called by itself."""
    width = draw.whole(2, 3)
    layer = user_layer(draw, width)
    lines = [layer.source, f"x = numbers({draw.whole(2, 4)}, {width})", f"layer = {layer.make}"]
    steps = [
        f"show('out', {layer.called(draw, 'layer', 'x')})",
        f"show('out', {layer.called(draw, 'layer', 'ops.convert_to_tensor(x)')})",
        f"y = {layer.called(draw, 'layer', f'keras.Input(({width},))')}\n"
        "print('symbolic', y.shape, y.dtype)",
        "layer.trainable = False\nprint('frozen', len(layer.trainable_weights))",
        "layer.trainable = True\nprint('thawed', len(layer.trainable_weights))",
        "attempt('set', lambda: layer.set_weights([w * 0.5 for w in layer.get_weights()]))",
        f"again = {layer.kind}.from_config(layer.get_config())\n"
        f"show('again', {layer.called(draw, 'again', 'x')})\nshow_weights('copy', again)",
    ]
    if not layer.restorable:
        steps[-1] = f"attempt('again', lambda: {layer.kind}.from_config(layer.get_config()).built)"
    if layer.signature in ONE:
        steps.append(f"attempt('shape', lambda: layer.compute_output_shape((None, {width})))")
        steps.append(f"attempt('built', lambda: layer.build((None, {width})))")
        steps.append(f"layer.build((2, {width}))\nshow_weights('built', layer)")
        steps[-2:] = steps[-2:] if draw.chance(0.5) else []
    chosen = draw.some(draw.shuffled(steps), 2, 5)
    for step in chosen:
        lines += [step, *_looked_at(draw, 0, 2)]
    lines += _looked_at(draw, 1, 4)
    return assemble(*lines)


def _in_model(draw: Draw, layer: UserLayer, width: int, subclassed: bool = True) -> str:
    """Statements that make `model`, whose layer of the user's is `layer`."""
    styles = ["functional", "functional", "sequential", "shared", "nested"]
    style = draw.one(styles + ["subclass"] * subclassed)
    before, after = (draw.one(["layers.Dense({w})", "layers.Identity()"]) for _ in range(2))
    before, after = before.format(w=width), after.format(w=draw.whole(1, 3))
    make = f"layer = {layer.make}\n"
    if style == "sequential" and layer.signature in ONE:
        return (
            f"{make}model = keras.Sequential([keras.Input(({width},)), {before}, layer, {after}])"
        )
    if style == "shared":
        once = layer.called(draw, "layer", "x", said=[None])  # which programs of `training` do
        return (
            f"{make}inputs = keras.Input(({width},))\nx = inputs\nx = {once}\n"
            f"x = {once} + {before}(inputs)\n"
            "model = keras.Model(inputs, x)"
        )
    if style == "functional" and layer.inner and "name=" not in layer.make and draw.chance():
        make = layer.make.replace(f"inner={layer.inner}", "inner=part")  # the same for two layers
        calls = [layer.called(draw, name, "x", said=[None]) for name in ("first", "layer")]
        return (
            f"part = {layer.inner}\nfirst = {make}\nlayer = {make}\n"
            f"inputs = keras.Input(({width},))\nx = {before}(inputs)\n"
            f"x = {calls[0]}\nx = {calls[1]}\nmodel = keras.Model(inputs, {after}(x))"
        )
    if style == "subclass":
        # Not `None`, which means another thing there in Keras 3.15.
        inner = layer.called(draw, "self.layer", "x", said=(True, False))
        return (
            f"class Net(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
            f"        self.layer = {layer.make}\n        self.after = {after}\n"
            "    def call(self, x, training=None):\n"
            f"        return self.after({inner})\n"
            "model = Net()\nlayer = model.layer"
        )
    inner = (
        f"{make}inputs = keras.Input(({width},))\nx = {before}(inputs)\n"
        f"x = {layer.called(draw, 'layer', 'x', said=[None])}\nx = {after}(x)\n"
        "model = keras.Model(inputs, x)"
    )
    if style == "nested":
        inner += (
            f"\nouter = keras.Input(({width},))\nmodel = keras.Model(outer, model(outer) * 2.0)"
        )
    return inner


def _trained(draw: Draw) -> str:
    """A layer in a model that is trained."""
    # Of width 2, a LayerNormalization gives 1 and -1: its gradients are nothing but roundings.
    width, rows = draw.whole(3, 4), draw.one([4, 6, 8])
    layer = user_layer(draw, width)
    uses = [
        "show('evaluated', model.evaluate(x, y, batch_size=2, verbose=0))",
        "show('called', model(x))",
        "show('called', model(x, training=True))",
        "print('losses', len(model.losses))",
        "show_weights('weights', model)",
        "print('metrics', [m.name for m in model.metrics])",
        "print('paths', [v.path for v in model.variables])",
        "layer.trainable = False\nmodel.compile('sgd', 'mse')\n"
        "show('frozen', model.fit(x, y, batch_size=2, verbose=0).history)",
    ]
    return assemble(
        layer.source,
        _in_model(draw, layer, width),
        f"x = numbers({rows}, {width})",
        f"y = numbers({rows}, model(x).shape[-1], seed=1)",
        pieces.compilation(draw),
        "show('history', model.fit(x, y, epochs=2, batch_size=2, verbose=0).history)",
        *draw.some(draw.shuffled(uses), 2, 4),
        *_looked_at(draw),
        "show('predicted', model.predict(x, batch_size=2, verbose=0))",
    )


def _saved(draw: Draw) -> str:
    """A layer in a model that another process opens."""
    width, rows = draw.whole(3, 4), draw.one([4, 6])  # as above
    layer = user_layer(draw, width, exact=draw.chance(0.7))
    made = _in_model(draw, layer, width, subclassed=False)
    forms = ["keras", "keras", "keras", "weights.h5", "json"]
    # Keras builds layers of an `.h5` file from one shape.
    form = draw.one(forms + ["h5"] * (layer.signature in ONE))
    use = f"x = numbers({rows}, {width})"
    # Keras cannot read the loss of an `.h5` file from its short name.
    fitted = (
        f"y = numbers({rows}, model.output_shape[-1], seed=1)\n"
        "model.compile('sgd', keras.losses.MeanSquaredError())\n"
        "model.fit(x, y, batch_size=2, verbose=0)"
    )
    objects = f"custom_objects={{{layer.kind!r}: {layer.kind}}}"
    if "@keras" in layer.source and draw.chance(0.7):
        objects = ""
    saving = {
        "keras": "model.save('model.keras')",
        "h5": "model.save('model.h5')",
        "weights.h5": "model.save_weights('model.weights.h5')",
        "json": "open('model.json', 'w').write(model.to_json())",
    }[form]
    opening = {
        "keras": f"model = keras.models.load_model('model.keras', {objects})",
        "h5": f"model = keras.models.load_model('model.h5', {objects})",
        "weights.h5": f"{made}\nmodel.load_weights('model.weights.h5')",
        "json": f"model = keras.models.model_from_json(open('model.json').read(), {objects})",
    }[form].replace(", )", ")")
    shown = "show('predicted', model.predict(x, verbose=0))"
    if form == "json":  # other weights there
        shown = "print('predicted', model.predict(x, verbose=0).shape)"
    ending = "print('weights', [(w.path, tuple(w.shape)) for w in model.weights])"
    if form != "json":
        ending = "show_weights('weights', model)"
    return assemble(
        layer.source,
        made,
        use,
        *draw.some([fitted]),
        shown,
        saving,
        HANDOVER,
        layer.source,
        opening,
        use,
        ending,
        shown,
        *draw.some([_CONFIG] if layer.signature != "mask" else [], 0, 1),
    )


def program(draw: Draw) -> str:
    """Write a program."""
    return draw.one([_alone, _alone, _trained, _saved, special])(draw)
