"""The memory of one training: its model counted, its layout read from its options, and what would lower it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundswift.errors import GroundswiftError, error_at

from ..encoding import one_line
from .activations import Compute
from .census import Census, take_census
from .memory import Item, Layout, items_of, total_of
from .model import configuration, dtype_of, model_meta_of, on_meta, tuned
from .quantised import quantised_linears, scheme_of
from .row_length import GENERATED, RowLength
from .settings import Settings

PAIRED = ("dpo", "orpo", "simpo", "cpo", "rm", "kto")  # two sequences a row
REFERENCED = ("dpo", "kto", "grpo")  # a frozen copy is kept where the whole model is trained


@dataclass(frozen=True)
class Lower:
    """One thing to lower: what to give, and the bytes that it saves on each GPU."""

    option: str
    saves: int


@dataclass(frozen=True)
class MemoryPlan:
    """Memory of a training on each GPU. `config`: where the model's sizes come from."""

    items: list[Item]
    total: int
    census: Census
    lower: list[Lower]
    config: str


def plan_memory(settings: Settings, length: RowLength, given_config: Path | None) -> MemoryPlan:
    """Count the model and lay it out. Raises GroundswiftError where the configuration is not here or has no plan."""
    path, config = configuration(settings.options.model, given_config)
    census = census_of(settings, config, path)
    layout = layout_of(settings, length, config)
    items = items_of(census, layout)
    total = total_of(items)
    savings = [Lower(text, total - total_of(items_of(*other))) for text, other in alternatives(settings, config, path, census, layout)]
    return MemoryPlan(items, total, census, sorted((each for each in savings if each.saves > 0), key=lambda each: -each.saves), path)


def notes_on_memory(made: MemoryPlan, settings: Settings) -> list[str]:
    """Limits of the memory estimate."""
    notes = ["memory: the CUDA context (about 0.5 GiB), fragmentation and temporary tensors of a kernel are not counted"]
    if made.census.linear_attention:
        layers = f"{made.census.linear_attention} layers without keys and values"
        notes.append(f"memory: {layers} count as attention layers: activations may be higher")
    if made.census.experts and made.census.quantised_bytes:
        notes.append("memory: experts stored as one tensor are not linear layers, so --quant_method does not quantise them")
    if settings.zero_stage == 3 and made.census.quantised_bytes:
        notes.append("memory: quantised weights are assumed to be whole on each GPU under ZeRO-3")
    if settings.options.fsdp:
        notes.append("memory: --fsdp is not planned; the numbers are without it")
    return notes


def census_of(settings: Settings, config: Any, path: str) -> Census:
    """The model of a training, counted. Raises GroundswiftError where it cannot be."""
    dtype, meta = dtype_of(settings, config), model_meta_of(settings, config)
    scheme = scheme_of(settings, config, meta)
    model = on_meta(config, dtype, path)
    packed = {id(weight): size for weight, size in quantised_linears(model, scheme)} if scheme else {}
    model = tuned(model, settings, meta)
    try:
        return take_census(model, meta, packed, compute_of(settings, config), dtype.itemsize)
    except Exception as error:  # a configuration may have other shapes than any seen
        raise error_at(path, f"the model cannot be counted ({one_line(error)})", "a model of a family that groundswift knows") from None


def compute_of(settings: Settings, config: Any) -> Compute:
    """Precision and attention of a training."""
    implementation = settings.options.attn_impl or "sdpa"
    attention = "flash" if "flash" in implementation else "eager" if implementation == "eager" else "sdpa"
    return Compute(itemsize_of(settings, config), attention, 0, getattr(config.get_text_config(), "num_experts_per_tok", None) or 1)


def itemsize_of(settings: Settings, config: Any) -> int:
    """Bytes a number in compute: 2 under autocast (`--fp16`, `--bf16`, which swift sets by the weights' type) or for 16-bit weights."""
    return 2 if dtype_of(settings, config).itemsize == 2 or mixed(settings.options) else 4


def mixed(options: Any) -> bool:
    """Whether autocast is on; swift turns it on for every type of weights unless `--fp16 false` and `--bf16 false` say otherwise."""
    return options.fp16 is not False or bool(options.bf16)


