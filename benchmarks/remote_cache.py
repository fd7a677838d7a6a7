"""A cache of remote files: groundswift.storage.local_copy and fsspec's simplecache and filecache, all in this run, from a local web server.

- speed: milliseconds for a first fetch and for a file that is in the cache already, by size; medians.
- what a run of days needs of a cache: an object that has changed is fetched again; half a file of a killed process is not taken for the
  whole one; a server that fails once is asked again.

    python benchmarks/remote_cache.py
    python benchmarks/remote_cache.py --files 20 --json
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
from measure import JSON, needs_lines, options_of, show

SIZES = {"100 kB": 100_000, "10 MB": 10_000_000}
CHUNK = 200_000


class Handler(BaseHTTPRequestHandler):
    """Objects of the size in their path; `version` is their content, `slow` sends in pieces, `failures` is how many requests fail."""

    protocol_version = "HTTP/1.1"
    version, slow, failures = b"a", False, 0

    def do_HEAD(self) -> None:
        """Size and ETag."""
        self.answer(send=False)

    def do_GET(self) -> None:
        """The content."""
        self.answer(send=True)

    def answer(self, send: bool) -> None:
        """One response, or a failure."""
        kind = type(self)
        if kind.failures and send:
            kind.failures -= 1
            self.send_error(503)
            return
        data = kind.version * int(self.path.split("/")[1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{kind.version.decode()}{len(data)}"')
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # of a process that was killed
            for start in range(0, len(data) if send else 0, CHUNK):
                self.wfile.write(data[start : start + CHUNK])
                time.sleep(0.2 if kind.slow else 0)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def server() -> str:
    """The URL of a server that runs meanwhile."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def ours(url: str, folder: str) -> Path:
    """The copy of storage."""
    from groundswift import storage

    os.environ["GROUNDSWIFT_CACHE"] = folder
    return storage.local_copy(url)


def cached(protocol: str) -> Callable[[str, str], Path]:
    """The local copy made by one of fsspec's caches; filecache is set to check whether the object has changed."""

    def copy(url: str, folder: str) -> Path:
        options = {"cache_storage": folder, **({"check_files": True} if protocol == "filecache" else {})}
        return Path(fsspec.open_local(f"{protocol}::{url}", **{protocol: options}))

    return copy


CACHES = {"ours": ours, "simplecache": cached("simplecache"), "filecache": cached("filecache")}


def forgotten() -> None:
    """As in a new process: what this one remembers is dropped."""
    from groundswift import storage

    storage._checked_copy.cache_clear()
    fsspec.filesystem("http").clear_instance_cache()
    for kind in ("simplecache", "filecache"):
        fsspec.get_filesystem_class(kind).clear_instance_cache()


def speed(url: str, files: int) -> dict[str, dict[str, dict[str, float]]]:
    """Median milliseconds by size, cache, and whether the file was there."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for label, size in SIZES.items():
        for name, copy in CACHES.items():
            times: dict[str, list[float]] = {"first": [], "again": []}
            with tempfile.TemporaryDirectory() as folder:
                for number in range(files):
                    for when in times:
                        forgotten()
                        began = time.perf_counter()
                        assert copy(f"{url}/{size}/{number}.jpg", folder).stat().st_size == size
                        times[when].append((time.perf_counter() - began) * 1000)
            table.setdefault(label, {})[name] = {when: statistics.median(each) for when, each in times.items()}
    return table


@contextmanager
def serving(**state: object) -> Iterator[None]:
    """Meanwhile the server behaves as said, then as before."""
    before = {name: getattr(Handler, name) for name in state}
    for name, value in state.items():
        setattr(Handler, name, value)
    yield
    for name, value in before.items():
        setattr(Handler, name, value)


def again(url: str, folder: str, name: str, right: bytes) -> str:
    """Whether another process would get the right content, or what is raised instead."""
    forgotten()
    try:
        return "right" if CACHES[name](url, folder).read_bytes() == right else "wrong content"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:100]


def changed(url: str, name: str) -> str:
    """An object that changes, of the same size, between two runs."""
    with tempfile.TemporaryDirectory() as folder:
        CACHES[name](f"{url}/1000/changed.jpg", folder)
        with serving(version=b"b"):
            return again(f"{url}/1000/changed.jpg", folder, name, b"b" * 1000)


def killed(url: str, name: str) -> str:
    """A process that is killed while it fetches, and another one after it."""
    with tempfile.TemporaryDirectory() as folder:
        with serving(slow=True):
            code = f"import remote_cache as b; b.CACHES[{name!r}]({url + '/2000000/killed.jpg'!r}, {folder!r})"
            process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            while not any(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.kill()
            process.wait()
        return again(f"{url}/2000000/killed.jpg", folder, name, b"a" * 2_000_000)


def failing(url: str, name: str) -> str:
    """A server that fails once."""
    with tempfile.TemporaryDirectory() as folder, serving(failures=1):
        return again(f"{url}/1000/failing.jpg", folder, name, b"a" * 1000)


NEEDS = {"an object that changed": changed, "after a process killed while it fetched": killed, "a server that fails once": failing}


def main() -> None:
    """Both tables."""
    options = options_of(__doc__, json=JSON, files={"type": int, "default": 20, "help": "of each size"})
    with server() as url:
        needs = {need: {name: check(url, name) for name in CACHES} for need, check in NEEDS.items()}
        result = {"milliseconds": speed(url, options.files), "needs": needs}
    lines = [
        f"{size:<8} " + " ".join(f"{name} {each['first']:6.1f} ms, again {each['again']:5.1f} ms;" for name, each in caches.items())
        for size, caches in result["milliseconds"].items()
    ]
    show(result, options.json, [*lines, *needs_lines(needs)])


if __name__ == "__main__":
    main()
