"""Library versions with known bugs that shift boxes: a table, and a warning where one is installed and the model family is affected.

A row holds what its sources state. Where no fixed release is known, the range ends with the last version that a source names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion

from .patches.wrap_once import on_load


class BadVersion(NamedTuple):
    """A known bug of a library.

    `versions`: a PEP 440 specifier. `families`: affected families; empty: every model. `problem`: what goes wrong, and when. `remedy`:
    what to install instead. `sources`: the threads that state it.
    """

    package: str
    versions: str
    families: tuple[str, ...]
    problem: str
    remedy: str
    sources: tuple[str, ...]

    def affects(self, installed: str) -> bool:
        """Whether a version is in the range; pre-releases count as their release, an unreadable version never does."""
        try:
            return SpecifierSet(self.versions).contains(installed, prereleases=True)
        except InvalidVersion:
            return False

    def concerns(self, family: str | None) -> bool:
        """Whether a family is affected; None: whether every model is."""
        return not self.families if family is None else family in self.families

    def line(self, installed: str) -> str:
        """The warning for a user."""
        models = f" with {', '.join(self.families)}" if self.families else ""
        return f"{self.package} {installed}{models}: {self.problem}. Install {self.remedy} ({', '.join(self.sources)})"


QWEN2_5 = ("qwen2_5_vl", "mimo_vl")
BAD_VERSIONS = (
    BadVersion(
        "transformers",
        ">=5.3.0,<5.5.4",
        QWEN2_5,
        "images get wrong positions, and their boxes drift",
        "transformers>=5.5.4",
        ("huggingface/transformers#45325", "huggingface/transformers#45330", "huggingface/lerobot#3704"),
    ),
    BadVersion(
        "transformers",
        ">=4.54.0,<=4.56.2",
        QWEN2_5,
        "positions are wrong during generation, and answers get worse",
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
        "limits in tokens are ignored: images are resized to other sizes than the evaluator assumes",
        "qwen-vl-utils>=0.0.14",
        ("vision_process.py of qwen-vl-utils 0.0.11 and 0.0.14",),
    ),
    BadVersion(
        "vllm",
        ">=0.11.1,<=0.12.0",
        ("qwen3_vl",),
        "boxes of answers from vLLM are shifted, those of other engines are not",
        "vllm 0.11.0, or a later one after comparing it with --infer_backend transformers",
        ("vllm-project/vllm#30918", "vllm-project/vllm#36117", "QwenLM/Qwen3-VL#2056"),
    ),
    BadVersion(
        "sglang",
        ">=0.5.15,<=0.5.17",
        ("qwen3_5",),
        "boxes of answers from SGLang on CUDA are shifted by about 90 px, those of other engines are not",
        "a later sglang after comparing it with --infer_backend transformers, which can be used instead",
        ("sgl-project/sglang#36762", "sgl-project/sglang#35345", "sgl-project/sglang#35772"),
    ),
)
WARNED: set[BadVersion] = set()


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions by package; packages that are not installed are skipped."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def known_bad(family: str | None, installed: Mapping[str, str], table: Iterable[BadVersion] = BAD_VERSIONS) -> list[BadVersion]:
    """The known bugs of installed versions that affect a family, or, for None, every model."""
    return [row for row in table if row.concerns(family) and row.package in installed and row.affects(installed[row.package])]


@on_load
def warn_bad_versions(family: str | None = None) -> None:
    """Warn, once a process, of installed versions that shift boxes. Called when the plugin is loaded, for bugs that affect every model, and
    when a template is made, for those of its family."""
    from swift.utils import get_logger

    installed = versions_of({row.package for row in BAD_VERSIONS})
    for row in known_bad(family, installed):
        if row not in WARNED:
            WARNED.add(row)
            get_logger().warning(row.line(installed[row.package]))
