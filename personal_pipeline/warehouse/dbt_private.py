"""What a dbt call would compute again though it is the same in each, in one place.

Only the host of ``dbt_host`` imports this. It replaces private functions of dbt, whose version is
pinned exactly; a fifth of what a call costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# untyped, because what is replaced has other types
_compilation: Any = import_module("dbt.compilation")
_flags: Any = import_module("dbt_common.behavior_flags")
_sqlparse: Any = import_module("sqlparse")
_engine: Any = import_module("sqlparse.engine")


def spare() -> None:
    """Call once, before the first call of dbt in this process."""
    _sqlparse.parse = _parse
    _compilation.Compiler.compile = _compile
    # written to a file that nobody reads
    _compilation.Linker.get_graph_summary = lambda *_: {}
    # found by reading the source of every module on the stack; named in an event that nobody reads
    _flags.BehaviorFlagRendered._default_source = staticmethod(lambda: "")


def _parse(sql: str, encoding: str | None = None) -> tuple[Any, ...]:
    """As much of a statement as dbt looks at to put the SQL of ephemeral models in front: the first
    ``with`` outside of parentheses. sqlparse would also group operators, lists and cases."""
    statements = tuple(_engine.FilterStack().run(sql, encoding))
    for each in statements:
        _engine.grouping.group_parenthesis(each)
    return statements


_link = _compilation.Compiler.compile
_linked: tuple[Any, Any] = (None, None)


def _compile(compiler: Any, manifest: Any, *arguments: Any, **named: Any) -> Any:
    """The graph of a manifest, of which every call uses a part: linked by the call that warms the
    host, and found in memory by those that are forked from it."""
    global _linked
    if _linked[0] is not manifest:
        _linked = (manifest, _link(compiler, manifest, *arguments, **named))
    return _linked[1]
