"""Categories without a vocabulary: `Hashing` and `HashedCrossing` put values into bins by hashes.

The hashes are TensorFlow's, so bins are the same as in Keras, on every machine and in every run:
FarmHash64, or SipHash64 where there is a salt. Integers are hashed as their decimal digits by
`Hashing`, and taken as they are by `HashedCrossing`. Strings are hashed on the host; integer
tensors stay on their device.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import default_device, floatx
from ..dtypes import standardize_dtype, to_torch
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..registry import builtin
from ._fingerprint import (
    buckets,
    combined,
    fingerprints,
    fingerprints_of_integers,
    keyed_fingerprints,
    keyed_fingerprints_of_integers,
)
from .data_layer import DataLayer
from .encoding import check_option, encode, encoded_shape, refuse_sparse
from .strings import as_values, encoded, is_text

__all__ = ["HashedCrossing", "Hashing", "hashed", "salt_key"]

# What a cross begins with in TensorFlow.
_CROSS_SEED = 0xDECAFCAFFE


def salt_key(salt: Any, owner: str) -> list[int] | None:
    """Return the key of SipHash that a salt stands for.

    Args:
        salt: An integer, two of them, or `None`.
        owner: Whose it is, for the message.

    Raises:
        ValueError: It is none of these.
    """
    if salt is None:
        return None
    if isinstance(salt, (tuple, list)) and len(salt) == 2:
        return list(salt)
    if isinstance(salt, int):
        return [salt, salt]
    raise ValueError(
        f"The `salt` argument for `{owner}` can only be a tuple of size 2 integers, or a single"
        f" integer. Received: salt={salt!r}."
    )


def hashed(values: Tensor | Sequence[bytes], count: int, key: Sequence[int] | None) -> Tensor:
    """Return the bins of integers or of strings.

    Args:
        values: Integers of any shape, or strings.
        count: The number of bins.
        key: That of SipHash; `None` for FarmHash.
    """
    if isinstance(values, Tensor):
        if key is None:
            return buckets(fingerprints_of_integers(values), count)
        return buckets(keyed_fingerprints_of_integers(values, key), count)
    words = fingerprints(values) if key is None else keyed_fingerprints(values, key)
    return buckets(words, count)


def _whole_bins(layer: DataLayer, num_bins: Any) -> int:
    """The number of bins as an integer; `1e3` is one.

    Raises:
        ValueError: It is none, or not positive.
    """
    whole = isinstance(num_bins, Real) and num_bins == num_bins // 1
    if not whole or num_bins <= 0:
        raise ValueError(
            f"The `num_bins` for `{type(layer).__name__}` cannot be `None` or non-positive values,"
            f" and must be an integer. Received: num_bins={num_bins!r}."
        )
    return num_bins if isinstance(num_bins, int) else int(num_bins)


@builtin("keras.layers.Hashing")
class Hashing(DataLayer):
    """Puts strings or integers into a fixed number of bins by their hashes.

    Args:
        num_bins: The number of bins, that of the mask value included.
        mask_value: A value that gets bin 0 for itself.
        salt: An integer or two, to make the hashes other ones (SipHash64 instead of FarmHash64).
        output_mode: "int" for the bins, or "one_hot", "multi_hot" or "count" to encode them.
        sparse: Must be false.
        kwargs: Arguments of `Layer`. The dtype is `int64`, or `floatx()` for encoded bins.
    Shapes:
        inputs: Any. Result: the same; encoded: see `CategoryEncoding`.
    Raises:
        ValueError: An argument is out of range.
    Source: FarmHash; Aumasson & Bernstein 2012; `keras.layers.Hashing`.

    Example:
        >>> Hashing(num_bins=3)([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
        [[1], [0], [1], [1], [2]]
        >>> Hashing(num_bins=3, mask_value="")([["A"], ["B"], [""]]).tolist()
        [[1], [1], [0]]
    """

    _convert_input_args = False
    _casts_in_tf_graphs = False

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: int | Sequence[int] | None = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else floatx()
        super().__init__(**kwargs)
        num_bins = _whole_bins(self, num_bins)
        if output_mode == "int" and self.dtype_policy.name not in ("int32", "int64"):
            raise ValueError(
                'When `output_mode="int"`, `dtype` should be an integer type, "int32" or "int64".'
                f" Received: dtype={kwargs['dtype']!r}"
            )
        check_option(
            output_mode, ("int", "one_hot", "multi_hot", "count"), "output_mode", "Hashing"
        )
        if sparse and output_mode == "int":
            raise ValueError(
                "`sparse` may only be true if `output_mode` is 'one_hot', 'multi_hot' or 'count'."
                f" Received: sparse={sparse} and output_mode={output_mode!r}"
            )
        refuse_sparse(sparse)
        self.num_bins = num_bins
        if isinstance(mask_value, Real) and not isinstance(mask_value, Integral):
            raise TypeError(
                f"Hashing: `mask_value` must be an integer or a string. Received: {mask_value!r}"
            )
        self.mask_value = mask_value
        self.salt = salt_key(salt, "Hashing")
        self.output_mode = output_mode
        self.sparse = sparse

    @property
    def strong_hash(self) -> bool:
        """Whether the hashes are SipHash64's."""
        return self.salt is not None

    def call(self, inputs: Any) -> Tensor:
        """Return the bins of the inputs."""
        bins = self._bins(as_values(inputs))
        return encode(bins, self.output_mode, self.num_bins, to_torch(self.dtype))

    def _bins(self, values: Tensor | np.ndarray) -> Tensor:
        masks = self.mask_value is not None and self.num_bins > 1
        count = self.num_bins - 1 if masks else self.num_bins
        if is_text(values):
            strings = encoded(values)
            bins = hashed(strings, count, self.salt)
            if masks:
                mask = self._mask_of(strings)
                bins = torch.where(mask, 0, bins + 1)
            return bins.reshape(values.shape).to(default_device())
        if values.dtype is torch.bool:
            strings = np.where(values.cpu().numpy(), "true", "false")
            bins = hashed(encoded(strings), count, self.salt).reshape(values.shape)
            bins = bins.to(values.device)
        else:
            bins = hashed(values.long(), count, self.salt)
        return torch.where(values == self.mask_value, 0, bins + 1) if masks else bins

    def _mask_of(self, strings: Sequence[bytes]) -> Tensor:
        mask = self.mask_value
        if not isinstance(mask, (str, bytes)):
            raise ValueError(
                explain(
                    f"Hashing '{self.name}': the inputs are strings, but `mask_value` is not.",
                    mask_value=repr(mask),
                    fix=f"make the layer with mask_value={str(mask)!r}.",
                )
            )
        mask = mask.encode() if isinstance(mask, str) else mask
        return torch.from_numpy(np.fromiter((s == mask for s in strings), bool, len(strings)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the bins."""
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Return a symbolic tensor like the bins."""
        return KerasTensor(self.compute_output_shape(inputs.shape), self.dtype)


@builtin("keras.layers.HashedCrossing")
class HashedCrossing(DataLayer):
    """Puts combinations of categories into a fixed number of bins by their hashes.

    Args:
        num_bins: The number of bins.
        output_mode: "int" for the bins, or "one_hot" to encode them.
        sparse: Must be false.
        name: Default: `hashed_crossing`, numbered.
        dtype: Default: `int64`, or the global policy for encoded bins.
        kwargs: Ignored, as in Keras.
    Shapes:
        inputs: Two or more of one shape: `()`, `(batch,)` or `(batch, 1)`. Result: the same;
            one-hot: `(batch, num_bins)`.
    Raises:
        ValueError: The inputs are fewer, of different shapes, or neither integers nor strings.
    Source: The op `SparseCrossHashed` of TensorFlow; `keras.layers.HashedCrossing`.

    Example:
        >>> layer = HashedCrossing(num_bins=5)
        >>> layer((["A", "B", "A", "B", "A"], [101, 101, 101, 102, 102])).tolist()
        [1, 4, 1, 1, 3]
    """

    _convert_input_args = False
    _casts_in_tf_graphs = False

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        if output_mode == "int" and dtype is None:
            dtype = "int64"
        super().__init__(name=name, dtype=dtype)
        refuse_sparse(sparse)
        check_option(output_mode, ("int", "one_hot"), "output_mode", "HashedCrossing")
        self.num_bins = _whole_bins(self, num_bins)
        self.output_mode = output_mode
        self.sparse = sparse

    def call(self, inputs: Any) -> Tensor:
        """Return the bins of the combinations."""
        self._check_number(inputs)
        features = [as_values(feature) for feature in inputs]
        self._check(features)
        words = [_words(feature) for feature in features]
        device = next((w.device for w in words if w.device.type != "cpu"), default_device())
        cross = torch.full_like(words[0], _CROSS_SEED, device=device)
        for word in words:
            cross = combined(cross, word.to(device))
        bins = buckets(cross, self.num_bins)
        return encode(bins, self.output_mode, self.num_bins, to_torch(self.compute_dtype))

    def _check_number(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(
                "`HashedCrossing` should be called on a list or tuple of inputs. Received:"
                f" inputs={inputs!r}"
            )
        if len(inputs) < 2:
            raise ValueError(
                "`HashedCrossing` should be called on at least two inputs. Received:"
                f" inputs={inputs!r}"
            )

    def _check(self, features: Sequence[Any]) -> None:
        shapes = [tuple(feature.shape) for feature in features]
        first = shapes[0]
        if len(first) > 2 or (len(first) == 2 and first[-1] != 1):
            raise ValueError(
                "All `HashedCrossing` inputs should have shape `()`, `(batch_size)` or"
                f" `(batch_size, 1)`. Received: shapes {shapes}"
            )
        if any(shape != first for shape in shapes):
            raise ValueError(
                f"All `HashedCrossing` inputs should have equal shape. Received: shapes {shapes}"
            )
        dtypes = [_dtype_name(feature) for feature in features]
        if not all(dtype == "string" or "int" in dtype for dtype in dtypes):
            raise ValueError(
                "All `HashedCrossing` inputs should have an integer or string dtype. Received:"
                f" dtypes {dtypes}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the bins, for the shapes of the inputs."""
        shapes = list(input_shape)
        if len(shapes) < 2 or not all(isinstance(shape, (tuple, list)) for shape in shapes):
            raise ValueError(
                "Expected as input a list or tuple of the shapes of at least 2 tensors. Received:"
                f" input_shape={input_shape}"
            )
        if any(tuple(shape)[-1:] != tuple(shapes[0])[-1:] for shape in shapes):
            raise ValueError(
                "Expected input tensors to have identical shapes. Received:"
                f" input_shape={input_shape}"
            )
        return encoded_shape(shapes[0], self.output_mode, self.num_bins)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Return a symbolic tensor like the bins."""
        self._check_number(inputs)
        shape = self.compute_output_shape([feature.shape for feature in inputs])
        return KerasTensor(shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "num_bins": self.num_bins,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }


def _words(feature: Tensor | np.ndarray) -> Tensor:
    """Return what a cross takes for each value: integers as they are, strings as fingerprints."""
    if is_text(feature):
        return fingerprints(encoded(feature)).reshape(feature.shape)
    return feature.long()


def _dtype_name(feature: Tensor | np.ndarray) -> str:
    return "string" if is_text(feature) else standardize_dtype(feature.dtype)
