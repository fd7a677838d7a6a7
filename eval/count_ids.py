"""The ids of everything that an evaluation counts, and the sentences that explain them. Files, `--json` and tests use the ids."""

from __future__ import annotations

from groundswift.errors import Tally
from groundswift.grammars.parse_warnings import WARNINGS
from groundswift.issue_titles import COCO_TITLES

COUNTS = {  # of metrics.json, those that a reader has to know of where they are over zero
    "missing": "image without a row in the result: its objects are FN",
    "doubled": "duplicate row: an earlier row has the same image and question",
    "unknown": "row whose image is not in the ground truth: skipped",
    "beyond_max_detections": "prediction beyond the limit per class and image (LVIS: per image): does not count",
    "not_looked_for": "prediction of a class that is not annotated in its image: does not count",
    "truncated": "truncated answer: boxes before its end count",
    "unreadable": "answer without a readable box: no predictions",
    "answers_missing": "question without an answer: counts as an empty one",
    "answers_empty": "empty answer",
    "answers_shortened": "answer whose first 10,000 words count",
    "references_without_words": "question without a word in its true answers: undefined",
    "choice_unreadable": "answer that chooses no option, or several: wrong",
    "choice_without_truth": "question without options, or whose true answer is none of them: no choice",
    "verdict_unreadable": "answer without a declared verdict: wrong, no alarm",
    "verdict_truth_unclear": "question for a verdict whose true answer is not a declared one: undefined",
    "not_of_mmad": "question without subtask, dataset, verdict or a letter as its answer: not in the numbers of MMAD",
    "stage_unknown": "question of a stage other than 1 to 3: in no group of stages",
    "answers_truncated": "answer that stopped at its token limit",
}
GROUPS = {  # groups of counts; each key in them is one of REASONS or of the parser's warnings
    "annotations_left_out": "annotation skipped",
    "rows_left_out": "row skipped",
    "predictions_left_out": "prediction skipped",
    "dropped": "dropped from answers",
    "changed": "changed in answers",
    "reasons": "parse warning",
    "judge_problems": "no verdict",
    "unknown_labels": "box of an unknown class",
}
REASONS = {
    "point": "point instead of a box",
    "label-missing": "box without a label",
    "label-asked": "box without a label, of the one class that was asked for",
    "label-normalised": "label that is a class after normalisation (--label-match)",
    "label-synonym": "label that is a synonym of a class (--synonyms)",
    "label-unknown": "box whose label is not a class",
    "box-duplicate": "exact duplicate of a box",
    "box-clipped": "box clipped at the border of its image",
    "tokens-differ": "answer scored as a whole: its tokens and text differ",
    "row-invalid": "not a row",
    "row-duplicate": "duplicate row",
    "row-unknown": "row whose image is not in the ground truth",
    "row-failed": "row without an answer: it could not be given to the model",
    "question-unknown": "answer to a question or image that is not in the ground truth",
    "sample-id-missing": "row without sample_id",
    "response-missing": "row without response",
    "size-missing": "row without size_wh",
    "size-differs": "image size differs from the ground truth",
    "own-limits": "row with its own pixel limits",
    "logprobs-missing": "row without logprobs",
    "logprob-invalid": "log-probability out of range",
    "bbox-type-unknown": "row whose ground-truth boxes are in an unknown bbox_type",
    "true-box-missing": "row without a ground-truth box",
    "true-point-invalid": "row with a ground-truth point outside the image or not finite",
    "box-not-point": "box instead of a point",
    "true-label-missing": "row with a ground-truth box without a phrase",
    "true-labels-several": "row whose answer has several labels",
    "question-duplicate": "duplicate question in --rows",
    "images-several": "row with several images",
    "labels-missing": "row with ground-truth boxes without labels",
    "truth-missing": "row or image without a true answer",
    "truth-empty": "row whose true answer is empty",
    "truth-invalid": "row whose true answer is not text",
    "thinking-removed": "thinking before the answer: does not count",
    "thinking-unclosed": "answer that stops while thinking: counts as an empty one",
    "judge-timeout": "the judge did not reply in time",
    "judge-unreachable": "the judge's server could not be reached, or ended the connection",
    "judge-error": "the judge's server reported an error",
    "judge-too-large": "the judge's reply is larger than 1 MB",
    "judge-not-json": "the judge's reply is not a chat completion (HTML?)",
    "judge-refused": "the judge refused",
    "judge-unreadable": "the judge's reply is neither yes nor no",
    "judge-not-asked": "not asked: the judge had failed ten times in a row",
    "prediction-invalid": "prediction that cannot be read",
    "prediction-duplicate": "duplicate of a prediction, for an object that the ground truth repeats",
    "image-id-missing": "prediction without image_id",
    "category-id-missing": "prediction without category_id",
    "bbox-missing": "prediction without bbox",
    "score-missing": "prediction without score",
    "image-id-unknown": "image_id not in the ground truth",
    "category-id-unknown": "category_id not in the ground truth",
    "area-not-finite": "area not finite",
    "area-negative": "area below 0",
    "area-too-large": "area over 1e10 px\u00b2, beyond COCO's range",
    "score-not-finite": "score not finite",
}


TITLES = {**COCO_TITLES, **REASONS}


def sentence(reason: str, group: str = "") -> str:
    """What an id means in a group of counts; an unknown one is its own sentence."""
    return (WARNINGS if group == "reasons" else TITLES).get(reason, reason.replace("_", " "))


def tally_lines(title: str, tally: Tally) -> list[str]:
    """A title and one line per id, `2  label-unknown: box whose label is not a class (examples)`; [] for an empty tally."""
    return [f"{title}:", *tally.lines(TITLES)] if tally.counts else []
