"""Loaders of data beside a real TensorFlow: as in Keras, they return a `tf.data.Dataset`.

`install("keras")` leaves TensorFlow as it is. Scripts that import it work on what
`image_dataset_from_directory` and its like return with functions of TensorFlow's, on tensors of
TensorFlow's. All others get a `Pipeline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..dtypes import standardize_dtype, to_numpy
from ..tree import map_structure
from ..utils.pipelines import BatchDataset

__all__ = ["as_tf_dataset"]

_ATTRIBUTES = ("class_names", "file_paths")


def as_tf_dataset(loader: BatchDataset, tensorflow: Any) -> Any:
    """Make a `tf.data.Dataset` of the elements of a loader.

    Args:
        loader: What makes them. One sample is read, to tell their dtypes and shapes.
        tensorflow: The module.

    Returns: A dataset of the same length, whose batches may be of any size.
    """
    is_batched = loader.batch_size is not None
    sample = loader._batch(loader._order[:1]) if is_batched else loader._sample(0)
    sizes = getattr(loader, "sample_shape", None)  # of the inputs, where samples differ

    def spec_of(leaf: Any, sizes: Any = None) -> Any:
        dtype = standardize_dtype(leaf.dtype) if isinstance(leaf, torch.Tensor) else "string"
        if is_batched:
            sizes = (None, *(np.shape(leaf)[1:] if sizes is None else sizes))
        elif sizes is None:
            sizes = np.shape(leaf)
        if _is_ragged(leaf):
            return tensorflow.RaggedTensorSpec(sizes, dtype, ragged_rank=len(sizes) - 1)
        return tensorflow.TensorSpec(sizes, dtype)

    def convert(leaf: Any) -> Any:
        if _is_ragged(leaf):
            return tensorflow.ragged.stack([to_numpy(part) for part in leaf.unbind()])
        return to_numpy(leaf) if isinstance(leaf, torch.Tensor) else leaf

    def elements() -> Iterator[Any]:
        return (map_structure(convert, element) for element in loader)

    x, *others = sample if isinstance(sample, tuple) else (sample,)
    signature = (spec_of(x, sizes), *map(spec_of, others))
    made = tensorflow.data.Dataset.from_generator(
        elements, output_signature=signature if others else signature[0]
    )
    made = made.apply(tensorflow.data.experimental.assert_cardinality(len(loader)))
    for name in _ATTRIBUTES:
        if hasattr(loader, name):
            setattr(made, name, getattr(loader, name))
    return made


def _is_ragged(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_nested
