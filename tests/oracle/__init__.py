"""The law a second time, slow and obvious, from the handbook alone: plain dicts, no code of the gateway.

`blocks` says what a state of the register does to an operation, `people` who must take part and on which papers,
`register` what a booking changes, `law` what a case comes to. Where the gateway disagrees, one of the two is wrong.
"""
