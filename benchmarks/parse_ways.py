"""Box text to boxes in pixels of the original image: groundswift's way, and that of supervision's parser of the same text."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from parse_answers import CLASS_NUMBER, CLASSES, SIZE_WH, model_input_wh

from groundswift import families, parse, to_original_px

Way = Callable[[str, bool], np.ndarray]  # text, whether to filter by class -> (N, 4) pixels


def ours(family: str) -> Way:
    """Text to pixels and labels the way a user writes it."""
    row, input_wh = families()[family], model_input_wh(family)

    def way(text: str, filtered: bool) -> np.ndarray:
        objects = parse(text, family).objects
        if filtered:
            objects = [located for located in objects if located.label in CLASS_NUMBER]
        numbers = [located.box for located in objects] if row.boxes else [located.point * 2 for located in objects]
        boxes = to_original_px(numbers, family, SIZE_WH, input_wh)
        labels = [located.label for located in objects]
        _ = np.array(labels), np.array([CLASS_NUMBER[label] for label in labels], dtype=int) if filtered else None
        return boxes

    return way


def peers() -> dict[str, tuple[str, Callable[..., tuple]]]:
    """Family -> (name, function) of supervision's parser of the same text; empty where supervision is not installed.

    Its parsers of Florence-2 and Kosmos-2 take what the processor has read already, no text.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from supervision.detection import vlm
    except ImportError:
        return {}
    names = {
        "qwen2_5_vl": "from_qwen_2_5_vl",
        "qwen3_vl": "from_qwen_3_vl",
        "gemini": "from_google_gemini_2_0",
        "gemma3_vision": "from_google_gemini_2_5",
        "deepseek_vl2": "from_deepseek_vl_2",
        "paligemma": "from_paligemma",
    }
    return {family: (name, getattr(vlm, name)) for family, name in names.items()}


def theirs(family: str, function: Callable[..., tuple]) -> Way:
    """supervision's parser; its first array is the boxes."""
    given = {"resolution_wh": SIZE_WH} | ({"input_wh": model_input_wh(family)} if model_input_wh(family) else {})

    def way(text: str, filtered: bool) -> np.ndarray:
        return function(text, **given, classes=CLASSES if filtered else None)[0]

    return way


def or_nothing(way: Way) -> Callable[[str], object]:
    """A way that goes on where a text makes it raise."""

    def tried(text: str) -> object:
        try:
            return way(text, True)
        except Exception:
            return None

    return tried
