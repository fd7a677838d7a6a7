"""A row of the table of families, and the rows of groundswift's own. Sources of the facts are in each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .errors import GroundswiftError, error_at
from .spaces import quantum, space_row

if TYPE_CHECKING:
    from .grammars.base import Grammar

TEMPLATE_SUFFIX = "_grounding"  # our template is swift's own, with the family's box text


@dataclass(frozen=True)
class Family:
    """How one model family writes a box, and the size of its model input.

    `grammar`: a key of `grammars.registry.GRAMMARS`, or a grammar. `space`: a key of `spaces.SPACES`, which has divisor and rounding.
    `swift_templates`: swift's own templates for models of this family; each has one of ours, with the suffix `_grounding`. Without any
    the family can be parsed but not trained. `axis_order`: as written; our arrays are always x1, y1, x2, y2. `labels`: whether a box has
    a label of its own in the family's pre-training. `boxes`, `points`: whether the family writes them. `empty_answer`: what it writes for
    'no object'. `resize_factor`: both sides of the model input are multiples of it (px); None where the model's own processor does
    something else. `min_pixels`, `max_pixels`: default limits of the input's area in px. `traps`: what goes wrong, one sentence each.
    """

    name: str
    grammar: str | Grammar
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

    def __post_init__(self) -> None:
        for field in ("swift_model_types", "swift_templates", "traps"):
            if isinstance(value := getattr(self, field), str):
                raise error_at(f"family {self.name}", f"{field} is the text {value!r}", f"a tuple such as ({value!r},)")

    @property
    def grammar_name(self) -> str:
        """The grammar's name; of an object of another package that of its class."""
        return self.grammar if isinstance(self.grammar, str) else type(self.grammar).__name__

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


def _row(name: str, grammar: str, space: str, source: str, models: str = "", templates: str | None = None, **more: Any) -> Family:
    """A row. `models`, `templates`: swift's model types and templates, separated by blanks; None: the same names."""
    types = tuple(models.split())
    return Family(name, grammar, space, types, types if templates is None else tuple(templates.split()), source, **more)


def token_limits(factor: int) -> dict[str, int]:
    """A resize to multiples of `factor` px, with the default limits of 4 to 16384 tokens of qwen-vl-utils 0.0.14."""
    return {"resize_factor": factor, "min_pixels": 4 * factor**2, "max_pixels": 16384 * factor**2}


