"""Titles of what readers of COCO files count, by id. Converters and the evaluator share them; `--json` and files hold the ids."""

COCO_TITLES = {
    "image-unknown": "image id that the file does not have",
    "category-unknown": "category id that the file does not have",
    "box-length": "box without 4 numbers",
    "rotation-not-angle": "rotation that is not a number",
    "box-not-finite": "box with NaN or infinity",
    "box-too-large": "box with a number over 1e9 px",
    "box-inverted": "box with x2 < x1 or y2 < y1",
    "box-empty": "box without area",
    "box-outside": "box outside its image",
    "ignore-kept": "object marked ignore, kept as an ordinary object (as pycocotools does)",
    "ignore-as-crowd": "object marked ignore, treated as a crowd box",
    "ignore-skipped": "object marked ignore, skipped",
    "box-from-rotated": "rotated box, replaced by its axis-aligned bounds",
    "box-repeated": "repeated box of the same class, skipped",
    "image-two-ids": "image listed under two ids",
    "annotation-id-repeated": "duplicate annotation id",
    "annotation-image-skipped": "annotation of a skipped image",
    "image-annotation-unreadable": "image with an unreadable annotation, skipped",
    "image-entry-unreadable": "image entry that cannot be read",
    "annotation-entry-unreadable": "annotation entry that cannot be read",
}
