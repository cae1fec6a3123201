"""The options of every job: frozen records, free of torch, that the command line derives from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from restyle.jobs.checks import check_least, check_paste, check_truncation, normalise
from restyle.runtime.options import Device, Dtype, Fit, TextMethod


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Work on files, each of which costs only itself if it cannot be used.

    Attributes:
        inputs: Images, and folders that are searched for images with all that is below them.
        overwrite: Do again what is done already.
    """

    inputs: Sequence[str | Path]
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class _Precision:
    """Where networks run.

    Attributes:
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
    """

    device: Device = "auto"
    dtype: Dtype = "float32"


@dataclass(frozen=True, kw_only=True)
class _Photographs(_Precision):
    """Pictures that are made targets of an inversion.

    Attributes:
        fit: What becomes of a picture whose shape is not that of the encoder's input: it is
            stretched, its middle is cropped, or it is padded with white.
    """

    fit: Fit = "stretch"


@dataclass(frozen=True, kw_only=True)
class _Batches(_Files, _Photographs):
    """Inversion of files.

    Attributes:
        batch_size: Images that are inverted at once; up to four times as many are held in memory.
        align: Cut out the largest face of each input first, as `restyle align` does; the crops are
            kept in OUT/aligned. An input without a face fails.
        paste_back: Put the result back into the photograph, with a soft border (OUT/pasted); needs
            --align.
    """

    batch_size: int = 8
    align: bool = False
    paste_back: bool = False


@dataclass(frozen=True, kw_only=True)
class Invert(_Batches):
    """Find the latent codes of images, step by step.

    Writes for each input its reconstruction (OUT/reconstructions), the target, the average image
    and every step side by side (OUT/steps), and the latent codes of all steps (OUT/latents), and
    keeps a list of inputs, failures and timings (OUT/manifest.jsonl). An input that cannot be read
    is reported and costs only itself. Repeating the command goes on where it was interrupted: what
    is done with the same model and steps is not done again.

    Other methods than the encoder are w and ws (optimisation of one code, or of one for each
    layer), newton (second order; it knows the generator's curvature, see `restyle models
    curvature`), and pti (pivotal tuning of the generator, which is saved in OUT/generators), each
    with a number of iterations, joined by + where one starts from what the other found: ws:300,
    restyle:5+ws:100, restyle:2+newton:3, w:1000+pti:350. After @ a learning rate may follow:
    ws:1500@0.05; or for newton its iterations in a step, and the weight of a pull towards W, which
    keeps codes editable: newton:3@inner=8,pull=0.1. Of their steps a few are shown and kept.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the estimate is refined; auto goes on, image by image, as long as it helps,
            keeps the best estimate so far, and ends after 10 steps. [default: 5, or 1 for a
            single-shot encoder]
        method: As above, instead of --steps; with --steps auto the encoder and newton stop by
            themselves where they have no number: restyle:2+newton. [default: the encoder]
        features: What a method minimises beside the squared error: the distances of a feature
            network, a bundled name or a folder, of lpips-vgg, or of lpips-vgg+ir-se50 (pulled);
            none for that alone. [default: portraits-features for models of portraits, else none]
        out: The folder of the results.
        preview_resolution: Render all steps but the last only up to this height and width, a power
            of two: faster, and slightly different. [default: the full size]
        compile: Let torch.compile make the networks faster, which itself takes minutes.
    """

    model: str = "portraits"
    steps: int | Literal["auto"] | None = None
    method: str | None = None
    features: str | None = None
    out: Path = Path("results")
    preview_resolution: int | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        """Refuse options that exclude one another.

        Raises:
            ValueError: Two of them do, or a number is below 1.
        """
        normalise(self)
        check_least(self, 1, "steps", "batch_size", "preview_resolution")
        check_paste(self)
        if self.method is None and self.features is not None:
            raise ValueError("expected --features together with --method, got it alone")
        if self.method is not None and self.steps not in (None, "auto"):
            raise ValueError(
                f"expected --steps or --method, got both: write --method {self.method} alone, "
                f"whose numbers are its steps, or --steps {self.steps} for the encoder"
            )
        if self.method is not None and self.preview_resolution is not None:
            raise ValueError("expected --preview-resolution without --method, got both")


