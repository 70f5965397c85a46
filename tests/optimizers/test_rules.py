"""Update rules beyond Adam, SGD and RMSprop, against their formulas in NumPy, and their errors.

Each formula is a function `(w, grads, rate, options)` that yields the weights after each gradient,
in float64 and for one variable.
"""

import inspect
import itertools
import math
import warnings

import numpy as np
import pytest
import torch

from torchkeras import optimizers
from torchkeras.optimizers import rules
from torchkeras.optimizers.schedules import ExponentialDecay
from torchkeras.variables import Variable


def _adagrad(w, grads, rate, initial_accumulator_value=0.1, epsilon=1e-7):
    n = np.full_like(w, initial_accumulator_value)
    for g in grads:
        n = n + g**2
        w = w - rate * g / np.sqrt(n + epsilon)
        yield w


def _adadelta(w, grads, rate, rho=0.95, epsilon=1e-7):
    n, d = np.zeros_like(w), np.zeros_like(w)
    for g in grads:
        n = rho * n + (1 - rho) * g**2
        s = np.sqrt(d + epsilon) / np.sqrt(n + epsilon) * g
        d = rho * d + (1 - rho) * s**2
        w = w - rate * s
        yield w


def _ftrl(w, grads, rate, power=-0.5, start=0.1, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    """As in the docstring of Keras: by `sigma` and with the threshold `l1` as a case."""
    n, z = np.full_like(w, start), np.zeros_like(w)
    for g in grads:
        sigma = ((n + g**2) ** -power - n**-power) / rate
        z = z + g + 2 * shrinkage * w - sigma * w
        n = n + g**2
        slope = n**-power / rate + 2 * (l2 + beta / (2 * rate))
        w = np.where(np.abs(z) < l1, 0.0, (np.sign(z) * l1 - z) / slope)
        yield w


def _adamax(w, grads, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        m = beta_1 * m + (1 - beta_1) * g
        u = np.maximum(beta_2 * u, np.abs(g))
        w = w - rate / (1 - beta_1**t) * m / (u + epsilon)
        yield w


def _nadam(w, grads, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        u = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        nesterov = u[t] * m / (1 - math.prod(u)) + (1 - u[t - 1]) * g / (1 - math.prod(u[:-1]))
        w = w - rate * nesterov / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        yield w


def _lamb(w, grads, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        s = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        w = w - rate * np.linalg.norm(w) / np.linalg.norm(s) * s
        yield w


def _schedule_free(w, grads, rate, beta_2=0.999, epsilon=1e-8, warmup_steps=0):
    v, points = np.zeros_like(w), []
    z = w
    for t, g in enumerate(grads, 1):
        v = beta_2 * v + (1 - beta_2) * g**2
        now = rate * min(1.0, t / warmup_steps) if warmup_steps else rate
        z = z - now * g / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        points.append(z)
        yield np.mean(points, axis=0)


def _lion(w, grads, rate, beta_1=0.9, beta_2=0.99):
    m = np.zeros_like(w)
    for g in grads:
        w = w - rate * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g
        yield w


def _adafactor(w, grads, rate, decay=-0.8, epsilon_1=1e-30, epsilon_2=1e-3, threshold=1.0):
    def rms(x):
        return np.sqrt(np.mean(x**2))

    r = c = v = 0.0
    for t, g in enumerate(grads, 1):
        keep, squares = 1 - t**decay, g**2 + epsilon_1
        if w.ndim >= 2:
            r = keep * r + (1 - keep) * squares.mean(-1)
            c = keep * c + (1 - keep) * squares.mean(-2)
            v = r[..., None] * c[..., None, :] / r.mean(-1)[..., None, None]
        else:
            v = keep * v + (1 - keep) * squares
        u = g / np.sqrt(v)
        u = u / max(1.0, rms(u) / threshold)
        w = w - max(epsilon_2, rms(w)) * min(rate, 1 / math.sqrt(t)) * u
        yield w


def _muon(w, grads, rate, momentum=0.95, steps=5, nesterov=True, rms_rate=0.2):
    a, b, c = 3.4445, -4.7750, 2.0315
    m = np.zeros_like(w)
    for g in grads:
        m = momentum * m + g
        left, singular, right = np.linalg.svd(g + momentum * m if nesterov else m)
        singular = singular / (np.linalg.norm(singular) + 1e-7)
        for _ in range(steps):  # the iteration acts on each singular value alone
            singular = a * singular + b * singular**3 + c * singular**5
        k = len(singular)
        step = left[:, :k] @ np.diag(singular) @ right[:k]
        scale = 1.0 if rms_rate is None else rms_rate * math.sqrt(max(w.shape))
        w = w - rate * scale * step
        yield w


def _adamw(w, grads, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        alpha = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        w = w - alpha * m / (np.sqrt(v) + epsilon)
        yield w


FTRL = {
    "learning_rate_power": -0.3,
    "initial_accumulator_value": 0.4,
    "l1_regularization_strength": 0.7,
    "l2_regularization_strength": 0.2,
    "l2_shrinkage_regularization_strength": 0.05,
    "beta": 0.3,
}
FORMULAS = {
    "adagrad": (optimizers.Adagrad, {}, _adagrad, {}),
    "adagrad with options": (
        optimizers.Adagrad,
        {"initial_accumulator_value": 0.0, "epsilon": 0.01},
        _adagrad,
        {"initial_accumulator_value": 0.0, "epsilon": 0.01},
    ),
    "adadelta": (optimizers.Adadelta, {}, _adadelta, {}),
    "adadelta with options": (
        optimizers.Adadelta,
        {"rho": 0.7, "epsilon": 0.1},
        _adadelta,
        {"rho": 0.7, "epsilon": 0.1},
    ),
    "ftrl": (optimizers.Ftrl, {}, _ftrl, {}),
    "ftrl with options": (
        optimizers.Ftrl,
        FTRL,
        _ftrl,
        dict(zip(("power", "start", "l1", "l2", "shrinkage", "beta"), FTRL.values(), strict=True)),
    ),
    "adamax": (optimizers.Adamax, {"beta_2": 0.8}, _adamax, {"beta_2": 0.8}),
    "nadam": (optimizers.Nadam, {"epsilon": 0.1}, _nadam, {"epsilon": 0.1}),
    "lamb": (optimizers.Lamb, {"beta_1": 0.5}, _lamb, {"beta_1": 0.5}),
    "schedule free": (optimizers.ScheduleFreeAdamW, {"beta_1": 0.7}, _schedule_free, {}),
    "schedule free with warmup": (
        optimizers.ScheduleFreeAdamW,
        {"warmup_steps": 4, "beta_2": 0.9},
        _schedule_free,
        {"warmup_steps": 4, "beta_2": 0.9},
    ),
    "lion": (optimizers.Lion, {"beta_1": 0.5}, _lion, {"beta_1": 0.5}),
    "adafactor": (optimizers.Adafactor, {}, _adafactor, {}),
    "adafactor with options": (
        optimizers.Adafactor,
        {"beta_2_decay": -0.5, "epsilon_1": 0.01, "epsilon_2": 3.0, "clip_threshold": 0.5},
        _adafactor,
        {"decay": -0.5, "epsilon_1": 0.01, "epsilon_2": 3.0, "threshold": 0.5},
    ),
    "muon": (optimizers.Muon, {"weight_decay": None}, _muon, {}),
    "muon without nesterov": (
        optimizers.Muon,
        {"weight_decay": None, "nesterov": False, "momentum": 0.5, "rms_rate": None},
        _muon,
        {"nesterov": False, "momentum": 0.5, "rms_rate": None},
    ),
    "muon's adam": (
        optimizers.Muon,
        {"adam_weight_decay": None, "exclude_layers": ["^w$"], "adam_lr_ratio": 0.5},
        lambda w, grads, rate: _adamw(w, grads, rate / 2),
        {},
    ),
}


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)], ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_rule_against_numpy(name, shape):
    cls, options, formula, constants = FORMULAS[name]
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal(shape), rng.standard_normal((9, *shape))
    variable = Variable(start, dtype="float64", name="w")
    optimizer = cls(0.25, **options)  # a number that float32 holds exactly
    for g, expected in zip(grads, formula(start, grads, 0.25, **constants), strict=True):
        optimizer.apply([torch.tensor(g)], [variable])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4), (2, 1, 3, 2)], ids=str)
