#!/usr/bin/env bash
# Task      inference: held-out rows, scored
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    merged model in vLLM
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs vLLM, a GPU
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

LENGTH=${LENGTH:-8192} # tokens of image, question and answer
need_rows
need_package vllm vllm
gpus 1
fresh_merged

step "merge the adapter, answer the held-out rows"
run swift infer --adapters "$ADAPTERS" --merge_lora true --val_dataset "$TEST" \
  --infer_backend vllm --vllm_max_model_len "$LENGTH" --vllm_gpu_memory_utilization 0.9 --vllm_limit_mm_per_prompt '{"image": 1}' \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --logprobs true --result_path "$OUT/result.jsonl" "$@"

score "$OUT/result.jsonl"
