from tests.contract.suite import ProviderContract

from syncgraph.providers.airweave import adapter
from syncgraph.providers.airweave.sandbox import KEY, app, settings


class TestSourceConnections(ProviderContract):
    adapter = adapter
    contract = "source-connections"
    sandbox = staticmethod(app)
    table = staticmethod(settings)
    key = KEY


class TestSyncJobs(ProviderContract):
    adapter = adapter
    contract = "sync-jobs"
    sandbox = staticmethod(app)
    table = staticmethod(settings)
    key = KEY
