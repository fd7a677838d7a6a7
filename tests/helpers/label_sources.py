"""The same images and labels in each format of label files, written as its tools write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from groundswift.data_converters.base import Options
from groundswift.data_converters.registry import FORMATS

SIZE_WH = (64, 48)
CLASSES = ["cat", "dog", "owl"]
SOURCES = {"yolo": "data.yaml", "voc": ".", "cvat": "annotations.xml", "dota": ".", "openimages": "boxes.csv", "kitti": "."}
WHERE = {  # the place of a label in messages
    "yolo": "labels/{stem}.txt:{number}: ",
    "voc": "Annotations/{stem}.xml: object {number}: ",
    "cvat": "({stem}.png): box {number}: ",
    "dota": "{stem}.txt:{number}: ",
    "openimages": "boxes.csv:",
    "kitti": "{stem}.txt:{number}: ",
}


class Item(NamedTuple):
    """A label: its class, x1 y1 x2 y2 in px as text, and whether it is marked as a crowd, in formats that have such marks."""

    label: str
    box: str
    crowd: bool = False

    def fractions(self) -> list[str]:
        """The sides as fractions of an image; what is no number stays."""
        return [text if text == "x" else repr(float(text) / side) for text, side in zip(self.box.split(), SIZE_WH * 2, strict=True)]


Labels = Mapping[str, Sequence[Item]]  # name of an image, without its suffix -> its labels


def yolo_line(item: Item) -> str:
    sides = item.fractions()
    if "x" not in sides:
        x1, y1, x2, y2 = map(float, sides)
        sides = map(repr, ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    return f"{CLASSES.index(item.label)} {' '.join(sides)}\n"


def yolo(labels: Labels) -> dict[str, str]:
    files = {f"labels/{stem}.txt": "".join(map(yolo_line, items)) for stem, items in labels.items()}
    return {"data.yaml": f"train: images\nnames: [{', '.join(CLASSES)}]\n"} | files


def voc(labels: Labels) -> dict[str, str]:
    item = (
        "<object><name>{}</name><difficult>{:d}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
        "</object>\n"
    )
    document = "<annotation>\n<filename>{}.png</filename>\n<size><width>64</width><height>48</height></size>\n{}</annotation>\n"
    return {
        f"Annotations/{stem}.xml": document.format(stem, "".join(item.format(each.label, each.crowd, *each.box.split()) for each in items))
        for stem, items in labels.items()
    }


def cvat(labels: Labels) -> dict[str, str]:
    images = ""
    for number, (stem, items) in enumerate(labels.items()):
        boxes = ('<box label="{}" xtl="{}" ytl="{}" xbr="{}" ybr="{}"/>\n'.format(each.label, *each.box.split()) for each in items)
        images += f'<image id="{number}" name="{stem}.png" width="64" height="48">\n{"".join(boxes)}</image>\n'
    names = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    return {"annotations.xml": f"<annotations>\n<meta><task><labels>{names}</labels></task></meta>\n{images}</annotations>\n"}


def dota(labels: Labels) -> dict[str, str]:
    line = "{2} {3} {4} {3} {4} {5} {2} {5} {0} {1:d}\n"
    return {
        f"labelTxt/{stem}.txt": "".join(line.format(each.label, each.crowd, *each.box.split()) for each in items)
        for stem, items in labels.items()
    }


def openimages(labels: Labels) -> dict[str, str]:
    lines = (f"{stem},{each.label},{','.join(each.fractions())},{each.crowd:d}\n" for stem, items in labels.items() for each in items)
    return {"boxes.csv": f"ImageID,LabelName,XMin,YMin,XMax,YMax,IsGroupOf\n{''.join(lines)}"}


def kitti(labels: Labels) -> dict[str, str]:
    lines = {
        stem: (f"{each.label} 0.00 0 -1.57 {each.box} 1.48 1.60 3.69 1.84 1.47 8.41 0.01\n" for each in items)
        for stem, items in labels.items()
    }
    return {f"label_2/{stem}.txt": "".join(texts) for stem, texts in lines.items()}


WRITERS = {writer.__name__: writer for writer in (yolo, voc, cvat, dota, openimages, kitti)}


def write_source(name: str, root: Path, labels: Labels) -> Path:
    """Write the files of a format, and grey images as images/NAME.png -> the folder."""
    for stem in labels:
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE_WH, 128).save(root / f"images/{stem}.png")
    for path, text in WRITERS[name](labels).items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    return root


def reader(kind: type[Options], file: str = ".") -> Callable[..., Options]:
    """Makes the options of a format that read a folder, or a file in it."""
    return lambda root, **more: kind(annotations=str(root / file), **more)


def source_options(name: str, root: Path, **more: Any) -> Options:
    """The options that read a source of `write_source`; sides are lines between pixels, and all classes are asked for."""
    given = {"voc": {"corners": "edges"}, "openimages": {"classes": "all"}}.get(name, {})
    images = {} if name == "yolo" else {"images": str(root / "images")}
    return FORMATS[name](annotations=str(root / SOURCES[name]), **(images | given | more))
