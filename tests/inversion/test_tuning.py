import warnings

import pytest
import torch

from restyle.domains import Domain
from restyle.editing.directions import Direction
from restyle.inversion.methods import (
    build,
    networks_of,
    objective_for,
    save_tuning,
    tuned_model,
    usual_features,
)
from restyle.io.checkpoints import CheckpointError
from tests.tiny import SIZE, tiny_model


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
        ("portraits", 64, "portraits-features"),
        ("toon", 64, "portraits-features"),
        ("toon", 256, "none"),  # photographs of the official toon model
        ("cars", 64, "none"),
    ):
        model.domain = Domain(name, (size, size))
        assert usual_features(model) == features


@pytest.fixture
def tuned(tmp_path):
    model = tiny_model()
    chain = build("restyle:1+pti:3", networks_of(model, objective_for(["pti"], "none", "cpu")))
    *_, last = chain(torch.rand(1, 3, SIZE, SIZE) - 0.5, model.start(1))
    assert chain.tuning is not None
    path = tmp_path / "tuned.safetensors"
    size = save_tuning(chain.tuning, model, path)
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
