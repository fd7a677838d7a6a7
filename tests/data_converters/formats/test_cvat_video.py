"""CVAT for video 1.1: tracks with the frames that have an image, what is interpolated, and every way that such a file can be broken."""

from __future__ import annotations

from math import cos, radians, sin
from pathlib import Path

import fsspec
import pytest
from converted import converted, perfect_ap, refusal, run, short
from label_sources import reader
from source_examples import put
from spoilt import SPOILT, check_refused
from talk_fixture import made

from groundswift.data_converters.formats.cvat.source import CvatOptions

META = (
    "<meta><task><id>5</id><name>street</name><size>10</size><mode>interpolation</mode><overlap>5</overlap>"
    "<start_frame>0</start_frame><stop_frame>9</stop_frame><frame_filter></frame_filter>"
    "<labels><label><name>car</name><type>any</type></label><label><name>dog</name></label></labels>"
    "<original_size><width>64</width><height>48</height></original_size><source>street.mp4</source></task><dumped>2026-01-01</dumped></meta>"
)


def shape(frame: int, corners: str = "10 5 30 25", keyframe: int = 1, more: str = "", tag: str = "box") -> str:
    names = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry")}[tag]
    sides = " ".join(f'{name}="{value}"' for name, value in zip(names, corners.split(), strict=False))
    marks = f'keyframe="{keyframe}" outside="{int("outside" in more)}" occluded="0"'
    return f'<{tag} frame="{frame}" {marks} {sides} z_order="0"{more.removeprefix("outside")}>\n</{tag}>'


def outside(frame: int) -> str:
    return shape(frame, more="outside")


def polygon(frame: int, points: str = "1,1;5,1;5,6") -> str:
    return f'<polygon frame="{frame}" keyframe="1" outside="0" occluded="0" points="{points}" z_order="0"/>'


def track(*shapes: str, label: str = "car", number: int = 0, more: str = "") -> str:
    return f'  <track id="{number}" label="{label}" source="manual"{more}>\n' + "".join(f"    {each}\n" for each in shapes) + "  </track>\n"


def document(*tracks: str, meta: str = META) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  {meta}\n{"".join(tracks)}</annotations>\n'


options = reader(CvatOptions, "annotations.xml")


@pytest.fixture
def folder(tmp_path: Path, draw) -> Path:
    """An export with the images of every second frame, as people extract them."""
    for frame in range(0, 10, 2):
        draw(tmp_path / f"export/images/frame_{frame:06d}.PNG", (64, 48))
    return tmp_path / "export"


def boxes_by_frame(root: Path, out: Path, *tracks: str, **more) -> tuple[dict[int, list], dict[str, int]]:
    put(root / "annotations.xml", document(*tracks))
    rows, counts = converted(options(root, **more), out)
    return {int(Path(row["images"][0]).stem[-6:]): short(row)[3] for row in rows}, counts


def test_an_export_of_cvat(folder, tmp_path):
    """A shape in each frame; one that is of a single frame ends by another that is outside, as CVAT writes it."""
    car = [shape(0), shape(1, "11 5 31 25", 0), shape(2, "12 5 32 25", 0), shape(3, "13 5 33 25"), outside(4)]
    dog = [shape(6, "1 1 9 9", more=' rotation="90.00"'), outside(7)]
    truth = tmp_path / "truth.json"
    found, counts = boxes_by_frame(folder, tmp_path / "out.jsonl", track(*car), track(*dog, label="dog", number=1), coco_out=str(truth))
    assert found == {0: [("car", [10, 5, 30, 25])], 2: [("car", [12, 5, 32, 25])], 4: [], 6: [("dog", [1, 1, 9, 9])], 8: []}
    assert counts == {"box-interpolated": 1, "outside-skipped": 2, "box-from-rotated": 1, "frame-without-image": 2}
    rows, _ = converted(options(folder), tmp_path / "again.jsonl")
    assert rows[0]["messages"][0]["content"] == "<image>Detect every object of these categories: car, dog."
    assert [row["sample_id"] for row in rows] == [1, 2, 3, 4, 5]
    assert perfect_ap(rows, truth, tmp_path) == pytest.approx(1)


