"""`groundswift split`: nothing leaks, parts have their size, classes are spread, and all parts appear or none."""

from __future__ import annotations

import json
import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converted import full_disk, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from groundswift.data_converters.rows import media_keys
from groundswift.data_converters.rows.split import joined
from groundswift.data_converters.rows.split_plan import Part, parts_of, targets_of
from groundswift.data_converters.rows.stratification import at_random, stratified
from groundswift.errors import GroundswiftError

EARLIER = b"an earlier file\n"
AB = ("--parts", "a=1", "b=1")
NAMES = ["person"] * 60 + ["car"] * 25 + ["dog"] * 10 + ["kite"] * 4 + ["toaster"]


def row(images: Any, *labels: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": "<image>Find all."}, {"role": "assistant", "content": "None"}]
    objects = {"ref": list(labels), "bbox": [[1, 2, 3, 4]] * len(labels)}
    return json.dumps({"messages": messages, "images": images, "objects": objects, **more}).encode() + b"\n"


def asked(part: dict[str, Any]) -> bytes:
    """A row whose one message holds one part."""
    return json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode() + b"\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(*rows: bytes) -> None:
    Path("set.jsonl").write_bytes(b"".join(rows))


def write_many(rows: int) -> None:
    """Rows over fewer images, some with two, some without labels."""
    chance = random.Random(0)
    images = ([f"{chance.randrange(rows)}.jpg" for _ in range(1 + (chance.random() < 0.1))] for _ in range(rows))
    write(*(row(each, *chance.choices(NAMES, k=chance.choice((0, 1, 2, 5))), sample_id=n) for n, each in enumerate(images)))


def split(*arguments: object):
    return run("split", "set.jsonl", *arguments)


def report_of(*arguments: object) -> dict[str, Any]:
    return json.loads(split("--dry-run", "--json", *arguments).stdout)


def rows_of(name: str) -> list[bytes]:
    return Path("out", f"{name}.jsonl").read_bytes().splitlines(True)


def order() -> dict[bytes, int]:
    """Line of the set -> its number, from 0."""
    return {line: n for n, line in enumerate(Path("set.jsonl").read_bytes().splitlines(True))}


def together(*rows: bytes, options: tuple[str, ...] = ()) -> list[set[int]]:
    """Which rows (from 0) form a group: as many parts of one group each as there are groups."""
    Path("set.jsonl").write_bytes(b"".join(each.rstrip(b"\n") + b" " * n + b"\n" for n, each in enumerate(rows)))
    names = [f"p{n}" for n in range(report_of("--parts", "a=1.0", "b=1", *options)["groups"])]
    done = split("--out", "out", "--parts", *(f"{name}=1" for name in names), *options)
    assert done.exit_code == 0, done.stderr
    place = order()
    return sorted(({place[line] for line in rows_of(name)} for name in names), key=min)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([row(["a"]), row(["b"]), row(["a"])], [{0, 2}, {1}], id="one image"),
        pytest.param([row(["a", "b"]), row(["c", "d"]), row(["b", "c"]), row("e")], [{0, 1, 2}, {3}], id="a chain"),
        pytest.param([row("a.jpg"), row(["./a.jpg"]), row(["x/../a.jpg"]), row(["b.jpg"])], [{0, 1, 2}, {3}], id="detours"),
        pytest.param([row([{"path": "a", "bytes": None}]), row("a"), row("b")], [{0, 1}, {2}], id="as swift writes results"),
        pytest.param([row(["\u00e9.jpg"]), row(["e\u0301.jpg"]), row("e.jpg")], [{0, 1}, {2}], id="composed letters"),
        pytest.param([row(["s3://b/a"]), row("s3://b/a"), row("s3://c/a"), row("a")], [{0, 1}, {2}, {3}], id="URLs"),
        pytest.param([row("data:image/png;base64,AA"), row("data:;base64,AA"), row("data:;base64,AB")], [{0, 1}, {2}], id="in the row"),
        pytest.param([row([], videos=["v"]), row("a", videos="v"), row("a"), row([], videos=[["v2"]])], [{0, 1, 2}, {3}], id="videos"),
        pytest.param([*(row([], sample_id=id) for id in (1, 2, 1)), row([]), row([])], [{0, 2}, {1}, {3}, {4}], id="no image"),
        pytest.param([row("a", sample_id=1), row("b", sample_id=1)], [{0}, {1}], id="the id of rows with images"),
        pytest.param([asked({"type": "image_url", "image_url": {"url": "a"}}), row("a"), row("b")], [{0, 1}, {2}], id="in the content"),
    ],
)
def test_what_hangs_together(rows, expected):
    assert together(*rows) == expected


