"""`restyle export`: a model in, graphs of it out."""

from restyle.exporting import export as written
from restyle.hub import registry
from restyle.jobs.export_settings import Export
from restyle.runtime.devices import resolve_dtype


def export(job: Export) -> None:
    """Write an export, whole or not at all.

    Raises:
        ValueError: There is no such model, the folder holds files, or the graphs' results lie too
            far from PyTorch's.
        ImportError: The extra is not installed.
        OSError: The folder cannot be written.
    """
    written.check_empty(job.out)  # before a large model is loaded
    model = registry.load(job.model, "cpu")
    written.export(model, job.out, resolve_dtype(job.dtype), job.format)
