"""Trainings: frozen records of options, free of torch, that the command line derives from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from restyle.training.options import check, check_shares


@dataclass(frozen=True)
class RunOptions:
    """Where and on what a training runs.

    Attributes:
        out: The run folder; repeating the command resumes it.
        precision: bf16 (autocast), float32, fp16 (encoders alone, with a gradient scaler), or auto:
            bf16 where the processor computes it, else float32.
        processes: Processes on this machine, data parallel.
        workers: Further processes that read and draw ahead, for each of these; a GPU waits for the
            data otherwise. 0: one thread does it.
        device: auto, cpu or cuda.
        seed: Seed of everything random.
        checkpoint_minutes: Minutes from one checkpoint to the next; the first comes after one.
    """

    out: Path = Path("runs/encoder")
    precision: str = "auto"
    processes: int = 1
    workers: int = 0
    device: str = "auto"
    seed: int = 0
    checkpoint_minutes: float = 5.0


@dataclass(frozen=True)
class GeneratorTraining(RunOptions):
    """A training of a StyleGAN2 generator.

    Attributes:
        data: "portraits", a folder of images, a zip file, or shards: tar or Parquet files
            (shards-{000..127}.tar, part-*.parquet), here or far away (s3://...).
        size: Height and width of the images in pixels.
        style: How portraits are drawn: photo or toon.
        images: Images of the data to train on, over all processes.
        supervised_images: The first N of them, portraits, are drawn from their attributes.
        supervised_weight: What that counts afterwards, beside the discriminators.
        supervised_lr: Adam's learning rate at the beginning of that time; it falls evenly to `lr`.
        supervised_pyramid: What the distance on the levels of a Laplacian pyramid counts in a
            drawing, which sees fine detail that a squared or absolute error hardly does.
        batch: Images in a step, over all processes.
        channels: Feature maps at 4, 8, 16, ... pixels, of both networks; empty: the official ones.
        z_dim: Width of the mapping network's input.
        w_dim: Width of a latent code.
        mapping_layers: Depth of the mapping network.
        optimiser: The generator's: adam or muon, which leaves vectors and biases to Adam.
        lr: The generator's learning rate.
        discriminator_lr: The discriminators'; 0: the same.
        r1_gamma: Weight of the R1 penalty.
        r1_interval: Steps from one R1 penalty to the next.
        path_length_weight: Weight of the path length regularisation; 0 switches it off.
        noise: Give the layers noise inputs. Drawings have no random detail for them to explain.
        flip: Mirror half of the images of a folder.
        ema_images: Half-life of the averaged generator, in images.
        grow_from: Run folder of a generator of half the size to grow from.
        initial: A generator of the same shape to start from: a run folder, a checkpoint's folder or
            a bundled name. Codes keep their meaning: the mapping network stays as it is.
        train_mapping: With `initial`: train the mapping network as well, and go on as before.
        rebuild_mapping: With `initial`: build the mapping network anew, of steps between classes.
        fresh_discriminator: With `initial` or `grow_from`: start with a discriminator of its own.
        discriminator_warmup: Images on which a fresh discriminator learns alone.
        discriminator_channels: Feature maps of the discriminator, as `channels`; empty: the same.
        detail: How much fine detail is amplified for the discriminator; 0 for StyleGAN2's own.
        feature_network: What a second discriminator looks through (projected GAN): a feature
            network for portraits, or lpips-vgg (pulled) for photographs; empty: none.
        feature_weight: Weight of the second discriminator's loss.
        keep_coarse: With `initial`: export its layers up to so many pixels (Toonify's swapping).
        fade_images: Images over which a grown network's new resolution is faded in.
        snapshot_images: Images from one kept half-precision snapshot of the generator to the next.
        compile: Compile supervised steps (torch.compile, a C++ compiler): a third less of each.
    """

    out: Path = Path("runs/generator")
    data: str = "portraits"
    size: int = 64
    style: str = "photo"
    images: int = 500_000
    supervised_images: int = 0
    supervised_weight: float = 0.0
    supervised_lr: float = 4e-3
    supervised_pyramid: float = 0.0
    batch: int = 16
    channels: tuple[int, ...] = (192, 192, 160, 112, 64)
    z_dim: int = 128
    w_dim: int = 128
    mapping_layers: int = 6
    optimiser: str = "adam"
    lr: float = 2e-3
    discriminator_lr: float = 0.0
    r1_gamma: float = 1.0
    r1_interval: int = 16
    path_length_weight: float = 0.0
    noise: bool = False
    flip: bool = False
    ema_images: float = 5_000
    grow_from: Path | None = None
    initial: Path | None = None
    train_mapping: bool = False
    rebuild_mapping: bool = False
    fresh_discriminator: bool = False
    discriminator_warmup: int = 0
    discriminator_channels: tuple[int, ...] = ()
    detail: float = 0.0
    feature_network: str = ""
    feature_weight: float = 1.0
    keep_coarse: int = 0
    fade_images: int = 20_000
    snapshot_images: int = 18_000
    compile: bool = False

    def __post_init__(self):
        """Refuse what cannot be trained, before anything is loaded.

        Raises:
            ValueError: An option out of its range, a batch that cannot be divided, or a synthesis
                network that is neither there nor trained.
        """
        check(self)
        check_shares(self.batch, self.processes)
        if self.rebuild_mapping and self.initial is None:
            raise ValueError("rebuild_mapping: expected an initial generator, got initial None")


@dataclass(frozen=True)
class FeatureTraining(RunOptions):
    """A training of a feature network for portraits.

    Attributes:
        export: Folder for the finished network and its card; None for no export.
        images: Images to train on, over all processes.
        batch: Images in a step, over all processes: two views of half as many persons.
        fresh: Share of a batch that is drawn anew; the rest was drawn some steps before.
        pool: Persons that are kept for that in memory, per process.
        size: Height and width of the images in pixels.
        widths: Channels from full resolution down to a sixteenth.
        hidden: Width of the layer behind the convolutions.
        embedding: Length of the identity embedding.
        lr: AdamW's largest learning rate.
    """

    out: Path = Path("runs/features-train")
    export: Path | None = None
    images: int = 160_000
    batch: int = 32
    fresh: float = 0.25
    pool: int = 16_384
    size: int = 64
    widths: tuple[int, int, int, int, int] = (16, 32, 64, 96, 96)
    hidden: int = 192
    embedding: int = 96
    lr: float = 2e-3
    seed: int = 1

    def __post_init__(self):
        """Refuse what cannot be trained, before anything is loaded.

        Raises:
            ValueError: An option out of its range, or a batch that cannot be divided.
        """
        check(self)
        check_shares(self.batch, self.processes, 2)
        if self.batch < 4 * self.processes:
            raise ValueError(
                f"batch: expected two persons a process, {4 * self.processes}, got {self.batch}"
            )


@dataclass(frozen=True)
class Data:
    """Data that an encoder is trained and validated on.

    Attributes:
        data: "portraits", a folder of images, a zip file, or shards: tar or Parquet files
            (shards-{000..127}.tar, part-*.parquet), here or far away (s3://...).
        targets: What the data shall become, as `data`, with the same names: pSp's other tasks.
            Empty: the data themselves.
        style: How portraits are drawn: photo or toon.
        images: Images of the data to train on, over all processes.
        skip: Images of the data that are left out first, as an initial model has seen them.
        warmup_images: Samples of the generator to train on before. Their codes are known, and
            compared by how much of a difference images show: by the curvature of the objective.
        warmup_drawings: Take portraits instead of samples. The code of one is what the mapping
            network makes of its attributes, in a generator that was supervised by these.
        flip: Mirror half of the images.
        validation_images: Images that the encoder is validated on; 0: all that are held out.
    """

    data: str = "portraits"
    targets: str = ""
    style: str = "photo"
    images: int = 60_000
    skip: int = 0
    warmup_images: int = 60_000
    warmup_drawings: bool = False
    flip: bool = False
    validation_images: int = 512


@dataclass(frozen=True)
class Loop:
    """Learning from the refinement of a batch.

    Attributes:
        batch: Images in a step, over all processes.
        accumulate: Parts that a process's share of a batch goes through the networks in.
        steps: Refinement steps on each batch.
        rollout: Share of the images that take a further step after these; again and again, so that
            0.65 makes 1.8 further steps on average. Images take ten at most.
        validation_steps: Refinement steps that it is validated with; 0: `steps`.
        freeze_norms: Keep the batch norms as they are in use, with statistics of all steps that are
            estimated once, at the beginning; with those of an initial encoder that had them frozen.
        optimiser: ranger, adam, adamw or muon.
        lr: The learning rate.
        compile: Compile the generator.
        decay: Share of all images, at the end, over which the learning rate falls to zero.
        progressive_start: Step at which e4e's first delta is switched on; warm-up steps count.
        progressive_interval: Steps from one delta to the next; 0: all are on from the beginning.
    """

    batch: int = 16
    accumulate: int = 1
    steps: int = 5
    rollout: float = 0.3
    validation_steps: int = 0
    freeze_norms: bool = False
    optimiser: str = "adam"
    lr: float = 1e-3
    compile: bool = False
    decay: float = 0.4
    progressive_start: int = 20_000
    progressive_interval: int = 0


@dataclass(frozen=True)
class Losses:
    """Losses that compare images and codes. A loss takes part if its weight is positive.

    Attributes:
        l2: Weight of the mean squared error.
        perceptual: Weight of the perceptual distance.
        perceptual_network: lpips-alex or lpips-vgg (pulled), or a feature network for portraits.
        identity: Weight of the identity distance; not together with `moco`.
        identity_network: ir-se50 (pulled) or its file, or a feature network for portraits.
        moco: Weight of the distance of MoCo's features, for what is no face.
        moco_network: MoCo's network: moco-v2 (pulled) or its file.
        w_norm: Weight of the distance from the average code.
        delta_norm: Weight of the distance of the codes of one image from the first of them.
        adversarial: Weight of the discriminator of codes.
        distillation: Weight of the distance from a teacher's codes (with `warmup_drawings` those of
            drawings), measured by the curvature of what methods minimise.
    """

    l2: float = 1.0
    perceptual: float = 0.8
    perceptual_network: str = "portraits-features"
    identity: float = 0.1
    identity_network: str = "portraits-features"
    moco: float = 0.0
    moco_network: str = "moco-v2"
    w_norm: float = 0.0
    delta_norm: float = 0.0
    adversarial: float = 0.0
    distillation: float = 0.0

    @property
    def weights(self) -> dict[str, float]:
        """Return the weights of the losses that take part."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {n: weight for n, weight in named.items() if weight and not isinstance(weight, str)}


@dataclass(frozen=True)
class Adversary:
    """The discriminator of codes, if `adversarial` has a weight.

    Attributes:
        adversarial_lr: Its learning rate.
        r1: Weight of its R1 penalty.
        r1_interval: Steps from one R1 penalty to the next.
        pool: Codes that it remembers.
    """

    adversarial_lr: float = 2e-5
    r1: float = 10.0
    r1_interval: int = 16
    pool: int = 50


@dataclass(frozen=True)
class Teacher:
    """What a student has its codes from, if `distillation` has a weight.

    Attributes:
        teacher: A method of inversion, such as restyle:2+newton:3.
        teacher_model: The model whose method it is; it has the same generator.
        taught_images: The first N images of the data, which the teacher inverts once, before the
            training begins.
        untaught_images: The next N, which the student learns from without codes.
    """

    teacher: str = "restyle:2+newton:3"
    teacher_model: str = "portraits"
    taught_images: int = 20_000
    untaught_images: int = 0


@dataclass(frozen=True)
class EncoderTraining(RunOptions):
    """A training of an encoder to invert a generator; `with_options` changes any of it by name.

    Attributes:
        generator: Folder, bundled name, pulled name or checkpoint file of the generator to invert.
        encoder: The encoder's size, a name of `restyle.encoders.PRESETS`.
        head: psp (each code on its own) or e4e (one code and deltas).
        single_shot: Train an encoder that sees the target alone and takes one step.
        initial: What the encoder begins with: the file or pulled name of a backbone (ir-se50,
            resnet34), or a trained model with an equal encoder. Empty: random weights.
        domain: What the images show: portraits, toon, faces, cars, churches, horses, wild animals.
        data: What it is trained on.
        loop: How it learns.
        losses: What for.
        adversary: The discriminator of codes.
        teaching: Whose codes a student learns.
    """

    generator: str = "portraits"
    encoder: str = "portraits"
    head: Literal["psp", "e4e"] = "psp"
    single_shot: bool = False
    initial: str = ""
    domain: str = "portraits"
    data: Data = Data()
    loop: Loop = Loop()
    losses: Losses = Losses()
    adversary: Adversary = Adversary()
    teaching: Teacher = Teacher()

    def __post_init__(self):
        """Refuse what cannot be trained, before anything is loaded.

        Raises:
            ValueError: An option out of its range, identity and MoCo together, no loss, a batch
                that cannot be divided, toons as input, or a teacher of changed images.
        """
        check(self)
        losses, loop = self.losses, self.loop
        if losses.identity and losses.moco:
            raise ValueError(
                "expected an identity loss (faces) or a MoCo loss (anything else), "
                f"got both: identity {losses.identity}, moco {losses.moco}"
            )
        if not (losses.l2 or losses.perceptual or losses.identity or losses.moco):
            raise ValueError(
                "expected a positive weight for one of l2, perceptual, identity, moco; got none"
            )
        if losses.distillation and (self.data.flip or self.data.targets):
            raise ValueError(
                "distillation: a teacher's codes are those of the images as they are; expected "
                f"neither flip nor targets, got {self.data.flip} and {self.data.targets!r}"
            )
        data = self.data
        if data.warmup_drawings and (data.data != "portraits" or data.flip):
            raise ValueError(
                "warmup_drawings: expected data portraits and no flip, got data "
                f"{data.data!r} and flip {data.flip}"
            )
        check_shares(loop.batch, self.processes, loop.accumulate)
        if self.domain == "toon" and self.data.style == "toon":
            raise ValueError(
                "style: a toon encoder is trained on photos (style photo), which its generator "
                "turns into toons; got toon"
            )
