"""Update rules and the steps around them, against closed forms and NumPy."""

import copy
import inspect
import math
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchkeras import constraints, optimizers
from torchkeras.optimizers.schedules import CosineDecay, ExponentialDecay, LearningRateSchedule
from torchkeras.variables import Variable

RULES = [
    (optimizers.SGD, {}),
    (optimizers.SGD, {"momentum": 0.9}),
    (optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
    (optimizers.RMSprop, {}),
    (optimizers.RMSprop, {"momentum": 0.9, "centered": True}),
    (optimizers.Adam, {}),
    (optimizers.Adam, {"amsgrad": True}),
    (optimizers.AdamW, {}),
    (optimizers.Adamax, {}),
    (optimizers.Nadam, {}),
    (optimizers.Lamb, {}),
    (optimizers.ScheduleFreeAdamW, {"warmup_steps": 3}),
    (optimizers.Adagrad, {}),
    (optimizers.Adadelta, {}),
    (optimizers.Ftrl, {"l2_regularization_strength": 0.1, "beta": 0.1}),
    (optimizers.Adafactor, {}),
    (optimizers.Lion, {}),
    (optimizers.Muon, {}),
]


def _without_addresses(options):
    """A test's id must be the same in each process that collects it."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(options))


COMMON = [
    {},
    {"weight_decay": 0.1},
    {"clipnorm": 0.1},
    {"clipvalue": 0.1},
    {"global_clipnorm": 0.1},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 2.0},
    {"learning_rate": ExponentialDecay(0.1, 10, 0.5)},
    {"learning_rate": lambda: 0.1},
]
each_rule = pytest.mark.parametrize(("cls", "options"), RULES, ids=lambda x: str(x)[-40:])


def _variables(dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (4,), (), (17,)]
    return [Variable(torch.randn(s, generator=generator).to(device, dtype)) for s in shapes]


def _grads(variables, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(v.shape, generator=generator).to(v.device, v.dtype) for v in variables]


# Rules --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(
    rate=st.floats(1e-4, 1.0),
    beta_1=st.floats(0.0, 0.99),
    beta_2=st.floats(0.1, 0.9999),
    epsilon=st.floats(1e-8, 1e-2),
    decay=st.floats(0.0, 0.5),
    amsgrad=st.booleans(),
)
def test_adam_against_numpy(rate, beta_1, beta_2, epsilon, decay, amsgrad):
    w = Variable([1.0, -2.0, 0.5], dtype="float64")
    optimizer = optimizers.Adam(rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=decay)
    rate = float(np.float32(rate))  # the learning rate is a float32 variable
    x, m, v, largest = w.numpy().copy(), np.zeros(3), np.zeros(3), np.zeros(3)
    for t in range(1, 8):
        g = np.array([math.sin(t), 1.0 / t, -3.0])
        optimizer.apply([torch.tensor(g)], [w])
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        largest = np.maximum(largest, v)
        alpha = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        x = x * (1 - decay * rate)
        x = x - alpha * m / (np.sqrt(largest if amsgrad else v) + epsilon)
    np.testing.assert_allclose(w.numpy(), x, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(rate=st.floats(1e-5, 1.0), momentum=st.floats(0.0, 1.0), nesterov=st.booleans())
def test_sgd_against_numpy(rate, momentum, nesterov):
    w = Variable([1.0, -2.0], dtype="float64")
    optimizer = optimizers.SGD(rate, momentum, nesterov)
    x, m = w.numpy().copy(), np.zeros(2)
    for t in range(6):
        rate = 0.01 * (t + 1)  # a changing rate tells Keras's momentum from PyTorch's
        optimizer.learning_rate = rate
        rate = float(np.float32(rate))
        g = np.array([1.0, t - 2.5])
        optimizer.apply([torch.tensor(g)], [w])
        m = momentum * m - rate * g
        x = x + (momentum * m - rate * g if nesterov and momentum else m)
    np.testing.assert_allclose(w.numpy(), x, rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(rho=st.floats(0.1, 0.99), momentum=st.floats(0.0, 0.9), centered=st.booleans())
def test_rmsprop_against_numpy(rho, momentum, centered):
    w = Variable([1.0, -2.0], dtype="float64")
    optimizer = optimizers.RMSprop(0.5, rho, momentum, 0.01, centered)
    x, v, a, m = w.numpy().copy(), np.zeros(2), np.zeros(2), np.zeros(2)
    for t in range(6):
        g = np.array([1.0, t - 2.5])
        optimizer.apply([torch.tensor(g)], [w])
        v = rho * v + (1 - rho) * g**2
        a = rho * a + (1 - rho) * g
        m = momentum * m + 0.5 * g / np.sqrt(v - (a**2 if centered else 0) + 0.01)
        x = x - m
    np.testing.assert_allclose(w.numpy(), x, rtol=1e-9, atol=1e-11)


@each_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_kernels_for_each_dtype_agree_with_float64(cls, options, dtype):
    # 100 elements: more than one vector of the CPU kernels, with a remainder
    start = torch.linspace(-2, 2, 100, dtype=torch.float64).to(dtype)
    grads = [torch.linspace(-1, 1, 100).add(t / 7).to(dtype) for t in range(5)]
    if "epsilon" in inspect.signature(cls).parameters:
        options = {**options, "epsilon": 1e-3}
    results = []
    for kind in (dtype, torch.float64):
        w = Variable(start.to(kind))
        optimizer = cls(5.0 if cls is optimizers.Adadelta else 0.1, **options)
        for g in grads:
            optimizer.apply([g.to(kind)], [w])
        results.append(w.detach().double())
    # Five roundings of the variable and of slots, of numbers below 4, to half an ulp; slots count
    # several times over.
    atol = 5 * 4 * torch.finfo(dtype).eps * 4
    torch.testing.assert_close(results[0], results[1], atol=atol, rtol=0)
    moved = (results[1] - start.double()).abs().max()
    assert moved > 2 * atol or dtype == torch.bfloat16


@each_rule
def test_unfused_path_equals_the_fused_one(cls, options, monkeypatch):
    def run():
        variables = _variables()
        optimizer = cls(0.1, weight_decay=0.01, **{k: v for k, v in options.items()})
        optimizer.build(variables)
        for seed in range(20):
            optimizer.apply(_grads(variables, seed), variables)
        return variables, optimizer

    fused, a = run()
    monkeypatch.setattr("torchkeras.optimizers.plan._FUSED_DEVICES", frozenset())
    unfused, b = run()
    assert a._plan.groups[-1].fused or cls is optimizers.Adafactor
    assert not any(group.fused for group in b._plan.groups)
    for x, y in zip([*fused, *a.variables], [*unfused, *b.variables], strict=True):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("common", COMMON, ids=_without_addresses)
@each_rule
def test_every_rule_and_option_runs_on_meta(cls, options, common):
    with torch.device("meta"):
        variables = [Variable(torch.empty(s, device="meta")) for s in [(3, 4), (4,), ()]]
        optimizer = cls(**{**options, **common})
        optimizer.build(variables)
        for _ in range(3):
            optimizer.apply([torch.empty(v.shape, device="meta") for v in variables], variables)
    optimizer.finalize_variable_values(variables)
    assert int(optimizer._iterations) == 3  # on the CPU, whatever the device


# Layout in memory ---------------------------------------------------------------------------------


@each_rule
def test_gradients_may_lie_in_memory_as_they_like(cls, options):
    plain = Variable(torch.arange(12.0).reshape(3, 4))
    kernel = Variable(torch.arange(12.0).reshape(3, 4).T.contiguous().T)
    assert kernel.stride() == (1, 3)
    a, b = cls(0.1, **options), cls(0.1, **options)
    for step in range(6):
        g = torch.arange(12.0).reshape(3, 4) * (step - 2.5)
        a.apply([g], [plain])
        # its own layout, the other one, a view with gaps, another dtype
        other = [g.T.contiguous().T, g, torch.stack([g, g], -1)[..., 0], g.double()][step % 4]
        b.apply([other], [kernel])
        torch.testing.assert_close(plain.data, kernel.data)
    slots = [slot for slot in b.variables if slot.shape == kernel.shape]
    assert all(slot.stride() == kernel.stride() for slot in slots)


@each_rule
def test_variable_with_gaps_in_memory(cls, options):
    whole = torch.arange(8.0).reshape(4, 2)
    gaps = torch.nn.Parameter(whole[::2])
    dense = torch.nn.Parameter(whole[::2].clone())
    a, b = cls(0.1, **options), cls(0.1, **options)
    for _ in range(3):
        a.apply([torch.ones(2, 2)], [gaps])
        b.apply([torch.ones(2, 2)], [dense])
    torch.testing.assert_close(gaps.data, dense.data)
    assert whole[1].tolist() == [2.0, 3.0] and whole[3].tolist() == [6.0, 7.0]


@pytest.mark.parametrize("shape", [(2, 3), (3, 4, 1), (12,)])
def test_gradient_of_another_shape(shape):
    w = Variable(torch.ones(3, 4), name="kernel")
    optimizer = optimizers.Adam()
    optimizer.apply([torch.ones(3, 4)], [w])  # the prepared path must notice, too
    with pytest.raises(ValueError, match=r"'kernel'(.|\n)*\(3, 4\)"):
        optimizer.apply([torch.ones(shape)], [w])


def test_variables_that_move_take_their_slots_along():
    w = Variable([1.0, 2.0])
    optimizer = optimizers.Adam(0.1)
    optimizer.apply([torch.ones(2)], [w])
    w.data = w.data.double()
    optimizer.apply([torch.ones(2, dtype=torch.float64)], [w])
    assert {v.dtype for v in optimizer.variables[2:]} == {torch.float64}
    torch.testing.assert_close(w.data, torch.tensor([0.8, 1.8]).double(), rtol=0, atol=2e-6)
    matrix = Variable(torch.ones(2, 3))
    optimizer = optimizers.SGD(1.0, momentum=0.5)
    optimizer.apply([torch.arange(6.0).reshape(2, 3)], [matrix])
    matrix.data = matrix.data.T.contiguous().T
    optimizer.apply([torch.zeros(2, 3)], [matrix])
    torch.testing.assert_close(matrix.data, 1 - 1.5 * torch.arange(6.0).reshape(2, 3))


def test_variables_of_several_dtypes():
    variables = [Variable(torch.ones(3, dtype=d)) for d in (torch.float32, torch.float64) * 2]
    optimizer = optimizers.Adam(0.5, global_clipnorm=100.0)
    for _ in range(2):
        optimizer.apply([torch.ones(3, dtype=v.dtype) for v in variables], variables)
    for v in variables:
        torch.testing.assert_close(v.data, torch.zeros(3, dtype=v.dtype), atol=5e-6, rtol=0)


@pytest.mark.parametrize(
    "gradient",
    [np.ones(2), [1.0, 1.0], torch.ones(2).to_sparse(), torch.ones(2, requires_grad=True)],
    ids=["numpy", "list", "sparse", "differentiable"],
)
def test_kinds_of_gradients(gradient):
    w = Variable([1.0, 2.0])
    optimizer = optimizers.SGD(0.5)
    for _ in range(2):
        optimizer.apply([gradient], [w])
    assert w.tolist() == [0.0, 1.0] and w.requires_grad and w.grad_fn is None


def test_autograd_notices_a_step_between_forward_and_backward():
    w = Variable([1.0, 2.0])
    optimizer = optimizers.Adam()
    optimizer.build([w])
    loss = (w * w).sum()
    optimizer.apply([torch.ones(2)], [w])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_grad_mode_is_left_as_it_was():
    w = Variable([1.0])
    optimizer = optimizers.SGD(0.1)
    optimizer.apply([torch.ones(1)], [w])
    assert torch.is_grad_enabled()
    with torch.no_grad():
        optimizer.apply([torch.ones(1)], [w])
        assert not torch.is_grad_enabled()

    def fail(value):
        raise RuntimeError("constraint")

    w.constraint = fail
    optimizer = optimizers.SGD(0.1)
    with pytest.raises(RuntimeError, match="constraint"):
        optimizer.apply([torch.ones(1)], [w])
    assert torch.is_grad_enabled()


# Around the rule ----------------------------------------------------------------------------------


def test_missing_gradients():
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    optimizer = optimizers.SGD(0.5)
    with pytest.warns(UserWarning, match=r"\['a'\]"):
        optimizer.apply([None, torch.ones(1)], [a, b])
    assert a.item() == 1.0 and b.item() == 0.5
    with pytest.raises(ValueError, match="No gradients provided"):
        optimizer.apply([None, None], [a, b])
    optimizer.apply([], [])
    assert int(optimizer.iterations) == 1


def test_mismatched_arguments():
    a, b = Variable([1.0], name="a"), Variable([1.0], name="b")
    with pytest.raises(ValueError, match="build"):
        optimizers.SGD().apply([torch.ones(1)])
    optimizer = optimizers.SGD()
    optimizer.build([a])
    with pytest.raises(ValueError, match="Unknown variable: b"):
        optimizer.apply([torch.ones(1)], [b])
    with pytest.raises(ValueError, match="one to one"):
        optimizer.apply([torch.ones(1), torch.ones(1)])


def test_subsets_and_orders_of_variables():
    a, b = Variable([1.0]), Variable([1.0])
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    optimizer.build([a, b])
    optimizer.apply([torch.ones(1)], [b])
    optimizer.apply([torch.ones(1), torch.zeros(1)], [b, a])
    optimizer.apply([torch.ones(1), torch.zeros(1)])
    assert a.tolist() == [0.5] and b.tolist() == [1 - 0.5 - 0.75 - 0.375]


def test_ema_and_its_end():
    w = Variable([1.0], dtype="float64")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.9)
    for _ in range(3):
        optimizer.apply([torch.ones(1)], [w])
    (average,) = optimizer._model_variables_moving_average
    expected = 0.9 * (0.9 * 0.0 + 0.1 * -1.0) + 0.1 * -2.0
    assert average.item() == pytest.approx(expected) and w.item() == -2.0
    optimizer.finalize_variable_values([w])
    assert w.item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="averages of 1"):
        optimizer.finalize_variable_values([w, w])


def test_gradient_accumulation_equals_the_mean_gradient():
    a, b = Variable([1.0, 2.0]), Variable([1.0, 2.0])
    whole, parts = optimizers.Adam(0.1), optimizers.Adam(0.1, gradient_accumulation_steps=4)
    for step in range(12):
        before = b.tolist()
        parts.apply([torch.tensor([step, 1.0])], [b])
        if step % 4 == 3:
            whole.apply([torch.tensor([step - 1.5, 1.0])], [a])
        else:
            assert b.tolist() == before
    torch.testing.assert_close(a.data, b.data)
    assert int(parts.iterations) == 3 and int(parts._iterations) == 12


def test_clipping_norms():
    g = [torch.tensor([3.0, 4.0]), torch.tensor([0.3]), torch.zeros(2)]
    clipped = optimizers.SGD(clipnorm=1.0)._clip_gradients(g)
    torch.testing.assert_close(clipped, [torch.tensor([0.6, 0.8]), g[1], g[2]])
    clipped = optimizers.SGD(global_clipnorm=1.0)._clip_gradients(g)
    scale = 1 / math.sqrt(25 + 0.09)
    torch.testing.assert_close(clipped, [x * scale for x in g])
    clipped = optimizers.SGD(global_clipnorm=1.0)._clip_gradients([torch.tensor([math.inf, 1.0])])
    assert clipped[0].isnan().all()


def test_constraint_acts_after_the_update():
    w = Variable([0.25, 1.0])
    w.constraint = constraints.NonNeg()
    optimizers.SGD(1.0).apply([torch.tensor([1.0, 0.5])], [w])
    assert w.tolist() == [0.0, 0.5]


def test_weight_decay_spares_the_excluded():
    kernel, bias = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
    for cls in (optimizers.SGD, optimizers.AdamW):
        kernel.assign([1.0])
        optimizer = cls(0.5, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        optimizer.apply([torch.zeros(1), torch.zeros(1)], [kernel, bias])
        assert kernel.item() == 0.75 and bias.item() == 1.0


# Learning rate ------------------------------------------------------------------------------------


def test_learning_rate_can_be_set_and_assigned():
    w = Variable([1.0])
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([torch.ones(1)], [w])
    optimizer.learning_rate = 0.25
    optimizer.apply([torch.ones(1)], [w])
    optimizer.learning_rate.assign(0.125)
    optimizer.apply([torch.ones(1)], [w])
    assert w.item() == 0.125 and float(optimizer.learning_rate) == 0.125
    optimizer.learning_rate = lambda: 0.0625
    optimizer.apply([torch.ones(1)], [w])
    assert w.item() == 0.0625 and len(optimizer.variables) == 1


def test_iterations_can_be_assigned():
    w = Variable([1.0])
    optimizer = optimizers.SGD(ExponentialDecay(1.0, 1, 0.5))
    optimizer.iterations.assign(3)
    optimizer.apply([torch.ones(1)], [w])
    assert w.item() == 1 - 0.125 and int(optimizer.iterations) == 4
    seen = optimizer.iterations
    optimizer.apply([torch.ones(1)], [w])
    assert int(seen) == 5  # the same variable, kept up to date


def test_schedules_are_read_ahead_but_never_stale():
    w = Variable([0.0], dtype="float64")
    schedule = CosineDecay(0.1, 1000)
    optimizer = optimizers.SGD(schedule)
    for step in range(600):
        if step == 300:
            schedule.alpha = 0.5
        before = w.item()
        optimizer.apply([torch.ones(1, dtype=torch.float64)], [w])
        assert before - w.item() == pytest.approx(float(schedule(step)), rel=1e-6)


def test_schedules_of_users_see_each_step():
    class Mine(LearningRateSchedule):
        def __call__(self, step):
            steps.append(int(step))
            return 0.5

    class Doubled(ExponentialDecay):
        def __call__(self, step):
            steps.append(int(step))
            return 2 * super().__call__(step)

    for schedule in (Mine(), Doubled(0.25, 10, 1.0)):
        steps = []
        w = Variable([1.0])
        optimizer = optimizers.SGD(schedule)
        for _ in range(3):
            optimizer.apply([torch.ones(1)], [w])
        assert steps == [0, 1, 2] and w.item() == -0.5
    with pytest.raises(NotImplementedError, match="Mine"):
        optimizers.SGD(Mine()).get_config()
    with pytest.raises(NotImplementedError, match="__call__"):
        LearningRateSchedule()(0)


# Users' optimizers --------------------------------------------------------------------------------


def test_a_users_rule_and_state():
    class Mine(optimizers.Optimizer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.total = Variable(0.0, trainable=False)

        def build(self, variables):
            super().build(variables)
            self.sums = self.add_optimizer_variables(variables, "sum", "ones")

        def update_step(self, gradient, variable, learning_rate):
            self.total.assign_add(gradient.sum())
            self.assign_add(self.sums[self._get_variable_index(variable)], gradient)
            self.assign_sub(variable, learning_rate * gradient)

    variables = _variables(torch.float32)
    optimizer = Mine(learning_rate=0.5, weight_decay=0.0)
    optimizer.apply([torch.ones_like(v) for v in variables], variables)
    assert [tuple(v.shape) for v in optimizer.variables] == [(), (), (), (3, 4), (4,), (), (17,)]
    assert optimizer.total.item() == 12 + 4 + 1 + 17 and optimizer.sums[1].tolist() == [2.0] * 4


def test_forgotten_super_and_forgotten_rule():
    class Forgetful(optimizers.Optimizer):
        def __init__(self):
            self.rate = 1.0

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Forgetful()
    with pytest.raises(NotImplementedError, match="update_step"):
        optimizers.Optimizer(0.1).apply([torch.ones(1)], [Variable([1.0])])


def test_names_and_initializers_of_slots_must_match():
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match="number of provided names"):
        optimizer.add_optimizer_variables([], ["a", "b"], ["zeros"])
    a, b = optimizer.add_optimizer_variables([Variable([1.0])], ["a", "b"], ["ones", "zeros"])
    assert a[0].item() == 1.0 and b[0].item() == 0.0


# Copies, configs, files ---------------------------------------------------------------------------


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@each_rule
def test_copies_go_on_alike(cls, options, copier):
    variables = _variables()
    optimizer = cls(0.1, **options, use_ema=True)
    for seed in range(3):
        optimizer.apply(_grads(variables, seed), variables)
    others, again = copier((variables, optimizer))
    assert again.get_config() == optimizer.get_config()
    for seed in range(3, 6):
        optimizer.apply(_grads(variables, seed), variables)
        again.apply(_grads(others, seed), others)
    for x, y in zip([*variables, *optimizer.variables], [*others, *again.variables], strict=True):
        assert torch.equal(x, y) and x is not y


@each_rule
def test_state_survives_a_store(cls, options):
    def train(optimizer, variables, seeds):
        for seed in seeds:
            optimizer.apply(_grads(variables, seed), variables)

    schedule = CosineDecay(0.1, 50)
    variables, optimizer = _variables(), cls(schedule, **options)
    train(optimizer, variables, range(3))
    store = {}
    optimizer.save_own_variables(store)
    again, others = cls(schedule, **options), copy.deepcopy(variables)
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        cls(**options).load_own_variables(store)
    again.build(others)
    again.load_own_variables(store)
    train(optimizer, variables, range(3, 6))
    train(again, others, range(3, 6))
    for x, y in zip(variables, others, strict=True):
        assert torch.equal(x, y)
    fresh = cls(schedule, **options)
    with pytest.raises(ValueError, match="set_weights"):
        fresh.set_weights(optimizer.variables)
    fresh.build(others)
    fresh.set_weights(optimizer.variables)
    assert all(map(torch.equal, fresh.variables, optimizer.variables))


@pytest.mark.parametrize(
    ("identifier", "message"),
    [("addam", "Did you mean 'Adam'"), (3, "identifier"), (len, "identifier"), ({}, "config")],
)
def test_unknown_identifiers(identifier, message):
    with pytest.raises(ValueError, match=message):
        optimizers.get(identifier)


def test_unknown_arguments_suggest_the_right_one():
    with pytest.raises(ValueError, match="learning_rate"):
        optimizers.SGD(lr=0.1)
    with pytest.raises(ValueError, match=r"1\.0 instead of 1"):
        optimizers.SGD(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizers.SGD(decay=0.1)
    assert "decay" in str(caught[0].message)


def test_reading_numbers_of_other_dtypes():
    from torchkeras import config

    for dtype in ("float16", "bfloat16", "float64"):
        config.set_floatx(dtype)
        try:
            optimizer = optimizers.SGD(0.5)
        finally:
            config.set_floatx("float32")
        w = Variable([1.0])
        optimizer.apply([torch.ones(1)], [w])
        optimizer.learning_rate = 0.25
        optimizer.apply([torch.ones(1)], [w])
        assert w.item() == 0.25


# Loss scale ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("ema", [{}, {"use_ema": True, "ema_overwrite_frequency": 3}], ids=str)
@each_rule
def test_deciding_on_the_device_equals_deciding_here(cls, options, ema, monkeypatch):
    """The path without a host decision, forced on a CPU, against the one with an `if`."""

    def run(ask):
        variables = _variables(torch.float32)
        optimizer = optimizers.LossScaleOptimizer(
            cls(CosineDecay(0.1, 20), **{**options, **ema, "weight_decay": 0.1}),
            8.0,
            dynamic_growth_steps=3,
        )
        optimizer.build(variables)
        if not ask:
            monkeypatch.setattr(optimizer, "_asks_the_device", lambda finite: False)
        for seed in range(14):
            grads = [8 * g for g in _grads(variables, seed)]
            if seed % 5 == 1:
                grads[seed % 3].fill_(math.nan)
            if seed % 5 == 2:
                grads[-1] = None
            optimizer.apply(grads, variables)
        return variables, optimizer

    a, asked = run(True)
    b, unasked = run(False)
    assert int(asked.iterations) == int(unasked.iterations) == 11
    for x, y in zip([*a, *asked.variables], [*b, *unasked.variables], strict=True):
        # alpha is rounded to float32 where it is a tensor
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


@each_rule
def test_loss_scale_on_meta(cls, options):
    with torch.device("meta"):
        variables = [Variable(torch.empty(s, device="meta")) for s in [(3, 4), ()]]
        for rate in (0.1, CosineDecay(0.1, 20)):
            optimizer = optimizers.LossScaleOptimizer(cls(rate, **options, clipnorm=1.0))
            optimizer.build(variables)
            for _ in range(3):
                loss = optimizer.scale_loss(torch.empty((), device="meta"))
                grads = [torch.empty(v.shape, device="meta") for v in variables]
                optimizer.apply(grads, variables)
    assert loss.is_meta and optimizer.dynamic_scale.is_meta
    assert optimizer.learning_rate is not None


def test_assigning_iterations_while_the_device_counts():
    w = Variable([1.0])
    optimizer = optimizers.SGD(ExponentialDecay(1.0, 1, 0.5))
    optimizer.build([w])
    yes = torch.tensor(True)
    optimizer.apply_where(yes, [torch.ones(1)])
    optimizer.apply_where(~yes, [torch.ones(1)])
    assert int(optimizer.iterations) == 1 and w.item() == 0.0
    optimizer.iterations.assign(3)
    optimizer.apply_where(yes, [torch.ones(1)])
    assert w.item() == -0.125 and int(optimizer.iterations) == 4
    optimizer.apply([torch.ones(1)])
    assert w.item() == -0.125 - 0.0625 and int(optimizer.variables[0]) == 5


# On a GPU -----------------------------------------------------------------------------------------

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@on_cuda
@pytest.mark.parametrize("common", COMMON, ids=_without_addresses)
@each_rule
def test_cuda_gives_the_numbers_of_the_cpu_without_waiting(cls, options, common):
    results = []
    for device in ("cpu", "cuda"):
        variables = _variables(torch.float32, device)
        optimizer = cls(**{**options, **common})
        for seed in range(6):
            grads = _grads(_variables(torch.float32), seed)
            grads = [g.to(device) for g in grads]
            if seed == 2:
                torch.cuda.set_sync_debug_mode("error")
            try:
                optimizer.apply(grads, variables)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        results.append(variables)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a.data, b.data.cpu(), rtol=1e-5, atol=1e-6)


@pytest.mark.cuda
@on_cuda
@each_rule
def test_cuda_loss_scale_without_waiting(cls, options):
    results = []
    for device in ("cpu", "cuda"):
        variables = _variables(torch.float32, device)
        optimizer = optimizers.LossScaleOptimizer(cls(**options), 8.0, dynamic_growth_steps=2)
        for seed in range(8):
            grads = [8 * g.to(device) for g in _grads(_variables(torch.float32), seed)]
            if seed == 3:
                grads[0].fill_(math.inf)
                torch.cuda.set_sync_debug_mode("error")
            try:
                optimizer.apply(grads, variables)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        results.append([*variables, *optimizer.variables])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a.data, b.data.cpu(), rtol=1e-5, atol=1e-6)


def test_the_inner_optimizer_is_one():
    with pytest.raises(TypeError, match="`inner_optimizer`"):
        optimizers.LossScaleOptimizer(["sgd"])


def test_nesterov_may_be_none():
    weight = Variable([1.0])
    optimizers.SGD(0.5, momentum=0.9, nesterov=None).apply([torch.ones(1)], [weight])
    assert weight.item() == 0.5
