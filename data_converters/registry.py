"""The formats by name: those of the files in `formats`, and those of other packages at the entry point group `groundswift.formats`."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path

from groundswift.entry_points import ClassTable
from groundswift.errors import error_at

from .base import Options

FOLDER = Path(__file__).parent / "formats"

DESCRIBED = ("summary", "reads", "writes", "EXAMPLE")  # what help, the table of formats and the contract test need
LISTED = {  # those whose order in help is given: name -> module of `formats`, class
    "coco": "coco.source:CocoOptions",
    "coco-panoptic": "coco.panoptic:CocoPanopticOptions",
    "coco-captions": "coco.captions:CocoCaptionsOptions",
    "yolo": "yolo.source:YoloOptions",
    "voc": "voc:VocOptions",
    "cvat": "cvat.source:CvatOptions",
    "dota": "dota:DotaOptions",
    "openimages": "openimages:OpenImagesOptions",
    "refcoco": "refcoco.source:RefcocoOptions",
    "refcoco-hub": "refcoco.hub:RefcocoHubOptions",
    "visual-genome": "visual_genome:VisualGenomeOptions",
    "flickr30k": "flickr30k.source:Flickr30kOptions",
    "shikra": "shikra.source:ShikraOptions",
    "llava": "llava:LlavaOptions",
    "otter": "otter:OtterOptions",
    "scienceqa": "scienceqa:ScienceQaOptions",
    "image-text": "image_text:ImageTextOptions",
    "latex-ocr": "image_text:LatexOcrOptions",
    "video-chatgpt": "video_chatgpt:VideoChatGptOptions",
    "glm4v": "glm4v:Glm4vOptions",
    "phi3v": "phi3v:Phi3vOptions",
    "swift2": "swift2.source:Swift2Options",
    "to-coco": "coco.export:ToCocoOptions",
    "to-yolo": "yolo.export:ToYoloOptions",
    "to-voc": "voc_export:ToVocOptions",
    "to-cvat": "cvat.export:ToCvatOptions",
    "to-dota": "dota:ToDotaOptions",
    "to-openimages": "openimages_export:ToOpenImagesOptions",
    "to-shikra": "shikra.export:ToShikraOptions",
    "to-glm4v": "glm4v:ToGlm4vOptions",
    "to-phi3v": "phi3v:ToPhi3vOptions",
}


@cache
def formats_in(module: str) -> dict[str, str]:
    """Name -> `module:class` of the formats that a module of `formats`, or those in a folder of it, define."""
    loaded = import_module(f"{__package__}.formats.{module}")
    kinds = [each for each in vars(loaded).values() if isinstance(each, type) and issubclass(each, Options)]
    found = {each.name: f"{loaded.__name__}:{each.__name__}" for each in kinds if each.name and each.__module__ == loaded.__name__}
    for inner in pkgutil.iter_modules(getattr(loaded, "__path__", ())):
        found |= formats_in(f"{module}.{inner.name}")
    return found


class BuiltIn(Mapping[str, str]):
    """Name -> `module:class` of each format in `formats`: those of LISTED, then what other files define, readers before writers.

    A file NAME.py is loaded for the names NAME and to-NAME, all such files for a name that none of them has, and to list the names.
    """

    @cached_property
    def modules(self) -> list[str]:
        """The files and folders of `formats` that have no format in LISTED."""
        listed = {place.partition(":")[0].partition(".")[0] for place in LISTED.values()}
        return sorted({each.name for each in pkgutil.iter_modules([str(FOLDER)])} - listed)

    @cached_property
    def found(self) -> dict[str, str]:
        """What those files define."""
        return {name: place for module in self.modules for name, place in formats_in(module).items()}

    def __getitem__(self, name: str) -> str:
        if name in LISTED:
            return f"{__package__}.formats.{LISTED[name]}"
        module = name.removeprefix("to-").replace("-", "_")
        own = formats_in(module) if module in self.modules else {}
        return own[name] if name in own else self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted([*LISTED, *self.found], key=lambda name: name.startswith("to-")))

    def __len__(self) -> int:
        return len(LISTED) + len(self.found)


class Formats(ClassTable[Options]):
    """Format classes by name."""

    def __init__(self) -> None:
        super().__init__("format", "groundswift.formats", Options, BuiltIn())

    def __getitem__(self, name: str) -> type[Options]:
        found = super().__getitem__(name)
        if lacking := [each for each in DESCRIBED if not getattr(found, each)]:
            raise error_at(
                f"format {name}", f"{found.__module__}:{found.__name__} has no {', '.join(lacking)}", f"{', '.join(DESCRIBED)} on the class"
            )
        return found


FORMATS = Formats()
