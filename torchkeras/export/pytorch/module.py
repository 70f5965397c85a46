"""`to_torch` and `export_pytorch`: the source of a model's plain PyTorch form, run or written."""

from __future__ import annotations

import itertools
import keyword
import linecache
import os
import re
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from ...naming import explain
from ...saving.atomic import replacing
from ..signature import report
from . import arranging, layers, sequences  # noqa: F401 - they register their translators
from .helpers import source_of
from .source import ClassWriter, class_name, in_docstring
from .translate import write_model

__all__ = ["export_pytorch", "to_source", "to_torch"]

_numbers = itertools.count(1)


def to_source(model: Any, name: str | None = None) -> tuple[str, ClassWriter]:
    """Write a model as the source of plain PyTorch classes.

    Args:
        model: Functional or Sequential, and built.
        name: Of its class. Default: made of the model's.

    Returns: The source, and what it was made from: class name, weights, inputs.

    Raises:
        NotImplementedError: A part has no form in plain PyTorch.
    """
    helpers: dict[Callable[..., Any], None] = {}
    classes: dict[Any, ClassWriter] = {}
    writer = write_model(model, helpers, classes, name)
    imports, definitions = source_of(helpers)
    bodies = [inner.text() for inner in classes.values()]
    if definitions:
        bodies.insert(0, definitions)
    text = "\n\n".join(bodies)
    head = ["import torch"] if re.search(r"\btorch\.", text) else []
    head += ["from torch import nn", *imports]
    if re.search(r"\bF\.", text):
        head.insert(-len(imports) or len(head), "from torch.nn import functional as F")
    return "\n".join(head) + "\n\n\n" + text, writer


def to_torch(model: Any) -> nn.Module:
    """Return an equivalent module made of `torch.nn` layers, with copies of the weights.

    It takes the model's inputs as arguments, one for each, in the layout of Keras's model
    (channels last where that has them last), and is in inference mode. Images are permuted where
    they enter and leave. What `export_pytorch` writes is the source of this module.

    Args:
        model: Functional or Sequential, and built.

    Raises:
        NotImplementedError: A part has no form in plain PyTorch; says which, and what to use.

    Example:
        >>> from torchkeras import Input, Sequential, layers
        >>> stack = [layers.Conv2D(4, 3, name="conv"), layers.Flatten()]
        >>> module = to_torch(Sequential([Input((8, 8, 3)), *stack]))
        >>> module.conv
        Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
        >>> module(torch.ones(2, 8, 8, 3)).shape
        torch.Size([2, 144])
    """
    source, writer = to_source(model)
    filename = f"<plain PyTorch {next(_numbers)}: {writer.name}>"
    # For tracebacks.
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace: dict[str, Any] = {"__name__": "torchkeras_to_torch"}
    exec(compile(source, filename, "exec"), namespace)
    with torch.device("meta"):  # no memory, and no random numbers drawn
        module = namespace[writer.name]()
    module.load_state_dict(writer.state, assign=True)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(parameter.is_floating_point() and name not in writer.frozen)
    return module.eval()


def export_pytorch(
    model: Any, folder: Any, name: str | None = None, verbose: bool | None = None
) -> tuple[str, str]:
    """Write a model as a Python file of plain PyTorch, and its weights beside it.

    `NAME.py` has a class of `torch.nn` layers, and a function `load` that makes it with the weights
    of `NAME.safetensors`. It imports nothing but torch and safetensors.

    Args:
        model: Functional or Sequential, and built.
        folder: Where to; made if need be.
        name: Of the files. Default: the model's.
        verbose: Say where they were written; by default yes.

    Returns: The two paths.

    Raises:
        ValueError: The name is no identifier.
        NotImplementedError: A part has no form in plain PyTorch.
    """
    stem = name or model.name
    if not stem.isidentifier() or keyword.iskeyword(stem):
        raise ValueError(
            explain(
                "The files need a name that Python can import.",
                given=repr(stem),
                fix="pass `name='my_model'`.",
            )
        )
    source, writer = to_source(model, class_name(stem))
    if _dtype(writer) and not source.startswith("import torch\n"):
        source = f"import torch\n{source}"
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(os.fspath(folder), stem)
    title = f'"""{in_docstring(_title(model))}"""\n\nfrom pathlib import Path\n\n'
    with replacing(f"{path}.safetensors") as file:
        file.write(save(writer.state, metadata={"format": "pt"}))
    with replacing(f"{path}.py") as file:
        text = source.replace("from torch import nn\n", f"{_SAFETENSORS}from torch import nn\n", 1)
        file.write((title + text + _loader(writer)).encode())
    if verbose is None or verbose:
        report(f"Saved plain PyTorch at '{path}.py', its weights at '{path}.safetensors'.")
    return f"{path}.py", f"{path}.safetensors"


_SAFETENSORS = "from safetensors.torch import load_file\n"


def _title(model: Any) -> str:
    return f"The Keras model '{model.name}' in plain PyTorch, written by torchkeras."


def _loader(writer: ClassWriter) -> str:
    frozen = sorted(writer.frozen & set(writer.state))
    return f'''

def load(path=Path(__file__).with_suffix(".safetensors")):
    """Make the model with its weights, in inference mode."""
    model = {writer.name}(){_dtype(writer)}
    model.load_state_dict(load_file(path))
{_freeze(frozen)}    return model.eval()
'''


def _dtype(writer: ClassWriter) -> str:
    """Return what puts a new module into the weights' dtype, if that is not PyTorch's own."""
    dtypes = {x.dtype for x in writer.state.values() if x.is_floating_point()} - {torch.float32}
    return f".to({dtypes.pop()})" if len(dtypes) == 1 else ""


def _freeze(names: list[str]) -> str:
    if not names:
        return ""
    items = "".join(f'        "{name}",\n' for name in names)
    return (
        f"    frozen = {{\n{items}    }}\n"
        "    for name, weight in model.named_parameters():\n"
        "        weight.requires_grad_(name not in frozen)\n"
    )
