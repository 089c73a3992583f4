"""How a Timbal account is configured."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from syncgraph.config import ProviderSettings
from syncgraph.providers.timbal.ids import is_id, sync_id
from syncgraph.references import Address


def _stringified(value: object) -> object:
    """An organisation's id is a string in one place of Timbal's API and a number in another."""
    return str(value) if type(value) is int else value


def _organisation(value: str) -> str:
    if not is_id(value):
        raise PydanticCustomError("organisation", "write the org_id, as GET /me/orgs lists it")
    return value


def _sync(value: str) -> str:
    if sync_id(value) is None:
        raise PydanticCustomError("sync", 'write "connector_id/sync_id"')
    return value


class Settings(ProviderSettings):
    """``syncs``: the syncs to show under ``sync-detail``, where nothing can be listed."""

    kind: Literal["timbal"]
    contract: Literal["sync-detail", "connectors"] = "connectors"
    base_url: Address = "https://api.timbal.ai"
    organisation: Annotated[str, BeforeValidator(_stringified), AfterValidator(_organisation)]
    syncs: tuple[Annotated[str, AfterValidator(_sync)], ...] = ()

    @model_validator(mode="after")
    def _syncs_where_they_are_read(self) -> "Settings":
        if self.contract == "sync-detail" and not self.syncs:
            raise PydanticCustomError(
                "syncs",
                'syncs: contract sync-detail cannot list; name them: syncs = ["connector_id/sync_id"]',
            )
        if self.contract == "connectors" and self.syncs:
            raise PydanticCustomError(
                "syncs", "syncs: contract connectors lists all there are; remove this key"
            )
        if len(set(self.syncs)) < len(self.syncs):
            raise PydanticCustomError("syncs", "syncs: one is named twice")
        return self
