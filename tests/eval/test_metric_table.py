"""The table of metrics: one from another distribution has its command, its report and its place in `eval compare`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import box_count
import click
import numpy as np
import pytest
from box_count import BoxCount
from click.testing import CliRunner
from evaluated import write_rows

from groundswift import Located, format_answer
from groundswift.entry_points import ClassTable
from groundswift.errors import GroundswiftError
from groundswift.eval import cli, metrics
from groundswift.eval.metric import Evaluation, Metric, Number, NumberTable
from groundswift.eval.metric_command import command_of, with_plain_numbers

pytestmark = pytest.mark.process


@pytest.fixture
def outside(tmp_path) -> Path:
    """A folder as pip leaves it: a module, and the metadata of a distribution that names it."""
    site = tmp_path / "site"
    (site / "box_count-1.0.dist-info").mkdir(parents=True)
    (site / "box_count.py").write_bytes(Path(box_count.__file__).read_bytes())
    (site / "box_count-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: box-count\nVersion: 1.0\n")
    (site / "box_count-1.0.dist-info" / "entry_points.txt").write_text("[groundswift.metrics]\nbox_count = box_count:BoxCount\n")
    (tmp_path / "gt.json").write_text(json.dumps({"a": 1, "b": 3}))
    for name, boxes in (("before", 0), ("after", 2)):
        text = format_answer([Located("cat", (0, 0, 9 + n, 9)) for n in range(boxes)])
        rows = [{"sample_id": sample_id, "size_wh": [100, 50], "response": text} for sample_id in ("a", "b")]
        write_rows(tmp_path / f"{name}.jsonl", [*rows, {"sample_id": "c", "response": None, "error": "not a readable image"}])
    return tmp_path


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    command = [sys.executable, "-m", "groundswift.cli", "eval", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_metric_of_another_distribution(outside):
    for name, error in (("before", 2), ("after", 1)):
        done = call(outside, "box-count", f"{name}.jsonl", "--gt", "gt.json", "--family", "qwen2_vl", "--out", name, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["count_error"], found["protocol"]["metric"]) == (error, "box_count")
        assert (found["counts"]["rows"], found["counts"]["rows_left_out"]) == (2, {"row-failed": 1})
        page = (outside / name / "report.html").read_text()
        assert f"mean absolute error {error}.000 on 2 rows." in page
        assert [word for word in ("count_error", "Images", "Classes") if f">{word}<" in page] == [], "neither keys nor empty sections"
    done = call(outside, "compare", "before", "after", "--out", "both")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["mean", "absolute", "error", "2.000", "1.000", "-1.000"]
    assert json.loads((outside / "both" / "summary.json").read_text()) == {"before": {"count_error": 2}, "after": {"count_error": 1}}
    assert 'class="change up"' in (outside / "both" / "report.html").read_text(), "a smaller error is a gain"
    assert "box-count" in call(outside, "--help").stdout


def test_a_built_in_metric_keeps_its_name(outside):
    (outside / "site" / "box_count-1.0.dist-info" / "entry_points.txt").write_text("[groundswift.metrics]\ncoco_map = box_count:BoxCount\n")
    works, shown = call(outside, "coco-map", "--help"), call(outside, "--help")
    message = "metric coco_map of box_count:BoxCount: the name is taken by groundswift.eval.metrics.coco_map"
    assert (works.returncode, "COCO mAP of RESULT" in works.stdout) == (0, True), works.stderr
    assert (shown.returncode, f"Not usable:\n  {message}" in shown.stdout, "  coco-map " in shown.stdout) == (0, True, True)


def of_packages(places: dict[str, str]) -> dict[str, list[EntryPoint]]:
    """Entries of a table as packages add them."""
    return {name: [EntryPoint(name, place, "groundswift.metrics")] for name, place in places.items()}


def test_an_entry_point_of_another_name_is_refused():
    table = ClassTable("metric", "groundswift.none", Metric, {})
    table.entries = of_packages({"x": "groundswift.eval.metrics.referring:Referring"})
    with pytest.raises(GroundswiftError, match="metric x: .*:Referring is not a metric of this name; expected a subclass of Metric"):
        table["x"]


class Dashed(BoxCount):
    """A name with a dash."""

    name = "dashed-name"


class Undescribed(BoxCount):
    name = "undescribed"


class Ready(BoxCount):
    """Options that are no decorators."""

    name, options = "ready", [click.Option(["--floor"])]


class Bare(BoxCount):
    """An option without a list."""

    name, options = "bare", click.option("--floor")


class Single(BoxCount):
    """A number without a list."""

    name, numbers = "single", Number("count_error", "mean absolute error")


class Unscored(Metric):
    """No method."""

    name = "unscored"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Dashed, "metric dashed-name: the name has a dash; expected 'dashed_name', whose subcommand is dashed-name"),
        (Unscored, f"metric unscored: {__name__}:Unscored has no read_truth; expected the methods read_truth and score on the class"),
        (Single, f'metric single: numbers of {__name__}:Single is not a list of numbers; expected numbers = [Number("key", "title"), ...]'),
        (Undescribed, f"metric undescribed: {__name__}:Undescribed has no docstring; expected one: it is the help of the command"),
        (
            Ready,
            f'metric ready: options of {__name__}:Ready is not a list of options; expected options = [click.option("--name", ...), ...]',
        ),
        (Bare, f'metric bare: options of {__name__}:Bare is not a list of options; expected options = [click.option("--name", ...), ...]'),
    ],
)
def test_a_metric_that_cannot_have_a_command_is_refused_in_words_and_the_others_work(monkeypatch, kind, message):
    table = metrics.MetricTable()
    table.built_in = {}
    table.entries = of_packages(
        {kind.name: f"{__name__}:{kind.__name__}", "box_count": "box_count:BoxCount", "box-count": "nowhere:Nobody"}
    )
    monkeypatch.setattr(cli, "METRICS", table)
    shown, called = (CliRunner().invoke(cli.evaluate, words) for words in (["--help"], [kind.name, "--help"]))
    assert f"Not usable:\n  {message}\n" in shown.stdout
    assert "  box-count " in shown.stdout
    assert str(called.exception) == message


def test_the_ground_truth_of_a_metric_is_not_said_to_be_coco():
    words = {kind: CliRunner().invoke(command_of(kind), ["--help"]).stdout for kind in (BoxCount, metrics.METRICS["coco_map"])}
    options = [text.partition("Options:")[2].partition("--gt")[2].partition("--out")[0] for text in words.values()]
    assert ["COCO" in text for text in options] == [False, True]


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_of_the_table(name):
    kind = metrics.METRICS[name]
    keys = [number.key for number in kind.numbers]
    assert len(set(keys)) == len(keys) > 0
    assert all(number.title for number in kind.numbers)
    assert metrics.metric_of_run({"protocol": {"metric": (kind.protocol_names or (name,))[0]}}).name == name
    assert [number.key for number in kind().table([{}]).numbers] == keys


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"count_error": 1}, "metric box_count: score returned a dict; expected an Evaluation"),
        (
            Evaluation({"count_error": 1}, per_sample=[{"image_id": 1}]),
            "metric box_count: per_sample: got a dict; expected a list of ImageResult",
        ),
        (Evaluation({"pck": 0.5}), "metric box_count: score returned 'pck'; expected 'count_error' too, None where undefined"),
        (Evaluation({}), "metric box_count: score returned nothing; expected 'count_error' too, None where undefined"),
        (Evaluation({"count_error": "0.5"}), "metric box_count: count_error is a str; expected a number, or None where undefined"),
    ],
)
def test_results_that_are_none_are_refused(found, message):
    with pytest.raises(GroundswiftError) as stopped:
        with_plain_numbers(BoxCount(), found)
    assert str(stopped.value) == message


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(2), 2, None])
def test_numbers_of_numpy_become_those_of_json(value):
    (found,) = with_plain_numbers(BoxCount(), Evaluation({"count_error": value})).summary.values()
    assert (found, type(found)) == (value, type(value) if value is None else float)


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), None])
def test_an_undefined_number_is_null_and_a_dash(value):
    found = with_plain_numbers(BoxCount(), Evaluation({"count_error": value}))
    assert found.summary == {"count_error": None}
    assert BoxCount().lines(found) == ["mean absolute error  -"]


def test_a_run_of_an_unknown_metric_shows_its_numbers():
    metric = metrics.metric_of_run({"protocol": {"metric": "nobody's"}})
    assert type(metric) is Metric
    table = metric.table([{"mine": 0.5, "counts": {}}])
    assert isinstance(table, NumberTable)
    assert [number.key for number in table.numbers] == ["mine"]
