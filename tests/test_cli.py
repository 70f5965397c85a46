"""`python -m torchkeras`: scripts run as Python itself would run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from torchkeras import __version__
from torchkeras.cli import main

ROOT = Path(__file__).parents[1]
SCRIPT = """
from tensorflow import keras
print(keras.layers.Dense.__module__, keras.__version__)
"""
PROBE = """
import sys, pickle, helper
class Local: pass
main = sys.modules["__main__"]
print(__name__, __file__, __doc__, __spec__ and __spec__.name, type(__loader__).__name__)
print(sys.argv, sys.path[0], main.__dict__ is globals())
print(type(pickle.loads(pickle.dumps(Local()))) is Local)
import atexit
atexit.register(lambda: print("at exit", sys.modules["__main__"].__dict__ is globals()))
"""
FAILING = """
def divide(a):
    return a / 0

divide(1)
"""


def run(*arguments, cwd, runner=("-m", "torchkeras", "run")):
    command = [sys.executable, *runner, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # it need not be installed
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "helper.py").write_text("ANSWER = 42\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "failing.py").write_text(FAILING)
    return tmp_path


@pytest.mark.parametrize("arguments", [["script.py"], ["-m", "script"]])
def test_inside_keras_means_torchkeras(folder, arguments):
    done = run(*arguments, cwd=folder)
    module, version = done.stdout.split()
    assert module.startswith("torchkeras.layers") and version == "3.15.1"
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize("path", ["probe.py", "{folder}/probe.py"])
def test_a_script_finds_what_python_gives_it(folder, tmp_path_factory, path):
    elsewhere = folder if path == "probe.py" else tmp_path_factory.mktemp("elsewhere")
    arguments = [path.format(folder=folder), "--flag", "-m", "x"]
    ours, pythons = run(*arguments, cwd=elsewhere), run(*arguments, cwd=elsewhere, runner=())
    assert ours.stdout == pythons.stdout
    assert "'--flag', '-m', 'x'" in ours.stdout
    assert (ours.returncode, ours.stderr) == (pythons.returncode, pythons.stderr) == (0, "")


def test_a_module_gets_its_arguments_and_folder(folder):
    (folder / "show.py").write_text("import sys; print(__name__, sys.argv, sys.path[0])\n")
    ours = run("-m", "show", "a", cwd=folder)
    pythons = run("-m", "show", "a", cwd=folder, runner=())
    assert ours.stdout == pythons.stdout != ""


def test_a_folder_with_a_main_file_runs(folder):
    (folder / "app").mkdir()
    (folder / "app" / "__main__.py").write_text("import keras, sys; print(__name__, sys.argv[1:])")
    assert run("app", "b", cwd=folder).stdout == "__main__ ['b']\n"


def test_tracebacks_are_python_s_own(folder):
    ours = run("failing.py", cwd=folder)
    pythons = run("failing.py", cwd=folder, runner=())
    assert ours.stderr == pythons.stderr
    assert "ZeroDivisionError" in ours.stderr
    assert ours.returncode == pythons.returncode == 1


@pytest.mark.parametrize("code", ["sys.exit(3)", "sys.exit('a message')", "1 +"])
def test_exit_status_and_syntax_errors_are_python_s_own(folder, code):
    (folder / "leave.py").write_text(f"import sys\n{code}\n")
    ours, pythons = run("leave.py", cwd=folder), run("leave.py", cwd=folder, runner=())
    assert (ours.returncode, ours.stderr) == (pythons.returncode, pythons.stderr)


def test_help_and_version(capsys):
    assert main([]) == main(["--help"]) == main(["run", "--help"]) == 0
    assert "run -m MODULE" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert f"torchkeras {__version__} (Keras API 3.15.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "run needs a script"),
        (["run", "-m"], "run needs a module"),
        (["run", "no/such.py"], "can't open file '.*no/such.py'"),
        (["walk"], "unknown command 'walk'"),
    ],
)
def test_wrong_command_lines(capsys, arguments, message):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "usage:" in captured.err
    assert re.search(message, captured.err)
