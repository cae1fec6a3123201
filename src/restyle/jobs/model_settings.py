"""The options of jobs on models: frozen records, free of torch, as those of `settings` are."""

from __future__ import annotations

from dataclasses import dataclass

from restyle.runtime.options import Device, Dtype


@dataclass(frozen=True, kw_only=True)
class EstimateCurvature:
    """Estimate how an objective curves over a generator's codes: where `newton` begins.

    It is kept as curvature.safetensors in the model's folder if that is given, else in the cache;
    newton finds it in both, and estimates one itself where there is none. It belongs to one
    generator and one objective.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        features: The feature network whose distances are minimised beside the squared error, a
            bundled name or a folder; none to minimise that alone. [default: portraits-features for
            models of portraits, else none]
        probes: How often it is measured in a random direction, each a render and a backward pass;
            more are nearer to the truth.
        rank: Directions that are kept, at most half as many as probes; each takes two bytes for
            each number of the codes.
        overwrite: Estimate it again, and write over what is there.
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
    """

    model: str
    features: str | None = None
    probes: int = 4096
    rank: int = 512
    overwrite: bool = False
    device: Device = "auto"
    dtype: Dtype = "float32"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is below 1.
        """
        for name, number in (("probes", self.probes), ("rank", self.rank)):
            if number < 1:
                raise ValueError(f"{name}: expected a number of 1 or more, got {number}")


@dataclass(frozen=True, kw_only=True)
class MeasureStyles:
    """Measure how each channel of a generator's styles varies: the unit of edits in style space.

    The mean and the standard deviation of every channel, over 100,000 samples. They are kept as
    styles.safetensors in the model's folder if that is given, else in the cache; what needs them
    finds them in both, and measures them itself where there are none.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        overwrite: Measure them again, and write over what is there.
        device: Where to compute; auto is a GPU where there is one.
    """

    model: str
    overwrite: bool = False
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class MeasureRelevance:
    """Measure what each channel of a generator's styles changes in the embeddings of its pictures.

    That is what edits by text with global directions are made of. It is kept as
    relevance.safetensors in the model's folder if that is given, else in the cache, and belongs to
    one generator and one text-image network. An interrupted command goes on when it is repeated.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        text_network: The text-image network: portraits-text, a folder, or clip-vit-b-32 (pulled).
        samples: Pictures that are averaged over, each of which takes as many backward passes as the
            embedding has numbers.
        overwrite: Measure it again, and write over what is there.
        device: Where to compute; auto is a GPU where there is one.
    """

    model: str
    text_network: str = "portraits-text"
    samples: int = 64
    overwrite: bool = False
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Check the number.

        Raises:
            ValueError: It is below 2.
        """
        if self.samples < 2:
            raise ValueError(f"samples: expected a number of 2 or more, got {self.samples}")
