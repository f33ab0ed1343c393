"""The tables in the browser: Datasette over a copy of the marts in SQLite.

``tables`` writes the copies, ``dashboards`` reads what is to be shown of them, and ``pages`` and
``server`` serve it to the owner. ``people`` and ``gate`` are for somebody with whom a part is
shared. Only ``pages``, ``server`` and ``gate`` import Datasette, which is an optional dependency.
"""

from __future__ import annotations

import importlib.util

MISSING = (
    "The site needs packages that are not installed. In the checkout: "
    "python -m pip install -e '.[site]'"
)


def is_installed() -> bool:
    """Whether the packages that serve the site are there; imports none of them."""
    wanted = ("datasette", "datasette_dashboards", "datasette_auth_passwords")
    return all(importlib.util.find_spec(each) for each in wanted)
