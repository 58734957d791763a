"""All the work, in the order in which it is done."""

from __future__ import annotations

from benchmarks.workloads.base import Workload
from benchmarks.workloads.blocked import BLOCKED
from benchmarks.workloads.contention import CONTENTION
from benchmarks.workloads.hand_over import HAND_OVER
from benchmarks.workloads.kept import KEPT
from benchmarks.workloads.queue import QUEUE
from benchmarks.workloads.rates import CHECKS, ONE_CORE, PAIRS, RENEWALS
from benchmarks.workloads.records import RECORDS
from benchmarks.workloads.take_over import TAKE_OVER

WORKLOADS: tuple[Workload, ...] = (
    PAIRS,
    ONE_CORE,
    RENEWALS,
    CHECKS,
    HAND_OVER,
    QUEUE,
    TAKE_OVER,
    CONTENTION,
    BLOCKED,
    RECORDS,
    KEPT,
)


def named(names: str | None) -> list[Workload]:
    """The work of these names, comma-separated; all for None."""
    if names is None:
        return list(WORKLOADS)
    known = {workload.name: workload for workload in WORKLOADS}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise SystemExit(f"there is no work {name!r}; there is {', '.join(known)}")
    return [known[name] for name in known if name in wanted]
