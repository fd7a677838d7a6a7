"""`groundswift anomaly table`: questions and answers between text files, CSV, swift rows, GLM-4V's and Phi-3-vision's files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from groundswift.atomic_write import write_whole
from groundswift.csv_files import LONGEST_CELL
from groundswift.errors import GroundswiftError, error_at
from groundswift.records import IMAGE, Message, encode_row, read_jsonl, swift_tag_in
from groundswift.row_view import RowView, image_source
from groundswift.storage import read_text
from groundswift.terminal import counted, echo, echo_json, one_line
from groundswift.urls import shown

from ..engine.convert import RunOptions, convert_to_file
from ..file_io.images import read_header
from ..formats.glm4v import Glm4vOptions, ToGlm4vOptions
from ..formats.phi3v import Phi3vOptions, ToPhi3vOptions
from ..issues import Issue, IssueLog, OnError
from .answer_text import pairs_of
from .csv_cells import Line, csv_lines, table_lines
from .frames import AnomalyRow

READ = {"glm4v": Glm4vOptions, "phi3v": Phi3vOptions}
WRITE = {"glm4v": ToGlm4vOptions, "phi3v": ToPhi3vOptions}
FORMS = ["csv", "rows", "glm4v", "phi3v"]
BY_SUFFIX = {".csv": "csv", ".jsonl": "rows"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class Reader(NamedTuple):
    """Where images and stages come from: `images`, the folder of relative paths; `stage` of what states none."""

    images: str | None
    stage: str
    log: IssueLog

    def lines(self, source: str, form: str) -> Iterator[Line]:
        """The lines of a source of a form. Problems are logged."""
        if form == "text":
            yield from self.text_files(source)
        elif form == "csv":
            for line in table_lines(source):
                if isinstance(line, str):
                    where, _, what = line.partition(": ")
                    self.log.add(Issue.of("csv-fields", where, what))
                else:
                    yield line
        else:
            yield from self.rows(source)

    def text_files(self, folder: str) -> Iterator[Line]:
        """A line for each pair in the text files of a folder, NAME.txt about the image NAME."""
        names = sorted(name for name in os.listdir(folder) if name.endswith(".txt"))
        if not names:
            raise error_at(folder, "no text file in it", "NAME.txt with lines Q: and A: about the image NAME")
        for name in names:
            path, stem = os.path.join(folder, name), os.path.splitext(name)[0]
            there = [found for suffix in SUFFIXES if os.path.isfile(found := os.path.join(self.images or folder, stem + suffix))]
            if not there:
                self.log.add(Issue("image-missing", path, f"no image {stem} in {self.images or folder}", "an image of its name (--images)"))
                continue
            read = pairs_of(read_text(path, "questions and answers"))
            for id, count in read.problems.items():
                self.log.count(id, path, count)
            yield from (Line(os.path.abspath(there[0]), *pair, self.stage, "", "", path) for pair in read.pairs)

    def rows(self, source: str) -> Iterator[Line]:
        """A line for each row of one question and one answer."""
        for number, row in read_jsonl(source, dict):
            where = f"{shown(source)}:{number}"
            if isinstance(row, GroundswiftError):
                self.log.add(Issue.of("not-json", where, str(row).removeprefix(f"{where}: "), "one JSON object per line"))
                continue
            view = RowView.of(row)
            images = [image_source(image) or "" for image in view.images]
            text, answer = "".join(content for role, content in view.messages if role == "user"), ""
            if [role for role, _ in view.messages] != ["user", "assistant"] or not images or "" in images:
                self.log.add(Issue("row-not-a-pair", where, "not one question with images and one answer", "such rows"))
                continue
            answer, question = view.messages[1][1], text.removeprefix(IMAGE * len(images))
            if swift_tag_in(question + answer):
                self.log.count("row-with-objects", where)
                continue
            stage = row.get("stage")
            more = [str(row.get(key) or "") for key in ("class_name", "source_image")]
            yield Line("\n".join(images), question, answer, str(stage or self.stage), *more, where)

    def row(self, line: Line, name: str, number: int) -> AnomalyRow | None:
        """The row of a line; None, and a problem is logged or counted, where it cannot be one."""
        for id, there, lacking in (
            ("question-without-answer", line.question, line.answer),
            ("answer-without-question", line.answer, line.question),
        ):
            if there.strip() and not lacking.strip():
                self.log.count(id, line.where)
                return None
        if not line.question.strip():
            self.log.count("line-blank", line.where)
            return None
        if tag := swift_tag_in(line.question + line.answer):
            self.log.add(Issue("text-tag", line.where, f"holds {tag}", "text without it"))
            return None
        stage = line.stage.strip() or self.stage
        if stage not in ("", "1", "2", "3"):
            self.log.add(Issue("stage-unknown", line.where, f"stage {stage[:50]!r}", "1, 2, 3, or nothing"))
            return None
        paths = [os.path.abspath(os.path.join(self.images or "", path.strip())) for path in line.image.splitlines() if path.strip()]
        found: list[Any] = [read_header(path, line.where, size_needed=True) for path in paths]
        if broken := [each for each in found if isinstance(each, Issue)] or not paths:
            self.log.add(broken[0] if paths else Issue("image-missing", line.where, "no image", "the path of one"))
            return None
        messages = [Message("user", IMAGE * len(paths) + line.question), Message("assistant", line.answer)]
        row = AnomalyRow(messages, paths, [], sample_id=f"{name}/{number}", size_wh=found[0].size_wh, stage=int(stage or 0))
        row.class_name, row.source_image = line.label or None, line.source or None
        return row


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="SOURCE")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="File to write; unchanged if the command fails."
)
@click.option("--read", "read", type=click.Choice(["text", *FORMS]), help="Form of SOURCE.  [default: by suffix; a folder: text]")
@click.option("--form", type=click.Choice(FORMS), help="Form of FILE.  [default: by suffix: .csv csv, .jsonl rows]")
@click.option("--images", metavar="DIR", help="Folder where relative paths of images start.  [default: the working folder]")
@click.option("--stage", type=click.Choice(["1", "2", "3"]), help="Stage of what states none.")
@click.option("--bom", is_flag=True, help="CSV with the mark by which spreadsheets know UTF-8.")
@click.option("--on-error", type=click.Choice(["stop", "skip"]), default="stop", show_default=True, help="Stop at problems, or count them.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object.")
def table(
    source: str,
    out: Path,
    read: str | None,
    form: str | None,
    images: str | None,
    stage: str | None,
    bom: bool,
    on_error: OnError,
    as_json: bool,
) -> None:
    """Questions and answers between text files, CSV, swift rows, GLM-4V's and Phi-3-vision's files.

    \b
    text    a folder of NAME.txt with lines `Q: ...` and `A: ...` about the image NAME (of --images)
    csv     image,question,answer,stage,label,source; several images are on lines of one cell
    rows    swift rows of one question and one answer
    glm4v   GLM-4V's messages; phi3v: Phi-3-vision's JSON

    In CSV a cell that a spreadsheet would run (= + - @) gets an apostrophe, which is removed on the way back. Rows with boxes have no
    place in it, and are counted: `groundswift convert to-glm4v` and `to-phi3v` write them as text.

    \b
    Example:
      groundswift anomaly table local.asked.jsonl --out local.csv --bom
      groundswift anomaly table local.csv --out local.jsonl
      groundswift anomaly table local.csv --form glm4v --out local_glm.jsonl
      groundswift anomaly table Box_txt/ --images crops/ --stage 1 --out Box_QA.csv
    """
    read, form = forms_of(source, out, read, form)
    if os.path.exists(out) and os.path.samefile(source, out):
        raise error_at(out, "is the source", "another file to write")
    log = IssueLog(on_error)
    with tempfile.TemporaryDirectory() as folder:
        if read in READ:
            rows = Path(folder, f"{Path(source).stem}.jsonl")
            more = {"images": images} if images else {}
            convert_to_file(READ[read](annotations=source, on_error=on_error, **more), rows, RunOptions(progress=False), log)
            source, read, images = str(rows), "rows", None
        count = written(Reader(images, stage or "", log), source, read, form, out, bom, Path(folder))
    document = {"lines": count, "out": str(out), "counts": dict(log.counted.counts.most_common())}
    if as_json:
        echo_json(json.dumps(document))
    else:
        lines = [f"{counted(count, 'question')} -> {out}", *(["dropped or changed:", *log.lines()] if log.counted.counts else [])]
        echo("\n".join(map(one_line, lines)))


def forms_of(source: str, out: Path, read: str | None, form: str | None) -> tuple[str, str]:
    """The forms of source and file, by their suffixes where they are not given. Raises click.UsageError where these do not say it."""
    read = read or ("text" if os.path.isdir(source) else BY_SUFFIX.get(os.path.splitext(source)[1].lower()))
    form = form or BY_SUFFIX.get(out.suffix.lower())
    if read is None or form is None:
        option = "--read" if read is None else "--form"
        raise click.UsageError(f"{option}: the suffix does not say the form; expected one of {', '.join(FORMS)}")
    return read, form


def written(reader: Reader, source: str, read: str, form: str, out: Path, bom: bool, folder: Path) -> int:
    """Write the lines of a source in a form -> how many. Raises GroundswiftError with the problems, and where nothing is left."""
    lines = list(reader.lines(source, read))
    if form == "csv":
        kept: list[Any] = lines
        for line in lines:
            if max(map(len, line[:-1])) > LONGEST_CELL:
                reader.log.count("cell-too-long", line.where)
    else:
        name = Path(source).stem
        kept = [row for number, line in enumerate(lines, 1) if (row := reader.row(line, name, number))]
    reader.log.settle(shown(source), in_sets=False)
    if not kept:
        raise reader.log.nothing_left(shown(source), "nothing to write: no question with an answer is left")
    if form == "csv":
        write_whole(out, csv_lines(kept, bom))
    elif form == "rows":
        write_whole(out, map(encode_row, kept))
    else:
        rows = folder / "rows.jsonl"
        write_whole(rows, map(encode_row, kept))
        on_error: OnError = "skip" if reader.log.skipping else "stop"
        return convert_to_file(WRITE[form](annotations=str(rows), on_error=on_error), out, RunOptions(progress=False), reader.log).rows
    return len(kept)
