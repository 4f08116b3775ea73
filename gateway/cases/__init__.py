"""A case as values: terms, manifest, papers, application, outcome, effects. What the law and the life of a case share."""
