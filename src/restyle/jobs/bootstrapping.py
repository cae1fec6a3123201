"""`restyle bootstrap`: photographs in, the same people in a related domain out.

The results lie and are recorded as those of `restyle invert`.
"""

from restyle.hub import registry
from restyle.inversion.bootstrapping import bootstrap as translate
from restyle.inversion.bootstrapping import check_related
from restyle.jobs.inversion import FOLDERS, model_facts, photo_settings, save_inversions
from restyle.jobs.inverters import Inverter
from restyle.jobs.manifest import Manifest, Summary, find_inputs
from restyle.jobs.settings import Bootstrap


def bootstrap(job: Bootstrap) -> Summary:
    """Translate image files; one that cannot be read costs only itself.

    Raises:
        ImageError: A folder holds no images.
        ValueError: There is no such model or device, it cannot take so many steps, or the two
            models do not fit together.
        OSError: A result cannot be written.
    """
    files, summary = find_inputs(job.inputs, job.out, FOLDERS)
    models = [registry.load(name, job.device, job.dtype) for name in (job.source, job.target)]
    source, target = models
    check_related(source, target)
    steps = job.source_steps, job.steps
    labels = []
    for model, count in zip(models, steps, strict=True):
        model.checked_steps(count)
        labels += [f"{model.name} {t}" for t in range(1, count + 1)]
    inverter = Inverter(
        lambda targets: translate(targets, source, target, *steps, job.batch_size),
        {"source_steps": job.source_steps, "steps": job.steps},
        labels,
        lambda result: result.steps[job.source_steps].image,
    )
    settings = {
        # The codes are the target's: it is the model that they can be edited with.
        **model_facts(target),
        **{f"source_{key}": value for key, value in model_facts(source).items()},
        **inverter.settings,
        "dtype": job.dtype,
        **photo_settings(job),
    }
    manifest = Manifest(job.out, settings)
    return save_inversions(job, files, summary, manifest, source, inverter)
