"""Run a recipe on several machines of a Ray cluster: `python _on_ray.py --machines 2 --resources GPU=8 -- bash RECIPE.sh WORD...`.

One task per machine starts the command with NODE_RANK, MASTER_ADDR and MASTER_PORT. If one fails or its machine is lost, the others are
waited for (torchrun ends them within `--ddp_timeout`) and all start again with RESUME=1. Output lines are prefixed with the machine's
number. The exit status is that of the last attempt.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.placement_group import PlacementGroup, placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

SECRET = re.compile("KEY|TOKEN|SECRET|PASSW|CREDENTIAL")  # variables that are not sent to other machines
OWN = re.compile("^(CUDA_VISIBLE_DEVICES|RAY_.*|HOSTNAME|PWD|SHLVL)$")  # variables that differ between machines
LOST = 255  # status of a machine that was lost


def free_address() -> tuple[str, int]:
    """In a task: the IP address of its machine and a free port there."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return ray.util.get_node_ip_address(), probe.getsockname()[1]


def run_command(rank: int, command: list[str], environment: dict[str, str]) -> int:
    """In a task: run the command on its machine and return its exit status."""
    own = {name: value for name, value in os.environ.items() if OWN.match(name)}
    process = subprocess.Popen(
        command, env={**environment, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    for line in process.stdout:
        print(f"[machine {rank}] {line}", end="", flush=True)
    return process.wait()


def sent_environment(**more: str) -> dict[str, str]:
    """The variables of this process that the command sees on the other machines."""
    return {name: value for name, value in os.environ.items() if not SECRET.search(name.upper()) and not OWN.match(name)} | more


def attempt(group: PlacementGroup, machines: int, resources: dict[str, float], command: list[str], resume: bool) -> int:
    """Run the command once on all machines; the first exit status that is not 0."""
    others = {key: amount for key, amount in resources.items() if key not in ("CPU", "GPU")}
    taken = {"num_cpus": resources.get("CPU", 0), "num_gpus": resources.get("GPU", 0), "resources": others or None, "max_retries": 0}
    places = [PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank) for rank in range(machines)]
    address, port = ray.get(ray.remote(free_address).options(**taken, scheduling_strategy=places[0]).remote())
    shared = {"MASTER_ADDR": address, "MASTER_PORT": str(port)} | ({"RESUME": "1"} if resume else {})
    tasks = [
        ray.remote(run_command)
        .options(**taken, scheduling_strategy=place)
        .remote(rank, command, sent_environment(**shared, NODE_RANK=str(rank)))
        for rank, place in enumerate(places)
    ]
    return next((status for status in [status_of(rank, task) for rank, task in enumerate(tasks)] if status), 0)


def status_of(rank: int, task: ray.ObjectRef) -> int:
    try:
        return ray.get(task)
    except RayError as error:
        print(f"machine {rank} was lost: {type(error).__name__}", flush=True)
        return LOST


def reserve(machines: int, resources: dict[str, float], seconds: float) -> PlacementGroup:
    """A bundle of resources on each of several machines. Exits in words where the cluster has not enough."""
    group = placement_group([dict(resources)] * machines, strategy="STRICT_SPREAD" if machines > 1 else "PACK")
    try:
        ray.get(group.ready(), timeout=seconds)
    except GetTimeoutError:
        have = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        shown = "; ".join(str({key: held.get(key, 0) for key in resources}) for held in have)
        wanted = f"no {machines} machines with {resources} each within {seconds:.0f} s"
        sys.exit(f"error: {wanted}; the cluster's {len(have)} machines have {shown}")
    return group


def parse_resources(text: str) -> dict[str, float]:
    """`GPU=8,CPU=16` -> {"GPU": 8, "CPU": 16}."""
    found = dict(re.findall(r"(\w+)=(\d+(?:\.\d+)?)(?:,|$)", text))
    if not found or ",".join(f"{key}={amount}" for key, amount in found.items()) != text:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=AMOUNT, several separated by commas, e.g. GPU=8")
    return {key: float(amount) for key, amount in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, required=True, help="how many machines run the command")
    parser.add_argument("--resources", type=parse_resources, required=True, help="what the command takes of each machine, e.g. GPU=8")
    parser.add_argument("--restarts", type=int, default=3, help="how many times all start again after a failure")
    parser.add_argument("--wait", type=float, default=300, help="seconds to wait for machines that are free")
    parser.add_argument("command", nargs="+", help="what each machine runs")
    args = parser.parse_args()
    address = os.environ.get("RAY_ADDRESS") or "auto"
    try:
        ray.init(address=address, **({"include_dashboard": False} if address == "local" else {}))
    except (ConnectionError, RuntimeError) as error:
        sys.exit(f"error: no Ray cluster at RAY_ADDRESS={address}: {str(error).splitlines()[0]}. Start one: ray start --head")
    group = reserve(args.machines, args.resources, args.wait)
    for number in range(args.restarts + 1):
        status = attempt(group, args.machines, args.resources, args.command, resume=number > 0)
        if status == 0 or number == args.restarts:
            sys.exit(status)
        print(f"the training ended with status {status}: restart {number + 1} of {args.restarts}", flush=True)
        ray.get(group.ready(), timeout=args.wait)


if __name__ == "__main__":
    main()
