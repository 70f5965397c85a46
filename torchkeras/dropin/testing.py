"""`keras.src.testing`: the test case that libraries built on Keras write their tests with."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import shutil
import tempfile
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..backend import backend, clear_session
from ..config import default_device, disable_traceback_filtering
from ..dtypes import is_float, standardize_dtype
from ..graph.keras_tensor import KerasTensor
from ..layers.layer import Layer
from ..losses import Loss
from ..models import Model
from ..naming import explain
from ..ops import cast, convert_to_numpy, shape, sum
from ..random import uniform
from ..registry import custom_object_scope
from ..saving import deserialize_keras_object, serialize_keras_object
from ..tree import flatten, map_shape_structure, map_structure, map_structure_up_to

__all__ = [
    "TestCase",
    "create_eager_tensors",
    "create_keras_tensors",
    "from_json_with_tuples",
    "get_seed_generators",
    "get_test_data",
    "is_shape_tuple",
    "jax_uses_gpu",
    "jax_uses_tpu",
    "map_shape_dtype_structure",
    "named_product",
    "tensorflow_uses_gpu",
    "tensorflow_uses_tpu",
    "to_json_with_tuples",
    "torch_uses_gpu",
    "uses_gpu",
    "uses_tpu",
]

try:  # of Keras's base class come the decorators for tests with parameters
    _Base = importlib.import_module("absl.testing.parameterized").TestCase
except ImportError:
    _Base = unittest.TestCase


# Devices ------------------------------------------------------------------------------------------


def uses_gpu() -> bool:
    """Tell whether new tensors are made on a GPU."""
    return default_device().type == "cuda"


torch_uses_gpu = uses_gpu


def uses_tpu() -> bool:
    """Tell whether a TPU computes: never here, where torch is the only engine."""
    return False


jax_uses_gpu = jax_uses_tpu = tensorflow_uses_gpu = tensorflow_uses_tpu = uses_tpu


# Inputs -------------------------------------------------------------------------------------------


def is_shape_tuple(x: Any) -> bool:
    """Tell whether `x` is a shape and no structure of shapes.

    >>> is_shape_tuple((None, 3)), is_shape_tuple([(2, 3)])
    (True, False)
    """
    return isinstance(x, (list, tuple)) and all(size is None or type(size) is int for size in x)


def map_shape_dtype_structure(fn: Callable[[Any, Any], Any], shape: Any, dtype: Any) -> Any:
    """Call `fn(shape, dtype)` for each shape of a structure and the dtype at its place.

    >>> map_shape_dtype_structure(lambda s, d: (len(s), d), [(2, 3), (4,)], ["int32", "bool"])
    [(2, 'int32'), (1, 'bool')]
    """
    if is_shape_tuple(shape):
        return fn(tuple(shape), dtype)
    if isinstance(shape, Mapping):
        return {key: map_shape_dtype_structure(fn, shape[key], dtype[key]) for key in shape}
    if isinstance(shape, (list, tuple)):
        pairs = zip(shape, dtype, strict=True)
        return type(shape)(map_shape_dtype_structure(fn, s, d) for s, d in pairs)
    raise ValueError(
        explain("This is no structure of shapes.", given=f"shape={shape!r}, dtype={dtype!r}")
    )


def _create(fn: Callable[[Any, Any], Any], input_shape: Any, dtype: Any) -> Any:
    """Make inputs; of a dict `{"a_shape": ..., ...}` they are `{"a": ..., ...}`."""
    if isinstance(input_shape, Mapping):
        return {key.removesuffix("_shape"): fn(input_shape[key], dtype[key]) for key in input_shape}
    return map_shape_dtype_structure(fn, input_shape, dtype)


def create_keras_tensors(input_shape: Any, dtype: Any, sparse: bool, ragged: bool) -> Any:
    """Make a symbolic tensor for each shape of a structure."""
    make = functools.partial(KerasTensor, sparse=sparse, ragged=ragged)
    return _create(lambda sizes, name: make(sizes, dtype=name), input_shape, dtype)


def create_eager_tensors(
    input_shape: Any, dtype: Any, sparse: bool = False, ragged: bool = False
) -> Any:
    """Make a tensor of random numbers from 0 to 3 for each shape of a structure.

    Raises:
        ValueError: Sparse or ragged ones are asked for, or another dtype than integers and floats.
    """
    if sparse or ragged:
        kind = "Sparse" if sparse else "Ragged"
        raise ValueError(f"{kind} is unsupported with backend {backend()}")
    for name in flatten(dtype):
        if not str(name).startswith(("float", "int", "uint")):
            raise ValueError(
                f"dtype must be a standard float or int dtype. Received: dtype={dtype}"
            )
    return _create(lambda sizes, name: cast(uniform(sizes) * 3, name), input_shape, dtype)


def get_test_data(
    train_samples: int,
    test_samples: int,
    input_shape: tuple[int, ...],
    num_classes: int,
    random_seed: int | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Draw samples that scatter around a template for each class, as many of one as of another.

    Args:
        train_samples: How many to train with.
        test_samples: How many to test with.
        input_shape: The shape of a sample.
        num_classes: How many classes there are.
        random_seed: For NumPy.

    Returns: `(x_train, y_train), (x_test, y_test)`, in float32 and int32.
    """
    random = np.random.RandomState(random_seed)
    templates = 2 * num_classes * random.random_sample((num_classes, *input_shape))

    def draw(samples: int) -> tuple[np.ndarray, np.ndarray]:
        y = random.permutation(np.arange(samples, dtype="int32") % num_classes)
        x = templates[y] + random.standard_normal((samples, *input_shape))
        return x.astype("float32"), y

    return draw(train_samples), draw(test_samples)


