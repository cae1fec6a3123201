"""`restyle evaluate`: how good models are."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from restyle.cli.options import Count, Device, Dtype, OptionalCount

app = App(
    name="evaluate",
    help="Measure how good models are. Repeating a command goes on where it was interrupted.",
    default_parameter=Parameter(consume_multiple=True, negative_iterable=""),
)


@app.default
def compare(
    *,
    model: list[str] | None = None,
    methods: list[str] | None = None,
    data: str = "portraits",
    images: OptionalCount = None,
    optimised: Count = 64,
    measures: list[Literal["mse", "psnr", "ms_ssim", "perceptual", "identity"]] | None = None,
    judge: str = "portraits-judge",
    features: str | None = None,
    lpips: Literal["alex", "vgg"] | None = None,
    identity_network: str | None = None,
    mtcnn: list[str] | None = None,
    out: Path = Path("results/evaluation"),
    batch_size: Count = 16,
    device: Device = "auto",
    dtype: Dtype = "float32",
) -> None:
    """Compare models and methods on the same images: how good each is, and what it costs.

    Writes OUT/report.html, which stands alone, its pictures, OUT/results.json, and a line for each
    method, image and step to OUT/rows.jsonl. More models, methods and images can be added by
    repeating the command with them. Files that cannot be used are named, and cost only themselves.

    Methods are restyle (the encoder), w and ws (optimisation of one code, or of one for each
    layer), projector (one code and the generator's noise), and pti (pivotal tuning), each with a
    number of steps, joined by + where one starts from what the other found: restyle:10, ws:1500,
    restyle:5+ws:100, w:1000+pti:350. After @ a learning rate may follow: ws:1500@0.05.

    Photographs are judged by LPIPS and by the identity similarity of the literature, where their
    networks are given: faces are found by MTCNN, turned upright and embedded; of images without a
    face it is said in which picture none was found.

    Args:
        model: Bundled models' names, checkpoint folders, or other projects' checkpoint files.
            [default: portraits]
        methods: As above. [default: restyle:10]
        data: portraits or toon (test split), or a folder of images.
        images: The first so many of them. [default: 512 portraits, or all of a folder]
        optimised: Optimisation and pivotal tuning, which take minutes an image, invert the first so
            many of these.
        measures: What is measured; the last two need the judge. [default: all of them for drawn
            portraits, else those without the judge]
        judge: The feature network that judges, a bundled name or a folder.
        features: The one whose distances optimisation minimises, beside the squared error; none to
            minimise that alone. [default: portraits-features for drawn portraits, else none]
        lpips: Measure LPIPS with AlexNet or VGG-16; needs the pulled models alexnet and lpips-alex,
            or vgg16 and lpips-vgg.
        identity_network: Measure identity similarity with this network: the file or the pulled name
            of CurricularFace's (curricularface) or ArcFace's (ir-se50).
        mtcnn: The three files of the detector that identity similarity needs: pnet.npy, rnet.npy,
            onet.npy.
        out: The folder of the results.
        batch_size: Images at once.
        device: Where to compute.
        dtype: The precision of inverting; what judges has float32.
    """
    from restyle.cli.photographs import photo_networks
    from restyle.evaluation.compare import Comparison, default_measures, optimised_by
    from restyle.evaluation.compare import compare as run
    from restyle.evaluation.comparison_report import write_report

    config = Comparison(
        models=tuple(model or ["portraits"]),
        methods=tuple(methods or ["restyle:10"]),
        data=data,
        images=images,
        optimised=optimised,
        judge=judge,
        features=optimised_by(data) if features is None else features,
        measures=tuple(measures or default_measures(data)),
        dtype=dtype,
    )
    photo = photo_networks(lpips, identity_network, mtcnn or [])
    print(write_report(run(config, out, device, batch_size, photo), out, _command()))
    print(f"\nThe report is {out / 'report.html'}")


@app.command
def generator(
    *folders: Annotated[str, Parameter(required=True)],
    out: Path = Path("results/generator"),
    samples: Count = 10_000,
    images: Count = 32,
    iterations: Count = 300,
    lr: float = 0.1,
    data: str = "portraits",
    judge: str = "portraits-judge",
) -> None:
    """Judge the samples of generators of portraits.

    Fréchet distance, precision and recall in the judge's features against as many test portraits;
    how often glasses, beards, hats and kinds of hair are seen, beside the truth; the energy of fine
    detail (grey, Hann window, mean power by radius) as a share of the data's; and the error that
    W+ optimisation leaves on test portraits, with what it misses in the highest octave as a share
    of their energy there. Prints tables and writes OUT/results.json.

    Args:
        folders: Generators or models: checkpoint folders (snapshots of a training too), bundled
            names, or other projects' files.
        out: The folder of the results.
        samples: How many samples, and test portraits.
        images: Test portraits to optimise.
        iterations: Steps of the optimisation.
        lr: Its learning rate at its highest.
        data: portraits or toon.
        judge: The feature network that judges, a bundled name or a folder.
    """
    from restyle.evaluation.generator import GeneratorEvaluation, describe, evaluate_generators

    config = GeneratorEvaluation(samples, images, iterations, lr, data, judge)
    print(describe(evaluate_generators(list(folders), out, config)))


@app.command
def features(name: str = "portraits-judge", *, persons: Count = 2048) -> None:
    """Measure a feature network on test portraits, two views of every person.

    Accuracy of the classes and R2 of the continuous attributes where the picture shows them, and
    how well it tells persons apart.

    Args:
        name: A bundled name or a folder.
        persons: How many.
    """
    from restyle.hub.registry import load_features
    from restyle.portraits import Portraits
    from restyle.training.features import describe, evaluate_features

    network = load_features(name)
    print(describe(evaluate_features(network, Portraits("test", network.config.size), persons)))


@app.command
def encoder(
    *,
    model: str = "portraits",
    data: str = "portraits",
    images: OptionalCount = None,
    steps: Count = 10,
    judge: str = "portraits-judge",
    out: Path = Path("results/encoder"),
    batch_size: Count = 16,
    device: Device = "auto",
) -> None:
    """Measure an encoder step by step.

    For each step squared error, perceptual and identity distance with 95 % bootstrap intervals over
    the images, the share of images that the step improved, and the time. Prints a table; writes
    OUT/results.json and a line for each image and step to OUT/rows.jsonl.

    Args:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        data: portraits or toon (test split), or a folder of images.
        images: The first so many of them. [default: 512 portraits, or all of a folder]
        steps: How often the estimate is refined.
        judge: The feature network that judges, a bundled name or a folder.
        out: The folder of the results.
        batch_size: Images at once.
        device: Where to compute.
    """
    from restyle.evaluation.encoder import EncoderEvaluation, describe, evaluate_encoder

    config = EncoderEvaluation(model, data, images, steps, judge)
    print(describe(evaluate_encoder(config, out, device, batch_size)))


@app.command
def editing(
    *,
    model: list[str] | None = None,
    methods: list[str] | None = None,
    attributes: list[str] | None = None,
    directions: str | None = None,
    images: Count = 128,
    judge: str = "portraits-judge",
    features: str = "portraits-features",
    out: Path = Path("results/editing"),
    batch_size: Count = 16,
    device: Device = "auto",
) -> None:
    """Measure how well inversions can be edited, against portraits that are truly changed.

    Each attribute of inverted test portraits is changed until the judge reads the true change. Then
    it measures what else has changed, whether the person is still the same, and how far the picture
    is from the renderer's drawing of the person with the attribute changed. Writes OUT/report.html,
    which stands alone, and OUT/results.json. More models and methods can be added by repeating the
    command with them.

    Args:
        model: Models of portraits: bundled names or checkpoint folders. [default: portraits]
        methods: Of inversion, as `restyle evaluate` takes them. [default: restyle]
        attributes: Those that are changed. [default: all that there are directions for]
        directions: A folder of directions. [default: those that come with the package]
        images: Test portraits.
        judge: The feature network that judges, a bundled name or a folder.
        features: The one whose distances optimisation minimises, beside the squared error.
        out: The folder of the results.
        batch_size: Images at once.
        device: Where to compute.
    """
    from restyle.evaluation.editability import EditingEvaluation, evaluate_editing
    from restyle.evaluation.editability_report import write_report

    config = EditingEvaluation(
        models=tuple(model or ["portraits"]),
        methods=tuple(methods or ["restyle"]),
        attributes=tuple(attributes or ()),
        directions=directions,
        images=images,
        judge=judge,
        features=features,
    )
    print(write_report(evaluate_editing(config, out, device, batch_size), out, _command()))
    print(f"\nThe report is {out / 'report.html'}")


@app.command
def bootstrapping(
    *,
    source: str = "portraits",
    target: str = "portraits-toon",
    source_steps: Count = 1,
    steps: Count = 10,
    images: Count = 128,
    judge: str = "portraits-judge",
    out: Path = Path("results/bootstrapping"),
    batch_size: Count = 16,
    device: Device = "auto",
) -> None:
    """Measure bootstrapping against the renderer's true toon of each test portrait.

    For every number of the target's steps, beside the target model alone from its average. Writes
    OUT/report.html, which stands alone, and OUT/results.json.

    Args:
        source: The model that begins, as `restyle bootstrap` takes it.
        target: The model that goes on.
        source_steps: Steps of the source.
        steps: Steps of the target, at most.
        images: Test portraits.
        judge: The feature network whose perceptual distance is used, a bundled name or a folder.
        out: The folder of the results.
        batch_size: Images at once.
        device: Where to compute.
    """
    from restyle.evaluation.bootstrapping import (
        BootstrappingEvaluation,
        evaluate_bootstrapping,
        write_report,
    )

    config = BootstrappingEvaluation(source, target, source_steps, steps, images, judge)
    arrays = evaluate_bootstrapping(config, out, device, batch_size)
    print(write_report(arrays, config, out, _command()))
    print(f"\nThe report is {out / 'report.html'}")


@app.command
def crossing(
    *,
    source: str = "portraits",
    target: str = "portraits-toon",
    samples: Count = 1_000,
    judge: str = "portraits-judge",
    out: Path = Path("results/crossing"),
) -> None:
    """Measure whether two generators draw the same person of the same code, each in its style.

    For each attribute of identity the share that survives, beside that of people whom the renderer
    draws in both styles, the most to be had. Writes OUT/results.json and OUT/crossing.png: people
    of the source above the same codes in the target.

    Args:
        source: The generator whose mapping network gives the codes: a model's name or a folder.
        target: The other one.
        samples: Codes.
        judge: The feature network that judges, a bundled name or a folder.
        out: The folder of the results.
    """
    from restyle.evaluation.cross_domain import CrossingEvaluation, describe, evaluate_crossing

    config = CrossingEvaluation(source, target, samples, judge)
    print(describe(evaluate_crossing(config, out)))


def _command() -> str:
    """What prints the figures again."""
    import shlex
    import sys

    return shlex.join(["restyle", *sys.argv[1:]])
