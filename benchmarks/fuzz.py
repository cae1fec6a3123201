"""Mutated files of every kind that restyle reads: refused or read, in bounded time and memory.

Small real files are made on the spot and mutated: bytes flipped, set, inserted, removed, repeated,
lengths changed, for pickles also whole opcodes. Workers read them with a limit of memory and of
time for each file. What hangs, crashes, or leaks an error that is not the reader's own is saved.

    python benchmarks/fuzz.py --seconds 60
"""

import argparse
import io
import json
import multiprocessing
import os
import pickletools
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

ROOT = Path(__file__).parents[1]
MEMORY = 1 << 30  # bytes that one file may add to what a worker takes
SECONDS = 10.0  # for one file
PER_WORKER = 5_000  # files before a worker is replaced
LENGTHS = (0, 1, 2, 255, 256, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1)


class Kind(NamedTuple):
    """A kind of file: an instance, and how it is read."""

    name: str
    content: bytes
    read: Callable[[Path], object]


def kinds(folder: Path) -> list[Kind]:
    """Small instances of all kinds, with their readers; `folder` is for those that need one."""
    sys.path.insert(0, str(ROOT))
    from tests.importers import official  # networks of a few thousand weights

    from restyle import importers
    from restyle.editing.directions import Direction, read_direction, save_direction
    from restyle.editing.latents import read_latents, save_latents
    from restyle.importers.archive import read_archive
    from restyle.io.checkpoints import load_folder
    from restyle.io.files import read_jsonl
    from restyle.io.images import read_image
    from restyle.model import ReStyle

    def config(path: Path) -> object:
        return ReStyle.from_pretrained(_beside(path, "config.json", folder))

    def weights(path: Path) -> object:
        return load_folder(_beside(path, "weights.safetensors", folder))

    def bytes_of(write: Callable[[Path], object], name: str) -> bytes:
        write(folder / name)
        return (folder / name).read_bytes()

    model = official.restyle_model()
    small = {"a": torch.arange(6.0), "b": {"c": torch.ones(2, 3)}, "opts": argparse.Namespace(x=1)}
    (folder / "model.pt").write_bytes(_saved(model))
    importers.convert(folder / "model.pt", folder / "native")
    direction = Direction("smile", torch.arange(1.0, 17.0), 2.0, (1, 2), "0" * 64)
    codes = torch.arange(96.0).reshape(1, 6, 16)
    found = [
        Kind("model.pt", _saved(model), importers.read),
        Kind("legacy.pt", _saved(model, legacy=True), importers.read),
        Kind("small.pt", _saved(small), read_archive),
        Kind("small-legacy.pt", _saved(small, legacy=True), read_archive),
        Kind("direction.pt", _saved(torch.ones(1, 16)), importers.read_direction),
        Kind("direction.npy", _array(np.ones((1, 16), np.float32)), importers.read_direction),
        Kind("cascade.npy", _array(_cascade()), importers.read),
        Kind(
            "direction.safetensors",
            bytes_of(lambda path: save_direction(direction, path), "direction.safetensors"),
            read_direction,
        ),
        Kind(
            "latents.safetensors",
            bytes_of(lambda path: save_latents(codes, {"model_sha256": "m"}, path), "codes"),
            lambda path: read_latents(path, "m", 6, 16),
        ),
        Kind("config.json", (folder / "native" / "config.json").read_bytes(), config),
        Kind("weights.safetensors", save({"a": torch.ones(4), "b": torch.ones(2, 3)}), weights),
        Kind("manifest.jsonl", b'{"file": "a.png", "seconds": 1.5}\n' * 3, read_jsonl),
    ]
    found += [Kind(f"network-{p}.pkl", _network(p), importers.read) for p in (2, 4)]
    for suffix in ("png", "jpeg", "webp"):
        found.append(Kind(f"image.{suffix}", _picture(suffix), read_image))
    parity = Path(os.environ.get("RESTYLE_PARITY_DIR", ROOT.parent / "shared" / "parity"))
    for path in sorted(parity.glob("pickle_*.pkl")):
        found.append(Kind(path.name, path.read_bytes(), importers.read))
    return found


