"""Files here and elsewhere, over a real web server and fsspec's memory: fetched whole, kept, fetched anew when changed, plain errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from groundswift import storage
from groundswift.coco_file import read_coco
from groundswift.errors import GroundswiftError, Interrupted
from groundswift.records import Row, read_jsonl
from groundswift.storage import NotThere, exists, is_file, is_folder, local_copy, stat_key
from groundswift.urls import file_name, folder_of, is_url, join, joined_inside, shown


def forget() -> None:
    """Be as a new process is."""
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
    """What lies in the cache, partial copies too."""
    return sorted(path.read_bytes() for path in cache.rglob("*") if path.is_file())


@pytest.fixture
def memory() -> Iterator[Callable[[str, bytes], str]]:
    """Put bytes into fsspec's memory and get their address."""
    store = fsspec.filesystem("memory")

    def put(name: str, data: bytes) -> str:
        store.pipe_file(f"/storage/{name}", data)
        return f"memory://storage/{name}"

    yield put
    store.rm("/storage", recursive=True)


class Site:
    """A web server whose answers a test sets: path -> what handles a request."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(f"{self.command} {self.path}")
                site.answers.get(self.path.partition("?")[0], status(404))(self)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def content(data: bytes, etag: str | None = '"1"', announced: int | None = -1) -> Callable[[BaseHTTPRequestHandler], None]:
    """`announced` None: no length is sent; -1: the true one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if announced is not None:
            handler.send_header("Content-Length", str(len(data) if announced < 0 else announced))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(data)

    return answer


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/a.jpg", True),
        ("gs://bucket/a.jpg", True),
        ("HTTPS://host/a.jpg", True),
        ("memory://a", True),
        ("file:///a/b", True),
        ("abfs+x.y-z://c/d", True),
        ("/data/a.jpg", False),
        ("a.jpg", False),
        ("", False),
        ("C:\\data\\a.jpg", False),
        ("c://data", False),  # a drive
        ("data:image/png;base64,aaaa", False),
        ("folder/s3://bucket", False),
        ("zip::s3://bucket/a.zip", False),
        (Path("s3://bucket/a.jpg"), False),
        (None, False),
    ],
)
def test_what_is_an_address(path, expected):
    assert is_url(path) is expected


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("/data", "a/b.jpg", "/data/a/b.jpg"),
        ("", "b.jpg", "b.jpg"),
        ("s3://bucket", "b.jpg", "s3://bucket/b.jpg"),
        ("s3://bucket/a/", "b.jpg", "s3://bucket/a/b.jpg"),
        ("s3://bucket/a", "b c#1?.jpg", "s3://bucket/a/b c#1?.jpg"),
        ("https://host/a", "b.jpg", "https://host/a/b.jpg"),
        ("https://host/a/?sig=1%2F2", "b.jpg", "https://host/a/b.jpg?sig=1%2F2"),
        ("https://host", "b#1?.jpg", "https://host/b%231%3F.jpg"),
        ("memory://a", "b/c.jpg", "memory://a/b/c.jpg"),
    ],
)
def test_joining(folder, name, expected):
    assert join(folder, name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b.jpg", "s3://bucket/a/b.jpg"),
        ("c/../b.jpg", "s3://bucket/a/b.jpg"),
        ("./c//b.jpg", "s3://bucket/a/c/b.jpg"),
        ("..b.jpg", "s3://bucket/a/..b.jpg"),
        ("100%.jpg", "s3://bucket/a/100%.jpg"),
        ("a%20b.jpg", "s3://bucket/a/a%20b.jpg"),
        ("c\\b.jpg", "s3://bucket/a/c\\b.jpg"),
        ("c/http://host/b.jpg", "s3://bucket/a/c/http:/host/b.jpg"),
        ("Ä/ö.jpg", "s3://bucket/a/Ä/ö.jpg"),
        *(
            (name, None)
            for name in (
                "",
                ".",
                "..",
                "../b.jpg",
                "c/../../b.jpg",
                "/b.jpg",
                "//host/b.jpg",
                "s3://other/b.jpg",
                "c/s3:%2f%2fother/b.jpg",
                "%2e%2e/b.jpg",
                "%2E./b.jpg",
                "c/%2e%2e/%2e%2e/b.jpg",
                "c%2fd/../%2e%2e/b.jpg",
                "..%2fb.jpg",
                "%2fb.jpg",
                "%252e%252e%252fb.jpg",
                "..\\b.jpg",
                "c\\..\\..\\b.jpg",
                "%5c..\\b.jpg",
                "..%5cb.jpg",
                "\\b.jpg",
                "b\0.jpg",
                "b%00.jpg",
                "b\r\nHost: x.jpg",
                "b%0d%0a.jpg",
            )
        ),
    ],
)
def test_a_name_stays_inside_its_folder(name, expected):
    assert joined_inside("s3://bucket/a", name) == expected


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [
        ("/data/a.json", "/data", "a.json"),
        ("a.json", ".", "a.json"),
        ("what?.json", ".", "what?.json"),
        ("s3://bucket/set/a.json", "s3://bucket/set", "a.json"),
        ("s3://bucket/what?.json", "s3://bucket", "what?.json"),
        ("https://host/set/a.json?sig=1/2", "https://host/set?sig=1/2", "a.json"),
        ("https://host/a.json#b", "https://host/#b", "a.json"),
    ],
)
def test_the_parts_of_a_path(path, folder, name):
    assert (folder_of(path), file_name(path)) == (folder, name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/a.jpg", "/data/a.jpg"),
        ("/data/what?.jpg", "/data/what?.jpg"),
        ("s3://bucket/a@2x.jpg", "s3://bucket/a@2x.jpg"),
        ("https://me:word@host/a.jpg", "https://host/a.jpg"),
        ("https://me:w@rd@host/a@2x.jpg?X-Amz-Signature=abc&b=1", "https://host/a@2x.jpg?..."),
        ("sftp://me@host/a.jpg", "sftp://host/a.jpg"),
    ],
)
def test_what_is_told_holds_no_secret(path, expected):
    assert shown(path) == expected


