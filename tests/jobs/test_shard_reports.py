"""`restyle shards status` and `verify`: what is counted, and what is found wrong."""

import pyarrow.parquet as pq
import pytest

from restyle import jobs
from restyle.jobs.shard_plan import Plan
from tests.tiny import picture


@pytest.fixture
def plan(model_folder, tmp_path):
    for number in range(5):
        picture(tmp_path / f"in/{number}.png", number)
    out, source = tmp_path / "out", str(tmp_path / "in")
    options = {"model": str(model_folder), "steps": 1, "shard_size": 2}
    made = jobs.plan_shards(jobs.PlanShards(input=source, out=out, **options))
    (tmp_path / "in/3.png").write_bytes(b"damaged")
    jobs.run_shards(jobs.RunShards(folder=out, device="cpu"))
    return made


def problems(plan):
    return jobs.verify_shards(jobs.VerifyShards(folder=plan.folder)).problems


def rewritten(plan, number, change):
    path = plan.part(plan.shards[number])
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def test_images_errors_and_shards_are_counted(plan):
    counts = jobs.shards_status(jobs.ShardsStatus(folder=plan.folder))
    assert (counts.images, counts.done, counts.failed) == (5, 4, 1)
    assert (counts.shards, counts.parts, counts.held) == (3, 3, 0)
    plan.part(plan.shards[1]).unlink()
    counts = jobs.shards_status(jobs.ShardsStatus(folder=plan.folder))
    assert (counts.done, counts.failed, counts.shards, counts.parts) == (3, 0, 3, 2)


def test_every_image_has_one_row(plan):
    counts = jobs.verify_shards(jobs.VerifyShards(folder=plan.folder))
    assert counts.problems == [] and (counts.done, counts.failed, counts.parts) == (4, 1, 3)


def test_a_missing_part_and_a_stranger_are_told_of(plan):
    part = plan.part(plan.shards[1])
    part.rename(part.with_name("part-00009.parquet"))
    missing, stranger = problems(plan)
    assert "part-00001.parquet: expected 2 rows, got no part" in missing
    assert "part-00009.parquet: expected parts of this plan alone" in stranger


def test_rows_that_are_missing_twice_or_empty_are_told_of(plan):
    rewritten(plan, 0, lambda table: table.slice(0, 1))
    rewritten(plan, 1, lambda table: table.take([0, 0]))
    rewritten(plan, 2, lambda table: table.set_column(0, "id", [["another"]]))
    short, twice, unknown = problems(plan)
    assert "got 1 rows: 1 missing, 0 unknown, 0 twice" in short
    assert "got 2 rows: 1 missing, 0 unknown, 1 twice" in twice
    assert "got 1 rows: 1 missing, 1 unknown, 0 twice" in unknown


def test_a_row_without_codes_needs_an_error(plan):
    at = pq.read_table(plan.part(plan.shards[0])).schema.names.index("error")
    rewritten(plan, 0, lambda table: table.set_column(at, "error", [["wrong", None]]))
    [problem] = problems(plan)
    assert "expected codes or an error in each row" in problem


@pytest.mark.parametrize("change", ["cut", "flipped", "foreign"])
def test_a_damaged_part_is_told_of(plan, change):
    path = plan.part(plan.shards[0])
    content = bytearray(path.read_bytes())
    if change == "cut":
        path.write_bytes(content[:100])
    elif change == "flipped":  # a bit of the first page, which its checksum knows
        content[60] ^= 1
        path.write_bytes(content)
    else:
        rewritten(plan, 0, lambda table: table.replace_schema_metadata({}))
    [problem] = problems(plan)
    assert "part-00000.parquet: expected" in problem and "\n" not in problem


def test_all_rows_of_a_split_shard_are_looked_for(plan):
    made = Plan.open(plan.folder)
    whole = made.part(made.shards[0])
    table = pq.read_table(whole)
    facts = table.schema.metadata
    for half, row in zip(made.shards[0].halves(), (0, 1), strict=True):
        pq.write_table(table.slice(row, 1), made.part(half))
    assert len(problems(plan)) == 2  # strangers, as the shard is not split
    empty = table.slice(0, 0).replace_schema_metadata(facts | {b"restyle.split": b"1"})
    pq.write_table(empty, whole)
    assert problems(plan) == []
    made.part(made.shards[0].halves()[1]).unlink()
    [problem] = problems(plan)
    assert "part-00000-1.parquet: expected 1 rows, got no part" in problem
