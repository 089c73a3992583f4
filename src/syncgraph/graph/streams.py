"""Subscriptions, executed: each event becomes an encoded answer, and the answers of equal operations are one."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from typing import Self

import msgspec
from graphql import OperationType

from syncgraph.graph.context import Context
from syncgraph.graph.schema import Operation, Result, answer, kind_of, subscribe
from syncgraph.watch import News, Subscriber

OpenContext = Callable[[], AbstractAsyncContextManager[Context]]
"""What the answer to one event is executed in."""


class Streams:
    """Opens streams, and owns the executions that several of them wait for."""

    def __init__(
        self,
        execute: Callable[[Operation], Awaitable[Result]],
        bare_context: Callable[[], Context],
        open_context: OpenContext,
    ) -> None:
        self._execute = execute
        self._bare_context = bare_context
        self._open_context = open_context
        self._executions: set[asyncio.Task[bytes]] = set()

    async def open(self, operation: Operation) -> "Stream | Result":
        """Of a subscription: a stream, to be closed in any case, or why there is none. Of anything else: its result."""
        if kind_of(operation) is not OperationType.SUBSCRIPTION:
            return await self._execute(operation)
        found = subscribe(operation, self._bare_context())
        return found if isinstance(found, Result) else Stream(found, operation, self)

    async def close(self) -> None:
        for task in self._executions:
            task.cancel()
        await asyncio.gather(*self._executions, return_exceptions=True)

    def execution(self, news: News, operation: Operation, key: Hashable) -> asyncio.Task[bytes]:
        """The one of this event for this operation, whoever asks first."""
        task = news.answers.get(key)
        if task is None:
            task = asyncio.create_task(self._answer(news, operation), context=contextvars.Context())
            news.answers[key] = task
            self._executions.add(task)
            task.add_done_callback(self._executions.discard)
        return task

    async def _answer(self, news: News, operation: Operation) -> bytes:
        async with self._open_context() as context:
            context.remember(news.event)
            result = await answer(operation, news.event, context)
        return msgspec.json.encode(result.body())


class Stream:
    """The encoded answers of one subscription. Raises the :class:`GatewayError` that ended it."""

    __slots__ = ("_key", "_operation", "_streams", "_subscriber")

    def __init__(self, subscriber: Subscriber, operation: Operation, streams: Streams) -> None:
        self._subscriber = subscriber
        self._operation = operation
        self._streams = streams
        variables = msgspec.json.encode(operation.variables or {}, order="deterministic")
        self._key = (operation.query, variables, operation.name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        news = await anext(self._subscriber)
        return await asyncio.shield(self._streams.execution(news, self._operation, self._key))

    def close(self) -> None:
        self._subscriber.close()
