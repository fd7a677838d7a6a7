"""Any tiny model by name, with untrained weights: what `MODEL=@NAME` in the head of a recipe stands for.

python tests/helpers/tiny_models.py qwen2_5_vl /tmp/models      # prints the model's folder
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import remote_models
from special_models import make_chatglm4v, make_florence, make_qwen_vl
from zoo import KINDS, Zoo

Maker = Callable[[Path], object]


def make_of_zoo(name: str, folder: Path) -> None:
    """A model of a class that transformers has; the folder's name is the model's."""
    Zoo(folder.parent).folder(name, weights=True)


MAKERS: dict[str, Maker] = {
    **{name: partial(make_of_zoo, name) for name in KINDS},
    "florence2": make_florence,
    "chatglm4v": make_chatglm4v,
    "qwen_vl": make_qwen_vl,
    "qwen_vl_base": partial(make_qwen_vl, base=True),
    **{
        name: getattr(remote_models, f"make_{name}")
        for name in ("phi3_vision", "minicpmv4_5", "deepseek_vl2", "dots_ocr", "mimo_v2", "paddle_ocr", "molmo2")
    },
}


def extra_args(name: str, folder: Path) -> list[str]:
    """What `swift sft` and `swift infer` need for a tiny model besides model, model type and template."""
    return ["--local_repo_path", str(folder)] if name == "deepseek_vl2" else []


def tiny_model(name: str, folder: Path) -> Path:
    """The model folder `folder/name`, made whole or not at all; an existing one is used again, so several processes may ask for it.

    Raises ValueError that lists the names for an unknown one.
    """
    if name not in MAKERS:
        raise ValueError(f"unknown tiny model {name!r}; expected one of {', '.join(sorted(MAKERS))}")
    made = folder / name
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as work:
            MAKERS[name](Path(work) / name)
            try:
                os.rename(Path(work) / name, made)
            except OSError:  # another process was first
                if not made.exists():
                    raise
    return made


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if len(sys.argv) != 3:
        sys.exit(f"usage: tiny_models.py NAME FOLDER\nnames: {', '.join(sorted(MAKERS))}")
    print(tiny_model(sys.argv[1], Path(sys.argv[2])))
