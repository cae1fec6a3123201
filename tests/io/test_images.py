"""Reading untrusted pictures, tensors and sheets."""

import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from restyle.io.images import (
    MAX_PIXELS,
    ImageError,
    grid,
    list_images,
    read_image,
    save_image,
    strip,
    to_pil,
    to_tensor,
    to_uint8,
)


def picture(height=24, width=40, seed=0):
    """A smooth RGB picture, which lossy formats keep."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * y / (height - 1), 255 * x / (width - 1)
    return Image.fromarray(np.stack([red, green, 255 - red], -1).astype(np.uint8))


def png_header(width, height):
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def png16(values):
    """A 16-bit RGB PNG, which Pillow cannot write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# -- what is read


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "misnamed.txt"])
def test_formats_are_told_by_content(tmp_path, name):
    path = tmp_path / name
    picture().save(path, format={".jpg": "JPEG", ".webp": "WEBP"}.get(path.suffix, "PNG"))
    image = read_image(path)
    assert image.mode == "RGB"
    difference = np.abs(np.asarray(image, int) - np.asarray(picture(), int))
    assert difference.mean() < 6
    assert path.suffix != ".png" or difference.max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    # What a camera stores so that undoing `orientation` shows the picture upright.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](np.asarray(picture()))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {".jpg": {"quality": 95}, ".webp": {"lossless": True}}.get(suffix, {})
    path = tmp_path / f"turned{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    image = read_image(path)
    assert image.size == (40, 24)
    assert np.abs(np.asarray(image, int) - np.asarray(picture(), int)).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "tRNS"])
def test_transparency_becomes_white(tmp_path, mode):
    rgba = Image.new("RGBA", (8, 4), (10, 10, 10, 255))
    rgba.paste((200, 200, 200, 0), (0, 0, 4, 4))
    path = tmp_path / "alpha.png"
    if mode == "tRNS":
        grey = Image.new("L", (8, 4), 10)
        grey.paste(200, (0, 0, 4, 4))
        grey.save(path, transparency=200)
    else:
        (rgba.quantize(4) if mode == "P" else rgba.convert(mode)).save(path)
    pixels = np.asarray(read_image(path))
    assert (pixels[:, :4] == 255).all()
    assert (np.abs(pixels[:, 4:].astype(int) - 10) <= 1).all()


def test_half_transparency_is_mixed_with_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "half.png")
    assert abs(int(np.asarray(read_image(tmp_path / "half.png"))[0, 0, 0]) - 127) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette(tmp_path, mode):
    image = Image.new("L", (8, 4), 0)
    image.paste(255, (0, 0, 4, 4))
    image.convert(mode).save(tmp_path / "grey.png")
    pixels = np.asarray(read_image(tmp_path / "grey.png"))
    assert (pixels[:, :4] == 255).all() and (pixels[:, 4:] == 0).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 255, 256, 32768, 65535]] * 2, np.uint16)
    Image.fromarray(values).save(tmp_path / "grey.png")
    (tmp_path / "colour.png").write_bytes(png16(np.stack([values] * 3, -1)))
    for name in ("grey.png", "colour.png"):
        pixels = np.asarray(read_image(tmp_path / name))
        assert pixels.shape == (2, 5, 3)
        assert pixels[0, :, 1].tolist() == [0, 0, 1, 128, 255], name


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red, green, blue = np.asarray(read_image(tmp_path / "red.jpg"))[4, 4].astype(int)
    assert red > 245 and green < 10 and blue < 10


def test_damage_beside_the_pixels_is_passed_over_in_silence(tmp_path, recwarn):
    picture().save(tmp_path / "a.webp", exif=turned(), lossless=True)
    content = (tmp_path / "a.webp").read_bytes()
    at = content.rindex(b"\x01\x12\0\x03")
    (tmp_path / "a.webp").write_bytes(content[: at - 2] + b"\xff" + content[at - 1 :])
    assert read_image(tmp_path / "a.webp").size in [(40, 24), (24, 40)]
    assert not recwarn.list


def test_a_phone_picture_with_a_preview_gives_the_main_one(tmp_path):
    path = tmp_path / "phone.jpg"
    preview = picture().resize((10, 6))
    picture().save(path, format="MPO", save_all=True, append_images=[preview])
    assert read_image(path).size == (40, 24)


# -- what is refused


