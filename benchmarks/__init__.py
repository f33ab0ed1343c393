"""What is measured, and how to run it again: ``make bench``. Figures stand in README.md here."""
