"""Timbal keeps the contract that every provider keeps, under both of its own."""

from tests.contract.suite import ProviderContract, _no_waiting  # noqa: F401

from syncgraph.providers.timbal import adapter
from syncgraph.providers.timbal.sandbox import KEY, app, settings


class _Timbal(ProviderContract):
    adapter = adapter
    sandbox = staticmethod(app)
    table = staticmethod(settings)
    key = KEY


class TestConnectors(_Timbal):
    contract = "connectors"


class TestSyncDetail(_Timbal):
    contract = "sync-detail"
