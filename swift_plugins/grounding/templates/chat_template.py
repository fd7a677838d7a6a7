"""The chat template that makes plain transformers write what our template writes, token by token.

Candidates are the model's own chat template, the same with the run's system text and thinking, and one made from swift's description.
Each is tried on a few conversations against the ids that swift itself encodes, and the first one that gives the same ids is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from PIL import Image

from .jinja_template import Layout, chat_template, with_defaults

SIZES_WH = ((112, 84), (84, 140))  # of the images that candidates are tried on, in px
Conversation = list[dict[str, Any]]
Ids = list[int]


@dataclass(frozen=True)
class ChatTemplateChoice:
    """A chat template and how it was chosen. `kind`: "own", "own with system", "made". `differs`: conversations with other ids than
    swift's, by name; `unchecked`: why images could not be tried, or None."""

    text: str
    kind: str
    differs: tuple[str, ...] = ()
    unchecked: str | None = None


def conversations(images: bool = True, turns: bool = True) -> dict[str, Conversation]:
    """What candidates are tried on, as content parts: images first, between and absent, line breaks, system messages, several turns.

    `images`, `turns`: whether the model takes any, and more than one.
    """
    small, tall = ({"type": "image", "image": Image.new("RGB", size, (90, 120, 150))} for size in SIZES_WH)
    examples = {
        "text": [user("Find the car.")],
        "system message": [{"role": "system", "content": "Answer briefly."}, user("Find the car.")],
    }
    if turns:
        examples["two turns"] = [user("Find it."), assistant("None"), user("And now?")]
    if images:
        examples |= {
            "image": [user(small, "Find the car.")],
            "image and line break": [user(tall, "\nFind the car. ")],
            "image between words": [user("Where in ", small, " is it?")],
        }
    if images and turns:
        examples["image of an earlier turn"] = [user(small, "Find it."), assistant("None"), user("And now?")]
    return examples


def user(*parts: Any) -> dict[str, Any]:
    """A question of texts and image parts."""
    return {"role": "user", "content": [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]}


def assistant(text: str) -> dict[str, Any]:
    """An answer of text."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def as_row(conversation: Conversation) -> dict[str, Any]:
    """A conversation as a row of swift: `<image>` in the text, and the images in a list."""
    images, messages = [], []
    for message in conversation:
        parts = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
        images += [part["image"] for part in parts if part["type"] == "image"]
        content = "".join("<image>" if part["type"] == "image" else part["text"] for part in parts)
        messages.append({"role": message["role"], "content": content})
    return {"messages": messages, "images": images} if images else {"messages": messages}


@contextmanager
def answering(template: Any) -> Iterator[None]:
    """The mode in which swift writes a question for a model to answer."""
    mode, template.mode = template.mode, "transformers"
    try:
        yield
    finally:
        template.mode = mode


def swift_ids(template: Any, examples: dict[str, Conversation]) -> dict[str, Ids]:
    """swift's input ids of each conversation; conversations that the template refuses are absent."""
    encoded = {}
    with answering(template):
        for name, conversation in examples.items():
            try:
                encoded[name] = list(template.encode(as_row(conversation))["input_ids"])
            except Exception:  # swift asserts, processors raise: this template does not take such a conversation
                continue
    return encoded


def plain_ids(processor: Any, conversation: Conversation, text: str) -> Ids | None:
    """The ids that transformers gives for a conversation by a chat template; None where it cannot."""
    try:
        ids = processor.apply_chat_template(conversation, chat_template=text, add_generation_prompt=True, tokenize=True, return_dict=True)[
            "input_ids"
        ]
    except Exception:  # Jinja errors and those of many processors
        return None
    ids = ids.tolist() if hasattr(ids, "tolist") else ids
    return list(ids[0]) if ids and isinstance(ids[0], list) else list(ids)


def collapsed(ids: Ids, image_id: int | None) -> Ids:
    """Ids with one image token in place of many: how many there are is a matter of pixel limits, not of the text."""
    return [token for place, token in enumerate(ids) if token != image_id or place == 0 or ids[place - 1] != image_id]


def choose(template: Any) -> ChatTemplateChoice:
    """The chat template to save with a model that `template`, one of ours, was made for. No weights are needed."""
    processor = template.processor
    has_images = hasattr(processor, "image_processor")
    examples = conversations(has_images, template.template_meta.support_multi_round)
    expected = swift_ids(template, examples)
    image_id = getattr(processor, "image_token_id", None)
    best: ChatTemplateChoice | None = None
    written: set[str] = set()  # conversations that transformers could write by any candidate
    for kind, text in candidates(template):
        plain = {name: ids for name in expected if (ids := plain_ids(processor, examples[name], text)) is not None}
        written |= set(plain)
        same = {name for name, ids in plain.items() if collapsed(ids, image_id) == collapsed(expected[name], image_id)}
        if best is None or len(best.differs) > len(expected) - len(same):
            best = ChatTemplateChoice(text, kind, tuple(name for name in expected if name not in same))
        if same == set(expected):
            break
    assert best is not None  # the last candidate is always there
    tried = any(name.startswith("image") for name in written)
    reason = None if tried else "its processor has no images" if not has_images else "swift or transformers refused them"
    return replace(best, differs=tuple(name for name in best.differs if name in written), unchecked=reason)