KEYFRAMES = {  # name -> (shapes of a track, boxes by frame, counts besides)
    "between boxes": ([shape(0, "0 0 10 10"), shape(8, "40 20 60 40")], {2: [10, 5, 22.5, 17.5], 4: [20, 10, 35, 25]}, 3),
    "after the last one": ([shape(4)], {0: None, 2: None, 4: [10, 5, 30, 25], 6: [10, 5, 30, 25], 8: [10, 5, 30, 25]}, 2),
    "towards one outside": ([shape(0, "0 0 10 10"), outside(4)], {0: [0, 0, 10, 10], 2: [5, 2.5, 20, 17.5], 4: None, 8: None}, 1),
    "and again": ([shape(0), outside(2), shape(6)], {0: [10, 5, 30, 25], 2: None, 4: None, 6: [10, 5, 30, 25], 8: [10, 5, 30, 25]}, 1),
    "ellipses": ([shape(0, "20 20 10 5", tag="ellipse"), shape(4, "24 20 6 5", tag="ellipse"), outside(5)], {2: [14, 15, 30, 25]}, 1),
    "out of order": ([shape(8, "40 20 60 40"), shape(0, "0 0 10 10")], {0: [0, 0, 10, 10], 8: [40, 20, 60, 40]}, 3),
    "a polygon until it is outside": ([polygon(0), polygon(6).replace('outside="0"', 'outside="1"')], {4: [1, 1, 5, 6], 6: None}, 2),
    "a polygon that stays": ([polygon(0, "1,1;5,1;5,6")], {0: [1, 1, 5, 6], 8: [1, 1, 5, 6]}, 4),
}


@pytest.mark.parametrize("name", KEYFRAMES)
def test_keyframes_alone(folder, tmp_path, name):
    """Other writers skip the frames between; computed here by hand."""
    shapes, boxes, interpolated = KEYFRAMES[name]
    found, counts = boxes_by_frame(folder, tmp_path / "out.jsonl", track(*shapes))
    assert {frame: found[frame][0][1] if found[frame] else None for frame in boxes} == boxes
    assert counts["box-interpolated"] == interpolated


def test_rotation_goes_the_shorter_way(folder, tmp_path):
    """From 350 to 10 degrees in 8 frames: 355 in frame 2, and not 265."""
    rotated = [shape(frame, "20 20 40 24", more=f' rotation="{angle}"') for frame, angle in ((0, 350), (8, 10))]
    found, _ = boxes_by_frame(folder, tmp_path / "out.jsonl", track(*rotated))
    half_width, half_height = 10 * cos(radians(5)) + 2 * sin(radians(5)), 10 * sin(radians(5)) + 2 * cos(radians(5))
    assert found[2][0][1] == pytest.approx([30 - half_width, 22 - half_height, 30 + half_width, 22 + half_height], abs=1e-5)


@pytest.mark.parametrize("shapes", [[polygon(0), polygon(8, "9,9;20,9;20,20")], [shape(0), polygon(8)]])
def test_what_cannot_be_interpolated_is_not_absent(folder, tmp_path, shapes):
    found, counts = boxes_by_frame(
        folder, tmp_path / "out.jsonl", track(*shapes), track(shape(4, "1 1 9 9"), outside(5), label="dog", number=1)
    )
    assert counts["shape-not-interpolated"] == 3
    assert sorted(found) == [0, 4, 8]  # 2 and 6 have a crowd box only
    assert [label for label, _ in found[4]] == ["dog"]
    done = run("convert", "cvat", folder, "--classes", "one", "--absent", 9, "--out", tmp_path / "one.jsonl")
    assert done.exit_code == 0, done.stderr
    absent = [line for line in (tmp_path / "one.jsonl").read_text().splitlines() if "every car" in line and '"None"' in line]
    assert absent == []


