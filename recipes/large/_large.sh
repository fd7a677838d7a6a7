# Sourced by the recipes of large models and fast training: which rows they read.
# shellcheck source=../_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_run.sh"

TRAIN=${TRAIN:-} # rows to train on, as groundswift convert writes them
VAL=${VAL:-}     # rows to validate on
EPOCHS=${EPOCHS:-1}

need swift groundswift python
need_file TRAIN "Make rows for swift first: groundswift convert coco train.json --images images/ --out train.jsonl"
need_file VAL "Make rows for swift first: groundswift convert coco val.json --images images/ --out val.jsonl"

# need_megatron: what Megatron-SWIFT needs in addition to ms-swift. Checked before the model is loaded, which takes minutes.
need_megatron() {
  need megatron
  need_package megatron.core 'ms-swift[megatron]'
  need_package mcore_bridge 'ms-swift[megatron]'
  need_package transformer_engine 'transformer-engine[pytorch]' # built for the installed torch and CUDA
}
