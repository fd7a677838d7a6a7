"""The record of a run, one small JSON file: how its answers are to be read, next to its checkpoints and results.

Family and space say what a box means, the limits give the model input size. A training run leaves it in its output folder and in every
checkpoint, an inference run next to its result file; the evaluator and the next run read it, so that they cannot disagree with training.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from .atomic_write import write_whole
from .coordinates import limits_in_force
from .errors import GroundswiftError, error_at
from .family import family_row
from .image_resize import Limits
from .spaces import space_row

FOLDER_RECORD = "groundswift_run.json"  # in the output folder of a training run, its checkpoints, and what is merged from them
RESULT_SUFFIX = ".run.json"  # result.jsonl -> result.jsonl.run.json
WRITTEN_IN_TRAINING = "predict.jsonl"  # the answers of a training run's own evaluation, in its folders
FORMAT = 1


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run had in force. `limits` are areas in px, in whole tokens, with defaults written out; `template` is swift's name of it.

    `versions`: of the libraries that make the model's input, by name. `data_files`: of a training, the fingerprint of each local file that
    it reads, by absolute path. `pixels`: "exact" where images are decoded and resized as swift does, "quick" where they are by
    groundswift's faster way, whose values differ by less than JPEG's noise; None in records of before. `decoder`: of an inference, the
    engine and how it chose the tokens where that is not one after the other (`transformers, beam search of 4`); None where unknown.
    `format`: of this file; readers refuse a later one.
    """

    family: str
    template: str
    grammar: str
    space: str
    limits: Limits
    versions: dict[str, str]
    data_files: dict[str, str] = {}
    pixels: str | None = None
    decoder: str | None = None
    format: int = FORMAT


NO_CONFIDENCE = {  # in the name of a decoder -> why its log-probabilities are not the confidence of the tokens in the answer
    "beam search": "beam search compares whole answers, and the log-probabilities of its steps are of beams that were not chosen",
    "sglang": "the log-probabilities that swift takes from SGLang are not verified to be those of the tokens in the answer",
    "speculative": "speculative decoding takes tokens from a draft model",
    "diffusion": "a diffusion model writes its tokens in no order, each given others that change later",
}


def decoder_name(engine: str, num_beams: int = 1, speculative: bool = False, diffusion: bool = False) -> str:
    """What `RunRecord.decoder` has for an engine and the way it chose the tokens."""
    ways = [f"beam search of {num_beams}"] if num_beams > 1 else []
    ways += ["speculative decoding"] if speculative else []
    return ", ".join([engine, *ways, *(["diffusion"] if diffusion else [])])


def no_confidence(decoder: str | None) -> str | None:
    """Why log-probabilities of this decoder are not confidences; None where they are, or where it is unknown."""
    return next((reason for word, reason in NO_CONFIDENCE.items() if word in (decoder or "").lower()), None)


def write_record(path: str | Path, record: RunRecord) -> None:
    """Write a record, whole or not at all. Raises GroundswiftError where it cannot be written."""
    write_whole(path, [msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"])


def read_record(path: str | Path) -> RunRecord:
    """Read a record. Raises GroundswiftError where there is none, or it is broken, of a later format or of an unknown family or space."""
    expected = "the record that groundswift's plugin writes"
    try:
        record = msgspec.json.decode(Path(path).read_bytes(), type=RunRecord)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", expected) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise error_at(path, f"is not a record of a run ({error})", expected) from None
    if record.format > FORMAT:
        raise error_at(path, f"is of format {record.format}", f"format {FORMAT} at most: this groundswift is too old for it")
    try:
        family_row(record.family)
        space_row(record.space)
    except GroundswiftError as error:
        raise error_at(path, str(error)) from None
    return record


def record_of_result(result: str | Path) -> Path | None:
    """The path of the record of a result file: next to it, or in the folder of a training; None where there is none."""
    result = Path(result)
    adjacent = result.with_name(result.name + RESULT_SUFFIX)
    if adjacent.is_file():
        return adjacent
    in_folder = result.with_name(FOLDER_RECORD)
    return in_folder if result.name == WRITTEN_IN_TRAINING and in_folder.is_file() else None


def record_of_folder(folder: str | Path) -> Path | None:
    """The path of the record of a checkpoint, merged model or output folder; None where there is none."""
    path = Path(folder) / FOLDER_RECORD
    return path if path.is_file() else None


def differing_limits(one: Limits, other: Limits, family: str) -> dict[str, tuple[int | None, int | None]]:
    """The limits in which two runs of a family differ, by name: (of the one, of the other) in px, as they are in force."""
    first, second = limits_in_force(one, family), limits_in_force(other, family)
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in Limits.__struct_fields__}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
