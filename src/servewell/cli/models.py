"""`servewell models`: what is registered, where it came from, and bringing one in."""

from pathlib import Path
from typing import Final

import click
import msgspec

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.model_study import optimize, profile
from servewell.cli.steps import Steps
from servewell.core.catalog.model import Format, Manifest, ModelVersion, Optimised
from servewell.core.catalog.signature import Input, Output
from servewell.core.catalog.workload import Artifact, Data, Model, Workload
from servewell.flows.make_model import foresee_model, keep_dataset, make_model

SUFFIXES: Final = {
    ".onnx": Format.ONNX,
    ".pkl": Format.SKLEARN,
    ".pickle": Format.SKLEARN,
    ".joblib": Format.SKLEARN,
    ".ubj": Format.XGBOOST,
    ".json": Format.XGBOOST,
    ".txt": Format.LIGHTGBM,
    ".pt2": Format.TORCH,
}
DIGEST_SHOWN: Final = 12


@click.group
def models() -> None:
    """See the registered models, bring in those trained elsewhere, and make them faster."""


models.add_command(optimize)
models.add_command(profile)


@models.command("list")
@click.argument("model", required=False)
@command
def list_(session: Session, model: str | None) -> int:
    """List the model versions; of one MODEL, or of all.

    Example: servewell models list
    """
    found = session.platform.registry.list(model)
    if session.as_json:
        show.as_json(found)
        return 0
    rows = [
        (
            one.name,
            one.manifest.lineage.format,
            show.size(one.manifest.artifact_bytes),
            show.moment(one.created_at),
            one.package[:DIGEST_SHOWN],
        )
        for one in found
    ]
    heads = ("version", "from", "size", "made", "package")
    show.table(heads, rows, empty="No model yet. `servewell up FOLDER` makes one.")
    return 0


@models.command("show")
@click.argument("version")
@command
def show_(session: Session, version: str) -> int:
    """Show one VERSION, as NAME or NAME:NUMBER: signature, lineage, proof and metrics.

    Example: servewell models show flight-delays:1
    """
    name, _, number = version.partition(":")
    if number and not number.isdecimal():
        raise click.BadParameter(f"`{version}` is not like `{name}:1`", param_hint="VERSION")
    found = session.platform.registry.get(name, int(number) if number else None)
    if session.as_json:
        show.as_json(found)
        return 0
    _show_lineage(found)
    signature = found.manifest.signature
    click.echo()
    rows = [_input(one) for one in signature.inputs]
    show.table(("input", "type", "null", "seen in training", "enforced"), rows, empty="no input")
    click.echo()
    outputs = [_output(one) for one in signature.outputs]
    show.table(("output", "type", "shape", "classes"), outputs, empty="no output")
    return 0


@models.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model; default: the name of the file.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([one.value for one in Format if one is not Format.PREDICTOR]),
    help="What it is; default: by its ending.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Parquet file to prove it on.",
)
@click.option("--label", help="Column of the data that is no input.")
@dry_run
@command
def import_(  # noqa: PLR0913 - the words of the command
    session: Session,
    path: Path,
    *,
    name: str | None,
    format_: str | None,
    data: Path | None,
    label: str | None,
    dry_run: bool,
) -> int:
    """Register the model in PATH: a file of ONNX or of a library of models, or an MLflow folder.

    The libraries are scikit-learn, XGBoost, LightGBM and PyTorch (a program of `torch.export`).
    PATH may also be a servewell.yaml, or its folder, that names the file under `artifact`. That is
    the only way to let a pickle be loaded: `artifact.allow_pickle: true`.

    Example: servewell models import model.ubj --name churn --data rows.parquet --label churned
    """
    if path.name == "servewell.yaml" or (path / "servewell.yaml").is_file():
        workload, folder = session.platform.workload_files.read(path)
    else:
        workload, folder = _workload(path, name=name, format_=format_, data=data, label=label)
    if dry_run:
        decision = foresee_model(session.platform, workload, folder)
        _say(session, {"needed": decision.needed, "because": decision.because})
        return 0
    with Steps(quiet=session.as_json) as steps:
        steps.report("data", "reading")
        dataset = keep_dataset(session.platform, workload, folder)
        made = make_model(
            session.platform,
            workload,
            folder,
            dataset=dataset,
            progress=lambda words: steps.report("model", words),
        )
        steps.report("model", f"{made.version.name}: {made.decision.because}")
    _say(session, {"version": made.version.name, "package": made.version.package})
    return 0


