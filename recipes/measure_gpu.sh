#!/usr/bin/env bash
# Measures memory and speed for the heads of recipes: each training that fits one GPU runs for a few steps on random weights of the published
# sizes and generated rows of 1280 x 960 px; sdpa against flash attention if flash_attn is installed, packing against plain rows. Then writes
# the lines Memory and Rate of the heads, and recipes/README.md, with date, commit and device. At most 10 minutes.
#
#   bash recipes/measure_gpu.sh                                     # every recipe that trains on one GPU
#   bash recipes/measure_gpu.sh detection/qwen2_5_vl_lora.sh large/qwen2_5_vl_packing.sh
#   TINY=1 bash recipes/measure_gpu.sh detection/qwen2_5_vl_lora.sh # tiny models on the CPU: test run, writes no head
# shellcheck source=_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/_run.sh"

TINY=${TINY:-}           # 1: tiny models on the CPU
STEPS=${STEPS:-5}        # optimizer steps to measure, after two warm-up steps
SECONDS_IN_ALL=${SECONDS_IN_ALL:-540} # start no measurement after these

need swift groundswift python
[ -n "$TINY$DRY_RUN" ] || python -c "import sys, torch; sys.exit(not torch.cuda.is_available())" ||
  stop "no GPU: TINY=1 tries the measurement on the CPU with tiny models, and writes no head"
fresh "$OUT"
step "measure"
show python "$RECIPES/_measure.py" --work "$OUT/work" --steps "$STEPS" --seconds "$SECONDS_IN_ALL" ${TINY:+--tiny} "$@"
[ -n "$TINY" ] || run python "$RECIPES/_inventory.py"
