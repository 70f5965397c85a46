"""What a student has to match: the teacher's outputs, or the features of a layer inside it.

A distillation loss gets outputs in the structure in which the models return them (one tensor, a
list, a dict) and returns one number. Where that structure has several tensors, so has `loss`:
a loss for each, or `None` for one that does not count.
Letters: B batch, C classes, T temperature.
Sources: Hinton, Vinyals & Dean 2015 (logits, the factor T**2); Romero et al. 2015 (features);
`keras.distillation` (names, arguments, configs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..losses import KLDivergence, kl_divergence
from ..losses import get as get_loss
from ..naming import explain
from ..registry import builtin, deserialize_keras_object, serialize_keras_object
from ..tree import assert_same_structure, flatten, map_structure

__all__ = ["DistillationLoss", "FeatureDistillation", "LogitsDistillation", "losses_of"]


class DistillationLoss:
    """How far a student is from its teacher; a subclass defines `compute_loss`.

    Example:
        >>> class Gap(DistillationLoss):
        ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        ...         return (teacher_outputs - student_outputs).abs().max()
        >>> Gap().compute_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 4.0])).item()
        2.0
    """

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            teacher_outputs: Tensors in the structure of the model's outputs.
            student_outputs: The same of the student.
            kwargs: For subclasses.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define `compute_loss(teacher_outputs, student_outputs,"
            " **kwargs)`, which returns a scalar tensor."
        )

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Check that outputs can be compared.

        Raises:
            ValueError: They have different structures.
        """
        assert_same_structure(teacher_outputs, student_outputs)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Check, once, that two models can be compared; by default any can."""


class _Matching(DistillationLoss):
    """A distillation loss made of losses, in the structure of the outputs."""

    loss: Any

    def _take(self, loss: Any) -> None:
        self.loss = losses_of(loss)
        if all(part is None for part in flatten(self.loss)):
            raise ValueError(
                explain(
                    f"{type(self).__name__}: the `loss` argument must contain at least one"
                    " non-`None` value.",
                    given=loss,
                    fix="give a loss for at least one output, such as 'mse'.",
                )
            )

    def _sum(self, apply: Callable[[Any, Any, Any], Tensor], teacher: Any, student: Any) -> Tensor:
        """Add up `apply(loss, teacher, student)` over the outputs that count."""
        terms = map_structure(
            lambda loss, *pair: None if loss is None else apply(loss, *pair),
            self.loss,
            teacher,
            student,
        )
        first, *others = (term for term in flatten(terms) if term is not None)
        return sum(others, first)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DistillationLoss:
        """Make a loss of what `get_config` returned."""
        return cls(**{**config, "loss": deserialize_keras_object(config["loss"])})


@builtin("keras.distillation.LogitsDistillation")
class LogitsDistillation(_Matching):
    """The outputs of the student against those of the teacher, softened by a temperature.

    The models must return logits, not probabilities. All are divided by the temperature; for the
    Kullback-Leibler divergence they then become probabilities, and the loss is multiplied by T**2,
    so that its gradients do not shrink as T grows. (Keras does so for a `KLDivergence` object, but
    gives the name `"kl_divergence"`, its default, the bare logits, which it is not defined for.)

    Args:
        temperature: T; the higher, the more the less likely classes count. Usually 3 to 5.
        loss: A name, a `Loss` or a function `(y_true, y_pred)`, in the structure of the outputs.

    Shapes: the outputs are `(B, ..., C)`, the result `()`.

    Raises:
        ValueError: The temperature is not a positive number, or no loss is given.

    Example:
        >>> loss = LogitsDistillation(temperature=2.0)
        >>> teacher = torch.tensor([[2.0, 0.0]])
        >>> [round(loss.compute_loss(teacher, student).item(), 3)
        ...  for student in (teacher, -teacher)]
        [0.0, 1.848]
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence") -> None:
        if not isinstance(temperature, (int, float)) or temperature <= 0:
            raise ValueError(
                explain(
                    "LogitsDistillation: `temperature` must be a positive number.",
                    given=repr(temperature),
                    fix="values from 3 to 5 are usual; 1 changes nothing.",
                )
            )
        self.temperature = temperature
        self._take(loss)

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """Return the loss of a batch, a scalar; `kwargs` are not used."""
        return self._sum(self._compare, teacher_outputs, student_outputs)

    def _compare(self, loss: Any, teacher: Tensor, student: Tensor) -> Tensor:
        teacher, student = teacher / self.temperature, student / self.temperature
        if loss is not kl_divergence and not isinstance(loss, KLDivergence):
            return loss(teacher, student).mean()
        divergence = loss(torch.softmax(teacher, -1), torch.softmax(student, -1)).mean()
        return divergence * self.temperature**2

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialized."""
        return {"temperature": self.temperature, "loss": serialize_keras_object(self.loss)}


@builtin("keras.distillation.FeatureDistillation")
class FeatureDistillation(_Matching):
    """The output of a layer of the student against that of a layer of the teacher.

    Args:
        loss: A name, a `Loss` or a function `(y_true, y_pred)`, in the structure of the outputs.
        teacher_layer_name: The layer of the teacher; by default the model itself.
        student_layer_name: The layer of the student.

    Shapes: both outputs have the same shape, as far as the loss asks for that; the result is `()`.

    Raises:
        ValueError: No loss is given.

    Example:
        >>> loss = FeatureDistillation("mae")
        >>> loss.compute_loss(torch.zeros(2, 3), torch.full((2, 3), 0.5)).item()
        0.5
    """

    def __init__(
        self,
        loss: Any = "mse",
        teacher_layer_name: str | None = None,
        student_layer_name: str | None = None,
    ) -> None:
        self.teacher_layer_name = teacher_layer_name
        self.student_layer_name = student_layer_name
        self._take(loss)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Check that the models have the layers.

        Raises:
            ValueError: A model has no symbolic inputs, or no layer of that name.
        """
        names = {"teacher": self.teacher_layer_name, "student": self.student_layer_name}
        models = {"teacher": teacher, "student": student}
        if all(name is None for name in names.values()):
            return
        opaque = [role for role, model in models.items() if getattr(model, "inputs", None) is None]
        if opaque:
            raise ValueError(
                explain(
                    "FeatureDistillation with layer names requires Functional or Sequential models"
                    f" that are built; the {' and the '.join(opaque)} has no symbolic inputs.",
                    **names,
                    fix="build the models first, or leave out the layer names to compare the final"
                    " outputs of subclassed models.",
                )
            )
        for role, name in names.items():
            if name is None:
                continue
            try:
                models[role].get_layer(name=name)
            except ValueError as error:
                raise ValueError(f"In the {role} model: {error}") from error

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Check that features can be compared, and that there is a loss for each.

        Raises:
            ValueError: They or `loss` have different structures.
        """
        super().validate_outputs(teacher_outputs, student_outputs)
        try:
            assert_same_structure(self.loss, teacher_outputs)
        except ValueError as error:
            raise ValueError(
                explain(
                    f"FeatureDistillation: `loss` has another structure than the outputs. {error}",
                    fix="give one loss, or None, for each output.",
                )
            ) from error

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """Return the loss of a batch, a scalar; `kwargs` are not used."""
        return self._sum(lambda loss, *pair: loss(*pair).mean(), teacher_outputs, student_outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialized."""
        return {
            "loss": serialize_keras_object(self.loss),
            "teacher_layer_name": self.teacher_layer_name,
            "student_layer_name": self.student_layer_name,
        }


def losses_of(loss: Any) -> Any:
    """Look up the names in a structure of losses."""
    return map_structure(lambda part: get_loss(part) if isinstance(part, str) else part, loss)
