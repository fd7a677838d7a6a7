"""The images of another set, such as the validation set, that no row should have too."""

from __future__ import annotations

from pathlib import Path

from groundswift.errors import GroundswiftError
from groundswift.row_view import RowView

from ..image_paths import path_of
from ..jsonl_lines import lines_of
from ..line_index import key64
from .checks_images import ImageChecks, cached_check, sources_of


def key_of(source: str) -> int:
    """64 bits that identify an image: by the file its path leads to, else by its text."""
    path = path_of(source)
    return key64(str(Path(path).resolve()) if path else source)


def images_of(path: str | Path, images: ImageChecks) -> tuple[frozenset[int], frozenset[int]]:
    """(paths, contents) of all images of a set, 64 bits each. Raises GroundswiftError if the file cannot be read or a line is not a row."""
    paths, contents = set(), set()
    check = cached_check(images)
    for line in lines_of(path):
        if line.row is None and line.rule == "not-json":
            raise GroundswiftError(f"{path}:{line.number}: {line.problem}")
        for source in filter(None, sources_of(RowView.of(line.row)) if line.row else ()):
            paths.add(key_of(source))
            digest = check(source).digest
            if digest is not None:
                contents.add(digest)
    return frozenset(paths), frozenset(contents)
