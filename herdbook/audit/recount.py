"""What rows and text say, counted anew: whose rows they are, how many, what was rejected, what is held out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from herdbook.artefacts import Artefact
from herdbook.audit.curation import curated_findings, steps_of, teachers
from herdbook.audit.evidence import Evidence, file_at
from herdbook.audit.finding import Finding, finding, guarded
from herdbook.audit.mixing import mixture_findings
from herdbook.audit.tables import HeldOut, Table, read_documents, read_held_out, read_rows
from herdbook.entry import ROW_KINDS, Entry, weights_of
from herdbook.errors import FileError
from herdbook.files import rounded
from herdbook.layout import CORPUS, HUMAN_HELD_OUT_DOCUMENTS, HUMAN_REFERENCE, HUMAN_TRAIN_DOCUMENTS, MAKING, SPLIT
from herdbook.params import Params
from herdbook.phases import Advance, unseen
from herdbook.recipe import writes
from herdbook.reference import SHARED_WORDS

_TOLERANCE = 1e-9  # a mean is a sum of floats, whose order may differ
_ALL_DOCUMENTS, _SIDES = CORPUS / "corpus.parquet", (HUMAN_TRAIN_DOCUMENTS, HUMAN_HELD_OUT_DOCUMENTS)


class Recount:
    """The rows of a herd against its book; each table is kept only as long as a descendant is to be compared with it."""

    def __init__(self, made: list[Artefact], entries: Mapping[str, Entry], evidence: Evidence, params: Params) -> None:
        self._entries, self._evidence, self._params = entries, evidence, params
        self._made = {artefact.name: artefact for artefact in made if self._is_there(artefact.name)}
        self._written = {made.rows for made in self._made.values() if made.kind in ("human", "offspring") or self._writes(made)}
        self._models = {weights_of(entry): name for name, entry in entries.items() if entry["kind"] == "model"}
        self._tables: dict[str, Table] = {}  # by sha256
        self._uses = Counter(self._key(path) for artefact in self._made.values() for path in self._reads(artefact))
        self._copied: set[bytes] = set()
        self._held_out: HeldOut | None = None

    def _is_there(self, name: str) -> bool:
        """Whether an artefact was bred, and lies there as it was: of what was altered, more is not asked."""
        if (entry := self._entries.get(name)) is None or entry["status"] != "bred":
            return False
        return all(self._key(file_at(Path(entry["path"]), file)) == told["sha256"] for file, told in entry["files"].items())

    def _writes(self, artefact: Artefact) -> bool:
        """Whether a curated set has rows that steps wrote, by its recipe or by its hands: these are looked at as what models write."""
        if artefact.kind != "curated":
            return False
        hands = self._evidence.local(artefact.path / "hands.parquet")
        return writes(steps_of(artefact, self._params)) or pq.read_metadata(hands).num_rows > 0

    def tables(self, advance: Advance) -> Iterator[list[Finding]]:
        """What is wrong with each table of rows, parents first; `advance` is told of the rows that were read."""
        for artefact in self._compared():
            yield guarded(artefact.path, partial(self._table, artefact, advance))

    def _compared(self) -> Iterator[Artefact]:
        """The tables whose parents are all there."""
        for artefact in self._made.values():
            if artefact.kind in ROW_KINDS and all(name in self._made for _, name in artefact.parents):
                yield artefact

    def num_rows(self) -> int:
        """How many rows `tables` reads: those of each distinct table, once."""
        distinct = {self._key(path): path for artefact in self._compared() for path in self._reads(artefact)}
        return self._num_rows(distinct.values())

    def documents(self, advance: Advance) -> Iterator[list[Finding]]:
        """What is wrong with the split of the corpus, and with the n-grams of held-out text that profiles were measured by.

        `advance` is told of the documents that were read."""
        yield guarded(HUMAN_TRAIN_DOCUMENTS, partial(self._split, advance))
        yield guarded(HUMAN_REFERENCE, self._reference)

    def num_documents(self) -> int:
        """How many documents `documents` reads."""
        return self._num_rows((_ALL_DOCUMENTS, *_SIDES))

    def _num_rows(self, paths: Iterable[Path]) -> int:
        """The rows of tables together, by their footers; what cannot be read is told elsewhere."""
        num_rows = 0
        for path in paths:
            with suppress(FileError, OSError, pa.ArrowException):
                num_rows += pq.read_metadata(self._evidence.local(path)).num_rows
        return num_rows

    def _table(self, artefact: Artefact, advance: Advance) -> Iterator[Finding]:
        own = {path: self._take(path, advance) for path in self._own(artefact)}
        parents = {role: [self._take(path, advance) for path in paths] for role, paths in self._parents(artefact).items()}
        if artefact.rows in self._written and artefact.kind == "curated":
            self._models |= teachers(self._evidence.local(artefact.path / "hands.parquet"))
        for path, table in own.items():
            yield from self._rows(path, table, artefact)
        rows = own[artefact.rows]
        yield from self._making(artefact)
        match artefact.kind:
            case "training":
                yield from self._training(artefact, own, parents)
            case "curated":
                yield from self._curated(artefact, own, parents)
            case "offspring" if "model" in dict(artefact.parents):
                yield from self._offspring(artefact, rows)
                yield from self._prompts(artefact)
            case "human":
                yield from self._human(artefact, rows)
        if artefact.inspection:
            yield from self._profile(artefact, rows)

    def _own(self, artefact: Artefact) -> list[Path]:
        beside = {"training": ["pool.parquet"], "curated": ["rejected.parquet"]}.get(artefact.kind, [])
        return [artefact.rows, *(artefact.path / name for name in beside)]

    def _parents(self, artefact: Artefact) -> dict[str, list[Path]]:
        """The tables that rows may come from, by role."""
        found: dict[str, list[Path]] = {}
        for role, name in artefact.parents:
            if (parent := self._made.get(name)) and parent.kind in ROW_KINDS:
                found.setdefault(role, []).append(parent.path / "pool.parquet" if role == "previous" else parent.rows)
        return found

    def _reads(self, artefact: Artefact) -> list[Path]:
        if artefact.kind not in ROW_KINDS:
            return []
        return [*self._own(artefact), *(path for paths in self._parents(artefact).values() for path in paths)]

    def _key(self, path: Path) -> str:
        return self._evidence.sha256(path)

    def _take(self, path: Path, advance: Advance) -> Table:
        key = self._key(path)
        if (table := self._tables.get(key)) is None:
            table = self._tables[key] = read_rows(self._evidence.local(path), self._hold_out(), path in self._written, advance)
            self._copied |= table.copied
        self._uses[key] -= 1
        if self._uses[key] <= 0:
            del self._tables[key]
        return table

    def _hold_out(self) -> HeldOut:
        if self._held_out is None:
            self._held_out = read_held_out(self._evidence.local(HUMAN_HELD_OUT_DOCUMENTS))
        return self._held_out

    def _rows(self, path: Path, table: Table, artefact: Artefact) -> Iterator[Finding]:
        """What must hold in any table of rows."""
        if strangers := table.models - set(self._models):
            yield finding(path, f"holds rows of model {sorted(strangers)[0][:12]}, which is none of the book")
        if table.num_misnamed:
            yield finding(path, f"{table.num_misnamed} rows are not what their ids or lengths say")
        repeated = table.num_rows - len(pc.unique(table.marks))
        if repeated and not (artefact.kind == "training" and path == artefact.rows and self._is_mixed(artefact)):
            yield finding(path, f"{repeated} rows stand twice")
        if table.num_held_out and artefact.name != "human/held_out":
            yield finding(path, f"{table.num_held_out} rows are of held-out documents, which never train or prompt", "contamination")

    def _is_mixed(self, artefact: Artefact) -> bool:
        """Whether a mixture reads rows more than once."""
        return artefact.place is not None and artefact.place.number > 0 and self._params.regimes[artefact.place.regime].mixture is not None

    def _making(self, artefact: Artefact) -> Iterator[Finding]:
        """Whether the making of a folder counts as the rows do."""
        if artefact.kind == "human":
            return
        path, counted = artefact.path / MAKING, self._evidence.contents(artefact.rows)
        making = self._evidence.json(path)
        for name in ("composition", "num_rows", "num_tokens", "depth"):
            if name in making and not _is_same(making[name], counted[name]) and not (name == "depth" and not counted["num_tokens"]):
                yield finding(path, f"{name} is {making[name]}, its rows give {counted[name]}", "composition")

    def _training(self, artefact: Artefact, own: dict[Path, Table], parents: dict[str, list[Table]]) -> Iterator[Finding]:
        """Rows of the pool, and the pool of its parents' rows, as many of each as the regime's weights take."""
        assert artefact.place
        regime, pool_path = self._params.regimes[artefact.place.regime], artefact.path / "pool.parquet"
        rows, pool = own[artefact.rows], own[pool_path]
        yield from _strays(artefact.rows, rows, [pool], "its pool")
        tables = [table for role in ("offspring", "previous", "human") for table in parents.get(role, [])]
        yield from _strays(pool_path, pool, tables, "what it was blended from")
        if artefact.place.number and regime.mixture:
            sources = {role: paths[0] for role, paths in self._parents(artefact).items()}
            yield from mixture_findings(artefact, sources, regime.mixture, self._evidence)
            return
        wanted = pool.num_rows if regime.budget_rows is None else min(regime.budget_rows, pool.num_rows)
        if artefact.place.number and rows.num_rows != wanted:
            yield finding(artefact.rows, f"has {rows.num_rows} rows, of a pool of {pool.num_rows} the regime takes {wanted}", "counts")
        if artefact.place.number:
            taken = {role: sum(table.num_rows for table in parents.get(role, [])) for role in ("offspring", "previous", "human")}
            wanted = sum(round(getattr(regime.weights, role) * number) for role, number in taken.items())
        else:
            wanted = parents["human"][0].num_rows
        if pool.num_rows != wanted:
            yield finding(pool_path, f"has {pool.num_rows} rows, the regime's weights take {wanted}", "counts")

    def _curated(self, artefact: Artefact, own: dict[Path, Table], parents: dict[str, list[Table]]) -> Iterator[Finding]:
        (given,) = parents["offspring"]
        offspring = self._made[dict(artefact.parents)["offspring"]].rows
        return curated_findings(artefact, own, given, offspring, self._params, self._evidence)

    def _offspring(self, artefact: Artefact, rows: Table) -> Iterator[Finding]:
        """Rows of one model, its parent: of its generation, and one deeper than it."""
        assert artefact.place
        model = self._entries[dict(artefact.parents)["model"]]
        wanted = (weights_of(model), artefact.place.number, 1 + model["contents"]["depth"])
        for model_id, generation, depth in sorted(rows.authors, key=str):
            if (model_id, generation) != wanted[:2] or not _is_same(depth, wanted[2]):
                said = f"generation {generation} and depth {depth} by {self._models.get(model_id or '', model_id or 'a person')}"
                yield finding(
                    artefact.rows, f"holds rows of {said}, must be of generation {wanted[1]} and depth {wanted[2]} by {model['name']}"
                )

    def _prompts(self, artefact: Artefact) -> Iterator[Finding]:
        """Rows prompted by a row of the dataset that prompted their model, and of its human document."""
        name = dict(artefact.parents).get("prompts")
        said = pq.read_table(self._evidence.local(artefact.rows), columns=["prompt", "document"])
        if name is None:
            if num := said.num_rows - said["prompt"].null_count:
                yield finding(artefact.rows, f"{num} rows name a prompt, though nothing prompts")
            return
        path = self._made[name].rows
        prompting = pq.read_table(self._evidence.local(path), columns=["id", "document"])
        is_known = pc.is_in(_paired(said["prompt"], said["document"]), value_set=_paired(prompting["id"], prompting["document"]))
        if num := said.num_rows - (pc.sum(is_known).as_py() or 0):
            yield finding(artefact.rows, f"{num} rows are prompted by no row of {path} that is of their document")

    def _human(self, artefact: Artefact, rows: Table) -> Iterator[Finding]:
        """Rows of people: of no model, of no depth, of the documents of their side."""
        if strangers := rows.authors - {(None, 0, 0.0)}:
            yield finding(artefact.rows, f"holds rows of {sorted(strangers, key=str)[0]}, must all be of people, generation 0 and depth 0")
        (documents,) = (self._made[name].path for role, name in artefact.parents if role == "documents")
        if others := rows.documents - read_documents(self._evidence.local(documents), unseen("")).keys():
            yield finding(artefact.rows, f"holds rows of {len(others)} documents that are not in {documents}")

    def _profile(self, artefact: Artefact, rows: Table) -> Iterator[Finding]:
        """The figures of a profile that follow from counting."""
        assert artefact.inspection
        path, counted = artefact.inspection.profile, self._evidence.contents(artefact.rows)
        figures = self._evidence.json(path)
        human = counted["composition"].get("human", {"rows": 0, "tokens": 0})
        num_rows, num_tokens = counted["num_rows"], counted["num_tokens"]
        wanted = {
            "num_rows": num_rows, "num_tokens": num_tokens, "depth_mean": counted["depth"],
            "human_row_share": human["rows"] / num_rows if num_rows else None,
            "human_token_share": human["tokens"] / num_tokens if num_tokens else None,
        }  # fmt: skip
        for name, value in wanted.items():
            if not _is_same(figures[name], value):
                yield finding(path, f"{name} is {figures[name]}, the rows give {value}", "composition")
        copied = pa.array(sorted(self._copied), pa.binary(16))
        num_copied = pc.sum(pc.is_in(rows.marks, value_set=copied)).as_py() or 0
        share = rounded(num_copied / num_rows) if num_rows else None
        if not _is_same(figures["contamination_share"], share):
            what = f"{num_copied} of {num_rows} rows share {SHARED_WORDS} words with held-out text, {path} records a share of"
            yield finding(artefact.rows, f"{what} {figures['contamination_share']}", "contamination")

    def _split(self, advance: Advance) -> Iterator[Finding]:
        """Documents of both sides are the corpus's own, and none is on both."""
        corpus = read_documents(self._evidence.local(_ALL_DOCUMENTS), advance)
        sides = {path: read_documents(self._evidence.local(path), advance) for path in _SIDES}
        for path, documents in {_ALL_DOCUMENTS: corpus, **sides}.items():
            if misnamed := [name for name, text in documents.items() if name != text]:
                yield finding(path, f"document {misnamed[0][:12]} and {len(misnamed) - 1} more are not the text that they are named by")
            if strangers := documents.keys() - corpus.keys():
                yield finding(path, f"{len(strangers)} documents, such as {min(strangers)[:12]}, are not of the corpus")
        train, held_out = sides.values()
        if both := train.keys() & held_out.keys():
            yield finding(HUMAN_TRAIN_DOCUMENTS, f"{len(both)} documents are held out as well", "contamination")
        split = self._evidence.json(SPLIT)
        wanted = {
            "num_documents": len(corpus), "num_near_duplicates_removed_from_train": len(corpus) - len(train) - len(held_out),
        }  # fmt: skip
        for name, number in wanted.items():
            if split[name] != number:
                yield finding(SPLIT, f"{name} is {split[name]}, the documents give {number}", "counts")
        for side, documents in (("train", train), ("held_out", held_out)):
            if split[side]["num_documents"] != len(documents):
                yield finding(SPLIT, f"{side} is of {split[side]['num_documents']} documents, there are {len(documents)}", "counts")

    def _reference(self) -> Iterator[Finding]:
        known = pq.read_table(self._evidence.local(HUMAN_REFERENCE), columns=["held_out_ngrams"])["held_out_ngrams"]
        if not np.array_equal(known.combine_chunks().flatten().to_numpy(), self._hold_out().text.ngrams):
            yield finding(HUMAN_REFERENCE, "does not hold the n-grams of the held-out documents", "contamination")


def _strays(path: Path, table: Table, parents: list[Table], what: str) -> Iterator[Finding]:
    marks = pa.concat_arrays([parent.marks for parent in parents]) if parents else table.marks[:0]
    if num := table.num_rows - (pc.sum(pc.is_in(table.marks, value_set=marks)).as_py() or 0):
        yield finding(path, f"{num} rows are no rows of {what}")


def _paired(ids: pa.ChunkedArray, documents: pa.ChunkedArray) -> pa.Array:
    return pc.binary_join_element_wise(*(pc.fill_null(part, "") for part in (ids, documents)), "\0").combine_chunks()


def _is_same(recorded: Any, counted: Any) -> bool:
    if isinstance(recorded, float | int) and isinstance(counted, float | int) and float in (type(recorded), type(counted)):
        return abs(recorded - counted) <= _TOLERANCE * max(1.0, abs(counted))
    return bool(recorded == counted)
