"""Schedules against their formulas in double precision."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchkeras import config
from torchkeras.optimizers import schedules
from torchkeras.optimizers.schedules import Lookahead
from torchkeras.variables import Variable

STEPS = torch.arange(0, 100)
rates = st.floats(1e-4, 1.0)
lengths = st.integers(1, 60)


def check(schedule, formula, rtol=2e-6):
    """Compare one call for all steps, and calls for single ones, with a formula of a float."""
    expected = [formula(float(step)) for step in STEPS]
    np.testing.assert_allclose(schedule(STEPS), expected, rtol=rtol, atol=2e-7)
    for step in (0, 1, 37, 99):
        for argument in (step, float(step), torch.tensor(step), np.int64(step)):
            value = schedule(argument)
            assert value.shape == () and value.dtype == torch.float32
            np.testing.assert_allclose(value, expected[step], rtol=rtol, atol=2e-7)


@settings(deadline=None, max_examples=20)
@given(rate=rates, length=lengths, factor=st.floats(0.3, 1.5), staircase=st.booleans())
def test_exponential(rate, length, factor, staircase):
    def formula(step):
        exponent = step // length if staircase else step / length
        return rate * factor**exponent

    # The exponent, up to 99, is rounded to 6e-8 of itself; its factor is at most |log(0.3)| = 1.2.
    check(schedules.ExponentialDecay(rate, length, factor, staircase), formula, rtol=2e-5)


@settings(deadline=None, max_examples=20)
@given(rate=rates, length=lengths, factor=st.floats(0.0, 3.0), staircase=st.booleans())
def test_inverse_time(rate, length, factor, staircase):
    def formula(step):
        units = step // length if staircase else step / length
        return rate / (1 + factor * units)

    check(schedules.InverseTimeDecay(rate, length, factor, staircase), formula)


@settings(deadline=None, max_examples=20)
@given(rate=rates, end=rates, length=lengths, power=st.sampled_from([0.5, 1.0, 2.0]))
def test_polynomial(rate, end, length, power):
    def formula(step):
        return (rate - end) * (1 - min(step, length) / length) ** power + end

    # The root of a small difference: (1 - fraction) is off by 6e-8, so its root by 2.5e-4 of ...
    tolerance = 2e-6 if power >= 1 else 2e-5
    check(schedules.PolynomialDecay(rate, length, end, power), formula, rtol=tolerance)


@settings(deadline=None, max_examples=20)
@given(rate=rates, length=st.sampled_from([1, 2, 4, 8, 16, 32]))
def test_polynomial_in_cycles(rate, length):
    def formula(step):
        stretched = length * max(1, math.ceil(step / length))
        return rate * (1 - step / stretched)

    check(schedules.PolynomialDecay(rate, length, 0.0, cycle=True), formula)


@settings(deadline=None, max_examples=20)
@given(
    start=rates, target=st.none() | rates, length=lengths, warmup=lengths, alpha=st.floats(0.0, 1.0)
)
def test_cosine(start, target, length, warmup, alpha):
    def formula(step):
        height = start
        if target is not None:
            if step < warmup:
                return start + (target - start) * step / warmup
            step, height = step - warmup, target
        wave = 0.5 * (1 + math.cos(math.pi * min(step, length) / length))
        return height * ((1 - alpha) * wave + alpha)

    check(
        schedules.CosineDecay(start, length, alpha, warmup_target=target, warmup_steps=warmup),
        formula,
    )


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("shrink", [1.0, 0.5])
def test_cosine_restarts(ratio, shrink):
    def formula(step):
        length, height = 7.3, 1.0  # restarts fall between steps, where rounding cannot tip them
        while step >= length:
            step, length, height = step - length, length * ratio, height * shrink
        wave = height * 0.5 * (1 + math.cos(math.pi * step / length))
        return 0.1 * (0.9 * wave + 0.1)

    # Near the end of the last period the angle is off by a few 1e-6.
    check(schedules.CosineDecayRestarts(0.1, 7.3, ratio, shrink, 0.1), formula, rtol=1e-4)


def test_piecewise_constant():
    def formula(step):
        return 0.5 if step <= 3 else 0.25 if step <= 10 else 0.125

    check(schedules.PiecewiseConstantDecay([3, 10], [0.5, 0.25, 0.125]), formula, rtol=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, -1, 0.5),
        lambda: schedules.PolynomialDecay(0.1, 0),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.CosineDecayRestarts(0.1, 0),
        lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1]),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(ValueError, match=r"decay_steps|boundaries"):
        make()


def test_dtype_and_device_of_the_result():
    assert schedules.CosineDecay(np.float64(0.1), 10)(3).dtype == torch.float64
    assert schedules.CosineDecay(Variable(0.1, dtype="float64"), 10)(3).dtype == torch.float64
    meta = torch.tensor(3, device="meta")
    for schedule in (
        schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=2),
        schedules.CosineDecayRestarts(0.1, 10),
        schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True),
        schedules.InverseTimeDecay(0.1, 10, 0.5),
        schedules.PiecewiseConstantDecay([3], [0.5, 0.25]),
        schedules.PolynomialDecay(0.1, 10, cycle=True),
    ):
        assert schedule(meta).is_meta
        with torch.device("meta"):
            assert schedule(3).device.type == "cpu"
    config.set_floatx("float16")
    try:
        assert schedules.CosineDecay(0.1, 10)(3).dtype == torch.float16
    finally:
        config.set_floatx("float32")


@pytest.mark.parametrize(
    ("schedule", "evaluations"),
    [
        (schedules.ExponentialDecay(0.1, 10, 0.5), 3),
        (schedules.PiecewiseConstantDecay([3, 300], [0.5, 0.25, 0.125]), 3),
        (schedules.CosineDecayRestarts(0.1, 10), 600),
        (schedules.ExponentialDecay(Variable(0.1), 10, 0.5), 600),
    ],
)
def test_lookahead_evaluates_seldom_and_correctly(schedule, evaluations, monkeypatch):
    calls = []
    call = type(schedule).__call__

    def counted(self, step):
        calls.append(step)
        return call(self, step)

    monkeypatch.setattr(type(schedule), "__call__", counted)
    ahead = Lookahead(schedule)
    values = [ahead.at(torch.tensor(step), step) for step in range(600)]
    assert len(calls) == evaluations
    np.testing.assert_allclose(values, call(schedule, torch.arange(600)).detach(), rtol=3e-5)


def test_lookahead_sees_changes_in_place_and_jumps():
    schedule = schedules.PiecewiseConstantDecay([10], [0.5, 0.25])
    ahead = Lookahead(schedule)
    assert ahead.at(torch.tensor(0), 0) == 0.5
    schedule.values[0] = 0.125
    assert ahead.at(torch.tensor(1), 1) == 0.125
    assert ahead.at(torch.tensor(1000), 1000) == 0.25
    assert ahead.at(torch.tensor(2), 2) == 0.125


def test_subclass_with_more_attributes_keeps_its_config():
    class Mine(schedules.ExponentialDecay):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.extra = 3

    mine = Mine(0.1, 10, 0.5)
    assert Mine.from_config(mine.get_config()).get_config() == mine.get_config()


@pytest.mark.parametrize("wrong", [None, 3, "a/b"])
def test_names_are_strings(wrong):
    with pytest.raises(ValueError, match="`name`"):
        schedules.CosineDecay(0.1, 4, name=wrong)
