"""`restyle shards run`: every image has one row, whatever dies on the way."""

import errno
import hashlib
import json
import os
import tarfile
import threading

import numpy as np
import pytest
import torch
from PIL import Image

import restyle
from restyle import jobs
from restyle.inversion.targets import resized, to_target
from restyle.io.images import to_pil
from restyle.jobs import shard_work, shard_worker
from restyle.jobs.shard_claims import machine
from restyle.model import ReStyle
from tests.jobs.shard_folders import rows_of
from tests.tiny import CODES, picture


@pytest.fixture
def plan(model_folder, tmp_path):
    def call(images=5, **options):
        for number in range(images):
            picture(tmp_path / f"in/{number:03}.png", number)
        options = {"shard_size": 2, "steps": 2} | options
        return jobs.plan_shards(
            jobs.PlanShards(
                input=str(tmp_path / "in"), out=tmp_path / "out", model=str(model_folder), **options
            )
        )

    return call


def run(plan, **options):
    return jobs.run_shards(jobs.RunShards(folder=plan.folder, device="cpu", **options))


def verify(plan):
    return jobs.verify_shards(jobs.VerifyShards(folder=plan.folder))


def die(plan, name, times):
    """Leave what workers of this machine leave that are killed."""
    for number in range(1, times + 1):
        path = plan.folder / f"work/{name}.{number}.json"
        path.write_text(json.dumps({"machine": machine(), "over": False}))


def test_rows_hold_what_an_inversion_finds(plan, model_folder, tmp_path):
    made = plan()
    counts = run(made, batch_size=2)
    assert (counts.done, counts.failed, counts.parts, counts.shards) == (5, 0, 3, 3)
    rows = rows_of(made.folder)
    assert rows["id"].to_pylist() == [f"{number:03}.png" for number in range(5)]
    photos = sorted((tmp_path / "in").iterdir())
    assert rows["source"].to_pylist() == list(map(str, photos))
    digests = [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos]
    assert rows["sha256"].to_pylist() == digests
    expected = restyle.load(model_folder, "cpu").invert(photos, steps=2)
    ws = np.stack(rows["ws"].to_numpy()).reshape(5, *CODES)
    assert ws.dtype == np.float16
    assert np.allclose(ws, expected.ws.numpy(), atol=2e-3)
    images = resized(expected.image.clamp(-1, 1), expected.target.shape[-2:])
    mse = (images - expected.target).square().mean(dim=(1, 2, 3))
    assert np.allclose(rows["mse"].to_numpy(), mse.numpy(), rtol=1e-4)
    assert rows["steps"].to_pylist() == [2] * 5 and rows["error"].null_count == 5
    facts = rows.schema.metadata
    assert facts[b"restyle.ws_shape"] == b"[6, 8]"
    assert facts[b"restyle.fingerprint"].decode() == made.fingerprint
    assert verify(made).problems == []


@pytest.mark.parametrize(
    ("options", "kept", "steps"),
    [({}, 3, 2), ({"steps": None, "method": "restyle:1+ws:2", "features": "none"}, 4, 3)],
)
def test_all_steps_are_kept_if_asked_for(plan, options, kept, steps):
    made = plan(3, keep="all", **options)
    run(made)
    rows = rows_of(made.folder)
    assert rows.schema.metadata[b"restyle.ws_shape"].decode() == str([kept, *CODES])
    ws = np.stack(rows["ws"].to_numpy()).reshape(3, kept, *CODES)
    assert np.array_equal(ws[0, 0], ws[1, 0]) and not np.array_equal(ws[0, -1], ws[1, -1])
    assert rows["steps"].to_pylist() == [steps] * 3


def test_pictures_are_fitted_as_planned(plan, model_folder, tmp_path):
    made = plan(2, fit="crop")
    run(made)
    photos = sorted((tmp_path / "in").iterdir())
    model = restyle.load(model_folder, "cpu")
    targets = [to_target(photo, model.domain.input_size, "crop") for photo in photos]
    expected = model.invert(torch.stack(targets), steps=2).ws.numpy()
    ws = np.stack(rows_of(made.folder)["ws"].to_numpy()).reshape(2, *CODES)
    assert np.allclose(ws, expected, atol=2e-3)


def test_automatic_steps_are_those_of_each_image(plan, model_folder, tmp_path):
    made = plan(3, steps="auto")
    run(made, batch_size=3)
    photos = sorted((tmp_path / "in").iterdir())
    expected = restyle.load(model_folder, "cpu").invert(photos, steps="auto")
    assert rows_of(made.folder)["steps"].to_pylist() == expected.steps_used.tolist()


