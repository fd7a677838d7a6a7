"""Results of `swift infer`: rows of answers, joined to the ground truth by image id."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec

from groundswift.errors import GroundswiftError, Tally, error_at
from groundswift.gc_control import give_back, without_collection
from groundswift.image_resize import limits_of_its_own
from groundswift.records import read_jsonl
from groundswift.spaces import space_row

from ..ground_truth import OnError, Truth
from ..progress import late_bar
from .confidence import Tokens, compact_tokens
from .csv_results import is_table, read_table
from .protocol import Rules
from .to_boxes import Answers, reader_of, size_problem

KEEPS_COLUMNS = (
    'swift infer run with --custom_register_path "$(groundswift plugin)", which keeps the columns that groundswift convert wrote'
)
NO_ANSWER = "row-failed"
SKIP_ROWS = "Use --on-error skip to drop and count such rows."
AGAIN = (
    "Run swift infer again with a new --result_path (it appends to an existing file), or use --on-error skip to score the rest; objects of "
    "images without a row are then FN"
)
MANY = 200_000  # boxes
HIGHEST_LOGPROB, LOWEST_LOGPROB = 1e-3, -1e6


class Problem(NamedTuple):
    """Why a row cannot be scored: an id to count by, what it has, and what is expected."""

    id: str
    what: str
    expected: str = ""


BAD = (Problem, GroundswiftError)
RESPONSE_MISSING = Problem("response-missing", "the row has no response", "the text that the model wrote")
LOGPROBS_MISSING = Problem(
    "logprobs-missing", "the row has no logprobs", "swift infer --logprobs true, without --stream true, which drops them"
)


class Token(msgspec.Struct, gc=False):
    """One generated token and its log-probability."""

    token: str
    logprob: float


class LogProbabilities(msgspec.Struct):
    """All tokens of an answer, as the OpenAI format nests them."""

    content: list[Token]


class Said(msgspec.Struct, gc=False):
    """One turn: what identifies the question."""

    content: Any = None


class ResultRow(msgspec.Struct):
    """One line of a result file; the fields that scoring does not need are skipped unread."""

    messages: list[Said] = []
    sample_id: int | str | None = None
    size_wh: tuple[int, int] | None = None
    classes: Any = msgspec.field(default=None, name="asked")  # those that the question is about, where these are not all
    chat_template_kwargs: dict[str, Any] | None = None
    response: str | None = None
    error: Any = None  # why the answer is missing, as groundswift's plugin writes it: the image could not be read, the row is too long
    finish_reason: Any = None
    is_truncated: Any = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")
    parsed: ClassVar[None] = None  # its boxes are not known yet
    place: ClassVar[int] = 0

    def question(self) -> str:
        """What the model was asked."""
        return str(self.messages[0].content) if self.messages else ""

    def generated(self) -> list[Token]:
        """The tokens of the answer; [] where the row has none that can be read."""
        try:
            found = msgspec.json.decode(self.logprobs, type=LogProbabilities | None)
        except msgspec.MsgspecError:
            return []
        return found.content if found else []

    def asked_classes(self) -> list[str] | None:
        """The classes that the question is about; None where the row does not state them, which means all."""
        named = isinstance(self.classes, list) and self.classes and all(isinstance(name, str) for name in self.classes)
        return self.classes if named else None

    def was_truncated(self) -> bool:
        """Whether generation stopped at its token limit, where the row says so.

        For a blank answer its tokens decide: if all are blank, none of them ended the turn.
        """
        if self.finish_reason == "length" or self.is_truncated is True:
            return True
        if self.response is None or (self.response and not self.response.isspace()):
            return False
        tokens = self.generated()
        return bool(tokens) and not any(token.token.strip() for token in tokens)


class TokenResultRow(ResultRow):
    """The same with log-probabilities, which are most of a line's text: decoded only where they are used."""

    logprobs: LogProbabilities | None = None

    def generated(self) -> list[Token]:
        return self.logprobs.content if self.logprobs else []

    def tokens(self) -> Tokens:
        content = self.generated()
        return compact_tokens([token.token for token in content], [token.logprob for token in content])


