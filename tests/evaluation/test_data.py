import shutil

import pytest
import torch
from PIL import Image

from restyle.evaluation.data import Targets
from restyle.io.images import ImageError
from restyle.portraits import Portraits


def drawn(names, folder, size=(20, 12)):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (i * 40, 10, 200)).save(folder / name)


def test_portraits_are_those_of_the_test_split():
    targets = Targets("portraits", (16, 16), 3)
    (names, images), (rest, _) = targets.batches(2)
    assert names + rest == ["000000", "000001", "000002"]
    expected = torch.from_numpy(Portraits("test", 16)[1].image).permute(2, 0, 1) / 127.5 - 1
    torch.testing.assert_close(images[1], expected)
    assert [n for n, _ in targets.batches(4, done={"000000", "000002"})] == [["000001"]]


def test_a_folder_says_what_it_left_out(tmp_path):
    drawn(["a.png", "sub/a.png", "wide.png"], tmp_path)
    Image.new("RGB", (5, 90)).save(tmp_path / "wide.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "copy.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    targets = Targets(str(tmp_path), (16, 16))
    found = {
        name: image
        for names, images in targets.batches(2)
        for name, image in zip(names, images, strict=True)
    }
    assert sorted(found) == ["a.png", "sub/a.png", "wide.png"]
    assert all(image.shape == (3, 16, 16) for image in found.values())
    assert targets.left_out["copy.png"] == "the same file as a.png"
    assert "got" in targets.left_out["broken.png"] and len(targets.left_out) == 2


def test_what_cannot_be_had_is_refused(tmp_path):
    with pytest.raises(ImageError):
        Targets(str(tmp_path), (16, 16))
    with pytest.raises(ValueError, match="expected portraits, toon or a folder .* at 'portrait'"):
        Targets("portrait", (16, 16))
    with pytest.raises(ValueError, match="at most 50,000 portraits"):
        Targets("portraits", (16, 16), 60_000)
    with pytest.raises(ValueError, match="square"):
        Targets("portraits", (16, 32))


def test_what_was_wrong_is_said_where_nothing_can_be_used(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    targets = Targets(str(tmp_path), (16, 16))
    assert list(targets.batches(2)) == []
    message = str(targets.none_usable())
    assert message.startswith("expected at least one usable image, got none of 1; broken.png: ")


def test_fingerprints_change_with_names_and_contents(tmp_path):
    drawn(["a.png", "b.png"], tmp_path)

    def fingerprint(*names):
        return Targets(str(tmp_path), (16, 16)).fingerprint(names)

    before = fingerprint("a.png"), fingerprint("a.png", "b.png")
    assert before[0] == fingerprint("a.png") != before[1]
    drawn(["c.png", "a.png"], tmp_path)  # another a.png than before
    assert fingerprint("a.png") != before[0]
