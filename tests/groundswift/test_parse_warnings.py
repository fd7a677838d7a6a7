"""Every parse warning has an id in the table, and every id of the table is used."""

import ast
import re
from pathlib import Path

from groundswift import grammars
from groundswift.grammars.parse_warnings import WARNINGS, warning_lines


def test_the_table_has_the_ids_that_grammars_use():
    used = set()
    for path in Path(grammars.__file__).parent.glob("*.py"):
        if path.stem != "parse_warnings":
            constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
            used |= {value for value in constants if isinstance(value, str) and re.fullmatch("[a-z]+(-[a-z]+)+", value)}
    assert used == set(WARNINGS)


def test_lines_have_the_count_the_id_and_its_sentence():
    assert warning_lines({"no-box": 12, "of-another-grammar": 1}) == [
        "      12  no-box  (text without a box)",
        "       1  of-another-grammar",
    ]
