"""`groundswift browse`: scored runs and their images in a web browser."""

from __future__ import annotations

from pathlib import Path

import click

from .answers.cli_options import FILE
from .compare import differing_terms, metrics_of, names_of, table_of
from .run_check import read_run

PORT = 8642


@click.command("browse")
@click.argument("folders", type=FILE, nargs=-1, required=True, metavar="DIR ...")
@click.option("--images", type=FILE, help="Folder of the images.")
@click.option("--names", help="Names of the runs, comma-separated.  [default: the names of the folders]")
@click.option("--title", help="Title of the page.  [default: that of the runs' metric]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to serve; 0.0.0.0: to all machines, without a password.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0 takes any free one.")
def browse(folders: tuple[Path, ...], images: Path | None, names: str | None, title: str | None, host: str, port: int) -> None:
    """Serve the report of scored runs, one or several side by side, until Ctrl-C. Images are read when they are shown.

    DIR is a folder that `groundswift eval METRIC --out` wrote. Only images that the run names, inside the folder of --images, are served.

    \b
    Example:
      groundswift browse scored/ --images images/
      groundswift browse scored/before scored/after --images images/ --port 0
    """
    from .browse.page_server import Server
    from .browse.server import Site
    from .report.page import report_of

    runs = [read_run(folder, name) for folder, name in zip(folders, names_of(folders, names), strict=True)]
    kind = metrics_of(runs)[0]
    report = report_of(runs, title or kind.title or kind.name, table_of(runs), differing_terms(runs))
    with Server(Site(report, images), host, port) as server:
        click.echo(f"{len(report.shown.images)} images at {server.url} (Ctrl-C stops)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("")
