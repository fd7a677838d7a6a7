"""ROC, precision over recall and the numbers of both, against their definitions and references; what has no curve and no interval."""

from __future__ import annotations

import json
import random
import re
from statistics import NormalDist

import numpy as np
import pytest
from evaluated import call, metrics_of, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from test_anomaly import WORDS, logprobs, verdict_row
from text_rows import scored

from groundswift.eval import bootstrap
from groundswift.eval.answers.verdicts import Verdict
from groundswift.eval.evaluated_run import Line
from groundswift.eval.roc import Ranked, area, average_precision, best_f1, curve_of, precision_curve, thinned
from groundswift.eval.roc_interval import Z, auroc_interval
from groundswift.eval.run_check import read_run
from groundswift.eval.verdict_numbers import class_numbers, verdict_columns
from groundswift.eval.verdict_plots import MOST, Group, largest_classes, roc_line

SAMPLES = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 5)), min_size=1, max_size=30)


def columns(samples):
    """(scores, kinds, units)."""
    return [score / 6 for score, _, _ in samples], [kind for _, kind, _ in samples], [unit for _, _, unit in samples]


@settings(max_examples=50)
@given(SAMPLES)
def test_numbers_are_those_of_their_definitions(samples):
    """All pairs of a positive and a negative; all thresholds from the highest score down."""
    scores, kinds, _ = columns(samples)
    ranked, curves = Ranked.of(scores, kinds), (curve_of(scores, kinds), precision_curve(scores, kinds))
    ups, downs = ([score for score, kind in zip(scores, kinds, strict=True) if kind == side] for side in (True, False))
    if not ups or not downs:
        assert (area(ranked), average_precision(ranked), best_f1(ranked), *curves) == (None,) * 5
        return
    assert area(ranked) == pytest.approx(np.mean([(up > down) + (up == down) / 2 for up in ups for down in downs]))
    precision, f1, before = 0.0, [], 0
    for threshold in sorted(set(scores), reverse=True):
        found, false = (sum(score >= threshold for score in side) for side in (ups, downs))
        precision, before = precision + (found - before) / len(ups) * found / (found + false), found
        f1.append((2 * found / (len(ups) + found + false), threshold))
    assert average_precision(ranked) == pytest.approx(precision)
    assert best_f1(ranked) == pytest.approx(max(f1))
    (across, up), (recall, precisions) = curves
    assert (across[0], up[0], across[-1], up[-1], recall[0], recall[-1]) == (0, 0, 1, 1, 0, 1)
    assert across == sorted(across)
    assert up == sorted(up)
    assert float(np.sum(np.diff(recall) * np.array(precisions)[1:])) == pytest.approx(precision), "the area below the line"
    assert recall[1::2] == sorted(set(recall[1::2])), "a threshold that finds nothing new is not a step"
    assert float(np.trapezoid(up, across)) == pytest.approx(area(ranked))


