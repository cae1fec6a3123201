"""A configuration is a command: its fields are options, its docstring the help."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from cyclopts import App

from restyle.cli.derive import Command, add_command


@dataclass(frozen=True)
class Loop:
    """Inner options.

    Attributes:
        rate: How fast.
        sizes: How large,
            from small to large.
    """

    rate: float = 0.5
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Job:
    """Do something.

    Attributes:
        inputs: What to do it with.
        text: What to say.
        loop: How often.
    """

    inputs: tuple[str, ...] = ()
    text: str = "hello"
    loop: Loop = field(default_factory=Loop)

    def __post_init__(self):
        if self.text == "bad":
            raise ValueError("text: expected a good one, got bad")


@pytest.fixture
def command(capsys):
    """Run a line of a command derived from `kind`: what it was given, and what it printed."""

    def call(kind: type, options: Command, *line: str) -> tuple[Any, str]:
        taken = []
        app = App(name="program")
        add_command(app, "do", kind, lambda *given, **flags: taken.append((given, flags)), options)
        app(["do", *line], exit_on_error=False, result_action="return_value")
        return (taken[0] if taken else None), capsys.readouterr().out

    return call


def test_nested_fields_are_flat_options(command):
    ((config,), _), _ = command(Loop, Command(), "--rate", "2", "--sizes", "3", "4", "5")
    assert config == Loop(2.0, (3, 4, 5))
    presets = Command(presets={"small": Job(), "large": Job(loop=Loop(9.0))})
    ((config,), _), _ = command(Job, presets, "--preset", "large", "--sizes", "7")
    assert config == Job(loop=Loop(9.0, (7,)))


def test_flags_are_taken_beside_the_configuration(command):
    (_, flags), _ = command(Loop, Command(flags={"dry_run": "Do nothing."}), "--dry-run")
    assert flags == {"dry_run": True}
    (_, flags), _ = command(Loop, Command(flags={"dry_run": "Do nothing."}))
    assert flags == {"dry_run": False}


def test_the_help_is_the_docstrings(command):
    presets = Command(
        presets={"small": Job(), "large": Job(text="hi")}, flags={"rehearse": "Only try."}
    )
    _, text = command(Job, presets, "--help")
    words = " ".join(text.replace("│", " ").split())
    assert "Do something." in words and "Only try." in words
    assert "How large, from small to large." in words and "1 2" in words
    assert "the preset's" in words and "How often" not in words


def test_errors_speak_of_options(command):
    with pytest.raises(ValueError, match="^--text: expected a good one"):
        command(Job, Command(presets={"only": Job()}), "--text", "bad")
