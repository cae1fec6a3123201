import numpy as np
import pytest

from restyle.evaluation.records import arrays_in_parts, claim_folder


def test_a_folder_is_for_one_measurement(tmp_path):
    rows = claim_folder(tmp_path, {"images": 3, "data": ("x",)})
    assert claim_folder(tmp_path, {"images": 3, "data": ("x",)}) == rows == tmp_path / "rows.jsonl"
    with pytest.raises(ValueError, match=r"expected a measurement with images 4 \(found 3\)"):
        claim_folder(tmp_path, {"images": 4, "data": ("x",)})


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
