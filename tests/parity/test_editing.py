"""Edits along directions, and directions from a generator's weights."""

import torch

from restyle import importers
from restyle.editing.directions import Direction
from restyle.editing.edits import shift
from restyle.editing.search import closed_form, style_weights

from .cases import Case, cases, load


def read(case: Case, folder):
    torch.save(case.checkpoints["generator"], folder / "generator.pt")
    return importers.read(folder / "generator.pt")


@cases("edit_interfacegan", large=True)
@torch.no_grad()
def test_edits_along_published_directions(path, tmp_path):
    case = load(path)
    case.checkpoints["generator"].setdefault("latent_avg", torch.zeros(512))  # is not used
    generator = read(case, tmp_path)
    latents = case.inputs["latents"]
    factors = torch.tensor(case.params["factors"], dtype=torch.float32)

    def edited(name: str, strengths: torch.Tensor) -> torch.Tensor:
        """(B, factors, num_ws, D), in the reference's unit: the vector as it is in the file."""
        torch.save(case.checkpoints[f"direction_{name}"], tmp_path / f"{name}.pt")
        found = importers.read_direction(tmp_path / f"{name}.pt")
        assert found.name == name and found.scale is None
        direction = Direction(name, found.vector, scale=1.0)
        return torch.stack([shift(latents, direction, float(s)) for s in strengths], dim=1)

    case.check("latents_age", edited("age", factors))
    case.check("latents_smile", edited("smile", factors)[:, -1])
    pose = edited("pose", factors)
    case.check("latents_pose", pose[:, -1])
    single = torch.tensor([case.params["single_factor"]])
    case.check("latents_smile_single", edited("smile", single)[:, 0])
    images = generator.synthesis(pose.flatten(0, 1)).unflatten(0, pose.shape[:2])
    truncated = (((images + 1) / 2).clamp(0, 1) * 255).to(torch.uint8)  # as the reference rounds
    case.check("images_pose_uint8", truncated.movedim(2, -1).to(torch.int64))
    case.finish()


@cases("edit_sefa")
@torch.no_grad()
def test_closed_form_factorisation(path, tmp_path):
    case = load(path)
    generator = read(case, tmp_path)
    weights = style_weights(generator)
    assert sum(len(matrix) for matrix in weights) == case.params["rows"]
    rows, values = closed_form(weights)
    case.check("singular_values", values)
    case.check("eigvec_abs_checksum", rows.abs().sum(dim=1))
    want = torch.from_numpy(case.arrays["eigvec_first"])  # (512, 16), signs are arbitrary
    first = rows[: want.shape[1]].t()
    signs = (first * want).sum(dim=0).sign()
    case.check("eigvec_first", first * signs)

    index, degree = case.params["index"], case.params["degree"]
    direction = Direction("sefa", rows[index] * signs[index], scale=1.0)
    # The reference truncates what it has moved.
    ws = generator.broadcast(case.inputs["w"])
    moved = torch.cat([shift(ws, direction, strength) for strength in (degree, 0.0, -degree)])
    case.check("images_index1", generator.synthesis(generator.truncate(moved, 0.7)))
    case.finish()
