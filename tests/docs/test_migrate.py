"""What the guide for users of the official code names is there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "guides/migrate.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "cli.md").read_text(encoding="utf-8")
SECTIONS = {
    part.split("\n", 1)[0]: part for part in re.split(r"^## ", REFERENCE, flags=re.MULTILINE)[1:]
}


def named(text):
    """The commands in a text, each with the options that are named with it."""
    for line in re.findall(r"`(restyle [^`]+)`|^(restyle .+)$", text, re.MULTILINE):
        words = re.split(r"[\s,]+", "".join(line))
        command = max(
            (name for n in range(1, 4) if (name := " ".join(words[:n])) in SECTIONS), key=len
        )
        yield command, re.findall(r"--[a-z][\w-]*", " ".join(words))


def table(heading):
    """The right-hand cells of a section's table."""
    section = GUIDE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)
    return [right for left, right in rows if left.startswith("`")]


def test_commands_have_the_options_that_are_named_with_them():
    found = list(named(GUIDE))
    assert len(found) > 15
    for command, options in found:
        for option in options:
            assert re.search(rf"{option}\b", SECTIONS[command]), (command, option)


@pytest.mark.parametrize(
    ("heading", "command"),
    [
        ("Options of inference", "restyle invert"),
        ("Alignment", "restyle align"),
        ("Options of training", "restyle train encoder"),
    ],
)
def test_options_of_the_tables_exist(heading, command):
    cells = table(heading)
    assert cells
    for cell in cells:
        homes = [command, *re.findall(r"of `(restyle [a-z ]+)`", cell)]
        for option in re.findall(r"--[a-z][\w-]*", cell):
            assert any(re.search(rf"{option}\b", SECTIONS[home]) for home in homes), (cell, option)


def test_the_scripts_of_the_official_code_all_have_a_row():
    for name in (
        "align_faces_parallel calc_id_loss_parallel calc_losses_on_images "
        "encoder_bootstrapping_inference inference_iterative inference_iterative_save_coupled "
        "train_restyle_e4e train_restyle_psp"
    ).split():
        assert f"| `scripts/{name}.py` |" in GUIDE
    assert "| `editing/inference_editing.py` |" in GUIDE