class ScoredToken(msgspec.Struct, gc=False):
    """A token whose log-probability one can be."""

    token: str
    logprob: Annotated[float, msgspec.Meta(ge=LOWEST_LOGPROB, le=HIGHEST_LOGPROB)]


class ScoredTokens(msgspec.Struct):
    """`LogProbabilities` of such tokens."""

    content: list[ScoredToken]


class ScoredRow(TokenResultRow):
    """A `TokenResultRow` whose log-probabilities need no check of their own."""

    logprobs: ScoredTokens | None = None


def usable_rows(
    path: str | Path,
    kind: type,
    value_of: Callable[[Any], Any],
    dropped: Tally,
    on_error: OnError = "stop",
    advice: str = SKIP_ROWS,
    checked: type | None = None,
    ahead: Iterable[tuple[int, Any]] | None = None,
) -> Iterator[tuple[int, Any, Any]]:
    """Every row that can be scored: (number of its line, the row, what `value_of` makes of it, unless that is a `Problem`).

    `checked`: as `read_jsonl` has it. `ahead`: the numbers and rows, where they are read already.
    Raises GroundswiftError as `drop` does, with `advice`.
    """
    whole, rows = 0, read_table(path, kind) if is_table(path) else read_jsonl(path, kind, checked)
    for number, row in rows if ahead is None else ahead:
        value = row if isinstance(row, GroundswiftError) else value_of(row)
        if isinstance(value, BAD):
            drop(value, f"{path}:{number}", dropped, on_error, f"{whole} valid rows before it. {advice}")
        else:
            whole += 1
            yield number, row, value


def drop(problem: Problem | GroundswiftError, where: str, dropped: Tally, on_error: OnError, advice: str = SKIP_ROWS) -> None:
    """Count a row that cannot be scored. Raises GroundswiftError unless `on_error` is skip or the run itself could not answer it."""
    broken = isinstance(problem, GroundswiftError)
    reason, error = ("row-invalid", problem) if broken else (problem.id, error_at(where, problem.what, problem.expected))
    if on_error == "stop" and reason != NO_ANSWER:
        raise GroundswiftError(f"{error}\n{advice}")
    dropped.add(reason, where)


def row_kinds(rules: Rules) -> tuple[type, type | None]:
    """The types of rows, and of those that need no check, where tokens score boxes or do not."""
    return (TokenResultRow, ScoredRow) if rules.score == "logprob" else (ResultRow, None)


@without_collection()
def read_answers(
    path: str | Path,
    truth: Truth,
    rules: Rules,
    on_error: OnError = "stop",
    progress: bool = False,
    ahead: Iterable[tuple[int, Any]] | None = None,
) -> Answers:
    """All answers of a result file. An image may be asked several questions, such as one a class; their answers count together.
    The first row of an id and question counts: swift appends to a file that exists.

    Raises GroundswiftError at the first row that cannot be used, with its line and what to do; with `on_error` `skip` it is skipped
    and counted. Duplicate ids and images without a row are counted either way. `progress` draws a bar on stderr. `ahead`: the rows of
    the file (`row_blocks`), where other processes have read them.
    """
    reader = reader_of(truth, rules)
    index_of: dict[object, int] = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    index_of |= {str(image_id): index for image_id, index in index_of.items()}  # a file whose other ids are text has these as text, too
    seen: set[tuple[int, int]] = set()
    sizes_wh = list(map(tuple, truth.sizes_wh.tolist()))
    find = partial(image_of, index_of=index_of, sizes_wh=sizes_wh, resized=space_row(rules.space_name).side == "resized")
    kind, checked = row_kinds(rules)
    rows = usable_rows(path, kind, find, reader.counts.rows, on_error, AGAIN, checked, ahead)
    for number, row, index in late_bar(rows, len(truth.image_ids), "read answers", "row") if progress else rows:
        reader.counts.read += 1
        if row.error:
            reader.counts.rows.add(NO_ANSWER, f"image {row.sample_id}: {row.error}")
            continue
        asked = index, reader.questions.setdefault(row.question(), len(reader.questions))
        if asked in seen:
            reader.counts.rows.add("row-duplicate", f"image {row.sample_id} at line {number}")
            continue
        seen.add(asked)
        reader.add(
            index,
            row.response,
            row.tokens() if isinstance(row, TokenResultRow) else None,
            row.was_truncated(),
            asked[1],
            row.asked_classes(),
            row.parsed,
            row.place,
        )
    if not seen:
        what = "no row has an answer" if reader.counts.read or reader.counts.rows.counts else "holds no rows"
        raise GroundswiftError("\n".join([str(error_at(path, what, "the answers of swift infer")), *reader.counts.rows.lines()]))
    answers = reader.answers(truth)
    if len(answers.predictions.scores) > MANY:
        give_back()
    return answers


