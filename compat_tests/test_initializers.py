"""Initializers: values bit for bit, configs, names and errors as Keras's on torch."""

import inspect
import json

import keras
import numpy as np
import pytest
import torch
from keras import initializers as theirs

from torchkeras import initializers as ours
from torchkeras import random as our_random

RANDOM = {
    "RandomNormal": {"mean": 0.5, "stddev": 2.0},
    "TruncatedNormal": {"mean": 0.5, "stddev": 2.0},
    "RandomUniform": {"minval": -3.0, "maxval": 1.5},
    "VarianceScaling": {},
    "GlorotUniform": {},
    "GlorotNormal": {},
    "LecunNormal": {},
    "LecunUniform": {},
    "HeNormal": {},
    "HeUniform": {},
    "Orthogonal": {"gain": 1.3},
}
SHAPES = [(4, 3), (3, 4), (5, 5), (3, 3, 2, 8), (3, 1, 4), (2, 2, 2, 3, 4)]
FLAT_SHAPES = [(), (6,), (0, 3)]
SCALED = ["VarianceScaling", *[n for n in RANDOM if n[:2] in ("Gl", "Le", "He")]]


def same(actual, expected):
    expected = expected.detach()
    assert type(actual) is torch.Tensor
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    assert torch.equal(actual, expected)


def both(name, **arguments):
    return getattr(ours, name)(**arguments), getattr(theirs, name)(**arguments)


