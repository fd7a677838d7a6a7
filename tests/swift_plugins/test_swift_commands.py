"""swift's commands with a spawned server, and a chat of `swift app` on its way to gradio 6 and back.

`test_served_commands.py` starts real ones.
"""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys

import pytest
from swift.arguments import AppArguments, EvalArguments
from swift.template import TEMPLATE_MAPPING
from tiny_run import EMBEDDED

from groundswift.errors import GroundswiftError
from groundswift.family import FAMILIES
from groundswift.swift_plugins.grounding.patches import commands
from groundswift.swift_plugins.grounding.patches.commands import messages_of, pairs_of, receiving_pairs, sending_messages
from groundswift.swift_plugins.grounding.templates import grounding as templates


def test_every_template_is_found_by_name_in_a_process_without_the_plugin(plugin):
    """What a spawned process does first: it unpickles, before swift loads any plugin there."""
    names = [name for row in FAMILIES.values() for name in row.templates]
    held = base64.b64encode(pickle.dumps([getattr(templates, name) for name in names])).decode()
    code = f"import base64, pickle\nprint(*[found.__name__ for found in pickle.loads(base64.b64decode({held!r}))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-len(names) :] == names


def test_a_class_is_made_once_however_often_the_plugin_is_loaded(plugin):
    before = {name: getattr(templates, name) for name in templates.STOCK_OF_TEMPLATE}
    assert {meta.template_type: meta.template_cls for meta in templates.template_metas()} == before
    with pytest.raises(AttributeError, match="has no attribute 'nothing_grounding'"):
        _ = templates.nothing_grounding


def test_a_family_that_cannot_be_used_is_warned_of(plugin, warned, monkeypatch):
    monkeypatch.setattr(templates, "not_usable", lambda: ["entry point bad: cannot be loaded"])
    assert len(templates.template_metas()) == len(templates.STOCK_OF_TEMPLATE)
    assert warned == ["entry point bad: cannot be loaded"]


@pytest.mark.long
def test_the_arguments_of_a_server_reach_a_spawned_process(plugin, tmp_path):
    script = tmp_path / "start.py"
    script.write_text(
        "import multiprocessing\n"
        "def child(args):\n"
        "    print('CHILD', args.template, args.template_meta.template_cls.__name__)\n"
        "if __name__ == '__main__':\n"
        "    from swift.arguments import DeployArguments\n"
        f"    args = DeployArguments(model={str(EMBEDDED)!r}, model_type='qwen2_vl', template='qwen2_vl_grounding',\n"
        f"                           external_plugins=[{str(plugin)!r}])\n"
        "    process = multiprocessing.get_context('spawn').Process(target=child, args=(args,))\n"
        "    process.start()\n"
        "    process.join()\n"
        "    raise SystemExit(process.exitcode)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CHILD qwen2_vl_grounding qwen2_vl_grounding" in done.stdout


def test_nobody_waits_for_a_server_that_has_ended(plugin, monkeypatch):
    monkeypatch.setattr(commands.multiprocessing, "active_children", list)
    assert commands.while_alive(lambda port: True, 8000)
    with pytest.raises(GroundswiftError, match="port 8000: the model server stopped"):
        commands.while_alive(lambda port: False, 8000)
    monkeypatch.setattr(commands.multiprocessing, "active_children", lambda: ["one"])
    assert not commands.while_alive(lambda port: False, 8000)


@pytest.mark.parametrize(
    ("model_type", "template"),
    [
        ("qwen2_vl", "qwen2_vl_grounding"),
        ("qwen2_vl", "qwen2_vl"),
        ("qwen2_5_vl", "mimo_vl_grounding"),
        ("glm4v", "glm4v_grounding"),  # a template without a system text
        ("internvl_chat", "internvl2_5_grounding"),
        ("qwen3_vl", "qwen2_vl_grounding"),  # the model type has one template of its own, and another is given
    ],
)
def test_the_app_shows_the_system_text_of_the_given_template(plugin, model_type, template, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = {"model": str(EMBEDDED), "model_type": model_type, "template": template, "external_plugins": [str(plugin)]}
    assert AppArguments(**given).system == TEMPLATE_MAPPING[template].default_system
    assert AppArguments(**given, system="Find all.").system == "Find all."


def test_benchmarks_are_listed_without_opencompass(plugin):
    pytest.importorskip("evalscope")
    from evalscope.constants import EvalBackend

    assert "general_vqa" in EvalArguments.list_eval_dataset(EvalBackend.NATIVE)[EvalBackend.NATIVE]
    with pytest.raises(ModuleNotFoundError, match="opencompass"):
        EvalArguments.list_eval_dataset(EvalBackend.OPEN_COMPASS)


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
