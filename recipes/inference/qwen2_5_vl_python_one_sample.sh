#!/usr/bin/env bash
# Task      inference: one image and one question in Python, boxes in original pixels
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    Python, swift's engine with the arguments of the checkpoint
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter IMAGE=@image -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

IMAGE=${IMAGE:-}                          # file of an image
QUESTION=${QUESTION:-Detect all objects.} # what is asked
need_file IMAGE "An image to ask about"
gpus 1

step "ask"
show python "$RECIPES/inference/python_one_sample.py" --image "$IMAGE" --question "$QUESTION" -- \
  --adapters "$ADAPTERS" --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" "$@"
printf '\nlog      %s\n' "$LOG"