def test_adafactor_of_each_rank(shape):
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal(shape), rng.standard_normal((6, *shape))
    variable = Variable(start, dtype="float64")
    optimizer = optimizers.Adafactor(0.25)
    for g, expected in zip(grads, _adafactor(np.asarray(start), grads, 0.25), strict=True):
        optimizer.apply([torch.as_tensor(g)], [variable])
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-9)
    r, c, v = optimizer.variables[2:]
    assert v.shape == shape
    factors = ((), ()) if len(shape) < 2 else (shape[:-1], (*shape[:-2], shape[-1]))
    assert (r.shape, c.shape) == factors


# Special cases ------------------------------------------------------------------------------------


def test_ftrl_sets_small_weights_to_zero():
    w = Variable([1.0, 1.0])
    optimizer = optimizers.Ftrl(0.5, l1_regularization_strength=1.0, initial_accumulator_value=0.0)
    optimizer.apply([torch.tensor([0.1, 10.0])], [w])
    assert w[0].item() == 0.0 and w[1].item() != 0.0


@pytest.mark.parametrize("start", [[0.0, 0.0], [3.0, 4.0]], ids=["no weights", "no gradient"])
def test_lamb_without_a_norm(start):
    w = Variable(start, dtype="float64")
    gradient = torch.tensor([1.0, -1.0] if start[0] == 0 else [0.0, 0.0], dtype=torch.float64)
    optimizers.Lamb(0.5, epsilon=0.0 if start[0] == 0 else 1e-7).apply([gradient], [w])
    expected = [-0.5, 0.5] if start[0] == 0 else start
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-9)


