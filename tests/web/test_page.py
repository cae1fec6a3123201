"""The page without a server, as a visitor uses it: `make docs`, then `ARGS="-m browser"`."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import restyle
from restyle.editing.latents import read_latents
from restyle.inversion.targets import to_target
from restyle.io.images import to_uint8
from tests.web.conftest import served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples/portraits"


@pytest.fixture(scope="module")
def model(built):
    return restyle.load(built / "model", device="cpu")


def inverted(model, number):
    """Return what Python finds of an example."""
    target = model.prepare([EXAMPLES / f"{number:08d}.png"], fit="crop")
    return model.invert(target, steps=5)


def give(page, path):
    page.locator("#file").set_input_files(str(path))


def find(page, number):
    page.get_by_role("button", name=f"Portrait {number + 1}", exact=True).click()
    page.get_by_text("Found in").wait_for()


def taken(page, button):
    """Press a button; return the file that is saved."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    path = Path(download.value.path())
    named = path.with_name(download.value.suggested_filename)
    return path.rename(named)


def pixels(page, canvas="#after"):
    url = page.locator(canvas).evaluate("canvas => canvas.toDataURL()")
    return levels(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def levels(file):
    return np.array(Image.open(file).convert("RGB"), int)


def move(page, name, presses):
    page.get_by_label(name, exact=True).focus()
    for _ in range(abs(presses)):
        page.keyboard.press("ArrowRight" if presses > 0 else "ArrowLeft")


def settled(page, before):
    """Wait for the picture to become another, and then to stay; return it."""
    page.wait_for_function(
        "before => document.getElementById('after').toDataURL() !== before", arg=before
    )
    page.wait_for_timeout(1500)
    return pixels(page)


def source(page):
    return page.locator("#after").evaluate("canvas => canvas.toDataURL()")


def test_five_steps_without_a_network_give_the_codes_of_python(visit, model):
    page = visit()
    page.context.set_offline(True)
    find(page, 5)
    assert page.locator("#steps figcaption").all_inner_texts() == [
        "target",
        "average",
        *(f"step {step}" for step in range(1, 6)),
    ]
    codes = read_latents(taken(page, "Latents"), model.weights_hash(), *model.start_ws.shape)
    result = inverted(model, 5)
    wanted = torch.cat([step.ws for step in result.steps])
    assert codes.shape == wanted.shape
    assert (codes - wanted).abs().max() < 1e-2
    strip = Image.open(taken(page, "Strip"))
    assert strip.size == (7 * 132 + 4, 24 + 128 + 4)


def test_sliders_edit_as_python_does_and_reset(visit, model):
    page = visit()
    find(page, 2)
    before, untouched = source(page), pixels(page)
    move(page, "yaw", 12)
    move(page, "smile", -9)
    edited = settled(page, before)
    path = taken(page, "Latents")
    assert path.name == "00000002_edited.safetensors"
    codes = read_latents(path, model.weights_hash(), *model.start_ws.shape)
    found = inverted(model, 2)
    wanted = model.edit(found.ws, {"yaw": 1.2, "smile": -0.9})
    assert (codes - wanted.ws).abs().max() < 1e-2
    assert np.abs(edited - to_uint8(wanted.image[0])).max() <= 3
    assert np.array_equal(levels(taken(page, "Picture")), edited)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(1500)
    assert np.array_equal(pixels(page), untouched)
    assert page.get_by_label("yaw", exact=True).input_value() == "0"


SHAPES = [(64, 64), (257, 123), (40, 31), (1, 5), (900, 1600), (64, 200), (3001, 411)]


@pytest.fixture
def page(browser, address):
    """A page of the same address, without the model."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}LICENSES.txt")
        yield page


def test_pictures_are_resized_as_pillow_does_to_the_digit(page, tmp_path):
    random = np.random.default_rng(0)
    for width, height in SHAPES:
        path = tmp_path / "noise.png"
        noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        for size in ((64, 64), (48, 80)):
            assert np.array_equal(target(page, path, size), to_target(path, size, "crop").numpy())


def test_pictures_are_turned_flattened_and_decoded_as_in_python(page, tmp_path):
    image = Image.open(EXAMPLES / "00000001.png").convert("RGB").resize((300, 211))
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=turned)
    image.save(tmp_path / "lossless.webp", lossless=True)
    image.convert("L").save(tmp_path / "grey.png")
    for name in ("turned.png", "lossless.webp", "grey.png"):
        path = tmp_path / name
        assert np.array_equal(
            target(page, path, (64, 64)), to_target(path, (64, 64), "crop").numpy()
        )
    image.save(tmp_path / "photograph.jpg", quality=90)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(tmp_path / "clear.png")
    for name in ("photograph.jpg", "clear.png"):
        path = tmp_path / name
        apart = target(page, path, (64, 64)) - to_target(path, (64, 64), "crop").numpy()
        assert np.abs(apart).max() <= 2 / 127.5


def target(page, path, size):
    """Return the target that the page makes of a file."""
    found = page.evaluate(
        """async ([text, size]) => {
            const { toTarget } = await import("./pictures.js");
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            return Array.from(await toTarget(new File([bytes], "given"), size));
        }""",
        [base64.b64encode(path.read_bytes()).decode(), list(size)],
    )
    return np.array(found, np.float32).reshape(3, *size)


def bad_files(folder):
    portrait = (EXAMPLES / "00000005.png").read_bytes()
    image = Image.open(EXAMPLES / "00000005.png").convert("RGB")
    jpeg = io.BytesIO()
    image.resize((600, 600)).save(jpeg, "JPEG")
    frames = [image, image.rotate(90)]
    wide = io.BytesIO()
    Image.new("1", (20_000, 3_000)).save(wide, "PNG")
    for name in ("moving.webp", "moving.png"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    frames[0].save(folder / "moving.gif")
    bytes_of = {
        "cut.png": (portrait[:3000], "Expected an intact picture, got a damaged one."),
        "header.png": (portrait[:20], "Expected an intact picture, got a damaged one."),
        "cut.jpg": (jpeg.getvalue()[:200], "Expected an intact picture, got a damaged one."),
        "text.png": (b"no picture at all", "Expected a JPEG, PNG or WebP picture, got another"),
        "empty.png": (b"", "Expected a JPEG, PNG or WebP picture, got another file."),
        "long.png": (portrait + b"0" * 41_000_000, "at most 40 MB, got 42 MB."),
        "wide.png": (wide.getvalue(), "at most 50 million pixels, got 20000 × 3000."),
    }
    for name, (content, words) in bytes_of.items():
        (folder / name).write_bytes(content)
        yield folder / name, words
    yield folder / "moving.webp", "Expected a still picture, got an animation."
    yield folder / "moving.png", "Expected a still picture, got an animation."
    yield folder / "moving.gif", "Expected a JPEG, PNG or WebP picture, got another file."


def test_what_is_no_picture_is_said_and_the_page_goes_on(visit, tmp_path):
    page = visit()
    find(page, 0)
    before = source(page)
    alert = page.get_by_role("alert")
    for path, words in bad_files(tmp_path):
        give(page, path)
        alert.filter(has_text=words).wait_for()
        page.evaluate("document.getElementById('error').hidden = true")
    move(page, "yaw", 8)  # the last portrait is there still
    settled(page, before)
    find(page, 3)
    assert not alert.is_visible()


def test_a_tab_that_is_closed_opens_again_without_a_network(visit, built, model):
    with served(built) as url:
        page = visit(url)
        context = page.context
        page.close()
    page = context.new_page()
    page.goto(url)  # nobody listens there any more
    page.locator("#loading").wait_for(state="hidden")
    find(page, 4)
    codes = read_latents(taken(page, "Latents"), model.weights_hash(), *model.start_ws.shape)
    wanted = inverted(model, 4).ws
    assert (codes[-1] - wanted[0]).abs().max() < 1e-2


CORES = b"\nObject.defineProperty(navigator, 'hardwareConcurrency', {value: 4});"


def test_threads_are_used_from_the_second_visit_on_and_give_the_same(visit, changed, model):
    with served(changed(**{"worker.js": lambda data: data + CORES})) as url:
        page = visit(url)
        assert len(page.workers) == 1
        page = anew(page, url)
        assert len(page.workers) > 1
        find(page, 3)
        codes = read_latents(taken(page, "Latents"), model.weights_hash(), *model.start_ws.shape)
        assert (codes[-1] - inverted(model, 3).ws[0]).abs().max() < 1e-2


def test_a_page_that_was_built_anew_comes_when_all_tabs_are_closed(visit, changed):
    folder = changed()
    with served(folder) as url:
        page = visit(url)
        rewrite(
            folder / "service-worker.js", b'CACHE = "restyle-try-', b'CACHE = "restyle-try-new-'
        )
        rewrite(folder / "index.html", b"<title>", b"<title>new ")
        titles = []
        for _ in range(2):
            page = anew(page, url)
            page.wait_for_timeout(3000)
            titles.append(page.title())
        assert titles == ["restyle in the browser", "new restyle in the browser"]
        assert page.evaluate("caches.keys().then((names) => names.length)") == 1
        find(page, 0)


def rewrite(path, old, new):
    text = path.read_bytes().replace(old, new)
    path.unlink()
    path.write_bytes(text)


def anew(page, url):
    context = page.context
    page.close()
    page = context.new_page()
    page.goto(url)
    page.locator("#loading").wait_for(state="hidden")
    return page


def test_nothing_reaches_another_address(browser, address):
    context = browser.new_context()
    page = context.new_page()
    refused, asked = [], []
    context.on("console", lambda message: refused.append(message.text))
    page.goto(address)
    page.locator("#loading").wait_for(state="hidden")
    with served(EXAMPLES) as far:
        context.on("requestfinished", lambda request: asked.append(request.url))
        send = f"fetch('{far}00000000.png', {{mode: 'no-cors'}}).then(() => 'sent', () => 'held')"
        (worker,) = page.workers
        assert [page.evaluate(send), worker.evaluate(send)] == ["held", "held"]
        page.evaluate(f"document.body.append(Object.assign(new Image(), {{src: '{far}0.png'}}))")
        page.wait_for_timeout(500)
    context.close()
    assert not [url for url in asked if url.startswith(far)]
    assert len([text for text in refused if "Content Security Policy" in text]) >= 3


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        (
            "model/encoder.onnx",
            lambda data: data[:-1] + b"!",
            "encoder.onnx: expected the file that model.json names, got a changed one.",
        ),
        (
            "model/generator.onnx",
            lambda data: data + b"!",
            "generator.onnx: expected the file that model.json names, got a changed one.",
        ),
        (
            "model/model.json",
            lambda data: data.replace(b'"format": 1', b'"format": 7'),
            "model.json: expected graphs of onnx of format 1, got onnx of format 7.",
        ),
        ("model/model.json", lambda data: data[:999], "got a damaged file."),
        (
            "worker.js",
            lambda data: data + b"\nWebAssembly.validate = () => false;",
            "Expected a browser with SIMD in WebAssembly, got an older one.",
        ),
        (
            "worker.js",
            lambda data: (
                data + b"\nWebAssembly.Memory = class {"
                b" constructor() { throw new RangeError('could not allocate memory') } };"
            ),
            "Expected memory for the model, got too little:",
        ),
    ],
    ids=["tampered", "longer", "version", "damaged", "simd", "memory"],
)
def test_what_cannot_run_is_said_in_a_sentence(visit, changed, file, change, words):
    with served(changed(**{file: change})) as url:
        page = visit(url)
        page.get_by_role("alert").filter(has_text=words).wait_for()
        assert not page.locator("#found").is_visible()


ADAPTER = b"\nObject.defineProperty(navigator, 'gpu', {value: {requestAdapter: async () => ({})}});"
ENGINE = b"""
import * as ort from './ort.wasm.min.mjs';
export const { Tensor, env } = ort;
export const InferenceSession = { async create(graph) {
  const session = await ort.InferenceSession.create(graph);
  return { async run(feeds) {
    const found = await session.run(feeds);
    for (const { data } of Object.values(found)) data[0] += APART;
    return found;
  } };
} };
"""


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (lambda _: ENGINE.replace(b"APART", b"0"), "On WebGPU, whose step lies 0.0 from WASM's."),
        (lambda _: ENGINE.replace(b"APART", b"1"), "from WASM's: stayed."),
        (lambda data: data, "WebGPU could not run the model: stayed on WASM."),
    ],
    ids=["equal", "another", "broken"],
)
def test_webgpu_is_used_only_where_it_gives_the_same(visit, changed, engine, words):
    files = {"worker.js": lambda data: data + ADAPTER, "ort/ort.webgpu.min.mjs": engine}
    with served(changed(**files)) as url:
        page = visit(url)
        find(page, 1)
        page.get_by_role("button", name="Try WebGPU").click()
        page.get_by_text(words).wait_for()
        find(page, 2)


@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 360, "height": 740}}, {"color_scheme": "dark"}]
)
def test_a_phone_and_the_dark(visit, options):
    page = visit(**options)
    find(page, 0)
    for summary in page.locator("summary").all()[2:]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CONTRAST) >= 4.5


CONTRAST = """() => {
  const luminance = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((level) => level / 255)
    .map((level) => level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4)
    .reduce((sum, level, at) => sum + level * [0.2126, 0.7152, 0.0722][at], 0);
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  return Math.min(...["p", "figcaption", "a", "#status", "summary"].map((name) => {
    const ink = luminance(getComputedStyle(document.querySelector(name)).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  }));
}"""


def test_keys_alone_are_enough(visit):
    page = visit()
    press_until(page, "Portrait 1")
    page.keyboard.press("Enter")
    page.get_by_text("Found in").wait_for()
    before = source(page)
    press_until(page, "yaw")
    page.keyboard.press("ArrowRight")
    settled(page, before)
    with page.expect_download():
        press_until(page, "Strip", "Shift+Tab")
        page.keyboard.press("Enter")


def press_until(page, name, key="Tab"):
    focus = "(({alt, name, innerText, firstChild}) => name || firstChild?.alt || innerText)"
    for _ in range(80):
        if page.evaluate(f"{focus}(document.activeElement)").strip() == name:
            return
        page.keyboard.press(key)
    raise AssertionError(f"'{name}' is not reached by {key}")


def test_the_picture_that_was_chosen_last_is_found(visit, model):
    page = visit()
    page.get_by_role("button", name="Portrait 2", exact=True).click()
    find(page, 6)
    page.wait_for_timeout(1500)
    codes = read_latents(taken(page, "Latents"), model.weights_hash(), *model.start_ws.shape)
    wanted = inverted(model, 6).ws
    assert (codes[-1] - wanted[0]).abs().max() < 1e-2


def test_pictures_are_dropped_and_pasted(visit):
    page = visit()
    for kind, field in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """async ([kind, field]) => {
                const blob = await (await fetch("examples/00000007.png")).blob();
                const data = new DataTransfer();
                data.items.add(new File([blob], `${kind}.png`));
                const event = kind === "drop" ? DragEvent : ClipboardEvent;
                const options = { [field]: data, bubbles: true, cancelable: true };
                document.body.dispatchEvent(new event(kind, options));
            }""",
            [kind, field],
        )
        page.locator("#status").filter(has_text="Found in").wait_for()
        assert taken(page, "Picture").name == f"{kind}.png"
        page.evaluate("document.getElementById('status').textContent = ''")
