"""Losses, optimiser and training step compute the reference's numbers."""

import re
from contextlib import nullcontext

import torch

from restyle import importers
from restyle.domains import FACES
from restyle.importers.keys import Weights
from restyle.importers.moco import read_moco
from restyle.importers.perceptual import read_lpips, take_lpips
from restyle.importers.pixel2style import take_encoder
from restyle.losses.codes import delta_norms, w_norm
from restyle.losses.identity import AlignedFaces, identity
from restyle.losses.perceptual import distances_by_map, perceptual
from restyle.model import ReStyle
from restyle.nn.backbones import ArcFace
from restyle.training.config import EncoderTraining
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.image_adversary import r1_penalty
from restyle.training.latent_adversary import (
    CodeDiscriminator,
    adversarial,
    discriminator_losses,
)
from restyle.training.loaders import LossNetworks
from restyle.training.optimisers import make_optimiser
from restyle.training.options import with_options

from .cases import Case, cases, load


def mixture(case: Case, name: str) -> torch.Tensor:
    """An input, or a weighted sum of inputs such as `0.3 * inputs.y + inputs.y_colour`."""
    text = case.params.get(name, f"inputs.{name}").split("(")[0]
    total = torch.zeros(())
    for weight, group, term in re.findall(r"(?:([\d.]+) \* )?(inputs\.)?(\w+)", text):
        value = case.inputs[term] if group else mixture(case, term)
        total = total + (value * float(weight) if weight else value)
    return total


def check_similarity(case: Case, network) -> None:
    """A loss that is one minus the cosine of embeddings, and what the reference logs of it."""
    y, x = mixture(case, "y"), mixture(case, "x")
    y_hat = mixture(case, "y_hat").requires_grad_()
    with torch.no_grad():
        seen = {name: network.embed(image) for name, image in (("y", y), ("x", x))}
    loss = identity(network, y_hat, seen["y"]).mean()
    loss.backward()
    with torch.no_grad():
        seen["y_hat"] = network.embed(y_hat)
    target, source, views = (
        (seen[a] * seen[b]).sum(dim=1) for a, b in (("y_hat", "y"), ("y_hat", "x"), ("y", "x"))
    )
    case.check("loss", loss)
    case.check("sim_improvement", (target - views).mean())
    case.check("diff_target", target)
    case.check("diff_input", source)
    case.check("diff_views", views)
    case.check("feats_y", seen["y"])
    case.check("feats_y_hat", seen["y_hat"])
    case.check("grad_y_hat", y_hat.grad)
    case.finish()


@cases("loss_id")
def test_identity(path, tmp_path):
    case = load(path)
    torch.save(case.checkpoints["ir_se50"], tmp_path / "ir_se50.pth")
    network = importers.read(tmp_path / "ir_se50.pth")
    assert isinstance(network, ArcFace)
    check_similarity(case, AlignedFaces(network))


@cases("loss_moco")
def test_moco(path, tmp_path):
    case = load(path)
    torch.save(case.checkpoints["moco"], tmp_path / "moco.pth.tar")
    check_similarity(case, read_moco(tmp_path / "moco.pth.tar"))


@cases("loss_lpips")
def test_lpips(path, tmp_path):
    case = load(path)
    files = dict(case.checkpoints["lpips"])
    heads = next(name for name in files if name.endswith("_lin"))
    for name, table in files.items():
        torch.save(table, tmp_path / f"{name}.pth")
    (trunk,) = files.keys() - {heads}
    network = read_lpips(tmp_path / f"{trunk}.pth", tmp_path / f"{heads}.pth")
    y, y_hat = mixture(case, "y"), mixture(case, "y_hat").requires_grad_()
    loss = perceptual(network, y_hat, y).mean()
    loss.backward()
    case.check("loss", loss)
    case.check("per_sample", perceptual(network, y_hat, y))
    case.check("per_layer", distances_by_map(network, y_hat, y))
    case.check("grad_y_hat", y_hat.grad)
    case.finish()


