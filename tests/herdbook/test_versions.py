import json
import re
import subprocess

import pytest
from rich.console import Console

from herdbook.errors import BookError
from herdbook.files import digest
from herdbook.snapshot import snapshot
from herdbook.versions import Change, as_json, diff, drawn
from tests import miniature


def compared(root, old, new=None, target=None) -> dict[str, Change]:
    before = digest(root)
    with snapshot(root, old) as then, snapshot(root, new) as now:
        found = diff(then, now, target)
    assert digest(root) == before
    assert json.dumps(as_json(found))
    return {change.name: change for change in found}


def shown(changes, target=None) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(drawn(list(changes.values()), target))
    return capture.get()


def test_what_changed_is_told_with_its_cause_root_causes_first(changed):
    found = compared(changed, "HEAD~1")
    names = ("g0/training", "g0/curated", "g1/training", "g1/model", "g1/offspring", "g1/curated")  # g0's is inspected by the recipe too
    assert list(found) == [f"replace/s0/{name}" for name in names]
    root = found["replace/s0/g0/curated"]
    assert ("parameter", "regimes.replace.recipe.num_rows", 150, 149) in [(c.kind, c.name, c.old, c.new) for c in root.causes]
    assert [change.is_root for change in found.values()] == [True, False, False, False, False, False]
    assert ("parent", "replace/s0/g0/curated") in [(c.kind, c.name) for c in found["replace/s0/g1/training"].causes]
    said = shown(found)
    assert "regimes.replace.recipe.num_rows 150 -> 149" in said
    assert "its parents" not in said
    assert "5 more descend from these, 0 of them with the same bytes" in said


def test_a_target_is_told_with_its_rows_figures_and_verdict(changed):
    found = compared(changed, "HEAD~1", "HEAD", "replace/s0/g0/curated")
    change = found["replace/s0/g0/curated"]
    assert change.rows == {"num_added": 0, "num_removed": 1, "num_kept": 149}
    assert change.figures["contents.composition.g0.rows"] == [150, 149]
    assert change.figures["profile.num_rows"] == [150, 149]
    assert change.figures["counts.num_surplus"] == [0, 1]
    assert change.verdicts == ("passed", "passed")
    assert not change.is_same_bytes
    assert "rows by id: 0 added, 1 removed, 149 kept" in shown(found, "replace/s0/g0/curated")


def test_the_ancestors_of_a_target_follow_down_to_the_root_cause(changed):
    found = compared(changed, "HEAD~1", "HEAD", "replace/s0/g1/model")
    assert list(found)[:3] == ["replace/s0/g1/model", "replace/s0/g1/training", "replace/s0/g0/curated"]
    assert [name for name, change in found.items() if change.is_root] == ["replace/s0/g0/training"]


def test_a_digest_of_either_side_is_a_target(changed):
    old = compared(changed, "HEAD~1")["replace/s0/g1/model"].digests[0]
    assert next(iter(compared(changed, "HEAD~1", "HEAD", old))) == "replace/s0/g1/model"


def test_the_same_revision_twice_has_no_change(bred):
    found = compared(bred, "HEAD", "HEAD")
    assert found == {}
    assert "every dataset and model is the same in both" in shown(found)
    assert compared(bred, "HEAD", "HEAD", "human/train") == {}
    assert "human/train: the same in both" in shown({}, "human/train")


def test_a_figure_that_cannot_be_read_is_said_to_be_missing_and_the_rest_is_told(changed, tmp_path):
    root = tmp_path / "project"
    miniature.copy(changed, root)
    for path in ("runs/replace/s0/g0/curated/rows.parquet", "records/replace/s0/g0/offspring/profile.json"):
        (root / path).chmod(0o644)
        (root / path).write_bytes(b"{")
    change = compared(root, "HEAD~1", None, "replace/s0/g0/curated")["replace/s0/g0/curated"]
    assert change.rows is None
    assert change.figures["contents.num_rows"] == [150, 149]
    assert [line.split(":")[0] for line in change.missing] == [
        "records/replace/s0/g0/offspring/profile.json of the workspace",
        "runs/replace/s0/g0/curated/rows.parquet of the workspace",
    ]


def test_a_revision_that_git_does_not_know_is_told(bred):
    with pytest.raises(BookError, match=r"^v9: git knows no such revision here"):
        compared(bred, "v9")


def test_a_target_that_neither_side_has_is_told_with_a_near_match(bred):
    with pytest.raises(BookError, match=r"did you mean human/train"):
        compared(bred, "HEAD", None, "human/trian")


def test_a_revision_without_a_book_is_told_with_the_first_that_has_one(project):
    first = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=project, check=True, capture_output=True, text=True).stdout.strip()
    lock = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(re.sub(r"(?m)^  book:\n(    .*\n)*", "", lock))
    (project / "reports/book.json").unlink()
    miniature.commit(project, "no book")
    with pytest.raises(BookError, match=rf"^HEAD: its pipeline wrote no book; the first one is in {first} of "):
        compared(project, "HEAD")


def test_a_revision_without_a_pipeline_is_told(project):
    (project / "dvc.lock").unlink()
    miniature.commit(project, "no lock")
    with pytest.raises(BookError, match=r"^HEAD: has no dvc\.lock, so no pipeline was run there"):
        compared(project, "HEAD")


def test_names_from_a_book_do_not_steer_a_terminal():
    change = Change(
        name="\x1b[2J", state="appeared", digests=(None, "d"), causes=(), verdicts=(None, "passed"), figures={"\x1b[1m": [None, "\x1b[1m"]}
    )
    assert "\x1b[2J" not in shown({"a": change}, "a")
    assert "passed" in shown({"a": change})
