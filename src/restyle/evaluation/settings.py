"""Configurations of all measurements, free of torch; the command line derives from them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from restyle.runtime.options import Device, Dtype, TextMethod

MeasureName = Literal["mse", "psnr", "ms_ssim", "perceptual", "identity", "objective"]

WHERE = ("out", "device", "batch_size")
"""The fields that no figure depends on."""


def determining(config: Any, *free: str) -> dict[str, Any]:
    """Return the fields of a record that the figures depend on, without those named."""
    names = [field.name for field in fields(config) if field.name not in (*WHERE, *free)]
    return {name: getattr(config, name) for name in names}


@dataclass(frozen=True)
class _Counted:
    LEAST: ClassVar[dict[str, int]] = {"seed": 0}
    """The least values of whole numbers, where it is not 1."""

    def __post_init__(self):
        """Refuse counts below the least ones."""
        for one in fields(self):
            found, least = getattr(self, one.name), self.LEAST.get(one.name, 1)
            if type(found) is int and found < least:
                raise ValueError(f"{one.name}: expected a number of {least} or more, got {found}")


@dataclass(frozen=True, kw_only=True)
class _Judged(_Counted):
    """A measurement by a feature network.

    Attributes:
        judge: The feature network that judges, a bundled name or a folder.
    """

    judge: str = "portraits-judge"


@dataclass(frozen=True, kw_only=True)
class _Batches(_Counted):
    """A measurement in batches.

    Attributes:
        batch_size: Images at once.
        device: Where to compute; auto is a GPU where there is one.
    """

    batch_size: int = 16
    device: Device = "auto"


@dataclass(frozen=True)
class Comparison(_Judged, _Batches):
    """Compare models and methods on the same images: how good each is, and what it costs.

    Attributes:
        model: Bundled models' names, checkpoint folders, or other projects' checkpoint files.
        methods: Methods of inversion: restyle (the encoder), w and ws (optimisation of one code, or
            of one for each layer), newton (second order), projector (one code and the generator's
            noise), and pti (pivotal tuning, image by image), each with a number of steps, joined by
            + where one starts from what the other found: restyle:10, restyle:5+ws:100,
            restyle:2+newton:3, w:1000+pti:350. After @ a learning rate may follow: ws:1500@0.05.
            Those without an encoder are run once for models that share a generator.
        data: portraits or toon (test split), or a folder of images.
        images: The first N of them. [default: 512 portraits, or all of a folder]
        optimised: Optimisation and pivotal tuning, which take minutes an image, invert the first N
            of these.
        measures: What is measured; the perceptual and the identity distance need the judge, and
            objective is what optimisation minimises, of whose time the others' is told where they
            are as near. [default: all but that for drawn portraits, else those without the judge]
        features: The feature network whose distances optimisation minimises beside the squared
            error, lpips-vgg+ir-se50 (pulled), or none. [default: portraits-features for drawn
            portraits, else none]
        lpips: Measure LPIPS with AlexNet or VGG-16; needs the pulled models alexnet and lpips-alex,
            or vgg16 and lpips-vgg.
        identity_network: Measure identity similarity with this network: the file or the pulled name
            of CurricularFace's (curricularface) or ArcFace's (ir-se50).
        mtcnn: The three files of the detector that identity similarity needs: pnet.npy, rnet.npy,
            onet.npy.
        out: The folder of the results.
        dtype: The precision of inverting; what judges has float32.
    """

    model: tuple[str, ...] = ("portraits",)
    methods: tuple[str, ...] = ("restyle:10",)
    data: str = "portraits"
    images: int | None = None
    optimised: int = 64
    measures: tuple[MeasureName, ...] = ()
    features: str | None = None
    lpips: Literal["alex", "vgg"] | None = None
    identity_network: str | None = None
    mtcnn: tuple[str, ...] = ()
    out: Path = Path("results/evaluation")
    dtype: Dtype = "float32"


@dataclass(frozen=True)
class GeneratorEvaluation(_Judged):
    """Judge the samples of generators of portraits.

    Fréchet distance, precision and recall in the judge's features against as many test portraits;
    how often glasses, beards, hats and kinds of hair are seen, beside the truth; the energy of fine
    detail (grey, Hann window, mean power by radius) as a share of the data's; and the error that
    W+ optimisation leaves on test portraits, with what it misses in the highest octave as a share
    of their energy there. Prints tables and writes OUT/results.json.

    Attributes:
        folders: Generators or models: checkpoint folders (snapshots of a training too), bundled
            names, or other projects' files.
        out: The folder of the results.
        samples: How many samples, and test portraits.
        images: Test portraits to optimise.
        iterations: Steps of the optimisation.
        lr: Its learning rate at its highest.
        data: portraits or toon.
    """

    folders: tuple[str, ...]
    out: Path = Path("results/generator")
    samples: int = 10_000
    images: int = 32
    iterations: int = 300
    lr: float = 0.1
    data: str = "portraits"


@dataclass(frozen=True)
class FeatureEvaluation(_Counted):
    """Measure a feature network on test portraits, two views of every person.

    Attributes:
        name: A bundled name or a folder.
        persons: How many.
    """

    name: str = "portraits-judge"
    persons: int = 2048


@dataclass(frozen=True)
class EditingEvaluation(_Judged, _Batches):
    """Measure how well inversions can be edited, against portraits that are truly changed.

    Attributes:
        model: Models of portraits: bundled names or checkpoint folders.
        methods: Of inversion, as `restyle evaluate` takes them.
        attributes: Those that are changed. [default: all that there are directions for]
        directions: A folder of directions. [default: those that come with the package]
        images: Test portraits.
        features: The feature network whose distances optimisation minimises beside the squared
            error.
        out: The folder of the results.
    """

    model: tuple[str, ...] = ("portraits",)
    methods: tuple[str, ...] = ("restyle",)
    attributes: tuple[str, ...] = ()
    directions: str | None = None
    images: int = 128
    features: str = "portraits-features"
    out: Path = Path("results/editing")


@dataclass(frozen=True)
class TextNetworkEvaluation(_Counted):
    """Measure how well a text-image network knows portraits: retrieval, and zero-shot classes.

    Attributes:
        name: portraits-text, clip-vit-b-32 (pulled), or a folder.
        portraits: Test portraits, each with its complete caption.
    """

    name: str = "portraits-text"
    portraits: int = 1000


TextMethodName = Literal["labelled"] | TextMethod


@dataclass(frozen=True)
class TextEvaluation(_Judged, _Batches):
    """Measure edits of inversions by text, against portraits that are truly changed.

    Attributes:
        model: Models of portraits: bundled names or checkpoint folders.
        methods: Of inversion, as `restyle evaluate` takes them.
        text_methods: Of edits; labelled is the direction of the same attribute, which no text made.
        prompts: Attributes whose prompts are used. [default: all 20 of them]
        mappers: A folder with the run folder of a mapper for each prompt, named as its attribute.
        images: Test portraits.
        text_network: Knows which words fit a picture: portraits-text, or a folder.
        features: The feature network whose distances optimisation minimises beside the squared
            error.
        out: The folder of the results.
    """

    model: tuple[str, ...] = ("portraits", "portraits-e4e")
    methods: tuple[str, ...] = ("restyle",)
    text_methods: tuple[TextMethodName, ...] = ("labelled", "direct", "global", "one-pass")
    prompts: tuple[str, ...] = ()
    mappers: Path = Path("runs/mappers")
    images: int = 16
    text_network: str = "portraits-text"
    features: str = "portraits-features"
    out: Path = Path("results/text")


@dataclass(frozen=True)
class DragEvaluation(_Judged, _Counted):
    """Measure how near dragged points come to where the truth has them.

    The renderer draws the same person with the mouth, the eyes or the turn of the head truly
    changed. Points of the inverted portrait are dragged to where that drawing has them; the judge
    says where they are then. Beside it stands the direction that does the same, at the strength
    that comes nearest.

    Attributes:
        model: A model of portraits: a bundled name or a checkpoint folder.
        images: Test portraits.
        steps: Steps of dragging, at most.
        least: A point counts where the truth moves it by this many pixels or more, of a picture of
            128 pixels.
        device: Where to compute; auto is a GPU where there is one.
        out: The folder of the results.
    """

    model: str = "portraits"
    images: int = 64
    steps: int = 60
    least: float = 3.0
    device: Device = "auto"
    out: Path = Path("results/drag")


@dataclass(frozen=True)
class BootstrappingEvaluation(_Judged, _Batches):
    """Measure bootstrapping against the renderer's true toon of each test portrait.

    Attributes:
        source: The model that begins, as `restyle bootstrap` takes it.
        target: The model that goes on; alone, from its average, it is what it is compared with.
        source_steps: Steps of the source.
        steps: Steps of the target, at most; the figures are given for each number of them.
        images: Test portraits.
        out: The folder of the results.
    """

    source: str = "portraits"
    target: str = "portraits-toon"
    source_steps: int = 1
    steps: int = 10
    images: int = 128
    out: Path = Path("results/bootstrapping")


@dataclass(frozen=True)
class CrossDomainEvaluation(_Judged):
    """Measure whether two generators draw the same person of the same code, each in its style.

    Attributes:
        source: The generator whose mapping network gives the codes: a model's name or a folder.
        target: The other one.
        samples: Codes, and people that the renderer draws in both styles.
        out: The folder of the results.
    """

    source: str = "portraits"
    target: str = "portraits-toon"
    samples: int = 1_000
    out: Path = Path("results/crossing")


@dataclass(frozen=True)
class LoopAnalysis(_Batches):
    """Show how the loop works inside a model.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file;
            its encoder must see the current image.
        other: Another model of the same generator, such as a single-shot one, to start from.
        data: portraits or toon (test split), or a folder of images.
        images: The first N of them. [default: 256 portraits, or all of a folder]
        steps: How often the estimate is refined, 10 times or more.
        towards: A method such as restyle:2+newton:10, to measure how much each step adds of the way
            to where it ends; it takes as long as the inversions.
        out: The folder of the results.
    """

    model: str = "portraits"
    other: str | None = None
    data: str = "portraits"
    images: int | None = None
    steps: int = 20
    towards: str | None = None
    out: Path = Path("results/analysis")

    LEAST = {"steps": 10}


@dataclass(frozen=True)
class DirectionSearch(_Judged):
    """Find directions of a generator of portraits, one for each attribute.

    Attributes:
        out: The folder of the directions.
        generator: A model's name, a checkpoint folder, or another project's file.
        labeller: The feature network that labels, a bundled name or a folder.
        samples: Labelled samples.
        trials: Samples that the labeller chooses by between a direction's variants.
        checks: Samples that the judge measures.
        seed: Of the samples.
        licence: Of the directions.
        attributes: Those that directions are looked for; all the others are held still.
            [default: all of them]
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision of the pictures that the labeller sees; the judge's are float32.
        overwrite: Replace the directions that another search has left in OUT.
    """

    out: Path
    generator: str = "portraits"
    labeller: str = "portraits-features"
    samples: int = 10_000
    trials: int = 24
    checks: int = 64
    seed: int = 0
    licence: str = "MIT"
    attributes: tuple[str, ...] = ()
    device: Device = "auto"
    dtype: Dtype = "float32"
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class ChannelSearch(_Judged):
    """Find the channel of style space that moves each attribute of portraits, and little else.

    The labeller says how much each channel changes each attribute, and chooses among the purest
    ones on other samples; the judge measures the one that is chosen, beside the direction in W on
    the same pictures. Writes NAME.safetensors, directions of space S, and OUT/rows.jsonl; repeating
    the command goes on where it was interrupted.

    Attributes:
        out: The folder of the channels.
        generator: A model's name, a checkpoint folder, or another project's file.
        labeller: The feature network that labels, a bundled name or a folder.
        samples: Samples over which each channel's effects are measured.
        trials: Samples on which the labeller chooses.
        checks: Samples that the judge measures.
        seed: Of the samples.
        licence: Of the directions.
        attributes: Those that channels are looked for. [default: all of them]
        directions: A folder of directions in W to compare with. [default: the bundled ones]
        device: Where to compute; auto is a GPU where there is one.
    """

    out: Path
    generator: str = "portraits"
    labeller: str = "portraits-features"
    samples: int = 32
    trials: int = 8
    checks: int = 24
    seed: int = 0
    licence: str = "MIT"
    attributes: tuple[str, ...] = ()
    directions: str | None = None
    device: Device = "auto"
