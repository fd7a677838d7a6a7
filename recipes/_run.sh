# Sourced by every recipe, directly or through its group's file: strict mode and the mechanics that all recipes share. No task is described here.
#
#   bash recipes/TASK/NAME.sh --help        # the recipe's head and its variables
#   DRY_RUN=1 bash recipes/TASK/NAME.sh     # print every command, run nothing
#   OUT=/data/run1 MODEL=/data/model bash recipes/TASK/NAME.sh --learning_rate 5e-5   # further options go to the recipe's main command
set -euo pipefail

RECIPES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RECIPE=$(cd "$(dirname "${BASH_SOURCE[-1]}")" && pwd)/$(basename "${BASH_SOURCE[-1]}")
DRY_RUN=${DRY_RUN:-}
declare -A STARTED=() # what runs side by side with the recipe, name -> its process group; it ends with the recipe
SHOWN="^(CUDA_VISIBLE_DEVICES|NPROC_PER_NODE|NNODES|NODE_RANK|MASTER_ADDR|MASTER_PORT|(IMAGE_|VIDEO_)?(MAX|MIN)_(PIXELS|TOKEN_NUM)|FPS|FPS_M.._FRAMES|QWENVL_BBOX_FORMAT|GROUNDSWIFT_.*)=" # printed before a command of swift
STEP= # the headline of the present step
RUNS= # the command that runs now, in two words
GO_ON= # what to do after a failure
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE-}" TOKENIZERS_PARALLELISM="${TOKENIZERS_PARALLELISM:-false}"

# stop TEXT: print one error and end the recipe.
stop() {
  echo "error: $*" >&2
  RUNS='' STEP=''
  exit 1
}

# print_help: print the head of the recipe, and the variables that it and its sourced files read, with their defaults.
print_help() {
  local files=() file
  for file in "${BASH_SOURCE[@]}"; do [ "$(basename "$file")" = _run.sh ] || files=("$file" "${files[@]}"); done
  sed -n '2,/^[^#]/{/^# shellcheck/d;s/^# \{0,1\}//p}' "$RECIPE"
  printf '\nVariables (VAR=value before the command)\n'
  sed -nE 's/^(export )?([A-Z][A-Z_0-9]*)=\$\{\2:?-(.*)\} *(# (.*))?$/\2|\3|\5/p' "${files[@]}" |
    awk -F '|' '!seen[$1]++ && $1 != "OUT" { printf "  %-14s %s%s\n", $1, $3, $2 == "" ? "" : ($3 == "" ? "" : "  ") "[" $2 "]" }'
  printf '  %-14s %s\n' OUT "folder of the run  [runs/TASK/NAME of the checkout]" OVERWRITE "1: remove an earlier run in OUT" \
    CUDA_VISIBLE_DEVICES "the GPUs to use" DRY_RUN "1: print every command, run nothing"
}

# script NAME WORD...: run a Python script of recipes/ that Ctrl-C ends without a traceback.
script() {
  python -c 'import runpy, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")' "$RECIPES/$1" "${@:2}"
}

# need COMMAND...: stop early if a command is missing.
need() {
  local command
  for command in "$@"; do
    command -v "$command" > /dev/null || stop "'$command' is not on the PATH: run 'make install' and put .venv/bin first on the PATH"
  done
}

# need_package MODULE EXTRA: stop early if a Python package is missing; EXTRA is what pip installs.
need_package() {
  [ -n "$DRY_RUN" ] || python -c "import importlib.util as u, sys; sys.exit(u.find_spec('$1') is None)" ||
    stop "the Python package '$1' is not installed: pip install '$2'"
}

# need_file VARIABLE HINT: stop early if the file or folder in VARIABLE is missing, and make its path absolute. HINT says how to get it.
# A dry run goes on, and shows the name of a variable that is not set in place of its value.
need_file() {
  local value=${!1:-}
  if [ -n "$DRY_RUN" ]; then
    [ -n "$value" ] || echo "note: $1 is not set: $2" >&2
    printf -v "$1" '%s' "${value:-$1}"
    return 0
  fi
  [ -n "$value" ] || stop "$1 is not set: $2"
  [ -e "$value" ] || stop "$1=$value: no such file or folder. $2"
  printf -v "$1" '%s' "$(realpath -s "$value")"
}

# fresh FOLDER: make an empty folder for a run, with its log. An earlier run is refused, so that stale outputs never mix with new ones.
# A run that ended before its first command has only an empty log, and may start again.
fresh() {
  LOG=$1/log.txt
  [ -z "$DRY_RUN" ] || return 0
  if [ -s "$LOG" ] || { [ -e "$1" ] && [[ $(ls -A "$1") != @(|log.txt) ]]; }; then
    [ -e "$LOG" ] || stop "$1 has files that are not from a run (no log.txt). Give a new folder: OUT=..."
    [ -n "${OVERWRITE:-}" ] || stop "$1 has an earlier run. Give a new folder: OUT=..., or remove the earlier run: OVERWRITE=1"
    rm -rf "$1"
  fi
  mkdir -p "$1"
  : > "$LOG"
  GO_ON=${GO_ON:-to start again: OVERWRITE=1 before the same command}
}

