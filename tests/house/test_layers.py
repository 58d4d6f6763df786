"""The architecture is a table: who may import whom, and what may be imported only inside the function that needs it. One word
is one idea, no import runs in a circle, and functions and classes fit a screen or two."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.house.measure import code_lines

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "alpaca_pipe"

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def table(name: str) -> list[str]:
    """The lines of a table of ARCHITECTURE.md, from the top down."""
    return ARCHITECTURE.split(f"<!-- {name} -->")[1].strip().splitlines()[1:-1]


# From the top down. A room imports from rows below its own, never from its own row.
VERBS = ("generate", "curate", "grow", "train", "pairs", "align", "evaluate", "export")
ROWS = tuple(tuple(line.split()) for line in table("layers"))
HEIGHT = {room: len(ROWS) - height for height, row in enumerate(ROWS) for room in row}
INSIDE: dict[str, dict[str, int]] = {}  # room -> what stands in it -> height
for _down, _line in enumerate(table("inside")):
    if _line.startswith(" "):
        INSIDE[next(reversed(INSIDE))] |= dict.fromkeys(_line.split(), -_down)
    else:
        INSIDE[_line] = {}
HEAVY = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "openai",
    "aiohttp",
    "numpy",
    "pandas",
    "pyarrow",
    "xllamacpp",
    "gguf",
    "matplotlib",
    "jinja2",
    "numba",
    "rapidfuzz",
    "py3langid",
    "pynvml",
    "ray",
    "rensa",
    "safetensors",
    "tokenizers",
    "huggingface_hub",
    "psutil",
}
CHILDREN = {
    "teachers/local/local_server_child.py",
    "teachers/scripted/scripted_server.py",  # run as processes of their own
    "teachers/scripted/scripted_batches.py",
}
COMPILED = {
    "similarity/kernels.py",
    "similarity/most_similar_kernels.py",
    "similarity/nearest_kernels.py",
}  # themselves imported where they are used
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool, bool]]:
    """(module, at the top of the file, only for types) of each import."""
    found: list[tuple[str, bool, bool]] = []

    def walk(node: ast.AST, top: bool, typing: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((name.name, top, typing) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                found.append((child.module or "", top, typing))
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            types = typing or (
                isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            )
            walk(child, top and not inside, types)

    walk(ast.parse(path.read_text(encoding="utf-8")), True, False)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_strictly_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    if room == "__main__":
        room = "cli"
    assert room in HEIGHT, f"{room}/ is not in the table of rooms"
    for module, _, _ in imports(path):
        if not module.startswith("alpaca_pipe."):
            continue
        other = module.split(".")[1]
        assert other == room or HEIGHT[other] < HEIGHT[room], (
            f"{room} imports {module}, which does not lie below it"
        )
        if room in VERBS and other == "recipe":
            assert path.name in {"stage.py", "run.py"}, (
                f"of {room}'s files only stage.py and run.py may import recipe"
            )


@pytest.mark.parametrize("room", INSIDE)
def test_inside_a_large_room_imports_run_down_too(room: str) -> None:
    """But for stage.py and run.py: the two doors of one stage."""
    order, wrong = INSIDE[room], []
    there = {path.relative_to(PACKAGE / room).parts[0] for path in (PACKAGE / room).rglob("*.py")}
    assert {name.removesuffix(".py") for name in there} - {"__init__"} == set(order), (
        f"ARCHITECTURE.md says what stands inside {room}/ and in which order"
    )
    for path in (PACKAGE / room).rglob("*.py"):
        own = path.relative_to(PACKAGE / room).parts[0].removesuffix(".py")
        for module, names in imported_from(path, f"alpaca_pipe.{room}"):
            for other in [module] if module else names:
                both = {own, other} <= {"stage", "run"}
                if own != other and not both and order[other] >= order[own]:
                    wrong.append(f"{path.relative_to(PACKAGE)} imports {other}")
    assert not wrong, "what does not lie below it, by ARCHITECTURE.md"


def imported_from(path: Path, package: str) -> list[tuple[str, list[str]]]:
    """(what stands in the package, or "" where it is imported from itself; the names) of each import."""
    return [
        (f"{node.module}."[len(package) + 1 :].split(".")[0], [name.name for name in node.names])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{package}.")
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    if path.relative_to(PACKAGE).as_posix() in CHILDREN | COMPILED:
        return
    for module, top, typing in imports(path):
        assert not top or typing or module.split(".")[0] not in HEAVY, (
            f"{module} is imported at the top"
        )


def test_the_core_imports_nothing_of_ours() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        for module, _, _ in imports(path):
            assert not module.startswith("alpaca_pipe.") or module.startswith("alpaca_pipe.core"), (
                path
            )


def test_files_stay_small() -> None:
    """A proportion, not a fence: the median file fits two screens."""
    sizes = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES)
    assert sizes[len(sizes) // 2] <= 140


# ---- names and circles

# A name that says which part of a room a file is; every other file name tells what is in it, so it is used once.
PARTS = {"__init__", "__main__", "base", "config", "run", "stage"}
LONGEST_FUNCTION, LONGEST_CLASS = 60, 250  # lines of code: see `code_lines`
WHOLE = {
    "similarity/kernels.py:greedy",  # Numba compiles the loop as one; split, it is slower
}


def module_of(path: Path) -> str:
    name = ".".join(("alpaca_pipe", *path.relative_to(PACKAGE).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path) -> set[str]:
    """Our modules that a file imports, at the top or inside a function; what is for types alone is no import."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                inside = {f"{child.module}.{alias.name}" for alias in child.names}
                found.update((inside & MODULES.keys()) or {child.module or ""})
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return (found & MODULES.keys()) - {module_of(path)}


def test_no_import_runs_in_a_circle() -> None:
    """Modules that import nothing are taken away, then those that import only these, and so on: what stays is a circle."""
    left = {module: imported(path) for module, path in MODULES.items()}
    assert sum(map(len, left.values())) > 1000  # the walk does see imports
    while free := {module for module, below in left.items() if not below & left.keys()}:
        left = {module: below for module, below in left.items() if module not in free}
    on_it = {module: sorted(below & left.keys()) for module, below in left.items()}
    assert not on_it, f"on a circle, or above one: {on_it}"


def test_a_class_name_means_one_thing() -> None:
    where = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(module)
    twice = {name: modules for name, modules in where.items() if len(modules) > 1}
    assert not twice, f"two ideas under one name: {twice}"


def test_a_file_name_means_one_thing() -> None:
    where = defaultdict(list)
    for path in FILES:
        where[path.stem].append(path.relative_to(PACKAGE).as_posix())
    twice = {name: paths for name, paths in where.items() if len(paths) > 1 and name not in PARTS}
    assert not twice, f"two ideas under one name: {twice}"


# ---- sizes


def test_the_measure_counts_code_and_nothing_else() -> None:
    text = '''
class One:
    """Three lines
    of words that are
    not counted."""

    kind: str = "a"

    def two(
        self,
        wide: int,
    ) -> int:
        """Nor these."""
        # nor this
        found = max(
            wide,
            2,
        )

        return found


def three() -> str:
    return """a text
    is code"""
'''
    assert {name: size for name, _, size in code_lines(text)} == {
        "One": 5,
        "One.two": 4,
        "three": 2,
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_functions_and_classes_are_short(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    for name, node, size in code_lines(path.read_text(encoding="utf-8")):
        most = LONGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION
        assert size <= most or f"{where}:{name}" in WHOLE, (
            f"{where}: {name} has {size} lines of code, at most {most} wanted: split it"
        )
