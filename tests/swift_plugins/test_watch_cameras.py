"""`groundswift watch` on cameras of the network: RTSP and a stream over HTTP, unplugged, silent, and back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import write_alarm_clip
from rtsp_camera import RtspCamera
from watch_server import Camera, RedServer

from groundswift.swift_plugins.tools.watch import sources as sources_module
from groundswift.swift_plugins.tools.watch.monitor import Monitor
from groundswift.swift_plugins.tools.watch.settings import Settings


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "PAUSES_S", (0.02, 0.05))


def camera_of(kind: str, folder: Path) -> Camera | RtspCamera:
    """A camera whose square turns red after 3 s."""
    clip = write_alarm_clip(folder / f"clip.{'ts' if kind == 'http' else 'mp4'}", 40, 3, 40, 10)
    return Camera(clip.read_bytes(), 40) if kind == "http" else RtspCamera(clip)


def wait(monitor: Monitor, until: Callable[[], Any]) -> None:
    while not until() and not monitor.stop.wait(0.02):
        pass


def watched(camera: Camera | RtspCamera, folder: Path, break_it: Callable[[], None], repair: Callable[[], None]) -> dict[str, Any]:
    """Watch a camera that breaks after the first frames and is repaired -> the figures of the run, with the words of the break."""
    with RedServer() as server, camera:
        settings = Settings(source=camera.url, url=server.url, question="Is the square red?", out=str(folder / "out"), fps=10.0)
        reported: list[tuple[str, str]] = []
        monitor = Monitor(settings.check(), on_problem=lambda where, text: reported.append((where, text)))
        said: list[str] = []

        def act() -> None:
            wait(monitor, lambda: monitor.encoder.count >= 3)
            break_it()
            wait(monitor, lambda: monitor.source.counts["source-not-back"])
            said.append(monitor.source.problem)
            repair()
            wait(monitor, lambda: monitor.figures.counts["alarms"] and not monitor.source.problem)
            monitor.stop.set()

        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        monitor.run()
        thread.join(60)
        return monitor.document() | {"said": said[0], "reported": reported}


def check(found: dict[str, Any], folder: Path) -> None:
    """It was counted, said in words, and the alarm of the time after it was raised."""
    assert found["said"].startswith("the source is gone (")
    assert found["counts"]["source-lost"] == 1
    assert found["counts"]["alarms"] == 1
    assert found["problems"] == {}
    (first, text), *_, (last, end) = found["reported"]
    assert (first, text[:20], last, end) == ("source", "the source is gone (", "source", "")
    assert "word" not in json.dumps(found) + (folder / "out" / "alarms.jsonl").read_text()
    times = [json.loads(line)["time_s"] for line in (folder / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert times == sorted(times)


@pytest.mark.parametrize("kind", ["http", "rtsp"])
def test_a_camera_that_is_unplugged_is_opened_again(tmp_path, kind):
    """It is red only after it was plugged in again."""
    camera = camera_of(kind, tmp_path)
    found = watched(camera, tmp_path, camera.unplug, camera.plug_in)
    check(found, tmp_path)


def test_an_rtsp_camera_that_is_silent_is_opened_again(tmp_path, monkeypatch):
    """The connection stays, and no packet comes."""
    monkeypatch.setattr(sources_module, "READ_S", 0.7)
    camera = camera_of("rtsp", tmp_path)

    def silence(is_silent: bool) -> None:
        camera.is_silent = is_silent

    found = watched(camera, tmp_path, lambda: silence(True), lambda: silence(False))
    check(found, tmp_path)
    assert camera.methods.count("PLAY") >= 2
