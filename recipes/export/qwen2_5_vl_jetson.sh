#!/usr/bin/env bash
# Task      edge: a 4-bit checkpoint for a Jetson AGX Orin, its memory, its boxes compared with the merged model's
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    GPTQ, 4 bit; on the device TensorRT Edge-LLM, which was not run here (docs/edge.md)
# Hardware  1 GPU to quantise; Jetson AGX Orin 64 GB to serve
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs gptqmodel, optimum, a GPU
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

CALIBRATION=${CALIBRATION:-} # rows to calibrate on, such as the rows of the training
CONTEXT=${CONTEXT:-2048} # tokens of question, image and answer on the device
MEMORY=${MEMORY:-64} # GiB of the device, which its CPU and GPU share
TOLERANCE=${TOLERANCE:-0.1} # loss of agreement that is allowed
need_file CALIBRATION "Rows to calibrate on: those of the training serve"
need_package gptqmodel gptqmodel
need_rows
gpus 1

step "merge the adapter into the base model"
run swift export --adapters "$ADAPTERS" --merge_lora true --output_dir "$OUT/merged"
show python "$RECIPES/export/check_merged.py" "$OUT/merged" --adapters "$ADAPTERS"

step "quantise the language model"
run swift export --model "$OUT/merged" --quant_method gptq --quant_bits 4 \
  --dataset "$CALIBRATION" --quant_n_samples 256 --quant_batch_size 1 --max_length 4096 --group_size 128 --output_dir "$OUT/int4" "$@"

step "plan the memory of the device"
show python "$RECIPES/export/serving_memory.py" "$OUT/int4" --context "$CONTEXT" --memory "$MEMORY"

step "compare boxes on large and on non-square images"
show groundswift parity "$TEST" --way merged="$OUT/merged" --way int4="$OUT/int4" --size original --size 2x --size 1600x400 \
  --max-new-tokens "$MAX_NEW_TOKENS" --tolerance "$TOLERANCE" --out "$OUT/parity"
printf '\ncheckpoint   %s\nreport       %s\nlog          %s\n' "$OUT/int4" "$OUT/parity/report.html" "$LOG"
