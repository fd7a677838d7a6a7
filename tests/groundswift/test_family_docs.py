"""`groundswift families` and its table: made from the rows."""

import json

import pytest
from click.testing import CliRunner

from groundswift import families, parse
from groundswift.cli import main
from groundswift.family_docs import COLUMNS, facts, markdown


def called(*words: str):
    return CliRunner().invoke(main, ["families", *words])


@pytest.mark.parametrize("name", families())
def test_the_example_of_every_family_is_its_own_text(name):
    (fact,) = facts([families()[name]])
    answer = parse(fact["example"], fact["family"])
    assert (answer.status, [located.label for located in answer.objects]) == ("ok", ["dog"])
    assert parse(fact["empty_answer"], fact["family"]).status == "empty"


def test_all_families_are_shown_with_space_and_template():
    shown = called().output
    for name, row in families().items():
        assert name in shown
        assert row.space in shown
        assert all(template in shown for template in row.templates)


def test_one_family_may_be_asked_for_by_its_swift_model_type():
    assert called("qwen3_vl_moe").output.startswith("qwen3_vl\n")
    assert [fact["family"] for fact in json.loads(called("paligemma", "--json").output)] == ["paligemma"]


def test_an_unknown_family_is_a_plain_error():
    done = called("qwen9")
    assert (done.exit_code, "unknown model family 'qwen9'" in done.output) == (1, True)


def test_the_table_has_a_cell_for_every_column():
    assert all(row.replace("\\|", "").count("|") == len(COLUMNS) + 1 for row in markdown().splitlines())
