"""How many steps an inversion takes, and what is refused."""

import pytest

from restyle.domains import Domain
from restyle.generators.stylegan2 import StyleGAN2Config
from restyle.inversion.stepping import check_preview, checked_steps


@pytest.mark.parametrize(
    ("steps", "single_shot", "expected"),
    [(None, False, 5), (None, True, 1), ("auto", False, "auto"), ("auto", True, 1), (3, False, 3)],
)
def test_steps_that_are_taken(steps, single_shot, expected):
    assert checked_steps(steps, single_shot) == expected


@pytest.mark.parametrize(("steps", "single_shot"), [(0, False), (2, True), (1.5, False)])
def test_steps_that_cannot_be_taken(steps, single_shot):
    with pytest.raises(ValueError, match="expected steps"):
        checked_steps(steps, single_shot)


@pytest.mark.parametrize(
    ("resolution", "steps", "complaint"),
    [(12, 3, "power of two"), (8, 3, "from 16 to 64"), (32, "auto", "expected a number of steps")],
)
def test_previews_that_cannot_be_rendered(resolution, steps, complaint):
    shape = Domain("tiny", (16, 16)), StyleGAN2Config(64)
    check_preview(None, steps, *shape)
    check_preview(32, 3, *shape)
    with pytest.raises(ValueError, match=complaint):
        check_preview(resolution, steps, *shape)
