"""StyleCLIP's mapper: a network that knows one text, and changes codes by it in one pass.

Source: Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
section 5: a fully connected network for each group of layers, which share the pictures' coarse,
middle and fine looks among them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restyle.editing.edits import GROUPS
from restyle.io.pretrained import PretrainedNetwork
from restyle.nn.layers import EqualLinear, leaky_relu, pixel_norm


@dataclass(frozen=True)
class MapperConfig:
    """What a mapper was trained for, and its size.

    Attributes:
        num_ws: Rows of the codes.
        w_dim: Their width.
        text: What it changes pictures to.
        generator_sha256: Hash of the generator's weights.
        depth: Layers of each group's network.
    """

    num_ws: int
    w_dim: int
    text: str
    generator_sha256: str
    depth: int = 4


class Mapper(nn.Module, PretrainedNetwork):
    """Maps codes to the steps that a text asks for.

    Attributes:
        config: What it was trained for.
        length: Mean length of its steps in deviations of the data.
    """

    kind, about, config_class = "mapper", "a mapper", MapperConfig
    length: Tensor

    def __init__(self, config: MapperConfig):
        """Build a mapper that does not move anything yet."""
        super().__init__()
        self.config = config
        self.rows = {
            name: range(config.num_ws)[slice(*ends)]
            for name, ends in GROUPS.items()
            if range(config.num_ws)[slice(*ends)]
        }
        self.groups = nn.ModuleDict({name: _Group(config) for name in self.rows})
        self.register_buffer("length", torch.ones(()))

    def forward(self, ws: Tensor) -> Tensor:
        """Map codes (B, num_ws, D) to the steps (B, num_ws, D) that are added to them."""
        parts = [self.groups[name](ws[:, rows]) for name, rows in self.rows.items()]
        return torch.cat(parts, dim=1)

    def step(self, ws: Tensor) -> Tensor:
        """Return the steps (B, num_ws, D), on average one deviation of the data long."""
        return self(ws) / self.length

    def check_generator(self, generator_sha256: str) -> None:
        """Refuse the codes of another generator.

        Raises:
            ValueError: The mapper was trained for another one.
        """
        if self.config.generator_sha256 != generator_sha256:
            raise ValueError(
                f"{self.folder or 'mapper'}: expected a mapper of this generator, got one of "
                f"another ('{self.config.text}')"
            )


class _Group(nn.Module):
    """The network of one group, which every row goes through alone."""

    def __init__(self, config: MapperConfig):
        super().__init__()
        width = config.w_dim
        self.inner = nn.ModuleList(EqualLinear(width, width) for _ in range(config.depth - 1))
        self.last = nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(x)
        for layer in self.inner:
            x = leaky_relu(layer(x))
        return self.last(x)
