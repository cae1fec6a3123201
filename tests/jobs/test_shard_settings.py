"""Options of `restyle shards`: what is refused before any work."""

import pytest

from restyle import jobs


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"steps": 0}, "steps: expected a number of 1"),
        ({"shard_size": 0}, "shard_size: expected a number of 1"),
        ({"shard_size": 2_000_000}, "shard_size: expected at most 1,000,000, got 2,000,000"),
        ({"steps": 1, "method": "w"}, "--steps or --method, got both"),
        ({"features": "none"}, "--features together with --method"),
        ({"steps": "auto", "keep": "all"}, "keep: expected last with --steps auto"),
        ({"model": ""}, "model: expected a name"),
    ],
)
def test_plans_that_cannot_be_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        jobs.PlanShards(input="in", out="out", **options)


@pytest.mark.parametrize("options", [{"processes": 0}, {"batch_size": 0}, {"lease": 0.5}])
def test_runs_that_cannot_be_are_refused(options):
    [name] = options
    with pytest.raises(ValueError, match=f"{name}: expected"):
        jobs.RunShards(folder="plan", **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda out: jobs.PlanShards(input="in", out=out),
        lambda folder: jobs.RunShards(folder=folder),
    ],
)
def test_a_plan_in_an_object_store_is_refused(make):
    with pytest.raises(
        ValueError, match="expected a folder of a file system with hard links, .*s3:"
    ):
        make("s3://bucket/plan")
