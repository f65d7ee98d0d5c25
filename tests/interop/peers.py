"""The peers of the interop tests, and what does not work with each of them.

run_pair.py tests every row with every peer. A row that does not work must have its shortcoming here, and a row that has
one must not work: so the reasons on the page (docs/interoperability.md) stay true.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# The rows, with the columns of the page.
ROWS = {
    "echoes": "1,000 echoes",
    "largest": "largest datagram",
    "empty": "empty datagram",
    "our_close": "our close",
    "its_close": "its close",
    "rejection": "rejection",
    "subprotocol": "subprotocol",
}


@dataclass(frozen=True)
class Shortcoming:
    """Why a row does not work. `sees` is a part of the event that a peer reports instead, if it reports any."""

    reason: str
    sees: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A peer. The keys of both dicts are its role and a row."""

    title: str
    # True, or why it has none.
    subprotocols: bool | str
    shortcomings: dict[tuple[str, str], Shortcoming] = field(default_factory=dict)
    # What to know about a row that works.
    remarks: dict[tuple[str, str], str] = field(default_factory=dict)
    roles: tuple[str, ...] = ("server", "client")
    # Whether we choose its version. A browser is the one that the system has.
    pinned: bool = True


NO_SUBPROTOCOLS = "It has no subprotocols."
NO_DATA_FRAMES = (
    "It takes our CLOSE capsule, in a DATA frame as RFC 9297 (section 3.2) says, for an error and ends the QUIC connection"
)
CLOSES_QUIC = (
    "It sends no CLOSE capsule, but closes QUIC with the session's code and reason; our side reports them as an error of"
    " the transport."
)
HIDES_STATUS = Shortcoming(
    "Its JavaScript interface does not say the HTTP status, only that there is no session.", {"event": "refused"}
)

PEERS = {
    "pywebtransport-0.6.1": Peer(
        "pywebtransport",
        NO_SUBPROTOCOLS,
        {
            ("server", "empty"): Shortcoming("It drops empty datagrams that arrive."),
            ("client", "empty"): Shortcoming("It drops empty datagrams that arrive."),
            ("server", "our_close"): Shortcoming(f"{NO_DATA_FRAMES}; its program is not told."),
            ("client", "our_close"): Shortcoming(f"{NO_DATA_FRAMES}; its program is not told."),
            ("server", "rejection"): Shortcoming(
                "It does not answer with a status, but ends the CONNECT stream.", {"event": "refused", "status": None}
            ),
            ("client", "rejection"): Shortcoming("It ignores the answer and waits for a session until its timeout."),
        },
    ),
    "pywebtransport-0.9.1": Peer(
        "pywebtransport",
        NO_SUBPROTOCOLS,
        {
            ("server", "our_close"): Shortcoming(
                f"{NO_DATA_FRAMES}; its program sees a close without code.", {"by": "peer", "code": None}
            ),
            ("client", "our_close"): Shortcoming(
                f"{NO_DATA_FRAMES}; its program sees a close without code.", {"by": "peer", "code": None}
            ),
        },
    ),
    "pywebtransport-0.21.1": Peer(
        "pywebtransport",
        True,
        {
            ("client", "rejection"): Shortcoming(
                "Its error, H3_REQUEST_REJECTED, does not say the HTTP status.", {"event": "refused"}
            ),
        },
    ),
    "aioquic": Peer(
        "aioquic",
        True,
        remarks={
            (role, row): "It has no calls for this: the program writes and reads capsules and header fields itself."
            for role in ("server", "client")
            for row in ("our_close", "its_close", "subprotocol")
        },
    ),
    "webtransport-go-0.9": Peer(
        "webtransport-go",
        NO_SUBPROTOCOLS,
        remarks={
            (role, "largest"): "After MTU discovery, the limit in its `DatagramTooLargeError` is larger than what fits, and it"
            " drops such datagrams silently. The program stays 37 bytes below the limit."
            for role in ("server", "client")
        },
    ),
    "webtransport-go-0.13": Peer(
        "webtransport-go",
        True,
        remarks={
            ("client", "its_close"): "With `Transport.NewClientConn`. `Transport.Dial` closes QUIC as soon as the program closes"
            " the session, mostly before code and reason have left, also with its own server.",
        },
    ),
    "web-transport-quinn": Peer(
        "web-transport-quinn",
        True,
        remarks={
            ("server", "its_close"): "The program waits for `Session::closed` after `close`. When it drops the session at once, the"
            " control stream ends before the CLOSE capsule leaves, and wtgram reports H3_CLOSED_CRITICAL_STREAM.",
            ("server", "rejection"): "The program keeps the connection after `Request::reject`. When it drops it at once, QUIC"
            " closes before the answer leaves.",
        },
    ),
    "wtransport": Peer(
        "wtransport",
        NO_SUBPROTOCOLS,
        {
            ("server", "its_close"): Shortcoming(CLOSES_QUIC, {"by": "transport", "transport_error": 1234567}),
            ("client", "its_close"): Shortcoming(CLOSES_QUIC, {"by": "transport", "transport_error": 4711}),
            ("client", "rejection"): Shortcoming(
                "Its error, `SessionRejected`, does not say the HTTP status.", {"event": "refused"}
            ),
        },
    ),
    "chromium": Peer(
        "Chromium",
        True,
        {
            ("client", "empty"): Shortcoming(
                "It sends empty datagrams. After one has arrived, no further datagram reaches the page: do not send any to it."
            ),
            ("client", "rejection"): HIDES_STATUS,
        },
        roles=("client",),
        pinned=False,
    ),
    "firefox": Peer(
        "Firefox ESR",
        "Its JavaScript interface has no subprotocols.",
        {("client", "rejection"): HIDES_STATUS},
        roles=("client",),
        pinned=False,
    ),
}
