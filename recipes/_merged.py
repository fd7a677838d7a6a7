"""Print the base model's folder and the merged folder of a command: `python _merged.py swift export --merge_lora true ...`.

Without --output_dir swift merges ADAPTERS into ADAPTERS-merged. Exit status 1, with the reason, where the base model is not here.
"""

import json
import sys
from pathlib import Path


def option(words: list[str], name: str) -> str | None:
    """The first value of an option, where it is given."""
    return words[words.index(name) + 1] if name in words[:-1] else None


def base_folder(adapters: Path, given: str | None = None) -> Path:
    """Where the model is that an adapter was trained on: as given, else as its args.json says. Exits where none is a folder here."""
    settings = adapters / "args.json"
    trained = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    names = [name for name in (given, trained.get("model_dir"), trained.get("model")) if name]
    for name in names:
        if Path(name).is_dir():
            return Path(name)
    sys.exit(f"not compared with the base model, which is not on this machine: {names[0] if names else f'{settings} does not name it'}")


def main() -> None:
    words = sys.argv[1:]
    adapters = Path(option(words, "--adapters"))
    base = base_folder(adapters, option(words, "--model"))
    merged = option(words, "--output_dir") if "export" in words else None
    print(base)
    print(merged or f"{adapters}-merged")


if __name__ == "__main__":
    main()
