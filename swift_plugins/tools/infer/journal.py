"""Answers on their way to the result: lines that are on the disk before the next batch begins.

A process appends a whole batch at once and flushes it to the disk. What a kill leaves is a file whose last batch may be incomplete: those
lines are dropped when it is opened again, so that a batch is answered as a whole or not at all, and never twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from groundswift.atomic_write import check_place, staged, write_whole
from groundswift.errors import error_at

LOCK = "lock"
PART = "part-{:04d}.jsonl"
RAY_ANSWERS, RAY_IDS = "ray-answers", "ray-ids"  # folders: a file of lines for each batch, and Ray Data's checkpoint


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an engine said to one question. `error`: why it is missing, ending in an id; `seconds`: its share of the batch's time."""

    response: str = ""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    logprobs: Any = None
    seconds: float | None = None
    error: str | None = None


class Entry(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `key` names the question, `fingerprint` the content of its images too; `last`: whether it ends its batch."""

    key: str
    fingerprint: str
    last: bool = False

    @classmethod
    def of(cls, key: str, fingerprint: str, answer: Answer) -> Entry:
        """An answer with its names."""
        return cls(key=key, fingerprint=fingerprint, **msgspec.structs.asdict(answer))


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """The column `inference` of a result: how a row was answered. `boxes`: how many the answer has."""

    key: str
    fingerprint: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    boxes: int | None = None
    seconds: float | None = None
    boxes_per_second: float | None = None


class ResultLine(msgspec.Struct, frozen=True, kw_only=True):
    """What of a line of a result makes an entry again."""

    inference: Inference
    response: str
    finish_reason: str | None = None
    logprobs: Any = None
    error: str | None = None

    def entry(self) -> Entry:
        """The entry that the line was made of."""
        own, done = self, self.inference
        return Entry(
            key=done.key,
            fingerprint=done.fingerprint,
            response=own.response,
            finish_reason=own.finish_reason,
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
            logprobs=own.logprobs,
            seconds=done.seconds,
            error=own.error,
        )


_ENCODER, _DECODER, _LINES = msgspec.json.Encoder(), msgspec.json.Decoder(Entry), msgspec.json.Decoder(ResultLine)


def entries_of(path: Path) -> Iterator[tuple[int, Entry]]:
    """(offset behind its line, entry) of each line, up to the first that is not whole."""
    end = 0
    with open(path, "rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            try:
                entry = _DECODER.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):  # zeros where the system died before the data was written
                return
            end += len(line)
            yield end, entry


def whole_length(path: Path) -> int:
    """The length in bytes of the whole batches at the start of a file."""
    return max((end for end, entry in entries_of(path) if entry.last), default=0)


def lines_of_batch(batch: Sequence[Entry]) -> list[bytes]:
    """The lines of a batch of answers."""
    return [_ENCODER.encode(entry) + b"\n" for entry in (*batch[:-1], msgspec.structs.replace(batch[-1], last=True))]


class Journal:
    """The part that one process writes. Opening it drops an incomplete batch at its end."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        self.path = folder / PART.format(number)
        self.file: BinaryIO = open(self.path, "ab")  # noqa: SIM115
        self.file.truncate(whole_length(self.path))

    def add(self, batch: Sequence[Entry]) -> None:
        """Append the answers of a batch, and flush them to the disk. Raises GroundswiftError where that fails."""
        try:
            self.file.write(b"".join(lines_of_batch(batch)))
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise error_at(self.path, f"cannot be written ({error.strerror})", "room on the disk; run again to go on") from None

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Place(NamedTuple):
    """A line that holds an answer or a failure. `start`, `end`: its bytes in the file."""

    path: Path
    start: int
    end: int
    fingerprint: str
    failed: bool
    in_result: bool = False


class Places:
    """Where the answer to each question is, by the question's key, over all parts and an earlier result.

    A later line replaces a failure, and nothing replaces an answer.
    """

    def __init__(self) -> None:
        self.lines: dict[str, Place] = {}

    def read_part(self, path: Path) -> Places:
        """Take in the whole batches of a part of the journal."""
        start, whole = 0, whole_length(path)
        for end, entry in entries_of(path):
            if end > whole:
                break
            self._take(Place(path, start, end, entry.fingerprint, entry.error is not None), entry.key)
            start = end
        return self

    def read_result(self, path: Path) -> Places:
        """Take in an earlier result. Raises GroundswiftError where a line of it is of somebody else."""
        start = 0
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    found = _LINES.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    what = f"is not a line of `groundswift infer` ({error})"
                    raise error_at(f"{path}:{number}", what, "the result as it was written, or a new --out") from None
                place = Place(path, start, start + len(line), found.inference.fingerprint, found.error is not None, True)
                self._take(place, found.inference.key)
                start += len(line)
        return self

    def _take(self, place: Place, key: str) -> None:
        known = self.lines.get(key)
        if known is None or known.failed:
            self.lines[key] = place

    def has_answer(self, key: str) -> bool:
        """Whether a question has an answer that is not a failure."""
        return key in self.lines and not self.lines[key].failed


def stored(out: Path, ray: bool = True) -> Places:
    """All answers and failures of a result: of its file, if it is there, and of its journal, with what Ray wrote or without."""
    places = Places()
    if out.is_file():
        places.read_result(out)
    folder = folder_of(out)
    for path in [*sorted(folder.glob("part-*.jsonl")), *sorted(folder.glob(f"{RAY_ANSWERS}/*.jsonl") if ray else [])]:
        places.read_part(path)
    return places


def entry_at(place: Place, open_files: dict[Path, BinaryIO]) -> Entry:
    """The entry in a line; files are opened once."""
    if place.path not in open_files:
        open_files[place.path] = open(place.path, "rb")  # noqa: SIM115
    open_files[place.path].seek(place.start)
    line = open_files[place.path].read(place.end - place.start)
    return _LINES.decode(line).entry() if place.in_result else _DECODER.decode(line)


def folder_of(out: Path) -> Path:
    """The hidden folder of a result's journal, on the disk of the result."""
    target = Path(os.path.realpath(out))
    return target.with_name(f".{target.name}.journal")


def put(path: Path, out: Path, lines: Iterable[bytes]) -> None:
    """Write a file of the result `out` as a whole, by way of its journal's folder: what a kill leaves of it goes with the folder.

    Raises GroundswiftError where it cannot be written.
    """
    check_place(path)
    made = folder_of(out) / path.name
    write_whole(made, lines)
    try:
        with staged(Path(os.path.realpath(path)), made, durable=False):
            pass
    except OSError as error:
        raise error_at(path, f"cannot be written ({error.strerror})", "a file in a folder that can be written") from None
