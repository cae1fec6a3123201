"""`restyle bootstrap`: photographs in, the same people in a related domain out.

The results lie and are recorded as those of `restyle invert`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from restyle.cli.options import FAILED, Count, Device, Dtype, Flag

if TYPE_CHECKING:
    from restyle.jobs.manifest import Summary


def bootstrap(
    *inputs: Annotated[Path, Parameter(required=True)],
    source: str = "portraits",
    target: str = "portraits-toon",
    source_steps: Count = 1,
    steps: Count = 2,
    batch_size: Count = 8,
    device: Device = "auto",
    dtype: Dtype = "float32",
    out: Path = Path("results/bootstrap"),
    overwrite: Flag = False,
    align: Flag = False,
) -> int:
    """Translate images into a related domain, such as photographs into toons.

    One model begins the inversion, another goes on with it from the same codes and image (encoder
    bootstrapping). The results are those of `restyle invert`: the last image
    (OUT/reconstructions), the input and every step of both models side by side (OUT/steps), the
    codes (OUT/latents), and OUT/manifest.jsonl. An input that cannot be read costs only itself, and
    repeating the command goes on where it was interrupted.

    Args:
        inputs: Images, and folders that are searched for images with all that is below them.
        source: The model that begins: a bundled model's name, a checkpoint folder, or another
            project's checkpoint file.
        target: The model that goes on. Its generator must have been fine-tuned from the source's.
        source_steps: Steps of the source; 1 is enough.
        steps: Steps of the target; 1 or 2 are enough.
        batch_size: Images that are inverted, and held in memory, at once.
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
        out: The folder of the results.
        overwrite: Do again what is done already.
        align: Cut out the largest face of each input first, as `restyle align` does; the crops are
            kept in OUT/aligned. An input without a face fails.
    """
    if align:
        from restyle.jobs.align import show_licences

        show_licences()
    names, numbers = (source, target), (source_steps, steps)
    summary = bootstrap_files(
        inputs, names, numbers, batch_size, device, dtype, out, overwrite, align
    )
    print(
        f"{summary.done} translated, {summary.failed} failed, {summary.skipped} done before; "
        f"results in {out}"
    )
    return FAILED if summary.failed else 0


def bootstrap_files(
    inputs: Sequence[Path],
    models: tuple[str, str],
    steps: tuple[int, int],
    batch_size: int,
    device: str,
    dtype: str,
    out: Path,
    overwrite: bool = False,
    align: bool = False,
) -> "Summary":
    """Translate image files; one that cannot be read costs only itself.

    Args:
        inputs: Files, and folders that are searched recursively.
        models: Names of the source and of the target, as `restyle.load` takes them.
        steps: Of the source and of the target.
        batch_size: How many images go through the networks, and are held in memory, at once.
        device: Where to compute.
        dtype: The precision.
        out: The folder of the results. It may lie in a folder that is searched, or be one.
        overwrite: Do again what is done.
        align: Find the largest face of each input and translate its crop.

    Returns:
        The counts.

    Raises:
        ImageError: A folder holds no images.
        ValueError: There is no such model or device, it cannot take so many steps, or the two
            models do not fit together.
        OSError: A result cannot be written.
    """
    from restyle.hub import registry
    from restyle.inversion.bootstrapping import bootstrap as translate
    from restyle.inversion.bootstrapping import check_related
    from restyle.jobs.align import FOUND_WITH
    from restyle.jobs.invert import FOLDERS, model_facts, prepare, save_inversions
    from restyle.jobs.inverters import Way
    from restyle.jobs.manifest import Ledger, find_inputs

    files = find_inputs(inputs, out, FOLDERS)
    source, target = (registry.load(name, device, dtype) for name in models)
    check_related(source, target)
    source.checked_steps(steps[0])
    target.checked_steps(steps[1])
    pairs = zip((source, target), steps, strict=True)
    way = Way(
        lambda targets: translate(targets, source, target, *steps, batch_size),
        {"source_steps": steps[0], "steps": steps[1]},
        [f"{model.name} {t}" for model, n in pairs for t in range(1, n + 1)],
    )
    settings = {
        # The codes are the target's: it is the model that they can be edited with.
        **model_facts(target),
        **{f"source_{key}": value for key, value in model_facts(source).items()},
        **way.settings,
        "dtype": dtype,
        "faces_found_with": FOUND_WITH if align else None,
    }
    return save_inversions(
        files,
        Ledger(out, settings),
        overwrite,
        batch_size,
        prepare=lambda path: prepare(path, source.domain.input_size, align),
        way=way,
    )
