"""A process that has imported ms-swift once and forks for each `swift` command: the same files run with the same arguments as by the
real command, without 8 s of imports for each.

`SwiftServer` starts it; while it runs, `folder` on the PATH has a command `swift` that hands its arguments, environment, working
directory and output to it. `NPROC_PER_NODE=N` gives N processes with torchrun's environment. Commands over several nodes go to the real
`swift`. When a client ends, so does its command, by SIGTERM or by what `SWIFT_SERVER_ENDS_BY=KILL` names.
"""

from __future__ import annotations

import array
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

COMMAND = """#!{python} -S
import array, json, os, socket, sys
if os.environ.get("NNODES", "1") != "1":
    os.execv({real!r}, ["swift", *sys.argv[1:]])
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
request = json.dumps({{"words": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd()}}).encode()
streams = array.array("i", [0, 1, 2])
connection.sendmsg([len(request).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
connection.sendall(request)
connection.shutdown(socket.SHUT_WR)
sys.exit(int(connection.recv(16) or b"70"))
"""


class SwiftServer:
    """Start the server. Use as a context manager; `folder` belongs first on the PATH of what is to use it."""

    def __init__(self) -> None:
        self.base = tempfile.TemporaryDirectory(prefix="swift-server-")
        self.folder = Path(self.base.name, "bin")
        self.folder.mkdir()
        self.address = str(Path(self.base.name, "socket"))
        real = str(Path(sys.executable).with_name("swift"))
        command = self.folder / "swift"
        command.write_text(COMMAND.format(python=sys.executable, real=real, address=self.address), encoding="utf-8")
        command.chmod(0o755)

    def __enter__(self) -> SwiftServer:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen([sys.executable, __file__, self.address], stdout=subprocess.PIPE, env=environment, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the swift server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.base.cleanup()


def serve(address: str) -> None:
    """Import what `swift` imports, then fork a child for each connection."""
    import swift.cli.main
    import swift.pipelines
    import swift.trainers  # noqa: F401
    import torch
    import transformers.models.qwen2_vl.modeling_qwen2_vl  # noqa: F401

    torch.set_num_threads(1)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection)
        connection.close()


def answer(connection: socket.socket) -> None:
    """In a child: run one command in grandchildren, a process for each rank, and send its exit status."""
    head, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(12))
    streams = array.array("i", ancillary[0][2])
    size, request = int.from_bytes(head, "big"), b""
    while len(request) < size:
        request += connection.recv(1 << 20)
    asked = json.loads(request)
    ranks = rank_environments(asked["words"], asked["environment"])
    ends_by = signal.Signals[f"SIG{asked['environment'].get('SWIFT_SERVER_ENDS_BY', 'TERM')}"]
    children = []
    for environment in ranks:
        child = os.fork()
        if child == 0:
            connection.close()
            os._exit(run(asked["words"], {**asked["environment"], **environment}, asked["cwd"], streams))
        children.append(child)
    threading.Thread(target=end_with_client, args=(connection.fileno(), children, ends_by), daemon=True).start()
    status = wait(children)
    with suppress(BrokenPipeError):  # the client was killed
        connection.sendall(str(status).encode())
    os._exit(0)


def end_with_client(connection: int, children: list[int], number: int) -> None:
    """End the command when the process that asked for it has ended, as a signal to it would: `swift deploy` runs until then."""
    poll = select.poll()
    poll.register(connection, 0)
    while not any(event & select.POLLHUP for _, event in poll.poll()):
        pass
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, number)


def wait(children: list[int]) -> int:
    """The first exit status that is not 0; the other ranks are then ended, as torchrun does."""
    left, status = set(children), 0
    while left:
        child, code = os.wait()
        left.discard(child)
        code = os.waitstatus_to_exitcode(code)
        if code and not status:
            status = code if code > 0 else 128 - code
            for other in left:
                with suppress(ProcessLookupError):
                    os.kill(other, signal.SIGTERM)
    return status


def rank_environments(words: list[str], environment: dict[str, str]) -> list[dict[str, str]]:
    """What torchrun would set for each rank; one empty set where the command is not launched by it."""
    count = environment.get("NPROC_PER_NODE")
    if count is None or words[0] not in ("pt", "sft", "rlhf", "infer"):
        return [{}]
    port = str(free_port())
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GROUP_RANK": "0"}
    shared |= {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "False"}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(int(count))]


def free_port() -> int:
    """A port that nothing listens on, below those that the system gives to connections: the ranks open it seconds later."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def run(words: list[str], environment: dict[str, str], cwd: str, streams: array.array) -> int:
    """In a grandchild: become the command, as swift.cli.main makes it. The exit status."""
    for own, given in enumerate(streams):
        os.dup2(given, own)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    import torch
    from swift.cli.main import ROUTE_MAPPING, parse_yaml_args

    torch.set_num_threads(1)  # makes torch's pool of this process anew; left to several threads at once it now and then fails
    options = words[1:]
    parse_yaml_args(options)
    path = sys.modules["importlib.util"].find_spec(ROUTE_MAPPING[words[0].replace("_", "-")]).origin
    sys.argv = [path, *options]
    sys.path[0] = str(Path(path).parent)
    try:
        runpy.run_path(path, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve(sys.argv[1])
