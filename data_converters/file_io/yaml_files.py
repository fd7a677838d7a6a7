"""YAML that users write: read safely, with errors by file, line and column."""

from __future__ import annotations

from collections.abc import Hashable

import yaml

from groundswift.errors import error_at
from groundswift.storage import read_text


class OnceEachLoader(yaml.SafeLoader):
    """Safe YAML in which a duplicate key is an error: PyYAML would keep the last and drop the rest.

    ruamel.yaml finds duplicates too, but reads YAML 1.2, where `yes` is a text and 010 is ten; trainers read data.yaml as PyYAML does.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)) if isinstance(node, yaml.MappingNode) else ():
            if key.value in seen:
                raise yaml.constructor.ConstructorError(problem=f"duplicate key {key.value[:100]!r}", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: str, expected: str, loader: type[OnceEachLoader] = OnceEachLoader) -> object:
    """The content of a YAML file. Raises GroundswiftError with file, line and column if it cannot be read."""
    text = read_text(path, expected)
    try:
        return yaml.load(text, loader)
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, OverflowError) as error:  # of tags, dates, numbers
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise error_at(place, f"not YAML ({getattr(error, 'problem', None) or error})", expected) from None
