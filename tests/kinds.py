"""A small instance of every kind of file that restyle reads, and how it is read."""

import argparse
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from restyle import importers
from restyle.editing.directions import Direction, DirectionError, read_direction, save_direction
from restyle.editing.latents import LatentsError, read_latents, save_latents
from restyle.evaluation.records import kept_arrays
from restyle.faces.networks import proposal_network
from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.archive import read_archive
from restyle.inversion.pivotal import tuned_generator
from restyle.io.checkpoints import CheckpointError, load_folder, weights_hash
from restyle.io.claims import claim
from restyle.io.datasets import list_entries
from restyle.io.files import sha256
from restyle.io.images import ImageError, ImageFile, read_image
from restyle.jobs.manifest import FILE, Item, Manifest
from restyle.model import ReStyle
from restyle.training.config import RunOptions
from restyle.training.loaders import had_frozen_norms, load_run_state, start_encoder
from restyle.training.randomness import random_state
from restyle.training.run import Run
from tests.importers import network_pickles, official
from tests.importers.test_faces import published_names

OWN = (ValueError, CheckpointError, DirectionError, ImageError, LatentsError)
Reader = Callable[[Path], object]


class Kind(NamedTuple):
    """A kind of file: its name, an instance, and how it is read."""

    name: str
    content: bytes
    read: Reader


def outcome(kind: Kind, path: Path) -> str:
    """Read one file: `read`, `refused` by an error that names it, or the error that leaked."""
    try:
        kind.read(path)
    except BaseException as error:
        if type(error) in OWN and str(path.parent) in str(error):
            return "refused"
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "read"


def kinds(folder: Path) -> list[Kind]:
    """Instances of all kinds; `folder` is for those that need one."""
    return [*_foreign(), *_native(folder), *_run(), *_pictures()]


def _foreign() -> list[Kind]:
    model = official.restyle_model()
    small = {"a": torch.arange(6.0), "b": {"c": torch.ones(2, 3)}, "opts": argparse.Namespace(x=1)}
    cascade = {n: t.numpy() for n, t in published_names(proposal_network(), "conv4_1").items()}
    heads = official.lpips_files("alex")[2]
    with network_pickles.known_names():
        networks = {p: network_pickles.pickled(protocol=p) for p in (3, 4)}
    return [
        Kind("model.pt", _saved(model), importers.read),
        Kind("legacy.pt", _saved(model, legacy=True), importers.read),
        Kind("generator.pt", _saved(_rosinality()), importers.read),
        Kind("moco.pt", _saved(official.moco()), importers.read),
        Kind("lpips.pt", _saved(heads), importers.read),
        Kind("small.pt", _saved(small), read_archive),
        Kind("small-legacy.pt", _saved(small, legacy=True), read_archive),
        Kind("direction.pt", _saved(torch.ones(1, 16)), importers.read_direction),
        Kind("direction.npy", _array(np.ones((1, 16), np.float32)), importers.read_direction),
        Kind("cascade.npy", _table(cascade), importers.read),
        *(Kind(f"network-{p}.pkl", content, importers.read) for p, content in networks.items()),
    ]


def _native(folder: Path) -> list[Kind]:
    (folder / "model.pt").write_bytes(_saved(official.restyle_model()))
    importers.convert(folder / "model.pt", folder / "native")
    config = json.loads((folder / "native" / "config.json").read_text())
    config["card"] = {"images_seen": 10, "training": {"freeze_norms": True}}
    model = ReStyle.from_pretrained(folder / "native")
    save_direction(
        Direction("smile", torch.arange(1.0, 17.0), 2.0, (1, 2), "0" * 64), folder / "d.safetensors"
    )
    save_latents(torch.arange(96.0).reshape(1, 6, 16), {"model_sha256": "m"}, folder / "l")
    changes = {
        n: t.half().contiguous() for n, t in model.generator.state_dict().items() if t.ndim > 1
    }
    tuned = save(changes, {"generator_sha256": weights_hash(model.generator.state_dict())})

    def checkpoint(path: Path) -> Path:
        return _beside(path, folder / "native")

    users = (
        lambda path: ReStyle.from_pretrained(checkpoint(path)),
        lambda path: StyleGAN2.from_pretrained(checkpoint(path)),
        lambda path: start_encoder(model.encoder, str(checkpoint(path)), model.generator),
        lambda path: had_frozen_norms(str(checkpoint(path))),
    )
    return [
        Kind("config.json", json.dumps(config).encode(), _each(*users)),
        Kind("weights.safetensors", save({"a": torch.ones(4), "b": torch.ones(2, 3)}), _weights),
        Kind("direction.safetensors", (folder / "d.safetensors").read_bytes(), read_direction),
        Kind("latents.safetensors", (folder / "l").read_bytes(), _latents),
        Kind("tuned.safetensors", tuned, lambda path: tuned_generator(model.generator, path)),
    ]


