"""The register of real-estate units: rights, ranks, restrictions. Pure: no I/O, no clock, no randomness."""
