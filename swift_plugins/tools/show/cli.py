"""`groundswift show`: the command. swift and torch are loaded when a row is asked for, not for --help."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.errors import GroundswiftError, error_at

if TYPE_CHECKING:
    from .report import RowReport


@click.command()
@click.argument("data", metavar="DATA.jsonl", type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="M", help="A model's folder, its hub id, or a checkpoint of a LoRA or full run.")
@click.option("--model-type", metavar="T", help="swift's model type, where it is not clear from the model.")
@click.option("--template", metavar="T", help="swift's template.  [default: the grounding template of the model's type, or the run's]")
@click.option("--max-pixels", type=click.IntRange(min=1), metavar="N", help="swift's --max_pixels, where the run had one.")
@click.option("--row", "line", type=click.IntRange(min=1), metavar="N", help="The row in line N of the file.  [default: the first]")
@click.option("--sample-id", metavar="ID", help="The row with this sample_id, instead of a line.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="PNG", help="PNG to write.  [default: show-<row>.png]")
@click.option("--terminal/--no-terminal", default=None, help="Whether to draw in the terminal.  [default: if there is one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def show(data: Path, line: int | None, sample_id: str | None, out: Path | None, terminal: bool | None, as_json: bool, **model: Any) -> None:
    """Show one row as the model gets it: the encoded text, which of it has loss, and the image with its boxes.

    The row is processed as in training: swift's data loading, its template with this plugin, the model's resize. No weights are read.
    Boxes and points are parsed from the encoded text and drawn on the resized image: if they are on the objects, the training data is
    right. A box that differs from objects.bbox by more than one step of the family's space is reported.

    Text with loss is green and underlined in a terminal, and between >>> and <<< elsewhere or with NO_COLOR set. Pixel limits of the
    environment (MAX_PIXELS, IMAGE_MAX_TOKEN_NUM, ...) apply as in training. Rows are counted by lines, from 1.

    \b
    Example:
      groundswift show train.jsonl --model Qwen/Qwen2.5-VL-7B-Instruct --row 3
      groundswift show train.jsonl --model output/checkpoint-100 --sample-id 42 --out look.png
    """
    if line is not None and sample_id is not None:
        raise click.UsageError("give --row or --sample-id, not both")
    from .rows import row_at, row_of_sample

    number, row = row_at(data, line) if sample_id is None else row_of_sample(data, sample_id)
    report = make_report(f"{data}:{number}", row, **model)
    png = draw(report, out or Path(f"show-{number}.png"))
    if as_json:
        from .report import as_json as as_dict

        click.echo(json.dumps(as_dict(report, png), ensure_ascii=False, indent=2))
        return
    say(report, png, terminal)


def make_report(where: str, row: dict[str, Any], model: str, **how: Any) -> RowReport:
    """Encode a row and parse it again. `how`: for `open_template`. Raises GroundswiftError, with file and line for an invalid row."""
    from ...grounding.patches.run_record import difference_from
    from ..encoding import encoded, open_template
    from .encoded_boxes import image_tokens, parse_boxes, parts_of
    from .report import RowReport
    from .rows import as_loaded

    opened = open_template(model, **how)
    if other := difference_from(model, opened):
        click.echo(f"warning: {other}", err=True)
    loaded = as_loaded(row, where)
    try:
        result = encoded(opened, loaded)
    except GroundswiftError as error:
        raise error_at(where, str(error)) from None
    parts, images = parts_of(opened, result), [named(image) for image in loaded.get("images") or []]
    seen, count = parse_boxes(opened, result, parts, loaded), image_tokens(opened, result)
    return RowReport(where, row.get("sample_id"), model, opened.template_meta.template_type, images, result, parts, seen, count)


def named(image: object) -> str:
    """The name of an image: its path, or `bytes`."""
    if isinstance(image, dict):
        image = image.get("path") or "bytes"
    return str(image)


def draw(report: RowReport, out: Path) -> str | None:
    """Write the image; its path, or None for a row without images. Raises GroundswiftError where it cannot be written."""
    from .drawing import sheet
    from .report import caption

    if not report.encoded.images:
        return None
    indices = range(len(report.images))
    image = sheet(report.encoded.images, list(map(report.marked_on, indices)), [caption(report, index) for index in indices])
    try:
        image.save(out)
    except (OSError, ValueError) as error:
        raise error_at(out, f"cannot be written ({error})", "a path that ends in .png, in a folder that exists") from None
    return str(out)


def say(report: RowReport, png: str | None, terminal: bool | None) -> None:
    """Print the report, and the images where there is a terminal that shows colours, or where it is asked for."""
    from .report import report_lines
    from .terminal import has_colour, in_terminal

    colour = has_colour(sys.stdout.isatty())
    for text in report_lines(report, colour):
        click.echo(text, color=colour)
    if terminal if terminal is not None else colour:
        columns = shutil.get_terminal_size().columns
        for index, image in enumerate(report.encoded.images):
            click.echo("\n".join(["", *in_terminal(image, report.marked_on(index), columns)]), color=True)
    click.echo(f"wrote {png}" if png else "no image written: the row has none", color=colour)
