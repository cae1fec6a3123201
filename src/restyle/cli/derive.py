"""Commands derived from configurations: their fields are the options, their docstrings the help."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import App, Parameter, convert

from restyle.training.options import flat, with_options

FAILED = 1
"""Exit code where something was left undone: an input that failed, an image that was left out."""

Run = Callable[..., int | None]


@dataclass(frozen=True)
class Command:
    """Differences of a command's line from its configuration.

    Attributes:
        positional: The field that is given without its name.
        signed: Fields of text that may begin with a hyphen.
        presets: Configurations by name, which the options change; the first one is the default.
        flags: Further flags and their help, which `run` takes by name.
        help: Instead of the docstring's first part.
    """

    positional: str = ""
    signed: Sequence[str] = ()
    presets: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    help: str = ""


PLAIN = Command()


def add_command(app: App, name: str, kind: type, run: Run, command: Command = PLAIN) -> None:
    """Add a command whose options are the fields of a configuration, nested ones included.

    Args:
        app: Where it is added.
        name: Of the command; empty for what `app` does without one.
        kind: The configuration, a dataclass whose docstring describes each field.
        run: Takes the configuration and the flags; returns the exit code, 0 if None.
        command: What is special about it.
    """
    presets = command.presets
    signature = inspect.Signature(_parameters(kind, command))

    def call(*arguments: Any, **options: Any) -> int | None:
        given = dict(signature.bind(*arguments, **options).arguments)
        given |= given.pop("kwargs", {})
        flags = {key: given.pop(key, False) for key in command.flags}
        try:
            if presets:
                default = next(iter(presets))
                chosen = given.pop("preset", default) if len(presets) > 1 else default
                given = {key: value for key, value in given.items() if value is not None}
                config = with_options(presets[chosen], **given)
            else:
                config = kind(**given)
        except ValueError as error:  # a field's name is an option's here
            raise ValueError(re.sub(r"^(\w+)(?=: )", _option_name, str(error))) from error
        return run(config, **flags)

    call.__doc__ = _docstring(kind, command)
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    if name:
        app.command(call, name=name)
    else:
        app.default(call)


def function(place: str) -> Callable[[Any], Any]:
    """Import a function.

    Args:
        place: As `module:function`.
    """
    module, name = place.split(":")
    return getattr(import_module(module), name)


def _option_name(name: re.Match[str]) -> str:
    return "--" + name[1].strip("_").replace("_", "-")


def _leaves(kind: type) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, type and default of each field; those of nested ones included, of bases last."""
    hints = get_type_hints(kind)
    own = [name for base in kind.__mro__ for name in vars(base).get("__annotations__", ())]
    for one in sorted(fields(kind), key=lambda one: own.index(one.name)):
        hint = hints[one.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _leaves(hint)
        else:
            missing = one.default is MISSING
            yield one.name, hint, inspect.Parameter.empty if missing else one.default


def _parameters(kind: type, command: Command) -> list[inspect.Parameter]:
    found = []
    for name, hint, default in _leaves(kind):
        options: dict[str, Any] = {"negative_iterable": "", "consume_multiple": True}
        if command.presets:
            defaults = {_text(flat(one)[name]) for one in command.presets.values()}
            text = defaults.pop() if len(defaults) == 1 else "the preset's"
            hint, default = hint | None, None
        else:
            text = "" if default in (None, inspect.Parameter.empty) else _text(default)
            options["negative_bool"] = ""
        options["show_default"] = (lambda _, text=text: text) if text else False
        if int in (hint, *get_args(hint)):
            options["converter"] = _whole_number
        if name in command.signed:
            options["allow_leading_hyphen"] = True
        several = get_origin(hint) not in (None, Literal) and _is_sequence(hint)
        if name == command.positional and several:
            hint, required = get_args(hint)[0], default is inspect.Parameter.empty
            annotation = Annotated[hint, Parameter(required=required)]
            place = inspect.Parameter.VAR_POSITIONAL
            found.insert(0, inspect.Parameter(name, place, annotation=annotation))
            continue
        place = inspect.Parameter.KEYWORD_ONLY
        if name == command.positional:
            place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        annotation = Annotated[hint, Parameter(**options)]
        found.append(inspect.Parameter(name, place, default=default, annotation=annotation))
    return sorted([*_further(command), *found], key=lambda one: one.kind)


def _whole_number(hint: Any, tokens: Sequence[Any]) -> Any:
    """Convert as usual, but refuse to round."""
    for token in tokens:
        if re.fullmatch(r"[-+]?\d*\.\d*[1-9]\d*", token.value):
            raise ValueError(f"expected a whole number, got {token.value}")
    return convert(hint, tokens)


def _further(command: Command) -> Iterator[inspect.Parameter]:
    place = inspect.Parameter.KEYWORD_ONLY
    if len(command.presets) > 1:
        names = tuple(command.presets)
        choice = Annotated[Literal[names], Parameter(help="What the other options change.")]
        yield inspect.Parameter("preset", place, default=names[0], annotation=choice)
    for name, text in command.flags.items():
        flag = Annotated[bool, Parameter(help=text, negative="")]
        yield inspect.Parameter(name, place, default=False, annotation=flag)


def _is_sequence(hint: Any) -> bool:
    return isinstance(origin := get_origin(hint), type) and issubclass(origin, Sequence)


def _docstring(kind: type, command: Command) -> str:
    about = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")[0]
    return f"{command.help or about.strip()}\n\nArgs:\n" + "\n".join(_attributes(kind))


def _attributes(kind: type) -> Iterator[str]:
    """Yield what docstrings say about fields: of bases, of the class, of nested ones."""
    for base in reversed(kind.__mro__):
        if is_dataclass(base):
            text = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")[2]
            yield text.partition("\n\n")[0]
    for hint in get_type_hints(kind).values():
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _attributes(hint)


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
