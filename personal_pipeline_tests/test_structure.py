"""How the modules of the package hang together."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "personal_pipeline"
PRIVATE = "personal_pipeline.dagster_private"


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(path: Path) -> Iterator[str]:
    """Everything that a file imports anywhere, functions and type hints too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                full = f"{node.module}.{each.name}"
                yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


@cache
def imports() -> dict[str, set[str]]:
    """What each module of the package imports of it."""
    return {
        name: {each for each in imported(path) if each in MODULES and each != name}
        for name, path in MODULES.items()
    }


def constants_of(path: Path) -> Iterator[str]:
    """The constants that a module assigns, one by one."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            names = [each.id for each in node.targets if isinstance(each, ast.Name)]
            yield from (each for each in names if each.isupper())


def circles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """Groups in which each imports every other, directly or not."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        pending = [start]
        while pending:
            for each in edges.get(pending.pop(), ()):
                if each not in seen:
                    seen.add(each)
                    pending.append(each)
        return seen

    below = {name: reached(name) for name in edges}
    together = [
        frozenset({name, *(each for each in below[name] if name in below.get(each, ()))})
        for name in edges
        if name in below[name]
    ]
    return [set(each) for each in dict.fromkeys(together)]


def part_of(module: str) -> str:
    """The package or module right below ``personal_pipeline``."""
    return ".".join(module.split(".")[:2])


def test_a_circle_would_be_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_no_modules_import_each_other() -> None:
    assert circles(imports()) == []


def test_no_parts_of_the_package_import_each_other() -> None:
    parts: dict[str, set[str]] = {}
    for name, others in imports().items():
        parts.setdefault(part_of(name), set()).update(
            part_of(each) for each in others if part_of(each) != part_of(name)
        )
    assert circles(parts) == []


def test_private_modules_of_dagster_are_used_in_one_place() -> None:
    users = {
        name
        for name, path in MODULES.items()
        for each in imported(path)
        if each.partition(".")[0].startswith("dagster") and "._" in each
    }
    assert users == {PRIVATE}


def test_no_constant_is_given_two_values() -> None:
    twice = [
        f"{name}.{constant}"
        for name, path in MODULES.items()
        for constant, times in Counter(constants_of(path)).items()
        if times > 1
    ]
    assert twice == []


def test_what_a_pass_needs_is_imported_without_dagster_and_datasette() -> None:
    heavy = "{'dagster', 'datasette'} & sys.modules.keys()"
    looks = f"import sys, personal_pipeline.refresh; print(bool({heavy}))"
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
