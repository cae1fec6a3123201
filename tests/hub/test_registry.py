import pytest
import torch

from restyle.hub.registry import loss_networks
from restyle.io.checkpoints import CheckpointError
from restyle.losses.identity import AlignedFaces
from restyle.losses.lpips import LPIPS
from restyle.model import ReStyle
from restyle.nn.backbones import ArcFace, Trunk
from tests.tiny import tiny_model


def test_published_networks_are_loaded_for_an_objective(monkeypatch, tmp_path):
    faces = ArcFace(Trunk("ir_se", 3, (16,) * 5, (1,) * 4), 16)
    found = {"vgg16": tmp_path / "vgg", "lpips-vgg": tmp_path / "l", "ir-se50": tmp_path / "f"}
    monkeypatch.setattr("restyle.hub.registry.find_file", found.get)
    monkeypatch.setattr("restyle.importers.perceptual.read_lpips", lambda *_: LPIPS("vgg"))
    monkeypatch.setattr("restyle.importers.read", lambda _: faces)
    for name in ("portraits-features", "none", "some/folder"):
        assert loss_networks(name) == name
    lpips, nothing = loss_networks("lpips-vgg")
    assert isinstance(lpips, LPIPS) and nothing is None
    pair = loss_networks("lpips-vgg+ir-se50")
    assert isinstance(pair[1], AlignedFaces)
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path))
    monkeypatch.setattr("restyle.inversion.curvature.PROBES", 8)
    model: ReStyle = tiny_model()
    target = model.sample(1, seed=3).image.clamp(-1, 1)
    method = "newton:1@inner=3"
    closer = model.invert(target, method=method, features=pair)
    assert not torch.equal(closer.ws, model.invert(target, method=method, features="none").ws)


def test_other_networks_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("restyle.hub.registry.load_maps", lambda _: LPIPS("vgg"))
    monkeypatch.setattr("restyle.importers.read", lambda _: LPIPS("vgg"))
    (tmp_path / "faces").touch()
    with pytest.raises(CheckpointError, match="expected an ArcFace network, got LPIPS"):
        loss_networks(f"lpips-vgg+{tmp_path / 'faces'}")
