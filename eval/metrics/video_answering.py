"""Video answering: question answering of rows with videos: choice first, by task and duration, with intervals over videos."""

from __future__ import annotations

from ..answers.choices import LETTERS
from .question_answering import QuestionAnswering, options_of_command


class VideoAnswering(QuestionAnswering):
    """Accuracy of RESULT, whose rows ask about videos: choice by default, and all numbers of `question-answering`.

    The options are those that each question lists (`A. ... B. ...`), unless --choices names others. Questions about one video are not
    independent: intervals are over videos. --group-by gives the numbers of each task or duration.

    \b
    Example:
      groundswift eval video-answering result.jsonl --out scored/
      groundswift eval video-answering result.jsonl --rows val.jsonl --group-by task --group-by duration --out scored/
    """

    name, title = "video_answering", "Video answering"
    numbers = tuple(sorted(QuestionAnswering.numbers, key=lambda number: number.key != "choice"))
    options = options_of_command(LETTERS)
