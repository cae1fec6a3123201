"""The measures of a reconstruction: a new metric is an entry of `MEASURES` and of `Judge`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from restyle.faces.recognition import FaceRecognition
from restyle.io.checkpoints import weights_hash
from restyle.losses.extraction import extract
from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2
from restyle.metrics.pixels import ms_ssim, psnr
from restyle.refine import pool_to


class Measure(NamedTuple):
    """One figure: what it is called, and how it is read."""

    title: str
    digits: int
    higher_is_better: bool = False


MEASURES = {
    "mse": Measure("MSE", 4),
    "psnr": Measure("PSNR (dB)", 2, higher_is_better=True),
    "ms_ssim": Measure("MS-SSIM (at 256 px)", 3, higher_is_better=True),
    "perceptual": Measure("perceptual distance", 4),
    "identity": Measure("identity distance", 4),
    "lpips": Measure("LPIPS", 4),
    "objective": Measure("objective", 5),
    "similarity": Measure("identity similarity", 3, higher_is_better=True),
}
DRAWN = ("mse", "psnr", "ms_ssim", "perceptual", "identity")
"""Those that are usual for drawn portraits; the last two need their judge."""

MEASURED_BY = {"lpips": "lpips", "faces": "similarity"}
"""Which network of photographs gives which measure."""

NO_FACE = "no_face_in"
"""Beside the similarity, which is None then: "target", "reconstruction" or "both"."""


class PhotoNetworks(nn.Module):
    """The networks that photographs are judged by.

    Attributes:
        lpips: Gives `maps` for LPIPS.
        faces: Embeds faces for the identity similarity.
    """

    def __init__(self, lpips: Any = None, faces: FaceRecognition | None = None):
        super().__init__()
        self.lpips, self.faces = lpips, faces

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that they give."""
        return tuple(MEASURED_BY[name] for name, _ in self.named_children())

    def hashes(self) -> dict[str, str]:
        """Return SHA-256 over the weights of each."""
        networks = self.named_children()
        return {f"{name}_sha256": weights_hash(one.state_dict()) for name, one in networks}

    @torch.no_grad()
    def check_size(self, size: tuple[int, int]) -> None:
        """Check that pictures of a (height, width) can be measured.

        Raises:
            ValueError: They are too small for LPIPS.
        """
        if self.lpips is None:
            return
        try:
            device = next((p.device for p in self.lpips.parameters()), None)
            self.lpips.maps(torch.zeros(1, 3, *size, device=device))
        except RuntimeError as error:
            raise ValueError(
                f"expected pictures of at least 64 x 64 for LPIPS, got a model for {size}"
            ) from error


class Judge:
    """Measures reconstructions at the size of their targets; every image counts."""

    def __init__(
        self,
        network: Any,
        names: Sequence[str] = DRAWN,
        photo: PhotoNetworks | None = None,
        objective: Callable[[Tensor, Tensor], Tensor] | None = None,
    ):
        """Choose what is measured.

        Args:
            network: Gives `maps` and `embed` for the perceptual and the identity distance.
            names: Of the measures.
            photo: The networks for LPIPS and identity similarity.
            objective: What methods minimise, if that is measured.

        Raises:
            ValueError: There is no such measure, or not the network that it needs.
        """
        if unknown := sorted(set(names) - set(MEASURES)):
            raise ValueError(f"expected measures of {', '.join(MEASURES)}, got {unknown[0]!r}")
        photo = photo or PhotoNetworks()
        if lacking := {"lpips", "similarity"} & set(names) - set(photo.measures):
            raise ValueError(f"expected a network to measure {min(lacking)} with, got none")
        if "objective" in names and objective is None:
            raise ValueError("expected an objective to measure, got none")
        self.network, self.names, self.photo = network, tuple(names), photo
        self.objective: Any = objective

    @torch.no_grad()
    def against(self, target: Tensor) -> Callable[[Tensor], dict[str, list[Any]]]:
        """Prepare to measure against targets (B, 3, h, w) in [-1, 1].

        Returns:
            A function of images (B, 3, H, W), which are area-pooled to the target's size. It gives
            B values of every measure; with the similarity also `NO_FACE`.
        """
        looking = [
            self.network if name in self.names else None for name in ("perceptual", "identity")
        ]
        wanted = extract(target, *looking)
        lpips: Any = self.photo.lpips.maps(target) if "lpips" in self.names else None
        functions: dict[str, Callable[[Tensor, Any], Tensor]] = {
            "mse": lambda image, _: l2(image, target),
            "objective": lambda image, _: self.objective(image, target),
            "psnr": lambda image, _: psnr(image, target),
            "ms_ssim": lambda image, _: ms_ssim(image, target),
            "perceptual": lambda _, seen: perceptual(self.network, seen.maps, wanted.maps),
            "identity": lambda _, seen: identity(self.network, seen.embedding, wanted.embedding),
            "lpips": lambda image, _: perceptual(self.photo.lpips, image, lpips),
        }
        compare = self._similarity(target) if "similarity" in self.names else lambda _: {}

        @torch.no_grad()
        def measure(image: Tensor) -> dict[str, list[Any]]:
            small = pool_to(image, target)
            seen, found = extract(small, *looking), compare(small)
            plain = {n: functions[n](small, seen).tolist() for n in self.names if n in functions}
            return plain | found

        return measure

    def _similarity(self, target: Tensor) -> Callable[[Tensor], dict[str, list[Any]]]:
        """Compare faces by the cosine of their embeddings, None where one is not found."""
        faces = self.photo.faces
        assert faces is not None
        wanted, there = faces.embed(target)
        names = {(False, True): "target", (True, False): "reconstruction", (False, False): "both"}

        def compare(image: Tensor) -> dict[str, list[Any]]:
            embedding, found = faces.embed(image)
            cosines = (embedding * wanted).sum(dim=1).tolist()
            missing = [names.get(pair) for pair in zip(there.tolist(), found.tolist(), strict=True)]
            values = [c if m is None else None for c, m in zip(cosines, missing, strict=True)]
            return {"similarity": values, NO_FACE: missing}

        return compare
