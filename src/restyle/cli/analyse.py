"""`restyle analyse`: how the loop works inside a model."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from restyle.cli.options import Count, Device, OptionalCount


def analyse(
    *,
    model: str = "portraits",
    other: str | None = None,
    data: str = "portraits",
    images: OptionalCount = None,
    steps: Annotated[int, Parameter(validator=Number(gte=10))] = 20,
    out: Path = Path("results/analysis"),
    batch_size: Count = 16,
    device: Device = "auto",
) -> None:
    """Show how the loop works inside a model.

    How large the change of each step is, in which layers, frequencies and places; how many images a
    step improves or makes worse; whether residuals converge; what other starts and disturbed inputs
    do; and what stopping early costs. Prints tables; writes OUT/report.html, which stands alone,
    its pictures and OUT/results.json. Repeating the command goes on where it was interrupted.

    Args:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        other: Another model of the same generator, such as a single-shot one, to start from.
        data: portraits or toon (test split), or a folder of images.
        images: The first so many of them. [default: 256 portraits, or all of a folder]
        steps: How often the estimate is refined.
        out: The folder of the results.
        batch_size: Images at once.
        device: Where to compute.
    """
    from restyle.evaluation.analysis import analyse as run
    from restyle.evaluation.settings import LoopAnalysis

    print(run(LoopAnalysis(model, other, data, images, steps, out, batch_size, device)).text())
    print(f"\nThe report is {out / 'report.html'}")
