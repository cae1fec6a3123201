import numpy as np
import pytest

from restyle.evaluation.records import Records, arrays_in_parts


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
    Records(tmp_path, {"images": 3, "data": ("x",)})
    Records(tmp_path, {"images": 3, "data": ("x",)})
    with pytest.raises(ValueError, match=r"expected a measurement with images 4 \(found 3\)"):
        Records(tmp_path, {"images": 4, "data": ("x",)})


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