def animation(tmp_path, suffix):
    frames = [picture(), picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    path = tmp_path / f"frames{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path.read_bytes()


def encoded(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"noise{suffix}")
    return (tmp_path / f"noise{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("content", "expected", "found"),
    [
        (lambda _: b"", "JPEG, PNG or WebP", "an empty file"),
        (lambda _: b"<!DOCTYPE html><html>", "JPEG, PNG or WebP", "<!DOCTYPE"),
        (lambda _: bytes(1000), "JPEG, PNG or WebP", "begins with"),
        (lambda t: animation(t, ".gif"), "JPEG, PNG or WebP", "GIF8"),
        (lambda t: animation(t, ".png"), "a still image", "an animation of 2 frames"),
        (lambda t: animation(t, ".webp"), "a still image", "an animation of 2 frames"),
        (lambda t: encoded(t, ".png")[:-2000], "an intact image", "damaged"),
        (lambda t: encoded(t, ".jpg")[:-2000], "an intact image", "damaged"),
        (lambda t: encoded(t, ".webp")[:-2000], "an intact image", "damaged"),
        (lambda t: encoded(t, ".png")[:20], "image", "got"),
        (lambda _: png_header(50_000, 50_000), "at most 50,000,000 pixels", "2,500,000,000"),
        (lambda _: png_header(5_001, 10_000), "at most 50,000,000 pixels", "5001 x 10000"),
        (lambda _: png_header(100, 100), "an intact image", "damaged"),
    ],
)
def test_bad_files_are_refused_in_one_clear_line(tmp_path, content, expected, found):
    path = tmp_path / "bad file.png"
    path.write_bytes(content(tmp_path))
    with pytest.raises(ImageError) as caught:
        read_image(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: expected ") and "\n" not in line
    assert expected in line and found in line


def test_every_cut_and_many_flips_end_in_an_image_or_an_image_error(tmp_path):
    path = tmp_path / "broken"
    random = np.random.default_rng(1)
    for suffix in (".png", ".jpg", ".webp"):
        whole = encoded(tmp_path, suffix)
        for _ in range(60):
            data = bytearray(whole[: random.integers(1, len(whole))])
            for at in random.integers(0, len(data), 3):
                data[at] = random.integers(256)
            path.write_bytes(data)
            try:
                assert read_image(path).mode == "RGB"
            except ImageError:
                pass


def test_a_huge_header_costs_no_memory(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(50_000, 50_000))
    code = (
        "import resource, sys; from restyle.io.images import *\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_image(sys.argv[1])\n"
        "except ImageError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    grown = int(run.stdout) * (1 if sys.platform == "darwin" else 1024)
    assert grown < 10_000_000
    assert run.stderr == ""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("mode", "name", "copies"),
    [("RGBA", "a.png", 2), ("LA", "a.png", 2), ("I;16", "a.png", 2), ("RGBA", "a.webp", 5)],
)
def test_the_largest_picture_takes_less_than_a_gigabyte(tmp_path, mode, name, copies):
    """Told from a smaller one: so many times four bytes for each pixel."""
    size = (1000, 6000)
    options = {"lossless": True, "method": 0} if name == "a.webp" else {"compress_level": 1}
    Image.new(mode, size).save(tmp_path / name, exif=turned(), **options)
    read_image(tmp_path / name, size[0] * size[1])  # what is kept for later is there
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status_bytes("VmRSS")
    assert read_image(tmp_path / name).size == size[::-1]
    taken = (status_bytes("VmHWM") - before) / (size[0] * size[1])
    assert taken < 4 * copies + 4
    assert taken * MAX_PIXELS < 1.07e9


def test_strips_join_without_a_seam(tmp_path, monkeypatch):
    grey = Image.linear_gradient("L").resize((31, 57))
    Image.merge("RGBA", [grey, grey.rotate(180), grey, grey]).save(tmp_path / "a.png")
    whole = np.asarray(read_image(tmp_path / "a.png"))
    monkeypatch.setattr("restyle.io.images._STRIP", 100)
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), whole)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def status_bytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def test_missing_folder_and_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, found in [
        (tmp_path / "missing.png", "nothing of that name"),
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "no file"),
    ]:
        with pytest.raises(ImageError, match=found):
            read_image(path)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    picture().save(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the mode is no test
    with pytest.raises(ImageError, match="expected a readable file, got permission denied"):
        read_image(path)


def test_max_pixels_is_the_callers(tmp_path):
    picture(24, 40).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=960).size == (40, 24)
    with pytest.raises(ImageError, match="at most 959 pixels, got 40 x 24"):
        read_image(tmp_path / "a.png", max_pixels=959)


