"""A recipe whose step fails or is killed: it names the step, says how to go on, and leaves nothing running."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from recipe_runner import BIN, ROOT
from web_site import free_port

AGAIN = "to start again: OVERWRITE=1 before the same command"
ON = "run the same command again to go on"
SERVER = f"{sys.executable} -m http.server --bind 127.0.0.1"
SLEEPER = (  # its last word is seen in /proc, and a file of that name says that it runs
    f"{sys.executable} -c 'import sys, time; open(sys.argv[1], chr(119)).close(); [time.sleep(0.05) for _ in range(6000)]' {{}}"
)

# a job in the background starts with Ctrl-C ignored
CTRL_C = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"


def recipe(folder: Path, body: str) -> list[str]:
    """The command of a recipe of a few lines, which sources the mechanics of all."""
    script = folder / "own.sh"
    script.write_text(f"#!/usr/bin/env bash\nsource {shlex.quote(str(ROOT / 'recipes' / '_run.sh'))}\n{body}\n")
    return ["bash", str(script)]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    return {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": os.environ["HOME"], "OUT": str(folder / "out"), **variables}


def ended(folder: Path, body: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(recipe(folder, body), env=environment(folder, **variables), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('reopen "$OUT"; step train; run bash -c "exit 7"', f"step 'train' failed (bash -c: exit code 7); {ON}"),
        ('fresh "$OUT"; step train; show A=1 bash -c "exit 7"', f"step 'train' failed (bash -c: exit code 7); {AGAIN}"),
        ('fresh "$OUT"; run bash -c "exit 7"', f"step 'bash -c' failed (bash -c: exit code 7); {AGAIN}"),
        (
            'reopen "$OUT"; step train; run bash -c "kill -9 \\$\\$"',
            f"step 'train' failed (bash -c: exit code 137: killed by SIGKILL, perhaps for lack of memory); {ON}",
        ),
        ('reopen "$OUT"; step train; show bash -c "kill -TERM \\$\\$"', f"step 'train' failed (bash -c: exit code 143: SIGTERM); {ON}"),
        (  # the exit status of `swift` where the process that it started was killed
            'reopen "$OUT"; step train; run bash -c "exit 247"',
            f"step 'train' failed (bash -c: exit code 247: killed by SIGKILL, perhaps for lack of memory); {ON}",
        ),
        ('reopen "$OUT"; step one; run true; step two; false', f"step 'two' failed (exit code 1); {ON}"),
        ('reopen "$OUT"; step one; run true; stop "no rows"', "no rows"),
        ('stop "no rows"', "no rows"),
    ],
)
def test_the_last_line_names_the_step_and_says_how_to_go_on(tmp_path, body, said):
    done = ended(tmp_path, f"{body}; echo never")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == f"error: {said}"
    assert "never" not in done.stdout
    assert ("the end of" in done.stderr) == (' run bash -c "exit 7' in body)  # the log is shown for what a command did, not for a kill


def test_a_run_that_began_with_overwrite_goes_on_without_it(tmp_path):
    done = ended(tmp_path, 'reopen "$OUT"; step train; run false', OVERWRITE="1")
    assert done.stderr.splitlines()[-1].endswith("run the same command without OVERWRITE=1 again to go on")


def test_a_recipe_that_ends_well_says_nothing(tmp_path):
    done = ended(tmp_path, 'reopen "$OUT"; step train; run true; show false || true; step more; run true')
    assert (done.returncode, done.stderr) == (0, "")


class Started:
    """A recipe in a process group of its own, for signals; all of it is killed at the end."""

    def __init__(self, folder: Path, body: str, **variables: str) -> None:
        own = environment(folder, **variables)
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", CTRL_C, *recipe(folder, body)]
        self.process = subprocess.Popen(command, env=own, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def said(self) -> str:
        """What it wrote to stderr until its end."""
        return self.process.communicate(timeout=60)[1]


def processes(mark: str) -> list[int]:
    """The processes that have a word in their command line, but for shells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if mark.encode() in words and b"bash" not in words[0]:
                found.append(int(path.parent.name))
    return found


