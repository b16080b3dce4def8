"""Whether records of a regime are of one that params.yaml defines, whatever either is called."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from herdbook.params import Regime

# Without these a record could be of nearly any regime: what is mixed, how it is drawn, what is kept.
TELLING = frozenset({"weights", "decoding", "recipe"})

# By key of a regime the values that its stages ran with: more than one where a lineage was not bred in one go.
Settings = Mapping[str, Sequence[Any]]


def settings_of(regime: str, stages: Iterable[Mapping[str, Any]]) -> Settings:
    """What stages ran with of a regime; each stage as its dotted keys of params.yaml and their values."""
    found: dict[str, list[Any]] = {}
    for parameters in stages:
        for key, value in parameters.items():
            section, _, rest = key.partition(".")
            name, _, setting = rest.partition(".")
            if section == "regimes" and name == regime:
                found.setdefault(setting, []).append(value)
    return found


def is_defined_as(settings: Settings, definition: Mapping[str, Any]) -> bool:
    """Whether a regime that ran with these settings is one of this definition; not so where too little of it is recorded."""
    return settings.keys() >= TELLING and all(any(is_set(definition, key, value) for value in found) for key, found in settings.items())


def is_set(definition: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a definition has this value of a key; a value that is spelt out or left out as the default is the same."""
    try:
        return Regime.model_validate({**definition, key: value}) == Regime.model_validate(definition)
    except ValidationError:
        return False
