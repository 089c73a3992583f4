"""What ``syncgraph doctor`` finds out, and how it shows it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from syncgraph.app import Clock, Connect, Gateway
from syncgraph.config import ProviderSettings, Settings
from syncgraph.ports import Diagnosis


@dataclass(frozen=True, slots=True)
class Found:
    """One provider's diagnosis beside its configuration."""

    name: str
    settings: ProviderSettings
    diagnosis: Diagnosis


async def diagnose(settings: Settings, *, connect: Connect, clock: Clock) -> Sequence[Found]:
    """Ask every provider once, side by side."""
    async with Gateway(settings, connect=connect, clock=clock) as gateway, gateway.open() as (opened, _):
        found = await asyncio.gather(*(one.provider.probe.diagnose() for one in opened.values()))
    return [Found(name, its, one) for (name, its), one in zip(settings.providers.items(), found, strict=True)]


def is_healthy(found: Sequence[Found]) -> bool:
    """Whether every provider can be used as it is configured."""
    return all(
        one.diagnosis.reachable and one.diagnosis.authorised and one.settings.contract in one.diagnosis.served
        for one in found
    )


def doctor_lines(found: Sequence[Found]) -> Iterator[str]:
    """A paragraph for each provider."""
    for one in found:
        diagnosis, skew = one.diagnosis, one.diagnosis.clock_skew
        facts = {
            "reachable": _yes(diagnosis.reachable),
            "authorised": _yes(diagnosis.authorised),
            "server": diagnosis.server,
            "serves": ", ".join(diagnosis.served),
            "configured": one.settings.contract,
            "clock skew": None if skew is None else f"{skew.total_seconds():+.0f} s",
            "limits": diagnosis.limits,
        }
        yield one.name
        yield from (f"  {name:<11} {value or '?'}" for name, value in facts.items())
        if diagnosis.error is not None:
            yield f"  {'error':<11} {diagnosis.error} ({diagnosis.error.code})"
        yield from (f"  {'advice':<11} {sentence}" for sentence in diagnosis.advice)


def _yes(value: bool | None) -> str:  # noqa: FBT001  # a table cell has no name to give
    return "?" if value is None else "yes" if value else "no"
