from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import restyle
from restyle.domains import Domain
from restyle.encoders import Encoder
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.hub import registry
from restyle.inversion.bootstrapping import bootstrap
from restyle.io.checkpoints import CheckpointError
from restyle.io.images import ImageError, save_image, to_tensor
from restyle.model import ReStyle
from tests.tiny import CODES, SIZE, silence, tiny_encoder, tiny_generator, tiny_model


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture
def targets():
    return torch.rand(5, 3, SIZE, SIZE) * 2 - 1


class LinearGenerator(nn.Module):
    """Renders codes by one matrix with independent columns, so that an exact inverse exists."""

    def __init__(self):
        super().__init__()
        num_ws, w_dim = CODES
        self.num_ws, self.config = num_ws, SimpleNamespace(w_dim=w_dim)
        self.matrix = nn.Parameter(torch.randn(num_ws * w_dim, 3 * SIZE * SIZE) / 30)
        self.register_buffer("w_avg", torch.randn(w_dim))

    def broadcast(self, w):
        return w[:, None].expand(-1, self.num_ws, -1)

    def synthesis(self, ws, noise="fixed", resolution=None):
        return (ws.flatten(1) @ self.matrix).view(-1, 3, SIZE, SIZE)


class ExactEncoder(nn.Module):
    """Maps the difference between target and image through the generator's pseudo-inverse."""

    def __init__(self, generator):
        super().__init__()
        num_ws, w_dim = CODES
        self.config = SimpleNamespace(
            num_ws=num_ws, w_dim=w_dim, input_size=(SIZE, SIZE), input_channels=6
        )
        self.register_buffer("inverse", torch.linalg.pinv(generator.matrix.detach()))

    def forward(self, pair, *_):
        difference = pair[:, :3] - pair[:, 3:]
        return (difference.flatten(1) @ self.inverse).view(-1, *CODES), None


def test_results_hold_every_step(model, targets):
    result = model.invert(targets, steps=3)
    assert len(result.steps) == 4
    assert torch.equal(result.target, targets)
    assert result.ws.shape == (5, *CODES) and result.image.shape == (5, 3, SIZE, SIZE)
    assert result.ws is result.steps[3].ws and result.image is result.steps[3].image
    for step in result.steps:
        assert torch.allclose(model.generate(step.ws), step.image, atol=1e-5)
        assert not step.ws.requires_grad


def test_inversion_starts_at_the_average(model, targets):
    start = model.invert(targets, steps=1).steps[0]
    assert torch.equal(start.ws, model.generator.w_avg.expand(5, *CODES))
    assert torch.equal(start.image[2], model.average.image[0])


def test_an_encoder_that_predicts_nothing_stays_at_the_average(model, targets):
    silence(model.encoder)
    result = model.invert(targets, steps=3)
    assert all(torch.equal(step.ws, result.steps[0].ws) for step in result.steps)
    assert torch.allclose(result.image, model.average.image.expand_as(result.image), atol=1e-6)


def test_an_exact_linear_inverse_lands_in_one_step():
    generator = LinearGenerator()
    model = ReStyle(generator, ExactEncoder(generator), Domain("tiny", (SIZE, SIZE)), "linear")
    ws = torch.randn(4, *CODES)
    result = model.invert(model.generate(ws), steps=3)
    assert not torch.allclose(result.steps[0].ws, ws, atol=0.1)
    for step in result.steps[1:]:
        assert torch.allclose(step.ws, ws, atol=1e-3)


def test_results_do_not_depend_on_the_batch_size(model, targets):
    whole = model.invert(targets, steps=2, batch_size=8)
    for batch_size in (1, 2):
        parts = model.invert(targets, steps=2, batch_size=batch_size)
        assert torch.allclose(parts.ws, whole.ws, atol=1e-4)
        assert len(parts.steps) == 3 and parts.target.shape == whole.target.shape


def test_iterator_gives_single_results_in_order_and_reads_as_needed(model, targets):
    taken = []

    def feed():
        for index, target in enumerate(targets):
            taken.append(index)
            yield target

    results = model.invert_iter(feed(), steps=2, batch_size=2)
    first = next(results)
    assert taken == [0, 1]
    rest = list(results)
    ws = torch.cat([one.ws for one in [first, *rest]])
    assert torch.allclose(ws, model.invert(targets, steps=2).ws, atol=1e-4)
    assert first.target.shape == (1, 3, SIZE, SIZE) and len(first.steps) == 3


