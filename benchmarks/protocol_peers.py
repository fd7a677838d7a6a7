"""The peers of `protocols.py`: their own scoring code, from clones, with models, images and files replaced by stubs.

Each takes the folder of a clone and a case, and returns its numbers by the ids of groundswift's rules, on the same answers.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from groundswift.eval.protocols.base import Case, Sample
from groundswift.eval.protocols.findit import JSON_KEYS
from groundswift.eval.protocols.rex_omni import THRESHOLDS
from groundswift.family import family_row
from groundswift.spaces import space_row

STUBS = ("vllm", "qwen_vl_utils", "loguru", "shapely", "shapely.geometry", "inference_compat", "vlmeval", "vlmeval.smp", "vlmeval.smp.file")
Theirs = dict[str, float] | str  # numbers, or the exception that ends their run


def loaded(path: Path, name: str, **stubs: Any) -> ModuleType:
    """A file of a clone as a module; what it imports and is not installed is a stub."""
    for stub in STUBS:
        with contextlib.suppress(ModuleNotFoundError, ValueError):
            if stub in sys.modules or importlib.util.find_spec(stub):
                continue
        sys.modules[stub] = MagicMock()
    sys.modules.update(stubs)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def ended(run: Callable[[], dict[str, float]]) -> Theirs:
    """What a run prints is dropped."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return run()
    except Exception as error:  # whatever ends their run
        return f"{type(error).__name__}: {error}"


def _rex_omni(parse: Callable[[Sample], dict], metric: ModuleType, case: Case) -> dict[str, float]:
    rows = [
        {"task_name": "common_object_detection", "dataset_name": "x", "gt": sample.by_label(), "extracted_predictions": parse(sample)}
        for sample in case.samples
    ]
    found = metric.UniversalMetricsCalculator().calculate_all_metrics(rows, list(THRESHOLDS))
    means = {}
    for threshold, results in found.items():
        (numbers,) = results["basic_metrics"].values()
        means[threshold] = [sum(numbers[key]) / len(numbers[key]) for key in ("precisions", "recalls")]
    f1 = [2 * p * r / (p + r) if p + r else 0.0 for p, r in means.values()]
    return {"F1_50": f1[0], "F1_95": f1[-1], "F1": sum(f1) / len(f1), "P_50": means[0.5][0], "R_50": means[0.5][1]}


def rex_omni(folder: Path, case: Case) -> dict[str, Theirs]:
    metric = loaded(folder / "evaluation/metrics/other_metric.py", "rex_omni_metric")
    infer = loaded(folder / "evaluation/inference_text_prompt.py", "rex_omni_inference")
    return {
        "rex-omni": ended(
            lambda: _rex_omni(lambda sample: infer.parse_prediction(sample.text, *sample.size_wh, None, None, None), metric, case)
        )
    }


def eagle(folder: Path, case: Case) -> dict[str, Theirs]:
    metric = loaded(folder / "Embodied/evaluation/metrics/other_metric.py", "eagle_metric")
    infer = loaded(folder / "Embodied/evaluation/inference_detection_ddp.py", "eagle_inference")
    return {"locate-anything": ended(lambda: _rex_omni(lambda sample: infer.parse_prediction(sample.text, *sample.size_wh), metric, case))}


def _findit(module: ModuleType, case: Case) -> dict[str, float]:
    row, several, space = family_row(case.rules.family), len(case.classes) > 1, space_row(case.rules.space_name)
    key = JSON_KEYS.get(row.grammar_name)
    modes = {(None, "original"): "no_rescale", (None, "resized"): "smart_resize"}
    mode = modes.get((space.units, space.side), "unit_rescale" if space.units == 1 else "standard")
    kwargs = {
        "task_family": "objdet",
        "fmt": "text" if key is None else "json",
        "bbox_repr": "yxyx" if key is not None and row.axis_order == "y1x1y2x2" else "xyxy",
        "multi_label": several,
        "json_key": key or "bbox",
        "rescale_mode": mode,
    }
    rows = []
    for sample in case.samples:
        width, height = sample.size_wh
        boxes = [{"label": label, "bbox": box} for label, box in zip(sample.labels, sample.boxes_xyxy_px, strict=True)]
        truth = boxes if several else sample.boxes_xyxy_px
        sys.modules["findit.evaluate"]._smart_resize_dims = lambda *_, size=sample.size_wh, **__: case.rules.model_input_wh(size)
        rows.append(module.process_results({"height": height, "width": width, "bboxes": truth, "filename": ""}, [sample.text], kwargs))
    names = {"F1_50": "f1_at_05", "mIoU": "mean_iou", "FA": "format_adherence", "P_50": "precision_at_05", "R_50": "recall_at_05"}
    return {key: getattr(module, f"agg_{name}")([row[name] for row in rows]) / 100 for key, name in names.items()}


def findit(folder: Path, case: Case) -> dict[str, Theirs]:
    if "findit" not in sys.modules:
        package = ModuleType("findit")
        package.__path__ = [str(folder / "src/findit")]
        sys.modules["findit"] = package
    module = importlib.import_module("findit.doc_utils")
    return {"findit": ended(lambda: _findit(module, case))}


