"""Style space: how channels vary, what is kept of it, and edits in it."""

import pytest
import torch
from safetensors.torch import load_file

from restyle.editing.directions import Direction, DirectionError, read_direction, save_direction
from restyle.editing.styles import (
    Styled,
    StyleStatistics,
    measure_statistics,
    shift_styles,
    statistics_file,
    statistics_of,
)
from restyle.io.checkpoints import CheckpointError
from tests.tiny import CODES, tiny_generator, tiny_model

CHANNELS = 8 * 8


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def one_channel(channel=20, **facts):
    vector = torch.zeros(CHANNELS)
    vector[channel] = 1
    return Direction("channel", vector, space="S", **facts)


def styles_of(model, w):
    return torch.cat(model.generator.synthesis.styles(model.generator.broadcast(w)), dim=1)


def test_statistics_are_those_of_samples(model, monkeypatch):
    monkeypatch.setattr("restyle.editing.styles._CHUNK", 300)
    found = measure_statistics(model.generator, 700)
    chunks = [(300, 0), (300, 1), (100, 2)]
    w = torch.cat([model.generator.sample_w(count, seed) for count, seed in chunks])
    styles = styles_of(model, w)
    torch.testing.assert_close(found.mean, styles.mean(dim=0), atol=1e-4, rtol=1e-4)
    expected = styles.std(dim=0, correction=0)
    torch.testing.assert_close(found.deviation, expected, atol=1e-4, rtol=1e-4)


def test_statistics_are_kept(model, cache, capsys):
    first = statistics_of(model.generator)
    assert "once" in capsys.readouterr().err
    again = statistics_of(model.generator)
    assert not capsys.readouterr().err
    assert torch.equal(first.deviation, again.deviation)
    assert list(cache.rglob("*.safetensors")) == [statistics_file(model.generator).cached]


def test_statistics_of_another_generator_are_refused(model, cache, tmp_path):
    file = statistics_file(tiny_generator(seed=1))
    file.write(tmp_path / file.name, vars(measure_statistics(tiny_generator(seed=1), 100)))
    with pytest.raises(CheckpointError, match="expected the styles of these weights"):
        statistics_of(model.generator, tmp_path)


def test_statistics_of_another_shape_are_refused(model, cache, tmp_path):
    file = statistics_file(model.generator)
    file.write(tmp_path / file.name, vars(StyleStatistics(torch.ones(3), torch.ones(3))))
    with pytest.raises(CheckpointError, match="expected statistics of 64 channels"):
        statistics_of(model.generator, tmp_path)


def test_a_channel_moves_by_its_deviation(model):
    w = model.generator.sample_w(10_000)
    deviation = styles_of(model, w)[:, 20].std()
    ws = model.sample(3, 5).ws
    found = model.edit(ws, one_channel(), strength=2.0)
    assert isinstance(found, Styled)
    moved = found.styles - model.styles(ws)
    torch.testing.assert_close(moved[:, 20], 2 * deviation.expand(3), atol=1e-3, rtol=1e-3)
    assert int((moved != 0).sum()) == 3
    assert torch.equal(found.ws, ws)
    torch.testing.assert_close(found.image, model.generate(styles=found.styles))


def test_edits_in_w_come_before_those_in_s(model):
    ws = model.sample(2, 5).ws
    smile = Direction("smile", torch.ones(CODES[1]), scale=0.5)
    channel = one_channel(scale=3.0)
    found = model.edit(ws, {channel: 1.0, smile: 2.0})
    assert torch.equal(found.ws, model.edit(ws, smile, 2.0).ws)
    expected = model.styles(found.ws)
    expected[:, 20] += 3.0
    torch.testing.assert_close(found.styles, expected)


def test_layers_choose_channels(model):
    direction = Direction("all", torch.ones(CHANNELS), scale=1.0, space="S", layers=(1,))
    styles = torch.zeros(2, CHANNELS)
    strengths = torch.tensor([1.0, -2.0])
    moved = shift_styles(styles, direction, strengths, model.style_layers)
    rows = {layer.name for layer in model.style_layers if moved[0, layer.start] != 0}
    assert rows == {"4.rgb", "8.conv0"}
    assert float(moved[1].min()) == -2
    moved = shift_styles(styles, direction, 1.0, model.style_layers, rows=[0])
    assert moved[:, :8].all() and not moved[:, 8:].any()


def test_a_file_keeps_the_space(tmp_path):
    save_direction(one_channel(scale=2.0), tmp_path / "channel.safetensors")
    found = read_direction(tmp_path / "channel.safetensors")
    assert (found.space, found.scale) == ("S", 2.0)


@pytest.mark.parametrize(
    ("direction", "complaint"),
    [
        (Direction("x", torch.ones(9), space="S"), "expected 64 channels of S"),
        (one_channel(layers=(7,)), "expected layers from 0 to 5"),
    ],
)
def test_directions_that_do_not_fit_are_refused(model, direction, complaint):
    with pytest.raises(DirectionError, match=complaint):
        model.edit(model.sample().ws, direction)


@pytest.mark.parametrize(("shape", "space"), [((4,), "W+"), (CODES, "S"), ((4,), "Q")])
def test_another_space_than_the_vectors_is_refused(shape, space):
    with pytest.raises(DirectionError, match="expected a direction of W, W"):
        Direction("x", torch.ones(shape), space=space)


def test_codes_are_not_moved_by_styles():
    with pytest.raises(DirectionError, match="expected one of codes, got one of S"):
        one_channel().check_codes(*CODES)


def test_the_command_edits_in_style_space(run, model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    save_direction(one_channel(), tmp_path / "channel.safetensors")
    line = ["--direction", tmp_path / "channel.safetensors", "--strengths", "-1,2"]
    line += ["--model", tmp_path / "model", "--device", "cpu", "--out", tmp_path / "out"]
    assert run("edit", "--seed", 5, *line).code == 0
    kept = load_file(tmp_path / "out/styles/seed5.channel.safetensors")["styles"]
    expected = model.edit(model.sample(1, 5).ws, one_channel(), torch.tensor([-1.0, 2.0])).styles
    torch.testing.assert_close(kept, expected, atol=1e-5, rtol=1e-5)
    refused = run("edit", tmp_path / "out/styles/seed5.channel.safetensors", *line)
    assert "expected a latents file, got a file that holds styles" in refused.err
