import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from restyle.metrics.pixels import ms_ssim, psnr


def test_psnr_of_a_known_error():
    target = torch.zeros(2, 3, 4, 4)
    images = torch.stack([torch.full((3, 4, 4), 0.2), torch.zeros(3, 4, 4)])
    values = psnr(images, target)
    assert values[0].item() == pytest.approx(20.0, abs=1e-4)  # peak 2 over root of 0.04
    assert values[1].item() == pytest.approx(100.0)


def test_psnr_clips_as_a_file_would():
    target = torch.ones(1, 3, 4, 4)
    assert psnr(target * 1.5, target).item() == pytest.approx(100.0)


def smooth_images(count, side):
    torch.manual_seed(0)
    coarse = torch.rand(count, 3, side // 8, side // 8) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def reference(first, second):
    """Wang et al. 2003 on one channel in [-1, 1], in plain numpy."""
    x = np.arange(11) - 5
    kernel = np.exp(-(x**2) / (2 * 1.5**2))
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    result = 1.0
    a, b = first + 1, second + 1
    for level, weight in enumerate(weights):
        means = [fftconvolve(v, kernel, "valid") for v in (a, b)]
        variances = [
            fftconvolve(v * v, kernel, "valid") - m * m for v, m in zip((a, b), means, strict=True)
        ]
        covariance = fftconvolve(a * b, kernel, "valid") - means[0] * means[1]
        structure = (2 * covariance + c2) / (variances[0] + variances[1] + c2)
        light = (2 * means[0] * means[1] + c1) / (means[0] ** 2 + means[1] ** 2 + c1)
        value = (structure * light).mean() if level == 4 else structure.mean()
        result *= max(value, 0) ** weight
        a, b = (v.reshape(v.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)) for v in (a, b))
    return result


def test_ms_ssim_agrees_with_plain_numpy():
    target = smooth_images(2, 256)
    images = (target + 0.2 * torch.randn_like(target)).clamp(-1, 1)
    expected = [
        np.mean([reference(i[c].double().numpy(), t[c].double().numpy()) for c in range(3)])
        for i, t in zip(images, target, strict=True)
    ]
    np.testing.assert_allclose(ms_ssim(images, target).numpy(), expected, atol=2e-4)


def test_ms_ssim_of_small_images_is_that_of_enlarged_ones():
    target = smooth_images(1, 64)
    images = (target + 0.1 * torch.randn_like(target)).clamp(-1, 1)
    large = [
        torch.nn.functional.interpolate(x, (256, 256), mode="bilinear") for x in (images, target)
    ]
    torch.testing.assert_close(ms_ssim(images, target), ms_ssim(*large))
    assert ms_ssim(target, target).item() == pytest.approx(1.0, abs=1e-5)


# Laws


seeds = st.integers(0, 10_000)


@given(seeds, st.floats(0.01, 1))
def test_less_noise_is_more_decibels(seed, size):
    rng = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 3, 4, 4, generator=rng) - 0.5
    noise = (torch.rand(target.shape, generator=rng) - 0.5) * size
    assert (psnr(target + noise / 2, target) > psnr(target + noise, target)).all()
    assert psnr(target, target).eq(100).all()