def test_an_id_as_a_number_and_as_text_is_one():
    write(row([], sample_id=1), row([], sample_id="2"), row([], sample_id="1"), row([], sample_id=2))
    assert split(*AB, "--out", "out").exit_code == 0
    ids = [[json.loads(line)["sample_id"] for line in rows_of(name)] for name in "ab"]
    assert sorted(ids) == [["1", "1"], ["2", "2"]]


def test_absolute_and_relative_paths_are_one(tmp_path):
    rows = row("a.jpg"), row(str(tmp_path / "a.jpg")), row(f"file://{tmp_path}/a.jpg"), row("b.jpg")
    assert together(*rows) == [{0, 1, 2}, {3}]


def test_links_to_one_image_are_one():
    """`convert to-yolo` links to the images of its rows: mixed with those, they must not be in two parts."""
    Path("real").mkdir()
    Path("real/a.jpg").touch()
    Path("linked").symlink_to("real")
    Path("yolo").mkdir()
    Path("yolo/other.jpg").symlink_to("../linked/a.jpg")
    rows = row("real/a.jpg"), row("linked/a.jpg"), row("yolo/other.jpg"), row("linked/gone.jpg"), row("real/gone.jpg"), row("a\0b/c.jpg")
    assert together(*rows) == [{0, 1, 2}, {3, 4}, {5}]


@pytest.mark.parametrize("link", [None, "many/b.jpg"])
def test_links_in_a_folder_of_many_images_are_followed(monkeypatch, link):
    monkeypatch.setattr(media_keys, "MANY_IMAGES", 2)
    Path("many").mkdir()
    for name in ("a", *([] if link else "b")):
        Path(f"many/{name}.jpg").touch()
    if link:
        Path(link).symlink_to("a.jpg")
    names = "many/a.jpg", "many/c.jpg", "many/b.jpg", "many/b.jpg ", "many/./b.jpg", "many/..", str(Path("many/c.jpg").absolute())
    assert together(*map(row, names)) == ([{0, 2, 3, 4}, {1, 6}, {5}] if link else [{0}, {1, 6}, {2, 3, 4}, {5}])


ODD = ["a.jpg ", ".", "..", "", "./a.jpg", "\u00e9.jpg", "a\nb.jpg", "a" * 3000]


@pytest.mark.parametrize("odd", [None, *ODD], ids=[None, *range(len(ODD))])
def test_many_images_have_the_keys_of_one(tmp_path, monkeypatch, odd):
    monkeypatch.setattr(media_keys, "MANY_IMAGES", 2)
    one, many = media_keys.MediaKeys(False), media_keys.MediaKeys(False)
    sources = [f"{tmp_path}/{name}" for name in ("a.jpg", "b.jpg", "c.jpg", "a.jpg", *([] if odd is None else [odd]))]
    for _ in range(2):
        assert many.of(sources) == list(map(one, sources))
    assert many.plain_folders[str(tmp_path)] == f"{tmp_path}/"


@pytest.mark.parametrize("start", ["data:image/png;base64,", "https://host/"])
def test_the_text_of_an_image_that_is_no_path_is_not_kept(start):
    keys = media_keys.MediaKeys(False)
    assert len({keys(f"{start}{number}{'A/' * 1000}x") for number in range(9)}) == 9
    assert (keys.asked, keys.folders) == ({}, {})


