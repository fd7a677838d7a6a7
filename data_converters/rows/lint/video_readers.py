"""Which package would decode a video file in this environment, found without importing any.

qwen-vl-utils 0.0.14 tries torchcodec, then decord, then `torchvision.io.read_video`, which torchvision has removed: without the other
two every video fails, and swift 4.6 reports it as rows that are too long. swift's readers for other families import decord.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

READERS = ("torchcodec", "decord")
ADVICE = "install decord or torchcodec: pip install 'groundswift[video]'"


def missing_reader(forced: str | None = None, find: Callable[[str], object] = find_spec) -> str | None:
    """Why no video file can be decoded here; None if one can, or if swift is not installed and runs elsewhere.

    `forced`: the reader that FORCE_QWENVL_VIDEO_READER names. `find`: finds the spec of a top-level package without importing it.
    """
    if find("swift") is None or find("torchvision") is None:
        return None
    forced = os.environ.get("FORCE_QWENVL_VIDEO_READER") if forced is None else forced
    if forced in READERS:
        return None if find(forced) else f"FORCE_QWENVL_VIDEO_READER is {forced}, which is not installed; {ADVICE}"
    if not forced and any(map(find, READERS)):
        return None
    if _torchvision_reads(find("torchvision")):
        return None
    return f"torchvision no longer reads video files (torchvision.io.read_video was removed); {ADVICE}"


def _torchvision_reads(spec: object) -> bool:
    """Whether the installed torchvision still defines `read_video`."""
    sources = (Path(folder) / "io" / "video.py" for folder in getattr(spec, "submodule_search_locations", None) or ())
    return any(source.is_file() and "\ndef read_video(" in source.read_text(encoding="utf-8") for source in sources)
