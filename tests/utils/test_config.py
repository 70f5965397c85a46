"""`Config`: what is its own, beside Keras's behaviour."""

import copy
import pickle

import pytest

from torchkeras.utils import Config


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_copies(twin):
    config = Config(rate=0.1)
    config.freeze()
    other = twin(config)
    assert other.rate == 0.1 and other.frozen
    with pytest.raises(ValueError, match="unfreeze"):
        other.rate = 2


def test_methods_are_no_entries():
    config = Config(rate=0.1)
    with pytest.raises(AttributeError):
        config.frozen = True
    del config.rate
    assert len(config) == 0
    with pytest.raises(AttributeError, match="Unknown attribute: 'rate'"):
        del config.rate
