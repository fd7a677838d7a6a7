"""The web page of `groundswift watch` in a headless Chromium, and who may read it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from browser import chromium
from clips import write_alarm_clip
from watch_server import RedServer

from groundswift.swift_plugins.tools.watch.monitor import Monitor
from groundswift.swift_plugins.tools.watch.page import page_of
from groundswift.swift_plugins.tools.watch.settings import Settings

HOSTILE = "<img src=x onerror='document.title=1'><b>Yes</b>"
LINES = "cell => { const text = document.createRange(); text.selectNodeContents(cell); return text.getClientRects().length }"
BOX = "<|object_ref_start|>" + HOSTILE + "<|object_ref_end|><|box_start|>(100,200),(500,600)<|box_end|>"


@pytest.fixture
def watched(tmp_path):
    """A monitor that has seen 5 frames, the last ones red; its answers are hostile. With the URL of its page."""
    clip = write_alarm_clip(tmp_path / "clip.mp4", 1, 0.4, 2, 5)
    with RedServer(answer=lambda red: BOX if red else "None") as server:
        given = {"source": str(clip), "url": server.url, "question": HOSTILE, "out": str(tmp_path / "out"), "family": "qwen2_vl"}
        monitor = Monitor(Settings(**given, alarm_on="box", fps=5.0).check())
        with page_of(monitor, 0) as url:
            monitor.run()
            yield monitor, url


def get(url: str, address: str, host: str | None = None) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=20)
    connection.request("GET", address, headers={"Host": host} if host else {})
    response = connection.getresponse()
    return response.status, response.read(), dict(response.getheaders())


def test_the_page_shows_frame_boxes_verdict_latency_and_history(watched):
    monitor, url = watched
    with chromium() as browser:
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_function("document.getElementById('frame').getAttribute('href') === 'frame/5.jpg'")
        assert page.inner_text("#verdict") == "alarm"
        assert page.inner_text("#answer") == BOX
        assert page.inner_text("#question") == HOSTILE
        assert page.locator("#boxes rect.box").count() == 1
        assert float(page.get_attribute("#boxes rect.box", "x")) == pytest.approx(11.2, abs=0.2)  # 112 px wide, 100 of 1000
        assert page.text_content("#boxes text") == HOSTILE
        assert page.locator("#history tr").count() == 5
        assert page.locator("#raised tr").count() == 1
        for name in ("last", "median", "p95"):
            assert page.inner_text(f"#latency-{name}").endswith(" ms")
        assert page.inner_text("#fps") == "-"  # the run has ended
        assert page.locator("#raised td").first.evaluate(LINES) == 1  # the time is not broken
        assert page.locator("img, b").count() == 0  # of the model's text
        assert page.title() == "groundswift watch"
        assert "The run has ended." in page.inner_text("#problems")
        assert errors == []


def test_only_this_machines_browser_may_read_it(watched):
    _, url = watched
    assert get(url, "/state.json")[0] == 200
    assert get(url, "/state.json", "evil.example")[0] == 403
    status, body, headers = get(url, "/frame/3.jpg")
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in get(url, "/")[2]["Content-Security-Policy"]
    for address in ("/frame/99.jpg", "/frame/../state.json", "/page.py", "/verdicts.jsonl", "/frame/1"):
        assert get(url, address)[0] == 404


def test_the_state_has_what_failed(watched):
    monitor, url = watched
    monitor.problem = "no connection"
    state = json.loads(get(url, "/state.json")[1])
    assert state["problems"] == {"server": "no connection"}
    assert [row["frame"] for row in state["history"]] == [5, 4, 3, 2, 1]


def test_ctrl_c_ends_a_run_in_order(tmp_path):
    """A live run of the command: the page is up while it runs, Ctrl-C ends it with its figures."""
    clip = write_alarm_clip(tmp_path / "clip.mp4", 60, 0.4, 60, 5)
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from groundswift.cli import main; import sys; main(sys.argv[1:])"
    )
    with RedServer() as server:
        words = ["watch", clip, "--url", server.url, "--question", "red?", "--out", tmp_path / "out", "--pace", "live", "--port", "0"]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        url = process.stderr.readline().split("page at ")[1].split(" ")[0]
        assert "alarm at frame" in process.stdout.readline()
        assert json.loads(get(url, "/state.json")[1])["is_running"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "1 alarm ->" in out
    assert Path(tmp_path / "out" / "verdicts.jsonl").read_text().endswith("\n")


def test_a_port_that_is_taken_is_one_line(watched, tmp_path):
    from converted import run

    monitor, url = watched
    port = url.split(":")[2].strip("/")
    with RedServer() as server:
        words = ("watch", monitor.settings.source, "--url", server.url, "--question", "?", "--out", tmp_path / "o", "--port", port)
        done = run(*words)
    assert done.exit_code == 1
    assert f"error: --host 127.0.0.1 --port {port}: cannot be served" in done.output
    assert threading.active_count() < 50
