"""Pictures that rows hold themselves, as rows of the hubs do (`{"bytes": ..., "path": ...}`), written into a folder that swift can read."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec

from groundswift.atomic_write import staged
from groundswift.errors import GroundswiftError, Interrupted, fault
from groundswift.file_guard import NotAFile, path_inside, regular_size
from groundswift.images import read_size_wh
from groundswift.urls import is_url

from ..issues import Issue, IssueLog
from .images import TURNED_BY_EXIF, UPRIGHT

SUFFIXES = (  # what a file begins with -> its suffix, for names without one
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
)
OF_ITS_NAME = {  # errors of a system that another name would not meet, and their words for it
    errno.ENAMETOOLONG: "is too long for the disk",
    errno.EILSEQ: "has characters that the disk cannot spell",
    errno.EINVAL: "has characters that the disk cannot spell",
    errno.EISDIR: "is a folder",
    errno.ENOTDIR: "lies below a file",
}
SavePictures = Annotated[  # the option of formats whose rows may hold their pictures
    str | None,
    msgspec.Meta(
        description="Folder to write the pictures to that the rows hold themselves, each as it is read.",
        extra={"path": True, "metavar": "DIR"},
    ),
]
HELD = "image-embedded"  # the reason to count by
NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)


Content = bytes  # another name, since the field below hides it where annotations are read


class HeldPicture(msgspec.Struct):
    """A picture as a row holds it: the content of its file, and the name that the file had."""

    bytes: Content | None = None
    path: str | None = None


def folder_to_keep(folder: str | None) -> str | None:
    """The absolute path of a folder for pictures, None where none is given. Raises GroundswiftError where it is no place on this machine's
    disks."""
    if not folder:
        return None
    if is_url(folder):
        raise fault(folder, "pictures cannot be written to an address", "a local folder (--save-pictures)")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise fault(folder, "is no folder", "a folder for the pictures (--save-pictures)")
    return os.path.abspath(folder)


def held_size_wh(data: bytes | None, thing: str, log: IssueLog) -> tuple[int, int] | None:
    """The upright size (width, height) in px of a picture by its header; None, and a fault is noted, where it is missing or none."""
    if not data:
        log.add(Issue("image-missing", thing, "no bytes in the row's image", "the content of a picture file"))
        return None
    try:
        size_wh, orientation = read_size_wh(data)
    except GroundswiftError as error:
        log.add(Issue("image-unreadable", thing, str(error), "a picture that Pillow opens"))
        return None
    if orientation != UPRIGHT:
        log.count(TURNED_BY_EXIF, thing)
    return size_wh


def kept_picture(folder: str, name: str, data: bytes, thing: str, log: IssueLog) -> str | None:
    """Write a picture into `folder`, whole or not at all -> its path; None, and a fault is noted, where its name cannot be used.

    `name` may have folders of its own, and none that leads out of `folder`; one without a suffix gets that of its content. The same
    content may come any number of times, from several processes at once; another content of the same name is a fault.
    Raises Interrupted where the folder cannot be written.
    """
    if path_inside(folder, name) is None:
        log.add(Issue("image-path-outside", thing, f"name {name[:200]!r} with {folder}", "the name of a file inside the folder"))
        return None
    path = path_inside(folder, named(name, data))
    try:
        same = _written_once(path, data)
    except UnicodeEncodeError:
        log.add(Issue("image-name-invalid", thing, f"name {name[:200]!r} has half a character", "the name of a file"))
        return None
    except OSError as error:
        if error.errno not in OF_ITS_NAME:
            told = fault(path, f"cannot be written ({error.strerror})", "a folder that can be written (--save-pictures)")
            raise Interrupted(str(told)) from None
        log.add(Issue("image-name-invalid", thing, f"name {name[:200]!r} {OF_ITS_NAME[error.errno]}", "the name of a file"))
        return None
    if not same:
        expected = "one picture for a name; an empty folder, where an earlier run wrote others"
        log.add(Issue("image-name-repeated", thing, f"{path} holds another picture", expected))
        return None
    return path


def named(name: str, data: bytes) -> str:
    """A name with a suffix: its own, else that of its content; WebP, which begins as other files do, is told by its mark."""
    if os.path.splitext(name)[1]:
        return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return f"{name}.webp"
    return name + next((suffix for start, suffix in SUFFIXES if data.startswith(start)), "")


def _written_once(path: str, data: bytes) -> bool:
    """Whether `path` holds `data` now: written if nothing was there. What is there is never replaced.

    The partial file is named after both, so that a run that goes on after a kill finishes the one that was left; others that write the
    same picture at the same time put the same bytes into the same file.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{blake2b(os.fsencode(name) + data, digest_size=16).hexdigest()}.tmp")
    try:
        if (same := _holds(path, data)) is not None:
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # of a run that was killed after its last step
            return same
        os.makedirs(folder, exist_ok=True)
        partial = staged(Path(path), Path(temporary), replace=False)
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
