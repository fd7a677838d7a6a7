"""What the answers of a run depend on, apart from the rows: two runs may share a result only where all of it is the same."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from groundswift.errors import GroundswiftError, error_at, without_secrets
from groundswift.model_folder import read_object, read_settings
from groundswift.run_record import FOLDER_RECORD, read_record, record_of_folder

from .journal import folder_of, put
from .settings import Settings

FORMAT = 1
SUFFIX = ".job.json"  # result.jsonl -> result.jsonl.job.json
SERVED = "served"  # key of the job: the only model of a server that was not asked for one by name
WHOLE = 64 << 20  # bytes: a file up to this size is read whole, a larger one in PIECES at even distances
PIECES, PIECE = 16, 4 << 20
OF_A_MODEL = (".json", ".safetensors", ".bin", ".pt", ".pth", ".model", ".jinja", ".txt", ".py", ".tiktoken", ".gguf")
NOT_OF_A_MODEL = {"trainer_state.json", "training_args.bin", "optimizer.pt", "scheduler.pt", "README.md", FOLDER_RECORD}
ENVIRONMENT = {  # of qwen-vl-utils: a limit in px, and the one in tokens that goes before it
    "min_pixels": ("MIN_PIXELS", "IMAGE_MIN_TOKEN_NUM"),
    "max_pixels": ("MAX_PIXELS", "IMAGE_MAX_TOKEN_NUM"),
}
OTHER_ENVIRONMENT = ("QWENVL_BBOX_FORMAT", "GROUNDSWIFT_EXACT_PIXELS")
SAMPLING = ("max_new_tokens", "temperature", "top_p", "num_beams", "repetition_penalty", "seed", "logprobs")


class Pixels(msgspec.Struct, frozen=True):
    """Limits of the model input in px: `first` is swift's own --max_pixels, an earlier resize. `source`: who says so."""

    min_pixels: int | None = None
    max_pixels: int | None = None
    first: int | None = None
    source: str = "defaults"


def pixels_of(settings: Settings) -> Pixels:
    """The limits of a run: the options, else the environment, else what the model was trained with, else the defaults of its family."""
    given = settings.min_pixels, settings.max_pixels
    if any(value is not None for value in given):
        return Pixels(*given, source="options")
    if settings.url is not None:
        return Pixels(source="server")
    if any(os.environ.get(name) for names in ENVIRONMENT.values() for name in names):
        return Pixels(source="environment")
    folders = [*settings.adapters, *([settings.model] if settings.model else [])]
    records = [path for folder in folders if (path := record_of_folder(os.path.expanduser(folder)))]
    if not records:
        return Pixels()
    limits = read_record(records[0]).limits
    return Pixels(limits.min_pixels, limits.max_pixels, limits.first_max_pixels, "training")


def job_of(settings: Settings, pixels: Pixels) -> dict[str, Any]:
    """The document of a job. Raises GroundswiftError where a model's folder does not exist or cannot be read."""
    job: dict[str, Any] = {"format": FORMAT}
    if settings.url is not None:
        job |= {"server": without_secrets(settings.url.rstrip("/")), "served_model": settings.served_model, "family": settings.family}
    else:
        base = settings.model or base_of(settings.adapters[0])
        job |= {"engine": settings.engine, "model": model_fingerprint(base), "adapters": list(map(model_fingerprint, settings.adapters))}
        job |= {"model_type": settings.model_type, "template": settings.template, "swift_options": list(settings.swift_options)}
    variables = [*(name for names in ENVIRONMENT.values() for name in names), *OTHER_ENVIRONMENT]
    job["environment"] = {name: value for name in variables if (value := os.environ.get(name))} if settings.url is None else {}
    job["pixels"] = {"min_pixels": pixels.min_pixels, "max_pixels": pixels.max_pixels, "first_max_pixels": pixels.first}
    job["sampling"] = {name: getattr(settings, name) for name in SAMPLING}
    job["sampling"] |= {"top_logprobs": settings.top_logprobs} if settings.top_logprobs else {}  # older jobs do not have it
    return job


