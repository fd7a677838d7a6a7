"""Every id that converters count has a title, every title's id is used, and an id without a title fails at once."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from groundswift.data_converters.issue_titles import TITLES
from groundswift.data_converters.issues import Issue, IssueLog
from groundswift.errors import GroundswiftError

ROOT = Path(__file__).parents[2]
ROOMS = ("data_converters", "groundswift", "swift_plugins")
PART = "[a-z0-9-]+"  # a computed part of an id
COUNTED = re.compile(r"(log|notes)\.count$")
LAST = {"Issue", "of", "count"}  # of the names that take an id


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Calls and texts in the sources of the rooms."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path.name != "issue_titles.py"]
    kinds = ast.Call | ast.Constant | ast.JoinedStr
    return [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def pattern_of(node: ast.AST) -> str | None:
    """A literal or f-string as a regular expression; None for what is computed otherwise."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr) and any(
        isinstance(part, ast.Constant) and re.search("[a-z]{4}", part.value) for part in node.values
    ):
        return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else PART for part in node.values)
    return None


def literal_ids() -> dict[str, str]:
    """Pattern of an id as it is given to Issue or `log.count` -> where."""
    found = {}
    for path, call in nodes():
        if isinstance(call, ast.Call) and call.args and getattr(call.func, "attr", getattr(call.func, "id", "")) in LAST:
            name = ast.unparse(call.func)
            if name in ("Issue", "Issue.of", "skip") or COUNTED.search(name):
                choices = [call.args[0].body, call.args[0].orelse] if isinstance(call.args[0], ast.IfExp) else [call.args[0]]
                found |= {pattern: f"{path}:{call.lineno}" for each in choices if (pattern := pattern_of(each))}
    return found


def test_every_id_has_a_title_and_every_title_is_used():
    patterns = literal_ids()
    assert len(patterns) > 100
    assert {pattern: where for pattern, where in patterns.items() if not any(re.fullmatch(pattern, id) for id in TITLES)} == {}
    texts = {pattern for _, node in nodes() if (pattern := pattern_of(node))}
    computed = [re.compile(pattern) for pattern in texts if PART in pattern]
    assert [id for id in TITLES if re.escape(id) not in texts and not any(each.fullmatch(id) for each in computed)] == []


def test_ids_are_kebab_case_and_titles_differ():
    assert [id for id in TITLES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id)] == []
    assert len(set(TITLES.values())) == len(TITLES)


def test_an_unknown_id_fails():
    log = IssueLog("skip")
    for call in (lambda: log.count("box-round"), lambda: log.add(Issue("box-round", "row 1", "a circle", "a box"))):
        with pytest.raises(GroundswiftError, match="issue id 'box-round' has no title; expected one of "):
            call()


def test_people_read_titles_and_programs_ids():
    stopped, skipped = IssueLog(), IssueLog("skip")
    for log in (stopped, skipped):
        log.add(Issue("image-missing", "row 0", "image not found: a.jpg", "the image file"))
        for number in range(4):
            log.add(Issue("box-empty", f"row {number}", "box [1, 1, 1, 1]", "x1 below x2"))
        log.count("box-clipped", "row 9")
    with pytest.raises(GroundswiftError) as error:
        stopped.settle("a.json")
    lines = str(error.value).splitlines()
    assert lines[0] == "a.json: 5 problems, nothing written"
    assert lines[1:3] == ["       4  box-empty: box without area", "          row 0: box [1, 1, 1, 1]; expected x1 below x2"]
    assert lines[-4] == "          ... and 1 more"
    assert lines[-3].startswith("       1  image-missing: ")
    assert lines[-1] == "Use --on-error skip to drop and count them (in a list of datasets: on_error: skip)."
    assert skipped.counted.counts == {"box-empty": 4, "image-missing": 1, "box-clipped": 1}
    assert skipped.lines()[2] == "       1  box-clipped: box clipped to its image  (row 9)"