def test_the_same_content_under_two_paths():
    Image.new("RGB", (8, 8), "red").save("a.png")
    Image.new("RGB", (8, 8), "blue").save("b.png")
    Path("c.png").write_bytes(Path("a.png").read_bytes())
    rows = row("a.png"), row("b.png"), row("c.png"), row("c.png"), row([], sample_id=1)
    assert together(*rows) == [{0}, {1}, {2, 3}, {4}]
    assert together(*rows, options=("--same-content",)) == [{0, 2, 3}, {1}, {4}]


def test_an_image_that_cannot_be_compared_is_a_problem():
    Path("a.png").write_bytes(b"x")
    Path("b.png").write_bytes(b"y")
    write(row("a.png"), row("nowhere.png"), row("b.png"))
    done = split(*AB, "--same-content", "--out", "out")
    assert done.exit_code == 1
    assert "set.jsonl:2: nowhere.png: no such file; expected a file to compare with others" in done.stderr
    assert not Path("out").exists()
    assert split(*AB, "--same-content", "--out", "out", "--on-error", "skip").exit_code == 0
    assert len(rows_of("a") + rows_of("b")) == 2


@given(st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=4), max_size=12))
def test_joined_as_a_walk_over_all_links_would(lists):
    root = joined(20, lists)
    reached = {node: {node} for node in range(20)}
    for _ in range(20):
        for nodes in lists:
            everything = set().union(*(reached[node] for node in nodes))
            for node in everything:
                reached[node] |= everything
    assert all((root[one] == root[other]) == (other in reached[one]) for one in range(20) for other in range(20))


@pytest.mark.parametrize("stratify", ["label", "none"])
def test_nothing_leaks_and_nothing_is_lost(stratify):
    write_many(2000)
    done = split("--out", "out", "--parts", "train=0.8", "val=0.1", "test=0.1", "--stratify", stratify, "--json")
    report = json.loads(done.stdout)
    parts = {name: rows_of(name) for name in ("train", "val", "test")}
    images = {name: {image for line in lines for image in json.loads(line)["images"]} for name, lines in parts.items()}
    assert sum(map(len, images.values())) == len(set().union(*images.values()))
    place = order()
    assert sorted(line for lines in parts.values() for line in lines) == sorted(place)
    assert all([place[line] for line in lines] == sorted(place[line] for line in lines) for lines in parts.values())
    assert sum(part["groups"] for part in report["parts"]) == report["groups"] > 1000
    assert all(abs(part["groups"] - report["groups"] * share) < 1 for part, share in zip(report["parts"], (0.8, 0.1, 0.1), strict=True))
    assert [part["rows"] for part in report["parts"]] == [len(lines) for lines in parts.values()]
    assert [part["images"] for part in report["parts"]] == [len(images[name]) for name in parts]
    objects = [sum(len(json.loads(line)["objects"]["ref"]) for line in lines) for lines in parts.values()]
    assert [part["objects"] for part in report["parts"]] == objects


def test_classes_are_spread_better_than_by_chance():
    write_many(3000)
    reports = [report_of("--parts", "a=0.8", "b=0.1", "c=0.1", "--stratify", kind) for kind in ("label", "none")]
    spread, chance = ({each["label"]: each["deviation"] for each in report["classes"]} for report in reports)
    assert max(spread.values()) < 0.01
    assert sum(chance.values()) > 4 * sum(spread.values())


