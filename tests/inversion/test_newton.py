"""Newton's method on problems with known answers."""

import math

import pytest
import torch

from restyle.inversion.curvature import Curvature, estimate_curvature
from restyle.inversion.newton import _Problem, newton
from restyle.refine import Estimate

NUM_WS, W_DIM, PIXELS = 3, 4, 5


def residuals(images, targets):
    return (images - targets).flatten(1)


def objective(images, targets):
    return residuals(images, targets).square().sum(dim=1)


class LinearGenerator:
    """A generator that is a matrix: its least squares are solved exactly."""

    def __init__(self, condition: float = 10.0):
        torch.manual_seed(0)
        count = NUM_WS * W_DIM
        u, _, v = torch.linalg.svd(torch.randn(3 * PIXELS * PIXELS, count).double())
        scales = torch.logspace(0, -math.log10(condition), count).double()
        self.matrix = u[:, :count] @ torch.diag(scales) @ v
        self.renders = []

    def __call__(self, ws):
        self.renders.append(len(ws))
        return (ws.flatten(1).to(self.matrix) @ self.matrix.T).view(-1, 3, PIXELS, PIXELS)

    def curvature(self, rank=NUM_WS * W_DIM):
        values, vectors = torch.linalg.eigh(self.matrix.T @ self.matrix)
        rest = float(values[:-rank].mean()) if rank < len(values) else 1e-12
        return Curvature(vectors.flip(1)[:, :rank], values.flip(0)[:rank], rest)


@pytest.fixture
def exact(monkeypatch):
    """Take whole steps without damping, as a problem allows whose curvature is known."""
    monkeypatch.setattr("restyle.inversion.newton.DAMPING", 1e-9)
    monkeypatch.setattr("restyle.inversion.newton.FIRST", 1.0)


def start_of(render, batch=2):
    ws = torch.zeros(batch, NUM_WS, W_DIM, dtype=torch.float64)
    return Estimate(ws, render(ws))


def wanted_codes(batch=2):
    return torch.randn(batch, NUM_WS, W_DIM, generator=torch.Generator().manual_seed(7)).double()


def test_a_linear_generator_is_solved_in_one_iteration(exact):
    render, wanted = LinearGenerator(), wanted_codes() / 2
    path = newton(
        render, objective, render(wanted), start_of(render), render.curvature(), 1, inner=1
    )
    (found,) = path
    torch.testing.assert_close(found.ws, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.image, render(found.ws))


def test_a_known_curvature_saves_iterations(exact):
    render = LinearGenerator(condition=1e3)
    target = render(wanted_codes())
    plain = Curvature(torch.zeros(NUM_WS * W_DIM, 0).double(), torch.zeros(0).double(), 1.0)
    errors = []
    for curvature in (plain, render.curvature(rank=6), render.curvature()):
        (found,) = newton(render, objective, target, start_of(render), curvature, 1, inner=4)
        errors.append(objective(found.image, target).sum().item())
    assert errors[0] > 2 * errors[1] and errors[1] > 2 * errors[2]


def test_a_smooth_problem_converges_quadratically(exact):
    linear = LinearGenerator(condition=2)

    def render(ws):
        image = linear(ws)
        return image + 0.2 * image.square()

    wanted = 0.3 * wanted_codes(1)
    known = linear.curvature()
    path = newton(render, objective, render(wanted), start_of(render, 1), known, 3, inner=3)
    errors = [(estimate.ws - wanted).norm().item() for estimate in path]
    assert errors[0] < 1e-3 and errors[1] < errors[0] ** 2 and errors[2] < 1e-14


def test_what_does_not_help_leaves_the_start_and_is_told():
    render = LinearGenerator()
    start, target = start_of(render), render(wanted_codes())
    target[1] = start.image[1]  # there is nothing to gain for this one
    with pytest.warns(UserWarning, match="found none for 1 of 2 images"):
        found = list(newton(render, objective, target, start, render.curvature(), 3))
    assert all(torch.equal(estimate.ws[1], start.ws[1]) for estimate in found)
    assert objective(found[-1].image, target)[0] < 1e-3 * objective(start.image, target)[0]


