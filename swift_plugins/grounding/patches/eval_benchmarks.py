"""`swift eval` asks OpenCompass for its datasets whatever `--eval_backend` is, and stops where opencompass is not installed.

Observed with ms-swift 4.6.0 and evalscope 1.10.0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec

from swift.arguments import EvalArguments


def list_benchmarks_without_opencompass() -> None:
    """List the benchmarks of the other backends where opencompass is not installed."""
    listed = EvalArguments.list_eval_dataset
    if find_spec("opencompass") is None and not hasattr(listed, "__wrapped__"):
        EvalArguments.list_eval_dataset = staticmethod(without_opencompass(listed))


def without_opencompass(listed: Callable[..., dict[str, list[str]]]) -> Callable[..., dict[str, list[str]]]:
    """The same table with no OpenCompass dataset in it, unless OpenCompass is the backend that is asked for."""

    @wraps(listed)
    def list_eval_dataset(eval_backend: str | None = None) -> dict[str, list[str]]:
        if eval_backend in (None, "OpenCompass"):
            return listed(eval_backend)
        from evalscope.backend.opencompass import OpenCompassBackendManager as Manager

        kept = vars(Manager)["list_datasets"]
        Manager.list_datasets = staticmethod(list)
        try:
            return listed(eval_backend)
        finally:
            Manager.list_datasets = kept

    return list_eval_dataset
