"""Categories as vectors: `CategoryEncoding`, `Discretization`, and how indices are encoded.

Letters: B batch, T values in a sample, V categories.
The modes: "int" leaves indices as they are; "one_hot" gives each index a row of V numbers;
"multi_hot" gives each sample one row with ones at the indices it has, "count" one with their
numbers. A sample is axis 1, or all of a vector. An index outside of the categories is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import floatx
from ..dtypes import as_tensor, to_numpy, to_torch
from ..graph.keras_tensor import KerasTensor
from ..naming import explain, nearest
from ..registry import builtin
from ._constant import Constant
from .adapting import batches, is_array
from .configs import make_from
from .data_layer import DataLayer

__all__ = ["CategoryEncoding", "Discretization", "check_option", "encode", "encoded_shape"]

Shape = Sequence["int | None"]


def check_option(value: Any, options: Sequence[Any], argument: str, owner: str) -> None:
    """Refuse a value that is not among the options.

    Args:
        value: What was given.
        options: What may be given.
        argument: The name of the argument.
        owner: The name of the class that it is an argument of.

    Raises:
        ValueError: It is not.
    """
    if value not in options:
        names = ", ".join(map(repr, options))
        raise ValueError(
            explain(
                f"Invalid value for argument `{argument}`. Expected one of {names}. Received:"
                f" {argument}={value!r}. {nearest(value, map(str, options))}".rstrip(),
                layer=owner,
            )
        )


def encode(
    indices: Tensor, mode: str, depth: int, dtype: torch.dtype, weights: Tensor | None = None
) -> Tensor:
    """Encode indices of categories.

    Args:
        indices: Integers of any shape.
        mode: "int", "one_hot", "multi_hot" or "count".
        depth: The number of categories, V.
        dtype: Of the result.
        weights: What each value counts, where the mode is "count".

    Returns:
        By `encoded_shape`.

    Example:
        >>> encode(torch.tensor([[0, 2, 2]]), "count", 3, torch.float32).tolist()
        [[1.0, 0.0, 2.0]]
    """
    if mode == "int":
        return indices.to(dtype)
    if indices.dim() == 0:
        indices = indices[None]
    if mode == "one_hot":
        if indices.dim() > 1 and indices.shape[-1] == 1:
            indices = indices.squeeze(-1)
        return (indices[..., None] == torch.arange(depth, device=indices.device)).to(dtype)
    indices = indices.long()
    counted = ((indices >= 0) & (indices < depth)).to(dtype)
    if weights is not None:
        counted = counted * weights.to(dtype).reshape(indices.shape)
    if indices.dim() > 2:
        indices, counted = indices.movedim(1, -1), counted.movedim(1, -1)
    counts = counted.new_zeros((*indices.shape[:-1], depth))
    counts = counts.scatter_add(-1, indices.clamp(0, depth - 1), counted)
    return (counts > 0).to(dtype) if mode == "multi_hot" else counts


def encoded_shape(shape: Shape, mode: str, depth: int | None) -> tuple[int | None, ...]:
    """Return the shape that `encode` gives.

    Args:
        shape: Of the indices, `None` where unknown.
        mode, depth: As for `encode`.

    Example:
        >>> encoded_shape((None, 5), "one_hot", 3), encoded_shape((None, 5), "count", 3)
        ((None, 5, 3), (None, 3))
    """
    shape = tuple(shape)
    if mode == "int":
        return shape
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


def refuse_sparse(sparse: bool) -> None:
    """Refuse `sparse=True`, which needs TensorFlow's sparse tensors.

    Raises:
        ValueError: It is true.
    """
    if sparse:
        raise ValueError(
            explain(
                "`sparse=True` can only be used with the TensorFlow backend of Keras.",
                fix="leave it out: the result is a dense tensor.",
            )
        )


@builtin("keras.layers.CategoryEncoding")
class CategoryEncoding(DataLayer):
    """Turns indices of categories into vectors.

    Args:
        num_tokens: The number of categories, V; indices are below it.
        output_mode: "multi_hot", "one_hot" or "count"; see the head of this module's page.
        sparse: Must be false.
        kwargs: Arguments of `Layer`.
    Shapes:
        inputs: Indices `(B, T)` or `(T,)`. Result: `(B, V)` or `(V,)`; one-hot: `(B, T, V)`,
            without T where it is 1.
    Raises:
        ValueError: An argument is out of range, or an index is (on a CPU; elsewhere it is left
            out, since looking would make the host wait).

    Example:
        >>> CategoryEncoding(num_tokens=4)([[0, 2, 2]]).tolist()
        [[1.0, 0.0, 1.0, 0.0]]
    """

    _convert_input_args = False
    _config_excludes = ("sparse",)

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in ("count", "one_hot", "multi_hot"):
            raise ValueError(
                explain(
                    f"Unknown arg for output_mode: {output_mode}",
                    fix="use 'multi_hot', 'one_hot' or 'count'.",
                )
            )
        if num_tokens is None:
            raise ValueError(
                explain(
                    "num_tokens must be set to use this layer.",
                    fix="pass the number of categories; `IntegerLookup` can learn them from data.",
                )
            )
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        refuse_sparse(sparse)
        self.num_tokens = num_tokens
        self.output_mode = output_mode
        self.sparse = sparse

    def call(self, inputs: Any, count_weights: Any = None) -> Tensor:
        """Return the encoded indices.

        Args:
            inputs: Indices.
            count_weights: What each value counts in mode "count", in the shape of `inputs`.
        """
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                explain(
                    "`count_weights` is not used when `output_mode` is not 'count'.",
                    output_mode=repr(self.output_mode),
                    fix="leave it out, or make the layer with output_mode='count'.",
                )
            )
        return self._encode(inputs, count_weights)

    def _encode(self, inputs: Any, count_weights: Any = None) -> Tensor:
        indices = as_tensor(inputs)
        if indices.device.type == "cpu" and not torch.compiler.is_compiling():
            self._check_range(indices)
        dtype = to_torch(self.dtype)  # exact, also where a policy computes in half precision
        if count_weights is not None:
            count_weights = as_tensor(count_weights, device=indices.device)
        return encode(indices, self.output_mode, self.num_tokens, dtype, count_weights)

    def _check_range(self, indices: Tensor) -> None:
        if indices.numel() and int(indices.max()) >= self.num_tokens:
            raise ValueError(
                explain(
                    f"CategoryEncoding '{self.name}': an index is out of range.",
                    largest_index=int(indices.max()),
                    num_tokens=self.num_tokens,
                    fix=f"indices must be below {self.num_tokens}; number the categories from 0,"
                    " or make the layer with more of them.",
                )
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the encoded indices."""
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def compute_output_spec(self, inputs: Any, count_weights: Any = None) -> KerasTensor:
        """Return a symbolic tensor like the encoded indices."""
        return KerasTensor(self.compute_output_shape(inputs.shape), self.dtype)


