"""`restyle shards plan`: what is fixed, and what is refused."""

import errno
import json
import os

import pytest

from restyle import jobs
from restyle.io.images import ImageError
from restyle.jobs.shard_plan import Plan, Shard
from tests.jobs.shard_folders import files_below
from tests.tiny import picture, tiny_model


@pytest.fixture
def plan(model_folder, tmp_path):
    for number in range(5):
        picture(tmp_path / f"in/{number}.png", number)

    def call(**options):
        options = {"input": str(tmp_path / "in"), "shard_size": 2, "steps": 1} | options
        return jobs.plan_shards(
            jobs.PlanShards(out=tmp_path / "out", model=str(model_folder), **options)
        )

    return call


def test_images_are_cut_into_shards_in_order(plan, tmp_path):
    made = Plan.open(plan().folder)
    assert [len(shard) for shard in made.shards] == [2, 2, 1]
    ids = [row.id for shard in made.shards for row in made.rows(shard)]
    assert ids == [f"{number}.png" for number in range(5)] and made.images == 5
    assert made.rows(made.shards[2])[0].source == str(tmp_path / "in/4.png")
    first, second = made.shards[0].halves()
    assert made.ids(second).to_pylist() == ["1.png"] and made.rows(first)[0].id == "0.png"


def test_the_table_goes_on_in_a_second_file(plan, monkeypatch):
    monkeypatch.setattr("restyle.jobs.shard_plan._GROUPS", 2)
    made = plan(shard_size=1)
    assert len(list((made.folder / "inputs").iterdir())) == 3
    assert [made.ids(shard).to_pylist() for shard in made.shards] == [
        [f"{n}.png"] for n in range(5)
    ]


def test_halves_are_the_whole():
    left = [Shard("00003", 3, 0, 7)]
    while any(len(shard) > 1 for shard in left):
        left = [half for shard in left for half in (shard.halves() if len(shard) > 1 else [shard])]
    assert [(shard.start, shard.stop) for shard in left] == [(n, n + 1) for n in range(7)]
    assert len({shard.name for shard in left}) == 7


def test_planning_again_changes_nothing_and_other_settings_are_refused(plan):
    made = plan()
    before = files_below(made.folder)
    assert plan().fingerprint == made.fingerprint
    for other in (
        {"steps": 2},
        {"shard_size": 3},
        {"keep": "all"},
        {"method": "ws:1", "steps": None},
    ):
        with pytest.raises(ValueError, match="expected shards of a plan with .*found"):
            plan(**other)
    assert files_below(made.folder) == before


def test_the_fingerprint_depends_on_images_and_method(plan, tmp_path):
    prints = set()
    for number, options in enumerate([{}, {"steps": 2}, {"keep": "all"}, {"shard_size": 3}]):
        prints.add(plan(**options).fingerprint)
        os.rename(tmp_path / "out", tmp_path / f"out-{number}")
    (tmp_path / "in/4.png").unlink()
    prints.add(plan().fingerprint)
    assert len(prints) == 5


def test_a_model_that_became_another_is_refused(plan, tmp_path):
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    job = jobs.PlanShards(input=str(tmp_path / "in"), out=tmp_path / "out", model=str(folder))
    made = jobs.plan_shards(job)
    made.open_model("cpu")
    tiny_model(seed=1).save_pretrained(folder)
    with pytest.raises(ValueError, match="expected model_sha256 .* as the shards are planned"):
        made.open_model("cpu")


def test_duplicate_ids_are_named_and_nothing_is_planned(plan, tmp_path):
    (tmp_path / "list.txt").write_text("in/0.png\nin/1.png\nin/0.png\n")
    with pytest.raises(ValueError, match=r"expected each id once, got 'in/0.png' 2 times"):
        plan(input=str(tmp_path / "list.txt"))
    assert not files_below(tmp_path / "out")
    assert plan().images == 5


def test_what_cannot_be_planned_is_refused(plan, tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ImageError, match="expected images, got none"):
        plan(input=str(tmp_path / "empty.txt"))
    with pytest.raises(ValueError, match="expected one whose result is a code, got pti"):
        plan(method="w:1+pti:1", steps=None)
    (tmp_path / "out/parts").mkdir(parents=True)
    (tmp_path / "out/parts/mine.parquet").touch()
    with pytest.raises(ValueError, match="expected a folder for a new plan, got .*mine.parquet"):
        plan()


def test_a_file_system_without_hard_links_is_refused(plan, tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", none)
        with pytest.raises(ValueError, match="out: expected a file system with hard links, by wh"):
            plan()
    assert not files_below(tmp_path / "out")
    assert plan().images == 5


def test_a_damaged_plan_is_refused(plan):
    folder = plan().folder
    (folder / "inputs/inputs-00000.parquet").write_bytes(b"PAR1")
    made = Plan.open(folder)
    with pytest.raises(ValueError, match="expected the images of a plan"):
        made.rows(made.shards[0])
    facts = json.loads((folder / "plan.json").read_text())
    del facts["fingerprint"]
    (folder / "plan.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="got a damaged one"):
        Plan.open(folder)
    with pytest.raises(ValueError, match="got none"):
        Plan.open(folder / "parts")
