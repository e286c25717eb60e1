"""Where the server is and how to talk to it: the part of the constructors that Client and AsyncClient share."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Union

import grpc

from ._call import Call, Metadata, Retry

Pem = Union[str, "os.PathLike[str]", bytes]  # a path, or the text itself as bytes


@dataclass(frozen=True)
class Tls:
    """`ca`: whom to believe, default gRPC's own list. `certificate` and `key`: who we are, for mutual TLS. `server_name`: what the
    server's certificate must say, default the host of the address."""

    ca: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = field(default=None, repr=False)
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("Tls: certificate and key go together")
        return grpc.ssl_channel_credentials(_pem(self.ca), _pem(self.key), _pem(self.certificate))


def _pem(value: Pem | None) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    with open(value, "rb") as file:
        return file.read()


class Connection:
    def __init__(
        self,
        address: str | Sequence[str],
        token: str | None,
        tls: bool | Tls,
        timeout: float,
        retry: Retry,
        keepalive: float,
        max_message_bytes: int,
    ) -> None:
        if keepalive < 10:
            raise ValueError(f"keepalive is {keepalive}, expected at least 10 seconds: servers cut off who pings more often")
        trust = Tls() if tls is True else tls or None
        self.target = target_of(address)
        self.credentials = trust.credentials() if trust else None
        self._authorization: Metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
        self._timeout = timeout
        self._retry = retry
        self.options: list[tuple[str, Union[str, int]]] = [
            ("grpc.service_config", _service_config(address)),
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.keepalive_time_ms", int(keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", 10_000),
            # A long prompt sends nothing for minutes; gRPC would stop to ping after two.
            ("grpc.http2.max_pings_without_data", 0),
            # gRPC's own pace, 1 s to 2 min between connections, would outlast every attempt after a restart of the server.
            ("grpc.initial_reconnect_backoff_ms", max(100, int(retry.initial_backoff * 1000))),
            ("grpc.max_reconnect_backoff_ms", max(100, int(retry.max_backoff * 1000))),
        ]
        if trust and trust.server_name:
            self.options.append(("grpc.ssl_target_name_override", trust.server_name))
        self.call()  # refuses a timeout that is none

    def call(self, timeout: float | None = None, metadata: Metadata = ()) -> Call:
        return Call(self._timeout if timeout is None else timeout, self._retry, (*self._authorization, *metadata))


def _service_config(address: str | Sequence[str]) -> str:
    """Calls go to the servers in turn, and to none whose health says that it drains. One server alone is asked whatever its health is."""
    config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if not isinstance(address, str) or address.startswith("dns:"):
        config["healthCheckConfig"] = {"serviceName": ""}
    return json.dumps(config)


def target_of(address: str | Sequence[str]) -> str:
    """A name may have several addresses of its own (`dns:///name:port`); several that are written out must be numbers."""
    if isinstance(address, str):
        return address
    families = {_family(one) for one in address}
    if len(families) != 1 or None in families:
        raise ValueError(f"address is {list(address)}, expected IP:PORT of one family; names go alone, as dns:///NAME:PORT")
    return f"{families.pop()}:{','.join(address)}"


def _family(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return None
    if host.startswith("[") and host.endswith("]"):
        return "ipv6"
    return "ipv4" if host.replace(".", "").isdigit() else None