def named_product(
    *args: Sequence[Mapping[str, Any]], **kwargs: Sequence[Any]
) -> list[dict[str, Any]]:
    """Combine cases of tests, for `@parameterized.named_parameters`.

    Args:
        args: Lists of cases, dicts with a `"testcase_name"` each; every result has one of each.
        kwargs: Values by argument; they name the cases by how they are written.

    >>> named_product([{"testcase_name": "one", "x": 1}], dtype=[int, "HALF"])
    [{'testcase_name': 'one_int', 'x': 1, 'dtype': <class 'int'>}, \
{'testcase_name': 'one_half', 'x': 1, 'dtype': 'HALF'}]
    """
    lists = [
        *args,
        *(
            [{"testcase_name": getattr(v, "__name__", str(v)).lower(), key: v} for v in values]
            for key, values in kwargs.items()
        ),
    ]
    # The first list changes fastest.
    combined = [parts[::-1] for parts in itertools.product(*reversed(lists))]
    return [
        {k: v for part in parts for k, v in part.items()}
        | {"testcase_name": "_".join(part["testcase_name"] for part in parts)}
        for parts in combined
    ]


# Looking into layers and configs ------------------------------------------------------------------


def get_seed_generators(layer: Layer) -> list[Any]:
    """The seed generators of a layer and of those inside, each once."""
    found = [seed for inner in layer._flatten_layers() for seed in inner._seed_generators]
    return list({id(seed): seed for seed in found}.values())


def to_json_with_tuples(value: Any) -> str:
    """Write JSON that tells tuples from lists; `from_json_with_tuples` reads it.

    >>> from_json_with_tuples(to_json_with_tuples({"a": (1, [2])}))
    {'a': (1, [2])}
    """
    return json.dumps(_mark_tuples(value), sort_keys=True, indent=4)


def _mark_tuples(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"__class__": "tuple", "__value__": [_mark_tuples(item) for item in value]}
    if isinstance(value, list):
        return [_mark_tuples(item) for item in value]
    if isinstance(value, dict):
        return {key: _mark_tuples(item) for key, item in value.items()}
    return value


def from_json_with_tuples(value: str) -> Any:
    """Read what `to_json_with_tuples` has written."""
    return json.loads(value, object_hook=_as_tuple)


def _as_tuple(read: dict[str, Any]) -> Any:
    return tuple(read["__value__"]) if read.keys() == {"__class__", "__value__"} else read


class _Sum(Loss):
    """A loss for outputs of any structure and targets of none."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return sum(y_pred)


class _Around(Model):
    """A model of one layer."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def call(self, x: Any, training: bool = False) -> Any:
        return self.layer(x, training=training)


# The test case ------------------------------------------------------------------------------------