def read_discriminator(table: dict[str, torch.Tensor]) -> CodeDiscriminator:
    """The reference's discriminator of codes, layer by layer in the order of its list."""
    weights = list(table.values())
    discriminator = CodeDiscriminator(weights[0].shape[1], layers=len(weights) // 2)
    names = list(discriminator.state_dict())
    discriminator.load_state_dict(dict(zip(names, weights, strict=True)))
    return discriminator


@cases("e4e_losses")
def test_e4e_losses(path):
    case = load(path)
    discriminator = read_discriminator(
        case.checkpoints["discriminator"]["discriminator_state_dict"]
    )
    ws, real, average = (case.inputs[name] for name in ("latent", "real_w", "latent_avg"))
    stage = min(case.params["progressive_stage_value"], ws.shape[1] - 1)
    case.check("pred", discriminator(ws)[..., None])
    case.check("adversarial", adversarial(discriminator, ws, stage).mean())
    case.check("adversarial_all", adversarial(discriminator, ws, ws.shape[1] - 1).mean())
    case.check("delta_each", delta_norms(ws, stage).mean(dim=0))
    case.check("delta_total", delta_norms(ws, stage).sum(dim=1).mean())
    case.check("w_norm", w_norm(ws, average).mean())
    case.check("w_norm_no_avg", w_norm(ws, torch.zeros_like(average)).mean())
    d_real, d_fake = discriminator_losses(discriminator, real, ws[:, 0])
    case.check("d_loss", d_real + d_fake)
    case.check("d_real", d_real)
    case.check("d_fake", d_fake)
    penalty = r1_penalty(discriminator, real, nullcontext)
    case.check("r1", penalty)
    case.check("r1_scaled", penalty * case.params["r1"] / 2 * case.params["d_reg_every"])
    case.finish()


THEIRS = {"N_sma_threshhold": "n_sma_threshold"}  # the one option that the library calls otherwise


@cases("ranger")
def test_ranger(path):
    case = load(path)
    numbers = sorted(int(name[6:]) for name in case.inputs if name.startswith("param_"))
    parameters = [torch.nn.Parameter(case.inputs[f"param_{i}"].clone()) for i in numbers]
    options = case.params["defaults"] | case.params["optimizer"]
    options = {THEIRS.get(name, name): value for name, value in options.items()}
    optimiser = make_optimiser("ranger", parameters, **options)
    trajectories = [[] for _ in parameters]
    for step in range(case.params["steps"]):
        for i, parameter in zip(numbers, parameters, strict=True):
            parameter.grad = case.inputs[f"grad_{i}"][step].clone()
        optimiser.step()
        for trajectory, parameter in zip(trajectories, parameters, strict=True):
            trajectory.append(parameter.detach().clone())
    for i, trajectory in zip(numbers, trajectories, strict=True):
        case.check(f"trajectory_{i}", torch.stack(trajectory))
    case.finish()


def norms_by_name(case: Case, encoder, path) -> torch.Tensor:
    """Norms of the gradients of the reference's parameters, several of which make one of ours.

    Every foreign parameter is imported once more, filled with its own number; so each number of
    ours says which foreign parameter it comes from, wherever the importer puts it.
    """
    order = case.params["parameter_order"]
    table = case.checkpoints["restyle"]["state_dict"]
    foreign = {n.removeprefix("encoder."): t for n, t in table.items() if n.startswith("encoder.")}
    numbered = {
        name: torch.full_like(tensor, order.index(name) if name in order else 0)
        for name, tensor in foreign.items()
    }
    numbers = take_encoder(
        Weights(numbered, path.name), case.params["encoder_type"], encoder.config.input_size
    )
    squares = torch.zeros(len(order), dtype=torch.float64)
    for owner, parameter in zip(numbers.parameters(), encoder.parameters(), strict=True):
        if parameter.grad is not None:
            energy = parameter.grad.double().square().flatten()
            squares.index_add_(0, owner.detach().flatten().long(), energy)
    return squares.sqrt()


@cases("train_step_psp", large=True)
def test_training_step(path, tmp_path):
    case = load(path)
    torch.save(case.checkpoints["restyle"], tmp_path / "restyle.pt")
    model = importers.read(tmp_path / "restyle.pt")
    assert isinstance(model, ReStyle) and model.domain == FACES
    files = case.checkpoints["losses"]
    torch.save(files["ir_se50"], tmp_path / "ir_se50.pth")
    arcface = importers.read(tmp_path / "ir_se50.pth")
    lpips = take_lpips(Weights(files["alexnet"], "alexnet"), Weights(files["alex_lin"], "lin"))
    weights = {name.removesuffix("_lambda"): w for name, w in case.params["lambdas"].items()}
    config = with_options(
        EncoderTraining(),
        steps=case.params["n_iters_per_batch"],
        l2=weights.get("l2", 0.0),
        perceptual=weights.get("lpips", 0.0),
        identity=weights.get("id", 0.0),
        w_norm=weights.get("w_norm", 0.0),
        precision="float32",
    )
    encoder = model.encoder.train().requires_grad_(True)
    networks = LossNetworks(lpips, AlignedFaces(arcface))
    device = torch.device("cpu")
    trainer = EncoderTrainer(config, model.generator, encoder, model.domain, networks, device)
    trainer.restyle.start_ws = model.start_ws
    trainer.objective._average = model.start_ws

    x = case.inputs["x"]
    steps = list(trainer.learn(x, x, [trainer.steps] * len(x)))
    case.check("latent_last", steps[-1][0])
    case.check("grad_norms", norms_by_name(case, encoder, path))
    case.check("grad_linear_0", encoder.heads[0].out_weight.grad[0].T[::8, ::8])
    case.check("bn_running_mean", encoder.trunk.stem[1].running_mean)
    case.check("bn_running_var", encoder.trunk.stem[1].running_var)
    names = {"loss_id": "identity", "loss_l2": "l2", "loss_lpips": "perceptual"}
    names |= {"loss_w_norm": "w_norm", "loss": "loss"}
    # The logged gain of similarity is that over the source, which is the target here.
    rows = [
        [
            -losses["identity"] if name == "id_improve" else losses[names[name]]
            for name in case.params["loss_names"]
        ]
        for _, losses in steps
    ]
    case.check("losses", torch.tensor(rows))
    case.finish()