def test_skeletons_and_points_are_not_absent(folder, tmp_path):
    points = '<points frame="0" keyframe="1" outside="0" points="3,4"/>'
    found, counts = boxes_by_frame(folder, tmp_path / "out.jsonl", track(points, outside(4)))
    assert (sorted(found), counts["points-dropped"]) == ([4, 6, 8], 2)
    joint = track('<points frame="0" keyframe="1" outside="0" points="3,4"/>', label="knee")
    skeleton = track('<skeleton frame="0" keyframe="1" outside="0" points="3,4;5,6"></skeleton>', outside(2), joint)
    found, counts = boxes_by_frame(folder, tmp_path / "skeleton.jsonl", skeleton)
    assert (sorted(found), counts) == (
        [2, 4, 6, 8],
        {"skeleton-dropped": 1, "outside-skipped": 1, "crowd-skipped": 1, "image-crowd-only": 1},
    )


def test_frames(folder, tmp_path, draw):
    """Every third from 3 to 9: other images are not frames of the task; names of any beginning end with the number."""
    meta = META.replace("<start_frame>0<", "<start_frame>3<").replace("<frame_filter><", "<frame_filter>step=3<")
    draw(folder / "images/clip-9.jpg", (64, 48))
    draw(folder / "images/logo.png", (64, 48))
    draw(folder / "images/3.jpg", (64, 48))
    put(folder / "annotations.xml", document(track(shape(3), shape(6), shape(9)), meta=meta))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert [Path(row["images"][0]).name for row in rows] == ["3.jpg", "clip-9.jpg", "frame_000006.PNG"]
    assert counts["image-without-frame"] == 5
    draw(folder / "images/frame_000009.PNG", (64, 48))
    assert "clip-9.jpg and frame_000009.PNG are both of frame 9; expected one image for each frame" in refusal(
        options(folder), tmp_path / "x"
    )


def test_names_without_a_folder(folder, tmp_path):
    put(folder / "annotations.xml", document(track(shape(0), outside(1))))
    rows = made(options(folder, images=str(tmp_path / "elsewhere"), check_images=False))
    assert [Path(row["images"][0]).name for row in rows] == [f"frame_{number:06d}.PNG" for number in range(10)]


