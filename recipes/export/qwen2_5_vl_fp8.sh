#!/usr/bin/env bash
# Task      export: the model quantised, its answers compared
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    FP8 weights
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs a GPU with FP8
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

SHARD=${SHARD:-5GB} # largest file of weights
need_rows
gpus 1

merge_adapter

step "quantise"
run swift export --model "$OUT/merged" --quant_method fp8 --max_shard_size "$SHARD" --output_dir "$OUT/fp8" "$@"

score_quantised "$OUT/fp8"
