"""`restyle shards status` and `verify`: how far the workers are, and whether nothing is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from restyle.io.arrow import pa, pq
from restyle.jobs.shard_claims import Claims
from restyle.jobs.shard_pictures import check_pictures
from restyle.jobs.shard_plan import PARTS, PICTURES, WORK, Plan, Shard
from restyle.jobs.shard_settings import ShardsStatus, VerifyShards


@dataclass
class ShardCounts:
    """The progress of a plan.

    Attributes:
        images: Of the plan.
        done: Images that were inverted.
        failed: Images whose row is an error.
        shards: Of the plan; halves count as two where shards were split.
        parts: Shards that are done.
        held: Shards that workers on this machine are at.
        problems: What `verify_shards` found wrong, a sentence each.
    """

    images: int = 0
    done: int = 0
    failed: int = 0
    shards: int = 0
    parts: int = 0
    held: int = 0
    problems: list[str] = field(default_factory=list)


def is_split(plan: Plan, shard: Shard) -> bool:
    """Return True if a shard's part says that its halves are parts of their own.

    Raises:
        ValueError: The part cannot be read, or is another plan's.
    """
    return _says_split(_facts(plan, shard))


def _says_split(found: pq.FileMetaData) -> bool:
    return b"restyle.split" in found.metadata


def _facts(plan: Plan, shard: Shard) -> pq.FileMetaData:
    path = plan.part(shard)
    try:
        found = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise ValueError(f"{path}: expected a part of this plan, got: {text}") from error
    fingerprint = (found.metadata or {}).get(b"restyle.fingerprint", b"").decode()
    if fingerprint != plan.fingerprint:
        whose = f"one of another plan ({fingerprint[:12]})" if fingerprint else "something else"
        raise ValueError(f"{path}: expected a part of this plan, got {whose}")
    return found


def _leaves(plan: Plan, shards: Sequence[Shard]) -> Iterator[tuple[Shard, pq.FileMetaData | None]]:
    """Yield shards, those that were split as their halves, with what is known of their parts."""
    for shard in shards:
        found = _facts(plan, shard) if plan.part(shard).exists() else None
        if found is not None and _says_split(found):
            yield from _leaves(plan, shard.halves())
        else:
            yield shard, found


def unfinished(plan: Plan) -> list[Shard]:
    """Return the shards that have no part yet, or whose halves have none.

    Raises:
        ValueError: A part cannot be read, or is another plan's.
    """
    return [
        shard for shard in plan.shards if any(found is None for _, found in _leaves(plan, [shard]))
    ]


def shards_status(job: ShardsStatus) -> ShardCounts:
    """Count what the workers of a plan have done.

    Raises:
        ValueError: There is no plan, or a part cannot be read or is another plan's.
    """
    plan = Plan.open(job.folder)
    claims = Claims(plan.folder / WORK, 0)
    counts = ShardCounts(images=plan.images)
    for shard, found in _leaves(plan, plan.shards):
        counts.shards += 1
        if found is None:
            counts.held += claims.is_alive(shard.name)
            continue
        counts.parts += 1
        column = found.schema.names.index("error")
        groups = [found.row_group(number) for number in range(found.num_row_groups)]
        inverted = sum(group.column(column).statistics.null_count for group in groups)
        counts.done += inverted
        counts.failed += found.num_rows - inverted
    return counts


def verify_shards(job: VerifyShards) -> ShardCounts:
    """Check that every image of a plan has exactly one row.

    Returns:
        What the parts hold, and all that is wrong.

    Raises:
        ValueError: There is no plan.
    """
    plan = Plan.open(job.folder)
    counts = ShardCounts(images=plan.images)
    known, left = set(), list(reversed(plan.shards))
    while left:
        shard = left.pop()
        path = plan.part(shard)
        known.add(path.name)
        try:
            if not path.exists():
                raise ValueError(f"{path}: expected {len(shard)} rows, got no part")
            if is_split(plan, shard):
                left.extend(reversed(shard.halves()))
                continue
            if pictures := _check_rows(plan, shard, counts):
                known.add(pictures.name)
        except ValueError as error:
            counts.problems.append(str(error))
        counts.shards += 1
    for path in sorted(
        path for name in (PARTS, PICTURES) for path in (plan.folder / name).glob("*")
    ):
        if path.name not in known and not path.name.startswith("."):
            counts.problems.append(f"{path}: expected parts of this plan alone, got a stranger")
    return counts


def _check_rows(plan: Plan, shard: Shard, counts: ShardCounts) -> Path | None:
    """Compare a part, read as a whole, with the images of its shard; return its pictures."""
    path = plan.part(shard)
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise ValueError(f"{path}: expected an intact part, got: {text}") from error
    wanted, found = plan.ids(shard).to_pylist(), table["id"].to_pylist()
    if found != wanted:
        missing, more = sorted({*wanted} - {*found}), sorted({*found} - {*wanted})
        twice = len(found) - len({*found})
        raise ValueError(
            f"{path}: expected the {len(wanted)} ids of its shard in order, got {len(found)} rows: "
            f"{len(missing)} missing, {len(more)} unknown, {twice} twice"
        )
    rows = zip(table["ws"].is_null().to_pylist(), table["error"].is_null().to_pylist(), strict=True)
    if any(no_codes == no_error for no_codes, no_error in rows):
        raise ValueError(f"{path}: expected codes or an error in each row, got neither or both")
    pictures = check_pictures(plan, path, table)
    counts.parts += 1
    failed = len(table) - table["error"].null_count
    counts.failed += failed
    counts.done += len(table) - failed
    return pictures
