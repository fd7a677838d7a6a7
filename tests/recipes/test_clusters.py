"""Several machines: real launches of the recipes on loopback train as one; one is killed or hangs; the run goes on from its checkpoint."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from recipe_runner import BIN, ON_CPU, ROOT
from web_site import free_port

pytestmark = [pytest.mark.recipes, pytest.mark.timeout(1800)]

TORCHRUN = "clusters/torchrun_two_nodes.sh"
TINY = {"MODEL": "@qwen2_5_vl", "NNODES": "2", "NPROC_PER_NODE": "1", "SAVE_STEPS": "2", "MASTER_ADDR": "127.0.0.1"}
STEPS = 6
WORDS = (*ON_CPU, "--max_steps", str(STEPS), "--gradient_accumulation_steps", "1", "--eval_strategy", "no", "--callbacks", "checksums")
PLUGIN = ("--external_plugins", str(Path(__file__).resolve().parents[1] / "helpers" / "checksums.py"))


def kill_tree(pid: int) -> None:
    """SIGKILL to a process and all that it has started."""
    with suppress(psutil.NoSuchProcess):
        whole = psutil.Process(pid)
        for process in [*whole.children(recursive=True), whole]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


class Machines:
    """Two launches of a recipe on this machine. `out` is shared by both, as a folder that machines mount."""

    def __init__(self, runner, out: Path, **variables: str) -> None:
        self.out, self.checksums = out, out.parent / f"{out.name}-checksums"
        self.checksums.mkdir(parents=True, exist_ok=True)
        shared = {**TINY, "MASTER_PORT": str(free_port()), "CHECKSUMS": str(self.checksums), **variables}
        command = ["bash", str(ROOT / "recipes" / TORCHRUN), *WORDS, *PLUGIN]
        self.logs = [(out.parent / f"{out.name}.{rank}.txt").open("wb") for rank in (0, 1)]
        environments = [runner.environment(out, **shared, NODE_RANK=str(rank)) for rank in (0, 1)]
        self.processes = [
            subprocess.Popen(command, cwd=out.parent, env=environment, stdout=log, stderr=subprocess.STDOUT)
            for environment, log in zip(environments, self.logs, strict=True)
        ]

    def wait(self, rank: int, seconds: float) -> int:
        return self.processes[rank].wait(seconds)

    def text(self, rank: int) -> str:
        return Path(self.logs[rank].name).read_text(errors="replace")

    def kill(self, rank: int) -> None:
        """SIGKILL to every process of one machine, as when its power fails."""
        kill_tree(self.processes[rank].pid)
        self.processes[rank].wait(30)

    def until(self, path: Path, seconds: float = 180) -> None:
        end = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < end, f"no {path}: {self.text(0)[-2000:]}"
            assert all(process.poll() is None for process in self.processes), self.text(0)[-2000:] + self.text(1)[-2000:]
            time.sleep(0.1)

    def finish(self) -> None:
        for rank in (0, 1):
            assert self.wait(rank, 300) == 0, self.text(rank)[-3000:]

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *_: object) -> None:
        for rank in (0, 1):
            self.kill(rank)
            self.logs[rank].close()

    def trained(self, moment: str) -> list[dict[str, str]]:
        """The digest of each trainable parameter on each rank, after an optimizer step."""
        return [json.loads((self.checksums / f"{moment}-rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def uninterrupted(runner, tmp_path_factory) -> Machines:
    """Two machines that trained to the end."""
    with Machines(runner, tmp_path_factory.mktemp("nodes") / "out") as machines:
        machines.finish()
    return machines


def test_two_machines_train_as_one_and_agree(uninterrupted):
    args = json.loads((uninterrupted.out / "train" / f"checkpoint-{STEPS}" / "args.json").read_text())
    assert (args["global_world_size"], args["local_world_size"]) == (2, 1)
    first, last = uninterrupted.trained("start0"), uninterrupted.trained(str(STEPS))
    assert first[0] == first[1]
    assert last[0] == last[1]
    assert len(last[0]) > 10
    assert [name for name in last[0] if last[0][name] == first[0][name]] == []  # every trainable parameter has moved
    assert (uninterrupted.out.parent / "out-node1" / "log.txt").stat().st_size > 0


def test_one_is_killed_and_the_run_resumes_to_the_same_weights(runner, tmp_path, uninterrupted):
    out = tmp_path / "out"
    with Machines(runner, out, HANG_AT="5", HANG_RANK="1") as machines:
        machines.until(machines.checksums / "hanging")
        machines.until(out / "train" / "checkpoint-4" / "trainer_state.json")
        machines.kill(1)
        assert machines.wait(0, 60) != 0  # gloo sees the closed connection
        assert "error: the command above ended with status" in machines.text(0)
    with Machines(runner, out) as refused:
        assert [refused.wait(rank, 60) for rank in (0, 1)] == [1, 1]
        assert "has an earlier run. Give a new folder" in refused.text(0)
    broken = out / "train" / "checkpoint-5"  # of a process that was killed while it saved
    shutil.copytree(out / "train" / "checkpoint-4", broken)
    (broken / "trainer_state.json").unlink()
    with Machines(runner, out, RESUME="1") as machines:
        machines.finish()
        assert f"skipped {broken}: trainer_state.json is missing or truncated" in machines.text(0)
        assert machines.trained("start4") == [json.loads((machines.checksums / f"4-rank{rank}.json").read_text()) for rank in (0, 1)]
        assert machines.trained(str(STEPS)) == uninterrupted.trained(str(STEPS))  # bit for bit
    state = json.loads((out / "train" / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
    assert state["global_step"] == STEPS


def test_a_machine_that_hangs_is_waited_for_no_longer_than_ddp_timeout(runner, tmp_path):
    with Machines(runner, tmp_path / "out", HANG_AT="2", HANG_RANK="1", DDP_TIMEOUT="15") as machines:
        machines.until(machines.checksums / "hanging")
        began = time.monotonic()
        assert machines.wait(0, 90) != 0
        assert time.monotonic() - began > 10
        assert machines.processes[1].poll() is None or machines.processes[1].returncode != 0


def run_with_a_kill(runner, recipe: str, out: Path, **variables: str) -> tuple[str, list[dict[str, str]]]:
    """Run a recipe whose second rank dies once, at step 3 -> (what it printed, digests after the last step on each rank)."""
    folder = out.parent / f"{out.name}-checksums"
    folder.mkdir()
    variables = {**TINY, "MASTER_ADDR": "", "CHECKSUMS": str(folder), "KILL_AT": "3", "KILL_RANK": "1", **variables}
    done = runner.run(recipe, out, *WORDS, *PLUGIN, **variables)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert (folder / "killed").exists()
    assert (folder / "start2-rank1.json").exists()  # resumed from step 2
    return done.stdout, [json.loads((folder / f"{STEPS}-rank{rank}.json").read_text()) for rank in (0, 1)]


def test_a_slurm_job_is_requeued_and_resumes_to_the_same_weights(runner, tmp_path, uninterrupted):
    out = tmp_path / "out"
    printed, last = run_with_a_kill(runner, "clusters/slurm.sh", out, GRES="none", MASTER_PORT=str(free_port()))
    assert "Submitted batch job" in printed
    assert "requeued, restart 1 of 3" in (tmp_path / "out-slurm.txt").read_text()
    assert last == uninterrupted.trained(str(STEPS))
    assert json.loads((out / "train" / "args.json").read_text())["global_world_size"] == 2


@pytest.fixture
def ray_cluster() -> Iterator[dict[str, str]]:
    """Two Ray machines of one CPU each on this one, as `ray start` makes them; what a client needs in its environment."""
    address = f"127.0.0.1:{free_port()}"
    folder = tempfile.TemporaryDirectory(prefix="ray")  # short, for sockets; the address of this cluster is noted there and nowhere else
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_TMPDIR": folder.name}
    everywhere = ["--num-cpus=1", "--num-gpus=0", "--disable-usage-stats", "--block", "--object-store-memory=100000000"]
    started = []
    try:
        for role in (["--head", f"--port={address.partition(':')[2]}", "--include-dashboard=false"], [f"--address={address}"]):
            command = [str(BIN / "ray"), "start", *role, *everywhere]
            own = {**os.environ, **access, "OMP_NUM_THREADS": "1"}
            started.append(subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_for_port(int(address.partition(":")[2]))
        yield {**access, "RAY_ADDRESS": address}
    finally:
        for process in started[::-1]:
            whole = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            for each in (process, *whole):
                kill_tree(each.pid)
        folder.cleanup()


def wait_for_port(port: int, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.5)
    raise AssertionError(f"nothing listens on port {port} after {seconds} s")


def test_a_ray_cluster_of_two_machines_restarts_and_resumes_to_the_same_weights(runner, tmp_path, uninterrupted, ray_cluster):
    printed, last = run_with_a_kill(runner, "clusters/ray.sh", tmp_path / "out", RESOURCES="CPU=1", **ray_cluster)
    assert "restart 1 of 3" in printed
    assert "[machine 1]" in printed
    assert last == uninterrupted.trained(str(STEPS))
