"""The table of swift's multimodal model types, compared with those that the installed swift has."""

from swift.model import MODEL_MAPPING

from groundswift.family import FAMILIES
from groundswift.swift_models import swift_models


def test_every_multimodal_model_type_of_swift_is_in_the_table(plugin):
    assert {name for row in FAMILIES.values() for name in row.swift_model_types} <= set(swift_models())
    there = {name: meta for name, meta in MODEL_MAPPING.items() if meta.is_multimodal}
    assert set(swift_models()) == set(there), "swift has other model types: change groundswift/swift_models.tsv"
    assert swift_models()["florence2"].architectures == swift_models()["florence"].architectures  # our own, of the plugin
    for name, model in swift_models().items():
        if name == "florence2":
            continue
        templates = there[name].candidate_templates or [there[name].template]
        architectures = [each for each in there[name].architectures if each != "null"]  # which swift adds where it looks for a type
        assert (model.templates, model.architectures) == (tuple(templates), tuple(architectures)), name


def test_every_type_without_a_family_says_what_is_known():
    for name, model in swift_models().items():
        assert model.boxes in ("family", "known", "unknown", "none"), name
        assert model.boxes != "known" or (model.how and model.source), name
        assert model.boxes != "none" or model.how, name