def base_of(adapter: str) -> str:
    """The model that an adapter was trained on, as its args.json names it. Raises GroundswiftError where it names none."""
    where = os.path.join(os.path.expanduser(adapter), "args.json")
    expected = "the args.json of a swift run, or --model with --adapters"
    base = read_object(where, expected).get("model")
    if not isinstance(base, str):
        raise error_at(where, "names no model", expected)
    return base


def model_fingerprint(model: str) -> str:
    """`name (16 digits)` of a folder's settings, tokenizer and weights; a hub id as it is. Raises GroundswiftError for a missing folder."""
    folder = Path(os.path.expanduser(model))
    if not folder.is_dir():
        if model.startswith(("/", ".", "~")) or model.count("/") > 1:
            raise error_at(model, "no such folder", "a model's folder, a checkpoint's, or a hub id (owner/name)")
        return model
    digest = hashlib.sha256()
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in OF_A_MODEL and path.name not in NOT_OF_A_MODEL]
    if not files:
        raise error_at(model, "holds no model", "a folder with config.json or adapter_config.json")
    for path in files:
        digest.update(f"{path.name}\n{path.stat().st_size}\n".encode())
        for piece in pieces_of(path):
            digest.update(piece)
    return f"{folder.resolve().name} ({digest.hexdigest()[:16]})"


def pieces_of(path: Path) -> list[bytes]:
    """A file's bytes, or of a large one PIECES pieces at even distances, its end among them."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= WHOLE:
            return [file.read()]
        pieces = []
        for number in range(PIECES):
            file.seek((size - PIECE) * number // (PIECES - 1))
            pieces.append(file.read(PIECE))
        return pieces


def digest_of(job: dict[str, Any]) -> str:
    """A name for a job."""
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:32]


def differences(earlier: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """`name: earlier -> now` for each term in which two jobs differ."""
    found = []
    for name in sorted(earlier.keys() | now.keys()):
        before, after = earlier.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name} {json.dumps(before)}, now {json.dumps(after)}")
    return found


def job_path(out: Path) -> Path:
    """Where the job of a result is written."""
    return out.with_name(out.name + SUFFIX)


def write_job(out: Path, job: dict[str, Any]) -> None:
    """Write the document of a job."""
    put(job_path(out), out, [msgspec.json.format(json.dumps(job).encode(), indent=2) + b"\n"])


def note_served(out: Path, job: dict[str, Any], model: str) -> None:
    """Note which model a server has. Raises GroundswiftError where it had another one for the earlier answers."""
    earlier = (read_settings(job_path(out)) or {}).get(SERVED)
    if earlier not in (None, model):
        raise error_at(out, f"holds answers of the model {earlier}, and the server has {model} now", "that model, or a new --out")
    if earlier is None:
        write_job(out, job | {SERVED: model})


def holds_answers(out: Path) -> bool:
    """Whether a result or its journal has a line."""
    return any(path.is_file() and path.stat().st_size for path in [out, *folder_of(out).rglob("*.jsonl")])


def claim(out: Path, job: dict[str, Any]) -> None:
    """Write the job of a result before its first answer. Raises GroundswiftError where there is a result of another job or program."""
    path = job_path(out)
    if not path.is_file():
        if out.exists() and out.stat().st_size:
            what = "exists, and is not a result of `groundswift infer`"
            raise error_at(out, what, "a new --out, or remove the file")
        write_job(out, job)
        return
    earlier = read_settings(path)
    if earlier is None:
        raise GroundswiftError(f"{path}: cannot be read; expected the job of {out.name}, or a new --out")
    earlier.pop(SERVED, None)
    if changed := differences(earlier, job):
        if not holds_answers(out):  # a run that stopped before its first answer binds nobody
            write_job(out, job)
            return
        raise error_at(
            out, f"holds answers of a different job ({'; '.join(changed)})", f"a new --out, or remove {out.name} and {path.name}"
        )
