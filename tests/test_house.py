"""The rules of the house: who imports whom, what loads when, what the wheel holds, what is in every file."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
ROOMS = {  # folder -> package
    "groundswift": "groundswift",
    "data_converters": "groundswift.data_converters",
    "eval": "groundswift.eval",
    "swift_plugins": "groundswift.swift_plugins",
}
ANYTHING = {"*"}
MAY_IMPORT = {  # folder -> (rooms, libraries) besides the standard library
    "groundswift": ({"groundswift"}, {"numpy", "PIL", "msgspec", "orjson", "fsspec"}),
    "data_converters": (
        {"groundswift", "data_converters"},
        {"numpy", "PIL", "msgspec", "orjson", "fsspec", "hotcoco", "datasets", "pyarrow", "ray", "defusedxml", "yaml", "tqdm", "click"},
    ),
    "eval": (
        {"groundswift", "eval"},
        {"numpy", "PIL", "msgspec", "orjson", "fsspec", "hotcoco", "pycocotools", "jinja2", "tqdm", "click"}
        | {"pycocoevalcap", "rapidfuzz", "openai"},
    ),
    "swift_plugins": ({"groundswift", "data_converters", "eval", "swift_plugins"}, ANYTHING),
    "recipes": ({"groundswift", "data_converters", "eval"}, ANYTHING),
    "benchmarks": ({"groundswift", "data_converters", "eval"}, ANYTHING),
}
MORE_FOR_A_FILE = {
    "groundswift/cli.py": {"click"},
    "groundswift/command_group.py": {"click"},
    "groundswift/terminal.py": {"click"},
    "groundswift/chat_options.py": {"click"},  # options of commands
    "groundswift/storage.py": {"aiohttp"},
    "groundswift/chat_client.py": {"openai"},
}
COMPUTED = "a name that is computed"  # of a module: nobody can say what it will be
LOADS_BY_NAME = {"groundswift/cli.py", "groundswift/entry_points.py"}  # the files that may import whatever a table names
ONLY_IN_FUNCTIONS = {"pycocoevalcap", "rapidfuzz", "openai", "pycocotools", "datasets", "pyarrow", "ray"}
PUBLIC_NAMES = ["Located", "parse", "format_answer", "to_original_px", "from_original_px", "resized_wh", "families"]


def files_of_the_project() -> list[Path]:
    """What git tracks or would track, as paths relative to the tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TREE, capture_output=True, check=True, text=True
    )
    return sorted(path for name in listed.stdout.split("\0") if name and (path := Path(name)) and (TREE / path).is_file())


FILES = files_of_the_project()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]
ROOM_FILES = [path for path in PYTHON_FILES if path.parts[0] in ROOMS]


