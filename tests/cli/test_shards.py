"""`restyle shards`: what is printed, and the exit codes."""

import tarfile

from tests.tiny import picture


def test_a_plan_is_made_run_and_verified(run, model_folder, tmp_path):
    for number in range(3):
        picture(tmp_path / f"in/{number}.png", number)
    out, options = tmp_path / "out", ("--model", model_folder, "--steps", 1, "--shard-size", 2)
    made = run("shards", "plan", tmp_path / "in", "--out", out, *options)
    assert made.code == 0 and made.out == f"3 images in 2 shards; plan in {out}\n"
    early = run("shards", "verify", out)
    assert early.code == 1
    assert "part-00001.parquet: expected 1 rows, got no part" in early.out
    (tmp_path / "in/1.png").write_bytes(b"damaged")
    done = "2 of 2 shards done, 0 in work here; 2 of 3 images inverted, 1 failed\n"
    for command in ("run", "status", "verify"):
        device = ("--device", "cpu") if command == "run" else ()
        result = run("shards", command, out, *device)
        assert (result.code, result.out) == (0, done)
    other = run("shards", "plan", tmp_path / "in", "--out", out, *options[:2], "--steps", 2)
    assert other.code == 2 and "expected shards of a plan with" in other.err


def test_a_damaged_container_is_told_of(run, model_folder, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.tar").write_bytes(b"no tar")
    line = ["shards", "plan", tmp_path / "in", "--out", tmp_path / "out", "--model", model_folder]
    nothing = run(*line)
    assert nothing.code == 2 and "expected images, got " in nothing.err
    assert "a.tar: expected an uncompressed tar file" in nothing.err
    with tarfile.open(tmp_path / "in/b.tar", "w") as archive:
        archive.add(picture(tmp_path / "me.png"), "me.png")
    part = run(*line)
    assert part.code == 1 and "1 images in 1 shards" in part.out
    assert "a.tar is damaged: " in part.out