def test_image_error_crosses_processes():
    error = pickle.loads(pickle.dumps(ImageError("a.png", "this", "that")))
    assert str(error) == "a.png: expected this, got that"
    assert error.path == Path("a.png")


# -- tensors


def test_tensor_round_trip_is_exact():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.stack([levels, levels.T, 255 - levels], -1))
    tensor = to_tensor(image)
    assert tensor.shape == (3, 16, 16) and tensor.dtype == torch.float32
    assert tensor.min() == -1 and tensor.max() == 1
    assert np.array_equal(np.asarray(to_pil(tensor)), np.asarray(image))


def test_to_tensor_resizes_height_first_and_bends_the_aspect():
    tensor = to_tensor(picture(24, 40), size=(192, 256))
    assert tensor.shape == (3, 192, 256)
    expected = picture(24, 40).resize((256, 192), Image.Resampling.BILINEAR)
    assert np.array_equal(to_uint8(tensor), np.asarray(expected))


def test_to_tensor_wants_rgb():
    with pytest.raises(ValueError, match="mode RGB, got mode L"):
        to_tensor(Image.new("L", (4, 4)))


def test_to_uint8_rounds_and_clips():
    values = torch.tensor([-2.0, -1.0, 0.6 / 127.5 - 1, 1.4 / 127.5 - 1, 0.999, 1.0, 7.0])
    pixels = to_uint8(values.expand(3, 1, 7))
    assert pixels.shape == (1, 7, 3) and pixels.dtype == np.uint8
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 255, 255, 255]
    assert to_uint8(torch.zeros(2, 3, 4, 5)).shape == (2, 4, 5, 3)


def test_to_uint8_refuses_what_is_no_image():
    with pytest.raises(ValueError, match="finite"):
        to_uint8(torch.full((3, 2, 2), torch.nan))
    with pytest.raises(ValueError, match=r"got \(4, 2, 2\)"):
        to_uint8(torch.zeros(4, 2, 2))
    with pytest.raises(ValueError, match=r"got \(1, 3, 2, 2\)"):
        to_pil(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".JPEG"])
def test_save_and_read_again(tmp_path, suffix):
    path = tmp_path / "out" / f"image{suffix}"
    save_image(to_tensor(picture()), path)
    difference = np.abs(np.asarray(read_image(path), int) - np.asarray(picture(), int))
    assert difference.max() == 0 or (suffix in (".jpg", ".JPEG") and difference.mean() < 6)
    assert list(path.parent.iterdir()) == [path]


def test_saving_refuses_unknown_names_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="expected a name ending in"):
        save_image(picture(), tmp_path / "image.gif")
    with pytest.raises(ValueError, match="finite"):
        save_image(torch.full((3, 2, 2), torch.inf), tmp_path / "image.png")
    assert list(tmp_path.iterdir()) == []


# -- sheets


def test_grid_places_pictures_in_rows():
    colours = [(-1.0, -1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0)]
    images = [torch.tensor(c).view(3, 1, 1).expand(3, 128, 128) for c in colours]
    sheet = grid(images, columns=2)
    assert sheet.size == (2 * 132 + 4, 2 * 132 + 4)
    places = [(68, 68), (200, 68), (68, 200), (200, 200)]
    expected = [(0, 0, 255), (255, 0, 0), (0, 255, 0), (255, 255, 255)]
    assert [sheet.getpixel(place) for place in places] == expected


def test_small_pictures_are_enlarged_by_whole_factors():
    image = torch.rand(3, 50, 40) * 2 - 1
    enlarged = np.asarray(grid([image], columns=4))[4:-4, 4:-4]
    assert enlarged.shape == (150, 120, 3)
    assert np.array_equal(enlarged[1::3, 1::3], to_uint8(image))


def test_sheets_refuse_mixed_sizes_and_none():
    for make in (lambda images: grid(images, 2), lambda images: strip(images, [""] * len(images))):
        with pytest.raises(ValueError, match="one size"):
            make([picture(10, 10), picture(10, 12)])
        with pytest.raises(ValueError, match="no images"):
            make([])
    with pytest.raises(ValueError, match="at least one column"):
        grid([picture()], columns=0)
    with pytest.raises(ValueError, match="expected 1 labels"):
        strip([picture()], ["a", "b"])


