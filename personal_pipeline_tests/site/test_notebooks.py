"""The notebooks, executed over a life of one year as Jupyter would: cell by cell, in one namespace.

Jupyter itself is not needed: a cell of code is Python. What a kernel would add, showing the last
value, is done by the test: a table must have rows, and its bars must be drawn.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.io.formats.style import Styler

from personal_pipeline.home import Home

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    code = [each for each in notebook["cells"] if each["cell_type"] == "code"]
    assert not any(each["outputs"] or each["execution_count"] for each in code), "outputs are data"
    return ["".join(each["source"]) for each in code]


def run(source: str, names: dict[str, Any]) -> Any:
    """Execute a cell; returns the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_shows_something(
    path: Path, built_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(built_home.root))
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [run(source, names) for source in cells(path)]
    values = [each for each in shown if each is not None]
    assert len(values) >= 3
    for value in values:
        if isinstance(value, Styler):
            assert "linear-gradient" in value.to_html(), "the bars of its cells"
        else:
            assert isinstance(value, pd.DataFrame)
            assert len(value), value.columns


def test_there_is_one_for_each_dashboard() -> None:
    from personal_pipeline.site.dashboards import OURS

    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in OURS.glob("*.yaml"))
