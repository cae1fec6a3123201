"""Several processes for one training: starting them, and what they do together.

Without several processes every function here does nothing, so that a trainer has one text.
"""

import os
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from restyle.runtime.memory import keep_memory
from restyle.runtime.threads import let_threads_sleep

T = TypeVar("T")

INTERRUPTED = 130  # exit status of a run that was asked to stop, after saving


def launch(processes: int, arguments: Sequence[str], module: str = "restyle") -> int | None:
    """Run a command once per process, data parallel, and wait for it.

    The workers are started by `torch.distributed` (what `torchrun` uses). Each has one thread, and
    waiting threads sleep: on a few cores that is faster than one process with many threads.

    Args:
        processes: Number of workers on this machine.
        arguments: The command line behind `python -m module`, `--processes` included.
        module: The module to run in the workers.

    Returns:
        None when this process must do the work itself, because one process was asked for or because
        it is a worker already; otherwise the exit status of the workers: 0, 130 when interrupted,
        or 1.

    Raises:
        ValueError: `processes` is not positive.
    """
    if processes < 1:
        raise ValueError(f"processes: expected at least 1, received {processes}")
    if processes == 1 or "WORLD_SIZE" in os.environ:
        return None
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    let_threads_sleep()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        monitor_interval=0.5,
    )
    try:
        elastic_launch(config, sys.executable)("-u", "-m", module, *arguments)
    except SignalException:
        return INTERRUPTED
    except ChildFailedError as error:
        statuses = {failure.exitcode for failure in error.failures.values()}
        return INTERRUPTED if statuses == {INTERRUPTED} else 1
    return 0


def join(device: str) -> torch.device:
    """Join the processes of this training, if a launcher started several; keep their memory.

    Args:
        device: "auto" (CUDA where there is one), "cpu" or "cuda".

    Returns:
        Where this process computes: each has a GPU of its own.

    Raises:
        ValueError: There is no CUDA device, and one is asked for.
    """
    keep_memory()
    cuda = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise ValueError("device: expected a CUDA device, got none on this machine")
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")


def process_count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def average_gradients(module: nn.Module) -> None:
    """Replace a network's gradients by their mean over the processes; all processes.

    Made for networks that take several backward passes a step (a regularisation of gradients, a
    loss per ReStyle step). Every process must have gradients for the same parameters.
    """
    if process_count() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= process_count()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def same_everywhere(module: nn.Module) -> None:
    """Give every process the first one's parameters and buffers; all processes."""
    if process_count() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            value = tensor.data.contiguous()  # a channels-last weight is not
            dist.broadcast(value, 0)
            tensor.data.copy_(value)


def any_process(*flags: bool) -> list[bool]:
    """Return for each flag whether it is set in any process; all processes."""
    if process_count() == 1:
        return list(flags)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(flags, dtype=torch.int32, device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in tensor.tolist()]


def gather(value: T) -> list[T]:
    """Collect a value of every process, in their order; all processes."""
    if process_count() == 1:
        return [value]
    values: list[T] = [value] * process_count()
    dist.all_gather_object(values, value)
    return values


def wait() -> None:
    """Wait until every process is here; all processes."""
    if process_count() > 1:
        dist.barrier()


@contextmanager
def first_alone() -> Iterator[None]:
    """Run a block in the first process, and then in the others; all processes."""
    first = process_count() == 1 or dist.get_rank() == 0
    if not first:
        wait()
    yield
    if first:
        wait()


def average_numbers(numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the means of scalars over the processes, by name; all processes."""
    if process_count() == 1 or not numbers:
        return dict(numbers)
    means = torch.stack([value.float() for value in numbers.values()])
    dist.all_reduce(means)
    return dict(zip(numbers, means / process_count(), strict=True))
