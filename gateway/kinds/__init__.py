"""One request kind is one file: who must sign, which papers, what must hold, what changes, which certificates.

`laws.law_of` joins an operation to its file. Composed requests (pre-notice, encumbered transfer) are ordered lists of
operations; their files state the composition.
"""
