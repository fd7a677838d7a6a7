"""The table of rules: everything that lint can find, its severity, what swift 4.6 does with such a row, and the remedy.

`error`: swift stops, drops or replaces the row, or silently trains on wrong text or a wrong image; or the row cannot be scored.
`warning`: probably a mistake. `info`: good to know.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Rule(NamedTuple):
    """One rule. `title`: what is wrong; `effect`: what follows; `remedy`: what to do; `fixed`: whether --fix does it where it can."""

    id: str
    severity: Severity
    title: str
    effect: str
    remedy: str
    fixed: bool = False


SUBSTITUTED = "training replaces the row by a random other one, swift infer stops"
DEEP = "a _grounding template scales it to 8 bits; swift's own templates clip at 255: black or white"
NO_SCALE = "a _grounding template refuses it; swift's own templates clip at 255: black or white"
DROPPED = "swift drops the row"
REFUSED = "the grounding template refuses the row"
AS_TEXT = "the surplus is trained on as text or dropped"
FETCHED = "fetched in every epoch, not checked here"
STAYS = "it stays in the text"
LABEL_FIRST = "write each label before its boxes"
RELATIVE = "a path that exists where swift is run"

TABLE = (
    # the file
    Rule("file-empty", "error", "file without rows", "swift stops", "give a file with one JSON object per line"),
    Rule("not-json", "error", "line that is not a JSON object", "the whole file cannot be loaded", "one JSON object per line, in UTF-8"),
    Rule("line-too-long", "error", "line of more than 256 MiB", "skipped here, unchecked", "keep images in files, not in the row"),
    # messages
    Rule("no-messages", "error", "row without messages", DROPPED, "add messages: a list of {role, content}"),
    Rule("message-shape", "error", "message that is not {role, content}", DROPPED + " or stops", "role and content, both text"),
    Rule("role-unknown", "error", "role unknown to swift", DROPPED, "use system, user, assistant, tool_call or tool_response"),
    Rule("roles-order", "error", "roles out of order", SUBSTITUTED, "an optional system message, then user and assistant in turn"),
    Rule("content-null", "error", "message without content", DROPPED, "add text; for inference remove the assistant's message"),
    Rule("answer-blank", "warning", "blank answer", "the model is trained to answer nothing", "answer None for an image without objects"),
    Rule("no-answer", "warning", "row without an answer", "usable for inference; training learns nothing from it", "add the answer"),
    Rule("old-columns", "warning", "columns of swift 2.x", "read only if every row has them", "write messages: a list of {role, content}"),
    Rule("rows-mixed", "error", "rows with and without messages", "swift drops those without", "write all rows with messages"),
    # placeholders
    Rule("bbox-count", "error", "different numbers of <bbox> and boxes", AS_TEXT, "write one <bbox> per box"),
    Rule("ref-count", "error", "different numbers of <ref-object> and labels", AS_TEXT, "write one <ref-object> per label"),
    Rule("image-tags-over", "error", "more <image> than images", "the surplus stays in the text", "one <image> per image"),
    Rule("image-tags-under", "info", "fewer <image> than images", "swift puts them before the first message", "one <image> per image"),
    Rule("video-tags-over", "error", "more <video> than videos", "the surplus stays in the text", "one <video> per video"),
    Rule("video-tags-under", "info", "fewer <video> than videos", "swift puts them before the first message", "one <video> per video"),
    Rule(
        *("placeholder-json", "error", "placeholders in another JSON form"),
        *(REFUSED + "; swift's own template trains on it as text", 'write [{"bbox_2d": <bbox>, "label": "<ref-object>"}, ...]'),
    ),
    Rule("list-unclear", "error", "list whose labels could belong to several boxes", REFUSED, LABEL_FIRST),
    Rule("label-after-box", "error", "label after its box in a sentence", "read back as the next box's label: " + REFUSED, LABEL_FIRST),
    Rule("label-unsure", "warning", "sentence whose labels could belong to several boxes", "converters refuse its boxes", LABEL_FIRST),
    Rule("tag-left", "error", "placeholder without a counterpart", STAYS, "remove it"),
    Rule("tag-misspelt", "warning", "misspelt placeholder", STAYS, "write <image>, <ref-object>, <bbox> exactly so"),
    Rule("boxes-as-text", "info", "boxes written as text", "they are not resized or scaled", "use objects with placeholders"),
    # preference rows
    Rule("rejected-same", "error", "rejected_response equal to the answer", DROPPED, "give another answer"),
    Rule("rejected-missing", "error", "rows without rejected_response among others", DROPPED, "use a file whose rows all have one"),
    Rule("rejected-shape", "error", "rejected_response that is not an answer", SUBSTITUTED, "give text, or a list of {role, content}"),
    Rule(
        *("result-row", "warning", "row with a model's response"),
        *("its messages and objects are checked, its response is not; training ignores it", "lint the rows that inference read"),
    ),
    Rule("label-text", "warning", "label of a KTO row as text", "KTO reads any text as true", "write true or false"),
    # objects
    Rule("old-objects", "error", "objects in the form of swift 2.x", DROPPED, "write {ref: [labels], bbox: [boxes], bbox_type}"),
    Rule("bbox-missing", "error", "objects without bbox", DROPPED, "add bbox: a list of boxes, [] for none"),
    Rule("bbox-shape", "error", "bbox that is not a list of boxes", DROPPED + " or stops", "write a list of [x1, y1, x2, y2]"),
    Rule("ref-shape", "error", "ref that is not a list of strings", "each letter becomes a label, or swift stops", "a list of labels"),
    Rule("objects-keys", "info", "keys of objects unknown to swift", "swift drops them", "keep only ref, bbox, bbox_type, image_id"),
    Rule("bbox-type-unknown", "error", "unknown bbox_type", "swift reads the boxes as pixels", "write real (pixels) or norm1 (0 to 1)"),
    Rule("objects-without-image", "error", "boxes without an image", "their numbers are trained on as they are", "add the image"),
    Rule("image-id-range", "error", "image_id without an image", SUBSTITUTED, "number images from 0, one image_id per box"),
    Rule("image-id-short", "error", "fewer image_id than boxes", "swift scales the others by the first image", "write one per box"),
    Rule("image-id-missing", "warning", "several images without image_id", "all boxes count as in the first image", "write one per box"),
    # boxes
    Rule("box-length", "error", "box of neither 4 nor 2 numbers", DROPPED, "write x1, y1, x2, y2; for a point x, y"),
    Rule("box-not-number", "error", "box with a value that is not a number", SUBSTITUTED, "write numbers"),
    Rule("box-nested", "error", "boxes within a box", SUBSTITUTED, "write one list per box, and one <bbox> for each"),
    Rule("box-not-finite", "error", "box with NaN or infinity", SUBSTITUTED, "write finite numbers"),
    Rule("box-inverted", "warning", "x2 < x1 or y2 < y1", "swift swaps them", "write x1, y1, x2, y2; is it x, y, width, height?", True),
    Rule("box-empty", "warning", "box without area", "swift trains on it", "remove it and its placeholders", True),
    Rule("box-outside", "error", "box that extends beyond its image", "numbers below 0 or above the space are trained on", "clip it", True),
    Rule("box-over-edge", "info", "box less than 1 px beyond the edge", "sometimes numbers just above the space", "clip it", True),
    Rule("box-duplicate", "warning", "same box and label twice", "the model learns to repeat itself", "remove one", True),
    Rule(
        *("box-norm1-range", "error", "norm1 box outside 0 to 1"),
        *("numbers outside the space are trained on", "clip it, or use bbox_type real", True),
    ),
    Rule(
        *("boxes-look-like-xywh", "error", "boxes that look like x, y, width, height"),
        *("wrong boxes are trained on", "write x2 = x + width, y2 = y + height"),
    ),
    Rule("boxes-look-like-ratios", "error", "boxes that look like 0 to 1", "every box becomes a dot in the corner", "use bbox_type norm1"),
    Rule(
        *("boxes-look-like-norm1000", "warning", "boxes that look like 0 to 1000"),
        *("they are scaled a second time", "write pixels of the original image"),
    ),
    Rule("point-unwritten", "error", "point for a family without points", REFUSED, "write boxes"),
    # images
    Rule(
        "image-shape",
        "error",
        "images that are not a list of paths",
        SUBSTITUTED + " or stops",
        "a list of paths, or of {path, bytes}",
    ),
    Rule("image-missing", "error", "image not found", SUBSTITUTED, RELATIVE),
    Rule("image-unreadable", "error", "file that Pillow cannot open", SUBSTITUTED, "use a complete image in a common format"),
    Rule("image-broken", "error", "image that cannot be decoded", SUBSTITUTED, "download the file again"),
    Rule("image-too-large", "error", "image beyond Pillow's limit", SUBSTITUTED, "shrink the file"),
    Rule("image-over-budget", "warning", "more pixels than the budget", "it is shrunk and small objects vanish", "split it into tiles"),
    Rule("image-aspect", "error", "one side over 200 times the other", "Qwen's resize refuses it: " + SUBSTITUTED, "split it into tiles"),
    Rule("image-exif-rotated", "info", "EXIF-rotated image", "swift's own templates do not rotate it", "use a _grounding template"),
    Rule(
        *("image-exif-unknown", "warning", "EXIF-rotated image without size_wh"),
        *("its boxes may have been drawn on either orientation", "check that they fit the upright image"),
    ),
    Rule("image-cmyk", "warning", "CMYK image", "its colours are converted without their profile", "save it as RGB"),
    Rule("image-16-bit", "error", "more than 8 bits per channel", DEEP, "use a _grounding template, or save it with 8 bits"),
    Rule("image-no-scale", "error", "grey values without a known scale to 8 bits", NO_SCALE, "save it with 8 bits"),
    Rule("image-alpha", "warning", "image with transparency", "hidden pixels become visible", "flatten it on a background"),
    Rule("image-palette", "info", "image with a palette", "converted to RGB", "nothing to do"),
    Rule("image-remote", "info", "image on the web", FETCHED, "download it once"),
    Rule("image-leak", "error", "image that is in the other set too", "its score is worthless", "remove it from one set"),
    Rule("size-wh-shape", "error", "size_wh that is not width and height", "the evaluator stops", "write [width, height] in px"),
    Rule("size-wh-stored", "error", "size_wh of the stored, not the upright image", "boxes are in the wrong frame", "rotate the boxes"),
    Rule("size-wh-wrong", "error", "size_wh that contradicts the file", "answers are placed wrongly", "use the file that was annotated"),
    Rule("size-wh-missing", "info", "no size_wh", "the evaluator has to open the image", "write size_wh: [width, height]", True),
    # videos
    Rule("video-shape", "error", "videos that are not a list of paths", SUBSTITUTED + " or stops", "a list of paths, or of frame lists"),
    Rule("video-missing", "error", "video not found", SUBSTITUTED, RELATIVE),
    Rule("video-empty", "error", "empty video file", SUBSTITUTED, "download the file again"),
    Rule(
        *("video-no-reader", "error", "video file without a package to decode it"),
        *("swift reports the row as too long: " + SUBSTITUTED, "pip install 'groundswift[video]'"),
    ),
    Rule("video-remote", "info", "video on the web", FETCHED, "download it once"),
    # labels
    Rule("label-empty", "warning", "blank label", "swift trains on it", "give it a name"),
    Rule("label-blank-ends", "warning", "label with leading or trailing blanks", "a model reads it as another label", "strip it"),
    Rule("label-control", "warning", "label with a line break or control character", "swift trains on it", "write one line of text"),
    Rule("label-long", "warning", "label of more than 1000 characters", "swift trains on it", "give it a name"),
    Rule("label-placeholder", "error", "label with one of swift's placeholders", "swift may read it as one", "rename it"),
    Rule("label-refused", "error", "label that the family cannot write", REFUSED, "rename it"),
    Rule("label-changed", "error", "label that is read back as another", "right answers are scored as wrong", "rename it"),
    Rule("label-mark", "warning", "label that some families cannot write", "wrong in those families", "rename it; check one with --family"),
    Rule("label-variants", "warning", "labels that differ only in case or blanks", "they count as two classes", "use one spelling"),
    Rule("label-close", "info", "rare label close to a frequent one", "they count as two classes", "check for a typo"),
    # rows and the set
    Rule("row-too-long", "error", "row of more tokens than --max-length", "silently replaced; swift infer stops", "raise --max_length"),
    Rule("row-not-encodable", "error", "row that swift's template refuses", SUBSTITUTED, "see its message"),
    Rule("sample-id-missing", "info", "rows without sample_id", "results cannot be joined by id", "add a sample_id"),
    Rule(
        *("sample-id-types", "warning", "numbers and strings as sample_id in one file"),
        "swift --streaming true stops at it (ArrowInvalid or ArrowTypeError) or changes the ids; without streaming it trains",
        "use one type; groundswift mix FILE --out NEW writes all as strings",
    ),
    Rule("sample-id-duplicate", "warning", "duplicate sample_id and question", "only the first row is scored", "write each once"),
    Rule("row-duplicate", "warning", "duplicate row", "it counts twice", "remove one"),
    Rule("no-negatives", "info", "no row without objects", "the model may find objects everywhere", "add empty images, answer None"),
)
RULES: dict[str, Rule] = {rule.id: rule for rule in TABLE}


def rules_text() -> str:
    """The table as `groundswift lint --rules` prints it."""
    lines = []
    for rule in TABLE:
        lines += [f"{rule.id:<26}{rule.severity:<9}{rule.title}", f"{'':<35}{rule.effect}", f"{'':<35}Fix: {remedy_text(rule)}"]
    return "\n".join(lines)


def remedy_text(rule: Rule) -> str:
    """The remedy, and whether --fix does it."""
    return rule.remedy + (" (--fix)" if rule.fixed else "")
