"""What one did, read back: the timeline by day, and the raw record behind each entry.

``events`` reads the published tables, ``sums`` adds up a day, ``raw`` reads the lake, and ``page``
makes the page of a day from both, with the drawings of ``drawn``. Nothing here writes, and nothing
is kept: a page is made when somebody asks for it.
"""
