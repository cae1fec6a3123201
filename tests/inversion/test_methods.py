import warnings

import pytest
import torch

from restyle.domains import Domain
from restyle.editing.directions import Direction
from restyle.inversion.methods import (
    Networks,
    build,
    networks_of,
    objective_for,
    person_network,
    tuned_model,
    usual_features,
)
from restyle.io.checkpoints import CheckpointError
from restyle.losses.pixels import l2
from restyle.losses.weighted import WeightedLosses
from tests.tiny import SIZE, tiny_model


def networks(model, **changes):
    parts = {
        "encode": model.encode,
        "render": model.generate,
        "generator": model.generator,
        "crop": model.domain.crop_render,
        "objective": l2,
    }
    return Networks(**{**parts, **changes})


def test_restyle_by_name_is_the_models_inversion():
    model = tiny_model()
    target = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    method = build("restyle:3", networks(model))
    estimates = list(method(target, model.start(2)))
    expected = model.invert(target, steps=3)
    assert [torch.equal(a.ws, b.ws) for a, b in zip(estimates, expected.steps[1:], strict=True)]
    assert torch.equal(estimates[-1].image, expected.image)
    assert not estimates[-1].image.requires_grad


def test_a_hybrid_goes_on_where_the_encoder_stopped():
    model = tiny_model()
    target = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    hybrid = build("restyle:2+ws:5+pti:3", networks(model))
    estimates = list(hybrid(target, model.start(2)))
    assert hybrid.steps == (2, 5, 3) and len(estimates) == 10
    reached = list(build("restyle:2", networks(model))(target, model.start(2)))[-1]
    expected = list(build("ws:5", networks(model))(target, reached))
    torch.testing.assert_close(estimates[6].ws, expected[-1].ws)
    assert torch.equal(estimates[9].ws, estimates[6].ws)  # tuning keeps the codes
    assert hybrid.tuning is not None
    torch.testing.assert_close(
        hybrid.tuning.generator.synthesis(estimates[9].ws), estimates[9].image
    )


def test_the_projector_optimises_noise_as_well():
    model = tiny_model()
    for layer in model.generator.synthesis.layers:
        layer.noise_strength.fill_(0.5)
    target = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    before = {k: v.clone() for k, v in model.generator.state_dict().items()}
    first, *_, last = build("projector:30@0.05", networks(model))(target, model.start(2))
    assert torch.equal(last.ws[:, 0], last.ws[:, 1])
    assert (l2(last.image, target) < l2(first.image, target)).all()
    assert (last.image - model.generate(last.ws)).abs().max() > 0.01  # not of the codes alone
    assert all(torch.equal(v, before[k]) for k, v in model.generator.state_dict().items())


def test_names_have_defaults():
    assert build("restyle", networks(tiny_model())).name == "restyle:5"
    assert build("w+pti", networks(tiny_model())).name == "w:1000+pti:350"
    assert build("ws:7", networks(tiny_model())).tuning is None


@pytest.mark.parametrize("name", ["w", "projector", "ws", "pti"])
def test_a_learning_rate_is_the_one_that_is_taken(name):
    model = tiny_model()
    target = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    usual = 3e-4 if name == "pti" else 0.1

    def last(text):
        *_, estimate = build(text, networks(model))(target, model.start(1))
        return estimate.image

    assert torch.equal(last(f"{name}:3@{usual}"), last(f"{name}:3"))
    assert not torch.equal(last(f"{name}:3@{usual / 10}"), last(f"{name}:3"))


def test_a_learning_rate_is_part_of_the_name():
    chain = build("restyle:2+ws:7@0.050", networks(tiny_model()))
    assert chain.name == "restyle:2+ws:7@0.05" and chain.steps == (2, 7)
    assert build("w@.2+pti:3@1e-4", networks(tiny_model())).name == "w:1000@0.2+pti:3@0.0001"


def test_tuning_comes_last():
    with pytest.raises(ValueError, match="expected pti as the last"):
        build("pti+ws", networks(tiny_model()))


def test_a_single_shot_encoder_takes_one_step():
    with pytest.raises(ValueError, match="at most 1 steps"):
        build("restyle:2", networks(tiny_model(), most_steps=1))
    assert build("restyle:auto", networks(tiny_model(), most_steps=1)).steps == (1,)


def test_newton_by_name_lowers_the_objective_and_keeps_its_curvature(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path))
    monkeypatch.setattr("restyle.inversion.curvature.PROBES", 24)
    model = tiny_model()
    target = model.sample(2, seed=5).image.clamp(-1, 1)
    found = model.invert(target, method="restyle:1+newton:2")
    errors = [l2(step.image, target) for step in found.steps]
    assert (errors[-1] < errors[1]).all()
    assert "estimating this generator's curvature, once" in capsys.readouterr().err
    (path,) = tmp_path.glob("curvature/*.safetensors")
    again = model.invert(target, method="restyle:1+newton:2")
    assert torch.equal(again.ws, found.ws)
    assert "estimating" not in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="expected a curvature"):
        model.invert(target, method="newton:1")


