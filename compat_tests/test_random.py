"""Seeds and random numbers: bit for bit those of Keras on torch."""

import copy
import random as python_random

import keras
import numpy as np
import pytest
import torch
from keras import random as theirs

from torchkeras import random as ours

SEEDS = [0, 1, 1337, 2**31 - 1, 2**31, 2**40 + 5, -7, True]
SHAPES = [(), (1,), (7,), (3, 4), (2, 3, 5), (0, 2)]


def same(actual, expected):
    expected = expected.detach()
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    assert torch.equal(actual, expected), (actual, expected)


SAMPLERS = {
    "normal": lambda m, shape, seed: m.normal(shape, 1.5, 0.3, seed=seed),
    "normal64": lambda m, shape, seed: m.normal(shape, dtype="float64", seed=seed),
    "normal16": lambda m, shape, seed: m.normal(shape, dtype="bfloat16", seed=seed),
    "uniform": lambda m, shape, seed: m.uniform(shape, -2.0, 3.0, seed=seed),
    "uniform_default": lambda m, shape, seed: m.uniform(shape, seed=seed),
    "uniform64": lambda m, shape, seed: m.uniform(shape, dtype="float64", seed=seed),
    "truncated": lambda m, shape, seed: m.truncated_normal(shape, 1.0, 2.0, seed=seed),
    "truncated16": lambda m, shape, seed: m.truncated_normal(shape, dtype="float16", seed=seed),
    "randint": lambda m, shape, seed: m.randint(shape, -5, 90, seed=seed),
    "randint_u8": lambda m, shape, seed: m.randint(shape, 0, 200, dtype="uint8", seed=seed),
    "randint_u32": lambda m, shape, seed: m.randint(shape, 0, 200, dtype="uint32", seed=seed),
    "gamma": lambda m, shape, seed: m.gamma(shape, 0.7, seed=seed),
    "gamma64": lambda m, shape, seed: m.gamma(shape, 2.5, dtype="float64", seed=seed),
    "beta": lambda m, shape, seed: m.beta(shape, 0.7, 2.0, seed=seed),
    "binomial": lambda m, shape, seed: m.binomial(shape, 9.0, 0.3, seed=seed),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_int_seeds_give_the_same_numbers(name, seed):
    for shape in SHAPES:
        if name == "beta" and not all(shape):
            continue  # Keras fails on empty shapes here
        sample = SAMPLERS[name]
        same(sample(ours, shape, seed), sample(theirs, shape, seed))


@pytest.mark.parametrize("name", SAMPLERS)
def test_after_set_random_seed_the_global_draws_agree(name):
    sample = SAMPLERS[name]
    keras.utils.set_random_seed(42)
    expected = [sample(theirs, (3, 2), None) for _ in range(4)]
    ours.set_seed(42)
    actual = [sample(ours, (3, 2), None) for _ in range(4)]
    for a, b in zip(actual, expected, strict=True):
        same(a, b)
    assert not torch.equal(actual[0], actual[1])


@pytest.mark.parametrize("name", SAMPLERS)
def test_seed_generators_agree_draw_after_draw(name):
    sample = SAMPLERS[name]
    a, b = ours.SeedGenerator(2**31 - 2), theirs.SeedGenerator(2**31 - 2)
    for _ in range(4):
        same(sample(ours, (5,), a), sample(theirs, (5,), b))
    assert a.state.tolist() == b.state.value.tolist() == [2**31 - 2, 4]


@pytest.mark.parametrize("seed", [0, 1, 5, 10**9, 2**31 - 1, -3])
@pytest.mark.parametrize("ordered", [True, False])
def test_seed_generator_sequence(seed, ordered):
    a, b = ours.SeedGenerator(seed), theirs.SeedGenerator(seed)
    for _ in range(6):
        expected = b.next(ordered=ordered)
        same(a.next(ordered=ordered), expected)
        assert a.state.tolist() == b.state.value.tolist()


@pytest.mark.parametrize("seed", [0, 3, 10**9, 2**31 - 1, -3])
@pytest.mark.parametrize("ordered", [True, False])
def test_the_host_copy_agrees_with_the_state_variable(seed, ordered):
    a, b = ours.SeedGenerator(seed), ours.SeedGenerator(seed)
    for _ in range(5):
        base, count = a.next(ordered=ordered).tolist()
        assert b.draw(ordered=ordered) == (base + count) & 0xFFFFFFFF


def test_interleaved_global_and_python_draws_agree():
    """The global generator takes its seed from Python's when first needed, not at seeding."""
    keras.utils.set_random_seed(7)
    expected = [python_random.random(), theirs.normal((2,)), python_random.random()]
    ours.set_seed(7)
    actual = [python_random.random(), ours.normal((2,)), python_random.random()]
    assert actual[0] == expected[0] and actual[2] == expected[2]
    same(actual[1], expected[1])


def test_set_seed_seeds_numpy_and_torch_too():
    keras.utils.set_random_seed(11)
    expected = (python_random.random(), np.random.rand(), torch.rand(()).item())
    ours.set_seed(11)
    assert (python_random.random(), np.random.rand(), torch.rand(()).item()) == expected


def test_draw_seed_agrees():
    for seed in SEEDS:
        same(ours.draw_seed(seed), keras.src.random.seed_generator.draw_seed(seed))


@pytest.mark.parametrize("seed", [1.0, "a", [1]])
def test_bad_seeds_raise_as_in_keras(seed):
    for module in (theirs, ours):
        with pytest.raises(ValueError, match="seed"):
            module.SeedGenerator(seed)
        with pytest.raises(ValueError, match="seed"):
            module.normal((1,), seed=seed)


def test_bad_arguments_raise_as_in_keras():
    # `torch._dynamo` turns this off for the whole process when it is first used.
    torch.distributions.Distribution.set_default_validate_args(True)
    for module in (theirs, ours):
        with pytest.raises(ValueError):
            module.uniform((1,), dtype="int32")
        with pytest.raises(ValueError):
            module.randint((1,), 0, 2, dtype="float32")
        with pytest.raises(ValueError):
            module.categorical(np.zeros(3, "float32"), 2)
        with pytest.raises(ValueError):
            module.gamma((2,), -1.0)
        with pytest.raises(ValueError):
            module.binomial((2,), 3.0, 1.5)


@pytest.mark.parametrize("seed", [3, None, "generator"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("noise_shape", [None, (4, 1, None), (None, 1, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_dropout(seed, rate, noise_shape, dtype):
    x = torch.arange(4 * 5 * 6, dtype=getattr(torch, dtype)).reshape(4, 5, 6)
    results = []
    for module, set_seed in ((theirs, keras.utils.set_random_seed), (ours, ours.set_seed)):
        set_seed(5)
        used = module.SeedGenerator(9) if seed == "generator" else seed
        results.append([module.dropout(x, rate, noise_shape, seed=used) for _ in range(3)])
    for a, b in zip(results[1], results[0], strict=True):
        same(a, b)


def test_dropout_of_an_unseeded_generator_uses_the_fast_path():
    x = torch.ones(50)
    results = []
    for module, set_seed in ((theirs, keras.utils.set_random_seed), (ours, ours.set_seed)):
        set_seed(5)
        generator = module.SeedGenerator()
        results.append(module.dropout(x, 0.5, seed=generator))
        state = generator.state
        assert getattr(state, "value", state).tolist()[1] == 0
    same(results[1], results[0])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("seed", [1, None])
def test_shuffle(axis, seed):
    x = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype("float32")
    keras.utils.set_random_seed(3)
    expected = theirs.shuffle(x, axis=axis, seed=seed)
    ours.set_seed(3)
    same(ours.shuffle(x, axis=axis, seed=seed), expected)


@pytest.mark.parametrize("seed", [1, None])
def test_categorical(seed):
    logits = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    keras.utils.set_random_seed(3)
    expected = theirs.categorical(logits, 50, dtype="int64", seed=seed)
    ours.set_seed(3)
    same(ours.categorical(logits, 50, dtype="int64", seed=seed), expected)


def test_parameters_given_as_arrays():
    alpha = np.array([0.5, 2.0, 8.0], "float32")
    same(ours.gamma((4, 3), alpha, seed=2), theirs.gamma((4, 3), alpha, seed=2))
    same(
        ours.beta((4, 3), alpha, alpha[::-1], seed=2),
        theirs.beta((4, 3), alpha, alpha[::-1], seed=2),
    )
    counts, p = np.array([3.0, 9.0], "float32"), np.array([0.1, 0.8], "float32")
    same(ours.binomial((5, 2), counts, p, seed=2), theirs.binomial((5, 2), counts, p, seed=2))


def test_drawing_gamma_leaves_torchs_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    ours.gamma((3,), 1.0, seed=1)
    ours.beta((3,), 1.0, 1.0, seed=1)
    ours.binomial((3,), 4.0, 0.5, seed=1)
    assert torch.equal(torch.rand(2), expected)


def test_seed_generator_config_path_and_names():
    keras.utils.clear_session(free_memory=False)
    a, b = ours.SeedGenerator(3, name="seeds"), theirs.SeedGenerator(3, name="seeds")
    assert a.get_config() == b.get_config() == {"seed": 3, "name": "seeds"}
    assert a.state.path == b.state.path == "seeds/seed_generator_state"
    assert a.state.name == b.state.name
    assert a.state.trainable is b.state.trainable is False
    assert str(a.state.dtype) == f"torch.{b.state.dtype}"
    again = ours.SeedGenerator.from_config(a.get_config())
    same(again.next(), a.next())


def test_unknown_arguments_raise_as_in_keras():
    for module in (theirs, ours):
        with pytest.raises(ValueError):
            module.SeedGenerator(1, sede=2)


def test_assigning_the_state_moves_both():
    a, b = ours.SeedGenerator(3), theirs.SeedGenerator(3)
    for generator in (a, b):
        generator.next()
        generator.state.assign([50, 60])
    same(ours.normal((3,), seed=a), theirs.normal((3,), seed=b))
    assert a.state.tolist() == [50, 61]
    c = copy.deepcopy(a)
    same(ours.normal((3,), seed=c), theirs.normal((3,), seed=b))
    same(ours.normal((3,), seed=a), ours.normal((3,), seed=keras_state(c)))


def keras_state(generator):
    """A generator one draw behind `generator`."""
    base, count = generator.state.tolist()
    other = ours.SeedGenerator(base)
    other.state.assign([base, count - 1])
    return other
