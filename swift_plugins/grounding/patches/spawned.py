"""What `swift app` and `swift eval` need: they start a server in a process of its own and ask it for its models until it answers.

Observed with ms-swift 4.6.0, gradio 6.31.0 and evalscope 1.10.0.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec

from swift.arguments import AppArguments, EvalArguments, app_args
from swift.arguments.base_args.template_args import TemplateArguments

from groundswift.errors import GroundswiftError

from .swift import wrap_once

DEPLOY = "swift.pipelines.infer.deploy"


def stop_waiting_for_the_dead() -> None:
    """End the wait in words where the server's process has ended. Nothing to do for commands that start no server."""
    deploy = sys.modules.get(DEPLOY)
    if deploy is None or getattr(deploy.is_accessible, "looks_at_process", False):
        return
    deploy.is_accessible = while_alive(deploy.is_accessible)


def while_alive(is_accessible: Callable[[int], bool]) -> Callable[[int], bool]:
    """The same question, which raises GroundswiftError where nobody is left to answer it."""

    @wraps(is_accessible)
    def asked(port: int) -> bool:
        if is_accessible(port):
            return True
        if not multiprocessing.active_children():
            raise GroundswiftError(f"the server of the model ended before it answered on port {port}; its own error is above")
        return False

    asked.looks_at_process = True
    return asked


def show_the_system_of_the_given_template() -> None:
    """`swift app` ignores --template when it looks for the default system text.

    A model type with several templates is then refused, and one with a single template is served with the stock system text.
    """

    def noting_the_template(init: Callable[..., None]) -> Callable[..., None]:
        def __post_init__(self: TemplateArguments) -> None:
            init(self)
            if isinstance(self, AppArguments):
                app_args.get_template_meta = lambda *given: self.template_meta

        return __post_init__

    wrap_once(TemplateArguments, "__post_init__", noting_the_template)


def list_benchmarks_without_opencompass() -> None:
    """`swift eval` asks OpenCompass for its datasets whatever --eval_backend is, and stops where opencompass is not installed."""
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
