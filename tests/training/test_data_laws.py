"""The order of the training data depends on position and seed alone."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from restyle.training.data import draw


class Numbers:
    """A source whose image number i is i everywhere, but for its left column, which is 0."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def images(self, indices):
        images = np.zeros((len(indices), 2, 2, 3), np.uint8)
        images[:, :, 1] = np.asarray(indices, np.uint8)[:, None, None]
        return images


def numbers(images: torch.Tensor) -> list[int]:
    return ((images.amax(dim=(1, 2, 3)) + 1) * 127.5).round().int().tolist()


@given(st.integers(1, 30), st.integers(0, 5), st.integers(1, 4), st.integers(1, 6))
def test_processes_share_one_order(length, seed, processes, batch):
    source, total = Numbers(length), 3 * processes * batch
    whole = draw(source, range(total), seed, flip=True)
    parts = [draw(source, range(i, total, processes), seed, flip=True) for i in range(processes)]
    for i, part in enumerate(parts):
        assert torch.equal(part, whole[i::processes])


@given(st.integers(1, 30), st.integers(0, 5), st.integers(0, 3))
def test_each_pass_shows_every_image_once(length, seed, epoch):
    positions = range(epoch * length, (epoch + 1) * length)
    assert sorted(numbers(draw(Numbers(length), positions, seed))) == list(range(length))


@given(st.integers(8, 30), st.integers(0, 5))
def test_passes_and_seeds_differ(length, seed):
    source = Numbers(length)
    first = numbers(draw(source, range(length), seed))
    assert first != numbers(draw(source, range(length, 2 * length), seed))
    assert first != numbers(draw(source, range(length), seed + 1))
