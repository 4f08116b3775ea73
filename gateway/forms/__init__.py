"""Forms that a natural person signs: application form, record of questions, and papers of the parties."""
