"""`get_file` and the archives it extracts, good ones and those made to do harm."""

import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile

import pytest

from torchkeras.utils import archives, get_file, hashes

TEXT = b"Float like a butterfly, sting like a bee."


@pytest.fixture
def origin(tmp_path):
    path = tmp_path / "source" / "words.txt"
    path.parent.mkdir()
    path.write_bytes(TEXT)
    return path


@pytest.fixture
def server():
    """Serve `answers`: path -> (status, headers, body); counts the requests."""
    answers, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            made.handler = self
            status, headers, body = answers[self.path.partition("?")[0]]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        made.answers, made.asked = answers, asked
        made.url = f"http://127.0.0.1:{made.server_port}"
        yield made
        made.shutdown()
        thread.join()


def content(path):
    with open(path, "rb") as file:
        return file.read()


# Downloads ----------------------------------------------------------------------------------------


def test_a_file_is_downloaded_once(server, tmp_path):
    server.answers["/a/words.txt"] = (200, {"Content-Length": str(len(TEXT))}, TEXT)
    for _ in range(2):
        path = get_file(origin=f"{server.url}/a/words.txt?version=3", cache_dir=tmp_path)
        assert path == str(tmp_path / "datasets" / "words.txt") and content(path) == TEXT
    assert len(server.asked) == 1


def test_force_download_and_a_new_hash_download_again(origin, tmp_path):
    options = {"fname": "w.txt", "origin": origin.as_uri(), "cache_dir": tmp_path}
    get_file(**options)
    origin.write_bytes(b"new")
    assert content(get_file(**options)) == TEXT
    new = hashlib.sha256(b"new").hexdigest()
    assert content(get_file(**options, file_hash=new)) == b"new"
    origin.write_bytes(b"newest")
    assert content(get_file(**options, file_hash=new)) == b"new"
    assert content(get_file(**options, force_download=True)) == b"newest"


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_the_hash_is_checked(origin, tmp_path, algorithm, case):
    right = hashlib.new(algorithm, TEXT).hexdigest()
    wrong = hashlib.new(algorithm, b"other").hexdigest()
    options = {"origin": origin.as_uri(), "cache_dir": tmp_path}
    for kind in ("auto", algorithm):
        with pytest.raises(ValueError, match="(?s)Incomplete or corrupted file.*" + wrong):
            get_file(**options, file_hash=wrong, hash_algorithm=kind)
        assert os.listdir(tmp_path / "datasets") == []
    assert content(get_file(**options, file_hash=case(right))) == TEXT


def test_a_wrong_download_leaves_the_cached_file(origin, tmp_path):
    path = get_file(origin=origin.as_uri(), cache_dir=tmp_path)
    origin.write_bytes(b"evil")
    with pytest.raises(ValueError, match="corrupted"):
        get_file(origin=origin.as_uri(), cache_dir=tmp_path, file_hash="0" * 64)
    assert content(path) == TEXT


def test_errors_of_the_server_name_the_url(server, tmp_path):
    server.answers["/gone.bin"] = (404, {}, b"")
    with pytest.raises(OSError, match=r"URL fetch failure on http://.*/gone\.bin: 404"):
        get_file(origin=f"{server.url}/gone.bin", cache_dir=tmp_path)
    with pytest.raises(OSError, match="URL fetch failure on file:///no/such"):
        get_file(origin="file:///no/such/file", cache_dir=tmp_path)
    assert os.listdir(tmp_path / "datasets") == []


def test_a_download_that_breaks_off_is_no_file(server, tmp_path):
    server.answers["/half.bin"] = (200, {"Content-Length": "100"}, b"x" * 60)
    with pytest.raises(OSError, match="60 of 100 bytes"):
        get_file(origin=f"{server.url}/half.bin", cache_dir=tmp_path)
    assert os.listdir(tmp_path / "datasets") == []