# reopen FOLDER: continue the run in a folder, or make it. Two runs at a time are refused: what a killed one started may still run.
reopen() {
  [ -z "$DRY_RUN" ] || { LOG=$1/log.txt && return 0; }
  if [ -e "$1/.lock" ]; then
    exec 9>> "$1/.lock"
    flock -n 9 || stop "$1 is in use: another run, or a command that a killed run started, has not ended"
  fi
  if [ -n "${OVERWRITE:-}" ] || [ ! -e "$1/log.txt" ]; then fresh "$1"; else LOG=$1/log.txt; fi
  exec 9>> "$1/.lock"
  flock -n 9
  # what a killed command was writing; nobody else writes here, since the lock is held
  find "$1" -regextype posix-extended -regex '.*/\.[^/]+\.[0-9a-f]{8}\.tmp' -not -name '.groundswift.*' -prune -exec rm -rf {} +
  GO_ON="run the same command ${OVERWRITE:+without OVERWRITE=1 }again to go on"
}

# gpus COUNT: use CUDA_VISIBLE_DEVICES if set, else the first COUNT GPUs. Sets GPUS to their number.
gpus() {
  export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES-$(seq -s , 0 "$(($1 - 1))")}
  local visible=${CUDA_VISIBLE_DEVICES//[^,]/}
  : "${GPUS:=$([ -n "$CUDA_VISIBLE_DEVICES" ] && echo $((${#visible} + 1)) || echo "$1")}"
}

# step TEXT: print a headline with the seconds since the recipe started.
step() {
  STEP=$* RUNS=''
  printf '\n== %4ss  %s\n' "$SECONDS" "$*"
}

# as_typed [VAR=value...] COMMAND...: print a command as typed; before a swift command also the environment variables that change it.
as_typed() {
  local shown=
  case " $* " in *" swift "* | *" megatron "*) shown=$(env | sort | sed -nE "/$SHOWN/{s/=(.*[^[:alnum:]_.,:\/-].*)/='\1'/;p}" | tr '\n' ' ') ;; esac
  printf '+ %s%s\n' "$shown" "$(printf '%q ' "$@")"
}

# run [VAR=value...] COMMAND...: print the command, write its output to LOG with times, and show only its progress bars.
# On failure the end of LOG is shown.
run() {
  local status=0
  if [ -n "$DRY_RUN" ]; then
    as_typed "$@"
    compare_merged "$@"
    return 0
  fi
  RUNS=$(in_two_words "$@")
  as_typed "$@" | tee -a "$LOG" | cut -c 1-400
  env "$@" 2>&1 | (trap '' INT && exec python "$RECIPES/_log.py" "$LOG") || status=$? # Ctrl-C is for the command, whose last words follow
  if [ "$status" -ne 0 ]; then
    [[ $(reason "$status") == *SIG* ]] || # the log says nothing of a kill
      printf 'error: the command above ended with status %s; the end of %s:\n%s\n' "$status" "$LOG" "$(tail -n 25 "$LOG" | cut -c 1-300)" >&2
    exit "$status"
  fi
  RUNS=''
  compare_merged "$@"
}

# compare_merged COMMAND...: after a command that merges an adapter: what the merged folder lacks of the base model's tokenizer and processor
# files, or has otherwise. `run` does this; a folder that is still to be renamed (.partial) is compared afterwards.
compare_merged() {
  local found folders=(BASE MERGED)
  case "$* " in *" --merge_lora true "*) ;; *) return 0 ;; esac
  case "$* " in *".partial "*) return 0 ;; esac
  if [ -z "$DRY_RUN" ]; then
    found=$(script _merged.py "$@") || return 0
    mapfile -t folders <<< "$found"
  fi
  show groundswift parity --files "${folders[@]}" || echo "warning: the merged model differs from its base in what is named above" >&2
  RUNS=''
}

# show [VAR=value...] COMMAND...: as run, but the output is shown, too.
show() {
  if [ -n "$DRY_RUN" ]; then
    as_typed "$@"
  else
    RUNS=$(in_two_words "$@")
    as_typed "$@" | tee -a "$LOG" | cut -c 1-400
    env "$@" 2>&1 | tee -ia "$LOG" || return
    RUNS=''
  fi
}

# in_two_words [VAR=value...] COMMAND...: the name of a command: `swift sft`.
in_two_words() {
  while [[ $1 == [A-Z]*=* ]]; do shift; done
  printf '%s' "$(basename "$1")${2:+ $(basename -- "$2")}"
}

