"""Local and remote files, from a real web server and fsspec's memory: fetched whole, kept, fetched again when changed, plain errors."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import fsspec
import pytest
from web_site import Site, content, status

from groundswift import storage
from groundswift.coco_file import read_coco
from groundswift.errors import GroundswiftError, Interrupted
from groundswift.records import Row, read_jsonl
from groundswift.storage import NotThere, exists, is_file, is_folder, local_copy, stat_key

SAY_WHY = """
from groundswift.errors import GroundswiftError
from groundswift.storage import local_copy
try:
    local_copy({!r})
except GroundswiftError as error:
    print(error)
"""


def python(code: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own."""
    command = [sys.executable, "-c", f"import sys\n{code}", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def forget() -> None:
    """Be like a new process."""
    storage._checked_copy.cache_clear()
    storage._partial_folder.cache_clear()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Iterator[Path]:
    """An empty cache folder, and short waits."""
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(storage, "WAITS_S", (0.01, 0.01, 0.01))
    forget()
    yield tmp_path / "cache"
    forget()


def copies(cache: Path) -> list[bytes]:
    """The files of the cache, partial copies too."""
    return sorted(path.read_bytes() for path in cache.rglob("*") if path.is_file())


@pytest.fixture
def memory() -> Iterator[Callable[[str, bytes], str]]:
    """Put bytes into fsspec's memory and get their URL."""
    store = fsspec.filesystem("memory")

    def put(name: str, data: bytes) -> str:
        store.pipe_file(f"/storage/{name}", data)
        return f"memory://storage/{name}"

    yield put
    store.rm("/storage", recursive=True)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_a_local_path_is_returned_untouched():
    assert local_copy("/nowhere/a.jpg") == Path("/nowhere/a.jpg")
    assert local_copy(Path("a.jpg")) == Path("a.jpg")


@pytest.mark.process
def test_local_use_loads_no_fsspec(tmp_path):
    code = (
        "from PIL import Image\nfrom groundswift.images import read_size_wh\nfrom groundswift.storage import stat_key, exists\n"
        "Image.new('RGB', (3, 2)).save('a.png')\nprint(read_size_wh('a.png'), exists('a.png'), stat_key('a.png')[0] > 0)\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('fsspec', 's3fs', 'aiohttp', 'asyncio')])"
    )
    done = python(code, cwd=tmp_path)
    assert done.stdout.splitlines() == ["((3, 2), 1) True True", "[]"], done.stderr


def test_a_file_url_is_the_file_itself(tmp_path, cache):
    (tmp_path / "a b.txt").write_bytes(b"abc")
    assert local_copy(f"file://{tmp_path}/a b.txt") == tmp_path / "a b.txt"
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.jpg", ".jpg"), ("a.tar.gz", ".gz"), ("a", ""), ("a.b/c", ""), ("a.jpg;rm -r", ""), ("a.verylongsuffix", ""), (".JPEG", ".JPEG")],
)
def test_a_copy_has_the_content_and_the_suffix(memory, cache, name, suffix):
    copy = local_copy(memory(name, b"abc"))
    assert (copy.read_bytes(), copy.suffix or copy.name[38:], copies(cache)) == (b"abc", suffix, [b"abc"])
    assert cache in copy.parents
    assert local_copy(memory("empty.json", b"")).read_bytes() == b""


def test_a_copy_is_kept_by_a_process_and_by_the_next(site):
    site.answers["/a.jpg"] = content(b"abc")
    first = local_copy(f"{site.url}/a.jpg")
    assert local_copy(f"{site.url}/a.jpg") == first
    assert site.requests == ["HEAD /a.jpg", "GET /a.jpg", "HEAD /a.jpg"]
    forget()
    assert local_copy(f"{site.url}/a.jpg") == first
    assert site.requests[3:] == ["HEAD /a.jpg"]


def test_what_has_changed_is_fetched_by_the_next_process(site, cache):
    site.answers["/a.jpg"] = content(b"old")
    key = stat_key(f"{site.url}/a.jpg")
    local_copy(f"{site.url}/a.jpg")
    site.answers["/a.jpg"] = content(b"new", '"2"')
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"old"
    forget()
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"new"
    assert copies(cache) == [b"new", b"old"]
    assert (key, stat_key(f"{site.url}/a.jpg")) == ((3, 'ETag "1"'), (3, 'ETag "2"'))


def test_without_a_mark_each_process_fetches_again(site, cache):
    site.answers["/a.jpg"] = content(b"old", None, None)
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"old"
    site.answers["/a.jpg"] = content(b"new", None, None)
    forget()
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"new"
    assert stat_key(f"{site.url}/a.jpg") == (None, None)
    assert copies(cache) == [b"new"]