def test_spreading_by_hand():
    """6 groups in parts of 4, 1 and 1: the three with a rare class go one to each, and so do those without a label."""
    groups = np.array([0, 0, 1, 1, 2, 3, 4, 5])
    labels = np.array([0, 1, 0, 1, 0, 1, 1, 1])
    parts = stratified(groups, labels, [4, 1, 1], seed=0)
    assert np.bincount(parts).tolist() == [4, 1, 1]
    assert sorted(parts[:3].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(("images", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (10, [8, 1, 1]), (40, [36, 2, 2])])
def test_a_rare_class_is_in_each_part_where_it_can(images, expected):
    write(*(row(f"{n}.jpg", "dog", *(["rare"] if n < images else [])) for n in range(400)))
    report = report_of("--parts", "train=0.9", "val=0.05", "test=0.05")
    (rare,) = (each for each in report["classes"] if each["label"] == "rare")
    assert rare["parts"] == expected
    assert rare["groups"] == images
    assert rare["rare"] == (images < 20)
    assert report["missing_in_a_part"] == (images < 3)
    assert report["missing_though_enough"] == 0


def test_images_without_labels_are_spread_like_a_class():
    write(*(row(f"{n}.jpg", *(["dog"] if n % 4 else [])) for n in range(400)))
    split("--out", "out", "--parts", "a=0.5", "b=0.5")
    assert [sum(not json.loads(line)["objects"]["ref"] for line in rows_of(name)) for name in "ab"] == [50, 50]


@given(st.integers(0, 10**9), st.lists(st.integers(1, 9), min_size=2, max_size=4), st.data())
def test_every_part_gets_exactly_its_groups(seed, targets, data):
    total = sum(targets)
    sets = data.draw(st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=total, max_size=total))
    groups = np.array([group for group, labels in enumerate(sets) for _ in labels])
    labels = np.array([label for labels in sets for label in sorted(labels)])
    parts = stratified(groups, labels, targets, seed)
    assert np.bincount(parts, minlength=len(targets)).tolist() == targets
    assert np.bincount(at_random(targets, seed), minlength=len(targets)).tolist() == targets


def test_what_is_printed():
    dogs = [row(f"{n}.jpg", "dog") for n in range(7)]
    write(*dogs, row("0.jpg", "dog", "cat"), row("7.jpg"), b"\n", row("8.jpg", objects="x"), row("9.jpg"))
    done = split("--out", "out", "--parts", "train=0.8", "val=0.2")
    lines = done.stdout.splitlines()
    assert lines[0] == "11 rows with 10 images in 10 groups (the largest of 2 rows), seed 0 -> out"
    assert lines[1] == "    groups   share        rows      images     objects  part"
    assert [line.split() for line in lines[2:4]] == [["8", "80.0%", "9", "8", "8", "train"], ["2", "20.0%", "2", "2", "1", "val"]]
    assert [line.partition(":")[0] if "line-" in line or "objects-" in line else line for line in lines[4:]] == [
        "2 classes, 1 of them too rare for their share in each part",
        "1 classes are missing in a part, 0 of them with enough groups",
        "largest deviation of a class from its share (without rare ones): 5.71%; groups by part:",
        "     5.71%  dog  6 + 1 = 7",
        "skipped or changed:",
        "       1  line-blank",
        "       1  objects-unreadable-as-none",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train=0.9", Part("train", Fraction(9, 10))),
        ("v-1.b+c=.05", Part("v-1.b+c", Fraction(1, 20))),
        ("rest=1.0", Part("rest", Fraction(1))),
        ("rest=1.", Part("rest", Fraction(1))),
        ("val=500", Part("val", 500)),
        ("验证=1", Part("验证", 1)),
    ],
)
def test_a_part(text, expected):
    assert parts_of([text, "other=1.0" if isinstance(expected.size, int) else f"o={float(1 - expected.size) or 3}"])[0] == expected


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        *(([part, "b=0.5"], "not a part") for part in ("a", "=0.5", "../a=0.5", "/a=0.5", ".a=0.5", "..=0.5", "a b=0.5", "a\n=0.5")),
        pytest.param([f"{'a' * 101}=0.5", "b=0.5"], "not a part", id="long name"),
        pytest.param(["a=0.5", "a=0.5"], "duplicate name", id="twice"),
        pytest.param(["a=0.5", "A=0.5"], "duplicate name", id="twice but for capitals"),
        pytest.param(["a=1.0"], "1 part", id="one part"),
        pytest.param(["a=0.5", "b=0.4"], "the fractions add up to 0.9", id="too little"),
        pytest.param(["a=0.9", "b=0.2"], "the fractions add up to 1.1", id="too much"),
        pytest.param(["a=0.9", "b=0.100002"], "the fractions add up to 1", id="more than 1e-6 too much"),
        *(([f"a={size}", "b=1.0"], f"its size is '{size}'") for size in ("0", "0.0", "1.5", "-1", "90%", "\u0661")),
        pytest.param([f"a={'9' * 5000}", "b=1.0"], "expected a fraction", id="gigantic count"),
    ],
)
def test_parts_that_are_none(parts, said):
    with pytest.raises(GroundswiftError, match=f"^--parts.*{said}"):
        parts_of(parts)


