"""`keras.src.testing`: what must pass passes, and what must fail fails."""

import unittest

import numpy as np
import pytest
import torch

from torchkeras import KerasTensor, layers, ops
from torchkeras.dropin import testing


class Probe(testing.TestCase):
    def runTest(self):  # noqa: N802, the name is that of `unittest`
        pass


@pytest.fixture
def case():
    probe = Probe()
    probe.setUp()
    yield probe
    probe.doCleanups()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("assertAllClose", ([1.0], [1.0 + 1e-7]), ([1.0], [1.001])),
        ("assertAllClose", (torch.ones(2), np.ones(2)), (torch.ones(2), np.ones((2, 2)))),
        ("assertNotAllClose", ([1.0], [1.1]), ([1.0], [1.0])),
        ("assertAlmostEqual", ([1.0], [1.0001]), ([1.0], [1.01])),
        ("assertAllEqual", (torch.ones(2), [1, 1]), ([1, 2], [1, 3])),
        ("assertLen", ([1, 2], 2), ([1, 2], 3)),
        ("assertSparse", (torch.ones(2), False), (torch.ones(2), True)),
        ("assertSparse", (KerasTensor((2,), sparse=True),), (KerasTensor((2,)),)),
        ("assertRagged", (torch.ones(2), False), (torch.ones(2), True)),
        ("assertDType", (torch.ones(2), "float32"), (torch.ones(2), "float64")),
        ("assertDType", (True, "bool"), (True, "float32")),
        ("assertFileExists", (__file__,), (__file__ + ".no",)),
    ],
)
def test_assertions_pass_and_fail(case, name, good, bad):
    getattr(case, name)(*good)
    with pytest.raises(AssertionError):
        getattr(case, name)(*bad)


def test_what_is_told_on_failure(case):
    with pytest.raises(AssertionError, match="mine"):
        case.assertAllClose([1.0], [2.0], msg="mine")
    with pytest.raises(AssertionError, match="mine"):
        case.assertNotAllClose([1.0], [1.0], msg="mine")


def test_the_folder_is_deleted_after_the_test():
    class Uses(testing.TestCase):
        def test_it(self):
            type(self).folder = self.get_temp_dir()

    result = unittest.TestResult()
    unittest.TestLoader().loadTestsFromTestCase(Uses).run(result)
    assert result.testsRun == 1 and result.wasSuccessful()
    with pytest.raises(AssertionError):
        Probe().assertFileExists(Uses.folder)


def test_only_subclasses_are_collected():
    assert not testing.TestCase.__test__
    assert type("Mine", (testing.TestCase,), {}).__test__


# Layers -------------------------------------------------------------------------------------------


def dense(case, cls=layers.Dense, **expected):
    case.run_layer_test(cls, {"units": 3}, input_shape=(2, 4), **expected)


def test_a_layer_as_expected(case):
    dense(
        case,
        expected_output_shape=(2, None),
        expected_output_dtype="float32",
        expected_num_trainable_weights=2,
        expected_num_non_trainable_weights=0,
        expected_num_non_trainable_variables=0,
        expected_num_seed_generators=0,
        expected_num_losses=0,
        supports_masking=True,
    )


@pytest.mark.parametrize(
    "expected",
    [
        {"expected_output_shape": (2, 4)},
        {"expected_output_shape": (2, 3, 1)},
        {"expected_output_dtype": "float64"},
        {"expected_num_trainable_weights": 1},
        {"expected_num_non_trainable_weights": 1},
        {"expected_num_non_trainable_variables": 1},
        {"expected_num_seed_generators": 1},
        {"expected_num_losses": 1},
        {"supports_masking": False},
        {"expected_output_sparse": True},
        {"assert_built_after_instantiation": True},
    ],
    ids=lambda expected: next(iter(expected)),
)
def test_a_layer_other_than_expected(case, expected):
    with pytest.raises(AssertionError):
        dense(case, **expected)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable")
def test_numbers_of_the_output(case):
    x = np.ones((2, 3), "float32")
    case.run_layer_test(
        layers.Rescaling,
        {"scale": 2.0},
        input_data=torch.ones(2, 3),
        expected_output=2 * ops.array(x),
    )
    with pytest.raises(AssertionError, match="Unexpected output value"):
        case.run_layer_test(
            layers.Rescaling,
            {"scale": 2.0},
            input_data=torch.ones(2, 3),
            expected_output=ops.array(x),
        )


