"""The similarity transform finds what was done to the points."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from restyle.faces.similarity import ARCFACE_POINTS, apply, similarity_transform

turns = st.builds(
    lambda angle, scale, x, y, mirrored: np.array(
        [
            [scale * math.cos(angle) * mirrored, -scale * math.sin(angle), x],
            [scale * math.sin(angle) * mirrored, scale * math.cos(angle), y],
        ]
    ),
    st.floats(-math.pi, math.pi),
    st.floats(0.1, 10),
    st.floats(-500, 500),
    st.floats(-500, 500),
    st.sampled_from([1, -1]),
)


@given(turns)
def test_it_recovers_any_similarity(matrix):
    found = similarity_transform(ARCFACE_POINTS, apply(matrix, ARCFACE_POINTS))
    np.testing.assert_allclose(found, matrix, rtol=1e-6, atol=1e-5)


@given(turns)
def test_the_way_back_is_the_inverse(matrix):
    moved = apply(matrix, ARCFACE_POINTS)
    back = similarity_transform(moved, ARCFACE_POINTS)
    np.testing.assert_allclose(apply(back, moved), ARCFACE_POINTS, atol=1e-5)
