"""One person's data, brought home: fetched or dropped, kept for ever, built into tables, given back."""