def candidates(template: Any) -> Iterator[tuple[str, str]]:
    """(kind, Jinja text), the most faithful to the model's makers first."""
    own = own_template(template.processor)
    system, thinking = template.template_meta.default_system, template.enable_thinking
    if own is not None and template.use_chat_template:
        yield "own", own
        for as_parts in (False, True):
            yield "own with system", with_defaults(own, system, as_parts, None)
            yield "own with system", with_defaults(own, system, as_parts, thinking)
    origin = f"Written by groundswift: the text of swift's template {template.template_meta.template_type}"
    for layout in layouts(template, own):
        yield "made", chat_template(layout, origin)


def own_template(processor: Any) -> str | None:
    """The chat template that a model came with; the default one of several."""
    for holder in (processor, getattr(processor, "tokenizer", None)):
        found = getattr(holder, "chat_template", None)
        if isinstance(found, dict):
            found = found.get("default")
        if found:
            return found
    return None


def layouts(template: Any, own: str | None) -> Iterator[Layout]:
    """swift's description of a template with what it leaves to code or to the processor: what an image is, where a system message goes,
    whether questions are trimmed, and who writes the beginning of the text and the line break at the end of the prompt."""
    meta, tokenizer = template.template_meta, template.tokenizer
    names = ("prefix", "system_prefix", "prompt", "system_prompt", "chat_sep", "suffix")
    texts = {name: as_text(getattr(meta, name, None) or [], tokenizer) for name in names}
    asked = texts["prompt"], texts["system_prompt" if meta.is_post_system else "prompt"]
    begin = begin_of_text(tokenizer) if meta.auto_add_bos else ""
    with answering(template):
        forget_thoughts, response_prefix = not template._get_preserve_thinking(), template._get_response_prefix() or ""
        unthought = meta.preserve_thinking and not template._get_enable_thinking()  # swift adds the empty thoughts to every answer then
    ways = product(image_texts(template, own), dict.fromkeys((begin, "")), (False, True), (False, True), (False, True))
    for image, head, trimmed, in_question, ended in ways:
        prompt, last_prompt = (text.removesuffix("\n") if ended else text for text in asked)
        yield Layout(
            prefix=head + texts["prefix"],
            system_prefix=None if meta.system_prefix is None else head + texts["system_prefix"],
            prompt=prompt,
            last_prompt=last_prompt,
            separator=texts["chat_sep"],
            suffix=texts["suffix"],
            default_system=meta.default_system,
            response_prefix=response_prefix,
            image=image,
            history_prefix=meta.history_thinking_prefix,
            answer_prefix=(meta.non_thinking_prefix or "") if unthought else "",
            forget_thoughts=forget_thoughts,
            system_in_question=in_question,
            trimmed=trimmed,
            single_turn=not meta.support_multi_round,
        )


def as_text(contexts: list[Any], tokenizer: Any) -> str:
    """swift's pieces of a prompt, texts and lists of token ids, as one text."""
    return "".join(piece if isinstance(piece, str) else tokenizer.decode(piece) for piece in contexts)


def begin_of_text(tokenizer: Any) -> str:
    """What a tokenizer by itself puts in front of a text."""
    alone, whole = tokenizer.encode("a", add_special_tokens=False), tokenizer.encode("a")
    return tokenizer.decode(whole[: whole.index(alone[0])]) if alone and alone[0] in whole else ""


def image_texts(template: Any, own: str | None) -> list[str]:
    """Candidates for the text of one image: that of the model's own chat template, swift's own, and the processor's tokens."""
    processor = template.processor
    token = getattr(processor, "image_token", None) or getattr(template.tokenizer, "image_token", None) or "<image>"
    found = [image_of_own(processor, own), image_of_swift(template), token, getattr(processor, "boi_token", None), token + "\n"]
    return list(dict.fromkeys(text for text in found if text is not None))


def image_of_own(processor: Any, own: str | None) -> str | None:
    """What a model's own chat template writes between two words for an image."""
    if own is None or not hasattr(processor, "image_processor"):
        return None
    before, after = "groundswift(", ")groundswift"
    try:
        written = processor.apply_chat_template([user(before, {"type": "image"}, after)], chat_template=own, tokenize=False)
    except Exception:  # Jinja errors
        return None
    return between(before, after, written)


def image_of_swift(template: Any) -> str | None:
    """What swift writes between two words for an image, with one image token for all of it."""
    if not hasattr(template.processor, "image_processor"):
        return None
    shown = conversations()["image between words"]
    ids = swift_ids(template, {"image": shown}).get("image")
    if ids is None or min(ids) < 0:  # some templates keep negative ids as places for images
        return None
    before, _, after = shown[0]["content"]
    written = template.tokenizer.decode(collapsed(ids, getattr(template.processor, "image_token_id", None)))
    return between(before["text"], after["text"], written)


def between(before: str, after: str, text: str) -> str | None:
    """What is between two texts; None where one of them is missing."""
    rest = text.partition(before)[2]
    return rest.partition(after)[0] if after in rest else None


def warning_of(chosen: ChatTemplateChoice) -> str | None:
    """What a user has to know of a chat template that could not be made equal, or be checked; None: nothing."""
    if chosen.differs:
        return (
            f"chat_template.jinja: transformers writes other tokens than swift for: {', '.join(chosen.differs)}. "
            "Compare answers before you use the model outside swift"
        )
    if chosen.unchecked:
        return f"chat_template.jinja: checked against swift's text, but not with images ({chosen.unchecked})"
    return None