def soon(condition: object) -> bool:
    """Whether a condition holds within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("verb", ["run", "show"])
@pytest.mark.parametrize(("number", "whom"), [(signal.SIGTERM, "shell"), (signal.SIGTERM, "group"), (signal.SIGINT, "group")])
def test_a_signal_ends_the_command_and_the_step_is_named(tmp_path, verb, number, whom):
    mark = str(tmp_path / "runs")
    with Started(tmp_path, f'reopen "$OUT"; step train; {verb} {SLEEPER.format(mark)}') as started:
        assert soon(Path(mark).exists)
        pid = started.process.pid
        os.kill(pid, number) if whom == "shell" else os.killpg(pid, number)
        said = started.said()
        assert soon(lambda: not processes(mark))
    assert re.search(rf"^error: step 'train' failed \(python\S* -c: .*\); {ON}$", said, re.MULTILINE), said
    assert "Traceback" not in said
    assert started.process.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whom", ["shell", "group"])
def test_a_server_ends_with_the_recipe_however_that_ends(tmp_path, number, whom):
    """SIGKILL does not reach it in its own group, and no trap runs."""
    port, mark = free_port(), str(tmp_path / "runs")
    (tmp_path / "health").write_text("ok")
    serve = f"serve bash -c {shlex.quote(f'cd {tmp_path} && {SERVER} {port}; true')}"
    with Started(tmp_path, f'reopen "$OUT"; step watch; {serve}; run {SLEEPER.format(mark)}', PORT=str(port), WAIT="60") as started:
        assert soon(Path(mark).exists)
        assert is_open(port)
        if whom == "group" or number == signal.SIGINT:  # a shell that waits for a command leaves Ctrl-C to it
            os.killpg(started.process.pid, number)
        else:
            os.kill(started.process.pid, number)
        assert soon(lambda: not is_open(port))


def test_a_port_in_use_is_named_before_the_server_starts(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = ended(tmp_path, 'reopen "$OUT"; step watch; serve sleep 60', PORT=str(port), WAIT="60", FREE_WITHIN="1")
    assert done.stderr.splitlines() == [f"error: PORT={port} is in use by another program: end that, or give another port: PORT=..."]


@pytest.mark.parametrize("given", ["", "--output_dir"])
def test_a_merged_model_that_lacks_files_is_named(tmp_path, given):
    """`run` compares what a command merged; without --output_dir swift writes ADAPTERS-merged."""
    base, merged, adapters = ROOT / "recipes/quickstart/model", tmp_path / ("merged" if given else "adapter-merged"), tmp_path / "adapter"
    for folder in (merged, adapters):
        folder.mkdir()
    for file in base.iterdir():
        (merged / file.name).symlink_to(file)
    (adapters / "args.json").write_text(json.dumps({"model": "some/id", "model_dir": str(base)}))
    command = f"run true {'export' if given else 'infer'} --adapters {adapters} --merge_lora true {given and f'{given} {merged}'}"
    done = ended(tmp_path, f'reopen "$OUT"; step merge; {command}; echo on')
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    (merged / "tokenizer_config.json").unlink()
    done = ended(tmp_path, f'reopen "$OUT"; step merge; {command}; echo on')
    assert done.returncode == 0
    assert "files of the base model that are missing: tokenizer_config.json" in done.stdout
    assert done.stderr == "warning: the merged model differs from its base in what is named above\n"
    assert done.stdout.endswith("on\n")
    (adapters / "args.json").write_text(json.dumps({"model": "some/id"}))
    done = ended(tmp_path, f'reopen "$OUT"; step merge; {command}; echo on')
    assert (done.returncode, done.stderr) == (0, "not compared with the base model, which is not on this machine: some/id\n")


def test_a_port_that_a_server_had_a_moment_ago_is_not_free():
    """Its last connection waits there for a minute, and `swift deploy` would take the next port without a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        listener.accept()[0].close()  # the server closes first
    client.recv(1)
    client.close()
    command = [
        sys.executable,
        str(ROOT / "recipes/export/wait_for_server.py"),
        f"http://127.0.0.1:{port}/health",
        "--free",
        "--seconds",
        "1",
    ]
    assert subprocess.run(command, timeout=60).returncode == 1
    command[2] = f"http://127.0.0.1:{free_port()}/health"
    assert subprocess.run(command, timeout=60).returncode == 0
