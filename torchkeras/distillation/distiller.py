"""`Distiller`: a model that trains its student on targets and on what its teacher says of them.

The student runs once per training step: where a loss looks at layers inside, one functional model,
the extractor, gives their outputs together with the predictions. The teacher runs without
gradients, in inference mode.
Source: `keras.distillation.Distiller` (names, arguments, configs, what is tracked).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..losses import Loss
from ..losses.loss import reduce_weighted_values
from ..metrics import Mean
from ..models import Model
from ..naming import explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..tree import flatten, is_nested, map_structure
from .losses import losses_of

__all__ = ["Distiller"]

_FINAL = "final_output"  # the key of the predictions among the extracted outputs


@builtin("keras.distillation.Distiller")
class Distiller(Model):
    """Train a student by a weighted sum of its own loss and of distillation losses.

    The total is `w * student + (1 - w) * distillation`, where w is `student_loss_weight`. A call
    gives the student's outputs. Sample weights apply to the student's own loss.

    Args:
        teacher: A trained model. It is frozen.
        student: The model to train; `distiller.student` is that model afterwards.
        distillation_losses: One `DistillationLoss`, or a list.
        distillation_loss_weights: A factor for each; by default 1.
        student_loss_weight: w, from 0 to 1.
        name: The name of the distiller.
        kwargs: Arguments of `Model`.

    Raises:
        ValueError: The models do not fit each other or a loss, or an argument is out of range.

    Example:
        >>> from torchkeras import Input, Sequential, layers
        >>> from torchkeras.distillation import LogitsDistillation
        >>> teacher = Sequential([Input((2,)), layers.Dense(8, "relu"), layers.Dense(3)])
        >>> student = Sequential([Input((2,)), layers.Dense(3)])
        >>> distiller = Distiller(teacher, student, LogitsDistillation(temperature=3.0))
        >>> distiller.compile("sgd", loss="sparse_categorical_crossentropy")
        >>> x, y = torch.ones(4, 2), torch.tensor([0, 1, 2, 0])
        >>> sorted(distiller.fit(x, y, verbose=0).history)
        ['distillation_loss', 'loss', 'student_loss', 'total_loss']
    """

    def __init__(
        self,
        teacher: Model,
        student: Model,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 0.5,
        name: str = "distiller",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        _check_models(teacher, student)
        if not isinstance(student_loss_weight, (int, float)) or not 0 <= student_loss_weight <= 1:
            raise ValueError(
                explain(
                    "Distiller: `student_loss_weight` must be a number between 0.0 and 1.0.",
                    given=repr(student_loss_weight),
                    fix="0 leaves only the distillation losses, 1 only the student's own.",
                )
            )
        if distillation_losses is None:
            raise ValueError(
                "Distiller: `distillation_losses` cannot be `None`. Fix: pass a distillation loss,"
                " such as LogitsDistillation(), or a list of them."
            )
        if not isinstance(distillation_losses, (list, tuple)):
            distillation_losses, distillation_loss_weights = [distillation_losses], None
        if distillation_loss_weights is None:
            distillation_loss_weights = [1.0] * len(distillation_losses)
        if len(distillation_loss_weights) != len(distillation_losses):
            raise ValueError(
                explain(
                    "Distiller: there must be as many `distillation_loss_weights` as"
                    " `distillation_losses`.",
                    distillation_loss_weights=distillation_loss_weights,
                    distillation_losses=len(distillation_losses),
                )
            )
        for loss in distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        self.teacher = teacher
        self.student = student
        self.student_loss_weight = student_loss_weight
        self.distillation_losses = distillation_losses
        self.distillation_loss_weights = distillation_loss_weights
        self._teacher_feature_extractor = self._extractor(teacher, "teacher_layer_name")
        self._student_feature_extractor = self._extractor(student, "student_layer_name")
        # The outputs of the last training call with what was extracted in it.
        self.__dict__["_extracted"] = None
        self.teacher.trainable = False
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")

    def _extractor(self, model: Model, attribute: str) -> Model | None:
        """A model of all the outputs of `model` that losses look at; `None` for the final alone."""
        names = (getattr(loss, attribute, None) for loss in self.distillation_losses)
        names = list(dict.fromkeys(name for name in names if name))
        if not names:
            return None
        # A `Sequential` in another model has that model's tensors as its `input` and `output`.
        single = len(model.inputs) == 1 and not isinstance(model.input, dict)
        inputs = model.inputs[0] if single else model.input
        final = model.outputs[0] if len(model.outputs) == 1 else model.output
        outputs = {_FINAL: final, **{name: model.get_layer(name).output for name in names}}
        return Model(inputs, outputs, name=f"{model.name}_multi_feature_extractor")

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Set how the student is trained.

        Args:
            optimizer: For the student's weights.
            loss: The student's own loss, in the structure of its outputs.
            metrics: A list or tuple of metrics of the student's outputs.
            kwargs: Further arguments of `Model.compile`.

        Raises:
            ValueError: There is no loss, or the metrics are no list or tuple.
        """
        if loss is None:
            raise ValueError(
                "Distiller: `loss` cannot be `None`. Fix: pass the student's own loss, such as"
                " loss='sparse_categorical_crossentropy'."
            )
        if metrics is not None and not isinstance(metrics, (list, tuple)):
            raise ValueError(
                explain("Distiller: `metrics` must be a list or tuple.", given=type(metrics))
            )
        self.__dict__["_student_loss"] = losses_of(loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile`, among them the student's loss."""
        config = super().get_compile_config()
        return {**config, "loss": serialize_keras_object(self._student_loss)} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned; warn if, as Keras's, it has no loss."""
        if config.get("loss") is None:
            super().compile_from_config(config)
            return
        self.compile(**deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def call(self, inputs: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Return the outputs of the student."""
        extractor = self._student_feature_extractor
        if not training or extractor is None or kwargs:
            return self.student(inputs, training=training, **kwargs)
        features = extractor(inputs, training=True)
        self.__dict__["_extracted"] = features
        return features[_FINAL]

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the total loss of a batch.

        Args:
            x: Inputs.
            y: Targets; without them, the student's own loss is 0.
            y_pred: Outputs of the student; computed if they are not given.
            sample_weight: Weights of the samples, for the student's own loss.
            training: Whether it is for an update.

        Raises:
            ValueError: A distillation loss is not a scalar, or does not fit the outputs.
        """
        if y_pred is None:
            y_pred = self(x, training=training)
        student_loss: Any = 0.0
        if self.student_loss_weight > 0 and y is not None:
            student_loss = self._own_loss(y, y_pred, sample_weight)
        distillation_loss: Any = 0.0
        if self.student_loss_weight < 1:
            distillation_loss = self._distillation_loss(x, y_pred, training)
        weight = self.student_loss_weight
        total = weight * student_loss + (1 - weight) * distillation_loss
        self.student_loss_tracker.update_state(_detached(student_loss))
        self.distillation_loss_tracker.update_state(_detached(distillation_loss))
        self.total_loss_tracker.update_state(_detached(total))
        return total

    def _own_loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        losses = self._student_loss
        if not is_nested(sample_weight):
            sample_weight = map_structure(lambda _: sample_weight, losses)
        terms = flatten(map_structure(_loss_value, losses, y, y_pred, sample_weight))
        first, *others = (term for term in terms if term is not None)
        total = sum(others, first)
        return total.mean() if total.dim() else total

    def _distillation_loss(self, x: Any, y_pred: Any, training: bool) -> Tensor:
        teacher_outputs = self._teacher_outputs(x)
        student_outputs = self._student_outputs(x, y_pred, training)
        total: Any = 0.0
        for loss, weight in zip(
            self.distillation_losses, self.distillation_loss_weights, strict=True
        ):
            pair = (
                teacher_outputs[getattr(loss, "teacher_layer_name", None) or _FINAL],
                student_outputs[getattr(loss, "student_layer_name", None) or _FINAL],
            )
            loss.validate_outputs(*pair)
            value = loss.compute_loss(*pair)
            if getattr(value, "shape", ()) != ():
                raise ValueError(
                    explain(
                        f"{type(loss).__name__}.compute_loss must return a scalar tensor.",
                        given=f"shape {tuple(value.shape)}",
                        fix="reduce it, for example with `.mean()`.",
                    )
                )
            total = total + weight * value
        return total

    def _teacher_outputs(self, x: Any) -> dict[str, Any]:
        with torch.no_grad():
            if self._teacher_feature_extractor is None:
                return {_FINAL: self.teacher(x, training=False)}
            return self._teacher_feature_extractor(x, training=False)

    def _student_outputs(self, x: Any, y_pred: Any, training: bool) -> dict[str, Any]:
        extracted, self.__dict__["_extracted"] = self._extracted, None
        if self._student_feature_extractor is None:
            return {_FINAL: y_pred}
        if extracted is None or extracted[_FINAL] is not y_pred:  # it is not of the last call
            extracted = self._student_feature_extractor(x, training=training)
        return {**extracted, _FINAL: y_pred}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialized."""
        return {
            **super().get_config(),
            "teacher": serialize_keras_object(self.teacher),
            "student": serialize_keras_object(self.student),
            "distillation_losses": [
                serialize_keras_object(loss) for loss in self.distillation_losses
            ],
            "distillation_loss_weights": list(self.distillation_loss_weights),
            "student_loss_weight": self.student_loss_weight,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Distiller:
        """Make a distiller of what `get_config` returned."""
        parts = {
            key: deserialize_keras_object(config[key], custom_objects=custom_objects)
            for key in ("teacher", "student", "distillation_losses")
        }
        return cls(**{**config, **parts})


def _loss_value(loss: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor | None:
    if loss is None:
        return None
    if isinstance(loss, Loss):
        return loss(y, y_pred, sample_weight)
    return reduce_weighted_values(loss(y, y_pred), sample_weight)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _check_models(teacher: Any, student: Any) -> None:
    """Raise `ValueError` unless both are models with inputs and outputs that fit each other."""
    for role, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, Model):
            raise ValueError(
                explain(f"Distiller: the {role} must be a `keras.Model`.", given=type(model))
            )
    for what in ("inputs", "outputs"):
        ends = [getattr(model, what, None) for model in (teacher, student)]
        if None not in ends:
            map_structure(_checker(what), *ends)


def _checker(what: str) -> Callable[[Any, Any], None]:
    def check(teacher: Any, student: Any) -> None:
        sizes = zip(teacher.shape, student.shape, strict=False)
        fit = len(teacher.shape) == len(student.shape) and all(
            a is None or b is None or a == b for a, b in sizes
        )
        if fit and teacher.dtype == student.dtype:
            return
        raise ValueError(
            explain(
                f"Distiller: the {what} of teacher and student must agree in shape and dtype.",
                teacher=f"{teacher.shape}, {teacher.dtype}",
                student=f"{student.shape}, {student.dtype}",
            )
        )

    return check
