"""The process that speaks to a token: `python -m signing.token_worker`, asked over its standard input, a socket.

A maker's module may never return, and it may crash; both then end this process and nothing else. Whoever asked watches
the time and kills it. Where he is gone himself, the kernel does (SIGALRM), so that none is left behind: a module that
hangs may hold the interpreter.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import BinaryIO, Final

from signing import pkcs11
from signing.errors import SignerUnavailable, SigningError
from signing.key_source import TokenKey, parse_key_source
from signing.token_protocol import ASKS, LENGTH_BYTES, Answer, Ask, Done, Failed, Ready, frame

#: So long after the limit this process ends itself, seconds: whoever asked would have ended it before.
ALARM_SECONDS: Final = 1.0


def main() -> int:
    """Answer until the input ends; exit status 0 then."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file could hold a PIN
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with os.fdopen(0, "rb") as source, os.fdopen(os.dup(0), "wb") as sink:
        _send(sink, Ready())
        while head := source.read(LENGTH_BYTES):
            ask = ASKS.decode(source.read(int.from_bytes(head, "big")))
            _send(sink, _answered(ask))
    return 0


def _answered(ask: Ask) -> Answer:
    key = parse_key_source(ask.key)
    assert isinstance(key, TokenKey)  # whoever asks has one
    pkcs11.never_try(key, ask.refused)
    signal.setitimer(signal.ITIMER_REAL, key.seconds + ALARM_SECONDS)
    try:
        return Done(pkcs11.done(key, ask.work, ask.algorithm, ask.data))
    except SigningError as error:
        return Failed(reason=error.reason, message=error.message, refused=pkcs11.refused(key))
    except Exception as error:  # of a module that answers what no token may
        reason = SignerUnavailable.reason
        return Failed(reason=reason, message=f"{key.place}: {type(error).__name__} {error}"[:500])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _send(sink: BinaryIO, answer: Answer) -> None:
    sink.write(frame(answer))
    sink.flush()


if __name__ == "__main__":
    sys.exit(main())
