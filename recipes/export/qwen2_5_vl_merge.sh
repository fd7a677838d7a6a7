#!/usr/bin/env bash
# Task      export: the merged model with all its files, compared with the base
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    swift export --merge_lora true
# Hardware  1 GPU, or a CPU with memory for the model
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test SAME=1.0 --
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

SHARD=${SHARD:-5GB} # largest file of weights
need_rows
gpus 1

step "merge the adapter into the base model"
run swift export --adapters "$ADAPTERS" --merge_lora true --max_shard_size "$SHARD" --output_dir "$OUT/merged" "$@"

step "compare files, tokens and pixels with the base model"
show python "$RECIPES/export/check_merged.py" "$OUT/merged" --adapters "$ADAPTERS"

step "compare answers before and after"
answer "$OUT/before.jsonl" --adapters "$ADAPTERS"
answer "$OUT/after.jsonl" --model "$OUT/merged"
same_answers "$OUT/before.jsonl" "$OUT/after.jsonl"
printf '\nmerged   %s\nlog      %s\n' "$OUT/merged" "$LOG"
