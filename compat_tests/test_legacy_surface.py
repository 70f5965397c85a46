"""Nothing that `tf_keras` lets scripts name is left out; see `compat_tests.legacy.surface`."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def test_surface():
    pytest.importorskip("tf_keras")
    command = [sys.executable, "-m", "compat_tests.legacy.surface"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
