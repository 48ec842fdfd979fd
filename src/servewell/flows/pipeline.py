"""Run the steps of a workload, each where nothing done before can be taken instead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from servewell.core.catalog.run import ID_SHOWN, Run
from servewell.core.catalog.step import Attempt, Output, Step, StepState, Usage
from servewell.core.catalog.workload import Workload
from servewell.core.catalog.workload_steps import StepRules
from servewell.core.operations.pipeline import (
    StepDecision,
    StepForecast,
    bar_line,
    changed_parts,
    decide_step,
    digest_of_value,
    step_key,
    total,
    try_again,
)
from servewell.errors import ServewellError
from servewell.flows.platform import Platform
from servewell.ports.steps import Progressed, StepFailedError, StepJob, StepResult

Progress = Callable[[str], None]


class ChangedMeanwhileError(ServewellError):
    """What a step or a training is made of changed while it ran."""

    code = "SW-433"


STOPPED: Final = "stopped by a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsDone:
    """The steps that a run did or took from another run, and what they wrote."""

    steps: tuple[Step, ...] = ()
    outputs: dict[str, Output] = field(default_factory=dict)  # by the name of the step


def run_steps(  # noqa: PLR0913 - which steps of which workload, after which, for which run
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    run: Run,
    names: tuple[str, ...],
    after: StepsDone,
    progress: Progress,
) -> StepsDone:
    """Run steps in their order, after others; return those with these.

    Each that is done is kept at once, so that the next run takes it from there.

    Raises: StepFailedError, ChangedMeanwhileError, OutputInvalidError, LockInvalidError,
    EnvironmentFailedError, StateUnavailableError, StorageError.
    """
    done = after
    for name in names:
        work = _Work(platform=platform, workload=workload, folder=folder, name=name)
        step = _run_step(work, run, done, progress)
        outputs = {**done.outputs, **({name: step.output} if step.output else {})}
        done = StepsDone(steps=(*done.steps, step), outputs=outputs)
    return done


def foresee_steps(
    platform: Platform,
    workload: Workload,
    folder: Path,
    *,
    names: tuple[str, ...],
    outputs: Mapping[str, Output],
) -> tuple[StepForecast, ...]:
    """Return which steps would run and why; run nothing.

    Raises: TrainingFailedError, LockInvalidError, StateUnavailableError.
    """
    known, foreseen = dict(outputs), list[StepForecast]()
    for name in names:
        work = _Work(platform=platform, workload=workload, folder=folder, name=name)
        waiting = [one for one in work.rules.needs or () if one not in known]
        foreseen.append(_waits(work, waiting) if waiting else _forecast(work, known))
        if (output := foreseen[-1].output) is not None:
            known[name] = output
    return tuple(foreseen)


def close_steps(platform: Platform, run: str) -> None:
    """Mark the steps that a kill left open, and remove what they were working on.

    Raises: StateUnavailableError, StorageError.
    """
    for step in platform.pipelines.of(run):
        if step.state is StepState.RUNNING:
            ended = replace(step, state=StepState.INTERRUPTED, ended_at=platform.clock.now())
            platform.pipelines.save(ended)
    platform.steps.clear(run)


def whole(platform: Platform, found: tuple[Step, ...]) -> Step | None:
    """Return the first of several steps whose output can be brought back."""
    return next(
        (one for one in found if one.output and platform.outputs.whole(one.output.digest)), None
    )


def taken(platform: Platform, run: Run, *, of: Step, needs: tuple[str, ...], position: int) -> Step:
    """Keep that a run took the output of an earlier step; return its own step."""
    now = platform.clock.now()
    step = replace(
        of,
        run=run.id,
        position=position,
        state=StepState.CACHED,
        because=f"nothing changed since run {of.run[:ID_SHOWN]}",
        needs=needs,
        started_at=now,
        ended_at=now,
        attempts=(),
        cached_from=of.run,
    )
    platform.pipelines.save(step)
    return step


def refuse_changed(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Let no output be kept by parts that it was not made of.

    Raises: ChangedMeanwhileError.
    """
    if changed := changed_parts(before, now):
        raise ChangedMeanwhileError(
            f"The step `{name}` was changed while it ran, so what it wrote is not kept.",
            why=f"{changed} changed, and nobody can tell which of both ran",
            fix="run the same command again; steps that were done are not done again",
        )


def tried(platform: Platform, step: Step, began: float, error: BaseException) -> Step:
    """Return a step with an attempt that failed."""
    attempt = Attempt(
        number=len(step.attempts) + 1,
        started_at=began,
        ended_at=platform.clock.now(),
        error=_words(error),
        usage=error.usage if isinstance(error, StepFailedError) else Usage(),
    )
    attempts = (*step.attempts, attempt)
    return replace(step, attempts=attempts, usage=total(attempts))


def given_up(step: Step, error: BaseException) -> Step:
    """Return a step that is not tried again."""
    state = StepState.FAILED if isinstance(error, Exception) else StepState.INTERRUPTED
    return replace(step, state=state, ended_at=step.attempts[-1].ended_at)


def _words(error: BaseException) -> str:
    if isinstance(error, ServewellError):
        return error.why
    return f"{type(error).__name__}: {error}" if isinstance(error, Exception) else STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One step of a workload, and where it is."""

    platform: Platform
    workload: Workload
    folder: Path
    name: str

    @property
    def rules(self) -> StepRules:
        return self.workload.steps[self.name]

    @property
    def needs(self) -> tuple[str, ...]:
        return self.rules.needs or ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is known of a step before it runs."""

    parts: dict[str, str]
    key: str
    made: Step | None
    decision: StepDecision