def test_a_copy_that_was_damaged_or_cleared_is_fetched_again(site):
    site.answers["/a.jpg"] = content(b"abc")
    copy = local_copy(f"{site.url}/a.jpg")
    copy.write_bytes(b"a")
    forget()
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"abc"
    copy.unlink()
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"abc"


def test_what_changes_while_it_is_fetched_is_fetched_again(site, cache):
    def change(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":  # before the answer, after which the client asks again at once
            site.answers["/a.jpg"] = content(b"new", '"2"')
        content(b"old")(handler)

    site.answers["/a.jpg"] = change
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == b"new"
    assert copies(cache) == [b"new"]


def failing(times: int, bad: Callable, good: Callable) -> Callable:
    """Answer the first GETs badly."""
    left = [times]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET" and left[0]:
            left[0] -= 1
            bad(handler)
        else:
            good(handler)

    return answer


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(status(503), id="busy"),
        pytest.param(content(b"abcdef", announced=100), id="cut"),
        pytest.param(lambda _: None, id="gone"),
        pytest.param(content(b"abcdef", announced=None), id="cut where no length is sent"),
    ],
)
def test_a_server_that_recovers_and_one_that_does_not(site, cache, bad):
    data = b"x" * 100
    site.answers["/a.jpg"] = failing(3, bad, content(data))
    assert local_copy(f"{site.url}/a.jpg").read_bytes() == data
    site.answers["/b.jpg"] = failing(1000, bad, content(data))
    with pytest.raises(Interrupted, match=rf"^{site.url}/b.jpg: cannot be read, tried 4 times in 0 s \(.*\); expected a server "):
        local_copy(f"{site.url}/b.jpg")
    assert copies(cache) == [data]


def test_no_further_try_after_a_minute(site, monkeypatch):
    monkeypatch.setattr(storage, "GIVE_UP_S", 0)
    site.answers["/a.jpg"] = status(503)
    with pytest.raises(GroundswiftError, match="tried 1 times"):
        local_copy(f"{site.url}/a.jpg")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [(code, NotThere, "no such object") for code in (404, 410)]
    + [(code, GroundswiftError, "access denied .*; expected credentials") for code in (401, 403)],
)
def test_errors_that_stay_are_raised_at_once_and_without_secrets(site, cache, code, kind, message):
    site.answers["/a.jpg"] = status(code)
    host = site.url.removeprefix("http://")
    with pytest.raises(kind, match=rf"^http://{host}/a.jpg\?\.\.\.: {message}") as caught:
        local_copy(f"http://me:password@{host}/a.jpg?sig=signature")
    assert not {"me", "password", "signature"} & set(str(caught.value).replace("@", " ").replace(":", " ").replace("=", " ").split())
    assert site.requests == ["HEAD /a.jpg?sig=signature", "GET /a.jpg?sig=signature"]
    assert copies(cache) == []


def test_a_missing_file_differs_from_a_store_that_does_not_answer(memory, site, tmp_path):
    there, gone, silent = memory("a/b.jpg", b"abc"), "memory://storage/none", "http://127.0.0.1:9/a.jpg"
    places = (there, "memory://storage/a", gone, str(tmp_path), tmp_path / "no")
    assert [exists(path) for path in places] == [True, True, False, True, False]
    assert [is_file(path) for path in (there, "memory://storage/a", gone, str(tmp_path), __file__)] == [True, False, False, False, True]
    folders = ("memory://storage/a", there, gone, "https://host/a", str(tmp_path), __file__)
    assert [is_folder(path) for path in folders] == [True, False, False, True, True, False]
    for ask in (exists, is_file, stat_key, local_copy):
        with pytest.raises(GroundswiftError, match=r"^http://127.0.0.1:9/a.jpg: cannot be read, tried 4 times") as caught:
            ask(silent)
        assert not isinstance(caught.value, NotThere)
    for path in (gone, str(tmp_path / "no")):
        with pytest.raises(NotThere, match=r"none: no such object|no: no such file"):
            stat_key(path)


def test_a_changed_local_file_has_another_key(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.utime(path, ns=(1, 1))
    first = stat_key(path)
    os.utime(path, ns=(1, 2))
    assert (first, stat_key(path)) == ((3, 1), (3, 2))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuch://a/b", r"unknown scheme nosuch://; expected .*pip install 'groundswift\[s3\]'"),
        ("reference://a/b", r"reference://a/b: "),
        ("zip://a::http://127.0.0.1:9/b.zip", r"cannot be read"),
        ("memory://storage/a", r"^memory://storage/a: is a folder; expected a file$"),
    ],
)
def test_a_url_that_cannot_be_opened(memory, url, message):
    memory("a/b.jpg", b"abc")
    with pytest.raises(GroundswiftError, match=message):
        local_copy(url)


