import numpy as np
import pytest

from restyle.evaluation.html import MANY_ROWS, Page
from restyle.evaluation.records import Records, arrays_in_parts, claim, markdown


def test_rows_are_there_when_the_folder_is_opened_again(tmp_path):
    kept = Records(tmp_path, {"a": 1})
    assert list(kept.rows) == []
    kept.add([{"image": "x", "mse": 0.5}])
    with (tmp_path / "rows.jsonl").open("a") as stream:
        stream.write('{"image": "cut o')
    kept.add([{"image": "y", "mse": 0.7}])
    expected = [{"image": "x", "mse": 0.5}, {"image": "y", "mse": 0.7}]
    assert list(kept.rows) == list(Records(tmp_path, {"a": 1}).rows) == expected


def test_a_folder_is_for_one_measurement(tmp_path):
    claim(tmp_path, {"images": 3, "data": ("x",)})
    claim(tmp_path, {"images": 3, "data": ("x",)})
    with pytest.raises(ValueError, match=r"expected a measurement with images 4 \(found 3\)"):
        claim(tmp_path, {"images": 4, "data": ("x",)})


def test_finished_parts_are_not_computed_again(tmp_path):
    asked = []

    def compute(indices):
        asked.append(indices)
        if indices.start == 4 and len(asked) == 2:
            raise KeyboardInterrupt
        return {"square": np.array([i * i for i in indices])}

    with pytest.raises(KeyboardInterrupt):
        arrays_in_parts(tmp_path, 10, 4, compute)
    found = arrays_in_parts(tmp_path, 10, 4, compute)
    assert found["square"].tolist() == [i * i for i in range(10)]
    assert asked == [range(0, 4), range(4, 8), range(4, 8), range(8, 10)]


def test_tables_line_up():
    assert markdown(["a", "bcde"], [["1", "2"]]) == "| a   | bcde |\n|-----|------|\n| 1   | 2    |"


def test_only_long_tables_are_closed(tmp_path):
    page = Page("A & B")
    page.table(["x"], [["<1>"]])
    page.save(tmp_path / "short.html")
    text = (tmp_path / "short.html").read_text()
    assert "<h1>A &amp; B</h1>" in text and "<td>&lt;1&gt;</td>" in text
    assert "<details>" not in text
    page.table(["x"], [["1"]] * (MANY_ROWS + 1))
    page.save(tmp_path / "long.html")
    text = (tmp_path / "long.html").read_text()
    assert text.count("<details>") == 1 and f"<summary>{MANY_ROWS + 1} rows</summary>" in text
