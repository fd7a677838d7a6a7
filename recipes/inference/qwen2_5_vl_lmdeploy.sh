#!/usr/bin/env bash
# Task      inference: held-out rows, scored
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    merged model in LMDeploy
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs LMDeploy, a GPU
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

LENGTH=${LENGTH:-8192} # tokens of image, question and answer
need_rows
need_package lmdeploy lmdeploy
gpus 1
fresh_merged

step "merge the adapter, answer the held-out rows"
run swift infer --adapters "$ADAPTERS" --merge_lora true --val_dataset "$TEST" \
  --infer_backend lmdeploy --lmdeploy_session_len "$LENGTH" --lmdeploy_cache_max_entry_count 0.8 --lmdeploy_vision_batch_size 8 \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --logprobs true --result_path "$OUT/result.jsonl" "$@"

score "$OUT/result.jsonl"
