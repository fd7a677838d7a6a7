"""swift's description of a template as a Jinja chat template: the same text for the same conversation, without swift.

swift keeps prefix, prompt, separator and system text in a `TemplateMeta`; servers and transformers read `chat_template.jinja`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKS = {"{{SYSTEM}}": "system", "{{QUERY}}": "query", "{{ROUND0}}": "rounds.n", "{{ROUND1}}": "(rounds.n + 1)"}
ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Layout:
    """The text around a conversation, with swift's marks ({{SYSTEM}}, {{QUERY}}, ...) where its parts go.

    `default_system`: used where a conversation has no system message; None or "": no system text. `last_prompt`: of the last question,
    which has the system text in some templates. `response_prefix`: what the answer begins with, written by the template. `image`: what
    is written for one image. `forget_thoughts`: earlier answers lose what is before `</think>`. `system_in_question`: a system message of a
    conversation goes in front of its first question, as Gemma has it. `answer_prefix`: what earlier answers without `<think>` get.
    `trimmed`: questions lose blanks at both ends. `single_turn`: one question and one answer only.
    """

    prefix: str
    system_prefix: str | None
    prompt: str
    last_prompt: str
    separator: str
    suffix: str
    default_system: str | None
    response_prefix: str
    image: str
    history_prefix: str = ""
    answer_prefix: str = ""
    forget_thoughts: bool = False
    system_in_question: bool = False
    trimmed: bool = False
    single_turn: bool = False


def literal(text: str) -> str:
    """A text as a Jinja string."""
    return "'" + "".join(ESCAPES.get(character, character) for character in text) + "'"


def expression(text: str) -> str:
    """A text with swift's marks as a Jinja expression."""
    pieces = [piece for piece in re.split("|".join(f"({re.escape(mark)})" for mark in MARKS), text) if piece]
    return " ~ ".join(MARKS.get(piece) or literal(piece) for piece in pieces) or "''"


def with_defaults(own: str, system: str | None, as_parts: bool, thinking: bool | None) -> str:
    """A model's own chat template, with a system message where a conversation has none, and a default for `enable_thinking`."""
    head = ""
    if thinking is not None:
        head += "{% set enable_thinking = enable_thinking if enable_thinking is defined else " + str(thinking).lower() + " %}"
    if system is not None:
        content = f"[{{'type': 'text', 'text': {literal(system)}}}]" if as_parts else literal(system)
        message = f"{{'role': 'system', 'content': {content}}}"
        head += f"{{% if not messages or messages[0]['role'] != 'system' %}}{{% set messages = [{message}] + messages %}}{{% endif %}}"
    return head + own


def chat_template(layout: Layout, origin: str) -> str:
    """The Jinja text of a layout. `origin`: one line for people, what it was made from. Unknown roles and tools raise in Jinja."""
    answer = "flat(message['content'])"
    if layout.forget_thoughts:
        answer = f"({answer} if loop.last else {literal(layout.history_prefix)} ~ ({answer}.split('</think>') | last | trim))"
    elif layout.answer_prefix:
        answer = f"('' if {answer}.startswith('<think>') else {literal(layout.answer_prefix)}) ~ {answer}"
    values = {
        "origin": origin.replace("#}", "# }"),
        "image": literal(layout.image),
        "given": SYSTEM_IN_QUESTION if layout.system_in_question else SYSTEM_IN_PREFIX,
        "default": literal(layout.default_system or ""),
        "trim": " | trim" if layout.trimmed else "",
        "limit": SINGLE_TURN if layout.single_turn else "",
        "system_prefix": expression(layout.prefix if layout.system_prefix is None else layout.system_prefix),
        "prefix": expression(layout.prefix),
        "prompt": expression(layout.prompt),
        "last_prompt": expression(layout.last_prompt),
        "response_prefix": literal(layout.response_prefix),
        "answer": answer,
        "suffix": expression(layout.suffix),
        "separator": expression(layout.separator),
    }
    return re.sub("<<([a-z_]+)>>", lambda place: values[place[1]], TEXT)


SYSTEM_IN_PREFIX = "{%- set system = flat(messages[0]['content']) -%}"
SYSTEM_IN_QUESTION = "{%- set lead = flat(messages[0]['content']) ~ '\\n\\n' -%}"
SINGLE_TURN = "{%- if turns | length > 2 -%}{{- raise_exception('this model takes one question and one answer') -}}{%- endif -%}"
TEXT = """{#- <<origin>> -#}
{%- macro flat(content) -%}
{%- if content is string -%}{{- content -}}
{%- else -%}
{%- for part in content -%}
{%- if part['type'] in ['image', 'image_url'] -%}{{- <<image>> -}}
{%- elif part['type'] == 'text' -%}{{- part['text'] -}}
{%- else -%}{{- raise_exception('content of type ' ~ part['type'] ~ '; expected text or image') -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- if tools -%}{{- raise_exception('this chat template has no place for tools') -}}{%- endif -%}
{%- set lead = '' -%}{%- set system = <<default>> -%}{%- set turns = messages -%}
{%- if messages and messages[0]['role'] == 'system' -%}
<<given>>{%- set turns = messages[1:] -%}
{%- endif -%}
<<limit>>
{%- if system -%}{{- <<system_prefix>> -}}{%- else -%}{{- <<prefix>> -}}{%- endif -%}
{%- set rounds = namespace(n=0) -%}
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}
{%- set query = ((lead if loop.first else '') ~ flat(message['content']))<<trim>> -%}
{%- if loop.index >= turns | length - 1 -%}{{- <<last_prompt>> -}}{%- else -%}{{- <<prompt>> -}}{%- endif -%}
{%- if loop.last and add_generation_prompt -%}{{- <<response_prefix>> -}}{%- endif -%}
{%- elif message['role'] == 'assistant' -%}
{{- <<answer>> -}}
{%- if loop.last -%}{{- <<suffix>> -}}{%- else -%}{{- <<separator>> -}}{%- endif -%}
{%- set rounds.n = rounds.n + 1 -%}
{%- else -%}{{- raise_exception('role ' ~ message['role'] ~ '; expected system (first), user or assistant') -}}
{%- endif -%}
{%- endfor -%}"""
