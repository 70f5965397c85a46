"""`TensorBoard`: metrics, weights and the model's structure for the TensorBoard viewer.

Needs the `tensorboard` package (`pip install "torchkeras[tensorboard]"`), which is imported when
training begins. Tags and folders are Keras's: `train/` and `validation/` under `log_dir`, with
`epoch_loss`, `batch_loss`, `evaluation_loss_vs_iterations` and so on.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..config import image_data_format
from ..naming import explain
from .callback import Callback, Logs
from .schedule import log_learning_rates

__all__ = ["TensorBoard"]


_LARGEST = 9e19  # in a histogram, whose bins end at 1e20


class TensorBoard(Callback):
    """Writes event files for TensorBoard.

    Args:
        log_dir: Directory for the files, used for nothing else.
        histogram_freq: Epochs between two histograms of all weights; 0 writes none.
        write_graph: Write the structure of a `Sequential` or functional model.
        write_images: Write weights as images too, whenever histograms are written.
        write_steps_per_second: Write the speed of training.
        update_freq: `"epoch"`; or `"batch"` or a number of batches, to write results within epochs
            as well. Each such reading waits for the device.
        profile_batch: Number of the batch, counted from 1 over all epochs, that `torch.profiler`
            watches, or the first and the last of several: `(10, 20)` or `"10,20"`; 0 watches none.
            The trace goes to `train/plugins/profile` under `log_dir`, for the viewer's PyTorch
            Profiler plug-in and for chrome://tracing.
        embeddings_freq: Epochs between two snapshots of the embedding layers; 0 writes none.
        embeddings_metadata: From layer name to a file with one label per line; or one file for all.
            Relative paths start at `log_dir`, or else at the current directory.

    Raises:
        ImportError: When training begins without the `tensorboard` package.
        ValueError: `profile_batch` or `update_freq` is none of these, or `embeddings_metadata`
            names a layer that is not there.
    """

    _carried = ("_train_step",)
    _only_writes = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and not isinstance(self.update_freq, int):
            raise ValueError(
                explain(
                    "TensorBoard: unrecognized `update_freq`.",
                    received=repr(update_freq),
                    fix="pass 'epoch', 'batch', or a number of batches.",
                )
            )
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._first_profiled, self._last_profiled = _batches_to_profile(profile_batch)
        self._profile: Any = None
        self._writers: dict[str, Any] = {}
        self._train_step = 0
        self._batch_start = 0.0
        self._epoch_start = 0.0
        self._epoch_start_step = 0

    @property
    def _reads_batches(self) -> bool:
        return self.update_freq != "epoch"

    def set_model(self, model: Any) -> None:
        """Receive the model; its structure is written."""
        super().set_model(model)
        self._writers = {}
        if self.write_graph and type(model).__name__ in ("Functional", "Sequential"):
            self._write_structure()
        if self.embeddings_freq:
            self._check_embeddings()

    @property
    def _train_writer(self) -> Any:
        return self._writer("train")

    @property
    def _val_writer(self) -> Any:
        return self._writer("validation")

    def _writer(self, folder: str) -> Any:
        if folder not in self._writers:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "The TensorBoard callback needs the `tensorboard` package. "
                    'Fix: `pip install "torchkeras[tensorboard]"`.'
                ) from error
            self._writers[folder] = SummaryWriter(os.path.join(self.log_dir, folder))
        return self._writers[folder]

    def on_train_begin(self, logs: Logs = None) -> None:
        """Count batches from 0."""
        self._end_profile()  # of a training that was broken off
        self._train_step = 0
        self._train_writer  # noqa: B018  a missing package shall be noticed before training

    def on_train_end(self, logs: Logs = None) -> None:
        """Close the files."""
        self._end_profile()
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Count the batch, and begin to profile if it is time to."""
        self._train_step += 1
        if self._train_step == self._first_profiled:
            self._begin_profile()
        if self.write_steps_per_second:
            self._batch_start = time.time()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Write the results so far, and the profile, if it is time to."""
        if self._profile is not None and self._train_step >= self._last_profiled:
            self._end_profile()
        if self.update_freq == "epoch" or self._train_step % self.update_freq:
            return
        if self.write_steps_per_second:
            speed = 1.0 / max(time.time() - self._batch_start, 1e-9)
            self._train_writer.add_scalar("batch_steps_per_second", speed, self._train_step)
        for name, value in (logs or {}).items():
            _add_number(self._train_writer, f"batch_{name}", value, self._train_step)

    def _begin_profile(self) -> None:
        folder = os.path.join(self.log_dir, "train", "plugins", "profile")
        write = torch.profiler.tensorboard_trace_handler(folder)
        self._profile = torch.profiler.profile(on_trace_ready=write)
        self._profile.start()

    def _end_profile(self) -> None:
        profile, self._profile = self._profile, None
        if profile is not None:
            profile.stop()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Start the clock."""
        self._epoch_start = time.time()
        self._epoch_start_step = self._train_step

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write the epoch's results, and weights and embeddings if it is time to."""
        if logs:
            self._write_results(epoch, logs)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Logs = None) -> None:
        """Write the results of an evaluation against the number of training steps."""
        iterations = getattr(self.model.optimizer, "iterations", None)
        if iterations is None:
            return
        for name, value in (logs or {}).items():
            _add_number(
                self._val_writer, f"evaluation_{name}_vs_iterations", value, int(iterations)
            )
        self._val_writer.flush()

    def _write_results(self, epoch: int, logs: dict[str, Any]) -> None:
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        self._collect_learning_rate(train)
        if self.write_steps_per_second:
            seconds = max(time.time() - self._epoch_start, 1e-9)
            train["steps_per_second"] = (self._train_step - self._epoch_start_step) / seconds
        for name, value in train.items():
            _add_number(self._train_writer, f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                _add_number(self._val_writer, f"epoch_{name[4:]}", value, epoch)

    def _collect_learning_rate(self, logs: dict[str, Any]) -> dict[str, Any]:
        """Add the learning rate, or those of several optimizers, to `logs`."""
        optimizer = getattr(self.model, "optimizer", None)
        log_learning_rates(getattr(optimizer, "inner_optimizer", optimizer), logs)
        return logs

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                values = weight.detach().float().cpu()
                finite = values[torch.isfinite(values)].clamp(-_LARGEST, _LARGEST)
                if finite.numel():  # training may have diverged, and torch bins no others
                    self._train_writer.add_histogram(f"{name}/histogram", finite, epoch)
                images = _as_images(values.nan_to_num(0.0, 0.0, 0.0)) if self.write_images else None
                if images is not None:
                    self._train_writer.add_images(
                        f"{name}/image", images, epoch, dataformats="NHWC"
                    )

    def _embedding_layers(self) -> list[Any]:
        return [layer for layer in self.model.layers if type(layer).__name__ == "Embedding"]

    def _check_embeddings(self) -> None:
        """Refuse labels for layers that are not there."""
        if not isinstance(self.embeddings_metadata, Mapping):
            return
        names = [layer.name for layer in self._embedding_layers()]
        unknown = sorted(set(self.embeddings_metadata) - set(names))
        if unknown:
            raise ValueError(
                explain(
                    f"TensorBoard: `embeddings_metadata` names no Embedding layers: {unknown}.",
                    embedding_layers=names,
                    fix="use the names of the model's Embedding layers.",
                )
            )

    def _write_embeddings(self, epoch: int) -> None:
        for layer in self._embedding_layers():
            path = self.embeddings_metadata
            if isinstance(path, Mapping):
                path = path.get(layer.name)
            labels = None if path is None else self._labels(path)
            table = layer.embeddings.detach().float().cpu()
            self._train_writer.add_embedding(table, labels, global_step=epoch, tag=layer.name)

    def _labels(self, path: str) -> list[str]:
        """Read a file with a label per line; as in Keras, `log_dir` is where it is looked for."""
        beside = os.path.join(self.log_dir, path)
        with open(beside if os.path.exists(beside) else path, encoding="utf-8") as file:
            return file.read().splitlines()

    def _write_structure(self) -> None:
        """Write the model's config for the "Graphs" page of TensorBoard."""
        writer = self._train_writer._get_file_writer()
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        try:
            config = self.model.to_json()
        except (TypeError, ValueError, NotImplementedError) as error:
            warnings.warn(
                f"TensorBoard shows no graph: the model has no JSON form. {error}", stacklevel=3
            )
            return
        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        value = Summary.Value(
            tag="keras",
            metadata=SummaryMetadata(plugin_data=plugin),
            tensor=TensorProto(dtype=DT_STRING, string_val=[config.encode()]),
        )
        writer.add_summary(Summary(value=[value]), 0)


def _batches_to_profile(profile_batch: Any) -> tuple[int, int]:
    """The first and the last of the batches to profile, counted from 1; `(0, 0)` for none."""
    batches = profile_batch.split(",") if isinstance(profile_batch, str) else profile_batch
    batches = batches if isinstance(batches, (list, tuple)) else [batches]
    try:
        first, last = (int(number) for number in (batches[0], batches[-1]))
        if len(batches) <= 2 and 0 <= first <= last and (first or not last):
            return first, last
    except (TypeError, ValueError, IndexError):
        pass
    raise ValueError(
        explain(
            "TensorBoard: `profile_batch` must be a non-negative integer, or a pair of positive"
            " integers that are the first and the last of the batches to profile.",
            received=repr(profile_batch),
            fix="pass for example 5, or (10, 20).",
        )
    )


def _add_number(writer: Any, tag: str, value: Any, step: int) -> None:
    """Write a number; results that are not single numbers have no curve."""
    if isinstance(value, (int, float)) or np.ndim(value) == 0 and not isinstance(value, str):
        writer.add_scalar(tag, value, step)


def _as_images(weight: torch.Tensor) -> torch.Tensor | None:
    """A weight as grey images `(N, H, W, 1)`; `None` if it has too many axes."""
    image = weight.squeeze()
    if image.ndim == 1:
        return image.reshape(1, -1, 1, 1)
    if image.ndim == 2:
        wide = image.T if image.shape[0] > image.shape[1] else image
        return wide[None, :, :, None]
    if image.ndim == 3:
        if image_data_format() == "channels_last":
            image = image.permute(2, 0, 1)
        return image[..., None]
    return None
