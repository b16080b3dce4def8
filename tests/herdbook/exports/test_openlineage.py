import http.server
import json
import threading
import typing
from contextlib import contextmanager
from pathlib import Path

import attr
import jsonschema
import pytest
from openlineage.client import facet_v2
from openlineage.client.generated import base
from openlineage.client.serde import Serde

from herdbook.errors import BookError
from herdbook.exports import as_text, openlineage
from herdbook.exports.openlineage import SendError
from herdbook.snapshot import book_of, snapshot
from tests.terminal import Kept

SCHEMA = json.loads(openlineage.GENERATION_SCHEMA.read_text())
FACETS = {
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "dataQualityAssertions": facet_v2.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    "environmentVariables": facet_v2.environment_variables_run.EnvironmentVariablesRunFacet,
    "executionParameters": facet_v2.execution_parameters_run.ExecutionParametersRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "sourceCode": facet_v2.source_code_job.SourceCodeJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
}


@pytest.fixture(scope="module")
def whole(opened):
    return openlineage.events(*opened)


def of_job(events, name):
    return next(event for event in events if event["job"]["name"] == name)


def built(kind, value):
    """An object of the client's class `kind` from its JSON; TypeError for what the class does not have."""
    if typing.get_origin(kind) is not None and type(None) in typing.get_args(kind):
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is list:
        return [built(typing.get_args(kind)[0], item) for item in value]
    if typing.get_origin(kind) is dict and attr.has(typing.get_args(kind)[1]):
        return {key: built(FACETS.get(key, typing.get_args(kind)[1]), item) for key, item in value.items() if key != "herdbook_generation"}
    if not attr.has(kind):
        return kind(value) if kind is base.EventType else value
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in attr.fields(kind)}
    given = {key: built(hints[key], item) for key, item in value.items() if fields[key].init}
    return kind(**{key.lstrip("_"): item for key, item in given.items()})


def without_nothing(value):
    """The client writes empty lists and dictionaries where it was given nothing."""
    if isinstance(value, dict):
        return {key: found for key, item in value.items() if (found := without_nothing(item)) not in ([], {})}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


def without_generation(event):
    outputs = [
        {**out, "facets": {name: facet for name, facet in out["facets"].items() if name != "herdbook_generation"}}
        for out in event["outputs"]
    ]
    return {**event, "outputs": outputs}


def test_each_event_is_one_that_the_client_can_build_and_writes_alike(whole):
    for event in whole:
        again = Serde.to_dict(built(base.RunEvent, event))
        assert without_nothing(again) == without_nothing(without_generation(event))


def test_there_is_one_event_for_each_stage_that_made_something_and_each_inspection(opened, whole):
    book, _ = opened
    bred = [entry for entry in book.entries.values() if entry["status"] == "bred"]
    steps = [entry["stage"] for entry in bred] + [entry["inspection"]["stage"] for entry in bred if entry["inspection"]]
    jobs = {step["command"].removeprefix("python -m stages ") for step in steps if step["command"]}
    assert sorted(event["job"]["name"] for event in whole) == sorted(jobs)
    assert {event["eventType"] for event in whole} == {"COMPLETE"}
    assert len({event["run"]["runId"] for event in whole}) == len(whole)
    assert {output["name"] for event in whole for output in event["outputs"]} >= {entry["name"] for entry in bred} - {"corpus"}


def test_datasets_bear_the_digest_of_their_bytes(opened, whole):
    book, _ = opened
    event = of_job(whole, "train replace s0 g1")
    assert {dataset["name"] for dataset in event["inputs"]} == {"replace/s0/g1/training", "human/base"}
    for dataset in event["inputs"] + event["outputs"]:
        assert dataset["facets"]["version"]["datasetVersion"] == f"sha256:{book.entries[dataset['name']]['digest']}"


def test_the_parent_of_every_run_is_the_run_that_the_book_is_of(whole):
    assert len({json.dumps(event["run"]["facets"]["parent"]) for event in whole}) == 1


