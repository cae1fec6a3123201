"""The discriminator of codes: pool, losses, and that it learns."""

import copy
from contextlib import nullcontext

import torch

from restyle.training.config import Adversary
from restyle.training.image_adversary import r1_penalty
from restyle.training.latent_adversary import (
    CodePool,
    LatentAdversary,
    adversarial,
)

CPU = torch.device("cpu")


def test_the_pool_gives_old_codes_for_half_of_the_new():
    pool = CodePool(50, 2, CPU)
    first = torch.randn(50, 2)
    assert torch.equal(pool.exchange(first), first)
    assert torch.equal(pool.codes, first)
    second = torch.randn(1000, 2)
    given = pool.exchange(second)
    swapped = (given != second).any(dim=1)
    assert 400 < swapped.sum() < 600
    seen = {tuple(code) for code in torch.cat([first, second]).tolist()}
    assert {tuple(code) for code in torch.cat([given, pool.codes]).tolist()} == seen


def test_a_pool_that_fills_up_within_a_batch():
    pool = CodePool(3, 1, CPU)
    codes = torch.arange(5.0)[:, None]
    given = pool.exchange(codes)
    assert torch.equal(given[:3], codes[:3])
    assert len(pool.codes) == 3
    # Whatever was given for the last two, nothing new came into being.
    assert set(torch.cat([given, pool.codes]).flatten().tolist()) == set(range(5))


def test_a_pool_of_nothing_gives_back():
    codes = torch.randn(4, 2)
    assert torch.equal(CodePool(0, 2, CPU).exchange(codes), codes)


def test_it_learns_to_tell_codes_apart_and_is_fooled_by_real_ones():
    adversary = LatentAdversary(4, CPU, Adversary(adversarial_lr=1e-2, r1=0.0))
    fake = torch.randn(64, 3, 4) - 2
    for _ in range(100):
        numbers = adversary.step(torch.randn(64, 4) + 2, fake)
    assert numbers["loss_d_real"] < 0.1 and numbers["loss_d_fake"] < 0.1
    loss = adversarial(adversary.discriminator, torch.cat([fake[:2], -fake[:2]]), 2)
    assert loss[:2].min() > 2 > 0.2 > loss[2:].max()
    assert all(not p.requires_grad for p in adversary.discriminator.parameters())


def test_rows_behind_the_stage_do_not_count():
    discriminator = LatentAdversary(4, CPU).discriminator
    ws = torch.randn(2, 5, 4)
    changed = ws.clone()
    changed[:, 3:] += 1
    assert torch.equal(adversarial(discriminator, ws, 2), adversarial(discriminator, changed, 2))
    assert not torch.equal(
        adversarial(discriminator, ws, 3), adversarial(discriminator, changed, 3)
    )


def test_the_penalty_is_the_squared_gradient():
    linear = torch.nn.Linear(3, 1)
    penalty = r1_penalty(lambda codes: linear(codes).squeeze(-1), torch.randn(5, 3), nullcontext)
    torch.testing.assert_close(penalty, linear.weight.square().sum())


def test_what_it_remembers_survives():
    first, second = (
        LatentAdversary(4, CPU, Adversary(pool=5)),
        LatentAdversary(4, CPU, Adversary(pool=5)),
    )
    ws = torch.randn(8, 3, 4)
    first.step(torch.randn(8, 4), ws)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.pool.codes = first.pool.codes.clone()
    real = torch.randn(8, 4)
    for adversary in (first, second):
        torch.manual_seed(7)
        adversary.step(real, ws)
    for a, b in zip(
        first.discriminator.parameters(), second.discriminator.parameters(), strict=True
    ):
        assert torch.equal(a, b)
    assert torch.equal(first.pool.codes, second.pool.codes)
