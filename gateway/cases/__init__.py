"""A case as values: terms, manifest, papers, application, outcome, effects; what law and life of a case share."""
