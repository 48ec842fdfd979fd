"""The pipeline that delivers a change of a workload: its steps, and the files that run them.

Both pipelines call `servewell ci run` for each step, so that what happens there can be tried on any
machine. Sources of the formats: the schemas `github-workflow.json` of SchemaStore and
`service-schema.json` of microsoft/azure-pipelines-vscode; a test holds the files to them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LOCK_FILE: Final = "servewell.lock"
REPORT: Final = "gates.html"
HOSTED_IMAGE: Final = "ubuntu-latest"
PRODUCTION: Final = "production"  # environment in which GitHub and Azure DevOps ask for approval


class DeliveryStep(StrEnum):
    """One step of a delivery, in the order in which they run."""

    LOCK = "lock"
    TEST = "test"
    TRAIN = "train"
    GATE = "gate"
    PACKAGE = "package"
    SCAN = "scan"
    ROLL_OUT = "roll-out"


ABOUT: Final = {
    DeliveryStep.LOCK: "The environment is the one that is locked",
    DeliveryStep.TEST: "The workload's own tests",
    DeliveryStep.TRAIN: "Train the model, or fetch it",
    DeliveryStep.GATE: "The gates",
    DeliveryStep.PACKAGE: "The signed package is whole",
    DeliveryStep.SCAN: "The artifact holds nothing that it should not",
    DeliveryStep.ROLL_OUT: "Roll out",
}
CHECKS: Final = tuple(one for one in DeliveryStep if one is not DeliveryStep.ROLL_OUT)


class Pipeline(StrEnum):
    """A service that runs pipelines."""

    GITHUB = "github"
    AZURE = "azure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the files of a pipeline depend on."""

    workload: str
    folder: str  # of the workload, from the root of the repository, with `/`; `.` for the root
    python: str  # `3.12`
    branch: str = "main"  # whose changes are rolled out


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFile:
    """A file that a pipeline is described by."""

    path: str  # from the root of the repository, with `/`
    text: str


def pipeline_file(kind: Pipeline, delivery: Delivery) -> PipelineFile:
    """Return the file of one service: checks on every change, a rollout from the main branch."""
    return _github(delivery) if kind is Pipeline.GITHUB else _azure(delivery)


def lock_differences(locked: str, installed: str) -> tuple[str, ...]:
    """Return what an environment has otherwise than its lock says, a sentence each.

    Lines are `name==version`; a comment counts for nothing but the line that names the Python.
    """
    wanted, found = _versions(locked), _versions(installed)
    return tuple(
        _difference(name, wanted.get(name), found.get(name))
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    )


def python_of(lock: str) -> str:
    """Return the version of Python that a lock names, as `3.12`; empty where it names none."""
    full = _versions(lock).get("Python", "")
    return ".".join(full.split(".")[:2])


def _versions(lock: str) -> dict[str, str]:
    versions = {}
    for line in lock.splitlines():
        name, equals, version = line.partition("==")
        if equals and not line.startswith("#"):
            versions[name.strip().lower()] = version.strip()
        elif line.startswith("# Python "):
            versions["Python"] = line.removeprefix("# Python ").strip()
    return versions


def _difference(name: str, wanted: str | None, found: str | None) -> str:
    if found is None:
        return f"{name} {wanted} is locked and not installed"
    if wanted is None:
        return f"{name} {found} is installed and not locked"
    return f"{name} is {found}, and {wanted} is locked"


def _head(delivery: Delivery) -> str:
    return (
        f"# Delivers the workload {delivery.workload}. Written by `servewell ci init`.\n"
        f"# `servewell ci run {delivery.folder}` does the same steps on any machine.\n"
    )


def _run(delivery: Delivery, step: DeliveryStep) -> str:
    words = {
        DeliveryStep.ROLL_OUT: "lock --step roll-out --live",
        DeliveryStep.GATE: f"gate --report {REPORT}",
    }
    return f"servewell ci run {_quoted(delivery.folder)} --step {words.get(step, step)}"


def _install(delivery: Delivery) -> str:
    return f"python -m pip install --requirement {_quoted(f'{delivery.folder}/{LOCK_FILE}')}"


def _quoted(text: str) -> str:
    plain = all(one.isalnum() or one in "-_./" for one in text)
    return text if plain else "'" + text.replace("'", "'\\''") + "'"


def _yaml(text: str) -> str:
    """Return a text as a YAML scalar in single quotes, which escape nothing but themselves."""
    return "'" + text.replace("'", "''") + "'"


