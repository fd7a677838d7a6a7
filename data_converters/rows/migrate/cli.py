"""`groundswift migrate`: shell scripts for ms-swift 2.x -> 4.6."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from groundswift.atomic_write import write_whole
from groundswift.errors import error_at
from groundswift.terminal import counted, echo, echo_json, one_line

from .job import Finding, Settings
from .script import Migrated, migrate_script

BACKUP = ".swift2.bak"
MOST_BYTES = 16 << 20  # of a script
LEVELS = {"todo": "to do by hand", "dropped": "no longer needed", "changed": "changed", "added": "added"}


class Script(NamedTuple):
    """One script: its path (`-` is stdin), its text with undecodable bytes kept, and the result."""

    path: str
    text: str
    result: Migrated


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scripts", metavar="SCRIPT.sh...", nargs=-1, required=True)
@click.option("--out", type=click.Path(), metavar="FILE|DIR", help="Where to write: a file for one script, a folder for several.")
@click.option("--in-place", is_flag=True, help=f"Change the scripts; the originals are kept as SCRIPT.sh{BACKUP}.")
@click.option("--check", is_flag=True, help="Write nothing; exit with status 1 if a script would change.")
@click.option("--diff", is_flag=True, help="Print a unified diff instead of the script.")
@click.option(
    "--keep-defaults/--no-keep-defaults",
    default=True,
    show_default=True,
    help="Write defaults of 2.x that 4.6 has changed, such as 1 epoch and 1 % for validation.",
)
@click.option(
    "--plugin/--no-plugin",
    default=True,
    show_default=True,
    help="Use refcoco-unofficial-* and box templates of groundswift's plugin, or swift's own.",
)
@click.option(
    "--rows", type=click.Path(path_type=Path), metavar="DIR", help="Convert local row files of 2.x into this folder and use those."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Folder that relative paths of the scripts start from.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@click.pass_context
def migrate(
    context: click.Context,
    scripts: tuple[str, ...],
    out: str | None,
    in_place: bool,
    check: bool,
    diff: bool,
    as_json: bool,
    rows: Path | None,
    **kept: object,
) -> None:
    """Migrate shell scripts from ms-swift 2.x (and names of 3.x that 4.6 lacks) to ms-swift 4.6.

    Flags, values, model types, dataset names and environment variables are replaced by those of 4.6, also after torchrun or nohup and in
    arrays, quoted strings and here-documents. All else stays byte for byte. What cannot be migrated is listed by line with what to
    do; a flag without a counterpart is removed and listed. Commands for 4.6 stay unchanged.

    A single script without --out or --in-place is printed to stdout, the report to stderr. `-` reads stdin.

    Exit status: 0 done, 1 error, or --check and a script would change.

    \b
    Example:
      groundswift migrate train.sh --diff
      groundswift migrate train.sh infer.sh --out migrated/
    """
    prints = not (out or in_place or check or diff or as_json)
    _check_use(scripts, out, in_place, prints)
    settings = Settings(rows=rows, **kept)
    done = [_migrated(path, settings) for path in scripts]
    if not check:
        if prints or out or in_place:
            _convert_rows(
                context.obj.convert_old_rows, dict.fromkeys(pair for script in done for pair in script.result.row_files), settings.folder
            )
        _write(done, out, in_place)
    _show(done, diff, as_json, prints)
    if check and any(script.text != script.result.text for script in done):
        sys.exit(1)


def _check_use(scripts: Sequence[str], out: str | None, in_place: bool, prints: bool) -> None:
    if out and in_place:
        raise click.UsageError("Give --out or --in-place, not both.")
    if in_place and "-" in scripts:
        raise click.UsageError("stdin cannot be changed in place: give --out FILE.")
    if prints and len(scripts) > 1:
        raise click.UsageError("Several scripts: give --out DIR, --in-place, --check, --diff or --json.")
    names = [Path(path).name for path in scripts]
    if out and len(set(names)) < len(names):
        raise click.UsageError("Two scripts have the same name, and --out DIR can hold only one of them.")


def _migrated(path: str, settings: Settings) -> Script:
    try:
        with click.open_file(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise error_at(path, f"cannot be read ({error.strerror})", "a shell script") from None
    if len(data) > MOST_BYTES or b"\0" in data:
        raise error_at(path, "not a shell script", f"text of at most {MOST_BYTES >> 20} MiB")
    text = data.decode("utf-8", "surrogateescape")
    return Script(path, text, migrate_script(text, settings))


def _convert_rows(convert: Callable[[Path, Path, Path], None], pairs: Iterable[tuple[Path, Path]], folder: Path) -> None:
    """Convert the row files that the migrated scripts use; images are relative to `folder`. Raises GroundswiftError."""
    for source, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise error_at(target, f"exists, so the rows of {source} were not written", "another folder for --rows")
        convert(source, target, folder)


def _write(done: Sequence[Script], out: str | None, in_place: bool) -> None:
    places = [(script, _place(script, out, len(done)) if out else Path(script.path)) for script in done] if out or in_place else []
    if in_place:
        places = [(script, place) for script, place in places if script.text != script.result.text]
        for _, place in places:
            if (backup := place.with_name(place.name + BACKUP)).exists():
                raise error_at(backup, "exists, a backup of an earlier --in-place; move it away")
    for script, place in places:
        if in_place:
            shutil.copy2(place, place.with_name(place.name + BACKUP))
        write_whole(place, [script.result.text.encode("utf-8", "surrogateescape")])
        if script.path != "-":
            shutil.copymode(place.with_name(place.name + BACKUP) if in_place else script.path, place)


def _place(script: Script, written: str, scripts: int) -> Path:
    out = Path(written)
    if scripts == 1 and not out.is_dir() and not written.endswith(("/", os.sep)):
        place = out
    else:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise error_at(out, f"cannot be a folder ({error.strerror})", "a folder for the scripts") from None
        place = out / (Path(script.path).name if script.path != "-" else "stdin.sh")
    if script.path != "-" and place.exists() and os.path.samefile(place, script.path):
        raise error_at(place, "is the script itself", "another file or folder, or --in-place")
    return place


def _show(done: Sequence[Script], diff: bool, as_json: bool, prints: bool) -> None:
    if as_json:
        files = [
            {
                "path": script.path,
                "commands": script.result.commands,
                "migrated": script.result.old,
                "changed": script.text != script.result.text,
                "findings": msgspec.to_builtins(script.result.findings),
            }
            for script in done
        ]
        todo = sum(finding.level == "todo" for script in done for finding in script.result.findings)
        echo_json(msgspec.json.encode({"files": files, "todo": todo}))
        return
    for script in done:
        if prints:
            click.get_binary_stream("stdout").write(script.result.text.encode("utf-8", "surrogateescape"))
        elif diff:
            echo(_diff(script), nl=False)
        echo(report(script), err=prints or diff)


def _diff(script: Script) -> str:
    old, new = (text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in (script.text, script.result.text))
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), script.path, script.path + " (ms-swift 4.6)")
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)


def report(script: Script) -> str:
    """The text report: a line for each finding, those to do by hand first."""
    result = script.result
    name, commands = "stdin" if script.path == "-" else script.path, counted(result.commands, "swift command")
    if not result.commands:
        return one_line(f"{name}: no swift command found; nothing changed")
    if not result.old and not result.findings:
        return one_line(f"{name}: {commands}, none for 2.x; nothing changed")
    lines = [f"{name}: {result.old} of {commands} migrated"]
    for level, title in LEVELS.items():
        found = [finding for finding in result.findings if finding.level == level]
        if found:
            lines.append(f"{title} ({len(found)}):")
            lines += [f"  {name}:{line}: {sentence}" for line, sentence in _sentences(found)]
    return "\n".join(map(one_line, lines))


def _sentences(found: Sequence[Finding]) -> Iterator[tuple[int, str]]:
    """(line, sentence). The defaults added to one command are one sentence."""
    defaults: dict[int, list[str]] = {}
    for finding in found:
        if finding.is_default:
            defaults.setdefault(finding.line, []).append(finding.new)
        else:
            yield finding.line, _sentence(finding)
    for line, flags in defaults.items():
        yield line, " ".join(flags) + " (defaults of 2.x; --no-keep-defaults omits them)"


def _sentence(finding: Finding) -> str:
    what = f"{finding.old} -> {finding.new}" if finding.old and finding.new else finding.old or finding.new
    return what + (f" ({finding.note})" if finding.note else "")
