"""Copies of datasets in the layout and schema of the hubs, which GROUNDSWIFT_HUB names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

LATEX_README = """---
configs:
  - config_name: full
    data_files:
      - split: validation
        path: full/validation-*
      - split: test
        path: full/test-*
  - config_name: small
    data_files:
      - split: train
        path: small/train-*
---
# LaTeX OCR
"""


def png(size_wh: tuple[int, int], grey: int = 0, orientation: int = 1) -> bytes:
    data, exif = io.BytesIO(), Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    Image.new("L", size_wh, grey).save(data, "PNG", exif=exif)
    return data.getvalue()


def write_parquet(path: Path, rows: list[dict[str, Any]], features: Any) -> None:
    from datasets import Dataset

    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=features).to_parquet(path)


def write_text(path: Path, rows: list[tuple[str | None, bytes]], column: str = "text") -> None:
    from datasets import Features, Value
    from datasets import Image as ImageFeature

    features = Features({"image": ImageFeature(), column: Value("string")})
    write_parquet(path, [{"image": {"bytes": data, "path": "a.png"}, column: text} for text, data in rows], features)
