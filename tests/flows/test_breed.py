"""The pipeline in miniature as a Prefect flow, under a real server, seen by the API and in a browser. Tests build on each other."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
import yaml

from herdbook.files import digest, read_json
from tests import forked, miniature, watched
from tests.flows.browser import browser, needs_browser, requested
from tests.flows.synthetic import wait_for
from tests.miniature import parameters, repro, write_params

STOPPED = 3  # the exit status of a complete run of the miniature, whose curated lineage its gate ends


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    identity = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**kept, **identity, "PREFECT_RUNNER_POLL_FREQUENCY": "1", "PREFECT_WORKER_QUERY_SECONDS": "1"}


def start(root: Path, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *words], cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def breed(root: Path, status: int = STOPPED) -> str:
    forked.serve(root)
    process = start(root, "flows")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == status, said
    return said


@pytest.fixture(scope="module")
def project(bred, tmp_path_factory):
    """A copy of `bred` that these tests go on with."""
    root = tmp_path_factory.mktemp("flow") / "project"
    miniature.copy(bred, root)
    return root


@pytest.fixture(scope="module")
def served(project):
    """`make serve` on a free port, with `breed` scheduled twice a minute."""
    text = (project / "prefect.yaml").read_text()
    often = text.replace('"0 2 * * *"', '"* * * * * */30"').replace("when_busy: wait}", "when_busy: skip}", 1)
    (project / "prefect.yaml").write_text(often)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = start(project, "flows.schedule", "--port", str(port))
    wait_for((project / ".prefect/serving.json").exists, 300)
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "shutting down" in said
    assert "Traceback" not in said.partition("shutting down")[2]


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def post(url: str, **body) -> bytes:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    for _ in range(20):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code != 503:  # what Prefect answers while its database is locked, and its clients ask again
                raise
            time.sleep(0.5)
    raise AssertionError(f"{url}: 503 for 10 s")


def ask(url: str, path: str, **body) -> list[dict]:
    return json.loads(post(f"{url}/api{path}", **body))


def deployment(url: str, name: str) -> str:
    return get(f"{url}/api/deployments/name/{name}")["id"]


def test_a_first_run_needs_no_server_says_little_and_connects_to_nothing_else(bred):
    found = read_json(bred.with_name(watched.RECORD))
    said = "".join(found["lines"])
    assert found["status"] == STOPPED, said
    assert found["off_machine"] == []
    assert "Traceback" not in said
    assert "train@replace-s0-g1 ran" in said
    (counts,) = re.findall(r"^stages: (.+)$", said, flags=re.MULTILINE)
    assert counts == f"{len(yaml.safe_load((bred / 'dvc.lock').read_text())['stages'])} ran"  # data.dvc is no stage
    assert "report: " in said.replace("\n", "")
    assert [line for line in found["lines"] if "prefect" in line.lower()] == []
    assert found["left"] == []


def test_it_leaves_the_lock_of_a_serial_repro(project, reproduced):
    assert (project / "dvc.lock").read_bytes() == (reproduced / "dvc.lock").read_bytes()
    assert "Running stage" not in repro(project)
    assert "up to date" in miniature.run(project, "-m", "dvc", "status")


def test_the_run_is_attested_with_what_its_stages_took(project):
    from herdbook.attest import read

    (path,) = (project / "attestations").iterdir()
    root = json.loads((project / "reports/book.json").read_text())["root"]
    assert path.name.startswith(root[:12])
    stated = read(path)
    took = {each["name"]: each["annotations"] for each in stated["predicate"]["runDetails"]["byproducts"]}
    assert took["train@replace-s0-g1"]["peak_memory_bytes"] > 50e6
    assert took["train@replace-s0-g1"]["seconds"] > 0
    assert stated["predicate"]["buildDefinition"]["externalParameters"]["root"] == root
    made = {subject["name"]: subject["digest"]["sha256"] for subject in stated["subject"]}
    assert digest(project / "runs/replace/s0/g1/training/rows.parquet") in made.values()


def test_a_second_run_starts_nothing(project):
    before = (project / ".prefect/server.log").stat().st_mtime
    said = breed(project)
    assert "nothing to do" in said
    assert "ran" not in said.split("report:")[0]
    assert (project / ".prefect/server.log").stat().st_mtime == before


def test_a_stage_that_fails_ends_the_run_with_a_table_and_its_own_words(project):
    params = parameters()
    params["prepare"]["num_held_out_documents"] = 50
    write_params(project, params)
    said = breed(project, status=1)
    assert "prepare.num_held_out_documents is 50" in said
    assert "descends from prepare" in " ".join(said.split())
    assert "Traceback" not in said


def test_an_interrupted_run_ends_within_seconds_and_what_is_finished_stands(project):
    params = parameters()
    params["regimes"]["replace"]["compute"] = {"epochs": 2}  # a handful of stages, one after another
    write_params(project, params)
    forked.serve(project)
    process = start(project, "flows", "--jobs", "2")
    for line in process.stdout:
        if "train@replace-s0-g1" in line:
            break
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert time.monotonic() - begun < 60  # bench/interrupt.py measures it
    assert "Traceback" not in said
    assert "what is finished is recorded" in said
    assert "epochs: 2" in (project / "dvc.lock").read_text()


def test_it_goes_on_later_and_when_the_preloaded_process_is_killed_another_tries_its_stages_again(project):
    process = start(project, "flows", "--jobs", "2")

    def forks() -> list[psutil.Process]:
        mine = [p for p in psutil.process_iter(["cmdline", "cwd"]) if p.info["cwd"] == str(project)]
        return [p for p in mine if "--serve" in (p.info["cmdline"] or []) and p.children()]

    victims: list[psutil.Process] = []
    wait_for(lambda: victims.extend(forks()) or victims, 120, every=0.1)  # asked once: a fork may end at any moment
    os.kill(victims[0].pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == STOPPED, said
    assert not [line for line in said.splitlines() if line.startswith("[") and "failed" in line]
    assert "train@replace-s0-g1" not in said  # it was finished
    assert "report ran" in said


def test_a_scheduled_run_fires_and_completes_as_if_nothing_had_been_broken_off(project, bred, served):
    write_params(project, parameters())

    def runs() -> list[dict]:
        return ask(served, "/flow_runs/filter", flows={"name": {"any_": ["breed"]}}, flow_runs={"deployment_id": {"is_null_": False}})

    def have(*states: str) -> bool:
        return any(run["auto_scheduled"] and run["state_type"] in states for run in runs())

    wait_for(lambda: have("RUNNING", "COMPLETED"), 240, every=0.5)
    post(f"{served}/api/deployments/{deployment(served, 'breed/nightly')}/pause_deployment")  # other tests need their turn
    wait_for(lambda: have("COMPLETED") and not have("SCHEDULED", "PENDING", "RUNNING"), 240, every=0.5)
    assert (project / "dvc.lock").read_bytes() == (bred / "dvc.lock").read_bytes()


def test_the_ui_is_told_names_progress_verdicts_receipts_and_events(project, served):
    params = parameters()
    params["profile"]["near_duplicate_jaccard"] = 0.71
    write_params(project, params)
    breed(project)
    (run, *_) = ask(served, "/flow_runs/filter", sort="START_TIME_DESC", flow_runs={"deployment_id": {"is_null_": True}})
    assert run["name"] == "breed: 2 regimes x 1 seeds, g0-g1"
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "StoppedByGate")
    tasks = {task["name"]: task["state_type"] for task in ask(served, "/task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})}
    assert tasks["validate-training@replace-s0-g1"] == "COMPLETED"
    assert "train@replace-s0-g1" not in tasks  # nothing that it needs has changed
    artifacts = {a["key"]: a for a in ask(served, "/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})}
    assert artifacts["progress"]["data"] == 100.0
    rows = json.loads(artifacts["generations"]["data"])
    assert {(row["regime"], row["gen"]) for row in rows} == {(r, g) for r in ("replace", "curated") for g in ("g0", "g1")}
    receipt = artifacts["receipt-replace-s0-g1-training"]["data"]
    assert "failed, waived by its regime" in receipt.replace("\\", "")
    assert "human_token_share" in receipt.replace("\\", "")
    assert "/herdbook/report" in artifacts["report"]["data"]
    events = ask(served, "/events/filter", filter={"event": {"prefix": ["herdbook."]}})["events"]
    failed = next(event for event in events if event["event"] == "herdbook.gate.failed")
    assert failed["resource"]["prefect.resource.id"] == "herdbook.lineage.replace-s0"
    assert failed["payload"]["is_waived"] is True
    assert {event["event"] for event in events} >= {"herdbook.gate.failed", "herdbook.generation.bred"}


@needs_browser
def test_a_browser_shows_the_run_its_artifacts_and_logs_and_asks_nobody_else(project, served):
    (run, *_) = ask(served, "/flow_runs/filter", sort="START_TIME_DESC", flow_runs={"deployment_id": {"is_null_": True}})
    with browser() as driver:

        def shows(path: str, *texts: str) -> None:
            driver.get(served + path)
            wait_for(lambda: all(text in driver.find_element("tag name", "body").text for text in texts), 60, every=0.2)

        shows(f"/v2/runs/flow-run/{run['id']}?tab=TaskRuns", "breed: 2 regimes x 1 seeds, g0-g1", "validate-training@")
        shows(f"/v2/runs/flow-run/{run['id']}?tab=Artifacts", "receipt-replace-s0-g1-training")
        artifacts = {a["key"]: a["id"] for a in ask(served, "/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})}
        shows(f"/v2/artifacts/artifact/{artifacts['generations']}", "curated", "held-out loss")
        shows(f"/v2/artifacts/artifact/{artifacts['receipt-replace-s0-g1-training']}", "waived by its regime", "human_token_share", ">= ")
        shows(f"/v2/runs/flow-run/{run['id']}?tab=Logs", "Finished in state")
        driver.get(f"{served}/herdbook/report")
        assert "Herdbook" in driver.title
        assert requested(driver) == {"127.0.0.1"}


def trigger(url: str, name: str, **values) -> dict:
    """Run a deployment now, until it ends."""
    asked = {"state": {"type": "SCHEDULED"}, "parameters": values}
    run = ask(url, f"/deployments/{deployment(url, name)}/create_flow_run", **asked)["id"]

    def state() -> dict:
        return get(f"{url}/api/flow_runs/{run}")

    wait_for(lambda: state()["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), 400, every=0.5)
    return state()


def test_the_audit_flow_passes_and_names_an_altered_file(project, served):
    passed = trigger(served, "audit/nightly", when_busy="wait")
    assert passed["state_type"] == "COMPLETED", passed["state"]["message"]
    path = project / "runs/replace/s0/g1/offspring/rows.parquet"
    before = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    run = trigger(served, "audit/nightly", when_busy="wait")
    path.write_bytes(before)
    assert run["state_type"] == "FAILED"
    assert "runs/replace/s0/g1/offspring" in run["state"]["message"]

    def events() -> list[dict]:
        return ask(served, "/events/filter", filter={"event": {"prefix": ["herdbook.audit."]}})["events"]

    wait_for(events, 60, every=0.5)
    assert "dataset" in events()[0]["payload"]["kinds"]


def test_the_next_generation_is_bred_and_proposed_as_a_branch(project, served):
    run = trigger(served, "next-generation/nightly", jobs=2, when_busy="wait")
    assert run["state_type"] == "COMPLETED", run["state"]
    show = subprocess.run(["git", "show", "herdbook/g2:params.yaml"], cwd=project, capture_output=True, text=True, check=True).stdout
    assert yaml.safe_load(show)["generations"] == ["g0", "g1", "g2"]
    changed = subprocess.run(["git", "diff", "--name-only", "HEAD", "herdbook/g2"], cwd=project, capture_output=True, text=True, check=True)
    assert set(changed.stdout.split()) == {
        "params.yaml", "dvc.lock", "reports/book.json", "reports/metrics.json", "reports/generations.csv",
    }  # fmt: skip
    assert (project / "records/replace/s0/g2/loss.json").is_file()


def test_a_run_that_is_under_way_makes_a_scheduled_one_skip(project, served):
    code = """if True:
        import time
        from pathlib import Path
        from flows.turn import turn
        with turn(Path.cwd()):
            print("held", flush=True)
            time.sleep(300)"""
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=project, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    try:
        run = trigger(served, "breed/nightly", jobs=1, when_busy="skip")
        assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Skipped")
        assert f"pid {holder.pid}" in run["state"]["message"]
        assert f"pid {holder.pid}" in breed(project, status=1)
    finally:
        holder.kill()
        holder.communicate()


def test_prefect_yaml_is_deployed_to_a_pool_and_a_worker_runs_it(project, served):
    from flows.server import settings

    shutil.copy(miniature.ROOT / "prefect.yaml", project)  # with its own hours: the worker is given no other run meanwhile
    there = {**environment(), **settings(project), "PREFECT_API_URL": f"{served}/api"}

    def prefect(*words: str) -> str:
        command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
        done = subprocess.run(command, cwd=project, env=there, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    prefect("work-pool", "create", "herdbook", "--type", "process")
    prefect("deploy", "--all")
    assert get(f"{served}/api/deployments/name/audit/nightly")["work_pool_name"] == "herdbook"
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "herdbook"],
        cwd=project.parent, env=there, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        run = trigger(served, "audit/nightly", level="records", when_busy="wait")
    finally:
        worker.send_signal(signal.SIGINT)
        said, _ = worker.communicate(timeout=60)
    assert run["state_type"] in ("COMPLETED", "FAILED"), said
    assert "things checked" in run["state"]["message"] or "findings; first:" in run["state"]["message"]
