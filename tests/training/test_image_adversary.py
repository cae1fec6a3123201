"""What a generator is trained against: scores of pixels and of a feature network's maps."""

from dataclasses import replace

import pytest
import torch

from restyle.discriminators.projected import ProjectedDiscriminator
from restyle.discriminators.stylegan2 import Discriminator, DiscriminatorConfig
from restyle.io.checkpoints import CheckpointError
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.training.config import GeneratorTraining
from restyle.training.generator import GeneratorTrainer, train_generator
from restyle.training.image_adversary import ImageAdversary, coarse_maps, r1_penalty
from restyle.training.loaders import load_run_state

CPU = torch.device("cpu")
TINY = {"size": 16, "channels": (8, 8, 8), "z_dim": 8, "w_dim": 8, "mapping_layers": 2}


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(0)
    network = FeatureNetwork(FeatureConfig(16, (4, 6, 8, 8, 8), 16, 8))
    return network.eval().requires_grad_(False)


def adversary(features=None) -> ImageAdversary:
    torch.manual_seed(1)
    pixels = Discriminator(DiscriminatorConfig(16, (8, 8, 8)))
    return ImageAdversary(pixels, coarse_maps(features) if features else None, weight=0.5)


def maps_of(count):
    return [torch.randn(count, 5, 8, 8), torch.randn(count, 7, 4, 4)]


def test_heads_score_places_of_every_map():
    heads = ProjectedDiscriminator([(5, 8), (7, 4)], width=6)
    fake, real = maps_of(2), maps_of(2)
    fakes, reals = heads(fake, real)
    assert fakes.shape == reals.shape == (2, 2 * 16)
    changed, _ = heads([fake[0], -fake[1]], real)
    assert torch.equal(changed[:, :16], fakes[:, :16])
    assert not torch.equal(changed[:, 16:], fakes[:, 16:])


def test_the_second_loss_is_added_with_its_weight(features):
    fake, real = torch.randn(2, 4, 3, 16, 16).unbind()
    with torch.no_grad():
        both, numbers = adversary(features).discriminate(fake, real)
        assert both.item() == pytest.approx(
            numbers["loss_d"].item() + 0.5 * numbers["loss_d_features"].item()
        )
        network = adversary(features)
        network.discriminate(fake, real)
        both, numbers = network.fool(fake)
        assert both.item() == pytest.approx(
            numbers["loss_g"].item() + 0.5 * numbers["loss_g_features"].item()
        )


def test_the_generator_learns_through_the_features_which_stay_as_they_are(features):
    network = adversary(features).requires_grad_(False)
    network.pixels.score.weight.zero_()  # pixels tell nothing
    fake = torch.randn(4, 3, 16, 16, requires_grad=True)
    network.discriminate(fake.detach(), torch.randn(4, 3, 16, 16))
    network.fool(fake)[0].backward()
    assert fake.grad is not None and fake.grad.abs().max() > 0
    assert not any(name.startswith("maps") for name in network.state_dict())


@pytest.mark.parametrize("kind", ["stripes", "sameness", "brightness"])
def test_heads_learn_to_tell_two_kinds_of_maps_apart(kind):
    heads = ProjectedDiscriminator([(5, 8), (7, 4)], width=8)
    optimiser = torch.optim.Adam(heads.parameters(), lr=1e-2)

    def fakes():
        if kind == "stripes":
            return [x + 2 * (-1.0) ** torch.arange(x.shape[3]) for x in maps_of(16)]
        if kind == "sameness":  # each as good as a real one, but all of them alike
            return [x[:1].expand(16, -1, -1, -1) for x in maps_of(16)]
        return [x + 0.5 for x in maps_of(16)]

    def loss():
        fake, real = heads(fakes(), maps_of(16))
        return torch.nn.functional.softplus(torch.cat([fake, -real])).mean()

    before = loss().item()
    for _ in range(60):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 0.7 * before


def plain() -> torch.autocast:
    return torch.autocast("cpu", enabled=False)


def test_the_r1_penalty_of_a_linear_score_is_its_squared_slope():
    class Slope(torch.nn.Module):
        def forward(self, images):
            return 3 * images.sum(dim=(1, 2, 3))

    penalty = r1_penalty(Slope(), torch.randn(2, 3, 4, 4), plain)
    assert penalty.item() == pytest.approx(9 * 48)


def test_a_training_starts_from_a_generator_alone_and_lets_the_critic_learn_first(tmp_path):
    first = GeneratorTraining(
        out=tmp_path / "first", images=8, batch=8, precision="float32", device="cpu", **TINY
    )
    train_generator(first)
    second = replace(
        first,
        out=tmp_path / "second",
        initial=first.out / "generator",
        train_mapping=True,
        discriminator_warmup=8,
        discriminator_channels=(6, 6, 6),
    )
    train_generator(second)
    state = load_run_state(second.out)
    begun = GeneratorTrainer(second, CPU)
    begun.begin()
    for name, value in begun.generator.state_dict().items():
        assert torch.equal(state["generator"][name], value), name  # 8 images: the adversary's alone
    assert not torch.equal(
        state["critic"]["pixels.score.weight"], begun.adversary.state_dict()["pixels.score.weight"]
    )
    train_generator(replace(second, images=16))
    after = load_run_state(second.out)["generator"]
    assert any(
        not torch.equal(after[name], value)
        for name, value in state["generator"].items()
        if name.startswith("mapping")
    )


def test_a_critic_of_another_shape_is_refused():
    state = adversary().state_dict()
    with pytest.raises(CheckpointError, match="the other"):
        ImageAdversary(Discriminator(DiscriminatorConfig(16, (6, 6, 6)))).take(state, "the other")
