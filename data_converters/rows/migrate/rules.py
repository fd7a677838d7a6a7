"""What became of each flag of 2.x: a table. A flag that has no row here is today's as it was; a test compares with 4.6's own classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Kind = Literal["same", "renamed", "dropped", "todo", "special"]
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "AUTO": ""}
MODULES = {"ALL": "all-linear", "DEFAULT": "all-linear", "AUTO": "all-linear", "EMBEDDING": "all-embedding"}
ZERO = {"default-zero2": "zero2", "default-zero3": "zero3", "zero2-offload": "zero2_offload", "zero3-offload": "zero3_offload"}
SAVED = {"EMBEDDING": "all-embedding", "LN": "all-norm"}


class Rule(NamedTuple):
    """`new`: the flag today, empty where there is none. `values`: 2.x value -> today's; an empty one means that the flag goes, as what it
    said is the default. `note`: why a flag goes, or what to do. `refused`: values that 4.6 has no counterpart for -> what to do."""

    kind: Kind
    new: str = ""
    note: str = ""
    values: Mapping[str, str] = {}
    refused: Mapping[str, str] = {}


def _renamed(new: str, values: Mapping[str, str] | None = None, note: str = "", refused: Mapping[str, str] | None = None) -> Rule:
    return Rule("renamed", new, note, values or {}, refused or {})


def _values(name: str, values: Mapping[str, str], refused: Mapping[str, str] | None = None, note: str = "") -> Rule:
    return Rule("same", name, note, values, refused or {})


def _dropped(note: str) -> Rule:
    return Rule("dropped", note=note)


def _todo(note: str) -> Rule:
    return Rule("todo", note=note)


def _special(new: str, note: str) -> Rule:
    """What `special` computes; `new` are the flags that it may write."""
    return Rule("special", new, note)


IA3 = "IA3 was removed: use --tuner_type lora"
MEGATRON = "train with `megatron sft`, which has its own flags"
TORCHACC = "TorchAcc was removed"
MIX = "mix the files with `groundswift mix`, or give both as --dataset A#N B#M"
VLLM_KNOWS = "vLLM takes it from the model"
NO_GENERATION = "swift export generates nothing"

EVERYWHERE: dict[str, Rule] = {
    "model_type": _special("model model_type template", "the id of the model; for a local folder today's model_type and template"),
    "model_id_or_path": _renamed("model"),
    "model_cache_dir": _renamed("model"),
    "sft_type": _renamed("tuner_type", refused={"ia3": IA3}),
    "template_type": _special("template use_chat_template", "today's name; -generation becomes --use_chat_template false"),
    "dtype": _renamed("torch_dtype", DTYPES),
    "dataset": _special("dataset", "names of 2.x become ids"),
    "val_dataset": _special("val_dataset", "names of 2.x become ids"),
    "custom_train_dataset_path": _special("dataset", "joins --dataset"),
    "custom_val_dataset_path": _special("val_dataset", "joins --val_dataset"),
    "train_dataset_sample": _special("dataset", "becomes #N behind the dataset"),
    "self_cognition_sample": _special("dataset", "joins --dataset as swift/self-cognition#N"),
    "dataset_seed": _renamed("data_seed"),
    "dataset_test_ratio": _renamed("split_dataset_ratio"),
    "tools_prompt": _renamed("agent_template"),
    "max_length": _values("max_length", {"-1": ""}),
    "truncation_strategy": _values("truncation_strategy", {"truncation_left": "left", "ignore": "delete"}),
    "check_dataset_strategy": _special("strict", "error becomes --strict true; none, discard and warning are what swift does anyway"),
    "quantization_bit": _special("quant_method quant_bits", "0 goes; else --quant_bits, with --quant_method bnb where none is given"),
    "quant_method": _values("quant_method", {"awq": "", "gptq": ""}, {"aqlm": "AQLM was removed: use a GPTQ, AWQ or bnb model"}),
    "hqq_dynamic_config_path": _todo("4.6 has no dynamic HQQ configuration: use --quant_method hqq --quant_bits N"),
    "bnb_4bit_comp_dtype": _renamed("bnb_4bit_compute_dtype", DTYPES),
    "do_sample": _special("temperature", "false becomes --temperature 0; true goes"),
    "use_flash_attn": _special("attn_impl", "true becomes --attn_impl flash_attn; false goes"),
    "device_map_config": _renamed("device_map"),
    "device_map_config_path": _renamed("device_map"),
    "device_max_memory": _special("max_memory", "a dictionary by GPU"),
    "save_safetensors": _renamed("safe_serialization"),
    "custom_register_path": Rule(
        "same", "custom_register_path", "4.6 registers models, templates and datasets otherwise: rewrite the plugin"
    ),
    "custom_dataset_info": Rule("same", "custom_dataset_info", "4.6 reads other keys: dataset_path, subsets, columns"),
}
TRAINING: dict[str, Rule] = {
    "output_dir": _special("output_dir", "2.x wrote to OUTPUT_DIR/MODEL_TYPE: the folder is spelt out"),
    "add_output_dir_suffix": _special("add_version", "false becomes --add_version false"),
    "val_dataset_sample": _special("val_dataset", "becomes #N behind the validation set"),
    "additional_trainable_parameters": _renamed("trainable_parameters"),
    "tuner_backend": _values("tuner_backend", {"swift": ""}),
    "train_backend": Rule("todo", "", MEGATRON, {"transformers": ""}),
    "tp": _todo(MEGATRON),
    "pp": _todo(MEGATRON),
    "min_lr": _todo("""use --lr_scheduler_type cosine_with_min_lr --lr_scheduler_kwargs '{"min_lr": 1e-6}'"""),
    "sequence_parallel": _todo(MEGATRON),
    "loss_name": _renamed("loss_type", refused={"long-ce": "long-ce was removed", "loss-scale": "use --loss_scale react"}),
    "use_loss_scale": _special("loss_scale", "true becomes --loss_scale react, or what loss_scale_config_path named"),
    "loss_scale_config_path": _special("loss_scale", "alpha-umi and agent-flan are names today; a file has to become a loss_scale plugin"),
    "streaming_val_size": _todo("4.6 splits no stream: name a --val_dataset"),
    "streaming_buffer_size": _renamed("shuffle_buffer_size"),
    "rescale_image": _renamed("max_pixels", {"-1": ""}),
    "target_modules": _special("target_modules freeze_vit freeze_aligner", "ALL, DEFAULT, EMBEDDING: see LoRA below"),
    "lora_target_modules": _special("target_modules freeze_vit freeze_aligner", "ALL, DEFAULT, EMBEDDING: see LoRA below"),
    "boft_target_modules": _special("target_modules freeze_vit freeze_aligner", "as lora_target_modules"),
    "vera_target_modules": _special("target_modules freeze_vit freeze_aligner", "as lora_target_modules"),
    "ia3_target_modules": _todo(IA3),
    "ia3_modules_to_save": _todo(IA3),
    "ia3_feedforward_modules": _todo(IA3),
    "lora_target_regex": _renamed("target_regex"),
    "modules_to_save": _values("modules_to_save", SAVED),
    "lora_modules_to_save": _renamed("modules_to_save", SAVED),
    "boft_modules_to_save": _renamed("modules_to_save", SAVED),
    "vera_modules_to_save": _renamed("modules_to_save", SAVED),
    "lora_dropout_p": _renamed("lora_dropout"),
    "lora_bias_trainable": _renamed("lora_bias"),
    "lora_dtype": _values("lora_dtype", DTYPES),
    "lora_lr_ratio": _renamed("lorap_lr_ratio"),
    "init_lora_weights": _renamed("init_weights"),
    "neftune_backend": _dropped("transformers does it"),
    "neftune_alpha": _renamed("neftune_noise_alpha"),
    "use_liger": _renamed("use_liger_kernel"),
    "vit_use_gc": _renamed("vit_gradient_checkpointing"),
    "deepspeed": _values("deepspeed", ZERO),
    "deepspeed_config_path": _renamed("deepspeed", ZERO),
    "batch_size": _renamed("per_device_train_batch_size"),
    "eval_batch_size": _renamed("per_device_eval_batch_size"),
    "save_total_limit": _values("save_total_limit", {"-1": ""}),
    "acc_steps": _dropped("the accuracy is logged with the loss"),
    "acc_strategy": _values("acc_strategy", {"sentence": "seq"}),
    "test_oom_error": _dropped("4.6 does not sort by length: try one step with the longest rows first"),
    "preprocess_num_proc": _renamed("dataset_num_proc"),
    "check_model_is_latest": _renamed("check_model"),
    "evaluation_strategy": _renamed("eval_strategy"),
    "gpu_memory_fraction": _dropped("set it in Python, or leave the GPU to one job"),
    "fsdp": _values("fsdp", {"": ""}, {"full_shard auto_wrap": "use --fsdp fsdp2"}),
    "model_layer_cls_name": _dropped(TORCHACC),
    "metric_warmup_step": _dropped(TORCHACC),
    "fsdp_num": _dropped(TORCHACC),
    "train_dataset_mix_ratio": Rule("todo", "", MIX, {"0": "", "0.0": "", "0.": ""}),
    "train_dataset_mix_ds": _todo(MIX),
    "only_save_model": _renamed("save_only_model"),
    "push_hub_strategy": _renamed("hub_strategy", {"push_last": "every_save", "push_best": "every_save"}),
    "max_prompt_length": _dropped("--max_length bounds question and answer together"),
    "sft_beta": _todo("use --rpo_alpha, whose loss is another"),
    "ref_model_free": _dropped("--rlhf_type says it"),
    "ref_model_type": _special("ref_model ref_model_type", "the id of the model"),
    "ref_model_id_or_path": _renamed("ref_model"),
    "reward_model_type": _special("reward_model reward_model_type", "the id of the model"),
    "reward_model_id_or_path": _renamed("reward_model"),
}
INFERENCE: dict[str, Rule] = {
    "ckpt_dir": _special("adapters model", "a LoRA checkpoint is --adapters, a whole model --model: the folder decides, where it is there"),
    "infer_backend": _values("infer_backend", {"AUTO": "", "pt": "transformers"}),
    "result_dir": _special("result_path", "the file infer_result.jsonl in that folder"),
    "load_args_from_ckpt_dir": _renamed("load_args"),
    "load_dataset_config": _renamed("load_data_args"),
    "eval_human": _special("", "4.6 starts a dialogue where no dataset is given"),
    "show_dataset_sample": _renamed("val_dataset_sample", {"-1": ""}),
    "val_dataset_sample": _values("val_dataset_sample", {"-1": ""}),
    "save_result": _dropped("results of a dataset are always saved"),
    "merge_lora_and_save": _renamed("merge_lora"),
    "merge_device_map": _dropped("the weights are merged where --device_map puts them"),
    "overwrite_generation_config": _dropped("generation settings are not written into the checkpoint"),
    "verbose": _dropped("swift infer prints every answer"),
    "gpu_memory_utilization": _renamed("vllm_gpu_memory_utilization"),
    "tensor_parallel_size": _renamed("vllm_tensor_parallel_size"),
    "max_num_seqs": _renamed("vllm_max_num_seqs"),
    "max_model_len": _renamed("vllm_max_model_len"),
    "disable_custom_all_reduce": _renamed("vllm_disable_custom_all_reduce"),
    "enforce_eager": _renamed("vllm_enforce_eager"),
    "limit_mm_per_prompt": _renamed("vllm_limit_mm_per_prompt"),
    "vllm_enable_lora": _dropped("vLLM loads what --adapters names"),
    "lora_modules": _renamed("adapters"),
    "vllm_lora_modules": _renamed("adapters"),
    "max_logprobs": _dropped("use --top_logprobs"),
    "image_input_shape": _dropped(VLLM_KNOWS),
    "image_feature_size": _dropped(VLLM_KNOWS),
    "tp": _renamed("lmdeploy_tp"),
    "cache_max_entry_count": _renamed("lmdeploy_cache_max_entry_count"),
    "quant_policy": _renamed("lmdeploy_quant_policy"),
    "vision_batch_size": _renamed("lmdeploy_vision_batch_size"),
}
SERVED = {"verbose": Rule("same", "verbose"), "max_logprobs": Rule("same", "max_logprobs")}
OF_COMMAND: dict[str, dict[str, Rule]] = {
    "sft": TRAINING,
    "pt": TRAINING,
    "rlhf": TRAINING,
    "infer": INFERENCE,
    "deploy": INFERENCE | SERVED,
    "app-ui": INFERENCE | SERVED | {"host": _renamed("server_name"), "port": _renamed("server_port")},
    "web-ui": {"host": _renamed("server_name"), "port": _renamed("server_port")},
    "eval": INFERENCE
    | SERVED
    | {
        "eval_few_shot": _todo("""use --eval_dataset_args '{"NAME": {"few_shot_num": N}}'"""),
        "eval_limit": _special("eval_limit", "a number; a slice such as [100:200] has no counterpart"),
        "name": _dropped("results are named by date"),
        "eval_token": Rule("todo", "", "4.6 sends no key of its own: set it in the service", {"EMPTY": ""}),
        "eval_is_chat_model": _dropped("4.6 asks the service as a chat model"),
        "custom_eval_config": _todo("evalscope's own custom datasets: see --eval_dataset_args"),
        "eval_use_cache": _todo("""use --extra_eval_args '{"use_cache": "FOLDER"}'"""),
        "eval_batch_size": _special("extra_eval_args", "a key of --extra_eval_args"),
        "deploy_timeout": _dropped("4.6 waits for its own server"),
        "eval_nproc": _renamed("eval_num_proc"),
    },
    "export": INFERENCE
    | {
        name: _dropped(NO_GENERATION)
        for name in (
            *("infer_backend", "result_dir", "show_dataset_sample", "val_dataset_sample", "gpu_memory_utilization", "tensor_parallel_size"),
            *("max_num_seqs", "disable_custom_all_reduce", "enforce_eager", "limit_mm_per_prompt", "vllm_max_lora_rank", "verbose"),
            *("cache_max_entry_count", "quant_policy", "vision_batch_size", "save_result", "max_model_len"),
        )
    }
    | {
        "quant_method": Rule("same", "quant_method"),
        "quant_bits": _values("quant_bits", {"0": ""}),
        "quant_seqlen": _renamed("max_length"),
        "quant_device_map": _renamed("device_map"),
        "quant_output_dir": _renamed("output_dir"),
        "quantization_bit": _dropped("use --quant_bits and --quant_method"),
        "ollama_output_dir": _renamed("output_dir"),
        "gguf_file": _todo("write the GGUF file with llama.cpp's converter, from the merged folder"),
        "to_megatron": _renamed("to_mcore"),
        "megatron_output_dir": _renamed("output_dir"),
        "hf_output_dir": _renamed("output_dir"),
        "tp": _todo("use `megatron export --tensor_model_parallel_size N`"),
        "pp": _todo("use `megatron export --pipeline_model_parallel_size N`"),
    },
}
TRAINS_BY = {"metric": _renamed("eval_metric")}
ANSWERS_BY = {"infer_backend": _values("infer_backend", {"pt": "transformers"})}
NAMES_OF_3X: dict[str, dict[str, Rule]] = {  # what 4.6 lacks of 3.12.6
    command: {"train_type": _renamed("tuner_type"), "lora_modules": _renamed("adapters"), "ckpt_dir": INFERENCE["ckpt_dir"]} | more
    for command, more in {
        **dict.fromkeys(("sft", "pt", "rlhf"), TRAINS_BY),
        **dict.fromkeys(("infer", "deploy", "eval", "app-ui"), ANSWERS_BY),
        "export": {"mcore_adapters": _renamed("mcore_adapter")},
    }.items()
}


def rule_of(command: str, flag: str) -> Rule:
    """What became of a flag of a 2.x command."""
    return OF_COMMAND[command].get(flag) or (EVERYWHERE.get(flag) if command != "web-ui" else None) or Rule("same", flag)


class Variable(NamedTuple):
    """What became of an environment variable: the names that take its value today (none: it is read nowhere), and why."""

    new: tuple[str, ...]
    note: str


VARIABLES = {
    "SIZE_FACTOR": Variable((), "read nowhere in 4.6: the factor belongs to the model"),
    "NFRAMES": Variable(
        ("FPS_MIN_FRAMES", "FPS_MAX_FRAMES"), "read by no Qwen-VL template in 4.6: both bounds give the same number of frames"
    ),
    "MIN_FRAMES": Variable(("FPS_MIN_FRAMES",), "renamed"),
    "MAX_FRAMES": Variable(("FPS_MAX_FRAMES",), "renamed"),
    "TOTAL_PIXELS": Variable(("VIDEO_TOTAL_PIXELS",), "renamed"),
    "RESIZED_HEIGHT": Variable((), 'read nowhere in 4.6: give rows "chat_template_kwargs": {"resized_height": ..., "resized_width": ...}'),
    "RESIZED_WIDTH": Variable((), 'read nowhere in 4.6: give rows "chat_template_kwargs": {"resized_height": ..., "resized_width": ...}'),
    "DATASET_ENABLE_CACHE": Variable((), "read nowhere in 4.6: use --load_from_cache_file true"),
}
VIDEO_VARIABLES = {"NFRAMES", "FPS", "MIN_FRAMES", "MAX_FRAMES", "FPS_MIN_FRAMES", "FPS_MAX_FRAMES", "TOTAL_PIXELS"}
OF_VIDEO = {"MAX_PIXELS": "VIDEO_MAX_PIXELS", "MIN_PIXELS": "VIDEO_MIN_PIXELS"}  # 2.x took the first for videos too
