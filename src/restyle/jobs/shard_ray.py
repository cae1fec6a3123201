"""`restyle shards run --engine ray`: shards mapped by an actor pool of Ray Data.

Ray places, scales and restarts the workers; each of them takes shards as any other worker does, so
that both may work on one plan, and what is left to do is what has no part. Shards are what is
mapped, not images: Ray Data's own readers of Parquet cut their blocks without regard to shards,
and images would travel through its object store; a worker reads its rows, and writes its part,
itself.
"""

import logging
from typing import Any

from tqdm import tqdm

from restyle.io.imports import needed
from restyle.jobs.shard_plan import Plan
from restyle.jobs.shard_reports import unfinished
from restyle.jobs.shard_settings import RunShards
from restyle.jobs.shard_work import Work

_LEAST = (2, 60)
_BLOCKS = 10_000  # tasks that Ray is given, at most


def run_on_ray(job: RunShards, plan: Plan) -> None:
    """Invert what is left of a plan on a cluster of Ray, or on this machine if there is none.

    Raises:
        ImportError: Ray is not installed, or is another version than is known to work.
        ValueError: The cluster has too few GPUs, the model has become another, or a part is another
            plan's.
        ChildProcessError: A worker failed.
    """
    ray = _ray()
    left = unfinished(plan)
    if not left:
        return
    began = not ray.is_initialized()
    if began:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    try:
        logging.getLogger("ray.data").setLevel(logging.WARNING)
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows, most = [{"shard": shard.number} for shard in left], min(job.processes, len(left))
        made = ray.data.from_items(rows, override_num_blocks=min(len(rows), _BLOCKS)).map(
            _Actor,
            fn_constructor_args=(job,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=most),
            **_resources(ray, job),
        )
        with tqdm(total=len(left), unit="shard", disable=None) as progress:
            for row in made.iter_rows():
                if row["error"]:
                    raise ChildProcessError(f"a worker failed: {row['error']}")
                progress.update()
    finally:
        if began:
            ray.shutdown()


def _ray() -> Any:
    with needed("ray", "this engine is Ray"):
        import ray
    found = tuple(int(number) for number in ray.__version__.split(".")[:2])
    if found < _LEAST or found[0] != _LEAST[0]:
        raise ImportError(
            f"engine: expected Ray {_LEAST[0]}.{_LEAST[1]} or a later {_LEAST[0]}, "
            f"got {ray.__version__}: pip install 'restyle[ray]'"
        )
    with needed("ray", "this engine is Ray Data"):
        import ray.data
    return ray


def _resources(ray: Any, job: RunShards) -> dict[str, float]:
    """Return what each worker needs: the cluster's cores are divided among them."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores, gpus = ([node.get(name, 0) for node in nodes] for name in ("CPU", "GPU"))
    wanted = job.gpus
    if wanted is None:
        wanted = float(job.device != "cpu" and sum(gpus) > 0)
    if wanted > max(gpus):
        raise ValueError(
            f"gpus: expected at most {max(gpus):g}, as Ray's nodes have, got {wanted:g}"
        )
    return {"num_cpus": max(1, min(sum(cores) // job.processes, max(cores))), "num_gpus": wanted}


class _Actor:
    """A worker that Ray has started."""

    def __init__(self, job: RunShards) -> None:
        self._plan = Plan.open(job.folder)
        self._work = Work(job, self._plan)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Finish a shard, and say what went wrong; Ray's own account would be a page."""
        try:
            self._work.finish([self._plan.shards[row["shard"]]])
        except (ValueError, OSError) as error:
            return {"error": " ".join(str(error).split())}
        return {"error": ""}
