"""The whole job in one run, for real: `make demo`. Everybody in it is made up."""
