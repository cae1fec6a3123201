"""Domains crop what their generators render."""

import json
from dataclasses import asdict

import pytest
import torch

from restyle.domains import CARS, DOMAINS, FACES, Domain


def test_cars_have_bars_above_and_below():
    rows = torch.arange(512.0)[:, None].expand(1, 3, 512, 512)
    cropped = CARS.crop_render(rows)
    assert cropped.shape == (1, 3, 384, 512)
    assert (cropped[..., 0, 0] == 64).all() and (cropped[..., -1, 0] == 447).all()
    assert CARS.crop_render(torch.zeros(1, 3, 256, 256)).shape == (1, 3, 192, 256)


def test_other_domains_keep_everything():
    image = torch.zeros(1, 3, 16, 16)
    assert FACES.crop_render(image) is image


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=lambda domain: domain.name)
def test_domains_survive_json(domain):
    assert Domain(**json.loads(json.dumps(asdict(domain)))) == domain
