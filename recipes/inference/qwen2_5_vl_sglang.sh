#!/usr/bin/env bash
# Task      inference: held-out rows, scored
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    merged model in SGLang; its engine in ms-swift 4.6 returns no log-probabilities, so every box scores 1.0
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs SGLang, a GPU
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

LENGTH=${LENGTH:-8192} # tokens of image, question and answer
need_rows
need_package sglang sglang
gpus 1
fresh_merged

step "merge the adapter, answer the held-out rows"
run swift infer --adapters "$ADAPTERS" --merge_lora true --val_dataset "$TEST" \
  --infer_backend sglang --sglang_context_length "$LENGTH" --sglang_mem_fraction_static 0.8 \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --result_path "$OUT/result.jsonl" "$@"

score "$OUT/result.jsonl"
