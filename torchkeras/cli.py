"""The command line: `torchkeras run | inspect | convert`; `python -m torchkeras` is the same.

`run FILE` or `run -m MODULE` runs a script. Inside, `keras`, `tf_keras`, `tensorflow.keras` and
`tensorflow` mean torchkeras; all else is as if Python itself had been started on the script:
`sys.argv`, `sys.path[0]`, `__name__`, exit status, and tracebacks that begin in the script.
Under `torchrun` every process runs the script; they train data-parallel, and rank 0 alone prints.
`inspect` shows what a model file contains, `convert` writes it in another format, `export` writes
it for PyTorch or ONNX without this library.
"""

from __future__ import annotations

import argparse
import builtins
import importlib
import os
import runpy
import signal
import sys
import types
import warnings
import zipfile
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from types import TracebackType

import torch

from .distribution.processes import is_torchrun
from .distribution.strategy import join_as_replicas
from .dropin import install
from .dropin.keras import __version__ as keras_version
from .dropin.rewrite import rewrite_file
from .export.pytorch import export_pytorch
from .saving.api import load_model
from .saving.conversion import convert_file
from .saving.inspection import inspect_file, report

__all__ = ["main"]

_USAGE = """\
usage: torchkeras run FILE [args ...]
       torchkeras run -m MODULE [args ...]
       torchkeras inspect FILE ...
       torchkeras convert IN OUT [options]
       torchkeras convert SCRIPT ... [--write]
       torchkeras export FILE [--to FORMAT] OUT
       torchkeras --help | --version

Run a Keras script on PyTorch, unchanged: inside it `keras`, `tensorflow.keras` and `tf_keras`
mean torchkeras, whether or not Keras or TensorFlow is installed.

  FILE         a Python script, or a folder or zip file with a __main__.py
  -m MODULE    a module, found as `python -m` finds it, with the current folder first
  args         what the script sees as sys.argv[1:]

On N devices or machines: torchrun --nproc-per-node N -m torchkeras run FILE. The script stays as it
is: batch sizes are those of all processes together.

Show what model files contain: architecture, weights, sizes, versions. Nothing in them is run.

Convert a model file, OUT's ending says to what: .keras, .h5, .safetensors, .weights.h5,
.weights.json (several files), or / for a folder. See `torchkeras convert --help`.

Convert scripts (.py) and notebooks (.ipynb): their imports of Keras and TensorFlow become those of
torchkeras. Shows the changes, and what has no counterpart; --write makes them.

Export a model file: --to pytorch writes plain PyTorch code and weights into the folder OUT; --to
torch a program of torch.export (OUT.pt2), --to onnx an ONNX file. See `torchkeras export --help`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line.

    Args:
        argv: The arguments after the program's name; those of this process by default.

    Returns: The exit status; a script's own `SystemExit` passes through.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments.pop(0) if arguments else "--help"
    if command in ("-h", "--help") or (command == "run" and arguments[:1] in (["-h"], ["--help"])):
        print(_USAGE, end="")
        return 0
    if command in ("-V", "--version"):
        own = sys.modules[__package__].__version__
        print(f"torchkeras {own} (Keras API {keras_version}, PyTorch {torch.__version__})")
        return 0
    if command == "convert" and arguments[:1] and arguments[0].endswith((".py", ".ipynb")):
        return _rewrite(arguments)
    if command in ("inspect", "convert", "export"):
        return _handle_files(command, arguments)
    if command != "run":
        return _refuse(f"unknown command {command!r}")
    as_module = arguments[:1] == ["-m"]
    if as_module:
        del arguments[0]
    if not arguments:
        return _refuse("run needs a module's name" if as_module else "run needs a script")
    if not as_module and not os.path.exists(arguments[0]):
        return _refuse(f"can't open file {os.path.abspath(arguments[0])!r}: no such file")
    return _run(arguments, as_module)


def _refuse(message: str) -> int:
    print(f"torchkeras: {message}\n{_USAGE}", end="", file=sys.stderr)
    return 2


def _handle_files(command: str, arguments: list[str]) -> int:
    """Carry out a command on files; what is wrong with one is one message and status 1."""
    parser = argparse.ArgumentParser(f"torchkeras {command}")
    if command == "inspect":
        parser.description = "Show what model files contain, without building anything."
        parser.add_argument("files", nargs="+", metavar="FILE")
    elif command == "export":
        _add_export_options(parser)
    else:
        parser.description = "Write a model file in another format."
        parser.add_argument("source", metavar="IN", help="a model file, or weights")
        parser.add_argument("target", metavar="OUT", help="its ending says the format")
        parser.add_argument("--model", help="a file with a model for the weights in IN")
        parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
        parser.add_argument(
            "--no-optimizer", action="store_true", help="drop the optimizer's state"
        )
        parser.add_argument("--max-shard-gb", type=float, help="for .weights.json: size of a file")
        _add_import_options(parser)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as leave:  # of argparse, after --help or a mistake
        return int(leave.code or 0)
    try:
        if command == "inspect":
            print("\n\n".join(report(inspect_file(file)) for file in options.files))
        elif command == "export":
            _export(options)
        else:
            _convert(options)
    except (OSError, ValueError, NotImplementedError, ImportError) as error:
        print(f"torchkeras: {error}", file=sys.stderr)
        return 1
    return 0


def _rewrite(arguments: list[str]) -> int:
    """Show what rewriting scripts changes, and change them if asked to."""
    paths = [argument for argument in arguments if argument != "--write"]
    unknown = [path for path in paths if not path.endswith((".py", ".ipynb"))]
    if unknown:
        return _refuse(f"convert takes scripts and --write, not {unknown[0]!r}")
    try:
        for path in paths:
            results = rewrite_file(path, write="--write" in arguments)
            changes = "".join(result.diff(path) for result in results)
            print(changes or f"{path}: nothing to change")
            for entry in (entry for result in results for entry in result.unmapped):
                print(f"{path}: not mapped, {entry}", file=sys.stderr)
    except (OSError, ValueError, ImportError) as error:
        print(f"torchkeras: {error}", file=sys.stderr)
        return 1
    return 0


def _add_export_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Write a model for use without this library."
    parser.add_argument("source", metavar="FILE", help="a model file")
    parser.add_argument("target", metavar="OUT", help="a folder for pytorch, else a file")
    endings = "by default what OUT's ending, .pt2 or .onnx, says"
    parser.add_argument("--to", choices=["pytorch", "torch", "onnx", "torchscript"], help=endings)
    parser.add_argument("--name", help="for pytorch: of the files; by default the model's")
    _add_import_options(parser)


def _add_import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="import it first: it registers classes of yours",
    )
    parser.add_argument(
        "--unsafe", action="store_true", help="run Python byte code in the file; only if trusted"
    )


def _export(options: argparse.Namespace) -> None:
    ending = os.path.splitext(options.target)[1]
    format = options.to or {".pt2": "torch", ".onnx": "onnx"}.get(ending)  # noqa: A001
    if format is None:
        raise ValueError(
            f"{options.target} does not say what to write.\nFix: pass --to pytorch (a folder),"
            " torch (.pt2) or onnx."
        )
    _import_modules(options.modules)
    model = load_model(options.source, compile=False, safe_mode=not options.unsafe)
    if format == "pytorch":
        export_pytorch(model, options.target, options.name)
    else:
        model.export(options.target, format)


def _import_modules(names: Sequence[str]) -> None:
    if names:
        install()
        sys.path.insert(0, os.getcwd())
        for name in names:
            importlib.import_module(name)


def _convert(options: argparse.Namespace) -> None:
    if os.path.exists(options.target) and not options.force:
        raise ValueError(f"{options.target} exists already.\nFix: pass --force to replace it.")
    _import_modules(options.modules)
    convert_file(
        options.source,
        options.target,
        model=options.model,
        safe_mode=not options.unsafe,
        include_optimizer=not options.no_optimizer,
        max_shard_size=options.max_shard_gb,
    )


def _run(arguments: list[str], as_module: bool) -> int:
    """Become the script or module `arguments[0]` with the arguments that follow."""
    target = arguments[0]
    install()
    if is_torchrun():
        _join()
    sys.argv[:] = arguments
    # Started with -m, Python has put the current folder there; as a console script, its own folder.
    sys.path[0] = os.getcwd() if as_module else os.path.dirname(os.path.realpath(target))
    try:
        if as_module:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        elif os.path.isdir(target) or zipfile.is_zipfile(target):
            runpy.run_path(target, run_name="__main__")
        else:
            _run_script(os.path.abspath(target))
    except SystemExit:
        raise
    except BaseException as error:
        error = error.with_traceback(_script_traceback(error.__traceback__))
        sys.excepthook(type(error), error, error.__traceback__)
        if sys.stdout is not None:
            sys.stdout.flush()
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)  # as Python ends, so that a shell loop stops too
        return 1
    return 0


def _join() -> None:
    """Become one of the processes that train together; all but the first one fall silent."""
    processes = join_as_replicas()
    if processes is not None and processes.rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # the first one warns of the same


def _run_script(path: str) -> None:
    """Execute a file in a new `__main__` that stays: `runpy` drops its own when the script ends."""
    module = types.ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    module.__dict__.update(__file__=path, __loader__=loader, __builtins__=builtins)
    sys.modules["__main__"] = module
    exec(loader.source_to_code(loader.get_data(path), path), module.__dict__)


def _script_traceback(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of this file and of Python's import system, which come first."""
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if filename != __file__ and not filename.startswith("<frozen "):
            break
        trace = trace.tb_next
    return trace
