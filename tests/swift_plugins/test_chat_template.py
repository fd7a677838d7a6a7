"""Chat templates that write what our templates write: every family, each system text, and models with chat templates of their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from stubs import STUBS
from swift.model import utils
from transformers import AutoProcessor
from zoo import KINDS

from groundswift.family import FAMILIES
from groundswift.image_resize import Limits
from groundswift.swift_plugins.grounding.patches.saved_models import SAVE_SOURCES, SaveSource
from groundswift.swift_plugins.grounding.templates.chat_template import choose, collapsed, conversations, plain_ids, swift_ids, warning_of

SYSTEM = "You find 'things'.\n\"Boxes\" {{ only }} {% x %}. 物 😀 \\n"
NO_SYSTEM = {"paligemma", "paligemma2"}
QWEN_OWN = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant."
    "<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}{% endif %}"
)
PLAIN_OWN = QWEN_OWN.replace("{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}", "")
IMAGES_FIRST = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% endfor %}{% for part in message['content'] if part['type'] == 'text' %}"
    "{{ part['text'] | trim }}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def ids_of_folder(template, folder: Path) -> dict[str, tuple[list[int] | None, list[int]]]:
    """Of each conversation, what transformers writes from a saved folder and what swift encodes."""
    processor = AutoProcessor.from_pretrained(folder)
    given = conversations(True, template.template_meta.support_multi_round)
    return {name: (plain_ids(processor, given[name], None), ids) for name, ids in swift_ids(template, given).items()}


def saved(template, family: str, folder: Path) -> Path:
    """The processor of a template as swift saves it with a model."""
    SAVE_SOURCES[template.processor] = SaveSource(template, FAMILIES[family], Limits())
    utils.save_checkpoint(None, template.processor, str(folder), model_dirs=[template.model_info.model_dir])
    return folder


@pytest.mark.parametrize("system", [None, SYSTEM], ids=["default", "own"])
@pytest.mark.parametrize("name", KINDS)
def test_a_saved_folder_writes_what_swift_encodes(zoo, tmp_path, name, system):
    """Every conversation that processor and template take, token by token; the number of image tokens too, as nothing is resized."""
    if system is not None and name in NO_SYSTEM:
        pytest.skip("the family has no system text")
    template = zoo.make_template(name, **({} if system is None else {"default_system": system}))
    folder = saved(template, KINDS[name].family, tmp_path)
    (tmp_path / "config.json").write_bytes((zoo.folder(name) / "config.json").read_bytes())
    compared = ids_of_folder(template, folder)
    written = {conversation for conversation, (plain, _) in compared.items() if plain is not None}
    assert {"image", "image and line break", "image between words"} <= written
    if name not in NO_SYSTEM:
        assert {"text", "system message", "two turns", "image of an earlier turn"} <= written
    squared = KINDS[name].family == "llava"  # swift pads its images to a square first, which may take another number of tokens
    alike = partial(collapsed, image_id=template.processor.image_token_id) if squared else list
    assert {each for each in written if alike(compared[each][0]) != alike(compared[each][1])} == set()
    chat_template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert system is None or "Boxes" in chat_template


@pytest.mark.parametrize(
    ("name", "own", "system", "kind"),
    [
        pytest.param("qwen2_vl", PLAIN_OWN, None, "own", id="the family's text as it is"),
        pytest.param("qwen2_vl", PLAIN_OWN, SYSTEM, "own with system", id="a system text of the run"),
        pytest.param("qwen2_vl", PLAIN_OWN, "", "made", id="no system text, which the own one adds"),
        pytest.param("mimo_vl", PLAIN_OWN, None, "own with system", id="another default"),
        pytest.param("qwen3_5", QWEN_OWN, SYSTEM, "made", id="thinking that cannot be turned off alike"),
        pytest.param("qwen2_vl", IMAGES_FIRST, None, "made", id="images first and text trimmed"),
        pytest.param("qwen2_vl", "{{ broken", None, "made", id="not Jinja"),
        pytest.param("qwen2_vl", "{{ raise_exception('no') }}", SYSTEM, "made", id="refuses"),
    ],
)
def test_the_models_own_chat_template_is_kept_where_it_can_be(zoo, name, own, system, kind):
    template = zoo.make_template(name, **({} if system is None else {"default_system": system}))
    template.processor.chat_template = own
    chosen = choose(template)
    assert (chosen.kind, chosen.differs, chosen.unchecked) == (kind, (), None)
    assert (own in chosen.text) == (kind != "made")


@pytest.mark.parametrize("stock", STUBS)
def test_families_with_code_of_their_own_have_their_text(stub_templates, stock):
    """Where their processors cannot be run here the text alone is compared, with a warning. GPT-OSS has a date in its system text."""
    chosen = choose(stub_templates(stock))
    differing = {"internvl3_5_gpt": "text", "phi3_vision": "image"}  # the stub of Phi-3 expands no image
    if stock in differing:
        assert f"other tokens than swift for: {differing[stock]}" in warning_of(chosen)
    else:
        assert chosen.differs == ()
        assert chosen.unchecked is None or "not with images" in warning_of(chosen)


def test_what_cannot_be_equal_is_named(zoo):
    """A question that swift's template changes in a way no chat template knows."""
    template = zoo.make_template("qwen2_vl")
    encode = template.encode
    template.encode = lambda row: {"input_ids": encode(row)["input_ids"][::-1]}
    assert "writes other tokens than swift for: text, system message" in warning_of(choose(template))


def test_a_conversation_that_the_text_has_no_place_for_is_refused(zoo):
    template = zoo.make_template("qwen2_vl")
    template.processor.chat_template = None
    text, write = choose(template).text, template.tokenizer.apply_chat_template
    for messages, tools in [
        ([{"role": "tool", "content": "x"}], None),
        ([{"role": "user", "content": [{"type": "audio"}]}], None),
        ([{"role": "user", "content": "x"}], [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}]),
    ]:
        with pytest.raises(Exception, match="expected|no place for tools"):
            write(messages, chat_template=text, tools=tools, tokenize=False)