def test_lion_keeps_what_has_no_gradient():
    w = Variable([1.0, 2.0])
    optimizers.Lion(0.5).apply([torch.tensor([0.0, -1e-30])], [w])
    assert w.tolist() == [1.0, 2.5]


def test_nadam_counts_once_for_all_groups():
    variables = [Variable(np.ones(2), dtype=dtype) for dtype in ("float32", "float64")]
    optimizer = optimizers.Nadam(0.1)
    for _ in range(3):
        optimizer.apply([torch.ones(2, dtype=v.dtype) for v in variables], variables)
    expected = math.prod(0.9 * (1 - 0.5 * 0.96**t) for t in (1, 2, 3))
    assert optimizer._u_product.item() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(variables[0].numpy(), variables[1].numpy(), rtol=1e-5)


def test_nadam_goes_on_after_a_loss_scale_was_saved():
    def make():
        w = Variable([1.0, 2.0])
        optimizer = optimizers.LossScaleOptimizer(optimizers.Nadam(0.1), initial_scale=1.0)
        optimizer.build([w])
        return w, optimizer

    (w, optimizer), (other, again) = make(), make()
    for _ in range(5):
        optimizer.apply([torch.tensor([1.0, -2.0])], [w])
    store = {}
    optimizer.inner_optimizer.save_own_variables(store)
    assert len(store) == 4  # without the product, as in Keras
    again.inner_optimizer.load_own_variables(store)
    other.assign(w)
    for which, variable in ((optimizer, w), (again, other)):
        which.apply([torch.tensor([0.5, 0.5])], [variable])
    assert torch.equal(w, other)


