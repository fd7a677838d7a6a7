"""The formats by name: built-in ones, and those of other packages, which add theirs at the entry point group `groundswift.formats`."""

from __future__ import annotations

from groundswift.entry_points import ClassTable
from groundswift.errors import error_at

from .base import Options

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


class Formats(ClassTable[Options]):
    """Format classes by name."""

    def __init__(self) -> None:
        built_in = {name: f"{__package__}.formats.{place}" for name, place in BUILT_IN.items()}
        super().__init__("format", "groundswift.formats", Options, built_in)

    def __getitem__(self, name: str) -> type[Options]:
        found = super().__getitem__(name)
        if lacking := [each for each in DESCRIBED if not getattr(found, each)]:
            raise error_at(
                f"format {name}", f"{found.__module__}:{found.__name__} has no {', '.join(lacking)}", f"{', '.join(DESCRIBED)} on the class"
            )
        return found


FORMATS = Formats()