class Versions:
    """A server's answers for a file of several versions: all of it, or the rest by `If-Range`."""

    def __init__(self, server, body, tag, ranges=True):
        self.server, self.body, self.tag, self.ranges = server, body, tag, ranges
        self.asked = []  # the ranges

    def __iter__(self):  # unpacked where the request comes in
        handler = self.server.handler
        wanted, known = handler.headers["Range"], handler.headers["If-Range"]
        self.asked.append(wanted)
        headers = {} if self.tag is None else {"ETag": self.tag}
        first = int(wanted[6:-1]) if wanted and known == self.tag and self.ranges else 0
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(self.body) - 1}/{len(self.body)}"
        headers["Content-Length"] = str(len(self.body) - first)
        stop, self.stop = getattr(self, "stop", None), None
        return iter((206 if first else 200, headers, self.body[first:stop]))


BODY = bytes(range(256)) * 1000


def interrupted(server, path, **options):
    """Break a download of `path` off in the middle; return the answers for the next ones."""
    answers = server.answers[path] = Versions(server, BODY, '"v1"', **options)
    answers.stop = 100_000
    return answers


def test_a_download_goes_on_where_it_was_broken_off(server, tmp_path):
    answers = interrupted(server, "/long.bin")
    digest = hashlib.sha256(BODY).hexdigest()
    options = {"origin": f"{server.url}/long.bin", "cache_dir": tmp_path, "file_hash": digest}
    with pytest.raises(OSError, match="100000 of 256000 bytes"):
        get_file(**options)
    assert not (tmp_path / "datasets" / "long.bin").exists()
    assert content(get_file(**options)) == BODY
    assert answers.asked == [None, "bytes=100000-"]
    assert os.listdir(tmp_path / "datasets") == ["long.bin"]


@pytest.mark.parametrize("change", ["version", "no ranges", "other origin", "no note", "evil note"])
def test_parts_that_do_not_fit_are_not_used(server, tmp_path, change):
    answers = interrupted(server, "/long.bin", ranges=change != "no ranges")
    url = f"{server.url}/long.bin"
    with pytest.raises(OSError, match="bytes"):
        get_file(origin=url, cache_dir=tmp_path)
    note = tmp_path / "datasets" / ".long.bin.part.json"
    if change == "version":
        answers.body, answers.tag = BODY[::-1], '"v2"'
    elif change == "other origin":
        url += "?mirror"
    elif change == "no note":
        note.unlink()
    elif change == "evil note":
        note.write_text("[]")
    assert content(get_file(origin=url, cache_dir=tmp_path)) == answers.body
    assert os.listdir(tmp_path / "datasets") == ["long.bin"]


def test_a_part_that_was_changed_fails_by_its_hash(server, tmp_path):
    interrupted(server, "/long.bin")
    digest = hashlib.sha256(BODY).hexdigest()
    options = {"origin": f"{server.url}/long.bin", "cache_dir": tmp_path, "file_hash": digest}
    with pytest.raises(OSError, match="bytes"):
        get_file(**options)
    (tmp_path / "datasets" / ".long.bin.part").write_bytes(b"evil")
    with pytest.raises(ValueError, match="corrupted"):
        get_file(**options)
    assert os.listdir(tmp_path / "datasets") == []
    assert content(get_file(**options)) == BODY


def test_a_server_that_is_away_leaves_the_part(server, tmp_path):
    answers = interrupted(server, "/long.bin")
    options = {"origin": f"{server.url}/long.bin", "cache_dir": tmp_path}
    with pytest.raises(OSError, match="bytes"):
        get_file(**options)
    server.answers["/long.bin"] = (503, {}, b"")
    with pytest.raises(OSError, match="503"):
        get_file(**options)
    server.answers["/long.bin"] = answers
    assert content(get_file(**options)) == BODY and answers.asked[-1] == "bytes=100000-"


def test_a_download_of_unknown_length(server, tmp_path):
    server.answers["/some.bin"] = (200, {}, b"x" * 200_000)
    path = get_file(origin=f"{server.url}/some.bin", cache_dir=tmp_path)
    assert content(path) == b"x" * 200_000


@pytest.mark.parametrize("name", ["a/b.txt", "..", "/etc/passwd"])
def test_names_are_no_paths(origin, tmp_path, name):
    with pytest.raises(ValueError, match="fname"):
        get_file(name, origin.as_uri(), cache_dir=tmp_path)


@pytest.mark.parametrize("url", ["http://x.org/", "http://x.org/a/..", "http://x.org"])
def test_an_origin_without_a_name(url, tmp_path):
    with pytest.raises(ValueError, match="`fname`"):
        get_file(origin=url, cache_dir=tmp_path)


