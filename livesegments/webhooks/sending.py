"""One signed request to an endpoint, and what became of it."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from consumer.clock import wall_micros
from contracts.errors import LivesegmentsError
from contracts.times import SECOND
from livesegments import __version__
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.retrying import Meaning, Outcome, meaning_of, retry_after_seconds
from livesegments.webhooks.signing import signed

CONNECT_SECONDS: Final = 5.0
MOST_OF_AN_ANSWER: Final = 16 * 1024
"""Bytes that are read, so that the connection can be used again; of a longer answer it is closed."""
IDLE_SECONDS: Final = 30.0
"""A connection that nothing was sent over for so long is made anew: the other side may have closed it."""


class CertificateFileError(LivesegmentsError):
    """The file of certificates to trust can not be used."""


@dataclass(slots=True)
class Requests:
    """How many requests ended how, and how long they took."""

    count: dict[Meaning, int] = field(default_factory=lambda: dict.fromkeys(Meaning, 0))
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request, with the beginning of what was answered."""

    outcome: Outcome
    body: bytes = b""


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Whom we believe who they are: those that this machine trusts, and those of the file. Raises CertificateFileError.

    Made once for all endpoints: reading this machine's certificates takes a while.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # ssl.SSLError, too
            why = error.strerror or "it holds no certificates in PEM"
            raise CertificateFileError(f"webhook_ca_file: {ca_file} can not be used: {why}") from error
    return context


class Sender:
    """Sends to one endpoint, over connections that are kept, one for each request at a time. Used in one event loop.

    Parameters:
        endpoint: where.
        keys: that sign.
        context: whom to believe who they are.
        timeout: seconds that a request may take, with everything.
        now: microseconds UTC.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        keys: Sequence[bytes],
        context: ssl.SSLContext,
        timeout: float,
        now: Callable[[], int] = wall_micros,
    ) -> None:
        # Their lines at INFO and below hold URLs and signatures.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.requests = Requests()
        self._endpoint = endpoint
        self._keys = keys
        self._timeout = timeout
        self._now = now
        self._context = context
        # Of a connection each: httpx looks through all connections of a client with each request.
        self._clients: list[httpx.AsyncClient] = []
        self._free: list[httpx.AsyncClient] = []
        """Those that are not at work; the one that was used last goes first, so that its connection is warm."""

    def _client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            verify=self._context,
            # Not from the environment: a .netrc would add a log-in.
            trust_env=False,
            follow_redirects=False,
            event_hooks={"response": [_lead_nowhere]},
            timeout=httpx.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_SECONDS),
            headers={
                "user-agent": f"livesegments/{__version__}",
                "content-type": "application/json",
                "accept": "*/*",
            },
        )
        self._clients.append(client)
        return client

    async def send(self, message_id: str, body: bytes) -> Answer:
        """Send a body under an id. Never raises for what the other side does."""
        began = time.perf_counter()
        answer = await self._sent(message_id, body)
        self.requests.count[answer.outcome.meaning] += 1
        self.requests.seconds += time.perf_counter() - began
        return answer

    async def _sent(self, message_id: str, body: bytes) -> Answer:
        headers = signed(self._keys, message_id, self._now() // SECOND, body)
        client = self._free.pop() if self._free else self._client()
        try:
            async with (
                asyncio.timeout(self._timeout),
                client.stream("POST", self._endpoint.url, content=body, headers=headers) as answer,
            ):
                start = await _beginning(answer)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(Outcome(Meaning.FAILED, error=f"no answer within {self._timeout:g} s"))
        except httpx.HTTPError as error:
            return Answer(Outcome(Meaning.FAILED, error=_said(error)))
        except Exception as error:  # noqa: BLE001 - one endpoint's answer must not end what others are told
            # Its text may hold the URL.
            return Answer(Outcome(Meaning.FAILED, error=f"the request failed ({type(error).__name__})"))
        finally:
            self._free.append(client)
        meaning = meaning_of(answer.status_code)
        told = "" if meaning is Meaning.DELIVERED else f"answered {answer.status_code}"
        wait = retry_after_seconds(answer.headers.get("retry-after"), self._now())
        return Answer(Outcome(meaning, answer.status_code, told, wait), start)

    async def close(self) -> None:
        """Let go of all connections."""
        for client in self._clients:
            await client.aclose()


async def _lead_nowhere(answer: httpx.Response) -> None:
    """Take out where an answer leads: httpx would make a request of it, and fail on what is no address."""
    answer.headers.pop("location", None)


async def _beginning(answer: httpx.Response) -> bytes:
    """So much of an answer as is read at all, as it comes: nothing is unpacked."""
    start = b""
    async for piece in answer.aiter_raw():
        start += piece
        if len(start) > MOST_OF_AN_ANSWER:
            break
    return start[:MOST_OF_AN_ANSWER]


def _said(error: httpx.HTTPError) -> str:
    """What went wrong, in words in which no URL stands."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {cause.reason or 'it speaks something else'}"
        if isinstance(cause, OSError) and cause.strerror:
            return f"not connected: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    kind = "could not be reached" if isinstance(error, httpx.ConnectError) else "the connection broke"
    return f"{kind} ({type(error).__name__})"
