"""Models whose training is their own: pairs of networks, autoencoders, distillation, twins."""

from __future__ import annotations

from ..drawing import Draw, assemble
from ._model_bodies import dense

__all__ = ["program"]

_APPLY = (
    "self.zero_grad()\n        {loss}.backward()\n"
    "        gradients = [v.value.grad for v in {weights}]\n"
    "        with torch.no_grad():\n"
    "            self.{optimizer}.apply(gradients, {weights})"
)


def _applied(loss: str, weights: str, optimizer: str = "optimizer") -> str:
    return _APPLY.format(loss=loss, weights=weights, optimizer=optimizer)


def _network(draw: Draw, width: int, units: int) -> str:
    known = f"keras.Input(({width},)), " if draw.chance(0.75) else ""
    return f"keras.Sequential([{known}{dense(draw, 3)}, {dense(draw, units)}])"


def _adversaries(draw: Draw) -> list[str]:
    built = "        self.built = True\n" if draw.chance(0.9) else ""
    metrics = draw.one([
        "    @property\n    def metrics(self):\n        return [self.d_loss, self.g_loss]\n",
        "",
    ])  # fmt: skip
    known = "keras.Input(({},)), "
    noise = draw.one([
        "keras.random.normal((len(x), 2), seed=self.seeds)",
        "torch.ones((len(x), 2))",
        "x[:, :2] * 0.5",
    ])  # fmt: skip
    source = f"""
class Pair(keras.Model):
    def __init__(self, critic, maker):
        super().__init__()
        self.critic = critic
        self.maker = maker
        self.d_loss = keras.metrics.Mean(name="d_loss")
        self.g_loss = keras.metrics.Mean(name="g_loss")
        self.seeds = keras.random.SeedGenerator(7)
{built}
    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile({draw.one(["", "", "optimizer=None"])})
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn
{metrics}
    def train_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        made = self.maker({noise})
        both = ops.concatenate([made, x], axis=0)
        labels = ops.concatenate([ops.ones((len(x), 1)), ops.zeros((len(x), 1))], axis=0)
        d_loss = self.loss_fn(labels, self.critic(both))
        {_applied("d_loss", "self.critic.trainable_weights", "d_optimizer")}
        scored = self.critic(self.maker({noise}))
        g_loss = self.loss_fn(ops.zeros((len(x), 1)), scored)
        {_applied("g_loss", "self.maker.trainable_weights", "g_optimizer")}
        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return {{"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}}

critic = keras.Sequential([{known.format(3)}{dense(draw, 4)}, layers.Dense(1)])
maker = keras.Sequential([{known.format(2)}{dense(draw, 3)}, layers.Dense(3)])
model = Pair(critic, maker)
optimizer = keras.optimizers.{draw.one(["SGD(0.05)", "Adam(0.01, epsilon=0.01)"])}
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(0.05), optimizer, loss)
x = numbers(8, 3)
"""
    uses = [
        'print("built", model.built, [layer.name for layer in model.layers])',
        'show("made", maker.predict(numbers(2, 2), verbose=0))',
        'attempt("called", lambda: model(x))',
        'attempt("predicted", lambda: model.predict(x, verbose=0))',
        'print("metrics", model.metrics_names)',
        'print("iterations", int(model.d_optimizer.iterations), int(model.g_optimizer.iterations))',
        'attempt("summary", lambda: model.summary())',
    ]
    history = 'show("history", model.fit(x, epochs=2, batch_size=4, verbose=0).history)'
    return [source, history, *draw.some(uses, 1, 3), 'show_weights("critic", critic)',
            'show_weights("maker", maker)']  # fmt: skip


