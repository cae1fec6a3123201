"""A folder belongs to the run that claimed it."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restyle.io.claims import claim

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
