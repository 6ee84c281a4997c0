"""The page in a real browser: Debian's chromium without a screen, driven by Playwright."""

import csv
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.browser

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
TIME = 30_000


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[browser]'")
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, served):
    """Open the page of a server with some limits; no request may go elsewhere, no script may fail."""
    pages = []

    def open_page(**limits):
        client = served(**limits)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(TIME)
        asked, faults = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        pages.append((page, client, asked, faults))
        page.goto(client.address)
        page.wait_for_selector("#model option", state="attached")
        return page

    yield open_page
    for page, client, asked, faults in pages:
        page.close()
        own = urlsplit(client.address).netloc
        assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {own}
        assert faults == []


def measured(page):
    page.click("#go")
    page.wait_for_selector("#result:not([hidden])")
    return page.frame_locator("#report")


def test_upload_draw_measure_download(visit, film, tmp_path):
    page = visit()
    page.set_input_files("#file", film)
    page.wait_for_selector("#ask:not([hidden])")
    assert page.inner_text("#name") == "my ad.mp4"
    assert page.inner_text("#found") == "128x72 pixels, 12 frames, 1.2 seconds"
    page.wait_for_timeout(700)  # the page glides there
    box = page.locator("#drawn").bounding_box()
    assert (round(box["width"]), round(box["height"])) == (128, 72)  # a small picture is shown as it is
    page.mouse.move(box["x"] + 112, box["y"] + 40)  # from its lower right corner
    page.mouse.down()
    page.mouse.move(box["x"] + 96, box["y"] + 20, steps=4)
    page.mouse.up()
    assert "16x20 at 96, 20" in page.inner_text("#regions")
    page.fill("#regions input", "logo")
    page.select_option("#crop", "9:16")
    report = measured(page)
    assert report.locator("video").evaluate(
        "film => new Promise(d => film.readyState ? d(1) : film.onloadeddata = d(1))"
    )
    assert report.locator(".plot svg polyline").count() >= 5
    row = report.locator("tbody tr").inner_text().split("\t")
    share = 320 * 250**2 / (320 * 250**2 + (72 * 128 - 320) * 20**2)
    assert row[0] == "logo" and int(row[1].split()[0]) == pytest.approx(100 * share, abs=2.5)
    with page.expect_download() as download:
        page.click("#files a:has-text('frames.csv')")
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and {row["logo_peak"] for row in rows} == {"1"}
    page.click("#remove")
    page.wait_for_selector("#ask", state="hidden")
    page.wait_for_timeout(300)
    assert not [path for path in (tmp_path / "server" / "videos").rglob("*") if path.is_file()]


def test_the_example_and_another_model(visit):
    page = visit()
    page.click("#example")
    page.wait_for_selector("#ask:not([hidden])")
    page.select_option("#model", "broken")
    assert "has a fault" in page.inner_text("#about")
    page.click("#go")
    page.wait_for_selector("#failed:not([hidden])")
    assert "a fault of this server" in page.inner_text("#failed")
    page.select_option("#model", "bright")
    assert "1.0 times" not in measured(page).locator("main").inner_text()


def test_the_camera(visit):
    page = visit()
    page.click("#record")
    page.wait_for_timeout(1500)
    page.click("#stop")
    page.wait_for_selector("#ask:not([hidden])")
    assert page.inner_text("#name").startswith("camera.")
    assert measured(page).locator("video").count() == 1


def test_bad_files_are_told_apart(visit, film, tmp_path):
    page = visit(megabytes=0.05, seconds=1)
    (tmp_path / "page.mp4").write_text("<!DOCTYPE html><p>a page</p>")
    (tmp_path / "large.mp4").write_bytes(b"0" * 60_000)
    for path, words in (
        (tmp_path / "page.mp4", "page.mp4: is not a video file that can be read"),
        (tmp_path / "large.mp4", "large.mp4: has 0 MB and this page takes up to 0.05 MB"),
        (film, "my ad.mp4: lasts 1.2 seconds and this page takes up to 1"),
    ):
        page.set_input_files("#file", path)
        page.wait_for_selector(f"#refused:has-text('{path.name}')")
        assert page.inner_text("#refused").startswith(words)
        assert page.locator("#ask").is_hidden()
