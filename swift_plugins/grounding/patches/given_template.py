"""Commands that ignore `--template`: `swift sample` and `swift app` look it up from the model again. Observed with ms-swift 4.6.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.arguments import AppArguments, app_args
from swift.arguments.base_args.template_args import TemplateArguments
from swift.infer_engine import InferEngine, TransformersEngine
from swift.template import Template

from .wrap_once import wrap_once


def keep_given_template() -> None:
    """`swift sample` passes its template to an engine that makes another from the model: keep the one that was handed over."""

    def noting_template(
        init: Callable[..., None], self: TransformersEngine, model: Any, *, template: Template | None = None, **more: Any
    ) -> None:
        self.template_given = template
        init(self, model, template=template, **more)

    def with_given_template(get: Callable[..., Template], self: InferEngine, *given: Any, **more: Any) -> Template:
        template = getattr(self, "template_given", None)
        if template is None:
            return get(self, *given, **more)
        if template.use_model:
            template.model = self.model
        return template

    wrap_once(TransformersEngine, "__init__", noting_template)
    wrap_once(InferEngine, "_get_template", with_given_template)


def keep_given_template_in_app() -> None:
    """`swift app` looks for the default system text without `--template`.

    It then refuses a model type with several templates, and serves one with a single template with the stock system text.
    """

    def noting_template(init: Callable[..., None], self: TemplateArguments) -> None:
        init(self)
        if isinstance(self, AppArguments):
            app_args.get_template_meta = lambda *given: self.template_meta

    wrap_once(TemplateArguments, "__post_init__", noting_template)
