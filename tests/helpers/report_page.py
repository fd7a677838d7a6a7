"""A report as a parser meets it, and small runs to make one of."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from groundswift.eval.evaluated_run import Curve, DrawnBox, ImageResult, Run
from groundswift.eval.metrics.coco_map import CocoMap

TABLE = CocoMap().table([{}])


KEYS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


VOID = {"meta", "link", "input", "br"}


HOSTILE = ["</script><img src=x onerror=alert(1)>", 'a "quoted" name', "it's <b>", "two\nlines", "闪电", "{{ 7 * 7 }}", "\u2028&amp;"]


class Page(HTMLParser):
    """Every element with its attributes, its text by element, and a check that all that opens closes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data))

    def block(self, id: str) -> object:
        """The JSON of a part of the page."""
        (text,) = re.findall(rf'<script type="application/json" id="{id}">(.*?)</script>', self.html, re.DOTALL)
        return json.loads(text)

    @property
    def index(self) -> dict:
        return self.block("setup")["index"]

    def all(self, tag: str, cls: str = "") -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag and (not cls or cls in (attrs.get("class") or "").split())]

    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("style", "script"))


def image_result(image_id=1, label="star", outcome="true_positive", f1=1.0, status="ok", response="said so", size_wh=(112, 84)):
    box = (10.0, 12.0, 50.0, 60.0)
    truth = [DrawnBox(label, box, "false_negative" if outcome == "false_positive" else outcome)]
    predicted = [] if outcome == "false_negative" else [DrawnBox(label, box, outcome, 0.87 + image_id / 1000)]
    return ImageResult(image_id, f"{image_id:06d}.jpg", size_wh, status, truth, predicted, f1, response)


def make_run(name="after", images=(), labels=("star",), value=0.5, counts=None, curves=None, **protocol):
    per_class = {label: {"AP": value, "AP50": value, "AP75": None, "AR100": value, "truths": 3, "predictions": 4} for label in labels}
    metrics = dict.fromkeys(KEYS, value) | {
        "per_class": per_class,
        "counts": counts or {"images": len(images)},
        "protocol": {"date": "2024-05-06", "family": "qwen2_vl", **protocol},
    }
    level = [-1.0 if value is None else value] * 101
    drawn = [Curve(None, iou, level) for iou in ("0.50", "0.75", "0.50:0.95")] + [Curve(label, "0.50", level) for label in labels]
    return Run(name, metrics, drawn if curves is None else curves, list(images))


THREE = [image_result(number, f1=number / 3) for number in range(1, 4)]
