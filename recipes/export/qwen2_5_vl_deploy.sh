#!/usr/bin/env bash
# Task      serving: an OpenAI-compatible API on 127.0.0.1, and a client that prints boxes in original pixels
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    swift deploy, adapter on its base model, the training's pixel limits
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test -- --torch_dtype float32
# Needs     openai
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

NAME=${NAME:-groundswift} # of the model in the API
need_rows
need_package openai openai
gpus 1

step "start the server"
serve swift deploy --adapters "$ADAPTERS" --host 127.0.0.1 --port "$PORT" --served_model_name "$NAME" \
  --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --log_interval 60 "$@"

step "ask for boxes"
show python "$RECIPES/export/client.py" "$TEST" --url "http://127.0.0.1:$PORT/v1" --model "$NAME" --trained "$ADAPTERS" \
  --max-tokens "$MAX_NEW_TOKENS" --out "$OUT/boxes.jsonl"
printf '\nboxes    %s\nlog      %s\n' "$OUT/boxes.jsonl" "$LOG"
