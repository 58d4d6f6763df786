"""The client that every teacher is asked with: aiohttp, one pool of connections, each answer read up to a bound."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.teachers.openai.bounded_answer import read_bounded

if TYPE_CHECKING:
    from aiohttp import ClientSession

CONNECT_WITHIN = 10.0  # seconds
# Servers close idle connections after 5 s (uvicorn, llama.cpp); a request into a closing one would be booked as lost.
IDLE_CONNECTIONS_LIVE = 2.0  # seconds
_AT_ONCE = 1024  # connections
_HOPS = 5  # of a download
_OURS = ("127.0.0.1", "localhost", "::1")
JSON = "application/json"
_USUAL = {
    "Accept": JSON,
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "alpaca-pipe",
}
# Whom OpenAI bills where a key is good for several; its own libraries read these too.
_BILLED_TO = {
    "OPENAI_ORG_ID": "OpenAI-Organization",
    "OPENAI_PROJECT_ID": "OpenAI-Project",
}


class WholeAnswer(NamedTuple):
    """What a server said, whole. headers: by name, in whatever case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class HttpClient:
    """Of one endpoint, while its block lasts. headers: that the user wants in every request."""

    def __init__(
        self, session: ClientSession, headers: Mapping[str, str], proxy: str | None, direct: bool
    ) -> None:
        """proxy: for all requests.  direct: none is used, not the environment's either."""
        self.headers = headers
        self._session, self._proxy, self._direct = session, proxy, direct
        self._proxies: dict[str, str | None] = {}  # by the beginning of an address

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], most: int, body: Any = None
    ) -> WholeAnswer:
        """One request, never repeated or sent elsewhere. most: bytes of its answer; an error's is cut at fewer.  body: bytes,
        or a form. Raises aiohttp.ClientError, ValueError, EndlessAnswer. The whole has no time limit here."""
        async with self._session.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=self._proxy_to(url),
        ) as response:
            content = await read_bounded(response, most)
            return WholeAnswer(response.status, response.headers, content)

    async def download(self, url: str, headers: Mapping[str, str], most: int) -> WholeAnswer:
        """A file, from wherever the endpoint keeps it; our headers go to its own origin alone, and never from https to http."""
        origin = _origin(url)
        for _ in range(_HOPS):
            own = headers if _origin(url) == origin else {}
            answer = await self.send("GET", url, own, most)
            elsewhere = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or not elsewhere:
                break
            url = urljoin(url, elsewhere)
        return answer

    def _proxy_to(self, url: str) -> str | None:
        if self._direct or self._proxy:
            return self._proxy
        begins = url[: url.find("/", 8)]
        if begins not in self._proxies:
            self._proxies[begins] = proxy_of_environment(url)
        return self._proxies[begins]


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


@contextlib.asynccontextmanager
async def http_client(
    address: str,
    *,
    timeout: float = 300.0,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    ca_file: Path | None = None,
) -> AsyncIterator[HttpClient]:
    """A client for `address` (up to /v1), closed when the block ends. timeout: seconds between two signs of life.

    proxy: for all requests; without it the environment's (HTTPS_PROXY, NO_PROXY ...). None reaches our own machine by one.
    ca_file: PEM of a certificate authority to be trusted beside the known ones; SSL_CERT_FILE names those instead.
    """
    import aiohttp

    host = urlsplit(address).hostname
    ours = host in _OURS
    way = None if ours else proxy or proxy_of_environment(address)
    secure = urlsplit(address).scheme == "https" or (way or "").startswith("https") or ca_file
    connector = aiohttp.TCPConnector(
        limit=_AT_ONCE,
        keepalive_timeout=IDLE_CONNECTIONS_LIVE,
        ssl=_trusted(ca_file) if secure else True,
    )
    billed = _BILLED_TO if host == "api.openai.com" else {}
    own = {
        name: os.environ[variable] for variable, name in billed.items() if variable in os.environ
    }
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=min(CONNECT_WITHIN, timeout), sock_read=timeout
        ),
        headers=_USUAL,  # of every host that a download is sent on to
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        yield HttpClient(session, {**own, **(headers or {})}, None if ours else proxy, ours)


def proxy_of_environment(url: str) -> str | None:
    """The proxy that the environment names for an address. UserError for one that aiohttp would misunderstand: it would
    speak HTTP to a SOCKS proxy. The address of a proxy may hold a password: it is not shown."""
    parts = urlsplit(url)
    named = getproxies()
    for name in (parts.scheme, "all"):
        if not (found := named.get(name)) or proxy_bypass(parts.hostname or ""):
            continue
        if urlsplit(found).scheme.startswith("socks"):
            raise UserError(
                f"the environment names a SOCKS proxy ({name.upper()}_PROXY), which is not spoken here",
                "name one that speaks HTTP, like http://host:port, or unset it",
            )
        return found if "://" in found else f"http://{found}"
    return None


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """The certificates of the environment (SSL_CERT_FILE, SSL_CERT_DIR), or of this machine."""
    try:
        context = ssl.create_default_context(
            cafile=os.environ.get("SSL_CERT_FILE") or _of_this_machine(),
            capath=os.environ.get("SSL_CERT_DIR") or None,
        )
    except OSError:
        raise UserError(
            f"SSL_CERT_FILE ({os.environ.get('SSL_CERT_FILE')}) holds no certificates",
            "give the path of a PEM file, or unset it",
        ) from None
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise UserError(
                f"teacher.ca_file {ca_file} holds no certificates", "give the path of a PEM file"
            ) from None
    return context


def _of_this_machine() -> str | None:
    """A file of certificates where Python would find none: a Python that was built elsewhere, a small container."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath or os.environ.get("SSL_CERT_DIR"):
        return None
    import certifi

    return certifi.where()