def test_a_store_workers_and_resume_give_the_same_rows(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GROUNDSWIFT_CACHE", str(tmp_path / "cache"))
    put(folder / "annotations.xml", document(track(shape(0, "0 0 10 10"), shape(8, "40 20 60 40"))))
    store = fsspec.filesystem("memory")
    store.put(str(folder), "/there", recursive=True)
    try:
        files = []
        for place, more in ((folder, ()), (folder, ("--workers", 2, "--resume")), ("memory://there", ())):
            out = tmp_path / f"{len(files)}.jsonl"
            done = run("convert", "cvat", f"{place}/annotations.xml", "--images", f"{place}/images", "--out", out, *more)
            assert done.exit_code == 0, done.stderr
            files.append(out.read_text().replace("memory://there", str(folder)))
        assert files == [files[0]] * 3
    finally:
        store.rm("/", recursive=True)


def test_images_of_a_video_without_suffix(folder, tmp_path):
    """`CVAT for images` of a video names frames, and its images have a suffix."""
    image = (
        '<image id="0" name="frame_000002" width="64" height="48"><box label="car" occluded="0" xtl="1" ytl="2" xbr="9" ybr="8"/></image>'
    )
    put(folder / "annotations.xml", document(image))
    rows, counts = converted(options(folder), tmp_path / "out.jsonl")
    assert ([short(row)[1:] for row in rows], counts) == ([("frame_000002.PNG", (64, 48), [("car", [1, 2, 9, 8])])], {})


ONE = track(shape(0), outside(1))
STOPS = {  # name -> the document, part of the error; skip does not help
    "no size": (document(ONE, meta="<meta/>"), "no <original_size> of the video, or several; expected its width and height in px"),
    "no meta": (document(ONE, meta=""), "no <original_size>"),
    "size 0": (document(ONE, meta=META.replace(">64<", ">0<")), "no <original_size>"),
    "two sizes": (document(ONE, meta=META.replace("</task>", "<original_size/></task>")), "no <original_size>"),
    "a word for a frame": (document(ONE, meta=META.replace(">9<", ">last<")), "<stop_frame> is 'last'; expected a number"),
    "step 0": (document(ONE, meta=META.replace("filter><", "filter>step=0<")), "<frame_filter> is 'step=0'; expected step=NUMBER"),
    "frame is a word": (document(track(shape("one"))), "track 0: frame is 'one'; expected the number of a frame"),
    "frame below 0": (document(track(shape(-1))), "frame is '-1'"),
    "frame of digits": (document(track(shape("9" * 300))), "expected the number of a frame"),
    "no frame": (document(track(shape(0).replace('frame="0" ', "", 1))), "frame is None"),
    "a frame twice": (document(track(shape(2), shape(2))), "track 0: two shapes in frame 2; expected one shape of a track in a frame"),
    "a frame beyond": (document(track(shape(10))), "track 0: frame 10; expected frames 0 to 9, every 1, as <meta> says"),
    "two tasks": (
        document(track(shape(0), more=' task_id="1"'), track(shape(0), more=' task_id="2"')),
        "tracks of several tasks, whose frames have the same numbers; expected the export of one task",
    ),
    "images too": (document('<image id="0" name="frame_000000" width="64" height="48"/>', ONE), "expected no images, and no --subset"),
    "no frame has an image": (
        document(ONE, meta=META.replace(">0</start", ">9</start")),
        "none of its frames has an image; expected images",
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_broken_files(folder, tmp_path, name):
    text, expected = STOPS[name]
    put(folder / "annotations.xml", text)
    assert expected in refusal(options(folder, on_error="skip"), tmp_path / "out.jsonl")


FAULTY = {  # name -> tracks, part of the error; frame 0 is skipped
    "no label": ([track(shape(0), outside(1), label="")], "track 0: frame 0: box: no label"),
    "no number": ([track(shape(0, "1 2 3"), outside(1))], "frame 0: box: ybr is missing or not a number"),
    "a new shape": ([track('<blob frame="0"/>', outside(1))], "frame 0: blob: unknown shape"),
    "bad between": ([track(shape(0, "1 2 x 4"), outside(1))], "xbr is missing or not a number"),
    "inverted": ([track(shape(0, "9 2 3 4"), outside(1))], "box-inverted"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_problems(folder, tmp_path, name):
    tracks, expected = FAULTY[name]
    put(folder / "annotations.xml", document(*tracks))
    assert expected in refusal(options(folder), tmp_path / "out.jsonl")
    found, counts = boxes_by_frame(folder, tmp_path / "out.jsonl", *tracks, on_error="skip")
    assert (sorted(found), bool(counts)) == ([2, 4, 6, 8], True)


def test_subset_of_a_video(folder, tmp_path):
    put(folder / "annotations.xml", document(ONE))
    assert "expected no images, and no --subset" in refusal(options(folder, subset="train"), tmp_path / "out.jsonl")


@pytest.mark.long
@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_is_read_or_refused_in_words(folder, tmp_path, kind):
    put(folder / "annotations.xml", SPOILT[kind](document(ONE).encode()))
    arguments = ["convert", "cvat", str(folder / "annotations.xml"), "--out", str(tmp_path / "out.jsonl")]
    done = run(*arguments)  # raises where it is a traceback
    check_refused(done, arguments, folder / "annotations.xml") if done.exit_code else None
    assert (done.exit_code == 0) == (tmp_path / "out.jsonl").exists()
