from herdbook.report import gate
from tests import records as made
from tests.page import run_here


def write_receipt(project, place, dataset, *rules):
    made.write(project / f"records/{place}/{dataset}/receipt.json", made.receipt(dataset, *rules))


def test_a_rule_is_told_with_how_many_broke_it_and_what_the_first_observed(project):
    write_receipt(project, "replace/s1/g2", "training", made.rule(observed=0.061))
    write_receipt(project, "replace/s1/g1", "training", made.rule(observed=0.071))
    write_receipt(project, "replace/s0/g0", "training", made.rule("passed"))
    (rule,) = gate.section(run_here()).context["broken"]["replace"]
    assert (rule["name"], rule["num_broken"], rule["num_inspected"]) == ("distinct_2: expect_column_min_to_be_between", 2, 6)
    assert (str(rule["place"]), rule["observed"], rule["allowed"]) == ("replace-s1-g1", 0.071, ">= 0.22 (human_distinct_2 * 0.8)")


def test_rules_that_stop_a_lineage_come_before_those_that_do_not(project):
    write_receipt(project, "curated/s0/g1", "training", made.rule(severity="warning", column="a"), made.rule(column="b"))
    assert [rule["column"] for rule in gate.section(run_here()).context["broken"]["curated"]] == ["b", "a"]


def test_datasets_that_were_not_bred_count_as_not_inspected(project):
    made.write_not_bred(project / "records/curated/s0/g2")
    write_receipt(project, "curated/s0/g1", "offspring", made.rule())
    (rule,) = gate.section(run_here()).context["broken"]["curated"]
    assert (rule["num_broken"], rule["num_inspected"]) == (1, 5)
