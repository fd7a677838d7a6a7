"""ms-swift's own argument class of `megatron sft`, without Megatron: the packages that only install with a GPU are stood in for.

What the class declares (names, types, choices) is ms-swift's; what megatron-core and mcore-bridge would do with it is not checked.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import types
from unittest.mock import MagicMock

NOT_HERE = ("megatron", "mcore_bridge", "transformer_engine")


class StandIn(types.ModuleType):
    """A module in which every name exists: classes for names with a capital, callables for others."""

    __version__ = "0.16.1"
    __path__: list[str] = []

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (), {}) if name[0].isupper() else MagicMock()
        setattr(self, name, value)
        return value


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for each module of NOT_HERE."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        here = name.partition(".")[0] in NOT_HERE
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if here else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> StandIn:
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def main() -> None:
    """Read lists of words as JSON from standard input; print the words of each that the class does not know, as JSON."""
    sys.meta_path.insert(0, Finder())
    from swift.megatron.arguments import MegatronSftArguments
    from transformers import HfArgumentParser

    parser = HfArgumentParser([MegatronSftArguments])
    print(json.dumps([parser.parse_known_args(words)[1] for words in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
