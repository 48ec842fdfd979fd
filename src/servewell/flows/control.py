"""What the control process does, again and again, until it is told to stop.

What may take long has a thread of its own, so that a caller's errand waits for none of it, and
watching has another, so that an alert waits for neither a training nor a compaction.

Its death stops change, never serving: whatever it does, another one finds and finishes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

from servewell.flows.datasets import end_retention
from servewell.flows.duties import Duties, repeat, when_changed
from servewell.flows.experiments import follow_experiments
from servewell.flows.loading import run_errands
from servewell.flows.monitoring.alert_delivery import deliver_alerts
from servewell.flows.monitoring.anomalies import FIGURES_EVERY_S, judge_figures
from servewell.flows.monitoring.feedback import end_feedback_retention, take_up_feedback
from servewell.flows.monitoring.looks import LOOKS_EVERY_S, keep_looks
from servewell.flows.monitoring.loop import close_loop
from servewell.flows.monitoring.profiling import keep_profiles
from servewell.flows.monitoring.quality import watch_losses
from servewell.flows.monitoring.series import (
    HOME_EVERY_S,
    LATE_EVERY_S,
    SERIES_SWEEP_EVERY_S,
    TRAFFIC_EVERY_S,
    keep_compacted,
    keep_home_series,
    keep_late_series,
    keep_traffic_series,
    sweep_series,
)
from servewell.flows.monitoring.standing import REPEAT_EVERY_S, repeat_standing
from servewell.flows.monitoring.troubles import Troubles
from servewell.flows.monitoring.watching import Watching
from servewell.flows.platform import Platform
from servewell.flows.publish import publish_snapshot
from servewell.flows.quarantine import enforce_quarantine
from servewell.flows.retrain import retrain_due
from servewell.flows.rollouts import advance_rollouts
from servewell.flows.shadows import observe_shadows
from servewell.flows.stopping import tell_stops
from servewell.flows.tracking import keep_tracking
from servewell.ports.fleet import FleetPlan

ERRANDS_EVERY_S: Final = 0.2  # a caller of a worker may wait for one
QUARANTINE_EVERY_S: Final = 0.5
ROLLOUTS_EVERY_S: Final = 0.4  # a bad version is to be gone within a second
SHADOWS_EVERY_S: Final = 2.0
EXPERIMENTS_EVERY_S: Final = 5.0
STOPS_EVERY_S: Final = 1.0
PUBLISH_EVERY_S: Final = 2.0
COMPACT_EVERY_S: Final = 10.0
PROFILES_EVERY_S: Final = 5.0
READINGS_EVERY_S: Final = 60.0
LOSSES_EVERY_S: Final = 5.0
SWEEP_EVERY_S: Final = 300.0
RETENTION_EVERY_S: Final = 600.0
RENEW_EVERY_S: Final = 3_600.0
RETRAIN_EVERY_S: Final = 2.0
FEEDBACK_EVERY_S: Final = 2.0
TRACKING_EVERY_S: Final = 5.0
WATCH_EVERY_S: Final = 10.0
LOOP_EVERY_S: Final = 60.0
DELIVER_EVERY_S: Final = 1.0
DUE_EVERY_S: Final = 5.0  # what waits for its next try, where nothing new is to be sent
SEGMENT_AGE_S: Final = 0.0  # a segment is finished when its worker has let go of it
THREADS: Final = 4  # beside the main one


def run_control(
    platform: Platform,
    *,
    stopping: Callable[[], bool],
    unhurried: Callable[[], None] = lambda: None,
) -> None:
    """Keep the snapshot current and the prediction log compact and bounded.

    `unhurried` is called once in each thread that nobody waits for.
    """
    troubles = Troubles()
    watching = Watching([troubles.monitor])
    quick: Duties = {
        run_errands: ERRANDS_EVERY_S,
        enforce_quarantine: QUARANTINE_EVERY_S,
        when_changed(tell_stops, _stops): STOPS_EVERY_S,
        when_changed(publish_unpublished, _published): PUBLISH_EVERY_S,
        _renew: RENEW_EVERY_S,
    }
    changing: Duties = {  # nothing else may hold them up
        when_changed(advance_rollouts, _state): ROLLOUTS_EVERY_S,
    }
    slow: Duties = {
        retrain_due: RETRAIN_EVERY_S,  # what it starts is as unhurried as this thread
        keep_tracking: TRACKING_EVERY_S,
        observe_shadows: SHADOWS_EVERY_S,
        follow_experiments: EXPERIMENTS_EVERY_S,
        _compact: COMPACT_EVERY_S,
        keep_home_series: HOME_EVERY_S,
        keep_traffic_series: TRAFFIC_EVERY_S,
        keep_late_series: LATE_EVERY_S,
        keep_looks: LOOKS_EVERY_S,
        judge_figures: FIGURES_EVERY_S,
        sweep_series: SERIES_SWEEP_EVERY_S,
        keep_profiles: PROFILES_EVERY_S,
        watch_losses: LOSSES_EVERY_S,
        close_loop: LOOP_EVERY_S,
        _sweep: SWEEP_EVERY_S,
        end_retention: RETENTION_EVERY_S,
        take_up_feedback: FEEDBACK_EVERY_S,
        end_feedback_retention: RETENTION_EVERY_S,
    }
    sending: Duties = {  # waits for others, and nothing for it
        when_changed(deliver_alerts, _state, at_least_s=DUE_EVERY_S): DELIVER_EVERY_S,
        repeat_standing: REPEAT_EVERY_S,
    }
    looking: Duties = {
        watching.watch: WATCH_EVERY_S,
        watching.tell_readings: READINGS_EVERY_S,
    }
    ended = Event()

    def until_ended(duties: Duties, begin: Callable[[], None] = lambda: None) -> None:
        begin()
        repeat(
            duties,
            platform,
            stopping=lambda: stopping() or ended.is_set(),
            wait=ended.wait,
            troubles=troubles,
        )

    with ThreadPoolExecutor(THREADS, thread_name_prefix="duties") as threads:
        beside = [
            threads.submit(until_ended, changing),
            threads.submit(until_ended, sending),
            threads.submit(until_ended, looking, unhurried),
            threads.submit(until_ended, slow, unhurried),
        ]
        try:
            repeat(
                quick,
                platform,
                stopping=lambda: stopping() or any(one.done() for one in beside),
                wait=platform.clock.sleep,
                troubles=troubles,
            )
        finally:
            ended.set()
        for one in beside:
            one.result()  # raises what ended it, which ends this process too


def publish_unpublished(platform: Platform) -> None:
    """Publish what a killed command kept but did not publish.

    A key that expires is no change of the state: workers refuse it by their own clock, and the next
    snapshot leaves it out.
    """
    current = platform.snapshots.current()
    if current is None or current.version < platform.history.revision():
        publish_snapshot(platform)


def _stops(platform: Platform) -> object:
    return platform.stops.token()


def _published(platform: Platform) -> object:
    return platform.snapshots.token(), platform.history.token()


def _state(platform: Platform) -> object:
    return platform.history.token()


def _compact(platform: Platform) -> None:
    platform.records.compact(platform.clock.now(), age_s=SEGMENT_AGE_S)
    keep_compacted(platform)


def _sweep(platform: Platform) -> None:
    plan = platform.fleet.state().plan
    if isinstance(plan, FleetPlan):
        platform.records.sweep(
            platform.clock.now(),
            retention_days=plan.retention_days,
            bytes_max=plan.record_bytes_max,
        )


def _renew(platform: Platform) -> None:
    """Renew the home's own certificate in time; workers take it up by themselves."""
    platform.certificates.renew()
