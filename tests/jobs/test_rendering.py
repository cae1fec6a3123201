"""`restyle portraits render`."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from restyle.io.files import read_jsonl


def test_portraits_are_drawn_with_a_table_of_what_they_show(run, tmp_path):
    pytest.importorskip("skia")
    from restyle.portraits import Portraits

    out = tmp_path / "portraits"
    draw = ("portraits", "render", "--out", out, "--size", 32, "--split", "val", "--start", 5)
    assert run(*draw, "--count", 2).code == 0
    before = (out / "images/00000005.png").stat().st_mtime_ns
    assert run(*draw, "--count", 3, "--parquet").code == 0
    assert (out / "images/00000005.png").stat().st_mtime_ns == before
    rows = read_jsonl(out / "metadata.jsonl")
    assert [row["number"] for row in rows] == [5, 6, 7]
    portrait = Portraits("val", 32)[6]
    assert rows[1]["caption"] == portrait.caption and rows[1]["identity"] == portrait.identity
    assert np.allclose(rows[1]["landmarks"], portrait.landmarks, atol=1e-3)
    with Image.open(out / rows[1]["file"]) as image:
        assert np.array_equal(np.asarray(image), portrait.image)
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(out / "metadata.parquet").to_pylist() == rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--style", "toon"], "expected portraits with style 'toon'"),
        (["--start", "49999"], "got start + count = 50,009"),
        (["--count", "0"], "--count"),
        (["--split", "none"], "--split"),
    ],
)
def test_impossible_portraits_are_refused(run, tmp_path, arguments, words):
    pytest.importorskip("skia")
    draw = ["portraits", "render", "--out", tmp_path, "--size", "32", "--split", "test"]
    run(*draw, "--count", 1)
    result = run(*draw, "--count", 10, *arguments)
    assert result.code == 2 and words in result.err


def test_a_missing_renderer_is_one_line(tmp_path):
    code = "import sys; sys.modules['skia'] = None; from restyle.cli import main; main()"
    arguments = ["portraits", "render", "--out", str(tmp_path / "out"), "--count", "1"]
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    assert process.returncode == 1 and not (tmp_path / "out").exists()
    [line] = process.stderr.splitlines()
    assert line.startswith("restyle: ") and "skia" in line and "restyle[portraits]" in line
