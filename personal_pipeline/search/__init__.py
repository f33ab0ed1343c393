"""Full-text search over the timeline, in SQLite's FTS5.

``index`` writes ``published/search.sqlite`` from the published tables, ``finding`` asks it,
``question`` parses what a person types, and ``words`` says what a word is: in the index, in a
question and in what is highlighted. Only ``index`` imports DuckDB.
"""
