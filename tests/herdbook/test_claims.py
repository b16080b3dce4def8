import copy
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from herdbook.claims import Claim, Hypotheses, Standing, parse_hypotheses, read_hypotheses
from herdbook.collapse import COLLAPSE
from herdbook.control import Must
from herdbook.errors import ClaimError
from herdbook.files import canonical_json, digest_bytes
from herdbook.judgement import ANALYSIS

TEXT = """
analysis: 1
alpha: 0.05
controls:
- id: replace-degrades
  kind: positive
  sentence: Three generations of replace lose against their own founder.
  contrast: {treatment: replace g3, control: replace g0}
  metric: held_out_loss_nats
  must: {above: 0.5}
  seeds: [s3, s4, s5]
- id: same-founder
  kind: negative
  sentence: Two regimes of a seed share one founder.
  contrast: {treatment: replace g0, control: accumulate g0}
  metric: held_out_loss_nats
  must: {within: [-0.01, 0.01]}
  seeds: [s3, s4, s5]
claims:
- id: replace-against-accumulate
  sentence: >-
    Replaced sets lose more
    than accumulated ones.
  collapse: population_risk
  source: {cite: "Gerstgrasser et al. 2024, arXiv 2404.01413, table 2", replicates: true}
  use_case: Training on text of which a part was generated.
  proposed: Accumulate the sets of all generations.
  contrast: {treatment: replace g3, control: accumulate g3}
  metric: held_out_loss_nats
  estimator: mean_t
  direction: greater
  smallest_effect: 0.5
  equivalence: [-0.2, 0.2]
  seeds: [s3, s4, s5]
  stopping: fixed
  exclusions: none
  positive_control: replace-degrades
  negative_control: same-founder
"""
PLAIN = yaml.safe_load(TEXT)


def read(**changes) -> Hypotheses:
    """The hypotheses above with these changes to the claim."""
    document = copy.deepcopy(PLAIN)
    document["claims"][0].update(changes)
    return parse_hypotheses(yaml.safe_dump(document), "h.yaml")


def claim(**changes) -> Claim:
    return read(**changes).claims[0]


def test_claims_and_controls_are_read_whole(tmp_path):
    path = tmp_path / "hypotheses.yaml"
    path.write_text(TEXT, encoding="utf-8")
    found = read_hypotheses(path)
    assert (found.analysis, found.alpha, len(found.controls), len(found.claims)) == (ANALYSIS, 0.05, 2, 1)
    made = found.claims[0]
    assert (str(made.contrast.treatment), made.contrast.control.regime, made.contrast.control.generation) == ("replace g3", "accumulate", 3)
    assert (made.sentence, made.seeds, made.equivalence) == (
        "Replaced sets lose more than accumulated ones.",
        ("s3", "s4", "s5"),
        (-0.2, 0.2),
    )
    assert (made.looks, made.level, made.controls) == ((3,), 0.05, found.controls)


def test_a_document_is_the_file_in_one_form():
    document = claim().document
    assert document == {
        **PLAIN["claims"][0],
        "analysis": 1,
        "alpha": 0.05,
        "positive_control": PLAIN["controls"][0],
        "negative_control": PLAIN["controls"][1],
    }
    assert claim().digest == digest_bytes(canonical_json(document).encode())
    assert claim().positive_control.document == PLAIN["controls"][0]


def test_a_digest_is_of_what_is_said_and_not_of_how_it_is_written():
    assert claim(smallest_effect=1).digest == claim(smallest_effect=1.0).digest
    assert claim(sentence="a  b\nc").digest == claim(sentence="a b c").digest
    assert read().claims[0].digest == parse_hypotheses(yaml.safe_dump(PLAIN, sort_keys=True), "elsewhere.yaml").claims[0].digest


