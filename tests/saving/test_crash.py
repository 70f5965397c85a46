"""Killed savers, full disks and savers side by side; `python -m tests.saving.crash` does more."""

import contextlib
import errno
import os
import random
import resource
import signal
import threading

import pytest

from tests.saving.crash import NAMES, WHOLE, Server, build, kill_savers, save, versions

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_killed_while_saving(tmp_path, server, name):
    found = kill_savers(server, str(tmp_path), name, 6, random.Random(0))
    assert found["loads"] == 6


@contextlib.contextmanager
def small_disk(size):
    """Let writing beyond a size fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 30_000, 80_000])
@pytest.mark.parametrize("name", WHOLE)
def test_a_full_disk_keeps_the_old_file(tmp_path, name, size):
    if size == 80_000 and name == "m.weights.json":
        pytest.skip("each part is smaller")
    model = build()
    for weight in model.weights:
        weight.assign(weight * 0 + 1)
    path = str(tmp_path / name)
    save(model, path)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    for weight in model.weights:
        weight.assign(weight * 0 + 2)
    with small_disk(size), pytest.raises(OSError) as caught:
        save(model, path)
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC, None)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before
    assert versions(path) == {1.0}
    save(model, path)
    assert versions(path) == {2.0}


@pytest.mark.parametrize("name", WHOLE)
def test_savers_side_by_side_do_not_mix(tmp_path, name):
    """Each thread saves a model of its own to the same path, time and again."""
    path = str(tmp_path / name)
    models = [build() for _ in range(2)]
    problems = []

    def work(number):
        try:
            for weight in models[number].weights:
                weight.assign(weight * 0 + number)
            for _ in range(8):
                save(models[number], path)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(versions(path)) == 1
    save(models[0], path)
    assert versions(path) == {0.0}
    assert [n for n in os.listdir(tmp_path) if n.endswith((".saving", ".link"))] == []
