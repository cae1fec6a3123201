"""What stragglers, preemptions and lost storage calls cost a plan of shards on many workers.

A simulation of events (simpy) by the rules of `restyle shards run`: a worker goes round the shards
from a place of its own, takes what is free, and begins again; a shard whose worker fell silent is
free to those who have watched it for a lease, at once on the same machine or if it was handed back;
three deaths halve it. `python benchmarks/scale.py failures` shows what comes of it.
"""

import bisect
import math
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import simpy

from restyle.jobs.shard_claims import DEATHS
from restyle.jobs.shard_plan import Shard
from restyle.jobs.shard_settings import RunShards

LEASE = RunShards(folder=Path()).lease
PAUSE = 0.5  # seconds between looks at shards that others hold
BEATS = 4  # signs of life a lease
READS, FIRST_WAIT = 6, 0.1  # tries of a read; seconds before the second, which then double
WRITES = 4  # calls of storage that write a part, none of which may fail
HOUR, DAY = 3600.0, 86_400.0
State = Literal["free", "held", "silent"]  # has nobody, somebody, somebody who is not heard of
Key = tuple[int, int]  # of a shard: its number, and where in it it begins


@dataclass(frozen=True)
class Cluster:
    """A plan, and what it runs on.

    Attributes:
        images: Images of the plan.
        workers: Workers, each on a machine of its own.
        seconds: Seconds an image.
        shard_size: Images in a shard.
        slow: Share of the workers that are slow.
        slowdown: How many times as long those take.
        preempted: Mean seconds until a worker is preempted; it begins again on another machine.
        notice: A preempted worker is asked to stop first, and hands its shard back.
        restart: Seconds from a worker's end to the first image of the next.
        lost: Share of the calls of storage that fail.
        deadly: Images that kill their worker.
        kills: Preemptions at known times: (seconds, worker).
        lease: Seconds of silence after which a worker is given up.
        seed: Seed of everything random.
    """

    images: int = 1_000_000
    workers: int = 64
    seconds: float = 0.5
    shard_size: int = 1000
    slow: float = 0.0
    slowdown: float = 3.0
    preempted: float = math.inf
    notice: bool = False
    restart: float = 120.0
    lost: float = 0.0
    deadly: tuple[int, ...] = ()
    kills: tuple[tuple[float, int], ...] = ()
    lease: float = LEASE
    seed: int = 0

    @property
    def ideal(self) -> float:
        """Seconds without any failure, and with shards of one image."""
        return self.images * self.seconds / self.workers


@dataclass
class Outcome:
    """What a simulation saw; seconds are summed over the workers.

    Attributes:
        time: Seconds until every shard had its part.
        worked: Seconds of work whose part was written.
        wasted: Seconds of work that was lost, or done twice.
        idle: Seconds of waiting for shards that others held.
        down: Seconds between a worker's end and the next one's beginning.
        deaths: Workers that died with a shard, or were given up.
        splits: Shards that were halved.
        blamed: Images that became an error as workers died with them.
        unread: Images that are expected to become an error as they could not be read.
        twice: Shards that were done by two workers.
        looks: Looks at parts, each a call of storage.
    """

    time: float = 0.0
    worked: float = 0.0
    wasted: float = 0.0
    idle: float = 0.0
    down: float = 0.0
    deaths: int = 0
    splits: int = 0
    blamed: int = 0
    unread: float = 0.0
    twice: int = 0
    looks: int = 0


@dataclass
class Claim:
    """What the files of a shard say: that it is `free`, `held`, or held by somebody `silent`."""

    shard: Shard
    state: State = "free"
    deaths: int = 0
    tries: int = 0
    machine: object = None
    beat: float = 0.0