@pytest.mark.parametrize(
    "change",
    [
        {"sentence": "Another."},
        {"collapse": "divergence"},
        {"source": None},
        {"use_case": "Another."},
        {"proposed": "Another."},
        {"contrast": {"treatment": "replace g2", "control": "accumulate g3"}},
        {"metric": "held_out_perplexity"},
        {"direction": "less"},
        {"smallest_effect": 0.4},
        {"equivalence": [-0.2, 0.1]},
        {"seeds": ["s3", "s4", "s5", "s6"]},
        {"stopping": {"looks": [2, 3]}},
        {"exclusions": "not_bred"},
        {"seeds": [f"s{n}" for n in range(6)], "estimator": "sign_flip"},
        {"id": "another"},
    ],
)
def test_a_change_of_anything_in_a_claim_changes_its_digest(change):
    assert claim(**change).digest != claim().digest


@pytest.mark.parametrize("change", [lambda d: d.update(alpha=0.01), lambda d: d["controls"][0]["must"].update(above=0.4)])
def test_a_change_of_alpha_or_of_a_control_changes_the_claims_that_rest_on_it(change):
    document = copy.deepcopy(PLAIN)
    change(document)
    assert parse_hypotheses(yaml.safe_dump(document), "h.yaml").claims[0].digest != claim().digest


def test_claims_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        claim().metric = "another"


def test_looks_share_the_level():
    made = claim(seeds=[f"s{n}" for n in range(9)], stopping={"looks": [3, 6, 9]})
    assert (made.looks, made.level) == ((3, 6, 9), 0.05 / 3)
    assert made.document["stopping"] == {"looks": [3, 6, 9]}


def test_a_file_may_claim_nothing():
    assert parse_hypotheses("{analysis: 1, alpha: 0.05, controls: [], claims: []}", "h.yaml").claims == ()


@pytest.mark.parametrize(
    ("must", "mean", "holds"),
    [
        ({"above": 0.5}, 0.6, True),
        ({"above": 0.5}, 0.5, False),
        ({"below": -0.5}, -0.6, True),
        ({"below": -0.5}, 0.6, False),
        ({"within": [-0.1, 0.2]}, 0.15, True),
        ({"within": [-0.1, 0.2]}, 0.2, False),
        ({"within": [-0.1, 0.2]}, -0.2, False),
        ({"above": 0.0}, math.nan, False),
    ],
)
def test_a_control_holds_strictly_beyond_or_inside_its_bounds(must, mean, holds):
    assert Must.model_validate(must).holds(mean) is holds


def with_control(number=0, **changes):
    document = copy.deepcopy(PLAIN)
    document["controls"][number].update(changes)
    return document


def without(key):
    document = copy.deepcopy(PLAIN)
    del document["claims"][0][key]
    return document


def with_claim(**changes):
    document = copy.deepcopy(PLAIN)
    document["claims"][0].update(changes)
    return document


