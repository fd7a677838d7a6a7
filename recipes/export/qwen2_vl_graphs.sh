#!/usr/bin/env bash
# Task      export: graphs for ONNX Runtime and OpenVINO, their boxes compared with torch's on large and on non-square images
# Model     Qwen/Qwen2-VL-2B-Instruct with an adapter
# Method    transformers' ONNX exporter, one graph for each number of image patches, no cache
# Hardware  a CPU with memory for the model in 32 bits, three times
# Memory    not measured
# Score     not measured
# Tiny      ADAPTERS=@adapter TEST=@test LIMIT=1 SIZES="original 3x 480x120" MAX_NEW_TOKENS=24 --
# Needs     groundswift[export]
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

LIMIT=${LIMIT:-8} # rows of TEST; each token is computed from the whole sequence
SIZES=${SIZES:-original 2x 1600x400} # of the images, which are resized to them
TOLERANCE=${TOLERANCE:-0} # loss of agreement that is allowed
need_rows
need_package onnxruntime "groundswift[export]"
need_package openvino "groundswift[export]"

step "merge the adapter into the base model"
run swift export --adapters "$ADAPTERS" --merge_lora true --output_dir "$OUT/merged"
show python "$RECIPES/export/check_merged.py" "$OUT/merged" --adapters "$ADAPTERS"

step "export, load and compare boxes with torch's"
sizes=()
for size in $SIZES; do sizes+=(--size "$size"); done
show groundswift parity "$TEST" --way torch="$OUT/merged:fp32" --way onnx="$OUT/merged:onnx" --way openvino="$OUT/merged:openvino-fp32" \
  "${sizes[@]}" --limit "$LIMIT" --max-new-tokens "$MAX_NEW_TOKENS" --tolerance "$TOLERANCE" --out "$OUT/parity" "$@"
printf '\ngraphs   %s\nreport   %s\nlog      %s\n' "$OUT/parity/graphs" "$OUT/parity/report.html" "$LOG"
