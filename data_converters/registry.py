"""The formats by name: built-in ones, and those of other packages, which add theirs at the entry point group `groundswift.formats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points

from groundswift.entry_points import load_entry
from groundswift.errors import error_at

from .base import Options

GROUP = "groundswift.formats"
DESCRIBED = ("summary", "reads", "writes", "EXAMPLE")  # what help, the table of formats and the contract test need
BUILT_IN = {  # name -> module of `formats`, class
    "coco": "coco.source:CocoOptions",
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
    "to-shikra": "shikra.export:ToShikraOptions",
    "to-glm4v": "glm4v:ToGlm4vOptions",
    "to-phi3v": "phi3v:ToPhi3vOptions",
}


class Formats(Mapping[str, type[Options]]):
    """Format classes by name. A class is imported when it is looked up."""

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """Where each format is. Raises GroundswiftError where a package adds a name that is taken."""
        found = {name: EntryPoint(name, f"{__package__}.formats.{place}", GROUP) for name, place in BUILT_IN.items()}
        for entry in entry_points(group=GROUP):
            if entry.name in found:
                raise error_at(f"format {entry.name} of {entry.value}", f"the name is taken by {found[entry.name].value}", "another name")
            found[entry.name] = entry
        return found

    def __getitem__(self, name: str) -> type[Options]:
        entry = self.entries[name]
        found = load_entry(entry, type)
        if not (issubclass(found, Options) and found.name == name):
            raise error_at(f"format {name}", f"{entry.value} is not a format of this name", f"a subclass of Options with name = {name!r}")
        if lacking := [each for each in DESCRIBED if not getattr(found, each)]:
            raise error_at(f"format {name}", f"{entry.value} has no {', '.join(lacking)}", f"{', '.join(DESCRIBED)} on the class")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


FORMATS = Formats()