@dataclass
class Store:
    """The shards of a plan that have no part yet."""

    env: simpy.Environment
    cluster: Cluster
    outcome: Outcome = field(default_factory=Outcome)
    claims: dict[Key, Claim] = field(default_factory=dict)
    keys: dict[str, list[Key]] = field(default_factory=lambda: {"free": [], "silent": []})

    def __post_init__(self) -> None:
        """Cut the images into shards."""
        size = self.cluster.shard_size
        for number in range(math.ceil(self.cluster.images / size)):
            stop = min(size, self.cluster.images - number * size)
            self._add(Shard(f"{number:05}", number, 0, stop))
        self.shards = len(self.claims)
        self.changed = self.env.event()

    def _add(self, shard: Shard) -> None:
        key = shard.number, shard.start
        self.claims[key] = Claim(shard)
        bisect.insort(self.keys["free"], key)

    def become(self, key: Key, state: State) -> None:
        """Change what a shard is, and wake those that wait for it."""
        claim = self.claims[key]
        if claim.state in self.keys:
            known = self.keys[claim.state]
            del known[bisect.bisect_left(known, key)]
        if state in self.keys:
            bisect.insort(self.keys[state], key)
            self._tell()
        claim.state = state

    def _tell(self) -> None:
        self.changed.succeed()
        self.changed = self.env.event()

    def take(self, key: Key, machine: object) -> Claim:
        """Begin a try; whoever was silent is given up."""
        claim = self.claims[key]
        if claim.state == "silent":
            claim.deaths += 1
            self.outcome.deaths += 1
        self.become(key, "held")
        claim.tries += 1
        claim.machine, claim.beat = machine, self.env.now
        return claim

    def publish(self, key: Key, gives_up: bool) -> bool:
        """Write a shard's part, or that it is given up; False if there is a part already."""
        if key not in self.claims:
            return False
        self.become(key, "held")
        shard = self.claims.pop(key).shard
        self.outcome.time = self.env.now
        if gives_up and len(shard) > 1:
            self.outcome.splits += 1
            for half in shard.halves():
                self._add(half)
        elif gives_up:
            self.outcome.blamed += 1
        if len(shard) > 1 and gives_up or not self.claims:
            self._tell()
        return True


