import json
import re
import shutil
import subprocess
import sys

import mlcroissant
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from typer.testing import CliRunner

from herdbook import hub
from herdbook.card import facts
from herdbook.card_page import page
from herdbook.cli import app, main
from herdbook.errors import BookError, FileError
from herdbook.files import canonical_json, digest, digest_bytes
from herdbook.snapshot import book_of, snapshot
from tests.hub_server import Repository, served
from tests.pipeline import ROOT

MODEL, CURATED = "replace/s0/g1/model", "replace/s0/g1/curated"
REPOSITORY, TOKEN = "someone/herd", "hf_secret"


@pytest.fixture(scope="module")
def opened(bred):
    with snapshot(bred) as now:
        yield book_of(now), now


@pytest.fixture
def prepared(opened, tmp_path):
    """A function that gives the folder of a target."""

    def made(target):
        hub.prepare(target, tmp_path / "published", *opened)
        return tmp_path / "published"

    return made


@pytest.fixture
def server(monkeypatch):
    """A hub on loopback, the only one that huggingface_hub knows, and a token for it."""
    with served() as found:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", found.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The folder.


def test_a_model_lies_as_transformers_wants_it_and_its_bytes_are_those_of_the_book(opened, prepared):
    book, now = opened
    folder = prepared(MODEL)
    for name, file in book.entries[MODEL]["files"].items():
        assert digest(folder / name) == file["sha256"]
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= set(files_of(folder))
    assert (folder / "README.md").read_text() == page(facts(MODEL, book, now))


def test_a_dataset_lies_with_its_tables_in_data_and_what_the_book_says_beside_them(opened, prepared):
    book, _ = opened
    folder = prepared(CURATED)
    found = {place: digest_bytes(data) for place, data in files_of(folder).items()}
    entry = book.entries[CURATED]
    assert found["data/rows.parquet"] == entry["files"]["rows.parquet"]["sha256"]
    assert found["herdbook/entry.json"] == book.ids[CURATED]
    for part in ("receipt", "profile"):
        assert found[f"herdbook/{part}.json"] == entry["inspection"][part]["sha256"]
    assert found["ATTRIBUTION.md"] == book.entries["corpus"]["files"]["README.md"]["sha256"]


def test_the_sums_are_of_every_file_but_the_card_and_the_book_leads_from_its_root_to_the_entry(opened, prepared):
    book, _ = opened
    folder = prepared(CURATED)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    named = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert set(files_of(folder)) - named == {"README.md", "SHA256SUMS"}
    index = json.loads((folder / "herdbook/book.json").read_text())["index"]
    assert digest_bytes(canonical_json(index).encode()) == book.root
    assert index["entries"][CURATED] == digest(folder / "herdbook/entry.json")


@pytest.mark.parametrize("target", ["corpus", "human/held_out", CURATED])
def test_croissant_finds_the_rows_in_the_folder(prepared, target):
    folder = prepared(target)
    table = next(iter(sorted((folder / "data").iterdir(), key=lambda path: (path.stem not in ("rows", "corpus"), path))))
    records = list(mlcroissant.Dataset(jsonld=folder / "croissant.json").records("rows"))
    assert [record["rows/id"].decode() for record in records] == pq.read_table(table)["id"].to_pylist()


def test_the_same_book_gives_the_same_folder_from_workspace_or_commit(prepared, project, tmp_path):
    expected = files_of(prepared(MODEL))
    shutil.rmtree(project / "runs")
    with snapshot(project, "HEAD") as then:
        hub.prepare(MODEL, tmp_path / "again", book_of(then), then)
    assert files_of(tmp_path / "again") == expected


