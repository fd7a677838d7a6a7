"""A folder as Flickr30k Entities is unpacked: Sentences, Annotations, a list of a split, UNRELATED_CAPTIONS, and the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

GUYS, CARDS = "1000092795", "36979"
SENTENCES = {
    GUYS: [
        "[/EN#1/people Two young guys] with [/EN#2/bodyparts shaggy hair] look at [/EN#0/notvisual each other] in [/EN#8/scene the yard] .",
        "[/EN#1/people Two young , White males] are outside near [/EN#4/scene/other many bushes] .",
        "[/EN#6/people A man] in [/EN#7/clothing a blue shirt] standing .",
        "[/EN#1/people Two friends] enjoy [/EN#10/other time] spent together .",
        "It is a lovely day .",
    ],
    CARDS: [
        "[/EN#137644/people A group of friends] playing [/EN#137645/other cards] .",
        "[/EN#137644/people Six men] and [/EN#137644/people Six men] play [/EN#137645/other cards] .",
    ],
}
SIZES_WH = {GUYS: (333, 500), CARDS: (60, 40)}
OBJECTS: dict[str, list[str]] = {}


def box(*names: object, corners: Sequence[object]) -> str:
    """An object with a box, its corners as the file has them: counted from 1."""
    rows = "".join(f"\t\t<name>{name}</name>\n" for name in names)
    numbers = "".join(f"\t\t\t<{tag}>{value}</{tag}>\n" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"\t<object>\n{rows}\t\t<bndbox>\n{numbers}\t\t</bndbox>\n\t</object>\n"


def unboxed(name: object, scene: int = 0, nobndbox: int = 0) -> str:
    """An object of an entity without a box."""
    return f"\t<object>\n\t\t<name>{name}</name>\n\t\t<scene>{scene}</scene>\n\t\t<nobndbox>{nobndbox}</nobndbox>\n\t</object>\n"


OBJECTS[GUYS] = [
    box(1, corners=(159, 125, 219, 335)),
    box(4, corners=(1, 220, 211, 473)),
    box(4, corners=(276, 215, 332, 337)),
    box(1, 6, corners=(197, 110, 261, 373)),
    box(7, corners=(200, 150, 333, 500)),
    box(7, corners=(200, 150, 333, 500)),
    box(2, corners=(0, 110, 261, 373)),
    unboxed(8, scene=1),
    unboxed(10, nobndbox=1),
]
OBJECTS[CARDS] = [box(137644, corners=(2, 3, 30, 40)), box(137645, corners=(10, 10, 21, 31))]


def annotation(image_id: str, size_wh: tuple[int, int], objects: Sequence[str]) -> str:
    """An XML file."""
    size = f"\t<size>\n\t\t<width>{size_wh[0]}</width>\n\t\t<height>{size_wh[1]}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    return f"<annotation>\n\t<filename>{image_id}.jpg</filename>\n{size}{''.join(objects)}</annotation>"


def write_flickr30k(folder: Path) -> Path:
    """Write the dataset -> its folder; the images are in `images` below it."""
    for name in ("Sentences", "Annotations", "images"):
        (folder / name).mkdir(parents=True)
    for image_id, sentences in SENTENCES.items():
        (folder / f"Sentences/{image_id}.txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
        (folder / f"Annotations/{image_id}.xml").write_text(annotation(image_id, SIZES_WH[image_id], OBJECTS[image_id]), encoding="utf-8")
        Image.new("RGB", SIZES_WH[image_id], "grey").save(folder / f"images/{image_id}.jpg")
    (folder / "train.txt").write_text(f"{CARDS}\n{GUYS}\n", encoding="utf-8")
    (folder / "UNRELATED_CAPTIONS").write_text(f"# format: <imageID> <sentence number>\n{GUYS} 4\n", encoding="utf-8")
    return folder
