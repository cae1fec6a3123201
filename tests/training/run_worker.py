"""A tiny training on the run machinery, started by test_run.py in processes of its own."""

import dataclasses
import sys
import time
from pathlib import Path

import torch

from restyle.training.config import RunOptions
from restyle.training.ema import Ema
from restyle.training.parallel import average_gradients, launch, process_count, same_everywhere
from restyle.training.run import Run


@dataclasses.dataclass(frozen=True)
class Tiny(RunOptions):
    images: int = 400
    seed: int = 3
    device: str = "cpu"
    rate: float = 0.1


def train(folder: Path, config: Tiny, pause: float = 0.0, checkpoint_minutes: float = 5.0) -> dict:
    """Fit a line with noisy data; returns the final weights."""
    config = dataclasses.replace(config, out=folder, checkpoint_minutes=checkpoint_minutes)
    with Run(config, config.images, 4 * process_count(), log_images=40) as run:
        network = torch.nn.Linear(3, 1)
        optimiser = torch.optim.Adam(network.parameters(), lr=config.rate)
        ema = Ema(network, halflife_images=50)
        networks = {"network": network, "ema": ema.model, "optimiser": optimiser}
        if (state := run.load()) is not None:
            for name, part in networks.items():
                part.load_state_dict(state[name])
        same_everywhere(network)

        def current() -> dict:
            return {name: part.state_dict() for name, part in networks.items()}

        while run.unfinished:
            x = torch.randn(4, 3) + torch.from_numpy(run.rng.normal(size=(4, 3))).float()
            loss = (network(x) - x.sum(dim=1, keepdim=True)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            average_gradients(network)
            optimiser.step()
            run.step({"loss": loss})
            ema.update(network, 4 * run.processes, run.images)
            run.checkpoint(current)
            time.sleep(pause)
        run.save(current())
        return {"rank": run.rank, "weight": network.weight.detach().clone(), "images": run.images}


def main() -> int:
    folder, processes, images, pause, minutes = sys.argv[1:]
    if (
        status := launch(int(processes), sys.argv[1:], module="tests.training.run_worker")
    ) is not None:
        return status
    config = Tiny(images=int(images))
    result = train(Path(folder), config, float(pause), float(minutes))
    torch.save(result, Path(folder) / f"result-{result['rank']}.pt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
