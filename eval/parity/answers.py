"""Result files of several ways to run a model, joined by sample, question and image size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import MsgspecError, Raw, Struct, json

from groundswift.boxes import Boxes
from groundswift.errors import GroundswiftError, Tally, error_at

from ..answers.confidence import token_places
from ..answers.protocol import Rules
from ..answers.swift_results import (
    KEEPS_COLUMNS,
    RESPONSE_MISSING,
    Problem,
    Said,
    Token,
    TokenResultRow,
    logprob_problem,
    size_missing,
    usable_rows,
)
from ..answers.to_boxes import boxes_of_answers
from ..ground_truth import OnError

Key = tuple[str, str, tuple[int, int] | None, str]  # sample id as text, name of the size, size_wh, question
ADVICE = "Use --on-error skip to compare the rest."
SIZES_PX = (512, 1024, 2048)  # bounds of the longer side, where no row names its size
ID_MISSING = Problem("sample-id-missing", "the row has no sample_id", KEEPS_COLUMNS)


class Turn(Said, gc=False):
    """One turn and who said it."""

    role: str = ""


class WeighedToken(Token, gc=False):
    """A token, and the likeliest ones in its place, which are most of a line's text: decoded only where they are used."""

    top_logprobs: Raw = Raw(b"[]")

    def likeliest(self) -> dict[str, float]:
        """Log-probabilities by token; {} where the row has none that can be read."""
        try:
            return {each.token: each.logprob for each in json.decode(self.top_logprobs, type=list[Token] | None) or ()}
        except MsgspecError:
            return {}


class WeighedTokens(Struct):
    """All tokens of an answer."""

    content: list[WeighedToken] | None = None


class ParityRow(TokenResultRow):
    """One line of a result. `parity_size`: the name of the size that its image was resized to."""

    messages: list[Turn] = []
    images: list[Any] = []
    logprobs: WeighedTokens | None = None
    parity_size: str | None = None

    def generated(self) -> list[Token]:
        return (self.logprobs.content or []) if self.logprobs else []


@dataclass(frozen=True)
class Sample:
    """One answer. `tokens` are those of its text, `end` what was generated after them (`<|im_end|>`); no tokens: None.

    `boxes_xyxy_px` (n, 4) and `labels` are None where it is not known how boxes are written.
    """

    sample_id: int | str
    size_name: str
    size_wh: tuple[int, int] | None
    image: str
    text: str
    truncated: bool
    tokens: list[WeighedToken] | None
    end: list[WeighedToken]
    status: str = "ok"
    boxes_xyxy_px: Boxes | None = None
    labels: list[str] | None = None


@dataclass(frozen=True)
class WayAnswers:
    """The answers of one way by key, in the order of their rows; `failed`: why a sample has none; `skipped` rows by reason."""

    name: str
    path: Path
    rules: Rules | None
    samples: dict[Key, Sample]
    failed: dict[Key, str] = field(default_factory=dict)
    skipped: Tally = field(default_factory=Tally)


def read_way(name: str, path: Path, rules: Rules | None, on_error: OnError = "stop") -> WayAnswers:
    """The answers in a result file; of two rows with one key the first counts.

    Raises GroundswiftError at the first row that cannot be compared; with `on_error` `skip` it is counted.
    """
    skipped, failed, kept = Tally(), {}, {}
    for number, row, _ in usable_rows(path, ParityRow, lambda row: _problem_of(row, rules), skipped, on_error, ADVICE):
        key = key_of(row)
        if row.error:
            failed[key] = str(row.error)
        elif key in kept:
            skipped.add("row-duplicate", f"{path}:{number}")
        else:
            kept[key] = row
    failed = {key: reason for key, reason in failed.items() if key not in kept}
    samples = [_sample_of(row, skipped) for row in kept.values()]
    return WayAnswers(name, path, rules, dict(zip(kept, _with_boxes(samples, rules), strict=True)), failed, skipped)


def _problem_of(row: ParityRow, rules: Rules | None) -> Problem | None:
    """Why a row cannot be compared."""
    if row.sample_id is None:
        return ID_MISSING
    if row.error:
        return None
    if row.response is None:
        return RESPONSE_MISSING
    if rules is not None and (problem := size_missing(row.size_wh)):
        return problem
    return logprob_problem(row) if row.generated() else None


