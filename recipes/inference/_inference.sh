# Sourced by the recipes of inference: an empty folder for the answers, and for the merged model where one is made.
# shellcheck source=../_trained.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_trained.sh"

# fresh_merged: MERGED, the folder that --merge_lora true writes. An earlier one is refused: swift would use it silently.
fresh_merged() {
  MERGED=$ADAPTERS-merged
  [ -z "$DRY_RUN" ] && [ -e "$MERGED" ] || return 0
  [ "${OVERWRITE:-}" = 1 ] || stop "$MERGED exists, and swift would answer with it. Remove it with OVERWRITE=1, or name it: --model $MERGED"
  run rm -rf "$MERGED"
}

fresh "$OUT"
