"""A folder belongs to the run that claimed it."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restyle.io.claims import check_new, claim

words = st.text("abcxyz", min_size=1, max_size=4)
values = st.one_of(st.none(), st.booleans(), st.integers(), words, st.lists(st.integers()))
mappings = st.dictionaries(words, values, min_size=1, max_size=5)


@given(mappings)
@settings(max_examples=20)
def test_a_claim_repeated_is_granted(wanted):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        assert claim(path, wanted, "a run") == {}
        assert claim(path, wanted, "a run") == wanted


@given(mappings, mappings)
@settings(max_examples=20)
def test_a_folder_of_other_settings_is_refused_and_kept(first, second):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        claim(path, first, "a run")
        differing = {k for k in first | second if first.get(k) != second.get(k)}
        if differing:
            with pytest.raises(ValueError, match="choose another folder"):
                claim(path, second, "a run")
            assert json.loads(path.read_text()) == first
        assert claim(path, second, "a run", may_change=differing) == first


def test_a_folder_with_files_of_others_is_not_claimed(tmp_path):
    own = tmp_path / "plots/deep/mine.svg"
    own.parent.mkdir(parents=True)
    for results in ([], ["parts", "report.html"]):
        claim(tmp_path / "a.json", {"a": 1}, "a run", results=results)
        (tmp_path / "a.json").unlink()
    own.write_text("mine")
    with pytest.raises(ValueError, match=r"got one with .*mine\.svg, which no earlier call wrote"):
        claim(tmp_path / "a.json", {"a": 1}, "a run", results=["plots"])
    assert [path.name for path in tmp_path.iterdir()] == ["plots"]
    claim(tmp_path / "a.json", {"a": 1}, "a run")
    claim(tmp_path / "a.json", {"a": 1}, "a run", results=["plots"])  # it is claimed by now


def test_files_are_new_or_asked_to_be_written_over(tmp_path):
    out, link = tmp_path / "out", tmp_path / "link"
    check_new(out, [link], False)
    out.write_text("mine")
    link.symlink_to(out)
    with pytest.raises(ValueError, match="expected a new file, got one that is there"):
        check_new(out, [], False)
    check_new(out, [], True)
    with pytest.raises(ValueError, match="expected another file than the inputs"):
        check_new(out, [link], True)