def test_a_local_path_is_returned_untouched():
    assert local_copy("/nowhere/a.jpg") == Path("/nowhere/a.jpg")
    assert local_copy(Path("a.jpg")) == Path("a.jpg")


def test_local_use_loads_no_fsspec(tmp_path):
    code = (
        "import sys\nfrom PIL import Image\nfrom groundswift.images import read_size_wh\nfrom groundswift.storage import stat_key, exists\n"
        "Image.new('RGB', (3, 2)).save('a.png')\nprint(read_size_wh('a.png'), exists('a.png'), stat_key('a.png')[0] > 0)\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('fsspec', 's3fs', 'aiohttp', 'asyncio')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["((3, 2), 1) True True", "[]"], done.stderr


def test_a_file_address_is_the_file_itself(tmp_path, cache):
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


def test_an_empty_file_is_a_file(memory):
    assert local_copy(memory("empty.json", b"")).read_bytes() == b""


def test_a_copy_is_kept_by_a_process_and_by_the_next(site):
    site.answers["/a.jpg"] = content(b"abc")
    first = local_copy(f"{site.address}/a.jpg")
    assert local_copy(f"{site.address}/a.jpg") == first
    assert site.requests == ["HEAD /a.jpg", "GET /a.jpg", "HEAD /a.jpg"]
    forget()
    assert local_copy(f"{site.address}/a.jpg") == first
    assert site.requests[3:] == ["HEAD /a.jpg"]


def test_what_has_changed_is_fetched_by_the_next_process(site, cache):
    site.answers["/a.jpg"] = content(b"old")
    key = stat_key(f"{site.address}/a.jpg")
    local_copy(f"{site.address}/a.jpg")
    site.answers["/a.jpg"] = content(b"new", '"2"')
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"old"
    forget()
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"new"
    assert copies(cache) == [b"new", b"old"]
    assert (key, stat_key(f"{site.address}/a.jpg")) == ((3, 'ETag "1"'), (3, 'ETag "2"'))


def test_a_store_that_does_not_say_what_changed_is_asked_for_the_whole_by_each_process(site, cache):
    site.answers["/a.jpg"] = content(b"old", None, None)
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"old"
    site.answers["/a.jpg"] = content(b"new", None, None)
    forget()
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"new"
    assert stat_key(f"{site.address}/a.jpg") == (None, None)
    assert copies(cache) == [b"new"]


def test_a_copy_that_was_damaged_or_cleared_is_fetched_again(site):
    site.answers["/a.jpg"] = content(b"abc")
    copy = local_copy(f"{site.address}/a.jpg")
    copy.write_bytes(b"a")
    forget()
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"abc"
    copy.unlink()
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"abc"


def test_what_changes_while_it_is_fetched_is_fetched_again(site, cache):
    def change(handler: BaseHTTPRequestHandler) -> None:
        content(b"old")(handler)
        if handler.command == "GET":
            site.answers["/a.jpg"] = content(b"new", '"2"')

    site.answers["/a.jpg"] = change
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == b"new"
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
def test_a_server_that_recovers_is_no_error_and_one_that_does_not_leaves_nothing(site, cache, bad):
    data = b"x" * 100
    site.answers["/a.jpg"] = failing(3, bad, content(data))
    assert local_copy(f"{site.address}/a.jpg").read_bytes() == data
    site.answers["/b.jpg"] = failing(1000, bad, content(data))
    with pytest.raises(Interrupted, match=rf"^{site.address}/b.jpg: cannot be read, tried 4 times in 0 s \(.*\); expected a server "):
        local_copy(f"{site.address}/b.jpg")
    assert copies(cache) == [data]


def test_no_further_try_after_a_minute(site, monkeypatch):
    monkeypatch.setattr(storage, "GIVE_UP_S", 0)
    site.answers["/a.jpg"] = status(503)
    with pytest.raises(GroundswiftError, match="tried 1 times"):
        local_copy(f"{site.address}/a.jpg")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (404, NotThere, "no such object"),
        (410, NotThere, "no such object"),
        (401, GroundswiftError, "access denied .*; expected credentials"),
        (403, GroundswiftError, "access denied .*; expected credentials"),
    ],
)
def test_what_no_second_try_can_change_is_told_at_once_and_without_secrets(site, cache, code, kind, message):
    site.answers["/a.jpg"] = status(code)
    host = site.address.removeprefix("http://")
    with pytest.raises(kind, match=rf"^http://{host}/a.jpg\?\.\.\.: {message}") as caught:
        local_copy(f"http://me:password@{host}/a.jpg?sig=signature")
    assert not {"me", "password", "signature"} & set(str(caught.value).replace("@", " ").replace(":", " ").replace("=", " ").split())
    assert site.requests == ["HEAD /a.jpg?sig=signature", "GET /a.jpg?sig=signature"]
    assert copies(cache) == []


