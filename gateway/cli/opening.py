"""From settings to clients. Commands call these through the module, so that tests can put a peer of
their own in their place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from gateway.cli.settings import ClientSettings
from gateway.client.admin import AdminClient
from gateway.client.checkpoints import FolderCheckpoints
from gateway.client.client import DiyaClient
from gateway.client.connection import connect, connect_public
from gateway.client.errors import DiyaError, InputError, Unavailable
from gateway.client.feed import FeedClient
from gateway.client.handshake import look_into
from gateway.client.ledger import LedgerClient
from gateway.client.manifest import clerk
from gateway.client.party import PartyClient
from gateway.client.review import ReviewClient
from gateway.client.session import Actor, Session
from gateway.client.trust import LedgerTrust, read_trust
from signing.errors import SigningError
from signing.signer import LocalSigner, Signer


@asynccontextmanager
async def open_session(settings: ClientSettings) -> AsyncIterator[Session]:
    """A session over mutual TLS. Raises InputError, OwnCertificateRefused."""
    target, roots = settings.text("target"), settings.read("roots")
    with _named(settings, "roots", "certificate", "key"):
        connection = connect(
            target,
            server_roots=roots,
            certificate_chain=settings.read("certificate"),
            private_key=settings.read("key"),
            server_name=settings.server_name,
        )
    async with connection:
        memory = FolderCheckpoints(settings.checkpoints) if settings.checkpoints else None
        session = Session(
            connection,
            settings.text("registry"),
            read_trust(settings.path("trust")),
            memory=memory,
        )
        try:
            yield session
        except Unavailable as error:
            await look_into(error, target, server_roots=roots, server_name=settings.server_name)
            raise


@asynccontextmanager
async def open_public(settings: ClientSettings) -> AsyncIterator[DiyaClient]:
    """A client of the public listener: verification only."""
    target = settings.text("public_target")
    roots = settings.read("roots") if settings.roots else None
    with _named(settings, "roots"):
        connection = connect_public(target, server_roots=roots, server_name=settings.server_name)
    async with connection:
        try:
            yield DiyaClient(Session(connection, settings.text("registry"), LedgerTrust({})))
        except Unavailable as error:
            await look_into(error, target, server_roots=roots, server_name=settings.server_name)
            raise


@asynccontextmanager
async def open_client(settings: ClientSettings) -> AsyncIterator[DiyaClient]:
    """An institution's client."""
    async with open_session(settings) as session:
        yield DiyaClient(session)


@asynccontextmanager
async def open_review(settings: ClientSettings) -> AsyncIterator[ReviewClient]:
    """A registrar's client."""
    signer = open_signer(settings)
    async with open_session(settings) as session:
        yield ReviewClient(session, signer)


@asynccontextmanager
async def open_party(settings: ClientSettings) -> AsyncIterator[PartyClient]:
    """A co-applicant's or consenting institution's client."""
    signer, actor = open_signer(settings), actor_of(settings)
    async with open_session(settings) as session:
        yield PartyClient(session, signer, actor)


@asynccontextmanager
async def open_admin(settings: ClientSettings) -> AsyncIterator[AdminClient]:
    """An operator's client."""
    signer = open_signer(settings)
    async with open_session(settings) as session:
        yield AdminClient(session, signer)


@asynccontextmanager
async def open_feed(settings: ClientSettings, *, signs: bool = False) -> AsyncIterator[FeedClient]:
    """A counter system's client, or, where it does not sign, that of whoever asks about the feed."""
    signer = open_signer(settings) if signs else None
    async with open_session(settings) as session:
        yield FeedClient(session, signer)


@asynccontextmanager
async def open_ledger(settings: ClientSettings) -> AsyncIterator[LedgerClient]:
    """A reader of the public chain."""
    async with open_session(settings) as session:
        yield LedgerClient(session)


def open_signer(settings: ClientSettings) -> Signer:
    """The key that signs acts. Raises InputError, SignerUnusable."""
    with _named(settings, "signing_key", "signing_certificate"):
        return LocalSigner.from_pem(settings.read("signing_key"), settings.read("signing_certificate"))


def actor_of(settings: ClientSettings) -> Actor:
    """Whom acts come from. Raises InputError."""
    one = settings.clerk
    return Actor(
        settings.text("channel_institution"),
        clerk(one.name, one.employee_number, authorisation_number=one.authorisation_number),
        settings.applicant_institution,
    )


@contextmanager
def _named(settings: ClientSettings, *names: str) -> Iterator[None]:
    """Have an error of what these settings name say which files they are. Raises InputError."""
    try:
        yield
    except (DiyaError, SigningError) as error:
        if isinstance(error, InputError) and error.en.startswith("setting "):
            raise
        en, zh = (error.en, error.zh) if isinstance(error, DiyaError) else (error.message, error.zh)
        files = "; ".join(f"{name} = {getattr(settings, name)}" for name in names)
        raise InputError(f"{en} (settings: {files})", f"{zh}（设置：{files}）") from error
