"""`groundswift anomaly ask` killed at random moments, and ended by Ctrl-C: nothing is lost, nothing is asked twice."""

from __future__ import annotations

import multiprocessing
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from asked import ask
from converted import run
from judge_server import judge_server
from tqdm import tqdm
from writer_server import WriterHandler


def killed(server, source: Path, after_s: float) -> bool:
    """A run that is killed after a while -> whether it was."""

    def ask_all() -> None:
        tqdm.set_lock(threading.RLock())  # not the one that it shares with this process, which would stay locked after a kill
        run(
            "anomaly",
            "ask",
            source,
            "--base-url",
            server.url,
            "--model",
            "writer",
            "--workers",
            3,
            "--out",
            source.with_name("asked.jsonl"),
        )

    process = multiprocessing.get_context("fork").Process(target=ask_all)
    process.start()
    time.sleep(after_s)
    process.kill()
    process.join()
    return process.exitcode < 0


def killed_and_resumed(server, source: Path, kills: int) -> None:
    """The rows after kills are those of one run, and nothing is asked that was answered."""
    expected, kept = ask(server, source, "writer")["lines"], source.with_name("asked.answers.jsonl")
    kept.unlink()
    began = time.monotonic()
    ask(server, source, "writer")  # all modules are there
    chance, were_killed, took_s = random.Random(kills), 0, time.monotonic() - began
    for kill in range(kills):
        if kill % 2 == 0:
            kept.unlink(missing_ok=True)
        were_killed += killed(server, source, chance.uniform(0, took_s))
    server.seen.clear()
    whole = [line for line in (kept.read_bytes() if kept.exists() else b"").splitlines(keepends=True) if line.endswith(b"}\n")]
    assert ask(server, source, "writer")["lines"] == expected
    assert len(server.seen) == 7 - len(whole)
    assert were_killed >= kills // 4


@pytest.mark.process
def test_a_few_kills(server, requests):
    killed_and_resumed(server, requests, 4)


@pytest.mark.long
def test_fifty_kills(server, requests):
    killed_and_resumed(server, requests, 50)


CHILD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from groundswift.cli import main; main()"


@pytest.mark.process
def test_ctrl_c_waits_for_no_reply(requests):
    """What was on its way is given up, not waited for."""
    with judge_server(45, WriterHandler) as server:
        words = ["anomaly", "ask", requests, "--base-url", server.url, "--model", "slow", "--out", requests.with_name("asked.jsonl")]
        child = subprocess.Popen([sys.executable, "-c", CHILD, *map(str, words)], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while not server.seen and time.monotonic() < end:
            time.sleep(0.05)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=90)[1]
    assert time.monotonic() - began < 30
    assert "stopped; run the same command again to continue" in said
    assert child.returncode == 1
