"""Whole models from files in the published formats: the loop, bootstrapping, single shots."""

import torch
from torch.nn.functional import adaptive_avg_pool2d

import restyle
from restyle import importers
from restyle.model import InversionResult, ReStyle

from .cases import Case, cases, load
from .test_encoders import check_stages


def read(case: Case, name: str, folder) -> ReStyle:
    torch.save(case.checkpoints.pop(name), folder / f"{name}.pt")
    model = importers.read(folder / f"{name}.pt")
    (folder / f"{name}.pt").unlink()  # they are large
    assert isinstance(model, ReStyle)
    return model


def check_steps(case: Case, model: ReStyle, result: InversionResult) -> None:
    """The average as the encoder sees it, and each step's codes and images."""
    size = model.domain.input_size
    case.check("avg_image", adaptive_avg_pool2d(result.steps[0].image, size)[0])
    steps = result.steps[1:]
    case.check("latents", torch.stack([step.ws for step in steps], dim=1))
    images = [step.image for step in steps]
    if case.params["resize_outputs"]:
        images = [adaptive_avg_pool2d(image, size) for image in images]
    case.check("images", torch.stack(images, dim=1))
    if "step_delta_norm" in case.outputs:
        moves = [(b.ws - a.ws).flatten(1).norm(dim=1) for a, b in zip(steps, steps[1:])]  # noqa: B905
        case.check("step_delta_norm", torch.stack(moves, dim=1))
    case.finish()


@cases("restyle_", large=True)
def test_restyle(path, tmp_path):
    case = load(path)
    model = read(case, "restyle", tmp_path)
    result = model.invert(case.inputs["x"], steps=case.params["n_iters_per_batch"])
    check_steps(case, model, result)


@cases("bootstrap_", large=True)
def test_bootstrap(path, tmp_path):
    case = load(path)
    source = read(case, "model_1", tmp_path)
    target = read(case, "model_2", tmp_path)
    steps = case.params["n_iters_per_batch"]
    result = restyle.bootstrap(case.inputs["x"], source, target, source_steps=1, steps=steps)
    check_steps(case, source, result)


@cases("psp_gradual_", "e4e_encoder4editing_", large=True)
@torch.no_grad()
def test_single_shot(path, tmp_path):
    case = load(path)
    model = read(case, "single_shot", tmp_path)
    x = case.inputs["x"]
    case.check("codes", model.encoder(x)[0])
    result = model.invert(x)
    case.check("latents", result.ws)
    case.check("image", case.resized(result.image))
    check_stages(case, model.encoder, x)
    case.finish()
