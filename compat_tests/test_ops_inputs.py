"""Every case of every op on other inputs: other dtypes, empty tensors, and scalars.

What Keras on torch accepts, ours accepts, with the same result; the exceptions stand here by op.
"""

import warnings

import keras
import numpy as np
import pytest
import torch
from ops_oracle import CASES, ORACLE_FAILS, mapped, of
from oracle import as_list, assert_close

from torchkeras import ops


def cast(dtype, kinds="f"):
    """Make tensors of arrays, those of some kinds of another dtype."""

    def make(x):
        return torch.tensor(x).to(dtype) if x.dtype.kind in kinds else torch.tensor(x)

    return make


INPUTS = {
    "bfloat16": cast(torch.bfloat16),
    "complex64": lambda x: torch.tensor(x * (1 + 0.5j) if x.dtype.kind == "f" else x),
    "int8": cast(torch.int8, "fi"),
    "bool": cast(torch.bool),
    "empty": lambda x: torch.tensor(x[:0] if x.ndim else x),
    "scalar": lambda x: torch.tensor(x.ravel()[0]),
}
OTHERWISE = {
    # Of complex numbers the variance is real; Keras drops imaginary parts, or takes them for axes.
    "complex64": "var moments pad correlate segment_sum segment_prod rms_normalization bincount"
    " associative_scan view_as_complex",
    # A number widens halves there; positions in images are not rounded to halves here.
    "bfloat16": "arctan2 hypot logaddexp logaddexp2 affine_transform elastic_transform"
    " associative_scan",
    # Keras's scan returns floats; paths of one score have no order; of nothing, the minimum is the
    # largest number and the maximum the smallest; torch's kernel counts in the dtype of its input.
    "int8": "associative_scan ctc_decode segment_min segment_max",
    # Ids of segments that are truth values, and images that are.
    "bool": "ctc_decode segment_max resize",
    # Keras returns the images as they are, reduces all axes, or fills with nothing.
    "empty": "elastic_transform full min space_to_depth",
    # Axes and indices that a scalar has not; a size is no float.
    "scalar": "multi_hot one_hot size slice_update",
}
# Nothing to order, to interpolate or to be near.
SENSELESS = {"complex64": "cdist i0 resize segment_max segment_min sobel_edges"}
ANY_ORDER = ("argpartition", "convert_to_numpy")  # or dtypes that NumPy has not


def call(library, case, make):
    args, kwargs = mapped(make, case)
    torch.manual_seed(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return as_list(of(library, case.name)(*args, **kwargs))


def differs(case, make, kind):
    """Whether Keras has a result, and ours is another one."""
    try:
        expected = call(keras.ops, case, make)
    except Exception:
        return False
    bound = 3e-2 if kind == "bfloat16" else 1e-4
    try:
        actual = call(ops, case, make)
        for x, y in zip(actual, expected, strict=True):
            if not hasattr(y, "shape"):
                assert x == y
                continue
            assert_close(x, y, rtol=bound, atol=bound)
    except Exception:
        return True
    return False


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs(kind):
    cases = [case for case in CASES if not case.id.startswith((*ORACLE_FAILS, *ANY_ORDER))]
    found = {case.name for case in cases if differs(case, INPUTS[kind], kind)}
    names = {name.rpartition(".")[2] for name in found}
    assert names == set(f"{OTHERWISE.get(kind, '')} {SENSELESS.get(kind, '')}".split())