def test_paths_pictures_and_tensors_are_the_same_target(model, tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8))
    save_image(picture, tmp_path / "one.png")
    expected = to_tensor(picture, (SIZE, SIZE))[None]
    for images in (picture, [picture], tmp_path / "one.png", str(tmp_path / "one.png")):
        assert torch.equal(model.invert(images, steps=1).target, expected)
    # Pillow rounds to 8 bits where tensors do not.
    from_tensor = model.invert(to_tensor(picture), steps=1).target
    assert (from_tensor - expected).abs().max() < 0.02


def test_steps_are_five_unless_the_encoder_is_single_shot(targets):
    assert len(tiny_model().invert(targets).steps) == 6
    single = tiny_model(input_channels=3)
    result = single.invert(targets)
    assert len(result.steps) == 2
    with torch.no_grad():
        expected = single.encoder(targets)[0] + single.generator.w_avg
    assert torch.allclose(result.ws, expected, atol=1e-5)
    with pytest.raises(ValueError, match="steps=1 .* got 5"):
        single.invert(targets, steps=5)


def test_results_can_be_used_in_a_differentiable_loss(model, targets):
    result = model.invert(targets[:1], steps=1)
    ws = result.ws.clone().requires_grad_()
    (model.generate(ws) - result.target).square().mean().backward()
    assert ws.grad is not None and ws.grad.abs().sum() > 0


def test_networks_are_frozen_and_the_average_is_rendered_once(model, targets, monkeypatch):
    assert not any(p.requires_grad for p in model.generator.parameters())
    assert not model.encoder.training
    renders = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda ws: renders.append(len(ws)) or generate(ws))
    model.invert(targets, steps=2, batch_size=5)
    model.invert(targets, steps=2, batch_size=5)
    assert renders == [1, 5, 5, 5, 5]


def test_a_domain_crops_what_is_rendered():
    generator, encoder = tiny_generator(), tiny_encoder()
    model = ReStyle(generator, encoder, Domain("low", (SIZE, SIZE), crop=(1 / 8, 7 / 8)), "low")
    result = model.invert(torch.zeros(1, 3, SIZE, SIZE), steps=1)
    with torch.no_grad():
        full = generator.synthesis(result.ws)
    assert result.image.shape == (1, 3, 12, SIZE)
    assert torch.allclose(result.image, full[:, :, 2:14], atol=1e-5)


def test_samples_are_reproducible_and_truncated(model):
    first, again = model.sample(3, seed=4), model.sample(3, seed=4)
    assert torch.equal(first.ws, again.ws)
    assert not torch.allclose(first.ws, model.sample(3, seed=5).ws)
    assert torch.allclose(model.sample(2, truncation=0).ws, model.average.ws.expand(2, -1, -1))
    half = model.sample(3, seed=4, truncation=0.5).ws - model.average.ws
    assert torch.allclose(half, (first.ws - model.average.ws) / 2, atol=1e-6)
    with pytest.raises(ValueError, match="got 0"):
        model.sample(0)


def test_lower_precision_is_near_and_gives_float32(model, targets):
    full = model.invert(targets, steps=1)
    low = model.to(dtype="bfloat16").invert(targets, steps=1)
    assert low.ws.dtype == low.image.dtype == torch.float32
    assert not torch.equal(low.ws, full.ws)
    assert (low.ws - full.ws).abs().mean() < 0.05 * full.ws.std()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least one image, got none"),
        (torch.zeros(2, 16, 16), r"\(3, H, W\), got \(2, 16, 16\)"),
        (torch.zeros(3, 16, 16, dtype=torch.uint8), "floating-point .*uint8"),
        (torch.full((3, 16, 16), 255.0), r"\[-1, 1\], got magnitudes up to 255"),
        (torch.full((3, 16, 16), torch.nan), "nan"),
        (torch.zeros(3), r"\(B, 3, H, W\), got \(3,\)"),
    ],
)
def test_other_inputs_are_refused(model, images, message):
    with pytest.raises(ValueError, match=message):
        model.invert(images)


def test_a_missing_file_is_refused(model, tmp_path):
    with pytest.raises(ImageError, match="nothing of that name"):
        model.invert([tmp_path / "none.png"])


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": -1}, {"batch_size": 0}])
def test_counts_below_one_are_refused(model, targets, wrong):
    with pytest.raises(ValueError, match="at least 1"):
        model.invert(targets, **wrong)


