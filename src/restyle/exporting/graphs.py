"""A model's networks in the form that is exported: one graph each, with named inputs and outputs.

Styles scale activations rather than weights, so that one convolution serves a whole batch; the
encoder takes target and current image apart from each other, so that its first convolution has no
six channels. Numbers go in and out as float32, whatever the graph computes in.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from restyle.encoders import Encoder, EncoderConfig
from restyle.model import ReStyle
from restyle.runtime.folded_encoder import in_precision, without_norms


class Graph(nn.Module):
    """A network that is exported.

    Attributes:
        outputs: Names of what it returns; its inputs are called as the arguments of `forward`.
        example: An input of each kind, of a batch of two.
    """

    outputs: ClassVar[tuple[str, ...]]
    example: tuple[Tensor, ...]


class EncoderGraph(Graph):
    """Predicts residuals, or codes if single-shot: the encoder, batch norms folded in."""

    outputs = ("residual",)

    def __init__(self, encoder: Encoder, dtype: torch.dtype):
        """Copy an encoder in a precision."""
        super().__init__()
        copy = without_norms(encoder)
        if encoder.config.trunk_channels == 6:
            stem = cast(nn.Sequential, copy.trunk.stem)
            stem[0] = _Stem(cast(nn.Conv2d, stem[0]))
        self.encoder, self.dtype = in_precision(copy, dtype), dtype
        # One tensor for both would make one input of the two.
        example = torch.zeros(2, encoder.config.input_channels, *encoder.config.input_size)
        self.example = tuple(picture.clone() for picture in example.split(3, dim=1))


class SingleShotGraph(EncoderGraph):
    """Sees the target alone."""

    def forward(self, target: Tensor) -> Tensor:
        """Map targets (B, 3, h, w), RGB in [-1, 1], to codes (B, num_ws, w_dim)."""
        return self.encoder.predict(target.to(self.dtype))[0]


class ReadingGraph(EncoderGraph):
    """Reads the code of one picture; a step is how those of two differ."""

    outputs = ("codes",)

    def __init__(self, encoder: Encoder, dtype: torch.dtype):
        """Copy an encoder in a precision."""
        super().__init__(encoder, dtype)
        self.example = self.example[:1]

    def forward(self, picture: Tensor) -> Tensor:
        """Map pictures (B, 3, h, w), RGB in [-1, 1], to codes (B, num_ws, w_dim)."""
        return self.encoder.read(picture.clamp(-1, 1).to(self.dtype))


class RefiningGraph(EncoderGraph):
    """Sees target and current image."""

    def forward(self, target: Tensor, current: Tensor) -> Tensor:
        """Map two images (B, 3, h, w), RGB in [-1, 1], to residuals (B, num_ws, w_dim)."""
        pictures = (target.to(self.dtype), current.to(self.dtype))
        return self.encoder.predict(cast(Tensor, pictures))[0]


class _Stem(nn.Module):
    """The first convolution, taken apart into one of each picture's three channels."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.parts = nn.ModuleList()
        for first, weight in enumerate(conv.weight.split(3, dim=1)):
            part = deepcopy(conv)
            part.in_channels, part.weight = 3, nn.Parameter(weight.contiguous(), False)
            part.bias = None if first else part.bias
            self.parts.append(part)

    def forward(self, pictures: tuple[Tensor, ...]) -> Tensor:
        return torch.stack([part(x) for part, x in zip(self.parts, pictures, strict=True)]).sum(0)


class GeneratorGraph(Graph):
    """Renders codes: synthesis with its stored noise, cut to the rows of the picture."""

    outputs = ("image", "current")

    def __init__(self, model: ReStyle, dtype: torch.dtype):
        """Copy a model's synthesis in a precision."""
        super().__init__()
        self.synthesis, self.dtype = deepcopy(model.generator.synthesis).to(dtype), dtype
        self.domain = model.domain
        self.example = (torch.zeros(2, *model.start_ws.shape),)

    def forward(self, ws: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, num_ws, w_dim) to images (B, 3, H, W), and to what the encoder sees of them.

        Both are RGB, about [-1, 1]; the second is area-pooled to the encoder's input size.
        """
        image = self.domain.crop_render(self.synthesis(ws.to(self.dtype)).float())
        return image, adaptive_avg_pool2d(image, self.domain.input_size)


class MappingGraph(Graph):
    """Maps z to w; always in float32, as it is small and its codes are kept."""

    outputs = ("w",)

    def __init__(self, model: ReStyle):
        """Copy a model's mapping network."""
        super().__init__()
        config = model.generator.config
        self.mapping = deepcopy(model.generator.mapping)
        self.example = (torch.zeros(2, config.z_dim),)


class PlainMappingGraph(MappingGraph):
    """Of a generator without classes."""

    def forward(self, z: Tensor) -> Tensor:
        """Map normal vectors (B, z_dim) to codes (B, w_dim)."""
        return self.mapping(z)


class ClassMappingGraph(MappingGraph):
    """Of a class-conditional generator."""

    def __init__(self, model: ReStyle):
        """Copy a model's mapping network."""
        super().__init__(model)
        self.example = (*self.example, torch.zeros(2, model.generator.config.label_dim))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Map normal vectors (B, z_dim) and one-hot labels (B, label_dim) to codes (B, w_dim)."""
        return self.mapping(z, labels)


def graphs_of(model: ReStyle, dtype: torch.dtype) -> Mapping[str, Graph]:
    """Return a model's networks as they are exported, by name: without an encoder, the others."""
    conditional = model.generator.config.label_dim
    graphs: dict[str, Graph] = {
        "generator": GeneratorGraph(model, dtype),
        "mapping": ClassMappingGraph(model) if conditional else PlainMappingGraph(model),
    }
    if model.has_encoder:
        graphs["encoder"] = _kind(model.encoder.config)(model.encoder, dtype)
    return {name: graph.eval() for name, graph in graphs.items()}


def _kind(config: EncoderConfig) -> type[EncoderGraph]:
    if config.siamese:
        return ReadingGraph
    return SingleShotGraph if config.input_channels == 3 else RefiningGraph
