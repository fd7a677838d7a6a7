#!/usr/bin/env bash
# Task      inference: a dialogue about an image
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    interactive, lines from stdin
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter IMAGE=@image -- --torch_dtype float32
# shellcheck source=_inference.sh
source "$(dirname "${BASH_SOURCE[0]}")/_inference.sh"

IMAGE=${IMAGE:-}                                             # file of an image
QUESTION=${QUESTION:-Detect all objects.}                    # the first question
AGAIN=${AGAIN:-Detect all objects again.}                    # the second, about the same image
need_file IMAGE "An image to talk about"
gpus 1

step "ask"
show swift infer --adapters "$ADAPTERS" --stream true --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" "$@" << LINES
<image>$QUESTION
$IMAGE
$AGAIN
clear
<image>$QUESTION
$IMAGE
exit
LINES
printf '\nlog      %s\n' "$LOG"
