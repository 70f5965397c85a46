"""`keras.export`: models as files that run without the code that made them.

`Model.export(path, format="torch")` writes a program of `torch.export`, which PyTorch alone loads;
`format="onnx"` writes ONNX, for other runtimes. `ExportArchive` writes several functions.
"""

from .archive import ExportArchive
from .formats import export_model
from .onnx import export_onnx
from .program import export_torch

__all__ = ["ExportArchive", "export_model", "export_onnx", "export_torch"]
