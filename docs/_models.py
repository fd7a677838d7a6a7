"""Generated tables of models: families, spaces, templates of swift, protocols and what perfect answers reach."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from _words import Row, Words, cell, code


def families(say: Words) -> str:
    """The table of families; the example of each is written by the real formatter."""
    from groundswift.family_docs import facts, one_line, step_text

    rows = (
        (
            code(fact["family"]),
            ", ".join(map(code, fact["templates"])) or say("families.read-only", "(read only)"),
            code(fact["space"]),
            step_text(fact["step_px_at_640x480"]),
            code(one_line(fact["example"])),
            code(one_line(fact["empty_answer"])),
        )
        for fact in facts()
    )
    return say.table("family;template;space;step at 640 x 480 px;a dog at (141, 203), (364, 425) of 640 x 480 px;no object", rows)


def family_traps(say: Words) -> Iterator[Row]:
    """The traps and the source of each family."""
    from groundswift.family_docs import facts

    for fact in facts():
        traps = [say(f"trap.{fact['family']}.{number}", text) for number, text in enumerate(fact["traps"], 1)]
        yield code(fact["family"]), cell("; ".join(traps) or "-"), cell(fact["source"])


def swift_models(say: Words) -> Iterator[Row]:
    """swift's multimodal model types that no family has, and what is known of their boxes."""
    from groundswift.swift_models import FAMILY, swift_models

    for model in swift_models().values():
        if model.boxes != FAMILY:
            how = say(f"boxes.{model.how}", model.how) or "-"
            yield (
                code(model.name),
                ", ".join(map(code, model.templates)),
                say(f"boxes.{model.boxes}", model.boxes),
                cell(how),
                model.source or "-",
            )


def spaces(say: Words) -> Iterator[Row]:
    """Every coordinate space and what its numbers mean."""
    from groundswift.spaces import SPACES

    return ((code(name), cell(say(f"space.{name}", space.meaning))) for name, space in SPACES.items())


def protocols(say: Words) -> Iterator[Row]:
    """Every rule of the protocol card, what it fixes, and where its code is."""
    from groundswift.eval.protocols.card import RULES

    for rule in RULES.values():
        switches = [f"{say(f'switch.{name}', name)}: {say(f'switch.{rule.id}.{name}', value)}" for name, value in rule.switches.items()]
        yield f"[{rule.title}]({rule.source})", cell(say(f"protocol.{rule.id}", rule.line)), cell("; ".join(switches))


def published(say: Words) -> Iterator[Row]:
    """Every published figure with its source."""
    from groundswift.eval.protocols.published import FIGURES

    for each in FIGURES:
        texts = (say(f"published.{text}", text) for text in (each.mode, each.metric))
        mode, metric = texts
        yield code(each.id), each.model, mode, each.benchmark, metric, f"{100 * each.value:.1f}", each.source


@cache
def perfect_cells() -> dict[str, dict[str, str]]:
    """Family -> rule -> what perfect answers reach, in per cent."""
    from groundswift.eval.metrics.coco_map import evaluate
    from groundswift.eval.protocols.decode_ceiling import cells_of, perfect_case
    from groundswift.family import families

    return {name: cells_of(perfect_case(row, lambda *columns: evaluate(*columns).summary)) for name, row in families().items()}


def decode_ceiling(say: Words) -> str:
    """Perfect answers of every family through every rule. Families with the same cells share a row."""
    from groundswift.eval.protocols.card import RULES

    alike: dict[tuple[str, ...], list[str]] = {}
    for name, cells in perfect_cells().items():
        alike.setdefault(tuple(cells.values()), []).append(name)
    rules = next(iter(perfect_cells().values()))
    columns = "family;" + ";".join(RULES[rule].title for rule in rules)
    return say.table(columns, ((", ".join(map(code, names)), *cells) for cells, names in alike.items()))
