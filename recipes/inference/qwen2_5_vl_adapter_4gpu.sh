#!/usr/bin/env bash
# Task      inference: held-out rows split over GPUs, scored
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    adapter on its base model, one process for each GPU
# Hardware  4 GPUs
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

BATCH=${BATCH:-8} # rows at once on each GPU
need_rows
gpus 4

step "answer the held-out rows in $GPUS processes"
run NPROC_PER_NODE="$GPUS" swift infer --adapters "$ADAPTERS" --val_dataset "$TEST" --stream false \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --max_batch_size "$BATCH" --ddp_timeout 1800 --result_path "$OUT/result.jsonl" "$@"

score "$OUT/result.jsonl"
