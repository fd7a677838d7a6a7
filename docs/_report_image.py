"""Make docs/images/report.png, the image of the README, from a report: its numbers and curves on the left, its images on the right.

    python docs/_report_image.py runs/quickstart/report.html

Needs Chromium (environment CHROMIUM, or one of its usual names) and playwright.
"""

from __future__ import annotations

import os
import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent / "images" / "report.png"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PAGE_WH = (900, 930)  # of each half, in px of the browser
HALF_WH = (600, 620)
GAP = 24
STYLE = """
.bar, section:has(h2#warnings), section:has(h2#numbers) .scroll, section:has(h2#numbers) > p, label { display: none !important }
.toolbar label { display: inline-flex !important }
main { padding: 10px 8px } section { margin-top: 26px } h2 { scroll-margin-top: 0; border: 0; padding-top: 4px; margin-bottom: 8px }
"""


def halves(report: Path) -> list[Image.Image]:
    """The beginning of the page, and its images."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": PAGE_WH[0], "height": PAGE_WH[1]}, locale="en-US")
        page.goto(f"{report.resolve().as_uri()}#size=25")
        page.wait_for_selector("#cards[data-ready]", state="attached")
        page.add_style_tag(content=STYLE)
        shots = []
        for id in ("top", "images"):
            page.evaluate("id => id === 'top' ? scrollTo(0, 0) : document.getElementById(id).scrollIntoView()", id)
            page.wait_for_timeout(300)
            shots.append(Image.open(BytesIO(page.screenshot())).convert("RGB").resize(HALF_WH, Image.Resampling.LANCZOS))
        browser.close()
    return shots


def main() -> None:
    """Two screenshots next to each other, in 256 colours."""
    left, right = halves(Path(sys.argv[1]))
    whole = Image.new("RGB", (left.width + GAP + right.width, left.height), "white")
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width + GAP, 0))
    whole.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
