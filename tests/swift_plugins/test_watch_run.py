"""`groundswift watch` over drawn videos, against a real server on this machine that fails, stalls, dies and comes back."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import write_alarm_clip
from converted import run
from PIL import Image
from watch_server import RedServer, Webhook

from groundswift.swift_plugins.tools.watch import monitor as monitor_module
from groundswift.swift_plugins.tools.watch import sources as sources_module
from groundswift.swift_plugins.tools.watch import webhook as webhook_module
from groundswift.swift_plugins.tools.watch.bench import lines_of_bench
from groundswift.swift_plugins.tools.watch.monitor import Monitor
from groundswift.swift_plugins.tools.watch.settings import Settings

QUESTION = "Is the square red? Answer yes or no."


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_module, "PAUSES_S", (0.02, 0.05))
    monkeypatch.setattr(webhook_module, "PAUSES_S", (0.02, 0.05))
    monkeypatch.setattr(sources_module, "PAUSES_S", (0.02, 0.05))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s, red from 1.5 to 2.5 s."""
    return write_alarm_clip(tmp_path_factory.mktemp("clip") / "drawn.mp4", 4, 1.5, 2.5)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.6 s at 20 frames a second, red from 0.6 to 1 s."""
    return write_alarm_clip(tmp_path_factory.mktemp("short") / "drawn.mp4", 1.6, 0.6, 1, 20)


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def watch(source: object, out: Path, server: RedServer, *words: object, code: int = 0) -> str:
    """The command's output."""
    done = run("watch", source, "--url", server.url, "--question", QUESTION, "--out", out, "--no-page", *words)
    assert done.exit_code == code, done.output
    return done.output


def monitor_of(source: object, out: Path, server: RedServer, **more: Any) -> Monitor:
    given = {"pace": "live", "fps": 20.0, "timeout": 0.5} | more
    return Monitor(Settings(source=str(source), url=server.url, question=QUESTION, out=str(out), **given).check())