@pytest.mark.parametrize(("name", "meant"), [("tset", "test"), ("Trian", "train"), ("tran", "train"), ("vla", "val"), ("tes", "test")])
def test_a_usual_name_with_a_slip_is_refused(name, meant):
    with pytest.raises(GroundswiftError, match=f"^--parts {name}: did you mean {meant}\\?"):
        parts_of([f"{name}=0.9", "other=0.1"])


@pytest.mark.parametrize(
    "name", ["train", "val", "test", "Train", "TEST", "valid", "validation", "tests", "train2", "dev", "rest", "rain", "a", "eval"]
)
def test_a_name_of_its_own_is_taken(name):
    assert parts_of([f"{name}=0.9", "other=0.1"])[0].name == name


def test_fractions_may_miss_1_by_little():
    assert targets_of(parts_of(["a=0.333333", "b=0.333333", "c=0.333333"]), 9) == [3, 3, 3]


@pytest.mark.parametrize(
    ("parts", "groups", "expected"),
    [
        pytest.param(["a=0.9", "b=0.05", "c=0.05"], 100, [90, 5, 5], id="fractions"),
        pytest.param(["a=0.5", "b=0.25", "c=0.25"], 5, [3, 1, 1], id="largest remainder"),
        pytest.param(["a=1.0", "b=30"], 100, [70, 30], id="a count and the rest"),
        pytest.param(["a=0.75", "b=20", "c=0.25"], 100, [60, 20, 20], id="fractions of what counts leave"),
        pytest.param(["a=60", "b=40"], 100, [60, 40], id="counts"),
        pytest.param(["a=60", "b=39"], 100, "the counts add up to 99 of 100 groups", id="counts too small"),
        pytest.param(["a=60", "b=41"], 100, "the counts add up to 101 of 100 groups", id="counts too large"),
        pytest.param(["a=1.0", "b=100"], 100, "part a would be empty", id="nothing left"),
        pytest.param(["a=0.99", "b=0.01"], 10, "part b would be empty: none of 10 groups", id="too small"),
        pytest.param(["a=0.5", "b=0.5"], 1, "1 groups for 2 parts", id="more parts than groups"),
    ],
)
def test_groups_of_each_part(parts, groups, expected):
    if isinstance(expected, list):
        assert targets_of(parts_of(parts), groups) == expected
    else:
        with pytest.raises(GroundswiftError, match=expected):
            targets_of(parts_of(parts), groups)