SIX = [f"s{n}" for n in range(6)]
FLIPS = {"estimator": "sign_flip", "seeds": SIX}
HERE = "h.yaml: claims 1 (replace-against-accumulate): "
REFUSED = {
    "no YAML": ("claims: [", "h.yaml: not YAML"),
    "a key that stands twice": ("alpha: 1\n" + TEXT, "key 'alpha' stands twice"),
    "deep nesting": ("[" * 1000, "not YAML"),
    "an object": ("!!python/object/apply:os.getcwd []", "not YAML"),
    "an empty file": ("", "h.yaml: is None, must be a mapping"),
    "keys that are no text": ("{1: 2}", "h.yaml: is {1: 2}, must be a mapping"),
    "an unknown key": ({**PLAIN, "power": 1}, "h.yaml: unknown key 'power'; allowed: analysis, alpha, controls, claims"),
    "another analysis": ({**PLAIN, "analysis": 2}, "h.yaml: analysis is 2, this herdbook computes analysis 1"),
    "no alpha": ({key: value for key, value in PLAIN.items() if key != "alpha"}, "h.yaml: alpha is missing; write it"),
    "an alpha of one half": ({**PLAIN, "alpha": 0.5}, "h.yaml: alpha is 0.5, must be less than or equal to 0.1"),
    "no list of claims": ({**PLAIN, "claims": None}, "h.yaml: claims is None, must be a list; write []"),
    "a claim that is a text": ({**PLAIN, "claims": ["a"]}, "h.yaml: claims 1: is 'a', must be a mapping"),
    "a misspelt key": (with_claim(metrics="a"), HERE + "unknown key 'metrics'; allowed: id, sentence"),
    "a key of the file in a claim": (with_claim(alpha=0.1), HERE + "unknown key 'alpha'; it is said once for the whole file"),
    "a key that is missing": (without("stopping"), HERE + "stopping is missing; write it"),
    "a source that is not mentioned": (without("source"), HERE + "source is missing; write it"),
    "a control that is missing": (without("positive_control"), HERE + "positive_control is missing; write it"),
    "an estimator that there is not": (with_claim(estimator="mean"), HERE + "estimator is 'mean', must be 'mean_t', 'sign_flip' or"),
    "a direction that there is not": (with_claim(direction="up"), HERE + "direction is 'up', must be 'greater' or 'less'"),
    "a collapse that there is not": (with_claim(collapse="doom"), HERE + "collapse is 'doom', must be one of population_risk"),
    "an id in capitals": (with_claim(id="A"), "h.yaml: claims 1 (A): id is 'A', string should match pattern"),
    "an id that climbs": (with_claim(id="../a"), "string should match pattern"),
    "an id with a line break": (with_claim(id="a\n"), "string should match pattern"),
    "an id that stands twice": ({**PLAIN, "claims": PLAIN["claims"] * 2}, "h.yaml: claims 2 (replace-against-accumulate): id"),
    "a claim called as a control": (with_claim(id="same-founder"), "id same-founder stands twice"),
    "no such control": (with_claim(positive_control="x"), HERE + "positive_control is 'x', must be one of: replace-degrades"),
    "a control of the other kind": (with_claim(positive_control="same-founder"), "must be one of: replace-degrades"),
    "a control that is a list": (with_claim(negative_control=[]), HERE + "negative_control is [], must be one of: same-founder"),
    "a seed named twice": (with_claim(seeds=["s1", "s2", "s1"]), HERE + "seeds name s1 twice"),
    "one seed": (with_claim(seeds=["s1"]), HERE + "seeds is ['s1'], tuple should have at least 2 items"),
    "a seed that is none": (with_claim(seeds=["s1", "two"]), HERE + "seeds.1 is 'two'"),
    "an effect that is not finite": (with_claim(smallest_effect=math.inf), HERE + "smallest_effect is inf, must be a finite number"),
    "an effect that is a text": (with_claim(smallest_effect="1e-3"), HERE + "smallest_effect is '1e-3', must be a valid number"),
    "an effect below nought": (with_claim(smallest_effect=-1), HERE + "smallest_effect is -1, must be greater than 0"),
    "an effect inside the bounds": (with_claim(smallest_effect=0.2), HERE + "smallest_effect is 0.2, must be beyond the bound"),
    "an effect inside the lower bound": (with_claim(direction="less", equivalence=[-0.6, 0.2]), "claimed direction, 0.6"),
    "bounds out of order": (with_claim(equivalence=[0.2, -0.2]), HERE + "equivalence must be [LOW, HIGH] with LOW below 0"),
    "bounds without nought": (with_claim(equivalence=[0.1, 0.2]), HERE + "equivalence must be [LOW, HIGH]"),
    "a bound that is NaN": (with_claim(equivalence=[math.nan, 0.2]), HERE + "equivalence.0 is nan, must be a finite number"),
    "three bounds": (with_claim(equivalence=[-1, 0, 1]), HERE + "equivalence is"),
    "a cell without a generation": (with_claim(contrast={"treatment": "replace", "control": "a g1"}), HERE + "contrast.treatment must be"),
    "a cell against itself": (with_claim(contrast={"treatment": "a g1", "control": "a g1"}), "contrast treatment and control are both"),
    "a metric that is none": (with_claim(metric="a b"), HERE + "metric is 'a b'"),
    "a misspelt part of a source": (with_claim(source={"cite": "a", "replicate": True}), HERE + "source.replicates is missing"),
    "a source that may replicate": (with_claim(source={"cite": "a", "replicates": "yes"}), HERE + "source.replicates is 'yes', must be"),
    "a sentence that is empty": (with_claim(sentence=" "), HERE + "sentence must be text"),
    "a sentence that steers the terminal": (with_claim(sentence="a\x1b[2J"), HERE + "sentence must be text without control characters"),
    "a sentence that is a number": (with_claim(sentence=1), HERE + "sentence is 1, must be a valid string"),
    "stopping when it pleases": (with_claim(stopping="when it works"), HERE + "stopping is 'when it works', must be fixed or {looks"),
    "a look at one seed": (with_claim(stopping={"looks": [1, 3]}), HERE + "stopping is {'looks': [1, 3]}, must be fixed or"),
    "looks that do not increase": (with_claim(stopping={"looks": [3, 2, 3]}), HERE + "stopping looks at [3, 2, 3] seeds, must increase"),
    "looks that end early": (with_claim(stopping={"looks": [2]}), HERE + "stopping looks at [2] seeds, must increase and end with all 3"),
    "looks beyond the seeds": (with_claim(stopping={"looks": [2, 4]}), "must increase and end with all 3"),
    "too few seeds to flip": (with_claim(estimator="sign_flip"), HERE + "estimator sign_flip gives no p below 2/2^3 with 3 seeds"),
    "too few seeds to rank": (with_claim(estimator="median_signed"), "name at least 6 seeds, or take mean_t"),
    "too few seeds to flip at two looks": (with_claim(**FLIPS, stopping={"looks": [3, 6]}), "at alpha 0.025; name at least 7 seeds"),
    "too many seeds to flip": (
        with_claim(estimator="sign_flip", seeds=[f"s{n}" for n in range(13)]),
        HERE + "estimator sign_flip counts all 2^13 sign flips of 13 seeds; name at most 12",
    ),
    "exclusions that there are not": (with_claim(exclusions="outliers"), HERE + "exclusions is 'outliers', must be 'none' or 'not_bred'"),
    "a control of no kind": (with_control(kind="neutral"), "h.yaml: controls 1 (replace-degrades): kind is 'neutral', must be"),
    "a positive control that must show nothing": (with_control(must={"within": [-1, 1]}), "must is {above: x} or {below: x} where kind is"),
    "a negative control that must show something": (with_control(1, must={"above": 1}), "{within: [a, b]} where it is negative"),
    "a control that must be two things": (with_control(must={"above": 1, "below": -1}), "must hold one of above, below, within"),
    "a control that must be nothing": (with_control(must={}), "must hold one of above, below, within"),
    "a positive control that passes on nothing": (with_control(must={"above": -1}), "must.above is -1, must be greater than or equal to 0"),
    "a misspelt bound": (with_control(must={"abov": 1}), "unknown key 'must.abov'"),
}  # fmt: skip


