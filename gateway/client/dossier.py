"""A case as it was read: what every act on it refers to.

The digest that an act names is computed here, from the manifest's bytes; nothing that the gateway says of them is
taken over unchecked.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.client.acts import target_of
from gateway.client.errors import ProtocolBroken
from gateway.client.session import Session
from gateway.pb.diya.v1 import acts_pb2, application_pb2, envelope_pb2, terms_pb2
from gateway.pb.diya.v1 import registration_service_pb2 as pb
from gateway.pb.diya.v1.registration_service_pb2_grpc import RegistrationServiceStub


@dataclass(frozen=True, slots=True)
class Dossier:
    """A case as it was read: what an act on it refers to."""

    application: application_pb2.Application
    target: acts_pb2.ActTarget

    @property
    def last_index(self) -> int:
        """Index of the last ledger entry on this case or its units when it was read."""
        return self.application.last_index

    @property
    def terms(self) -> terms_pb2.Terms:
        """The terms that an act binds to."""
        manifest = envelope_pb2.Manifest.FromString(self.application.dossier.manifest)
        return terms_pb2.Terms.FromString(manifest.terms)


async def open_dossier(session: Session, name: str) -> Dossier:
    """The whole case, in whatever state it is, as far as the caller may see it. name: resource name or id.

    Raises RequestError, ProtocolBroken.
    """
    response = await session.call(
        RegistrationServiceStub(session.connection.channel).GetApplication,
        pb.GetApplicationRequest(
            name=session.name("applications", name), view=application_pb2.APPLICATION_VIEW_FULL
        ),
    )
    application = response.application
    if not application.dossier.manifest:
        raise ProtocolBroken(
            f"{application.name}: the dossier came without its manifest", "卷宗中没有申请清单"
        )
    target = target_of(application.name, application.dossier.manifest)
    if target.manifest_digest != application.manifest_digest:
        raise ProtocolBroken(
            f"{application.name}: the manifest shown is not the one in force",
            "所示申请清单不是现行有效的清单",
        )
    return Dossier(application, target)
