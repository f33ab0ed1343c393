"""One person's data, brought home: fetched or dropped, kept, built into tables, given back."""
