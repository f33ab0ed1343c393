"""How DuckDB is opened everywhere: nothing is downloaded at run time."""

from __future__ import annotations

CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""An extension that a query seems to need would else be fetched from the network, unasked."""
