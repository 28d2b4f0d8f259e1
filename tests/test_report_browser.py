"""The report in a real browser: images load, the slider moves, the table sorts, and the console is clean."""

import shutil
from pathlib import Path

import pytest
import result_folders as made

from ganvas.report import write_report, write_study

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[test]'")

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE, SCREEN = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        found = shutil.which("chromium") or shutil.which("google-chrome") or (own if Path(own).exists() else None)
        if not found:
            pytest.skip("needs a browser: apt-get install chromium, or playwright install chromium")
        browser = driver.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    made.write_pairs(folder / "pairs")
    write_report(folder / "pairs")
    made.write_pairs(folder / "inside")
    write_report(folder / "inside", inside=True)
    alone = folder / "alone" / "index.html"
    alone.parent.mkdir()
    shutil.move(folder / "inside" / "index.html", alone)
    (folder / "study").mkdir()
    made.write_study(folder / "study")
    write_study(folder / "study")
    (folder / "drawn").mkdir()
    made.write_drawn(folder / "drawn")
    write_report(folder / "drawn")
    return folder


@pytest.fixture
def look(browser, folder):
    """Opens a page of a folder; at the end nothing was said on the console and nothing fetched from elsewhere."""
    said, fetched, contexts = [], [], []

    def look(name, *, viewport=SCREEN, colours="light"):
        contexts.append(browser.new_context(viewport=viewport, color_scheme=colours))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto((folder / name / "index.html").as_uri())
        return page

    look.said = said
    yield look
    for context in contexts:
        context.close()
    assert not said
    assert fetched
    assert all(url.startswith(("file:", "data:")) for url in fetched)


def loaded(page):
    """The widths of all images of the page, once each was scrolled to."""
    return page.evaluate("""async () => {
        const images = [...document.querySelectorAll("main img")].filter((image) => image.offsetParent);
        for (const image of images) {
            image.scrollIntoView({behavior: "instant"});
            await image.decode();
        }
        return images.map((image) => image.naturalWidth);
    }""")


@pytest.mark.parametrize("name", ["pairs", "alone", "study", "drawn"])
def test_images_load_and_a_phone_need_not_scroll_sideways(name, look):
    page = look(name, viewport=PHONE)
    if page.locator("#group").count():
        page.locator("#group").select_option("")
    widths = loaded(page)
    assert len(widths) == {"pairs": 28, "alone": 28, "study": 4, "drawn": 2}[name]
    assert set(widths) == {made.SIZE}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_slider_moves_by_key_and_by_mouse(look):
    page = look("pairs")
    page.locator("figure[data-column=pix2pix] button").first.click()
    over, slider = page.locator(".over"), page.locator(".stage input")

    def cut():
        return over.evaluate("image => getComputedStyle(image).clipPath")

    assert cut() == "inset(0px 50% 0px 0px)"
    page.keyboard.press("ArrowRight")
    assert cut() == "inset(0px 49% 0px 0px)"
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60, steps=4)
    page.mouse.up()
    assert cut() == "inset(0px 75% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == "25 % pix2pix, 75 % target"
    assert page.evaluate("[...document.querySelectorAll('.stage img')].map(i => i.naturalWidth)") == [made.SIZE] * 2


def test_the_comparer_shows_any_two_answers_with_their_scores(look):
    page = look("pairs")
    page.locator("figure[data-column=pix2pix] button").first.click()
    dialog = page.locator("dialog")
    before = page.locator(".under").get_attribute("src")
    page.locator("#right").select_option(made.MODELS[1])
    assert page.locator(".under").get_attribute("src") != before
    shown = page.evaluate("JSON.parse(document.querySelector('#each').textContent).images['0']")
    assert dialog.locator("tbody td").all_text_contents()[:2] == [shown["pix2pix"][0], shown[made.MODELS[1]][0]]
    assert dialog.locator("h2").text_content() == made.SCRIPT
    page.get_by_role("button", name="next image").click()
    assert dialog.locator("h2").text_content() == "image-003.jpg"
    assert page.locator("#right").input_value() == made.MODELS[1]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_the_table_sorts_by_click_and_by_key(look):
    page = look("pairs")
    table = page.locator("#scores table")

    def names():
        return table.locator("tbody th .name").all_text_contents()

    original = [*made.MODELS, made.BASELINE]
    ssim, fid = (table.locator("thead th", has_text=name) for name in ("SSIM", "FID"))
    ssim.locator("button").click()
    assert (names(), ssim.get_attribute("aria-sort")) == (original[::-1], "ascending")
    page.keyboard.press("Enter")
    assert (names(), ssim.get_attribute("aria-sort")) == (original, "descending")
    fid.locator("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert names() == [made.MODELS[1], "pix2pix", made.BASELINE]  # what has no value stays last
    assert ssim.get_attribute("aria-sort") is None
    page.keyboard.press("Enter")
    assert names() == original


def test_images_are_chosen_by_reason_and_score(look):
    page = look("pairs")
    rows, score = page.locator("article.row:visible"), page.locator("figure[data-column=pix2pix] .score").first
    assert rows.count() == 4  # those evenly taken
    page.locator("#group").select_option("where they disagree most in SSIM")
    assert rows.locator("h3").all_text_contents() == ["image-005.jpg"]
    before = score.text_content()
    page.locator("#measure").select_option("PSNR")
    assert score.text_content() != before
    assert score.text_content().endswith(" dB")


def test_the_theme_changes_and_is_remembered(look):
    page = look("pairs", colours="dark")

    def paper():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = paper()
    page.locator(".theme").click()
    light = paper()
    assert light != dark
    page.reload()
    assert paper() == light
    page.locator(".theme").click()
    assert paper() == dark
    page.emulate_media(color_scheme="light")  # back to the system's, which it follows
    assert paper() == light


def test_a_script_that_got_in_would_not_run(look):
    page = look("pairs")
    ran = page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        return window.ran === true;
    }""")
    assert not ran
    assert "Content Security Policy" in look.said.pop()
