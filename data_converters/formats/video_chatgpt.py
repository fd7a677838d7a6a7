"""Questions about videos -> rows: VideoChatGPT's benchmark, its own files and the hubs', and its training set VideoInstruct100K."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from groundswift.errors import error_at
from groundswift.file_guard import path_inside
from groundswift.records import VIDEO, Message, Row
from groundswift.storage import is_file, is_folder
from groundswift.urls import absolute
from groundswift.worker_pool import WorkerPool

from ..base import Options, Reading, path_option
from ..file_io.row_files import read_rows
from ..file_io.row_images import video_problem
from ..issues import IssueLog, SkipSample, skip
from ..tasks.conversation import RowMaker, check_texts, numbered_id

SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov")
ABSENT = (None, "None")  # a question that the hubs' rows do not have


class VideoRow(msgspec.Struct, rename={"first": "Q1", "second": "Q2", "asked": "Q", "answered": "A"}):
    """One row of any form: video_name, question or question_1 and question_2, answer; video_name, Q or Q1 and Q2, A; video_id, q, a."""

    video_name: str | None = None
    question: str | None = None
    question_1: str | None = None
    question_2: str | None = None
    answer: str | None = None
    asked: str | None = None
    first: str | None = None
    second: str | None = None
    answered: str | None = None
    video_id: str | None = None
    q: str | None = None
    a: str | None = None

    def parts(self) -> tuple[str | None, list[str], str | None]:
        """(name of the video, questions, answer)."""
        if self.video_id is not None:
            return self.video_id, [self.q] if self.q is not None else [], self.a
        questions = (self.question, self.question_1, self.question_2, self.asked, self.first, self.second)
        answer = self.answer if self.answer is not None else self.answered
        return self.video_name, [each for each in questions if each not in ABSENT], answer


class VideoChatGptOptions(Options, frozen=True, kw_only=True):
    """Turn questions about videos into rows: <video> and the question, answered.

    SOURCE is a file of swift/VideoChatGPT or lmms-lab/VideoChatGPT (Generic, Temporal or Consistency), Parquet or JSON, or
    the JSON list of VideoInstruct100K (q, a, video_id) or of the benchmark's own files (video_name, Q or Q1 and Q2, A). A row
    of Consistency asks twice: a row for each question. The video is the file in DIR named by the row, with .mp4, .avi, .mkv,
    .webm or .mov appended, the first that exists. sample_id is the name of SOURCE and the number of the row, and of the
    question where a row has several: test/7/2.

    \b
    Example:
      groundswift convert video-chatgpt Generic.parquet --videos Test_Videos/ --out generic.jsonl
    """

    name, summary = "video-chatgpt", "Questions about videos."
    reads, writes = "VideoChatGPT: rows of the hubs, the benchmark's own files, VideoInstruct100K", "video answering"
    EXAMPLE = {
        "Generic.parquet": [{"video_name": "v_1", "question": "What?", "question_1": "None", "question_2": "None", "answer": "A cat."}],
        "Test_Videos/v_1.mp4": b"a video",
    }

    videos: Annotated[str, path_option("Folder of the videos.", "DIR")]
    check_videos: Annotated[bool, msgspec.Meta(description="Look for the videos, or trust the source (no suffix: .mp4).")] = True

    def open(self, log: IssueLog, pool: WorkerPool) -> Reading:
        if self.check_videos and not is_folder(self.videos):
            raise error_at(self.videos, "no such folder", "the folder of the videos (--videos), or --no-check-videos")
        rows, total = read_rows(self.annotations, VideoRow)
        return Reading(rows, VideoMaker(absolute(self.videos), self.check_videos, self.annotations), total)


class VideoMaker(RowMaker, frozen=True):
    """Makes the rows of one source row, one per question."""

    folder: str
    check: bool
    source: str

    def rows(self, where: str, source: VideoRow, log: IssueLog) -> Iterator[Row]:
        name, questions, answer = source.parts()
        if not name or not questions or answer is None:
            lacking = [word for word, there in (("video", name), ("question", questions), ("answer", answer is not None)) if not there]
            raise skip("row-incomplete", where, f"no {', no '.join(lacking)}", "a video, a question and an answer")
        blank = "question" if not all(map(str.strip, questions)) else "answer" if not answer.strip() else None
        if blank:
            raise skip(f"{blank}-empty", where, f"a blank {blank}", "a text")
        path = self.video(where, name)
        for number, question in enumerate(questions, 1):
            messages = [Message("user", question), Message("assistant", answer)]
            check_texts(where, messages, [], False, log)
            messages[0] = Message("user", f"{VIDEO}{question}")
            sample_id = numbered_id(self.source, where) + (f"/{number}" if len(questions) > 1 else "")
            yield Row(messages, videos=[path], sample_id=sample_id)

    def video(self, where: str, name: str) -> str:
        """The path or URL of a video by its name. Raises SkipSample where there is none."""
        thing = f"{where} ({name[:200]})"
        suffixes = ("",) if name.lower().endswith(SUFFIXES) else SUFFIXES
        paths = [path_inside(self.folder, name + suffix) for suffix in suffixes]
        if None in paths:
            expected = "the name of a file inside the folder of the videos"
            raise skip("video-path-outside", thing, f"name {name[:200]!r} with {self.folder}", expected)
        if not self.check:
            return paths[0]
        path = next((path for path in paths if is_file(path)), None)
        if path is None:
            what = f"video not found: {(name + '|'.join(suffixes))[:300]} in {self.folder}"
            raise skip("video-missing", thing, what, "the video (use --no-check-videos to skip this check)")
        if issue := video_problem(path, thing):
            raise SkipSample(issue)
        return path
