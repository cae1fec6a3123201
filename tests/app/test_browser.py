"""The page as a person uses it, in Debian's Chromium: `ARGS="-m browser"`."""

import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restyle.domains import Domain
from restyle.editing.directions import Direction, save_direction
from restyle.encoders import Encoder, EncoderConfig
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.model import ReStyle
from tests.browsers import CHROMIUM, chromium, visitors
from tests.ports import free_port, wait_for

playwright = pytest.importorskip("playwright.sync_api")

expect = playwright.expect
expect.set_options(timeout=60_000)
ROOT = Path(__file__).parents[2]
LEFT = ("AbortError", "Unexpected error Connection errored out")  # a reload in the middle
REFUSED = "Failed to load resource: the server responded with a status of 503"  # a busy page
BUSY = {"detail": "Queue is full. Max size is 1 and size is 1."}  # the server's own words
LOADED = "(i => i.complete && i.naturalWidth > 0)(document.querySelector('#drag-picture img'))"
PORTRAIT = ROOT / "examples/portraits/00000005.png"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
]


@contextmanager
def served(*options):
    port = free_port()
    command = [sys.executable, "-m", "restyle", "app", "--device", "cpu", "--port", str(port)]
    server = subprocess.Popen([*command, *options], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def address():
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, address):
    """Open the page for a new visitor, and wait until its tabs are there."""
    with visitors(browser, [*LEFT, REFUSED]) as opened:

        def call(**options):
            page = opened(address, **options)
            page.get_by_role("tab", name="Invert").wait_for(timeout=120_000)
            return page

        yield call


def find(page, path=PORTRAIT):
    page.locator("input[type=file]").first.set_input_files(str(path))
    page.get_by_label("Remove Image").first.wait_for()
    page.get_by_role("button", name="Find it").click()


def drag_tab(page):
    page.get_by_role("tab", name="Drag").click()
    picture = page.locator("#drag-picture img")
    picture.wait_for()
    page.wait_for_timeout(1000)  # what is around it is laid out
    return picture


def source(locator):
    return locator.get_attribute("src")


def click(page, picture, x, y, size=128):
    box = picture.bounding_box()
    page.mouse.click(
        box["x"] + (x + 0.5) / size * box["width"], box["y"] + (y + 0.5) / size * box["height"]
    )


def test_from_a_picture_to_a_dragged_one_that_is_taken_home(visit):
    page = visit()
    find(page)
    page.get_by_text("5 steps,").wait_for()
    page.get_by_role("tab", name="Edit").click()
    edited = page.locator("img:visible").first
    edited.wait_for()
    before, found = source(edited), edited.screenshot()
    assert apart(edited, found) < 1
    page.get_by_label("range slider for yaw").focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(edited).not_to_have_attribute("src", before)
    picture = drag_tab(page)
    assert apart(picture, found) > 4  # the edit is kept when another tab is opened
    pull(page, picture, (64, 66), (74, 66))
    dragged(page, 10)
    with page.expect_download() as download:
        page.get_by_role("link", name="KB").and_(page.locator(":visible")).first.click()
    taken = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert taken.size == (128, 128)
    page.get_by_role("tab", name="Toon").click()
    page.get_by_role("button", name="Make a toon").click()
    page.get_by_text("then 1 of portraits-toon").wait_for()


def pull(page, picture, point, to):
    """Click a point, and where it shall be."""
    points, before = page.get_by_role("textbox", name="Points"), source(picture)
    click(page, picture, *point)
    expect(points).not_to_have_value("")
    # Until the point is drawn, and that picture is loaded, the page takes no other click.
    expect(picture).not_to_have_attribute("src", before)
    page.wait_for_function(LOADED)
    tracker = page.locator("#drag-picture").get_by_test_id("status-tracker")
    expect(tracker).to_have_class(re.compile(r"\bhide\b"))
    only = points.input_value()
    click(page, picture, *to)
    expect(points).not_to_have_value(only)


def dragged(page, steps):
    """Drag for so many steps at most."""
    page.get_by_label("number input for Steps, at most").fill(str(steps))
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Drag", exact=True).click()
    page.get_by_text("Done after").wait_for(timeout=200_000)


def apart(picture, screenshot):
    """Return how many levels a picture on the screen is from another one, on average."""
    both = [Image.open(io.BytesIO(one)).convert("L") for one in (picture.screenshot(), screenshot)]
    first, second = (np.asarray(one.resize((128, 128))).astype(float) for one in both)
    return np.abs(first - second)[16:].mean()  # without the label


