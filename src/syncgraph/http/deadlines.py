"""What a client may take its time with: sending a request, and reading its answer. uvicorn itself waits for ever."""

from asyncio import Protocol, TimerHandle, Transport
from http import HTTPStatus

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from syncgraph.config import ServerSettings
from syncgraph.errors import DocumentError, RequestTimeoutError
from syncgraph.http.refusal import Refusal

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers."""

LEAST_READ_BYTES = 16 * 1024
"""Of an answer, in the time that a slow reader has."""

OVERDUE = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, RequestTimeoutError("The request did not arrive in time."), {}
).on_the_wire()
TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    DocumentError(f"The headers are larger than {MAX_HEAD_BYTES} bytes."),
    {},
).on_the_wire()


def protocol(limits: ServerSettings) -> type[Protocol]:
    """The HTTP protocol of uvicorn, with the deadlines of ``limits``."""

    class Limited(DeadlineProtocol):
        receive_timeout_s = limits.receive_timeout_s
        send_timeout_s = limits.send_timeout_s

    return Limited


class DeadlineProtocol(HttpToolsProtocol):
    """One connection.

    A request arrives whole within ``receive_timeout_s`` from its first byte, the first one of a connection from its
    opening: however its bytes drip. An answer of which too little is taken within ``send_timeout_s`` ends the connection;
    one that is read, however long it is, does not. Between two requests uvicorn's keep-alive rules; after an upgrade
    the new protocol does.
    """

    receive_timeout_s: float
    send_timeout_s: float

    _overdue: TimerHandle | None = None
    _stalled: TimerHandle | None = None
    _head_bytes = 0
    _has_begun = False
    """A request whose end has not arrived."""
    _has_head = False
    """Of that request."""
    _answers = 0
    _answering: RequestResponseCycle | None = None
    """The request that is answered now; where clients pipeline, uvicorn's ``cycle`` is the last one that came."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_arrival()
        self._unwatch_reader()
        if self._answering is not None:
            _tell_gone(self._answering)
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def handle_websocket_upgrade(self) -> None:
        self._unwatch_arrival()
        self._unwatch_reader()
        self._unset_keepalive_if_required()
        super().handle_websocket_upgrade()

    # what arrives

    def data_received(self, data: bytes) -> None:
        if not self._is_answering:
            self._await_request()
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._head_bytes = self._head_bytes + len(data) if self._has_begun and not self._has_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_begun, self._has_head = True, False
        self._await_request()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._has_head = True

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._has_begun = False
        self._unwatch_arrival()
        if not self._is_answering and not self.transport.is_closing():
            self._keep_alive()  # it was answered before it had arrived

    @property
    def _is_answering(self) -> bool:
        # uvicorn declares it as always there; before the first request it is None.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _await_request(self) -> None:
        if self._overdue is None:
            self._overdue = self.loop.call_later(self.receive_timeout_s, self._on_overdue)

    def _unwatch_arrival(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _on_overdue(self) -> None:
        self._overdue = None
        if self.flow.read_paused or (self._is_answering and not self._has_head):
            self._await_request()  # it is us who keep the client waiting
        elif self._has_begun and not (self._has_head and self.cycle.response_started):
            self._refuse(OVERDUE)
        else:
            self._hang_up()

    def _refuse(self, answer: bytes) -> None:
        self.transport.write(answer)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._is_answering:
            _tell_gone(self.cycle)
        self.transport.close()
        self._watch_reader()

    def _keep_alive(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    # what is read

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._answers += 1
        self._watch_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unwatch_reader()

    def _watch_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if self._stalled is None and unread:
            self._stalled = self.loop.call_later(self.send_timeout_s, self._on_stalled, unread, self._answers)

    def _unwatch_reader(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _on_stalled(self, before: int, answers: int) -> None:
        self._stalled = None
        is_being_written = self._is_answering and not self.flow.write_paused
        unread = self.transport.get_write_buffer_size()
        is_read = unread <= before - LEAST_READ_BYTES or self._answers > answers or is_being_written
        if unread and not is_read:
            self.transport.abort()
        else:
            self._watch_reader()


def _tell_gone(cycle: RequestResponseCycle) -> None:
    """What was begun for the client ends, as when the client leaves."""
    cycle.disconnected = True
    cycle.message_event.set()
