"""How answers are read: as the record of the run says or, without one, the options; a contradiction is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from groundswift.coordinates import resized_wh
from groundswift.errors import GroundswiftError, error_at
from groundswift.family import family_row
from groundswift.image_resize import Limits
from groundswift.run_record import RunRecord, differing_limits, no_confidence, read_record
from groundswift.spaces import space_row

from .label_matching import LabelMatch

BY_RECORD = "run record"
ScorePolicy = Literal["constant", "order", "logprob"]


@dataclass(frozen=True)
class Rules:
    """How answers are read. The space is the family's unless `space` names another; it is never guessed.

    `limits` bounded the model's input, each None for the family's own; they must be given where boxes are written in pixels of the
    resized image. `space_declared_by`, `limits_declared_by`: who says so, for the protocol.
    Raises GroundswiftError for an unknown name, and where limits are missing.
    """

    family: str
    space: str | None = None
    limits: Limits | None = None
    label_match: LabelMatch = "exact"
    score: ScorePolicy = "constant"
    space_declared_by: str = "family"
    limits_declared_by: str = "the caller"
    synonyms: Mapping[str, str] | None = None  # label -> class
    decoder: str | None = None  # of the run, where its record states it

    def __post_init__(self) -> None:
        factor = family_row(self.family).resize_factor
        resized = space_row(self.space_name).side == "resized"
        if resized and factor is None:
            raise GroundswiftError(
                f"how family {self.family} resizes an image is not in the table of families, so the space resized_px cannot be taken "
                "back to pixels"
            )
        if resized and self.limits is None:
            raise GroundswiftError(
                f"family {self.family} writes boxes in pixels of the resized image, and the resize is unknown: the result has no "
                "record of the run. Add --min-pixels and --max-pixels with the run's MIN_PIXELS and MAX_PIXELS (a limit in "
                f"tokens times {factor} x {factor} px), or `default` for one that was not set; and --first-max-pixels if swift had "
                "its own --max_pixels, an earlier, additional resize"
            )

    @property
    def space_name(self) -> str:
        """The space of the boxes: the one that was named, or the family's own."""
        return self.space or family_row(self.family).space

    def model_input_wh(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Size (width, height) in px of the model input, by the limits of the run."""
        limits = self.limits or Limits()
        return resized_wh(size_wh, self.family, limits.min_pixels, limits.max_pixels, limits.first_max_pixels)


def rules_of_record(path: Path, family: str | None, space: str | None, limits: Mapping[str, int | None], **reading: Any) -> Rules:
    """The rules that the record at `path` declares; `family`, `space` and `limits` (by name) are what else was said.

    Raises GroundswiftError where the record cannot be read, or says something else than they do.
    """
    record = read_record(path)
    disputes = list(_disputes(record, family, space, limits))
    if disputes:
        raise GroundswiftError(
            f"{'; '.join(f'{option} {said}, but {path} says {recorded}' for option, said, recorded in disputes)}; remove the "
            "options or, if the record is of another result, the record"
        )
    if reading.get("score") == "logprob" and (reason := no_confidence(record.decoder)):
        raise error_at(path, f"--score logprob: the decoder was {record.decoder}, and {reason}", "--score constant or --score order")
    reading["decoder"] = record.decoder
    return Rules(record.family, record.space, record.limits, space_declared_by=BY_RECORD, limits_declared_by=BY_RECORD, **reading)


def _disputes(record: RunRecord, family: str | None, space: str | None, limits: Mapping[str, int | None]) -> list[tuple[str, str, str]]:
    """(option, what it says, what the record says) wherever the two differ."""
    if family is not None and family_row(family).name != family_row(record.family).name:
        return [("--family", family, record.family)]  # the limits of another family mean something else
    found = []
    if space is not None and space_row(space).name != record.space:
        found.append(("--space", space, record.space))
    for name, (_, recorded) in differing_limits(Limits(**limits), record.limits, record.family).items():
        if name in limits:
            said = "default" if limits[name] is None else str(limits[name])
            found.append((f"--{name.replace('_', '-')}", said, "none" if recorded is None else str(recorded)))
    return found


def rules_of_options(family: str, space: str | None, limits: Mapping[str, int | None], **reading: Any) -> Rules:
    """The rules that the options of the command declare.

    In a space of the resized image least and most pixels must both be said, if only as their defaults: else `limits` is None.
    """
    resized = space_row(space or family_row(family).space).side == "resized"
    known = {"min_pixels", "max_pixels"} <= limits.keys() if resized else bool(limits)
    declared_by = {"space_declared_by": "family" if space is None else "--space", "limits_declared_by": "options"}
    return Rules(family, space, Limits(**limits) if known else None, **declared_by, **reading)
