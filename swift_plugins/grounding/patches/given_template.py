"""Commands that ignore `--template`: `swift sample` and `swift app` look it up from the model again. Observed with ms-swift 4.6.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.arguments import AppArguments, app_args
from swift.arguments.base_args.template_args import TemplateArguments
from swift.infer_engine import InferEngine, TransformersEngine
from swift.template import Template

from .wrap_once import patch


@patch("__init__", TransformersEngine)
def note_given_template(init: Callable[..., None], self: Any, model: Any, *, template: Template | None = None, **more: Any) -> None:
    """`swift sample` passes its template to an engine that makes another from the model: note the one that was handed over."""
    self.template_given = template
    init(self, model, template=template, **more)


@patch("_get_template", InferEngine)
def keep_given_template(get: Callable[..., Template], self: InferEngine, *given: Any, **more: Any) -> Template:
    """Let an engine use the template that it was given."""
    template = getattr(self, "template_given", None)
    if template is None:
        return get(self, *given, **more)
    if template.use_model:
        template.model = self.model
    return template


@patch("__post_init__", TemplateArguments)
def keep_given_template_in_app(init: Callable[..., None], self: TemplateArguments) -> None:
    """`swift app` looks for the default system text without `--template`.

    It then refuses a model type with several templates, and serves one with a single template with the stock system text.
    """
    init(self)
    if isinstance(self, AppArguments):
        app_args.get_template_meta = lambda *given: self.template_meta
