"""Take the README's pictures of the page and of a report: `python benchmarks/screenshots.py docs/images`.

The page is that of `saliency serve` with the example, which the project draws itself. Needs chromium and playwright.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import tyro
from playwright.sync_api import Page, sync_playwright

from saliency.commands.main import exit_with
from saliency.errors import InputError

LOGO = (498, 66, 60, 60)
"""Left, top, width and height of the thing that stands for a logo in the example."""
WIDTH, HEIGHT, HEIGHT_OF_REPORT = 1000, 860, 1640
WAIT = 300_000


def ask(page: Page, address: str) -> None:
    """Choose the example and draw a region over the logo."""
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.wait_for_selector("#model option", state="attached")
    page.click("#example")
    page.wait_for_selector("#ask:not([hidden])")
    page.wait_for_timeout(1500)  # the page glides there
    box = page.locator("#drawn").bounding_box()
    if box is None:
        raise InputError("the page shows no picture to draw on")
    left, top, width, height = LOGO
    scale = box["width"] / 640
    page.mouse.move(box["x"] + left * scale, box["y"] + top * scale)
    page.mouse.down()
    page.mouse.move(box["x"] + (left + width) * scale, box["y"] + (top + height) * scale, steps=5)
    page.mouse.up()
    page.fill("#regions input", "logo")
    page.select_option("#crop", "9:16")


def picture(page: Page, path: Path) -> None:
    """Save what is seen."""
    page.screenshot(path=path, type="jpeg", quality=82)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main(folder: tyro.conf.Positional[Path]) -> None:
    """Take both pictures.

    Args:
        folder: where ``serve.jpg`` and ``report.jpg`` are written.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise InputError("needs chromium: apt-get install chromium")
    command = [sys.executable, "-m", "saliency", "serve", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as player:
        try:
            assert server.stdout is not None
            browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            ask(page, server.stdout.readline().split()[1])
            page.evaluate("document.getElementById('ask').scrollIntoView()")
            page.wait_for_timeout(500)
            picture(page, folder / "serve.jpg")
            page.click("#go")
            page.wait_for_selector("#result:not([hidden])")
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT_OF_REPORT})
            page.goto(page.locator("#report").evaluate("frame => frame.src"))
            page.locator("video").evaluate("film => new Promise(d => { film.onseeked = d; film.currentTime = 1.5; })")
            page.wait_for_timeout(1000)
            picture(page, folder / "report.jpg")
        finally:
            server.terminate()


if __name__ == "__main__":
    exit_with(lambda: tyro.cli(main))
