"""Trainings of what edits by text need: records of options, free of torch, as in `config`."""

from dataclasses import dataclass
from pathlib import Path

from restyle.training.config import RunOptions
from restyle.training.options import check, check_shares


@dataclass(frozen=True)
class TextTraining(RunOptions):
    """A training of a text-image network for portraits.

    Attributes:
        export: Folder for the finished network and its card; None for no export.
        images: Pairs of a picture and a caption to train on, over all processes.
        batch: Pairs in a step, over all processes.
        fresh: Share of a batch whose pictures are drawn anew; those of the rest were drawn some
            steps before, and get other captions.
        pool: Pictures that are kept for that, per process: what the network's frozen trunk found.
        initial: The feature network whose trunk the image side has, of preset text by default.
        hidden: Width of the image side's layer behind the trunk.
        embedding: Length of the embeddings.
        width: Of a word.
        lr: AdamW's largest learning rate.
    """

    out: Path = Path("runs/text")
    export: Path | None = None
    images: int = 400_000
    batch: int = 64
    fresh: float = 0.125
    pool: int = 65_536
    initial: str = "runs/features-text/network"
    hidden: int = 120
    embedding: int = 128
    width: int = 64
    lr: float = 2e-3

    def __post_init__(self):
        """Refuse what cannot be trained, before anything is loaded.

        Raises:
            ValueError: An option out of its range, or a batch that cannot be divided.
        """
        check(self)
        check_shares(self.batch, self.processes)


@dataclass(frozen=True)
class MapperTraining(RunOptions):
    """A training of StyleCLIP's mapper: a network that changes codes by one text.

    Attributes:
        text: What pictures shall show, such as "a person with glasses".
        generator: Whose codes are changed: folder, bundled name, pulled name or checkpoint file.
        text_network: Knows which words fit a picture: portraits-text, clip-vit-b-32 (pulled), or a
            folder.
        identity_network: Network of the identity loss: a bundled name, a folder, ir-se50 (pulled)
            or its file.
        images: Samples of the generator to train on, over all processes.
        batch: Samples in a step, over all processes.
        l2: Weight of the squared length of the steps, in the variance of the generator's codes.
        identity: Weight of one minus the cosine of the identity embeddings.
        lr: Adam's learning rate at the beginning; it falls evenly to zero.
    """

    out: Path = Path("runs/mapper")
    text: str = ""
    generator: str = "portraits"
    text_network: str = "portraits-text"
    identity_network: str = "portraits-features"
    images: int = 8_000
    batch: int = 8
    l2: float = 1.0
    identity: float = 0.2
    lr: float = 2e-3

    def __post_init__(self):
        """Refuse what cannot be trained, before anything is loaded.

        Raises:
            ValueError: An option out of its range, or a batch that cannot be divided.
        """
        check(self)
        check_shares(self.batch, self.processes)


@dataclass(frozen=True)
class OnePassTraining(RunOptions):
    """A training of a network that edits by text in one pass.

    Attributes:
        export: Folder for the finished network and its card; None for no export.
        model: Whose codes are edited: a model's name, a checkpoint folder, or another project's
            file.
        text_network: The text-image network, as `restyle edit` takes it.
        pictures: Pictures of the generator, any two of which are a pair.
        images: Pairs to train on.
        batch: Pairs in a step.
        hidden: Width of the layers.
        blur: Noise on the changes of embeddings, in their deviation.
        lr: AdamW's largest learning rate.
    """

    out: Path = Path("runs/one-pass")
    export: Path | None = None
    model: str = "portraits"
    text_network: str = "portraits-text"
    pictures: int = 8_192
    images: int = 1_000_000
    batch: int = 256
    hidden: int = 256
    blur: float = 0.3
    lr: float = 1e-3

    def __post_init__(self):
        """Refuse what cannot be trained, before anything is loaded.

        Raises:
            ValueError: An option out of its range, or several processes.
        """
        check(self)
        if self.processes != 1:
            raise ValueError(f"processes: expected 1 for this training, got {self.processes}")
