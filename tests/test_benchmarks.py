"""The benchmarks run, and what they claim of the malformed list holds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from groundswift import families, parse
from groundswift.data_converters.registry import FORMATS

pytestmark = pytest.mark.process


BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FAMILY = {"json_bbox_2d": "qwen3_vl", "json_box_2d": "gemini", "deepseek_ref_det": "deepseek_vl2", "paligemma_loc": "paligemma"}


def test_parse_reads_every_box_that_it_wrote():
    chosen = ["json_bbox_2d", "kosmos_patches", "molmo_points", "shikra_brackets"]
    command = [sys.executable, BENCHMARKS / "parse.py", "--boxes", "120", "--repeats", "1", "--only", "speed", "--only", "many", "--json"]
    for grammar in chosen:
        command += ["--grammar", grammar]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.stdout, shown.stderr
    rows = json.loads(shown.stdout)
    for table, way in (("speed", "text"), ("many", "columns")):
        assert {row["grammar"] for row in rows[table]} == set(chosen)
        assert all(row["boxes_per_s"][way] > 0 for row in rows[table])


@pytest.mark.parametrize("grammar", FAMILY)
def test_the_malformed_list_is_recovered(grammar, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from malformed import CAT, DOG, malformed

    assert families()[FAMILY[grammar]].grammar == grammar
    texts = malformed(grammar)
    assert len(texts) >= 19
    missed = []
    for name, text, wanted in texts:
        boxes = [located.box for located in parse(text, FAMILY[grammar]).objects]
        if sum(box in (DOG, CAT) for box in boxes) < wanted:
            missed.append((name, text, boxes))
    assert missed == []


def test_convert_times_ours_and_the_usual_script():
    command = [sys.executable, BENCHMARKS / "convert.py", "--share", "0.002", "--repeats", "1"]
    for only, expected in (
        ("coco", ["typed decode alone", "the usual script", "usual / ours"]),
        ("rows", ["2,000 of them", "peak memory"]),
    ):
        done = subprocess.run([*command, "--only", only], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert [part for part in expected if part not in done.stdout] == []


def test_the_usual_script_makes_the_same_rows(tmp_path, monkeypatch):
    """So that the two are timed at the same work: all but the name of the question."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from convert_peers import measured

    file = tmp_path / "instances_train2017.json"
    subprocess.run([sys.executable, BENCHMARKS / "big_coco.py", file, "--share", "0.002"], check=True, capture_output=True)
    rows = {}
    for peer in ("ours", "usual"):
        measured(peer, file, tmp_path / f"{peer}.jsonl")
        rows[peer] = [json.loads(line) for line in (tmp_path / f"{peer}.jsonl").read_text().splitlines()]
    assert [row.pop("prompt") for row in rows["ours"]] == ["detect.en.1"] * len(rows["ours"])
    assert rows["ours"] == rows["usual"]


