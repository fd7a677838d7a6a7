"""Images of rows as 64 bits that are equal for the same image."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from groundswift.errors import error_at
from groundswift.file_guard import NO_NAMES
from groundswift.storage import local_copy
from groundswift.urls import is_url, shown

from .image_paths import LONGEST_PATH, path_of
from .mix import MASK

MANY_IMAGES = 256  # of a folder, which is then listed
CHUNK = 1 << 20
ODD_ENDS = (" \n", *(f"/{name}\n" for name in NO_NAMES))


class MediaKeys:
    """Image -> 64 bits that are equal for the same image: by its normalised path or, for `same_content`, by the bytes of its file. They are
    of this process alone."""

    def __init__(self, same_content: bool) -> None:
        self.same_content = same_content
        self.folder = os.getcwd()
        self.known: dict[int, int] = {}
        self.folders: dict[str, str] = {}
        self.asked: Counter[str] = Counter()  # images of a folder so far
        self.plain_folders: dict[str, str] = {}  # what those without links lead to, with a slash

    def __call__(self, source: str) -> int:
        """Raises GroundswiftError if the content is needed and cannot be read."""
        folder, _, name = source.rpartition("/")
        plain = self.plain_folders.get(folder)
        if plain and name.isascii() and name.isprintable() and name not in NO_NAMES and name[-1] != " " and len(source) <= LONGEST_PATH:
            place = plain + name
        else:
            place = self.place(source)
            self._note_folder(folder)
        key = hash(place) & MASK
        if not self.same_content or place.startswith("data "):
            return key
        if key not in self.known:
            self.known[key] = content64(source)
        return self.known[key]

    def of(self, sources: Sequence[str]) -> list[int]:
        """The keys of many. Raises as for one."""
        folders = {source.rpartition("/")[0] for source in sources}
        if not self.same_content and all(self.plain_folders.get(folder) == f"{folder}/" for folder in folders) and _are_plain(sources):
            return [hash(source) & MASK for source in sources]  # each is its own place
        return list(map(self, sources))

    def _note_folder(self, folder: str) -> None:
        """List a folder that many images are in: where it has no link, none of them needs a look."""
        root = self.folders.get(folder)
        if root is None:  # an inline image or a URL, whose text is not kept
            return
        self.asked[folder] += 1
        if self.asked[folder] == MANY_IMAGES and root.isascii() and not has_links(root):
            self.plain_folders[folder] = os.path.join(root, "")

    def place(self, source: str) -> str:
        """An absolute path without `..` and links, in composed Unicode; a URL as it is; of an inline image its text."""
        text = source.strip()
        if text.startswith("data:") or len(text) > LONGEST_PATH:
            return f"data {text.rpartition(';base64,')[2]}"
        if is_url(text):
            if not text.lower().startswith("file://"):
                return text
            text = str(local_copy(text))
        folder, slash, name = text.rpartition("/")
        if folder and slash and name not in NO_NAMES and "\0" not in text:
            text = self.in_folder(folder, name)
        else:
            text = self.without_links(os.path.normpath(os.path.join(self.folder, os.path.expanduser(text))))
        return text if text.isascii() else unicodedata.normalize("NFC", text)

    def without_links(self, path: str) -> str:
        """What a path leads to."""
        return path if "\0" in path else self.in_folder(*os.path.split(path))

    def in_folder(self, folder: str, name: str) -> str:
        """What a name in a folder leads to. Folders, most of which hold many files, are resolved once."""
        root = self.folders.get(folder)
        if root is None:
            root = os.path.realpath(os.path.normpath(os.path.join(self.folder, os.path.expanduser(folder))))
            self.folders[folder] = root
        path = os.path.join(root, name)
        return os.path.realpath(path) if os.path.islink(path) else path


def _are_plain(sources: Sequence[str]) -> bool:
    """Whether all names are printable ASCII, short, not `.` or `..`, and end with no blank."""
    text = "\n".join(sources) + "\n"
    printable = text.isascii() and "".join(sources).isprintable()
    return printable and not any(end in text for end in ODD_ENDS) and max(map(len, sources), default=0) <= LONGEST_PATH


def has_links(folder: str) -> bool:
    """Whether a folder has symbolic links, or cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_symlink() for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def content64(source: str) -> int:
    """64 bits of the content of a path or URL. Raises GroundswiftError if there is none."""
    text = source.strip()
    path = local_copy(text) if is_url(text) else path_of(text)
    if path is None or not os.path.isfile(path):
        raise error_at(shown(text), "no such file")
    digest = blake2b(digest_size=8)
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise error_at(shown(text), f"cannot be read ({error.strerror})") from None
    return int.from_bytes(digest.digest(), "little")
