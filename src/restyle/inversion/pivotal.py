"""Pivotal tuning: the generator itself is tuned until a code's render is the target.

Source: Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images" (PTI).
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from restyle.generators.stylegan2 import StyleGAN2
from restyle.inversion.optimisation import Objective, descend
from restyle.io.checkpoints import FLOATS, CheckpointError, listed, weights_hash
from restyle.io.files import atomic_write
from restyle.io.tensors import read_tensors
from restyle.refine import Estimate, pool_to

_GENERATOR = "generator_sha256"


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
        pivots = start.ws.detach().clone()
        yield from descend(
            list(synthesis.parameters()),
            lambda _: Estimate(pivots, self._crop(synthesis(pivots))),
            lambda one: self._objective(pool_to(one.image, target), target).sum(),
            self.steps,
            self.lr,
            ramp=lambda _: 1.0,
        )
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

    def save(self, path: str | Path) -> int:
        """Write the changes as safetensors, with the generator's hash; return the size in bytes."""
        texts = {_GENERATOR: weights_hash(self._original.state_dict())}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(self.changes(), texts))
        return Path(path).stat().st_size


def tuned_generator(generator: StyleGAN2, path: str | Path) -> StyleGAN2:
    """Return a copy of the tuned generator with the changes that `PivotalTuning.save` wrote.

    Raises:
        CheckpointError: The file is damaged, or holds the changes of another generator.
    """
    changes, texts = read_tensors(Path(path), "a tuned generator", CheckpointError)
    expected, found = weights_hash(generator.state_dict()), texts.get(_GENERATOR, "no hash")
    if found != expected:
        raise CheckpointError(
            f"{path}: expected changes of the generator with hash {expected[:12]}, "
            f"got those of {found[:12]}"
        )
    result = copy.deepcopy(generator)
    tensors = result.state_dict()
    for name, change in changes.items():
        fits = name in tensors and tensors[name].shape == change.shape
        if not fits or change.dtype not in FLOATS or not change.isfinite().all():
            raise CheckpointError(
                f"{path}: expected changes of this generator, all finite, got {listed([name])}"
            )
        tensors[name] += change.to(tensors[name])
    return result
