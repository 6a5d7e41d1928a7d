"""The one client of the broker's REST interface: the SDK's ApiClient, with its defaults put right.

The SDK's Configuration is one object for the whole process, waits for ever, sends a modify or a cancel again up to
three times when a connection drops, leaves network failures as they are, and turns one odd row of an answer into the
loss of the whole. Here hosts are set explicitly, every request has both time-outs, nothing is sent twice, every failure
is a typed error that says what it proves, and answers are decoded by our own structs.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import upstox_client
import urllib3
from upstox_client.rest import ApiException
from urllib3.connection import HTTPConnection

import sos_actors
from sos_actors.decoding import from_json
from sos_actors.logs import hide
from sos_actors.upstox.errors import (
    DEAD_TOKEN,
    NO_TOKEN,
    BadRequestError,
    BrokerError,
    Certainty,
    NotReachedError,
    RateLimitedError,
    TokenDeadError,
    UnansweredError,
    UnreadableAnswerError,
    error_of_answer,
)
from sos_actors.upstox.limits import RateLimiter, RequestClass
from sos_actors.upstox.settings import UpstoxSettings

T = TypeVar("T")
#: A request of these left nothing behind: no connection was made.
_NEVER_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationValueError,
)
#: A connection to the order host rests between two orders, often for longer than a router on the way (NAT) remembers
#: it: the next order would then go nowhere, or be answered by a reset, and its fate be unknown. So the system sends
#: something after 30 seconds, and gives up after three more of 10 without an answer: then a new connection is made.
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)  # not every system has them
    ),
]
#: What OpenSSL says of a certificate it does not trust: the handshake fails before anything is written. Any other
#: trouble with TLS can also come while the answer is read.
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


class UpstoxClient:
    """The broker's REST interface for the whole process, for many threads.

    `api` is the SDK's ApiClient, for its API classes and streamers.
    """

    def __init__(self, settings: UpstoxSettings, limiter: RateLimiter, token: str = "") -> None:
        configuration = upstox_client.Configuration()  # a copy of the process's default, whatever made that
        configuration.sandbox = False
        configuration.host, configuration.order_host = settings.host, settings.order_host
        configuration.verify_ssl = True
        configuration.ssl_ca_cert = settings.ca_file or None
        configuration.debug = False
        for name in ("upstox_client", "urllib3"):  # the SDK makes both print to stderr
            logger = logging.getLogger(name)
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
        self.settings = settings
        self.api = upstox_client.ApiClient(configuration)
        # Threads for its async_req, which is never used. Left to end by themselves, one may still be at it when the
        # process ends, and the SDK's destructor would wait for it for ever (seen on Python 3.13).
        self.api.pool.terminate()
        self.api.pool.join()
        self.api.user_agent = f"sos-actors/{sos_actors.__version__}"
        pools = self.api.rest_client.pool_manager
        pools.connection_pool_kw["retries"] = urllib3.Retry(
            total=0, redirect=0, respect_retry_after_header=False, raise_on_redirect=False
        )
        pools.connection_pool_kw["socket_options"] = [*HTTPConnection.default_socket_options, *_KEEP_ALIVE]
        if settings.local_address:  # the other family of addresses cannot be reached from it, and is passed over
            pools.connection_pool_kw["source_address"] = (settings.local_address, 0)
        self._limiter = limiter
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._mark_what_leaves()
        if token:
            self.set_token(token)

    def set_token(self, secret: str) -> None:
        """Use another access token from the next request, and the next connection of a stream, on."""
        hide(secret)
        with self._lock:
            self.api.configuration.access_token = secret

    @property
    def has_token(self) -> bool:
        """Whether a token was ever set."""
        return bool(self.api.configuration.access_token)

    def need_token(self, what: str) -> None:
        """Raise TokenDeadError when there is no token for `what`, a request that needs one: it would be refused."""
        if not self.has_token:
            raise TokenDeadError(f"{what}: not sent: {NO_TOKEN}", certainty=Certainty.NEVER_SENT, code=DEAD_TOKEN)

    def close(self) -> None:
        """Let the connections go, and nobody wait for leave to send any more."""
        self._limiter.close()
        self.api.rest_client.pool_manager.clear()

    def _mark_what_leaves(self) -> None:
        """Note, by thread, that the SDK is done with its own checks and hands the request to the network."""
        send = self.api.rest_client.request

        def request(*args: Any, **kwargs: Any) -> Any:
            self._thread.left = True
            return send(*args, **kwargs)

        self.api.rest_client.request = request

    def call(
        self,
        what: str,
        method: Callable[..., Any],
        *args: Any,
        answer: type[T],
        rate: RequestClass = RequestClass.STANDARD,
        exits: bool = False,
        books: bool = False,
        patience_s: float = 30.0,
        **kwargs: Any,
    ) -> T:
        """Make one request through a method of the SDK and decode its answer as `answer`.

        `what` names it in words for errors, e.g. 'place order'. `rate` is how the broker counts it, `exits` and
        `books` let it have the share kept for them, `patience_s` is how long it may wait for leave to be sent.
        Raises BrokerError.
        """
        wait = self._limiter.acquire(rate, exits=exits, books=books, patience_s=patience_s)
        if wait > 0:
            raise RateLimitedError(
                f"{what}: not sent, the rate limit leaves no room for {wait:.1f} s",
                certainty=Certainty.NEVER_SENT,
                retry_after_s=wait,
            )
        settings = self.settings
        read_s = settings.read_timeout_s if rate is RequestClass.STANDARD else settings.order_timeout_s
        self._thread.left = False
        try:
            response = method(
                *args,
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=(settings.connect_timeout_s, read_s),
                **kwargs,
            )
            body: bytes = response.data
        except ApiException as error:
            raise self._refused(what, rate, error, exits=exits) from None
        except urllib3.exceptions.HTTPError as error:
            raise _network_error(what, error) from None
        except Exception as error:  # noqa: BLE001 - the SDK raises what it likes
            raise self._odd(what, error) from None
        self._limiter.taken(rate)
        try:
            return from_json(body, answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableAnswerError(
                f"{what}: the broker's answer cannot be read: {error}", certainty=Certainty.UNKNOWN, status=200
            ) from None

    def _odd(self, what: str, error: Exception) -> BrokerError:
        """Tell the SDK's own checks of what it is given from its trouble with an odd answer."""
        if self._thread.left:
            return UnreadableAnswerError(f"{what}: {type(error).__name__}: {error}", certainty=Certainty.UNKNOWN)
        return BadRequestError(f"{what}: {error}", certainty=Certainty.NEVER_SENT)

    def _refused(self, what: str, rate: RequestClass, error: ApiException, *, exits: bool) -> BrokerError:
        if not error.status:  # the SDK's way to say that TLS failed
            return _insecure(what, str(error.reason))
        told = error_of_answer(what, error.status, error.body, error.headers)
        if isinstance(told, RateLimitedError):
            told.retry_after_s = self._limiter.refused(rate, told.retry_after_s, exits=exits)
        return told


def _insecure(what: str, reason: str) -> BrokerError:
    if _UNTRUSTED in reason:
        return NotReachedError(
            f"{what}: the broker's certificate is not trusted: wrong address, or name its authority in upstox.ca_file",
            certainty=Certainty.NEVER_SENT,
        )
    return UnansweredError(f"{what}: the secure connection broke", certainty=Certainty.UNKNOWN)


def _network_error(what: str, error: urllib3.exceptions.HTTPError) -> BrokerError:
    """Tell a request that never left from one whose fate is not known."""
    cause: BaseException = error
    if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        cause = error.reason
    name = type(cause).__name__
    if isinstance(cause, urllib3.exceptions.SSLError):
        return _insecure(what, str(cause))
    if isinstance(cause, _NEVER_SENT):
        return NotReachedError(
            f"{what}: the broker cannot be reached ({name}): network, name or address?", certainty=Certainty.NEVER_SENT
        )
    return UnansweredError(f"{what}: no whole answer came ({name})", certainty=Certainty.UNKNOWN)
