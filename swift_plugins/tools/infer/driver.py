"""The run: what is still to be answered, batch by batch into the journal, and the result when all is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import IO, Any, Protocol

from groundswift.atomic_write import sigterm_as_exit, staged
from groundswift.errors import GroundswiftError, error_at
from groundswift.image_resize import Limits
from groundswift.run_record import RESULT_SUFFIX, RunRecord, differing_limits, read_record, write_record
from groundswift.terminal import counted

from .batches import Batch, batches_of
from .job import Pixels, claim, digest_of, job_of, note_served, pixels_of
from .journal import LOCK, Answer, Entry, Journal, Places, folder_of, stored
from .questions import Question, ask_of_images, read_questions
from .result import write_result
from .settings import Settings

READERS = 8  # threads that read images
CHUNK = 256  # questions given at once to an engine that makes its own batches
SHOWN = 3  # rows that a message names


class Engine(Protocol):
    """What answers: swift's engines or a server. `record`: how its boxes are written, where that is known; `served_model`: a server's."""

    record: RunRecord | None
    served_model: str | None

    def answers(self, batches: Iterator[Batch]) -> Iterator[tuple[Batch, list[Answer]]]:
        """Answer batches in any order."""


@dataclass
class Run:
    """A job over its questions. `pixels`: the limits in force; `digest`: of the job; `dropped`: rows of the file by id of the reason."""

    settings: Settings
    pixels: Pixels
    job: dict[str, Any]
    questions: list[Question]
    dropped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, settings: Settings, job: dict[str, Any] | None = None) -> Run:
        """Read the questions and fingerprint the model, unless `job` has it. Raises GroundswiftError for bad input."""
        pixels = pixels_of(settings)
        job, dropped = job or job_of(settings, pixels), Counter()
        if os.path.isdir(settings.data):
            questions = ask_of_images(settings.data, settings.classes, settings.prompt, settings.language, settings.limit)
        else:
            questions, dropped = read_questions(settings.data, settings.limit)
        return cls(settings, pixels, job, questions, dropped)

    @property
    def out(self) -> Path:
        """The result file."""
        return Path(self.settings.out)

    @property
    def limits(self) -> Limits:
        """The pixel limits, as far as they are known."""
        return Limits(self.pixels.min_pixels, self.pixels.max_pixels, self.pixels.first)

    def batches(self) -> list[Batch]:
        """All batches, whatever is answered."""
        asked = self.settings
        rows = 1 if asked.url is not None else asked.batch_size or (None if asked.engine == "transformers" else CHUNK)
        places = batches_of(self.questions, self.limits, asked.max_new_tokens, rows)
        return [Batch([self.questions[place] for place in batch]) for batch in places]

    def pending(self, places: Places, shard: int = 0, shards: int = 1) -> list[Batch]:
        """What of one shard of the batches has no answer yet."""
        left = ([each for each in batch.questions if not places.has_answer(each.key)] for batch in self.batches()[shard::shards])
        return [Batch(questions) for questions in left if questions]

    def check(self, places: Places) -> None:
        """Raise GroundswiftError where stored answers are to other rows or other images than these."""
        expected = "the same rows and images, possibly with more rows, or a new --out"
        asked = {question.key for question in self.questions}
        if others := sum(not place.failed and key not in asked for key, place in places.lines.items()):
            raise error_at(self.out, f"holds {counted(others, 'answer')} to questions that are not in {self.settings.data}", expected)
        digest = digest_of(self.job)
        answered = [question for question in self.questions if places.has_answer(question.key)]
        with ThreadPoolExecutor(READERS) as pool:
            found = pool.map(lambda question: question.fingerprint(digest) == places.lines[question.key].fingerprint, answered)
            changed = [question for question, same in zip(answered, found, strict=True) if not same]
        if changed:
            names = ", ".join(map(sample_name, changed[:SHOWN])) + (", ..." if len(changed) > SHOWN else "")
            raise error_at(self.out, f"the images of {counted(len(changed), 'row')} changed since they were answered ({names})", expected)

    def answer(self, engine: Engine, batches: Sequence[Batch], number: int, advance: Callable[[list[Answer]], None]) -> None:
        """Answer batches into part `number` of the journal."""
        digest, journal = digest_of(self.job), Journal(folder_of(self.out), number)
        try:
            with ThreadPoolExecutor(READERS) as pool:
                for batch, answers in engine.answers(iter(batches)):
                    names = pool.map(lambda question: question.fingerprint(digest), batch.questions)
                    rows = zip(batch.questions, names, answers, strict=True)
                    journal.add([Entry.of(question.key, name, answer) for question, name, answer in rows])
                    advance(answers)
        finally:
            journal.close()

    def finish(self, places: Places) -> None:
        """Write the result, then remove the journal: a kill between the two only leaves more to read."""
        record = Path(self.settings.out + RESULT_SUFFIX)
        family = read_record(record).family if record.is_file() else None
        write_result(self.out, self.questions, places, family)
        rmtree(folder_of(self.out), ignore_errors=True)


def sample_name(question: Question) -> str:
    """A row as messages name it."""
    sample_id = question.row.get("sample_id")
    return question.where if sample_id is None else f"sample_id {sample_id!r}"


def note_record(out: Path, record: RunRecord | None, number: int | str = 0) -> None:
    """Write the record of a run before its first answer. Raises GroundswiftError where the result has one that says something else."""
    path = out.with_name(out.name + RESULT_SUFFIX)
    if record is None:
        return
    if path.is_file():
        earlier = read_record(path)
        changed = [name for name in ("family", "space") if getattr(earlier, name) != getattr(record, name)]
        if changed or differing_limits(earlier.limits, record.limits, record.family):
            terms = ", ".join(changed) or "pixel limits"
            raise error_at(out, f"holds answers of a run with other {terms} ({path.name})", "a new --out, or the settings of that run")
        return
    made = folder_of(out) / f"{number}-{path.name}"  # several processes may write it at once
    write_record(made, record)
    with staged(path, made):
        pass


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """The journal's folder, held against other runs. Raises GroundswiftError where another one has it."""
    folder = folder_of(run.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(lock_of(run.out), "a")  # noqa: SIM115
    except OSError as error:
        raise error_at(run.out, f"cannot be written ({error.strerror})", "a file in a folder that can be written") from None
    with file:
        lock(file, run.out)
        try:
            claim(run.out, run.job)
        except GroundswiftError:
            if not any(folder.glob("part-*")):
                rmtree(folder, ignore_errors=True)
            raise
        with sigterm_as_exit():
            yield


def lock_of(out: Path) -> Path:
    """The file that is locked while a result is written."""
    return folder_of(out) / LOCK


def lock(file: IO[str], out: Path) -> None:
    """Hold a file until it is closed, or all processes that have it are gone. Raises GroundswiftError where another run holds it."""
    with suppress(ImportError):  # Windows has no fcntl
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise error_at(out, "another `groundswift infer` is writing this result") from None


@dataclass
class Summary:
    """What a run did. `answered`: now; `kept`: from earlier runs; `failed`: by id."""

    rows: int = 0
    kept: int = 0
    answered: int = 0
    truncated: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def take(self, answers: Sequence[Answer]) -> None:
        """Count answers as they come."""
        for each in answers:
            if each.error is None:
                self.answered += 1
                self.truncated += each.finish_reason == "length"
            else:
                self.failed[each.error.rpartition("[")[2].rstrip("]")] += 1

    def merge(self, others: Sequence[Summary]) -> None:
        """Count in what other processes did for the same job."""
        for other in others:
            self.answered += other.answered
            self.truncated += other.truncated
            self.failed += other.failed

    @classmethod
    def of_all(cls, each: Sequence[Summary]) -> Summary:
        """The sums over several files."""
        total = cls(sum(one.rows for one in each), sum(one.kept for one in each))
        total.merge(each)
        for one in each:
            total.dropped += one.dropped
        return total

    def document(self) -> dict[str, Any]:
        """The summary for programs."""
        return {
            "rows": self.rows,
            "answered_before": self.kept,
            "answered": self.answered,
            "truncated": self.truncated,
            "failed": dict(self.failed),
            "dropped": dict(self.dropped),
        }

    def lines(self, out: str) -> list[str]:
        """The summary for people."""
        before = f", {self.kept} before" if self.kept else ""
        lines = [f"{out}: {counted(self.rows, 'row')}, {self.answered} answered{before}"]
        if self.truncated:
            lines.append(f"{counted(self.truncated, 'answer')} stopped at --max-new-tokens, boxes may be missing [answers-truncated]")
        for title, counts in (
            ("without an answer, see their column `error`; the same command tries them again", self.failed),
            ("dropped", self.dropped),
        ):
            if counts:
                named = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
                lines.append(f"{counted(counts.total(), 'row')} {title}: {named}")
        return lines


def run_alone(run: Run, make: Callable[[], Engine], advance: Callable[[list[Answer]], None]) -> Summary:
    """Answer all that is not answered yet in this process, and write the result. `make` loads the engine, where it is needed."""
    summary = Summary(rows=len(run.questions), dropped=run.dropped)

    def note(answers: list[Answer]) -> None:
        summary.take(answers)
        advance(answers)

    with locked(run):
        places = stored(run.out)
        run.check(places)
        pending = run.pending(places)
        summary.kept = len(run.questions) - sum(len(batch.questions) for batch in pending)
        advance([Answer()] * summary.kept)
        if pending:
            engine = make()
            if engine.served_model:
                note_served(run.out, run.job, engine.served_model)
            note_record(run.out, engine.record)
            run.answer(engine, pending, 0, note)
        run.finish(stored(run.out))
    return summary
