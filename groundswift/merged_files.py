"""The small files of a merged model against those of its base: what is missing, and what differs in meaning. No weights are loaded.

Files are compared by what they say: the order of keys, defaults that one side does not write, and files that newer versions of
transformers merge into one do not count.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import GroundswiftError, error_at
from .model_folder import read_object
from .run_record import FOLDER_RECORD

FOLDED = {  # file of older models -> files, any of which holds the same in newer versions of transformers
    "vocab.json": ("tokenizer.json",),
    "merges.txt": ("tokenizer.json",),
    "vocab.txt": ("tokenizer.json",),
    "added_tokens.json": ("tokenizer.json", "tokenizer_config.json"),
    "special_tokens_map.json": ("tokenizer_config.json",),
    "preprocessor_config.json": ("processor_config.json",),
    "video_preprocessor_config.json": ("processor_config.json",),
    "chat_template.json": ("chat_template.jinja",),
}
NO_PART = re.compile(
    r".*\.(safetensors|bin|pt|pth|md|png|jpe?g|pdf|gitattributes|onnx|gguf)|.*\.index\.json|LICENSE.*|NOTICE.*|\..*|.*(?<!merges)(?<!vocab)\.txt"
)
OF_SWIFT = {"args.json", "configuration.json", FOLDER_RECORD}
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
OF_TOKENIZER = ("tokenizer_class", "auto_map", "model_max_length", "padding_side", "truncation_side", "add_bos_token", "add_eos_token")
OF_IMAGES = (
    "image_mean",
    "image_std",
    "rescale_factor",
    "patch_size",
    "temporal_patch_size",
    "merge_size",
    "do_resize",
    "do_normalize",
    "crop_size",
)
LIMITS = ("min_pixels", "max_pixels", "size")
STOPS = ("eos_token_id", "bos_token_id", "pad_token_id")
SAMPLING = ("do_sample", "temperature", "top_p", "top_k", "repetition_penalty", "max_length", "max_new_tokens")
SECTIONS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
SHOWN = 80  # characters of a value
MODEL = "the folder of a model with its config.json"


@dataclass
class FileReport:
    """What a merged folder lacks and where it differs; `notes` are differences that a training makes, or that change no token."""

    base: Path
    merged: Path
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether nothing is missing and nothing differs."""
        return not (self.missing or self.different)

    def remedy(self) -> list[str]:
        """The commands that copy what is missing."""
        return [shlex.join(["cp", str(self.base / name), str(self.merged / name)]) for name in self.missing]

    def document(self) -> dict[str, Any]:
        """The report for programs."""
        found = {name: getattr(self, name) for name in ("missing", "different", "notes")}
        return {"base": str(self.base), "merged": str(self.merged), "fits": self.fits, **found, "remedy": self.remedy()}

    def lines(self) -> list[str]:
        """The report for people."""
        lines = [f"files of the base model that are missing: {', '.join(self.missing) or 'none'}", *(f"  {each}" for each in self.remedy())]
        lines += [f"differs from the base model: {each}" for each in self.different] or ["differs from the base model: nothing"]
        return [*lines, *(f"may differ: {each}" for each in self.notes)]


def compare_files(base: Path, merged: Path) -> FileReport:
    """Compare the files of two model folders. Raises GroundswiftError where one is not a folder of a model."""
    for folder in (base, merged):
        if not folder.is_dir():
            expected = f"{MODEL}; of a hub id, what its download printed"
            raise error_at(folder, "is not a folder" if folder.exists() else "no such folder", expected)
        read_object(folder / "config.json", MODEL)
    report = FileReport(base, merged, missing(base, merged))
    one, other = Contents(base), Contents(merged)
    trained = (merged / FOLDER_RECORD).is_file()  # the plugin writes chat template and pixel limits of the run
    report.different += [*one.unreadable, *other.unreadable]
    report.different += [*tokens(one, other), *settings(one, other), *code(base, merged)]
    report.notes += list(keys("generation_config.json", one.generation, other.generation, SAMPLING))
    by_training = [*template(one, other), *keys("image processor", one.images, other.images, LIMITS)]
    (report.notes if trained else report.different).extend(by_training)
    return report


def missing(base: Path, merged: Path) -> list[str]:
    """Files of the base that the merged folder has neither under their name nor in the file that holds the same; code in folders, too."""
    names = {path.relative_to(base).as_posix() for path in [*base.iterdir(), *base.rglob("*.py")] if path.is_file()}
    wanted = {name for name in names if name not in OF_SWIFT and not NO_PART.fullmatch(name)}
    return sorted(name for name in wanted if not any((merged / each).is_file() for each in (name, *FOLDED.get(name, ()))))


