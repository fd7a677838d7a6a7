"""What `groundswift watch` adds to the server's own time for a frame, and which share of the server's rate it reaches.

The server is a process of its own that sleeps a known time for each request and measures it, from the first byte of the request to the
last of the response. Live, with a server that is free, a frame's time is from its arrival to its verdict on the disk, JPEG included; as
fast as the server goes, what watch adds is the time between two verdicts less the server's own. Frames are of a drawn video that moves.

    python benchmarks/watch.py                     # 3 sizes of frames, a server of 100 ms
    python benchmarks/watch.py --sleep-ms 20 --json
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
from measure import JSON, options_of, show
from PIL import Image

SIZES_WH = ((640, 480), (1280, 720), (1920, 1080))
ANSWER = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "no"}, "finish_reason": "stop"}]}).encode()
MODELS = json.dumps({"object": "list", "data": [{"id": "sleeper"}]}).encode()


class Sleeper(BaseHTTPRequestHandler):
    """Answers after a known time, in one piece; /own gives (start, seconds, bytes) of each request."""

    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1
    sleep_s, own = 0.0, []

    def do_GET(self) -> None:
        if self.path == "/own":
            self.send(json.dumps(self.own).encode())
        else:
            self.send(MODELS)

    def do_POST(self) -> None:
        started = time.perf_counter()
        length = int(self.headers["Content-Length"])
        self.rfile.read(length)
        time.sleep(self.sleep_s)
        self.send(ANSWER)
        self.own.append((started, time.perf_counter() - started, length))

    def send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args: object) -> None:
        """Nothing."""


def serve(sleep_s: float) -> None:
    """Run the server and print its port."""
    Sleeper.sleep_s = sleep_s
    with ThreadingHTTPServer(("127.0.0.1", 0), Sleeper) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


@contextmanager
def served(sleep_ms: float):
    """The server as a process -> its address."""
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(sleep_ms)], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def draw(path: Path, size_wh: tuple[int, int], frames: int, rate: int) -> Path:
    """A video whose image moves."""
    coarse = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize(size_wh, Image.Resampling.BICUBIC))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size_wh, "yuv420p", 8_000_000
        for number in range(frames):
            moved = np.ascontiguousarray(np.roll(image, 3 * number, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode())
    return path


def run(video: Path, out: Path, pace: str, sleep_ms: float) -> tuple[dict[str, Any], list[tuple[float, float, int]]]:
    """One run of the command against a server of its own -> what it says, and (start, seconds, bytes) of each request at the server."""
    with served(sleep_ms) as url:
        words = ["watch", str(video), "--url", url, "--question", "Anything?", "--out", str(out), "--pace", pace, "--fps", "1000"]
        done = subprocess.run([sys.executable, "-m", "groundswift.cli", *words, "--no-page", "--json"], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        with urllib.request.urlopen(f"{url}/own") as response:
            return json.loads(done.stdout), json.loads(response.read())


def measured(size_wh: tuple[int, int], frames: int, sleep_ms: float) -> dict[str, Any]:
    """The figures for frames of one size: live with a free server, and as fast as the server goes."""
    with tempfile.TemporaryDirectory() as name:
        rate = max(1, int(500 / (sleep_ms + 20)))  # the server is free half of the time
        video = draw(Path(name, "video.mp4"), size_wh, frames, rate)
        live, of_live = run(video, Path(name, "live"), "live", sleep_ms)
        _, of_every = run(video, Path(name, "every"), "every", sleep_ms)
    own_ms = 1000 * statistics.median(each[1] for each in of_live)
    request_ms = live["latency_ms"]["median"] - own_ms
    period_ms = 1000 * (of_every[-1][0] - of_every[0][0]) / (len(of_every) - 1)
    own_every_ms = 1000 * statistics.mean(each[1] for each in of_every)
    return {
        "size_wh": size_wh,
        "frames": len(of_live),
        "request_bytes": round(statistics.mean(each[2] for each in of_live)),
        "server_own_ms": round(own_ms, 2),
        "added_ms": {name: round(value + request_ms, 2) for name, value in live["added_ms"].items()},
        "added_at_full_rate_ms": round(period_ms - own_every_ms, 2),
        "frames_per_s": round(1000 / period_ms, 2),
        "server_allows_per_s": round(1000 / own_every_ms, 2),
    }


def lines_of(found: list[dict[str, Any]]) -> list[str]:
    """The figures for people."""
    heads = ("server ms", "live: added", "p95", "full rate: added", "frames/s", "allowed", "kB sent")
    lines = ["".join([f"{'frame':<12}", *map(str.rjust, heads, (11, 13, 8, 18, 10, 9, 9))])]
    for each in found:
        size, added, sent = "{}x{}".format(*each["size_wh"]), each["added_ms"], each["request_bytes"] / 1000
        full_rate = f"{each['added_at_full_rate_ms']:>18}{each['frames_per_s']:>10}{each['server_allows_per_s']:>9}"
        lines.append(f"{size:<12}{each['server_own_ms']:>11}{added['median']:>13}{added['p95']:>8}{full_rate}{sent:>9.0f}")
    return lines


if __name__ == "__main__":
    given = options_of(
        __doc__,
        frames={"type": int, "default": 40, "help": "frames of each run (default: %(default)s)"},
        sleep_ms={"type": float, "default": 100, "help": "the server's time for a frame (default: %(default)s)"},
        serve={"type": float, "metavar": "MS", "help": "be the server"},
        json=JSON,
    )
    if given.serve is not None:
        serve(given.serve / 1000)
    else:
        results = [measured(size_wh, given.frames, given.sleep_ms) for size_wh in SIZES_WH]
        show(results, given.json, lines_of(results))
