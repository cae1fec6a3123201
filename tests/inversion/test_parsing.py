import pytest

from restyle.inversion.methods import METHODS, stopping
from restyle.inversion.parsing import parse


def parsed(text):
    return "+".join(map(str, parse(text, METHODS, 5)))


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("restyle", "restyle:5"),
        ("w+pti", "w:1000+pti:350"),
        ("restyle:2+newton", "restyle:2+newton:3"),
        ("w@.2+pti:3@1e-4", "w:1000@0.2+pti:3@0.0001"),
        ("ws:7@lr=0.050", "ws:7@0.05"),
        ("newton@inner=8,pull=.10", "newton:3@inner=8,pull=0.1"),
        ("restyle:auto+newton:auto@pull=0", "restyle:auto+newton:auto@pull=0"),
    ],
)
def test_texts_are_told_in_full(text, full):
    assert parsed(text) == full and parsed(full) == full


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("adam", "expected a method of restyle, w, projector, ws, newton, pti, got 'adam'"),
        ("newtno:3", "expected a method of restyle, .*newton, pti, got 'newtno'"),
        ("", "got ''"),
        ("ws:0", r"expected ws:STEPS with a positive number, got 'ws:0'"),
        ("newton:0", "expected newton:STEPS with a positive number or auto, got 'newton:0'"),
        ("ws:many", "positive number, got 'ws:many'"),
        ("ws:auto", "positive number, got 'ws:auto'"),
        ("ws:5@0", "expected ws@NUMBER with a learning rate from 1e-12 to 10, got 'ws:5@0'"),
        ("ws:5@", "expected ws@NUMBER with a learning rate"),
        ("w@-1", "got 'w@-1'"),
        ("w@nan", "got 'w@nan'"),
        ("pti:5@inf", "got 'pti:5@inf'"),
        ("ws:5@fast", "got 'ws:5@fast'"),
        ("ws@0.1:5", "got 'ws@0.1:5'"),
        ("restyle:5@0.1", "expected no option of restyle after @, got learning rate"),
        ("newton:3@0.1", "expected inner or pull of newton after @, got learning rate"),
        ("newton@depth=3", "expected inner or pull of newton after @, got depth"),
        ("newton@inner=0", "whole number of iterations in a step from 1 to 1000"),
        ("newton@inner=2.5", "got 'newton@inner=2.5'"),
        ("newton@pull=-1", "weight of the pull towards W from 0"),
    ],
)
def test_other_texts_are_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parsed(text)


def test_what_has_no_number_stops_by_itself():
    assert stopping("restyle:2+newton@pull=1") == "restyle:2+newton:auto@pull=1"
    assert stopping("restyle+newton+pti:5") == "restyle:auto+newton:auto+pti:5"
    for text in ("ws", "restyle:2+newton:3", "newtno"):
        with pytest.raises(ValueError, match="expected restyle or newton without a number"):
            stopping(text)
