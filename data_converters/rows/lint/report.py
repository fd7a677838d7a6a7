"""The report of a lint: text for people, one JSON document for programs."""

from __future__ import annotations

from typing import Any

from groundswift.row_view import short
from groundswift.terminal import counted, one_line

from .findings import Findings
from .fix import CHANGES
from .lint_result import Lint
from .rules import RULES, SEVERITIES, remedy_text

CLASSES_SHOWN = 40


def document(lint: Lint, written_to: str | None) -> dict[str, Any]:
    """Everything, for JSON."""
    facts, findings = lint.facts, lint.findings
    fixed = {"out": written_to, "rows": lint.rows_fixed, "changes": dict(lint.changes.counts.most_common())}
    return {
        "files": list(lint.files),
        "rows": facts.rows,
        "images": facts.images,
        "boxes": facts.boxes,
        "negatives": facts.negatives,
        "counts": {severity: findings.of(severity) for severity in SEVERITIES},
        "rules": {rule: _rule(rule, findings) for rule in findings.in_order()},
        "classes": [{"label": each.label, "boxes": each.boxes, "rows": each.rows} for each in facts.classes()],
        "labels_not_counted": facts.labels.others,
        "fixed": None if written_to is None else fixed,
    }


def _rule(rule: str, findings: Findings) -> dict[str, Any]:
    row = RULES[rule]
    examples = [
        {"file": place.file, "line": place.line or None, "sample_id": place.sample_id, "what": what}
        for place, what in findings.examples[rule]
    ]
    about = {"title": row.title, "effect": row.effect, "remedy": row.remedy}
    return {"severity": row.severity, "count": findings.counts[rule], **about, "examples": examples}


def text(lint: Lint, written_to: str | None) -> str:
    """The findings by rule, then the classes, then a summary line."""
    blocks = [_block(rule, lint) for rule in lint.findings.in_order()]
    blocks.append(_classes(lint))
    if written_to is not None:
        lines = [f"{lint.rows_fixed} of {counted(lint.facts.rows, 'row')} changed -> {written_to}", *lint.changes.lines(CHANGES)]
        blocks.append("\n".join(map(one_line, lines)))
    counts = {severity: lint.findings.of(severity) for severity in SEVERITIES}
    shown = f"{counted(counts['error'], 'error')}, {counted(counts['warning'], 'warning')}, {counts['info']} info"
    blocks.append(f"{_totals(lint)}: {shown}")
    return "\n\n".join(filter(None, blocks))


def _block(rule: str, lint: Lint) -> str:
    row, count, examples = RULES[rule], lint.findings.counts[rule], lint.findings.examples[rule]
    lines = [f"{row.severity:<8}{rule}  {count} x {row.title}", f"{'':<8}{row.effect[0].upper()}{row.effect[1:]}. Fix: {remedy_text(row)}."]
    lines += [f"{'':<10}{place}: {what}" for place, what in examples]
    if examples and count > len(examples):
        lines.append(f"{'':<10}...")
    return "\n".join(map(one_line, lines))


def _totals(lint: Lint) -> str:
    facts = lint.facts
    share = f" ({100 * facts.negatives / facts.rows:.1f} %)" if facts.rows else ""
    parts = [counted(facts.rows, "row"), counted(facts.images, "image"), counted(facts.boxes, "box", "boxes")]
    return f"{', '.join(parts)}, {counted(facts.negatives, 'row')} without objects{share}"


def _classes(lint: Lint) -> str:
    classes = lint.facts.classes()
    if not classes:
        return ""
    lines = [f"{'boxes':>9}{'share':>8}{'rows':>9}  label"]
    total = max(1, sum(each.boxes for each in classes) + lint.facts.labels.others)
    for each in classes[:CLASSES_SHOWN]:
        lines.append(f"{each.boxes:>9}{100 * each.boxes / total:>6.1f} %{each.rows:>9}  {short(each.label)}")
    if len(classes) > CLASSES_SHOWN:
        lines.append(f"{'':>28}... and {len(classes) - CLASSES_SHOWN} more labels (--json has all)")
    if lint.facts.labels.others:
        lines.append(f"{lint.facts.labels.others:>9}{'':>17}  boxes of further labels, not listed")
    return "\n".join(map(one_line, lines))
