"""`IndexLookup`: the base of layers that replace tokens by their indices in a vocabulary.

Indices are in this order: 0 for the mask token (in mode "int", if there is one), then the indices
of tokens out of the vocabulary (OOV), then the vocabulary. `num_oov_indices` above 1 spreads OOV
tokens by their hashes. Letters: B batch, T tokens in a sample, V size of the vocabulary with all
special indices.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..config import default_device, floatx
from ..dtypes import standardize_dtype, to_torch
from ..graph.keras_tensor import KerasTensor
from ..naming import explain
from ..registry import builtin, in_safe_mode
from ._constant import Constant
from ._vocabulary import IntegerTable, StringTable, read_lines, write_lines
from .adapting import batches, is_array
from .data_layer import DataLayer
from .encoding import check_option, encode, encoded_shape, refuse_sparse
from .hashing import hashed, salt_key
from .strings import as_values, encoded, inferred, is_text

__all__ = ["IndexLookup", "VocabularyError", "standardize_output_mode"]

_VOCABULARY_FILE = "vocabulary.txt"
_DROPPED = -1  # the index of mask tokens where they are not to be counted


class VocabularyError(RuntimeError):
    """The size of a vocabulary is not known yet, or would change while layers rely on it."""


def standardize_output_mode(output_mode: str, owner: str) -> str:
    """Return an output mode by its present name.

    Raises:
        ValueError: It is unknown.
    """
    if isinstance(output_mode, str):
        output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
    modes = ("int", "one_hot", "multi_hot", "count", "tf_idf")
    check_option(output_mode, modes, "output_mode", owner)
    return output_mode


@builtin("keras.src.layers.preprocessing.index_lookup.IndexLookup")
class IndexLookup(DataLayer):
    """Base of `StringLookup` and `IntegerLookup`; see there for the arguments.

    Args:
        max_tokens: The largest size of the vocabulary, special tokens included.
        num_oov_indices: How many indices OOV tokens share.
        mask_token: The token for masked values, or `None`.
        oov_token: What stands for OOV tokens in the vocabulary.
        vocabulary_dtype: `"string"` or `"int64"`.
        vocabulary: The tokens, or the path of a file with one a line.
        idf_weights: The weight of each token, for mode "tf_idf".
        invert: Whether to turn indices into tokens instead.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        sparse: Must be false.
        pad_to_max_tokens: Whether encoded samples have the width `max_tokens`.
        oov_method: How integers are spread over OOV indices: "floormod" or "farmhash".
        name: Default: the class's name in snake case, numbered.
        salt: An integer or two, to spread OOV tokens by other hashes.
        kwargs: `vocabulary_size` and `has_input_vocabulary`, as configs have them.

    Raises:
        ValueError: An argument is out of range, or two do not go together.
    """

    _convert_input_args = False
    _casts_in_tf_graphs = False
    _config_excludes = ("vocabulary", "idf_weights")  # see `get_config`
    encoding = "utf-8"

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary_dtype: Any,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        output_mode = standardize_output_mode(output_mode, owner)
        vocabulary_dtype = standardize_dtype(vocabulary_dtype)
        check_option(oov_method, ("floormod", "farmhash"), "oov_method", owner)
        _check_sizes(max_tokens, num_oov_indices, pad_to_max_tokens)
        _check_modes(output_mode, invert, sparse, idf_weights)
        if salt is not None and vocabulary_dtype != "string" and oov_method != "farmhash":
            raise ValueError(
                "`salt` can only be used when `oov_method='farmhash'`. Received:"
                f" oov_method={oov_method!r}"
            )
        super().__init__(name=name)
        self.max_tokens = max_tokens
        self.pad_to_max_tokens = pad_to_max_tokens
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.num_oov_indices = num_oov_indices
        self.output_mode = output_mode
        self.invert = invert
        self.sparse = sparse
        self.vocabulary_dtype = vocabulary_dtype
        self.oov_method = oov_method
        self.salt = salt_key(salt, owner)
        self._frozen_vocab_size: int | None = kwargs.pop("vocabulary_size", None)
        given = kwargs.pop("has_input_vocabulary", vocabulary is not None)
        self._has_input_vocabulary: bool = given
        kwargs = {key: kwargs[key] for key in kwargs if key not in ("trainable", "dtype")}
        if kwargs:
            raise ValueError(f"Unrecognized keyword argument(s) passed to {owner}: {kwargs}")
        # A file's tokens are saved as an asset; its path is of no use to whoever loads that. These
        # may be large, and are nothing to be tracked.
        from_file = isinstance(vocabulary, (str, os.PathLike))
        self.__dict__.update(
            input_vocabulary=None if from_file else vocabulary,
            input_idf_weights=idf_weights,
            _table=self._make_table([]),
            _idf=None,
        )
        self.reset_state()
        if output_mode == "tf_idf":
            if given and idf_weights is None:
                raise ValueError(
                    "When specifying the `vocabulary` argument, in TF-IDF output mode, the"
                    " `idf_weights` argument must also be provided."
                )
            if idf_weights is not None:
                self._set_idf_weights(_as_array(idf_weights))
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    @property
    def compute_dtype(self) -> str:
        """The dtype of the vocabulary."""
        return self.vocabulary_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the vocabulary."""
        return self.vocabulary_dtype

    @property
    def _of_strings(self) -> bool:
        return self.vocabulary_dtype == "string"

    # The vocabulary ------------------------------------------------------------------------------

    def _oov_start_index(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _token_start_index(self) -> int:
        return self._oov_start_index() + self.num_oov_indices

    def _special_tokens(self) -> list[Any]:
        oov = [self.oov_token] * self.num_oov_indices
        return [self.mask_token] * self._oov_start_index() + oov

    def _make_table(self, tokens: list[Any]) -> StringTable | IntegerTable:
        start = self._token_start_index()
        if not self._of_strings:
            return IntegerTable(tokens, start)
        mask = [] if self.mask_token is None else self._as_tokens([self.mask_token])
        return StringTable(tokens, start, dict.fromkeys(mask, self._mask_index()))

    def _as_tokens(self, values: Any) -> list[Any]:
        """Return tokens as the table has them: `bytes` or integers."""
        values = list(values) if isinstance(values, (tuple, set)) else values
        if self._of_strings:
            return encoded(self._expect_text(as_values(values)), self.encoding)
        return _as_array(values).astype(np.int64).reshape(-1).tolist()

    def _expect_text(self, values: Any) -> np.ndarray:
        if not is_text(values):
            if not values.numel():
                return np.array([], dtype=object)
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}' works on strings.",
                    given=f"values of dtype {standardize_dtype(values.dtype)}",
                    fix="convert them, for example with `.astype(str)`, or use `IntegerLookup`.",
                )
            )
        return values

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Return the tokens in the order of their indices.

        Args:
            include_special_tokens: Whether those for masked and OOV values are in the list.
        """
        special = self._special_tokens() if include_special_tokens else []
        return [*special, *self._table.names()]

    def vocabulary_size(self) -> int:
        """Return the number of indices, those for masked and OOV values included."""
        return len(self._table) + self._token_start_index()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Set the vocabulary, instead of learning it.

        Args:
            vocabulary: The tokens, with or without the special ones at the beginning, or the path
                of a text file with one token a line.
            idf_weights: The weight of each token, in mode "tf_idf".

        Raises:
            ValueError: Tokens are repeated, special tokens are at the wrong place, there are too
                many or none at all, the weights do not fit, or the file does not exist or may not
                be read, since it is a model file that names it.
        """
        if self.output_mode == "tf_idf" and idf_weights is None:
            raise ValueError("`idf_weights` must be set if output_mode is 'tf_idf'.")
        if self.output_mode != "tf_idf" and idf_weights is not None:
            raise ValueError(
                "`idf_weights` should only be set if output_mode is `'tf_idf'`. Received:"
                f" output_mode={self.output_mode!r} and idf_weights={idf_weights!r}"
            )
        if isinstance(vocabulary, (str, os.PathLike)):
            self._use(self._tokens_of_file(vocabulary))
            return
        given = self._as_tokens(vocabulary)
        if not given:
            raise ValueError(f"Cannot set an empty vocabulary. Received: vocabulary={vocabulary!r}")
        tokens = self._without_special(given)
        self._check_tokens(tokens)
        weights = None
        if idf_weights is not None:
            weights = self._full_idf_weights(_as_array(idf_weights), len(given), len(tokens))
        self._use(tokens)
        if weights is not None:
            self._set_idf_weights(weights)

    def _tokens_of_file(self, path: Any) -> list[Any]:
        if in_safe_mode():
            raise ValueError(
                explain(
                    "A model file asks for a vocabulary from another file of this computer, which"
                    " could be any file of yours.",
                    vocabulary_file=repr(path),
                    fix="if you trust the model file, pass `safe_mode=False` to the loading"
                    " function, or call `keras.config.enable_unsafe_deserialization()`.",
                )
            )
        if not os.path.exists(path):
            raise ValueError(f"Vocabulary file {path} does not exist.")
        if self.output_mode == "tf_idf":
            raise ValueError(
                "output_mode `'tf_idf'` does not support loading a vocabulary from file."
            )
        lines = read_lines(path)
        tokens = lines if self._of_strings else [int(line) for line in lines]
        self._check_repeated(tokens)
        return tokens

    def _without_special(self, tokens: list[Any]) -> list[Any]:
        start = self._token_start_index()
        special = self._special_tokens()
        if None not in special and tokens[:start] == self._as_tokens(special or []):
            return tokens[start:]
        return tokens

    def _check_repeated(self, tokens: list[Any]) -> None:
        if len(set(tokens)) == len(tokens):
            return
        repeated = [token for token, n in collections.Counter(tokens).items() if n > 1]
        raise ValueError(
            explain(
                "The passed vocabulary has at least one repeated term.",
                repeated=repeated[:20],
                fix="pass each token once: `list(dict.fromkeys(vocabulary))` keeps the order.",
            )
        )

    def _check_tokens(self, tokens: list[Any]) -> None:
        self._check_repeated(tokens)
        reserved = {"mask": self.mask_token, "OOV": self.oov_token if self.invert else None}
        for kind, token in reserved.items():
            if token is None:
                continue
            key = self._as_tokens([token])[0]
            if key in tokens:
                raise ValueError(
                    explain(
                        f"Found reserved {kind} token at unexpected location in `vocabulary`.",
                        token=repr(token),
                        index=tokens.index(key),
                        fix="leave the special tokens out, or put exactly these at the beginning:"
                        f" {self._special_tokens()}.",
                    )
                )
        size = self._token_start_index() + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                "Attempted to set a vocabulary larger than the maximum vocab size. Received"
                f" vocabulary size is {size}; `max_tokens` is {self.max_tokens}."
            )

    def _use(self, tokens: list[Any]) -> None:
        """Replace the vocabulary by these tokens."""
        size = len(tokens) + self._token_start_index()
        self._check_size_unchanged(size)
        self.__dict__.update(_table=self._make_table(tokens), _frozen_vocab_size=size)

    def _check_size_unchanged(self, size: int) -> None:
        if self.output_mode == "int" or self.pad_to_max_tokens:
            return
        if self._frozen_vocab_size not in (None, size):
            raise VocabularyError(
                explain(
                    f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`,"
                    " the vocabulary size cannot be changed: the layers after this one rely on it.",
                    old_size=self._frozen_vocab_size,
                    new_size=size,
                    fix="make a new layer, or pass `max_tokens` and `pad_to_max_tokens=True`.",
                )
            )

    # Inverse document frequencies ----------------------------------------------------------------

    @property
    def idf_weights(self) -> Tensor:
        """The weight of each index, in mode "tf_idf"."""
        if self._idf is None:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' has no `idf_weights`: call `adapt` or"
                " `set_vocabulary` first, in mode 'tf_idf'."
            )
        return self._idf.value

    def _set_idf_weights(self, weights: Any) -> None:
        self.__dict__["_idf"] = Constant(torch.as_tensor(weights, dtype=to_torch(floatx())))

    def _full_idf_weights(self, weights: np.ndarray, given: int, tokens: int) -> np.ndarray:
        """Return the weights with those of special tokens and of padding."""
        if len(weights) != given:
            raise ValueError(
                "`idf_weights` must be the same length as vocabulary. len(idf_weights) is"
                f" {len(weights)}; len(vocabulary) is {given}"
            )
        if weights.ndim != 1:
            raise ValueError(
                f"TF-IDF data must be a 1-index array. Received: shape {weights.shape}"
            )
        # Nothing is known of special tokens, so they get the average.
        front = 0 if given > tokens else self._token_start_index()
        return self._padded(np.pad(weights, (front, 0), constant_values=np.average(weights)))

    def _padded(self, weights: np.ndarray) -> np.ndarray:
        if not self.pad_to_max_tokens:
            return weights
        return np.pad(weights, (0, self.max_tokens - len(weights)))

    # Learning ------------------------------------------------------------------------------------

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary: the tokens of some data, frequent ones first.

        Tokens of the same frequency are in descending order. In mode "tf_idf", the weights are
        learned too; each row is a document then.

        Args:
            data: An array, tensor, pandas object or list; or batches of them: a generator,
                `DataLoader`, torch `Dataset`, `PyDataset` or `tf.data.Dataset`.
            steps: How many batches to take; needed where they never end.

        Raises:
            ValueError: The vocabulary was given to the constructor.
        """
        self.reset_state()
        if is_array(data) or isinstance(data, (list, tuple, str, bytes)):
            values = as_values(data)
            self.update_state(values[:, None] if values.ndim == 1 else values)
        else:
            for batch in batches(data, steps):
                self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch; one without a second axis is one document.

        Raises:
            ValueError: The vocabulary was given to the constructor.
        """
        self._require_adaptable()
        values = as_values(data)
        values = values.reshape(1, -1) if values.ndim < 2 else values.reshape(len(values), -1)
        if self._of_strings:
            tokens = encoded(self._expect_text(values), self.encoding)
            width = values.shape[1]
            self._count(tokens, [width] * len(values))
            return
        self._count_integers(values)

    def _require_adaptable(self) -> None:
        if self._has_input_vocabulary:
            raise ValueError(
                explain(
                    f"Cannot adapt layer '{self.name}' after setting a static vocabulary via the"
                    " `vocabulary` argument.",
                    fix="make the layer without `vocabulary` to learn one.",
                )
            )

    def _count(self, tokens: Sequence[bytes], lengths: Iterable[int]) -> None:
        """Count the tokens of documents, which stand one after the other."""
        self._counts.update(tokens)
        if self.output_mode != "tf_idf":
            return
        end = 0
        for length in lengths:
            start, end = end, end + length
            self._document_counts.update(set(tokens[start:end]))
            self._num_documents += 1

    def _count_integers(self, values: Any) -> None:
        if is_text(values):
            values = torch.tensor(self._as_tokens(values)).reshape(values.shape)
        values = values.long()
        tokens, counts = torch.unique(values, return_counts=True)
        self._counts.update(dict(zip(tokens.tolist(), counts.tolist(), strict=True)))
        if self.output_mode == "tf_idf":
            rows = values.sort(dim=1).values
            first = torch.ones_like(rows, dtype=torch.bool)
            first[:, 1:] = rows[:, 1:] != rows[:, :-1]
            tokens, counts = torch.unique(rows[first], return_counts=True)
            self._document_counts.update(dict(zip(tokens.tolist(), counts.tolist(), strict=True)))
            self._num_documents += len(rows)

    def finalize_state(self) -> None:
        """Make the vocabulary from what was counted; the former one stays if that is nothing."""
        if self._has_input_vocabulary or not self._counts:
            if self._frozen_vocab_size is None:
                self._frozen_vocab_size = self.vocabulary_size()
            return
        counts = self._counts
        for token in (self.mask_token, self.oov_token):
            if token is not None:
                counts.pop(self._as_tokens([token])[0], None)
        tokens = sorted(counts, reverse=True)
        frequencies = np.fromiter(map(counts.__getitem__, tokens), np.int64, len(tokens))
        order = np.argsort(-frequencies, kind="stable")
        if self.max_tokens:
            order = order[: max(self.max_tokens - self._token_start_index(), 0)]
        tokens = [tokens[i] for i in order.tolist()]
        self._use(tokens)
        if self.output_mode == "tf_idf":
            documents = np.array([self._document_counts[token] for token in tokens])
            weights = np.log(1 + self._num_documents / (1 + documents))
            front = (self._token_start_index(), 0)
            weights = np.pad(weights, front, constant_values=weights.mean() if tokens else 0)
            self._set_idf_weights(self._padded(weights))
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was counted, not the vocabulary."""
        self.__dict__.update(
            _counts=collections.Counter(), _document_counts=collections.Counter(), _num_documents=0
        )

    # Calling -------------------------------------------------------------------------------------

    def call(self, inputs: Any) -> Any:
        """Return the indices of tokens, or the tokens of indices, or encoded samples."""
        values = as_values(inputs)
        stand_in = inferred(self.compute_output_spec, values) if self._of_strings else None
        if stand_in is not None and not self.invert:
            return stand_in
        self._require_vocabulary()
        if self.invert:
            return self._tokens_at(values)
        if not self._of_strings:
            if is_text(values):
                raise ValueError(
                    explain(
                        f"{type(self).__name__} '{self.name}' works on integers.",
                        given="strings",
                        fix="convert them, for example with `.astype(int)`, or use `StringLookup`.",
                    )
                )
            return self._encoded(self._indices_of_integers(values.long()))
        values = self._expect_text(values)
        indices = self._indices_of_strings(encoded(values, self.encoding))
        return self._encoded(indices.reshape(values.shape).to(default_device()))

    def _require_vocabulary(self) -> None:
        """Refuse to work without a vocabulary whose size matters, or that was there once."""
        known = self._frozen_vocab_size
        if known is None and self.output_mode != "int" and not self.pad_to_max_tokens:
            raise VocabularyError(
                explain(
                    f"When using `output_mode={self.output_mode}` and `pad_to_max_tokens=False`,"
                    " the vocabulary must be known before the layer is called.",
                    fix="pass `vocabulary`, or call `adapt` with some data.",
                )
            )
        if known not in (None, self.vocabulary_size()):
            raise VocabularyError(
                explain(
                    f"{type(self).__name__} '{self.name}' lacks the vocabulary that it had learned:"
                    " configs and files of weights do not hold it.",
                    old_size=known,
                    size=self.vocabulary_size(),
                    fix="load the model from a `.keras` or `.safetensors` file, or call"
                    " `set_vocabulary(other_layer.get_vocabulary())`.",
                )
            )

    def _missing_index(self) -> int:
        """Return the index that the table gives to OOV tokens; more than one are told apart later.

        Not `_DROPPED`: tokens that get it are looked for afterwards.
        """
        return self._oov_start_index() if self.num_oov_indices == 1 else -2

    def _mask_index(self) -> int:
        return 0 if self.output_mode == "int" else _DROPPED

    def _indices_of_strings(self, values: Sequence[bytes]) -> Tensor:
        """Return the indices of strings, on the CPU."""
        missing = self._missing_index()
        indices = self._table.find(values, missing)
        if self.num_oov_indices == 1:
            return indices
        places = (indices == missing).nonzero()[:, 0]
        if len(places):
            unknown = [values[i] for i in places.tolist()]
            if not self.num_oov_indices:
                raise self._unknown_tokens(unknown)
            bins = hashed(unknown, self.num_oov_indices, self.salt)
            indices[places] = bins + self._oov_start_index()
        return indices

    def _indices_of_integers(self, values: Tensor) -> Tensor:
        """Return the indices of integers, on their device."""
        missing = self._missing_index()
        indices = self._table.find(values, missing)
        if self.mask_token is not None:
            indices = torch.where(values == self.mask_token, self._mask_index(), indices)
        if self.num_oov_indices == 0:
            self._refuse_unknown(values, indices == missing)
        elif self.num_oov_indices > 1:
            if self.oov_method == "farmhash":
                bins = hashed(values, self.num_oov_indices, self.salt)
            else:
                bins = values % self.num_oov_indices
            indices = torch.where(indices == missing, bins + self._oov_start_index(), indices)
        return indices

    def _refuse_unknown(self, values: Tensor, unknown: Tensor) -> None:
        """Refuse OOV integers; a GPU does it when it gets there, the host does not wait for it."""
        if values.device.type == "cpu" and not torch.compiler.is_compiling():
            if bool(unknown.any()):
                raise self._unknown_tokens(values[unknown].unique().tolist())
        elif values.device.type != "meta":
            torch._assert_async(
                ~unknown.any(),
                f"{type(self).__name__} '{self.name}': an input is not in the vocabulary",
            )

    def _unknown_tokens(self, tokens: list[Any]) -> ValueError:
        return ValueError(
            explain(
                f"{type(self).__name__} '{self.name}': with `num_oov_indices=0`, all inputs must be"
                " in the vocabulary.",
                unknown=list(dict.fromkeys(tokens))[:20],
                fix="make the layer with `num_oov_indices=1`.",
            )
        )

    def _tokens_at(self, values: Any) -> Any:
        if is_text(values):
            raise ValueError(
                explain(
                    f"{type(self).__name__} '{self.name}' turns indices into tokens"
                    " (`invert=True`).",
                    given="strings",
                    fix="pass integers, or make the layer without `invert`.",
                )
            )
        indices = values.long()
        tokens = self._table.at(indices, self.oov_token)
        if self.mask_token is None:
            return tokens
        if isinstance(tokens, Tensor):
            return torch.where(indices == 0, self.mask_token, tokens)
        return np.where(indices.cpu().numpy() == 0, self.mask_token, tokens)

    def _depth(self) -> int | None:
        return self.max_tokens if self.pad_to_max_tokens else self._frozen_vocab_size

    def _encoded(self, indices: Tensor) -> Tensor:
        """Encode the indices as the output mode says."""
        if self.output_mode == "int":
            return indices
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return self._weighted(encode(indices, mode, self._depth(), to_torch(floatx())))

    def _weighted(self, counts: Tensor) -> Tensor:
        if self.output_mode != "tf_idf":
            return counts
        if self._idf is None:
            raise ValueError("When `output_mode` is 'tf_idf', `idf_weights` must be provided.")
        return counts * self._idf.like(counts)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the indices or encoded samples."""
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return input_shape if mode == "int" else encoded_shape(input_shape, mode, self._depth())

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        """Return a symbolic tensor like the indices or encoded samples."""
        shape = self.compute_output_shape(inputs.shape)
        if self.invert:
            return KerasTensor(shape, self.vocabulary_dtype)
        return KerasTensor(shape, "int64" if self.output_mode == "int" else floatx())

    # Saving --------------------------------------------------------------------------------------

    def get_build_config(self) -> dict[str, Any]:
        """Return nothing: there is nothing to build."""
        return {}

    def build_from_config(self, config: Any) -> None:
        """Mark the layer as built."""
        self.build(None)

    def save_own_variables(self, store: Any) -> None:
        """Put the weights of mode "tf_idf" into a store."""
        if self.output_mode == "tf_idf" and self._idf is not None:
            store["idf_weights"] = self._idf.value

    def load_own_variables(self, store: Any) -> None:
        """Take the weights of mode "tf_idf" from a store."""
        if self.output_mode == "tf_idf" and "idf_weights" in store:
            self._set_idf_weights(_as_array(store["idf_weights"]))

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary into a folder, unless the config has it."""
        if self.input_vocabulary is None:
            path = os.path.join(dir_path, _VOCABULARY_FILE)
            owner = f"{type(self).__name__} '{self.name}'"
            write_lines(path, self.get_vocabulary(), owner)

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary from a folder, unless the config had it."""
        if self.input_vocabulary is not None:
            return
        if dir_path is None:
            raise ValueError(f"the file has no '{_VOCABULARY_FILE}' for it")
        lines = read_lines(os.path.join(dir_path, _VOCABULARY_FILE))
        while lines and not lines[-1]:
            lines.pop()
        special = [str(token).encode() for token in self._special_tokens()]
        if lines[: len(special)] == special:
            lines = lines[len(special) :]
        tokens = lines if self._of_strings else [int(line) for line in lines]
        self._check_tokens(tokens)
        self._use(tokens)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; a vocabulary that was learned is an asset instead."""
        config = super().get_config()
        for name in ("idf_weights", "vocabulary"):
            config[name] = _listed(getattr(self, f"input_{name}"))
        config["vocabulary_size"] = self._frozen_vocab_size
        return config


def _check_sizes(max_tokens: int | None, num_oov_indices: int, pad: bool) -> None:
    if max_tokens is not None and max_tokens <= 1:
        raise ValueError(
            f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}"
        )
    if pad and max_tokens is None:
        raise ValueError(
            "If pad_to_max_tokens is True, must set `max_tokens`. Received:"
            f" max_tokens={max_tokens}"
        )
    if num_oov_indices < 0:
        raise ValueError(
            "`num_oov_indices` must be greater than or equal to 0. Received:"
            f" num_oov_indices={num_oov_indices}"
        )


def _check_modes(output_mode: str, invert: bool, sparse: bool, idf_weights: Any) -> None:
    if invert and output_mode != "int":
        raise ValueError(
            "`output_mode` must be `'int'` when `invert` is true. Received:"
            f" output_mode={output_mode!r}"
        )
    if sparse and output_mode == "int":
        raise ValueError(
            "`sparse` may only be true if `output_mode` is `'one_hot'`, `'multi_hot'`, `'count'`"
            f" or `'tf_idf'`. Received: sparse={sparse} and output_mode={output_mode!r}"
        )
    refuse_sparse(sparse)
    if idf_weights is not None and output_mode != "tf_idf":
        raise ValueError(
            "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received:"
            f" idf_weights={idf_weights!r} and output_mode={output_mode!r}"
        )


def _as_array(x: Any) -> np.ndarray:
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def _listed(x: Any) -> Any:
    """Return an array or tensor as a list, for configs."""
    if isinstance(x, Tensor):
        return x.detach().cpu().tolist()
    return np.asarray(x).tolist() if is_array(x) else x
