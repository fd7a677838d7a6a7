"""One server that has ms-swift loaded, and one runner of recipes, for all tests of recipes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_runner import RecipeRunner
from swift_server import SwiftServer


@pytest.fixture(scope="session")
def swift_command() -> Iterator[Path]:
    """A folder with the command `swift` of a running server."""
    with SwiftServer() as server:
        yield server.folder


@pytest.fixture(scope="session")
def runner(swift_command: Path, tmp_path_factory: pytest.TempPathFactory) -> RecipeRunner:
    base = tmp_path_factory.mktemp("recipes")
    os.environ["XDG_DATA_HOME"] = str(base / "data-home")
    return RecipeRunner(base, swift_command)