def mutate(content: bytes, name: str, rng: random.Random) -> bytes:
    """Change a file in one to four places."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        changes = [_set, _insert, _remove, _repeat, _length, _cut]
        changes += [_opcode, _opcode, _opcode] if name.endswith(".pkl") else []
        content = rng.choice(changes)(content, rng)
    return content


def _place(content: bytes, rng: random.Random) -> int:
    """Anywhere, but for the most part where headers and tables are."""
    end = max(len(content), 1)
    place = rng.choice((rng.randrange(end), rng.randrange(min(end, 300)), -rng.randrange(1, 300)))
    return place if place >= 0 else max(end + place, 0)


def _set(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    old = content[at] if at < len(content) else 0
    new = rng.choice((old ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255))
    return content[:at] + bytes([new]) + content[at + 1 :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + rng.randbytes(rng.choice((1, 1, 2, 8, 100))) + content[at:]


def _remove(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + rng.choice((1, 1, 2, 8, 100)) :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, at = _place(content, rng), _place(content, rng)
    return content[:at] + content[start : start + rng.choice((1, 8, 64, 1000))] + content[at:]


def _length(content: bytes, rng: random.Random) -> bytes:
    at, size = _place(content, rng), rng.choice((2, 4, 8))
    number = rng.choice((*LENGTHS, len(content), rng.randrange(max(len(content), 1))))
    packed = struct.pack(rng.choice("<>") + "Q", number)
    packed = packed[:size] if packed[0] or not packed[-1] else packed[-size:]
    digits = str(number).encode()
    return content[:at] + rng.choice((packed, packed, digits)) + content[at + size :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def _opcode(content: bytes, rng: random.Random) -> bytes:
    """Remove, repeat, swap or invent an opcode of a pickle, or change its argument."""
    try:
        starts = [at for _, _, at in pickletools.genops(content[:100_000]) if at is not None]
    except Exception:  # no longer a pickle, or cut off
        starts = _starts(content)
    if len(starts) < 3:
        return content
    i, j = rng.randrange(len(starts) - 1), rng.randrange(len(starts) - 1)
    here, after = starts[i], starts[i + 1]
    there = content[starts[j] : starts[j + 1]]
    invented = rng.choice(pickletools.opcodes).code.encode("latin-1")
    number = struct.pack("<Q", rng.choice((*LENGTHS, rng.randrange(len(content)))))
    put = rng.choice(
        (b"", there, there + content[here:after], invented, invented + number)
        + (content[here : here + 1] + number[: max(after - here - 1, 1)],)
    )
    return content[:here] + put + content[after:]


def _starts(content: bytes) -> list[int]:
    starts = []
    try:
        for _, _, position in pickletools.genops(content[:100_000]):
            starts.append(position)
    except Exception:  # as far as it goes
        pass
    return starts


def _saved(content: object, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def _array(values: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values, dtype=None if isinstance(values, np.ndarray) else object))
    return stream.getvalue()


def _cascade() -> np.ndarray:
    table = np.empty((), object)
    table[()] = {f"conv{i}.weight": np.ones((2, 3), np.float32) for i in range(3)}
    return table


def _network(protocol: int) -> bytes:
    """The frame of a network pickle, without the names that only NVIDIA's code has."""
    import collections
    import pickle

    state = collections.OrderedDict({f"w{i}": bytes(50 * i) for i in range(20)})
    return pickle.dumps({"G_ema": state, "args": [(1, 2.5, None, True, "x")] * 9}, protocol)


def _picture(suffix: str) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(stream, suffix)
    return stream.getvalue()


def _beside(path: Path, name: str, folder: Path) -> Path:
    """A native checkpoint with one of its files replaced, and the hash that fits it."""
    from restyle.io.files import sha256

    made = path.with_suffix(".folder")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    if name == "config.json":
        os.link(folder / "native" / "weights.safetensors", made / "weights.safetensors")
        os.link(path, made / name)
    else:
        os.link(path, made / name)
        config = {"format": 1, "kind": "test", "weights_sha256": sha256(path)}
        (made / "config.json").write_text(json.dumps(config))
    return made