@pytest.mark.parametrize("given", REFUSED)
def test_what_cannot_be_judged_is_refused_in_one_line(given):
    document, message = REFUSED[given]
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    with pytest.raises(ClaimError) as error:
        parse_hypotheses(text, "h.yaml")
    assert message in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_six_seeds_are_enough_to_flip():
    assert claim(**FLIPS).estimator == "sign_flip"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ClaimError, match="cannot be read"):
        read_hypotheses(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff")
    with pytest.raises(ClaimError, match="not UTF-8"):
        read_hypotheses(tmp_path / "bytes.yaml")


def test_the_document_tells_every_definition_of_collapse_and_every_key():
    text = (Path(__file__).parents[2] / "docs/claims.md").read_text(encoding="utf-8")
    for key, definition in COLLAPSE.items():
        assert f"| `{key}` | {definition.sentence} | {definition.source} |" in text
    assert all(f"`{key}`" in text for key in PLAIN["claims"][0])


def test_a_standing_says_why():
    assert Standing(True).reasons == ()


KEYS = st.sampled_from([*PLAIN["claims"][0], "other"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(KEYS, JUNK)
@settings(deadline=None, max_examples=40)
def test_a_value_of_any_kind_is_read_or_refused(key, value):
    try:
        parse_hypotheses(yaml.safe_dump(with_claim(**{key: value}), allow_unicode=True), "h.yaml")
    except ClaimError as error:
        assert str(error).isprintable()  # noqa: PT017
