"""What a training command asks for: its options by swift's own parser, and the values that swift derives from them before it trains."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from groundswift.errors import GroundswiftError

from ...grounding.training_steps import Batching, default_accumulation, loader_of
from ..quiet import quiet
from .recipe import Training

ARGUMENTS = {"sft": "SftArguments", "pt": "PretrainArguments", "rlhf": "RLHFArguments"}
PLANNED_RLHF = ("dpo", "orpo", "simpo", "kto", "cpo", "rm", "grpo", "gkd")  # ppo has its own loop


@dataclass(frozen=True)
class Settings:
    """Options by name as swift's parser reads them, `rlhf_type` (None: sft, pt), and the environment: the command's over the shell's."""

    options: Any
    rlhf_type: str | None
    environment: dict[str, str]
    processes: int
    nodes: int

    def batching(self) -> Batching:
        """How this training makes batches, swift's defaults filled in. Raises GroundswiftError where swift would refuse it."""
        options, rlhf = self.options, self.rlhf_type
        batch = options.per_device_train_batch_size
        if batch < 1:
            raise GroundswiftError(f"--per_device_train_batch_size {batch}: expected at least 1")
        accumulation = options.gradient_accumulation_steps
        if accumulation is None:
            accumulation = default_accumulation(batch, self.processes, rlhf)
        if accumulation < 1:
            raise GroundswiftError(f"--gradient_accumulation_steps {accumulation}: expected at least 1")
        parallel, tensors = options.sequence_parallel_size, options.deepspeed_autotp_size or 1
        if self.processes % (group := parallel * tensors):
            raise GroundswiftError(f"{self.processes} processes cannot be shared by groups of {group}: sequence and tensor parallel")
        rollout = self._rollout(batch, accumulation) if loader_of(rlhf) == "rollout" else {}
        return Batching(batch, accumulation, self.processes, options.dataloader_drop_last, parallel, tensors, loader_of(rlhf), **rollout)

    def _rollout(self, batch: int, accumulation: int) -> dict[str, int]:
        """Passes, generations and iterations of a rollout, as `_init_generation_batch_params` of ms-swift has them."""
        options, whole = self.options, batch * self.processes
        generations, iterations = (options.num_generations, options.num_iterations) if self.rlhf_type == "grpo" else (1, 1)
        passes, samples = options.steps_per_generation, options.generation_batch_size
        if passes is None:
            passes = accumulation if samples is None else samples // whole
        if samples is not None and samples != whole * passes:
            raise GroundswiftError(f"--generation_batch_size {samples}: expected a multiple of the {whole} rows of all processes")
        if whole * passes % generations:
            size = f"{whole * passes} completions"
            raise GroundswiftError(f"--num_generations {generations}: expected a divisor of the generation batch, {size}")
        return {"generations": generations, "iterations": iterations, "passes": passes}

    def split_ratio(self) -> float:
        """`--split_dataset_ratio` as swift has it in the end: 0 with a validation set, without evaluation, and for streamed rows."""
        options = self.options
        strategy = options.eval_strategy if options.eval_strategy is not None else options.save_strategy
        off = len(options.val_dataset) > 0 or options.streaming or str(strategy).rpartition(".")[2].lower() == "no"
        return 0.0 if off else options.split_dataset_ratio

    @property
    def deepspeed(self) -> dict[str, Any] | None:
        """The configuration that `--deepspeed` names: a preset of swift, a file, or JSON. Raises GroundswiftError for anything else."""
        given = self.options.deepspeed
        if not given:
            return None
        folder = Path(import_module("swift").__file__).with_name("config")
        presets = sorted(path.stem for path in folder.glob("zero*"))
        path = folder / f"{given}.json" if given in presets else given
        try:
            read = json.loads(Path(path).read_text(encoding="utf-8") if os.path.isfile(path) else given)
        except ValueError:
            raise GroundswiftError(f"--deepspeed {given}: expected {', '.join(presets)}, a JSON file, or JSON") from None
        if not isinstance(read, dict):
            raise GroundswiftError(f"--deepspeed {given}: expected a JSON object")
        return read

    @property
    def zero_stage(self) -> int | None:
        """The ZeRO stage; None without DeepSpeed."""
        config = self.deepspeed
        return None if config is None else int(config.get("zero_optimization", {}).get("stage", 0))


def read_settings(training: Training, shell: dict[str, str], gpus: int | None = None, nodes: int | None = None) -> Settings:
    """The settings of a training. Raises GroundswiftError for an option that swift refuses, and for what has no plan."""
    environment = {**shell, **training.environment}
    options = parsed(training)
    environment |= {name.upper(): str(value) for name, value in json_object("--model_kwargs", options.model_kwargs).items()}
    rlhf_type = options.rlhf_type if training.kind == "rlhf" else None
    if rlhf_type is not None and rlhf_type not in PLANNED_RLHF:
        raise GroundswiftError(f"--rlhf_type {rlhf_type}: its steps cannot be planned; expected one of {', '.join(PLANNED_RLHF)}")
    nodes = nodes or whole_number(environment, "NNODES")
    per_node = gpus or whole_number(environment, "NPROC_PER_NODE")
    return Settings(options, rlhf_type, environment, per_node * nodes, nodes)


def whole_number(environment: dict[str, str], name: str) -> int:
    """A count in the environment; 1 where it is not set."""
    value = environment.get(name) or "1"
    if not (value.isdigit() and int(value) > 0):
        raise GroundswiftError(f"{name}={value}: expected a whole number above 0, or --gpus and --nodes")
    return int(value)


def json_object(option: str, given: Any) -> dict[str, Any]:
    """An option that is given as a JSON object; {} where it is not given."""
    try:
        read = json.loads(given) if isinstance(given, str) and given else given or {}
    except ValueError as error:
        raise GroundswiftError(f"{option}: not JSON ({error})") from None
    if not isinstance(read, dict):
        raise GroundswiftError(f"{option}: expected a JSON object")
    return read


def parsed(training: Training) -> Any:
    """The options of a command as swift's parser reads them, defaults filled in; nothing is loaded or looked up.

    Raises GroundswiftError that names the first option which swift does not have or cannot read.
    """
    with quiet():
        arguments = getattr(import_module("swift.arguments"), ARGUMENTS[training.kind])
        utils = import_module("swift.utils.utils")
        with utils._patch_get_type_hints():
            parser = import_module("transformers").HfArgumentParser([arguments])

    def refuse(message: str) -> None:
        raise GroundswiftError(f"swift {training.kind} rejects its options: {message[:300]}")

    parser.error = refuse
    options, unknown = parser.parse_known_args(training.options)
    if unknown and not options.ignore_args_error:
        raise GroundswiftError(refused(training.kind, unknown[0], parser))
    return options


def refused(kind: str, word: str, parser: Any) -> str:
    """What to say about a word that swift's parser does not take."""
    if not word.startswith("--"):
        return f"swift {kind}: unexpected argument {word!r}; expected options"
    close = get_close_matches(word.partition("=")[0], list(parser._option_string_actions), 3, 0.8)
    hint = f"close are {', '.join(close)}" if close else "`groundswift migrate` translates scripts of swift 2.x"
    return f"swift {kind} has no option {word}; {hint}"
