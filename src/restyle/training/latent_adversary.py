"""The discriminator of latent codes: what e4e's codes are drawn into W by.

Tov et al., "Designing an Encoder for StyleGAN Image Manipulation" (SIGGRAPH 2021), section 4.2,
after Nitzan et al., "Face Identity Disentanglement via Latent Space Mapping" (2020).
"""

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.training.config import Adversary
from restyle.training.image_adversary import r1_penalty
from restyle.training.parallel import average_gradients, same_everywhere

PLAIN = Adversary()


class CodeDiscriminator(nn.Module):
    """A perceptron that tells codes of the mapping network from codes of an encoder."""

    def __init__(self, w_dim: int, layers: int = 4):
        """Build `layers` fully connected layers, the last one with a single output."""
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(w_dim, w_dim) for _ in range(layers - 1))
        self.score = nn.Linear(w_dim, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Score codes: (..., w_dim) to (...), high for those that look like the mapping's."""
        for layer in self.layers:
            codes = F.leaky_relu(layer(codes), 0.2)
        return self.score(codes).squeeze(-1)


class CodePool:
    """Remembers codes, and gives old ones for half of the new ones.

    Shrivastava et al., "Learning from Simulated and Unsupervised Images" (CVPR 2017), section 2.3:
    a discriminator that sees old codes too does not forget them.

    Attributes:
        codes: (at most `capacity`, w_dim).
    """

    def __init__(self, capacity: int, w_dim: int, device: torch.device):
        """Start empty; a capacity of 0 remembers nothing."""
        self.capacity = capacity
        self.codes = torch.empty(0, w_dim, device=device)

    def exchange(self, codes: Tensor) -> Tensor:
        """Give codes (N, w_dim), get as many, the same ones until the pool is full."""
        free = self.capacity - len(self.codes)
        self.codes = torch.cat([self.codes, codes[:free].detach()])
        given = codes.clone()
        for i in range(max(free, 0), len(codes) if self.capacity else 0):
            if torch.rand(()) < 0.5:
                at = int(torch.randint(self.capacity, ()))
                given[i], self.codes[at] = self.codes[at].clone(), codes[i]
        return given


def discriminator_losses(
    discriminator: nn.Module, real: Tensor, fake: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the halves of the logistic loss (Goodfellow et al. 2014), whose sum is minimised.

    Args:
        discriminator: Scores codes.
        real: (N, w_dim) codes of the mapping network.
        fake: (M, w_dim) codes of the encoder.
    """
    return F.softplus(-discriminator(real)).mean(), F.softplus(discriminator(fake)).mean()


def adversarial(discriminator: nn.Module, ws: Tensor, stage: int) -> Tensor:
    """Measure how little a discriminator of codes is fooled: the encoder's non-saturating loss.

    Args:
        discriminator: Scores codes.
        ws: (B, num_ws, w_dim).
        stage: The last row that differs from the first; the rows behind it do not count.

    Returns:
        (B,), the mean over the rows.
    """
    return F.softplus(-discriminator(ws[:, : stage + 1])).mean(dim=1)


class LatentAdversary:
    """The discriminator with what trains it: an optimiser, a pool, and lazy regularisation.

    Attributes:
        discriminator: Scores codes, without gradients for its own weights between its turns.
        pool: Codes of the encoder seen before, this process's own.
        steps: Turns taken.
    """

    def __init__(self, w_dim: int, device: torch.device, options: Adversary = PLAIN):
        self.discriminator = CodeDiscriminator(w_dim).to(device).requires_grad_(False)
        same_everywhere(self.discriminator)
        self.optimiser = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.adversarial_lr
        )
        self.pool = CodePool(options.pool, w_dim, device)
        self.r1, self.r1_interval = options.r1, options.r1_interval
        self.steps = 0
        self.penalty = torch.zeros((), device=device)  # the last one that was computed

    def step(self, real: Tensor, ws: Tensor) -> dict[str, Tensor]:
        """Train the discriminator on codes of the encoder.

        Args:
            real: (N, w_dim) codes of the mapping network.
            ws: (N, num_ws, w_dim) codes of the encoder; a random row of each is looked at.

        Returns:
            The losses.
        """
        rows = torch.randint(ws.shape[1], (len(ws),), device=ws.device)
        fake = self.pool.exchange(ws.detach()[torch.arange(len(ws), device=ws.device), rows])
        self.discriminator.requires_grad_(True)
        of_real, of_fake = discriminator_losses(self.discriminator, real, fake)
        loss = of_real + of_fake
        numbers = {"loss_d_real": of_real.detach(), "loss_d_fake": of_fake.detach()}
        if self.r1 and self.steps % self.r1_interval == 0:
            penalty = r1_penalty(self.discriminator, real, nullcontext)
            loss = loss + penalty * (self.r1 / 2 * self.r1_interval)
            self.penalty = penalty.detach()
        numbers["r1"] = self.penalty
        loss.backward()
        average_gradients(self.discriminator)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.discriminator.requires_grad_(False)
        self.steps += 1
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the pool, which each process has its own of."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = state["steps"]
