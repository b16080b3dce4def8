"""A model or dataset of the book as a folder for the Hugging Face Hub, and its upload.

Every byte is checked against the book as it is copied. Nothing leaves the machine but by `upload`."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from herdbook.book import Book, entry_path
from herdbook.card import ATTRIBUTION, Facts, facts, published
from herdbook.card_page import page
from herdbook.entry import Entry, paths_of
from herdbook.errors import BookError, FileError, HerdbookError
from herdbook.exports import as_text, book_json, croissant
from herdbook.files import digest, written_aside
from herdbook.hashing import sha256_of
from herdbook.layout import CORPUS
from herdbook.lineage import NOT_BRED
from herdbook.phases import Advance, Begin, unseen
from herdbook.snapshot import Snapshot

CARD = "README.md"
SUMS = "SHA256SUMS"
_ABOUT = "herdbook"  # the folder of what the book says, beside the data


class HubError(HerdbookError):
    """A repository of the Hub cannot be made or written to."""


def prepare(target: str, folder: Path, book: Book, snapshot: Snapshot, begin: Begin = unseen) -> Facts:
    """Write a folder that the Hub takes and transformers or datasets load; what its card tells (card.facts).

    Raises BookError where bytes are not those that the book names, MissingError where they cannot be had, FileError where
    `folder` holds something or cannot be written. On failure nothing is left behind."""
    _demand_empty(folder)
    told = facts(target, book, snapshot)
    entry = book.entries[told["name"]]
    sources = {**_copies(entry, book), **_records(entry, book)}
    places: dict[str, Path] = {}
    advance = begin("where its files lie", len(sources))
    for place, (path, _) in sources.items():
        places[place] = snapshot.local(path)
        advance(1)
    with written_aside(folder.resolve()) as aside:
        advance = begin("copied and hashed", sum(place.stat().st_size for place in places.values()))
        for place, (path, sha256) in sources.items():
            _copy(places[place], aside / place, path, sha256, advance)
        (aside / _ABOUT / "book.json").write_text(as_text(book_json.document(book, snapshot, entry["name"])), encoding="utf-8")
        if not told["is_model"]:
            (aside / "croissant.json").write_text(as_text(_croissant(entry, book, snapshot)), encoding="utf-8")
        sums = {place: sha256 for place, (_, sha256) in sources.items()}
        written = {path.relative_to(aside).as_posix(): path for path in aside.rglob("*") if path.is_file()}
        sums |= {place: digest(written[place]) for place in written.keys() - sums.keys()}
        (aside / SUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)), encoding="utf-8")
        (aside / CARD).write_text(page(told), encoding="utf-8", newline="\n")
    return told


def _demand_empty(folder: Path) -> None:
    if folder.is_dir() and (found := next(folder.iterdir(), None)):
        raise FileError(f"{folder}: holds {found.name} already, and nothing is written over; name a new or an empty folder")
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is no folder; name a new or an empty one")


def _copies(entry: Entry, book: Book) -> dict[str, tuple[Path, str]]:
    """(path in the project, sha256) of each file that is data, by its place in the folder; the corpus's attribution with it."""
    found = {place: (path, paths_of(entry)[path]) for place, path in published(entry).items()}
    attribution = CORPUS / CARD
    if (sha256 := paths_of(book.entries["corpus"]).get(attribution)) is not None:
        found[ATTRIBUTION] = (attribution, sha256)
    return found


def _records(entry: Entry, book: Book) -> dict[str, tuple[Path, str]]:
    """What the book and the records say: the entry, what was counted or measured, receipt and profile (a model's: of its training set)."""
    found = {"entry.json": (entry_path(entry["name"]), book.ids[entry["name"]])}
    found |= {Path(path).name: (Path(path), sha256) for path, sha256 in entry["records"].items()}
    inspected = next((parent for role, parent in book.parents(entry) if role == "training" and entry["kind"] == "model"), entry)
    if (inspection := inspected["inspection"]) and inspection["verdict"] != NOT_BRED:
        found |= {f"{part}.json": (Path(inspection[part]["path"]), inspection[part]["sha256"]) for part in ("receipt", "profile")}
    return {f"{_ABOUT}/{name}": source for name, source in found.items()}


def _copy(source: Path, to: Path, path: Path, sha256: str, advance: Advance) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    if (now := sha256_of(to, advance)) != sha256:
        raise BookError(f"{path}: sha256 is {now[:12]}, the book names {sha256[:12]}; run herdbook audit")


def _croissant(entry: Entry, book: Book, snapshot: Snapshot) -> dict[str, Any]:
    """The document of herdbook export, its files named as they lie in the folder."""
    places = {path.as_posix(): place for place, path in published(entry).items()}
    document = croissant.dataset(book, snapshot, entry["name"])
    files = [{**file, "contentUrl": places[file["contentUrl"]]} for file in document["distribution"]]
    return {**document, "distribution": files}


def check_repository(repository: str) -> None:
    """HubError unless a text is of the form OWNER/NAME that the Hub allows."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # documented there, but not re-exported for mypy

    try:
        validate_repo_id(repository)
        is_valid = repository.count("/") == 1
    except HFValidationError:
        is_valid = False
    if not is_valid:
        raise HubError(f"{repository}: not the name of a repository of the Hub; give OWNER/NAME, of letters, digits, -, _ and .")


def upload(folder: Path, repository: str, is_model: bool, private: bool) -> str:
    """Make the repository where it is missing, and upload a prepared folder to it; the address of the commit.

    The token is that of the environment (HF_TOKEN) or of `hf auth login`, the endpoint that of HF_ENDPOINT.
    Raises HubError where the Hub does not take it, or where `private` is asked of a repository that is public."""
    from huggingface_hub import HfApi

    kind = "model" if is_model else "dataset"
    api = HfApi()
    try:
        api.create_repo(repository, repo_type=kind, private=private or None, exist_ok=True)
        if private and not api.repo_info(repository, repo_type=kind).private:
            raise HubError(f"{repository}: is public, so nothing was uploaded; make it private on the Hub, or leave --private out")
        commit = api.upload_folder(repo_id=repository, repo_type=kind, folder_path=folder, commit_message="Upload of herdbook hub")
    except HubError:
        raise
    except Exception as error:  # huggingface_hub, httpx2 and the socket below them each raise their own
        again = f"{folder} is whole: then hf upload {repository} {folder} . --repo-type {kind}"
        raise HubError(f"{repository}: {urlsplit(api.endpoint).hostname} {_why(error)}; {again}") from error
    return str(commit.commit_url)


def _why(error: Exception) -> str:
    """What went wrong and what to do, in words of our own: a message of the library may hold more than is to be seen."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "was not asked, for HF_HUB_OFFLINE is set; unset it"
    status = getattr(getattr(error, "response", None), "status_code", None)
    match status:
        case None:
            return f"could not be reached, or gave no answer that can be read ({type(error).__name__}); see to the network and HF_ENDPOINT"
        case 401:
            return "answered 401 (not logged in); hf auth login, or set HF_TOKEN to a token that may write"
        case 403:
            return "answered 403 (not allowed); take a token that may write there"
        case 404:
            return "answered 404 (no such owner, or none that you may see); correct OWNER/NAME"
    return f"answered {status}; wait, or see what the Hub says of it"
