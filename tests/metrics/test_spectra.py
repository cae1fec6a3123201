import pytest
import torch

from restyle.metrics.spectra import octave_energy, radial_power

SIDE = 64


def wave(cycles, amplitude=1.0, angle=0.0):
    """One image of a plane wave of so many cycles across."""
    x = torch.arange(SIDE) / SIDE
    turn = torch.tensor(angle)
    phase = torch.cos(turn) * x + torch.sin(turn) * x[:, None]
    return amplitude * torch.sin(2 * torch.pi * cycles * phase).expand(1, 3, SIDE, SIDE)


@pytest.mark.parametrize("angle", [0.0, 0.5, torch.pi / 2])
@pytest.mark.parametrize("cycles", [6, 12, 24])
def test_a_wave_has_its_power_where_its_frequency_is(cycles, angle):
    power = radial_power(wave(cycles, angle=angle))[0]
    assert power.shape == (SIDE // 2 + 1,)
    ring = int(power.argmax())
    assert abs(ring - cycles) <= 1
    assert power[ring - 2 : ring + 3].sum() > 0.97 * power.sum()


def test_each_octave_holds_its_own_waves():
    power = radial_power(torch.cat([wave(24), wave(12), wave(6)]))
    energy = torch.stack([octave_energy(power, octave) for octave in range(3)], dim=1)
    share = energy / power.sum(dim=1, keepdim=True)
    assert share.diagonal().min() > 0.97


def test_energy_grows_with_the_square_of_the_contrast():
    power = radial_power(torch.cat([wave(24), wave(24, 0.5)]))
    first, second = octave_energy(power).tolist()
    assert second / first == pytest.approx(0.25, rel=1e-4)


def test_white_noise_is_flat_and_brightness_has_no_power():
    torch.manual_seed(0)
    power = radial_power(torch.randn(256, 3, SIDE, SIDE)).mean(dim=0)[2:]
    assert (power / power.mean() - 1).abs().max() < 0.1
    assert radial_power(torch.full((1, 3, SIDE, SIDE), 0.7)).abs().max() < 1e-6


def test_what_has_no_octaves_is_refused():
    with pytest.raises(
        ValueError, match=r"expected shape \(B, 3, side, side\), got \(1, 3, 4, 8\)"
    ):
        radial_power(torch.zeros(1, 3, 4, 8))
    with pytest.raises(ValueError, match="octave: expected one of those up to 4 cycles, got 2"):
        octave_energy(torch.ones(5), 2)
