"""The table of source formats: name -> where its options class is, what it reads and what comes out. The README's table is this one."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from .reading import Options


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
        FormatRow("coco", "coco:CocoOptions", "COCO instances.", "COCO instances, one JSON file", "detection"),
        FormatRow("coco-captions", "coco_captions:CocoCaptionsOptions", "COCO captions.", "COCO captions, one JSON file", "captions"),
        FormatRow("yolo", "yolo:YoloOptions", "YOLO data sets.", "YOLO: data.yaml, boxes, polygons, rotated boxes, poses", "detection"),
        FormatRow("voc", "voc:VocOptions", "Pascal VOC.", "Pascal VOC, a folder of XML files", "detection"),
        FormatRow(
            "cvat", "cvat:CvatOptions", "CVAT for images 1.1.", "CVAT for images 1.1: the XML file of a task, project or job", "detection"
        ),
        FormatRow("dota", "dota:DotaOptions", "DOTA.", "DOTA, a folder of text files of rotated boxes", "detection"),
        FormatRow("openimages", "openimages:OpenImagesOptions", "Open Images.", "Open Images, a CSV file of boxes", "detection"),
        FormatRow(
            "refcoco",
            "refcoco:RefcocoOptions",
            "RefCOCO, RefCOCO+, RefCOCOg by REFER.",
            "RefCOCO, RefCOCO+, RefCOCOg: REFER's pickles and instances.json",
            "referring (find), describing",
        ),
        FormatRow(
            "refcoco-hub",
            "refcoco_hub:RefcocoHubOptions",
            "RefCOCO, RefCOCO+, RefCOCOg of the hubs.",
            "RefCOCO, RefCOCO+, RefCOCOg: rows of lmms-lab or jxu124 (swift/refcoco), Parquet, JSONL, JSON",
            "referring (find), describing",
        ),
        FormatRow(
            "visual-genome",
            "visual_genome:VisualGenomeOptions",
            "Visual Genome regions or objects.",
            "Visual Genome: region_descriptions.json, objects.json",
            "referring (find), describing",
        ),
        FormatRow(
            "flickr30k",
            "flickr30k:Flickr30kOptions",
            "Flickr30k Entities.",
            "Flickr30k Entities: sentences and XML",
            "grounded caption, phrase grounding, and the reverse",
        ),
        FormatRow(
            "shikra",
            "shikra:ShikraOptions",
            "Rows of Shikra.",
            "Shikra rows: boxes, points, conversations",
            "any conversation, with boxes and points; referring (find), describing",
        ),
        FormatRow(
            "llava", "llava:LlavaOptions", "Conversations as LLaVA has them.", "LLaVA conversations: JSON, JSONL, Parquet", "conversation"
        ),
        FormatRow(
            "otter",
            "otter:OtterOptions",
            "MIMIC-IT, Otter's instructions.",
            "MIMIC-IT (Otter): instructions and pictures in JSON",
            "conversation",
        ),
        FormatRow(
            "scienceqa", "scienceqa:ScienceQaOptions", "ScienceQA.", "ScienceQA: original files, or rows of the hubs", "question answering"
        ),
        FormatRow(
            "image-text",
            "image_text:ImageTextOptions",
            "A picture and its text.",
            "a picture and its text a row: CSV, JSON, JSONL, Parquet",
            "captions, OCR, LaTeX",
        ),
        FormatRow("latex-ocr", "image_text:LatexOcrOptions", "LaTeX-OCR.", "LaTeX-OCR: rows of the hubs", "formulas as LaTeX"),
        FormatRow(
            "video-chatgpt",
            "video_chatgpt:VideoChatGptOptions",
            "Questions about videos.",
            "VideoChatGPT: rows of the hubs, the benchmark's own files, VideoInstruct100K",
            "video answering",
        ),
        FormatRow("glm4v", "glm4v:Glm4vOptions", "GLM-4V's fine-tuning rows.", "GLM-4V messages: JSON, JSONL", "conversation"),
        FormatRow(
            "phi3v",
            "phi3v:Phi3vOptions",
            "Phi-3-vision's fine-tuning rows.",
            "Phi-3-vision in the forms of LLaVA, ms-swift and the cookbook",
            "conversation",
        ),
        FormatRow(
            "swift2",
            "swift2:Swift2Options",
            "Rows of ms-swift 2.x.",
            "rows of ms-swift 2.x, each of its forms",
            "any conversation, in today's form",
        ),
        FormatRow("to-coco", "to_coco:ToCocoOptions", "Rows back to a COCO file.", "swift rows", "COCO instances"),
        FormatRow("to-yolo", "to_yolo:ToYoloOptions", "Rows back to a YOLO data set.", "swift rows", "YOLO data set"),
        FormatRow("to-shikra", "to_shikra:ToShikraOptions", "Rows back to rows of Shikra.", "swift rows", "Shikra rows"),
        FormatRow("to-glm4v", "glm4v:ToGlm4vOptions", "Rows as GLM-4V's.", "swift rows", "GLM-4V messages"),
        FormatRow("to-phi3v", "to_phi3v:ToPhi3vOptions", "Rows as Phi-3-vision's.", "swift rows", "Phi-3-vision JSON"),
    )
}
