"""`Pipeline` against `tf.data.Dataset`: the same steps give the same elements."""

import numpy as np
import pytest
import torch

from torchkeras.utils.pipelines import AUTOTUNE, BatchDataset, Elements

tensorflow = pytest.importorskip("tensorflow")
THEIRS = tensorflow.data.Dataset

X = np.arange(14, dtype="float32").reshape(7, 2)
Y = np.arange(7, dtype="int32")


class Slices(BatchDataset):
    """Rows of arrays."""

    def __init__(self, arrays):
        super().__init__(7, batch_size=None)
        self.arrays = arrays

    def _batch(self, indices):
        return tensorflow.nest.map_structure(lambda a: torch.from_numpy(a[indices]), self.arrays)

    def _sample(self, index):
        return tensorflow.nest.map_structure(lambda a: torch.tensor(a[index]), self.arrays)


class Ours:
    """The sources of these tests, by the names that `tf.data` has for them."""

    from_tensor_slices = Slices

    @staticmethod
    def range(*args):
        numbers = range(*args)
        return Elements(lambda: map(torch.tensor, numbers), len(numbers))


def slices(d):
    return d.from_tensor_slices((X, {"y": Y, "z": -Y}))


CHAINS = {
    "range": lambda d: d.range(2, 11, 3),
    "map": lambda d: d.range(4).map(lambda i: i * 2),
    "map parts": lambda d: d.from_tensor_slices((X, Y)).map(lambda x, y: (x + 1, x[0])),
    "map in threads": lambda d: d.range(40).map(lambda i: i * 2, num_parallel_calls=AUTOTUNE),
    "filter": lambda d: d.range(9).filter(lambda i: i % 3 == 0),
    "filter parts": lambda d: d.from_tensor_slices((X, Y)).filter(lambda x, y: y > 4),
    "slices": slices,
    "batched slices": lambda d: slices(d).batch(3),
    "whole batches": lambda d: slices(d).batch(3, drop_remainder=True),
    "batch": lambda d: d.range(7).batch(3),
    "batch of batches": lambda d: slices(d).batch(2).batch(3, drop_remainder=True),
    "unbatch": lambda d: slices(d).batch(3).unbatch(),
    "take": lambda d: d.range(5).take(3),
    "take more": lambda d: d.range(5).take(9),
    "take all": lambda d: d.range(5).take(-1),
    "take slices": lambda d: slices(d).take(4).batch(3),
    "skip": lambda d: d.range(5).skip(3),
    "skip all": lambda d: d.range(5).skip(-1),
    "skip batches": lambda d: slices(d).batch(2).skip(2),
    "repeat": lambda d: slices(d).batch(3).repeat(2),
    "repeat never": lambda d: d.range(3).repeat(0),
    "repeat and take": lambda d: d.range(3).repeat().take(7),
    "cache": lambda d: d.range(5).map(lambda i: i + 1).cache().repeat(3),
    "prefetch": lambda d: d.range(9).prefetch(AUTOTUNE).prefetch(1),
    "concatenate": lambda d: d.range(3).concatenate(d.range(2)),
    "enumerate": lambda d: slices(d).enumerate(start=5),
    "shard": lambda d: d.range(11).shard(3, 1),
    "apply": lambda d: d.range(5).apply(lambda p: p.batch(2)),
    "no shuffle": lambda d: d.range(5).shuffle(1),
    "endless": lambda d: d.range(5).repeat(),
    "unknown": lambda d: d.range(5).filter(lambda i: i > 2).take(2).repeat(2).skip(1).batch(2),
    "empty": lambda d: d.range(0).repeat(),
}


@pytest.mark.parametrize("name", CHAINS)
def test_elements(name):
    ours, theirs = CHAINS[name](Ours), CHAINS[name](THEIRS)
    counts = [int(d.cardinality()) for d in (ours, theirs)]
    assert counts[0] == counts[1]
    if counts[0] < 0:
        for d in (ours, theirs):
            with pytest.raises(TypeError):
                len(d)
            assert d
        if counts[0] == -1:
            return
    for _ in range(2):
        found = [list(d.as_numpy_iterator()) for d in (ours, theirs)]
        assert len(found[0]) == len(found[1])
        assert len(found[0]) == counts[0] or counts[0] == -2
        for a, b in zip(*found, strict=True):
            tensorflow.nest.assert_same_structure(a, b)
            for one, other in zip(*map(tensorflow.nest.flatten, (a, b)), strict=True):
                np.testing.assert_array_equal(one, other)
                assert one.dtype == other.dtype


@pytest.mark.parametrize("reshuffle", [None, True, False])
@pytest.mark.parametrize("make", [slices, lambda d: d.range(7).map(lambda i: (i, {"y": i}))])
@pytest.mark.parametrize("size", [3, 7, 100])
def test_shuffled_passes(make, size, reshuffle):
    for d in (Ours, THEIRS):
        shuffled = make(d).shuffle(size, seed=3, reshuffle_each_iteration=reshuffle)
        passes = [[int(y["y"]) for _, y in shuffled.as_numpy_iterator()] for _ in range(5)]
        assert all(sorted(order) == list(range(7)) for order in passes)
        assert (len(set(map(tuple, passes))) == 1) == (reshuffle is False)
        assert all(order[0] < size for order in passes)


@pytest.mark.parametrize(
    "action",
    [
        lambda d: d.range(5).batch(0),
        lambda d: slices(d).batch(0),
        lambda d: d.range(5).shuffle(0),
        lambda d: slices(d).shuffle(0),
        lambda d: list(d.range(1).concatenate(slices(d).map(lambda x, y: x)).batch(2)),
    ],
)
def test_errors(action):
    with pytest.raises((ValueError, TypeError, tensorflow.errors.InvalidArgumentError)):
        action(THEIRS)
    with pytest.raises(ValueError):
        action(Ours)