def _workload(
    path: Path, *, name: str | None, format_: str | None, data: Path | None, label: str | None
) -> tuple[Workload, Path]:
    if not path.exists():
        raise click.BadParameter(f"`{path}` does not exist", param_hint="PATH")
    guessed = Format.MLFLOW if path.is_dir() else SUFFIXES.get(path.suffix)
    if format_ is None and guessed is None:
        raise click.BadParameter(
            f"the ending of `{path.name}` does not say what it is; use --format", param_hint="PATH"
        )
    value = {
        "workload": (name or path.stem).lower().replace("_", "-"),
        "artifact": Artifact(path=path.name, format=(format_ or guessed or Format.ONNX)),  # type: ignore[arg-type]
        "data": Data(path=str(data.absolute()), label=label) if data else None,
        "model": Model(),
    }
    try:
        return msgspec.convert(msgspec.to_builtins(value), Workload), path.absolute().parent
    except msgspec.ValidationError as error:
        raise click.BadParameter(f"{error}; use --name", param_hint="--name") from error


def _say(session: Session, value: dict[str, object]) -> None:
    if session.as_json:
        show.as_json(value)
    else:
        click.echo("  ".join(f"{key} {words}" for key, words in value.items()))


def _show_lineage(found: ModelVersion) -> None:
    manifest, lineage = found.manifest, found.manifest.lineage
    proof = manifest.equivalence
    proven = f"{proof.rows:,} rows, largest difference {proof.largest_difference:.1e}"
    if proof.labels_changed:
        proven += f", {proof.labels_changed:.2%} of labels changed"
    commit = lineage.commit or "no repository"
    facts = {
        "version": found.name,
        "package": f"{found.package} (signed)",
        "made": f"{show.moment(found.created_at)} by {found.created_by}, run {lineage.run}",
        "from": f"{lineage.format} {lineage.source}, sha256 {lineage.source_digest[:DIGEST_SHOWN]}",
        "data": f"{lineage.dataset} (sha256 {lineage.dataset_digest})" if lineage.dataset else "-",
        "commit": f"{commit}{', with changes' if lineage.dirty else ''}",
        "lock": f"sha256 {lineage.environment_digest[:DIGEST_SHOWN]}",
        "runs": _runs(manifest),
        "proof": proven if proof.rows else "none: it came as ONNX",
        "optimised": _optimised(lineage.optimised) if lineage.optimised else "-",
        "parameters": ", ".join(f"{k}={v}" for k, v in lineage.parameters.items()) or "-",
        "metrics": ", ".join(f"{k} {v:.4g}" for k, v in manifest.metrics.items()) or "-",
    }
    for key, value in facts.items():
        click.echo(f"{key:<11} {value}")


def _runs(manifest: Manifest) -> str:
    code = manifest.predictor
    if code is None:
        return "as ONNX, in the workers"
    own = f"its own environment {code.environment[:DIGEST_SHOWN]}" if code.environment else ""
    return (
        f"as Python, a process for each worker, in {own or 'the environment of Servewell'}, "
        f"{code.timeout_s:g} s a call, {show.size(code.memory_bytes_max)}"
    )


def _optimised(told: Optimised) -> str:
    loss, speed = ([f"{one:.4g}" for one in three] for three in (told.loss, told.speedup))
    return (
        f"from {told.of} by {told.variant} ({told.about}); {told.metric} lost {loss[0]} "
        f"({loss[1]} to {loss[2]}) of {told.loss_max:g} allowed; {speed[0]} times as fast "
        f"({speed[1]} to {speed[2]}) by requests of {told.rows_per_request}"
    )


def _input(one: Input) -> tuple[str, ...]:
    seen = "-"
    if one.categories is not None:
        seen = f"{len(one.categories)} texts: {', '.join(one.categories[:4])} …"
    elif one.minimum_seen is not None and one.maximum_seen is not None:
        seen = f"{one.minimum_seen:g} to {one.maximum_seen:g}"
    bounds = [
        f">= {one.minimum:g}" if one.minimum is not None else "",
        f"<= {one.maximum:g}" if one.maximum is not None else "",
        f"one of {len(one.allowed)}" if one.allowed else "",
        "personal" if one.personal else "",
    ]
    enforced = ", ".join(bound for bound in bounds if bound) or "type"
    return one.name, one.datatype, "yes" if one.nullable else "no", seen, enforced


def _output(one: Output) -> tuple[str, ...]:
    shape = " x ".join(str(size) for size in ("n", *one.row_shape))
    return one.name, one.datatype, shape, ", ".join(one.classes or ()) or "-"
