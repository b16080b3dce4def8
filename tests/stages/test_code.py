from herdbook.code import fingerprint
from herdbook.files import read_json
from herdbook.layout import CODE, stage_names
from stages import code
from tests.pipeline import ROOT


def test_each_other_stage_gets_its_fingerprint_and_a_second_run_the_same_bytes(tmp_path, monkeypatch):
    for name in ("herdbook", "stages", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    code.main([])
    written = {path.stem: path.read_bytes() for path in CODE.iterdir()}
    assert set(written) == set(stage_names(ROOT)) - {"code"}
    assert read_json(CODE / "train.json") == fingerprint("train", ROOT)
    code.main([])
    assert {path.stem: path.read_bytes() for path in CODE.iterdir()} == written
