"""`restyle models curvature`: what second-order inversion knows of a generator beforehand."""

from pathlib import Path

from restyle.hub import registry
from restyle.hub.registry import loss_networks
from restyle.inversion.curvature import Curvature, new_curvature, tied_file, ties
from restyle.inversion.methods import objective_for, usual_features
from restyle.jobs.model_settings import EstimateCurvature


def estimate_curvature(job: EstimateCurvature) -> Path:
    """Estimate the curvature of an objective for a model's generator; return its file.

    One that is there already is kept, unless it is to be overwritten.

    Raises:
        ValueError: There is no such model or device.
        CheckpointError: A network cannot be used, or what is there is damaged, or of another
            generator or objective.
        OSError: The file cannot be written.
    """
    model = registry.load(job.model, job.device, job.dtype)
    features = job.features or usual_features(model)
    objective = objective_for(["newton"], loss_networks(features), model.device, model.dtype)
    size = model.domain.input_size
    tied = ties(model.generator, objective, size)
    path = tied_file(*tied).place(registry.given_folder(model, job.model))
    if path.exists() and not job.overwrite:
        Curvature.load(path, *tied)
        return path
    found = new_curvature(model.generator, model.generate, objective, size, job.probes, job.rank)
    found.save(path, *tied)
    return path
