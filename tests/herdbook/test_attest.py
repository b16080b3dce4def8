import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToDict, ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from herdbook import attest
from herdbook.attest import AttestationError, RunFacts, StageFacts
from herdbook.errors import FileError, HerdbookError
from herdbook.exports.executions import files_of
from herdbook.snapshot import book_of, snapshot

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
TRAIN, SAMPLE = "python -m stages train replace s0 g1", "python -m stages sample replace s0 g1"
RUN = RunFacts(
    run_id="0199b1a0-0000-7000-8000-000000000001",
    started="2026-01-02T03:04:05Z",
    finished="2026-01-02T03:05:05.500Z",
    host="barn",
    user="breeder",
    stages=(
        StageFacts(
            name="train@replace-s0-g1", command=TRAIN, started="2026-01-02T03:04:06Z", seconds=3.5, peak_memory_bytes=1 << 20, how="ran"
        ),
        StageFacts(
            name="sample@replace-s0-g1", command=SAMPLE, started="2026-01-02T03:04:10Z", seconds=0.1, peak_memory_bytes=None, how="restored"
        ),
    ),
)


@pytest.fixture(scope="module")
def book(bred):
    with snapshot(bred) as now:
        return book_of(now)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(attest.KEY, raising=False)


def written(key, path, encryption=None, mode=0o600):
    path.write_bytes(key.private_bytes(PEM, PKCS8, encryption or serialization.NoEncryption()))
    path.chmod(mode)
    return path


def public(key, path):
    path.write_bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


@pytest.fixture
def signed(book, tmp_path, monkeypatch):
    """(attestation file, public key file) of a run signed with a key of its own."""
    key = Ed25519PrivateKey.generate()
    monkeypatch.setenv(attest.KEY, str(written(key, tmp_path / "key.pem")))
    return attest.write(attest.attestation(book, RUN), tmp_path / "attestations"), public(key, tmp_path / "key.pub")


def test_it_is_a_statement_of_in_toto_with_provenance_of_slsa(book):
    statement = attest.attestation(book, RUN)
    message = ParseDict(statement, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    assert MessageToDict(message) == statement
    assert MessageToDict(ParseDict(statement["predicate"], Provenance())) == statement["predicate"]


def test_its_subjects_are_the_files_that_the_run_made_and_none_that_it_restored(book):
    statement = attest.attestation(book, RUN)
    files = {file["name"]: file["digest"]["sha256"] for file in statement["subject"]}
    assert files == {path: file["sha256"] for path, file in files_of(book.entries["replace/s0/g1/model"]).items()}


def test_it_says_when_where_who_and_at_what_cost(book):
    predicate = attest.attestation(book, RUN)["predicate"]
    assert predicate["runDetails"]["metadata"] == {"invocationId": RUN.run_id, "startedOn": RUN.started, "finishedOn": RUN.finished}
    assert predicate["buildDefinition"]["internalParameters"] == {"host": "barn", "user": "breeder"}
    assert predicate["buildDefinition"]["externalParameters"]["root"] == book.root
    train, sample = predicate["runDetails"]["byproducts"]
    assert train["annotations"] == {
        "command": TRAIN, "how": "ran", "started": "2026-01-02T03:04:06Z", "seconds": 3.5, "peak_memory_bytes": 1 << 20,
    }  # fmt: skip
    assert "peak_memory_bytes" not in sample["annotations"]


@pytest.mark.parametrize("stages", [(), RUN.stages[1:]])
def test_a_run_that_made_nothing_is_about_the_index(book, stages):
    statement = attest.attestation(book, replace(RUN, stages=stages))
    assert statement["subject"] == [{"name": "book/index.json", "digest": {"sha256": book.root}}]


def test_what_was_not_bred_is_no_subject(book):
    stage = replace(RUN.stages[0], command="python -m stages train curated s0 g1")
    assert attest.attestation(book, replace(RUN, stages=(stage,)))["subject"][0]["name"] == "book/index.json"


def test_unsigned_it_is_read_as_it_was_written(book, tmp_path):
    statement = attest.attestation(book, RUN)
    path = attest.write(statement, tmp_path / "attestations")
    assert path.name == f"{book.root[:12]}-{RUN.run_id}.json"
    assert attest.read(path) == statement
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_unsigned_one_does_not_verify(book, tmp_path):
    path = attest.write(attest.attestation(book, RUN), tmp_path)
    with pytest.raises(AttestationError, match="is not signed, so anyone may have written it"):
        attest.verify(path, public(Ed25519PrivateKey.generate(), tmp_path / "key.pub"))


def test_a_signed_one_verifies_with_the_public_key(book, signed):
    path, key = signed
    assert attest.verify(path, key) == attest.read(path) == attest.attestation(book, RUN)
    envelope = json.loads(path.read_text())
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    assert envelope["payloadType"] == "application/vnd.in-toto+json"


def test_a_key_is_in_nothing_that_is_written(signed):
    path, _ = signed
    text = path.read_text() + base64.b64decode(json.loads(path.read_text())["payload"]).decode()
    secret = (path.parent.parent / "key.pem").read_text().splitlines()[1]
    assert secret not in text
    assert "key.pem" not in text


def test_another_key_does_not_verify(signed, tmp_path):
    path, _ = signed
    with pytest.raises(AttestationError, match="did not sign this; it was altered, or signed with another key"):
        attest.verify(path, public(Ed25519PrivateKey.generate(), tmp_path / "other.pub"))


def _altered_payload(envelope):
    statement = base64.b64decode(envelope["payload"]).replace(b"breeder", b"nobody1")
    return {**envelope, "payload": base64.b64encode(statement).decode()}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_altered_payload, "did not sign this"),
        (lambda e: {**e, "payloadType": "text/plain"}, "signs 'text/plain', must be application/vnd.in-toto"),
        (lambda e: {**e, "signatures": []}, "did not sign this"),
        (lambda e: {**e, "signatures": [{**e["signatures"][0], "sig": base64.b64encode(bytes(64)).decode()}]}, "did not sign this"),
        (lambda e: {**e, "signatures": [{**e["signatures"][0], "sig": ""}]}, "did not sign this"),
        (lambda e: {"payload": e["payload"]}, "not a whole envelope"),
        (lambda e: {**e, "payload": 1}, "not a whole envelope"),
        (lambda e: {**e, "payloadType": 1}, "not a whole envelope"),
        (lambda e: {**e, "signatures": None}, "not a whole envelope"),
        (lambda e: [e], "not an attestation"),
    ],
)
def test_a_damaged_one_fails_in_one_line(signed, damage, message):
    path, key = signed
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(AttestationError, match=message) as caught:
        attest.verify(path, key)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100000, b"{}"])
