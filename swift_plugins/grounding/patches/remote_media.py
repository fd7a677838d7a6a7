"""Images and videos in object stores (`s3://`, ...): swift opens local paths, HTTP URLs and base64 only. Observed with ms-swift 4.6.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.template import Template

from groundswift.storage import local_copy
from groundswift.urls import is_url

from .wrap_once import wrap_once


def fetch_remote_media() -> None:
    """Copy images and videos of other stores to local files before swift opens them."""

    def with_local_copies(preprocess: Callable[..., None], self: Template, inputs: Any) -> None:
        for name in ("images", "videos"):
            setattr(inputs, name, [fetched(source) for source in getattr(inputs, name) or []])
        preprocess(self, inputs)

    wrap_once(Template, "_preprocess_inputs", with_local_copies)


def fetched(source: Any) -> Any:
    """The path of a local copy where a source is a URL that swift cannot open; any other source as it is."""
    place = source.get("path") if isinstance(source, dict) and not source.get("bytes") else source
    return str(local_copy(place)) if is_url(place) and not place.startswith("http") else source
