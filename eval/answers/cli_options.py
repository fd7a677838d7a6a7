"""The options that declare how answers are read, for every subcommand that reads what `swift infer` wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.errors import error_at

if TYPE_CHECKING:
    from .protocol import Rules

LIMITS = {  # option -> its help
    "min_pixels": "MIN_PIXELS of the run (area in px), which enlarged smaller images; `default`: not set. Needed without a record of the "
    "run, by families that write boxes in pixels of the resized image (qwen2_5_vl).",
    "max_pixels": "MAX_PIXELS of the run (area in px), which shrank larger images; needed as --min-pixels.",
    "first_max_pixels": "--max_pixels of the swift command, where it was given: images were shrunk to it before the model's own resize.",
}
MOST_DIGITS = 15  # of a limit in px
FILE = click.Path(path_type=Path)
ON_ERROR = click.Choice(["stop", "skip"])
IMAGES = click.option(
    "--images", type=FILE, help="Folder of the images, for the report.  [default: of up to 400 images named by whole paths, their folder]"
)
TRUTH, COCO_TRUTH = (
    click.option("--gt", "truth_path", type=FILE, required=True, help=text)
    for text in ("File of the ground truth, in the format that the metric reads.", "Ground truth: annotations in COCO format.")
)


class PixelLimit(click.ParamType):
    """A whole number of px, or the word `default`: (None,), unlike a limit that was not given."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[int | None]:
        if value == "default":
            return (None,)
        text = str(value)
        if len(text) > MOST_DIGITS:
            self.fail(f"a limit of {len(text)} characters; expected a number of px of at most {MOST_DIGITS} digits", param, context)
        if not text.isdecimal() or int(text) < 1:
            self.fail(f"{value!r} is neither a whole number of px nor the word default", param, context)
        return (int(text),)


READING_OPTIONS = {
    "family": click.option(
        "--family", help="Model family: how boxes are written, and in which space.  [default: from the record of the run]"
    ),
    "space": click.option(
        "--space",
        help="Unit of the model's boxes, such as norm1000 or original_px (`groundswift families` shows them); needed where the model was "
        "trained on another one than its family's.  [default: from the record of the run, else the family's]",
    ),
    **{
        name: click.option(f"--{name.replace('_', '-')}", type=PixelLimit(), metavar="N|default", help=text)
        for name, text in LIMITS.items()
    },
}


def check_there(path: Path | None, expected: str) -> None:
    """Raises GroundswiftError where a given file cannot be read."""
    if path is None:
        return
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", expected) from None
    if not regular:
        raise error_at(path, "cannot be read (not a plain file)", expected)


def rules_of_command(result: Path, options: dict[str, Any]) -> Rules:
    """The rules of the run's record or, without one, of the options. Raises GroundswiftError where the two differ."""
    from groundswift.run_record import record_of_result

    from .label_matching import read_synonyms
    from .protocol import rules_of_options, rules_of_record

    reading = {name: options[name] for name in ("label_match", "score") if name in options}
    if options.get("synonyms") is not None:
        reading["synonyms"] = read_synonyms(options["synonyms"])
    limits = {name: options[name][0] for name in LIMITS if options[name] is not None}
    found = record_of_result(result)
    if found is not None:
        return rules_of_record(found, options["family"], options["space"], limits, **reading)
    if options["family"] is None:
        from groundswift.family import families

        raise click.UsageError(
            f"--family is required: {result.name} has no record of the run ({result.name}.run.json), and the space of the boxes is never "
            f"guessed. Families: {', '.join(families())}.\n`groundswift families` shows their spaces and swift's model types. "
            "For a model trained on another space add --space."
        )
    return rules_of_options(options["family"], options["space"], limits, **reading)
