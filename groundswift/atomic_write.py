"""Files and folders that appear whole or not at all: written under another name next to their place, then moved there in one step.

`staged` is the one way to do it; `write_whole` (a file), `write_together` (several files) and `new_folder` are made of it, and so is
`atomic_folder`, which replaces a folder of an earlier run.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from .background import Background
from .errors import error_at

NAME_KEPT = 50  # characters of a name in that of its temporary file, which has to fit into 255 bytes
DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}  # no hard links


def temporary_name(target: Path, ending: str = "tmp") -> Path:
    """A free, hidden name in the folder of `target`."""
    return target.with_name(f".{target.name[:NAME_KEPT]}.{os.urandom(4).hex()}.{ending}")


@contextmanager
def staged(target: Path, temporary: Path | None = None, durable: bool = True, replace: bool = True) -> Iterator[Path]:
    """A path to write a file or folder to, which replaces `target` when the block ends; after an error, Ctrl-C or SIGTERM nothing remains.

    `temporary`: that path, on the disk of `target`; by default a free name next to it. `durable`: flush a file to the disk first. A
    folder replaces only an empty one. Raises OSError; without `replace` FileExistsError where another process came first.
    """
    temporary = temporary or temporary_name(target)
    with sigterm_as_exit():
        try:
            yield temporary
            if durable and temporary.is_file():
                sync(temporary)
            (os.replace if replace else _claim)(temporary, target)
        finally:
            _remove(temporary)


def _claim(temporary: Path, target: Path) -> None:
    """Move a file or folder to a place that must be free. Raises FileExistsError where it is not."""
    if temporary.is_dir():
        try:
            os.rename(temporary, target)
        except OSError as error:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) if target.exists() else error from None
        return
    try:
        os.link(temporary, target)  # fails where something is there; a rename would replace it
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.replace(temporary, target)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what it holds, as far as that can be removed."""
    try:
        for name in os.listdir(folder):
            os.unlink(folder / name)
        os.rmdir(folder)
    except FileNotFoundError:
        return
    except OSError:  # it holds folders
        from shutil import rmtree  # a millisecond

        rmtree(folder, ignore_errors=True)


def _remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_together(paths: Iterable[Path]) -> None:
    """Flush files to the disk at the same time, as each only waits for it. Raises GroundswiftError where one cannot be."""
    running = [(path, Background(partial(sync, path))) for path in paths]
    for path, work in running:
        try:
            work.result()
        except OSError as error:
            raise error_at(path, f"cannot be written ({error.strerror})", "a disk that takes it") from None


def write_whole(path: str | Path, lines: Iterable[bytes], durable: bool = True) -> None:
    """Write all lines to a file, or leave the earlier file as it was: after an error of `lines`, Ctrl-C or SIGTERM nothing else remains.

    The place is checked before the first line is asked for; a link keeps pointing, and its target is replaced. Raises GroundswiftError
    where it cannot be written.
    """
    target = Path(os.path.realpath(path))
    check_place(path)
    temporary = temporary_name(target)
    try:
        with staged(target, temporary, durable), open(temporary, "xb") as out:
            out.writelines(lines)
    except OSError as error:
        if error.filename not in (None, str(temporary)):  # some other file, on the way to a line
            raise
        raise error_at(path, f"cannot be written ({error.strerror})", "a file in a folder that exists and can be written") from None


def write_together(paths: Sequence[Path], lines: Iterable[tuple[int, bytes]]) -> None:
    """Write (number of the path, line) pairs to several files of one folder: all appear whole, or each stays as it was.

    If one cannot be moved to its place, those before it are put back. The folder is made where it is missing. Raises GroundswiftError
    where it cannot be written.
    """
    folder = paths[0].parent
    made = not folder.exists()
    temporaries = [temporary_name(path) for path in paths]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            check_place(path)
        with sigterm_as_exit():
            try:
                with ExitStack() as open_files:
                    files = [open_files.enter_context(place.open("xb")) for place in temporaries]
                    for number, line in lines:
                        files[number].write(line)
                for place in temporaries:
                    sync(place)
                with undisturbed():
                    _move_all(temporaries, paths)
            finally:
                for place in temporaries:
                    place.unlink(missing_ok=True)
                if made:
                    with suppress(OSError):  # it holds the files
                        folder.rmdir()
    except OSError as error:
        raise error_at(folder, f"cannot be written ({error.strerror})", "a folder that can be written") from None


def _move_all(temporaries: Sequence[Path], paths: Sequence[Path]) -> None:
    """Each temporary to its place; an earlier file is kept until the last has moved, and put back if one cannot."""
    undo: list[Callable[[], object]] = []
    earlier: list[Path] = []
    try:
        for temporary, path in zip(temporaries, paths, strict=True):
            there = path.is_file()  # a folder that has come there since cannot be replaced, and says so
            if there:
                earlier.append(temporary_name(path, "old"))
                os.replace(path, earlier[-1])
                undo.append(partial(os.replace, earlier[-1], path))
            os.replace(temporary, path)
            if not there:
                undo.append(path.unlink)
    except OSError:
        for step in reversed(undo):
            step()
        raise
    for kept in earlier:
        with suppress(OSError):  # all files are in their places
            kept.unlink()


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `out` when the block ends. Raises GroundswiftError where `out` exists and is not an empty
    folder, and where it cannot be written; an OSError about a file outside the folder is passed on.
    """
    target = Path(os.path.abspath(out))
    if os.path.lexists(target) and not (target.is_dir() and not target.is_symlink() and not any(target.iterdir())):
        raise error_at(out, "exists already", "a new folder, or an empty one")
    temporary = temporary_name(target)
    try:
        with staged(target, temporary):
            temporary.mkdir()
            yield temporary
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(temporary)) and error.errno not in DISK_ERRNOS:
            raise
        raise error_at(out, f"cannot be written ({error.strerror})", "a folder that exists and can be written") from None


def check_place(path: str | Path) -> None:
    """Raises GroundswiftError where a file is to be written and something else is there."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise error_at(path, "is a folder or device", "a file to write")


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind the stack, as Ctrl-C does, so that `finally` runs; the handler of somebody else is kept."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the cleaning up after the first
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block ends, where the system can; in processes that it starts, until they unblock them."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)  # of this thread alone: another one may get them, hence the handlers
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for number in came:
            signal.raise_signal(number)
