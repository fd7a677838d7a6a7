"""A model as an exported graph: transformers' ONNX exporter, run by ONNX Runtime or OpenVINO in the place of the model's forward.

swift's engine encodes the question and decodes the answer, so that only the graph differs. A graph has the image tokens of one image size
and any number of text tokens; it has no cache, so each token is computed from the whole sequence.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from groundswift.errors import GroundswiftError, error_at

from ..encoding import one_line
from ..quiet import quiet
from .answering import Options
from .swift_way import SwiftWay
from .ways import Way

PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
TEXT = ("input_ids", "position_ids")  # inputs that grow with the answer
OF_GENERATION = ("attention_mask", "mm_token_type_ids")  # all ones for one question; what positions are made of
Feed = dict[str, np.ndarray]
Graph = Callable[[Feed], np.ndarray]  # inputs -> logits of the last token, (1, vocabulary)


class ExportedWay(SwiftWay):
    """A model whose answers come from exported graphs, which are written into `folder`. Raises GroundswiftError."""

    def __init__(self, way: Way, options: Options, folder: Path) -> None:
        where = f"way {way.name}"
        if missing := [name for name in PACKAGES[way.engine.partition("-")[0]] if find_spec(name) is None]:
            raise error_at(where, f"needs {', '.join(missing)}", "pip install 'groundswift[export]'")
        if way.adapter:
            raise error_at(where, "an adapter cannot be exported", "the folder that it was merged into")
        super().__init__(way, options._replace(batch_size=1))
        self.model = self.pipeline.infer_engine.model
        self.where, self.runtime, self.folder = where, RUNTIMES[way.engine], folder
        self.graphs: dict[tuple[Any, ...], Graph] = {}
        self.model.generate = self.generate

    def close(self) -> None:
        self.graphs.clear()
        del self.model
        super().close()

    def generate(self, generation_config: Any, stopping_criteria: Any = (), **inputs: Any) -> dict[str, Any]:
        """Greedy generation as transformers' `generate`: the token ids with those of the question, and the logits of each new token."""
        import torch

        ids, positions = inputs.pop("input_ids"), inputs.pop("position_ids", None)
        fixed = {name: value for name, value in inputs.items() if torch.is_tensor(value) and name not in OF_GENERATION}
        if positions is None:
            positions = torch.arange(ids.shape[1])[None]
        graph = self.graph_of({"input_ids": ids, "position_ids": positions, **fixed})
        ends = np.atleast_1d(generation_config.eos_token_id if generation_config.eos_token_id is not None else [])
        logits = []
        for _ in range(generation_config.max_new_tokens):
            feed = {"input_ids": ids, "position_ids": positions, **fixed}
            logits.append(torch.from_numpy(graph({name: value.numpy() for name, value in feed.items()})))
            ids = torch.cat([ids, logits[-1].argmax(-1, keepdim=True)], dim=1)
            positions = torch.cat([positions, positions[..., -1:] + 1], dim=-1)
            if int(ids[0, -1]) in ends or any(bool(np.all(criterion(ids, None).numpy())) for criterion in stopping_criteria):
                break
        return {"sequences": ids, "logits": tuple(logits)}

    def graph_of(self, inputs: dict[str, Any]) -> Graph:
        """The graph for the images of these inputs, exported where it is the first of its kind."""
        kept = {name: value for name, value in inputs.items() if name not in TEXT}
        key = tuple(
            (name, tuple(value.shape), tuple(value.flatten().tolist()) if value.numel() < 32 else ()) for name, value in kept.items()
        )
        if key not in self.graphs:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"graph-{len(self.graphs)}.onnx"
            try:
                with quiet(), redirect_stdout(StringIO()):
                    export(self.model, inputs, path)
                    self.graphs[key] = self.runtime(path)
            except Exception as error:  # of torch, transformers, onnxscript and the runtimes: many kinds
                raise GroundswiftError(f"{self.where}: cannot be exported ({one_line(error)})") from None
        return self.graphs[key]


def export(model: Any, inputs: dict[str, Any], path: Path) -> None:
    """Write the graph from inputs to logits of the last token; the number of tokens is free."""
    import torch
    from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

    for name in ("torch.onnx", "transformers.exporters"):
        logging.getLogger(name).setLevel(logging.ERROR)
    constants: dict[str, Any] = {"use_cache": False}
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        constants["logits_to_keep"] = 1
    grows = torch.export.Dim.AUTO
    shapes = {name: {value.ndim - 1: grows} if name in TEXT else None for name, value in inputs.items()}
    shapes |= {name: None for name in constants if name != "use_cache"}  # which the exporter takes out of the inputs
    config = OnnxConfig(output_path=str(path), dynamic_shapes=shapes, prefer_deferred_runtime_asserts_over_guards=True)
    with torch.no_grad():
        OnnxExporter().export(model, inputs | constants, config=config)


def by_onnx_runtime(path: Path) -> Graph:
    """A graph on the CPU by ONNX Runtime."""
    from onnxruntime import InferenceSession

    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda feed: session.run(["logits"], {name: feed[name] for name in names})[0][:, -1]


def by_openvino(path: Path, **settings: str) -> Graph:
    """A graph on the CPU by OpenVINO; by its defaults it computes in bfloat16 where the CPU has it."""
    import openvino

    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    names = [each.get_any_name() for each in compiled.inputs]
    return lambda feed: compiled({name: feed[name] for name in names})["logits"][:, -1].copy()


RUNTIMES: dict[str, Callable[[Path], Graph]] = {
    "onnx": by_onnx_runtime,
    "openvino": by_openvino,
    "openvino-fp32": partial(by_openvino, INFERENCE_PRECISION_HINT="f32"),
}