def module_name(path: Path) -> str:
    """`eval/report/page.py` -> `groundswift.eval.report.page`."""
    parts = [ROOMS[path.parts[0]], *path.with_suffix("").parts[1:]]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path, root: Path = TREE) -> list[tuple[str, int, bool]]:
    """(absolute module name, line, whether inside a function) of every import in a file, `import_module("name")` and `resolve_name` too."""
    package, found = module_name(path) if path.parts[0] in ROOMS else "", []
    if path.name != "__init__.py":
        package = package.rpartition(".")[0]
    tree = tree_of(root / path)
    nodes: list[tuple[ast.AST, bool]] = [(tree, False)]
    while nodes:
        node, lazy = nodes.pop()
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        nodes += [(child, inside) for child in ast.iter_child_nodes(node)]
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            names = [f"{source}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and called_name(node) in ("import_module", "__import__", "resolve_name"):
            name = text_of(node.args[0], tree, package).partition(":")[0]
            names = [] if name.startswith(".") else [name]
        found += [(name, node.lineno, lazy) for name in names]
    return found


def called_name(node: ast.Call) -> str:
    """`import_module` for both `import_module(...)` and `importlib.import_module(...)`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def text_of(node: ast.expr, tree: ast.Module, package: str) -> str:
    """The text that an expression comes to: a literal, a constant of the module, what begins with either; else COMPUTED."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and node.id == "__package__":
        return package
    if isinstance(node, ast.Name):
        values = [
            each.value for each in tree.body if isinstance(each, ast.Assign) and node.id in [getattr(t, "id", "") for t in each.targets]
        ]
        return text_of(values[0], tree, package) if values else COMPUTED
    if isinstance(node, ast.JoinedStr) and node.values:
        parts = [text_of(each.value if isinstance(each, ast.FormattedValue) else each, tree, package) for each in node.values]
        return parts[0] if COMPUTED in parts else "".join(parts)
    if isinstance(node, ast.BinOp):
        return text_of(node.left, tree, package)
    return COMPUTED


def room_of(module: str) -> str | None:
    """The folder of one of our own modules; None for other people's."""
    inside = [folder for folder, package in ROOMS.items() if module == package or module.startswith(package + ".")]
    return max(inside, key=lambda folder: len(ROOMS[folder]), default=None)


def imports_below(*parts: str) -> Iterator[tuple[str, str, bool]]:
    """(file:line, module, whether inside a function) of every import in the files of a folder."""
    for path in PYTHON_FILES:
        if path.parts[: len(parts)] == parts:
            yield from ((f"{path.as_posix()}:{line}", module, lazy) for module, line, lazy in imports_of(path))


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_file_imports_only_what_its_room_may(folder):
    rooms, libraries = MAY_IMPORT[folder]
    wrong = []
    for where, module, _ in imports_below(folder):
        (file, _, _), room, top = where.partition(":"), room_of(module), module.partition(".")[0]
        if file in LOADS_BY_NAME and (room or module == COMPUTED):
            continue
        known = libraries == ANYTHING or top in sys.stdlib_module_names or top in libraries | MORE_FOR_A_FILE.get(file, set())
        if not (room in rooms if room else known):
            wrong.append(f"{where} imports {module}")
    assert wrong == []


def test_rows_import_nothing_above_them():
    """lint gets its token counter and migrate its converter from the command line (`groundswift.cli.Tools`)."""
    above = tuple(f"groundswift.data_converters.{name}" for name in ("cli", "registry", "formats", "engine", "anomaly"))
    assert [found for found in imports_below("data_converters", "rows") if found[1].startswith(above)] == []


@pytest.mark.parametrize("folder", [room for room in ROOMS if room != "swift_plugins"])
def test_what_is_optional_or_heavy_is_imported_where_it_is_used(folder):
    found = imports_below(folder)
    assert [each for each in found if each[1].partition(".")[0] in ONLY_IN_FUNCTIONS and not each[2]] == []


def test_the_rule_of_imports_sees_what_it_should(tmp_path):
    """Every way to write an import, so that the two tests above cannot pass by looking away."""
    (tmp_path / "eval" / "report").mkdir(parents=True)
    (tmp_path / "eval" / "report" / "page.py").write_text(
        "import torch.nn as nn\nfrom ..coco_map import score\nfrom . import plot\nfrom groundswift import data_converters\n"
        "def later():\n    from swift.llm import x\n    import_module('groundswift.swift_plugins.register')\n"
        "class A:\n    async def f(self):\n        import importlib; importlib.import_module('transformers')\n"
        "HIDDEN = 'groundswift.swift_plugins.x'\nimport_module(HIDDEN)\nimport_module(HIDDEN + '.y')\nimport_module(f'{HIDDEN}.z')\n"
        "import_module(f'{__package__}.{later}')\nimport_module('.plot', __package__)\nimport_module(later())\n"
        "pkgutil.resolve_name('groundswift.eval.named:Thing')\n"
    )
    found = {module: lazy for module, _, lazy in imports_of(Path("eval/report/page.py"), tmp_path)}
    assert found == {
        "torch.nn": False,
        "groundswift.eval.coco_map.score": False,
        "groundswift.eval.report.plot": False,
        "groundswift.data_converters": False,
        "swift.llm.x": True,
        "groundswift.swift_plugins.register": True,
        "importlib": True,
        "transformers": True,
        "groundswift.swift_plugins.x": False,
        "groundswift.swift_plugins.x.z": False,
        "groundswift.eval.report": False,
        "groundswift.eval.named": False,
        COMPUTED: False,
    }
    assert [room_of(name) for name in ("groundswift.eval.x", "groundswift.boxes", "groundswift", "groundswiftly", "torch")] == [
        "eval",
        "groundswift",
        "groundswift",
        None,
        None,
    ]


@cache
def arrows() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, inside functions and by `import_module` too; a name from a module counts as its module."""
    modules = {module_name(path) for path in ROOM_FILES}
    found: dict[str, set[str]] = {module: set() for module in modules}
    for path in ROOM_FILES:
        for name, _, _ in imports_of(path):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            if name not in ("", "groundswift", module_name(path)):
                found[module_name(path)].add(name)
    return found


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """Node -> how many arrows the longest way down has. Raises CycleError where arrows run in a circle."""
    order = TopologicalSorter(graph).static_order()
    height: dict[str, int] = {}
    for node in order:
        height[node] = 1 + max((height[below] for below in graph.get(node, ())), default=0)
    return height


def test_no_imports_run_in_a_circle():
    floors(arrows())


@pytest.mark.parametrize(("room", "most"), [("groundswift.data_converters", 8), ("groundswift.eval", 8)])
def test_folders_import_downwards_only(room, most):
    """The folders and files directly in a room, no circle among them, and few floors."""
    entry = {module: ".".join(module.split(".")[:3]) for module in arrows() if module.startswith(f"{room}.")}
    graph: dict[str, set[str]] = {}
    for module, imported in arrows().items():
        if module in entry:
            below = {entry[name] for name in imported if name in entry}
            graph.setdefault(entry[module], set()).update(below - {entry[module]})
    assert max(floors(graph).values()) <= most


def test_circles_are_seen():
    assert floors({"a": {"b", "c"}, "b": {"c"}}) == {"a": 3, "b": 2, "c": 1}
    with pytest.raises(CycleError):
        floors({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_names_of_test_files_are_unique():
    """pytest imports them by their bare names: of two with one name it would refuse the second."""
    names = [path.name for path in PYTHON_FILES if path.parts[0] == "tests" and path.name.startswith("test_")]
    assert [name for name in set(names) if names.count(name) > 1] == []


def test_only_the_file_for_swift_is_next_to_the_plugins_package():
    """swift puts the folder of a plugin file at `sys.path[0]`: a `datasets.py` there would hide the library."""
    assert {path.name for path in FILES if path.parts[0] == "swift_plugins" and len(path.parts) == 2} == {"__init__.py", "register.py"}


def loaded_by(statement: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TREE.parent)
    return set(json.loads(shown.stdout.splitlines()[-1]))


STEPS = "groundswift.swift_plugins.grounding.training_steps"


@pytest.mark.process
@pytest.mark.parametrize("module", ["groundswift.eval.cli", "groundswift.data_converters.cli", STEPS])
def test_a_command_loads_no_torch(module):
    assert loaded_by(f"import {module}").isdisjoint({"torch", "swift", "transformers", "datasets"})


@pytest.mark.process
@pytest.mark.parametrize("words", [["eval", "coco-map"], ["convert", "coco"], ["lint"], ["mix"], ["split"], ["migrate"]], ids=" ".join)
def test_the_help_of_a_subcommand_loads_no_torch(words):
    statement = f"from groundswift.cli import main; main({[*words, '--help']!r}, standalone_mode=False)"
    assert loaded_by(statement).isdisjoint({"torch", "swift", "transformers", "datasets"})


@pytest.mark.process
@pytest.mark.parametrize("words", [[], ["show"], ["plan"], ["infer"], ["watch"]], ids=" ".join)
def test_help_loads_next_to_nothing(words):
    statement = f"from groundswift.cli import main; main({[*words, '--help']!r}, standalone_mode=False)"
    assert loaded_by(statement).isdisjoint({"numpy", "msgspec", "PIL", "hotcoco", "torch", "swift"})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a clean copy of the tree, without what else is in a working directory."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for path in FILES:
        if path.parts[0] in ROOMS or len(path.parts) == 1:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TREE / path, copy / path)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = out.glob("*.whl")
    return found


@pytest.mark.process
def test_the_wheel_holds_the_rooms_and_nothing_else(wheel):
    shipped = {".py", ".html", ".css", ".js", ".typed", ".tsv", ".yaml"}
    expected = {
        "/".join([*ROOMS[path.parts[0]].split("."), *path.parts[1:]]) for path in FILES if path.parts[0] in ROOMS and path.suffix in shipped
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    held = {name for name in names if not re.match(r"groundswift-[^/]*\.dist-info/", name)}
    assert held == expected
    assert "groundswift/py.typed" in held
    assert not [path for path in FILES if path.parts[0] in ROOMS and path.suffix not in shipped]


@pytest.mark.process
def test_every_module_of_the_wheel_imports_from_it_alone(wheel, tmp_path):
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    modules = [module_name(path) for path in ROOM_FILES if path.parts[0] != "swift_plugins"]
    code = (
        "import importlib, sys, json\n"
        f"places = {{name: importlib.import_module(name).__file__ for name in {modules!r}}}\n"
        "print(json.dumps(places))"
    )
    environment = {"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin", "HOME": str(elsewhere)}
    shown = subprocess.run([sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    places = json.loads(shown.stdout)
    assert [name for name, place in places.items() if not place.startswith(str(target))] == []
    helped = subprocess.run([target / "bin" / "groundswift", "plugin"], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert helped.stdout.strip() == str(target / "groundswift" / "swift_plugins" / "register.py")


@pytest.fixture(scope="module")
def installed_clone(wheel, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """(a copy of the clone, an environment in which the wheel is installed as usual)."""
    clone, target = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("installed")
    for path in FILES:
        if path.parts[0] in {*ROOMS, "tests"} or len(path.parts) == 1:
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TREE / path, clone / path)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return clone, {**os.environ, "PYTHONPATH": str(target)}


@pytest.mark.process
@pytest.mark.parametrize("module", ["eval.cli", "data_converters.cli", "swift_plugins.grounding.plugin_shim", "boxes"])
@pytest.mark.parametrize("root", [".", "tests"])
def test_an_ordinary_install_is_whole_in_a_clone(installed_clone, module, root):
    """In its root the kernel of the clone comes first, and finds the other packages next to it."""
    clone, environment = installed_clone
    code = f"import groundswift.{module} as found; print(found.__file__)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=clone / root, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    inside = Path(shown.stdout.strip()).is_relative_to(clone)
    assert inside == (root == ".")


@pytest.mark.process
@pytest.mark.parametrize("command", [["pytest"], ["python", "-m", "pytest"]], ids=" ".join)
def test_pytest_runs_in_a_clone_with_an_ordinary_install(installed_clone, command):
    clone, environment = installed_clone
    command = [str(Path(sys.executable).with_name(command[0])), *command[1:], "-q", "tests/groundswift/test_boxes.py"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_public_names_are_there_with_docstrings():
    package = import_module("groundswift")
    assert set(PUBLIC_NAMES) <= set(package.__all__)
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), name
    with pytest.raises(AttributeError, match="module 'groundswift' has no attribute 'nothing'"):
        _ = package.nothing


def test_every_module_and_public_thing_has_a_docstring():
    bare = []
    for path in ROOM_FILES:
        tree = tree_of(TREE / path)
        things = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")]
        bare += [f"{path}:{node.lineno} {node.name}" for node in things if not ast.get_docstring(node)]
        if tree.body and not ast.get_docstring(tree):
            bare.append(f"{path}:1")
    assert bare == []


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-newest.txt"])
def test_constraints_are_names_and_versions(name):
    lines = (TREE / name).read_text(encoding="utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+|#.*|", line)] == []


def test_no_file_names_a_place_on_somebodys_machine():
    places = re.compile(
        "(?<![\\w.])/(" + "|".join(["ho" + "me/[a-z]", "ro" + "ot/", "Us" + "ers/[a-z]", "wo" + "rk/(?:main|shared)"]) + ")"
    )
    found = []
    for path in FILES:
        data = (TREE / path).read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if places.search(line):
                found.append(f"{path}:{number}")
    assert found == []
