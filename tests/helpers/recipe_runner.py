"""Recipes run as a user runs them, by bash, on tiny models and a few rows; their `swift` commands by a server that has ms-swift loaded."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tiny_data import DATA

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SLURM = Path(__file__).with_name("slurm")  # stand-ins for sbatch, srun and scontrol
SMALL = {  # variables that recipes share; those that a head names are added
    "EPOCHS": "1",
    "MAX_NEW_TOKENS": "16",
    "MIN_PIXELS": "3136",
    "MAX_PIXELS": "12544",
    "GPUS": "2",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
ON_CPU = (  # words for `swift sft` where a head names none of its own behind `--`
    *("--torch_dtype", "float32", "--fp16", "false", "--use_cpu", "true", "--attn_impl", "sdpa"),
    *("--check_model", "false", "--report_to", "none", "--dataloader_num_workers", "0", "--gradient_accumulation_steps", "2"),
)

ADAPTER = (  # of the checkpoint that `@adapter` stands for
    *("--model", str(ROOT / "recipes/quickstart/model"), "--model_type", "qwen2_vl", "--template", "qwen2_vl_grounding"),
    *("--custom_register_path", str(ROOT / "swift_plugins/register.py"), "--split_dataset_ratio", "0.34", "--tuner_type", "lora"),
    *("--max_steps", "1", "--save_steps", "1", "--learning_rate", "1e-6", "--add_version", "false", "--gradient_checkpointing", "false"),
)


def load_script(path: Path) -> ModuleType:
    """A script of recipes/ as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


inventory = load_script(ROOT / "recipes" / "_inventory.py")


class Tiny(NamedTuple):
    """The line Tiny of a head: variables, and words behind `--`; None where it has no `--`."""

    variables: dict[str, str]
    words: tuple[str, ...] | None


def parse_tiny(line: str) -> Tiny:
    """`VAR=value VAR=value -- word word`, quoted as in a shell."""
    before, mark, behind = line.partition(" -- ") if not line.endswith(" --") else (line[:-3], "--", "")
    return Tiny(dict(word.split("=", 1) for word in shlex.split(before)), tuple(shlex.split(behind)) if mark else None)


class RecipeRunner:
    """Runs recipes on what is made on first use: tiny models (`@qwen2_vl`), drawn data (`@train`), a new folder (`@new`)."""

    def __init__(self, base: Path, swift: Path) -> None:
        self.base, self.swift = base, swift

    def resolved(self, value: str, out: Path) -> str:
        """What `@NAME` stands for; any other value as it is."""
        if not value.startswith("@"):
            return value
        name = value[1:]
        if name == "new":
            return str(out.with_name(out.name + "-new"))
        if name in DATA:
            folder = self.base / "data"
            folder.mkdir(exist_ok=True)
            return str(DATA[name](folder))
        if name == "adapter":
            return str(self.adapter())
        from tiny_models import tiny_model

        return str(tiny_model(name, self.base / "models"))

    def adapter(self) -> Path:
        """A LoRA checkpoint on the quickstart's model, which knows the drawn shapes: its answers have boxes."""
        made = self.base / "adapter"
        if not made.exists():
            words = [*ADAPTER, "--dataset", self.resolved("@train", made), "--output_dir", str(made)]
            subprocess.run(["swift", "sft", *words, *ON_CPU], env=self.environment(made), check=True, capture_output=True, text=True)
        return made / "checkpoint-1"

    def environment(self, out: Path, **variables: str) -> dict[str, str]:
        data = {"TRAIN": "@train", "VAL": "@test", "GT": "@gt", "IMAGES": "@images"}
        own = {name: self.resolved(value, out) for name, value in {**data, **SMALL, **variables}.items()}
        path = os.pathsep.join(map(str, (self.swift, SLURM, BIN, os.environ["PATH"])))
        return {**os.environ, **own, "OUT": str(out), "PATH": path}

    def run(self, name: str, out: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
        """Run `recipes/NAME` from a folder that has nothing to do with it."""
        command = ["bash", str(ROOT / "recipes" / name), *words]
        out.parent.mkdir(parents=True, exist_ok=True)
        environment = self.environment(out, **variables)
        return subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, timeout=900)

    def run_tiny(self, name: str, out: Path, **variables: str) -> subprocess.CompletedProcess:
        """Run a recipe as the line Tiny of its head says."""
        tiny = parse_tiny(inventory.read_head(ROOT / "recipes" / name).values["Tiny"])
        words = ON_CPU if tiny.words is None else tiny.words
        return self.run(name, out, *words, **{**tiny.variables, **variables})

    def ran(self, name: str, out: Path, **variables: str) -> str:
        """Run a recipe to its end as its head says. What it printed."""
        done = self.run_tiny(name, out, **variables)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout
