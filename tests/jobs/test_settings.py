"""Jobs as Python users meet them: options without torch, functions by their verbs."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from restyle import jobs
from tests.tiny import tiny_model


def fresh(code):
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_options_are_read_without_torch():
    fresh(
        "import sys, restyle\n"
        "assert restyle.jobs.Invert(inputs=['a.png']).steps is None\n"
        "assert not {'torch', 'numpy', 'cyclopts'} & set(sys.modules)"
    )


def test_functions_stay_functions_whatever_is_imported():
    fresh(
        "import importlib, pkgutil, restyle.jobs as jobs\n"
        "for found in pkgutil.iter_modules(jobs.__path__):\n"
        "    importlib.import_module(f'restyle.jobs.{found.name}')\n"
        "assert all(callable(getattr(jobs, name)) for name in jobs.__all__)"
    )


def test_one_photograph_loads_no_renderer_trainer_or_report(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    Image.new("RGB", (20, 20), "green").save(tmp_path / "me.png")
    fresh(
        "import sys, restyle\n"
        f"job = restyle.jobs.Invert(inputs=[{str(tmp_path / 'me.png')!r}], steps=1, device='cpu',\n"
        f"    model={str(tmp_path / 'model')!r}, out={str(tmp_path / 'out')!r})\n"
        "assert restyle.jobs.invert(job) == restyle.jobs.Summary(done=1)\n"
        "unwanted = ('skia', 'restyle.portraits.drawing.renderer',\n"
        "    'restyle.training', 'restyle.evaluation')\n"
        "found = [name for name in sys.modules if name.startswith(unwanted)]\n"
        "assert not found, found"
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: jobs.Invert(inputs=["a"], steps=0),
            "steps: expected a number of 1 or more, got 0",
        ),
        (lambda: jobs.Invert(inputs=["a"], steps=1, method="w"), "--steps or --method, got both"),
        (lambda: jobs.Align(inputs=["a"], out="b", face=0), "face: expected a number of 1"),
        (lambda: jobs.Mix(out="b", seed=(1,)), "expected 2 of .* got 1"),
        (lambda: jobs.Edit(direction="smile", seed=(-1,)), "seed: expected a number of 0 or more"),
        (lambda: jobs.Render(out="b", size=8), "size: expected a number of 16 or more, got 8"),
        (lambda: jobs.Invert(inputs="a.png"), "inputs: expected a list"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_mixtures_are_made_from_python(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    out = tmp_path / "mixed.png"
    jobs.mix(jobs.Mix(out=out, seed=(1, 2), model=str(tmp_path / "model"), device="cpu"))
    with Image.open(out) as strip:
        assert np.asarray(strip).std() > 0
