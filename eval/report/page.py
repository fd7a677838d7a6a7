"""The page: one HTML file that loads nothing from a network, or the same page from a server that has the images."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from groundswift.atomic_write import write_whole
from groundswift.box_drawing import OUTCOME_COLOURS
from groundswift.errors import GroundswiftError

from ..evaluated_run import OUTCOMES, NumberTable, Run, notes_of
from .curves import curves_of
from .image_index import CHUNK, Listed, chunk_count, class_names, data_chunk, index_of, listed, measure_of
from .markdown import markdown_lines
from .plots import drawings_of
from .tables import (
    DASH,
    cell_texts,
    class_table,
    count_rows,
    defined,
    joined,
    largest,
    metric_rows,
    number_text,
    numeric_columns,
    plain_text,
    signed_text,
    summary,
    warnings_of,
)
from .thumbnails import MOST_EMBEDDED, common_folder, look_for, thumbnail_chunks
from .words import both, chinese_titles, group_words, translated, words

SCRIPTS = ("page_data.js", "words.js", "state.js", "boxes.js", "cards.js", "viewer.js", "page.js")
POLICY = "default-src 'none'; img-src {images}; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src {fetched}"


class Report(NamedTuple):
    """What a page shows: the runs, first to last, the images of the last one, and every class once."""

    runs: Sequence[Run]
    title: str
    table: NumberTable
    differing: Sequence[str]
    shown: Listed
    classes: list[str]


def report_of(runs: Sequence[Run], title: str, table: NumberTable, differing: Sequence[str] = ()) -> Report:
    """A report of one run or several. Raises GroundswiftError without a run."""
    if not runs:
        raise GroundswiftError("no run to report")
    return Report(runs, title, table, differing, listed(runs, table.numbers), class_names(runs, bool(class_table(runs, table.of_groups))))


@cache
def environment() -> Environment:
    """Templates in this folder. All that they print is escaped; an unknown name is an error."""
    loader = FileSystemLoader(Path(__file__).parent, encoding="utf-8")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(number=number_text, signed=signed_text, defined=defined, plain=plain_text)
    made.filters.update(cells=cell_texts, largest=largest, numeric=numeric_columns, both=translated, group=group_words, notes=notes_of)
    made.globals.update(DASH=DASH, OUTCOME_COLOURS=OUTCOME_COLOURS, both=both)
    return made


@cache
def script() -> str:
    """The script of the page."""
    parts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def policy_of(served: bool) -> str:
    """What the page may load: itself, its one script, image files next to it, or from its own server."""
    digest = base64.b64encode(hashlib.sha256(f"\n{script()}".encode()).digest()).decode("ascii")
    return POLICY.format(
        images="data: blob: 'self'" + ("" if served else " file:"), digest=digest, fetched="'self'" if served else "'none'"
    )


def json_bytes(value: Any) -> bytes:
    """JSON that can be within a script element: no `<`. A lone surrogate, which a model can emit, stays one."""
    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")
    return text.replace(b"<", b"\\u003c")


def block(id: str, value: Any) -> bytes:
    """JSON as an element of the page that is read when it is needed."""
    return b'<script type="application/json" id="%b">%b</script>\n' % (id.encode("ascii"), json_bytes(value))


def contents_of(report: Report, has_curves: bool, has_plots: bool, has_classes: bool) -> list[str]:
    """Ids of the sections that the page has."""
    runs = report.runs
    there = {
        "curves": has_curves,
        "plots": has_plots,
        "tables": any(run.tables for run in runs),
        "classes": has_classes,
        "images": bool(report.shown.images),
    }
    return ["numbers", "warnings", *(name for name, found in there.items() if found), "protocol"]


def order_words(report: Report) -> tuple[str, str]:
    """In which order the images are, in English and Chinese."""
    images, run = report.shown.images, report.runs[-1].name
    title, of_boxes = measure_of(images), any(image.f1 is not None for image in images)
    of_run = both("of.run", run=run) if len(report.runs) > 1 else ("", "")
    key = "value.order" if not of_boxes else "first.order" if title is None else "both.order"
    texts = zip(both(key, measure="{0}", run="{1}"), of_run, translated(title or "F1"), strict=True)
    english, chinese = (text.replace("{0}", measure).replace("{1}", name) for text, name, measure in texts)
    return english, chinese


def html_of(report: Report, embedded: int, served: bool = False, command: str = "") -> str:
    """The page up to its data. `embedded`: image files whose thumbnails come with it; `command` shows the others."""
    runs, table = report.runs, report.table
    numbers, curves, plots = metric_rows(runs, table), curves_of(runs, report.classes), drawings_of(runs)
    headline, by_class = [row for row in numbers if row.number.headline], class_table(runs, table.of_groups)
    return (
        environment()
        .get_template("report.html")
        .render(
            title=report.title,
            policy=policy_of(served),
            run_id=None if len(runs) > 1 else runs[0].metrics.get("run", {}).get("id"),
            runs=runs,
            contents=contents_of(report, bool(curves.drawings or curves.undefined or curves.points), bool(plots), bool(by_class)),
            summary=summary(runs, headline),
            date=runs[-1].metrics.get("protocol", {}).get("date"),
            differing=report.differing,
            table=table,
            headline=headline,
            metrics=numbers,
            with_intervals=any(any(row.intervals) for row in numbers),
            warnings=warnings_of(runs),
            curves=curves,
            plots=plots,
            class_places={name: place for place, name in enumerate(report.classes)},
            class_table=by_class,
            order=order_words(report),
            embedded=embedded,
            command=command,
            total_files=len(report.shown.files),
            protocol=joined([run.metrics.get("protocol", {}) for run in runs]),
            counts=count_rows(runs),
        )
    )


def setup_of(report: Report, images: str | bool | None, images_dir: Path | None, thumbnails: int, served: bool = False) -> dict[str, Any]:
    """What the script reads first. `images`: the way from the page to their folder; True without one, None without images."""
    return {
        "runs": [run.name for run in report.runs],
        "classes": report.classes,
        "outcomes": OUTCOMES,
        "colours": OUTCOME_COLOURS,
        "words": words(),
        "titles": chinese_titles(report.shown.by_run),
        "chunk": CHUNK,
        "images": images,
        "thumbnails": thumbnails,
        "served": served,
        "index": index_of(report.shown, report.classes, images_dir) if report.shown.images else None,
    }


def head_chunks(report: Report, setup: dict[str, Any], embedded: int, command: str = "") -> Iterator[bytes]:
    """The page, its setup, and its script, which waits for the data that follows."""
    text = html_of(report, embedded, setup["served"], command)
    yield text.encode("utf-8", "backslashreplace")  # a model can emit a lone surrogate, which UTF-8 cannot encode
    yield block("setup", setup)
    yield f"<script>\n{script()}</script>\n".encode()


def browse_command(report: Report, images_dir: Path | None) -> str:
    """The command that shows every image: the folders of the runs are named as the runs are."""
    return shlex.join(["groundswift", "browse", *(run.name for run in report.runs), "--images", str(images_dir)])


def page_chunks(report: Report, images_dir: Path | None, images: str | bool | None) -> Iterator[bytes]:
    """The whole page in one file, chunk by chunk: thumbnails and data in the order of the images."""
    shown = report.shown
    files = shown.files[:MOST_EMBEDDED] if images_dir is not None else []
    setup = setup_of(report, images, images_dir, len(files))
    embedded = len(files) if images_dir is not None else len(shown.files)
    yield from head_chunks(report, setup, embedded, browse_command(report, images_dir))
    place_of = {name: place for place, name in enumerate(report.classes)}
    sizes = {image.file_name: image.size_wh for image in reversed(shown.images)}
    thumbnails = enumerate(thumbnail_chunks(files, sizes, images_dir, look_for(len(files)))) if files else iter(())
    for number in range(chunk_count(shown.images)):
        yield block(f"d{number}", data_chunk(shown, number, place_of))
        if found := next(thumbnails, None):
            yield block(f"t{found[0]}", found[1])
    for number, chunk in thumbnails:
        yield block(f"t{number}", chunk)
    yield b"</body>\n</html>\n"


def way_to(images_dir: Path | None, folder: Path) -> str | bool | None:
    """The relative URL of the image folder from the folder of the page; True where there is none, as on another drive."""
    if images_dir is None:
        return None
    try:
        relative = os.path.relpath(os.path.abspath(images_dir), os.path.abspath(folder))
    except ValueError:
        return True
    return quote(relative.replace(os.sep, "/")) + "/"


def write_report(
    runs: Sequence[Run],
    out: Path,
    images_dir: Path | None,
    title: str,
    table: NumberTable,
    differing: Sequence[str] = (),
    place: Path | None = None,
) -> None:
    """Write the report of one run, or of several side by side (first to last, as before and after), to `out`, and as Markdown next to it.

    `table`: how the metric shows its numbers; `differing`: terms of the protocol that keep the runs from comparing. `place`: the folder
    where the file will be, if another than now. Images come from `images_dir` / their `file_name`, by default from their common folder;
    one that cannot be opened is drawn grey with the reason. Raises GroundswiftError without a run, and where `out` cannot be written.
    """
    report = report_of(runs, title, table, differing)
    images_dir = images_dir or common_folder(report.shown.files)
    write_whole(out, page_chunks(report, images_dir, way_to(images_dir, place or out.parent)))
    lines = markdown_lines(runs, title, table, differing, report.shown.images)
    write_whole(
        out.with_suffix(".md"), ("".join(f"{line}\n" for line in lines)).encode("utf-8", "backslashreplace").splitlines(keepends=True)
    )
