"""`groundswift show`: the command. swift and torch are loaded when a row is asked for, not for --help."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswift.errors import GroundswiftError, fault

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
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="PNG", help="The picture to write.  [default: show-<row>.png]"
)
@click.option("--terminal/--no-terminal", default=None, help="Whether to draw in the terminal.  [default: if there is one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def show(
    data: Path,
    model: str,
    model_type: str | None,
    template: str | None,
    max_pixels: int | None,
    line: int | None,
    sample_id: str | None,
    out: Path | None,
    terminal: bool | None,
    as_json: bool,
) -> None:
    """Show one row as the model will see it: the encoded text, what of it is learnt, and the picture with its boxes.

    The row goes the way that training takes: swift's data loading, its template with this plugin, the model's own resize. No weights
    are read. Boxes and points are read back from the encoded text, by the family's grammar and space, and drawn on the picture as the
    model is fed it: if they sit on the objects, the model is taught what you meant. A box that is further from objects.bbox than one
    step of the family's space is told.

    What is learnt is green and underlined in a terminal, and stands between >>> and <<< elsewhere, and with NO_COLOR set. Limits of
    pixels in the environment (MAX_PIXELS, IMAGE_MAX_TOKEN_NUM, ...) hold as they do in training. Rows are counted by their lines,
    from 1, as in error messages.

    \b
    Example:
      groundswift show train.jsonl --model Qwen/Qwen2.5-VL-7B-Instruct --row 3
      groundswift show train.jsonl --model output/checkpoint-100 --sample-id 42 --out look.png
    """
    if line is not None and sample_id is not None:
        raise click.UsageError("give --row or --sample-id, not both")
    from .rows import row_at, row_of_sample

    number, row = row_at(data, line) if sample_id is None else row_of_sample(data, sample_id)
    sight = look(f"{data}:{number}", row, model, model_type, template, max_pixels)
    png = draw(sight, out or Path(f"show-{number}.png"))
    if as_json:
        from .report import as_json as report

        click.echo(json.dumps(report(sight, png), ensure_ascii=False, indent=2))
        return
    say(sight, png, terminal)


def look(where: str, row: dict[str, Any], model: str, model_type: str | None, template: str | None, max_pixels: int | None) -> RowReport:
    """Encode a row and read it back. Raises GroundswiftError, with the row's place where the row is at fault."""
    from ...grounding.patches.run_record import difference_from
    from ..encoding import encoded, open_template
    from .encoded_boxes import image_tokens, parts_of, seen
    from .report import RowReport
    from .rows import as_loaded

    opened = open_template(model, model_type, template, max_pixels)
    if other := difference_from(model, opened):
        click.echo(f"warning: {other}", err=True)
    loaded = as_loaded(row, where)
    try:
        result = encoded(opened, loaded)
    except GroundswiftError as error:
        raise fault(where, str(error)) from None
    parts = parts_of(opened, result)
    return RowReport(
        where,
        row.get("sample_id"),
        model,
        opened.template_meta.template_type,
        [named(image) for image in loaded.get("images") or []],
        result,
        parts,
        seen(opened, result, parts, loaded),
        image_tokens(opened, result),
    )


def named(image: object) -> str:
    """How an image of a row is called: by its path, where it has one."""
    if isinstance(image, dict):
        image = image.get("path") or "bytes"
    return str(image)


def draw(sight: RowReport, out: Path) -> str | None:
    """Write the picture; its path, or None for a row without images. Raises GroundswiftError where it cannot be written."""
    from .drawing import colours_of, sheet
    from .report import caption

    if not sight.encoded.pictures:
        return None
    captions = [caption(sight, index) for index in range(len(sight.images))]
    picture = sheet(sight.encoded.pictures, sight.seen.marks, captions, colours_of(sight.seen.marks))
    try:
        picture.save(out)
    except (OSError, ValueError) as error:
        raise fault(out, f"cannot be written ({error})", "a path that ends in .png, in a folder that is there") from None
    return str(out)


def say(sight: RowReport, png: str | None, terminal: bool | None) -> None:
    """Print the report, and the pictures where there is a terminal that shows colours, or where it is asked for."""
    from .drawing import colours_of
    from .report import report_lines
    from .terminal import has_colour, in_terminal

    colour = has_colour(sys.stdout.isatty())
    colours = colours_of(sight.seen.marks)
    for text in report_lines(sight, colour, colours):
        click.echo(text, color=colour)
    if terminal if terminal is not None else colour:
        columns = shutil.get_terminal_size().columns
        for index, picture in enumerate(sight.encoded.pictures):
            chosen = [(mark, shade) for mark, shade in zip(sight.seen.marks, colours, strict=True) if mark.image == index]
            lines = in_terminal(picture, [mark for mark, _ in chosen], [shade for _, shade in chosen], columns)
            click.echo("\n".join(["", *lines]), color=True)
    click.echo(f"wrote {png}" if png else "a row without images: no picture written", color=colour)
