"""All ways against the reference, with AP and blind answers: the content of `parity.json` and of the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundswift.errors import GroundswiftError
from groundswift.terminal import counted

from ..count_ids import tally_lines
from ..ground_truth import OnError, Truth
from .answers import Key, Sample, WayAnswers, common_keys
from .average_precision import average_precision, places_of
from .comparison import NUMBERS, SampleParity, WayParity, compare
from .tokens import FirstDifference

ALL = ""  # all sizes together, as a key next to the names of sizes
SUSPICIOUS = 0.3  # more answers as to blanked images than the reference itself has
SHOWN = 3  # first differences of each way in the terminal
NEAR_TIE = 0.1  # log-probability gap below which noise of the arithmetic decides
Ap = dict[str, dict[str, float | None]]  # by name of the size


@dataclass(frozen=True)
class Blind:
    """The answers of one way to blanked images: against its own answers to the images, and their AP."""

    name: str
    against_seen: WayParity
    ap: Ap


@dataclass(frozen=True)
class Parity:
    """`ways` without the reference; `ap` and `answers` with it; `lacking`: how many answers of others a way does not have.

    `same_as_blind`: of each way the share of texts that equal what the reference answers to blanked images, where that is known.
    """

    reference: str
    answers: list[WayAnswers]
    keys: list[Key]
    ways: list[WayParity]
    ap: dict[str, Ap]
    lacking: dict[str, int]
    tolerance: float
    blind: list[Blind] = field(default_factory=list)
    same_as_blind: dict[str, float] = field(default_factory=dict)

    @property
    def differing(self) -> list[WayParity]:
        """The ways that agree less than the tolerance allows, on some size of images."""
        return [way for way in self.ways if 1 - way.lowest_agreement > self.tolerance + 1e-9]


def parity_of(
    answers: Sequence[WayAnswers],
    truth: Truth | None = None,
    tolerance: float = 0.0,
    on_error: OnError = "stop",
    blind: Sequence[WayAnswers] = (),
) -> Parity:
    """Compare all ways with the first. `blind`: answers to blanked images, by ways of the same names. Raises GroundswiftError."""
    if len(answers) < 2 and not blind:
        raise GroundswiftError("one way to compare; expected two or more, the reference first")
    keys, lacking = common_keys(answers, on_error)
    ways = [compare(answers[0], other, keys) for other in answers[1:]]
    ap = {each.name: ap_of(each, keys, truth) for each in answers}
    seen = {each.name: each for each in answers}
    found = [_blind(seen[each.name], each, truth, on_error) for each in blind]
    of_reference = [each.samples for each in blind if each.name == answers[0].name]
    same = {each.name: _same_texts(each, of_reference[0], keys) for each in answers} if of_reference else {}
    return Parity(answers[0].name, [*answers], keys, ways, ap, lacking, tolerance, found, same)


def _same_texts(way: WayAnswers, others: Mapping[Key, Sample], keys: Sequence[Key]) -> float:
    """The share of the texts of a way that equal those of `others`."""
    return sum(key in others and way.samples[key].text == others[key].text for key in keys) / len(keys)


def _blind(seen: WayAnswers, blind: WayAnswers, truth: Truth | None, on_error: OnError) -> Blind:
    keys, _ = common_keys([seen, blind], on_error)
    return Blind(blind.name, compare(seen, blind, keys), ap_of(blind, keys, truth))


def ap_of(answers: WayAnswers, keys: Sequence[Key], truth: Truth | None) -> Ap:
    """AP and AP50 over all samples and by size; {} without ground truth, or where it is not known how boxes are written."""
    if truth is None or answers.rules is None:
        return {}
    places = places_of(answers, keys, truth)
    by_size: dict[str, list[Any]] = {ALL: []}
    for key in keys:
        sample = answers.samples[key]
        for name in (ALL, sample.size_name):
            by_size.setdefault(name, []).append((places[key], sample))
    return {name: average_precision(samples, answers.rules, truth) for name, samples in by_size.items()}


def document_of(parity: Parity) -> dict[str, Any]:
    """The content of `parity.json`."""
    ways = {parity.reference: {"numbers": parity.ap[parity.reference].get(ALL, {}), "by_size": _sizes_of_ap(parity, parity.reference)}}
    for way in parity.ways:
        by_size = {size: numbers | parity.ap[way.name].get(size, {}) for size, numbers in way.by_size.items()}
        different = [each.parity for each in way.compared if not each.parity.same_text or each.parity.agreement < 1]
        found = {"numbers": numbers_with_ap(parity, way), "counts": way.counts, "by_size": by_size, "different": different}
        ways[way.name] = {**found, "lowest_agreement": way.lowest_agreement, "agrees": way not in parity.differing}
    return {
        "reference": parity.reference,
        "tolerance": parity.tolerance,
        "agree": not parity.differing,
        "samples": len(parity.keys),
        "ways": ways,
        "blind": {each.name: {**each.against_seen.numbers, **each.ap.get(ALL, {})} for each in parity.blind},
        "same_as_blind": parity.same_as_blind,
        "rows_left_out": {each.name: dict(each.skipped.counts) for each in parity.answers},
        "answers_missing": parity.lacking,
    }


def _sizes_of_ap(parity: Parity, name: str) -> Ap:
    return {size: numbers for size, numbers in parity.ap[name].items() if size != ALL}


def numbers_with_ap(parity: Parity, way: WayParity) -> dict[str, float | None]:
    """The numbers of a way, AP among them where there is a ground truth."""
    return way.numbers | parity.ap[way.name].get(ALL, {})


def lines_of(parity: Parity) -> list[str]:
    """The result for the terminal."""
    lines = [f"reference: {parity.reference}, {counted(len(parity.keys), 'sample')}"]
    columns = {parity.reference: parity.ap[parity.reference].get(ALL, {})} | {way.name: numbers_with_ap(parity, way) for way in parity.ways}
    shown = [(number.title, [_text(values.get(number.key)) for values in columns.values()]) for number in NUMBERS]
    lines += _table([*columns], [row for row in shown if any(text != "-" for text in row[1])])
    lines += _size_lines(parity) + [line for way in parity.ways for line in _difference_lines(way)]
    if parity.blind:
        lines += ["", "blind control, images blanked, against the way's own answers:"]
        lines += _table(["same text", "box IoU", "AP seen", "AP blind"], [(each.name, _blind_texts(parity, each)) for each in parity.blind])
    own = parity.same_as_blind.get(parity.reference, 0)
    for name, share in parity.same_as_blind.items():
        if name != parity.reference and share > own + SUSPICIOUS:
            lines.append(f"{name}: {share:.0%} of its answers are those of {parity.reference} to blanked images: does it get the images?")
    return lines + count_lines(parity)


def _blind_texts(parity: Parity, blind: Blind) -> list[str]:
    numbers, seen = blind.against_seen.numbers, parity.ap[blind.name].get(ALL, {})
    return [_text(value) for value in (numbers["same_text"], numbers["box_iou"], seen.get("AP"), blind.ap.get(ALL, {}).get("AP"))]


def _table(heads: list[str], rows: list[tuple[str, list[str]]]) -> list[str]:
    """Lines of right-aligned columns after the first."""
    width, first = max(8, *map(len, heads)) + 2, max((len(name) for name, _ in rows), default=0) + 1
    lines = [f"{'':{first}}" + "".join(f"{head:>{width}}" for head in heads)]
    return lines + [f"{name:{first}}" + "".join(f"{text:>{width}}" for text in texts) for name, texts in rows]


def _size_lines(parity: Parity) -> list[str]:
    """A line for each way and size, where there are several sizes."""
    rows = []
    for way in parity.ways if any(len(way.by_size) > 1 for way in parity.ways) else ():
        for size, numbers in way.by_size.items():
            keys = ("agreement", "box_iou", "shift_x_px", "shift_y_px", "wider_px", "taller_px")
            ap = [parity.ap[name].get(size, {}).get("AP") for name in (parity.reference, way.name)]
            rows.append((f"{way.name}, {size}", [str(numbers["samples"]), *map(_text, [*map(numbers.get, keys), *ap])]))
    heads = ["samples", "agreement", "box IoU", "shift x", "shift y", "wider", "taller", "AP ref.", "AP"]
    return ["", "by size of the image, shifts in px:", *_table(heads, rows)] if rows else []


def _difference_lines(way: WayParity) -> list[str]:
    """The first differences of a way, least agreement first; without any, where log-probabilities drift."""
    different = sorted((each.parity for each in way.compared if each.parity.first_difference), key=lambda each: each.agreement)
    lines = [f"  {place_of(each)}: {sentence(each.first_difference)}" for each in different[:SHOWN]]
    if lines:
        return ["", f"{way.name}: {counted(len(different), 'answer')} of {len(way.compared)} with another text, first differences:", *lines]
    drifts = [each.parity for each in way.compared if each.parity.drift and each.parity.drift.token_index is not None]
    if not drifts:
        return []
    worst = max(drifts, key=lambda each: each.drift.largest)
    found = worst.drift
    what = f"token {found.token_index} {found.token!r} by {found.difference:.4f}, at most {found.largest:.4f}"
    return ["", f"{way.name}: equal texts, but log-probabilities differ in {counted(len(drifts), 'answer')}; {place_of(worst)}: {what}"]


def place_of(sample: SampleParity) -> str:
    """`sample 7 (640x480 px)`."""
    return f"sample {sample.sample_id}" + (f" ({sample.size_wh[0]}x{sample.size_wh[1]} px)" if sample.size_wh else "")


def sentence(found: FirstDifference) -> str:
    """`token 9: '3' instead of '5' after '(1', log-probability gap 2.310`."""
    where = f"character {found.character}" if found.token_index is None else f"token {found.token_index}"
    other, own = (repr(text) if text else "the end" for text in (found.other, found.reference))
    gaps = [gap for gap in (found.gap, found.gap_of_other) if gap is not None]
    tie = " (near tie)" if gaps and min(gaps) < NEAR_TIE else ""
    gap = f"log-probability gap {gaps[0]:.3f}{tie}" if gaps else "log-probability gap not known"
    return f"{where}: {other} instead of {own} after {found.after!r}, {gap}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def count_lines(parity: Parity) -> list[str]:
    """What was not compared."""
    lines = [f"{name}: {counted(count, 'answer')} missing" for name, count in parity.lacking.items() if count]
    for way in parity.ways:
        if without := way.counts["without_tokens"]:
            lines.append(f"{way.name}: {counted(without, 'answer')} without tokens here or in the reference, compared by characters")
    if any(answers.rules is None for answers in parity.answers):
        lines.append("boxes were not compared: no record of the run, and no --family")
    for answers in parity.answers:
        lines += tally_lines(f"{answers.name}: rows skipped or changed", answers.skipped)
    return ["", *lines] if lines else []