def _look(work: _Work, outputs: Mapping[str, Output]) -> _Look:
    parts = _parts(work, outputs)
    key = step_key(parts)
    made = whole(work.platform, work.platform.pipelines.made(key))
    last = work.platform.pipelines.last(work.workload.workload, work.name)
    decision = decide_step(work.rules, made=made, last=last, parts=parts)
    return _Look(parts=parts, key=key, made=made, decision=decision)


def _parts(work: _Work, outputs: Mapping[str, Output]) -> dict[str, str]:
    """Return a digest for each part of what a step depends on."""
    rules, trainer = work.rules, work.platform.trainer
    lock = _lock(work)
    files = [trainer.code_digest(work.folder, work.folder / one) for one in rules.files or ()]
    return {
        "inputs": digest_of_value({name: outputs[name].digest for name in work.needs}),
        "code": digest_of_value(
            [trainer.code_digest(work.folder, work.folder / rules.script), rules.function]
        ),
        "parameters": digest_of_value(rules.parameters),
        "environment": (
            work.platform.environments.digest(lock) if lock else trainer.environment().digest
        ),
        "files": digest_of_value(files),
    }


def _lock(work: _Work) -> bytes:
    written = work.rules.requirements
    return (work.folder / written).read_bytes() if written else b""


def _waits(work: _Work, waiting: list[str]) -> StepForecast:
    named = " and ".join(f"`{one}`" for one in waiting)
    return StepForecast(
        name=work.name,
        kind=work.rules.kind,
        needed=True,
        because=f"{named} runs before it, and may write something else",
    )


def _forecast(work: _Work, outputs: Mapping[str, Output]) -> StepForecast:
    look = _look(work, outputs)
    return StepForecast(
        name=work.name,
        kind=work.rules.kind,
        needed=look.decision.needed,
        because=look.decision.because,
        output=look.made.output if look.made and not look.decision.needed else None,
    )


def _run_step(work: _Work, run: Run, done: StepsDone, progress: Progress) -> Step:
    look = _look(work, done.outputs)
    position = len(done.steps)
    if look.made is not None and not look.decision.needed:
        progress(f"{work.name}: taken from run {look.made.run[:ID_SHOWN]}")
        return taken(work.platform, run, of=look.made, needs=work.needs, position=position)
    progress(f"{work.name}: {look.decision.because}")
    step = Step(
        run=run.id,
        name=work.name,
        position=position,
        kind=work.rules.kind,
        state=StepState.RUNNING,
        key=look.key,
        because=look.decision.because,
        needs=work.needs,
        started_at=work.platform.clock.now(),
        parts=look.parts,
    )
    work.platform.pipelines.save(step)
    return _attempted(work, step, done, progress)


def _attempted(work: _Work, step: Step, done: StepsDone, progress: Progress) -> Step:
    """Run a step until an attempt succeeds, or no other one is due."""
    platform = work.platform
    while True:
        began = platform.clock.now()
        try:
            job = _job(work, step, done, progress)
            result = platform.steps.run(job, lambda one: progress(_bar(work, one)))
            refuse_changed(work.name, step.parts, _parts(work, done.outputs))
            return _succeeded(platform, step, began, result)
        except BaseException as error:
            step = tried(platform, step, began, error)
            platform.pipelines.save(step)
            failed = isinstance(error, StepFailedError)
            if not try_again(step, retries=work.rules.retries, failed=failed):
                platform.pipelines.save(given_up(step, error))
                raise
            progress(f"{work.name}: tried again, because {step.attempts[-1].error}")


def _job(work: _Work, step: Step, done: StepsDone, progress: Progress) -> StepJob:
    platform, rules = work.platform, work.rules
    lock = _lock(work)
    environment = platform.environments.ensure(lock, progress) if lock else ""
    return StepJob(
        run=step.run,
        step=work.name,
        attempt=len(step.attempts) + 1,
        folder=work.folder,
        script=work.folder / rules.script,
        function=rules.function,
        inputs={
            name: platform.outputs.bring(
                done.outputs[name].digest, platform.steps.place(step.run, name)
            )
            for name in work.needs
        },
        parameters=dict(rules.parameters),
        python=platform.environments.python(environment) if environment else None,
        timeout_s=float(rules.timeout_s),
        memory_bytes_max=rules.memory_bytes_max,
    )


def _bar(work: _Work, told: Progressed) -> str:
    return bar_line(work.name, share=told.share, words=told.words)


def _succeeded(platform: Platform, step: Step, began: float, result: StepResult) -> Step:
    """Keep what a step wrote; from then on no run has to do it again."""
    output = platform.outputs.keep(result.output)
    now = platform.clock.now()
    attempt = Attempt(
        number=len(step.attempts) + 1, started_at=began, ended_at=now, usage=result.usage
    )
    done = replace(
        step,
        state=StepState.SUCCEEDED,
        ended_at=now,
        attempts=(*step.attempts, attempt),
        output=output,
        metrics=result.metrics,
        usage=total((*step.attempts, attempt)),
    )
    platform.pipelines.save(done)
    return done
