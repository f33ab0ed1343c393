"""The tables in the browser: Datasette over a copy of the marts in SQLite.

``tables`` writes the copies, ``dashboards`` and ``queries`` read what is to be shown of them, and
``pages`` and ``server`` serve it to the owner. ``people`` and ``gate`` are for somebody with whom a
part is shared. Only the last four import Datasette, which is an optional dependency.
"""
