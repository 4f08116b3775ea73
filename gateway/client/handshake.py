"""Why a gateway cannot be reached: looked into once a call has failed, because gRPC tells of one address only, and of a
refused certificate not at all.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Final

from gateway.client.errors import Unavailable

_SECONDS_MAX: Final = 5.0
_NAME_MISMATCHES: Final = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and …_IP_ADDRESS_MISMATCH


async def look_into(
    error: Unavailable, target: str, *, server_roots: bytes | None, server_name: str = ""
) -> None:
    """Have the error say what a handshake of our own finds. It stays as it was where it is the gateway's.

    target: "host:port"; other forms that gRPC knows are left alone. server_roots: PEM; None means those of this
    machine.
    """
    host, colon, port = target.rpartition(":")
    if error.is_from_gateway or not colon or not port.isdigit() or "/" in host:
        return
    told = await _told(host.strip("[]"), int(port), server_roots, server_name)
    if told is not None:
        error.en, error.zh = f"{target}: {told[0]}", f"{target}：{told[1]}"


async def _told(host: str, port: int, server_roots: bytes | None, server_name: str) -> tuple[str, str] | None:
    context = ssl.create_default_context(
        cadata=server_roots.decode("ascii", "ignore") if server_roots else None
    )
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(_SECONDS_MAX):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=server_name or host
            )
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(error)
    except ssl.SSLError as error:
        return (
            f"what listens there does not speak TLS as a gateway does ({error.reason}); check target",
            f"对方不是网关的 TLS 端口（{error.reason}）；请检查 target",
        )
    except TimeoutError:
        return "no answer; check target and the network between", "没有应答；请检查 target 和网络"
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        return (
            f"no connection ({why}); is the gateway running, and is target right?",
            f"无法建立连接（{why}）；请确认网关正在运行，且 target 正确",
        )
    writer.close()
    return None


def _of_certificate(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    if error.verify_code in _NAME_MISMATCHES:
        return (
            f"the gateway's certificate is of another name ({error.verify_message}); set server_name to its name",
            f"网关证书的名称与所连地址不符（{error.verify_message}）；请把 server_name 设为证书中的名称",
        )
    return (
        f"the roots given do not vouch for the gateway's certificate ({error.verify_message}); use the authority's",
        f"网关证书不是由所给的根证书签发（{error.verify_message}）；请把 roots 设为登记机构提供的根证书",
    )