class LosesUnits(layers.Dense):
    def get_config(self):
        return super().get_config() | {"units": self.units + 1}


class LosesState(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.kept = 1

    @classmethod
    def from_config(cls, config):
        layer = cls(**config)
        layer.more = 2
        return layer

    def call(self, x):
        return x


class BuildsNothing(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(2)

    def build(self, shape):
        pass

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("cls", [LosesUnits, LosesState])
def test_configs_that_lose_something(case, cls):
    arguments = {"units": 3} if cls is LosesUnits else {}
    with pytest.raises(AssertionError):
        case.run_class_serialization_test(cls(**arguments), {cls.__name__: cls})


def test_weights_that_build_does_not_make(case):
    with pytest.raises(AssertionError, match="number of trainable_weights"):
        case.run_layer_test(
            BuildsNothing, {}, input_shape=(2, 4), custom_objects={"BuildsNothing": BuildsNothing}
        )


def test_a_step_of_training_is_run(case, monkeypatch):
    steps = []
    monkeypatch.setattr(testing._Around, "fit", lambda self, data, **how: steps.append(how))
    dense(case)
    assert steps == [{"steps_per_epoch": 1, "shuffle": False, "verbose": 0}]
    dense(case, run_training_check=False)
    assert len(steps) == 1


def test_masks(case):
    arguments = {"input_dim": 5, "output_dim": 2, "mask_zero": True}
    shared = {"input_shape": (2, 3), "input_dtype": "int32", "supports_masking": True}
    case.run_layer_test(layers.Embedding, arguments, expected_mask_shape=(2, 3), **shared)
    with pytest.raises(AssertionError):
        case.run_layer_test(layers.Embedding, arguments, expected_mask_shape=(2, 4), **shared)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable")
def test_several_inputs(case):
    case.run_layer_test(layers.Add, {}, input_shape=[(2, 4), (2, 4)], expected_output_shape=(2, 4))


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_shape": (2,), "input_data": torch.ones(2)},
        {"input_data": torch.ones(2), "expected_output_shape": (2,), "expected_output": 1},
        {"input_shape": (2,), "expected_output": 1},
        {"input_shape": (2,), "expected_mask_shape": (2,)},
    ],
)
def test_arguments_that_exclude_each_other(case, arguments):
    with pytest.raises(ValueError, match="input_data|expected_output|expected_mask_shape"):
        case.run_layer_test(layers.Identity, {}, **arguments)


# Inputs -------------------------------------------------------------------------------------------


def test_eager_and_symbolic_inputs_have_the_same_form():
    shapes = {"query_shape": (2, 3), "value_shape": (2,)}
    dtypes = {"query_shape": "float32", "value_shape": "int32"}
    for make in (testing.create_eager_tensors, testing.create_keras_tensors):
        made = make(shapes, dtypes, False, False)
        assert {k: tuple(x.shape) for k, x in made.items()} == {"query": (2, 3), "value": (2,)}
    x = testing.create_eager_tensors((1000,), "float32")
    assert 0 <= float(x.min()) < 0.1 and 2.9 < float(x.max()) <= 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("bool", False, False), "must be a standard float or int dtype"),
        (("float32", True, False), "Sparse is unsupported"),
        (("float32", False, True), "Ragged is unsupported"),
    ],
)
def test_inputs_that_cannot_be_made(arguments, told):
    with pytest.raises(ValueError, match=told):
        testing.create_eager_tensors((2,), *arguments)


def test_test_data_are_learnable_and_reproducible():
    (x, y), (x_test, y_test) = testing.get_test_data(20, 10, (3,), 2, random_seed=1)
    assert x.shape == (20, 3) and x.dtype == "float32" and sorted(y) == [0] * 10 + [1] * 10
    assert x_test.shape == (10, 3) and y_test.shape == (10,)
    again = testing.get_test_data(20, 10, (3,), 2, random_seed=1)[0][0]
    np.testing.assert_array_equal(x, again)


def test_tuples_survive_json():
    value = {"a": (1, [2, (3,)]), "b": [4]}
    assert testing.from_json_with_tuples(testing.to_json_with_tuples(value)) == value


def test_structures_that_are_none():
    with pytest.raises(ValueError, match="no structure of shapes"):
        testing.map_shape_dtype_structure(lambda s, d: s, 3, "float32")
