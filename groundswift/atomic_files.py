"""Several files of one folder, written together: all appear whole, or each stays as it was."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from .atomic_write import check_place, sigterm_as_exit, undisturbed
from .errors import fault


def write_parts(paths: Sequence[Path], lines: Iterable[tuple[int, bytes]]) -> None:
    """Write (number of the path, line) pairs to several files of one folder: all appear whole, or each stays as it was.

    All are written beside their places first, then moved there one after the other; if one cannot be, those before it are put back. The
    folder is made where it is missing. Raises GroundswiftError where it cannot be written.
    """
    folder, mark = paths[0].parent, secrets.token_hex(4)
    made = not folder.exists()
    temporaries = [path.with_name(f".{path.name}.{mark}.tmp") for path in paths]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            check_place(path)
        with sigterm_as_exit():
            try:
                _write(temporaries, lines)
                with undisturbed():
                    _move_all(temporaries, paths, mark)
            finally:
                for temporary in temporaries:
                    temporary.unlink(missing_ok=True)
                if made:
                    with suppress(OSError):  # it holds the parts
                        folder.rmdir()
    except OSError as error:
        raise fault(folder, f"cannot be written ({error.strerror})", "a folder that can be written") from None


def _write(places: Sequence[Path], lines: Iterable[tuple[int, bytes]]) -> None:
    with ExitStack() as open_files:
        files = [open_files.enter_context(place.open("xb")) for place in places]
        for number, line in lines:
            files[number].write(line)
        for file in files:
            file.flush()
            os.fsync(file.fileno())


def _move_all(temporaries: Sequence[Path], paths: Sequence[Path], mark: str) -> None:
    """Each temporary to its place; what stood there is kept until the last has moved, and put back if one cannot."""
    undo: list[Callable[[], object]] = []
    earlier: list[Path] = []
    try:
        for temporary, path in zip(temporaries, paths, strict=True):
            kept = path.with_name(f".{path.name}.{mark}.old")
            there = path.is_file()  # a folder that has come there since cannot be replaced, and says so
            if there:
                os.replace(path, kept)
                earlier.append(kept)
                undo.append(partial(os.replace, kept, path))
            os.replace(temporary, path)
            if not there:
                undo.append(path.unlink)
    except OSError:
        for step in reversed(undo):
            step()
        raise
    for kept in earlier:
        with suppress(OSError):  # all parts are in their places
            kept.unlink()
