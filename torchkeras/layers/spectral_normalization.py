"""`SpectralNormalization`: a wrapper that keeps the largest singular value of a kernel at 1.

Letters: U output width, n the product of the kernel's other sizes. The kernel is seen as an
`(n, U)` matrix; its largest singular value is estimated by power iteration from `vector_u`, which
is kept between steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..graph.context import CONTEXT
from ..initializers import TruncatedNormal
from ..naming import explain
from ..registry import builtin
from .input_spec import InputSpec
from .layer import Layer
from .wrapper import Wrapper

__all__ = ["SpectralNormalization"]


@builtin("keras.layers.SpectralNormalization")
class SpectralNormalization(Wrapper):
    """In training, divides the kernel of a layer by its largest singular value before each call.

    Args:
        layer: A layer with a `kernel` (such as `Dense` or `Conv2D`) or with `embeddings`.
        power_iterations: Steps of the power iteration per call; more are more exact.
        kwargs: Arguments of `Layer`.

    Shapes:
        inputs, result: those of the layer. vector_u: `(1, U)`.

    Raises:
        ValueError: `power_iterations` is not positive, or the layer has no kernel.

    Source: Miyato et al. 2018; `keras.layers.SpectralNormalization`.

    Example:
        >>> from torchkeras.layers import Dense
        >>> layer = SpectralNormalization(Dense(2), power_iterations=20)
        >>> _ = layer(torch.ones(1, 3), training=True)
        >>> round(torch.linalg.matrix_norm(layer.kernel.detach(), 2).item(), 3)
        1.0
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                explain(
                    f"SpectralNormalization '{self.name}': `power_iterations` should be greater"
                    " than zero.",
                    given=f"power_iterations={power_iterations}",
                )
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1)  # the layer inside checks the rest
        weights = self.layer._parameters
        kernel = weights.get("kernel", weights.get("embeddings"))
        if kernel is None:
            raise ValueError(
                explain(
                    f"SpectralNormalization '{self.name}': the {type(self.layer).__name__} object"
                    " has no attribute 'kernel' nor 'embeddings'.",
                    fix="wrap a layer that has one, such as `Dense`, `Conv2D` or `Embedding`.",
                )
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            shape=(1, kernel.shape[-1]),
            initializer=TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
            dtype=kernel.dtype,
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training and not CONTEXT.meta:
            with torch.no_grad():
                vector, norm = self._measure()
                self._parameters["vector_u"].copy_(vector)
                self._parameters["kernel"].div_(norm)
        outputs = self.layer(inputs)
        return outputs.to(inputs.dtype) if inputs.is_floating_point() else outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    @torch.no_grad()
    def normalized_weights(self) -> tuple[Tensor, Tensor]:
        """Return the next `vector_u` and the normalized kernel; both as they are if it is zero."""
        vector, norm = self._measure()
        return vector, self._parameters["kernel"] / norm

    def _measure(self) -> tuple[Tensor, Tensor]:
        """Return the next `vector_u` and the kernel's largest singular value; 1 if it is zero."""
        # Past the attributes: the weights themselves, not their copies in the compute dtype.
        kernel, former = self._parameters["kernel"], self._parameters["vector_u"]
        matrix, vector = kernel.reshape(-1, kernel.shape[-1]), former
        for _ in range(self.power_iterations):
            product = F.normalize(vector @ matrix.t(), dim=-1) @ matrix
            vector = F.normalize(product, dim=-1)
        largest = (product @ vector.t()).reshape(())
        zero = largest == 0
        return torch.where(zero, former, vector), largest.masked_fill(zero, 1.0)
