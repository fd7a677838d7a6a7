"""What tests of converters ask for: the rows and counts of a source, the command's output, and what the lint finds in it."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from groundswift.cli import main
from groundswift.data_converters.base import Options
from groundswift.data_converters.engine.convert import RunOptions, convert_to_file
from groundswift.data_converters.issues import IssueLog
from groundswift.errors import GroundswiftError

Short = tuple[Any, str, tuple[int, int], list[tuple[str, list[float]]]]


def converted(options: Options, out: Path, workers: int = 1) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(the rows of the file that a conversion writes, its counts by reason); lint finds nothing in them."""
    log = IssueLog(options.on_error)
    convert_to_file(options, out, RunOptions(workers, progress=False), log)
    assert lint_findings(out) == {}
    return [json.loads(line) for line in out.read_bytes().splitlines()], dict(log.counted.counts)


def write_lines(path: Path, *rows: Any) -> Path:
    """Write rows as JSON Lines, bytes as they are -> the path."""
    lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def detection_row(*named: tuple[str, list[float]], image: str = "a.jpg", **changes: Any) -> dict[str, Any]:
    """A detection row with sample_id 1; `named`: label and box of each object. A key that is changed to None is absent."""
    turns = ("<image>Find all.", "<ref-object><bbox>" * len(named) or "None")
    made = {
        "messages": [{"role": role, "content": text} for role, text in zip(("user", "assistant"), turns, strict=True)],
        "images": [image],
        "objects": {"ref": [label for label, _ in named], "bbox": [box for _, box in named], "bbox_type": "real"},
        "sample_id": 1,
        "size_wh": [64, 48],
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


def short(row: dict[str, Any]) -> Short:
    """(sample_id, name of the image, size, (label, box) of each object)."""
    objects = row["objects"]
    return (row["sample_id"], Path(row["images"][0]).name, tuple(row["size_wh"]), list(zip(objects["ref"], objects["bbox"], strict=True)))


def refusal(options: Options, out: Path) -> str:
    """What a conversion is refused with; nothing is written."""
    try:
        convert_to_file(options, out, RunOptions(progress=False), IssueLog(options.on_error))
    except GroundswiftError as error:
        assert not out.exists()
        return str(error)
    raise AssertionError(f"expected a refusal, got {out.read_text()[:500]}")


def run(*arguments: object) -> Result:
    """`groundswift ...` in this process; an error is printed, never raised."""
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@contextmanager
def full_disk(most_bytes: int = 5_000) -> Iterator[None]:
    """A disk that this process can write no longer file to."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def lint_findings(path: Path) -> dict[str, int]:
    """Rule -> how often: errors and warnings, and infos but those that say how a set is made up."""
    document = json.loads(run("lint", path, "--json").stdout)
    return {rule: each["count"] for rule, each in document["rules"].items() if rule not in ("no-negatives", "image-exif-rotated")}


def ap(folder: Path, truth: Path, *answers: object) -> float:
    """AP of `eval coco-map` with these arguments, whose output goes to a folder."""
    done = run("eval", "coco-map", "--gt", truth, *answers, "--out", folder / "scored", "--no-report", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["AP"]


def perfect_ap(rows: list[dict[str, Any]], truth: Path, folder: Path, *options: str) -> float:
    """AP of the answers that say what the rows teach."""
    answers = []
    for row in rows:
        found = [{"bbox_2d": box, "label": label} for label, box in zip(row["objects"]["ref"], row["objects"]["bbox"], strict=True)]
        answers.append({"response": json.dumps(found), "sample_id": row["sample_id"], "size_wh": row["size_wh"]})
    result = write_lines(folder / "result.jsonl", *answers)
    return ap(folder, truth, result, "--family", "qwen3_vl", "--space", "original_px", *options)
