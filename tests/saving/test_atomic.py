"""Atomic replacement: old or new, never a part; leftovers of the dead are removed."""

import os
import random
import signal
import stat
import subprocess
import sys
import time

import pytest

from torchkeras.saving.atomic import replacing


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.endswith(".saving")]


def test_new_content_replaces_old(tmp_path):
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert leftovers(tmp_path) == []


def test_exception_keeps_old_content(tmp_path):
    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_symbolic_link_stays_a_link(tmp_path):
    target, link = tmp_path / "real.bin", tmp_path / "link.bin"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_mode_is_kept_and_new_files_follow_the_umask(tmp_path):
    path, other = tmp_path / "m.bin", tmp_path / "n.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    for p in (path, other):
        with replacing(p) as file:
            file.write(b"new")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(other.stat().st_mode) == 0o666 & ~umask


def test_long_names_and_devices(tmp_path):
    path = tmp_path / ("n" * 250)
    with replacing(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"
    with replacing("/dev/null") as file:
        file.write(b"x")


def test_missing_folder_names_the_fix(tmp_path):
    with pytest.raises(FileNotFoundError, match="makedirs"):
        with replacing(tmp_path / "no" / "m.bin"):
            pass


def test_leftovers_of_the_dead_go_and_of_the_living_stay(tmp_path):
    path = tmp_path / "m.bin"
    dead = tmp_path / ".m.bin.0123456789ab.saving"
    dead.write_bytes(b"half")
    foreign = tmp_path / ".other.bin.0123456789ab.saving"
    foreign.write_bytes(b"half")
    with replacing(path) as slow:
        slow.write(b"slow")
        assert not dead.exists()
        with replacing(path) as quick:
            quick.write(b"quick")
        assert os.path.exists(slow.name)
    assert path.read_bytes() == b"slow"
    assert foreign.exists()


# Each fork writes versions of a file until it is killed: 1 MB of one byte, so a mixture shows.
FORKS = """
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        version = os.getpid()
        while True:
            version = (version + 1) % 256
            with replacing(sys.argv[1]) as file:
                for _ in range(16):
                    file.write(bytes([version]) * 65536)
                    file.flush()
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("dead", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "m.bin"
    draw = random.Random(0)
    # A process that has imported everything; each fork of it is killed at another moment.
    code = "import os, sys\nfrom torchkeras.saving.atomic import replacing\n" + FORKS
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        for _ in range(10):
            server.stdin.write(b"go\n")
            server.stdin.flush()
            pid = int(server.stdout.readline())
            time.sleep(draw.uniform(0.0, 0.03))
            os.kill(pid, signal.SIGKILL)
            assert server.stdout.readline() == b"dead\n"
            if path.exists():
                data = path.read_bytes()
                assert len(data) == 1 << 20
                assert len(set(data)) == 1
            assert len(leftovers(tmp_path)) <= 1
    with replacing(path) as file:
        file.write(b"last")
    assert path.read_bytes() == b"last"
    assert leftovers(tmp_path) == []