def test_a_missing_thing_is_told_apart_from_a_store_that_does_not_answer(memory, site, tmp_path):
    there, gone, silent = memory("a/b.jpg", b"abc"), "memory://storage/none", "http://127.0.0.1:9/a.jpg"
    assert [exists(path) for path in (there, "memory://storage/a", gone, str(tmp_path), tmp_path / "no")] == [
        True,
        True,
        False,
        True,
        False,
    ]
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


def test_a_folder_is_no_file(memory):
    memory("a/b.jpg", b"abc")
    with pytest.raises(GroundswiftError, match=r"^memory://storage/a: is a folder; expected a file$"):
        local_copy("memory://storage/a")


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
    ],
)
def test_an_address_that_cannot_be_opened_is_an_error(url, message):
    with pytest.raises(GroundswiftError, match=message):
        local_copy(url)


def test_a_missing_package_is_told_with_the_way_to_get_it(tmp_path):
    """A finder that knows no s3fs, then no fsspec, stands for an environment without them."""
    code = (
        "import sys\n"
        "class Hidden:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[1]: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "from groundswift.storage import local_copy\n"
        "from groundswift.errors import GroundswiftError\n"
        "try: local_copy('s3://bucket/a.jpg')\n"
        "except GroundswiftError as error: print(error)\n"
    )
    for package in ("s3fs", "fsspec"):
        done = subprocess.run([sys.executable, "-c", code, package], capture_output=True, text=True)
        assert "s3://bucket/a.jpg: s3:// needs a package that is not installed (" in done.stdout, done.stderr
        assert done.stdout.endswith("expected pip install 'groundswift[s3]'\n")