@dataclass(frozen=True, kw_only=True)
class Bootstrap(_Batches):
    """Translate images into a related domain, such as photographs into toons.

    One model begins the inversion, another goes on with it from the same codes and image (encoder
    bootstrapping). The results are those of `restyle invert`: the last image
    (OUT/reconstructions), the input and every step of both models side by side (OUT/steps), the
    codes (OUT/latents), and OUT/manifest.jsonl. An input that cannot be read costs only itself, and
    repeating the command goes on where it was interrupted.

    Attributes:
        source: The model that begins: a bundled model's name, a checkpoint folder, or another
            project's checkpoint file.
        target: The model that goes on. Its generator must have been fine-tuned from the source's.
        source_steps: Steps of the source; 1 is enough.
        steps: Steps of the target; 1 is enough for the bundled toons.
        out: The folder of the results.
    """

    source: str = "portraits"
    target: str = "portraits-toon"
    source_steps: int = 1
    steps: int = 1
    out: Path = Path("results/bootstrap")

    def __post_init__(self) -> None:
        """Check the counts."""
        normalise(self)
        check_least(self, 1, "source_steps", "steps", "batch_size")
        check_paste(self)


@dataclass(frozen=True, kw_only=True)
class Align(_Files):
    """Cut faces out of photographs, upright and framed as generators of faces know them.

    Writes OUT/aligned/NAME.png (with several faces NAME.face2.png and so on for the others), and
    keeps a list of inputs, faces and failures (OUT/manifest.jsonl). A photograph without a face is
    reported and costs only itself. Needs the extra `restyle[faces]`.

    Attributes:
        out: The folder of the results.
        size: Height and width of the crops in pixels.
        face: Which face of a photograph: the largest, all of them, or a number, where 1 is the
            largest.
    """

    out: Path
    size: int = 256
    face: int | Literal["largest", "all"] = "largest"

    def __post_init__(self) -> None:
        """Check the numbers."""
        normalise(self)
        check_least(self, 1, "face")
        if not 16 <= self.size <= 4096:
            raise ValueError(f"size: expected 16 to 4096 pixels, got {self.size}")


@dataclass(frozen=True, kw_only=True)
class _People(_Photographs):
    """Work on photographs, latents files and samples.

    Attributes:
        inputs: Images, latents files (.safetensors), and folders that are searched for both.
        seed: Numbers of the generator's own pictures, as `restyle sample` counts them; they come
            after the inputs, and need no encoder.
        truncation: Of those: 1 for the generator's full variety, 0 for the average picture.
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the inversion of a photograph is refined; auto as long as it helps it.
            [default: 5, or 1 for a single-shot encoder]
        align: Cut out the largest face of each photograph first, as `restyle align` does.
        overwrite: Do again, and write over, what is there already.
    """

    inputs: Sequence[str | Path] = ()
    seed: tuple[int, ...] = ()
    truncation: float = 1.0
    model: str = "portraits"
    steps: int | Literal["auto"] | None = None
    align: bool = False
    overwrite: bool = False
    _people: ClassVar[int | None] = None  # how many there must be; None for any number

    def __post_init__(self) -> None:
        """Check the numbers, and that somebody is there."""
        normalise(self)
        check_least(self, 1, "steps")
        check_least(self, 0, "seed")
        check_truncation(self.truncation)
        count = len(self.inputs) + len(self.seed)
        if count != self._people if self._people else count < 1:
            raise ValueError(
                f"expected {self._people or 'at least 1'} of images, latents files (.safetensors) "
                f"and --seed numbers, got {count}"
            )


