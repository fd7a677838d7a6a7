# Mechanics of a finding: strict mode, a temporary folder with its own Python packages, one verdict. To be sourced.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT

packages() { # packages NAME==VERSION ...: install these, and what they need, into a fresh environment
  "${PYTHON:-python3}" -m venv "$FOLDER/venv"
  "$FOLDER/venv/bin/pip" install --quiet --disable-pip-version-check "$@"
}

observe() { # observe < SCRIPT: run Python in the environment, in the temporary folder, and print what it prints
  (cd "$FOLDER" && "$FOLDER/venv/bin/python" - 2>"$FOLDER/stderr") || {
    cat "$FOLDER/stderr" >&2
    echo "the script itself failed" >&2
    return 2
  }
}

verdict() { # verdict EXPECTED SEEN: fail where the behaviour is no longer the one described at the head of the file
  printf 'seen:\n%s\n' "$2"
  [ "$1" = "$2" ] && echo "as described" && return
  printf 'CHANGED, described was:\n%s\n' "$1"
  return 1
}
