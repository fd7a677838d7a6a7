"""A chat of `swift app` on its way to gradio 6 and back; `test_served_commands.py` starts the real one."""

from __future__ import annotations

import pytest

from groundswift.swift_plugins.grounding.patches.served_commands import messages_of, pairs_of, receiving_pairs, sending_messages


def text(words: str) -> list[dict]:
    return [{"type": "text", "text": words}]


@pytest.mark.parametrize(
    ("pairs", "messages"),
    [
        ([], []),
        ([["hi", None]], [("user", "hi")]),
        ([["hi", ""]], [("user", "hi"), ("assistant", "")]),
        (
            [[("a.png",), None], ["what?", "&lt;box"]],
            [("user", {"path": "a.png"}), ("user", "what?"), ("assistant", "&lt;box")],
        ),
        ([["1", "one"], ["2", None]], [("user", "1"), ("assistant", "one"), ("user", "2")]),
    ],
)
def test_pairs_become_messages_in_order(pairs, messages):
    assert messages_of(pairs) == [{"role": role, "content": content} for role, content in messages]


@pytest.mark.parametrize(
    ("messages", "pairs"),
    [
        ([], []),
        ([("user", text("hi"))], [["hi", None]]),
        ([("user", text("1")), ("assistant", text("one")), ("user", text("2"))], [["1", "one"], ["2", None]]),
        ([("user", [{"type": "file", "file": {"path": "a.png"}}]), ("user", text("what?"))], [[("a.png",), None], ["what?", None]]),
        ([("user", [{"type": "file", "file": {"path": "a.png"}}, *text("what?")])], [[("a.png",), None], ["what?", None]]),
        ([("user", text("hi")), ("assistant", text("a") + text("b"))], [["hi", "ab"]]),
    ],
)
def test_messages_become_the_pairs_that_swift_adds_to(messages, pairs):
    assert pairs_of({"role": role, "content": content} for role, content in messages) == pairs


def test_gradio_itself_takes_and_gives_the_chat():
    chatbot = pytest.importorskip("gradio").Chatbot
    shown = chatbot()
    pairs = [["1", "one"], ["2", None]]
    sent = sending_messages(chatbot.postprocess, shown, pairs)
    given = receiving_pairs(chatbot.preprocess, shown, sent)
    assert given == pairs
