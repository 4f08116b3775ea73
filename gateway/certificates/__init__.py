"""E-certificates: what they say, how they are printed, sealed and verified (handbook 5.1, 7)."""