@pytest.mark.parametrize("dtype", [None, "float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("seed", [0, 1337, 2**31 + 3])
@pytest.mark.parametrize("name", RANDOM)
def test_int_seed(name, seed, dtype):
    if name == "Orthogonal" and dtype in ("float16", "bfloat16"):
        pytest.skip("torch has no QR decomposition of half types, in either library")
    a, b = both(name, seed=seed, **RANDOM[name])
    for shape in SHAPES + (FLAT_SHAPES if name != "Orthogonal" else []):
        same(a(shape, dtype=dtype), b(shape, dtype=dtype))
        same(a(shape, dtype=dtype), b(shape, dtype=dtype))


@pytest.mark.parametrize("name", RANDOM)
def test_after_set_random_seed(name):
    keras.utils.set_random_seed(99)
    made = [getattr(theirs, name)(**RANDOM[name]) for _ in range(2)]
    expected = [initializer(shape) for initializer in made for shape in SHAPES]
    our_random.set_seed(99)
    made = [getattr(ours, name)(**RANDOM[name]) for _ in range(2)]
    actual = [initializer(shape) for initializer in made for shape in SHAPES]
    for a, b in zip(actual, expected, strict=True):
        same(a, b)
    assert not torch.equal(actual[0], actual[len(SHAPES)])


@pytest.mark.parametrize("name", RANDOM)
def test_seed_generator(name):
    a, _ = both(name, seed=5, **RANDOM[name])
    a = getattr(ours, name)(seed=our_random.SeedGenerator(5, name="s"), **RANDOM[name])
    b = getattr(theirs, name)(seed=keras.random.SeedGenerator(5, name="s"), **RANDOM[name])
    for shape in SHAPES:
        same(a(shape), b(shape))
    assert ours.serialize(a) == theirs.serialize(b)
    again = ours.deserialize(theirs.serialize(b))
    assert isinstance(again.seed, our_random.SeedGenerator)
    same(again((4, 3)), theirs.deserialize(theirs.serialize(b))((4, 3)))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize(
    "distribution", ["normal", "truncated_normal", "untruncated_normal", "Uniform"]
)
@pytest.mark.parametrize("axes", [(None, None), ((0, 1), (2,)), ([2], [0, 3])])
def test_variance_scaling(mode, distribution, axes):
    a, b = both(
        "VarianceScaling",
        scale=3.0,
        mode=mode,
        distribution=distribution,
        seed=2,
        input_axes=axes[0],
        output_axes=axes[1],
    )
    same(a((2, 3, 4, 5)), b((2, 3, 4, 5)))
    assert a.get_config() == b.get_config()


@pytest.mark.parametrize("dtype", [None, "float16", "float64", "int32", "bool", "uint8"])
@pytest.mark.parametrize(
    "name, arguments",
    [
        ("Zeros", {}),
        ("Ones", {}),
        ("Constant", {}),
        ("Constant", {"value": 3}),
        ("Constant", {"value": 0.1}),
        ("Constant", {"value": True}),
        ("Constant", {"value": np.array([1.0, 2.0, 3.0], "float32")}),
        ("Identity", {}),
        ("Identity", {"gain": 0.3}),
    ],
)
def test_fixed_values(name, arguments, dtype):
    a, b = both(name, **arguments)
    for shape in [(2, 3), (3, 3)] + ([(3,), (4, 2, 3)] if name != "Identity" else []):
        same(a(shape, dtype=dtype), b(shape, dtype=dtype))


@pytest.mark.parametrize("side", ["real", "imag"])
@pytest.mark.parametrize(
    "window", ["hann", "hamming", "blackman", None, np.linspace(0.1, 1.0, 16, dtype="float32")]
)
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("periodic", [True, False])
def test_stft(side, window, scaling, periodic):
    a, b = both("STFT", side=side, window=window, scaling=scaling, periodic=periodic)
    for dtype in (None, "float64"):
        same(a((16, 1, 17), dtype=dtype), b((16, 1, 17), dtype=dtype))


@pytest.mark.parametrize("name", [*RANDOM, "Zeros", "Ones", "Constant", "Identity", "STFT"])
def test_configs_go_both_ways(name):
    a, b = both(name, **({"seed": 4} if name in RANDOM else {}))
    assert a.get_config() == b.get_config()
    config = ours.serialize(a)
    assert config == theirs.serialize(b)
    config = json.loads(json.dumps(config))
    shape = (16, 1, 17) if name == "STFT" else (4, 3)
    same(ours.deserialize(config)(shape), theirs.deserialize(config)(shape))
    same(ours.get(config)(shape), a(shape))
    same(type(a).from_config(a.get_config())(shape), a(shape))
    same(a.clone()(shape), a(shape))
    legacy = {"class_name": name, "config": config["config"]}
    same(ours.get(legacy)(shape), theirs.get(legacy)(shape))


NAMES = sorted(keras.src.initializers.ALL_OBJECTS_DICT)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_keras_is_known(name):
    cls = keras.src.initializers.ALL_OBJECTS_DICT[name]
    assert type(ours.get(name)).__name__ == cls.__name__
    assert type(ours.get({"class_name": name, "config": {}})).__name__ == cls.__name__


PUBLIC = sorted(n for n in dir(theirs) if not n.startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_and_signatures(name):
    a, b = getattr(ours, name), getattr(theirs, name)
    assert name in ours.__all__
    assert a.__name__ == b.__name__
    assert parameters(a) == parameters(b)


def parameters(obj):
    if inspect.isclass(obj) and obj.__init__ is object.__init__:
        return []
    signature = inspect.signature(obj)
    return [(p.name, p.default) for p in signature.parameters.values()]


def test_identity_keeps_its_gain_where_keras_loses_it():
    config = ours.serialize(ours.Identity(gain=3.0))
    assert theirs.deserialize(config).gain == ours.deserialize(config).gain == 3.0
    assert theirs.Identity(gain=3.0).get_config() == {}


def test_values_as_initializer():
    for values in (np.arange(6.0).reshape(2, 3), torch.arange(6).reshape(2, 3), np.float32(3)):
        shape = tuple(values.shape)
        same(ours.get(values)(shape), theirs.get(values)(shape))
        same(ours.get(values)(shape, dtype="int32"), theirs.get(values)(shape, dtype="int32"))
        for module in (ours, theirs):
            with pytest.raises(ValueError):
                module.get(values)((3, 2))


def test_classes_functions_and_none():
    assert isinstance(ours.get(ours.Ones), ours.Ones)
    assert ours.get(None) is theirs.get(None) is None

    def sevens(shape, dtype=None):
        return 7 * torch.ones(shape)

    assert ours.get(sevens) is theirs.get(sevens) is sevens


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.get("no_such"),
        lambda m: m.get(3),
        lambda m: m.get([]),
        lambda m: m.RandomNormal(seed="a"),
        lambda m: m.RandomNormal(seed=1.5),
        lambda m: m.VarianceScaling(scale=0),
        lambda m: m.VarianceScaling(mode="in"),
        lambda m: m.VarianceScaling(distribution="gaussian"),
        lambda m: m.Identity()((2,)),
        lambda m: m.Identity()((2, 2, 2)),
        lambda m: m.Orthogonal()((3,)),
        lambda m: m.STFT(side="left"),
        lambda m: m.STFT(scaling="power"),
        lambda m: m.STFT(window="no_such"),
        lambda m: m.STFT(window=np.ones(3))((4, 1, 3)),
        lambda m: m.Initializer()((2,)),
        lambda m: m.Zeros()((2,), dtype="float3"),
    ],
)
def test_errors_are_of_keras_type(action):
    with pytest.raises(Exception) as expected:
        action(theirs)
    with pytest.raises(expected.type):
        action(ours)
