"""What an encoder that is not the paper's adds to its heads: the codes, and a memory."""

import math

import torch
from torch import Tensor, nn

from restyle.encoders.attention import Attention


class Recurrence(nn.Module):
    """A gated recurrent unit for each code, and a linear layer that corrects what heads propose.

    The units (Cho et al. 2014; from step to step of a refinement as in RAFT, Teed and Deng, ECCV
    2020) share nothing. They correct nothing in the beginning, so that any trained encoder may be
    given them.

    Attributes:
        centre: (count, w_dim) the codes that inversions start from.
        spread: () root mean square of what codes of the generator differ from it by.
        replaced: (count, 1) the share of the current code, measured from the centre, that a
            proposal takes the place of: 0 for a residual, as ReStyle's heads propose, 1 for a
            code, as those of a single-shot encoder do. Learned from there.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        count: int,
        width: int,
        w_dim: int,
        sees_codes: bool,
        attention: Attention | None = None,
    ):
        """Build `count` units.

        Args:
            count: Codes.
            width: Length of a state.
            w_dim: Width of a code.
            sees_codes: Whether the unit is fed with its current code as well.
            attention: What it is fed with from the trunk's map, by its proposal and its code.
        """
        super().__init__()
        self.sees_codes, self.attention = sees_codes, attention
        bound, inputs = 1 / math.sqrt(width), w_dim * (1 + sees_codes)  # as nn.GRUCell has them
        inputs += attention.width if attention is not None else 0
        self.input_weight = nn.Parameter(torch.empty(count, inputs, 3 * width))
        self.state_weight = nn.Parameter(torch.empty(count, width, 3 * width))
        self.input_bias = nn.Parameter(torch.empty(count, 1, 3 * width))
        self.state_bias = nn.Parameter(torch.empty(count, 1, 3 * width))
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound)
        self.out_weight = nn.Parameter(torch.zeros(count, width, w_dim))
        self.out_bias = nn.Parameter(torch.zeros(count, 1, w_dim))
        self.replaced = nn.Parameter(torch.zeros(count, 1))
        self.register_buffer("centre", torch.zeros(count, w_dim))
        self.register_buffer("spread", torch.ones(()))

    @torch.no_grad()
    def measure(self, w_avg: Tensor, w: Tensor) -> None:
        """Learn where a generator's codes lie, from its average (w_dim,) and samples (N, w_dim)."""
        self.centre.copy_(w_avg.expand_as(self.centre))
        self.spread.copy_((w - w_avg).square().mean().sqrt())

    def forward(
        self, proposed: Tensor, ws: Tensor, state: Tensor, x: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Correct a proposal.

        Args:
            proposed: (B, count, w_dim) what the heads give.
            ws: (B, count, w_dim) the current codes.
            state: (B, count, width) the state before.
            x: (B, C, h, w) the trunk's map, where there is an attention.

        Returns:
            The proposal, corrected, and the state after, as they came.
        """
        inputs = [proposed / self.spread]
        if self.sees_codes:
            inputs.append(((ws - self.centre) / self.spread).to(proposed.dtype))
        if self.attention is not None and x is not None:
            inputs.append(self.attention(x, torch.cat(inputs, dim=-1)))
        before = state.to(proposed.dtype).transpose(0, 1)  # (count, B, width)
        seen = torch.cat(inputs, dim=-1).transpose(0, 1)
        from_input = torch.baddbmm(self.input_bias, seen, self.input_weight).chunk(3, dim=-1)
        from_state = torch.baddbmm(self.state_bias, before, self.state_weight).chunk(3, dim=-1)
        reset = torch.sigmoid(from_input[0] + from_state[0])
        keep = torch.sigmoid(from_input[1] + from_state[1])
        new = torch.tanh(from_input[2] + reset * from_state[2])
        after = new + keep * (before - new)
        correction = torch.baddbmm(self.out_bias, after, self.out_weight) * self.spread
        return proposed + correction.transpose(0, 1), after.transpose(0, 1)

    def residual(self, proposed: Tensor, ws: Tensor) -> Tensor:
        """Take what a proposal replaces of the current codes (B, count, w_dim) away from it."""
        return proposed - self.replaced * (ws - self.centre) if self.sees_codes else proposed
