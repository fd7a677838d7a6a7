# Sourced by the recipes of inference: an empty folder for the answers.
# shellcheck source=../_trained.sh
source "$(dirname "${BASH_SOURCE[0]}")/../_trained.sh"

fresh "$OUT"