def test_an_image_that_cannot_be_read_is_a_row_with_an_error(plan, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/bad.png").write_bytes(b"no picture")
    made = plan(2)
    (tmp_path / "in/001.png").unlink()
    counts = run(made)
    assert (counts.done, counts.failed) == (1, 2)
    rows = rows_of(made.folder).to_pylist()
    assert "expected a readable file, got No such file" in rows[1]["error"]
    assert "bad.png: expected a JPEG, PNG" in rows[2]["error"] and len(rows[2]["sha256"]) == 64
    assert [row["ws"] is None for row in rows] == [False, True, True]
    assert verify(made).problems == []


def test_of_a_batch_that_fails_one_image_is_the_error(plan, monkeypatch, tmp_path):
    whole = ReStyle.invert
    made = plan(4, shard_size=4)
    bad = made.open_model("cpu")[0].prepare([tmp_path / "in/002.png"])[0]

    def failing(self, targets, *arguments):
        if any(torch.equal(target, bad) for target in targets):
            raise RuntimeError("no code\nis found")
        return whole(self, targets, *arguments)

    monkeypatch.setattr(ReStyle, "invert", failing)
    run(made, batch_size=4)
    errors = rows_of(made.folder)["error"].to_pylist()
    assert errors == [None, None, f"{tmp_path / 'in/002.png'}: no code is found", None]


def test_pictures_are_kept_beside_each_part_if_asked_for(plan, model_folder, tmp_path):
    made = plan(5, pictures=True)
    (tmp_path / "in/001.png").write_bytes(b"corrupt")
    run(made, batch_size=2)
    photos = sorted((tmp_path / "in").iterdir())
    model = restyle.load(model_folder, "cpu")
    for shard, kept in zip(made.shards, ([0], [2, 3], [4]), strict=True):
        [path] = (made.folder / "pictures").glob(f"part-{shard.name}.*.tar")
        with tarfile.open(path) as archive:
            names = [f"{at % 2:06}.png" for at in kept]
            assert archive.getnames() == names
            for name, at in zip(names, kept, strict=True):
                expected = to_pil(model.invert(photos[at], steps=2).image[0])
                found = np.asarray(Image.open(archive.extractfile(name)), np.int16)
                assert np.abs(found - np.asarray(expected, np.int16)).max() <= 1
    assert verify(made).problems == [] and verify(made).failed == 1


def test_pictures_that_no_part_names_are_removed_and_others_looked_for(plan):
    made = plan(2, pictures=True)
    pictures = made.folder / "pictures"
    pictures.mkdir()
    for name in ("part-00000.0123abcd.tar", ".part-00000.0123abcd.01234567.tar"):
        (pictures / name).write_bytes(b"of a worker that was killed")
    run(made)
    [path] = pictures.iterdir()
    worker = shard_worker.Worker.of(made, jobs.RunShards(folder=made.folder, device="cpu"))
    late = worker.part(made.shards[0], 0)
    assert len(list(pictures.iterdir())) == 2
    shard_work._publish(late, made, made.shards[0])
    assert [*pictures.iterdir()] == [path] and verify(made).problems == []
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert "expected the pictures of part-00000.parquet, got other" in verify(made).problems[0]
    path.unlink()
    assert "expected the pictures of part-00000.parquet, got none" in verify(made).problems[0]
    (pictures / "mine.tar").write_bytes(content)
    assert "mine.tar: expected parts of this plan alone" in verify(made).problems[1]


def test_what_is_done_is_not_done_again(plan):
    made = plan()
    run(made)
    before = {path: path.stat().st_mtime_ns for path in (made.folder / "parts").iterdir()}
    first = min(before)
    first.unlink()
    run(made)
    after = {path: path.stat().st_mtime_ns for path in (made.folder / "parts").iterdir()}
    assert {path for path in before if before[path] != after[path]} == {first}


def test_workers_side_by_side_make_each_part_once(plan, monkeypatch):
    made, published = plan(12), []
    publish = shard_work._publish

    def counting(table, plan, shard):
        published.append(shard.name)
        publish(table, plan, shard)

    monkeypatch.setattr(shard_work, "_publish", counting)
    threads = [threading.Thread(target=run, args=(made,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(published) == [shard.name for shard in made.shards]
    assert verify(made).problems == []


def test_a_shard_whose_workers_died_is_halved_down_to_the_image(plan):
    made = plan(4, shard_size=4)
    for name in ("00000", "00000-1", "00000-1-0"):
        die(made, name, 3)
    counts = run(made)
    assert (counts.done, counts.failed, counts.parts, counts.shards) == (3, 1, 3, 3)
    rows = rows_of(made.folder).to_pylist()
    assert sorted(row["id"] for row in rows) == [f"{number:03}.png" for number in range(4)]
    [error] = [row["error"] for row in rows if row["error"]]
    assert "002.png: expected an image that workers survive, got 3 deaths" in error
    assert verify(made).problems == []


def test_a_late_worker_replaces_nothing(plan):
    made = plan(2)
    run(made)
    [shard] = made.shards
    before = made.part(shard).read_bytes()
    worker = shard_worker.Worker.of(made, jobs.RunShards(folder=made.folder, device="cpu"))
    shard_work._publish(worker.part(shard, 3), made, shard)  # it took the shard for a deadly one
    assert made.part(shard).read_bytes() == before
    assert [path.name for path in (made.folder / "parts").iterdir()] == ["part-00000.parquet"]


def test_a_full_disk_ends_the_worker_and_counts_as_no_death(plan, monkeypatch):
    made = plan(2)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shard_work.pq, "write_table", full)
        for _ in range(4):
            with pytest.raises(OSError, match=r"No space left.*part-00000\.parquet"):
                run(made)
    assert not list((made.folder / "parts").iterdir())
    assert run(made).done == 2


def test_parts_of_another_plan_are_refused(plan, tmp_path):
    made = plan()
    run(made)
    os.rename(made.folder / "parts", tmp_path / "kept")
    (made.folder / "plan.json").unlink()
    for path in (made.folder / "work").iterdir():
        path.unlink()
    other = plan(steps=1)
    (other.folder / "parts").rmdir()
    os.rename(tmp_path / "kept", other.folder / "parts")
    with pytest.raises(ValueError, match="expected a part of this plan, got one of another plan"):
        run(other)