def work(pipe: Connection, seed: int, folder: str) -> None:
    """Read mutated files, telling of each before and after, until told to stop by a signal."""
    import resource

    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders print
    torch.set_num_threads(1)
    rng = random.Random(seed)
    made = Path(folder) / str(seed)
    made.mkdir()
    known = kinds(made)
    path = Path(folder) / f"{seed}.bin"
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    weights = [1 if len(kind.content) > 100_000 else 10 for kind in known]  # large ones take long
    for kind in rng.choices(known, weights, k=PER_WORKER):
        path.unlink(missing_ok=True)
        path.write_bytes(mutate(kind.content, kind.name, rng))
        pipe.send((kind.name, None))
        pipe.send((kind.name, outcome(kind, path)))
    pipe.close()


def outcome(kind: Kind, path: Path) -> str:
    """Read one file: `read`, `refused`, or the error that leaked."""
    from restyle.editing.directions import DirectionError
    from restyle.editing.latents import LatentsError
    from restyle.io.checkpoints import CheckpointError
    from restyle.io.images import ImageError

    try:
        kind.read(path)
    except (CheckpointError, DirectionError, ImageError, LatentsError):
        return "refused"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "read"


class Tally:
    """What came of the files, with the bytes of those at fault."""

    def __init__(self, folder: Path):
        """Count into nothing yet; `folder` is where faults are kept."""
        self.counts: Counter[tuple[str, str]] = Counter()
        self.folder = folder

    def add(self, kind: str, result: str, path: Path) -> None:
        """Count one file, and keep it if it is at fault."""
        group = result if result in ("read", "refused", "hang", "crash") else "leak"
        self.counts[kind, group] += 1
        if group not in ("read", "refused"):
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = self.folder / f"{group}-{self.total()}-{kind}"
            shutil.copy(path, kept)
            print(f"{kept}: {result}", flush=True)

    def total(self, *groups: str) -> int:
        """How many files there were, or how many of some groups."""
        return sum(n for (_, group), n in self.counts.items() if not groups or group in groups)


def watch(seed: int, deadline: float, tally: Tally, scratch: str) -> None:
    """Let one worker read until it is done, dead, stuck, or out of time."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=work, args=(theirs, seed, scratch), daemon=True)
    worker.start()
    theirs.close()
    path, reading = Path(scratch) / f"{seed}.bin", None
    try:
        while time.monotonic() < deadline or reading:
            if not ours.poll(SECONDS if reading else 120):
                tally.add(reading or "start", "hang", path)
                return
            kind, result = ours.recv()
            reading = kind if result is None else None
            if result is not None:
                tally.add(kind, result, path)
    except EOFError:
        if reading:
            tally.add(reading, "crash", path)
    finally:
        if worker.pid is not None and worker.is_alive():
            os.kill(worker.pid, signal.SIGKILL)
        worker.join()


def main() -> int:
    """Mutate and read for a while, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="where faults go")
    options = parser.parse_args()
    deadline, seed = time.monotonic() + options.seconds, options.seed
    tally = Tally(options.keep)
    with tempfile.TemporaryDirectory() as scratch:
        while time.monotonic() < deadline:
            watch(seed, deadline, tally, scratch)
            seed += 1
    for kind in sorted({kind for kind, _ in tally.counts}):
        shown = {group: n for (other, group), n in tally.counts.items() if other == kind}
        print(f"{kind:30}", "  ".join(f"{n:6} {group}" for group, n in sorted(shown.items())))
    faults = [tally.total(group) for group in ("hang", "crash", "leak")]
    print(
        f"{tally.total()} mutated files: {tally.total('refused')} refused, {tally.total('read')} "
        f"read, {faults[0]} hangs, {faults[1]} crashes, {faults[2]} leaked exceptions"
    )
    return int(any(faults))


if __name__ == "__main__":
    sys.exit(main())