@builtin("keras.layers.Discretization")
class Discretization(DataLayer):
    """Replaces numbers by the indices of the bins they are in.

    A bin holds the numbers from one boundary, inclusive, to the next one; what is below the first
    boundary is in bin 0.

    Args:
        bin_boundaries: The boundaries in ascending order.
        num_bins: The number of bins whose boundaries `adapt` shall find, instead.
        epsilon: How far the found boundaries may be off, as a fraction of the data.
        output_mode: "int" for the indices, or "one_hot", "multi_hot" or "count" to encode them.
        sparse: Must be false.
        dtype: Of the result, unless that are indices, which are `int32`.
        name: Default: `discretization`, numbered.
    Shapes:
        inputs: Any. Result: the same; encoded: see `CategoryEncoding`.
    Raises:
        ValueError: None or both of boundaries and number are given, or an argument is out of range.

    Example:
        >>> Discretization(bin_boundaries=[0.0, 1.0])([-3.0, 0.0, 0.5, 2.0]).tolist()
        [0, 1, 1, 2]
        >>> layer = Discretization(num_bins=2)
        >>> layer.adapt(np.array([1.0, 2.0, 3.0, 4.0]))
        >>> layer.bin_boundaries
        [2.0]
    """

    _MODES = ("int", "one_hot", "multi_hot", "count")

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        check_option(output_mode, self._MODES, "output_mode", "Discretization")
        refuse_sparse(sparse)
        facts = {"num_bins": num_bins, "bin_boundaries": bin_boundaries}
        if num_bins is not None and num_bins < 0:
            raise ValueError(
                f"`num_bins` must be greater than or equal to 0. Received: num_bins={num_bins}"
            )
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                explain("Both `num_bins` and `bin_boundaries` are set.", "leave one out.", **facts)
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError(
                explain(
                    "You need to set either `num_bins` or `bin_boundaries`.",
                    "pass the boundaries, or how many bins `adapt` shall find.",
                )
            )
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = sparse
        self.bin_boundaries = bin_boundaries
        self.reset_state()

    @property
    def bin_boundaries(self) -> Any:
        """The boundaries in ascending order; `None` before `adapt`."""
        return self.__dict__["_given_boundaries"]

    @bin_boundaries.setter
    def bin_boundaries(self, value: Any) -> None:
        try:
            boundaries = None if value is None else Constant(np.asarray(value, dtype="float64"))
        except ValueError as error:
            raise ValueError(
                f"Discretization: `bin_boundaries` must be numbers. Received: {value!r}"
            ) from error
        self.__dict__.update(_given_boundaries=value, _boundaries=boundaries)

    @property
    def input_dtype(self) -> str:
        """The dtype that inputs are cast to."""
        return floatx()

    @property
    def output_dtype(self) -> str:
        """The dtype of the result."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    # Learning ------------------------------------------------------------------------------------

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find boundaries that put equally many of the data into each bin.

        Args:
            data: An array or tensor; or batches of them: a list, generator, `DataLoader`, torch
                `Dataset`, `PyDataset` or `tf.data.Dataset`.
            steps: How many batches to take; needed where they never end.

        Raises:
            ValueError: The layer was made with boundaries.
        """
        if self.num_bins is None:
            raise ValueError(
                explain(
                    f"Discretization '{self.name}': `adapt` would replace the given boundaries.",
                    fix="make the layer with `num_bins` instead of `bin_boundaries`.",
                )
            )
        self.reset_state()
        for batch in [data] if is_array(data) else batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Take a batch into account."""
        values = to_numpy(data) if isinstance(data, Tensor) else np.asarray(data)
        new = _summary(values.astype("float32"), self.epsilon)
        merged = np.concatenate([new, self.summary], axis=1)
        order = np.argsort(merged[0])
        self.__dict__["summary"] = _compressed(merged[:, order], self.epsilon)

    def finalize_state(self) -> None:
        """Find the boundaries from what was taken into account, if anything was."""
        if self.num_bins is not None and self.summary.size:
            bounds = _compressed(self.summary, 1.0 / self.num_bins)[0, :-1]
            self.bin_boundaries = bounds.tolist()

    def reset_state(self) -> None:
        """Forget what was taken into account."""
        # Values in ascending order, and how many of the data each stands for.
        self.__dict__["summary"] = np.zeros((2, 0), dtype="float32")

    # Calling -------------------------------------------------------------------------------------

    def call(self, inputs: Any) -> Tensor:
        """Return the bins of the inputs."""
        if self._boundaries is None:
            raise ValueError(
                explain(
                    f"Discretization '{self.name}' has no boundaries. You need to pass"
                    " `bin_boundaries`, or to call `adapt(data)`, before you use it."
                )
            )
        x = as_tensor(inputs)
        x = x if x.is_floating_point() else x.to(to_torch(floatx()))
        boundaries = self._boundaries.like(x)
        indices = torch.bucketize(x, boundaries, right=True)
        depth = len(boundaries) + 1
        return encode(indices, self.output_mode, depth, to_torch(self.output_dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the bins."""
        known = self.bin_boundaries is not None
        depth = len(self.bin_boundaries) + 1 if known else self.num_bins
        return encoded_shape(input_shape, self.output_mode, depth)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Return a symbolic tensor like the bins."""
        return KerasTensor(self.compute_output_shape(inputs.shape), self.output_dtype)

    # Saving --------------------------------------------------------------------------------------

    def load_own_variables(self, store: Any) -> None:
        """Take the summary that old files have; the boundaries are in the config."""
        if len(store) == 1:
            self.__dict__["summary"] = np.asarray(store["0"])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; after `adapt`, both the number of bins and their boundaries."""
        boundaries = self.bin_boundaries
        if boundaries is not None and not isinstance(boundaries, (list, tuple)):
            boundaries = np.asarray(boundaries).tolist()
        return {
            "bin_boundaries": boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Discretization:
        """Rebuild the layer, also one that was adapted."""
        config = dict(config)
        adapted = config.get("num_bins") is not None
        boundaries = config.pop("bin_boundaries", None) if adapted else None
        layer = make_from(cls, config)
        if boundaries is not None:
            layer.bin_boundaries = boundaries
        return layer


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Return every so manieth of the sorted values, and how many values each stands for."""
    values = np.sort(values, axis=None)
    step = max(values.size / (1.0 / epsilon), 1)  # rounded as in Keras: it decides about indices
    chosen = values[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Replace a summary by one of equally heavy items, interpolated, of weight `epsilon` each."""
    if summary.shape[1] * epsilon < 1:
        return summary
    values, weights = summary
    fractions = epsilon + np.arange(0.0, 1.0, epsilon)
    total = np.cumsum(weights)
    known = total / total[-1]
    totals = np.interp(fractions, known, total)
    compressed = [np.interp(fractions, known, values), np.diff(totals, prepend=0.0)]
    return np.stack(compressed).astype("float32")