def _odinw(module: ModuleType, case: Case) -> dict[str, float]:
    records = [
        module.odinw13_process_results(
            {
                "image_width": sample.size_wh[0],
                "image_height": sample.size_wh[1],
                "bboxes": sample.boxes_xyxy_px,
                "labels": sample.labels,
                "categories": case.classes,
                "dataset_name": "x",
                "image_id": number,
            },
            [sample.text],
        )["odinw13_mAP"]
        for number, sample in enumerate(case.samples)
    ]
    names = {"AP": "map", "AP50": "map50", "AP75": "map75", "acc_50": "acc_05", "mIoU": "iou"}
    return {key: getattr(module, f"odinw13_{name}")(records) for key, name in names.items()}


def _one_box(process: Callable, prefix: str, module: ModuleType, case: Case, of_image: bool) -> dict[str, float]:
    rows = []
    for sample in case.samples:
        if len(sample.boxes_xyxy_px) == 1:
            (width, height), (x1, y1, x2, y2) = sample.size_wh, sample.boxes_xyxy_px[0]
            box = [x1, y1, x2 - x1, y2 - y1] if of_image else [x1 / width, y1 / height, x2 / width, y2 / height]
            document = {"question_id": 0, "answer": "", "bbox": box, "image": SimpleNamespace(size=sample.size_wh)}
            rows.append(process(document, [sample.text])[f"{prefix}_IoU"])
    if of_image:
        return {"acc_50": module.refcoco_grounding_acc05(rows), "mIoU": module.refcoco_grounding_iou(rows)}
    return {"acc_50": module.refcoco_bbox_rec_acc05(rows), "mIoU": module.refcoco_bbox_rec_iou(rows)}


def lmms_eval(folder: Path, case: Case) -> dict[str, Theirs]:
    tasks = folder / "lmms_eval/tasks"
    odinw = loaded(tasks / "odinw13/utils.py", "lmms_odinw13")
    rec = loaded(tasks / "refcoco/utils_rec.py", "lmms_refcoco_rec")
    grounding = loaded(tasks / "refcoco_grounding/utils.py", "lmms_refcoco_grounding")
    return {
        "lmms-odinw13": ended(lambda: _odinw(odinw, case)),
        "lmms-refcoco-rec": ended(lambda: _one_box(rec.refcoco_bbox_rec_process_result, "refcoco", rec, case, False)),
        "lmms-refcoco-grounding": ended(
            lambda: _one_box(grounding.refcoco_grounding_process_result, "refcoco_grounding", grounding, case, True)
        ),
    }


def _table(samples: list[Sample]) -> Any:
    import pandas

    rows = []
    for number, sample in enumerate(samples):
        x1, y1, x2, y2 = sample.boxes_xyxy_px[0] if sample.boxes_xyxy_px else (0, 0, 0, 0)
        box = {"bbox_x1": x1, "bbox_y1": y1, "bbox_x2": x2, "bbox_y2": y2, "answer": str([x1, y1, x2, y2])}
        kind = "Discriminative" if sample.boxes_xyxy_px else "Rejection"
        size = {"width": sample.size_wh[0], "height": sample.size_wh[1], "split": "x", "subtask_l1": kind, "subtask_l2": ""}
        rows.append({"index": str(number), "prediction": sample.text, **box, **size})
    return pandas.DataFrame(rows)


def vlmevalkit(folder: Path, case: Case) -> dict[str, Theirs]:
    base = {"vlmeval.dataset": MagicMock(__path__=[]), "vlmeval.dataset.image_base": SimpleNamespace(ImageBaseDataset=object)}
    found: dict[str, Theirs] = {}
    for name, least in (("refcoco", 1), ("groundingme", 0)):
        module = loaded(folder / f"vlmeval/dataset/{name}.py", f"vlmeval.dataset.{name}", **base)
        table = _table([sample for sample in case.samples if least <= len(sample.boxes_xyxy_px) <= 1])
        module.load, module.dump, module.get_intermediate_file_path = lambda _, table=table: table, MagicMock(), MagicMock()
        found[f"vlmevalkit-{name}"] = ended(lambda module=module, table=table, name=name: _vlmevalkit(module, table, name))
    return found


def _vlmevalkit(module: ModuleType, table: Any, name: str) -> dict[str, float]:
    kind = module.RefCOCODataset if name == "refcoco" else module.GroundingME
    stubs = {"__init__": lambda self, *_: None, "_ensure_metadata_ready": lambda self: None}
    stub = type("Stub", (kind,), {**stubs, "data": table, "dataset_name": "x"})
    row = (stub().evaluate("") if name == "refcoco" else stub.evaluate("")).iloc[-1]
    if name == "refcoco":
        return {"acc_50": row["Precision@1"] / 100, "mIoU": row["Average IoU"]}
    return {"acc_50": row["ACC@0.5"], "mIoU": row["IoU"]}


PEERS: dict[str, Callable[[Path, Case], dict[str, Theirs]]] = {
    "rex_omni": rex_omni,
    "eagle": eagle,
    "findit": findit,
    "lmms_eval": lmms_eval,
    "vlmevalkit": vlmevalkit,
}
