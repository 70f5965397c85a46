"""`tf.lookup`: tables from keys to values, held as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...dtypes import to_numpy
from .tables import named
from .tensors import StringTensor, as_tensor

__all__ = ["LOOKUP"]


class KeyValueTensorInitializer:
    """The content of a table.

    Args:
        keys: A vector of strings or integers.
        values: As many strings or numbers.
        key_dtype, value_dtype: By default those of the tensors.
    """

    def __init__(
        self,
        keys: Any,
        values: Any,
        key_dtype: Any = None,
        value_dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self.keys, self.values = as_tensor(keys, key_dtype), as_tensor(values, value_dtype)
        if len(self.keys) != len(self.values):
            raise ValueError(f"{len(self.keys)} keys do not fit {len(self.values)} values.")


class StaticHashTable:
    """A table that does not change.

    Args:
        initializer: A `KeyValueTensorInitializer`.
        default_value: For keys that it does not have.

    Raises:
        ValueError: A key has two values.

    Example:
        >>> content = KeyValueTensorInitializer(["a", "b"], [1, 2])
        >>> StaticHashTable(content, -1).lookup(["b", "c"]).tolist()
        [2, -1]
    """

    def __init__(
        self,
        initializer: KeyValueTensorInitializer,
        default_value: Any,
        name: str | None = None,
        experimental_is_anonymous: bool = False,
    ) -> None:
        keys, values = initializer.keys.tolist(), initializer.values
        self._places = {key: place for place, key in enumerate(keys)}
        if len(self._places) < len(keys) and len({*zip(keys, values.tolist(), strict=True)}) > len(
            self._places
        ):
            raise ValueError("StaticHashTable: a key has two values.")
        is_text = isinstance(values, StringTensor)
        default = as_tensor(default_value, None if is_text else values.dtype)
        # The last row is that of unknown keys.
        self._rows: Any = (
            np.concatenate([np.asarray(values), np.asarray(default).reshape(1)])
            if is_text
            else torch.cat([values, default.reshape(1).to(values.device)])
        )

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """Return the value of each key."""
        keys = as_tensor(keys)
        array = np.asarray(keys) if isinstance(keys, StringTensor) else to_numpy(keys)
        unknown = len(self._rows) - 1
        places = [self._places.get(key, unknown) for key in array.reshape(-1).tolist()]
        found = self._rows[places]
        made = StringTensor(found) if isinstance(found, np.ndarray) else found
        return made.reshape(array.shape)

    __getitem__ = lookup

    def size(self, name: str | None = None) -> torch.Tensor:
        """The number of keys."""
        return torch.tensor(len(self._places))

    def export(self, name: str | None = None) -> tuple[Any, Any]:
        """The keys and their values."""
        keys = as_tensor(list(self._places))
        places = list(self._places.values())
        found = self._rows[places]
        return keys, StringTensor(found) if isinstance(found, np.ndarray) else found


LOOKUP: dict[str, Any] = {
    "KeyValueTensorInitializer": KeyValueTensorInitializer,
    "StaticHashTable": StaticHashTable,
}

named(LOOKUP)