NO_JSON = "```json\n[]\n```"
LIKE_GEMINI = {"empty_answer": NO_JSON, "axis_order": "y1x1y2x2"}
IN_JSON_28, IN_JSON_32 = ({"empty_answer": NO_JSON, **token_limits(factor)} for factor in (28, 32))
NATIVE_NONE = "nothing native: the text is swift's own, which needs training"
ROWS = (
    _row("qwen_vl", "qwen_ref_box", "norm1000", "Qwen-VL README and its REC evaluation script", "qwen_vl", "qwen_vl qwen_vl_base"),
    _row("qwen2_vl", "qwen2_tokens", "norm1000", "QwenLM/Qwen3-VL#105; ms-swift documentation", "qwen2_vl", **token_limits(28)),
    _row("qwen2_5_vl", "json_bbox_2d", "resized_px", "QwenLM/Qwen3-VL#676", "qwen2_5_vl", **IN_JSON_28),
    _row(
        "qwen3_vl", "json_bbox_2d", "norm1000", "Qwen3-VL cookbook; QwenLM/Qwen3-VL#1623", "qwen3_vl qwen3_vl_moe", "qwen3_vl", **IN_JSON_32
    ),
    _row("qwen3_5", "json_bbox_2d", "norm1000", "Qwen3-VL cookbook; ms-swift template", "qwen3_5 qwen3_5_moe", "qwen3_5", **IN_JSON_32),
    _row(
        "qwen3_8",
        "json_bbox_2d",
        "norm1000",
        "ms-swift template qwen3_8 (norm1000); no published example of its boxes could be had: the text is that of Qwen3-VL",
        "qwen3_5 qwen3_5_moe qwen4_exp",
        "qwen3_8",
        **IN_JSON_32,
    ),
    _row(
        "qwen2_5_omni",
        "json_bbox_2d",
        "resized_px",
        "ms-swift template (norm_bbox none); no published example of its boxes could be had: the text is that of Qwen2.5-VL",
        "qwen2_5_omni",
        **IN_JSON_28,
    ),
    _row(
        "qwen3_omni",
        "json_bbox_2d",
        "norm1000",
        "Qwen3-Omni cookbook object_grounding, in the copy of a third party",
        "qwen3_omni_moe",
        "qwen3_omni",
        **IN_JSON_32,
    ),
    _row("mimo_vl", "json_bbox_2d", "resized_px", "ms-swift template (norm_bbox none)", "qwen2_5_vl", "mimo_vl", **IN_JSON_28),
    _row(
        "mimo_v2",
        "json_bbox_2d",
        "resized_px",
        "ms-swift template (norm_bbox none); patches of 16 px: vLLM; no published example could be had: the text is that of MiMo-VL",
        "mimo_v2",
        **IN_JSON_32,
    ),
    _row("chatglm4v", "glm_box", "norm1000", "zai-org/GLM-4#196", "chatglm4v", labels=False),
    _row("glm4v", "glm_box", "norm1000", "GLM-V README; zai-org/GLM-V#114, #118", "glm4v glm4v_moe", "glm4v glm4_5v", labels=False),
    _row("cogvlm", "cogvlm_brackets", "norm999", "CogVLM converter", "cogvlm cogvlm2", labels=False),
    _row(
        "internvl",
        "internvl_ref_box",
        "norm1000",
        "OpenGVLab/InternVL#227, #285",
        "internvl internvl_chat",
        "internvl_hf internvl internvl_phi3 internvl2 internvl2_phi3 internvl2_5 internvl3_5 internvl3_5_gpt",
    ),
    _row("shikra", "shikra_brackets", "square_3", "shikra code", labels=False),
    _row(
        "llava",
        "llava_brackets",
        "square_2",
        "TRI-ML/vlm-evaluation#16",
        "llava1_5_hf llava1_6_vicuna_hf llava1_6_mistral_hf",
        labels=False,
    ),
    _row("llava_onevision", "swift_brackets", "norm1000", NATIVE_NONE, "llava_onevision_hf"),
    _row("kosmos2", "kosmos_patches", "cells32", "transformers documentation and processor of Kosmos-2", points=False),
    _row("florence2", "florence_loc", "bins1000", "ms-swift template; Florence-2 processor", "florence florence2"),
    _row(
        "paligemma",
        "paligemma_loc",
        "norm1023",
        "google-research/big_vision, paligemma/segmentation.py: pp rounds to parts of 1023, its evaluator divides by 1023",
        "paligemma",
        axis_order="y1x1y2x2",
        points=False,
    ),
    _row("rex_omni", "rex_omni_tokens", "norm999", "Rex-Omni parser"),
    _row(
        "deepseek_vl2", "deepseek_ref_det", "norm999", "supervision parser; DeepSeek-VL2 README", "deepseek_vl2 deepseek_ocr deepseek_ocr2"
    ),
    _row(
        "dots_ocr",
        "json_bbox_category",
        "resized_px",
        "rednote-hilab/dots.ocr, dots_ocr/utils/layout_utils.py",
        "dots_ocr",
        empty_answer="[]",
        points=False,
        **token_limits(28),
    ),
    _row(
        "paddleocr_vl",
        "paddleocr_corners",
        "norm1000",
        "PaddlePaddle/PaddleX, paddleocr_vl/uilts.py (post_process_for_spotting)",
        "paddle_ocr paddleocr_vl",
        "paddle_ocr paddle_ocr_1_5",
        points=False,
    ),
    _row(
        "hunyuan_ocr",
        "hunyuan_pairs",
        "norm1000",
        "Tencent-Hunyuan/HunyuanOCR, train_verl scorer of spotting and inference/utils/tasks.py",
        "hunyuan_ocr",
        points=False,
    ),
    _row("minicpmv4_5", "minicpm_ref_box", "norm1000", "OpenBMB/MiniCPM-V#982", "minicpmv4_5"),
    _row("gemini", "json_box_2d", "norm1000", "supervision parser", **LIKE_GEMINI),
    _row(
        "gemma3_vision",
        "json_box_2d",
        "norm1000",
        "nothing documented: the text is that of Gemini, and it must be trained",
        "gemma3_vision",
        **LIKE_GEMINI,
    ),
    _row(
        "gemma4",
        "json_box_2d",
        "norm1000",
        "third-party parsers: box_2d, y first, 0 to 1000; Google's own documentation of it could not be had",
        "gemma4 gemma4_unified",
        "gemma4_nothinking gemma4",
        **LIKE_GEMINI,
    ),
    _row("molmo", "molmo_points", "percent", "Molmo model card", "molmo molmoe", "", boxes=False),
    _row(
        "molmo2",
        "molmo2_points",
        "norm1000",
        "Molmo 2 report, as third parties quote it; tests of OLMo-core for its training data",
        "molmo2",
        empty_answer="There are none.",
        boxes=False,
    ),
    _row(
        "locate_anything",
        "locate_tokens",
        "norm1000",
        "NVlabs/Eagle, Embodied/locateanything_worker.py",
        empty_answer="<box>none</box>",
    ),
    _row("ground_anything", "rex_omni_tokens", "norm999", "groundingpi/GroundAnything, grounding_anything/protocol.py"),
    _row("youtu_vl", "youtu_tokens", "original_px", "TencentCloudADP/youtu-vl, demo/demo.py and demo/vis.py"),
    _row("ferret", "ferret_brackets", "norm1000", "Ferret constants"),
    _row("swift_fallback", "swift_brackets", "norm1000", "ms-swift base template: what it writes for 103 templates"),
    _row("phi3_vision", "swift_brackets", "norm1000", NATIVE_NONE, "phi3_vision"),
    _row("phi4_multimodal", "swift_brackets", "norm1000", NATIVE_NONE, "phi4_multimodal"),
    _row("idefics3", "swift_brackets", "norm1000", NATIVE_NONE, "idefics3"),
)
TRAPS = {  # what goes wrong with a family, by its name
    "qwen_vl": (
        "its REC evaluation script divides by 999",
        "the base model knows no <|im_start|> and <|im_end|>: use qwen_vl_base_grounding, "
        "or train embedding and output layer too (--modules_to_save wte lm_head)",
    ),
    "qwen2_5_vl": (
        "boxes can only be placed with the pixel limits of the run",
        "transformers 5.3.0 to 5.5.3 shift its boxes",
        "data of Qwen2.5-VL cannot be used for Qwen3-VL, nor the other way round",
    ),
    "qwen3_vl": ("Qwen2.5-VL writes the same text, but in pixels",),
    "qwen3_5": ("swift puts an empty <think> block before the answer",),
    "qwen3_8": (
        "while it thinks, swift puts its reasoning effort into the system text: --enable_thinking false or the same effort at inference",
        "models of type qwen3_5 have two templates: Qwen3.5 and 3.6 take qwen3_5, Qwen3.8 takes qwen3_8",
    ),
    "qwen2_5_omni": ("boxes can only be placed with the pixel limits of the run", "needs the extra omni: pip install 'groundswift[omni]'"),
    "qwen3_omni": ("Qwen2.5-Omni writes the same text, but in pixels", "needs the extra omni: pip install 'groundswift[omni]'"),
    "mimo_v2": ("boxes can only be placed with the pixel limits of the run", "a side is a multiple of 32 px, not of 28 as with MiMo-VL"),
    "dots_ocr": (
        "boxes can only be placed with the pixel limits of the run",
        "its own code allows 11289600 px, swift 12845056: set MAX_PIXELS=11289600 to see pages at its size",
        "swift writes norm1000 for it, its own code pixels",
    ),
    "paddleocr_vl": (
        "a box is written as its four corners; a turned quadrangle is read as a polygon",
        "PaddlePaddle's own pipeline doubles images below 1500 px for spotting, swift does not",
        "--model_type paddle_ocr needs transformers below 5, paddleocr_vl (1.5 and 1.6) transformers 5",
    ),
    "hunyuan_ocr": ("objects follow each other without a separator", "its label is the recognised text"),
    "mimo_vl": ("boxes can only be placed with the pixel limits of the run", "its model type in swift is that of Qwen2.5-VL"),
    "chatglm4v": ("GLM-4V-9B has no grounding of its own: the text is that of its successors, and it must be trained",),
    "glm4v": ("the box tokens wrap any final answer", "brackets vary: [], [[]], (), <>", "usually no label"),
    "cogvlm": ("numbers have three digits, 000 to 999", "its viewer divides by 1000"),
    "shikra": ("coordinates are on the image padded to a square",),
    "llava": (
        "coordinates are on the image padded to a square",
        "the transformers processor crops an image to its middle square instead: our template pads it first, as LLaVA was trained",
    ),
    "kosmos2": ("coordinates are no finer than a cell of a 32 x 32 grid",),
    "florence2": (
        "swift 4.6's own template normalises boxes twice",
        "swift's model type florence loads no checkpoint of transformers' own class: --model_type florence2 does",
    ),
    "paligemma": (
        "y comes before x, and the label after its box",
        "supervision divides by 1024: up to 0.1 % of a side off",
    ),
    "rex_omni": ("an absent class is answered with None", "one box may be repeated up to the token limit"),
    "minicpmv4_5": ("numbers are separated by spaces, not commas",),
    "gemini": ("y comes before x",),
    "gemma3_vision": ("y comes before x",),
    "gemma4": ("y comes before x", "E2B and E4B have the template gemma4_nothinking, the larger ones gemma4"),
    "molmo": ("it writes points, never boxes",),
    "molmo2": ("it writes points, never boxes", "its points are thousandths with three digits, where Molmo's are percentages"),
    "locate_anything": ("an absent class is answered with none in its box",),
    "ground_anything": ("an absent class is answered with None", "decode with skip_special_tokens off, or its boxes are lost"),
    "youtu_vl": ("numbers are pixels of the image file: its demo draws them unscaled",),
    "swift_fallback": ("no model writes it before training",),
    "idefics3": ("SmolVLM is loaded as --model_type idefics3",),
}
BUILT_IN = tuple(replace(row, traps=TRAPS.get(row.name, ())) for row in ROWS)
