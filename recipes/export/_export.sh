# Sourced by the recipes of export and serving: an empty folder, answers that are compared, a server that ends with the recipe.
# shellcheck source=../_trained.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_trained.sh"

SAME=${SAME:-0.9} # least share of equal answers; merging in 16 bits changes a few
PORT=${PORT:-8000} # of the server
WAIT=${WAIT:-900} # seconds that the server may take to load
fresh "$OUT"

# answer RESULT OPTION...: answer TEST greedily with the model or adapter that the options name.
answer() {
  local result=$1
  shift
  run swift infer "$@" --val_dataset "$TEST" --temperature 0 --max_new_tokens "$MAX_NEW_TOKENS" --max_batch_size 8 --result_path "$result"
}

# merge_adapter: the merged model in OUT/merged, and its answers in OUT/before.jsonl.
merge_adapter() {
  step "merge the adapter into the base model"
  run swift export --adapters "$ADAPTERS" --merge_lora true --output_dir "$OUT/merged"
  show python "$RECIPES/export/check_merged.py" "$OUT/merged" --adapters "$ADAPTERS"
  answer "$OUT/before.jsonl" --model "$OUT/merged"
}

# score_quantised FOLDER: answers of a quantised model, compared with those of the merged one and scored.
score_quantised() {
  step "answer with the quantised model"
  answer "$OUT/result.jsonl" --model "$1"
  same_answers "$OUT/before.jsonl" "$OUT/result.jsonl"
  score "$OUT/result.jsonl"
}

# same_answers BEFORE AFTER: compare answers; an error if a smaller share than SAME is equal.
same_answers() {
  show python "$RECIPES/export/same_answers.py" "$1" "$2" --least "$SAME"
}
