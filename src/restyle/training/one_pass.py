"""Training the network of one-pass text edits, without a text: on pairs of a generator's pictures.

The idea is that of Lyu et al., "DeltaEdit", CVPR 2023. The layers of every picture are mixed of two
samples, so that the network learns which layers a change needs, and not which people have it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from tqdm import tqdm

from restyle.editing.one_pass import OnePass, OnePassConfig
from restyle.editing.text import TextImage
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import load as load_model
from restyle.hub.registry import load_text
from restyle.io.checkpoints import weights_hash
from restyle.io.files import atomic_write, write_json
from restyle.model import ReStyle
from restyle.training.cards import check_export, export
from restyle.training.features import schedule
from restyle.training.run import Run
from restyle.training.text_config import OnePassTraining

ABOUT = "A network that edits portraits by text in one pass, trained on pairs of pictures."
PART = 512
"""Pictures whose embeddings are kept at once."""

HELD_OUT = 256
"""Pictures that the network is measured on."""


def mixed_codes(generator: StyleGAN2, count: int, seed: int) -> Tensor:
    """Return codes (count, num_ws, D), each layer that of one of two samples."""
    pair = [generator.broadcast(generator.sample_w(count, 2 * seed + k)) for k in range(2)]
    random = torch.Generator().manual_seed(seed)
    second = torch.rand(count, generator.num_ws, 1, generator=random) < 0.5
    return torch.where(second.to(pair[0].device), pair[1], pair[0])


def embedded_pictures(
    model: ReStyle, network: TextImage, count: int, folder: Path
) -> tuple[Tensor, Tensor]:
    """Render codes and embed the pictures; what is done is kept in a folder.

    Returns:
        Codes (count, num_ws, D) and embeddings (count, E).
    """
    codes, embeddings = [], []
    folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=count, unit="picture", desc="pictures", disable=None) as progress:
        for part in range(-(-count // PART)):
            ws = mixed_codes(model.generator, PART, part)[: count - part * PART]
            path = folder / f"{part:05d}.npy"
            if not path.exists():
                found = _embed(model, network, ws)
                with atomic_write(path) as temporary, temporary.open("wb") as stream:
                    np.save(stream, found.cpu().numpy())
            codes.append(ws)
            embeddings.append(torch.from_numpy(np.load(path, allow_pickle=False)).to(ws))
            progress.update(len(ws))
    return torch.cat(codes), torch.cat(embeddings)


@torch.no_grad()
def _embed(model: ReStyle, network: TextImage, ws: Tensor) -> Tensor:
    return torch.cat([network.embed_image(model.generate(batch)) for batch in ws.split(32)])


def train_one_pass(config: OnePassTraining) -> dict[str, Any]:
    """Train a network of one-pass edits, measure it on other pictures and export it.

    Repeating the call resumes at the last checkpoint.

    Returns:
        What `measure` measured.

    Raises:
        ValueError: The folder holds a run with another configuration, or there is no such model.
        CheckpointError: A network cannot be used.
        SystemExit: With status 130, after saving, when interrupted.
    """
    if config.export is not None:
        check_export(Path(config.export), OnePass.kind)
    run = Run(config, config.images, config.batch, may_change="export", log_images=100_000)
    with run:
        run.announce("a network of text edits in one pass", torch.float32)
        model = load_model(config.model, run.device)
        text: Any = load_text(config.text_network)
        text.to(run.device)
        count = config.pictures + HELD_OUT
        codes, embeddings = embedded_pictures(model, text, count, Path(config.out) / "pictures")
        network = _new_network(config, model, text, codes, embeddings).to(run.device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=1e-3)
        if (state := run.load()) is not None:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])

        def current() -> dict[str, Any]:
            return {"network": network.state_dict(), "optimiser": optimiser.state_dict()}

        seen, held = codes[:-HELD_OUT], codes[-HELD_OUT:]
        while run.unfinished:
            pairs = torch.from_numpy(run.rng.integers(len(seen), size=(2, run.batch)))
            for group in optimiser.param_groups:
                group["lr"] = config.lr * schedule(run.images / config.images)
            loss = pair_loss(network, seen[pairs], embeddings[pairs], config.blur)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.step({"loss": loss})
            run.checkpoint(current)
        run.save(current())
        network.eval().requires_grad_(False)
        result = measure(network, held, embeddings[-HELD_OUT:], model, text)
        write_json(Path(config.out) / "evaluation.json", result)
        print(figures := describe(result))
        if config.export is not None:
            what = f"any two of {config.pictures} samples of the generator `{config.model}`"
            export(network, run, ABOUT, "one-pass", figures, what)
        return result


def _new_network(
    config: OnePassTraining, model: ReStyle, text: Any, codes: Tensor, embeddings: Tensor
) -> OnePass:
    hashes = [weights_hash(part.state_dict()) for part in (model.generator, text)]
    num_ws, w_dim = model.start_ws.shape
    shape = OnePassConfig(num_ws, w_dim, embeddings.shape[1], config.hidden, *hashes)
    network = OnePass(shape)
    network.mean.copy_(embeddings.mean(dim=0))
    network.covariance.copy_(embeddings.T.cov())
    network.spread.copy_(codes.std(dim=0))
    return network


def pair_loss(network: OnePass, codes: Tensor, embeddings: Tensor, blur: float) -> Tensor:
    """Return the mean squared error of the steps from pictures to others, in deviations.

    Args:
        network: Predicts the steps.
        codes: (2, B, num_ws, D), of the pictures and of the others.
        embeddings: (2, B, E).
        blur: Deviation of noise on the changes, in that of the embeddings. Without it the network
            relies on what pictures differ in least, and no text asks for exactly that.
    """
    first, second = (embeddings - network.mean) / network.unit
    change = second - first + blur * torch.randn_like(first)
    return (network(change, first) - (codes[1] - codes[0]) / network.spread).square().mean()


@torch.no_grad()
def measure(
    network: OnePass, codes: Tensor, embeddings: Tensor, model: ReStyle, text: TextImage
) -> dict[str, Any]:
    """Measure steps from pictures to the embeddings of others, which it has not seen.

    Returns:
        `reached`: the share of the asked change of the embedding that the rendered step makes;
        `cosine` of both changes; `milliseconds` of a pass with the picture embedded.
    """
    half = len(codes) // 2
    asked = embeddings[half:] - embeddings[:half]
    before = (embeddings[:half] - network.mean) / network.unit
    steps = network(asked / network.unit, before) * network.spread
    made = _embed(model, text, codes[:half] + steps) - embeddings[:half]
    one = codes[:1]

    def once() -> None:
        network.step_for(asked[0] / asked[0].norm(), text.embed_image(model.generate(one)))

    return {
        "reached": float((made * asked).sum() / asked.square().sum()),
        "cosine": float(cosine_similarity(made, asked).mean()),
        "milliseconds": _least_time(once),
    }


def _least_time(call: Callable[[], None], repeats: int = 20) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - started))
    return min(times)


def describe(result: dict[str, Any]) -> str:
    """Return the figures as a sentence in Markdown."""
    return (
        f"- Between {HELD_OUT} pictures that it has not seen, a step makes "
        f"{result['reached']:.0%} of the change of the embedding that is asked for; the cosine of "
        f"both is {result['cosine']:.2f}. A pass, with rendering and embedding the picture, takes "
        f"{result['milliseconds']:.0f} ms."
    )
