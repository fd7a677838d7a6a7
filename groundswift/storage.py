"""Local and remote files: a path may be local or a URL (`s3://`, `gs://`, `https://`, whatever fsspec knows).

A remote file is fetched whole into a cache, and the copy is used as any local file. The cache is `$GROUNDSWIFT_CACHE`, else
`$XDG_CACHE_HOME/groundswift`, else `~/.cache/groundswift`; it is never cleared, and may be deleted at any time. A copy is named after
its URL, size and ETag (or time of change), so that a changed object is fetched again; a process checks each URL once.

Why not fsspec's caches: they overlook changes, and keep half a file after a kill (benchmarks/remote_cache.py).

Credentials come from the environment and from the files that fsspec and its packages read. None is written into the cache or shown.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from .atomic_write import DISK_ERRNOS, staged
from .errors import GroundswiftError, Interrupted, error_at
from .file_guard import regular_bytes
from .terminal import echo
from .urls import is_url, is_web, scheme_of, shown, without_password, without_secrets_of

Result = TypeVar("Result")
WAITS_S = (0.5, 1.5, 4.0)  # before the second try, the third, the fourth; packages wait and try again on their own below that
GIVE_UP_S = 60  # no further try begins after that; how long one takes is up to the package (for S3: AWS_MAX_ATTEMPTS)
KNOWN_COPIES = 65_536  # URLs that a process has checked; older ones are checked again
STALE_S = 24 * 3600  # age from which a partial copy is one of a process that was killed
MARKS = ("ETag", "etag", "generation", "md5Hash", "Content-MD5", "Digest", "mtime", "LastModified", "Last-Modified", "last_modified")
MARKS += ("updated", "modified", "created")  # what stores call that which changes with the content, best first
INSTALL = "pip install 'groundswift[s3]'"
NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
REFUSED_UNSENT = {"ParamValidationError", "NoRegionError", "InvalidRegionError", "UnknownSignatureVersionError"}
USELESS_TO_REPEAT = (ImportError, NotImplementedError, TypeError, ValueError, IsADirectoryError, NotADirectoryError)


class NotThere(GroundswiftError):
    """Nothing exists at a path or URL."""


def exists(path: str | Path) -> bool:
    """Whether a file or folder is there. Raises GroundswiftError where a store does not say."""
    if not is_url(path):
        return os.path.exists(path)
    return _kind(path) is not None


def is_file(path: str | Path) -> bool:
    """Whether a file is there. Raises GroundswiftError where a store does not say."""
    return os.path.isfile(path) if not is_url(path) else _kind(path) == "file"


def is_folder(path: str | Path) -> bool:
    """Whether a folder is there; True for a web URL, since web servers have no folders to ask for.

    Raises GroundswiftError where a store does not say.
    """
    if not is_url(path):
        return os.path.isdir(path)
    return is_web(path) or _kind(path) == "directory"


def no_folder(path: str | Path) -> str:
    """Why something that should be a folder is none, in words."""
    return "a file, not a folder" if is_file(path) else "no such folder"


def stat_key(path: str | Path) -> tuple[int | None, int | str | None]:
    """(size in bytes, time of change in ns or the store's mark of the content): equal as long as a file is the same one.

    Raises NotThere, and GroundswiftError where a store does not say. The mark of a URL is None where its store gives none.
    """
    if is_url(path):
        return repeated(path, lambda: identity(_info(path)))
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise NotThere(str(error_at(path, "no such file"))) from None
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})") from None
    return found.st_size, found.st_mtime_ns


def local_copy(path: str | Path) -> Path:
    """A local file with the content of `path`: the path itself, untouched, where it is local; else a whole copy in the cache.

    Raises NotThere, and GroundswiftError that names the URL where it cannot be fetched whole: no access, a server that fails again
    and again, a cache that cannot be written, a package that is missing.
    """
    if not is_url(path):
        return Path(path)
    if scheme_of(path) in ("file", "local"):
        return Path(store_of(path)[1])
    folder = str(cache_folder())
    copy = Path(_checked_copy(folder, path))
    if not copy.is_file():  # somebody has cleared the cache since
        _checked_copy.cache_clear()
        copy = Path(_checked_copy(folder, path))
    return copy


def read_bytes(path: str | Path, expected: str) -> bytes:
    """The content of a small file or object. Raises GroundswiftError where it cannot be read; `expected` says what it should be."""
    try:
        return regular_bytes(local_copy(path))
    except OSError as error:
        raise error_at(shown(path), f"cannot be read ({error.strerror})", expected) from None


def read_text(path: str | Path, expected: str) -> str:
    """The text of a small file or object, without its byte order mark. Raises GroundswiftError as `read_bytes`, and if it is not UTF-8."""
    try:
        return read_bytes(path, expected).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise error_at(shown(path), f"not UTF-8 text (byte {error.start})", expected) from None


def cache_folder() -> Path:
    """The folder of the copies."""
    own, base = os.environ.get("GROUNDSWIFT_CACHE"), os.environ.get("XDG_CACHE_HOME", "")
    if own:
        return Path(os.path.abspath(os.path.expanduser(own)))
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.cache")) / "groundswift"


@lru_cache(KNOWN_COPIES)
def _checked_copy(folder: str, url: str) -> str:
    """The copy of the present content of a URL."""
    return repeated(url, lambda: _copied(folder, url))


def _copied(folder: str, url: str) -> str:
    """One try. Processes and threads may fetch one URL at the same time: each has a file of its own, and the last stays."""
    store, place = store_of(url)
    info = _info(url)
    if info.get("type") == "directory":
        raise error_at(shown(url), "is a folder", "a file")
    size, mark = identity(info)
    key = blake2b(f"{without_password(url)}\n{size}\n{mark}".encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    suffix = re.search(r"\.[A-Za-z0-9]{1,10}$", re.split(r"[?#]", place)[0])
    target = os.path.join(folder, key[:2], key[2:] + (suffix.group() if suffix else ""))
    if mark is not None and os.path.isfile(target) and size in (None, os.path.getsize(target)):
        return target
    temporary = _place_for(folder, target, url)
    try:
        with staged(Path(target), Path(temporary), durable=False):
            store.get_file(place, temporary)
            got = os.path.getsize(temporary)
            if size not in (None, got):
                raise ConnectionError(f"got {got} bytes of {size}")
            if identity(_info(url)) != (size, mark):
                raise ConnectionError("it changed while being fetched")
    except OSError as error:
        if error.errno in DISK_ERRNOS:
            raise cache_error(folder, url, error) from None
        raise
    return target


def _place_for(folder: str, target: str, url: str) -> str:
    """A new empty file for a partial copy, on the disk of its target, whose folder is made."""
    temporary = os.path.join(_partial_folder(folder), os.urandom(8).hex())
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.makedirs(os.path.dirname(temporary), exist_ok=True)
        open(temporary, "xb").close()
    except OSError as error:
        raise cache_error(folder, url, error) from None
    return temporary


@lru_cache(16)
def _partial_folder(folder: str) -> str:
    """The folder of partial copies; a process first removes those of killed processes."""
    partial = os.path.join(folder, "partial")
    with suppress(OSError):
        for entry in os.scandir(partial):
            if entry.stat().st_mtime < time.time() - STALE_S:
                os.unlink(entry)
    return partial


def cache_error(folder: str, url: str, error: OSError) -> Interrupted:
    """The error of a cache that cannot be written."""
    what = f"cannot be written ({error.strerror}), so {shown(url)} cannot be fetched"
    return Interrupted(str(error_at(folder, what, "a folder with room that can be written; GROUNDSWIFT_CACHE names it")))


def _kind(url: str) -> str | None:
    """file or directory; None where nothing is there."""
    try:
        return repeated(url, lambda: _info(url)).get("type", "file")
    except NotThere:
        return None


def _info(url: str) -> dict[str, Any]:
    """What the store says about a file now: a listing that it made earlier does not count."""
    store, place = store_of(url)
    store.invalidate_cache(place)
    return store.info(place)


def identity(info: dict[str, Any]) -> tuple[int | None, str | None]:
    """(size in bytes, mark of the content) of what a store says about a file; None for what it does not say."""
    return info.get("size"), next((f"{name} {info[name]}" for name in MARKS if info.get(name)), None)


def store_of(url: str) -> tuple[Any, str]:
    """(fsspec's file system, the path in it). It is fsspec that keeps one for each thread, and makes new ones after a fork.

    `a::b` is not a chain here: a URL in a data file must not choose how another one is read.
    """
    scheme = scheme_of(url)
    try:
        from fsspec.registry import get_filesystem_class

        kind = get_filesystem_class(scheme)
    except ImportError as error:
        remedy = f": {INSTALL}" if scheme in ("s3", "s3a") else "; install the package that fsspec names for it"
        raise error_at(shown(url), f"{scheme}:// needs a package that is not installed ({error}){remedy}") from None
    except ValueError:
        expected = f"one that fsspec knows, as s3:// ({INSTALL}), gs:// or https://"
        raise error_at(shown(url), f"unknown scheme {scheme}://", expected) from None
    return kind(**kind._get_kwargs_from_urls(url), **time_limits(scheme)), kind._strip_protocol(url)


def time_limits(scheme: str) -> dict[str, Any]:
    """What makes a store give up a server that says nothing for GROUNDSWIFT_TIMEOUT seconds (default 20), for HTTP and S3."""
    text = os.environ.get("GROUNDSWIFT_TIMEOUT", "20")
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise error_at("GROUNDSWIFT_TIMEOUT", repr(text[:100]), "whole seconds above 0")
    seconds = int(text)
    if scheme in ("http", "https"):
        from aiohttp import ClientTimeout

        limit = ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
        return {"client_kwargs": {"timeout": limit}}
    if scheme in ("s3", "s3a"):
        retries = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"retries": {"max_attempts": 1}}  # `repeated` tries again
        return {"config_kwargs": {"connect_timeout": seconds, "read_timeout": seconds, **retries}}
    return {}


def repeated(url: str, action: Callable[[], Result]) -> Result:
    """Do something with a URL, again after a wait where that may help. Every error comes out as GroundswiftError."""
    began, tries = time.monotonic(), 0
    while True:
        try:
            return action()
        except GroundswiftError:
            raise
        except Exception as error:  # stores raise those of many packages
            final = _final(url, error)
            if final is None and (tries == len(WAITS_S) or time.monotonic() - began > GIVE_UP_S):
                what = f"cannot be read, tried {tries + 1} times in {time.monotonic() - began:.0f} s ({_described(url, error)})"
                final = Interrupted(str(error_at(shown(url), what, "a server that sends the whole file")))
            if final is not None:
                raise final from None
            shown_error = _described(url, error)
        echo(f"{shown(url)}: {shown_error}; try {tries + 2} of {len(WAITS_S) + 1} in {WAITS_S[tries]} s", err=True)
        time.sleep(WAITS_S[tries])
        tries += 1


def _final(url: str, error: Exception) -> GroundswiftError | None:
    """What an error means where trying again is of no use; None where it may help."""
    where, what, kinds = shown(url), _described(url, error), {kind.__name__ for kind in type(error).__mro__}
    status = getattr(_reason(error), "status", None)  # of a web server; fsspec calls its every error a missing file
    if kinds & NO_CREDENTIALS:
        expected = "credentials in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), or FSSPEC_S3_ANON=true"
        return error_at(where, f"no credentials ({what})", expected)
    if isinstance(error, PermissionError) or status in (401, 403):
        return error_at(where, f"access denied ({what})", "credentials that may read and list it")
    if isinstance(error, FileNotFoundError) and (_reason(error) is error or status in (404, 410)):
        return NotThere(str(error_at(where, f"no such object ({what})")))
    if isinstance(error, USELESS_TO_REPEAT) or kinds & REFUSED_UNSENT:
        return error_at(where, f"cannot be read ({what})", "the URL of a file")
    return None


def _reason(error: Exception) -> BaseException:
    """What made a web URL look like a missing file, or the error itself."""
    cause = error.__cause__
    return cause if isinstance(error, FileNotFoundError) and type(cause).__module__.partition(".")[0] in ("aiohttp", "asyncio") else error


def _described(url: str, error: Exception) -> str:
    """Kind and text of an error in one line, without secrets, at most 240 characters."""
    reason = _reason(error)
    text = without_secrets_of(" ".join(str(reason).split()), url)
    return f"{type(reason).__name__}: {text}"[:240] if text else type(reason).__name__
