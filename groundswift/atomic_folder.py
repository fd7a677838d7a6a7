"""A folder that a later run replaces as a whole: filled next to its place, then swapped in one step, never with files of two runs."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .atomic_write import remove_folder, sigterm_as_exit, sync
from .errors import GroundswiftError, error_at

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


@contextmanager
def replaced_folder(out: Path, own_files: frozenset[str], keep_others: bool = False) -> Iterator[Path]:
    """An empty folder to fill, which replaces `out` when the block ends; after an error `out` is as it was.

    `own_files`: names of the files that this command writes, and so may replace. Of several commands at once each gets its own folder,
    and the last one stays, whole. A mount point, the working directory and a folder whose parent cannot be written are not replaced, but
    their files are, one by one; so is a folder with other files if `keep_others` is set. Without it `check_folder` refuses those.
    """
    check_folder(out, own_files, keep_others)
    target, staging, filling = Path(os.path.realpath(out)), None, False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with sigterm_as_exit(), _staging(target, _in_place(target, own_files)) as staging:
            filling = True
            yield staging
            filling = False
            with _locked(target.parent):
                check_folder(out, own_files, keep_others)
                _move(staging, target, own_files)
    except GroundswiftError as error:
        raise type(error)(str(error).replace(str(staging), str(out))) from None
    except OSError as error:
        if filling:
            raise
        raise error_at(out, f"cannot be written ({error.strerror})", "a folder for the output") from None


def check_folder(out: Path, own_files: frozenset[str], keep_others: bool = False) -> None:
    """Raises GroundswiftError where `out` is a file, cannot be written, or holds other files than `own_files`, unless `keep_others`."""
    expected = "a folder for the output"
    try:
        if os.path.lexists(out) and not os.path.isdir(out):
            raise error_at(out, "cannot be written (it is a file)", expected)
        if not os.path.isdir(out):
            return
        if not os.access(out, os.W_OK):
            raise error_at(out, "cannot be written (Permission denied)", expected)
        others = [] if keep_others else _others(out, own_files)
    except OSError as error:
        raise error_at(out, f"cannot be written ({error.strerror})", expected) from None
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise error_at(out, f"holds {others[0]!r}{more}, which this command did not write", "a new or empty folder, or one that it wrote")


def _others(folder: Path, own_files: frozenset[str]) -> list[str]:
    """Names in a folder other than our own plain files and our unfinished folders."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not (entry.name in own_files and entry.is_file(follow_symlinks=False)) and not _is_staging(entry.name)
        )


def _in_place(target: Path, own_files: frozenset[str]) -> bool:
    """Whether only the files of a folder can be replaced, not the folder."""
    if not target.is_dir():
        return False
    stays = os.path.ismount(target) or not os.access(target.parent, os.W_OK) or target == Path(os.path.realpath(os.getcwd()))
    return stays or bool(_others(target, own_files))


@contextmanager
def _staging(target: Path, in_place: bool) -> Iterator[Path]:
    """A new folder next to the target, or in it; those of commands that were killed are removed."""
    parent = target if in_place else target.parent
    mark = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
    staging = parent / f".groundswift.{mark}.{os.urandom(4).hex()}.tmp"
    with _locked(parent):
        _remove_abandoned(parent, mark)
        staging.mkdir()
        held = _lock(staging, wait=False)
    try:
        if target.is_dir():
            staging.chmod(target.stat().st_mode & 0o7777)
        yield staging
    finally:
        remove_folder(staging)
        if held is not None:
            os.close(held)


def _is_staging(name: str) -> bool:
    return name.startswith(".groundswift.") and name.endswith(".tmp")


def _remove_abandoned(parent: Path, mark: str) -> None:
    """Remove unfinished folders of the same target that no running process holds."""
    for name in os.listdir(parent):
        if _is_staging(name) and name.startswith(f".groundswift.{mark}."):
            held = _lock(parent / name, wait=False)
            if held is not None:
                remove_folder(parent / name)
                os.close(held)


def _move(staging: Path, target: Path, own_files: frozenset[str]) -> None:
    """Replace the files of the target by those of a finished folder. Afterwards `staging` is gone or holds the earlier ones."""
    if staging.parent == target:
        for name in own_files - set(os.listdir(staging)):
            (target / name).unlink(missing_ok=True)
        for name in os.listdir(staging):
            os.replace(staging / name, target / name)
    elif not target.exists():
        os.rename(staging, target)
    elif not _exchange(staging, target):
        old = staging.with_name(staging.name.replace(".tmp", ".old.tmp"))
        os.rename(target, old)
        try:
            os.rename(staging, target)
        except OSError:
            os.rename(old, target)
            raise
        remove_folder(old)
    with suppress(OSError):
        sync(target.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number))


def _lock(folder: Path, wait: bool) -> int | None:
    """An open handle that locks a folder against other commands; None where it is locked, or the system cannot lock folders."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One command at a time in a folder, where the system can lock it."""
    held = _lock(folder, wait=True)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)
