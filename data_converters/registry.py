"""The table of source formats: name -> where its options class is, what it reads and what comes out. The README's table is this one."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from .base import Options


class FormatRow(NamedTuple):
    """`place` is `module:class` below this package; `summary` is one line of help."""

    name: str
    place: str
    summary: str
    source: str
    tasks: str

    @property
    def makes_rows(self) -> bool:
        """Whether rows for swift come out; the others write rows back as another format."""
        return not self.name.startswith("to-")

    def options(self) -> type[Options]:
        """The format itself: its options, which know how to read it."""
        module, name = self.place.split(":")
        return getattr(import_module(f"{__package__}.{module}"), name)


def markdown_row(row: FormatRow) -> str:
    """The line of a format in the README's table."""
    return f"| `groundswift convert {row.name}` | {row.source} | {row.tasks} |"


FORMATS = {
    row.name: row
    for row in (
        FormatRow(
            "coco",
            "formats.coco.source:CocoOptions",
            "COCO instances.",
            "COCO instances, one JSON file",
            "detection",
        ),
        FormatRow(
            "coco-captions",
            "formats.coco.captions:CocoCaptionsOptions",
            "COCO captions.",
            "COCO captions, one JSON file",
            "captions",
        ),
        FormatRow(
            "yolo",
            "formats.yolo.source:YoloOptions",
            "YOLO data sets.",
            "YOLO: data.yaml, boxes, polygons, rotated boxes, poses",
            "detection",
        ),
        FormatRow(
            "voc",
            "formats.voc:VocOptions",
            "Pascal VOC.",
            "Pascal VOC, a folder of XML files",
            "detection",
        ),
        FormatRow(
            "cvat",
            "formats.cvat.source:CvatOptions",
            "CVAT for images 1.1.",
            "CVAT for images 1.1: the XML file of a task, project or job",
            "detection",
        ),
        FormatRow(
            "dota",
            "formats.dota:DotaOptions",
            "DOTA.",
            "DOTA, a folder of text files of rotated boxes",
            "detection",
        ),
        FormatRow(
            "openimages",
            "formats.openimages:OpenImagesOptions",
            "Open Images.",
            "Open Images, a CSV file of boxes",
            "detection",
        ),
        FormatRow(
            "refcoco",
            "formats.refcoco.source:RefcocoOptions",
            "RefCOCO, RefCOCO+, RefCOCOg by REFER.",
            "RefCOCO, RefCOCO+, RefCOCOg: REFER's pickles and instances.json",
            "referring (find), describing",
        ),
        FormatRow(
            "refcoco-hub",
            "formats.refcoco.hub:RefcocoHubOptions",
            "RefCOCO, RefCOCO+, RefCOCOg of the hubs.",
            "RefCOCO, RefCOCO+, RefCOCOg: rows of lmms-lab or jxu124 (swift/refcoco), Parquet, JSONL, JSON",
            "referring (find), describing",
        ),
        FormatRow(
            "visual-genome",
            "formats.visual_genome:VisualGenomeOptions",
            "Visual Genome regions or objects.",
            "Visual Genome: region_descriptions.json, objects.json",
            "referring (find), describing",
        ),
        FormatRow(
            "flickr30k",
            "formats.flickr30k.source:Flickr30kOptions",
            "Flickr30k Entities.",
            "Flickr30k Entities: sentences and XML",
            "grounded caption, phrase grounding, and the reverse",
        ),
        FormatRow(
            "shikra",
            "formats.shikra.source:ShikraOptions",
            "Rows of Shikra.",
            "Shikra rows: boxes, points, conversations",
            "any conversation, with boxes and points; referring (find), describing",
        ),
        FormatRow(
            "llava",
            "formats.llava:LlavaOptions",
            "Conversations as LLaVA has them.",
            "LLaVA conversations: JSON, JSONL, Parquet",
            "conversation",
        ),
        FormatRow(
            "otter",
            "formats.otter:OtterOptions",
            "MIMIC-IT, Otter's instructions.",
            "MIMIC-IT (Otter): instructions and pictures in JSON",
            "conversation",
        ),
        FormatRow(
            "scienceqa",
            "formats.scienceqa:ScienceQaOptions",
            "ScienceQA.",
            "ScienceQA: original files, or rows of the hubs",
            "question answering",
        ),
        FormatRow(
            "image-text",
            "formats.image_text:ImageTextOptions",
            "A picture and its text.",
            "a picture and its text a row: CSV, JSON, JSONL, Parquet",
            "captions, OCR, LaTeX",
        ),
        FormatRow(
            "latex-ocr",
            "formats.image_text:LatexOcrOptions",
            "LaTeX-OCR.",
            "LaTeX-OCR: rows of the hubs",
            "formulas as LaTeX",
        ),
        FormatRow(
            "video-chatgpt",
            "formats.video_chatgpt:VideoChatGptOptions",
            "Questions about videos.",
            "VideoChatGPT: rows of the hubs, the benchmark's own files, VideoInstruct100K",
            "video answering",
        ),
        FormatRow(
            "glm4v",
            "formats.glm4v:Glm4vOptions",
            "GLM-4V's fine-tuning rows.",
            "GLM-4V messages: JSON, JSONL",
            "conversation",
        ),
        FormatRow(
            "phi3v",
            "formats.phi3v:Phi3vOptions",
            "Phi-3-vision's fine-tuning rows.",
            "Phi-3-vision in the forms of LLaVA, ms-swift and the cookbook",
            "conversation",
        ),
        FormatRow(
            "swift2",
            "formats.swift2.source:Swift2Options",
            "Rows of ms-swift 2.x.",
            "rows of ms-swift 2.x, each of its forms",
            "any conversation, in today's form",
        ),
        FormatRow(
            "to-coco",
            "formats.coco.export:ToCocoOptions",
            "Rows back to a COCO file.",
            "swift rows",
            "COCO instances",
        ),
        FormatRow(
            "to-yolo",
            "formats.yolo.export:ToYoloOptions",
            "Rows back to a YOLO data set.",
            "swift rows",
            "YOLO data set",
        ),
        FormatRow(
            "to-shikra",
            "formats.shikra.export:ToShikraOptions",
            "Rows back to rows of Shikra.",
            "swift rows",
            "Shikra rows",
        ),
        FormatRow(
            "to-glm4v",
            "formats.glm4v:ToGlm4vOptions",
            "Rows as GLM-4V's.",
            "swift rows",
            "GLM-4V messages",
        ),
        FormatRow(
            "to-phi3v",
            "formats.phi3v:ToPhi3vOptions",
            "Rows as Phi-3-vision's.",
            "swift rows",
            "Phi-3-vision JSON",
        ),
    )
}
