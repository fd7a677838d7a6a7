#!/usr/bin/env bash
# Task      export: the model quantised, its answers compared
# Model     Qwen/Qwen2.5-VL-7B-Instruct with an adapter
# Method    GPTQ, 4 bit
# Hardware  1 GPU
# Memory    not measured
# Score     not measured
# Tiny      parsed: needs gptqmodel, optimum, a GPU
# shellcheck source=_export.sh
source "$(dirname "${BASH_SOURCE[0]}")/_export.sh"

CALIBRATION=${CALIBRATION:-} # rows to calibrate on, such as the rows of the training
need_file CALIBRATION "Rows to calibrate on: those of the training serve"
need_package gptqmodel gptqmodel
need_rows
gpus 1

merge_adapter

step "quantise"
run swift export --model "$OUT/merged" --quant_method gptq --quant_bits 4 \
  --dataset "$CALIBRATION" --quant_n_samples 256 --quant_batch_size 1 --max_length 4096 --group_size 128 --output_dir "$OUT/gptq" "$@"

score_quantised "$OUT/gptq"
