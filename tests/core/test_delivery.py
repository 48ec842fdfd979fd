"""The files of pipelines are valid by the schemas that their services publish."""

import json
import re
import shlex
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from servewell.core.operations.delivery import (
    CHECKS,
    Delivery,
    DeliveryStep,
    Pipeline,
    lock_differences,
    pipeline_file,
    python_of,
)

SCHEMAS = {Pipeline.GITHUB: "github-workflows", Pipeline.AZURE: "azure-pipelines"}
FLIGHTS = Delivery(workload="flight-delays", folder="examples/flight-delays", python="3.12")


class _AnyTag(yaml.SafeLoader):
    """YAML 1.2's booleans: the key `on` is a text, as GitHub reads it."""


_AnyTag.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_AnyTag.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def _validator(kind: Pipeline) -> Draft7Validator:
    place = files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{SCHEMAS[kind]}.json"
    return Draft7Validator(json.loads(place.read_text(encoding="utf-8")))


def _read(text: str) -> Any:  # noqa: ANN401 - YAML may hold anything
    return yaml.load(text, _AnyTag)  # noqa: S506 - a safe loader with other booleans


@pytest.mark.parametrize("kind", Pipeline)
def test_a_pipeline_is_valid_by_the_published_schema(kind: Pipeline) -> None:
    """GitHub and Azure DevOps take the files as they are written."""
    written = _read(pipeline_file(kind, FLIGHTS).text)
    assert not [error.message for error in _validator(kind).iter_errors(written)]


@pytest.mark.parametrize("kind", Pipeline)
def test_the_schema_would_refuse_a_step_without_a_command(kind: Pipeline) -> None:
    """The check above can fail."""
    text = pipeline_file(kind, FLIGHTS).text.replace("run: ", "ran: ").replace("script: ", "s: ")
    assert list(_validator(kind).iter_errors(_read(text)))


@pytest.mark.parametrize("kind", Pipeline)
def test_a_pipeline_runs_every_step_in_its_order(kind: Pipeline) -> None:
    """Nothing is rolled out that was not checked: the rollout is the last and only live step."""
    text = pipeline_file(kind, FLIGHTS).text
    commands = [line.partition("examples/flight-delays ")[2] for line in text.splitlines()]
    found = [one.rstrip("'") for one in commands if one.startswith("--step")]
    checks = [f"--step {step}" for step in CHECKS]
    checks[CHECKS.index(DeliveryStep.GATE)] += " --report gates.html"
    assert found == [*checks, "--step lock --step roll-out --live"]


@settings(max_examples=40)
@given(folder=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
@pytest.mark.parametrize("kind", Pipeline)
def test_any_folder_is_quoted_for_yaml_and_for_the_shell(kind: Pipeline, folder: str) -> None:
    """A folder with quotes, spaces or a dollar in its name stays one word of the command."""
    written = _read(pipeline_file(kind, Delivery(workload="x", folder=folder, python="3.12")).text)
    commands = re.findall(r"servewell ci run .* --step lock", "\n".join(_texts(written)))
    assert {shlex.split(one)[3] for one in commands} == {folder}


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - as read
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def test_a_lock_differs_by_what_is_more_less_or_other() -> None:
    """Each package that is not as locked is named, and the Python too."""
    locked = "# Python 3.12.1\n# linux\nnumpy==2.1.0\npandas==2.3.0\n"
    found = "# Python 3.12.2\n# linux\nnumpy==2.2.0\nonnx==1.19.0\n"
    assert lock_differences(locked, found) == (
        "Python is 3.12.2, and 3.12.1 is locked",
        "numpy is 2.2.0, and 2.1.0 is locked",
        "onnx 1.19.0 is installed and not locked",
        "pandas 2.3.0 is locked and not installed",
    )


def test_an_environment_does_not_differ_from_its_own_lock() -> None:
    """The order of lines and the case of names count for nothing."""
    assert not lock_differences("A==1\nb==2\n", "b==2\na==1\n")


def test_the_python_of_a_lock_is_its_major_and_minor_version() -> None:
    """A pipeline installs that Python."""
    assert python_of("# Python 3.12.1\nnumpy==2\n") == "3.12"