def while_watching(monitor: Monitor, act: Callable[[], None]) -> dict[str, Any]:
    """Run a monitor while something happens -> its figures."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    monitor.run()
    thread.join(60)
    return monitor.document()


def at(monitor: Monitor, time_s: float) -> None:
    """Wait until the source has come to that time, however loaded the machine is."""
    while not (monitor.recorder.recent and monitor.recorder.recent[-1].time_s >= time_s) and not monitor.stop.is_set():
        time.sleep(0.005)


def test_every_sampled_frame_of_a_file_has_a_verdict(tmp_path, clip):
    with RedServer() as server:
        found = json.loads(watch(clip, tmp_path / "out", server, "--fps", "5", "--json"))
    rows = rows_in(tmp_path / "out" / "verdicts.jsonl")
    assert [row["frame"] for row in rows] == list(range(1, 21))
    assert [row["verdict"] for row in rows] == ["alarm" if 1.5 <= row["time_s"] < 2.5 else "normal" for row in rows]
    assert found["counts"] == {"verdict-normal": 15, "verdict-alarm": 5, "alarms": 1}
    assert set(server.paths) == {"/v1/chat/completions"}
    (alarm,) = rows_in(tmp_path / "out" / "alarms.jsonl")
    assert alarm["frame"] == 10  # the second red frame of 5 a second: 2 of the last 3
    assert alarm["time_s"] == pytest.approx(1.8)


def test_the_recording_has_the_frames_before_and_after(tmp_path, clip):
    with RedServer() as server:
        watch(clip, tmp_path / "out", server, "--fps", "5", "--before", "1", "--after", "0.4")
    (alarm,) = rows_in(tmp_path / "out" / "alarms.jsonl")
    frames = sorted(Path(alarm["recording"]).iterdir())
    assert [int(path.stem) for path in frames] == [5, 6, 7, 8, 9, 10, 11, 12]
    assert Image.open(frames[0]).size == (112, 84)


def test_a_slow_model_gets_the_newest_frame_and_the_rest_is_counted(tmp_path, short):
    with RedServer() as server:
        server.delay_s = 0.2
        found = json.loads(watch(short, tmp_path / "out", server, "--fps", "20", "--pace", "live", "--timeout", "5", "--json"))
    rows = rows_in(tmp_path / "out" / "verdicts.jsonl")
    late = [server.seen[number][1] - server.seen[0][1] - (row["time_s"] - rows[0]["time_s"]) for number, row in enumerate(rows)]
    assert max(map(abs, late)) < 0.5  # the answer is about now, from the first frame to the last
    assert 5 <= len(rows) <= 10
    counts = found["counts"]
    assert len(rows) + counts["dropped-model-slower"] + counts.get("dropped-at-end", 0) == 32


def test_no_alarm_is_lost_while_the_server_is_dead(tmp_path, short):
    """The square is red only in the time in which nobody answers."""
    with RedServer() as server, Webhook() as hook:
        monitor = monitor_of(short, tmp_path / "out", server, webhook=hook.url)

        def act() -> None:
            at(monitor, 0.4)
            server.die()
            at(monitor, 1.2)
            server.revive()

        found = while_watching(monitor, act)
        assert monitor.outbox.drain(10) == 0
    rows = rows_in(tmp_path / "out" / "verdicts.jsonl")
    assert found["counts"]["server-unreachable"] >= 3
    assert found["problems"] == {}
    assert [alarm["id"] for alarm in hook.got] == [alarm["id"] for alarm in rows_in(tmp_path / "out" / "alarms.jsonl")]
    assert len(hook.got) == 1
    assert 0.6 <= hook.got[0]["time_s"] < 1
    late = [row["frame"] for row in rows]
    assert late != sorted(late)  # the newest frame first, then those of the outage
    assert len(set(late)) == len(late)


@pytest.mark.parametrize("mode", ["html", "stall", "trickle", 503, 404])
def test_no_alarm_is_lost_while_the_server_fails(tmp_path, short, mode):
    with RedServer() as server:
        monitor = monitor_of(short, tmp_path / "out", server, timeout=0.3)

        def act() -> None:
            at(monitor, 0.4)
            server.mode = mode
            at(monitor, 1.2)
            server.mode = "ok"

        found = while_watching(monitor, act)
    problem = {"html": "server-not-openai", "stall": "server-timeout", "trickle": "server-timeout", 404: "server-refused"}
    assert found["counts"][problem.get(mode, "server-failed")] >= 1
    assert found["counts"]["alarms"] == 1
    assert "frames-unanswered" not in found["counts"]


def test_frames_of_a_long_outage_are_thinned_and_the_alarm_is_still_found(tmp_path, short):
    with RedServer() as server:
        monitor = monitor_of(short, tmp_path / "out", server, keep=8, alarm_after=(1, 1))

        def act() -> None:
            at(monitor, 0.3)
            server.die()
            at(monitor, 1.4)
            server.revive()

        found = while_watching(monitor, act)
    assert found["counts"]["alarms"] == 1
    assert found["counts"]["dropped-server-away"] >= 8


def test_a_refused_frame_is_counted_and_the_next_is_asked(tmp_path, clip):
    with RedServer() as server:
        server.mode = 413
        watch(clip, tmp_path / "out", server, "--fps", "2")
    rows = rows_in(tmp_path / "out" / "verdicts.jsonl")
    assert len(rows) == 8
    assert {row["error"] for row in rows} == {"refused with 413 [frame-refused]"}


def test_a_file_waits_for_its_server_and_gives_up_in_words(tmp_path, clip):
    with RedServer() as server:
        server.mode = 500
        output = watch(clip, tmp_path / "out", server, "--fps", "2", "--limit", "3", "--wait", "0.4", code=3)
    assert "server: the server failed (500: refused with 500)" in output
    assert "3  frames-unanswered" in output


def test_a_server_that_answers_html_at_the_start_is_one_line(tmp_path, clip):
    with RedServer() as server:
        server.mode = "html"
        output = watch(clip, tmp_path / "out", server, code=1)
    assert output.startswith("error: ")
    assert "answered 200: <html><body>Welcome</body></html>; expected the base URL of an OpenAI-compatible server" in output
    assert len(output.splitlines()) == 1


def test_alarms_wait_for_their_webhook_and_go_by_the_next_run(tmp_path, clip):
    with RedServer() as server, Webhook(status=500) as hook:
        output = watch(clip, tmp_path / "out", server, "--fps", "5", "--webhook", hook.url, "--wait", "0.3", code=3)
        assert "1 alarm not delivered" in output
        assert "secret" not in output
        assert hook.refused >= 2
        hook.status = 200
        again = tmp_path / "still"
        again.mkdir()
        Image.new("RGB", (40, 30), "blue").save(again / "1.png")
        watch(again, tmp_path / "out", server, "--webhook", hook.url)
        watch(again, tmp_path / "out", server, "--webhook", hook.url)
    assert [alarm["frame"] for alarm in hook.got] == [10]
    assert hook.got[0]["question"] == QUESTION
    assert hook.got[0]["answer"] == "Yes."


def test_a_webhook_that_dies_gets_every_alarm_when_it_is_back(tmp_path, short):
    with RedServer() as server, Webhook() as hook:
        hook.die()
        monitor = monitor_of(short, tmp_path / "out", server, webhook=hook.url)
        monitor.run()
        assert hook.got == []
        hook.revive()
        assert monitor.outbox.drain(10) == 0
    assert len(hook.got) == 1


def test_unchanged_frames_are_not_asked_about_but_an_alarm_is_not_hidden(tmp_path):
    folder = tmp_path / "stills"
    folder.mkdir()
    colours = ["blue"] * 5 + ["red"] * 4 + ["blue"] * 6
    for number, colour in enumerate(colours):
        Image.new("RGB", (64, 48), colour).save(folder / f"{number:02d}.png")
    with RedServer() as server:
        watch(folder, tmp_path / "out", server, "--only-on-change", "0.02")
    verdicts = [row["verdict"] for row in rows_in(tmp_path / "out" / "verdicts.jsonl")]
    asked = ["normal"] + ["unchanged"] * 4 + ["alarm"] * 4 + ["normal"] * 3 + ["unchanged"] * 3
    assert verdicts == asked  # while one of the last 3 verdicts is an alarm, every frame is asked about
    assert len(server.seen) == 8
    assert len(rows_in(tmp_path / "out" / "alarms.jsonl")) == 1


def test_a_broken_image_of_a_folder_is_counted(tmp_path):
    folder = tmp_path / "stills"
    folder.mkdir()
    (folder / "0.png").write_bytes(b"not an image")
    Image.new("RGB", (64, 48), "red").save(folder / "1.png")
    with RedServer() as server:
        output = watch(folder, tmp_path / "out", server, "--alarm-after", "1/1")
    assert "1  image-unreadable" in output
    assert "1  verdict-alarm" in output


@pytest.mark.parametrize(
    ("source", "words", "said"),
    [
        ("{tmp}/none.mp4", [], "none.mp4: no such file or folder; expected a video"),
        ("{tmp}/text.mp4", [], "text.mp4: cannot be read (Invalid data found when processing input); expected a video"),
        ("{tmp}/empty", [], "empty: has no image; expected files .bmp"),
        ("gopher://host/x", [], "gopher://host/x: is not a stream; expected a URL that begins with rtsp"),
        ("{clip}", ["--alarm-on", "maybe"], "--alarm-on 'maybe' is not one of --choices yes,no"),
        ("{clip}", ["--alarm-on", "box:cat"], "--alarm-on box: needs --family"),
        ("{clip}", ["--alarm-on", "regex:x"], "--alarm-on regex:x: unknown rule 'regex'"),
        ("{clip}", ["--alarm-after", "3/2"], "--alarm-after '3/2': expected K/N"),
        ("{clip}", ["--webhook", "nowhere"], "--webhook: 'nowhere'; expected a URL"),
        ("rtsp://user:word@127.0.0.1:9/x", [], "rtsp://127.0.0.1:9/x: cannot be opened (Connection refused)"),
        ("/dev/video99", [], "/dev/video99: cannot be opened (No such file or directory); expected a camera"),
    ],
)
def test_bad_input_is_one_line(tmp_path, clip, source, words, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("not a video", encoding="utf-8")
    with RedServer() as server:
        output = watch(source.format(tmp=tmp_path, clip=clip), tmp_path / "out", server, *words, code=1)
    assert said in output
    assert output.startswith("error: ")
    assert len(output.splitlines()) == 1


def test_the_benchmark_compares_with_the_server_alone(tmp_path, clip):
    with RedServer() as server:
        server.delay_s = 0.03
        words = ("watch", clip, "--url", server.url, "--question", QUESTION, "--bench", "--limit", "10", "--fps", "10", "--json")
        found = json.loads(run(*words).output)
    assert len(server.seen) >= 30
    assert found["server"]["latency_ms"]["median"] >= 30
    assert found["server"]["frames_per_s"] < 1000 / 30
    assert 0.3 < found["watch"]["of_server"] < 1.5
    assert found["watch"]["answered"] == 10
    assert found["live"]["answered"] + found["live"]["dropped"] == 10
    assert found["watch"]["added_ms"]["median"] < 30
    shown = "\n".join(lines_of_bench(found))
    assert f"watch reaches {found['watch']['of_server']:.1%} of the rate that the server allows" in shown
    assert "watch, live at 10 fps" in shown


def test_the_key_goes_to_the_server_and_nowhere_else(tmp_path, clip, monkeypatch):
    """Not even where the server repeats it in the words of an error."""
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-lab")
    with RedServer() as server:
        server.mode = 422
        server.says = "wrong key key-of-the-lab"
        output = watch(clip, tmp_path / "out", server, "--limit", "1")
    assert server.keys == ["Bearer key-of-the-lab"]
    written = output + "".join(path.read_text() for path in (tmp_path / "out").iterdir() if path.is_file())
    assert "wrong key ***" in written
    assert "key-of-the-lab" not in written


def test_a_disk_that_is_full_loses_no_alarm(tmp_path, clip, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(webhook_module, "append_line", full)
    monkeypatch.setattr(monitor_module, "append_line", full)
    with RedServer() as server, Webhook() as hook:
        output = watch(clip, tmp_path / "out", server, "--fps", "5", "--webhook", hook.url)
    assert len(hook.got) == 1
    assert "20  verdict-unwritten" in output
    assert "alarm-unwritten" in output
