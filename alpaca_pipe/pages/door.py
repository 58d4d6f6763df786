"""Who may come in. A page of another site may not ask through the user's browser, a name that was pointed at this machine is
not this machine, and whoever listens elsewhere wants a key."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from alpaca_pipe.core.fast_dataclass import dataclass

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class Refusal(NamedTuple):
    status: int
    says: str


@dataclass(frozen=True)
class Door:
    """host: where it listens.  key: what each request of the API must carry; empty: none is asked for."""

    host: str
    key: str

    def refuses(self, headers: Mapping[str, str], keyless: bool = False) -> Refusal | None:
        """keyless: a page, which holds no secret."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if stays_here(self.host) and _name(host) not in _HERE | {self.host}:
            return Refusal(421, "this server answers to localhost and 127.0.0.1 only")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refusal(403, "a page of another site may not ask")
        given = headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if self.key and not keyless and not hmac.compare_digest(given.encode(), self.key.encode()):
            return Refusal(401, "the key is missing or wrong")
        return None


def stays_here(host: str) -> bool:
    """Whether an address to listen at is one that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Without the port; of IPv6 without the brackets."""
    return (urlsplit(f"//{host}").hostname or "") if host else ""
