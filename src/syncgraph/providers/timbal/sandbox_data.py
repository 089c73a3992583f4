"""Acme's connectors, syncs and jobs, as a function of the clock: runs lie on a grid of absolute time.

What went wrong at Acme (a paused sync, one that Timbal disabled, a branch that is offline) lies before the current block of
28 days, so that it is recent history at any time and stands still for weeks.
"""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

ORGANISATION = "184"
KNOWLEDGE_BASE = "kb_7h2qv9m4x1"
BLOCK = timedelta(days=28)
PHASES = 24
"""A sync's runs repeat themselves after so many, which keeps counts over years cheap."""
TAIL = 10
"""Failures in a row after which Timbal disables a sync."""
MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=4096)
def draw(*of: object, below: int) -> int:
    """A number that looks like chance and never changes."""
    digest = hashlib.blake2b("/".join(map(str, of)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) % below


@lru_cache(maxsize=4096)
def identifier(*of: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, "/".join(map(str, (*of, "timbal.acme.example")))))


def instant(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def block(now: datetime) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (now - epoch) // BLOCK * BLOCK


@dataclass(frozen=True, slots=True)
class Box:
    """A connector: a process on a machine of Acme's."""

    name: str | None
    hostname: str
    os: str
    version: str
    sources: tuple[str, ...]
    enrolled: datetime
    offline_for: timedelta | None = None

    @property
    def id(self) -> str:
        return identifier("connector", self.hostname)

    def lost_at(self, now: datetime) -> datetime | None:
        return None if self.offline_for is None else block(now) - self.offline_for


HQ = Box(
    "Madrid HQ",
    "acme-sync-01.mad.acme.example",
    "linux",
    "0.1.31",
    ("postgres", "sql_server"),
    datetime(2025, 2, 3, 8, 12, 44, 310277, tzinfo=UTC),
)
WAREHOUSE = Box(
    "Zaragoza warehouse",
    "wms-edge.zaz.acme.example",
    "linux",
    "0.1.31",
    ("mysql",),
    datetime(2025, 3, 17, 14, 2, 9, 48112, tzinfo=UTC),
)
LISBON = Box(
    None,
    "POS-LIS-02",
    "windows",
    "0.1.24",
    ("sql_server",),
    datetime(2025, 9, 29, 10, 40, 31, 905524, tzinfo=UTC),
    offline_for=timedelta(days=2, hours=5, minutes=13),
)
BOXES = (HQ, WAREHOUSE, LISBON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A sync. ``stopped_for``: how long before the block its last run may have begun."""

    box: Box
    kind: str
    ref: str
    schema: str
    table: str
    dest: str
    every: timedelta
    created: datetime
    rows: int
    seconds: int
    name: str | None = None
    cursor: str | None = "updated_at"
    keys: tuple[str, ...] = ("id",)
    stopped_for: timedelta | None = None
    enabled: bool = True
    disabled: bool = False
    fails: frozenset[int] = frozenset()
    stops: frozenset[int] = frozenset()
    never_ran: bool = False

    @property
    def id(self) -> str:
        return identifier("sync", self.box.hostname, self.schema, self.table)

    @property
    def first(self) -> int:
        return self._nth(self.created) + 1

    def last(self, now: datetime) -> int:
        """The number of the newest run; below ``first`` before there is one."""
        if self.never_ran:
            return self.first - 1
        lost = block(now) - self.stopped_for if self.stopped_for is not None else now
        return self._nth(min(now, lost))

    def begins(self, n: int) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + n * self.every + self._offset

    @property
    def _offset(self) -> timedelta:
        return draw("offset", self.id, below=self.every // MICROSECOND) * MICROSECOND

    def _nth(self, time: datetime) -> int:
        return (time - datetime(1970, 1, 1, tzinfo=UTC) - self._offset) // self.every


TABLES = (
    Table(
        box=HQ,
        kind="postgres",
        ref="erp",
        schema="public",
        table="orders",
        dest="orders",
        name="Orders",
        every=timedelta(minutes=5),
        created=datetime(2025, 2, 3, 8, 31, 2, 771903, tzinfo=UTC),
        rows=420,
        seconds=75,
        fails=frozenset({7}),
    ),
    Table(
        box=HQ,
        kind="postgres",
        ref="erp",
        schema="public",
        table="customers",
        dest="customers",
        name="Customers",
        every=timedelta(minutes=15),
        created=datetime(2025, 2, 3, 8, 33, 40, 118220, tzinfo=UTC),
        rows=36,
        seconds=40,
        stops=frozenset({11}),
    ),
    Table(
        box=HQ,
        kind="postgres",
        ref="erp",
        schema="public",
        table="exchange_rates",
        dest="exchange_rates",
        name="Exchange rates (full refresh)",
        every=timedelta(days=1),
        created=datetime(2025, 6, 12, 16, 5, 55, 60410, tzinfo=UTC),
        rows=31_824,
        seconds=95,
        cursor=None,
        keys=(),
    ),
    Table(
        box=HQ,
        kind="sql_server",
        ref="finance",
        schema="dbo",
        table="Invoices",
        dest="invoices",
        name="Invoices",
        every=timedelta(hours=1),
        created=datetime(2025, 4, 22, 7, 58, 13, 402988, tzinfo=UTC),
        rows=112,
        seconds=150,
        cursor="ModifiedAt",
        keys=("InvoiceId", "LineNo"),
        stopped_for=timedelta(days=1, hours=9),
        enabled=False,
        disabled=True,
    ),
    Table(
        box=WAREHOUSE,
        kind="mysql",
        ref="wms",
        schema="wms",
        table="stock_levels",
        dest="stock_levels",
        every=timedelta(minutes=10),
        created=datetime(2025, 3, 17, 14, 20, 36, 915001, tzinfo=UTC),
        rows=2_950,
        seconds=330,
        keys=("warehouse_id", "sku"),
        fails=frozenset({3, 4}),
    ),
    Table(
        box=WAREHOUSE,
        kind="mysql",
        ref="wms",
        schema="wms",
        table="shipments",
        dest="shipments",
        name="Shipments",
        every=timedelta(minutes=30),
        created=datetime(2025, 3, 17, 14, 26, 11, 227745, tzinfo=UTC),
        rows=640,
        seconds=60,
        stopped_for=timedelta(days=3, hours=14),
        enabled=False,
    ),
    Table(
        box=LISBON,
        kind="sql_server",
        ref="pos",
        schema="dbo",
        table="PosTransactions",
        dest="pos_transactions",
        name="Lisbon tills",
        every=timedelta(hours=4),
        created=datetime(2025, 9, 29, 11, 3, 27, 333120, tzinfo=UTC),
        rows=1_780,
        seconds=190,
        cursor="RowVer",
        keys=("TransactionId",),
        stopped_for=LISBON.offline_for,
    ),
    Table(
        box=LISBON,
        kind="sql_server",
        ref="pos",
        schema="dbo",
        table="PosReturns",
        dest="pos_returns",
        name="Lisbon returns",
        every=timedelta(days=1),
        created=datetime(2025, 9, 29, 11, 9, 50, 8841, tzinfo=UTC),
        rows=20,
        seconds=30,
        cursor="RowVer",
        keys=("ReturnId",),
        never_ran=True,
    ),
)

DOCUMENTS = Table(
    box=WAREHOUSE,
    kind="filesystem",
    ref="scans",
    schema="",
    table="delivery-notes",
    dest="delivery-notes",
    every=timedelta(hours=2),
    created=datetime(2025, 3, 20, 9, 0, tzinfo=UTC),
    rows=184,
    seconds=1500,
)
"""Not a sync: somebody copies the scanned delivery notes by hand, which makes one-off jobs."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run at one moment; the times that are still to come are None."""

    id: str
    state: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    worked: timedelta | None
    rows: int
    message: str | None

    @property
    def rate(self) -> float | None:
        if not self.worked or not self.rows:
            return None
        return round(self.rows / self.worked.total_seconds(), 2)


REFUSED = "could not connect to 10.20.4.17:1433 as sync_reader: login timed out after 15 s"
MESSAGES = {
    "failed": "source query failed: canceling statement due to lock timeout (relation 16417)",
    "stopped": "stopped by an operator",
    "completed": None,
}


def outcome(table: Table, n: int, last: int) -> str:
    if table.disabled and n > last - TAIL:
        return "failed"
    phase = n % PHASES
    if phase in table.fails:
        return "failed"
    return "stopped" if phase in table.stops else "completed"


def landed(table: Table, n: int, ending: str) -> int:
    """Rows that the run has landed when it ends as ``ending``."""
    rows = table.rows // 2 + draw("rows", table.id, n % PHASES, below=table.rows)
    return {"completed": rows, "stopped": rows // 2, "failed": 0}[ending]


def run(table: Table, n: int, now: datetime) -> Run:
    last = table.last(now)
    ending = outcome(table, n, last)
    begun = table.begins(n)
    start = begun + timedelta(milliseconds=1_500 + draw("queue", table.id, n % PHASES, below=20_000))
    length = timedelta(
        milliseconds=600 * table.seconds + draw("length", table.id, n % PHASES, below=800 * table.seconds)
    )
    job = identifier("job", table.id, n)
    rows = landed(table, n, ending)
    if now < start:
        return Run(job, "queued", begun, None, None, None, 0, None)
    if now < start + length:
        so_far = int(rows * ((now - start) / length))
        said = f"batch {1 + so_far // 500}: {so_far} landed"
        return Run(job, "running", begun, start, None, now - start, so_far, said)
    message = REFUSED if table.disabled and ending == "failed" else MESSAGES[ending]
    return Run(job, ending, begun, start, start + length, length, rows, message)


def history(table: Table, now: datetime) -> Iterator[Run]:
    """Newest first."""
    return (run(table, n, now) for n in range(table.last(now), table.first - 1, -1))


@dataclass(frozen=True, slots=True)
class Totals:
    runs: int
    completed: int
    failed: int
    rows: int


def totals(table: Table, now: datetime) -> Totals:
    """Over a sync's whole life: the newest runs one by one, the older ones by phase."""
    last = table.last(now)
    older = max(table.first, last - TAIL + 1)
    newest = [run(table, n, now) for n in range(older, last + 1)]
    count = [_with_phase(phase, older) - _with_phase(phase, table.first) for phase in range(PHASES)]
    endings = [outcome(table, phase, PHASES + TAIL) for phase in range(PHASES)]
    return Totals(
        max(last - table.first + 1, 0),
        sum(its.state == "completed" for its in newest) + _sum(count, endings, "completed"),
        sum(its.state == "failed" for its in newest) + _sum(count, endings, "failed"),
        sum(its.rows for its in newest)
        + sum(many * landed(table, phase, endings[phase]) for phase, many in enumerate(count)),
    )


def _with_phase(phase: int, below: int) -> int:
    """How many numbers from 0 to ``below`` (left out) have this phase."""
    return (below - phase + PHASES - 1) // PHASES


def _sum(count: Sequence[int], endings: Sequence[str], ending: str) -> int:
    return sum(many for many, its in zip(count, endings, strict=True) if its == ending)
