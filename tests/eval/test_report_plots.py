"""Curves, plots, tables and numbers of the report: corners, axes, one operating point, undefined values."""

from __future__ import annotations

import re

import pytest
from report_page import image_result, make_run

from groundswift.eval.evaluated_run import DrawnBox, ImageResult, Line, Plot, Table
from groundswift.eval.report.plots import Scale, drawings_of, number_ticks, range_of, stretches_of
from groundswift.eval.report.tables import number_text, signed_text


@pytest.mark.parametrize("undefined", [None, float("nan")], ids=["null", "nan"])
def test_undefined_is_a_dash_never_zero(report, undefined):
    page = report(make_run("a", value=undefined, labels=()), make_run("b", value=undefined, labels=()))
    table = page.html[page.html.index('aria-label="Numbers"') : page.html.index("AP is the mean precision")]
    cells = re.findall(r'<td class="n">(?:\s*<span class="change">)?([^<]*)<', table)
    assert cells == ["–"] * 12 * 3
    assert "nan" not in page.text().lower().split()


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [(0.0, "0.000", "0.000"), (-0.0001, "−0.000", "0.000"), (0.25, "0.250", "+0.250"), (-0.25, "−0.250", "−0.250"), (None, "–", "–")],
)
def test_number_text(value, text, signed):
    assert (number_text(value), signed_text(value)) == (text, signed)


UNIT = Scale((0, 1), (0, 1))


def points_of(values):
    return stretches_of([None if value is None else (i / 100, value) for i, value in enumerate(values)], UNIT)


def test_points_keep_the_corners_of_a_curve():
    (corners,) = points_of([1.0] * 51 + [0.0] * 50)
    assert len(corners.split()) == 4
    assert points_of([None] * 101) == []
    assert [len(stretch.split()) for stretch in points_of([0.1, 0.2, None, 0.5, 0.4, 0.6])] == [2, 3]


def test_lines_of_one_plot_look_different():
    """More lines than colours, as those of the headline numbers over the steps of checkpoints."""
    plot = Plot("steps", "", "step", "", [Line(str(number), [0, 1], [0, 1]) for number in range(14)], of_all_runs=True)
    runs = [make_run("a"), make_run("b")]
    runs[0].plots = [plot]
    (drawing,) = drawings_of(runs)
    assert len({(line.style, line.dash) for line in drawing.lines}) == 14


def test_many_runs_have_the_lines_of_the_first_and_the_last():
    """Of curves of each run; lines over the steps of all runs stay, and come first."""
    runs = [make_run(f"checkpoint-{number}") for number in range(5)]
    for run in runs:
        run.plots = [Plot("roc", "ROC", "", "", [Line("all", [0, 1], [0, 1], operating_point_xy=(0.25, 0.75))])]
    runs[0].plots.insert(0, Plot("steps", "", "step", "", [Line("F1", [0, 1], [0, 1])], of_all_runs=True))
    steps, roc = drawings_of(runs)
    assert (steps.id, [line.title for line in roc.lines]) == ("steps", ["checkpoint-0: all", "checkpoint-4: all"])
    assert (steps.notes, roc.notes) == ([], ["Lines of the first and the last of 5 runs."])
    assert roc.lines[0].dots == [Scale((0, 1), (0, 1)).place(0.25, 0.75)], "the operating point"
    assert [line.title for line in drawings_of(runs[:3])[1].lines] == [f"checkpoint-{number}: all" for number in range(3)]


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 320, [0, 100, 200, 300]), (-3, 4, [-2, 0, 2, 4]), (1e-9, 5e-9, 5)]
)
def test_ticks_are_round_numbers(low, high, ticks):
    found = number_ticks(low, high)
    assert len(found) == ticks if isinstance(ticks, int) else found == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("values", "expected"), [([], (0, 1)), ([0.5], (0, 1)), ([None, float("nan"), 1e300], (0, 1)), ([5.0], (0, 5)), ([-4.0, 8], (-4, 8))]
)
def test_the_range_of_an_axis_ignores_what_is_undefined(values, expected):
    assert range_of(values, from_zero=True) == expected


def run_of_one_score(outcomes, **protocol):
    boxes = [DrawnBox("star", (1.0, 1.0, 9.0, 9.0), outcome, 1.0) for outcome in outcomes]
    truth = [box for box in boxes if box.outcome != "false_positive"]
    found = [box for box in boxes if box.outcome != "false_negative"]
    return make_run(images=[ImageResult(1, "000001.jpg", (112, 84), "ok", truth, found, 0.5)], **protocol)


@pytest.mark.parametrize("protocol", [{"score": "constant"}, {}])
def test_one_score_is_one_point_and_not_a_curve(report, protocol):
    page = report(run_of_one_score(["true_positive"] * 3 + ["false_negative"] + ["false_positive"] * 2, **protocol))
    assert "one operating point and not a curve: precision 0.600, recall 0.750 at IoU 0.50." in page.text()
    assert page.all("polyline") == []
    all_classes, star = page.all("circle")
    assert all_classes == star
    assert (float(all_classes["cx"]), float(all_classes["cy"])) == (pytest.approx(64 + 0.75 * 560), pytest.approx(370 - 0.6 * 356, abs=0.1))


def test_one_score_without_predictions_is_said(report):
    page = report(run_of_one_score(["false_negative"], score="constant"))
    assert "its operating point is undefined" in page.text()
    assert page.all("circle") == []


def test_tables_and_plots_of_a_metric_are_drawn(report):
    run = make_run(images=[image_result()])
    run.tables = [
        Table("confusion", "Confusion matrix", ["", "cat", "dog"], [["cat", 8.0, 2.0], ["dog", 0.0, 4.0]], matrix=True),
        Table("tide", "Errors", ["error", "AP"], [["background", None], ["class", 0.25], ["all", 1.0]]),
    ]
    lines = [Line("a", [0.1, 0.5, 0.9], [0.2, None, 0.8]), Line("b", [0.1, 0.5, 0.9], [0.3, 0.1, 0.1])]
    run.plots = [Plot(kind, kind, "x", "y", lines, kind=kind, diagonal=kind == "points") for kind in ("line", "bars", "points")]
    page = report(run)
    cells = re.findall(
        r'<td class="n( zero)?"(?: style="--heat:(\d+)%")?>([^<]*)</td>', page.html.split('id="table-confusion"')[1].split("</table>")[0]
    )
    assert cells == [("", "100", "8"), ("", "25", "2"), (" zero", "", "0"), ("", "100", "4")]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page.html.split('id="table-tide"')[1].split("</table>")[0]) == ["–", "0.250", "1.000"]
    drawings = {kind: page.html.split(f'id="plot-{kind}"')[1].split("</svg>")[0] for kind in ("line", "bars", "points")}
    assert drawings["line"].count("<polyline") == 3, "a is undefined in its middle"
    assert drawings["bars"].count("<rect") == drawings["points"].count("<circle") == 5
    assert [kind for kind, text in drawings.items() if 'class="diagonal"' in text] == ["points"]
    assert "| cat | 8 | 2 |" in page.markdown


def test_intervals_are_next_to_their_numbers(report):
    run = make_run()
    run.metrics["intervals"] = {"AP": (0.4, 0.6)}
    page = report(run)
    assert page.text().count("[0.400, 0.600]") == 2
    assert "| AP | 0.500 \\[0.400, 0.600\\] |" in page.markdown
