"""`groundswift watch`: the command. Neither swift nor torch is needed; PyAV is loaded when a video is opened, not for --help."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from groundswift.terminal import counted, echo, echo_json

if TYPE_CHECKING:
    from .monitor import Monitor
    from .settings import Settings

UNDELIVERED = 3  # exit status
PORT = 8643
LAST_S = 5.0  # for the webhook after Ctrl-C
POSITIVE, AREA, SECONDS = click.IntRange(min=1), click.IntRange(1, 10**15), click.FloatRange(0, 3600)
PATH = click.Path(path_type=str)
RULE = (
    "When an answer counts as positive: one of --choices; text:PHRASE, if the answer has the phrase; box or box:LABEL,..., if the "
    "family's grammar finds a box."
)


class Option(click.ParamType):
    """NAME=VALUE as a pair."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[str, str]:
        name, equals, rest = str(value).partition("=")
        if not (name and equals):
            self.fail(f"{value!r}; expected {self.name}", param, context)
        return name, rest


@click.command()
@click.argument("source")
@click.option("--url", required=True, metavar="URL", help="An OpenAI-compatible server: http://127.0.0.1:8000/v1")
@click.option("--question", required=True, metavar="TEXT", help="What to ask of every frame.")
@click.option("--out", type=PATH, metavar="DIR", help="Folder for verdicts.jsonl, alarms.jsonl and recordings.")
@click.option("--served-model", metavar="NAME", help="The model's name at the server.  [default: the only one]")
@click.option("--alarm-on", default="yes", metavar="RULE", show_default=True, help=RULE)
@click.option("--choices", default="yes,no", metavar="A,B", show_default=True, help="The answers that --alarm-on chooses from.")
@click.option("--alarm-after", default="2/3", metavar="K/N", show_default=True, help="Alarm where K of the last N verdicts are positive.")
@click.option("--family", metavar="F", help="The model's family: boxes in its answers are read and drawn.")
@click.option("--min-pixels", type=AREA, metavar="N", help="With --family: minimum area of the model input as the server has it, px.")
@click.option("--max-pixels", type=AREA, metavar="N", help="With --family: maximum area as the server has it, px.")
@click.option("--fps", type=click.FloatRange(0, 1000, min_open=True), default=2.0, metavar="N", show_default=True, help="Frames a second.")
@click.option(
    "--pace",
    type=click.Choice(["live", "every"]),
    help="live: the newest frame, old ones are dropped; every: none is dropped, the source waits.  "
    "[default: live for cameras and streams, every for files and folders]",
)
@click.option("--only-on-change", type=click.FloatRange(0, 1), metavar="SHARE", help="Ask only where this share of the image has changed.")
@click.option("--detector-url", metavar="URL", help="A cheap model's server: the model is asked only where that one fires.")
@click.option("--detector-model", metavar="NAME", help="The cheap model's name at its server.  [default: the only one]")
@click.option("--detector-question", metavar="TEXT", help="What to ask it.  [default: --question]")
@click.option("--detector-on", metavar="RULE", help="When it fires, as --alarm-on.  [default: --alarm-on]")
@click.option("--detector-family", metavar="F", help="Its family.  [default: --family]")
@click.option("--max-side", type=POSITIVE, metavar="PX", help="Reduce frames to this longer side before they are sent.")
@click.option("--quality", type=click.IntRange(1, 100), default=90, metavar="N", show_default=True, help="Of the JPEG that is sent.")
@click.option("--webhook", metavar="URL", help="POST every alarm there as JSON, again until it arrives.")
@click.option("--before", type=SECONDS, default=5.0, metavar="S", show_default=True, help="Seconds to record before an alarm.")
@click.option("--after", type=SECONDS, default=5.0, metavar="S", show_default=True, help="Seconds to record after it.")
@click.option("--requests", type=click.IntRange(1, 64), default=1, metavar="N", show_default=True, help="Requests at once.")
@click.option("--timeout", type=click.FloatRange(0.1, 3600), default=30.0, metavar="S", show_default=True, help="Of one request.")
@click.option("--max-new-tokens", type=POSITIVE, default=128, metavar="N", show_default=True, help="Longest answer, in tokens.")
@click.option(
    "--keep",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="Frames kept while the server is away.  [default: those of 90 s, from 120 to 1000]",
)
@click.option(
    "--wait", type=SECONDS, default=60.0, metavar="S", show_default=True, help="At the end: wait for a server or webhook that is away."
)
@click.option("--limit", type=POSITIVE, metavar="N", help="Only the first N frames.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after so long.")
@click.option("--source-option", "source_options", type=Option(), multiple=True, help="FFmpeg's option of the source; may be repeated.")
@click.option("--page/--no-page", default=True, show_default=True, help="Serve a web page of the run on 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Of the page; 0 takes any free one.")
@click.option("--bench", "is_bench", is_flag=True, help="Measure latency and frames a second against the server alone; no alarms.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")
@click.pass_context
def watch(context: click.Context, as_json: bool, is_bench: bool, alarm_after: str, page: bool, port: int, **given: Any) -> None:
    """Ask a served model about the frames of a camera, a stream, a video or a folder, and raise alarms.

    SOURCE is `camera` (or camera:1, /dev/video0), rtsp://HOST/PATH or another stream, a video file, or a folder of images. Every verdict
    is a line of DIR/verdicts.jsonl, every alarm one of DIR/alarms.jsonl with its frames in DIR/alarms/. A slow model gets the newest frame;
    what is dropped is counted. A server that is away is asked again, first about new frames, then about those of that time. Alarms that
    a webhook did not take are sent again, by the next run with the same DIR if need be.

    Ctrl-C ends the run. Exit status: 0, or 3 if frames have no answer or alarms were not delivered.

    \b
    Example:
      groundswift watch rtsp://192.168.0.20/1 --url http://127.0.0.1:8000/v1 --question "Is a tip missing? yes or no" --out run/
      groundswift watch camera --url http://127.0.0.1:8000/v1 --family qwen3_vl --question "Find spills" --alarm-on box:spill --out run/
      groundswift watch video.mp4 --url http://127.0.0.1:8000/v1 --question "A: good B: bad?" --choices A,B --alarm-on B --out run/
      groundswift watch camera --url http://127.0.0.1:8000/v1 --question "Spilled?" --detector-url http://127.0.0.1:8001/v1 --out run/
    """
    from .settings import Settings
    from .settings import alarm_after as parsed

    if not is_bench and given["out"] is None:
        raise click.UsageError("Missing option '--out'.")
    settings = Settings(alarm_after=parsed(alarm_after), **given).check()
    if is_bench:
        from .bench import bench, lines_of_bench

        found = bench(settings)
        for line in [json.dumps(found)] if as_json else lines_of_bench(found):
            echo(line)
        return
    document = watched(settings, port if page else None, quiet=as_json)
    if as_json:
        echo_json(json.dumps(document))
    else:
        for line in lines_of(document, settings.out):
            echo(line)
    if document["alarms"]["undelivered"] or document["counts"].get("frames-unanswered"):
        context.exit(UNDELIVERED)


