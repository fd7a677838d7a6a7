#!/usr/bin/env bash
# Task      inference: answers with log-probabilities for held-out rows, scored
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    adapter on its base model, transformers
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

BATCH=${BATCH:-8} # rows at once
need_rows
gpus 1

step "answer the held-out rows"
run swift infer --adapters "$ADAPTERS" --val_dataset "$TEST" \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --max_batch_size "$BATCH" --logprobs true --result_path "$OUT/result.jsonl" "$@"

score "$OUT/result.jsonl"
