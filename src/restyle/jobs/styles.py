"""`restyle models styles` and `relevance`: what is known of a generator's style space."""

from pathlib import Path
from typing import Any

from torch import Tensor

from restyle.editing.relevance import measure_relevance as measure
from restyle.editing.relevance import relevance_file
from restyle.editing.styles import measure_statistics, statistics_file
from restyle.hub import registry
from restyle.jobs.model_settings import MeasureRelevance, MeasureStyles


def measure_styles(job: MeasureStyles) -> Path:
    """Measure the mean and the deviation of every channel of style space; return their file.

    One that is there already is kept, unless it is to be overwritten.

    Raises:
        ValueError: There is no such model or device.
        CheckpointError: The model cannot be used, or what is there is damaged, or of another
            generator.
        OSError: The file cannot be written.
    """
    model = registry.load(job.model, job.device)
    file = statistics_file(model.generator)
    path = file.place(registry.given_folder(model, job.model))
    if path.exists() and not job.overwrite:
        file.read(path)
        return path
    file.write(path, vars(measure_statistics(model.generator)))
    return path


def measure_relevance(job: MeasureRelevance) -> Path:
    """Measure the relevance of every channel of style space for texts; return its file.

    One that is there already is kept, unless it is to be overwritten.

    Raises:
        ValueError: There is no such model, network or device.
        CheckpointError: A network cannot be used, or what is there is damaged, or of others.
        OSError: The file cannot be written.
    """
    model = registry.load(job.model, job.device)
    network: Any = registry.load_text(job.text_network)
    network.to(model.device)
    file = relevance_file(model.generator, network)
    path = file.place(registry.given_folder(model, job.model))
    if path.exists() and not job.overwrite:
        file.read(path)
        return path

    def render(styles: Tensor) -> Tensor:
        return model.generate(styles=styles)

    measure(model.generator, render, network, path, job.samples, model.folder)
    return path