def test_methods_stop_by_themselves(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path))
    monkeypatch.setattr("restyle.inversion.curvature.PROBES", 24)
    model = tiny_model()
    target = model.sample(3, seed=5).image.clamp(-1, 1)
    chain = build("restyle:auto+newton:auto", networks_of(model, WeightedLosses()))
    estimates = list(chain(target, model.start(3)))
    assert chain.steps == (10, 20) and len(estimates) == 30  # where they have stopped, repeated
    stopped = model.invert(target, steps="auto")
    assert torch.equal(estimates[9].ws, stopped.ws)
    found = model.invert(target, steps="auto", method="restyle+newton")
    assert len(found.steps) == stopped.steps_used.max() + 2
    torch.testing.assert_close(found.ws, estimates[-1].ws)
    assert (l2(found.image, target) < l2(stopped.image, target)).all()
    with pytest.raises(ValueError, match="expected restyle or newton without a number"):
        model.invert(target, steps="auto", method="ws:3")
    with pytest.raises(ValueError, match="expected a method alone"):
        model.invert(target, steps=3, method="newton")


def test_options_reach_newton(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path))
    monkeypatch.setattr("restyle.inversion.curvature.PROBES", 24)
    model = tiny_model()
    target = model.sample(2, seed=5).image.clamp(-1, 1)

    def inverted(text):
        return model.invert(target, method=text).ws

    assert torch.equal(inverted("newton:2@inner=1"), inverted("newton:1@inner=2"))
    free, pulled = inverted("newton:3"), inverted("newton:3@pull=10")
    assert pulled.std(dim=1).mean() < 0.9 * free.std(dim=1).mean()


def test_the_network_is_loaded_where_something_is_minimised():
    assert objective_for(["restyle", "restyle:3+restyle"], "nowhere", "cpu").features is None
    assert objective_for(["ws:3"], "none", "cpu").features is None
    assert objective_for(["restyle", "ws:3"], "portraits-features", "cpu").features is not None
    with pytest.raises(CheckpointError, match="nowhere"):
        objective_for(["restyle:2+pti"], "nowhere", "cpu")


def test_the_features_of_portraits_are_for_portraits():
    model = tiny_model()
    assert usual_features(model) == "none"
    for name, size, features in (
        ("portraits", 128, "portraits-features"),
        ("toon", 128, "portraits-features"),
        ("toon", 256, "none"),  # photographs of the official toon model
        ("cars", 64, "none"),
    ):
        model.domain = Domain(name, (size, size))
        assert usual_features(model) == features
        assert (person_network(model) is None) == (features == "none")


@pytest.fixture
def tuned(tmp_path):
    model = tiny_model()
    chain = build("restyle:1+pti:3", networks_of(model, objective_for(["pti"], "none", "cpu")))
    *_, last = chain(torch.rand(1, 3, SIZE, SIZE) - 0.5, model.start(1))
    assert chain.tuning is not None
    path = tmp_path / "tuned.safetensors"
    size = chain.tuning.save(path)
    return model, last, path, size


def test_a_tuned_model_renders_what_tuning_reached(tuned):
    model, last, path, size = tuned
    assert size == path.stat().st_size
    before = model.generate(last.ws)
    found = tuned_model(model, path)
    torch.testing.assert_close(found.generate(last.ws), last.image, atol=1e-4, rtol=0)
    assert torch.equal(model.generate(last.ws), before) and not torch.equal(before, last.image)
    assert torch.equal(found.start_ws, model.start_ws) and found.name == model.name
    own = Direction("smile", torch.randn(8), 1.0, generator_sha256=model.editor.generator_sha256)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as for a direction of another generator
        edited = found.edit(last.ws, own, 2.0)
    assert torch.equal(edited.ws, model.edit(last.ws, own, 2.0).ws)
    torch.testing.assert_close(edited.image, found.generate(edited.ws))


def test_changes_of_another_generator_are_refused(tuned, tmp_path):
    _, _, path, _ = tuned
    with pytest.raises(CheckpointError, match=f"{path}: expected changes of the generator with"):
        tuned_model(tiny_model(seed=1), path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match=f"{path}: expected a tuned generator, got"):
        tuned_model(tiny_model(), path)
    with pytest.raises(CheckpointError, match="nothing.safetensors: expected a tuned generator"):
        tuned_model(tiny_model(), tmp_path / "nothing.safetensors")


def test_newton_goes_on_where_its_curvature_cannot_be_kept(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("restyle.inversion.curvature.PROBES", 24)
    model = tiny_model()
    target = model.sample(1, seed=5).image.clamp(-1, 1)
    with pytest.warns(UserWarning, match="the curvature is not kept: .*file"):
        found = model.invert(target, method="newton:2")
    assert l2(found.image, target) < l2(found.steps[0].image, target)
