"""Faces are aligned, detected and embedded as in the reference."""

import pickle

import numpy as np
import torch
from PIL import Image

from restyle import importers
from restyle.faces import crop_face, ffhq_quad
from restyle.faces.networks import CascadeNetwork
from restyle.faces.similarity import similarity_transform, warp
from restyle.nn.backbones import ArcFace

from .cases import cases, load


def photo_of(case) -> np.ndarray:
    """The picture that a case describes, (H, W, 3), uint8."""
    return ((case.inputs["photo"][0].permute(1, 2, 0) + 1) * 127.5).numpy().astype(np.uint8)


@cases("face_align")
def test_face_align(path):
    case = load(path)
    photo = Image.fromarray(photo_of(case))
    size, sampled = case.params["output_size"], case.params["transform_size"]
    numbers = [name.removeprefix("aligned_") for name in case.outputs if name.startswith("aligned")]
    for number in numbers:
        quad = ffhq_quad(case.arrays[f"landmarks_{number}"])
        case.check(f"aligned_{number}", np.asarray(crop_face(photo, quad, size, sampled)))
    case.finish(*(f"landmarks_{number}" for number in numbers))


@cases("arcface_warp")
def test_arcface_warp(path):
    case = load(path)
    photo = photo_of(case)
    reference = np.array(case.params["reference_points"])
    width, height = case.params["crop_size"]
    for i, points in enumerate(case.params["points"]):
        transform = similarity_transform(np.array(points), reference)
        case.check(f"transform_{i}", transform)
        case.check(f"crop_{i}", warp(photo, transform, (height, width)))
    case.finish()


def save_published(table: dict[str, torch.Tensor], path) -> None:
    """Write a table as the detector's weights are published: a pickled dict in a `.npy` file."""
    holder = np.array({name: tensor.numpy() for name, tensor in table.items()}, dtype=object)
    with open(path, "wb") as file:
        header = np.lib.format.header_data_from_array_1_0(holder)
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(holder, file, protocol=2)


@cases("mtcnn_nets")
@torch.no_grad()
def test_mtcnn_nets(path, tmp_path):
    case = load(path)
    for name, table in case.checkpoints["mtcnn"].items():
        save_published(table, tmp_path / f"{name}.npy")
        network = importers.read(tmp_path / f"{name}.npy")
        assert isinstance(network, CascadeNetwork)
        offsets, *landmarks, scores = network(case.inputs[name])
        # The reference returns landmarks before offsets.
        for i, output in enumerate([*landmarks, offsets, scores]):
            case.check(f"{name}_{i}", output)
    case.finish()


@cases("embed_ir101")
@torch.no_grad()
def test_embed_ir101(path, tmp_path):
    case = load(path)
    torch.save(case.checkpoints["ir101"], tmp_path / "ir101.pth")
    network = importers.read(tmp_path / "ir101.pth")
    assert isinstance(network, ArcFace)
    embedding = network.embed(case.inputs["x"])
    case.check("embedding", embedding)
    case.check("similarity", embedding @ embedding.T)
    case.finish()