def test_statistics_count_rows_bytes_and_files(opened, whole):
    book, _ = opened
    output = of_job(whole, "sample replace s0 g1")["outputs"][0]
    found = output["outputFacets"]["outputStatistics"]
    files = book.entries["replace/s0/g1/offspring"]["files"].values()
    assert (found["rowCount"], found["size"], found["fileCount"]) == (150, sum(file["num_bytes"] for file in files), len(files))


def test_rules_of_a_waived_gate_warn_and_those_of_a_blocking_one_are_errors(whole):
    waived, blocked = (
        of_job(whole, name)["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
        for name in ("validate training replace s0 g1", "validate offspring curated s0 g0")
    )
    broken = {rule["name"]: rule for rule in waived if not rule["success"]}
    rule = broken["training_profile: distinct_2: expect_column_max_to_be_between"]
    assert (rule["severity"], rule["params"]["severity"], rule["params"]["gate"]) == ("warn", "critical", "waive")
    assert float(rule["actual"]) > float(rule["expected"].split()[1])
    assert "column" not in rule  # of the profile, not of the table
    assert {rule["severity"] for rule in blocked if rule["params"]["severity"] == "critical"} == {"error"}
    errored = [rule for rule in blocked if rule["params"]["status"] == "errored"]
    assert {rule["success"] for rule in errored} == {False}
    assert {"id", "num_tokens"} <= {rule.get("column") for rule in blocked}


def test_what_was_taken_over_says_from_which_columns(whole):
    lineage = of_job(whole, "adopt replace s0")["outputs"]
    training = next(out["facets"]["columnLineage"] for out in lineage if out["name"] == "replace/s0/g0/training")
    origins = {name: [(come["name"], come["field"]) for come in field["inputFields"]] for name, field in training["fields"].items()}
    assert origins["text"] == [("human/train", "text")]
    assert origins["nll_nats"] == [("founder/s0/g0/scores", "nll_nats")]
    assert {(come["field"], come["transformations"][0]["subtype"]) for come in training["dataset"]} == {("id", "JOIN")}


def test_the_generation_facet_is_of_the_schema_that_the_package_ships(whole):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    found = [
        output["facets"]["herdbook_generation"]
        for event in whole
        for output in event["outputs"]
        if "herdbook_generation" in output["facets"]
    ]
    for facet in found:
        jsonschema.validate(facet, SCHEMA)
    model = next(facet for facet in found if facet["path"] == "runs/replace/s0/g1/model")
    assert (model["regime"], model["depth"], model["waivers"][0]["dataset"]) == ("replace", 1.0, "training")
    for damage in ({"kind": "cat"}, {"depth": -1}, {"more": 1}, {"entry": "urn:herdbook:entry:1"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(model | damage, SCHEMA)


def test_source_code_is_told_where_it_is_what_the_stage_ran_and_not_otherwise(opened, whole, project):
    assert of_job(whole, "prepare")["job"]["facets"]["sourceCode"]["sourceCode"].startswith('"""')
    for path in ("prepare", "train"):
        (project / f"stages/{path}.py").unlink() if path == "prepare" else (project / "stages/train.py").write_text("x = 1\n")
    with snapshot(project) as now:
        events = openlineage.events(book_of(now), now)
    told = {event["job"]["name"].split()[0]: "sourceCode" in event["job"]["facets"] for event in events}
    assert told == {"prepare": False, "train": False, "adopt": True, "blend": True, "curate": True, "sample": True, "validate": True}


def test_events_bear_the_time_that_is_given_and_else_the_epoch(opened, whole):
    assert {event["eventTime"] for event in whole} == {"1970-01-01T00:00:00Z"}
    book, now = opened
    assert {event["eventTime"] for event in openlineage.events(book, now, "human/base", "2026-01-02T03:04:05Z")} == {"2026-01-02T03:04:05Z"}


@pytest.mark.parametrize("at", ["yesterday", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z"])
def test_what_is_no_time_is_refused(opened, at):
    with pytest.raises(BookError, match="not a time with an offset"):
        openlineage.events(*opened, None, at)


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Takes what is posted to api/v1/lineage; `answers` are the status codes that it gives, one after another, then 201."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers.get("Authorization"), json.loads(body)))
        status = self.server.answers.pop(0) if self.server.answers else 201
        if status is None:
            self.server.may_answer.wait(10)
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/login")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@contextmanager
def endpoint(*answers):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.taken, server.answers, server.may_answer = [], list(answers), threading.Event()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(openlineage.KEY, raising=False)


@pytest.mark.parametrize("suffix", ["", "/", "/api/v1/lineage"])
def test_an_endpoint_gets_every_event_as_it_is_exported_in_order(whole, suffix):
    kept = Kept()
    with endpoint() as (url, server):
        openlineage.send(whole, url + suffix, kept)
    assert (kept.totals, kept.unlike) == ({"events sent": len(whole)}, [])
    assert {path for path, _, _ in server.taken} == {"/api/v1/lineage"}
    assert [event for _, _, event in server.taken] == whole
    assert {key for _, key, _ in server.taken} == {None}


def test_an_endpoint_below_a_path_is_reached_there(whole):
    with endpoint() as (url, server):
        openlineage.send(whole[:1], f"{url}/marquez")
    assert server.taken[0][0] == "/marquez/api/v1/lineage"


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(whole, monkeypatch):
    monkeypatch.setenv(openlineage.KEY, "hush-123")
    with endpoint(201, 401) as (url, server), pytest.raises(SendError) as caught:
        openlineage.send(whole, url)
    assert {key for _, key, _ in server.taken} == {"Bearer hush-123"}
    assert "hush-123" not in str(caught.value) + as_text(whole)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ((201, 500), r"took 1 of \d+ events \(answered 500 "),
        ((403,), r"took 0 of \d+ events \(answered 403 "),
        ((503,) * 9, r"took 0 of \d+ events \(answered 503 "),
        ((302,), r"sent event 1 on to http://127.0.0.1:\d+/login; give the address of the endpoint itself"),
    ],
)
def test_an_endpoint_that_does_not_take_an_event_is_told_in_one_line(whole, answers, message):
    with endpoint(*answers) as (url, _), pytest.raises(SendError, match=message) as caught:
        openlineage.send(whole, url)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(whole):
    with endpoint(503, 201) as (url, server):
        openlineage.send(whole[:2], url)
    assert [event for _, _, event in server.taken] == [whole[0], *whole[:2]]


def test_an_endpoint_that_does_not_answer_is_not_waited_for_for_ever(whole, monkeypatch):
    monkeypatch.setattr(openlineage, "_SECONDS", 0.2)
    with endpoint(None) as (url, _), pytest.raises(SendError, match=r"took 0 of \d+ events \(no answer in 0\.2 s\)"):
        openlineage.send(whole, url)


def test_where_nothing_listens_the_connection_is_refused(whole):
    with endpoint() as (url, _):
        pass
    with pytest.raises(SendError, match=r"took 0 of \d+ events \(the connection was refused or broke\); see to the endpoint"):
        openlineage.send(whole, url)


@pytest.mark.parametrize("url", ["", "localhost:5000", "ftp://host", "http://", "http://host:port", "http://[::1"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(SendError, match="not an address"):
        openlineage.send([], url)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(SendError, match="OPENLINEAGE_API_KEY in the environment instead") as caught:
        openlineage.send([], "https://me:hush@host")
    assert "hush" not in str(caught.value)


def test_events_name_no_place_of_this_machine(whole, bred):
    assert str(bred) not in as_text(whole)
    assert str(Path.home()) not in as_text(whole) or Path.home() == Path("/")
