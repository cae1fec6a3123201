"""Newton's method on problems with known answers, and its products against finite differences."""

import math

import pytest
import torch

from restyle.inversion.curvature import Curvature, estimate_curvature
from restyle.inversion.newton import _Problem, newton
from restyle.losses.weighted import WeightedLosses
from restyle.refine import Estimate
from tests.tiny import tiny_generator

NUM_WS, W_DIM, PIXELS = 3, 4, 5


def residuals(images, targets):
    return (images - targets).flatten(1)


class LinearGenerator:
    """A generator that is a matrix: its least squares are solved exactly."""

    def __init__(self, condition: float = 10.0):
        torch.manual_seed(0)
        count = NUM_WS * W_DIM
        u, _, v = torch.linalg.svd(torch.randn(3 * PIXELS * PIXELS, count).double())
        scales = torch.logspace(0, -math.log10(condition), count).double()
        self.matrix = u[:, :count] @ torch.diag(scales) @ v

    def __call__(self, ws):
        return (ws.flatten(1).double() @ self.matrix.T).view(-1, 3, PIXELS, PIXELS)

    def curvature(self, rank=NUM_WS * W_DIM):
        values, vectors = torch.linalg.eigh(self.matrix.T @ self.matrix)
        rest = float(values[:-rank].mean()) if rank < len(values) else 1e-12
        return Curvature(vectors.flip(1)[:, :rank], values.flip(0)[:rank], rest)


def start_of(render, batch=2):
    ws = torch.zeros(batch, NUM_WS, W_DIM, dtype=torch.float64)
    return Estimate(ws, render(ws))


def test_a_linear_generator_is_solved_in_one_step(monkeypatch):
    monkeypatch.setattr("restyle.inversion.newton.DAMPING", 1e-12)
    render = LinearGenerator()
    wanted = torch.randn(2, NUM_WS, W_DIM).double()
    (found,) = newton(render, residuals, render(wanted), start_of(render), 1, render.curvature())
    torch.testing.assert_close(found.ws, wanted, rtol=1e-5, atol=1e-5)


def test_a_preconditioner_saves_iterations(monkeypatch):
    monkeypatch.setattr("restyle.inversion.newton.DAMPING", 1e-9)
    render = LinearGenerator(condition=1e3)
    target = render(torch.randn(2, NUM_WS, W_DIM).double())
    plain = Curvature(torch.zeros(NUM_WS * W_DIM, 0).double(), torch.zeros(0).double(), 1.0)
    errors = []
    for curvature in (plain, render.curvature(rank=6), render.curvature()):
        (found,) = newton(render, residuals, target, start_of(render), 1, curvature, inner=3)
        errors.append((found.image - target).square().sum().item())
    assert errors[0] > 2 * errors[1] and errors[1] > 2 * errors[2]


def test_a_smooth_problem_converges_quadratically(monkeypatch):
    monkeypatch.setattr("restyle.inversion.newton.DAMPING", 1e-6)
    linear = LinearGenerator(condition=2)

    def render(ws):
        image = linear(ws)
        return image + 0.2 * image.square()

    wanted = 0.3 * torch.randn(1, NUM_WS, W_DIM).double()
    path = newton(
        render, residuals, render(wanted), start_of(render, 1), 4, linear.curvature(), inner=12
    )
    errors = [(estimate.ws - wanted).norm().item() for estimate in path]
    assert errors[-1] < 1e-6
    assert errors[1] < errors[0] ** 1.6 and errors[2] < errors[1] ** 1.4


def test_what_does_not_help_leaves_the_start():
    render = LinearGenerator()
    start = start_of(render)
    uphill = render.curvature()
    found = list(newton(lambda ws: render(ws) * 0, residuals, render(start.ws), start, 2, uphill))
    for estimate in found:
        assert torch.equal(estimate.ws, start.ws)


def test_images_do_not_influence_one_another():
    torch.manual_seed(1)
    linear = LinearGenerator()

    def render(ws):
        return torch.tanh(2 * linear(ws))

    target = render(torch.randn(3, NUM_WS, W_DIM).double())
    together = list(newton(render, residuals, target, start_of(render, 3), 3, linear.curvature()))
    for i in range(3):
        start = start_of(render, 1)
        alone = list(newton(render, residuals, target[i : i + 1], start, 3, linear.curvature()))
        torch.testing.assert_close(alone[-1].ws[0], together[-1].ws[i])


def test_a_pull_keeps_codes_near_w():
    render = LinearGenerator()
    target = render(torch.randn(2, NUM_WS, W_DIM).double())

    def spread(pull):
        *_, last = newton(
            render, residuals, target, start_of(render), 3, render.curvature(), 12, pull
        )
        return (last.ws - last.ws.mean(1, keepdim=True)).norm().item()

    assert spread(10.0) < 0.1 * spread(0.0)


@pytest.mark.parametrize("damping", [1e-3, 1.0])
def test_a_curvature_solves_and_multiplies(damping):
    curvature = LinearGenerator().curvature(rank=5)
    x = torch.randn(4, NUM_WS * W_DIM).double()
    b = curvature.product(x) + damping * x
    solved = curvature.solve(b, torch.full((4, 1), damping).double())
    torch.testing.assert_close(solved, x)
    assert curvature.mean == pytest.approx(
        LinearGenerator().matrix.square().sum().item() / (NUM_WS * W_DIM), rel=1e-6
    )


def test_estimated_curvature_is_the_mean_of_the_squared_jacobian():
    render = LinearGenerator(condition=3)

    def codes():
        while True:
            yield torch.randn(50, NUM_WS, W_DIM).double()

    found = estimate_curvature(render, residuals, codes(), probes=4000, rank=12)
    wanted = render.matrix.T @ render.matrix
    torch.testing.assert_close(
        found.product(torch.eye(NUM_WS * W_DIM).double()), wanted, rtol=0.1, atol=0.03
    )


def test_products_with_the_jacobian_agree_with_automatic_differentiation():
    generator = tiny_generator()
    target = torch.rand(2, 3, 16, 16) * 2 - 1
    problem = _Problem(generator.synthesis, WeightedLosses(None).residuals, target, pull=0.1)
    ws = generator.broadcast(generator.mapping(torch.randn(2, 8))).detach().clone()
    point = problem.at(ws)
    x = torch.randn(2, ws[0].numel())
    _, exact = torch.func.jvp(lambda codes: problem.residuals_at(codes)[1], (ws,), (x.view_as(ws),))
    error = (point.forward(x) - exact).norm(dim=1) / exact.norm(dim=1)
    assert (error < 0.05).all()
    v = torch.randn_like(point.r)
    torch.testing.assert_close(
        (point.backward(v) * x).sum(1), (v * exact).sum(1), rtol=1e-3, atol=1e-4
    )


def test_a_start_that_is_not_finite_is_refused():
    render = LinearGenerator()
    start = start_of(render)
    target = torch.full_like(start.image, torch.nan)
    with pytest.raises(ValueError, match="newton: expected a finite objective"):
        list(newton(render, residuals, target, start, 1, render.curvature()))
    with pytest.raises(ValueError, match="expected a start for each of the 2 targets, got 1"):
        list(newton(render, residuals, target, start[:1], 1, render.curvature()))
