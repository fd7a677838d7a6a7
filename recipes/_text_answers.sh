# Sourced by the recipes with text answers (ocr, caption, video): what follows a training: merge, answers on the split, their scores.
# shellcheck source=_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/_run.sh"

EPOCHS=${EPOCHS:-1}
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-512} # of an answer

need swift python
need_package jieba 'groundswift[text-metrics]'
METRIC=captions
[ "$(basename "$(dirname "$RECIPE")")" != ocr ] || METRIC=ocr
[ "$METRIC" = ocr ] || need_package pycocoevalcap 'groundswift[text-eval]'
fresh "$OUT"

# score_adapter [OPTION...]: merge the best adapter, answer the rows that the training held out and score. Further options go to `swift infer`.
score_adapter() {
  answer --adapters "$(best_checkpoint "$OUT/train")" --merge_lora true "$@"
}

# score_model [OPTION...]: the same for full training, whose checkpoint is a model.
score_model() {
  answer --model "$(best_checkpoint "$OUT/train")" "$@"
}

# answer WORD...: `--load_data_args true` takes the datasets of the training and holds out the same rows.
answer() {
  step "answer the held-out rows"
  run swift infer "$@" --load_data_args true --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --max_batch_size 8 \
    --metric rouge --result_path "$OUT/result.jsonl"
  show groundswift eval "$METRIC" "$OUT/result.jsonl" --out "$OUT/scored"
  [ -n "$DRY_RUN" ] || printf '\nreport   %s\nresult   %s\nlog      %s\n' "$OUT/scored/report.html" "$OUT/result.jsonl" "$LOG"
}