class Worker:
    """A worker, and those that take its place."""

    def __init__(self, store: Store, number: int):
        """Take a number; the last ones are slow."""
        self.store, self.env, self.cluster = store, store.env, store.cluster
        cluster, self.beat = self.cluster, self.cluster.lease / BEATS
        self.random = random.Random(f"{cluster.seed} {number}")
        slow = number >= cluster.workers - round(cluster.slow * cluster.workers)
        self.pace = cluster.seconds * (cluster.slowdown if slow else 1) + _retries(cluster.lost)
        self.kills = sorted(at for at, who in cluster.kills if who == number)
        # Process numbers are spread: workers begin at places of their own.
        self.at: Key = (number * store.shards // cluster.workers, -1)
        self.machine = object()
        self.seen: dict[tuple[Key, int, float], float] = {}
        self.preemption = self._next_preemption()

    def run(self) -> Generator[simpy.Event, Any, None]:
        """Take shards until every one has its part."""
        store = self.store
        store.outcome.looks += store.shards  # once round all of them, whoever does them
        while store.claims:
            if (key := self._find()) is None:
                yield from self._wait()
            elif not (yield from self._work(key)):
                begun = self.env.now
                yield self.env.timeout(self.cluster.restart)
                store.outcome.down += self.env.now - begun
                store.outcome.looks += store.shards

    def _next_preemption(self) -> float:
        drawn = math.inf
        if self.cluster.preempted < math.inf:
            drawn = self.env.now + self.random.expovariate(1 / self.cluster.preempted)
        known = self.kills.pop(0) if self.kills else math.inf
        return min(drawn, known)

    def _find(self) -> Key | None:
        """Return the next shard round from here that is free to this worker."""
        store, free = self.store, self.store.keys["free"]
        key = next(self._round(free), None)
        for silent in self._round(store.keys["silent"]):
            if key is not None and self._distance(silent) > self._distance(key):
                break
            if self._is_over(silent, self.env.now):
                key = silent
                break
        return key

    def _round(self, keys: list[Key]) -> Iterator[Key]:
        after = bisect.bisect_right(keys, self.at)
        for at in range(len(keys)):
            yield keys[(after + at) % len(keys)]

    def _distance(self, key: Key) -> tuple[bool, Key]:
        return key <= self.at, key

    def _is_over(self, key: Key, since: float) -> bool:
        """Look at a silent shard: has it been so for a lease, as far as this worker knows?"""
        claim = self.store.claims[key]
        if claim.machine is self.machine:
            return True
        first = self.seen.setdefault((key, claim.tries, claim.beat), since)
        return self.env.now - first >= self.cluster.lease

    def _wait(self) -> Generator[simpy.Event, Any, None]:
        """Wait for a shard, looking at all that are left again and again."""
        begun, store, lease = self.env.now, self.store, self.cluster.lease
        while store.claims and not store.keys["free"]:
            soonest = math.inf
            for key in store.keys["silent"]:
                claim = store.claims[key]
                over = self._is_over(key, max(begun, claim.beat))
                first = self.seen.get((key, claim.tries, claim.beat), 0.0)
                soonest = self.env.now if over else min(soonest, first + lease)
                if over:
                    break
            if soonest <= self.env.now:
                break
            events = [store.changed]
            if soonest < math.inf:
                late = self.random.uniform(0, PAUSE)
                events.append(self.env.timeout(soonest - self.env.now + late))
            yield self.env.any_of(events)
        store.outcome.idle += self.env.now - begun
        store.outcome.looks += int((self.env.now - begun) / PAUSE * len(store.claims))

    def _work(self, key: Key) -> Generator[simpy.Event, Any, bool]:
        """Try a shard; False if this worker's process has ended of it."""
        store, outcome, cluster, now = self.store, self.store.outcome, self.cluster, self.env.now
        while self.preemption < now:  # of a worker that did nothing
            self.preemption = self._next_preemption()
        claim = store.take(key, self.machine)
        shard, tries, self.at = claim.shard, claim.tries, key
        gives_up = claim.deaths >= DEATHS
        end = now if gives_up else now + len(shard) * self.pace
        dies = math.inf if gives_up else now + self.pace * self._until_deadly(shard)
        stop = min(end, dies, self.preemption)
        self._lose_beats(key, tries, now, stop)
        yield self.env.timeout(stop - now)
        mine = key in store.claims and claim.tries == tries
        unwritten = not gives_up and self.random.random() > (1 - cluster.lost) ** WRITES
        if stop == end and not unwritten:
            new = store.publish(key, gives_up)
            outcome.worked += (stop - now) * new
            outcome.wasted += (stop - now) * (not new)
            outcome.twice += not new
            return True
        outcome.wasted += stop - now
        handed_back = stop == end
        if stop == self.preemption < end:
            handed_back = cluster.notice
            self.machine, self.preemption = object(), self._next_preemption()
        if mine:
            claim.beat = max(claim.beat, now + (stop - now) // self.beat * self.beat)
            store.become(key, "free" if handed_back else "silent")
        self.seen.clear()
        self.at = (self.random.randrange(store.shards), -1)
        return False

    def _until_deadly(self, shard: Shard) -> float:
        """Return how many images of a shard are done when one kills the worker."""
        first = shard.number * self.cluster.shard_size
        found = [at - first - shard.start for at in self.cluster.deadly]
        return min((at + 0.5 for at in found if 0 <= at < len(shard)), default=math.inf)

    def _lose_beats(self, key: Key, tries: int, now: float, stop: float) -> None:
        """Let a living worker fall silent where as many signs of life as a lease has are lost."""
        last = 0
        for number in range(1, int((stop - now) / self.beat) + 1) if self.cluster.lost else ():
            if self.random.random() >= self.cluster.lost:
                if number - last > BEATS:
                    times = (now + at * self.beat for at in (last, last + BEATS, number))
                    self.env.process(self._silence(key, tries, *times))
                last = number

    def _silence(
        self, key: Key, tries: int, last: float, begin: float, end: float
    ) -> Generator[simpy.Event, Any, None]:
        claim = self.store.claims[key]
        changes: list[tuple[float, State, State]] = [
            (begin, "held", "silent"),
            (end, "silent", "held"),
        ]
        for at, before, after in changes:
            yield self.env.timeout(at - self.env.now)
            if key not in self.store.claims or (claim.tries, claim.state) != (tries, before):
                return
            claim.beat = last
            self.store.become(key, after)


def _retries(lost: float) -> float:
    """Return the seconds that an image's read is expected to wait for calls that are lost."""
    return sum(lost ** (n + 1) * FIRST_WAIT * 2**n for n in range(READS - 1))


def simulate(cluster: Cluster) -> Outcome:
    """Run a plan on a cluster to its end."""
    env = simpy.Environment()
    store = Store(env, cluster)
    for number in range(cluster.workers):
        env.process(Worker(store, number).run())
    env.run()
    store.outcome.unread = cluster.images * cluster.lost**READS
    return store.outcome
