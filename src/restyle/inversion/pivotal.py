"""Pivotal tuning: the generator itself is tuned until a code's render is the target.

Source: Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images" (PTI).
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from restyle.generators.stylegan2 import StyleGAN2
from restyle.inversion.optimisation import Objective
from restyle.io.checkpoints import FLOATS, CheckpointError, listed
from restyle.io.files import atomic_write
from restyle.refine import Estimate, pool_to


class PivotalTuning:
    """Tunes a copy of a generator around the codes (the pivots) of a start, which stay as they are.

    One call tunes for all images of its batch together; tune for one image at a time where each is
    to have a generator of its own. The locality regularisation of the paper is not used, as in its
    authors' own programme.

    Attributes:
        generator: The copy, as the last call has tuned it so far.
    """

    def __init__(
        self,
        generator: StyleGAN2,
        objective: Objective,
        steps: int = 350,
        lr: float = 3e-4,
        crop: Callable[[Tensor], Tensor] = lambda image: image,
    ):
        """Take what is to be tuned.

        Args:
            generator: It is not changed.
            objective: What is minimised.
            steps: How many steps to take.
            lr: Adam's learning rate.
            crop: What becomes of a render before it is compared and yielded.
        """
        self._original = generator
        self._objective = objective
        self._crop = crop
        self.steps, self.lr = steps, lr
        self.generator = generator

    def __call__(self, target: Tensor, start: Estimate) -> Iterator[Estimate]:
        """Tune for targets (B, 3, h, w) in [-1, 1]; yields the estimate after each step.

        The codes of every estimate are those of the start.
        """
        self.generator = copy.deepcopy(self._original)
        synthesis = self.generator.synthesis.requires_grad_(True)
        parameters = list(synthesis.parameters())
        optimiser = torch.optim.Adam(parameters, lr=self.lr)
        pivots = start.ws.detach().clone()
        with torch.enable_grad():
            image = self._crop(synthesis(pivots))
        for _ in range(self.steps):
            with torch.enable_grad():
                distance = self._objective(pool_to(image, target), target).sum()
                gradients = torch.autograd.grad(distance, parameters, allow_unused=True)
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                optimiser.step()
                image = self._crop(synthesis(pivots))
            yield Estimate(pivots, image.detach())
        synthesis.requires_grad_(False)

    def changes(self) -> dict[str, Tensor]:
        """Return what was added to each tensor that changed, in half precision.

        Differences are small, so half precision loses next to nothing of the weights.
        """
        tuned = self.generator.state_dict()
        changes = {
            name: (tuned[name] - tensor).half().cpu().contiguous()
            for name, tensor in self._original.state_dict().items()
            if tensor.is_floating_point()
        }
        return {name: change for name, change in changes.items() if change.any()}

    def save(self, path: str | Path, metadata: Mapping[str, str] | None = None) -> int:
        """Write the changes as safetensors, beside texts; return the file's size in bytes."""
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(self.changes(), dict(metadata or {})))
        return Path(path).stat().st_size


def tuned_generator(generator: StyleGAN2, path: str | Path) -> StyleGAN2:
    """Return a copy of the tuned generator with the changes that `PivotalTuning.save` wrote.

    Raises:
        CheckpointError: The file is damaged, or holds the changes of another generator.
    """
    result = copy.deepcopy(generator)
    tensors = result.state_dict()
    try:
        changes = load_file(path)
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise CheckpointError(f"{path}: expected a tuned generator, got: {error}") from error
    for name, change in changes.items():
        fits = name in tensors and tensors[name].shape == change.shape
        if not fits or change.dtype not in FLOATS or not change.isfinite().all():
            raise CheckpointError(
                f"{path}: expected changes of this generator, all finite, got {listed([name])}"
            )
        tensors[name] += change.to(tensors[name])
    return result
