"""Every test is of a kind, its marker: `swift` (loads or runs it), `process` (starts processes), `long`, or `unit` (none of these)."""

from __future__ import annotations

import multiprocessing.process
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent
WITH_SWIFT = {"swift_plugins", "recipes"}  # folders
# The same examples each time; --hypothesis-profile=default looks for new ones, `make test-unit` is content with the quick ones.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, max_examples=100, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("repeatable"), max_examples=12)
hypothesis.settings.load_profile("repeatable")
pytest.register_assert_rewrite("answer_cases")  # which asserts for several files


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test-unit` imports no test of swift: it would drop them all."""
    with_swift = collection_path.parent == TESTS and collection_path.name in WITH_SWIFT
    return True if with_swift and config.option.markexpr == "unit" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what its folder says; the other kinds are set where a test is written."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in WITH_SWIFT:
            item.add_marker("swift")
        elif not any(map(item.get_closest_marker, ("process", "long", "swift"))):
            item.add_marker("unit")


@pytest.fixture(autouse=True)
def _one_environment() -> Iterator[None]:
    """`Dataset.map` of datasets puts a copy in the place of os.environ, where what monkeypatch sets would stay for later tests."""
    environment, before = os.environ, dict(os.environ)
    yield
    if os.environ is not environment:
        os.environ = environment  # noqa: B003
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True, scope="session")
def _no_process_in_a_unit_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """In `make test-unit` a test that starts a process fails: it stays quick only if such tests say what they are."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this test starts a process: mark it with pytest.mark.process")

    with pytest.MonkeyPatch.context() as patch:
        if request.config.option.markexpr == "unit":
            patch.setattr(subprocess.Popen, "__init__", refuse)
            patch.setattr(multiprocessing.process.BaseProcess, "start", refuse)
        yield
