"""Which distribution is in force, what it lays out, and that several devices are refused."""

import numpy as np
import pytest
import torch

import torchkeras as keras
from torchkeras.distribution import (
    DataParallel,
    DeviceMesh,
    FullyShardedDataParallel,
    LayoutMap,
    ModelParallel,
    TensorLayout,
    distribute_tensor,
    distribution,
    initialize,
    set_distribution,
)
from torchkeras.training.data import get_data_adapter

CPUS = [f"cpu:{i}" for i in range(8)]
GRID = DeviceMesh((4, 2), ["batch", "model"], CPUS)


@pytest.fixture(autouse=True)
def none_in_force():
    yield
    set_distribution(None)


def test_scopes_nest_and_clear_session_ends_them():
    outer, inner = DataParallel(devices=["cpu:0"]), DataParallel(devices=["cpu:0"])
    with outer.scope():
        with inner.scope():
            assert distribution() is inner
        assert distribution() is outer
    assert distribution() is None
    set_distribution(outer)
    keras.backend.clear_session()
    assert distribution() is None


def test_data_parallel_cuts_batches_and_keeps_variables_whole():
    spread = DataParallel(devices=CPUS)
    assert spread.get_data_layout((8, 3)).axes == ("batch", None)
    assert spread.get_variable_layout(keras.Variable(np.zeros((2, 2)))).axes == (None, None)
    assert spread.num_model_replicas == 8 and spread.data_shard_id == 0
    assert spread.distribute_dataset(CPUS) is CPUS
    with pytest.warns(UserWarning, match="to be 1D"):
        DataParallel(GRID)
    with pytest.raises(ValueError, match="instance of `DeviceMesh`"):
        DataParallel("cpu")


def test_model_parallel_lays_variables_out_by_their_path():
    layouts = LayoutMap(GRID)
    layouts[".*kernel"] = (None, "model")
    spread = ModelParallel(layout_map=layouts)
    layer = keras.layers.Dense(4)
    layer.build((None, 2))
    assert spread.get_variable_layout(layer.kernel).axes == (None, "model")
    assert spread.get_variable_layout(layer.bias).axes == (None,)
    assert spread.num_model_replicas == 4 and spread.batch_dim_name == "batch"
    for bad, message in ((None, "must specify"), (GRID, "must be a `LayoutMap`")):
        with pytest.raises(ValueError, match=message):
            ModelParallel(layout_map=bad)


def test_one_device_trains_and_several_are_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2)), np.zeros((4, 1))
    with DataParallel(devices=["cpu:0"]).scope():
        model.fit(x, y, verbose=0)
    for several in (
        DataParallel(devices=CPUS),
        FullyShardedDataParallel(devices=CPUS),
        ModelParallel(layout_map=LayoutMap(GRID)),
    ):
        with several.scope():
            with pytest.raises(NotImplementedError, match=r"one device(.|\n)*--nproc-per-node 8"):
                model.fit(x, y, verbose=0)


def test_what_is_not_available_yet_says_so():
    initialize()  # alone, there is nothing to join
    with pytest.raises(ValueError, match=r"not known which job(.|\n)*torchrun"):
        initialize(num_processes=2)
    tensor = keras.ops.ones((8, 2))
    assert distribute_tensor(tensor, TensorLayout((None, None))) is tensor
    with pytest.raises(NotImplementedError, match=r"mesh has 8(.|\n)*torchrun"):
        distribute_tensor(tensor, TensorLayout(("batch", None), GRID))


def test_data_that_workers_should_share():
    several = DataParallel(devices=CPUS[:2])
    several._is_multi_process = True
    with several.scope():
        with pytest.raises(ValueError, match=r"(?s)multi-worker.*DistributedSampler"):
            get_data_adapter(np.ones(3))
        several.auto_shard_dataset = False
        assert get_data_adapter(np.ones(3)).num_batches == 1


class Numbers:
    """What is asked of a `tf.data.Dataset` of numbers."""

    def __init__(self, batches):
        self.batches = batches
        self.element_spec = torch.empty(np.shape(batches[0]), device="meta")

    def __iter__(self):
        return iter(self.batches)

    def rebatch(self, size):
        rows = [row for batch in self.batches for row in batch]
        return Numbers([rows[i : i + size] for i in range(0, len(rows), size)])

    def shard(self, count, index):
        return Numbers(self.batches[index::count])

    def prefetch(self, count):
        return self


@pytest.mark.parametrize(
    "processes, process, devices, expected",
    [
        (2, 1, (4, 1), [[4, 5, 6, 7], [12, 13, 14, 15]]),
        (4, 2, (2, 4), [[4, 5, 6, 7], [12, 13, 14, 15]]),  # two processes for each copy
        (2, 1, (1, 8), [[*range(8)], [*range(8, 16)]]),
    ],
)
def test_batches_are_divided_among_processes(processes, process, devices, expected):
    whole = Numbers([np.arange(8), np.arange(8, 16)])
    mesh = DeviceMesh(devices, ["batch", "model"], [f"cpu:{i}" for i in range(np.prod(devices))])
    spread = ModelParallel(layout_map=LayoutMap(mesh))
    assert spread.distribute_tf_dataset(whole) is whole
    spread._num_processes, spread._process_id, spread._is_multi_process = processes, process, True
    parts = spread.distribute_dataset(whole)
    assert [[int(x) for x in batch] for batch in parts] == expected


def test_batches_that_cannot_be_divided():
    spread = DataParallel(devices=CPUS[:2])
    spread._num_processes, spread._is_multi_process = 2, True
    with pytest.raises(ValueError, match="divisible by the number of processes"):
        spread.distribute_dataset(Numbers([np.arange(7)]))
    with pytest.raises(ValueError, match="batch size of the dataset is unknown"):
        spread.distribute_dataset(Numbers([np.float32(1.0)]))
    with pytest.raises(ValueError, match=r"(?s)not supported for auto-.*DistributedSampler"):
        spread.distribute_dataset([1, 2])