def test_bytes_that_the_book_does_not_name_are_refused_and_nothing_is_left(project, tmp_path):
    path = project / "runs/replace/s0/g1/model/model.safetensors"
    found = path.read_bytes()
    path.unlink()
    path.write_bytes(found[:-1] + b"!")
    with snapshot(project) as now, pytest.raises(BookError, match=r"model\.safetensors: sha256 is .*; run herdbook audit"):
        hub.prepare(MODEL, tmp_path / "below/published", book_of(now), now)
    assert list((tmp_path / "below").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(opened, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(FileError, match="name a new or an empty"):
            hub.prepare(MODEL, folder, *opened)
    assert files_of(tmp_path) == {"mine.txt": b"mine"}


def test_an_empty_folder_is_filled(opened, tmp_path):
    (tmp_path / "empty").mkdir()
    hub.prepare(MODEL, tmp_path / "empty", *opened)
    assert (tmp_path / "empty/config.json").is_file()


# The upload.


@pytest.mark.parametrize(("target", "kind", "is_private"), [(MODEL, "model", False), (CURATED, "dataset", True)])
def test_the_hub_gets_the_bytes_of_the_folder(prepared, server, target, kind, is_private):
    folder = prepared(target)
    address = hub.upload(folder, REPOSITORY, kind == "model", is_private)
    assert address.startswith(server.url)
    assert server.repositories == {REPOSITORY: Repository(kind, is_private, files_of(folder))}
    assert server.tokens == {f"Bearer {TOKEN}"}


def test_an_upload_into_a_repository_that_exists_is_a_commit(prepared, server):
    folder = prepared(MODEL)
    server.repositories[REPOSITORY] = Repository("model", False)
    hub.upload(folder, REPOSITORY, True, False)
    assert server.repositories[REPOSITORY].files == files_of(folder)


def test_nothing_that_is_to_be_private_goes_to_a_public_repository(prepared, server):
    server.repositories[REPOSITORY] = Repository("model", False)
    with pytest.raises(hub.HubError, match="is public, so nothing was uploaded"):
        hub.upload(prepared(MODEL), REPOSITORY, True, True)
    assert server.repositories[REPOSITORY].files == {}


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("repos/create", 401, "answered 401 .not logged in.; hf auth login, or set HF_TOKEN"),
        ("repos/create", 403, "answered 403 .not allowed.; take a token that may write there"),
        ("preupload", 404, "answered 404 .no such owner, or none that you may see.; correct OWNER/NAME"),
        ("commit", 409, "answered 409; wait, or see what the Hub says of it"),
    ],
)
def test_a_refusal_is_one_line_of_our_own_words_with_the_command_that_tries_again(prepared, server, path, status, message):
    server.refusals[path] = status
    folder = prepared(MODEL)
    with pytest.raises(hub.HubError, match=message) as caught:
        hub.upload(folder, REPOSITORY, True, False)
    assert f"then hf upload {REPOSITORY} {folder} . --repo-type model" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_one_line(prepared, server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(hub.HubError, match=r"127\.0\.0\.1 could not be reached, .* \(ConnectError\); see to the network and HF_ENDPOINT"):
        hub.upload(prepared(MODEL), REPOSITORY, True, False)


def test_offline_it_is_not_asked(tmp_path, monkeypatch):
    def create_repo(*_, **__):
        raise OfflineModeIsEnabled

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", create_repo)
    with pytest.raises(hub.HubError, match="was not asked, for HF_HUB_OFFLINE is set; unset it"):
        hub.upload(tmp_path, REPOSITORY, True, False)


@pytest.mark.parametrize("name", ["herd", "a/b/c", "../up", "some one/herd", "-x/-y", ""])
def test_a_name_that_the_hub_does_not_allow_is_refused(name):
    with pytest.raises(hub.HubError, match="not the name of a repository of the Hub; give OWNER/NAME"):
        hub.check_repository(name)


# The commands.


def said(*words, status=0):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, (done.output, done.exception)
    return done.stdout


@pytest.fixture
def here(bred, monkeypatch):
    monkeypatch.chdir(bred)


@pytest.mark.usefixtures("here")
def test_card_prints_or_writes_the_same_text_or_its_data(tmp_path):
    text = said("card", MODEL)
    said("card", MODEL, "--rev", "HEAD", "--output", str(tmp_path / "README.md"))
    assert (tmp_path / "README.md").read_text() == text
    assert json.loads(said("card", MODEL, "--json"))["name"] == MODEL


@pytest.mark.usefixtures("here")
def test_hub_writes_a_folder_and_uploads_it_where_that_is_asked_for(tmp_path, server):
    assert "13 files" in said("hub", CURATED, str(tmp_path / "first"))
    assert server.repositories == {}
    found = json.loads(said("hub", CURATED, str(tmp_path / "second"), "--upload", REPOSITORY, "--private", "--json"))
    assert found["commit"].startswith(server.url)
    assert server.repositories[REPOSITORY].files == files_of(tmp_path / "second") == files_of(tmp_path / "first")
    assert found["num_bytes"] == sum(map(len, files_of(tmp_path / "second").values()))


@pytest.mark.usefixtures("here")
def test_nothing_is_written_for_an_upload_that_cannot_be(tmp_path, monkeypatch, capsys):
    said("hub", MODEL, str(tmp_path / "new"), "--private", status=2)
    monkeypatch.setattr(sys, "argv", ["herdbook", "hub", MODEL, str(tmp_path / "new"), "--upload", "no owner"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.startswith("herdbook: no owner: not the name of a repository")
    assert list(tmp_path.iterdir()) == []


def test_the_commands_of_the_document_run(bred, tmp_path, monkeypatch, server):
    monkeypatch.chdir(bred)
    document = (ROOT / "docs/hub.md").read_text().replace("s3/g2", "s0/g1").replace("published", str(tmp_path / "published"))
    commands = re.findall(r"^    herdbook (.*?)(?:  +#.*)?$", document, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        assert said(*command.replace("OWNER/NAME", REPOSITORY).split())
    assert server.repositories[REPOSITORY].is_private
