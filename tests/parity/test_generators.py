"""StyleGAN2 computes the reference's numbers, from both published formats."""

import torch

from restyle import importers
from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.keys import Weights
from restyle.importers.nvidia import take_generator

from .cases import FOLDER, Case, cases, load


@cases("stylegan2_", large="256")
@torch.no_grad()
def test_stylegan2(path, tmp_path):
    case = load(path)
    torch.save(case.checkpoints["generator"], tmp_path / "generator.pt")
    generator = importers.read(tmp_path / "generator.pt")
    assert isinstance(generator, StyleGAN2)
    psi, split = case.params["truncation"], case.params["mix_index"]

    case.check("image", generator.synthesis(case.inputs["w_plus"]))
    w = generator.mapping(case.inputs["z"])
    case.check("w", w)
    case.check("w_mean", w.mean(dim=0, keepdim=True))

    drawn = generator.truncate(w[:2], psi)
    case.check("w_trunc", drawn)
    case.check("image_trunc", generator.synthesis(generator.broadcast(drawn)))

    first = generator.broadcast(w[:1])
    second = generator.broadcast(generator.mapping(case.inputs["z2"][:1]))
    mixed = torch.cat([first[:, :split], second[:, split:]], dim=1)
    case.check("w_mix", mixed[:, 2:4])
    case.check("image_mix", generator.synthesis(mixed))

    generator.w_avg.copy_(w.mean(dim=0))
    drawn = generator.truncate(w[:1], psi)
    case.check("image_trunc_mean", generator.synthesis(generator.broadcast(drawn)))
    case.finish()


def check_nvidia(case: Case, generator: StyleGAN2) -> None:
    z, ws = case.inputs["z"], case.inputs["w_plus"]
    classes = generator.config.label_dim
    labels = torch.eye(classes)[torch.arange(len(z)) % classes] if classes else None
    w = generator.mapping(z, labels)
    case.check("ws", w)
    psi, cutoff = case.params["truncation_psi"], case.params["truncation_cutoff"]
    drawn = generator.truncate(generator.broadcast(w), psi, cutoff)
    case.check("ws_trunc", drawn)
    case.check("image", generator.synthesis(drawn))
    case.check("image_wplus", generator.synthesis(ws))
    case.check("image_nonoise", generator.synthesis(ws, noise="none"))
    case.finish("d_score")  # the discriminator is not read from these


@cases("nvidia_sg2ada_")
@torch.no_grad()
def test_nvidia_weights(path):
    case = load(path)
    weights = Weights(case.checkpoints["network"]["G_ema"], path.name)
    check_nvidia(case, take_generator(weights, case.params["G_init_kwargs"]))


@cases("pickle_sg2ada_")
@torch.no_grad()
def test_nvidia_pickle(path):
    """Reads G_ema, and not the text that the file embeds: it stops whoever runs it."""
    case = load(path)
    generator = importers.read(FOLDER / case.params["pickle"])
    check_nvidia(case, generator)
