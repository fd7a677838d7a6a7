"""The whole anomaly demo, killed at random moments from its first training step to `watch`: the same command goes on and ends with the
files of an undisturbed run, and a kill leaves nothing running.

DEMO_KILLS=50 runs it (6 kills take 6 minutes); DEMO_SWIFT=real starts `swift` itself in place of forks of a process that has it loaded.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from recipe_runner import BIN, ROOT
from web_site import free_port

KILLS = int(os.environ.get("DEMO_KILLS", "0"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TINY = {"FRAMES": "16", "VIDEOS": "8", "STEPS": "2", "JUDGE_STEPS": "60", "ASKED": "0", "PARTS": "train=0.5 val=0.25 test=0.25"}
WORDS = ("--save_steps", "1")  # a checkpoint in the middle of each stage
# a job in the background starts with Ctrl-C ignored
CTRL_C = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
OF_A_RUN = (
    "at",
    "latency_ms",
    "id",
    "recording",
    "logprobs",
    "inference",
    "date",
    "run",
    "result_sha256",
)  # keys that differ from run to run
GONE_S = 60.0  # for all that a kill leaves
ROUND = 10  # kills of one run from the data to the end


class Moment(NamedTuple):
    """When to kill: so many seconds after a line that the demo prints."""

    line: int
    seconds: float
    number: signal.Signals


class Demo:
    """The demo in one folder. `lines`: the headlines and commands of an undisturbed run, in order, with the second of each."""

    def __init__(self, base: Path, swift: Path) -> None:
        self.out, self.printed, self.port = base / "out", base / "printed.txt", free_port()
        self.lines: list[tuple[str, float]] = []
        path = os.pathsep.join(map(str, (swift, BIN, os.environ["PATH"])))
        own = {"PATH": path, "HOME": os.environ["HOME"], "OUT": str(self.out), "PORT": str(self.port), "SWIFT_SERVER_ENDS_BY": "KILL"}
        self.environment = {**own, **TINY}

    def start(self, **variables: str) -> subprocess.Popen:
        command = [sys.executable, "-c", CTRL_C, "bash", str(ROOT / "recipes/anomaly/demo.sh"), *WORDS]
        own = {**self.environment, **variables}
        with self.printed.open("w") as said:
            return subprocess.Popen(command, env=own, stdout=said, stderr=subprocess.STDOUT, cwd=self.out.parent, start_new_session=True)

    def said(self) -> str:
        return self.printed.read_text(errors="replace")

    def seen(self) -> list[str]:
        """The headlines and commands that the present run has printed, without what differs from run to run."""
        found = re.findall(r"^(?:== +\d+s|\+) +(.*)\n", self.said(), re.MULTILINE)
        return [re.sub(r"--resume_from_checkpoint.*", "", line)[:300] for line in found]

    def undisturbed(self) -> None:
        """Make the data, then run to the end and note when each line is printed."""
        assert self.start(UNTIL="data").wait(timeout=300) == 0, self.said()
        process, began = self.start(), time.monotonic()
        while process.poll() is None:
            self.lines += [(line, time.monotonic() - began) for line in self.seen()[len(self.lines) :]]
            time.sleep(0.02)
        assert process.returncode == 0, self.said()[-3000:]
        self.lines.append(("end", time.monotonic() - began))

    def moments(self, kills: int, chance: random.Random) -> list[Moment]:
        """Half of them even over the time from the training on, half over its lines, so that short steps are hit, too."""
        first = next(number for number, (line, _) in enumerate(self.lines) if line.startswith("train:"))
        begin, end = self.lines[first][1], self.lines[-1][1]
        found = []
        for kill in range(kills):
            if kill % 2:
                line = chance.randrange(first, len(self.lines) - 1)
                seconds = chance.uniform(0, self.lines[line + 1][1] - self.lines[line][1])
            else:
                at = chance.uniform(begin, end)
                line = max(number for number, (_, second) in enumerate(self.lines[:-1]) if second <= at)
                seconds = at - self.lines[line][1]
            found.append(Moment(line, seconds, SIGNALS[kill % 3]))
        return sorted(found)

    def killed(self, moment: Moment) -> bool:
        """Start the demo and kill its process group at a moment -> whether it ran then."""
        names, process = [line for line, _ in self.lines], self.start()
        while process.poll() is None and max(map(names.index, set(self.seen()) & set(names)), default=-1) < moment.line:
            time.sleep(0.02)
        end = time.monotonic() + moment.seconds
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        if process.poll() is not None:
            assert process.returncode == 0, self.said()[-3000:]
            return False
        before = self.said()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, moment.number)
        process.wait(timeout=GONE_S)
        self.check(before, moment, process.returncode)
        return True

    def check(self, before: str, moment: Moment, status: int) -> None:
        """Nothing was wrong before the signal; after it the step is named, and all that was started ends."""
        assert "error:" not in before, before[-3000:]
        assert "Traceback" not in before, before[-3000:]
        if moment.number != signal.SIGKILL and status:
            said = self.said()
            assert re.search(r"^error: step '.*' failed \(.*\); run the same command again to go on$", said, re.MULTILINE), said[-3000:]
            assert "Traceback" not in said or "Fatal Python error" in said, said[-3000:]
        end = time.monotonic() + GONE_S
        while (left := [*self.running()]) and time.monotonic() < end:
            time.sleep(0.1)
        assert not left, left

    def running(self) -> Iterator[str]:
        """What works in the folder of the demo, or holds its port."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().decode(errors="replace").split("\0")
                if any(word.startswith(str(self.out)) for word in words):
                    yield " ".join(words)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                yield f"port {self.port}"

    def back_to_the_data(self) -> None:
        """Remove what came after the data."""
        for path in self.out.iterdir():
            if re.match("training|watch|before|after|jud|report|summary|paired", path.name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def result(self) -> dict[str, object]:
        """What the demo made, without times and ids: rows, parts, weights, answers, tables, numbers, verdicts, alarms."""
        patterns = ("*.jsonl", "parts/*", "training/data/*", "training/stage?/checkpoint-2/adapter_model.safetensors", "*.csv")
        patterns += ("training/merged/*.safetensors", "*/metrics.json", "summary.json", "paired.json", "watch/*.jsonl")
        files = [
            path for pattern in patterns for path in sorted(self.out.glob(pattern)) if path.is_file() and path.name != "judge_checked.jsonl"
        ]
        return {path.relative_to(self.out).as_posix(): content(path) for path in files}


def content(path: Path) -> object:
    """A file without what differs from run to run."""
    if path.suffix not in (".json", ".jsonl"):
        return path.read_bytes()
    values = [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else [json.loads(path.read_text())]
    made = [without(value) for value in values]
    return sorted(made, key=str) if path.name.endswith(".judge.jsonl") else made  # votes come in any order


def without(value: object) -> object:
    """A value of JSON without keys that differ from run to run, numbers to 6 digits: other batches round otherwise."""
    if isinstance(value, dict):
        return {key: without(each) for key, each in value.items() if key not in OF_A_RUN}
    if isinstance(value, list):
        return [without(each) for each in value]
    return round(value, 6) if isinstance(value, float) else value


def first_difference(made: object, expected: object) -> str:
    """Where two values differ first, to be read."""
    if isinstance(made, dict) and isinstance(expected, dict):
        key = next(key for key in sorted({*made, *expected}) if made.get(key) != expected.get(key))
        return f"{key}: {first_difference(made.get(key), expected.get(key))}"
    if isinstance(made, list) and isinstance(expected, list) and len(made) == len(expected):
        place = next(number for number, pair in enumerate(zip(made, expected, strict=True)) if pair[0] != pair[1])
        return f"[{place}]: {first_difference(made[place], expected[place])}"
    return f"{str(made)[:200]} in place of {str(expected)[:200]}"


@pytest.mark.recipes
@pytest.mark.long
@pytest.mark.skipif(not KILLS, reason="DEMO_KILLS says how many")
@pytest.mark.timeout(7200)
def test_killed_from_training_to_watch_it_ends_like_an_undisturbed_run(tmp_path, swift_command):
    demo = Demo(tmp_path, BIN if os.environ.get("DEMO_SWIFT") == "real" else swift_command)
    demo.undisturbed()
    expected, chance, kills = demo.result(), random.Random(KILLS), 0
    assert {
        "parts/frames.jsonl",
        "training/merged/model.safetensors",
        "after.csv",
        "after/metrics.json",
        "watch/alarms.jsonl",
    } <= expected.keys()
    while kills < KILLS:
        demo.back_to_the_data()
        for moment in demo.moments(min(KILLS - kills, ROUND), chance):
            was_killed = demo.killed(moment)
            kills += was_killed
            name = moment.number.name if was_killed else "ended before"
            print(f"{kills} {name} {moment.seconds:.2f} s after {demo.lines[moment.line][0][:60]}", flush=True)
            if not was_killed:
                break
        assert demo.start().wait(timeout=900) == 0, demo.said()
        made = demo.result()
        assert made.keys() == expected.keys()
        assert {name: first_difference(made[name], expected[name]) for name in expected if made[name] != expected[name]} == {}
