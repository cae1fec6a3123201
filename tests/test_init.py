"""The public face: every name where it is announced, and nothing loaded before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import restyle

SOURCE = Path(restyle.__file__).parent


def test_public_names_exist_where_they_are_announced():
    """Each name of the public face is defined in the module that is said to hold it."""
    for name, module in restyle._HOME.items():
        if not module:  # a room
            continue
        path = SOURCE / f"{module.replace('.', '/')}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {getattr(node, "name", None) for node in tree.body}
        assert name in defined, f"{path.name} does not define {name}"
    assert {*restyle._HOME, "__version__"} == set(restyle.__all__)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        restyle.nothing  # noqa: B018


@pytest.mark.parametrize("name", restyle.__all__)
def test_each_name_is_loaded_when_asked_for(name):
    assert getattr(restyle, name) is not None and name in dir(restyle)


def test_importing_the_package_takes_no_time_and_no_torch():
    code = (
        "import sys, time; start = time.process_time(); import restyle\n"
        "print(time.process_time() - start, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *heavy = run.stdout.split()
    assert float(seconds) < 0.1 and heavy == ["False", "False"]
