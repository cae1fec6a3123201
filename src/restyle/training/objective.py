"""The objective of an encoder's training: the weighted sum of the losses that take part."""

from dataclasses import dataclass

import torch
from torch import Tensor

from restyle.inversion.curvature import Curvature
from restyle.losses.codes import curved_distance, delta_norms, w_norm
from restyle.losses.extraction import Extracted, extract
from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2
from restyle.losses.weighted import WeightedLosses
from restyle.training.latent_adversary import LatentAdversary, adversarial
from restyle.training.loaders import LossNetworks


@dataclass(frozen=True)
class Wanted:
    """A target (B, 3, h, w) and what the networks see in it, computed once for all steps.

    Attributes:
        image: The target itself.
        seen: What is compared for the perceptual and identity distance, if they take part.
        moco: Its features (B, F), if they are compared.
        ws: (B, num_ws, w_dim) a teacher's codes for it, if they are compared; NaN where it has
            none.
    """

    image: Tensor
    seen: Extracted
    moco: Tensor | None = None
    ws: Tensor | None = None

    def __getitem__(self, keep: slice) -> "Wanted":
        """Return some of the batch."""
        image, (maps, embedding), *rest = self.image, self.seen, self.moco, self.ws
        seen = Extracted([m[keep] for m in maps], None if embedding is None else embedding[keep])
        return Wanted(image[keep], seen, *(None if one is None else one[keep] for one in rest))


class Objective:
    """The whole loss of method and paper, all parts of which are optional.

    Attributes:
        weights: The losses that take part, and what they count.
        networks: What images are compared by.
        adversary: The discriminator of codes; None if it takes no part.
        curvature: What the distance of codes is measured by; None without one.
    """

    curvature: Curvature | None = None

    def __init__(
        self,
        weights: dict[str, float],
        networks: LossNetworks,
        average: Tensor,
        adversary: LatentAdversary | None = None,
    ):
        """Put the parts together; `average` (num_ws, w_dim) is what the w-norm starts from."""
        self.weights, self.networks, self.adversary = weights, networks, adversary
        self._average = average

    def of_methods(self, dtype: torch.dtype) -> WeightedLosses:
        """Return the part that methods minimise as well, by the same networks and weights.

        That is the squared error where images are not compared by a network's maps.
        """
        see, weights = self.networks, self.weights
        l2 = weights.get("l2", 0.0) if see.perceptual else 1.0
        parts = l2, weights.get("perceptual", 0.0), weights.get("identity", 0.0)
        return WeightedLosses(see.perceptual, *parts, dtype, see.identity)

    @torch.no_grad()
    def extract(self, target: Tensor, ws: Tensor | None = None) -> Wanted:
        """Look at a target (B, 3, h, w) in [-1, 1] once, for `losses` at every step.

        With it go a teacher's codes (B, num_ws, w_dim), where there is one.
        """
        see = self.networks
        return Wanted(
            target,
            extract(target, see.perceptual, see.identity),
            see.moco.embed(target) if see.moco else None,
            ws,
        )

    def losses(
        self,
        image: Tensor,
        ws: Tensor,
        wanted: Wanted,
        stage: int,
    ) -> dict[str, Tensor]:
        """Compare an image and its codes with what is wanted.

        Args:
            image: (B, 3, h, w) the render at the target's size.
            ws: (B, num_ws, w_dim) its codes.
            wanted: The target.
            stage: The last row of the codes that may differ from the first.

        Returns:
            Means over the batch: `loss`, the weighted sum, and each part by name; `l2` always.
        """
        parts = {"l2": l2(image, wanted.image)}
        see = self.networks
        seen = extract(image, see.perceptual, see.identity)
        if see.perceptual:
            parts["perceptual"] = perceptual(see.perceptual, seen.maps, wanted.seen.maps)
        if see.identity:
            parts["identity"] = identity(see.identity, seen.embedding, wanted.seen.embedding)
        if see.moco and wanted.moco is not None:
            parts["moco"] = identity(see.moco, image, wanted.moco)
        if "w_norm" in self.weights:
            parts["w_norm"] = w_norm(ws, self._average)
        if "delta_norm" in self.weights:
            parts["delta_norm"] = delta_norms(ws, stage).sum(dim=1)
        if self.adversary:
            parts["adversarial"] = adversarial(self.adversary.discriminator, ws, stage)
        if self.curvature is not None and wanted.ws is not None:
            codes = torch.where(wanted.ws.isnan(), ws.detach(), wanted.ws)
            parts["distillation"] = curved_distance(ws, codes, self.curvature.product)
        means = {name: values.mean() for name, values in parts.items()}
        # There are a teacher's codes in training alone; any other part has to be there.
        counted = [n for n in self.weights if n in means or n != "distillation"]
        total = torch.stack([self.weights[name] * means[name] for name in counted]).sum()
        return {"loss": total, **means}
