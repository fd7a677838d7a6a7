"""The table: model family -> grammar, coordinate space, model input. The one place where a family is described.

A row is data. Formatters, parsers, templates, the evaluator, the README's table and the tests read it; none of them has a case for a
family of its own. Sources of the facts stand in each row's `source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import GroundswiftError
from .spaces import quantum, space_row

TEMPLATE_SUFFIX = "_grounding"  # our template is swift's own, with the family's box text


@dataclass(frozen=True)
class Family:
    """How one model family writes a box, and what it is fed.

    `grammar`: a key of `grammars.GRAMMARS`. `space`: a key of `spaces.SPACES`, which has divisor and rounding.
    `swift_templates`: swift's own templates whose models are of this family; each has one of ours, named with `_grounding` behind;
    without any the family is read, not trained. `axis_order`: as written; in our arrays it is always x1, y1, x2, y2.
    `labels`: whether a box has a label of its own in the family's pre-training. `boxes`, `points`: whether a box or a point can be written.
    `empty_answer`: what 'no object' looks like. `resize_factor`: both sides of the model's input are multiples of it (px); None where the
    model's own processor does something else. `min_pixels`, `max_pixels`: default limits of the input's area in px.
    `traps`: what goes wrong, one sentence each.
    """

    name: str
    grammar: str
    space: str
    swift_model_types: tuple[str, ...]
    swift_templates: tuple[str, ...]
    source: str
    empty_answer: str = "None"
    axis_order: Literal["x1y1x2y2", "y1x1y2x2"] = "x1y1x2y2"
    labels: bool = True
    boxes: bool = True
    points: bool = True
    resize_factor: int | None = None
    min_pixels: int = 0
    max_pixels: int = 0
    traps: tuple[str, ...] = ()

    @property
    def templates(self) -> tuple[str, ...]:
        """Our templates, in the order of `swift_templates`."""
        return tuple(name + TEMPLATE_SUFFIX for name in self.swift_templates)

    def quantum_px(self, size_wh: tuple[int, int], resized_wh: tuple[int, int] | None = None) -> tuple[float, float]:
        """The step of the last written digit in original pixels (x, y): no answer can be more exact than half of it."""
        space = space_row(self.space)
        if space.side == "resized" and resized_wh is None:
            raise GroundswiftError(needs_resized_wh(self.name))
        step_x, step_y = quantum(space, size_wh, resized_wh).tolist()
        return step_x, step_y


def needs_resized_wh(family: str) -> str:
    """What to say where a size that the space needs was not given, and how to get it."""
    return (
        f"family {family} writes boxes in pixels of the resized image, so its resized_wh must be given: "
        "groundswift.resized_wh(size_wh, family, min_pixels, max_pixels) computes it from the limits that the run used"
    )


def token_limits(factor: int) -> dict[str, int]:
    """A resize to multiples of `factor` px, with the default limits of 4 to 16384 tokens of qwen-vl-utils 0.0.14."""
    return {"resize_factor": factor, "min_pixels": 4 * factor**2, "max_pixels": 16384 * factor**2}


NO_JSON = "```json\n[]\n```"
NATIVE_NONE = "nothing native: the text is swift's own, which these models learn only by training"
FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family(
            "qwen_vl",
            "qwen_ref_box",
            "norm1000",
            ("qwen_vl",),
            ("qwen_vl", "qwen_vl_base"),
            "Qwen-VL README and its REC evaluation script",
            traps=(
                "its REC evaluation script divides by 999",
                "the base model knows no <|im_start|> and <|im_end|>: use qwen_vl_base_grounding, "
                "or train embedding and output layer too (--modules_to_save wte lm_head)",
            ),
        ),
        Family(
            "qwen2_vl",
            "qwen2_tokens",
            "norm1000",
            ("qwen2_vl",),
            ("qwen2_vl",),
            "QwenLM/Qwen3-VL#105; ms-swift documentation",
            **token_limits(28),
        ),
        Family(
            "qwen2_5_vl",
            "json_bbox_2d",
            "resized_px",
            ("qwen2_5_vl",),
            ("qwen2_5_vl",),
            "QwenLM/Qwen3-VL#676",
            NO_JSON,
            **token_limits(28),
            traps=(
                "a box means nothing without the pixel limits of its run",
                "transformers 5.3.0 to 5.5.3 shift its boxes",
                "data of Qwen2.5-VL cannot be used for Qwen3-VL, nor the other way round",
            ),
        ),
        Family(
            "qwen3_vl",
            "json_bbox_2d",
            "norm1000",
            ("qwen3_vl", "qwen3_vl_moe"),
            ("qwen3_vl",),
            "Qwen3-VL cookbook; QwenLM/Qwen3-VL#1623",
            NO_JSON,
            **token_limits(32),
            traps=("text of Qwen2.5-VL looks the same and is in pixels",),
        ),
        Family(
            "qwen3_5",
            "json_bbox_2d",
            "norm1000",
            ("qwen3_5", "qwen3_5_moe"),
            ("qwen3_5",),
            "Qwen3-VL cookbook; ms-swift template",
            NO_JSON,
            **token_limits(32),
            traps=("swift puts an empty <think> block before the answer",),
        ),
        Family(
            "mimo_vl",
            "json_bbox_2d",
            "resized_px",
            ("qwen2_5_vl",),
            ("mimo_vl",),
            "ms-swift template (norm_bbox none)",
            NO_JSON,
            **token_limits(28),
            traps=("a box means nothing without the pixel limits of its run", "its model type in swift is that of Qwen2.5-VL"),
        ),
        Family(
            "chatglm4v",
            "glm_box",
            "norm1000",
            ("chatglm4v",),
            ("chatglm4v",),
            "zai-org/GLM-4#196",
            labels=False,
            traps=("GLM-4V-9B has no grounding of its own: the text is that of its successors, and it must be trained",),
        ),
        Family(
            "glm4v",
            "glm_box",
            "norm1000",
            ("glm4v", "glm4v_moe"),
            ("glm4v", "glm4_5v"),
            "GLM-V README; zai-org/GLM-V#114, #118",
            labels=False,
            traps=("the marks of a box wrap any final answer", "brackets vary: [], [[]], (), <>", "usually no label"),
        ),
        Family(
            "cogvlm",
            "cogvlm_brackets",
            "norm999",
            ("cogvlm", "cogvlm2"),
            ("cogvlm", "cogvlm2"),
            "CogVLM converter",
            labels=False,
            traps=("numbers have three digits, 000 to 999", "its viewer divides by 1000"),
        ),
        Family(
            "internvl",
            "internvl_ref_box",
            "norm1000",
            ("internvl", "internvl_chat"),
            ("internvl_hf", "internvl", "internvl_phi3", "internvl2", "internvl2_phi3", "internvl2_5", "internvl3_5", "internvl3_5_gpt"),
            "OpenGVLab/InternVL#227, #285",
        ),
        Family(
            "shikra",
            "shikra_brackets",
            "square_3",
            (),
            (),
            "shikra code",
            labels=False,
            traps=("coordinates lie on the picture padded to a square",),
        ),
        Family(
            "llava",
            "llava_brackets",
            "square_2",
            ("llava1_5_hf", "llava1_6_vicuna_hf", "llava1_6_mistral_hf"),
            ("llava1_5_hf", "llava1_6_vicuna_hf", "llava1_6_mistral_hf"),
            "TRI-ML/vlm-evaluation#16",
            labels=False,
            traps=(
                "coordinates lie on the picture padded to a square",
                "the transformers processor cuts a picture to its middle square instead: our template pads it first, as LLaVA was trained",
            ),
        ),
        Family(
            "llava_onevision",
            "swift_brackets",
            "norm1000",
            ("llava_onevision_hf",),
            ("llava_onevision_hf",),
            NATIVE_NONE,
        ),
        Family(
            "kosmos2",
            "kosmos_patches",
            "cells32",
            (),
            (),
            "transformers documentation and processor of Kosmos-2",
            points=False,
            traps=("no answer is more exact than one cell of 32 x 32",),
        ),
        Family(
            "florence2",
            "florence_loc",
            "bins1000",
            ("florence", "florence2"),
            ("florence", "florence2"),
            "ms-swift template; Florence-2 processor",
            traps=(
                "swift 4.6's own template normalises boxes twice",
                "swift's model type florence loads no checkpoint of transformers' own class: --model_type florence2 does",
            ),
        ),
        Family(
            "paligemma",
            "paligemma_loc",
            "norm1023",
            ("paligemma",),
            ("paligemma",),
            "big_vision preprocessing of PaliGemma; supervision parser",
            axis_order="y1x1y2x2",
            points=False,
            traps=("y comes before x, and the label after its box", "others divide by 1024"),
        ),
        Family(
            "rex_omni",
            "rex_omni_tokens",
            "norm999",
            (),
            (),
            "Rex-Omni parser",
            traps=("an absent class is answered with None", "one box may be repeated up to the token limit"),
        ),
        Family(
            "deepseek_vl2",
            "deepseek_ref_det",
            "norm999",
            ("deepseek_vl2", "deepseek_ocr", "deepseek_ocr2"),
            ("deepseek_vl2", "deepseek_ocr", "deepseek_ocr2"),
            "supervision parser; DeepSeek-VL2 README",
        ),
        Family(
            "minicpmv4_5",
            "minicpm_ref_box",
            "norm1000",
            ("minicpmv4_5",),
            ("minicpmv4_5",),
            "OpenBMB/MiniCPM-V#982",
            traps=("numbers are parted by blanks, without commas",),
        ),
        Family(
            "gemini",
            "json_box_2d",
            "norm1000",
            (),
            (),
            "supervision parser",
            NO_JSON,
            axis_order="y1x1y2x2",
            traps=("y comes before x",),
        ),
        Family(
            "gemma3_vision",
            "json_box_2d",
            "norm1000",
            ("gemma3_vision",),
            ("gemma3_vision",),
            "nothing documented: the text is that of Gemini, and it must be trained",
            NO_JSON,
            axis_order="y1x1y2x2",
            traps=("y comes before x",),
        ),
        Family(
            "gemma4",
            "json_box_2d",
            "norm1000",
            ("gemma4", "gemma4_unified"),
            ("gemma4_nothinking", "gemma4"),
            "no document was at hand: the text is that of Gemini, and it must be trained",
            NO_JSON,
            axis_order="y1x1y2x2",
            traps=("y comes before x", "E2B and E4B have the template gemma4_nothinking, the larger ones gemma4"),
        ),
        Family(
            "molmo",
            "molmo_points",
            "percent",
            (),
            (),
            "Molmo model card",
            boxes=False,
            traps=("it points, and knows no boxes",),
        ),
        Family(
            "ferret",
            "ferret_brackets",
            "norm1000",
            (),
            (),
            "Ferret constants",
        ),
        Family(
            "swift_fallback",
            "swift_brackets",
            "norm1000",
            (),
            (),
            "ms-swift base template: what it writes for 103 templates",
            traps=("no family speaks it before training",),
        ),
        Family("phi3_vision", "swift_brackets", "norm1000", ("phi3_vision",), ("phi3_vision",), NATIVE_NONE),
        Family("phi4_multimodal", "swift_brackets", "norm1000", ("phi4_multimodal",), ("phi4_multimodal",), NATIVE_NONE),
        Family(
            "idefics3",
            "swift_brackets",
            "norm1000",
            ("idefics3",),
            ("idefics3",),
            NATIVE_NONE,
            traps=("SmolVLM is loaded as --model_type idefics3",),
        ),
    )
}


def families() -> dict[str, Family]:
    """The table's rows by name (a new dict)."""
    return dict(FAMILIES)


BY_MODEL_TYPE = {model_type: row for row in reversed(FAMILIES.values()) for model_type in row.swift_model_types}


def family_row(name: str) -> Family:
    """One row, by the family's name or a swift model type of it. Raises GroundswiftError that lists the names there are."""
    try:
        return FAMILIES.get(name) or BY_MODEL_TYPE[name]
    except KeyError:
        raise GroundswiftError(f"unknown model family {name!r}; expected one of {', '.join(FAMILIES)}") from None
