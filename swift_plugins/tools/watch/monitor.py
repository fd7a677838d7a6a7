"""A run: frames from the source, answers from the server, verdicts, alarms. One thread reads, one or more ask."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any, NamedTuple

from groundswift.errors import GroundswiftError, error_at
from groundswift.terminal import one_line

from .alarms import AlarmRule
from .asking import TITLES, Asker, Reply, model_of
from .detector import detector_of
from .figures import Figures, in_ms
from .frames import Encoder, Frame, Sampler, changed_share
from .recording import Recorder
from .settings import Settings
from .sources import Source
from .verdicts import Verdict, judge_of
from .waiting import Waiting
from .webhook import Outbox, append_line

VERDICTS = "verdicts.jsonl"
PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0)  # after a request that failed; the last one for ever
SHOWN = 100  # verdicts that the page lists
NOT_ASKED = ("unchanged", "undetected")  # verdicts without an answer of the model


class Judged(NamedTuple):
    """A frame with its row in the file of verdicts."""

    frame: Frame
    row: dict[str, Any]


class Monitor:
    """One run. Raises GroundswiftError where the source, the server or the folder cannot be used.

    `on_alarm` is called with every alarm, from any thread; `on_problem` with (server, source or webhook; what is wrong with it) where one
    begins to fail, and with an empty text where it works again.
    """

    def __init__(
        self,
        settings: Settings,
        on_alarm: Callable[[dict[str, Any]], None] = lambda alarm: None,
        on_problem: Callable[[str, str], None] = lambda where, text: None,
    ) -> None:
        self.settings, self.on_alarm, self.on_problem = settings, on_alarm, on_problem
        self.judge, self.model, self.detector = judge_of(settings), model_of(settings), detector_of(settings)
        self.folder = Path(settings.out)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise error_at(self.folder, f"cannot be made ({error.strerror})", "a folder for verdicts and alarms") from None
        self.stop, self.lock, self.figures = Event(), RLock(), Figures()
        self.source, self.encoder = Source(settings, self.stop), Encoder(settings)
        self.waiting = Waiting(settings.is_live, settings.frames_kept)
        self.rule = AlarmRule(*settings.alarm_after)
        self.recorder = Recorder(settings.before, settings.after, settings.timeout)
        self.outbox = Outbox(self.folder, settings.webhook)
        self.last_asked: Frame | None = None
        self.history: deque[Judged] = deque(maxlen=SHOWN)
        self.error: GroundswiftError | None = None
        self.problem, self.failures = "", 0
        self.reported: dict[str, str] = {}  # problems that `on_problem` knows of
        self.recordings: list[Thread] = []

    def run(self) -> None:
        """Watch until the source ends, a limit is reached or `stop` is set. Raises GroundswiftError."""
        reader = Thread(target=self._guarded, args=(self._read,), daemon=True, name="reader")
        askers = [Thread(target=self._guarded, args=(self._ask_all,), daemon=True, name="asker") for _ in range(self.settings.requests)]
        for thread in (reader, *askers):
            thread.start()
        ends = time.monotonic() + (self.settings.seconds or float("inf"))
        gives_up = time.monotonic() + self.settings.wait
        while any(asker.is_alive() for asker in askers) and not self.stop.wait(0.05):
            self._report()
            waits = not (self.settings.is_live and reader.is_alive())  # for the server alone
            if not (waits and self.problem):
                gives_up = time.monotonic() + self.settings.wait
            if time.monotonic() > min(ends, gives_up):
                self.stop.set()
        self.stop.set()
        left = self.waiting.abandon()
        for asker in askers:  # a request that is on its way gets its answer
            asker.join(self.settings.timeout)
        left += self.waiting.abandon()
        for recording in self.recordings:
            recording.join()
        self.figures.counts["frames-unanswered" if self.problem else "dropped-at-end"] += left
        if self.error is not None:
            raise self.error

    def _report(self) -> None:
        """Call `on_problem` for what has begun to fail, or works again, since the last call."""
        before, self.reported = self.reported, self.problems()
        for where in before.keys() ^ self.reported.keys():
            self.on_problem(where, self.reported.get(where, ""))

    def problems(self) -> dict[str, str]:
        """What is wrong now, by where."""
        found = {"server": self.problem, "source": self.source.problem, "webhook": self.outbox.problem if self.outbox.url else ""}
        return {where: text for where, text in found.items() if text}

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run the work of a thread; an error ends the run, with its words."""
        try:
            work()
        except GroundswiftError as error:
            self.error = self.error or error
            self.stop.set()
        finally:
            if work == self._read:
                self.waiting.close()

    def _read(self) -> None:
        sampler = Sampler(self.settings.fps)
        for time_s, image in self.source.shots():
            if self.stop.is_set():
                return
            if sampler.takes(time_s):
                try:
                    frame = self.encoder.frame(image, time_s)
                except ValueError:
                    self.figures.counts["frame-too-large"] += 1
                    continue
                self.recorder.add(frame)
                self.waiting.put(frame)
                if self.encoder.count == self.settings.limit:
                    return

    def _ask_all(self) -> None:
        asker, detecting = Asker(self.settings, self.model), self.detector and self.detector.asker()
        try:
            while not self.stop.is_set():
                free_s = time.perf_counter()
                if (frame := self.waiting.take()) is None:
                    return
                self._one(asker, detecting, frame, free_s)
        finally:
            asker.close()
            if detecting:
                detecting.close()

    def _one(self, asker: Asker, detecting: Asker | None, frame: Frame, free_s: float) -> None:
        """Ask about one frame, unless it is unchanged or the detector finds nothing. `free_s`: since when the asker waits for one."""
        if self._is_unchanged(frame):
            self._write(frame, {"verdict": "unchanged"})
            self.waiting.skip()
            return
        detector_s = self._detect(detecting, frame)
        if detector_s is None:
            self.waiting.skip()
            return
        reply = asker.ask(frame.jpeg)
        if reply.is_away:
            self._failed(frame, reply)
            return
        self.problem, self.failures = "", 0
        self._answered(frame, reply)
        spent_s = reply.seconds + detector_s
        self.figures.answered(reply.seconds, time.perf_counter() - max(free_s, frame.ready_s) - spent_s)
        self.waiting.settle(frame, is_away=False)

    def _detect(self, detecting: Asker | None, frame: Frame) -> float | None:
        """Seconds that the detector took; None where the model need not be asked. While an alarm may be going on it is not asked itself."""
        with self.lock:
            is_quiet = self.rule.is_quiet()
        if detecting is None or not is_quiet:
            return 0.0
        found = self.detector.propose(detecting, frame)
        with self.lock:
            if found.problem:
                self.figures.counts[found.problem] += 1
            if not found.fires:
                self.last_asked = frame
                self._write(frame, {"verdict": "undetected", "detector_ms": in_ms(found.seconds)})
        return found.seconds if found.fires else None

    def _is_unchanged(self, frame: Frame) -> bool:
        with self.lock:
            last, share = self.last_asked, self.settings.only_on_change
            if share is None or last is None or not self.rule.is_quiet():
                return False
            return changed_share(last.thumbnail, frame.thumbnail) < share

    def _failed(self, frame: Frame, reply: Reply) -> None:
        with self.lock:
            self.figures.counts[reply.problem] += 1
            self.problem = one_line(f"{TITLES[reply.problem]} ({reply.said})" if reply.said else TITLES[reply.problem])
            pause, self.failures = PAUSES_S[min(self.failures, len(PAUSES_S) - 1)], self.failures + 1
        self.waiting.settle(frame, is_away=True)
        self.stop.wait(pause)

    def _answered(self, frame: Frame, reply: Reply) -> None:
        if reply.problem:
            with self.lock:
                self.figures.counts[reply.problem] += 1
                self._write(frame, {"verdict": None, "error": f"{reply.said} [{reply.problem}]"})
            return
        verdict = self.judge(reply.text, reply.is_cut, frame.size_wh)
        with self.lock:
            self.last_asked = frame
            self._write(frame, row_of(reply, verdict))
            raised = None if verdict.is_alarm is None else self.rule.add(frame.number, verdict.is_alarm)
            if raised is not None:  # by this verdict, or by one that it came before
                self._raise(next((each for each in self.history if each.frame.number == raised), self.history[-1]))

    def _write(self, frame: Frame, row: dict[str, Any]) -> None:
        """Append the row of a frame; a disk that refuses it is counted, and watching goes on."""
        full = {"frame": frame.number, "time_s": round(frame.time_s, 3), "at": moment(frame.at), "size_wh": frame.size_wh, **row}
        with self.lock:
            self.figures.counts[f"verdict-{row['verdict'] or 'none'}"] += 1
            if row["verdict"] not in NOT_ASKED:
                self.history.append(Judged(frame, full))
            try:
                append_line(self.folder / VERDICTS, full)
            except OSError:
                self.figures.counts["verdict-unwritten"] += 1

    def _raise(self, judged: Judged) -> None:
        """Write an alarm, let it be sent, and record it meanwhile."""
        frame, row = judged
        name = f"{datetime.fromtimestamp(frame.at, timezone.utc):%Y%m%dT%H%M%S}-{frame.number:08d}"
        needed, window = self.settings.alarm_after
        alarm = {
            "id": name,
            "at": moment(frame.at),
            "source": self.source.name,
            "frame": frame.number,
            "time_s": round(frame.time_s, 3),
            "question": self.settings.question,
            "answer": row["answer"],
            "boxes": row["boxes"],
            "size_wh": frame.size_wh,
            "rule": f"{needed} of {window}: {self.settings.alarm_on}",
            "recording": str(self.folder / "alarms" / name),
        }
        self.figures.counts["alarms"] += 1
        self.outbox.add(alarm)
        recording = Thread(target=self.recorder.record, args=(self.folder / "alarms" / name, frame), daemon=True, name="recording")
        recording.start()
        self.recordings = [each for each in self.recordings if each.is_alive()] + [recording]
        self.on_alarm(alarm)

    def document(self) -> dict[str, Any]:
        """The state for the page and for --json."""
        with self.lock:
            counts = self.figures.counts | self.source.counts | self.waiting.counts()
            unwritten = {"frame-unwritten": self.recorder.unwritten, "alarm-unwritten": self.outbox.unwritten}
            found = self.figures.document() | {"counts": {name: count for name, count in (counts | unwritten).items() if count}}
            alarms = {"raised": self.figures.counts["alarms"], "undelivered": len(self.outbox.waiting) if self.outbox.url else 0}
            state = {"source": self.source.name, "model": self.model, "question": self.settings.question, "frames": self.encoder.count}
            return state | found | {"alarms": alarms, "problems": self.problems()}


def row_of(reply: Reply, verdict: Verdict) -> dict[str, Any]:
    """What the file of verdicts says of an answer."""
    word = None if verdict.is_alarm is None else "alarm" if verdict.is_alarm else "normal"
    row = {"verdict": word, "answer": reply.text, "boxes": boxes_of(verdict), "latency_ms": in_ms(reply.seconds)}
    return row | ({"problem": verdict.problem} if verdict.problem else {})


def boxes_of(verdict: Verdict) -> list[dict[str, Any]]:
    """Boxes in px of the frame that was sent, whose size is `size_wh`."""
    return [{"label": label, "box_xyxy_px": [round(edge, 2) for edge in box]} for label, box in verdict.boxes]


def moment(at: float) -> str:
    """A time as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