def _paths(delivery: Delivery, own: str) -> list[str]:
    return ["**"] if delivery.folder == "." else [f"{delivery.folder}/**", own]


def _github(delivery: Delivery) -> PipelineFile:
    path = f".github/workflows/servewell-{delivery.workload}.yml"
    paths = "".join(f"\n      - {_yaml(one)}" for one in _paths(delivery, path))
    main = _yaml(f"refs/heads/{delivery.branch}")
    checks = "".join(_github_step(delivery, step) for step in CHECKS)
    text = f"""{_head(delivery)}name: {_yaml(f"servewell {delivery.workload}")}
on:
  pull_request:
    paths:{paths}
  push:
    branches: [{_yaml(delivery.branch)}]
    paths:{paths}
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: servewell-{delivery.workload}-${{{{ github.ref }}}}
  cancel-in-progress: false
jobs:
  check:
    runs-on: {HOSTED_IMAGE}
    timeout-minutes: 120
    env:
      SERVEWELL_HOME: ${{{{ github.workspace }}}}/.servewell
    steps:
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
      - uses: actions/setup-python@v6
        with:
          python-version: '{delivery.python}'
      - name: Install what is locked
        run: {_yaml(_install(delivery))}
{checks}      - name: Keep the report of the gates
        if: always()
        uses: actions/upload-artifact@v5
        with:
          name: gates
          path: {REPORT}
          if-no-files-found: ignore
  roll-out:
    needs: check
    if: github.event_name != 'pull_request' && github.ref == {main}
    runs-on: [self-hosted, servewell]
    environment: {PRODUCTION}
    timeout-minutes: 1440
    steps:
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
      - name: Train, gate and roll out in the home of this machine
        run: {_yaml(_run(delivery, DeliveryStep.ROLL_OUT))}
"""
    return PipelineFile(path=path, text=text)


def _github_step(delivery: Delivery, step: DeliveryStep) -> str:
    return f"      - name: {_yaml(ABOUT[step])}\n        run: {_yaml(_run(delivery, step))}\n"


def _azure(delivery: Delivery) -> PipelineFile:
    path = f".azure-pipelines/servewell-{delivery.workload}.yml"
    paths = "".join(f"\n      - {_yaml(one)}" for one in _azure_paths(delivery, path))
    checks = "".join(_azure_step(delivery, step) for step in CHECKS)
    main = _yaml(f"refs/heads/{delivery.branch}")
    condition = f"and(succeeded(), eq(variables['Build.SourceBranch'], {main}))"
    text = f"""{_head(delivery)}trigger:
  branches:
    include:
      - {_yaml(delivery.branch)}
  paths:
    include:{paths}
pr:
  paths:
    include:{paths}
stages:
  - stage: check
    displayName: Check
    jobs:
      - job: check
        timeoutInMinutes: '120'
        pool:
          vmImage: {HOSTED_IMAGE}
        variables:
          SERVEWELL_HOME: $(Pipeline.Workspace)/.servewell
        steps:
          - checkout: self
            persistCredentials: 'false'
          - task: UsePythonVersion@0
            inputs:
              versionSpec: '{delivery.python}'
          - script: {_yaml(_install(delivery))}
            displayName: Install what is locked
{checks}          - publish: $(System.DefaultWorkingDirectory)/{REPORT}
            artifact: gates
            displayName: Keep the report of the gates
            condition: always()
            continueOnError: 'true'
  - stage: roll_out
    displayName: Roll out
    dependsOn: check
    condition: {_yaml(condition)}
    jobs:
      - deployment: roll_out
        environment: {PRODUCTION}
        timeoutInMinutes: '1440'
        pool:
          name: servewell
        strategy:
          runOnce:
            deploy:
              steps:
                - checkout: self
                  persistCredentials: 'false'
                - script: {_yaml(_run(delivery, DeliveryStep.ROLL_OUT))}
                  displayName: Train, gate and roll out in the home of this machine
"""
    return PipelineFile(path=path, text=text)


def _azure_paths(delivery: Delivery, own: str) -> list[str]:
    return ["*"] if delivery.folder == "." else [delivery.folder, own]


def _azure_step(delivery: Delivery, step: DeliveryStep) -> str:
    return (
        f"          - script: {_yaml(_run(delivery, step))}\n"
        f"            displayName: {_yaml(ABOUT[step])}\n"
    )
