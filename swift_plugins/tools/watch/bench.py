"""`groundswift watch --bench`: latency and frames a second, next to what the server does with the same requests and nothing else."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from threading import Event
from typing import Any

import msgspec

from groundswift.errors import GroundswiftError, error_at, without_secrets

from .asking import Asker, model_of
from .figures import in_ms, percentile
from .frames import Encoder
from .monitor import Monitor
from .settings import Settings
from .sources import Source

FRAMES = 50
DIFFERENT = 8  # frames of the source that are sent to the server alone


def bench(settings: Settings) -> dict[str, Any]:
    """Ask about FRAMES frames (--limit: others) by the server alone, then by watch at any rate, then at --fps -> the figures.

    The server alone gets the same frames as ready requests, one after the other on each of --requests connections. Raises GroundswiftError.
    """
    count, model = settings.limit or FRAMES, model_of(settings)
    jpegs = first_frames(settings, min(count, DIFFERENT))
    alone_s, alone_fps = by_server_alone(settings, model, jpegs, count)
    with tempfile.TemporaryDirectory() as folder:
        given = msgspec.structs.replace(settings, out=folder, served_model=model, webhook=None, limit=count)
        without_cascade = dict.fromkeys(name for name in Settings.__struct_fields__ if name.startswith(("only_on_", "detector_")))
        flat_out = ran(msgspec.structs.replace(given, pace="every", fps=1000.0, **without_cascade))
        at_fps = ran(msgspec.structs.replace(given, pace="live"))
    return {
        "frames": count,
        "requests": settings.requests,
        "server": {"latency_ms": latencies(alone_s), "frames_per_s": round(alone_fps, 2)},
        "watch": flat_out | {"of_server": round(flat_out["frames_per_s"] / alone_fps, 3)},
        "live": at_fps | {"fps": settings.fps},
    }


def first_frames(settings: Settings, count: int) -> list[bytes]:
    """The first frames of the source as JPEG."""
    encoder = Encoder(settings)
    found = [encoder.frame(image, time_s).jpeg for time_s, image in islice(Source(settings, Event()).shots(), count)]
    if not found:
        raise error_at(settings.source, "gives no frame", "a source with frames")
    return found


def by_server_alone(settings: Settings, model: str, jpegs: Sequence[bytes], count: int) -> tuple[list[float], float]:
    """(seconds of each request, requests a second). Raises GroundswiftError where one has no answer."""
    askers = [Asker(settings, model) for _ in range(settings.requests)]
    frames = list(islice(cycle(jpegs), count))

    def ask(number: int) -> list[float]:
        """The requests of one connection."""
        replies = [askers[number].ask(jpeg) for jpeg in frames[number :: settings.requests]]
        for reply in replies:
            if reply.problem:
                raise error_at(without_secrets(settings.url), f"{reply.problem} {reply.said}".strip(), "a server that answers every frame")
        return [reply.seconds for reply in replies]

    askers[0].ask(jpegs[0])  # the first request opens the connection and may load what the server needs
    started = time.perf_counter()
    with ThreadPoolExecutor(settings.requests) as pool:
        seconds = [each for found in pool.map(ask, range(settings.requests)) for each in found]
    took = time.perf_counter() - started
    for asker in askers:
        asker.close()
    return seconds, count / took


def ran(settings: Settings) -> dict[str, Any]:
    """A run of watch -> its figures. Raises GroundswiftError where no frame was answered."""
    monitor = Monitor(settings)
    monitor.run()
    figures, document = monitor.figures, monitor.document()
    if len(figures.server_s) < 2:
        raise GroundswiftError(f"{monitor.source.name}: fewer than 2 frames were answered; expected a longer source, or another --fps")
    rate = (figures.answers - 1) / (figures.last - figures.first)
    dropped = sum(count for name, count in document["counts"].items() if name.startswith("dropped"))
    shown = {name: document[name] for name in ("latency_ms", "added_ms")}
    return shown | {"frames_per_s": round(rate, 2), "answered": figures.answers, "dropped": dropped}


def latencies(seconds: Sequence[float]) -> dict[str, float | None]:
    """Median and p95 in ms."""
    return {"median": in_ms(percentile(seconds, 0.5)), "p95": in_ms(percentile(seconds, 0.95))}


def lines_of_bench(found: dict[str, Any]) -> list[str]:
    """The figures for people."""
    server, watch, live = found["server"], found["watch"], found["live"]
    rows = [
        ("", "median ms", "p95 ms", "frames/s", "added ms", "dropped"),
        ("server alone", server["latency_ms"]["median"], server["latency_ms"]["p95"], server["frames_per_s"], "-", "-"),
        ("watch, every frame", *cells(watch)),
        (f"watch, live at {live['fps']:g} fps", *cells(live)),
    ]
    lines = ["".join([f"{row[0]:<28}", *(f"{each!s:>11}" for each in row[1:])]) for row in rows]
    share = f"{watch['of_server']:.1%}"
    what = f"{found['frames']} frames, {found['requests']} at once; watch reaches {share} of the rate that the server allows"
    return [*lines, what]


def cells(run: dict[str, Any]) -> tuple[Any, ...]:
    """A row of the table."""
    return (run["latency_ms"]["median"], run["latency_ms"]["p95"], run["frames_per_s"], run["added_ms"]["median"], run["dropped"])
