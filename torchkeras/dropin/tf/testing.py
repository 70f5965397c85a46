"""`tf.test`: a test case that compares tensors, and questions about devices."""

from __future__ import annotations

import tempfile
import unittest
from typing import Any

import numpy as np
import torch

from ...dtypes import to_numpy
from ...tree import flatten, map_structure
from .tables import named
from .tensors import StringTensor, as_tensor

__all__ = ["TEST"]


def _values(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return to_numpy(x)
    return np.asarray(x) if isinstance(x, StringTensor) else x


class TestCase(unittest.TestCase):
    """`unittest.TestCase` with comparisons of tensors, arrays, numbers and structures of those."""

    __test__ = False  # itself; its subclasses are tests

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = cls.__dict__.get("__test__", True)

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors as arrays."""
        return map_structure(_values, tensors)

    def get_temp_dir(self) -> str:
        """A folder for this test, deleted after it."""
        if not hasattr(self, "_folder"):
            folder = tempfile.TemporaryDirectory()
            self.addCleanup(folder.cleanup)
            self._folder = folder.name
        return self._folder

    def assertAllClose(  # noqa: N802, the name is TensorFlow's
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Fail unless the numbers of two structures agree, within a tolerance."""
        for x, y in self._pairs(a, b):
            np.testing.assert_allclose(x, y, rtol, atol, err_msg=msg or "")

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:  # noqa: N802
        """Fail unless the values of two structures are equal."""
        for x, y in self._pairs(a, b):
            np.testing.assert_array_equal(x, y, err_msg=msg or "")

    def assertNotAllClose(self, a: Any, b: Any, **options: Any) -> None:  # noqa: N802
        """Fail if all numbers agree."""
        with self.assertRaises(AssertionError):
            self.assertAllClose(a, b, **options)

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:  # noqa: N802
        """Fail unless all numbers are greater than another one."""
        self.assertGreater(np.min(_values(as_tensor(a))), comparison_target)

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:  # noqa: N802
        """Fail unless all numbers are less than another one."""
        self.assertLess(np.max(_values(as_tensor(a))), comparison_target)

    def assertAllInRange(  # noqa: N802
        self, target: Any, lower_bound: Any, upper_bound: Any
    ) -> None:
        """Fail unless all numbers lie between two others."""
        values = _values(as_tensor(target))
        self.assertTrue(bool(((values >= lower_bound) & (values <= upper_bound)).all()))

    def assertShapeEqual(self, input_a: Any, input_b: Any, msg: str | None = None) -> None:  # noqa: N802
        """Fail unless two shapes are equal."""
        self.assertEqual(tuple(input_a.shape), tuple(input_b.shape), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:  # noqa: N802
        """Fail unless a tensor has a dtype."""
        self.assertEqual(
            _values(as_tensor(target)).dtype, _values(as_tensor([], expected_dtype)).dtype
        )

    def _pairs(self, a: Any, b: Any) -> list[tuple[Any, Any]]:
        if not isinstance(a, dict) and not isinstance(b, dict):
            try:
                return [(_values(as_tensor(a)), _values(as_tensor(b)))]
            except (TypeError, ValueError, RuntimeError):
                pass  # no rectangles: compared part by part
        left, right = flatten(a), flatten(b)
        self.assertEqual(len(left), len(right))
        return [(_values(x), _values(y)) for x, y in zip(left, right, strict=True)]


TEST: dict[str, Any] = {
    "TestCase": TestCase,
    "gpu_device_name": lambda: "/device:GPU:0" if torch.cuda.is_available() else "",
    "is_built_with_cuda": lambda: torch.version.cuda is not None,
    "is_built_with_gpu_support": lambda: torch.version.cuda is not None,
    "is_gpu_available": lambda cuda_only=False, min_cuda_compute_capability=None: (
        torch.cuda.is_available()
    ),
    "main": unittest.main,
}

named(TEST)
