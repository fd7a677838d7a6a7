#!/usr/bin/env bash
# Task      inference: the rows that the training held out, by the merged model
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    --merge_lora true, --load_data_args true
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

BATCH=${BATCH:-8} # rows at once
gpus 1
fresh_merged

step "merge the adapter, answer the validation split"
run swift infer --adapters "$ADAPTERS" --merge_lora true --load_data_args true \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --max_batch_size "$BATCH" --result_path "$OUT/result.jsonl" "$@"
printf '\nmerged   %s\nresult   %s\nlog      %s\n' "$MERGED" "$OUT/result.jsonl" "$LOG"
