"""The model of a training from its configuration alone: transformers' own class on torch's meta device, which has shapes and no weights.

The tuner is swift's own `prepare_model`, run on that model, so what is trainable is what the training will train. No code of a model
folder is run, and nothing is downloaded.
"""

from __future__ import annotations

import os
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from groundswift.errors import GroundswiftError, error_at
from groundswift.model_folder import read_object

from ..encoding import load_plugin, one_line
from ..quiet import quiet
from .census import ALIGNER, VISION, part_names, part_of
from .known_models import published_config
from .settings import Settings

KNOWN = "the config.json of a model that transformers has a class for"
TUNERS = ("lora", "adalora", "vera", "boft", "fourierft", "bone")
LORA_LLM = "lora_llm"  # LoRA on the language model, vision tower and aligner in full
DTYPES = {"float16": torch.float16, "fp16": torch.float16, "bfloat16": torch.bfloat16, "bf16": torch.bfloat16, "float32": torch.float32}


def configuration(model: str | None, given: Path | None) -> tuple[str, Any]:
    """(where it is from, the configuration of a model): the file given, that of its folder, of its copy in the caches of Hugging Face and
    ModelScope, or published sizes.

    Raises GroundswiftError where there is none.
    """
    if given is not None:
        path = given / "config.json" if given.is_dir() else given
        if not path.is_file():
            raise error_at(given, "no such file", "a config.json or a model folder")
        return str(path), open_config(path)
    if not model:
        raise GroundswiftError("no --model: add --config config.json")
    for folder in (Path(os.path.expanduser(model)), *cached(model)):
        if (path := folder / "config.json").is_file():
            return str(path), open_config(path)
    published = published_config(model)
    if published is None:
        raise GroundswiftError(f"model {model}: config.json not found locally; add --config config.json")
    return f"published sizes of {model.rpartition('/')[2]}", published


def cached(model: str) -> list[Path]:
    """Folders in which the hubs' clients keep a model, if they have it; the newest first."""
    from huggingface_hub.constants import HF_HUB_CACHE

    hf = Path(HF_HUB_CACHE, f"models--{model.replace('/', '--')}", "snapshots")
    found = sorted(hf.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True) if model.count("/") == 1 else []
    home = Path(os.environ.get("MODELSCOPE_CACHE") or os.path.expanduser("~/.cache/modelscope"))
    owner, _, name = model.partition("/")
    named = [name, name.replace(".", "___")]
    return [*found, *(home / hub / owner / each for hub in ("models", "hub/models", "hub") for each in named if name)]


def open_config(path: Path) -> Any:
    """A configuration as transformers has it. Raises GroundswiftError for a file that is none, and for a model with remote code."""
    from transformers import AutoConfig

    read = read_object(path, KNOWN)
    if not read.get("model_type"):
        raise error_at(path, "names no model_type", KNOWN)
    try:
        with quiet():
            return AutoConfig.from_pretrained(str(path), trust_remote_code=False)
    except Exception as error:  # transformers raises many kinds
        if read.get("auto_map"):
            raise error_at(path, "its classes are remote code, which a plan does not run", KNOWN) from None
        raise error_at(path, f"transformers cannot read it ({one_line(error)})", KNOWN) from None


def on_meta(config: Any, dtype: torch.dtype, where: object) -> nn.Module:
    """The model of a configuration without weights. Raises GroundswiftError where transformers has no class for it."""
    transformers = import_module("transformers")
    named = getattr(transformers, (config.architectures or [""])[0], None)
    try:
        with quiet(), torch.device("meta"):
            if isinstance(named, type) and issubclass(named, transformers.PreTrainedModel):
                return named._from_config(config, dtype=dtype)
            made = transformers.AutoModelForImageTextToText if hasattr(config, "vision_config") else transformers.AutoModelForCausalLM
            return made.from_config(config, dtype=dtype)
    except Exception as error:  # wrong sizes in a configuration: many kinds
        raise error_at(where, f"cannot build the model ({one_line(error)})", KNOWN) from None


def dtype_of(settings: Settings, config: Any) -> torch.dtype:
    """The type of the weights: `--torch_dtype`, else the configuration's, else bfloat16, as swift takes it on a GPU."""
    given = settings.options.torch_dtype
    named = given or getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None) or "bfloat16"
    found = named if isinstance(named, torch.dtype) else DTYPES.get(str(named))
    return found or torch.bfloat16


def model_meta_of(settings: Settings, config: Any = None) -> Any:
    """What swift knows of a model: by `--model_type`, by the model's name, or by its architecture; None where it knows nothing.

    Raises GroundswiftError for a `--model_type` that swift does not have.
    """
    with quiet():
        from swift.model import MODEL_MAPPING
        from swift.model.model_meta import get_matched_model_meta, get_matched_model_types

        load_plugin()
        from ...grounding.models.florence2 import FLORENCE2

        named = settings.options.model_type
        if named is not None:
            if named not in MODEL_MAPPING:
                raise GroundswiftError(f"--model_type {named}: swift has no such model type")
            return MODEL_MAPPING[named]
        matched = get_matched_model_meta(settings.options.model) if settings.options.model else None
        types = get_matched_model_types(config.architectures) if config is not None else []
    ours = [name for name in types if name == FLORENCE2]  # for the class that transformers has; swift's own is for the model's code
    return matched or (MODEL_MAPPING[(ours or types)[0]] if types else None)


def tuned(model: nn.Module, settings: Settings, meta: Any) -> nn.Module:
    """The model as the training makes it trainable: adapters, frozen parts, modules to save.

    Raises GroundswiftError where swift's tuner refuses the options.
    """
    with quiet():
        from swift.arguments import TunerArguments
        from swift.pipelines.train.tuner import TunerMixin
        from swift.tuner_plugin import tuners_map

    options = settings.options
    meta = meta or SimpleNamespace(model_arch=None, is_multimodal=False)  # a model that swift does not know
    args = SimpleNamespace(**deepcopy(vars(options)))  # swift changes its lists
    vars(args).update(init_weights=True, resume_from_checkpoint=None, adapters=[], use_galore=False, use_liger_kernel=False)
    vars(args).update(is_adapter=options.tuner_type != "full", task_type=options.task_type or "causal_lm")
    vars(args).update(tuner_backend=options.tuner_backend or "peft", model_meta=meta)
    model.model_meta, model.model_info = meta, SimpleNamespace(is_moe_model=False)
    if args.target_regex:
        args.target_modules = args.target_regex
    in_full = args.tuner_type == LORA_LLM
    if in_full:  # its tuner reaches for attributes that swift sets where it loads weights; the parts are the same
        vars(args).update(tuner_type="lora", target_modules=["all-linear"], lora_dropout=0.0, freeze_vit=True, freeze_aligner=True)
    if args.is_adapter and args.tuner_type not in (*tuners_map, *TUNERS):
        raise GroundswiftError(f"--tuner_type {args.tuner_type}: what it trains is not planned")
    try:
        with quiet(), torch.device("meta"):
            TunerArguments._init_multimodal_full(args)
            model = TunerMixin.prepare_model(args, model)
    except GroundswiftError:
        raise
    except Exception as error:  # peft and swift raise many kinds
        raise GroundswiftError(f"--tuner_type {args.tuner_type} fails on this model ({one_line(error)})") from None
    if in_full:
        for name, tensor in model.named_parameters():
            if part_of(name, part_names(meta)) in (VISION, ALIGNER):
                tensor.requires_grad_(True)
    return model