def test_numbers_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(3)
    scores, kinds = draw.integers(0, 20, 300) / 20, draw.integers(0, 2, 300).astype(bool)
    ranked = Ranked.of(scores, kinds)
    assert area(ranked) == pytest.approx(metrics.roc_auc_score(kinds, scores), abs=1e-12)
    assert average_precision(ranked) == pytest.approx(metrics.average_precision_score(kinds, scores), abs=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(kinds, scores)
    assert best_f1(ranked)[0] == pytest.approx(np.max(2 * precision * recall / (precision + recall)), abs=1e-12)


def delong(scores, kinds):
    """(area, variance) as DeLong, DeLong and Clarke-Pearson write it (1988): structural components of each positive and negative."""
    ups, downs = ([score for score, kind in zip(scores, kinds, strict=True) if kind == side] for side in (True, False))
    wins = np.array([[(up > down) + (up == down) / 2 for down in downs] for up in ups])
    variance = np.var(wins.mean(axis=1), ddof=1) / len(ups) + np.var(wins.mean(axis=0), ddof=1) / len(downs)
    return wins.mean(), variance


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_that_of_delong_and_near_that_of_a_bootstrap(seed):
    draw = np.random.default_rng(seed)
    kinds = draw.integers(0, 2, 200).astype(bool)
    scores = np.round(draw.normal(kinds * 1.0, 1.0), 1)
    centre, variance = delong(scores, kinds)
    found = auroc_interval(scores, kinds, range(200))
    assert found == pytest.approx((centre - 1.959963984540054 * variance**0.5, centre + 1.959963984540054 * variance**0.5), abs=1e-12)
    areas = [area(Ranked.of(scores[each], kinds[each])) for part in bootstrap.draws(200) for each in part]
    assert found == pytest.approx(bootstrap.percentiles(areas), abs=0.015)


def obuchowski(scores, kinds, units):
    """The variance of clustered data as Obuchowski writes it (1997), cluster by cluster."""
    rows = list(zip(scores, kinds, units, strict=True))
    ups, downs = ([score for score, kind, _ in rows if kind == side] for side in (True, False))
    centre = np.mean([(up > down) + (up == down) / 2 for up in ups for down in downs])
    sums = []
    for unit in set(units):
        own = [(score, kind) for score, kind, each in rows if each == unit]
        up = [np.mean([(score > down) + (score == down) / 2 for down in downs]) for score, kind in own if kind]
        down = [np.mean([(each > score) + (each == score) / 2 for each in ups]) for score, kind in own if not kind]
        sums.append((len(up), sum(up) - len(up) * centre, len(down), sum(down) - len(down) * centre))
    m, n, clusters = len(ups), len(downs), len(sums)
    of_ups, of_downs = sum(each[0] > 0 for each in sums), sum(each[2] > 0 for each in sums)
    if of_ups < 2 or of_downs < 2:
        return None
    s10 = of_ups / ((of_ups - 1) * m) * sum(each[1] ** 2 for each in sums)
    s01 = of_downs / ((of_downs - 1) * n) * sum(each[3] ** 2 for each in sums)
    s11 = clusters / (clusters - 1) * sum(each[1] * each[3] for each in sums)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


@settings(max_examples=50)
@given(SAMPLES, st.randoms(use_true_random=False))
def test_rows_of_one_frame_are_one_cluster(samples, chance):
    scores, kinds, units = columns(samples)
    found = auroc_interval(scores, kinds, units)
    expected = obuchowski(scores, kinds, units) if len(set(kinds)) == 2 else None
    if expected is None or expected < 1e-12:
        assert found is None
        return
    centre = area(Ranked.of(scores, kinds))
    half = 1.959963984540054 * expected**0.5
    assert found == pytest.approx((max(centre - half, 0), min(centre + half, 1)), abs=1e-9)
    shuffled = samples[:]
    chance.shuffle(shuffled)
    assert auroc_interval(*columns(shuffled)) == found, "bit for bit"
    assert auroc_interval(*columns(samples + samples)) == pytest.approx(found, abs=1e-9), "a frame asked twice tells nothing new"


def test_the_level_is_that_of_the_other_intervals():
    assert NormalDist().inv_cdf((1 + bootstrap.LEVEL) / 2) == pytest.approx(Z, abs=1e-12)


def test_scores_that_separate_have_no_interval():
    assert auroc_interval([0.1, 0.2, 0.8, 0.9], [False, False, True, True], range(4)) is None


def test_a_line_has_few_points_however_many_scores():
    draw = np.random.default_rng(0)
    kinds = draw.integers(0, 2, 50_000).astype(bool)
    points = curve_of(draw.normal(kinds * 1.0, 1.0), kinds)
    thin = thinned(points)
    assert len(points[0]) == 50_001
    assert len(thin[0]) < 2_100
    assert (thin[0][0], thin[1][0], thin[0][-1], thin[1][-1]) == (0, 0, 1, 1)
    assert float(np.trapezoid(thin[1], thin[0])) == pytest.approx(float(np.trapezoid(points[1], points[0])), abs=1e-3)


VERDICTS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([True, False, None]), st.integers(0, 4), st.sampled_from("ab-")), min_size=2, max_size=25
)