@pytest.mark.process
def test_a_missing_package_is_named_with_its_install_command(tmp_path):
    """A finder that knows no s3fs, then no fsspec, as in an environment without them."""
    hidden = (
        "class Hidden:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[1]: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    for package in ("s3fs", "fsspec"):
        done = python(hidden + SAY_WHY.format("s3://bucket/a.jpg"), package)
        assert "s3://bucket/a.jpg: s3:// needs a package that is not installed (" in done.stdout, done.stderr
        assert done.stdout.endswith("): pip install 'groundswift[s3]'\n")


@pytest.mark.parametrize("place", ["file/cache", "/proc/nowhere"])
def test_a_cache_that_cannot_be_made(memory, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GROUNDSWIFT_CACHE", os.path.join(tmp_path, place))
    url = memory("a.jpg", b"abc")
    message = rf"{place}: cannot be written \(.*\), so {url} cannot be fetched; expected a folder .* GROUNDSWIFT_CACHE names it"
    with pytest.raises(GroundswiftError, match=message):
        local_copy(url)


@pytest.mark.process
def test_a_full_disk_leaves_nothing(cache):
    """As by a limit of the size of files."""
    code = (
        "import resource\nimport fsspec\nfsspec.filesystem('memory').pipe_file('/a.jpg', b'x' * 100_000)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    )
    done = python(code + SAY_WHY.format("memory://a.jpg"))
    assert done.stdout.startswith(f"{cache}: cannot be written (File too large), so memory://a.jpg cannot be fetched"), done.stderr
    assert copies(cache) == []


def test_the_cache_folder(monkeypatch, tmp_path):
    assert storage.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("GROUNDSWIFT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert storage.cache_folder() == tmp_path / "xdg" / "groundswift"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # is ignored
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage.cache_folder() == tmp_path / ".cache" / "groundswift"


def test_partial_copies_of_killed_processes_are_removed_and_others_stay(memory, cache):
    (cache / "partial").mkdir(parents=True)
    for name, age_s in (("old", 2 * storage.STALE_S), ("young", 60)):
        (cache / "partial" / name).write_text("")
        os.utime(cache / "partial" / name, (time.time() - age_s,) * 2)
    local_copy(memory("a.jpg", b"abc"))
    assert [path.name for path in (cache / "partial").iterdir()] == ["young"]


def test_many_threads_fetch_the_same_and_other_urls(site):
    for number in range(8):
        site.answers[f"/{number}.jpg"] = content(bytes([number]) * 50_000, f'"{number}"')
    urls = [f"{site.url}/{number}.jpg" for number in range(8)] * 8
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda url: local_copy(url).read_bytes(), urls))
    assert found == [bytes([number]) * 50_000 for number in range(8)] * 8


@pytest.mark.process
def test_a_forked_process_can_fetch(site):
    """As the workers of a data loader do, after their parent has fetched."""
    site.answers["/a.jpg"], site.answers["/b.jpg"] = content(b"a"), content(b"b", '"2"')
    code = (
        "import os\nfrom groundswift.storage import local_copy\n"
        "assert local_copy(sys.argv[1] + '/a.jpg').read_bytes() == b'a'\n"
        "child = os.fork()\n"
        "if not child:\n    os._exit(0 if local_copy(sys.argv[1] + '/b.jpg').read_bytes() == b'b' else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = python(code, site.url)
    assert done.returncode == 0, done.stderr


def test_annotations_and_rows_are_read_from_urls(memory):
    images = b'[{"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}]'
    coco = memory("ann.json", b'{"images": ' + images + b', "annotations": [], "categories": []}')
    assert [image.file_name for image in read_coco(coco).images] == ["a.jpg"]
    rows = memory("rows.jsonl", b'{"messages": [], "images": ["a.jpg"]}\n{"messages": []')
    (_, row), (number, error) = read_jsonl(rows, Row)
    assert (row.images, number) == (["a.jpg"], 2)
    assert str(error).startswith("memory://storage/rows.jsonl:2: the file stops in the middle")


def test_errors_of_remote_files_name_the_url(memory):
    memory("other.json", b"")
    for read in (read_coco, lambda path: list(read_jsonl(path, Row))):
        with pytest.raises(NotThere, match=r"^memory://storage/none.json: no such object"):
            read("memory://storage/none.json")
    with pytest.raises(GroundswiftError, match=r"^memory://storage/ann.json:1:1: not JSON"):
        read_coco(memory("ann.json", b"words"))