def test_only_what_is_brushed_may_change(visit):
    page = visit()
    page.get_by_role("button", name="Take a sample instead").click()
    page.get_by_text("Go on under Edit or Drag").wait_for()
    picture = drag_tab(page)
    points = page.get_by_role("textbox", name="Points")
    page.get_by_label("only what I brush").check()
    page.get_by_role("button", name="Clear the brush").wait_for()
    before = source(picture)
    box = picture.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.55 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.55 * box["height"], steps=8)
    page.mouse.up()
    expect(picture).not_to_have_attribute("src", before)
    assert points.input_value() == ""  # a stroke is no click
    tint = pixel(page, picture, 0.5, 0.55)
    page.get_by_label("sets points").check()
    pull(page, picture, (64, 66), (70, 66))
    dragged(page, 4)
    page.get_by_role("button", name="Clear the brush").click()
    page.wait_for_timeout(1000)
    assert pixel(page, picture, 0.5, 0.55) != tint


def pixel(page, picture, x, y):
    """Return a pixel of a picture as it is on the screen, at shares of its width and height."""
    with Image.open(io.BytesIO(picture.screenshot())) as image:
        return image.convert("RGB").getpixel((x * image.width, y * image.height))


def test_a_busy_page_says_so(visit, address):
    page = visit()
    page.route("**/gradio_api/queue/join*", lambda route: route.fulfill(status=503, json=BUSY))
    page.get_by_role("button", name="Take a sample instead").click()
    page.get_by_text("busy").wait_for()


def test_what_is_no_picture_is_said_and_the_page_goes_on(visit, tmp_path):
    page = visit()
    (tmp_path / "broken.png").write_bytes(PORTRAIT.read_bytes()[:3000])
    find(page, tmp_path / "broken.png")
    page.get_by_text("Expected an intact image").wait_for()
    assert page.get_by_text(str(tmp_path)).count() == 0
    page.get_by_role("button", name="Take a sample instead").click()
    page.get_by_text("Sample ").first.wait_for()


def test_a_picture_that_is_too_large_is_said(visit, tmp_path):
    page = visit()
    (tmp_path / "large.png").write_bytes(PORTRAIT.read_bytes() + b"0" * 21_000_000)
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.accept()))
    page.locator("input[type=file]").first.set_input_files(str(tmp_path / "large.png"))
    page.wait_for_timeout(500)
    assert said == ["Expected a picture of at most 20 MB, got one of 21 MB."]
    find(page)
    page.get_by_text("5 steps,").wait_for()


@pytest.mark.parametrize(
    ("mode", "size", "words"),
    [
        ("RGBA", (5500, 5500), "Expected at most 25,000,000 pixels, got 5500 x 5500."),
        ("L", (20_000, 10_000), "Expected at most 25,000,000 pixels, got 200,000,000 pixels."),
    ],
)
def test_too_many_pixels_are_said(visit, tmp_path, mode, size, words):
    page = visit()
    Image.new(mode, size).save(tmp_path / "wide.png")
    find(page, tmp_path / "wide.png")
    page.get_by_text(words).wait_for()


def test_the_face_is_chosen_and_found_as_optimisation_does(visit, tmp_path):
    pytest.importorskip("dlib")
    page = visit()
    numbers, group = (0, 5, 3), Image.new("RGB", (768, 256))
    for place, number in enumerate(numbers):
        with Image.open(PORTRAIT.with_name(f"{number:08d}.png")) as image:
            group.paste(image.convert("RGB").resize((256, 256)), (256 * place, 0))
    group.save(tmp_path / "group.png")
    page.locator("input[type=file]").first.set_input_files(str(tmp_path / "group.png"))
    page.get_by_label("Cut out the face").first.check()
    page.get_by_role("button", name="Find it").click()
    page.get_by_text("5 steps,").wait_for()
    said = page.locator("#invert-said")
    before = error_of(said)
    page.get_by_label("Thumbnail 3 of 3").click()
    expect(said).not_to_contain_text(f"{before:.4f}")
    page.get_by_text("5 steps,").wait_for()
    found = error_of(said)
    page.get_by_role("button", name="Nearer").click()
    page.get_by_text("6 steps,").wait_for(timeout=200_000)  # the curvature is estimated once
    assert error_of(said) < 0.7 * found


def error_of(said):
    return float(said.inner_text().split("error ")[1].split()[0].rstrip(".,"))


def test_two_people_are_mixed_and_a_film_is_taken_home(visit):
    page = visit()
    find(page)
    page.get_by_text("5 steps,").wait_for()
    page.get_by_role("tab", name="Mix").click()
    mixture = page.locator("#mixed img")
    mixture.wait_for()
    before = source(mixture)
    page.get_by_role("button", name="Take a sample as the other").click()
    expect(mixture).not_to_have_attribute("src", before)
    page.get_by_role("button", name="Make a film").and_(page.locator(":visible")).click()
    page.get_by_text("film").and_(page.locator(":visible")).first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="KB").and_(page.locator(":visible")).first.click()
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"