def test_steps_that_lead_to_nothing_finite_are_not_taken():
    linear = LinearGenerator()

    def render(ws):  # beyond a wall there are no numbers
        inside = (ws.abs() < 0.1).all(dim=(1, 2))[:, None, None, None]
        return torch.where(inside, linear(ws), math.nan)

    start, target = start_of(render), linear(wanted_codes())
    *_, last = newton(render, objective, target, start, linear.curvature(), 4)
    assert (objective(last.image, target) < objective(start.image, target)).all()


def test_a_curvature_far_too_flat_does_not_mislead():
    linear = LinearGenerator()
    known = linear.curvature()
    flat = Curvature(known.vectors, known.values * 1e-6, 1e-12)

    def render(ws):
        return torch.sin(4 * linear(ws))

    target, start = render(0.1 * wanted_codes()), start_of(render)
    *_, last = newton(render, objective, target, start, flat, 8)
    assert (objective(last.image, target) < 0.5 * objective(start.image, target)).all()


def test_the_objective_never_rises():
    torch.manual_seed(1)
    linear = LinearGenerator()

    def render(ws):
        return torch.sin(4 * linear(ws))

    target = torch.rand(6, 3, PIXELS, PIXELS).double() * 2 - 1
    start = start_of(render, 6)
    errors = [objective(start.image, target)]
    for estimate in newton(render, objective, target, start, linear.curvature(), 8, inner=2):
        torch.testing.assert_close(estimate.image, render(estimate.ws))
        errors.append(objective(estimate.image, target))
        assert (errors[-1] <= errors[-2]).all()


def test_images_do_not_influence_one_another():
    linear = LinearGenerator()

    def render(ws):
        return torch.tanh(2 * linear(ws))

    target = render(wanted_codes(3))
    known = linear.curvature()
    *_, together = newton(render, objective, target, start_of(render, 3), known, 3)
    for i in range(3):
        *_, alone = newton(render, objective, target[i : i + 1], start_of(render, 1), known, 3)
        torch.testing.assert_close(alone.ws[0], together.ws[i])


def test_images_stop_by_themselves_and_are_no_longer_rendered():
    linear = LinearGenerator()
    target, known = linear(wanted_codes(3)), linear.curvature()
    target[2] = 0  # it is there from the beginning
    start = start_of(linear, 3)
    linear.renders.clear()
    with pytest.warns(UserWarning, match="none for 1 of 3"):
        found = list(newton(linear, objective, target, start, known))
    assert linear.renders[:7] == [3, 3, 3, 3, 3, 3, 2]  # the start, and a step of five iterations
    assert len(found) < 20 and linear.renders == sorted(linear.renders, reverse=True)
    *_, fixed = newton(linear, objective, target[:2], start[:2], known, len(found))
    torch.testing.assert_close(found[-1].ws[:2], fixed.ws, rtol=1e-3, atol=1e-3)


def test_a_pull_keeps_codes_near_w():
    render = LinearGenerator()
    target = render(wanted_codes())

    def spread(pull):
        *_, last = newton(
            render, objective, target, start_of(render), render.curvature(), 6, pull=pull
        )
        return (last.ws - last.ws.mean(1, keepdim=True)).norm().item()

    assert spread(100.0) < 0.2 * spread(0.0)


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


@pytest.mark.parametrize("pull", [0.0, 0.3])
def test_gradients_agree_with_finite_differences(pull):
    linear = LinearGenerator()
    target = torch.rand(2, 3, PIXELS, PIXELS).double() * 2 - 1
    problem = _Problem(lambda ws: torch.sin(linear(ws)), objective, pull)
    ws, shape = torch.randn(2, NUM_WS * W_DIM).double(), torch.Size((NUM_WS, W_DIM))
    gradient = problem(ws, shape, target)[2]
    for x in torch.randn(3, *ws.shape).double():
        up, down = (problem(ws + sign * 1e-5 * x, shape, target)[1] for sign in (1, -1))
        torch.testing.assert_close((gradient * x).sum(1), (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_a_start_that_is_not_finite_is_refused():
    render = LinearGenerator()
    start = start_of(render)
    target = torch.full_like(start.image, torch.nan)
    with pytest.raises(ValueError, match="newton: expected a finite objective at the start"):
        list(newton(render, objective, target, start, render.curvature(), 1))
    with pytest.raises(ValueError, match="expected a start for each of the 2 targets, got 1"):
        list(newton(render, objective, target, start[:1], render.curvature(), 1))
