"""What a teacher is asked and what it answers: plain values, named by their digests."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from herdbook.files import canonical_json, digest_bytes

Natural = Annotated[int, Field(ge=0)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @property
    def digest(self) -> str:
        """sha256 of its canonical JSON, in hex."""
        return digest_bytes(canonical_json(self.model_dump()).encode())


class Request(_Value):
    """A question with all that decides its answer: equal requests have one answer."""

    system: str  # "" sends none
    user: str
    model: str  # its name at the endpoint, or the digest of a local folder
    max_tokens: Annotated[int, Field(ge=1)]  # of the answer, in the teacher's own tokens
    temperature: Annotated[float, Field(ge=0)]  # 0 is greedy
    sample: Natural  # 0, 1, ...: asks the same once more


class Usage(_Value):
    """Tokens, as the teacher counts them."""

    prompt_tokens: Natural | None
    completion_tokens: Natural | None


class Response(_Value):
    """An answer; its text is hostile, as all text of models is."""

    text: str
    model: str | None  # as the endpoint calls itself
    usage: Usage | None
    finish_reason: str | None

    @property
    def is_filtered(self) -> bool:
        """Whether the endpoint itself withheld the answer."""
        return self.finish_reason == "content_filter"


class Answer(_Value):
    """A request and its response, each with its digest: one line of a record."""

    request: Request
    request_digest: str
    response: Response
    response_digest: str


def answer_of(request: Request, response: Response) -> Answer:
    """The line of a record that says so."""
    return Answer(request=request, request_digest=request.digest, response=response, response_digest=response.digest)
