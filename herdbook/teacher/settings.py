"""The section `teacher` of params.yaml."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from herdbook.errors import ParamsError
from herdbook.params import Count

_OF_ENDPOINTS = ("model", "max_concurrent", "timeout_seconds", "max_tries", "api_key_variable")
Given = Annotated[str, StringConstraints(min_length=1)]


class TeacherSettings(BaseModel):
    """Who is asked, and how: a local model folder, or an OpenAI-compatible endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: Given | None = None  # a Hugging Face folder: weights, configuration, tokenizer
    url: Given | None = None  # what comes before /chat/completions, such as http://127.0.0.1:8080/v1
    model: Given | None = None  # its name at the endpoint
    max_tokens: Count  # of an answer
    temperature: Annotated[float, Field(ge=0, strict=True)]  # 0 is greedy
    max_concurrent: Count = 4  # requests under way at once
    timeout_seconds: Annotated[float, Field(gt=0, strict=True)] = 120.0  # of one try, from connecting to the last byte
    max_tries: Count = 5  # of one request
    # The name of the environment variable that holds the key; the key itself is written nowhere.
    api_key_variable: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _names_one_teacher(self) -> "TeacherSettings":
        if (self.path is None) == (self.url is None):
            raise ValueError("give path (a local model folder) or url (an endpoint), and not both")
        if self.url is not None and self.model is None:
            raise ValueError("model must be given with url: the name that the endpoint knows it by")
        if self.path is not None and (needless := sorted(self.model_fields_set.intersection(_OF_ENDPOINTS))):
            raise ValueError(f"{needless[0]} is of endpoints and means nothing with path; remove it")
        return self

    @model_validator(mode="after")
    def _has_a_plain_url(self) -> "TeacherSettings":
        if self.url is not None:
            try:
                parts = urlsplit(self.url)
                is_plain = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
            except ValueError:
                is_plain = False
            if not is_plain or not self.url.isprintable() or " " in self.url:
                raise ValueError("url must be http:// or https:// with a host, such as http://127.0.0.1:8080/v1")
            if parts.username is not None or parts.query or parts.fragment:
                raise ValueError("url must hold no user, query or fragment; a key comes by api_key_variable")
        return self


def parse_teacher(section: Mapping[str, Any], where: str = "params.yaml: teacher") -> TeacherSettings:
    """The checked settings; ParamsError at `where` names the key and what is allowed."""
    try:
        return TeacherSettings.model_validate(dict(section))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # a key put in the wrong place is not repeated
        key = "".join(f".{part}" for part in first["loc"])
        raise ParamsError(f"{where}{key}: {first['msg'].removeprefix('Value error, ')}; correct it there") from error
