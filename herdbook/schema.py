"""The columns of every table, spelled once."""

import pyarrow as pa

CORPUS = pa.schema(
    [
        ("id", pa.string()),  # sha256 of the text, hex
        ("title", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("url", pa.string()),
    ]
)

# A row is what a model trains on: one block of tokens, written by a person or by a model.
ROWS = pa.schema(
    [
        ("id", pa.string()),  # sha256 over all that identifies the row (rows.row_id), hex
        ("generation", pa.int32()),  # of the model that wrote it; 0 with a null `model` is human
        ("model", pa.string()),  # digest of the model that wrote it; null for human text
        ("document", pa.string()),  # corpus id of the text, or of the prompt (which has it from its own prompt); null when unprompted
        ("prompt", pa.string()),  # id of the row, human or of the model's training set, that it begins from; null if none
        ("index", pa.int32()),  # place among the blocks of a human text, or among the draws of a model
        ("depth", pa.float64()),  # model passes between the row and a person
        ("tokens", pa.list_(pa.int32())),
        ("num_tokens", pa.int32()),
        ("text", pa.string()),  # the tokens decoded, special tokens left out
        ("nll_nats", pa.float64()),  # mean nats per token under the founder; null until scored
    ]
)

# What a model trains on: a row that a mixture reads more than once stands once a pass.
TRAINING = ROWS.append(pa.field("pass", pa.int32()))

REJECTED = ROWS.append(pa.field("reason", pa.string()))

# What steps of a recipe did to rows, in the order in which they did it.
HANDS = pa.schema(
    [
        ("id", pa.string()),  # of the row that the step wrote or chose
        ("step", pa.string()),  # its name in the recipe
        ("parents", pa.list_(pa.string())),  # ids of the rows that it was made of: offspring, human rows, or rows of an earlier hand
        ("by", pa.string()),  # who: digest of a model, name of a teacher, or the program that chose
        ("note", pa.string()),  # what was done, or the text between two hands; hostile, as all text of models is
    ]
)
