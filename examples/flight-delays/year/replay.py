"""Replay 2013 against a running Servewell, and draw the year.

    python replay.py                 # March to December: about twenty minutes
    python replay.py --months 3-6 --keep

Each month the flights of the months before are written as new data, and Servewell trains, judges
and rolls out by itself. Callers ask for every flight as its day comes; whether it was late is told
a week after. Two mistakes are planted: in July somebody merges a change that learns the reverse,
and in October the feed gives distances in kilometres.
"""

import argparse
import shutil
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from callers import Callers
from house import House
from picture import draw
from story import Story

HERE = Path(__file__).parent
FLIGHTS = HERE.parent / "data" / "flights.parquet"
MONTHS_LEARNED = 4
LABELS_AFTER = timedelta(days=7)
SIGN_FLIPPED = 7
DRILL_DAY = 15
UNIT_CHANGED = 10
KM_PER_MILE = 1.609344
YEAR = 2013


def main(arguments: list[str]) -> int:
    """Run the replay; the picture and the story are written where `--out` says."""
    options = read_options(arguments)
    folder = Path(tempfile.mkdtemp(prefix="flight-year-"))
    for name in ("servewell.yaml", "latest.py"):
        shutil.copy(HERE / name, folder)
    shutil.copy(HERE.parent / "train.py", folder)
    house = House(home=folder / "home", folder=folder, port=options.port)
    story = Story()
    try:
        replay(house, story, options)
        story.read(house)
    finally:
        house.down()
        if not options.keep:
            shutil.rmtree(folder)
    draw(story, options.out)
    story.write(options.out.with_suffix(".md"))
    print(f"{options.out} and {options.out.with_suffix('.md')}")
    return 0


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Return what the caller wants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--months", default="3-12", help="first and last month to replay")
    parser.add_argument("--rate", type=float, default=400.0, help="requests a second")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the flights that are asked for"
    )
    parser.add_argument("--port", type=int, default=18_113)
    parser.add_argument("--out", type=Path, default=HERE / "year.png")
    parser.add_argument("--keep", action="store_true", help="leave the home where it is")
    options = parser.parse_args(arguments)
    first, _, last = options.months.partition("-")
    options.first, options.last = int(first), int(last or first)
    return options


def replay(house: House, story: Story, options: argparse.Namespace) -> None:
    """Live through the months."""
    flights = pd.read_parquet(FLIGHTS)
    asked = flights.sample(frac=options.share, random_state=0).sort_values("scheduled")
    for month in range(options.first, options.last + 1):
        first = date(YEAR, month, 1)
        say(f"{first:%B}")
        story.day(first)
        if month == options.first:
            feed(house, flights, month, story)
            house.up()
        else:
            trainings = len(house.trainings())
            feed(house, flights, month, story)
            house.wait_judged(trainings)  # the first of a month is as long as it takes
        callers = Callers(house, rate=options.rate, story=story)
        with callers:
            live_through(house, story, callers, asked, month)
    story.settle(house)


def feed(house: House, flights: pd.DataFrame, month: int, story: Story) -> None:
    """Write the newest months as data, with the mistakes of this month."""
    begin = pd.Timestamp(YEAR, max(1, month - MONTHS_LEARNED), 1)
    rows = flights[flights["scheduled"].between(begin, pd.Timestamp(YEAR, month, 1), "left")]
    if month == UNIT_CHANGED:
        rows = rows.assign(distance=(rows["distance"] * KM_PER_MILE).round().astype("int16"))
        story.plant(month, "the feed gives distances in kilometres")
    if month == SIGN_FLIPPED:
        house.set_sign(-1)
        story.plant(month, "a change is merged that learns the reverse")
    if month == SIGN_FLIPPED + 1:
        house.set_sign(1)
    house.write_data(rows)


def live_through(
    house: House, story: Story, callers: Callers, asked: pd.DataFrame, month: int
) -> None:
    """Ask for the flights of a month day by day, and tell late what became of them."""
    days = asked[asked["scheduled"].dt.month == month].groupby(asked["scheduled"].dt.date)
    for day, rows in days:
        story.day(day)
        callers.ask(day, rows)
        if day.weekday() == 0:
            house.add_labels(story.due(day - LABELS_AFTER))
        if month == SIGN_FLIPPED and day.day == DRILL_DAY:
            force_open(house, story)


def force_open(house: House, story: Story) -> None:
    """Let the bad model through the gates by a person's word, to see what the judge does."""
    house.wait_judged(0)
    bad = house.newest_refused()
    if bad is None:
        return
    story.plant(SIGN_FLIPPED, f"a person overrides the gates on {bad}")
    house.run("gates", "override", bad, "--because", "the year's drill: is the judge awake?")
    house.run("rollouts", "start", "flight-year", bad, "--because", "the year's drill")


def say(words: str) -> None:
    """Tell where the replay is."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
