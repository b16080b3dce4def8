from herdbook.report.receipts import receipts
from tests import records as made
from tests.page import run_here


def test_a_receipt_tells_every_rule_passed_or_not_and_its_digests(project):
    receipt = made.receipt("training", made.rule(observed=0.061), made.rule("passed", 0.3, column=None))
    made.write(project / "records/replace/s0/g1/training/receipt.json", {**receipt, "data": {"rows": "ab"}, "policies": {"p.yaml": "cd"}})
    found = receipts(run_here())
    told = found["datasets"]["replace"]["s0"]["g1"]["training"]
    rules = [[*found["rules"][number], *rest] for number, *rest in (found["lines"][number] for number in told["lines"])]
    name, allowed = "expect_column_min_to_be_between", ">= 0.22 (human_distinct_2 * 0.8)"
    assert rules == [
        ["offspring_profile", f"distinct_2: {name}", "critical", "Narrowing.", "failed", "0.061", allowed, None],
        ["offspring_profile", name, "critical", "Narrowing.", "passed", "0.3", allowed, None],
    ]
    assert (told["verdict"], told["data"]) == ("waived", {"rows": "ab"})
    assert [found["policies"][number] for number in told["policies"]] == [("p.yaml", "cd")]


def test_what_datasets_share_is_told_once(project):
    for path in project.glob("records/*/*/*/training/receipt.json"):
        made.write(path, made.receipt("training", made.rule("passed")))
    found = receipts(run_here())
    assert len(found["rules"]) == len(found["lines"]) == 1


def test_of_what_was_not_bred_it_tells_why(project):
    made.write_not_bred(project / "records/curated/s0/g2")
    assert receipts(run_here())["datasets"]["curated"]["s0"]["g2"]["offspring"] == {
        "verdict": "not bred",
        "why": "the offspring of g1 broke distinct_2: expect_column_min_to_be_between",
    }