def test_schedule_free_starts_from_the_variables():
    variables = [Variable([1.0, 2.0]), Variable([[3.0]])]
    optimizer = optimizers.ScheduleFreeAdamW()
    optimizer.build(variables)
    assert all(map(torch.equal, optimizer._momentums, variables))


def test_slots_with_a_start_value():
    optimizer = optimizers.Adagrad(initial_accumulator_value=0.25)
    optimizer.build([Variable(torch.zeros(3, 2, dtype=torch.float64))])
    (accumulator,) = optimizer._accumulators
    assert accumulator.dtype == torch.float64 and accumulator.tolist() == [[0.25] * 2] * 3


@pytest.mark.parametrize("cls", [optimizers.Adafactor, optimizers.Nadam, optimizers.Muon])
def test_state_of_its_own_shape_follows_the_variables(cls):
    variables = [Variable(torch.ones(3, 2)), Variable(torch.ones(3))]
    optimizer, reference = cls(0.1), cls(0.1)
    others = [Variable(torch.ones(3, 2)), Variable(torch.ones(3))]
    grads = [torch.arange(6.0).view(3, 2), torch.arange(3.0)]
    for step in range(4):
        if step == 2:
            for v in variables:
                v.data = v.data.double()
        optimizer.apply([g.to(v.dtype) for g, v in zip(grads, variables, strict=True)], variables)
        reference.apply(grads, others)
    for x, y in zip(variables, others, strict=True):
        assert x.dtype == torch.float64
        torch.testing.assert_close(x.data.float(), y.data)


# Muon ---------------------------------------------------------------------------------------------


def test_muon_chooses_by_shape_and_path():
    def variable(path, *shape):
        v = Variable(torch.ones(shape), name=path.rpartition("/")[2])
        v.path = path
        return v

    variables = [
        variable("dense/kernel", 3, 2),
        variable("dense_1/kernel", 3, 2),
        variable("dense_2/kernel", 2, 3),
        variable("dense/bias", 2),
        variable("my_Embedding/embeddings", 4, 2),
        variable("output/kernel", 2, 2),
        variable("conv/kernel", 3, 3, 2, 2),
    ]
    optimizer = optimizers.Muon(exclude_layers=["^output/"])
    optimizer.build(variables)
    adam = [v is not None for v in optimizer.adam_velocities]
    assert adam == [False, False, False, True, True, True, True]
    optimizer.apply([torch.rand_like(v) for v in variables], variables)
    sizes = {group.kind: len(group.variables) for group in optimizer._plan.groups}
    assert sizes == {(3, 2): 2, (2, 3): 1, "adam": 4}
    assert not optimizers.Muon(exclude_embeddings=False)._should_use_adamw(variables[4])


