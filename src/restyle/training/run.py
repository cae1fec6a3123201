"""The run folder: everything around a training loop that is the same for every network.

A run folder holds `config.json` (what is trained), `checkpoint.pt` (everything needed to go on),
`stats.jsonl` (one line of numbers every thousand images or so) and TensorBoard's files. A run is
resumed by repeating the command that started it. Progress is counted in images, over all processes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from restyle.io.checkpoints import CheckpointError
from restyle.io.claims import claim, locked
from restyle.io.files import append_jsonl, atomic_write, read_jsonl, write_json
from restyle.training.checkpoint import read_checkpoint, read_options
from restyle.training.config import RunOptions
from restyle.training.data import Pictures, Source
from restyle.training.options import as_record, check_shares, renamed
from restyle.training.parallel import INTERRUPTED, any_process, gather, join, process_count, wait
from restyle.training.randomness import random_state, set_random_state

MAY_CHANGE = ("images", "out", "processes", "workers", "device", "checkpoint_minutes")
"""Options that say nothing about what is trained."""

LOCK_SECONDS = 5  # how long to wait for the processes of a run that was just killed
SPEED_SECONDS = 20  # after which the speed is known
FIRST_MINUTES = 1.0  # to the first checkpoint


class Run:
    """One training in one folder, a context manager: resuming, checkpoints, numbers, progress.

    Every process of a data-parallel training (`torchrun`, `accelerate launch`, `launch`) makes its
    own; the first alone writes. Methods marked "all processes" must be called by all of them.

    Attributes:
        folder: The run folder.
        device: Where this process computes.
        rank: This process's number, from 0.
        processes: How many processes there are.
        is_main: Whether this is the process that writes.
        batch: This process's images in a step.
        images: Images seen so far, over all processes and all earlier starts.
        seconds: Seconds trained so far, over all earlier starts.
        rng: This process's own NumPy random generator; part of the checkpoint.
    """

    def __init__(
        self,
        config: RunOptions,
        images: int,
        batch: int = 1,
        parts: int = 1,
        may_change: str = "",
        log_images: int = 1000,
    ):
        """Open a run folder; nothing is written before the context is entered.

        Args:
            config: What is trained, and where and on what.
            images: Images to train on, over all processes.
            batch: Images in a step, over all processes.
            parts: Into how many parts each process divides its share of a batch.
            may_change: Names of options that a repeated command may change beside `MAY_CHANGE`.
            log_images: Images between two lines of numbers.

        Raises:
            ValueError: The batch cannot be divided, or there is no such device.
            SystemExit: The batch cannot be divided; in all processes but the first, which says it.
        """
        self.config, self.folder = config, Path(config.out)
        self.total, self.log_images = images, log_images
        self.may_change = {*MAY_CHANGE, *may_change.split()}
        self.device = join(config.device)
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.processes = process_count()
        self.is_main = self.rank == 0
        try:
            check_shares(batch, self.processes, parts)
        except ValueError:
            if self.is_main:
                raise
            raise SystemExit(2) from None
        self.batch = batch // self.processes
        self.images = self._began = 0
        self.seconds = 0.0
        self._seed(config.seed)
        self._exit = contextlib.ExitStack()
        self._stop = self._timed = False
        self._parent = os.getppid()
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}  # not every step has every number
        self._board: Any = None
        self._bar: Any = None

    def __enter__(self) -> Run:
        """Lock the folder, compare or write `config.json`, and catch SIGINT and SIGTERM.

        A run that ended before its first checkpoint leaves nothing to be compared with.

        Raises:
            ValueError: The folder holds a run with another configuration, or is in use.
        """
        if self.is_main:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock()
            for leftover in self.folder.glob(".checkpoint.*"):
                leftover.unlink()
            self._write_config()
        self._exit.enter_context(self._signals())
        self._started = self._saved = self._logged = time.monotonic()
        self._logged_images = 0
        return self

    def __exit__(self, *_: object) -> None:
        """Close the progress bar, TensorBoard and the lock, and give the signals back."""
        for shown in (self._bar, self._board):
            if shown is not None:
                shown.close()
        self._bar = None
        self._exit.close()

    def _lock(self) -> None:
        lock = self.folder / "run.lock"
        try:
            self._exit.enter_context(locked(lock))
        except ValueError:
            self.say(f"another process works here; waiting {LOCK_SECONDS} s, if it was just ended")
            self._exit.enter_context(locked(lock, LOCK_SECONDS))

    def announce(self, what: str, dtype: torch.dtype) -> None:
        """Tell the user what is trained, where, in which precision, and when it is saved."""
        minutes = self.config.checkpoint_minutes
        self.say(
            f"training on {self.device.type} in {str(dtype).removeprefix('torch.')}: {what}, "
            f"{self.total:,} images; saved after {min(FIRST_MINUTES, minutes):g} min, "
            f"then every {minutes:g} min"
        )

    def say(self, text: str) -> None:
        """Tell the user something, once, on the standard error stream after the folder's name."""
        if self.is_main:
            bar = "\n" if self._bar is not None else ""  # the text must not continue its line
            print(f"{bar}{self.folder}: {text}", file=sys.stderr, flush=True)

    def _write_config(self) -> None:
        path, config = self.folder / "config.json", as_record(self.config)
        older = read_options(path)
        if not (self.folder / "checkpoint.pt").exists():
            path.unlink(missing_ok=True)
        elif older:
            write_json(path, renamed(older))
        found = claim(path, config, "a training run", self.may_change)
        changed = [f"{n} {found.get(n)!r} -> {v!r}" for n, v in config.items() if found.get(n) != v]
        if found and changed:
            self.say(f"changed since the run began: {', '.join(changed)}")

    @contextlib.contextmanager
    def _signals(self):
        """Turn SIGINT and SIGTERM into a request to stop after the step."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def request(number: int, _frame: object) -> None:
            if not self._stop:
                self.say(f"{signal.Signals(number).name}: saving after this step ...")
            self._stop = True

        caught = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, request) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def unfinished(self) -> bool:
        """True while there are images left to train on."""
        return self.images < self.total

    def step(self, numbers: Mapping[str, Tensor | float]) -> None:
        """Count one step and note its numbers.

        The means of the numbers, of the first process, go to `stats.jsonl`, TensorBoard and the
        progress bar every `log_images` images.

        Args:
            numbers: Scalars by name; tensors are not waited for until they are written.

        Raises:
            ValueError: A number is not finite: the training diverged. The last checkpoint stays.
        """
        self.images += self.batch * self.processes
        if not self.is_main:
            return
        for name, value in numbers.items():
            value = value.detach().float() if isinstance(value, Tensor) else float(value)
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        bar = self._progress()
        bar.update(self.images - bar.n)
        self._say_duration()
        self._logged_images += self.batch * self.processes
        if self._logged_images >= self.log_images or not self.unfinished:
            now = time.monotonic()
            speed = self._logged_images / max(now - self._logged, 1e-9)
            means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
            self._sums, self._counts, self._logged_images, self._logged = {}, {}, 0, now
            self.log({**means, "images_per_second": speed})

    def _say_duration(self) -> None:
        seconds = time.monotonic() - self._started
        if self._timed or seconds < SPEED_SECONDS or not self.unfinished:
            return
        self._timed = True
        speed = (self.images - self._began) / seconds
        left = (self.total - self.images) / speed / 60
        hours = f"{left / 60:.1f} hours" if left >= 90 else f"{left:.0f} minutes"
        self.say(f"{speed:.3g} images a second: about {hours} to go")

    def log(self, numbers: Mapping[str, float]) -> None:
        """Write scalars now, by name, beside the image count, to `stats.jsonl` and TensorBoard.

        Raises:
            ValueError: A number is not finite.
        """
        if not self.is_main:
            return
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"{self.folder}: training diverged at image {self.images}: {name} is {value}"
                )
        values = {name: float(f"{value:.6g}") for name, value in numbers.items()}
        head = {"images": self.images, "seconds": round(self.elapsed(), 1)}
        append_jsonl(self.folder / "stats.jsonl", {**head, **values})
        shown = [name for name in values if name != "images_per_second"][:5]
        self._progress().set_postfix({name: f"{values[name]:.3g}" for name in shown}, refresh=False)
        if (board := self._tensorboard()) is not None:
            for name, value in values.items():
                board.add_scalar(name, value, self.images)

    def log_image(self, name: str, image: np.ndarray) -> None:
        """Show an image (H, W, 3), RGB, uint8, in TensorBoard, where it is installed."""
        if self.is_main and (board := self._tensorboard()) is not None:
            board.add_image(name, image, self.images, dataformats="HWC")

    def note_broken(self, *sources: Source) -> None:
        """Write `broken.json`, if files of the data could not be read so far; all processes."""
        pictures = [one for one in sources if isinstance(one, Pictures)]
        found = gather({str(path): why for one in pictures for path, why in one.broken.items()})
        if (broken := {path: why for some in found for path, why in some.items()}) and self.is_main:
            write_json(self.folder / "broken.json", broken)

    def checkpoint(self, state: Callable[[], Mapping[str, Any]]) -> bool:
        """Save what `state` gives when it is time, or a signal asked to stop; all processes.

        Returns:
            Whether a checkpoint was written.

        Raises:
            SystemExit: With status 130, after saving, when the run was asked to stop.
        """
        most = FIRST_MINUTES if self._saved == self._started else math.inf
        minutes = min(self.config.checkpoint_minutes, most)
        due = time.monotonic() - self._saved >= 60 * minutes
        # A worker whose launcher was killed has nobody left to end it.
        stop = self._stop or (self.processes > 1 and os.getppid() != self._parent)
        due, stop = any_process(due and self.is_main, stop)
        if not (due or stop):
            return False
        self.save(state())
        if stop:
            self.say(f"stopped and saved at image {self.images}; repeat the command to go on")
            raise SystemExit(INTERRUPTED)
        return True

    def save(self, state: Mapping[str, Any]) -> None:
        """Write `checkpoint.pt`: the state, the counters and the random states; all processes.

        Args:
            state: Tensors, numbers, strings and (nested) dictionaries and lists of them.

        Raises:
            OSError: It cannot be written, for instance because the disk is full; the checkpoint
                before stays as it was.
        """
        randomness = gather(random_state(self.rng))
        if self.is_main:
            path = self.folder / "checkpoint.pt"
            content = {"images": self.images, "seconds": self.elapsed()}
            content |= {"random": randomness, "state": dict(state)}
            try:
                with atomic_write(path) as temporary:
                    torch.save(content, temporary)
            except (OSError, RuntimeError) as error:
                raise OSError(f"{path}: cannot write the checkpoint: {error}") from error
        self._saved = time.monotonic()
        wait()

    def load(self) -> dict[str, Any] | None:
        """Read the checkpoint, if there is one, and restore counters and random states.

        Numbers of `stats.jsonl` that were written after the checkpoint are taken back.

        Returns:
            The state that was saved, tensors on the CPU; None at the start of a new run.

        Raises:
            CheckpointError: The file is damaged.
        """
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            self._cut_stats()
            return None
        content = read_checkpoint(path)
        self.images, self.seconds = content["images"], content["seconds"]
        self._began = self.images
        randomness, state = content["random"], content["state"]
        if self.rank < len(randomness):
            try:
                set_random_state(randomness[self.rank], self.rng)
            except Exception as error:  # states of generators are checked where they are set
                raise CheckpointError(
                    f"{path}: expected the states of random generators, got: {error}"
                ) from error
        else:  # more processes than before: a stream that no other process has
            self._seed(self.images)
        self._started = self._saved = self._logged = time.monotonic()
        self._cut_stats()
        self.say(
            f"going on from image {self.images:,} of {self.total:,}"
            if self.unfinished
            else f"nothing to do: {self.total:,} images were asked for, {self.images:,} are done"
        )
        return state

    def _cut_stats(self) -> None:
        path = self.folder / "stats.jsonl"
        if not self.is_main or not path.exists():
            return
        records = read_jsonl(path)
        kept = [r for r in records if isinstance(n := r.get("images", 0), int) and n <= self.images]
        if len(kept) < len(records):
            with atomic_write(path) as temporary:
                temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))

    def _seed(self, seed: int) -> None:
        stream = np.random.SeedSequence((seed, self.rank))
        torch_seed, python_seed = (int(word) for word in stream.generate_state(2))
        self.rng = np.random.default_rng(stream)
        torch.manual_seed(torch_seed)
        random.seed(python_seed)

    def elapsed(self) -> float:
        """Return the seconds trained so far, over all starts."""
        return self.seconds + time.monotonic() - self._started

    def _progress(self) -> Any:
        if self._bar is None:
            from tqdm import tqdm

            quiet = not sys.stderr.isatty()
            self._bar = tqdm(
                total=self.total,
                initial=self.images,
                desc=self.folder.name,
                unit="img",
                unit_scale=True,
                mininterval=30.0 if quiet else 0.5,
                dynamic_ncols=not quiet,
            )
        return self._bar

    def _tensorboard(self) -> Any:
        if self._board is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return None
            self._board = SummaryWriter(str(self.folder), purge_step=self.images)
        return self._board