def test_an_origin_is_needed():
    with pytest.raises(ValueError, match='"origin"'):
        get_file("x.txt")


def test_the_cache_is_that_of_keras(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    path = get_file(origin=origin.as_uri(), cache_subdir="models")
    assert path == str(tmp_path / "home" / "models" / "words.txt")
    elsewhere = tmp_path / "elsewhere"
    assert get_file(origin=origin.as_uri(), cache_subdir=elsewhere) == str(elsewhere / "words.txt")


# Archives -----------------------------------------------------------------------------------------


def tar_of(path, *members, mode="w"):
    """Write a tar file of `(name, bytes)` or of `TarInfo`s, in that order."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def symlink(name, target):
    return special(name, tarfile.SYMTYPE, target)


def hardlink(name, target):
    return special(name, tarfile.LNKTYPE, target)


@pytest.mark.parametrize(
    ("fname", "folder", "archive"),
    [
        (None, "data.tar.gz", "data.tar.gz_archive"),
        ("corpus", "corpus", "corpus_archive"),
        ("corpus.tgz", "corpus_extracted", "corpus.tgz"),
    ],
)
@pytest.mark.parametrize("option", [{"extract": True}, {"untar": True}])
def test_where_archives_and_their_content_lie(tmp_path, fname, folder, archive, option):
    source = tar_of(tmp_path / "data.tar.gz", ("in/a.txt", TEXT), mode="w:gz")
    path = get_file(fname, source.as_uri(), cache_subdir=tmp_path / "cache", **option)
    assert path == str(tmp_path / "cache" / folder)
    assert sorted(os.listdir(tmp_path / "cache")) == sorted([folder, archive])
    assert content(os.path.join(path, "in", "a.txt")) == TEXT


def test_zip_files_and_what_is_no_archive(tmp_path, origin):
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("in/a.txt", TEXT)
    uri = (tmp_path / "d.zip").as_uri()
    path = get_file("d", uri, extract=True, cache_dir=tmp_path)
    assert content(os.path.join(path, "in", "a.txt")) == TEXT
    with pytest.warns(UserWarning, match="Could not extract"):
        get_file("w", origin.as_uri(), extract=True, cache_dir=tmp_path)
    with pytest.warns(UserWarning, match="Could not extract"):
        get_file("t", uri, untar=True, cache_dir=tmp_path)
    with pytest.raises(NotImplementedError, match="rar"):
        archives.extract_archive(tmp_path / "d.zip", tmp_path, "rar")
    assert not archives.extract_archive(tmp_path / "d.zip", tmp_path, None)


def tree(folder):
    """Each path below a folder with its content, links as their targets."""
    found = {}
    for root, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(root, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[key] = "-> " + os.readlink(path)
            elif os.path.isfile(path):
                found[key] = content(path)
    return found


def extract(path, folder, expected_warnings):
    if not expected_warnings:
        assert archives.extract_archive(path, folder)
        return
    with pytest.warns(UserWarning) as caught:
        assert archives.extract_archive(path, folder)
    said = [str(w.message) for w in caught]
    assert said == [
        f"Skipping invalid path during archive extraction: '{name}'." for name in expected_warnings
    ]


HOSTILE = {
    "up": ([("../evil", b"x")], ["../evil"]),
    "up later": ([("a/../../evil", b"x")], ["a/../../evil"]),
    "absolute": ([("/tmp/torchkeras_evil", b"x")], ["/tmp/torchkeras_evil"]),
    "link up": ([symlink("l", ".."), ("l/evil", b"x")], ["l"]),
    "link to a file": ([symlink("l", "/etc/passwd")], ["l"]),
    "link inside, then through it": (
        [("d/f", b"x"), symlink("a", "d"), symlink("b", "a/../.."), ("b/evil", b"x")],
        ["b"],
    ),
    "link that a later link turns": (
        # `deep` leads inside until `one` makes its path another
        [("a/b/f", b"x"), symlink("deep", "one/../../evil"), symlink("one", "a/b")],
        ["deep"],
    ),
    "link that a later link turns outside": (
        [("a/b/f", b"x"), symlink("deep", "x/y/z/../../evil"), symlink("x", "a/b")],
        ["deep"],
    ),
    "link to nowhere": ([symlink("l", "nothing")], ["l"]),
    "links in a circle": ([symlink("a", "b"), symlink("b", "a")], ["a", "b"]),
    "hard link up": ([hardlink("h", "../source/words.txt")], ["h"]),
    "hard link to a bad link": (
        [symlink("s", "../source/words.txt"), hardlink("h", "s"), ("h/evil", b"x")],
        ["s", "h"],
    ),
    "hard link to a link that comes later as a file": (
        [symlink("s", "../source"), hardlink("h", "s"), ("s", b"x")],
        ["s"],
    ),
    "pipe": ([special("p", tarfile.FIFOTYPE)], ["p"]),
    "device": ([special("d", tarfile.CHRTYPE)], ["d"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tar_files(name, origin, tmp_path):
    members, warned = HOSTILE[name]
    path = tar_of(tmp_path / "bad.tar", *members, ("good.txt", TEXT))
    folder = tmp_path / "out"
    before = tree(tmp_path)
    with pytest.warns(UserWarning) as caught:
        assert archives.extract_archive(path, folder)
    said = {str(w.message).split("'")[1] for w in caught}
    assert set(warned) <= said
    assert content(folder / "good.txt") == TEXT
    after = tree(tmp_path)
    outside = {k: v for k, v in after.items() if k.partition(os.sep)[0] != "out"}
    assert outside == before
    root = os.path.realpath(folder)
    for key in tree(folder):
        assert os.path.realpath(os.path.join(folder, key)).startswith(root + os.sep)
    assert not os.path.exists("/tmp/torchkeras_evil")


def test_good_links_are_made(tmp_path):
    path = tar_of(
        tmp_path / "links.tar",
        ("d/f.txt", TEXT),
        symlink("d/same", "f.txt"),
        symlink("e", "d"),
        symlink("d/up", "../d/f.txt"),
        hardlink("twin", "d/f.txt"),
    )
    folder = tmp_path / "out"
    extract(path, folder, [])
    assert tree(folder) == {
        "d/f.txt": TEXT,
        "d/same": "-> f.txt",
        "d/up": "-> ../d/f.txt",
        "e": "-> d",
        "twin": TEXT,
    }
    extract(path, folder, ["twin", "d/same", "e", "d/up"])  # they are there already


def test_modes_are_made_harmless(tmp_path):
    info = tarfile.TarInfo("run")
    info.mode, info.uid = 0o6777, 12345
    folder = tmp_path / "out"
    extract(tar_of(tmp_path / "m.tar", info), folder, [])
    status = (folder / "run").stat()
    assert status.st_mode & 0o7777 == 0o755 and status.st_uid == os.getuid()


def test_hostile_zip_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for name in ("../evil", "/tmp/torchkeras_evil", "good.txt"):
            archive.writestr(name, TEXT)
    extract(tmp_path / "bad.zip", tmp_path / "out", ["../evil", "/tmp/torchkeras_evil"])
    assert tree(tmp_path / "out") == {"good.txt": TEXT}
    assert sorted(os.listdir(tmp_path)) == ["bad.zip", "out"]


def test_a_broken_archive_leaves_no_folder(tmp_path):
    path = tar_of(tmp_path / "b.tar", ("a.txt", b"x" * 4000), ("b.txt", b"y" * 4000))
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(tarfile.TarError):
        archives.extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "keep").write_bytes(b"")
    with pytest.raises(tarfile.TarError):
        archives.extract_archive(path, tmp_path / "mine")
    assert (tmp_path / "mine" / "keep").exists()


# Hashes -------------------------------------------------------------------------------------------


def test_hashes(origin):
    sha256, md5 = hashlib.sha256(TEXT).hexdigest(), hashlib.md5(TEXT).hexdigest()
    assert hashes.hash_file(origin) == sha256
    assert hashes.hash_file(origin, "md5", chunk_size=3) == md5
    assert hashes.validate_file(origin, sha256) and hashes.validate_file(origin, md5)
    assert not hashes.validate_file(origin, md5, "sha256")
    assert not hashes.validate_file(origin, "0" * 64)
