"""The registry's own keys: read, wrapped, listed, replaced; the seals that are made with them."""
