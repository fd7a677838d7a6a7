"""Checks of a row's conversation: the order of roles, its length in tokens, and whether every placeholder has its image, box or label."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from groundswift.errors import GroundswiftError
from groundswift.records import BOX, IMAGE, REF, VIDEO, count_tags, tags_in
from groundswift.row_view import TOOL_ROLES, Finding, RowView, short, template_row

MISSPELT = re.compile(
    r"<\s{0,2}/?\s{0,2}(?:ref(?:[-_ ]?object)?s?|object[-_ ]?ref|bbox(?:es|_2d)?|images?|img)\s{0,2}(?:[-_ ]?\d{1,4})?\s{0,2}/?\s{0,2}>"
    r"|\{\{?\s{0,2}bbox\s{0,2}\}?\}",
    re.IGNORECASE,
)
WELL_SPELT = {IMAGE, BOX, REF, "<ref>", "</ref>", "<img>", "</img>"}  # swift's placeholders, and marks of models
BOX_TEXT = re.compile(r"<\|box_start\|>|<box>|\"bbox_2d\"|\"box_2d\"|<\|begin_of_box\|>|<\|det\|>|<loc_?\d+>")
FOUR_NUMBERS = re.compile(r"\d(?:[\d.]{0,20}[^\w.]{1,9}\d){3}")
MEDIA = {"<video>": "videos", "<audio>": "audios"}
TokenCounter = Callable[[dict], int]  # swift's template counts; the command line passes it in, since rows import no swift


def check_conversation(view: RowView) -> Iterator[Finding]:
    """Roles, answers and placeholders of one row."""
    if not view.messages:
        return
    yield from check_roles(view)
    yield from check_answers(view)
    if all(isinstance(content, str) for _, content in view.messages):
        yield from check_counts(view)
        yield from check_other_tags(view)
        yield from check_solution(view)
        for problem in view.pairing.problems:
            yield problem.id, f"message {problem.message}: {problem.what}"


def check_solution(view: RowView) -> Iterator[Finding]:
    """For GRPO: math-verify, swift's reward `accuracy`, takes one number for the value of a list."""
    solution = view.row.get("solution")
    if view.boxes and isinstance(solution, str) and FOUR_NUMBERS.search(solution):
        yield "solution-boxes", f"solution {short(solution)} holds a box; the reward accuracy would pay for one right number of it"


def check_roles(view: RowView) -> Iterator[Finding]:
    """swift reads messages in pairs, after a system message; a conversation may begin with an answer (pre-training)."""
    roles = [role for role, _ in view.messages]
    if TOOL_ROLES & set(roles):
        return
    turns = roles[1:] if roles[0] == "system" else roles
    if not turns:
        yield "roles-order", "a system message alone; expected user and assistant"
        return
    expected = "assistant" if turns[0] == "assistant" else "user"
    for index, role in enumerate(turns, len(roles) - len(turns)):
        if role in ("user", "assistant", "system") and role != expected:
            yield "roles-order", f"message {index} has role {role}; expected {expected}"
            return
        expected = "user" if expected == "assistant" else "assistant"


def check_answers(view: RowView) -> Iterator[Finding]:
    """Whether there is an answer to train on."""
    role, _ = view.messages[-1]
    if role == "user":
        yield "no-answer", f"the last message has role {role}; expected assistant"
    for index, (role, content) in enumerate(view.messages):
        if role == "assistant" and content is not None and not content.strip():
            yield "answer-blank", f"message {index} is {short(content)}; expected an answer"


def check_counts(view: RowView) -> Iterator[Finding]:
    """Placeholders against images, labels and boxes. A row without its answer may have fewer of them."""
    refs, boxes, images, videos = count_tags(view.contents)
    for kind, tag, tags, values in (("image", IMAGE, images, view.images), ("video", VIDEO, videos, view.videos)):
        if tags == len(values) or (kind == "video" and not values):  # tag-left covers <video> without videos
            continue
        rule = f"{kind}-tags-over" if tags > len(values) else f"{kind}-tags-under"
        yield rule, f"{tags} {tag} and {len(values)} {kind}s; expected as many of each"
    for rule, tag, count, values, what in (("bbox-count", BOX, boxes, view.boxes, "boxes"), ("ref-count", REF, refs, view.refs, "labels")):
        if values is None or (count <= len(values) if not view.answered else count == len(values)):
            continue
        if rule == "ref-count" and not count and boxes and boxes == len(values):
            continue  # labels kept for boxes that are answered without them
        yield rule, f"{count} {tag} in the messages and {len(values)} {what} in objects; expected as many of each"


def check_other_tags(view: RowView) -> Iterator[Finding]:
    """Placeholders of other media, misspelt placeholders, and boxes as text."""
    for index, (role, content) in enumerate(view.messages):
        if content is None or ("<" not in content and "{" not in content and "box" not in content):
            continue
        for tag in tags_in(content):
            if tag in MEDIA and not (view.videos if tag == VIDEO else view.row.get(MEDIA[tag]) or view.row.get(MEDIA[tag][:-1])):
                yield "tag-left", f"message {index} has {tag} and the row has no {MEDIA[tag]}; expected none"
            elif tag == "<start-image>":
                yield "tag-left", f"message {index} has {tag}; expected {IMAGE}"
        odd = next((odd for odd in MISSPELT.findall(content) if odd not in WELL_SPELT), None)
        if odd:
            yield "tag-misspelt", f"message {index} has {short(odd)}; expected {IMAGE}, {REF} or {BOX}"
        if role == "assistant" and not view.boxes and BOX_TEXT.search(content):
            yield "boxes-as-text", f"message {index} writes boxes as text; expected them in objects"


def check_length(view: RowView, counter: TokenCounter, max_length: int) -> Iterator[Finding]:
    """Whether swift's template accepts the row, and in at most `max_length` tokens."""
    try:
        tokens = counter(template_row(view))
    except GroundswiftError as error:
        yield "row-not-encodable", f"{error}; expected a row that swift can encode"
        return
    if tokens > max_length:
        yield "row-too-long", f"{tokens} tokens; expected at most {max_length}"
