#!/usr/bin/env bash
# Task      inference: answers printed token by token (streaming)
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    streaming, one row at a time
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

TEMPERATURE=${TEMPERATURE:-0} # 0: the likeliest token each time
need_rows
gpus 1

step "answer the held-out rows, a token at a time"
show swift infer --adapters "$ADAPTERS" --val_dataset "$TEST" --stream true \
  --temperature "$TEMPERATURE" --max_new_tokens "$MAX_NEW_TOKENS" --result_path "$OUT/result.jsonl" "$@"

score "$OUT/result.jsonl"