def image_of(row: ResultRow, index_of: dict[object, int], sizes_wh: Sequence[tuple[int, int]], resized: bool) -> int | Problem:
    """The index of a row's image, or why the row cannot be scored. `resized`: boxes are in pixels of the resized image."""
    if row.sample_id is None:
        return Problem("sample-id-missing", "the row has no sample_id", KEEPS_COLUMNS)
    if row.response is None:
        return RESPONSE_MISSING
    index = index_of.get(row.sample_id)
    if index is None:
        what = f"sample_id {row.sample_id!r} is not in the ground truth"
        return Problem("row-unknown", what, "the file that the rows were converted from")
    if row.size_wh is not None and row.size_wh != (size_wh := sizes_wh[index]):
        return Problem("size-differs", f"image {row.sample_id} {size_problem(row.size_wh, size_wh)}")
    problem = own_limits(row.chat_template_kwargs) if resized else None
    if problem is None and isinstance(row, TokenResultRow):
        problem = logprob_problem(row)
    return index if problem is None else problem


def size_missing(size_wh: tuple[int, int] | None) -> Problem | None:
    """The problem of a row without the size of its image."""
    if size_wh is not None and min(size_wh) >= 1:
        return None
    return Problem("size-missing", "the row has no size_wh", "[width, height] of the image, as groundswift convert writes it")


def own_limits(kwargs: dict[str, Any] | None) -> Problem | None:
    """The problem of a row whose image is resized by limits other than the run's."""
    if not (own := limits_of_its_own(kwargs)):
        return None
    what = f"the row limits its own image (chat_template_kwargs: {', '.join(own)}), so the limits of the run do not place its boxes"
    return Problem("own-limits", what, "rows that leave the limits to the run, or --on-error skip")


def logprob_problem(row: TokenResultRow) -> Problem | None:
    """Why the tokens of a row give no confidence. A little over 0 is rounding of the runtime and allowed."""
    if not row.error and (row.logprobs is None or (row.response and not row.logprobs.content)):
        return LOGPROBS_MISSING
    return None if isinstance(row, ScoredRow) else logprob_range(row.tokens().logprobs)


def logprob_range(logprobs: Sequence[float]) -> Problem | None:
    """The problem of log-probabilities that none can be."""
    if not logprobs or (max(logprobs) <= HIGHEST_LOGPROB and min(logprobs) >= LOWEST_LOGPROB and not math.isnan(sum(logprobs))):
        return None
    wrong = next(value for value in logprobs if not LOWEST_LOGPROB <= value <= HIGHEST_LOGPROB)
    return Problem("logprob-invalid", f"log-probability {wrong!r}", "numbers up to 0, as swift infer writes them")
