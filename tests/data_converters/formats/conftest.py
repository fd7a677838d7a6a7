"""What the tests of formats share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from converted import detection_row, write_lines


@pytest.fixture
def rows_of_two_images(tmp_path: Path, draw) -> Callable[..., str]:
    """Write rows about x/two words.jpg, which has some boxes, and y/b.png, which is empty, both of 64x48 px -> their file."""

    def make(*boxes: tuple[str, list[float]]) -> str:
        for name in ("x/two words.jpg", "y/b.png"):
            draw(tmp_path / name, (64, 48))
        found = detection_row(*boxes, image="x/two words.jpg"), detection_row(image="y/b.png", sample_id=2)
        return str(write_lines(tmp_path / "rows.jsonl", *found))

    return make
