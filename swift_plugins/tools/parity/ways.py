"""A way to run a model, as it is named on the command line: a folder, a folder and an adapter, a number format, a server."""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from groundswift.errors import error_at

FORMATS = {  # suffix -> options of swift
    "bnb4": ("--quant_method", "bnb", "--quant_bits", "4"),
    "bnb8": ("--quant_method", "bnb", "--quant_bits", "8"),
    "fp32": ("--torch_dtype", "float32"),
    "bf16": ("--torch_dtype", "bfloat16"),
    "fp16": ("--torch_dtype", "float16"),
}
ON_CPU = ("--torch_dtype", "float32", "--device_map", "cpu")
ENGINES = {"transformers": (), "onnx": ON_CPU, "openvino": ON_CPU, "openvino-fp32": ON_CPU}  # suffix and engine -> options of swift
FORMS = "MODEL, MODEL,ADAPTER, ADAPTER, any of these with :" + ", :".join([*FORMATS, *ENGINES]) + ", or http://HOST:PORT"
Engine = Literal["swift", "server", "transformers", "onnx", "openvino", "openvino-fp32"]


class Way(NamedTuple):
    """How one way answers. `model` is None where the run of the adapter names it; `served_model` None for the server's first."""

    name: str
    engine: Engine
    model: str | None = None
    adapter: str | None = None
    swift_options: tuple[str, ...] = ()
    url: str | None = None
    served_model: str | None = None


def parse_way(name: str, text: str) -> Way:
    """The way that a text names. Raises GroundswiftError for an unknown form, or a folder that does not exist."""
    where = f"--way {name}"
    if text.startswith(("http://", "https://")):
        url, _, served = text.partition(",")
        return Way(name, "server", url=url.rstrip("/"), served_model=served or None)
    place, suffix = _split(text)
    if suffix is not None and suffix not in FORMATS | ENGINES:
        raise error_at(where, f"unknown form {suffix!r}", FORMS)
    model, comma, adapter = place.partition(",")
    for folder in (model, adapter) if comma else (model,):
        if not folder or (folder.startswith(("/", ".", "~")) or folder.count("/") != 1) and not os.path.isdir(os.path.expanduser(folder)):
            raise error_at(where, f"no such folder: {folder or text}", FORMS)
    if not comma and os.path.isfile(os.path.join(os.path.expanduser(model), "adapter_config.json")):
        model, adapter = "", model
    engine = suffix if suffix in ENGINES else "swift"
    return Way(name, engine, model or None, adapter or None, (FORMATS | ENGINES)[suffix] if suffix else ())


def _split(text: str) -> tuple[str, str | None]:
    """(place, suffix after the last colon or None); a folder whose name has a colon is a place."""
    place, colon, suffix = text.rpartition(":")
    is_place = not colon or "," in suffix or "/" in suffix or os.path.isdir(os.path.expanduser(text))
    return (text, None) if is_place else (place, suffix)