def test_muon_updates_matrices_of_one_shape_as_if_each_were_alone():
    start = torch.randn(3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    grads = torch.randn(3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    together = [Variable(s) for s in start]
    optimizers.Muon(0.1).apply(list(grads), together)
    for s, g, w in zip(start, grads, together, strict=True):
        alone = Variable(s)
        optimizers.Muon(0.1).apply([g], [alone])
        torch.testing.assert_close(w.data, alone.data)


@pytest.mark.parametrize("decays", [(None, 0.5), (0.5, None), (0.5, 0.25), (None, None)], ids=str)
def test_muon_has_two_weight_decays(decays):
    matrix, vector, spared = Variable(torch.ones(2, 2)), Variable([1.0]), Variable([1.0])
    optimizer = optimizers.Muon(0.5, weight_decay=decays[0], adam_weight_decay=decays[1])
    optimizer.exclude_from_weight_decay(var_list=[spared])
    zeros = [torch.zeros_like(v) for v in (matrix, vector, spared)]
    optimizer.apply(zeros, [matrix, vector, spared])
    shrunk = [1 - 0.5 * (decay or 0.0) for decay in decays]
    assert [matrix[0, 0].item(), vector.item(), spared.item()] == [*shrunk, 1.0]


def test_newton_schulz_of_batches_and_its_error():
    muon = optimizers.Muon()
    x = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    whole = muon.zeropower_via_newtonschulz5(x, 5)
    for i, j in itertools.product(range(2), range(3)):
        one = muon.zeropower_via_newtonschulz5(x[i, j], 5)
        torch.testing.assert_close(whole[i, j], one)
    singular = torch.linalg.svdvals(whole)
    assert 0.6 < singular.min() and singular.max() < 1.3
    with pytest.raises(ValueError, match=r"at least 2 dimensions(.|\n)*\(3,\)"):
        muon.zeropower_via_newtonschulz5(torch.ones(3), 5)
    assert torch.equal(muon.transpose_last_axis(x), x.mT)
    assert muon.lr_adjust(torch.ones(4, 9))[0, 0].item() == pytest.approx(0.6)
    assert optimizers.Muon(rms_rate=None).lr_adjust(torch.ones(4, 9))[0, 0].item() == 1.0


# Numbers that may be tensors ----------------------------------------------------------------------


def test_rules_take_numbers_and_tensors_alike():
    def run(number):
        targets, values = [torch.ones(3)], [torch.arange(3.0)]
        rules.add_scaled_(targets, values, number(0.5))
        rules.add_ratio_(targets, values, [torch.full((3,), 2.0)], number(-0.25))
        rules.average_(targets, values, number(0.125))
        return targets[0], float(rules.smaller(number(2.0), number(3.0)))

    (a, smaller), (b, other) = run(float), run(torch.tensor)
    torch.testing.assert_close(a, b)
    assert smaller == other == 2.0
    assert float(rules.smaller(torch.tensor(2.0), 1.0)) == 1.0


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", [*FTRL][:-1])
def test_ftrl_refuses_the_wrong_sign(argument):
    wrong = 0.1 if argument == "learning_rate_power" else -0.1
    with pytest.raises(ValueError, match=f"`{argument}` needs to be .* or zero.*{wrong}"):
        optimizers.Ftrl(**{argument: wrong})
    optimizers.Ftrl(**{argument: 0.0})


@pytest.mark.parametrize("beta_1", [0.0, -0.1, 1.1])
def test_lion_refuses_beta_1(beta_1):
    with pytest.raises(ValueError, match=f"SignSGD.*beta_1={beta_1}"):
        optimizers.Lion(beta_1=beta_1)
    optimizers.Lion(beta_1=1)


@pytest.mark.parametrize("name", optimizers.legacy.__all__)
def test_legacy_names_say_what_to_use(name):
    with pytest.raises(ImportError, match=r"Keras 3(.|\n)*keras\.optimizers"):
        getattr(optimizers.legacy, name)(learning_rate=0.1)


@pytest.mark.parametrize("cls", dict.fromkeys(formula[0] for formula in FORMULAS.values()))
def test_unknown_arguments_are_named(cls):
    with pytest.raises(ValueError, match="epsilom"):
        cls(epsilom=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cls(ExponentialDecay(0.1, 5, 0.5)).get_config()["learning_rate"]["class_name"]


_RATES = [
    (cls, name)
    for cls in dict.fromkeys(formula[0] for formula in FORMULAS.values())
    for name in inspect.signature(cls).parameters
    if name in ("beta_1", "beta_2", "rho", "adam_beta_1", "adam_beta_2")
]


@pytest.mark.parametrize("wrong", [-0.5, 1.5, float("nan")])
@pytest.mark.parametrize(("cls", "name"), _RATES)
def test_weights_of_averages_are_fractions(cls, name, wrong):
    with pytest.raises(ValueError, match=f"{name}.*{wrong}"):
        cls(**{name: wrong})
    with pytest.raises(TypeError, match=f"{name}.*None|not supported"):
        cls(**{name: None})
