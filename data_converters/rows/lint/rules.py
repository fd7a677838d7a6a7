"""The table of rules: everything that the lint can find, how grave it is, what swift 4.6 does with such a row, and how to mend it.

`error`: swift stops, drops the row or puts another in its place, or trains on a wrong text or picture in silence; or the score
would be none. `warning`: probably not what was meant. `info`: good to know.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Rule(NamedTuple):
    """One rule. `title`: what is wrong; `effect`: what comes of it; `mend`: the way out; `fixed`: whether --fix mends it where it can."""

    id: str
    severity: Severity
    title: str
    effect: str
    mend: str
    fixed: bool = False


SUBSTITUTED = "training puts another row in its place at random, swift infer stops"
DEEP = "a _grounding template scales it to 8 bits; swift's own templates cut at 255: black or white"
NO_SCALE = "a _grounding template refuses it; swift's own templates cut at 255: black or white"
DROPPED = "swift drops the row"

RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        # the file
        Rule("file-empty", "error", "a file without rows", "swift stops", "give a file with one JSON object a line"),
        Rule("not-json", "error", "a line that is no JSON object", "the whole file cannot be loaded", "one JSON object a line, in UTF-8"),
        Rule(
            "line-too-long",
            "error",
            "a line of more than 256 MiB",
            "passed over here, unchecked",
            "keep pictures in files, not in the row",
        ),
        # messages
        Rule("no-messages", "error", "a row without messages", DROPPED, "messages: a list of {role, content}"),
        Rule("message-shape", "error", "a message that is no {role, content}", DROPPED + " or stops", "role and content, both text"),
        Rule("role-unknown", "error", "a role that swift does not know", DROPPED, "system, user, assistant, tool_call or tool_response"),
        Rule("roles-order", "error", "roles out of order", SUBSTITUTED, "system first if at all, then user and assistant in turn"),
        Rule("content-null", "error", "a message without content", DROPPED, "a text; for inference leave the assistant's message out"),
        Rule("answer-blank", "warning", "a blank answer", "swift trains on saying nothing", "None for a picture without objects"),
        Rule("no-answer", "warning", "a row without an answer", "good for inference; in training nothing is learnt", "add the answer"),
        Rule("old-columns", "warning", "columns of swift 2.x", "read while every row has them", "write them as messages (role, content)"),
        Rule("rows-mixed", "error", "rows with and without messages", "swift drops those without", "write all rows with messages"),
        # placeholders
        Rule("bbox-count", "error", "<bbox> and boxes differ in number", "the surplus is learnt as text or left out", "one a box"),
        Rule(
            "ref-count",
            "error",
            "<ref-object> and labels differ in number",
            "the surplus is learnt as text or left out",
            "one a box",
        ),
        Rule("image-tags-over", "error", "more <image> than images", "the surplus stays in the text", "one <image> an image"),
        Rule("image-tags-under", "info", "fewer <image> than images", "swift puts them before the first message", "one <image> an image"),
        Rule("video-tags-over", "error", "more <video> than videos", "the surplus stays in the text", "one <video> a video"),
        Rule("video-tags-under", "info", "fewer <video> than videos", "swift puts them before the first message", "one <video> a video"),
        Rule(
            "placeholder-json",
            "error",
            "placeholders in JSON of another form",
            "the grounding template refuses the row; swift's own trains on it as it stands",
            '[{"bbox_2d": <bbox>, "label": "<ref-object>"}, ...]',
        ),
        Rule(
            "list-unclear",
            "error",
            "a list whose labels may belong to one box or another",
            "the grounding template refuses the row",
            "each label before its boxes",
        ),
        Rule(
            "label-after-box",
            "error",
            "labels behind their boxes in a sentence",
            "they are read back as labels of the next box: the grounding template refuses the row",
            "each label before its boxes",
        ),
        Rule(
            "label-unsure",
            "warning",
            "a sentence that does not say which label a box has",
            "converters refuse its boxes",
            "each label before its boxes",
        ),
        Rule("tag-left", "error", "a placeholder that nothing stands for", "it stays in the text", "remove it"),
        Rule(
            "tag-misspelt", "warning", "what looks like a placeholder", "it stays in the text", "<image>, <ref-object>, <bbox>, exactly so"
        ),
        Rule("boxes-as-text", "info", "boxes written as text", "no resize or scale is applied to them", "objects with placeholders"),
        # preference rows
        Rule("rejected-same", "error", "a rejected_response that is the answer", DROPPED, "another answer"),
        Rule("rejected-missing", "error", "rows without rejected_response among others", DROPPED, "a file of rows that all have one"),
        Rule("rejected-shape", "error", "a rejected_response that is no answer", SUBSTITUTED, "a text, or a list of {role, content}"),
        Rule(
            "result-row",
            "warning",
            "a row that holds the response of a model",
            "its messages and objects are checked, the response is not; training ignores it",
            "the rows that inference read",
        ),
        Rule("label-text", "warning", "a label that is text", "KTO takes any text for true", "true or false"),
        # objects
        Rule("old-objects", "error", "objects as swift 2.x had them", DROPPED, "an object {ref: [labels], bbox: [boxes], bbox_type}"),
        Rule("bbox-missing", "error", "objects without bbox", DROPPED, "bbox: a list of boxes, [] for none"),
        Rule("bbox-shape", "error", "bbox is no list of boxes", DROPPED + " or stops", "a list of [x1, y1, x2, y2]"),
        Rule("ref-shape", "error", "ref is no list of texts", "each letter becomes a label, or swift stops", "a list of labels"),
        Rule("objects-keys", "info", "keys of objects that swift does not know", "swift drops them", "only ref, bbox, bbox_type, image_id"),
        Rule("bbox-type-unknown", "error", "an unknown bbox_type", "swift takes the boxes for pixels", "real (pixels) or norm1 (0 to 1)"),
        Rule("objects-without-image", "error", "boxes without an image", "the raw numbers are trained on", "add the image"),
        Rule("image-id-range", "error", "an image_id that no image has", SUBSTITUTED, "numbers from 0, one a box"),
        Rule("image-id-short", "error", "fewer image_id than boxes", "swift scales the rest by the first image", "one a box"),
        Rule(
            "image-id-missing", "warning", "several images and no image_id", "all boxes count as in the first image", "image_id, one a box"
        ),
        # boxes
        Rule("box-length", "error", "a box of neither 4 nor 2 numbers", DROPPED, "x1, y1, x2, y2; x, y for a point"),
        Rule("box-not-number", "error", "a box with what is no number", SUBSTITUTED, "numbers"),
        Rule("box-nested", "error", "boxes within a box", SUBSTITUTED, "one list a box, and a <bbox> for each"),
        Rule("box-not-finite", "error", "a box with NaN or infinity", SUBSTITUTED, "finite numbers"),
        Rule("box-inverted", "warning", "x2 < x1 or y2 < y1", "swift swaps them", "x1, y1, x2, y2; is it x, y, width, height?", True),
        Rule("box-empty", "warning", "a box without area", "swift trains on it", "leave it out, with its placeholders", True),
        Rule("box-outside", "error", "a box that leaves its image", "numbers below 0 or above the space are trained on", "clip it", True),
        Rule("box-over-edge", "info", "a box less than 1 px over the edge", "numbers just above the space, at times", "clip it", True),
        Rule("box-duplicate", "warning", "the same box with the same label twice", "the model learns to repeat", "leave one", True),
        Rule(
            "box-norm1-range",
            "error",
            "a norm1 box outside 0 to 1",
            "numbers outside the space are trained on",
            "clip, or bbox_type real",
            True,
        ),
        Rule(
            "boxes-look-like-xywh",
            "error",
            "boxes that look like x, y, width, height",
            "wrong boxes are trained on",
            "x2 = x + width, y2 = y + height",
        ),
        Rule("boxes-look-like-ratios", "error", "boxes that look like 0 to 1", "every box becomes a dot in the corner", "bbox_type norm1"),
        Rule(
            "boxes-look-like-norm1000",
            "warning",
            "boxes that look like 0 to 1000",
            "they are scaled a second time",
            "boxes in pixels of the file",
        ),
        Rule("point-unwritten", "error", "a point, and the family has no points", "the grounding template refuses the row", "boxes"),
        # images
        Rule("image-shape", "error", "images is no list of paths", SUBSTITUTED + " or stops", "a list of paths, or {path, bytes}"),
        Rule("image-missing", "error", "an image that is not there", SUBSTITUTED, "a path that leads to it from where swift is run"),
        Rule("image-unreadable", "error", "a file that Pillow cannot open", SUBSTITUTED, "a whole picture in a common format"),
        Rule("image-broken", "error", "a picture that cannot be decoded", SUBSTITUTED, "fetch the file again"),
        Rule("image-too-large", "error", "beyond Pillow's limit against bombs", SUBSTITUTED, "make the file smaller"),
        Rule("image-over-budget", "warning", "more pixels than the budget", "it is shrunk, and small objects vanish", "cut it into tiles"),
        Rule("image-aspect", "error", "one side over 200 times the other", "Qwen's resize refuses it: " + SUBSTITUTED, "cut it into tiles"),
        Rule("image-turned", "info", "turned by its EXIF orientation", "swift's own templates feed it unturned", "a _grounding template"),
        Rule(
            "image-turned-unknown",
            "warning",
            "turned by EXIF, and no size_wh",
            "whether its boxes are right depends on how they were drawn",
            "check that they fit the upright picture",
        ),
        Rule("image-cmyk", "warning", "a CMYK picture", "colours are converted without their profile", "save it as RGB"),
        Rule("image-16-bit", "error", "more than 8 bits a channel", DEEP, "a _grounding template, or save it with 8 bits"),
        Rule("image-no-scale", "error", "grey values that no scale to 8 bits is known for", NO_SCALE, "save it with 8 bits"),
        Rule("image-alpha", "warning", "a picture with transparency", "what is hidden below it is shown", "lay it on a background"),
        Rule("image-palette", "info", "a picture with a palette", "converted to RGB", "nothing"),
        Rule("image-remote", "info", "a picture on the network", "fetched at every epoch; not checked here", "fetch it once"),
        Rule("image-leak", "error", "a picture that the other set has too", "the score on it is worth nothing", "take it out of one"),
        Rule("size-wh-shape", "error", "size_wh is no width and height", "the evaluator stops", "[width, height] in px"),
        Rule("size-wh-stored", "error", "size_wh of the stored, not the upright picture", "boxes on the wrong frame", "turn the boxes"),
        Rule("size-wh-wrong", "error", "size_wh contradicts the file", "answers are placed wrongly", "the file that was annotated"),
        Rule("size-wh-missing", "info", "no size_wh", "the evaluator has to open the picture", "size_wh: [width, height]", True),
        # videos
        Rule("video-shape", "error", "videos is no list of paths", SUBSTITUTED + " or stops", "a list of paths, or of lists of frames"),
        Rule("video-missing", "error", "a video that is not there", SUBSTITUTED, "a path that leads to it from where swift is run"),
        Rule("video-empty", "error", "a video file without content", SUBSTITUTED, "fetch the file again"),
        Rule(
            "video-no-reader",
            "error",
            "a video file, and no package to decode it",
            "swift says that the row is too long: " + SUBSTITUTED,
            "pip install 'groundswift[video]'",
        ),
        Rule("video-remote", "info", "a video on the network", "fetched at every epoch; not checked here", "fetch it once"),
        # labels
        Rule("label-empty", "warning", "a blank label", "swift trains on it", "a name"),
        Rule("label-blank-ends", "warning", "a label with blanks at its ends", "it is another label to a model", "strip it"),
        Rule("label-control", "warning", "a label with a line break or control character", "swift trains on it", "one line of text"),
        Rule("label-long", "warning", "a label of more than 1000 characters", "swift trains on it", "a name"),
        Rule("label-placeholder", "error", "a label with one of swift's placeholders", "swift may take it for one", "another name"),
        Rule("label-refused", "error", "a label that the family cannot write", "the grounding template refuses the row", "another name"),
        Rule("label-changed", "error", "a label that is read back as another", "right answers score as wrong", "another name"),
        Rule(
            "label-mark", "warning", "a label that some families cannot write", "wrong in those families", "another name; --family for one"
        ),
        Rule("label-variants", "warning", "labels that differ by case or blanks only", "they are two classes", "one spelling"),
        Rule("label-close", "info", "a rare label close to a frequent one", "they are two classes", "look whether it is a slip"),
        # rows and the set
        Rule(
            "row-too-long",
            "error",
            "a row of more tokens than --max-length",
            "replaced in silence; swift infer stops",
            "a larger --max_length",
        ),
        Rule("row-not-encodable", "error", "a row that swift's template refuses", SUBSTITUTED, "see what it says"),
        Rule("sample-id-missing", "info", "rows without sample_id", "results cannot be joined by id", "a sample_id"),
        Rule(
            "sample-id-types",
            "warning",
            "a file with numbers and texts as sample_id",
            "swift --streaming true stops at it (ArrowInvalid or ArrowTypeError) or changes the ids; without streaming it trains",
            "one type; groundswift mix FILE --out NEW writes all as text",
        ),
        Rule("sample-id-doubled", "warning", "a sample_id and question that came before", "only the first row is scored", "each once"),
        Rule("row-doubled", "warning", "a row that came before", "it counts twice", "leave one"),
        Rule(
            "no-negatives", "info", "no row without objects", "the model may find something everywhere", "add empty pictures, answer None"
        ),
    )
}


def rules_text() -> str:
    """The table as `groundswift lint --rules` prints it."""
    lines = []
    for rule in RULES.values():
        mend = rule.mend + (" (--fix)" if rule.fixed else "")
        lines += [f"{rule.id:<26}{rule.severity:<9}{rule.title}", f"{'':<35}{rule.effect}; mend: {mend}"]
    return "\n".join(lines)
