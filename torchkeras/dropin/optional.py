"""Optional packages as Keras names them in `keras.src.utils.module_utils`: imported on first use.

`module_utils.tensorflow.available` tells whether a package is installed, and
`module_utils.tensorflow.x` is its attribute `x`.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

__all__ = ["LazyModule"]


class LazyModule:
    """A package that is imported when an attribute of it is asked for.

    Args:
        name: To import.
        pip_name: To install, where that is another name.
        import_error_msg: What the `ImportError` says when it is not installed.

    Example:
        >>> LazyModule("math").pi > 3, LazyModule("no_such_package").available
        (True, False)
    """

    def __init__(
        self, name: str, pip_name: str | None = None, import_error_msg: str | None = None
    ) -> None:
        self.name = name
        self.pip_name = pip_name or name
        self.import_error_msg = import_error_msg or (
            f"{name} is not installed; get it with `pip install {self.pip_name}`."
        )
        self.module: ModuleType | None = None

    @property
    def available(self) -> bool:
        """Whether the package can be imported."""
        try:
            self.initialize()
        except ImportError:
            return False
        return True

    def initialize(self) -> None:
        """Import the package.

        Raises:
            ImportError: It is not installed.
        """
        if self.module is None:
            try:
                self.module = importlib.import_module(self.name)
            except ImportError as error:
                raise ImportError(self.import_error_msg, name=self.name) from error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.initialize()
        return getattr(self.module, name)

    def __repr__(self) -> str:
        return f"LazyModule({self.name})"


tensorflow = LazyModule("tensorflow")
gfile = LazyModule("tensorflow.io.gfile", pip_name="tensorflow")
tensorflow_io = LazyModule("tensorflow_io")
scipy = LazyModule("scipy")
h5py = LazyModule("h5py")
jax2onnx = LazyModule("jax2onnx")
jax = LazyModule("jax")
torchvision = LazyModule("torchvision")
torch_xla = LazyModule("torch_xla")
optree = LazyModule("optree")
dmtree = LazyModule("tree", pip_name="dm-tree")
tf2onnx = LazyModule("tf2onnx")
grain = LazyModule("grain")
litert = LazyModule("ai_edge_litert", pip_name="ai-edge-litert")
litert_torch = LazyModule("litert_torch", pip_name="litert-torch")
ocp = LazyModule("orbax.checkpoint", pip_name="orbax-checkpoint")
openvino = LazyModule("openvino")
onnx = LazyModule("onnx")
onnxruntime = LazyModule("onnxruntime")