@pytest.mark.long
def test_training_does_the_work_of_stock_swift_and_times_it():
    """Tokens and answers are compared by the benchmark itself: it fails where they differ."""
    command = [sys.executable, BENCHMARKS / "training.py", "--rows", "1", "--steps", "2", "--validation", "4", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    result = json.loads(done.stdout)
    tables = [*result["encoding"].values(), result["step"], result["evaluation"]]
    assert all(table[side]["cpu"] > 0 for table in tables for side in ("ours", "stock"))
    assert all(table["equal"] for table in (*result["encoding"].values(), result["evaluation"]))
    assert all(0 < table["pixels"]["mean"] < 1.5 for table in result["encoding"].values())


def test_training_fails_where_ours_does_other_work(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from training import wrong

    equal, other = {"equal": True}, {"equal": False}
    assert not wrong({"encoding": {"a": equal}, "step": {}, "evaluation": equal})
    assert wrong({"encoding": {"a": equal, "b": other}})
    assert wrong({"evaluation": other})


@pytest.mark.parametrize(
    ("name", "words", "needs"),
    [
        pytest.param(
            "worker_pool.py",
            ["--share", "0.002", "--repeats", "1"],
            {"workers left by a killed parent": False, "tracebacks of Ctrl-C": 1},
            id="worker_pool",
        ),
        pytest.param(
            "remote_cache.py",
            ["--files", "1"],
            dict.fromkeys(["an object that changed", "a server that fails once"], "right"),
            id="remote_cache",
        ),
        pytest.param(
            "refer_pickle.py",
            ["--refs", "50", "--repeats", "1"],
            {"imports": "refused", "MB for 10 bytes": pytest.approx(0, abs=50)},
            id="refer_pickle",
        ),
    ],
)
def test_our_own_part_meets_the_needs_that_it_is_kept_for(name, words, needs):
    done = subprocess.run([sys.executable, BENCHMARKS / name, *words, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["needs"]
    assert {need: found[need]["ours"] for need in needs} == needs


@pytest.mark.skipif(not (BENCHMARKS.parent / ".git").exists(), reason="compares revisions of a git checkout")
def test_last_build_times_both_builds():
    command = [sys.executable, BENCHMARKS / "last_build.py", "HEAD", "--rounds", "1", "--boxes", "120", "--images", "20", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {"parse qwen2_vl", "parse_many qwen2_vl", "convert coco", "lint", "eval coco-map"} <= rows.keys()
    assert all(row["before_s"] > 0 and row["now_s"] > 0 for row in rows.values())


SMALL = ["--images", "20", "--boxes", "120", "--repeats", "1", "--json"]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        pytest.param(["eval_map.py"], {"ours_s", "usual_s", "ratio"}, id="functions"),
        pytest.param(["eval_map.py", "--scale"], {"builds"}, id="scale"),
    ],
)
def test_text_to_map_is_timed_and_equal(words, keys):
    """The 12 numbers are compared by the benchmark itself: it fails where they differ."""
    done = subprocess.run([sys.executable, BENCHMARKS / words[0], *words[1:], *SMALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["equal"]
    assert keys <= found.keys()


def test_whole_evaluations_are_timed_and_equal():
    done = subprocess.run([sys.executable, BENCHMARKS / "eval_command.py", *SMALL], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for found in json.loads(done.stdout).values():
        assert found["equal"]
        assert all(row["wall_s"] > 0 and row["gigabytes"] > 0 for row in found["spent"].values())
        assert found["times_as_fast"]["the usual script"]["cpu_s"] > 0


def test_drawn_sets_for_engines_hold_what_they_differ_in(tmp_path, monkeypatch):
    """Crowds and equal scores; the peers themselves are installed by the benchmark, which `make bench` runs."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from eval_engines import write_drawn

    files = [write_drawn(tmp_path, seed) for seed in range(10)]
    truths, results = ([json.loads(pair[place].read_text()) for pair in files] for place in (0, 1))
    assert any(row["iscrowd"] for truth in truths for row in truth["annotations"])
    assert all(len({row["score"] for row in rows}) < len(rows) for rows in results)


def test_reading_a_truth_is_timed_with_its_decode():
    command = [sys.executable, BENCHMARKS / "eval_truth.py", "--share", "0.002", "--repeats", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ratio"] > 0
    assert len({row["boxes"] for row in found["ways"].values()}) == 1


def test_libraries_that_find_boxes_find_the_same():
    command = [sys.executable, BENCHMARKS / "parse_engines.py", "--boxes", "120", "--repeats", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for rows in json.loads(done.stdout).values():
        assert rows["parse_many"]["boxes_per_s"] > 0
        assert len(rows) > 4


def test_log_probabilities_are_timed():
    done = subprocess.run([sys.executable, BENCHMARKS / "logprobs.py", *SMALL, "--non-ascii"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert min(found["read_ratio"], found["process_ratio"], *found["seconds"].values(), *found["processes"].values()) > 0


def test_the_report_is_timed_with_decoding():
    command = [sys.executable, BENCHMARKS / "report.py", "--images", "40", "--boxes", "280", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["seconds"]["report"] > 0
    assert 0 < found["megabytes"] < 40 * 0.09 * 4 / 3 + 1


@pytest.mark.long
def test_infer_answers_as_swift_does_and_times_both():
    """Answers are compared by the benchmark itself: it fails where one differs."""
    command = [sys.executable, BENCHMARKS / "infer.py", "--rows", "3", "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["seconds"].keys() == {"swift infer", "groundswift infer"}
    assert all(part[clock] > 0 for way in found["seconds"].values() for part in way.values() for clock in ("wall", "cpu"))
    assert 0.3 < found["times_as_fast"]["wall"] < 10


@pytest.mark.parametrize(
    ("own", "said"),
    [(["a", "c"], "row 2: swift infer answered 'b', groundswift infer 'c'"), (["a"], "answered 2 rows, groundswift infer 1")],
)
def test_infer_fails_where_an_answer_differs(monkeypatch, own, said):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from infer import check_same

    check_same(["a", "b"], ["a", "b"])
    with pytest.raises(SystemExit, match=said):
        check_same(["a", "b"], own)


INTERCHANGE = {  # what is found of one box -> equal, moved, by how many px, lost, added
    "equal": ([["cat", 10, 20, 30.005, 40]], (1, 0, 0, 0, 0)),
    "moved": ([["cat", 10, 20, 31.5, 40]], (0, 1, 1.5, 0, 0)),
    "another class": ([["dog", 10, 20, 30, 40]], (0, 0, 0, 1, 1)),
    "elsewhere": ([["cat", 50, 60, 70, 80]], (0, 0, 0, 1, 1)),
    "twice": ([["cat", 10, 20, 30, 40]] * 2, (1, 0, 0, 0, 1)),
    "nothing": ([], (0, 0, 0, 1, 0)),
}


@pytest.mark.parametrize("name", INTERCHANGE)
def test_interchange_counts_what_became_of_boxes(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from interchange import compared

    found, counts = INTERCHANGE[name]
    assert tuple(compared({"a.jpg": [["cat", 10, 20, 30, 40]]}, {"a.jpg": found}).values()) == counts
    assert compared({}, {"b.jpg": found})["added"] == len(found)


def test_interchange_has_peers_of_the_formats(tmp_path, monkeypatch):
    """What a peer writes is read by a format of the registry; the set itself converts without loss."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from interchange import boxes_of_rows, compared, converted, drawn_set

    shown = subprocess.run([sys.executable, BENCHMARKS / "interchange_peers"], capture_output=True, text=True, check=True)
    peers = json.loads(shown.stdout)
    assert all(re.fullmatch(r"[\w-]+==[\w.]+( [\w-]+==[\w.]+)*", each["requirement"]) and each["ways"] for each in peers.values())
    assert {"coco", "yolo", "voc", "cvat", "dota", "openimages"} <= {name for each in peers.values() for _, name in each["ways"]} & set(
        FORMATS
    )
    truth = drawn_set(tmp_path / "set")
    converted("coco", tmp_path / "set/coco.json", tmp_path / "rows.jsonl", "--images", str(tmp_path / "set/images"))
    assert compared(truth, boxes_of_rows(tmp_path / "rows.jsonl")) == {"equal": 40, "moved": 0, "moved_px": 0, "lost": 0, "added": 0}


def test_crops_and_drawn_frames_are_timed_with_their_floor():
    command = [sys.executable, BENCHMARKS / "anomaly.py", "--frames", "3", "--repeats", "1", "--workers", "1", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.stdout, shown.stderr
    found = json.loads(shown.stdout)
    assert set(found["seconds"]) == {"crop", "crop floor", "draw", "draw floor"}
    assert found["ratios"]["crop"] == found["seconds"]["crop"] / found["seconds"]["crop floor"]


def test_rows_times_lint_mix_and_split():
    command = [sys.executable, BENCHMARKS / "rows.py", "--rows", "200", "--rounds", "1", "--before", "HEAD", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.stdout, shown.stderr
    result = json.loads(shown.stdout)
    assert result["commands"].keys() == {"lint", "mix", "split"}
    assert all(row["times_faster"] > 0 and row["share_of_copy_speed"] > 0 for row in result["commands"].values())


def test_growth_measures_every_command_and_draws_them(tmp_path):
    command = [sys.executable, BENCHMARKS / "growth.py", "--least", "100", "--most", "1000", "--plot", tmp_path / "growth.svg", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.stdout, shown.stderr
    result = json.loads(shown.stdout)
    assert all([point["boxes"] for point in points] == [100, 1000] for points in result.values())
    assert all(point["cpu_s"] > 0 and point["bytes"] > 1e7 for points in result.values() for point in points)
    drawing = (tmp_path / "growth.svg").read_text()
    assert drawing.count("<circle") == 2 * 2 * len(result)
    assert all(name in drawing for name in result)