def test_networks_that_do_not_fit_are_refused():
    domain = Domain("tiny", (SIZE, SIZE))
    wide = StyleGAN2(StyleGAN2Config(SIZE, 8, 4, (8, 8, 8), 1))
    with pytest.raises(ValueError, match=r"\(6, 4\) codes, got one of \(6, 8\)"):
        ReStyle(wide, tiny_encoder(), domain, "x")
    with pytest.raises(ValueError, match=r"\(32, 32\), got one for \(16, 16\)"):
        ReStyle(tiny_generator(), tiny_encoder(), Domain("tiny", (32, 32)), "x")


# Saving and loading


def test_saving_and_loading_gives_the_same_results(tmp_path, targets):
    model = tiny_model(images=1234)
    model.save_pretrained(tmp_path)
    loaded = restyle.ReStyle.from_pretrained(tmp_path)
    assert loaded.weights_hash() == model.weights_hash()
    assert (loaded.name, loaded.domain, loaded.card) == ("tiny", model.domain, model.card)
    assert loaded.card["images"] == 1234
    assert torch.equal(loaded.invert(targets, steps=2).ws, model.invert(targets, steps=2).ws)


def test_half_storage_changes_little(tmp_path, model, targets):
    model.save_pretrained(tmp_path, half=True)
    loaded = ReStyle.from_pretrained(tmp_path)
    assert loaded.weights_hash() != model.weights_hash()
    expected = model.invert(targets, steps=1).ws
    assert (loaded.invert(targets, steps=1).ws - expected).abs().max() < 0.02 * expected.std()


def test_a_start_of_its_own_is_kept(tmp_path, targets):
    start = torch.randn(*CODES)
    model = ReStyle(
        tiny_generator(), tiny_encoder(), Domain("t", (SIZE, SIZE)), "t", start_ws=start
    )
    model.save_pretrained(tmp_path)
    assert torch.equal(ReStyle.from_pretrained(tmp_path).invert(targets).steps[0].ws[3], start)


def edited(folder, change):
    """Rewrite a checkpoint's weights and their hash."""
    from restyle.io.checkpoints import load_folder, save_folder

    config, tensors = load_folder(folder)
    change(tensors)
    save_folder(folder, {k: v for k, v in config.items() if k != "format"}, tensors)


