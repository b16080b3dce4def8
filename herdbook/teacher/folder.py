"""A model of a Hugging Face folder as teacher.

Requests are answered one by one, each from a generator of its own: in a batch the rounding of logits, and so
an answer, would depend on what else is asked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from herdbook.errors import TeacherError
from herdbook.files import digest, digest_bytes
from herdbook.models import device_of, has_weights, open_model
from herdbook.numeric import seed_of
from herdbook.params import Decoding
from herdbook.teacher.question import Request, Response, Usage

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_DECIDES = (
    "*.safetensors",
    "*.jinja",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "vocab.*",
    "merges.txt",
)


def folder_digest(folder: Path) -> str:
    """What names the model: sha256 over names and digests of the files that decide its answers, in hex.

    Raises TeacherError where `folder` is no model folder."""
    if not folder.is_dir() or not has_weights(folder):
        raise TeacherError(
            f"{folder}: no model folder with weights (.safetensors); correct teacher.path in params.yaml (a .gguf file or pickled weights: "
            "save them as a folder with transformers first)"
        )
    files = sorted({path for pattern in _DECIDES for path in folder.glob(pattern)})
    return digest_bytes("".join(f"{path.name}\0{digest(path)}\n" for path in files).encode())


def ask_folder(folder: Path, requests: Sequence[Request], answered: Callable[[Request, Response], object]) -> None:
    """Tell `answered` the response to each request, in their order.

    Raises TeacherError where the folder has no usable tokenizer, or a request does not fit its context."""
    model = open_model(folder, device_of("auto"))
    tokenizer = open_tokenizer(folder)
    ends = _ends(model, tokenizer)
    for request in requests:
        prompt = prompt_tokens(tokenizer, request)
        _demand_room(model, len(prompt), request, folder)
        tokens = _drawn(model, prompt, request, tokenizer.eos_token_id)
        end = next((place for place, token in enumerate(tokens) if token in ends), None)
        text = tokenizer.decode(tokens[:end], skip_special_tokens=True)
        usage = Usage(prompt_tokens=len(prompt), completion_tokens=len(tokens) if end is None else end + 1)
        reason = "length" if end is None else "stop"
        answered(request, Response(text=text, model=request.model, usage=usage, finish_reason=reason))


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder as transformers has it, with its chat template if there is one; TeacherError where none can be used."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a broken file can fail anywhere in transformers, with any error
        reason = " ".join(str(error).split())[:200]
        raise TeacherError(f"{folder}: no usable tokenizer ({reason}); add the model's own to teacher.path") from error
    if tokenizer.eos_token_id is None:
        raise TeacherError(f"{folder}: the tokenizer has no eos_token, so no answer would end; name one in tokenizer_config.json")
    return tokenizer


def prompt_tokens(tokenizer: Any, request: Request) -> list[int]:
    """The token ids of a request: by the chat template, else the start mark and `system`, a blank line, `user`, and a line break.

    Control tokens that the text spells out are text here, and open no turn of their own."""
    system = [{"role": "system", "content": request.system}] if request.system else []
    if not tokenizer.chat_template:
        plain = "\n\n".join([*(message["content"] for message in system), request.user]) + "\n"
        start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        return [start, *tokenizer.encode(plain, add_special_tokens=False, split_special_tokens=True)]
    from jinja2 import TemplateError

    messages = [*system, {"role": "user", "content": request.user}]
    try:
        found: list[int] = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, sanitize_control_tokens=True, return_dict=False
        )
    except TemplateError as error:
        reason = " ".join(str(error).split())[:200]
        raise TeacherError(f"{tokenizer.name_or_path}: its chat template cannot say this ({reason}); use another teacher") from error
    return found


def _ends(model: "PreTrainedModel", tokenizer: Any) -> set[int]:
    """The tokens that end an answer: chat models often name more than one."""
    named = getattr(model.generation_config, "eos_token_id", None)
    return {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])}


def _demand_room(model: "PreTrainedModel", num_prompt: int, request: Request, folder: Path) -> None:
    most = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if most is not None and num_prompt + request.max_tokens > most:
        raise TeacherError(
            f"{folder}: a request of {num_prompt} tokens and an answer of {request.max_tokens} exceed the model's {most} positions; "
            "lower teacher.max_tokens, or use a teacher with more"
        )


def _drawn(model: "PreTrainedModel", prompt: list[int], request: Request, mark: int) -> list[int]:
    import torch

    from herdbook.sampler import sample

    decoding = Decoding(num_rows=1, temperature=request.temperature, top_k=0, top_p=1.0, num_beams=1, repetition_penalty=1.0)
    generator: torch.Generator = torch.Generator().manual_seed(seed_of("teacher", request.digest))
    return sample(model, torch.tensor([prompt]), decoding, request.max_tokens, mark, generator, 1)[0]
