"""Attestations: when, where, by whom and at what cost a run made what the book tells of.

None of it is an input, so none of it is in an entry: equal books may have many attestations. Each is an in-toto
Statement about the files that its run made, in a DSSE envelope signed with the key that HERDBOOK_SIGNING_KEY names."""

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.book import INDEX, Book
from herdbook.errors import FileError, HerdbookError
from herdbook.exports.executions import NAMESPACE
from herdbook.exports.slsa import PROVENANCE, STATEMENT, files, statement
from herdbook.files import canonical_json, write_json
from herdbook.lineage import NOT_BRED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from securesystemslib.dsse import Envelope

KEY = "HERDBOOK_SIGNING_KEY"  # names a PEM file with an ed25519 private key, unencrypted and its owner's alone
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # it becomes part of a file's name
_GENERATE = "openssl genpkey -algorithm ed25519 -out FILE; chmod 600 FILE"


class AttestationError(HerdbookError):
    """An attestation cannot be made, signed, read or verified."""


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """How one stage came about in a run; `command` is that of dvc.lock, `started` RFC 3339."""

    name: str
    command: str
    started: str
    seconds: float
    peak_memory_bytes: int | None
    how: str  # ran, or restored from the run-cache


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """How a run came about; `started` and `finished` are RFC 3339."""

    run_id: str
    started: str
    finished: str
    host: str
    user: str
    stages: tuple[StageFacts, ...]


def attestation(book: Book, run: RunFacts) -> dict[str, Any]:
    """The statement that `run` made what its stages that ran made; subjects are the files, as the book names them.

    Of a run that made nothing the subject is the book's index. Raises AttestationError for an id that names no file."""
    _demand_id(run.run_id)
    ran = {stage.command for stage in run.stages if stage.how == "ran"}
    made = [entry for entry in book.entries.values() if entry["stage"]["command"] in ran and entry["status"] != NOT_BRED]
    index = {"name": INDEX.as_posix(), "digest": {"sha256": book.root}}
    predicate = {
        "buildDefinition": {
            "buildType": f"{NAMESPACE}:run:1",
            "externalParameters": {"root": book.root, "stages": [stage.name for stage in run.stages]},
            "internalParameters": {"host": run.host, "user": run.user},
            "resolvedDependencies": [file for entry in book.entries.values() if not entry["stage"]["command"] for file in files(entry)],
        },
        "runDetails": {
            "builder": {"id": f"{NAMESPACE}:flow"},
            "metadata": {"invocationId": run.run_id, "startedOn": run.started, "finishedOn": run.finished},
            "byproducts": [{"name": stage.name, "annotations": _annotations(stage)} for stage in run.stages],
        },
    }
    return statement([file for entry in made for file in files(entry)] or [index], PROVENANCE, predicate)


def demand_key() -> None:
    """Refuse a key that could not sign, before a run rather than after it. Raises AttestationError."""
    if key := os.environ.get(KEY):
        _private(Path(key))


def _annotations(stage: StageFacts) -> dict[str, Any]:
    facts = {"command": stage.command, "how": stage.how, "started": stage.started, "seconds": stage.seconds}
    return facts if stage.peak_memory_bytes is None else {**facts, "peak_memory_bytes": stage.peak_memory_bytes}


def _demand_id(run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise AttestationError(f"{run_id[:80]}: not the id of a run; allowed: up to 128 letters, digits, dots, dashes and underscores")


def write(attested: Mapping[str, Any], directory: Path) -> Path:
    """Write an attestation to DIRECTORY/ROOT-RUN.json, whole or not at all, signed if HERDBOOK_SIGNING_KEY names a key.

    Raises AttestationError where the key cannot be used; then nothing is written."""
    root = attested["predicate"]["buildDefinition"]["externalParameters"]["root"]
    run_id = attested["predicate"]["runDetails"]["metadata"]["invocationId"]
    _demand_id(run_id)
    path = directory / f"{root[:12]}-{run_id}.json"
    key = os.environ.get(KEY)
    write_json(path, _signed(attested, _private(Path(key))) if key else attested)
    return path


def read(path: Path) -> dict[str, Any]:
    """The statement of an attestation, signed or not; nothing is verified. Raises AttestationError where it is none."""
    found = _json(path)
    return _statement(_envelope(found, path).payload if "payload" in found else canonical_json(found).encode(), path)


def verify(path: Path, public_key: Path) -> dict[str, Any]:
    """The statement of an attestation that the key signed. Raises AttestationError where it did not, or nobody has."""
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    found = _json(path)
    if "payload" not in found:
        raise AttestationError(
            f"{path}: is not signed, so anyone may have written it; with {KEY} set, the next run that makes anything signs"
        )
    envelope, key = _envelope(found, path), _public(public_key)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise AttestationError(f"{path}: signs {envelope.payload_type[:80]!r}, must be {PAYLOAD_TYPE}; it is no attestation")
    try:
        envelope.verify([SSlibKey.from_crypto(key)], 1)
    except VerificationError as error:
        raise AttestationError(f"{path}: {public_key} did not sign this; it was altered, or signed with another key") from error
    return _statement(envelope.payload, path)


def _signed(attested: Mapping[str, Any], key: "PrivateKeyTypes") -> dict[str, Any]:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    envelope = Envelope(canonical_json(attested).encode(), PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key))
    signed: dict[str, Any] = envelope.to_dict()
    return signed


def _private(path: Path) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise AttestationError(f"{path}: others may read this key ({stat.filemode(mode)}); chmod 600 {path}, or make a new one")
            key = load_pem_private_key(file.read(), password=None)
    except OSError as error:
        raise AttestationError(f"{path}: cannot be read ({error.strerror}), but {KEY} names it; make one: {_GENERATE}") from error
    except TypeError:
        raise AttestationError(f"{path}: is encrypted, and nobody is there to type a passphrase; make one without: {_GENERATE}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise AttestationError(f"{path}: not a private key in PEM; make one: {_GENERATE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise AttestationError(f"{path}: a key of another kind, must be ed25519; make one: {_GENERATE}")
    return key


def _public(path: Path) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    hint = "openssl pkey -in PRIVATE -pubout -out PUBLIC makes one"
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise AttestationError(f"{path}: cannot be read ({error.strerror}); {hint}") from error
    except (ValueError, UnsupportedAlgorithm):
        raise AttestationError(f"{path}: not a public key in PEM; {hint}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise AttestationError(f"{path}: a key of another kind, must be ed25519; {hint}")
    return key


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise FileError(f"{path}: not found; attestations lie in attestations/") from error
    except (ValueError, RecursionError, OSError) as error:
        raise AttestationError(f"{path}: not JSON ({error}), so no attestation; get it anew from who wrote it") from error
    if not isinstance(found, dict):
        raise AttestationError(f"{path}: not an attestation; get it anew from who wrote it")
    return found


def _envelope(found: dict[str, Any], path: Path) -> "Envelope":
    from securesystemslib.dsse import Envelope

    try:
        envelope = Envelope.from_dict(found)
        _ = envelope.pae()
    except Exception as error:  # what is missing or of another type shows anywhere in it
        raise AttestationError(f"{path}: not a whole envelope ({type(error).__name__}); get it anew from who wrote it") from error
    return envelope


def _statement(payload: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("_type") != STATEMENT:
        raise AttestationError(f"{path}: holds no in-toto statement; get it anew from who wrote it")
    return found
