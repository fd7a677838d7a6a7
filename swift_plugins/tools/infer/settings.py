"""What was asked for on the command line, as one value that worker processes get too."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from groundswift.errors import GroundswiftError, error_at


def row_files(folder: str) -> list[Path]:
    """The JSONL files in a folder, hidden ones aside, in the order of their names."""
    return sorted(path for path in Path(folder).glob("*.jsonl") if not path.name.startswith(".") and path.is_file())


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one run. `data`: a JSONL file of rows, a folder of such files or, with `classes`, of images; `out`: the result file,
    or the folder of several.

    Limits are areas in px of the model input; `batch_size` None: as many rows as a budget of tokens allows.
    """

    data: str
    out: str
    classes: tuple[str, ...] = ()
    prompt: str | None = None
    language: str = "en"
    limit: int | None = None
    model: str | None = None
    adapters: tuple[str, ...] = ()
    model_type: str | None = None
    template: str | None = None
    engine: str = "transformers"
    url: str | None = None
    served_model: str | None = None
    family: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_new_tokens: int = 2048
    temperature: float = 0.0
    top_p: float | None = None
    num_beams: int = 1
    repetition_penalty: float | None = None
    seed: int = 0
    logprobs: bool = False
    top_logprobs: int | None = None
    batch_size: int | None = None
    workers: int = 1
    ray: bool = False
    timeout: float = 600.0
    swift_options: tuple[str, ...] = ()

    @property
    def holds_row_files(self) -> bool:
        """Whether `data` is a folder of JSONL files, each with a result of its own in the folder `out`."""
        return os.path.isdir(self.data) and not (self.classes or self.prompt)

    def check(self) -> Settings:
        """The same settings. Raises GroundswiftError where options exclude each other or one is missing."""
        if self.url is None and self.model is None and not self.adapters:
            raise GroundswiftError("no model given; expected --model, --adapters, or --url of a server")
        if self.url is not None:
            self._check_server()
        elif self.served_model is not None or self.family is not None:
            name = "--served-model" if self.served_model is not None else "--family"
            raise GroundswiftError(f"{name} is for --url; a local engine has --model and --template")
        if os.path.isdir(self.data) and not (self.classes or self.prompt or row_files(self.data)):
            expected = "a JSONL file of rows, a folder of such files, or --classes (or --prompt) to ask of each image of the folder"
            raise error_at(self.data, "is a folder without a JSONL file", expected)
        if self.out.lower().endswith(".csv"):
            raise error_at(self.out, "the result is JSON lines", f"--out {os.path.splitext(self.out)[0]}.jsonl --csv, which writes both")
        if not os.path.isdir(self.data) and (self.classes or self.prompt):
            raise error_at(self.data, "is not a folder", "a folder of images with --classes and --prompt; rows have their own questions")
        self._check_decoding()
        return self

    def _check_decoding(self) -> None:
        if self.num_beams > 1 and self.temperature > 0:
            raise GroundswiftError("--num-beams searches without sampling; expected --temperature 0 with it")
        if self.top_logprobs is not None and not self.logprobs:
            raise GroundswiftError("--top-logprobs is for --logprobs; expected both")
        if self.num_beams > 1 and self.logprobs:
            raise GroundswiftError("--logprobs with --num-beams: the tokens' log-probabilities would be those of other beams; expected one")
        if self.logprobs and self.engine == "sglang" and self.url is None:
            raise GroundswiftError("--logprobs: swift's engine sglang gives none; expected another --engine, or sglang's server by --url")
        if self.top_p is not None and self.temperature == 0:
            raise GroundswiftError("--top-p is for sampling; expected --temperature above 0 with it")

    def _check_server(self) -> None:
        local = {"--model": self.model, "--adapters": self.adapters, "--template": self.template, "--model-type": self.model_type}
        given = [name for name, value in local.items() if value]
        if given or self.swift_options:
            raise GroundswiftError(f"{given[0] if given else self.swift_options[0]} is for a local engine; the server of --url has its own")
        if self.num_beams > 1:
            raise GroundswiftError("--num-beams is for a local engine: the OpenAI-compatible API has no beam search")
        if self.workers > 1 or self.ray:
            name = "--ray" if self.ray else "--workers"
            raise GroundswiftError(f"{name} is for local engines; expected --batch-size N for N requests at once with --url")
