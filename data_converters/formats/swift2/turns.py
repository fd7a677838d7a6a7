"""The conversation of a row of ms-swift 2.x, in each of the forms that it read, with its images and videos. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from groundswift.records import Message

from ...issues import skip
from ...tasks.conversation import INLINE_MEDIA, before_first_question, check_order, message

ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}
ALPACA = {"instruction", "input"}
QUESTION = ("query", "instruction", "input", "history")
FORMS = {"response": QUESTION, "output": QUESTION, "conversation": (), "conversations": (), "messages": ()}  # the first is taken


class OldRow(msgspec.Struct):
    """A row of 2.x. Columns that are absent and those that are null mean the same."""

    query: str | None = None
    response: str | None = None
    history: list[list[str | None]] | None = None
    system: str | None = None
    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    conversations: list[dict[str, Any]] | None = None
    conversation: list[dict[str, Any]] | None = None
    messages: list[dict[str, Any]] | None = None
    images: str | list[str | None] | None = None
    image: str | list[str | None] | None = None
    videos: str | list[str | None] | None = None
    video: str | list[str | None] | None = None
    audios: Any = None
    audio: Any = None
    objects: Any = None
    tools: Any = None
    rejected_response: Any = None
    label: Any = None


def turns_of(where: str, old: OldRow) -> list[Message]:
    """The conversation as messages. Raises SkipSample where it has no answer, a blank one, or its turns are out of order."""
    messages = _messages(where, old)
    if old.system:
        messages.insert(0, Message("system", old.system))
    check_order(where, messages, alone=True)
    return messages


def _messages(where: str, old: OldRow) -> list[Message]:
    answer = old.response if old.response is not None else old.output
    if answer is not None:
        turns = [*(old.history or ()), [question_of(old), answer]]
        if any(len(turn) != 2 or turn[1] is None for turn in turns):
            raise skip("history-malformed", where, f"history {str(old.history)[:200]}", "[[query, response], ...]")
        pairs = [(role, text) for turn in turns for role, text in zip(("user", "assistant"), turn, strict=True)]
        return [Message(role, text) for role, text in pairs if text is not None]
    if old.conversation is not None:
        pairs = [(role, turn.get(role)) for turn in old.conversation for role in ("human", "assistant")]
        return [_message(where, index, role, text) for index, (role, text) in enumerate(pairs)]
    if old.conversations is not None or old.messages is not None:
        turns = enumerate(old.conversations or old.messages or ())
        return [_message(where, index, turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))) for index, turn in turns]
    raise skip("no-answer", where, "no response, output, conversations or messages", "query and response, or a conversation")


def question_of(old: OldRow) -> str | None:
    """The last question: `query`, or Alpaca's instruction and input; None where there is none."""
    return old.query if old.query is not None else "\n".join(filter(None, (old.instruction, old.input))) or None


def unused_columns(old: OldRow) -> list[str]:
    """The columns with content that `turns_of` does not take, as another form of the conversation comes first."""
    answer = next((name for name in FORMS if getattr(old, name) is not None), "")
    used = {answer, *FORMS.get(answer, ())} - (ALPACA if old.query is not None else set())
    return [name for name in dict.fromkeys((*FORMS, *QUESTION)) if name not in used and getattr(old, name)]


def _message(where: str, index: int, role: Any, content: Any) -> Message:
    made = message(where, index, str(role), content, ROLES)
    if not isinstance(content, str):
        raise skip("turn-without-text", f"{where}, turn {index}", f"the content of {role} is {content!r}", "a text")
    return made


def media_of(where: str, old: OldRow, messages: list[Message]) -> tuple[list[str], list[str]]:
    """(images, videos) of a row in the order of their tags; tags that `messages` lack are put before the first question.

    Raises SkipSample where there are more tags than files, audio, or both a column and paths in the text.
    """
    if old.audios or old.audio:
        raise skip("row-with-audio", where, "audio", "images and videos")
    images = _files(where, messages, "image", _listed(old.images) or _listed(old.image))
    videos = _files(where, messages, "video", _listed(old.videos) or _listed(old.video))
    lacking = "".join(f"<{medium}>" * (len(files) - _tags(messages, medium)) for medium, files in (("image", images), ("video", videos)))
    if lacking:
        if all(each.role != "user" for each in messages):  # pre-training: an answer alone
            messages.insert(-1, Message("user", ""))
        messages[:] = before_first_question(messages, lacking)
    return images, videos


def _listed(files: str | list[str | None] | None) -> list[str]:
    return [files] if isinstance(files, str) and files else [each for each in files or () if each]


def _files(where: str, messages: list[Message], medium: str, files: list[str]) -> list[str]:
    """The files of one medium; those that the texts name are replaced there by their tag."""
    inline = [name for message in messages for name in INLINE_MEDIA[medium].findall(message.content)]
    if inline:
        if files:
            raise skip(f"{medium}-two-places", where, f"{len(files)} {medium}s in a column and {len(inline)} in the text", "one of the two")
        files = [name.strip() for name in inline]
        messages[:] = [Message(each.role, INLINE_MEDIA[medium].sub(f"<{medium}>", each.content)) for each in messages]
    if (tags := _tags(messages, medium)) > len(files):
        raise skip(f"{medium}-tags-over", where, f"{tags} <{medium}> and {len(files)} {medium}s", f"a file for each <{medium}>")
    return files


def _tags(messages: list[Message], medium: str) -> int:
    return sum(message.content.count(f"<{medium}>") for message in messages if message.role != "system")
