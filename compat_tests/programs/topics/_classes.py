"""Classes of users with one mistake in them."""

# ruff: noqa: E501 (tables of source)
from __future__ import annotations

import textwrap

from ..drawing import Draw

__all__ = ["statements"]

_LAYER = """
class Mine(layers.Layer):
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = layers.Dense(units)
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        super().build(shape)
    def call(self, x, training=None):
        return self.inner(x * self.scale)
    def get_config(self):
        return {**super().get_config(), "units": self.units}
"""

# What is replaced in the class, and by what.
_SLIPS = (
    ("        super().__init__(**kwargs)\n", ""),
    ("        super().__init__(**kwargs)\n        self.units = units\n        self.inner = layers.Dense(units)\n",
     "        self.inner = layers.Dense(units)\n        self.units = units\n        super().__init__(**kwargs)\n"),
    ("super().__init__(**kwargs)", "super().__init__(units, **kwargs)"),
    ("super().__init__(**kwargs)", "super().__init__(units=units, **kwargs)"),
    ("super().__init__(**kwargs)", "super(Mine).__init__(**kwargs)"),
    ("super().__init__(**kwargs)", "super().__init__()"),
    ("units=2, **kwargs", "units, **kwargs"),
    ("units=2, **kwargs", "units=2"),
    ("        self.units = units\n", ""),
    ("layers.Dense(units)", "layers.Dense"),
    ("layers.Dense(units)", "layers.Dense('two')"),
    ("layers.Dense(units)", "None"),
    ("shape=(shape[-1],)", "shape=(shape[1:],)"),
    ("shape=(shape[-1],)", "shape=shape"),
    ("shape=(shape[-1],)", "shape=(7,)"),
    ("shape=(shape[-1],)", "shape=[shape[-1]]"),
    ("shape=(shape[-1],)", "shape=shape[-1]"),
    ('initializer="ones"', 'initializer="onse"'),
    ('initializer="ones"', 'initializer=3'),
    ('name="scale"', 'name="a/b"'),
    ('name="scale"', 'nonsense=1'),
    ('initializer="ones", name="scale"', '"ones", name="scale"'),
    ("self.scale = self.add_weight", "self.add_weight"),
    ("def build(self, shape):", "def build(self):"),
    ("def build(self, shape):", "def build(self, shape, other):"),
    ("        super().build(shape)\n", ""),
    ("super().build(shape)", "super().build()"),
    ("super().build(shape)", "self.built = False"),
    ("def build(", "def bulid("),
    ("def call(", "def cal("),
    ("def call(self, x, training=None)", "def call(x)"),
    ("def call(self, x, training=None)", "def call(self)"),
    ("def call(self, x, training=None)", "def call(self, x, other)"),
    ("return self.inner(x * self.scale)", "self.inner(x * self.scale)"),
    ("return self.inner(x * self.scale)", "return 3"),
    ("return self.inner(x * self.scale)", "return self.inner(x * self.scale).numpy()"),
    ("return self.inner(x * self.scale)", "return self.inner(x * self.scale, nonsense=1)"),
    ("return self.inner(x * self.scale)", "return self.outer(x * self.scale)"),
    ("return self.inner(x * self.scale)", "return 'text'"),
    ("return self.inner(x * self.scale)", "return 1 / 0"),
    ("return self.inner(x * self.scale)", "return self.inner(ops.reshape(x, (-1, 7)))"),
    # A layer made in every call is not among them: it draws as often as tracing happens to call.
    ("return self.inner(x * self.scale)", "return x if ops.sum(x) > 0 else -x"),
    ("return self.inner(x * self.scale)", "self.more = self.add_weight(shape=(2,)); return self.inner(x)"),
    ("return self.inner(x * self.scale)", "raise KeyError('a')"),
    ("return self.inner(x * self.scale)", "assert False, 'no'"),
    ('{**super().get_config(), "units": self.units}', '{"units": self.units}'),
    ('{**super().get_config(), "units": self.units}', "super().get_config()"),
    ('{**super().get_config(), "units": self.units}', "None"),
    ('{**super().get_config(), "units": self.units}', '{**super().get_config(), "unit": self.units}'),
    ('{**super().get_config(), "units": self.units}', '{**super().get_config(), "units": object()}'),
    ("        self.units = units\n", "        self.units = units\n        self.name = 'a'\n"),
    ("        self.units = units\n", "        self.units = units\n        self.weights = []\n"),
    ("        self.units = units\n", "        self.units = units\n        self.built = True\n"),
    ("        self.units = units\n", "        self.units = units\n        self.dtype = 'float32'\n"),
    ("        self.units = units\n", "        self.units = units\n        self.losses = []\n"),
    ("        self.units = units\n", "        self.units = units\n        self.input = 3\n"),
    ("        self.units = units\n", "        self.units = units\n        self.input_spec = layers.InputSpec(ndim=5)\n"),
)  # fmt: skip

_USES = (
    'show("y", Mine(2)(numbers(2, 3)))\nmade = Mine(2)\nmade.build((None, 3))\nshow_weights("w", made)',
    """
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Mine(units=2, name="mine")(inputs))
    model.compile("sgd", "mse")
    show("h", model.fit(numbers(4, 3), numbers(4, 2), verbose=0).history)
    show_weights("w", model)
    model.save("model.keras")
    again = keras.models.load_model("model.keras", custom_objects={"Mine": Mine})
    show("p", again.predict(numbers(4, 3), verbose=0))
    """,
    """
    model = keras.Sequential([Mine(), layers.Dense(1)])
    model.compile("sgd", "mse")
    show("h", model.fit(numbers(4, 3), numbers(4, 1), verbose=0).history)
    show_weights("w", model)
    """,
    """
    made = Mine(units=2)
    made(numbers(4, 3))
    again = Mine.from_config(made.get_config())
    again(numbers(4, 3))
    again.set_weights(made.get_weights())
    show("y", again(numbers(4, 3)))
    """,
)
_FOR_MODELS = """
inputs = numbers(4, 3)
model = Mine(2)
model.compile("sgd", "mse")
show("h", model.fit(inputs, numbers(4, 2), verbose=0).history)
show("e", model.evaluate(inputs, numbers(4, 2), verbose=0))
show("p", model.predict(inputs, verbose=0))
show_weights("w", model)
"""


# What a slip leaves behind shows in a class without one.
_RIGHT = """
keras.utils.set_random_seed(1)
right = keras.Sequential([keras.Input((3,)), Right(2, name="right")], name="after")
right.compile("sgd", "mse")
show("after", right.fit(numbers(4, 3), numbers(4, 2), verbose=0).history)
show_weights("after", right)
"""


def statements(draw: Draw) -> tuple[str, str, str]:
    """A class with a mistake, its use as a layer or a model, and the use of a right one."""
    old, new = draw.one(_SLIPS)
    right = _LAYER.strip()
    source = right.replace(old, new)
    use = draw.one(_USES)
    if draw.chance(0.25):
        source, use = source.replace("layers.Layer", "keras.Model"), _FOR_MODELS
    # Named, since what is refused may have taken a number.
    right = right.replace("class Mine", "class Right").replace("(units)", "(units, name='inner')")
    return f"{source}\n{right}", textwrap.dedent(use), _RIGHT