def layout_of(settings: Settings, length: RowLength, config: Any) -> Layout:
    """How a training is laid out on each GPU."""
    options, how = settings.options, settings.batching()
    zero = (settings.deepspeed or {}).get("zero_optimization", {})
    stage, rlhf = settings.zero_stage, settings.rlhf_type
    rows, generated = generation_of(settings)
    vision = options.vit_gradient_checkpointing
    return Layout(
        processes=how.processes,
        stage=stage,
        offload_optimizer=offloaded(zero, "offload_optimizer"),
        offload_weights=offloaded(zero, "offload_param"),
        bucket=bucket_of(zero, config),
        optimizer=str(getattr(options.optim, "value", options.optim)),
        batch=how.batch,
        tokens=length.tokens + (generated if rlhf == "grpo" else 0),
        image_tokens=length.image_tokens,
        loss_tokens=length.loss_tokens if rlhf != "grpo" else generated,
        compute=itemsize_of(settings, config),
        checkpointing=options.gradient_checkpointing,
        vision_checkpointing=options.gradient_checkpointing if vision is None else vision,
        autocast_copies=stage is None and mixed(options),
        cache_rows=rows,
        cache_tokens=length.tokens + generated,
        copies=int(options.tuner_type == "full" and rlhf in REFERENCED and not (rlhf == "grpo" and options.beta == 0)),
        sequences=2 if rlhf in PAIRED else 1,
    )


def generation_of(settings: Settings) -> tuple[int, int]:
    """(rows that are generated at once on a GPU, new tokens of each); (0, 0) where nothing is generated by the trained model itself."""
    options = settings.options
    if settings.rlhf_type == "grpo":
        how = settings.batching()
        new = options.max_completion_length or GENERATED
        return (0 if options.use_vllm else how.batch * how.passes), new
    evaluated = len(options.val_dataset) > 0 or settings.split_ratio() > 0
    return (options.per_device_eval_batch_size, options.max_new_tokens) if options.predict_with_generate and evaluated else (0, 0)


def offloaded(zero: dict[str, Any], name: str) -> bool:
    """Whether a part of ZeRO is moved to the host."""
    return (zero.get(name) or {}).get("device", "none") not in (None, "none")


def bucket_of(zero: dict[str, Any], config: Any) -> int:
    """Numbers in DeepSpeed's gradient bucket; `auto` is the square of the hidden size, as transformers sets it."""
    size = zero.get("reduce_bucket_size", 500_000_000)
    return config.get_text_config().hidden_size ** 2 if size == "auto" else int(float(size))


def alternatives(settings: Settings, config: Any, path: str, census: Census, layout: Layout) -> Iterator[tuple[str, tuple[Census, Layout]]]:
    """What could be lowered, each with the model and layout that it leads to."""
    options = settings.options
    if layout.batch > 1:
        yield f"--per_device_train_batch_size {layout.batch // 2}", (census, replace(layout, batch=layout.batch // 2))
    if layout.image_tokens > 1:
        half = layout.image_tokens // 2
        text = "half the pixels per image (MAX_PIXELS)"
        yield text, (census, replace(layout, image_tokens=half, tokens=layout.tokens - half, cache_tokens=layout.cache_tokens - half))
    if not layout.checkpointing:
        yield "--gradient_checkpointing true", (census, replace(layout, checkpointing=True, vision_checkpointing=True))
    yield from sharded(layout, census)
    for text, changes in retuned(options, layout):
        other = replace(settings, options=Namespace(**{**vars(options), **changes}))
        with suppress(GroundswiftError):  # swift refuses it for this model
            yield text, (census_of(other, config, path), layout)


def sharded(layout: Layout, census: Census) -> Iterator[tuple[str, tuple[Census, Layout]]]:
    """The next stages of ZeRO, and offload."""
    stage = -1 if layout.stage is None else layout.stage
    for target, bucket in ((2, 200_000_000), (3, 1)) if layout.processes > 1 else ():
        if target > stage and not (target == 3 and census.quantised_bytes):
            yield f"--deepspeed zero{target}", (census, replace(layout, stage=target, bucket=bucket, autocast_copies=False))
    if not layout.offload_optimizer and not census.quantised_bytes:
        moved = replace(layout, stage=3, bucket=1, offload_optimizer=True, offload_weights=True, autocast_copies=False)
        yield "--deepspeed zero3_offload", (census, moved)


def retuned(options: Any, layout: Layout) -> Iterator[tuple[str, dict[str, Any]]]:
    """Changes of what is trained and how weights are loaded."""
    if options.tuner_type == "full":
        yield "--tuner_type lora", {"tuner_type": "lora"}
        if not options.freeze_vit:
            yield "--freeze_vit true", {"freeze_vit": True}
    elif options.quant_method is None and layout.stage != 3:
        yield "--quant_method bnb --quant_bits 4", {"quant_method": "bnb", "quant_bits": 4}
    if not (options.attn_impl and "flash" in options.attn_impl) and not layout.checkpointing:
        yield "--attn_impl flash_attn", {"attn_impl": "flash_attn"}
