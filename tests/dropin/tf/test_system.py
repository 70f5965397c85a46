"""`dropin.tf.system` and `testing`: devices, strategies, checkpoints, summaries, test cases."""

import sys
import types
import unittest

import numpy as np
import pytest
import torch

import torchkeras
from torchkeras.dropin.tf import system, testing
from torchkeras.dropin.tf.modules import Module, Variable
from torchkeras.dropin.tf.system import Checkpoint, CheckpointManager


def test_devices():
    (cpu, *gpus) = system.CONFIG["list_physical_devices"]()
    assert cpu == ("/physical_device:CPU:0", "CPU") and len(gpus) == torch.cuda.device_count()
    with system.device("/CPU:0"):
        assert torch.zeros(1).device.type == "cpu"
    with system.device("/job:localhost/device:GPU:0"):  # where there is none, the CPU
        torch.zeros(1)
    with pytest.raises(ValueError, match="(?s)TPU:0.*list_physical_devices"):
        system.device("TPU:0")


class Line(Module):
    def __init__(self):
        self.slope = Variable([1.0, 2.0])


def test_checkpoints(tmp_path):
    line, model = (
        Line(),
        torchkeras.Sequential([torchkeras.Input((2,)), torchkeras.layers.Dense(1)]),
    )
    optimizer = torchkeras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    checkpoint = Checkpoint(line=line, model=model, optimizer=optimizer)
    manager = CheckpointManager(checkpoint, tmp_path, max_to_keep=2)
    assert manager.restore_or_initialize() is None and manager.latest_checkpoint is None
    paths = []
    for step in range(3):
        line.slope.assign([step, step])
        paths.append(manager.save())
    assert manager.checkpoints == paths[1:] and manager.latest_checkpoint == paths[2]
    assert system.TRAIN["latest_checkpoint"](tmp_path) == paths[2]
    kernel = model.layers[0].kernel.detach().clone()
    model.layers[0].kernel.assign(kernel * 0)
    again = Checkpoint(line=line, model=model, optimizer=optimizer)
    again.restore(paths[1]).assert_consumed().expect_partial()
    assert line.slope.tolist() == [1, 1] and torch.equal(model.layers[0].kernel, kernel)
    assert int(again.save_counter) == 2
    with pytest.raises(ValueError, match="has 0 variables, the file 1"):
        Checkpoint(line=Module()).restore(paths[1])
    with pytest.raises(FileNotFoundError, match="or TensorFlow's"):
        again.restore(tmp_path / "other")
    assert system.TRAIN["latest_checkpoint"](tmp_path / "none") is None


def test_summaries(tmp_path, monkeypatch):
    # TensorBoard would import TensorFlow, which takes long.
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    summary = system.SUMMARY
    assert summary["scalar"]("nowhere", 1.0, 0) is False
    writer = summary["create_file_writer"](tmp_path)
    with writer.as_default(step=3):
        assert summary["scalar"]("loss", torch.tensor(0.5))
        with summary["record_if"](False):
            assert not summary["scalar"]("loss", 9.0)
        summary["histogram"]("weights", [1.0, 2.0], step=1)
        summary["text"]("note", "said", 1)
        summary["image"]("pixels", torch.zeros(1, 2, 2, 3), 1)
        summary["audio"]("sound", torch.zeros(1, 8, 1), sample_rate=8000, step=1)
    with writer.as_default(), pytest.raises(ValueError, match="set_step"):
        summary["scalar"]("loss", 1.0)
    writer.close()
    events = tensorboard.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(3, 0.5)]
    assert events.Tags()["histograms"] == ["weights"] and events.Tags()["images"] == ["pixels"]
    assert events.Tags()["audio"] == ["sound/0"]


class Case(testing.TestCase):
    __test__ = False  # run below

    def test_equal(self):
        self.assertAllClose(torch.tensor([1.0]), [1.0 + 1e-8])
        self.assertAllClose({"a": torch.ones(2), "b": [1.0]}, {"a": np.ones(2), "b": [1.0]})
        self.assertAllEqual(torch.tensor([1, 2]), np.array([1, 2]))
        self.assertNotAllClose([1.0], [2.0])
        self.assertAllGreater(torch.tensor([1.0, 2.0]), 0)
        self.assertAllLess([1.0, 2.0], 3)
        self.assertAllInRange([0.5], 0, 1)
        self.assertShapeEqual(torch.zeros(2), np.zeros(2))
        self.assertDTypeEqual(torch.zeros(2), "float32")
        self.assertEqual(self.evaluate({"a": torch.ones(1)})["a"].tolist(), [1])
        with open(f"{self.get_temp_dir()}/file", "w") as file:
            file.write("x")

    def test_close(self):
        self.assertAllClose([1.0], [1.1])

    def test_length(self):
        self.assertAllEqual([1, 2], [1, 2, 3])

    def test_greater(self):
        self.assertAllGreater([1.0, 2.0], 1)

    def test_range(self):
        self.assertAllInRange([1.5], 0, 1)

    def test_dtype(self):
        self.assertDTypeEqual(torch.zeros(2), "float64")


def test_cases():
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    failed = {case._testMethodName for case, _ in [*result.failures, *result.errors]}
    assert failed == {"test_close", "test_length", "test_greater", "test_range", "test_dtype"}
    assert result.testsRun == 6
