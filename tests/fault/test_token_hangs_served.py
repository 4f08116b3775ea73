"""The module of a running gateway's token never returns: acts are entered and answered all the while, those of the
other registry with their receipts, nothing unsigned is handed out, and what waited is signed when it answers.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from signing.pki import Credential
from tests.fault.test_token_gone import down, sealed, set_key, until
from tests.support.hanging import Trouble, needs_compiler, shim_module, trouble
from tests.support.stage import town_of
from tests.support.tokens import needs_softhsm, tokens

__all__ = ["shim_module", "tokens", "trouble"]  # fixtures

pytestmark = [needs_softhsm, needs_compiler, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def ledger_in_token(own_folder: Path, trouble: Trouble) -> Path:
    """A gateway's folder whose registry jiangyin signs its checkpoints with the token."""
    path = own_folder / "keys" / "ledger-jiangyin.pem"
    trouble.tokens.put(load_pem_private_key(path.read_bytes(), None), "ledger", 2)  # type: ignore[arg-type]
    set_key(own_folder, "ledger_key", "keys/ledger-jiangyin.pem", trouble.setting("ledger"))
    path.unlink()
    return own_folder


@pytest.fixture
def seal_in_token(own_folder: Path, trouble: Trouble) -> Path:
    """A gateway's folder whose registry jiangyin seals with the token."""
    trouble.tokens.put(Credential.read(own_folder / "keys", "seal-jiangyin").private_key, "seal", 1)
    set_key(own_folder, "seal_key", "keys/seal-jiangyin.key.pem", trouble.setting("seal"))
    (own_folder / "keys" / "seal-jiangyin.key.pem").unlink()
    return own_folder


async def test_receipts_are_pending_while_the_checkpoints_token_hangs(
    ledger_in_token: Path, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the limit the first act, and every one after it of any registry, would never be answered."""
    caplog.set_level(logging.INFO)
    async with town_of(ledger_in_token) as town:
        _, answer = await town.booked()
        assert answer.receipt is not None
        trouble.hang()
        late = [await (await town.mortgage().sign().upload()).submit() for _ in range(3)]
        assert [(one.result, one.receipt) for one in late] == [("BOOKED", None)] * 3
        assert down("checkpoint") == 1
        other = await (await town.mortgage(registry="taizhou").sign().upload()).submit()
        assert other.receipt is not None
        client = await town.client("bank-a")
        assert (await client.fetch_receipt(late[0].envelope)).pending
        trouble.end()
        await until(lambda: down("checkpoint") == 0)
        for one in late:
            assert await client.get_receipt(one.envelope) is not None
    told = [record.message.partition(":")[0] for record in caplog.records]
    for line in (
        "a token does not answer",
        "checkpoint not published",
        "the token answers again",
        "checkpoints are signed again",
    ):
        assert told.count(line) == 1, told
    assert "pin" not in "".join(r.message for r in caplog.records if "token" in r.message)


async def test_certificates_wait_for_a_seal_whose_token_hangs(seal_in_token: Path, trouble: Trouble) -> None:
    """Told as a token that is gone: one certificate is tried, the others wait; sealed in the end, all of them."""
    async with town_of(seal_in_token, sealing=True) as town:
        await sealed(town, [(await town.booked())[1]])
        trouble.hang()
        waiting = [(await town.booked())[1] for _ in range(3)]
        await until(lambda: down("seal") == 1)
        assert all(answer.receipt for answer in waiting)
        trouble.end()
        await sealed(town, waiting)
        assert down("seal") == 0
