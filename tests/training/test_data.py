"""What is trained on: folders, zip files, shards and pairs."""

import io
import tarfile
import threading
import warnings
import zipfile
from contextlib import nullcontext
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from restyle.io.datasets import list_entries
from restyle.io.images import ImageError, from_uint8
from restyle.training import data
from restyle.training.config import RunOptions
from restyle.training.data import Batches, Blocks, ahead, load, open_source
from tests.shards import png, write_parquet, write_tars


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(10):
        path = folder / ("sub" if index % 2 else ".") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


@pytest.fixture
def zipped(pictures, tmp_path) -> Path:
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.txt", "no picture")
        archive.writestr("__MACOSX/._1.png", b"no picture")
        for file in files(pictures):
            archive.write(file, file.relative_to(pictures))
    return path


@pytest.fixture
def shards(pictures, tmp_path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(2):
        with tarfile.open(folder / f"part-{number:03}.tar", "w") as archive:
            for file in files(pictures)[number::2]:
                archive.add(file, file.name)
                label = tarfile.TarInfo(f"{file.stem}.json")
                label.size = 2
                archive.addfile(label, io.BytesIO(b"{}"))
    return folder


def draw(*settings, **options) -> torch.Tensor:
    return from_uint8(data.draw(*settings, **options))


def sums(images: torch.Tensor) -> list[float]:
    return sorted(round(image.sum().item(), 2) for image in images)


def test_containers_hold_the_same_pictures(pictures, zipped, shards, table):
    wanted = load(open_source(str(pictures), 16), range(10))
    assert wanted.shape == (10, 3, 16, 16)
    for place in (zipped, shards, shards / "part-{000..001}.tar", table, table / "p-*.parquet"):
        source = open_source(str(place), 16)
        assert len(source) == 10
        assert sums(load(source, range(10))) == sums(wanted)
    assert len(open_source(str(shards / "part-000.tar"), 16)) == 5


@pytest.fixture
def table(pictures, tmp_path) -> Path:
    contents = [path.read_bytes() for path in files(pictures)]
    return write_parquet(tmp_path / "table", contents, rows=2)


def test_any_size_is_resized(pictures):
    source = open_source(str(pictures), (12, 32))
    assert load(source, [0, 1]).shape == (2, 3, 12, 32)


def test_a_pass_shows_every_image_once(pictures):
    source = open_source(str(pictures), 16)
    first, second = draw(source, range(10)), draw(source, range(10, 20))
    assert sums(first) == sums(second) == sums(draw(source, range(10), seed=5))
    assert not torch.equal(first, second)


def test_processes_share_a_pass(pictures):
    """What is drawn at a position does not depend on who draws it."""
    source = open_source(str(pictures), 16)
    whole = draw(source, range(4, 12), flip=True)
    parts = [draw(source, range(4, 8), flip=True), draw(source, range(8, 12), flip=True)]
    assert torch.equal(torch.cat(parts), whole)
    mirrored = (whole != draw(source, range(4, 12))).flatten(1).any(dim=1)
    assert 0 < mirrored.sum() < 8


def test_broken_files_are_skipped_and_listed(tmp_path, pictures):
    for path in files(pictures):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "3.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path), 16)
    with pytest.warns(UserWarning, match=r"3\.png"):
        images = source.images(range(10))
    assert images.shape == (10, 16, 16, 3)
    assert list(source.broken) == [tmp_path / "3.png"]
    np.testing.assert_array_equal(images[3], images[4])


def test_broken_entries_of_a_zip_file_are_skipped(zipped):
    content = bytearray(zipped.read_bytes())
    with zipfile.ZipFile(zipped) as archive:
        entry = archive.getinfo("2.png")
    content[entry.header_offset + 200] ^= 0xFF
    zipped.write_bytes(content)
    source = open_source(str(zipped), 16)
    with pytest.warns(UserWarning, match=r"2\.png"):
        assert source.images(range(10)).shape == (10, 16, 16, 3)


def test_nothing_but_broken_files(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path), 16)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="got 1 broken ones"):
        source.images([0])


def test_held_out_images_are_not_trained_on(pictures):
    train, held_out = (open_source(str(pictures), 16, split=split) for split in ("train", "val"))
    names = [{s.row(at)[0].name for at in range(len(s))} for s in (train, held_out)]
    assert not names[0] & names[1]
    assert len(train) + len(held_out) == 10