def _variational(draw: Draw) -> list[str]:
    sampled = draw.one([
        "mean + ops.exp(0.5 * spread) * keras.random.normal(ops.shape(mean), seed=self.seeds)",
        "self.sampling([mean, spread])",
    ])  # fmt: skip
    call = draw.one([
        "",
        "    def call(self, x):\n        return self.decoder(self.encode(x)[2])\n",
    ])  # fmt: skip
    source = f"""
class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(3)
    def call(self, inputs):
        mean, spread = inputs
        return mean + ops.exp(0.5 * spread) * keras.random.normal(ops.shape(mean), seed=self.seeds)

class Auto(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = {_network(draw, 3, 4)}
        self.decoder = {_network(draw, 2, 3)}
        self.sampling = Sampling()
        self.seeds = keras.random.SeedGenerator(5)
        self.total = keras.metrics.Mean(name="total")
        self.rebuilt = keras.metrics.Mean(name="rebuilt")
    def encode(self, x):
        mean, spread = ops.split(self.encoder(x), 2, axis=-1)
        return mean, spread, {sampled}
{call}
    def train_step(self, data):
        x = data[0] if isinstance(data, (tuple, list)) else data
        mean, spread, z = self.encode(x)
        rebuilt = ops.mean(ops.sum(ops.square(x - self.decoder(z)), axis=1))
        kl = -0.5 * ops.mean(1 + spread - ops.square(mean) - ops.exp(spread))
        total = rebuilt + {draw.one(["kl", "0.1 * kl"])}
        {_applied("total", "self.trainable_weights")}
        self.total.update_state(total)
        self.rebuilt.update_state(rebuilt)
        return {{m.name: m.result() for m in [self.total, self.rebuilt]}}

model = Auto()
x = numbers(8, 3)
{draw.one(["model.built = True", "model.encode(x); model.decoder(x[:, :2]); model.built = True"])}
model.compile({draw.one(["'sgd'", "optimizer=keras.optimizers.Adam(0.01, epsilon=0.01)"])})
"""
    uses = [
        'print("metrics", model.metrics_names)',
        'show("encoded", model.encoder.predict(x, verbose=0))',
        'attempt("predicted", lambda: model.predict(x, verbose=0))',
        'print("layers", [layer.name for layer in model.layers])',
        'attempt("evaluated", lambda: model.evaluate(x, x, verbose=0))',
    ]
    ready = (
        "Input" in source.split("self.decoder")[0]
        and "Input" in source.split("self.decoder =")[1].split("\n")[0]
    )
    history = 'show("history", model.fit(x, epochs=2, batch_size=4, verbose=0).history)'
    if not ready and "model.encode(x);" not in source:
        history = f"model.encode(x); model.decoder(x[:, :2])\n{history}"
    return [source, history, *draw.some(uses, 1, 3), 'show_weights("weights", model)']


def _distilled(draw: Draw) -> list[str]:
    frozen = draw.one(["self.teacher.trainable = False", "pass"])
    last = draw.one([", training=True", ", allow_empty=False", ""])
    optimizer = draw.one(["'sgd'", "keras.optimizers.SGD(0.1)"])
    loss = draw.one(["keras.losses.MeanSquaredError()", "keras.losses.Huber()"])
    source = f"""
class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student
        {frozen}
    def compile(self, optimizer, metrics, student_loss_fn, alpha=0.1):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.alpha = alpha
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None{last}):
        taught = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        return self.alpha * student_loss + (1 - self.alpha) * ops.mean(ops.square(taught - y_pred))
    def call(self, x{draw.one([", training=None", ""])}):
        return self.student(x)

teacher = {_network(draw, 3, 2)}
student = {_network(draw, 3, 2)}
teacher(numbers(2, 3))
model = Distiller(student, teacher)
x, y = numbers(8, 3), numbers(8, 2, seed=1)
model.compile(optimizer={optimizer}, metrics=['mae'], student_loss_fn={loss})
"""
    uses = [
        'show("evaluated", model.evaluate(x, y, verbose=0))',
        'show("predicted", model.predict(x, verbose=0))',
        'print("trained", len(model.trainable_weights), len(model.non_trainable_weights))',
        'show("student", student.predict(x, verbose=0))',
        'print("metrics", model.metrics_names)',
    ]
    history = 'show("history", model.fit(x, y, epochs=2, batch_size=4, verbose=0).history)'
    return [source, history, *draw.some(uses, 1, 3), 'show_weights("weights", model)']


