"""pascal-voc-writer: a template of Pascal VOC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from places import EDGES, Place, place_of

REQUIREMENT = "pascal-voc-writer==0.1.4"


def write_voc(data: Any, out: Path) -> Place:
    from pascal_voc_writer import Writer

    (out / "voc").mkdir()
    for each in data.each:
        writer = Writer(str(data.images / each["file"]), each["width"], each["height"])
        for label, *box in each["boxes"]:
            writer.addObject(label, *box)
        writer.save(str(out / "voc" / f"{Path(each['file']).stem}.xml"))
    return place_of(out / "voc", data.images, *EDGES)
