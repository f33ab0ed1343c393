"""The attack on the running house: faults done to real homes while real processes work in them.

``house`` is the small house that is attacked and what it looks like when nothing went wrong (the
truth); ``child`` runs a command in a process that kills itself, or finds the disk full, at a chosen
instruction; ``cases`` is the table of faults; ``judge`` refreshes afterwards, does what the house
tells a person to do, and says what became of it. ``python -m personal_pipeline_tests.faults`` runs
all of it and prints the table; the test runs a part.
"""
