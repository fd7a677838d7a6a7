#!/usr/bin/env bash
# Task      inference: a dialogue about one image in Python, streamed
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    Python, streaming, with the history
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter IMAGE=@image -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

IMAGE=${IMAGE:-}                           # file of an image
QUESTION=${QUESTION:-Detect all objects.}  # the first question
AGAIN=${AGAIN:-Detect all objects again.}  # the second, about the same image
need_file IMAGE "An image to ask about"
gpus 1

step "ask"
show python "$RECIPES/inference/python_stream.py" --image "$IMAGE" --question "$QUESTION" --question "$AGAIN" -- \
  --adapters "$ADAPTERS" --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" "$@"
printf '\nlog      %s\n' "$LOG"
