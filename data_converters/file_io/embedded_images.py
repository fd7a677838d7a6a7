"""Images embedded in rows, as in rows of the hubs (`{"bytes": ..., "path": ...}`), written to a folder that swift can read."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec

from groundswift.atomic_write import staged
from groundswift.errors import GroundswiftError, Interrupted, error_at
from groundswift.file_guard import NotAFile, path_inside, regular_size
from groundswift.images import read_size_wh
from groundswift.urls import is_url

from ..issues import Issue, IssueLog
from .images import EXIF_ROTATED, UPRIGHT

SUFFIXES = (  # what a file begins with -> its suffix, for names without one
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)
OF_ITS_NAME = {  # errors that only another name avoids -> how messages describe them
    errno.ENAMETOOLONG: "is too long for the disk",
    errno.EILSEQ: "has characters that the disk does not support",
    errno.EINVAL: "has characters that the disk does not support",
    errno.EISDIR: "is a folder",
    errno.ENOTDIR: "needs a folder where a file exists",
}
SaveImages = Annotated[  # the option of formats whose rows may embed their images
    str | None,
    msgspec.Meta(
        description="Folder for the images that are embedded in the rows.",
        extra={"path": True, "metavar": "DIR"},
    ),
]
HELD = "image-embedded"  # the reason to count by
NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)


Content = bytes  # another name, since the field below hides it where annotations are read


class EmbeddedImage(msgspec.Struct):
    """An image embedded in a row: the content of its file, and the name of that file."""

    bytes: Content | None = None
    path: str | None = None


def folder_to_save(folder: str | None) -> str | None:
    """The absolute path of a folder for images, None if none is given. Raises GroundswiftError for a URL or a path that is not a folder."""
    if not folder:
        return None
    if is_url(folder):
        raise error_at(folder, "images cannot be written to a URL", "a local folder (--save-images)")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise error_at(folder, "is not a folder", "a folder for the images (--save-images)")
    return os.path.abspath(folder)


def embedded_size_wh(data: bytes | None, thing: str, log: IssueLog) -> tuple[int, int] | None:
    """The upright size (width, height) in px from an image's header; None, and a problem is logged, if it is missing or unreadable."""
    if not data:
        log.add(Issue("image-missing", thing, "no bytes in the row's image", "the content of an image file"))
        return None
    try:
        size_wh, orientation = read_size_wh(data)
    except GroundswiftError as error:
        log.add(Issue("image-unreadable", thing, str(error), "an image that Pillow can open"))
        return None
    if orientation != UPRIGHT:
        log.count(EXIF_ROTATED, thing)
    return size_wh


def write_image(folder: str, name: str, data: bytes, thing: str, log: IssueLog, durable: bool = True) -> str | None:
    """Write an image to `folder`, whole or not at all -> its path; None, and a problem is logged, if its name cannot be used.

    `name` may contain folders, but must stay inside `folder`; without a suffix it gets that of its content. The same content may be
    written any number of times, by several processes at once; other content under the same name is a problem. `durable`: flush it to
    the disk, which a crash of the machine needs and a kill does not.
    Raises Interrupted if the folder cannot be written.
    """
    if path_inside(folder, name) is None:
        log.add(Issue("image-path-outside", thing, f"name {name[:200]!r} with {folder}", "the name of a file inside the folder"))
        return None
    path = path_inside(folder, named(name, data))
    try:
        same = _written_once(path, data, durable)
    except UnicodeEncodeError:
        log.add(Issue("image-name-invalid", thing, f"name {name[:200]!r} has a lone surrogate", "the name of a file"))
        return None
    except OSError as error:
        if error.errno not in OF_ITS_NAME:
            problem = error_at(path, f"cannot be written ({error.strerror})", "a folder that can be written (--save-images)")
            raise Interrupted(str(problem)) from None
        log.add(Issue("image-name-invalid", thing, f"name {name[:200]!r} {OF_ITS_NAME[error.errno]}", "the name of a file"))
        return None
    if not same:
        expected = "one image per name (if an earlier run wrote others there, use an empty --save-images folder)"
        log.add(Issue("image-name-repeated", thing, f"{path} already holds another image", expected))
        return None
    return path


def named(name: str, data: bytes) -> str:
    """A name with a suffix: its own, else that of its content. WebP starts with RIFF like other files and is recognized by its mark."""
    if os.path.splitext(name)[1]:
        return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return f"{name}.webp"
    return name + next((suffix for start, suffix in SUFFIXES if data.startswith(start)), "")


def _written_once(path: str, data: bytes, durable: bool) -> bool:
    """Whether `path` holds `data` now: written if nothing was there. What is there is never replaced.

    The partial file is named after both, so that a run that goes on after a kill finishes the file of the killed one; processes that
    write the same image at the same time put the same bytes into the same file.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{blake2b(os.fsencode(name) + data, digest_size=16).hexdigest()}.tmp")
    try:
        if (same := _holds(path, data)) is not None:
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # of a run that was killed after its last step
            return same
        os.makedirs(folder, exist_ok=True)
        partial = staged(Path(path), Path(temporary), durable, replace=False)
        with partial, open(os.open(temporary, os.O_WRONLY | os.O_CREAT | NOT_A_LINK, 0o666), "wb") as file:
            file.write(data)
    except (FileExistsError, FileNotFoundError):  # another process has put its own there
        if (same := _holds(path, data)) is None:
            raise
        return same
    return True


def _holds(path: str, data: bytes) -> bool | None:
    """Whether a file has this content; None where there is none."""
    try:
        if regular_size(path) != len(data):
            return False
        with open(path, "rb") as file:
            return file.read() == data
    except FileNotFoundError:
        return None
    except NotAFile as error:
        if error.errno == errno.EISDIR:
            raise
        return False