def test_a_sample_is_inverted_beside_its_true_codes(visit):
    page = visit()
    page.get_by_role("tab", name="Samples").click()
    page.get_by_role("button", name="Draw 9").click()
    page.get_by_label("Thumbnail 4 of 9").click()
    page.get_by_text("Sample 3 at truncation 0.8.").wait_for()
    page.get_by_role("button", name="Invert this one").click()
    page.get_by_text("from the true ones").wait_for()


def test_keys_alone_are_enough(visit):
    page = visit()
    page.get_by_role("button", name="Take a sample instead").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Go on under Edit or Drag").wait_for()
    page.get_by_role("tab", name="Invert").focus()
    press_until(page, "Tab", "Edit")
    page.keyboard.press("Enter")
    edited = page.locator("img:visible").first
    edited.wait_for()
    before = source(edited)
    press_until(page, "Tab", "range slider for yaw")
    page.keyboard.press("ArrowRight")
    expect(edited).not_to_have_attribute("src", before)
    press_until(page, "Tab", "Keep this")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="KB").and_(page.locator(":visible")).first.wait_for()


def press_until(page, key, name):
    """Press a key until what has a name, or says so, has the focus."""
    focus = "(({ariaLabel, innerText}) => ariaLabel || innerText)(document.activeElement)"
    for _ in range(120):
        if page.evaluate(focus).strip() == name:
            return
        page.keyboard.press(key)
    raise AssertionError(f"'{name}' is not reached by {key}")


def test_two_visitors_do_not_see_one_another(visit):
    first, second = visit(), visit()
    find(first)
    first.get_by_text("5 steps,").wait_for()
    second.get_by_role("tab", name="Drag").click()
    second.wait_for_timeout(1500)
    assert second.locator("#drag-picture img").count() == 0
    assert drag_tab(first).count() == 1


def test_a_reload_begins_anew(visit):
    page = visit()
    find(page)
    page.get_by_text("Step 1:").or_(page.get_by_text("5 steps,")).wait_for()
    page.reload()
    page.get_by_text("Give a picture, or take a sample.").wait_for()
    page.get_by_role("button", name="Take a sample instead").click()
    page.get_by_text("Go on under Edit or Drag").wait_for()


@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 375, "height": 740}}, {"color_scheme": "dark"}]
)
def test_a_phone_and_the_dark(visit, options):
    page = visit(**options)
    page.get_by_role("button", name="Take a sample instead").click()
    page.get_by_text("Go on under Edit or Drag").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    drag_tab(page)
    page.get_by_role("textbox", name="Points").fill("32,33 > 36,33")
    page.get_by_role("button", name="Drag", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_text("Done after").wait_for(timeout=200_000)


@pytest.fixture
def large(tmp_path):
    """A model of 256 px with a generator of the official widths, and seven directions of it."""
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Config(256))
    widths = {"widths": (16, 32, 64, 64), "units": (1, 1, 1), "head_channels": 32}
    config = EncoderConfig(generator.num_ws, **widths)
    model = ReStyle(generator, Encoder(config), Domain("noise", (256, 256)), "large")
    model.save_pretrained(tmp_path / "model")
    for seed in range(7):
        vector = torch.randn(512, generator=torch.Generator().manual_seed(seed))
        one = Direction(f"way {seed}", vector, scale=0.1)
        save_direction(one, tmp_path / f"directions/way-{seed}.safetensors")
    return "--model", str(tmp_path / "model"), "--directions", str(tmp_path / "directions")


WATCH = """
const place = document.querySelector("#invert-said");
window.said = [];
new MutationObserver(() => window.said.push(place.innerText)).observe(
  place, { subtree: true, childList: true, characterData: true });
"""


@pytest.mark.slow
def test_no_tab_of_a_large_model_freezes(browser, large):
    with served(*large) as address:
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("tab", name="Invert").wait_for(timeout=120_000)
        page.locator("#invert-said").wait_for(state="attached")
        page.evaluate(WATCH)
        find(page)
        page.get_by_text("5 steps,").wait_for(timeout=200_000)
        seen = {text.partition(":")[0] for text in page.evaluate("window.said")}
        assert {f"Step {number}" for number in range(6)} <= seen
        page.get_by_role("tab", name="Edit").click()
        edited = page.locator("img:visible").first
        edited.wait_for()
        for number in range(7):
            before = source(edited)
            page.get_by_label(f"range slider for way {number}").focus()
            page.keyboard.press("ArrowRight")
            expect(edited).not_to_have_attribute("src", before)
        page.get_by_role("button", name="Keep this").and_(page.locator(":visible")).click()
        page.get_by_role("link", name="KB").and_(page.locator(":visible")).first.wait_for()
        drag_tab(page)
        page.get_by_role("textbox", name="Points").fill("100,100 > 104,100")
        dragged(page, 3)
        page.get_by_role("tab", name="Samples").click()
        page.get_by_role("button", name="Draw 9").click()
        page.get_by_label("Thumbnail 9 of 9").wait_for(timeout=200_000)
        page.context.close()