def key_of(row: ParityRow) -> Key:
    """What joins the answers to one question: id, size and the text of the user."""
    asked = "\n".join(str(turn.content) for turn in row.messages if turn.role == "user")
    return str(row.sample_id), row.parity_size or "", row.size_wh, asked


def _sample_of(row: ParityRow, skipped: Tally) -> Sample:
    tokens, end = _tokens_of(row)
    if tokens is None and row.generated():
        skipped.add("tokens-differ", f"sample {row.sample_id}")
    image = row.images[0] if row.images else ""
    name = image.get("path") or "" if isinstance(image, dict) else str(image)
    size_name = row.parity_size or size_class(row.size_wh)
    return Sample(row.sample_id, size_name, row.size_wh, name, row.response, row.was_truncated(), tokens, end)


def _tokens_of(row: ParityRow) -> tuple[list[WeighedToken] | None, list[WeighedToken]]:
    """(the tokens of the text, those after it); None where there are none or they do not spell the text."""
    found = row.generated()
    if not found:
        return None, []
    if not row.response:
        return [], found
    places = token_places([each.token for each in found], row.response)
    return (None, []) if places is None else (found[: len(places[0])], found[len(places[0]) :])


def size_class(size_wh: tuple[int, int] | None) -> str:
    """The class of an image size by its longer side, and whether it is far from square."""
    if size_wh is None:
        return "size unknown"
    longer, shorter = max(size_wh), max(min(size_wh), 1)
    bounds = [bound for bound in SIZES_PX if longer <= bound]
    name = f"up to {bounds[0]} px" if bounds else f"over {SIZES_PX[-1]} px"
    return f"{name}, {'wide' if size_wh[0] > size_wh[1] else 'tall'}" if longer > 1.5 * shorter else name


def _with_boxes(samples: list[Sample], rules: Rules | None) -> list[Sample]:
    """The samples with their boxes in original pixels."""
    if rules is None or not samples:
        return samples
    names = [f"sample {each.sample_id}" for each in samples]
    columns = ([each.text for each in samples], [each.size_wh for each in samples])
    found = boxes_of_answers(*columns, rules, names, [each.truncated for each in samples])
    more = zip(samples, found.statuses, found.boxes_xyxy_px, found.labels, strict=True)
    return [Sample(**{**vars(each), "status": s, "boxes_xyxy_px": np.asarray(b), "labels": names}) for each, s, b, names in more]


def common_keys(ways: Sequence[WayAnswers], on_error: OnError = "stop") -> tuple[list[Key], dict[str, int]]:
    """The samples that all ways answered, in the order of the first; and for each way how many others it lacks.

    Raises GroundswiftError where ways share no sample or, unless `on_error` is `skip`, where one lacks an answer of another.
    """
    asked = dict.fromkeys(key for way in ways for key in (*way.samples, *way.failed))
    common = [key for key in asked if all(key in way.samples for way in ways)]
    lacking = {way.name: [key for key in asked if key not in way.samples] for way in ways}
    for way in ways if on_error == "stop" or not common else ():
        if lacking[way.name]:
            raise _lacks(way, lacking[way.name], ways, common)
    if not common:
        raise GroundswiftError(f"{', '.join(str(way.path) for way in ways)}: no rows to compare; expected answers to the same rows")
    return common, {name: len(keys) for name, keys in lacking.items()}


def _lacks(way: WayAnswers, keys: list[Key], ways: Sequence[WayAnswers], common: list[Key]) -> GroundswiftError:
    """The error for a way without the answers that others have."""
    sample_id, size_name, size_wh, _ = keys[0]
    size = f" at {'x'.join(map(str, size_wh))} px" if size_wh else ""
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    others = next((other.name for other in ways if keys[0] in other.samples), "the others")
    same = next((key for key in way.samples if key[0] == sample_id), None)
    reason = f" ({way.failed[keys[0]]})" if keys[0] in way.failed else ""
    if not reason and same is not None:
        differs = "size" if same[1:3] != (size_name, size_wh) else "question"
        reason = f" (its row of this sample has another {differs})"
    expected = f"an answer to each row that {others} answered" + ("" if common else "; the ways have no sample in common")
    return error_at(way.path, f"way {way.name} has no answer to sample {sample_id!r}{size}{more}{reason}", f"{expected}. {ADVICE}")