@pytest.mark.parametrize("place", ["file/cache", "/proc/nowhere"])
def test_a_cache_that_cannot_be_made_is_told(memory, tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GROUNDSWIFT_CACHE", os.path.join(tmp_path, place))
    url = memory("a.jpg", b"abc")
    message = rf"{place}: cannot be written \(.*\), so {url} cannot be fetched; expected a folder .* GROUNDSWIFT_CACHE names it"
    with pytest.raises(GroundswiftError, match=message):
        local_copy(url)


def test_a_full_disk_is_told_and_leaves_nothing(cache):
    """A limit of the size of files stands for it."""
    code = (
        "import resource\nimport fsspec\nfrom groundswift.storage import local_copy\nfrom groundswift.errors import GroundswiftError\n"
        "fsspec.filesystem('memory').pipe_file('/a.jpg', b'x' * 100_000)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: local_copy('memory://a.jpg')\nexcept GroundswiftError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith(f"{cache}: cannot be written (File too large), so memory://a.jpg cannot be fetched"), done.stderr
    assert copies(cache) == []


def test_where_the_cache_lies(monkeypatch, tmp_path):
    assert storage.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("GROUNDSWIFT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert storage.cache_folder() == tmp_path / "xdg" / "groundswift"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which counts for nothing
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage.cache_folder() == tmp_path / ".cache" / "groundswift"


def test_partial_copies_of_killed_processes_are_removed_and_others_stay(memory, cache):
    (cache / "partial").mkdir(parents=True)
    for name, age_s in (("old", 2 * storage.STALE_S), ("young", 60)):
        (cache / "partial" / name).write_text("")
        os.utime(cache / "partial" / name, (time.time() - age_s,) * 2)
    local_copy(memory("a.jpg", b"abc"))
    assert [path.name for path in (cache / "partial").iterdir()] == ["young"]


def test_many_threads_fetch_one_address_and_many(site):
    for number in range(8):
        site.answers[f"/{number}.jpg"] = content(bytes([number]) * 50_000, f'"{number}"')
    addresses = [f"{site.address}/{number}.jpg" for number in range(8)] * 8
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda url: local_copy(url).read_bytes(), addresses))
    assert found == [bytes([number]) * 50_000 for number in range(8)] * 8


def test_a_forked_process_can_fetch(site):
    """As the workers of a data loader do, after their parent has fetched."""
    site.answers["/a.jpg"], site.answers["/b.jpg"] = content(b"a"), content(b"b", '"2"')
    code = (
        "import os, sys\nfrom groundswift.storage import local_copy\n"
        "assert local_copy(sys.argv[1] + '/a.jpg').read_bytes() == b'a'\n"
        "child = os.fork()\n"
        "if not child:\n    os._exit(0 if local_copy(sys.argv[1] + '/b.jpg').read_bytes() == b'b' else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, site.address], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_files_of_annotations_and_rows_are_read_from_addresses(memory):
    coco = memory(
        "ann.json", b'{"images": [{"id": 1, "file_name": "a.jpg", "width": 4, "height": 3}], "annotations": [], "categories": []}'
    )
    assert [image.file_name for image in read_coco(coco).images] == ["a.jpg"]
    rows = memory("rows.jsonl", b'{"messages": [], "images": ["a.jpg"]}\n{"messages": []')
    (_, row), (number, error) = read_jsonl(rows, Row)
    assert (row.images, number) == (["a.jpg"], 2)
    assert str(error).startswith("memory://storage/rows.jsonl:2: the file stops in the middle")


@pytest.mark.parametrize("read", [read_coco, lambda path: list(read_jsonl(path, Row))])
def test_faults_of_files_at_addresses_name_the_address(memory, read):
    memory("other.json", b"")
    with pytest.raises(NotThere, match=r"^memory://storage/none.json: no such object"):
        read("memory://storage/none.json")


def test_a_broken_file_at_an_address_is_told_by_its_address(memory):
    with pytest.raises(GroundswiftError, match=r"^memory://storage/ann.json:1:1: not JSON"):
        read_coco(memory("ann.json", b"words"))