def watched(settings: Settings, port: int | None, quiet: bool) -> dict[str, Any]:
    """Run until the end or Ctrl-C -> the figures of the run. `port`: of the web page; None for none."""
    from .monitor import Monitor
    from .page import page_of

    monitor = Monitor(settings) if quiet else Monitor(settings, say_alarm, say_problem)
    with interrupts(monitor) as interrupted, nullcontext() if port is None else page_of(monitor, port) as url:
        if url is not None:
            echo(f"{monitor.source.name}: page at {url} (Ctrl-C stops)", err=True)
        try:
            monitor.run()
        finally:
            monitor.outbox.drain(LAST_S if interrupted.is_set() else settings.wait)
    return monitor.document()


@contextmanager
def interrupts(monitor: Monitor) -> Iterator[Event]:
    """Let Ctrl-C and SIGTERM end the run in order; a second one ends it at once. Yields what says that one came."""
    interrupted = Event()

    def end(number: int, frame: Any) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()
        monitor.stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say_alarm(alarm: dict[str, Any]) -> None:
    """Print an alarm as it comes."""
    echo(f"{alarm['at']}  alarm at frame {alarm['frame']} ({alarm['time_s']} s): {' '.join(alarm['answer'].split())[:200]}")


def say_problem(where: str, text: str) -> None:
    """Print what has begun to fail, or works again."""
    echo(f"{datetime.now(timezone.utc).isoformat(timespec='milliseconds')}  {where}: {text or 'works again'}", err=True)


def lines_of(document: dict[str, Any], out: str) -> list[str]:
    """The end of a run for people."""
    latency, alarms = document["latency_ms"], document["alarms"]
    lines = [f"{counted(document['frames'], 'frame')}, {counted(alarms['raised'], 'alarm')} -> {out}"]
    if latency["median"] is not None:
        lines.append(f"server {latency['median']} ms (p95 {latency['p95']}), watch adds {document['added_ms']['median']} ms a frame")
    lines += [f"{count:>8}  {name}" for name, count in sorted(document["counts"].items())]
    lines += [f"{where}: {text}" for where, text in document["problems"].items()]
    if alarms["undelivered"]:
        lines.append(f"{counted(alarms['undelivered'], 'alarm')} not delivered: the next run with this --out sends them")
    return lines
