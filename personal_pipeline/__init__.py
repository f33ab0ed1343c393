"""One person's data, brought home: fetched or dropped, archived, built into tables, reported."""
