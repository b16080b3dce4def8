import json

import pytest
from prov.model import ProvDocument

from herdbook.exports import prov


@pytest.fixture(scope="module")
def whole(opened):
    return prov.document(*opened)


def test_the_prov_library_reads_it_and_writes_it_again_alike(whole):
    read = ProvDocument.deserialize(content=json.dumps(whole), format="json")
    written = read.serialize(format="json")
    assert ProvDocument.deserialize(content=written, format="json") == read
    for part in ("entity", "activity", "agent"):
        assert {key: set(facts) for key, facts in json.loads(written)[part].items()} == {
            key: set(facts) for key, facts in whole[part].items()
        }
    for relation in ("wasGeneratedBy", "used", "wasDerivedFrom", "wasAssociatedWith"):
        assert len(json.loads(written)[relation]) == len(whole[relation])


def test_the_whole_graph_is_there_what_was_not_bred_included(opened, whole):
    book, _ = opened
    labels = {entity["prov:label"]: entity for entity in whole["entity"].values()}
    assert set(book.entries) <= set(labels)
    assert labels["curated/s0/g1/model"]["herdbook:status"] == "not bred"
    assert labels["receipt of human/train"]["herdbook:verdict"] == "passed"


def test_relations_join_what_the_document_holds(opened, whole):
    book, _ = opened
    known = {**whole["entity"], **whole["activity"], **whole["agent"]}
    for relation in ("wasGeneratedBy", "used", "wasDerivedFrom", "wasAssociatedWith"):
        for content in whole[relation].values():
            for key, value in content.items():
                assert key in ("prov:role", "herdbook:role") or value in known
    derived = {(content["prov:generatedEntity"], content["prov:usedEntity"]) for content in whole["wasDerivedFrom"].values()}
    for name, entry in book.entries.items():
        for parent in entry["parents"]:
            assert (f"entry:{book.ids[name]}", f"entry:{parent['entry']}") in derived


def test_a_target_brings_its_ancestry_alone(opened):
    book, now = opened
    part = prov.document(book, now, "founder/s0/g0/model")
    artefacts = {entity["prov:label"] for key, entity in part["entity"].items() if key.startswith("entry:")}
    assert artefacts == {"corpus", "human/base", "human/train", "human/train_documents", "founder/s0/g0/model"}
    assert {activity["prov:label"] for activity in part["activity"].values()} == {"prepare", "validate human", "train founder s0 g0"}


def test_a_corpus_alone_is_an_entity_that_nothing_made(opened):
    book, now = opened
    assert set(prov.document(book, now, "corpus")) == {"prefix", "entity"}
