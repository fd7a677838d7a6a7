"""Versions of libraries known to move boxes: a table, and a warning by name where one of them is installed and the family is concerned.

A row holds what its sources state, and nothing else. Where no release is known to be free of a fault, the range ends with the last
version that a source names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion


@dataclass(frozen=True)
class BadVersion:
    """One fault of a library.

    `versions`: a PEP 440 specifier. `families`: names of the table of families; none: whatever the model. `fault`: what goes wrong, and
    in which situation. `remedy`: what to install instead. `sources`: the threads that state it.
    """

    package: str
    versions: str
    families: tuple[str, ...]
    fault: str
    remedy: str
    sources: tuple[str, ...]

    def meets(self, installed: str) -> bool:
        """Whether a version lies in the range; pre-releases count as what they lead to, an unreadable version as none."""
        try:
            return SpecifierSet(self.versions).contains(installed, prereleases=True)
        except InvalidVersion:
            return False

    def concerns(self, family: str | None) -> bool:
        """Whether it is told for a family; None: whether it is told for every model."""
        return not self.families if family is None else family in self.families

    def line(self, installed: str) -> str:
        """One line for the user."""
        models = f" with {', '.join(self.families)}" if self.families else ""
        return f"{self.package} {installed}{models}: {self.fault}; expected {self.remedy} ({', '.join(self.sources)})"


QWEN2_5 = ("qwen2_5_vl", "mimo_vl")
BAD_VERSIONS = (
    BadVersion(
        "transformers",
        ">=5.3.0,<5.5.4",
        QWEN2_5,
        "every image is placed at a later time than it has, and its boxes drift",
        "transformers>=5.5.4",
        ("huggingface/transformers#45325", "huggingface/transformers#45330", "huggingface/lerobot#3704"),
    ),
    BadVersion(
        "transformers",
        ">=4.54.0,<=4.56.2",
        QWEN2_5,
        "positions are prepared wrongly when it generates, and answers get worse",
        "transformers>=5.5.4",
        ("huggingface/transformers#40136", "huggingface/transformers#40490", "huggingface/transformers#41180"),
    ),
    BadVersion(
        "transformers",
        "<4.51.0",
        QWEN2_5,
        "boxes of trained models are shifted",
        "transformers>=5.5.4",
        ("QwenLM/Qwen3-VL#1062",),
    ),
    BadVersion(
        "qwen-vl-utils",
        "<0.0.14",
        ("qwen2_vl", "qwen3_vl", "qwen3_5", *QWEN2_5),
        "it knows no limits in tokens: images are resized to other sizes than the evaluator takes them to have",
        "qwen-vl-utils>=0.0.14",
        ("vision_process.py of qwen-vl-utils 0.0.11 and 0.0.14",),
    ),
    BadVersion(
        "vllm",
        ">=0.11.1,<=0.12.0",
        ("qwen3_vl",),
        "answers that vLLM gives have their boxes off, other engines do not",
        "vllm 0.11.0, or a later one compared with --infer_backend transformers",
        ("vllm-project/vllm#30918", "vllm-project/vllm#36117", "QwenLM/Qwen3-VL#2056"),
    ),
    BadVersion(
        "sglang",
        ">=0.5.15,<=0.5.17",
        ("qwen3_5",),
        "answers that SGLang gives on CUDA have their boxes about 90 px off, other engines do not",
        "--infer_backend transformers or vllm, or a later sglang compared with them",
        ("sgl-project/sglang#36762", "sgl-project/sglang#35345", "sgl-project/sglang#35772"),
    ),
)
WARNED: set[BadVersion] = set()


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions by package; those that are not installed are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def known_bad(family: str | None, installed: Mapping[str, str], guards: Iterable[BadVersion] = BAD_VERSIONS) -> list[BadVersion]:
    """The guards that installed versions meet and that concern a family, or, for None, every model."""
    return [guard for guard in guards if guard.concerns(family) and guard.package in installed and guard.meets(installed[guard.package])]


def warn_bad_versions(family: str | None = None) -> None:
    """Tell in swift's log what is installed and known to move boxes, each once a process. Called when the plugin is loaded, for what
    concerns every model, and when a template is made, for its family."""
    from swift.utils import get_logger

    installed = versions_of({guard.package for guard in BAD_VERSIONS})
    for guard in known_bad(family, installed):
        if guard not in WARNED:
            WARNED.add(guard)
            get_logger().warning(guard.line(installed[guard.package]))
