"""Images and videos in object stores (`s3://`, ...): swift opens local paths, HTTP URLs and base64 only. Observed with ms-swift 4.6.0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swift.template import Template

from groundswift.storage import local_copy
from groundswift.urls import is_url

from .wrap_once import patch


@patch("_preprocess_inputs", Template)
def fetch_remote_media(preprocess: Callable[..., None], self: Template, inputs: Any) -> None:
    """Copy images and videos of other stores to local files before swift opens them."""
    for name in ("images", "videos"):
        setattr(inputs, name, [fetched(source) for source in getattr(inputs, name) or []])
    preprocess(self, inputs)


def fetched(source: Any) -> Any:
    """The path of a local copy where a source is a URL that swift cannot open; any other source as it is."""
    place = source.get("path") if isinstance(source, dict) and not source.get("bytes") else source
    return str(local_copy(place)) if is_url(place) and not place.startswith("http") else source
