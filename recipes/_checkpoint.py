"""Print the checkpoint of a training to go on with: `python _checkpoint.py OUTPUT_DIR`.

The one with the best value of `--metric_for_best_model`, as the newest `trainer_state.json` names it; the newest where none is named.
"""

import json
import sys
from pathlib import Path


def step_of(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def chosen(folder: Path) -> Path | None:
    """The best checkpoint in a training's output folder, which may have been moved since; None where there is none."""
    found = sorted((path.parent for path in folder.glob("checkpoint-*/trainer_state.json")), key=step_of)
    if not found:
        return None
    best = json.loads((found[-1] / "trainer_state.json").read_text(encoding="utf-8")).get("best_model_checkpoint")
    named = folder / Path(best).name if best else found[-1]
    return named if named in found else found[-1]


def main() -> None:
    folder = Path(sys.argv[1])
    checkpoint = chosen(folder)
    if checkpoint is None:
        sys.exit(f"error: no checkpoint in {folder}: the training saved none; look at the log beside it")
    print(checkpoint)


if __name__ == "__main__":
    main()
