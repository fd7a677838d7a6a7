"""Groups of questions about anomalies: by stage, by class, by kind of question, by frame."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from .answers.text_rows import TextSample

STAGE, CLASS, OBJECTS, PROMPT, FRAME = "stage", "class_name", "objects", "prompt", "source_image"
STAGES = ("1", "2", "3")
LONGEST = 80  # characters of a group


def group_value(name: str, value: Any) -> str:
    """The group of a question by its stage or class; empty where it has none that is known."""
    text = "" if value is None else str(value).strip()
    return text[:LONGEST] if name != STAGE or text in STAGES else ""


def stage_group(value: Any) -> str:
    """`stage: 2` of a stage; empty where it is unknown."""
    return f"{STAGE}: {text}" if (text := group_value(STAGE, value)) else ""


def class_group(name: str) -> str:
    """The group of a class."""
    return f"{CLASS}: {name}"


def known_classes(samples: Sequence[TextSample]) -> set[str]:
    """All that the rows have as a class, and the labels of their boxes."""
    found = {group_value(CLASS, sample.question.more.get(CLASS)) for sample in samples}
    for sample in samples:
        objects = sample.question.more.get(OBJECTS)
        refs = objects.get("ref") if isinstance(objects, dict) else None
        found.update(filter(None, map(str, refs if isinstance(refs, list) else [])))
    return found


def class_groups(value: Any, known: set[str]) -> list[str]:
    """The groups of a class column: each of several, as of a frame with `bubble, spill`, where all are classes of other rows or boxes."""
    text = group_value(CLASS, value)
    parts = text.split(", ")
    names = parts if len(parts) > 1 and known.issuperset(parts) else [text]
    return [class_group(name) for name in names if name]


def places_of(samples: Sequence[TextSample], name: str) -> dict[str, list[int]]:
    """The places of the samples of each group by stage or by class."""
    found: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        for group in sample.question.groups:
            if group.startswith(f"{name}: "):
                found.setdefault(group, []).append(place)
    return dict(sorted(found.items()))


def frame_of(sample: TextSample, place: int) -> Hashable:
    """What samples of one frame have in common: the frame that they were made of, else their image or video, else nothing."""
    frame = sample.question.more.get(FRAME)
    return (frame if isinstance(frame, str) and frame else sample.question.media) or place


def question_kind(sample: TextSample) -> str:
    """Which kind of question of `groundswift anomaly` it is, by its column `prompt`: locate.where.en.2 -> locate.where; else empty."""
    prompt = sample.question.more.get(PROMPT)
    parts = prompt.split(".") if isinstance(prompt, str) else []
    return ".".join(parts[:2]) if len(parts) == 4 else ""


def texts_of(sample: TextSample) -> dict[str, str]:
    """The columns of a question as texts; a missing one is empty."""
    return {name: "" if value is None else str(value) for name, value in sample.question.more.items()}
