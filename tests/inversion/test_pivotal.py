import copy

import pytest
import torch

from restyle.inversion.pivotal import PivotalTuning, tuned_generator
from restyle.losses.pixels import l2
from restyle.refine import Estimate
from tests.tiny import CODES, SIZE, tiny_generator


@pytest.fixture
def tuned():
    generator = tiny_generator().requires_grad_(False)
    before = copy.deepcopy(generator.state_dict())
    ws = torch.randn(1, *CODES)
    start = Estimate(ws, generator.synthesis(ws))
    target = torch.rand(1, 3, SIZE, SIZE) - 0.5
    tuning = PivotalTuning(generator, l2, steps=60, lr=5e-3)
    with torch.no_grad():
        estimates = list(tuning(target, start))
    return tuning, generator, before, start, target, estimates


def test_tuning_fits_the_target_and_keeps_the_codes(tuned):
    tuning, generator, before, start, target, estimates = tuned
    assert len(estimates) == 60
    assert torch.equal(estimates[-1].ws, start.ws)
    assert l2(estimates[-1].image, target) < 0.7 * l2(start.image, target)
    torch.testing.assert_close(tuning.generator.synthesis(start.ws), estimates[-1].image)


def test_the_given_generator_is_not_changed(tuned):
    tuning, generator, before, *_ = tuned
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
    assert not any(p.requires_grad for p in tuning.generator.parameters())


def test_changes_are_saved_in_half_precision_and_restored(tuned, tmp_path):
    tuning, generator, _, start, _, estimates = tuned
    changes = tuning.changes()
    assert changes and all(name.startswith("synthesis.") for name in changes)
    assert all(change.dtype == torch.float16 for change in changes.values())
    size = tuning.save(tmp_path / "tuned.safetensors")
    stored = sum(2 * change.numel() for change in changes.values())
    assert stored < size < stored + 8000
    restored = tuned_generator(generator, tmp_path / "tuned.safetensors")
    torch.testing.assert_close(restored.synthesis(start.ws), estimates[-1].image, atol=2e-3, rtol=0)


def test_changes_of_another_generator_are_refused(tuned, tmp_path):
    tuned[0].save(tmp_path / "tuned.safetensors")
    with pytest.raises(ValueError, match="expected changes of the generator"):
        tuned_generator(torch.nn.Linear(2, 2), tmp_path / "tuned.safetensors")