class TestCase(_Base):
    """`unittest.TestCase` with comparisons of tensors, and a test of all that a layer must do."""

    __test__ = False  # itself; its subclasses are tests
    maxDiff = None  # noqa: N815, the name is that of `unittest`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = cls.__dict__.get("__test__", True)

    def setUp(self) -> None:  # noqa: N802
        """Forget what earlier tests have left: names, seeds, policies."""
        super().setUp()
        clear_session(free_memory=False)
        disable_traceback_filtering()

    def get_temp_dir(self) -> str:
        """Make a folder that is deleted after the test."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def convert_to_numpy(self, x: Any) -> np.ndarray:
        """Return a tensor, variable or anything like an array as an array."""
        return convert_to_numpy(x) if isinstance(x, torch.Tensor) else np.asarray(x)

    def assertAllClose(  # noqa: N802
        self,
        actual: Any,
        desired: Any,
        atol: float = 1e-6,
        rtol: float = 1e-6,
        tpu_atol: float | None = None,
        tpu_rtol: float | None = None,
        msg: str | None = None,
    ) -> None:
        """Fail unless two arrays agree in shape and, within a tolerance, in numbers.

        `tpu_atol` and `tpu_rtol` are those of a TPU, which there is none of here.
        """
        arrays = map(self.convert_to_numpy, (actual, desired))
        np.testing.assert_allclose(*arrays, atol=atol, rtol=rtol, err_msg=msg or "")

    def assertNotAllClose(  # noqa: N802
        self, x1: Any, x2: Any, atol: float = 1e-6, rtol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Fail if two arrays agree within a tolerance."""
        try:
            self.assertAllClose(x1, x2, atol=atol, rtol=rtol)
        except AssertionError:
            return
        self.fail(self._formatMessage(msg, f"All numbers of the two are close: {x1}"))

    def assertAlmostEqual(  # noqa: N802
        self,
        actual: Any,
        desired: Any,
        decimal: int = 3,
        tpu_decimal: int | None = None,
        msg: str | None = None,
    ) -> None:
        """Fail unless two arrays agree in so many decimal places."""
        arrays = map(self.convert_to_numpy, (actual, desired))
        np.testing.assert_almost_equal(*arrays, decimal=decimal, err_msg=msg or "")

    def assertAllEqual(self, actual: Any, desired: Any, msg: str | None = None) -> None:  # noqa: N802
        """Fail unless two arrays are equal."""
        arrays = map(self.convert_to_numpy, (actual, desired))
        np.testing.assert_array_equal(*arrays, err_msg=msg or "")

    def assertLen(self, iterable: Any, expected_len: int, msg: str | None = None) -> None:  # noqa: N802
        """Fail unless something has so many items."""
        self.assertEqual(len(iterable), expected_len, msg=msg)

    def assertSparse(self, x: Any, sparse: bool = True) -> None:  # noqa: N802
        """Fail unless a tensor is sparse, or is not."""
        given = x.sparse if isinstance(x, KerasTensor) else False
        self.assertEqual(given, sparse, f"Backend {backend()} does not support sparse tensors")

    def assertRagged(self, x: Any, ragged: bool = True) -> None:  # noqa: N802
        """Fail unless a tensor is ragged, or is not."""
        given = x.ragged if isinstance(x, KerasTensor) else False
        self.assertEqual(given, ragged, f"Backend {backend()} does not support ragged tensors")

    def assertDType(self, x: Any, dtype: Any, msg: str | None = None) -> None:  # noqa: N802
        """Fail unless a tensor or a number of Python's has a dtype."""
        given = standardize_dtype(x.dtype if hasattr(x, "dtype") else type(x))
        self.assertEqual(given, standardize_dtype(dtype), msg=msg)

    def assertFileExists(self, path: Any) -> None:  # noqa: N802
        """Fail unless there is a file."""
        self.assertTrue(Path(path).is_file(), f"File {path} does not exist")

    def run_class_serialization_test(
        self, instance: Any, custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Fail unless an object comes back from its config, and from JSON, as it was.

        Returns: The object read back from JSON.
        """
        with custom_object_scope(custom_objects):
            again = type(instance).from_config(instance.get_config())
            self._assert_same(instance, again)
            text = to_json_with_tuples(serialize_keras_object(instance))
            again = deserialize_keras_object(from_json_with_tuples(text))
        self._assert_same(instance, again)
        return again

    def _assert_same(self, instance: Any, again: Any) -> None:
        configs = (to_json_with_tuples(x.get_config()) for x in (instance, again))
        self.assertEqual(*configs)
        ours, theirs = (set(dir(x)) - {"__annotations__"} for x in (instance, again))
        self.assertEqual(ours, theirs)

    def run_layer_test(
        self,
        layer_cls: type[Layer],
        init_kwargs: Mapping[str, Any] | None,
        input_shape: Any = None,
        input_dtype: Any = None,
        input_sparse: bool = False,
        input_ragged: bool = False,
        input_data: Any = None,
        call_kwargs: Mapping[str, Any] | None = None,
        expected_output_shape: Any = None,
        expected_output_dtype: Any = None,
        expected_output_sparse: bool = False,
        expected_output_ragged: bool = False,
        expected_output: Any = None,
        expected_num_trainable_weights: int | None = None,
        expected_num_non_trainable_weights: int | None = None,
        expected_num_non_trainable_variables: int | None = None,
        expected_num_seed_generators: int | None = None,
        expected_num_losses: int | None = None,
        supports_masking: bool | None = None,
        expected_mask_shape: Any = None,
        custom_objects: Mapping[str, Any] | None = None,
        run_training_check: bool = True,
        run_mixed_precision_check: bool = True,
        assert_built_after_instantiation: bool = False,
        tpu_atol: float | None = None,
        tpu_rtol: float | None = None,
    ) -> None:
        """Fail unless a layer is made, written down, built, called and trained as expected.

        Args:
            layer_cls: Its class.
            init_kwargs: What it is made with.
            input_shape: What it is called on: a shape, or a structure of shapes; of a dict
                `{"a_shape": ...}` the layer gets an argument `a`.
            input_dtype: The dtype of each input. Default: float32.
            input_sparse: Whether inputs are sparse, which they cannot be here.
            input_ragged: Whether inputs are ragged, likewise.
            input_data: Inputs in place of `input_shape`.
            call_kwargs: More arguments of its call.
            expected_output_shape: `None` as a size fits any.
            expected_output_dtype: Of each output.
            expected_output_sparse: Whether outputs are sparse.
            expected_output_ragged: Whether outputs are ragged.
            expected_output: The output for `input_data`.
            expected_num_trainable_weights: How many there are once it is built. By default that of
                this and of the next three is what its first call makes.
            expected_num_non_trainable_weights: The other weights.
            expected_num_non_trainable_variables: The other weights and the seeds.
            expected_num_seed_generators: The seed generators.
            expected_num_losses: How many losses a call adds.
            supports_masking: What its attribute of that name says.
            expected_mask_shape: The shape that `compute_mask` gives.
            custom_objects: Classes that reading its config needs.
            run_training_check: Whether a step of training is tried.
            run_mixed_precision_check: Whether float16 is tried, where there is a GPU.
            assert_built_after_instantiation: Whether it is built as soon as it is made.
            tpu_atol: Of a TPU, which there is none of here.
            tpu_rtol: Likewise.

        Raises:
            ValueError: Arguments that exclude each other are given together.
        """
        _check_together(input_shape, input_data, expected_output_shape, expected_output)
        if expected_mask_shape is not None and supports_masking is not True:
            raise ValueError("In order to use expected_mask_shape, supports_masking must be True.")
        calls = call_kwargs or {}
        make = functools.partial(layer_cls, **(init_kwargs or {}))
        if input_shape is not None and input_dtype is None:
            input_dtype = map_shape_structure(lambda _: "float32", input_shape)

        self.run_class_serialization_test(make(), custom_objects)
        if supports_masking is not None:
            self.assertEqual(make().supports_masking, supports_masking)
        if input_shape is None and input_data is None:
            return
        if input_data is None:
            input_data = create_eager_tensors(input_shape, input_dtype, input_sparse, input_ragged)
            symbols = create_keras_tensors(input_shape, input_dtype, input_sparse, input_ragged)
        else:
            symbols = map_structure(
                lambda x: KerasTensor(shape(x), dtype=standardize_dtype(x.dtype)), input_data
            )
            input_shape = map_structure(shape, input_data)

        counts: dict[str, int | None] = {
            "trainable_weights": expected_num_trainable_weights,
            "non_trainable_weights": expected_num_non_trainable_weights,
            "non_trainable_variables": expected_num_non_trainable_variables,
            "seed_generators": expected_num_seed_generators,
        }
        first = make()
        _call(first, input_data, calls)
        counts = {k: _counts(first)[k] if n is None else n for k, n in counts.items()}

        def check_output(output: Any) -> None:
            if expected_output_shape is not None:
                fits = map_structure_up_to(output, _fits, expected_output_shape, output)
                shapes = map_structure(lambda x: x.shape, output)
                told = f"Expected output shapes {expected_output_shape} but received {shapes}"
                self.assertTrue(all(flatten(fits)), told)
            if expected_output_dtype is not None:
                map_structure(self.assertDType, output, expected_output_dtype)
            for x in flatten(output):
                if expected_output_sparse:
                    self.assertSparse(x)
                if expected_output_ragged:
                    self.assertRagged(x)

        layer = make()
        if isinstance(input_shape, Mapping):
            layer.build(**input_shape)
        else:
            layer.build(input_shape)
        self._assert_built(layer, counts)

        layer = make()
        check_output(_call(layer, symbols, calls))
        self._assert_built(layer, counts)
        if expected_mask_shape is not None:
            self.assertEqual(expected_mask_shape, layer.compute_mask(symbols).shape)
        if assert_built_after_instantiation:
            self.assertTrue(make().built, f"{layer_cls.__name__} has no state, and is not built")
            own_build = type(layer_cls.__name__, (layer_cls,), {"build": lambda *_, **__: None})
            self.assertFalse(
                own_build(**(init_kwargs or {})).built, "A subclass with its own `build` is built"
            )

        layer = make()
        output = _call(layer, input_data, calls)
        check_output(output)
        if expected_output is not None:
            self.assertEqual(type(expected_output), type(output))
            for x, y in zip(flatten(expected_output), flatten(output), strict=True):
                self.assertAllClose(x, y, msg="Unexpected output value")
        if expected_num_losses is not None:
            self.assertLen(layer.losses, expected_num_losses)
        if run_training_check:
            model = _Around(layer)
            model.compile(optimizer="sgd", loss=_Sum(), jit_compile="auto")
            batch = map_structure(self.convert_to_numpy, (input_data, output))
            model.fit(itertools.repeat(batch), steps_per_epoch=1, shuffle=False, verbose=0)
        if run_mixed_precision_check and uses_gpu():
            self._check_mixed_precision(make(dtype="mixed_float16"), symbols, input_data, calls)

    def _assert_built(self, layer: Layer, counts: Mapping[str, int | None]) -> None:
        self.assertTrue(layer.built)
        found = _counts(layer)
        for name, expected in counts.items():
            self.assertEqual(found[name], expected, f"Unexpected number of {name}")

    def _check_mixed_precision(self, layer: Layer, symbols: Any, data: Any, calls: Any) -> None:
        outputs = _call(layer, data, calls)
        dtype = layer.compute_dtype if layer.autocast else None
        specs = map_structure(
            lambda x: KerasTensor(x.shape, (is_float(x.dtype) and dtype) or x.dtype), symbols
        )
        told = (
            layer.compute_output_spec(**specs)
            if isinstance(specs, Mapping)
            else layer.compute_output_spec(specs)
        )
        for x, spec in zip(flatten(outputs), flatten(told), strict=True):
            self.assertDType(x, spec.dtype)
        for weight in layer.weights:
            if is_float(standardize_dtype(weight.dtype)):
                self.assertDType(weight, "float32")


def _check_together(input_shape: Any, input_data: Any, output_shape: Any, output: Any) -> None:
    """Refuse arguments of `run_layer_test` that exclude each other."""
    if input_shape is not None and input_data is not None:
        raise ValueError("input_shape and input_data cannot be passed at the same time.")
    if output_shape is not None and output is not None:
        raise ValueError(
            "expected_output_shape and expected_output cannot be passed at the same time."
        )
    if output is not None and input_data is None:
        raise ValueError("In order to use expected_output, input_data must be provided.")


def _call(layer: Layer, inputs: Any, calls: Mapping[str, Any]) -> Any:
    if isinstance(inputs, Mapping):
        return layer(**inputs, **calls)
    return layer(inputs, **calls)


def _counts(layer: Layer) -> dict[str, int]:
    return {
        "trainable_weights": len(layer.trainable_weights),
        "non_trainable_weights": len(layer.non_trainable_weights),
        "non_trainable_variables": len(layer.non_trainable_variables),
        "seed_generators": len(get_seed_generators(layer)),
    }


def _fits(expected: Any, x: Any) -> bool:
    """Whether a tensor has the expected shape; `None` fits any size."""
    pairs = itertools.zip_longest(expected, x.shape, fillvalue=-1)
    return all(size is None or size == given for size, given in pairs)