def _run() -> list[Kind]:
    state = {"generator": {"weight": torch.ones(3, 4)}, "lr": 0.1, "steps": [1, 2]}
    rng = np.random.default_rng(0)
    content = {"images": 9, "seconds": 1.5, "random": [random_state(rng)], "state": state}
    arrays = io.BytesIO()
    np.savez(arrays, a=np.arange(6.0), b=np.ones((2, 3)))
    record = {
        "input": "/a.png",
        "name": "a",
        "status": "done",
        "sha256": "0",
        "outputs": {"x": "y"},
    }
    settings = {"steps": 5, "sha256": "0", "directions": ["smile"]}

    def load(path: Path) -> object:
        return Run(RunOptions(out=path.parent, device="cpu"), images=10).load()

    return [
        Kind("checkpoint.pt", _saved(content), _each(load, lambda p: load_run_state(p.parent))),
        Kind("stats.jsonl", b'{"images": 5, "loss": 0.5}\n{"images": 9}\n', load),
        Kind("claim.json", json.dumps(settings).encode(), lambda p: claim(p, settings, "a test")),
        Kind("arrays.npz", arrays.getvalue(), lambda p: kept_arrays(p, dict)),
        Kind(FILE, 3 * (json.dumps(record).encode() + b"\n"), _manifest),
    ]


_ENCODED = ("png", "jpeg", "webp", "bmp", "tiff", "avif")


def _pictures() -> list[Kind]:
    plain = {suffix: _picture(suffix) for suffix in _ENCODED}
    packed, shard = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", plain["png"])
        archive.writestr("b/c.jpg", plain["jpeg"])
    with tarfile.open(fileobj=shard, mode="w") as archive:
        for name, content in (("a.png", plain["png"]), ("b.jpg", plain["jpeg"])):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return [
        *(Kind(f"image.{suffix}", content, read_image) for suffix, content in plain.items()),
        Kind("transparent.png", _picture("png", "RGBA"), read_image),
        Kind("packed.tiff", _picture("tiff", compression="tiff_lzw"), read_image),
        Kind("pictures.zip", packed.getvalue(), _entries),
        Kind("shard.tar", shard.getvalue(), _entries),
    ]


def _each(*readers: Reader) -> Reader:
    """Give a file to all its readers, though one before refuses it."""

    def read(path: Path) -> None:
        refusals = []
        for reader in readers:
            try:
                reader(path)
            except CheckpointError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    return read


def _latents(path: Path) -> object:
    return read_latents(path, "m", 6, 16)


def _entries(path: Path) -> object:
    return [entry.read() for entry in list_entries(path)]


def _weights(path: Path) -> object:
    return load_folder(_beside(path, None))


def _manifest(path: Path) -> object:
    manifest = Manifest(path.parent, {"steps": 5})
    file = Path("/a.png")
    return manifest.is_done(Item(file, manifest.name(ImageFile(file, Path("a.png"))), "0"))


def _beside(path: Path, native: Path | None) -> Path:
    """A native checkpoint with one of its files replaced, and the hash that fits it."""
    made = path.with_suffix(".folder")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    os.link(path, made / path.name)
    if native is not None:
        os.link(native / "weights.safetensors", made / "weights.safetensors")
    else:
        config = {"format": 1, "kind": "test", "weights_sha256": sha256(path)}
        (made / "config.json").write_text(json.dumps(config))
    return made


def _rosinality() -> dict:
    return {"g_ema": official.generator(), "latent_avg": torch.zeros(official.W_DIM)}


def _saved(content: object, legacy: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def _array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _table(arrays: dict[str, np.ndarray]) -> bytes:
    """As NumPy wrote tables when the detector's files were made: by protocol 2."""
    import pickle

    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(stream, header)
    table = np.empty((), object)
    table[()] = arrays
    pickle.dump(table, stream, 2)
    return stream.getvalue()


def _picture(suffix: str, mode: str = "RGB", **options: str) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.linear_gradient("L").resize((40, 30)).convert(mode)
    picture.save(stream, suffix, exif=exif, **options)
    return stream.getvalue()
