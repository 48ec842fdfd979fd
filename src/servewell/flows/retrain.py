"""Train workloads again when their rules, their data, a signal or a person call for it."""

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from servewell.core.catalog.change import Change, ChangeKind
from servewell.core.catalog.known_workload import KnownWorkload
from servewell.core.catalog.retraining import Retraining, RetrainState, Trigger
from servewell.core.catalog.run import RunState
from servewell.core.catalog.run_query import RunQuery
from servewell.core.catalog.workload import FILE_NAME, Workload
from servewell.core.catalog.workload_difference import changed_keys, said_keys
from servewell.core.operations.retraining import (
    DataFiles,
    Decision,
    Facts,
    Step,
    decide,
    ending,
    next_due,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.flows.retrain_watch import discover
from servewell.ports.retrainings import RetrainingMissingError
from servewell.ports.state import StateConflictError
from servewell.ports.workloads import WorkloadMissingError

RUNS_AT_ONCE: Final = 100  # that are looked through for one that is under way
TRIES: Final = 5  # to save what another one is changing
BY_HAND: Final = "asked by hand"
ROLE: Final = "retraining"  # of the process
TAKEN_WITHIN_S: Final = 10.0  # by its process, from the start of an attempt


class SignalUnknownError(ServewellError):
    """No workload listens to a signal of that name."""

    code = "SW-160"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """A workload, and what the reconciler makes of it now."""

    known: KnownWorkload
    facts: Facts
    decision: Decision
    next_at: float | None  # by the schedule
    last: Retraining | None  # that has ended


def remember_workload(
    platform: Platform, workload: Workload, folder: Path, *, overrides: tuple[str, ...] = ()
) -> KnownWorkload:
    """Keep a workload, so that the control process may act on it by itself.

    Its data counts as learned from as it is now: call it before the data is read. The `overrides`
    of its file stay with it, also when the file is read again.

    Raises: StateConflictError, StateUnavailableError, StorageError.
    """
    now = platform.clock.now()
    new = KnownWorkload(
        name=workload.workload,
        folder=str(folder.absolute()),
        digest=_file_digest(platform, folder),
        workload=workload,
        at=now,
        principal=platform.principal,
        overrides=overrides,
        data=_data(platform, workload, folder).stamp,
        scheduled_from=now,
    )
    for _ in range(TRIES - 1):  # the control process may be reading the same file
        with suppress(StateConflictError):
            return _save_over(platform, new)
    return _save_over(platform, new)


def _save_over(platform: Platform, new: KnownWorkload) -> KnownWorkload:
    before = _known(platform, new.name)
    if before is None:
        return platform.workloads.save(new)
    kept = replace(
        new,
        scheduled_from=_scheduled_from(before, new),
        paused=before.paused,
        revision=before.revision,
    )
    return _keep_read(platform, before, kept)


def _keep_read(platform: Platform, before: KnownWorkload, read: KnownWorkload) -> KnownWorkload:
    """Keep a workload as its file stands now; the history says which of its keys changed."""
    kept = platform.workloads.save(read)
    keys = changed_keys(before.workload, read.workload)
    if keys:
        _keep_change(platform, kept, ChangeKind.WORKLOAD, f"its file changed: {said_keys(keys)}")
    return kept


def _scheduled_from(before: KnownWorkload, new: KnownWorkload) -> float:
    """Return from when on the schedule counts: another one begins when it is read."""
    old, rules = before.workload.retrain, new.workload.retrain
    same = (old.schedule, old.time_zone) == (rules.schedule, rules.time_zone)
    return before.scheduled_from if same else new.scheduled_from


def retrain_due(platform: Platform) -> None:
    """Begin what is due, and find what ended, of every workload."""
    for known in platform.workloads.list():
        try:
            _attend(platform, known)
        except StateConflictError:
            continue  # somebody else was first: it is looked at again
        except (OSError, ServewellError) as error:
            _say(f"{known.name}: {error}")


def ask(platform: Platform, name: str, *, because: str) -> Retraining:
    """Ask by hand for a training of a workload.

    Raises: WorkloadMissingError, StateUnavailableError.
    """
    known = platform.workloads.get(name)
    row = _asked(platform, known, Trigger.HAND, because=because or BY_HAND)
    return platform.retrainings.save(row)[0]


def ask_again(platform: Platform, name: str, number: int, *, because: str) -> Retraining:
    """Ask by hand for what an ended retraining was to do: a model that appeared is taken again.

    Raises: WorkloadMissingError, RetrainingMissingError, StateConflictError where there is nothing
    to do again, StateUnavailableError.
    """
    known, row = platform.workloads.get(name), platform.retrainings.get(number)
    if row.workload != known.name:
        raise RetrainingMissingError(
            f"`{name}` has no retraining {number}.",
            why=f"that is one of `{row.workload}`",
            fix=f"`servewell retrain history {name}` shows them",
        )
    words = f"retraining {number} once more: {because or BY_HAND}"
    if not row.source:
        return ask(platform, name, because=words)
    asked = _asked(platform, known, Trigger.HAND, because=f"{words}; {row.because}")
    again = replace(
        asked, id=row.id, source=row.source, location=row.location, revision=row.revision
    )
    return platform.retrainings.save(again, change=change_of(platform, again))[0]


def foresee(platform: Platform, name: str, *, because: str) -> Decision:
    """Return what would become of a training that is asked for by hand now.

    Raises: WorkloadMissingError, StateUnavailableError.
    """
    known = platform.workloads.get(name)
    row = _asked(platform, known, Trigger.HAND, because=because or BY_HAND)
    rows = (*platform.retrainings.list(name), row)
    return decide(_with_others(platform, known, _facts(platform, known, rows)))


def send_signal(
    platform: Platform,
    signal: str,
    *,
    because: str,
    workload: str | None = None,
    dry_run: bool = False,
) -> tuple[Retraining, ...]:
    """Ask for a training of each workload that listens to a signal, or of one of them.

    Raises: WorkloadMissingError, SignalUnknownError, StateUnavailableError.
    """
    named = platform.workloads.list() if workload is None else (platform.workloads.get(workload),)
    told = [one for one in named if signal in (one.workload.retrain.on_signal or ())]
    if not told:
        raise SignalUnknownError(
            f"Nothing listens to the signal `{signal}`.",
            why="a workload is trained only on signals that its file names",
            fix=f"write `on_signal: [{signal}]` below `retrain:`, and run `servewell up` again",
        )
    words = f"the signal `{signal}`" + (f": {because}" if because else "")
    asked = tuple(
        replace(_asked(platform, one, Trigger.SIGNAL, because=words), signal=signal) for one in told
    )
    return asked if dry_run else platform.retrainings.save(*asked)


def ask_by_verdict(
    platform: Platform, known: KnownWorkload, *, signal: str, because: str, endpoint: str
) -> Retraining:
    """Ask for a training because of what monitoring found; the history tells both together.

    Raises: StateConflictError, StateUnavailableError.
    """
    words = f"the signal `{signal}`: {because}"
    row = replace(_asked(platform, known, Trigger.SIGNAL, because=words), signal=signal)
    change = Change(
        at=row.asked_at,
        principal=platform.principal,
        kind=ChangeKind.SIGNAL,
        subject=endpoint,
        because=f"{words}; a training of `{known.name}` is asked for",
    )
    return platform.retrainings.save(row, change=change)[0]


def pause(platform: Platform, name: str, *, because: str, dry_run: bool = False) -> KnownWorkload:
    """Let nothing but a person begin a training of a workload.

    Raises: WorkloadMissingError, StateConflictError, StateUnavailableError.
    """
    known = platform.workloads.get(name)
    who = f"{because or 'no reason was given'} (by {platform.principal})"
    paused = replace(known, paused=who)
    return paused if dry_run else _keep_changed(platform, paused, f"paused: {who}")


def resume(platform: Platform, name: str, *, because: str, dry_run: bool = False) -> KnownWorkload:
    """Let the rules begin trainings again; what was due meanwhile is not caught up.

    Raises: WorkloadMissingError, StateConflictError, StateUnavailableError.
    """
    known = platform.workloads.get(name)
    resumed = replace(known, paused="", scheduled_from=platform.clock.now())
    words = f"resumed: {because or 'no reason was given'}"
    return resumed if dry_run else _keep_changed(platform, resumed, words)


def _keep_changed(platform: Platform, known: KnownWorkload, because: str) -> KnownWorkload:
    kept = platform.workloads.save(known)
    _keep_change(platform, kept, ChangeKind.RETRAINING, because)
    return kept


def _keep_change(platform: Platform, known: KnownWorkload, kind: ChangeKind, because: str) -> None:
    change = Change(
        at=platform.clock.now(),
        principal=platform.principal,
        kind=kind,
        subject=known.name,
        because=because,
    )
    platform.history.keep(change)


def look(platform: Platform, name: str | None = None) -> tuple[Attention, ...]:
    """Return what would be done now with each workload, or with one; change nothing.

    Raises: WorkloadMissingError, StateUnavailableError.
    """
    found = platform.workloads.list() if name is None else (platform.workloads.get(name),)
    return tuple(_attention(platform, one) for one in found)


def _attention(platform: Platform, known: KnownWorkload) -> Attention:
    rows = platform.retrainings.list(known.name)
    facts = _with_others(platform, known, _facts(platform, known, rows))
    ended = [one for one in rows if one.ended_at and one.state is not RetrainState.MERGED]
    return Attention(
        known=known,
        facts=facts,
        decision=decide(facts),
        next_at=next_due(facts),
        last=ended[-1] if ended else None,
    )


def _attend(platform: Platform, known: KnownWorkload) -> None:
    known = _refreshed(platform, known)
    rows = platform.retrainings.list(known.name, open_only=True)
    rows = tuple(_settled(platform, known, one) for one in rows)
    rows += discover(platform, known)
    facts = _facts(platform, known, rows)
    if decide(facts).step is not Step.START:
        return
    facts = _with_others(platform, known, facts)
    decision = decide(facts)
    if decision.step is Step.START:
        _begin(platform, known, facts, decision)


def _begin(platform: Platform, known: KnownWorkload, facts: Facts, decision: Decision) -> None:
    assert decision.trigger is not None  # noqa: S101 - a start has one
    now = facts.now
    row = decision.begins or _asked(platform, known, decision.trigger, because=decision.because)
    begun = replace(
        row,
        state=RetrainState.RUNNING,
        because=decision.because,
        attempt=row.attempt + 1,
        started_at=now,
        ended_at=None,
        place=platform.side_processes.place,
        pid=None,
        outcome="",
        data=facts.data.stamp if not row.source else "",
    )
    answered = (
        replace(one, state=RetrainState.MERGED, ended_at=now, outcome="answered with others by one")
        for one in decision.answers
    )
    kept = platform.retrainings.save(begun, *answered, change=change_of(platform, begun))
    number, attempt = str(kept[0].id), str(begun.attempt)
    platform.side_processes.start(ROLE, number, words=(attempt,))


def change_of(platform: Platform, retraining: Retraining) -> Change:
    """Return the line of history about a retraining that began or ended."""
    words = retraining.outcome or retraining.because
    return Change(
        at=platform.clock.now(),
        principal=retraining.principal,
        kind=ChangeKind.RETRAINING,
        subject=retraining.workload,
        because=f"{retraining.state}: {words}",
    )


def _settled(platform: Platform, known: KnownWorkload, row: Retraining) -> Retraining:
    """Return a retraining as it stands by its process; a changed one is kept, and said."""
    if row.state not in (RetrainState.RUNNING, RetrainState.INTERRUPTED):
        return row
    processes, number = platform.side_processes, str(row.id)
    age_s = _age_s(platform, row) if row.state is RetrainState.RUNNING else None
    said = processes.last_words(ROLE, number) if age_s is None else ""
    state, outcome = ending(row, age_s=age_s, rules=known.workload.retrain, last_words=said)
    if state is row.state:
        return row
    if state is RetrainState.TIMED_OUT:
        processes.end(ROLE, number)
    if state is not RetrainState.INTERRUPTED:
        platform.arrivals.discard(number)
    ended = replace(row, state=state, outcome=outcome, ended_at=platform.clock.now())
    _say(f"{known.name}: retraining {row.id}: {state}: {outcome}")
    return platform.retrainings.save(ended, change=change_of(platform, ended))[0]


def _age_s(platform: Platform, row: Retraining) -> float | None:
    """Return for how long the process of a retraining has lived; None where it does not.

    That of another home cannot be seen: only its time limit counts here. One that was started just
    now may not have said yet which process it is.
    """
    processes = platform.side_processes
    begun_s = platform.clock.now() - (row.started_at or 0.0)
    if row.place != processes.place:
        return max(0.0, begun_s)
    age_s = processes.age_s(ROLE, str(row.id))
    if age_s is None and row.pid is None and 0.0 <= begun_s < TAKEN_WITHIN_S:
        return 0.0
    return age_s


def _facts(platform: Platform, known: KnownWorkload, rows: tuple[Retraining, ...]) -> Facts:
    """Return what a decision rests on, but for what others do, which costs more to find."""
    rules, workload = known.workload.retrain, known.workload
    last = platform.retrainings.last(known.name)
    data = DataFiles()
    if rules.on_new_data:
        data = _data(platform, workload, Path(known.folder))
    read_later = last is None or known.at > (last.started_at or 0.0)
    return Facts(
        now=platform.clock.now(),
        rules=rules,
        scheduled_from=known.scheduled_from,
        asked=tuple(one for one in rows if one.state is RetrainState.ASKED),
        interrupted=next((one for one in rows if one.state is RetrainState.INTERRUPTED), None),
        last=last,
        abandoned=platform.retrainings.last(known.name, abandoned=True),
        running=next((one.id for one in rows if one.state is RetrainState.RUNNING), 0),
        data=data,
        learned=known.data if last is None or read_later else last.data,
        newer=_newer(platform, known, last) if rules.on_new_data else "",
        paused=known.paused,
        fault=known.fault,
    )


def _with_others(platform: Platform, known: KnownWorkload, facts: Facts) -> Facts:
    """Add what else is under way with the workload."""
    query = RunQuery(workload=known.name, states=(RunState.RUNNING,), limit=RUNS_AT_ONCE)
    running = [one.id for one in platform.runs.find(query)]
    rollouts = platform.rollouts.list(known.workload.endpoint_name, open_only=True)
    return replace(
        facts,
        run=next((one for one in running if _is_alive(platform, one)), ""),
        rollout=rollouts[0].id if rollouts else "",
    )


def _is_alive(platform: Platform, run: str) -> bool:
    return platform.steps.alive(run) or platform.trainer.alive(run)


def _newer(platform: Platform, known: KnownWorkload, last: Retraining | None) -> str:
    """Return the newest dataset version if it came after the last training and no run has it."""
    data = known.workload.data
    named, _, pinned = (data.dataset if data else "").partition(":")
    versions = platform.datasets.list(named or known.name)
    if pinned or not versions:
        return ""
    newest = versions[-1]
    name = f"{newest.name}:{newest.number}"
    dealt_with = (last.ended_at or last.started_at or 0.0) if last else 0.0
    settled = newest.created_at + known.workload.retrain.settle_s <= platform.clock.now()
    if not settled or newest.created_at <= dealt_with:
        return ""
    return "" if any(run.dataset == name for run in platform.runs.list(known.name)) else name


def _refreshed(platform: Platform, known: KnownWorkload) -> KnownWorkload:
    """Return the workload as its file stands; what is wrong with it is kept, and said once."""
    fault, read = _read_again(platform, known)
    if fault == known.fault and read is None:
        return known
    if fault != known.fault:
        _say(f"{known.name}: {fault or 'its file can be read again'}")
    return _keep_read(platform, known, replace(read or known, fault=fault))


def _read_again(platform: Platform, known: KnownWorkload) -> tuple[str, KnownWorkload | None]:
    """Return what is wrong with the file, and the workload if its file has changed."""
    folder = Path(known.folder)
    if not folder.is_dir():
        return f"its folder `{folder}` is gone", None
    if not known.digest:
        return "", None
    try:
        digest = _file_digest(platform, folder)
        if digest == known.digest:
            return "", None
        workload, _ = platform.workload_files.read(folder, known.overrides)
    except ServewellError as error:
        return f"its file cannot be used: {error}", None
    if workload.workload != known.name:
        return f"its file describes `{workload.workload}` now", None
    read = replace(known, digest=digest, workload=workload, scheduled_from=platform.clock.now())
    return "", replace(read, scheduled_from=_scheduled_from(known, read))


def _asked(
    platform: Platform, known: KnownWorkload, trigger: Trigger, *, because: str
) -> Retraining:
    return Retraining(
        workload=known.name,
        trigger=trigger,
        because=because,
        principal=platform.principal,
        asked_at=platform.clock.now(),
    )


def _known(platform: Platform, name: str) -> KnownWorkload | None:
    try:
        return platform.workloads.get(name)
    except WorkloadMissingError:
        return None


def _file_digest(platform: Platform, folder: Path) -> str:
    file = folder / FILE_NAME
    return platform.blobs.digest(file) if file.is_file() else ""


def _data(platform: Platform, workload: Workload, folder: Path) -> DataFiles:
    patterns = (workload.data and workload.data.path, workload.retrain.data_pattern)
    return platform.arrivals.data(folder, tuple(one for one in patterns if one))


def _say(words: str) -> None:
    sys.stderr.write(f"retrain: {words}\n")
    sys.stderr.flush()
