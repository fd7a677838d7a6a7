# Sourced by every recipe: strict mode, and the few mechanics that all of them share. Nothing of a task stands here.
set -euo pipefail

RECIPES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE-}" TOKENIZERS_PARALLELISM="${TOKENIZERS_PARALLELISM:-false}"

# need COMMAND...: stop early, in words, where something to run is missing.
need() {
  local command
  for command in "$@"; do
    command -v "$command" > /dev/null || {
      echo "error: '$command' is not on the PATH; 'make install' puts it into .venv/bin" >&2
      exit 1
    }
  done
}

# fresh FOLDER: an empty folder for a run, with its log; an earlier run's folder is emptied, anything else is left alone.
fresh() {
  if [ -e "$1" ] && [ ! -e "$1/log.txt" ] && [ -n "$(ls -A "$1")" ]; then
    echo "error: $1 holds something that is no earlier run (no log.txt); expected a new folder in OUT" >&2
    exit 1
  fi
  rm -rf "$1"
  mkdir -p "$1"
  : > "$1/log.txt"
}

# step TEXT: a headline with the seconds since the recipe began.
step() {
  printf '\n== %4ss  %s\n' "$SECONDS" "$*"
}

# run LOG COMMAND...: show the command, keep all that it prints in LOG, let only its progress bars through; on failure show LOG's end.
run() {
  local log=$1 status=0
  shift
  printf '+ %s\n' "$(printf '%q ' "$@")" | tee -a "$log" | cut -c 1-400
  "$@" 2>&1 | python "$RECIPES/_bars.py" "$log" || status=$?
  if [ "$status" -ne 0 ]; then
    echo "error: the command above ended with status $status; the end of $log:" >&2
    tail -n 25 "$log" | cut -c 1-300 >&2
    exit "$status"
  fi
}
