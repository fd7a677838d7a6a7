"""Paths and URLs as text: which of both a name is, its parts, and how it is shown without its secrets. No file is touched."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from .errors import without_secrets


def is_url(path: str | Path) -> bool:
    """Whether a text starts with `scheme://`. A Path never does: it has lost a slash."""
    return isinstance(path, str) and "://" in path and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path) is not None


def is_web(path: str | Path) -> bool:
    """Whether a text is a URL of a web server, which has no folders to list and may need a query."""
    return is_url(path) and scheme_of(path) in ("http", "https")


def shown(path: str | Path) -> str:
    """A path for a message: a URL without its user, password and query, which may hold a signature."""
    return without_secrets_of(path, path) if is_url(path) else str(path)


def file_name(path: str | Path) -> str:
    """The last part of a path; of a web URL without its query, so that a signed URL names its file too."""
    return os.path.basename(urlsplit(path).path if is_web(path) else path)


def folder_of(path: str) -> str:
    """The folder of a file. The query of a web URL is kept."""
    if not is_web(path):
        return os.path.dirname(path) or os.curdir
    parts = urlsplit(path)
    return urlunsplit(parts._replace(path=posixpath.dirname(parts.path)))


def join(folder: str, name: str) -> str:
    """`folder/name`, for local folders and URLs. The query of a web URL is kept, after the name."""
    if not is_url(folder):
        return os.path.join(folder, name)
    if not is_web(folder):
        return f"{folder.rstrip('/')}/{name}"
    parts = urlsplit(folder)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name.replace('?', quote('?')).replace('#', quote('#'))}"))


def joined_inside(folder: str, name: str) -> str | None:
    """`folder/name` for a folder that is a URL; None where the name is empty, absolute, a URL, or leaves the folder, however often it is
    percent-encoded and whichever slashes it has."""
    normal = form = posixpath.normpath(name) if name and not is_url(name) else "."
    while True:
        plain = posixpath.normpath(form.replace("\\", "/"))
        if plain.startswith("/") or plain.split("/")[0] in (".", "..") or "://" in form or re.search(r"[\x00-\x1f\x7f]", form):
            return None
        decoded = unquote(form)
        if decoded == form:
            return join(folder, normal)
        form = decoded


def absolute(path: str) -> str:
    """A path that does not depend on the working folder; a URL as it is, without a slash at its end."""
    return path.rstrip("/") if is_url(path) else os.path.abspath(path)


def without_password(url: str) -> str:
    """A URL without its password."""
    user = _user(url)
    return url.replace(f"{user}@", f"{user.partition(':')[0]}@", 1) if user else url


def without_secrets_of(text: str, url: str) -> str:
    """A text without the secrets of a URL, and without user, password and query of any other URL in it."""
    user, query = _user(url), url.partition("?")[2]
    for secret, instead in ((f"{user}@", ""), (user.partition(":")[2], "..."), (query, "...")):
        if len(secret) > 1:
            text = text.replace(secret, instead)
    return without_secrets(text)


def _user(url: str) -> str:
    """`user:password` of a URL, or nothing."""
    return url.partition("://")[2].split("/")[0].rpartition("@")[0]


def scheme_of(url: str) -> str:
    """The scheme of a URL in lower case, such as s3."""
    return url.partition("://")[0].lower()
