"""The output files of an evaluation: which they are, terms of the protocol, digests, `run.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from groundswift import atomic_folder
from groundswift.coordinates import limits_in_force
from groundswift.errors import error_at
from groundswift.family import family_row
from groundswift.spaces import Space, space_row

from .answers.protocol import Rules
from .evaluated_run import ImageResult, Run
from .image_results import IMAGES_AT_ONCE
from .json_items import list_items

EVALUATION_FILES = ("metrics.json", "test_pred.json", "disagreements.csv", "run.json", "report.html", "report.md")

COMPARE_FILES = frozenset({"report.html", "report.md", "summary.json", "paired.json"})

check_folder = partial(atomic_folder.check_folder, own_files=frozenset(EVALUATION_FILES))
new_folder = partial(atomic_folder.replaced_folder, own_files=frozenset(EVALUATION_FILES))
compare_folder = partial(atomic_folder.replaced_folder, own_files=COMPARE_FILES, keep_others=True)

KEPT = 16 << 20  # bytes of JSON
SIDES = {"original": "side of the image", "square": "longer side of the image", "resized": "the side of the resized image"}
SCORES = {
    "constant": "1.0 for every box",
    "order": "1 / (1 + n), n the number of boxes before it in its answer",
    "logprob": "exp of the mean log-probability of the tokens of a box and its label",
}


def file_terms(truth_path: Path, result_path: Path, digests: dict[Path, str]) -> dict[str, str]:
    """The files that the numbers depend on, and the date."""
    return {
        "gt": truth_path.name,
        "gt_sha256": digests[truth_path],
        "result": result_path.name,
        "result_sha256": digests[result_path],
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def pixels_per_unit(space: Space) -> str:
    """How long one written unit is, in words."""
    if space.units is not None:
        return f"{SIDES[space.side]} over {space.units:g}"
    return "1" if space.side == "original" else f"side of the image over {SIDES[space.side]}"


def reading_terms(rules: Rules | None) -> dict[str, Any]:
    """How answers are read: family, space, limits, and what happens to each kind of answer; {} of a metric that reads no boxes."""
    if rules is None:
        return {}
    row = family_row(rules.family)
    terms = {
        "family": rules.family,
        "grammar": row.grammar_name,
        "space": rules.space_name,
        "space_declared_by": rules.space_declared_by,
        "pixels_per_unit": pixels_per_unit(space_row(rules.space_name)),
        "rounding": "none: coordinates are placed as written, then clipped to the image",
        "score": rules.score,
        "score_is": SCORES[rules.score],
        **({"decoder": rules.decoder} if rules.decoder else {}),
        "label_match": f"{rules.label_match}, after NFC and white space made one blank",
        **({"synonyms": f"{len(rules.synonyms)} labels"} if rules.synonyms else {}),
        "parse_failure": "no detection",
        "unknown_label": "no detection, counted",
        "duplicates": "of boxes equal in image, class and place the first is kept",
    }
    if rules.limits is not None:
        limits = limits_in_force(rules.limits, rules.family)
        terms |= {name: getattr(limits, name) for name in limits.__struct_fields__}
        terms["limits_declared_by"] = rules.limits_declared_by
    return terms


def digested(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """The same chunks, each added to a digest."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def sha256_of(path: Path) -> str:
    """Raises GroundswiftError where the file cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def digests_of(paths: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of files. Raises GroundswiftError where one cannot be read."""
    return {path: sha256_of(path) for path in set(paths)}


def image_items(images: Sequence[ImageResult]) -> Iterator[bytes]:
    """Images as a part of `run_chunks`, in pieces. Those of the first KEPT bytes are made now, so that work elsewhere is used, the others
    when they are written: all would be much of the memory of an evaluation."""
    pieces = list_items(images[start : start + IMAGES_AT_ONCE] for start in range(0, len(images), IMAGES_AT_ONCE))
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > KEPT:
            break
    return chain(kept, pieces)


def run_chunks(run: Run, items: Iterable[bytes]) -> Iterator[bytes]:
    """A run as JSON, one image a line, in pieces; `items` are its images as `image_items` has them."""
    encode = msgspec.json.encode
    yield b'{"name":' + encode(run.name) + b',"metrics":' + encode(run.metrics) + b',"curves":' + encode(run.curves) + b',"images":['
    yield from items
    yield b'\n],"tables":' + encode(run.tables) + b',"plots":' + encode(run.plots) + b"}\n"


def pretty_json(value: object) -> bytes:
    """Indented JSON with a newline at its end, for files that people read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
