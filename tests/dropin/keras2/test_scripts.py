"""Scripts as users wrote them for TensorFlow 2.0 to 2.15, under the runner."""

import pathlib
import subprocess
import sys

import pytest

SCRIPTS = sorted((pathlib.Path(__file__).parent / "scripts").glob("*.py"))
ROOT = pathlib.Path(__file__).parents[3]


@pytest.mark.parametrize("part", range(2))
def test_scripts(part, tmp_path):
    """In two processes, since to start one costs more than a script."""
    scripts = [str(script) for script in SCRIPTS[part::2]]
    every = tmp_path / "every.py"
    every.write_text(
        "import runpy, sys, traceback\n"
        "failed = []\n"
        f"for script in {scripts!r}:\n"
        "    try:\n"
        "        runpy.run_path(script, run_name='__main__')\n"
        "    except BaseException:\n"
        "        failed.append(script)\n"
        "        traceback.print_exc()\n"
        "sys.exit(f'failed: {failed}' if failed else 0)\n"
    )
    command = [sys.executable, "-m", "torchkeras", "run", str(every)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-8000:]
