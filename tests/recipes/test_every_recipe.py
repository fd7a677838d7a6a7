"""Each recipe runs to its end with the tiny model of its family, by its own head; what truly needs a GPU is parsed by swift's classes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from moved import moved, of_vit
from recipe_runner import RecipeRunner, inventory, load_script, parse_tiny
from safetensors import safe_open
from safetensors.torch import load_file

checkpoint_script = load_script(Path(inventory.RECIPES) / "_checkpoint.py")
HEADS = inventory.read_heads()
IN_MAKE_TEST = "detection/qwen2_5_vl_lora.sh"  # the others are marked `recipes`
OTHERS = {"quickstart": "test_quickstart.py", "inference": "test_inference.py", "export": "test_export.py"}  # group -> where it is run


def cases(heads: list) -> list:
    return [pytest.param(head.path, marks=[] if head.path == IN_MAKE_TEST else pytest.mark.recipes, id=head.path) for head in heads]


@pytest.mark.parametrize("name", cases([head for head in HEADS if not head.only_parsed and head.group not in OTHERS]))
def test_a_recipe_runs_to_its_end(runner, tmp_path, name):
    out = tmp_path / "out"
    runner.ran(name, out)
    check_outputs(runner, name, out)


@pytest.mark.parametrize("group", OTHERS)
def test_every_recipe_of_another_group_is_run_in_its_file(group):
    text = Path(__file__).with_name(OTHERS[group]).read_text(encoding="utf-8")
    names = [Path(head.path).stem.removeprefix("qwen2_5_vl_") for head in HEADS if head.group == group and not head.only_parsed]
    assert names
    assert [name for name in names if f'"{name}"' not in text and f"/{name}.sh" not in text] == []


def check_outputs(runner: RecipeRunner, name: str, out: Path) -> None:
    """What a run must have left, by what its script says: checkpoints of each kind, an answer for each row, numbers."""
    script = (Path(inventory.RECIPES) / name).read_text(encoding="utf-8")
    if '--output_dir "$OUT/train"' in script:
        checkpoints = sorted((out / "train").glob("checkpoint-*/trainer_state.json"))
        assert checkpoints, "no checkpoint"
        assert json.loads(checkpoints[-1].read_text())["global_step"] > 0
        assert bool(list((out / "train").glob("checkpoint-*/global_step*"))) == ("--deepspeed" in script)
        assert (checkpoints[-1].parent / "adapter_model.safetensors").exists() == ("--tuner_type lora" in script)
        check_whole_modules(script, checkpoints[-1].parent)
        if "--tuner_type full --freeze_vit true" in script:
            changes = moved(Path(runner.resolved(re.search(r"MODEL=(@\w+)", script)[1], out)), checkpoints[-1].parent)
            assert [name for name, has_moved in changes.items() if has_moved and of_vit(name)] == []
    if "_anomaly.sh" in script:
        check_stages(out)
    if name == "anomaly/demo.sh":
        check_demo(out)
    if "score_" in script:
        answers = (out / "result.jsonl").read_text(encoding="utf-8").splitlines()
        if "_text_answers.sh" in script:
            names = {"exact", "cer"} if "/ocr/" in f"/{name}" else {"cider", "bleu4", "rouge_l"}
            assert names <= json.loads((out / "scored" / "metrics.json").read_text(encoding="utf-8")).keys()
            assert answers
        else:
            variables = parse_tiny(inventory.read_head(Path(inventory.RECIPES) / name).values["Tiny"]).variables
            rows = Path(runner.environment(out, **variables)["VAL"])
            assert len(answers) == len(rows.read_text(encoding="utf-8").splitlines())
            assert (out / "scored" / "metrics.json").is_file()


def check_stages(out: Path) -> None:
    """Each stage began with the best adapter of the one before, trained it further, and the last one is merged."""
    began = [json.loads(path.read_text())["adapters"] for path in sorted(out.glob("stage[123]/args.json"))]
    best = [checkpoint_script.chosen(out / f"stage{stage}") for stage in (1, 2, 3)]
    assert began == [[], [str(best[0])], [str(best[1])]]
    first, last = (load_file(folder / "adapter_model.safetensors") for folder in (best[0], best[2]))
    assert first.keys() == last.keys()
    assert any((first[name] != last[name]).any() for name in first)
    assert list((out / "merged").glob("*.safetensors"))
    assert not (out / "merged.partial").exists()


def check_demo(out: Path) -> None:
    """Every part of the demo left what the last lines name: rows, tables, adapter, answers, numbers, verdicts."""
    check_stages(out / "training")
    rows = (out / "parts/test.1+2+3.jsonl").read_text(encoding="utf-8").splitlines()
    for name in ("before", "after"):
        assert len((out / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()) == len(rows)
        assert (out / f"{name}.csv").read_bytes().startswith(b"\xef\xbb\xbfsample_id,image,question,")
        metrics = json.loads((out / name / "metrics.json").read_text())
        assert {"anomaly_accuracy", "box_f1", "choice", "judge", "substring_agreement"} <= metrics.keys()
        assert metrics["protocol"]["judges"] == ["judge"]
        assert (out / name / "disagreements.csv").is_file()
    check_judge(out)
    assert all(json.loads(line)["text"] for line in (out / "asked.answers.jsonl").open(encoding="utf-8"))
    assert len((out / "watch/verdicts.jsonl").read_text(encoding="utf-8").splitlines()) == 36
    assert (out / "report.html").stat().st_size > 10_000


def check_judge(out: Path) -> None:
    """The judge was asked once about each answer and each known one, and was not trained on those."""
    kept = [path for path in (out / "judge_checked.jsonl", *out.glob("*.jsonl.judge.jsonl")) if path.read_text(encoding="utf-8")]
    assert kept, "no verdict"
    for path in kept:
        keys = [json.loads(line)["key"] for line in path.open(encoding="utf-8")]
        assert len(keys) == len(set(keys))
    trained = [json.loads(line)["messages"][1]["content"] for line in (out / "judging.jsonl").open(encoding="utf-8")]
    assert {text.split()[-1] for text in trained} == {"yes", "no"}
    assert json.loads((out / "judge_checked.json").read_text())["protocol"]["held_out"] == 0.2


def check_whole_modules(script: str, checkpoint: Path) -> None:
    """What `--modules_to_save` names is in the adapter, whole."""
    named = re.search(r"--modules_to_save ((?:\w+ )+)", script)
    if named:
        with safe_open(checkpoint / "adapter_model.safetensors", "np") as adapter:
            kept = list(adapter.keys())
        assert [module for module in named[1].split() if not any(key.endswith(f".{module}.weight") for key in kept)] == []


@pytest.mark.recipes
def test_referring_rows_are_scored_by_accuracy(runner, tmp_path):
    out = tmp_path / "out"
    runner.ran("detection/qwen2_5_vl_lora.sh", out, TASK="referring", TRAIN="@referring", VAL="@referring")
    assert {"acc_iou50", "mean_iou"} <= set(json.loads((out / "scored" / "metrics.json").read_text()))


@pytest.mark.recipes
def test_ground_truth_is_made_from_the_rows_where_none_is_given(runner, tmp_path):
    out = tmp_path / "out"
    runner.ran("detection/qwen2_5_vl_lora.sh", out, GT="", IMAGES="")
    given, made = (json.loads(path.read_text()) for path in (Path(runner.resolved("@gt", out)), out / "truth.json"))
    assert len(made["annotations"]) == sum(not each.get("iscrowd") for each in given["annotations"])
    assert json.loads((out / "scored" / "metrics.json").read_text())["counts"]["images"] == len(given["images"])
