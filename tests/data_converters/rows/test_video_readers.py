"""Whether lint knows which environments can decode a video file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from lint_rows import ABSENT, lint, row

from groundswift.data_converters.rows.lint import checks_images
from groundswift.data_converters.rows.lint.video_readers import missing_reader


def environment(folder: Path, *packages: str, reads: bool = False):
    """A function that finds these packages, as `importlib.util.find_spec` does; `reads`: torchvision still has read_video."""
    (folder / "io").mkdir()
    (folder / "io" / "video.py").write_text("import av\n" + "\ndef read_video(filename):\n    ...\n" * reads)
    spec = SimpleNamespace(submodule_search_locations=[str(folder)])
    return lambda name: spec if name in packages else None


@pytest.mark.parametrize(
    ("packages", "reads", "forced", "problem"),
    [
        (("swift", "torchvision"), False, "", "torchvision no longer reads video files"),
        (("swift", "torchvision"), True, "", None),
        (("swift", "torchvision", "decord"), False, "", None),
        (("swift", "torchvision", "torchcodec"), False, "", None),
        (("swift", "torchvision", "decord"), False, "torchcodec", "FORCE_QWENVL_VIDEO_READER is torchcodec"),
        (("swift", "torchvision", "decord"), False, "decord", None),
        (("swift", "torchvision", "decord"), False, "torchvision", "torchvision no longer reads video files"),
        (("swift", "torchvision", "decord"), True, "torchvision", None),
        (("torchvision",), False, "", None),
        ((), False, "", None),
    ],
)
def test_missing_reader(tmp_path, packages, reads, forced, problem):
    found = missing_reader(forced, environment(tmp_path, *packages, reads=reads))
    assert (found is None) == (problem is None)
    assert problem is None or (problem in found and "pip install 'groundswift[video]'" in found)


@pytest.mark.parametrize(
    ("videos", "findings"),
    [(["clip.mp4"], 1), (["clip.mp4", "clip.mp4"], 1), ([["a.png", "a.png"]], 0), ([["a.png"], "clip.mp4"], 1)],
)
def test_lint_names_the_missing_reader_once_a_row(tmp_path, monkeypatch, videos, findings):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checks_images, "_missing_reader", lambda: "no reader; expected decord")
    for name in ("clip.mp4", "a.png"):
        Path(name).write_bytes(b"not empty")
    filmed = row("A dog runs.", "<video>" * len(videos) + "?", videos=videos, **dict.fromkeys(("images", "objects", "size_wh"), ABSENT))
    assert lint([filmed])["rules"].get("video-no-reader", {"count": 0})["count"] == findings
