import itertools

import pytest
import torch

import restyle.inversion.curvature as curvature_module
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.inversion.curvature import FILE, Curvature, curvature_of, estimate_curvature, ties
from restyle.inversion.newton import newton
from restyle.io import tied
from restyle.io.checkpoints import CheckpointError
from restyle.losses.identity import AlignedFaces
from restyle.losses.lpips import LPIPS
from restyle.losses.weighted import WeightedLosses
from restyle.nn.backbones import ArcFace, Trunk
from restyle.refine import Estimate
from tests.tiny import SIZE, tiny_generator, tiny_model


def curvature(count=12, rank=4):
    vectors = torch.linalg.qr(torch.randn(count, rank))[0]
    return Curvature(vectors, torch.arange(rank, 0.0, -1), 0.25)


def squared(images, targets):
    return (images - targets).flatten(1)


@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_a_curvature_solves_and_multiplies(damping):
    known = curvature()
    x = torch.randn(4, 12)
    torch.testing.assert_close(known.solve(known.product(x) + damping * x, damping), x)
    assert known.mean == pytest.approx(known.product(torch.eye(12)).trace().item() / 12)


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
    path, bad = tmp_path / "c.safetensors", curvature()
    bad.vectors[0, 0] = torch.nan
    bad.save(path, "generator", "objective")
    with pytest.raises(CheckpointError, match="expected finite"):
        Curvature.load(path, "generator", "objective")
    for content in (b"", path.read_bytes()[:100], b"nonsense" * 100):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="c.safetensors: expected a curvature, got"):
            Curvature.load(path, "generator", "objective")
    tiny_model().save_pretrained(tmp_path / "model")
    with pytest.raises(CheckpointError, match="weights.safetensors: expected a curvature, got"):
        Curvature.load(tmp_path / "model/weights.safetensors", "generator", "objective")


def test_its_probes_are_products_with_the_jacobian():
    generator = tiny_generator()
    ws = generator.broadcast(generator.mapping(torch.randn(1, 8)))
    jacobian = torch.func.jacrev(generator.synthesis)(ws).reshape(3 * SIZE * SIZE, -1).detach()
    several = ws.detach().expand(100, -1, -1)
    found = estimate_curvature(generator.synthesis, squared, itertools.repeat(several), 2000, 48)
    exact = jacobian.T @ jacobian
    size = exact.norm()
    assert (found.product(torch.eye(48)) - exact).norm() < 0.1 * size
    step = 1e-2 * torch.randn(48)  # and the Jacobian is that of finite differences
    up, down = (generator.synthesis(ws + sign * step.view_as(ws)) for sign in (1, -1))
    change = (up - down).flatten() / 2
    assert (jacobian @ step - change).norm() < 0.05 * change.norm()


