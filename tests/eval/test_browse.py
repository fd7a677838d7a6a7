"""`groundswift browse`: the page, its data and its images from a server on this machine, and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
from browser import chromium
from evaluated import call, coco_of, results_of, write_json
from PIL import Image

from groundswift.errors import GroundswiftError
from groundswift.eval.browse.page_server import Server
from groundswift.eval.browse.server import Site
from groundswift.eval.evaluated_run import DrawnBox, ImageResult, NumberTable, Run
from groundswift.eval.report.page import report_of

SECRET = b"not an image of the run"
NAMES = [
    "1.jpg",
    "a/2.png",
    "../secret.jpg",
    "{root}/secret.jpg",
    "notes.txt",
    "gone.jpg",
    "a/../a/2.png",
    "{root}/images/1.jpg",
    "pipe.jpg",
]


def run_of(names: list[str]) -> Run:
    box = DrawnBox("cat", (1.0, 1.0, 9.0, 9.0), "true_positive", 0.5)
    images = [ImageResult(number, name, (112, 84), "ok", [box], [box], number / 100) for number, name in enumerate(names)]
    return Run("run", {"AP": 0.5, "per_class": {}, "counts": {}, "protocol": {}, "warnings": []}, [], images)


@pytest.fixture
def served(tmp_path) -> Iterator[tuple[Server, list[str]]]:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(SECRET)
    (tmp_path / "images" / "notes.txt").write_bytes(SECRET)
    os.mkfifo(tmp_path / "images" / "pipe.jpg")
    Image.new("RGB", (112, 84), "red").save(tmp_path / "images" / "1.jpg")
    Image.new("RGB", (112, 84), "blue").save(tmp_path / "images" / "a" / "2.png")
    names = [name.format(root=tmp_path) for name in NAMES]
    report = report_of([run_of(names)], "Title", NumberTable([]))
    with Server(Site(report, tmp_path / "images"), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server, names
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_page_is_the_report_without_its_data(served):
    server, names = served
    status, headers, body = ask(server, "/")
    html = unescape(body.decode())
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "text/html; charset=utf-8", "no-store")
    assert "connect-src 'self'" in html
    assert 'id="d0"' not in html
    setup = json.loads(re.search(r'id="setup">(.*?)</script>', html)[1])
    assert (setup["served"], setup["images"], setup["thumbnails"]) == (True, True, len(names))
    assert setup["index"]["files"] == names


def test_data_and_thumbnails_come_in_chunks(served):
    server, names = served
    rows = json.loads(ask(server, "/chunk/d0.json")[2])
    assert [row[0]["b"][:2] for row in rows] == [[0, 0]] * len(names)
    thumbnails = json.loads(ask(server, "/chunk/t0.json")[2])
    keys = [each[1] if isinstance(each, list) else None for each in thumbnails]
    outside, error = "note.outside", "note.error"
    assert keys == [None, None, outside, outside, error, error, None, None, error]
    assert "gone.jpg" in thumbnails[5][2]["error"]
    assert str(Path(names[3]).parent) not in json.dumps(thumbnails), "a place on this machine"


@pytest.mark.parametrize(("number", "colour"), [(0, "red"), (1, "blue"), (6, "blue"), (7, "red")])
def test_images_of_the_run_are_served(served, number, colour):
    status, headers, body = ask(served[0], f"/image/{number}")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg" if colour == "red" else "image/png")
    pixel = Image.open(BytesIO(body)).convert("RGB").getpixel((5, 5))
    assert pixel.index(max(pixel)) == (0 if colour == "red" else 2)


TRAVERSALS = [
    "/image/../secret.jpg",
    "/../secret.jpg",
    "/image/%2e%2e/secret.jpg",
    "/image/..%2fsecret.jpg",
    "//secret.jpg",
    "/images/1.jpg",
]
OTHERS = [
    "/image/",
    "/image/-1",
    "/image/99",
    "/image/1.jpg",
    "/image/99999999999999",
    "/chunk/d1.json",
    "/chunk/t9.json",
    "/chunk/x0.json",
]


@pytest.mark.parametrize("path", [*TRAVERSALS, *OTHERS, *(f"/image/{number}" for number in (2, 3, 4, 5, 8))])
def test_nothing_else_is_served(served, path):
    status, _, body = ask(served[0], path)
    assert status == 404
    assert SECRET not in body


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=5-99999999", 206, slice(5, None)),
        ("bytes=99999999-", 416, slice(0, 0)),
        ("bytes=9-3", 416, slice(0, 0)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
    ],
)
def test_a_range_of_an_image(served, tmp_path, wanted, status, part):
    whole = (tmp_path / "images" / "1.jpg").read_bytes()
    found, headers, body = ask(served[0], "/image/0", Range=wanted)
    assert (found, body) == (status, whole[part])
    assert int(headers["Content-Length"]) == len(body)
    assert ("Content-Range" in headers) == (status != 200)


def test_head_and_other_methods(served):
    status, headers, body = ask(served[0], "/image/0", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 300
    assert ask(served[0], "/", "POST")[0] == 501


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:80", 200), ("localhost", 200), ("evil.example", 403), ("127.0.0.1.evil.example:80", 403)]
)
def test_a_page_of_another_name_is_refused(served, host, status):
    assert ask(served[0], "/", Host=host)[0] == status


def test_a_port_that_is_taken_is_one_line(served):
    server, _ = served
    with pytest.raises(GroundswiftError, match=f"--port {server.server_port}: cannot be served .*; expected"):
        Server(server.site, "127.0.0.1", server.server_port)


@pytest.fixture
def folders(tmp_path) -> Path:
    coco = coco_of((112, 84), [(1, 1, [10, 12, 40, 48])], [1, 2])
    truth = write_json(tmp_path / "truth.json", coco)
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        Image.new("RGB", (112, 84), (90, 90, 140)).save(tmp_path / "images" / f"{number}.jpg")
    for name, found in (("before", []), ("after", results_of(coco))):
        result = write_json(tmp_path / f"{name}.json", found)
        call("coco-map", "--predictions", result, "--gt", truth, "--out", tmp_path / name, "--no-report")
    return tmp_path


@pytest.mark.process
def test_the_command_serves_runs_to_a_browser_until_it_is_stopped(folders):
    command = [sys.executable, "-m", "groundswift.cli", "browse", "before", "after", "--images", "images", "--port", "0"]
    process = subprocess.Popen(command, cwd=folders, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        line = process.stdout.readline()
        url = re.fullmatch(r"2 images at (http://127\.0\.0\.1:\d+/) \(Ctrl-C stops\)\n", line)[1]
        with chromium() as browser:
            view = browser.new_page()
            problems: list[str] = []
            view.on("pageerror", lambda error: problems.append(str(error)))
            view.on("requestfailed", lambda request: problems.append(request.url))
            view.goto(f"{url}#change=fixed")
            view.wait_for_selector("#cards[data-ready]", state="attached")
            assert view.locator(".card .name").all_inner_texts() == ["1.jpg 1"]
            assert view.locator(".card canvas[data-drawn=image]").count() == 2
            view.locator(".card button").click()
            view.wait_for_selector("#viewer[data-full=yes]")
            assert problems == []
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


WRONG = {
    ("gone",): "gone/run.json: cannot be read",
    ("before", "before"): "expected different names",
    ("before", "--host", "256.1.1.1"): "--host 256.1.1.1",
}


@pytest.mark.parametrize(("words", "message"), WRONG.items())
def test_what_cannot_be_served_is_one_line(folders, words, message, monkeypatch):
    from converted import run

    monkeypatch.chdir(folders)
    done = run("browse", *words, "--port", "0")
    assert done.exit_code == 1
    assert message in done.output
    assert done.output.count("\n") == 1
