"""HTTP/1.1 with a bound on all that is no body: request line, headers, trailers, the framing of chunks.

The law of this file: it counts bytes and says no in OpenAI's shape; everything else is uvicorn's, whose parser takes a
head of any length from whoever connects, before any key was seen.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.edge.errors import error_body

#: More than proxies and clients send. The piece in which a head begins is not counted: a little more gets by.
MAX_HEAD_BYTES = 64 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    #: Bytes of the present message that were no body, and those that were.
    _head_bytes = 0
    _body_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on, unless there is no end to what is no body; chunks may hold as little as their framing takes."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES + self._body_bytes and not self.transport.is_closing():
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request's headers are larger than this server's limit of {MAX_HEAD_BYTES} bytes",
                "request_too_large",
            )

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._head_bytes = self._body_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Count these bytes as body; how many of them may come is the edge's to say."""
        self._head_bytes -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP at all is told in OpenAI's shape, too."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg, "invalid_http")

    def _unsupported_upgrade_warning(self) -> None:
        """What a client offers and nobody takes is no event; the request itself is answered."""

    def _refuse(self, status: HTTPStatus, message: str, code: str) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else it would stand in the midst of another answer
            body = orjson.dumps(error_body(message, "invalid_request_error", None, code))
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
