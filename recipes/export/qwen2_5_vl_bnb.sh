#!/usr/bin/env bash
# Task      export: the model quantised, its answers compared
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    bitsandbytes, 4 bit (or 8)
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test SAME=0.0 BITS=8 --
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

BITS=${BITS:-4} # 4 or 8
need_package bitsandbytes "groundswift[qlora]"
need_rows
gpus 1

merge_adapter

step "quantise"
run swift export --model "$OUT/merged" --quant_method bnb --quant_bits "$BITS" --output_dir "$OUT/bnb" "$@"

score_quantised "$OUT/bnb"