@settings(max_examples=50)
@given(VERDICTS)
def test_numbers_of_a_class_are_those_of_its_verdicts_and_the_shared_ones(drawn):
    """Sorted once and counted in parts, or put together as one group: the same."""
    found = [Verdict(kind, said, score / 4) for kind, said, score, _ in drawn]
    classes = {name: [place for place, each in enumerate(drawn) if each[3] == name] for name in "ab"}
    shared = [place for place, each in enumerate(drawn) if each[3] == "-" and not each[0]]
    numbers, of_all = class_numbers(found, classes, shared), verdict_columns(found)
    for name, places in classes.items():
        if any(drawn[place][0] for place in places) and (shared or not all(drawn[place][0] for place in places)):
            assert numbers[name] == pytest.approx({key: of_all[key].number([*places, *shared]) for key in numbers[name]})
        else:
            assert name not in numbers


def drawn_rows(count: int = 60):
    """Rows whose scores are mostly right, each frame asked twice; the kind of anomaly by its number."""
    draw, rows = random.Random(4), []
    for number in range(count):
        truth = number // 2 % 2 == 0
        sure = min(max(draw.gauss(0.65 if truth else 0.35, 0.2), 0.01), 0.99)
        said = {"A": sure, "B": 1 - sure}
        letter = "A" if sure > 0.5 else "B"
        kind = {"class_name": ("bubble", "spill")[number // 4 % 2]} if truth else {}
        more = {"source_image": f"{number // 2}.jpg", **kind, **logprobs(letter, said[letter], **said)}
        rows.append(verdict_row(number, truth, letter, **more))
    return rows


def test_plots_and_table_say_what_the_numbers_say(tmp_path):
    """One set of numbers: metrics.json, --json, summary.json of compare, the table of the report and its lines."""
    rows = drawn_rows()
    found = scored("anomaly", tmp_path, rows, *WORDS)
    (folder,) = tmp_path.glob("scored-*")
    plots = {plot.id: {line.label: line for line in plot.lines} for plot in read_run(folder, "a").plots}
    assert set(plots) == {"roc", "roc-classes", "precision-recall", "precision-recall-classes"}
    line = plots["roc"][f"all, AUROC {found['anomaly_auroc']:.3f}"]
    assert float(np.trapezoid(line.y, line.x)) == pytest.approx(found["anomaly_auroc"], abs=1e-3)
    assert line.operating_point_xy == pytest.approx((1 - found["anomaly_specificity"], found["anomaly_recall"]))
    line = plots["precision-recall"][f"all, AP {found['anomaly_ap']:.3f}"]
    assert line.operating_point_xy == pytest.approx((found["anomaly_recall"], found["anomaly_precision"]))
    bubble = found["per_class"]["class_name: bubble"]
    assert f"class_name: bubble, AUROC {bubble['anomaly_auroc']:.3f}" in plots["roc-classes"]
    table = next(table for table in found["tables"] if table["id"] == "roc")
    cells = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert list(cells) == ["all", "stage: 3", "class_name: bubble", "class_name: spill"]
    assert (cells["all"]["from"], cells["all"]["to"]) == tuple(found["intervals"]["anomaly_auroc"])
    assert (cells["all"]["AUROC"], cells["all"]["AP"], cells["all"]["F1-max"]) == tuple(
        found[f"anomaly_{key}"] for key in ("auroc", "ap", "f1_max")
    )
    assert (cells["class_name: bubble"]["anomalous"], cells["class_name: bubble"]["normal"]) == (16, 30)
    assert metrics_of(folder)["anomaly_auroc"] == found["anomaly_auroc"]
    done = call("compare", folder, folder, "--names", "a,b", "--json", "--out", tmp_path / "both")
    assert {key: json.loads(done.stdout)["b"][key] for key in found if key.startswith("anomaly")} == {
        key: found[key] for key in found if key.startswith("anomaly")
    }
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f'<dd class="big">{found["anomaly_auroc"]:.3f}</dd>' in page
    drawing = page.split('id="plot-roc"')[1].split("</svg>")[0]
    assert (drawing.count("<polyline"), drawing.count("<circle")) == (2, 2)


def test_frames_are_the_units_of_the_interval(tmp_path):
    """Two questions to one frame are one cluster, whose image files may differ: the interval is wider than of as many frames."""
    together = scored("anomaly", tmp_path, drawn_rows(), *WORDS)
    alone = scored("anomaly", tmp_path, [{**row, "source_image": None} for row in drawn_rows()], *WORDS)
    assert together["anomaly_auroc"] == alone["anomaly_auroc"]
    assert together["intervals"]["anomaly_auroc"] != alone["intervals"]["anomaly_auroc"]
    assert "frames (source_image)" in together["protocol"]["intervals"]
    assert "Obuchowski" in together["protocol"]["roc_interval"]


@pytest.mark.parametrize(("truth", "word", "recall"), [(True, "anomalous", 0.5), (False, "normal", None)])
def test_one_kind_is_undefined_in_words(tmp_path, truth, word, recall):
    rows = [verdict_row(number, truth, said, **logprobs(said, 0.9)) for number, said in enumerate("AB")]
    found = scored("anomaly", tmp_path, rows, *WORDS)
    undefined = ("precision", "f1", "auroc", "ap", "f1_max")
    assert {found[f"anomaly_{key}"] for key in undefined} == {None}
    assert found["anomaly_recall"] == recall
    assert [warning["id"] for warning in found["warnings"]] == ["verdicts-one-kind"]
    assert f"all 2 verdicts are about {word} images" in found["warnings"][0]["message"]
    run = json.loads(next(tmp_path.glob("scored-*/run.json")).read_text())
    assert run["plots"] == []


def test_verdicts_without_scores_have_a_point_and_no_curve(tmp_path):
    rows = [{key: value for key, value in row.items() if key != "logprobs"} for row in drawn_rows(20)]
    call("anomaly", write_rows(tmp_path / "r.jsonl", rows), *WORDS, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for id in ("roc", "precision-recall", "roc-classes"):
        drawing = re.search(f'id="plot-{id}".*?</svg>', page, re.DOTALL)[0]
        assert (drawing.count("<polyline"), drawing.count("<circle")) == (0, 2)
    assert "no curve: 20 of 20 verdicts have no log-probability" in page
    table = next(table for table in read_run(tmp_path / "out", "a").tables if table.id == "roc")
    assert table.rows[0][3:9] == [None] * 6


def test_equal_scores_have_a_point_and_no_curve():
    verdicts = [Verdict(kind, said, 0.7) for kind, said in ((True, True), (True, False), (False, False))]
    assert roc_line(Group("all", verdicts, [1, 2, 3])) == Line("all", [0.0], [0.5])
    assert area(Ranked.of([0.7] * 3, [True, True, False])) == 0.5


def test_the_largest_classes_have_a_line(tmp_path):
    """Classes by how many anomalies they have; how many are not drawn is said."""
    rows = [verdict_row(number, True, "A", class_name=f"kind {number % (MOST + 3):02}", **logprobs("A", 0.9)) for number in range(40)]
    rows += [verdict_row(99, False, "B", **logprobs("B", 0.9))]
    found = scored("anomaly", tmp_path, rows, *WORDS)
    table = next(table for table in found["tables"] if table["id"] == "roc")
    assert sum(row[0].startswith("class_name") for row in table["rows"]) == MOST
    assert f"The {MOST} classes with the most anomalies, of {MOST + 3}." in table["note"]
    assert found["per_class"][f"class_name: kind {MOST + 2:02}"]["anomaly_auroc"] == 1
    assert largest_classes({"a": [0], "b": [1, 2]}, [Verdict(True, None, None)] * 3) == ["b", "a"]