# serve swift deploy OPTION...: start the server and wait until it answers at PORT, for WAIT seconds at most. It ends with the recipe, also
# when that is killed.
serve() {
  local shell=$BASHPID
  as_typed "$@"
  [ -z "$DRY_RUN" ] || return 0
  script export/wait_for_server.py "http://127.0.0.1:$PORT/health" --free --seconds "${FREE_WITHIN:-90}" ||
    stop "PORT=$PORT is in use by another program: end that, or give another port: PORT=..."
  as_typed "$@" >> "$LOG"
  RUNS=$(in_two_words "$@")
  setsid python "$RECIPES/_ends_with.py" "$shell" "$@" >> "$LOG" 2>&1 < /dev/null 9>&- &
  SERVER=$!
  STARTED[server]=$SERVER
  if ! script export/wait_for_server.py "http://127.0.0.1:$PORT/health" --process "$SERVER" --seconds "$WAIT"; then
    echo "error: the server did not start; the end of $LOG: $(tail -n 5 "$LOG" | cut -c 1-300)" >&2
    exit 1
  fi
  RUNS=''
}

# end_server: end the server of `serve`, so that another one can have its port.
end_server() {
  [ -z "$DRY_RUN" ] || return 0
  kill -TERM -- "-$SERVER" 2> /dev/null || true
  wait "$SERVER" || true
  unset 'STARTED[server]'
}

# start FUNCTION: run a function of the recipe side by side with what follows. What it prints is kept until `finish`, and it has a log of its own.
start() {
  if [ -n "$DRY_RUN" ]; then
    "$1"
    return 0
  fi
  echo "($1 runs side by side with what follows)"
  set -m # gives it a process group, so that all of it can be ended
  (
    set +m
    LOG=$OUT/log-$1.txt "$1"
  ) > "$OUT/printed-$1.txt" 2>&1 < /dev/null &
  set +m
  STARTED[$1]=$!
}

# finish FUNCTION: wait for it, and print what it has printed. Its failure ends the recipe.
finish() {
  local status=0
  [ -z "$DRY_RUN" ] || return 0
  wait "${STARTED[$1]}" || status=$?
  unset "STARTED[$1]"
  cat "$OUT/printed-$1.txt"
  [ ! -e "$OUT/log-$1.txt" ] || cat "$OUT/log-$1.txt" >> "$LOG"
  rm -f "$OUT/printed-$1.txt" "$OUT/log-$1.txt"
  [ "$status" -eq 0 ] || { RUNS=$1 && exit "$status"; }
}

# at_end: end what still runs when the recipe ends, and name the step that failed or was killed.
at_end() {
  local status=$? pid
  for pid in "${STARTED[@]}"; do kill -TERM -- "-$pid" 2> /dev/null || true; done
  end_children "$BASHPID"
  if [ "$status" -ne 0 ] && [ -n "$STEP" ] || [ -n "$RUNS" ]; then
    echo "error: step '${STEP:-$RUNS}' failed (${RUNS:+$RUNS: }$(reason "$status")); ${GO_ON:-run the same command again}" >&2
  fi
}

# reason STATUS: an exit status in words. A signal to the shell itself leaves 0; `swift` gives 256 less the signal that ended what it started.
reason() {
  case $1 in
    0) echo "ended by a signal" ;;
    137 | 247) echo "exit code $1: killed by SIGKILL, perhaps for lack of memory" ;;
    129 | 130 | 131 | 134 | 135 | 136 | 139 | 143) echo "exit code $1: SIG$(kill -l "$1")" ;;
    241 | 245 | 250 | 254) echo "exit code $1: SIG$(kill -l $((256 - $1)))" ;;
    *) echo "exit code $1" ;;
  esac
}

# end_children PID: end what a process has started, and what that has started.
end_children() {
  local child
  for child in $(cat "/proc/$1/task/$1/children" 2> /dev/null || true); do
    end_children "$child"
    kill -TERM "$child" 2> /dev/null || true
  done
}

# best_checkpoint FOLDER: the checkpoint with the best metric of a training, or the last one if no metric was watched.
best_checkpoint() {
  if [ -n "$DRY_RUN" ]; then
    echo "$1/checkpoint-BEST"
  else
    script _checkpoint.py "$1"
  fi
}

case ${1:-} in
  -h | --help)
    print_help
    exit 0
    ;;
esac
trap at_end EXIT
need groundswift
PLUGIN=$(groundswift plugin)
OUT=${OUT:-$(dirname "$RECIPES")/runs/$(basename "$(dirname "$RECIPE")")/$(basename "$RECIPE" .sh)}
OUT=$(realpath -ms "$OUT")
