"""From the working set of a batch to what a decision reads: pure values of one case, notice or feed."""