def test_what_is_no_attestation_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(AttestationError, match=r"a\.json: (not JSON|holds no in-toto statement)"):
        attest.read(path)


def test_one_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileError, match=r"gone\.json: not found"):
        attest.read(tmp_path / "gone.json")


def _directory(path):
    path.mkdir(mode=0o700)


KEYS = [
    (lambda path: None, r"key\.pem: cannot be read \(No such file or directory\), but HERDBOOK_SIGNING_KEY names it"),
    (_directory, r"key\.pem: cannot be read \(Is a directory\)"),
    (lambda path: written(Ed25519PrivateKey.generate(), path, mode=0o644), r"others may read this key \(-rw-r--r--\); chmod 600"),
    (lambda path: written(Ed25519PrivateKey.generate(), path, mode=0o640), "others may read this key"),
    (lambda path: (path.write_text("hush"), path.chmod(0o600)), "not a private key in PEM; make one: openssl genpkey"),
    (lambda path: (path.write_bytes(b"\xff\x00"), path.chmod(0o600)), "not a private key in PEM"),
    (lambda path: (public(Ed25519PrivateKey.generate(), path), path.chmod(0o600)), "not a private key in PEM"),
    (lambda path: written(Ed25519PrivateKey.generate(), path, serialization.BestAvailableEncryption(b"hush")), "is encrypted"),
    (lambda path: written(ec.generate_private_key(ec.SECP256R1()), path), "a key of another kind, must be ed25519"),
]


@pytest.mark.parametrize(("lay", "message"), KEYS)
def test_a_key_that_cannot_sign_is_refused_in_one_line_and_nothing_is_written(book, tmp_path, monkeypatch, lay, message):
    lay(tmp_path / "key.pem")
    monkeypatch.setenv(attest.KEY, str(tmp_path / "key.pem"))
    for use in (attest.demand_key, lambda: attest.write(attest.attestation(book, RUN), tmp_path / "attestations")):
        with pytest.raises(AttestationError, match=message) as caught:
            use()
        assert "\n" not in str(caught.value)
        assert "hush" not in str(caught.value)
    assert not (tmp_path / "attestations").exists()


def test_without_a_key_none_is_demanded():
    attest.demand_key()


@pytest.mark.parametrize("text", [None, b"hush", b""])
def test_a_public_key_that_is_none_is_refused(signed, tmp_path, text):
    path, _ = signed
    if text is not None:
        (tmp_path / "bad.pub").write_bytes(text)
    with pytest.raises(AttestationError, match=r"bad\.pub: .*openssl pkey -in PRIVATE -pubout -out PUBLIC makes one"):
        attest.verify(path, tmp_path / "bad.pub")


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "x" * 129, "a\n"])
def test_an_id_that_could_not_be_a_name_is_refused(book, run_id):
    with pytest.raises(HerdbookError, match="not the id of a run"):
        attest.attestation(book, replace(RUN, run_id=run_id))


def test_a_disk_that_refuses_leaves_nothing(book, tmp_path):
    (tmp_path / "attestations").write_text("a file, not a folder")
    with pytest.raises(FileError, match="cannot be written"):
        attest.write(attest.attestation(book, RUN), tmp_path / "attestations")
