# Sourced by the recipes of inference and export: they start from a trained adapter, and keep its pixel limits.
# shellcheck source=_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/_run.sh"

ADAPTERS=${ADAPTERS:-} # LoRA checkpoint of a training with groundswift's plugin
TEST=${TEST:-}         # rows to answer, as groundswift convert writes them
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-2048} # of an answer

need swift groundswift python
need_file ADAPTERS "Train first: bash recipes/detection/qwen2_5_vl_lora.sh, then ADAPTERS=runs/detection/qwen2_5_vl_lora/train/checkpoint-N"

# need_rows: require the rows to answer.
need_rows() {
  need_file TEST "Make rows for swift first: groundswift convert coco test.json --images images/ --out test.jsonl"
}

# trained_limits: export the pixel limits of the training for every command that follows; limits that are set already stay.
trained_limits() {
  local limits line
  [ -z "$DRY_RUN" ] || return 0
  limits=$(script _limits.py "$ADAPTERS") || exit 1
  for line in $limits; do
    [ -n "$(printenv "${line%%=*}")" ] || export "${line?}"
  done
}

# score RESULT: score a result file against ground truth made from TEST.
score() {
  step "score"
  run groundswift convert to-coco "$TEST" --out "$OUT/truth.json"
  show groundswift eval coco-map "$1" --gt "$OUT/truth.json" --out "$OUT/scored"
  printf '\nreport   %s\nlog      %s\n' "$OUT/scored/report.html" "$LOG"
}

trained_limits
