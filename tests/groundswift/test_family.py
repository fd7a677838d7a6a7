"""The table of families."""

from importlib import import_module

import pytest

from groundswift import families
from groundswift.errors import GroundswiftError
from groundswift.family import family_row
from groundswift.family_table import TRAPS
from groundswift.grammars.registry import GRAMMARS, PLACES
from groundswift.spaces import SPACES


@pytest.mark.parametrize("name", sorted(families()))
def test_a_row_names_what_exists(name):
    row = families()[name]
    assert row.name == name
    assert row.space in SPACES
    assert row.source
    assert (row.resize_factor is None) == (row.max_pixels == 0)
    assert row.resize_factor or SPACES[row.space].side != "resized"


def test_every_family_has_its_grammar_and_every_trap_its_family():
    assert sorted({row.grammar for row in families().values()} - set(GRAMMARS)) == []
    assert TRAPS.keys() <= families().keys()


def test_every_table_of_grammars_is_reached_by_name():
    names = {(module, name) for module in set(PLACES.values()) for name in import_module(f"groundswift.grammars.{module}").TABLE}
    assert names == {(module, name) for name, module in PLACES.items()}
    assert all(GRAMMARS[name] is GRAMMARS[name] for name in PLACES)


def test_a_template_belongs_to_one_family():
    named = [name for row in families().values() for name in row.templates]
    assert sorted({name for name in named if named.count(name) > 1}) == []


@pytest.mark.parametrize(
    ("model_type", "name"),
    [("qwen2_5_vl", "qwen2_5_vl"), ("qwen3_vl_moe", "qwen3_vl"), ("deepseek_ocr", "deepseek_vl2"), ("llava1_5_hf", "llava")],
)
def test_a_family_is_found_by_swifts_model_type(model_type, name):
    assert family_row(model_type).name == name


def test_families_returns_a_copy():
    families().clear()
    assert "qwen2_vl" in families()


def test_quanta():
    for name, quantum in {"qwen2_vl": 0.5, "florence2": 0.5, "molmo": 0.5, "llava": 20, "shikra": 2}.items():
        assert families()[name].quantum_px((500, 2000)) == (quantum, quantum if name in ("llava", "shikra") else 2)
    assert families()["qwen2_5_vl"].quantum_px((640, 480), (320, 960)) == (2.0, 0.5)
    assert families()["kosmos2"].quantum_px((320, 640)) == (10.0, 20.0)
    with pytest.raises(GroundswiftError, match="resized_wh must be given"):
        families()["qwen2_5_vl"].quantum_px((640, 480))


def test_an_unknown_family_is_an_error_that_lists_the_known():
    with pytest.raises(GroundswiftError, match="unknown model family 'qwen9'; expected one of qwen_vl, "):
        family_row("qwen9")