@dataclass(frozen=True, kw_only=True)
class Edit(_People):
    """Change one thing about a picture: smile, turn, age, put glasses on, or what a text says.

    Photographs are inverted first; latents files of `restyle invert`, and samples, are edited as
    they are. Writes for each input a labelled strip (OUT/strips), the picture at every strength
    (OUT/images), the edited codes (OUT/latents), a film if asked for (OUT/videos), and a line of
    OUT/manifest.jsonl. A file that cannot be read costs only itself, and repeating the command goes
    on where it was interrupted.

    Attributes:
        direction: What changes: the name of a direction (`restyle directions list`), or its file,
            which may be a published one (.pt, .npy). Give this or --text.
        text: What the picture shall show, such as "a person with glasses". Needs a text-image
            network (portraits have one).
        neutral: What the text is compared with.
        text_method: How: one-pass, a network that was trained on pairs of pictures; global, a
            direction in style space; mapper, a network that was trained for this text; optimiser,
            a search for codes that the text fits; direct, a step along the gradient.
        mapper: The folder of the mapper (`restyle train mapper`).
        threshold: Of global, from 0 to 1: the relevance for the text below which a channel is left
            alone; the larger, the less changes besides. [default: 0.1, but 32 channels or more]
        text_network: The text-image network: portraits-text, a folder, or clip-vit-b-32 (pulled).
        strengths: How much, in standard deviations of the generator's codes along the direction, or
            of its pictures along the text: one number, several (-2,0,2), or first:last:count.
        also: Other edits that are there in every picture, such as yaw=-1 age=2.
        layers: The layers that change: coarse, middle, fine, or numbers such as 0-3,7. [default:
            those of the direction]
        video: Film the way from the first strength to the last one and back; mp4 needs the extra
            `restyle[video]`.
        out: The folder of the results.
        batch_size: Photographs that are inverted, and held in memory, at once.
        paste_back: Put the edited face back into the photograph, with a soft border (OUT/pasted);
            needs --align.
    """

    direction: str | None = None
    text: str | None = None
    neutral: str = "a person"
    text_method: TextMethod = "one-pass"
    mapper: str | None = None
    threshold: float | None = None
    text_network: str = "portraits-text"
    strengths: str = "-3:3:7"
    also: tuple[str, ...] = ()
    layers: str | None = None
    video: Literal["mp4", "gif"] | None = None
    out: Path = Path("results/edits")
    batch_size: int = 8
    paste_back: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, and that somebody is there."""
        super().__post_init__()
        check_least(self, 1, "batch_size")
        check_paste(self)
        if (self.direction is None) == (self.text is None):
            found = "neither" if self.text is None else "both"
            raise ValueError(f"expected --direction or --text, got {found}")


@dataclass(frozen=True, kw_only=True)
class Mix(_People):
    """Give the coarse, the middle or the fine layers of one person to another.

    The two people are images, latents files or samples.

    Attributes:
        out: The strip that is written: the first person, the first one with each group of layers of
            the second one, the second one.
    """

    out: Path
    _people: ClassVar[int | None] = 2


@dataclass(frozen=True, kw_only=True)
class Animate(_People):
    """Film the steps of an inversion, or the way from person to person.

    Of one photograph (or the latents file of its inversion) the film shows the way from the average
    image through every step; of several inputs the way from each to the next one. An MP4 file needs
    the extra `restyle[video]`.

    Attributes:
        out: The film, a name that ends in .mp4 or .gif.
        frames: From each stop to the next one.
    """

    out: Path
    frames: int = 25

    def __post_init__(self) -> None:
        """Check the numbers, and that somebody is there."""
        super().__post_init__()
        check_least(self, 1, "frames")


@dataclass(frozen=True, kw_only=True)
class Sample(_Precision):
    """Make pictures that a generator draws by itself.

    Writes each picture (OUT/images), its latent codes (OUT/latents), the first pictures side by
    side (OUT/grids), and a list of them (OUT/manifest.jsonl). A number always gives the same
    picture: `restyle edit`, `mix` and `animate` take it as --seed.

    Attributes:
        generator: A bundled model's name, a checkpoint folder, or another project's file, of a
            model or of a generator alone.
        n: How many.
        seed: The number of the first one.
        truncation: 1 for the generator's full variety, 0 for the average picture.
        out: The folder of the results.
    """

    generator: str = "portraits"
    n: int = 16
    seed: int = 0
    truncation: float = 1.0
    out: Path = Path("results/samples")

    def __post_init__(self) -> None:
        """Check the numbers."""
        normalise(self)
        check_least(self, 1, "n")
        check_least(self, 0, "seed")
        check_truncation(self.truncation)


@dataclass(frozen=True, kw_only=True)
class Render:
    """Draw portraits into a folder, with a table of what is known about them.

    Writes OUT/images/NUMBER.png and, for each, a line of OUT/metadata.jsonl: identity, attributes,
    landmarks in pixels, and a caption. A number always gives the same portrait. Repeating the
    command goes on where it was interrupted.

    Attributes:
        out: The folder of the portraits.
        count: How many.
        style: How they are drawn.
        split: Which people; no person is in two splits.
        size: Height and width in pixels.
        start: The number of the first one.
        parquet: Write the table as OUT/metadata.parquet as well.
    """

    out: Path
    count: int = 1000
    style: Literal["photo", "toon"] = "photo"
    split: Literal["train", "val", "test"] = "train"
    size: int = 128
    start: int = 0
    parquet: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        normalise(self)
        check_least(self, 1, "count")
        check_least(self, 16, "size")
        check_least(self, 0, "start")
