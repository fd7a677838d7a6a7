"""A report that a test writes and reads."""

from __future__ import annotations

import pytest
from PIL import Image
from report_page import Page

from groundswift.eval.compare import differing_terms, table_of
from groundswift.eval.report.page import write_report


@pytest.fixture
def images_dir(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "out").mkdir()
    for i in range(1, 4):
        Image.new("RGB", (112, 84), (40 * i, 20, 60)).save(folder / f"{i:06d}.jpg")
    return folder


@pytest.fixture
def report(tmp_path, images_dir):
    def written(*runs, folder=images_dir, **options) -> Page:
        differing = differing_terms(runs)
        write_report(
            list(runs), tmp_path / "out" / "report.html", folder, options.pop("title", "A title"), table_of(runs), differing, **options
        )
        page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
        page.markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
        return page

    return written
