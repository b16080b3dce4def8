"""The errors a user can cause; each message is one line: what, where, found against allowed, what to do next.

HerdbookError
├── ParamsError       params.yaml says something that cannot be run
├── CorpusError       the human corpus cannot be read, written or split
├── PolicyError       a file of expectations/ cannot be used as policy
├── InspectionError   data without a valid receipt was about to be used
├── ModelError        a model cannot be made, read or trained
├── CodeError         code or packages are not those that a record names
├── BookError         the book cannot be written, read or searched
├── ClaimError        hypotheses.yaml says something that cannot be judged
└── FileError         a file cannot be read or written
"""


def one_line(text: str) -> str:
    """Text with control characters (line breaks, terminal escapes, changes of direction) shown as what they are."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class HerdbookError(Exception):
    """A mistake of the user or a fault of the machine, told in one line."""

    def __str__(self) -> str:
        """The message with what could break the line or steer a terminal escaped: it may quote hostile text."""
        return one_line(super().__str__())


class ParamsError(HerdbookError):
    """params.yaml says something that cannot be run."""


class CorpusError(HerdbookError):
    """The human corpus cannot be read, written or split."""


class PolicyError(HerdbookError):
    """A file of expectations/ cannot be used as policy."""


class InspectionError(HerdbookError):
    """Data without a valid receipt was about to be used."""


class ModelError(HerdbookError):
    """A model cannot be made, read or trained."""


class TeacherError(HerdbookError):
    """A teacher cannot be asked, or gives no usable answer."""


class CodeError(HerdbookError):
    """Code or packages are not those that a record names."""


class BookError(HerdbookError):
    """The book cannot be written, read or searched."""


class ClaimError(HerdbookError):
    """hypotheses.yaml says something that cannot be judged."""


class FileError(HerdbookError):
    """A file cannot be read or written."""
