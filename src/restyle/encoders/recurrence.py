"""From what the heads see in a step to its residual, with a memory of the steps before."""

import math

import torch
from torch import Tensor, nn


class Recurrence(nn.Module):
    """A gated recurrent unit for each code, and a linear layer that makes residuals of its state.

    The units (Cho et al. 2014; from step to step of a refinement as in RAFT, Teed and Deng, ECCV
    2020) share nothing. Residuals are zero in the beginning.

    Attributes:
        centre: (count, w_dim) the codes that inversions start from.
        spread: () root mean square of what codes of the generator differ from it by.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, count: int, width: int, w_dim: int, sees_codes: bool):
        """Build `count` units of `width` numbers, each fed with as many features.

        Args:
            count: Codes.
            width: Length of a state, and of what a head gives.
            w_dim: Width of a code.
            sees_codes: Whether the unit is fed with its current code as well.
        """
        super().__init__()
        self.count, self.width, self.sees_codes = count, width, sees_codes
        bound, inputs = 1 / math.sqrt(width), width + w_dim * sees_codes  # as nn.GRUCell has them
        self.input_weight = nn.Parameter(torch.empty(count, inputs, 3 * width))
        self.state_weight = nn.Parameter(torch.empty(count, width, 3 * width))
        self.input_bias = nn.Parameter(torch.empty(count, 1, 3 * width))
        self.state_bias = nn.Parameter(torch.empty(count, 1, 3 * width))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        self.out_weight = nn.Parameter(torch.zeros(count, width, w_dim))
        self.out_bias = nn.Parameter(torch.zeros(count, 1, w_dim))
        self.register_buffer("centre", torch.zeros(count, w_dim))
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def measure(self, w_avg: Tensor, w: Tensor) -> None:
        """Learn where a generator's codes lie, from its average (w_dim,) and samples (N, w_dim)."""
        self.centre.copy_(w_avg.expand_as(self.centre))
        self.spread.copy_((w - w_avg).square().mean().sqrt())

    def forward(self, features: Tensor, ws: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Correct codes once.

        Args:
            features: (B, count, width) what the heads see.
            ws: (B, count, w_dim) the current codes.
            state: (B, count, width) the state before.

        Returns:
            Residuals (B, count, w_dim), and the state after, as `state`.
        """
        inputs = [features]
        if self.sees_codes:
            inputs.append(((ws - self.centre) / self.spread).to(features.dtype))
        before = state.to(features.dtype).transpose(0, 1)  # (count, B, width)
        seen = torch.cat(inputs, dim=-1).transpose(0, 1)
        from_input = torch.baddbmm(self.input_bias, seen, self.input_weight).chunk(3, dim=-1)
        from_state = torch.baddbmm(self.state_bias, before, self.state_weight).chunk(3, dim=-1)
        reset = torch.sigmoid(from_input[0] + from_state[0])
        keep = torch.sigmoid(from_input[1] + from_state[1])
        new = torch.tanh(from_input[2] + reset * from_state[2])
        after = new + keep * (before - new)
        residual = torch.baddbmm(self.out_bias, after, self.out_weight) * self.spread
        return residual.transpose(0, 1), after.transpose(0, 1)
