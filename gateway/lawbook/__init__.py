"""The law as pages: docs/law.md, one page for each kind and mode under docs/law, and docs/reasons.md.

Everything tabular is read from what the gateway itself decides by: the modes, each kind's law run on a sample case,
blocks.csv, reasons.csv, docstrings and findings of the law's own functions. `make pages` writes, `make check` compares.
"""
