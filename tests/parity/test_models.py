"""Whole models from files in the published formats: the loop, bootstrapping, single shots.

Their exports compute the same numbers: in float32 within the cases' own tolerances, in half
precision within the exports' own.
"""

import shutil

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

import restyle
from restyle import importers
from restyle.exporting.export import TOLERANCES, export
from restyle.model import InversionResult, ReStyle

from .cases import Case, cases, load
from .test_encoders import check_stages

EXPORTS = [pytest.param(dtype, marks=pytest.mark.soak) for dtype in TOLERANCES]  # minutes each


@pytest.fixture(params=[None, *EXPORTS], ids=["model", "export", "half"])
def read(request, tmp_path):
    """Return a reader of a case's checkpoint: the model itself, or its export in a precision."""

    def call(case: Case, name: str) -> ReStyle:
        torch.save(case.checkpoints.pop(name), tmp_path / f"{name}.pt")
        model = importers.read(tmp_path / f"{name}.pt")
        assert isinstance(model, ReStyle)
        if request.param is None:
            return model
        export(model, tmp_path / name, request.param)
        if request.param == torch.float16:
            for name, entry in case.outputs.items():  # a norm sums over thousands of codes
                entry["rtol" if name == "step_delta_norm" else "atol"] = TOLERANCES[torch.float16]
        return restyle.load(tmp_path / name, device="cpu")

    yield call
    shutil.rmtree(tmp_path)  # they are large


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
def test_restyle(path, read):
    case = load(path)
    model = read(case, "restyle")
    result = model.invert(case.inputs["x"], steps=case.params["n_iters_per_batch"])
    check_steps(case, model, result)


@cases("bootstrap_", large=True)
def test_bootstrap(path, read):
    case = load(path)
    source, target = read(case, "model_1"), read(case, "model_2")
    steps = case.params["n_iters_per_batch"]
    result = restyle.bootstrap(case.inputs["x"], source, target, source_steps=1, steps=steps)
    check_steps(case, source, result)


@cases("psp_gradual_", "e4e_encoder4editing_", large=True)
@torch.no_grad()
def test_single_shot(path, read):
    case = load(path)
    model = read(case, "single_shot")
    x = case.inputs["x"]
    case.check("codes", model.encoder(x)[0])
    result = model.invert(x)
    case.check("latents", result.ws)
    case.check("image", case.resized(result.image))
    if model.has_gradients:
        check_stages(case, model.encoder, x)
        case.finish()
