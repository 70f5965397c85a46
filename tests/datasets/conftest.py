"""A local folder in the place of the servers, and an empty cache."""

import hashlib

import pytest

from torchkeras.datasets import storage


class Source:
    """Serves files from a folder under the names they have at `ORIGIN`."""

    def __init__(self, folder, monkeypatch):
        self.folder, self._monkeypatch = folder, monkeypatch
        monkeypatch.setattr(storage, "ORIGIN", folder.as_uri() + "/")

    def expect(self, module, name, attribute="_HASH"):
        """Let `module` expect the file as it is now; an `ORIGIN` of its own leads to it too."""
        path = self.folder / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._monkeypatch.setattr(module, attribute, digest)
        if hasattr(module, "ORIGIN"):
            self._monkeypatch.setattr(module, "ORIGIN", path.as_uri())
        return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def source(tmp_path, monkeypatch, cache):
    folder = tmp_path / "source"
    folder.mkdir()
    return Source(folder, monkeypatch)
