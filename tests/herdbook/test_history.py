import json
import re
import subprocess

import pytest
import yaml
from rich.console import Console

from herdbook.errors import BookError
from herdbook.files import digest, read_json
from herdbook.history import Version, as_json, drawn, log
from tests import miniature

TARGET = "replace/s0/g1/training"
PATH = "runs/replace/s0/g1/training"


def logged(root, target=TARGET, revision=None) -> list[Version]:
    before = digest(root)
    found = log(root, target, revision)
    assert digest(root) == before
    assert json.dumps(as_json(found))
    return found


def shown(versions) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(drawn(versions))
    return capture.get()


def head(root) -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def without(lock: str, stage: str) -> str:
    return re.sub(rf"(?m)^  {stage}:\n(    .*\n)*", "", lock)


def replaced(lock: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        lock = lock.replace(old, new)
    return lock


def out_of(root, path: str) -> str:
    outs = (out for stage in yaml.safe_load((root / "dvc.lock").read_text())["stages"].values() for out in stage["outs"])
    return next(out["md5"] for out in outs if out["path"] == path)


def test_a_version_has_commit_digest_verdict_and_depth(bred):
    (version,) = logged(bred)
    entry = read_json(bred / f"book/entries/{TARGET}.json")
    assert (version.commit, version.digest, version.verdict) == (head(bred), entry["digest"], entry["inspection"]["verdict"])
    assert version.depth == entry["contents"]["depth"]
    assert version.md5 == out_of(bred, PATH)
    assert entry["digest"][:12] in shown([version])


def test_a_generation_that_was_not_bred_says_so(bred):
    (version,) = logged(bred, "curated/s0/g1/model")
    assert version.verdict == "not bred"


def test_what_no_stage_makes_has_versions_too(bred):
    (version,) = logged(bred, "corpus")
    assert version.md5 == yaml.safe_load((bred / "data.dvc").read_text())["outs"][0]["md5"]


def test_commits_in_a_row_with_the_same_bytes_are_one_version_shown_with_the_oldest(project):
    first, lock = head(project), (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(without(lock, "report"))
    miniature.commit(project, "without the report")
    (version,) = logged(project)
    assert version.commit == first


def test_commits_without_the_artefact_or_without_a_lock_are_left_out(project):
    first, lock = head(project), (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(without(lock, "blend@replace-s0-from_g0"))
    miniature.commit(project, "without the training set")
    (project / "dvc.lock").unlink()
    miniature.commit(project, "without a lock")
    (project / "dvc.lock").write_text("stages: [\n")
    miniature.commit(project, "a broken lock")
    (project / "dvc.lock").write_text(lock)
    last = miniature.commit(project, "as before")
    assert [version.commit for version in logged(project)] == [last, first]


def test_a_version_from_before_the_book_has_its_md5_and_the_verdict_of_its_receipt(project):
    lock = (project / "dvc.lock").read_text()
    other = out_of(project, "runs/replace/s0/g0/training")
    (project / "dvc.lock").write_text(without(lock, "book").replace(out_of(project, PATH), other))
    old = miniature.commit(project, "before the book")
    (project / "dvc.lock").write_text(lock)
    miniature.commit(project, "as before")
    _, version, _ = logged(project)
    assert (version.commit, version.digest, version.md5, version.depth) == (old, None, other, None)
    assert version.verdict == read_json(project / "records/replace/s0/g1/training/receipt.json")["status"]
    assert f"md5 {other[:12]}" in shown([version])


def test_the_same_bytes_before_and_after_there_was_a_book_are_one_version(project):
    lock = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(without(lock, "book"))
    subprocess.run(["git", "update-ref", "-d", "HEAD"], cwd=project, check=True)
    old = miniature.commit(project, "before the book")
    (project / "dvc.lock").write_text(lock)
    miniature.commit(project, "the book")
    (version,) = logged(project)
    assert (version.commit, version.subject) == (old, "before the book")
    assert version.digest == read_json(project / f"book/entries/{TARGET}.json")["digest"]


def test_a_verdict_that_is_not_at_hand_is_a_dash_and_the_rest_is_told(project):
    lock = (project / "dvc.lock").read_text()
    paths = ("book", PATH, "records/replace/s0/g1/training")
    nowhere = {out_of(project, path): f"{digit * 32}.dir" for digit, path in zip("012", paths, strict=True)}
    (project / "dvc.lock").write_text(replaced(lock, nowhere))
    miniature.commit(project, "other bytes that are nowhere")
    newest = logged(project)[0]
    assert (newest.md5, newest.digest, newest.verdict) == ("1" * 32 + ".dir", None, None)
    assert " -  " in shown([newest])


def test_the_versions_up_to_a_revision(project):
    first, lock = head(project), (project / "dvc.lock").read_text()
    nowhere = {out_of(project, path): f"{digit * 32}.dir" for digit, path in (("0", "book"), ("1", PATH))}
    (project / "dvc.lock").write_text(replaced(lock, nowhere))
    last = miniature.commit(project, "another")
    assert [version.commit for version in logged(project)] == [last, first]
    assert [version.commit for version in logged(project, revision="HEAD~1")] == [first]


def test_a_project_below_the_top_of_its_repository_has_a_history_too(project, tmp_path):
    (project / ".git").rename(tmp_path / ".git")
    miniature.commit(tmp_path, "moved down")
    assert len(logged(project)) == 1


def test_an_unknown_target_or_revision_is_told(bred):
    with pytest.raises(BookError, match=r"did you mean replace/s0/g1/training"):
        log(bred, "replace/s0/g1/trainign")
    with pytest.raises(BookError, match=r"^v9: git knows no such revision"):
        log(bred, TARGET, "v9")


def test_a_project_without_commits_is_told(project):
    subprocess.run(["git", "update-ref", "-d", "HEAD"], cwd=project, check=True)
    with pytest.raises(BookError, match=r"so there is no history to look through"):
        log(project, TARGET)


def test_an_authors_name_does_not_steer_a_terminal(bred):
    from dataclasses import replace

    assert "\x1b[2J" not in shown([replace(log(bred, TARGET)[0], author="\x1b[2J", subject="\x1b[2J")])
