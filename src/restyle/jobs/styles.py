"""`restyle models styles`: how the channels of a generator's style space vary."""

from pathlib import Path

from restyle.editing.styles import measure_statistics, statistics_file
from restyle.hub import registry
from restyle.jobs.model_settings import MeasureStyles


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
    given = model.folder if Path(job.model).is_dir() else None
    path = file.cached if given is None else given / file.name
    if path.exists() and not job.overwrite:
        file.read(path)
        return path
    file.write(path, vars(measure_statistics(model.generator)))
    return path