def swap_networks(tensors):
    for key in list(tensors):
        for old, new in (("encoder.", "generator."), ("generator.", "encoder.")):
            if key.startswith(old):
                tensors[new + key.removeprefix(old)] = tensors.pop(key)
                break


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.heads.0.out_bias"), "encoder.*missing: heads.0.out_bias"),
        (lambda t: t.update({"generator.x": torch.zeros(1)}), "generator.*unexpected: x"),
        (swap_networks, "missing"),
        (lambda t: t.pop("start_ws"), "start_ws"),
    ],
    ids=["missing key", "extra key", "swapped", "no start"],
)
def test_other_weights_are_refused(tmp_path, model, change, message):
    model.save_pretrained(tmp_path)
    edited(tmp_path, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        ReStyle.from_pretrained(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_weights_for_another_size_are_refused(tmp_path, model):
    import json

    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["generator"]["channels"] = [8, 8, 4]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"of another shape: .*expected .*4.*got"):
        ReStyle.from_pretrained(tmp_path)


# The registry


def test_load_finds_folders(tmp_path, model):
    model.save_pretrained(tmp_path / "mine")
    loaded = restyle.load(tmp_path / "mine", device="cpu")
    assert loaded.weights_hash() == model.weights_hash()
    assert loaded.device.type == "cpu" and loaded.dtype == torch.float32


def test_load_finds_bundled_names(tmp_path, model, monkeypatch):
    monkeypatch.setattr("restyle.io.bundled.WEIGHTS", tmp_path)
    model.save_pretrained(tmp_path / "tiny")
    assert registry.bundled() == ["tiny"]
    assert restyle.load("tiny", device="cpu", dtype="bfloat16").dtype == torch.bfloat16


def test_an_unknown_name_lists_what_there_is(tmp_path, model, monkeypatch):
    monkeypatch.setattr("restyle.io.bundled.WEIGHTS", tmp_path)
    model.save_pretrained(tmp_path / "tiny")
    with pytest.raises(ValueError, match="unknown model 'nope'.*tiny"):
        restyle.load("nope", device="cpu")
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"fetch it by restyle models pull stylegan2-ffhq$"):
        restyle.load("stylegan2-ffhq", device="cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "quantum"}, "got 'quantum'"),
        ({"device": "cpu", "dtype": "int8"}, "float32, bfloat16, .*float16, .*got int8"),
    ],
)
def test_unknown_devices_and_types_are_refused(tmp_path, model, options, message):
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        restyle.load(tmp_path, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_a_device_that_is_not_there_is_refused(model):
    with pytest.raises(ValueError, match="'cuda'"):
        model.to("cuda")
    assert model.to("auto").device.type in ("cpu", "mps")


# Bootstrapping


@pytest.mark.parametrize("siamese", [False, True])
def test_bootstrapping_with_one_model_is_inversion_one_step_longer(model, targets, siamese):
    encoder = tiny_encoder(siamese=siamese)
    if siamese:
        encoder.centre.copy_(model.start_ws)
    model = ReStyle(model.generator, encoder, model.domain, "tiny")
    plain = model.invert(targets, steps=3)
    both = bootstrap(targets, source=model, target=model, source_steps=1, steps=2)
    assert len(both.steps) == 4
    for step, expected in zip(both.steps, plain.steps, strict=True):
        assert torch.equal(step.ws, expected.ws)


def test_bootstrapping_goes_on_with_the_target_from_codes_and_image(targets):
    source, target = tiny_model(0), tiny_model(1)
    first = source.invert(targets, steps=1)
    result = bootstrap(targets, source, target, source_steps=1, steps=1)
    with torch.no_grad():
        residual = target.encode(torch.cat([targets, first.image], dim=1))[0]
    assert torch.allclose(result.ws, first.ws + residual, atol=1e-5)
    assert torch.allclose(result.image, target.generate(result.ws), atol=1e-5)


# The public face


def test_picture_k_is_the_one_of_its_own_seed(model):
    three = model.sample(3, seed=4)
    for k in range(3):
        assert torch.equal(three.ws[k], model.sample(1, seed=4 + k).ws[0])


def test_every_method_from_python(model, targets):
    result = model.invert(targets, method="restyle:2+ws:3", features="none")
    assert len(result.steps) == 1 + 2 + 1 and result.image.shape == targets.shape
    assert torch.equal(result.steps[2].ws, model.invert(targets, steps=2).ws)
    with pytest.raises(ValueError, match="expected a method alone"):
        model.invert(targets, steps=2, method="ws:3")
    with pytest.raises(ValueError, match="expected features together with a method"):
        model.invert(targets, features="none")


def test_arrays_are_pictures(model):
    array = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    found = model.invert(array, steps=1)
    assert torch.equal(found.ws, model.invert(Image.fromarray(array), steps=1).ws)
    assert len(model.invert(np.stack([array, array]), steps=1).ws) == 2
    with pytest.raises(ValueError, match=r"expected an array \(H, W, 3\) of uint8, got .* float64"):
        model.invert(array / 255)


def test_a_result_is_one_line_and_can_be_saved(model, targets, tmp_path):
    result = model.invert(targets, steps=2)
    assert repr(result).startswith(f"InversionResult({len(targets)} of (3, {SIZE}, {SIZE})")
    assert "\n" not in repr(result)
    result.save(tmp_path)
    codes = load_file(tmp_path / "latents" / "0.safetensors")["ws"]
    assert torch.equal(codes[-1], result.ws[0]) and len(codes) == 3
    assert (tmp_path / "reconstructions" / "0.png").is_file()


def test_networks_are_kept_alone_and_found_in_a_models_folder(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    for network in (model.generator, model.encoder):
        network.save_pretrained(tmp_path / network.kind)
        for folder in ("model", network.kind):
            again = type(network).from_pretrained(tmp_path / folder).state_dict()
            assert all(torch.equal(again[k], v) for k, v in network.state_dict().items())
    alone = restyle.load(tmp_path / "generator", device="cpu")
    assert not alone.has_encoder and torch.equal(alone.sample(2).ws, model.sample(2).ws)
    assert torch.equal(alone.sample(2).image, model.sample(2).image)
    alone.save_pretrained(tmp_path / "again")
    assert ReStyle.from_pretrained(tmp_path / "again").weights_hash() == alone.weights_hash()
    with pytest.raises(CheckpointError, match="expected the encoder of a checkpoint"):
        Encoder.from_pretrained(tmp_path / "generator")