def test_strip_shows_labels_above_untouched_pictures():
    images = torch.rand(3, 3, 128, 128) * 2 - 1
    sheet = strip(images, ["input", "average", "step 1"])
    pixels = np.asarray(sheet)
    top = sheet.height - 4 - 128
    assert sheet.width == 3 * 132 + 4
    for index, image in enumerate(images):
        left = 4 + index * 132
        assert np.array_equal(pixels[top : top + 128, left : left + 128], to_uint8(image))
        label = pixels[:top, left : left + 128]
        ink = np.argwhere(label.min(-1) < 128)
        assert len(ink) > 20  # something is written, and inside its own column
        assert ink.min(0)[0] > 0 and ink.max(0)[0] < top - 1
    assert (pixels[:top, 132:136] == 255).all()


def test_long_labels_widen_the_columns():
    sheet = strip([picture(128, 128)] * 2, ["a", "a label far longer than its picture is wide"])
    assert sheet.width > 2 * 200


# -- folders


def test_folders_are_listed_naturally_with_names_that_differ(tmp_path):
    names = ["10.png", "2.png", "a/x.jpg", "b/x.jpg", "b/notes.txt", ".hidden.png", "b/c/1.WEBP"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listed = list_images(tmp_path)
    assert [f.name.as_posix() for f in listed] == [
        "2.png",
        "10.png",
        "a/x.jpg",
        "b/c/1.WEBP",
        "b/x.jpg",
    ]
    assert all(f.path == tmp_path / f.name for f in listed)
    assert [f.name.name for f in list_images(tmp_path, recursive=False)] == ["2.png", "10.png"]


def test_several_folders_and_files_keep_equal_names_apart(tmp_path):
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for chosen in (["a", "b"], ["a/x.png", "b/x.png"], ["a", "b/x.png", "a/x.png"]):
        listed = list_images([tmp_path / name for name in chosen])
        assert [f.name.as_posix() for f in listed] == ["a/x.png", "b/x.png"]
    assert [f.name.as_posix() for f in list_images(tmp_path / "a" / "x.png")] == ["x.png"]


def test_named_files_are_listed_whatever_they_are(tmp_path):
    (tmp_path / "notes.txt").touch()
    listed = list_images([tmp_path / "notes.txt", tmp_path / "missing.png"])
    assert [f.name.name for f in listed] == ["missing.png", "notes.txt"]


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match="a folder without any"):
        list_images(tmp_path)
    assert list_images([]) == []


# Laws


@given(st.sets(st.integers(0, 9999), min_size=1, max_size=12))
@settings(max_examples=20)
def test_numbers_in_names_are_in_order_and_each_file_is_listed_once(numbers):
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            (Path(folder) / f"image{number}.png").touch()
        files = list_images([folder, Path(folder) / f"image{min(numbers)}.png"])
    found = [int(re.findall(r"\d+", file.name.name)[0]) for file in files]
    assert found == sorted(numbers)


@pytest.mark.parametrize("suffix", ["bmp", "tif", "tiff", "avif"])
def test_further_formats_are_read(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (20, 10), (200, 100, 50)).save(path)
    image = read_image(path)
    assert image.size == (20, 10) and np.abs(np.asarray(image)[5, 5] - [200, 100, 50]).max() < 8
    assert [file.path for file in list_images(tmp_path)] == [path]


def test_names_are_relative_to_each_folder_that_is_given(tmp_path):
    for name in ("a/in/x.png", "b/in/y/z.png", "c/one.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    listed = list_images([tmp_path / "a/in", tmp_path / "b/in", tmp_path / "c/one.png"])
    assert [f.name.as_posix() for f in listed] == ["one.png", "x.png", "y/z.png"]


def test_names_that_are_alike_are_told_apart_from_farther_up(tmp_path):
    for name in ("x.png", "b/a/x.png", "c/a/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listed = list_images([tmp_path / "x.png", tmp_path / "b/a", tmp_path / "c/a"])
    assert [f.name.as_posix() for f in listed][:2] == ["b/a/x.png", "c/a/x.png"]
    assert len({f.name for f in listed}) == 3 and not any(f.name.is_absolute() for f in listed)


def test_what_is_passed_over_is_counted(tmp_path):
    for name in ("a.png", "b.gif", "in/c.GIF", "notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    others = Counter()
    assert len(list_images(tmp_path, passed_over=others)) == 1
    assert others == {".gif": 2, "file without an ending": 1, "broken link": 1}


def test_a_link_to_what_nobody_may_see_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    (tmp_path / "secret.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    stat = os.stat

    def denied(path, *arguments, **options):
        if str(path).endswith("secret.png") and options.get("follow_symlinks", True):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", denied)
    others = Counter()
    assert [file.path.name for file in list_images(tmp_path, passed_over=others)] == ["a.png"]
    assert others == {"broken link": 1}
