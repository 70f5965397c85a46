"""`keras.export`: models as files that run without the code that made them.

`Model.export(path, format="torch")` writes a program of `torch.export`, which PyTorch alone loads;
`format="onnx"` writes ONNX, for other runtimes. `ExportArchive` writes several functions.
"""

from .archive import ExportArchive

__all__ = ["ExportArchive"]