def test_one_logo_in_all_rows_is_reported():
    write(*(row([f"{n}.jpg", "logo.png"]) for n in range(5)))
    done = split("--out", "out", "--parts", "a=0.5", "b=0.5")
    assert (done.exit_code, "1 groups for 2 parts" in done.stderr) == (1, True)
    assert "the largest has 5 of 5 rows" in done.stderr


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["set.jsonl", "--parts", "a=1", "b=2", "--seed", "3"], ["a", "b"]),
        (["--parts", "a=1", "b=2", "set.jsonl"], ["a", "b"]),
        (["--parts", "a=1", "--parts", "b=2", "set.jsonl"], ["a", "b"]),
        (["--parts=a=1", "--parts=b=1", "set.jsonl", "--parts", "c=1"], ["a", "b", "c"]),
    ],
)
def test_ways_to_write_parts(words, parts):
    write(*(row(f"{n}.jpg") for n in range(3)))
    assert [each["name"] for each in json.loads(run("split", *words, "--dry-run", "--json").stdout)["parts"]] == parts


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["set.jsonl", *AB], id="no --out"),
        pytest.param(["set.jsonl", "--out", "out"], id="no parts"),
        pytest.param(["--out", "out", *AB], id="no file"),
        pytest.param(["set.jsonl", "--out", "out", *AB, "more.jsonl"], id="two files"),
        pytest.param(["set.jsonl", "--out", "out", *AB, "--by", "image"], id="an option that is gone"),
    ],
)
def test_wrong_use(words):
    write(*(row(f"{n}.jpg") for n in range(3)))
    assert run("split", *words).exit_code == 2
    assert os.listdir() == ["set.jsonl"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(row("a") + b'{"images": NaN}\n', "set.jsonl:2: ", id="NaN"),
        pytest.param(row("a") + row(7), "set.jsonl:2: images is 7; expected a list of paths", id="images a number"),
        pytest.param(row("a") + row(["b", None]), "set.jsonl:2: image 1 is None; expected a path", id="no image"),
        pytest.param(row("a") + row([""]), "set.jsonl:2: image 0 is ''; expected a path", id="empty path"),
        pytest.param(row("a") + asked({"type": "image", "image": {"url": 7}}), "set.jsonl:2: images are [7]; expected paths", id="number"),
    ],
)
def test_a_broken_file_is_reported(content, said):
    Path("out").mkdir()
    Path("out/a.jsonl").write_bytes(EARLIER)
    write(content)
    done = split("--out", "out", *AB)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert {name: Path("out", name).read_bytes() for name in os.listdir("out")} == {"a.jsonl": EARLIER}
    if content.startswith(b"{"):
        write(content, b"\n", row("c"))
        assert split("--dry-run", *AB, "--on-error", "skip").exit_code == 0


@pytest.mark.parametrize(
    ("out", "said"),
    [
        pytest.param("set.jsonl", "set.jsonl: cannot be written (File exists)", id="a file"),
        pytest.param("set.jsonl/out", "cannot be written (Not a directory)", id="below a file"),
        pytest.param("folder", "folder/b.jsonl: is a folder or device", id="a folder in place of a part"),
        pytest.param(".", "set.jsonl: is an input file", id="its own source"),
    ],
)
def test_a_place_that_cannot_be_written(out, said):
    write(*(row(f"{n}.jpg") for n in range(3)))
    before = Path("set.jsonl").read_bytes()
    Path("folder/b.jsonl").mkdir(parents=True)
    done = split("--out", out, *AB, "set=1")
    assert done.exit_code == 1
    assert said in done.stderr
    assert Path("set.jsonl").read_bytes() == before
    assert sorted(os.listdir()) == ["folder", "set.jsonl"]
    assert os.listdir("folder") == ["b.jsonl"]


def test_a_full_disk_is_reported():
    write_many(300)
    with full_disk():
        done = split("--out", "out", "--parts", "a=0.5", "b=0.5")
    assert done.exit_code == 1
    assert "out: cannot be written (File too large)" in done.stderr
    assert not Path("out").exists()


def test_labels_without_end_are_not_spread(monkeypatch):
    from groundswift.data_converters.rows import split as module

    monkeypatch.setattr(module, "MOST_LABELS", 3)
    write(*(row(f"{n}.jpg", f"phrase {n}", "dog") for n in range(6)))
    report = report_of("--parts", "a=3", "b=3")
    assert [each["label"] for each in report["classes"]] == ["dog", "phrase 0", "phrase 1"]
    assert report["counts"] == {"label-beyond-limit": 4}
