"""Names of datasets that nothing is behind end a run at once, and no run waits for a hub that cannot answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tiny_run import infer, rows_of, sft, written

from groundswift.errors import GroundswiftError


@pytest.fixture
def hubs_allowed(monkeypatch) -> None:
    from groundswift.swift_plugins.grounding.run_checks.hub_requests import SETTINGS

    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_network(monkeypatch):
    """Every look-up of a host, which none may make."""
    asked = []

    def look_up(host, *given, **more):
        asked.append(host)
        raise socket.gaierror(f"no network in this test: {host}")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.fixture
def data(tmp_path):
    return written(tmp_path / "rows.jsonl", rows_of(tmp_path, 2))


NAMES = {  # of datasets -> the error
    "row.jsonl": r"dataset row.jsonl: .*did you mean rows.jsonl\? \[dataset-missing\]",
    "row.jsonl#100": r"dataset row.jsonl#100: .*did you mean rows.jsonl\? \[dataset-missing\]",
    "./data": r"dataset ./data: .*\[dataset-missing\]",
    "data/train/rows": r"dataset data/train/rows: .*data/train does not exist either\) \[dataset-missing\]",
    "~/nowhere/rows.parquet": r"rows.parquet: .*nowhere does not exist either\) \[dataset-missing\]",
    "rows.JSON": r"\[dataset-missing\]",
    "coco_val": r"\(HF_HUB_OFFLINE=1\) \[dataset-unknown\]",
    "someone/their-set": r"\[dataset-unknown\]",
    "swift/refcocoo": r"did you mean swift/refcoco\? \[dataset-unknown\]",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("option", ["--dataset", "--val_dataset"])
def test_a_name_that_nothing_is_behind_ends_the_run_without_asking(plugin, data, tmp_path, monkeypatch, no_network, name, option):
    monkeypatch.chdir(tmp_path)
    train, more = (name, []) if option == "--dataset" else (data, ["--val_dataset", name])
    with pytest.raises(GroundswiftError, match=NAMES[name]):
        sft(plugin, train, tmp_path / "out", *more)
    assert no_network == []


def test_inference_says_the_same(plugin, tmp_path, no_network):
    with pytest.raises(GroundswiftError, match=r"nowhere.jsonl: .*\[dataset-missing\]"):
        infer(plugin, tmp_path / "nowhere.jsonl", tmp_path / "result.jsonl")
    assert no_network == []


@pytest.mark.parametrize("name", ["swift/refcoco", "refcoco", "AI-ModelScope/LaTeX_OCR", "mine/cached", "hf::mine/hub"])
def test_what_swift_knows_or_has_a_copy_of_is_left_to_it(plugin, tmp_path, monkeypatch, name):
    from huggingface_hub import constants

    from groundswift.swift_plugins.grounding.run_checks.hub_requests import unknown_datasets

    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "datasets" / "mine" / "cached").mkdir(parents=True)
    (tmp_path / "hub" / "datasets--mine--hub").mkdir(parents=True)
    assert list(unknown_datasets([name])) == []


def test_with_hubs_only_names_of_files_are_refused(plugin, hubs_allowed):
    from groundswift.swift_plugins.grounding.run_checks.hub_requests import unknown_datasets

    assert list(unknown_datasets(["someone/their-set", "coco_val"])) == []
    assert [finding.id for finding in unknown_datasets(["someone/their-set.jsonl"])] == ["dataset-missing"]


@pytest.mark.parametrize("hubs", ["switched off", "allowed"])
def test_a_training_with_check_model_asks_no_hub_about_a_local_model(plugin, data, tmp_path, monkeypatch, no_network, hubs):
    if hubs == "allowed":
        monkeypatch.delenv("HF_HUB_OFFLINE")
    assert sft(plugin, data, tmp_path / "out", "--check_model", "true")[0]["loss"] > 0
    assert [host for host in no_network if "modelscope" in host] == []


def test_a_model_of_modelscope_is_still_checked_where_hubs_are_allowed(plugin, hubs_allowed, tmp_path, monkeypatch):
    from groundswift.swift_plugins.grounding.run_checks.hub_requests import useless_check

    assert "was not downloaded from ModelScope" in useless_check(str(tmp_path))
    (Path(tmp_path) / ".mdl").touch()
    assert useless_check(str(tmp_path)) is None
    monkeypatch.setenv("MODELSCOPE_OFFLINE", "true")
    assert useless_check(str(tmp_path)) == "MODELSCOPE_OFFLINE is set"