def test_few_probes_at_a_time_find_the_large_directions(monkeypatch):
    matrix = torch.diag(torch.tensor([30.0, 20, 10] + [0.5] * 9))
    sizes, plain = [], torch.linalg.svd
    monkeypatch.setattr(
        "torch.linalg.svd", lambda rows, **o: sizes.append(len(rows)) or plain(rows, **o)
    )
    codes = (torch.zeros(5, 3, 4) for _ in itertools.count())
    found = estimate_curvature(lambda ws: ws.flatten(1) @ matrix, squared, codes, 2003, 3)
    assert max(sizes) < 4 * 3 + 5 and len(sizes) > 100
    torch.testing.assert_close(
        found.product(torch.eye(12)), matrix.square(), rtol=0.1, atol=0.04 * 900
    )
    assert found.rest == pytest.approx(0.25, rel=0.1)


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A model in a folder, an objective, and a cache of its own."""
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("restyle.inversion.curvature.PROBES", 16)
    monkeypatch.setattr("restyle.io.tied.WEIGHTS", tmp_path / "weights")
    folder = tmp_path / "model"
    tiny_model().save_pretrained(folder)
    model = type(tiny_model()).from_pretrained(folder)
    return model, WeightedLosses(None), tmp_path


def look_up(model, objective):
    size = model.domain.input_size
    return curvature_of(model.generator, model.generate, objective, size, model.folder)


def test_that_of_the_models_folder_comes_first_then_a_bundled_one_then_the_cache(known, capsys):
    model, objective, path = known
    tied = ties(model.generator, objective, model.domain.input_size)
    places = [path / "model" / FILE, path / "weights/other" / FILE]
    for rank, place in enumerate(places, start=2):
        place.parent.mkdir(parents=True, exist_ok=True)
        curvature(48, rank).save(place, *tied)
    assert len(look_up(model, objective).values) == 2
    curvature(48, 2).save(places[0], tied[0], "another objective")
    assert len(look_up(model, objective).values) == 3
    places[1].unlink()
    assert capsys.readouterr().err == ""
    assert len(look_up(model, objective).values) == 8
    assert "estimating this generator's curvature, once" in capsys.readouterr().err
    look_up(model, objective)
    assert capsys.readouterr().err == ""


def test_a_kept_one_is_read_once(known, monkeypatch):
    model, objective, path = known
    hashes = ties(model.generator, objective, model.domain.input_size)
    curvature(48).save(path / "model" / FILE, *hashes)
    read, plain = [], tied.read_tensors
    monkeypatch.setattr(tied, "read_tensors", lambda *a: read.append(plain(*a)) or read[-1])
    look_up(model, objective)
    assert [len(tensors) for tensors, _ in read if tensors] == [3]


def test_samples_of_mixed_layers_leave_no_layer_out():
    generator = tiny_generator()
    codes = curvature_module._mixed_samples(generator, 4)
    one, other = next(codes), next(codes)
    w = generator.sample_w(8, 0)
    assert not torch.equal(one[:, :1].expand_as(one), one)
    torch.testing.assert_close(one + other, generator.broadcast(w[:4] + w[4:]))


def test_one_of_another_generator_beside_the_model_is_refused(known):
    model, objective, path = known
    curvature(48).save(path / "model" / FILE, "another", "objective")
    with pytest.raises(CheckpointError, match=f"{FILE}: expected the curvature of this generator"):
        look_up(model, objective)
    (path / "model" / FILE).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=f"{FILE}: expected a curvature, got"):
        look_up(model, objective)


def test_that_of_18_codes_of_512_is_below_40_mb(tmp_path):
    vectors = torch.zeros(18 * 512, 512)
    Curvature(vectors, torch.ones(512), 1.0).save(tmp_path / FILE, "generator", "objective")
    assert (tmp_path / FILE).stat().st_size < 10e6


def official_losses():
    """VGG-16's LPIPS and ArcFace at their own sizes, with random weights."""
    trunk = Trunk("ir_se", 3, (64, 64, 128, 256, 512), (3, 4, 14, 3))
    networks = LPIPS("vgg"), AlignedFaces(ArcFace(trunk))
    maps, faces = (one.eval().requires_grad_(False) for one in networks)
    return WeightedLosses(maps, faces=faces)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "losses", [WeightedLosses, pytest.param(official_losses, marks=pytest.mark.soak)]
)
def test_the_official_size_is_estimated_and_used_in_bounded_memory(losses):
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Config(256)).eval().requires_grad_(False)
    objective = losses()

    def render(ws):
        return generator.synthesis(ws, "fixed")

    codes = (generator.broadcast(generator.sample_w(2, seed)) for seed in itertools.count())
    found = estimate_curvature(render, objective.residuals, codes, 4, 2)
    assert found.vectors.shape == (14 * 512, 2)
    target = render(generator.broadcast(generator.sample_w(1, 99)))
    ws = generator.broadcast(generator.w_avg[None])
    *_, last = newton(render, objective, target, Estimate(ws, render(ws)), found, 1)
    assert objective(last.image, target) < objective(render(ws), target)
