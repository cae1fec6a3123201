import pytest
import torch

from restyle.inversion.curvature import Curvature
from restyle.io.checkpoints import CheckpointError


def curvature():
    vectors = torch.linalg.qr(torch.randn(12, 4))[0]
    return Curvature(vectors, torch.tensor([4.0, 3.0, 2.0, 1.0]), 0.25)


def test_a_curvature_is_kept_with_what_it_belongs_to(tmp_path):
    kept, path = curvature(), tmp_path / "c.safetensors"
    kept.save(path, "generator", "objective")
    found = Curvature.load(path, "generator", "objective")
    torch.testing.assert_close(found.vectors, kept.vectors, atol=1e-3, rtol=1e-3)
    assert found.rest == kept.rest and torch.equal(found.values, kept.values)
    assert path.stat().st_size < 2_000


@pytest.mark.parametrize(
    ("generator", "objective", "named"),
    [("other", "objective", "generator_sha256"), ("generator", "other", "objective_sha256")],
)
def test_that_of_another_generator_or_objective_is_refused(tmp_path, generator, objective, named):
    curvature().save(tmp_path / "c.safetensors", "generator", "objective")
    with pytest.raises(CheckpointError, match=f"expected the curvature of this .*{named}"):
        Curvature.load(tmp_path / "c.safetensors", generator, objective)


def test_a_file_without_sense_is_refused(tmp_path):
    bad = curvature()
    bad.vectors[0, 0] = torch.nan
    bad.save(tmp_path / "c.safetensors", "generator", "objective")
    with pytest.raises(CheckpointError, match="expected finite"):
        Curvature.load(tmp_path / "c.safetensors", "generator", "objective")
