"""A city in one process: everything that happens follows from a seed, and the oracle looks on (handbook 3, 12)."""
