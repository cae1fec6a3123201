"""Work on many files, callable from Python: each job is a dataclass and a function.

    from restyle import jobs

    summary = jobs.invert(jobs.Invert(inputs=["photos"], out="results"))

Functions are loaded when first used, so that their options can be read without torch.
"""

from typing import TYPE_CHECKING

from restyle.io.imports import on_first_use
from restyle.jobs.drag_settings import Drag
from restyle.jobs.export_settings import Export
from restyle.jobs.model_settings import EstimateCurvature, MeasureRelevance, MeasureStyles
from restyle.jobs.settings import Align, Animate, Bootstrap, Edit, Invert, Mix, Render, Sample
from restyle.jobs.shard_settings import PlanShards, RunShards, ShardsStatus, VerifyShards

__all__ = [
    "Align",
    "Animate",
    "Bootstrap",
    "Drag",
    "Edit",
    "EstimateCurvature",
    "Export",
    "Invert",
    "MeasureRelevance",
    "MeasureStyles",
    "Mix",
    "PlanShards",
    "Render",
    "RunShards",
    "Sample",
    "ShardsStatus",
    "Summary",
    "VerifyShards",
    "align",
    "animate",
    "bootstrap",
    "drag",
    "edit",
    "estimate_curvature",
    "export",
    "invert",
    "measure_relevance",
    "measure_styles",
    "mix",
    "plan_shards",
    "render",
    "run_shards",
    "sample",
    "shards_status",
    "verify_shards",
]

# No module has the name of a function: importing it would put the module in the function's place.
_HOME = {
    "Summary": "manifest",
    "align": "alignment",
    "animate": "editing",
    "bootstrap": "bootstrapping",
    "drag": "dragging",
    "edit": "editing",
    "estimate_curvature": "curvature",
    "export": "exporting",
    "invert": "inversion",
    "measure_relevance": "styles",
    "measure_styles": "styles",
    "mix": "editing",
    "plan_shards": "shard_plan",
    "render": "rendering",
    "run_shards": "shards",
    "sample": "sampling",
    "shards_status": "shard_reports",
    "verify_shards": "shard_reports",
}

if TYPE_CHECKING:
    from restyle.jobs.alignment import align
    from restyle.jobs.bootstrapping import bootstrap
    from restyle.jobs.curvature import estimate_curvature
    from restyle.jobs.dragging import drag
    from restyle.jobs.editing import animate, edit, mix
    from restyle.jobs.exporting import export
    from restyle.jobs.inversion import invert
    from restyle.jobs.manifest import Summary
    from restyle.jobs.rendering import render
    from restyle.jobs.sampling import sample
    from restyle.jobs.shard_plan import plan_shards
    from restyle.jobs.shard_reports import shards_status, verify_shards
    from restyle.jobs.shards import run_shards
    from restyle.jobs.styles import measure_relevance, measure_styles

__getattr__ = on_first_use(__name__, _HOME)
