"""Tokens of a model that share one embedding get their own; the others keep theirs."""

from __future__ import annotations

import torch
from recipe_runner import ROOT, load_script
from safetensors.torch import load_file

script = load_script(ROOT / "recipes" / "anomaly" / "own_embeddings.py")
MODEL = ROOT / "recipes" / "quickstart" / "model"


def cosines(embeddings: torch.Tensor) -> torch.Tensor:
    directions = torch.nn.functional.normalize(embeddings.float(), dim=1)
    return (directions @ directions.T).fill_diagonal_(0)


def test_tokens_that_shared_one_embedding_are_apart(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["own_embeddings.py", str(MODEL), "--out", str(tmp_path / "model")])
    script.main()
    assert "230 of 275 tokens got embeddings of their own" in capsys.readouterr().out
    before, after = (load_file(folder / "model.safetensors") for folder in (MODEL, tmp_path / "model"))
    assert {name for name in before if not torch.equal(before[name], after[name])} == {script.NAME}
    old, new = before[script.NAME], after[script.NAME]
    kept = cosines(old).max(1).values < script.ALIKE
    assert int(kept.sum()) == 45
    assert torch.equal(old[kept], new[kept])
    assert cosines(new).max() < 0.7
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(path.name for path in MODEL.iterdir())


def test_the_seed_decides_and_other_models_stay_as_they_are():
    embeddings = load_file(MODEL / "model.safetensors")[script.NAME]
    first, again, other = (script.separated(embeddings, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert script.separated(first, 0)[1] == 0
