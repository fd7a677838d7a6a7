"""The model that a recipe names is one that ms-swift knows by this id, this model type and the template that ours is made from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recipe_runner import inventory

RECIPES = Path(inventory.RECIPES)


def named_models() -> list:
    """(path, id, model type, template, whether from Hugging Face) of each recipe that names a model of a hub."""
    found = []
    for head in inventory.read_heads():
        text = "\n".join(line for line in (RECIPES / head.path).read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
        model = re.search(r"^MODEL=\$\{MODEL:-([^}$]+/[^}]+)\}", text, re.MULTILINE)
        words = [re.search(rf"--{name} (\w+)", text) for name in ("model_type", "template")]
        if model and all(words):
            found.append(pytest.param(model[1], words[0][1], words[1][1], "\nexport USE_HF=" in text, id=head.path))
    return found


@pytest.mark.parametrize(("model", "model_type", "template", "hugging_face"), named_models())
def test_a_model_is_registered_as_the_recipe_names_it(model, model_type, template, hugging_face):
    from swift.model import MODEL_MAPPING

    from groundswift.swift_plugins.grounding.models.florence2 import model_metas

    if model_type in {meta.model_type for meta in model_metas()}:
        pytest.skip("a model type of the plugin's own, which names no checkpoints")
    meta = MODEL_MAPPING[model_type]
    templates = {
        one.hf_model_id if hugging_face else one.ms_model_id: group.template or meta.template
        for group in meta.model_groups
        for one in group.models
    }
    assert model in templates, "no id of the hub that ms-swift reads by default (ModelScope; Hugging Face with USE_HF=1)"
    assert template == f"{templates[model]}_grounding"


def test_heads_name_the_model_that_the_script_takes():
    heads = {head.path: head.values["Model"] for head in inventory.read_heads()}
    assert [case.id for case in named_models() if case.values[0] not in heads[case.id].split(", ")] == []