def test_pairs_go_together(pictures, tmp_path):
    targets = tmp_path / "targets"
    for path in files(pictures):
        target = targets / path.relative_to(pictures).with_suffix(".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        mean = np.asarray(Image.open(path)).mean(axis=(0, 1)).astype(np.uint8)
        Image.fromarray(np.broadcast_to(mean, (30, 10, 3)).copy()).save(target, quality=100)
    source = open_source(str(pictures), 16, targets=str(targets))
    images = draw(source, range(10), flip=True)
    assert images.shape == (10, 6, 16, 16)
    means = images.mean(dim=(2, 3))
    torch.testing.assert_close(means[:, :3], means[:, 3:], atol=0.05, rtol=0)


def test_pairs_need_counterparts(pictures, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    with pytest.raises(ImageError, match="9 without a counterpart, such as 2"):
        open_source(str(pictures), 16, targets=str(tmp_path))
    with pytest.raises(ValueError, match="got portraits to become"):
        open_source("portraits", 16, targets=str(tmp_path))


def test_pairs_are_not_in_parquet(pictures, table):
    with pytest.raises(ValueError, match="targets: expected pairs in folders, .* got Parquet"):
        open_source(str(pictures), 16, targets=str(table))


def test_portraits_are_square():
    with pytest.raises(ValueError, match="32 x 64"):
        open_source("portraits", (32, 64))


@pytest.mark.parametrize("name", ["nothing", "nothing.zip", "nothing.tar", "n-{0..1}.tar"])
def test_what_is_not_there_is_named(tmp_path, name):
    with pytest.raises(ImageError, match="nothing|n-0"):
        list_entries(tmp_path / name)


def test_a_compressed_shard_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w:gz") as archive:
        archive.add(__file__)
    with pytest.raises(ImageError, match="expected an uncompressed tar file"):
        list_entries(tmp_path / "x.tar")


def test_an_entry_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a.png", "w", force_zip64=True) as entry:
            for _ in range(300):
                entry.write(bytes(2**20))
    (entry,) = list_entries(path)
    with pytest.raises(ImageError, match=r"a.png: expected at most 268,435,456 bytes, got 314,572"):
        entry.read()


def test_a_length_in_a_shard_is_not_allocated(tmp_path):
    path = tmp_path / "long.tar"
    with path.open("wb") as file:
        member = tarfile.TarInfo("a.png")
        member.size = 2**32
        file.write(member.tobuf())
        file.truncate(512 + 2**32)  # takes no room on the disk
    (entry,) = list_entries(path)
    with pytest.raises(ImageError, match="a.png: expected at most 268,435,456 bytes, got 4,294,"):
        entry.read()


def test_the_next_batch_is_read_ahead():
    threads, seen, arrived = [], [], threading.Event()

    def read(position):
        threads.append(threading.current_thread())
        seen.append(position)
        if position == 8:
            arrived.set()
        return torch.tensor(position)

    batches = ahead(read, range(0, 24, 8))
    assert next(batches) == 0
    assert arrived.wait(20) and seen == [0, 8]  # while the first one is trained on
    assert [int(batch) for batch in batches] == [8, 16]
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_stream_shards_without_overlap_or_loss(shards, table, workers):
    for place in (shards, table):
        source = open_source(str(place), 16)
        wanted = draw(source, range(20), flip=True)
        found = []
        for rank in range(2):
            batches = Batches(source, RunOptions(workers=workers), 2, 2 * rank, True)
            found.append([b for b, _ in batches.ahead(range(0, 20, 4), torch.device("cpu"))])
        parts = [part for both in zip(*found, strict=True) for part in both]
        assert torch.equal(torch.cat(parts), wanted)
        assert (
            sums(wanted[:10].abs())
            == sums(wanted[10:].abs())
            == sums(load(source, range(10)).abs())
        )


def test_far_shards_are_the_same_pictures(shards, table):
    files = fsspec.filesystem("memory")
    for place in (shards, table):
        files.put(f"{place}/", "training", recursive=True)
        for split in ("all", "train", "val"):
            here, far = (open_source(p, 16, split=split) for p in (str(place), "memory://training"))
            assert torch.equal(draw(here, range(20)), draw(far, range(20)))
        files.rm("training", recursive=True)


def test_a_pass_stays_among_few_groups_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "BUFFER", 4 * 900)
    place = write_parquet(tmp_path, contents_of(range(120)), files=3, rows=10)
    source = open_source(str(place), 4, split="train")
    source.blocks = Blocks(source.blocks.counts, np.full(12, 900))
    order = data._shuffled(len(source), 3, 0, source.blocks)
    assert sorted(order) == list(range(114))
    groups = source.chosen[order] // 10
    lasting = [np.ptp(np.flatnonzero(groups == group)) for group in range(12)]
    assert max(lasting) < 40  # images, those of four groups
    assert np.mean(np.diff(groups) == 0) < 0.5  # among which it goes to and fro
    assert list(order) != list(data._shuffled(len(source), 4, 0, source.blocks))


def contents_of(numbers) -> list[bytes]:
    return [png(np.full((4, 4, 3), number, np.uint8)) for number in numbers]


def test_a_corrupt_picture_of_a_shard_is_skipped_and_listed(tmp_path):
    contents = contents_of(range(10))
    contents[3] = contents[3][:50]
    for write in (write_tars, write_parquet):
        source = open_source(str(write(tmp_path / write.__name__, contents)), 4)
        with pytest.warns(UserWarning, match=r"0003\.png|0-3|1-0"):
            found = source.images(range(10))[:, 0, 0, 0].tolist()
        assert found == [0, 1, 2, 4, 4, 5, 6, 7, 8, 9]
        assert len(source.broken) == 1


def test_a_run_keeps_the_list_of_its_shards(tmp_path):
    place, run = write_tars(tmp_path / "tars", contents_of(range(10))), tmp_path / "run"
    open_source(str(place), 4, run=run)
    write_tars(place, contents_of(range(12)))
    assert len(open_source(str(place), 4, run=run)) == 12  # nothing was trained
    (run / "checkpoint.pt").touch()
    write_tars(place, contents_of(range(14)))
    with pytest.raises(ValueError, match="as when the training began"):
        open_source(str(place), 4, run=run)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing_and_tell_what_is_broken(pictures, tmp_path, workers):
    for path in files(pictures):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.warns(UserWarning) if not workers else nullcontext():
        source = open_source(str(tmp_path), 16)
        batches = Batches(source, RunOptions(workers=workers), 4, 2, True, torch.tensor)
        images, beside = zip(*batches.ahead(range(0, 20, 4), torch.device("cpu")), strict=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert torch.equal(torch.cat(images), draw(source, range(2, 22), flip=True))
    assert torch.cat(beside).tolist() == list(range(2, 22))
    assert list(source.broken) == [broken]


# Laws


class Numbers:
    """A source whose image number i is i everywhere, but for its left column, which is 0."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def images(self, indices):
        images = np.zeros((len(indices), 2, 2, 3), np.uint8)
        images[:, :, 1] = np.asarray(indices, np.uint8)[:, None, None]
        return images


def numbers(images: torch.Tensor) -> list[int]:
    return ((images.amax(dim=(1, 2, 3)) + 1) * 127.5).round().int().tolist()


@given(st.integers(1, 30), st.integers(0, 5), st.integers(1, 4), st.integers(1, 6))
def test_processes_share_one_order(length, seed, processes, batch):
    source, total = Numbers(length), 3 * processes * batch
    whole = draw(source, range(total), seed, flip=True)
    parts = [draw(source, range(i, total, processes), seed, flip=True) for i in range(processes)]
    for i, part in enumerate(parts):
        assert torch.equal(part, whole[i::processes])


@given(st.integers(1, 30), st.integers(0, 5), st.integers(0, 3))
def test_each_pass_shows_every_image_once(length, seed, epoch):
    positions = range(epoch * length, (epoch + 1) * length)
    assert sorted(numbers(draw(Numbers(length), positions, seed))) == list(range(length))


@given(st.integers(8, 30), st.integers(0, 5))
def test_passes_and_seeds_differ(length, seed):
    source = Numbers(length)
    first = numbers(draw(source, range(length), seed))
    assert first != numbers(draw(source, range(length, 2 * length), seed))
    assert first != numbers(draw(source, range(length), seed + 1))