class Contents:
    """What the files of a folder say, wherever they say it; an absent file says nothing."""

    def __init__(self, folder: Path) -> None:
        self.unreadable: list[str] = []

        def read(name: str) -> dict[str, Any]:
            if not (folder / name).exists():
                return {}
            try:
                return read_object(folder / name, "a JSON object")
            except GroundswiftError as error:
                self.unreadable.append(str(error))
                return {}

        self.config, self.generation = read("config.json"), read("generation_config.json")
        self.tokenizer_config, self.fast = read("tokenizer_config.json"), read("tokenizer.json")
        processor = read("processor_config.json")
        self.images = read("preprocessor_config.json") or processor.get("image_processor") or {}
        self.special = {**read("special_tokens_map.json"), **self.tokenizer_config}
        self.added = self._added(read("added_tokens.json"))
        self.template = self._template(folder, read("chat_template.json"), processor)

    def _added(self, listed: dict[str, Any]) -> dict[int, str]:
        """Added tokens by id."""
        found = {int(id): str(text) for text, id in listed.items() if str(id).isdecimal()}
        decoder = self.tokenizer_config.get("added_tokens_decoder") or {}
        found |= {int(id): text_of(token) for id, token in decoder.items() if str(id).isdecimal()}
        return found | {token["id"]: text_of(token) for token in self.fast.get("added_tokens") or [] if isinstance(token.get("id"), int)}

    def _template(self, folder: Path, in_json: dict[str, Any], processor: dict[str, Any]) -> str:
        """The chat template."""
        path = folder / "chat_template.jinja"
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace").strip()
        places = (in_json, processor, self.tokenizer_config)
        found = next((place["chat_template"] for place in places if place.get("chat_template")), "")
        return found.strip() if isinstance(found, str) else json.dumps(found, sort_keys=True)


def text_of(token: Any) -> str:
    """A token as text, of a text or of an object with `content`."""
    return str(token.get("content")) if isinstance(token, dict) else str(token)


def tokens(one: Contents, other: Contents) -> Iterator[str]:
    """Differences that change token ids: vocabulary, merges, added and special tokens, and the steps of the tokenizer."""
    before, after = (each.fast.get("model") or {} for each in (one, other))
    if before and after:
        yield from entries("tokenizer.json: vocabulary", vocabulary(before), vocabulary(after))
        merges = [[" ".join(each) if isinstance(each, list) else each for each in model.get("merges") or []] for model in (before, after)]
        if merges[0] != merges[1]:
            yield f"tokenizer.json: merges: {len(merges[0])} and {len(merges[1])} of them, in another order or other ones"
        for name in SECTIONS:
            if one.fast.get(name) != other.fast.get(name):
                yield f"tokenizer.json: {name}: {shown(one.fast.get(name))}, merged {shown(other.fast.get(name))}"
    if one.added and other.added:
        yield from entries("added tokens", one.added, other.added)
    for name in SPECIAL:
        values = [text_of(each.special[name]) if each.special.get(name) is not None else None for each in (one, other)]
        if values[0] != values[1]:
            yield f"special tokens: {name}: {shown(values[0])}, merged {shown(values[1])}"
    further = [further_special(each) for each in (one, other)]
    if lost := sorted(further[0] - further[1]):
        yield f"special tokens: {', '.join(map(shown, lost[:3]))}{' and more' if len(lost) > 3 else ''} are not special in the merged model"


def vocabulary(model: dict[str, Any]) -> dict[Any, Any]:
    """Token -> id, of a map or of a list of (token, score)."""
    found = model.get("vocab") or {}
    return found if isinstance(found, dict) else {json.dumps(each): number for number, each in enumerate(found)}


def further_special(contents: Contents) -> set[str]:
    """All tokens that are special without a role of their own, however the file names them."""
    named = contents.special.get("additional_special_tokens") or contents.special.get("extra_special_tokens") or []
    listed = named.values() if isinstance(named, dict) else named
    flagged = [token for token in contents.fast.get("added_tokens") or [] if token.get("special")]
    return {text_of(token) for token in (*listed, *flagged)}


def settings(one: Contents, other: Contents) -> Iterator[str]:
    """Differences of the settings that every text or image passes."""
    yield from keys("config.json", one.config, other.config, ("model_type", "vocab_size", "auto_map"))
    yield from keys("tokenizer_config.json", one.tokenizer_config, other.tokenizer_config, OF_TOKENIZER)
    yield from keys("image processor", one.images, other.images, (*OF_IMAGES, "image_processor_type"))
    yield from keys("generation_config.json", one.generation, other.generation, STOPS)


def template(one: Contents, other: Contents) -> Iterator[str]:
    """Whether the chat template differs."""
    if one.template != other.template:
        yield "chat template: " + ("there is none in the merged model" if not other.template else "another text")


def code(base: Path, merged: Path) -> Iterator[str]:
    """Remote code of another text."""
    for path in sorted(base.rglob("*.py")):
        copy = merged / path.relative_to(base)
        if copy.is_file() and copy.read_bytes().split() != path.read_bytes().split():
            yield f"{path.relative_to(base).as_posix()}: other code"


def keys(where: str, one: dict[str, Any], other: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    """The named settings that the base states and the merged folder states otherwise; `auto_map` must be stated."""
    if not other:
        return
    for name in names:
        before, after = one.get(name), other.get(name)
        unstated = after is None and name != "auto_map"
        if before is not None and not unstated and alike(before) != alike(after):
            yield f"{where}: {name}: {shown(before)}, merged {shown(after)}"


def alike(value: Any) -> Any:
    """A value in one form: a list of one as its element, a class without the ending of its fast form, whole numbers as such."""
    if isinstance(value, list) and len(value) == 1:
        return alike(value[0])
    if isinstance(value, str):
        return value.removesuffix("Fast")
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def entries(where: str, one: dict[Any, Any], other: dict[Any, Any]) -> Iterator[str]:
    """How many entries of two maps differ, with the first."""
    differing = [key for key in (*one, *(key for key in other if key not in one)) if one.get(key) != other.get(key)]
    if differing:
        first = differing[0]
        pair = f"{shown(first)}: {shown(one.get(first))}, merged {shown(other.get(first))}"
        yield f"{where}: {len(differing)} of {len(one)} differ ({pair})"


def shown(value: Any) -> str:
    """A value as messages name it; a dash where there is none."""
    text = "-" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
