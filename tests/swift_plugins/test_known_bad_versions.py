"""Versions of libraries known to move boxes: each bug is reported in its range and for its family, once, and nowhere else."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

import pytest
from packaging.specifiers import SpecifierSet
from swift.model import get_processor
from swift.template import get_template
from swift.utils import import_external_file

from groundswift.family import FAMILIES
from groundswift.swift_plugins import grounding
from groundswift.swift_plugins.grounding import known_bad_versions
from groundswift.swift_plugins.grounding.known_bad_versions import BAD_VERSIONS, BadVersion, known_bad, versions_of, warn_bad_versions
from groundswift.swift_plugins.grounding.patches.wrap_once import patches_of

CASES = {  # the place of a bug in the table -> (versions in its range, versions outside)
    "transformers 5: positions of still images": (0, ("5.3.0", "5.4.0", "5.5.3", "5.4.0.dev0"), ("5.2.0", "5.5.4", "5.19.0", "4.57.1")),
    "transformers 4.54: positions when generating": (1, ("4.54.0", "4.55.1", "4.56.2"), ("4.53.3", "4.57.0", "5.0.0")),
    "transformers before 4.51": (2, ("4.49.0", "4.50.3"), ("4.51.0", "5.19.0")),
    "qwen-vl-utils": (3, ("0.0.8", "0.0.11"), ("0.0.14", "0.1.0")),
    "vllm": (4, ("0.11.1", "0.11.2", "0.12.0"), ("0.11.0", "0.12.1", "0.13.0")),
    "sglang": (5, ("0.5.15", "0.5.15.post1", "0.5.17"), ("0.5.14", "0.5.18")),
}


def test_every_bug_has_its_case():
    assert sorted(place for place, _, _ in CASES.values()) == list(range(len(BAD_VERSIONS)))


@pytest.mark.parametrize(("place", "inside", "outside"), CASES.values(), ids=CASES)
def test_a_bug_is_known_in_its_range_alone(place, inside, outside):
    bug = BAD_VERSIONS[place]
    for family in bug.families:
        assert [version for version in inside if bug not in known_bad(family, {bug.package: version})] == []
        assert [version for version in outside if bug in known_bad(family, {bug.package: version})] == []
    others = [family for family in FAMILIES if family not in bug.families]
    assert [family for family in others if bug in known_bad(family, {bug.package: inside[0]})] == []
    assert bug not in known_bad(bug.families[0], {"numpy": inside[0]})


@pytest.mark.parametrize("bug", BAD_VERSIONS, ids=lambda bug: f"{bug.package}{bug.versions}")
def test_a_bug_is_complete(bug):
    SpecifierSet(bug.versions)
    assert set(bug.families) <= set(FAMILIES)
    assert bug.sources
    line = bug.line("1.2.3")
    assert "\n" not in line
    for part in (bug.package, "1.2.3", bug.problem, bug.remedy, *bug.families, *bug.sources):
        assert part in line


@pytest.mark.parametrize("family", [None, *FAMILIES])
def test_this_environment_has_none_of_them(family):
    assert known_bad(family, versions_of({bug.package for bug in BAD_VERSIONS})) == []


def test_a_version_that_cannot_be_read_is_no_match():
    assert known_bad("qwen2_5_vl", {"transformers": "unknown"}) == []


def test_versions_are_those_of_the_installed_packages():
    import click

    assert versions_of(["click", "no-such-package-at-all"]) == {"click": versions_of(["click"])["click"]}
    assert versions_of(["click"])["click"].startswith(click.__version__.split(".")[0])


@pytest.fixture
def reported(warned, monkeypatch) -> list[str]:
    """What swift's log warns of, with no warning given before."""
    monkeypatch.setattr(known_bad_versions, "WARNED", set())
    return warned


def test_a_bug_of_a_family_is_warned_of_once_when_its_template_is_made(plugin, models, reported, monkeypatch):
    monkeypatch.setattr(known_bad_versions, "version", lambda package: "5.4.0")
    warn_bad_versions()
    assert reported == []
    for _ in range(2):
        get_template(get_processor(str(models["qwen2_vl"]), model_type="qwen2_vl"), template_type="qwen2_vl_grounding")
        processor = get_processor(str(models["qwen2_5_vl"]), model_type="qwen2_5_vl")
        get_template(processor, template_type="qwen2_5_vl_grounding")
    lines = [line for line in reported if line.startswith("transformers 5.4.0")]
    assert len(lines) == 1
    assert "qwen2_5_vl" in lines[0]
    assert "transformers>=5.5.4" in lines[0]


def test_a_bug_of_every_model_is_warned_of_when_the_plugin_is_loaded(reported, monkeypatch):
    bug = BadVersion("click", ">=1", (), "it clicks", "click<1", ("somewhere",))
    monkeypatch.setattr(known_bad_versions, "BAD_VERSIONS", (bug,))
    monkeypatch.setattr(known_bad_versions, "known_bad", lambda family, installed: known_bad(family, installed, (bug,)))
    warn_bad_versions("qwen2_vl")
    assert reported == []
    warn_bad_versions()
    warn_bad_versions()
    assert reported == [bug.line(versions_of(["click"])["click"])]


def test_every_patch_of_every_module_is_applied_when_the_plugin_is_loaded(plugin):
    """One of a module that register.py does not list would have no effect."""
    names = [found.name for found in walk_packages(grounding.__path__, f"{grounding.__name__}.")]
    if find_spec("evalscope") is None:  # its adapters, which have no patch, are imported where it runs
        names.remove(f"{grounding.__name__}.benchmarks.adapter")
    modules = [import_module(name) for name in names]
    applied = import_external_file(str(plugin)).PATCHES
    assert warn_bad_versions in applied
    assert len(applied) == len(patches_of(*modules)) > 40