def _twins(draw: Draw) -> list[str]:
    """Models whose `call` takes more than one tensor, or a structure."""
    form = draw.one(["two", "optional", "keyword", "list", "dict", "step"])
    signature, first, given = {
        "two": ("a, b", "a, b", None),
        "optional": ("a, b=None", "a, b", "[x, z]"),
        "keyword": ("a, *, b", "a, b=b", None),
        "list": ("inputs", "[a, b]", "[x, z]"),
        "dict": ("inputs", "{'a': a, 'b': b}", "{'a': x, 'b': z}"),
        "step": ("a, b, scale", "a, b, scale=2.0", None),
    }[form]
    opened = {"list": "a, b = inputs", "dict": "a, b = inputs['a'], inputs['b']"}.get(form, "pass")
    merged = draw.one(["p - q", "ops.abs(p - q)", "self.dot([p, q])", "ops.concatenate([p, q])"])
    merged = "p * scale - q" if form == "step" else merged
    if "concatenate" in merged:
        merged = "ops.concatenate([p, q], axis=-1)"
    handed = draw.one(["{'left': x, 'right': z}", "[x, z]"]) if given is None else given
    taken = "pair['left'], pair['right']" if "left" in handed else "pair"
    taken = "pair['a'], pair['b']" if "'a'" in handed else taken
    opened_step = f"pair, y = data\n        a, b = {taken}"
    optional = "b = a if b is None else b" if form == "optional" else opened
    if form == "optional":
        optional = "a, b = a if isinstance(a, (list, tuple)) else (a, a if b is None else b)"
    shown = draw.one(["self.tower", "self.tower"])
    own_step = form in ("two", "keyword", "step") or draw.chance(0.4)
    step = f"""
    def train_step(self, data):
        {opened_step}
        y_pred = self({first}, training=True)
        loss = {draw.one(["self.loss_fn(y, y_pred)", "self.compute_loss(y=y, y_pred=y_pred)"])}
        {_applied("loss", "self.trainable_weights")}
        self.seen.update_state(loss)
        return {{"loss": self.seen.result()}}
    def test_step(self, data):
        {opened_step}
        y_pred = self({first}, training=False)
        self.seen.update_state(self.loss_fn(y, y_pred))
        return {{"loss": self.seen.result()}}
    def predict_step(self, data):
        pair = keras.utils.unpack_x_y_sample_weight(data)[0]
        a, b = {taken}
        return self({first})
"""
    width = 4 if "concat" in merged else 1 if "dot" in merged else 2
    source = f"""
class Twins(keras.Model):
    def __init__(self):
        super().__init__()
        self.tower = {_network(draw, 3, 2)}
        self.other = {dense(draw, 2)}
        self.dot = layers.Dot(axes=1)
        self.loss_fn = keras.losses.MeanSquaredError()
        self.seen = keras.metrics.Mean(name="loss")
    def call(self, {signature}{draw.one([", training=None", ""])}):
        {optional}
        p, q = {shown}(a), {draw.one(["self.tower(b)", "self.other(b)"])}
        return {merged}
{step if own_step else ""}
model = Twins()
x, z, y = numbers(8, 3), numbers(8, 3, seed=2), numbers(8, {width}, seed=1)
pair = {handed}
"""
    call = first.replace("scale=2.0", "scale=2.0").replace("a, b", "x, z")
    call = {"list": "[x, z]", "dict": "{'a': x, 'b': z}", "keyword": "x, b=z"}.get(form, call)
    before = draw.one([f'show("called", model({call}))', "", ""])
    needs_call = form in ("two", "keyword", "step") and "compute_loss(" in source
    if needs_call or (form in ("two", "keyword", "step") and draw.chance(0.8)):
        before = f'show("called", model({call}))'
    loss = ", loss='mse'" if "compute_loss(" in source or not own_step else ""
    uses = [
        'attempt("evaluated", lambda: model.evaluate(pair, y, verbose=0))',
        'attempt("predicted", lambda: model.predict(pair, verbose=0))',
        f'show("called", model({call}))',
        'print("built", model.built, [layer.name for layer in model.layers])',
    ]
    history = 'show("history", model.fit(pair, y, epochs=2, batch_size=4, verbose=0).history)'
    return [source, before, f"model.compile(optimizer='sgd'{loss})", history,
            *draw.some(uses, 1, 3), 'show_weights("weights", model)']  # fmt: skip


def program(draw: Draw) -> str:
    """Write a program about a model that is trained its own way."""
    return assemble(*draw.one([_adversaries, _variational, _distilled, _twins, _twins])(draw))
