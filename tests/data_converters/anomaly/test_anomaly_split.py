"""Parts that share no frame, video or near-duplicate, whatever the rows; mixes of the stages."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from anomaly_set import lay_out_frames
from converted import run, write_lines
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from groundswift.data_converters.anomaly.near_duplicates import difference_hash, near_pairs
from groundswift.data_converters.anomaly.split_plan import groups_of, mixes_of, parts_of_groups
from groundswift.data_converters.rows.split import joined
from groundswift.errors import GroundswiftError


@pytest.fixture
def stages(tmp_path: Path) -> list[Path]:
    """Rows of three stages about 30 frames of 6 videos."""
    lay_out_frames(tmp_path / "set", 30, 6)
    out = [tmp_path / f"{name}.jsonl" for name in ("local", "marked", "located")]
    for name, path in zip(("crop", "draw", "locate"), out, strict=True):
        more = ["--save-images", tmp_path / path.stem] if name != "locate" else []
        assert run("anomaly", name, tmp_path / "set", "--anomaly", "bubble", *more, "--workers", 1, "--out", path).exit_code == 0
    return out


def split(files: list[Path], out: Path, *options: object) -> dict:
    done = run("anomaly", "split", *files, "--out", out, "--json", "--workers", 1, *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def lines(path: Path) -> list[dict]:
    return list(map(json.loads, path.read_text().splitlines()))


def images(rows: list[dict]) -> set[str]:
    return {image for row in rows for image in [*row["images"], row["source_image"]]}


PARTS = ["train", "val", "test"]


def test_parts_share_no_image_and_no_video(stages, tmp_path):
    report = split(stages, tmp_path / "parts", "--near-bits", 0)
    files = {part: [row for path in (tmp_path / "parts").glob(f"{part}.*.jsonl") for row in lines(path)] for part in PARTS}
    seen = {part: images(rows) for part, rows in files.items()}
    videos = {part: {Path(row["source_image"]).parent for row in rows} for part, rows in files.items()}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not seen[one] & seen[other]
        assert not videos[one] & videos[other]
    assert all(files.values())
    assert report["frames"] == 30
    frames = lines(tmp_path / "parts/frames.jsonl")
    assert {frame["frame"]: frame["part"] for frame in frames} == {
        row["source_image"]: part for part, rows in files.items() for row in rows
    }


def test_every_row_is_in_one_part(stages, tmp_path):
    split(stages, tmp_path / "parts", "--group", "image", "--no-compare")
    for stage, path in enumerate(stages, 1):
        parts = [line for part in PARTS for line in (tmp_path / f"parts/{part}.{stage}.jsonl").read_bytes().splitlines()]
        assert Counter(parts) == Counter(path.read_bytes().splitlines())
    shares = {part: len({row["source_image"] for row in lines(tmp_path / f"parts/{part}.3.jsonl")}) for part in PARTS}
    assert shares == {"train": 24, "val": 3, "test": 3}


def test_frames_that_nothing_says_to_be_normal_are_not_called_so(stages, tmp_path):
    without = run("anomaly", "split", stages[0], "--no-compare", "--out", tmp_path / "a").output
    assert "no row says that its frame has an anomaly" in without
    assert "of them with" not in without
    assert "of them with an anomaly" in run("anomaly", "split", *stages, "--no-compare", "--out", tmp_path / "b").output


@pytest.mark.process
def test_the_same_seed_gives_the_same_bytes(stages, tmp_path):
    found = {}
    for name, seed, workers in (("a", 7, 1), ("b", 7, 2), ("c", 8, 1)):
        split(stages, tmp_path / name, "--seed", seed, "--group", "image", "--near-bits", 0, "--workers", workers)
        found[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert found["a"] == found["b"]
    assert found["a"] != found["c"]
    assert found["a"].keys() == found["c"].keys()


def test_mixes_replay_a_share_of_earlier_stages(stages, tmp_path):
    counts = split(stages, tmp_path / "parts", "--replay", 0.25, "--near-bits", 0)["parts"][0]["files"]
    ones = [counts[f"train.{stage}.jsonl"] for stage in (1, 2, 3)]
    assert counts["train.1+2.jsonl"] == round(ones[0] / 4) + ones[1]
    assert counts["train.1+2+3.jsonl"] == round(ones[0] / 4) + round(ones[1] / 4) + ones[2]
    rows = lines(tmp_path / "parts/train.1+2.jsonl")
    assert [row["stage"] for row in rows] != sorted(row["stage"] for row in rows)  # shuffled
    own = split(stages[:2], tmp_path / "own", "--mix", "2+1", "--near-bits", 0)["parts"][0]["files"]
    assert list(own) == ["train.1.jsonl", "train.2.jsonl", "train.1+2.jsonl"]


def test_near_duplicates_stay_together(stages, tmp_path):
    """A frame of another video that is a recompressed copy: the two videos are one group."""
    first, other = tmp_path / "set/images/video0/f0000.png", tmp_path / "set/images/video1/f0001.png"
    with Image.open(first) as image:
        brighter = image.point(lambda value: min(255, value + 3))
        data = BytesIO()
        brighter.save(data, "JPEG", quality=80)
    Image.open(data).save(other)
    apart = set()
    for seed in range(8):
        for option in (["--near-bits", 2], ["--no-compare"]):
            split(stages, tmp_path / "parts", "--seed", seed, *option)
            part = {Path(each["frame"]).name: each["part"] for each in lines(tmp_path / "parts/frames.jsonl")}
            if part["f0000.png"] != part["f0001.png"]:
                apart.add(option[0])
    assert apart == {"--no-compare"}


def test_a_hash_forgets_size_and_compression(tmp_path):
    chance = np.random.default_rng(1)
    small = Image.fromarray(chance.integers(0, 255, (9, 12, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    other = Image.fromarray(chance.integers(0, 255, (9, 12, 3), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    small.save(tmp_path / "a.png")
    small.resize((320, 240)).save(tmp_path / "b.jpg", quality=60)
    other.save(tmp_path / "c.png")
    a, b, c = (int.from_bytes(difference_hash(str(tmp_path / name)), "big") for name in ("a.png", "b.jpg", "c.png"))
    assert bin(a ^ b).count("1") <= 12
    assert bin(a ^ c).count("1") > 60


HASHES = st.lists(st.lists(st.integers(0, 255), max_size=12), min_size=1, max_size=20)


@given(HASHES, st.integers(0, 12))
def test_near_pairs_join_what_comparing_all_joins(flips, most):
    base = np.zeros(256, np.uint8)
    hashes = []
    for places in flips:
        bits = base.copy()
        bits[places] ^= 1
        hashes.append(np.packbits(bits).tobytes())
    near = [
        [one, other]
        for one in range(len(hashes))
        for other in range(one)
        if bin(int.from_bytes(hashes[one], "big") ^ int.from_bytes(hashes[other], "big")).count("1") <= most
    ]
    found = joined(len(hashes), near_pairs(hashes, most))
    expected = joined(len(hashes), near)
    assert [[a == b for b in found] for a in found] == [[a == b for b in expected] for a in expected]


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5), st.booleans()), min_size=3, max_size=60),
    st.sampled_from([("0.8", "0.1", "0.1"), ("0.5", "0.5"), ("0.34", "0.33", "0.33")]),
    st.integers(0, 99),
)
def test_nothing_leaks(frames, shares, seed):
    """Frames of one video or with the same hash are never in two parts; no part is empty; shares are as near as groups allow."""
    videos, hashes = [video for video, _, _ in frames], [bytes([kind]) * 32 for _, kind, _ in frames]
    group = groups_of(videos, hashes, 0)
    sizes = [Fraction(share) for share in shares]
    anomalous = np.array([shown for _, _, shown in frames])
    if group.max() + 1 < len(sizes):
        with pytest.raises(GroundswiftError, match="near-duplicates stay together"):
            parts_of_groups(group, anomalous, sizes, seed)
        return
    part = parts_of_groups(group, anomalous, sizes, seed)[group]
    for keys in (videos, hashes):
        assert all(len(set(part[[other == key for other in keys]].tolist())) == 1 for key in keys)
    counts = np.bincount(part, minlength=len(sizes))
    assert counts.min() > 0
    largest = int(np.bincount(group).max())
    assert all(abs(count - float(size) * len(frames)) <= 2 * largest + len(sizes) for count, size in zip(counts, sizes, strict=True))


def test_a_reference_frame_is_in_no_part(tmp_path):
    lay_out_frames(tmp_path / "set", 12, 4)
    normal = tmp_path / "set/images/video3/f0011.png"
    options = ["--anomaly", "bubble", "--reference", normal, "--out", tmp_path / "l.jsonl"]
    assert run("anomaly", "locate", tmp_path / "set", *options).exit_code == 0
    report = split([tmp_path / "l.jsonl"], tmp_path / "parts", "--near-bits", 0)
    assert report["counts"] == {"frame-is-reference": 1}
    assert str(normal) not in {each["frame"] for each in lines(tmp_path / "parts/frames.jsonl")}


def test_mixes():
    assert mixes_of([1, 2, 3], []) == [(1,), (2,), (3,), (1, 2), (1, 2, 3)]
    assert mixes_of([2], []) == [(2,)]
    assert mixes_of([1, 3], ["1+3", "3"]) == [(1,), (3,), (1, 3)]
    with pytest.raises(GroundswiftError, match="--mix 1\\+2; expected stages of the files, such as 1\\+3"):
        mixes_of([1, 3], ["1+2"])


ROW = {"messages": [], "images": ["a.jpg"], "source_image": "a.jpg", "stage": 1}
REFUSED = {
    "no stage": ([ROW | {"stage": 4}], [], "stage-unknown"),
    "no frame": ([{"images": [], "stage": 1}], [], "image-not-path"),
    "not JSON": ([b"{"], [], "not-json"),
    "missing image": ([ROW], [], "image-unreadable"),
    "too few": ([ROW], ["--no-compare"], "1 groups for 3 parts"),
    "counts": ([ROW], ["--parts", "train=1.0", "val=2"], "val: a count; expected a fraction"),
    "video": ([ROW], ["--no-compare", "--video", "run([0-9]+)"], "video-unknown"),
    "expression": ([ROW], ["--no-compare", "--video", "("], "expected a regular expression"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_split(tmp_path, name):
    rows, options, expected = REFUSED[name]
    write_lines(tmp_path / "rows.jsonl", *rows)
    done = run("anomaly", "split", tmp_path / "rows.jsonl", "--out", tmp_path / "parts", "--workers", 1, *options)
    assert done.exit_code == 1
    assert expected in done.output
    assert not (tmp_path / "parts").exists()
