"""The plan of the house, enforced on the source itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "restyle"
MODULES = sorted(SOURCE.rglob("*.py"))

FLOORS = [
    {"refine", "images", "files", "layers", "backbones", "domains", "devices", "face_networks"}
    | {"stopping", "results"},
    {"generators", "encoders", "losses", "metrics", "methods", "editing", "portraits"}
    | {"faces", "checkpoints", "targets"},
    {"inference", "model", "bootstrapping", "importers", "public_models", "downloads", "registry"}
    | {"inverting"},
    {"training", "evaluation"},
    {"cli", "commands", "app"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
APART = FLOORS[1] | FLOORS[3]  # rooms that never import another room of their floor
FLOOR_2 = [
    "inference",
    "model",
    "bootstrapping",
    "importers",
    "public_models",
    "downloads",
    "registry",
    "inverting",
]  # each may import those before it

PICKLE_READER = SOURCE / "importers" / "nvidia.py"
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def label(path):
    return path.relative_to(SOURCE).as_posix()


def imported(path):
    """Full names of what a module imports, wherever in it, relative imports resolved."""
    package = ("restyle", *path.relative_to(SOURCE).parent.parts)
    names = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def room_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def rooms_imported(path):
    names = [name.split(".") for name in imported(path)]
    inside = {parts[1] for parts in names if parts[0] == "restyle" and len(parts) > 1}
    return inside - {room_of(path), "__version__"}


def may_import(room, other):
    if FLOOR[other] != FLOOR[room]:
        return FLOOR[other] < FLOOR[room]
    if FLOOR[room] == 2:
        return FLOOR_2.index(other) < FLOOR_2.index(room)
    return room not in APART


HOUSE = [path for path in MODULES if room_of(path) not in ("__init__", "__main__")]


@pytest.mark.parametrize("path", HOUSE, ids=label)
def test_imports_go_downwards(path):
    room = room_of(path)
    assert room in FLOOR, f"{label(path)}: the plan has no room {room!r}"
    unknown = rooms_imported(path) - FLOOR.keys()
    assert not unknown, f"{label(path)} imports {sorted(unknown)}, which the plan does not have"
    wrong = sorted(other for other in rooms_imported(path) if not may_import(room, other))
    assert not wrong, f"{label(path)} (floor {FLOOR[room]}) imports {wrong}"


def test_the_method_is_one_small_module():
    path = SOURCE / "refine.py"
    assert path.read_text(encoding="utf-8").count("\n") <= 120
    roots = {name.split(".")[0] for name in imported(path)}
    assert roots - {"torch"} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_modules_stay_short(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{label(path)} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_no_file_can_run_code(path):
    names = {"torch.load"} | ({"load"} if "torch.load" in imported(path) else set())
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        where = f"{label(path)}:{node.lineno}"
        if ast.unparse(node.func) in names:
            assert given.get("weights_only") == "True", f"{where}: torch.load without its guard"
        assert given.get("allow_pickle", "False") == "False", f"{where}: allow_pickle"
    readers = {name.split(".")[0] for name in imported(path)} & UNPICKLERS
    assert not readers or path == PICKLE_READER, f"{label(path)} imports {sorted(readers)}"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_no_torchvision(path):
    assert "torchvision" not in {name.split(".")[0] for name in imported(path)}


LIGHT = ["__init__.py", "cli.py", "cli/__init__.py", "files.py", "training/config.py"]
LIGHT += ["public_models.py", "downloads.py"]


@pytest.mark.parametrize("name", [name for name in LIGHT if (SOURCE / name).exists()])
def test_light_modules_do_not_import_torch(name):
    parts = Path(name).with_suffix("").parts
    module = ".".join(part for part in ("restyle", *parts) if part != "__init__")
    heavy = ("torch", "scipy", "skia", "sklearn", "matplotlib")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_public_names_exist_where_they_are_announced():
    """Each name of the public face is defined in the module that is said to hold it."""
    import restyle

    for name, module in restyle._HOME.items():
        path = SOURCE / f"{module.removeprefix('restyle.')}.py"
        if path.exists():
            defined = {getattr(node, "name", None) for node in parse(path).body}
            assert name in defined, f"{path.name} does not define {name}"
    assert {*restyle._HOME, *restyle._SUBPACKAGES, "__version__"} == set(restyle.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        restyle.nothing  # noqa: B018
