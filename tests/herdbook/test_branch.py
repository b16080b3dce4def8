from rich.text import Text

from herdbook.branch import Branch


def test_a_tree_is_drawn_a_label_a_line_with_guides():
    top = Branch(Text("a"))
    first = top.add(Text("b"))
    first.add(Text("c"))
    top.add(Text("d")).add(Text("e"))
    assert top.drawn().plain == "a\n├── b\n│   └── c\n└── d\n    └── e"


def test_labels_keep_their_style_and_markup_means_nothing():
    top = Branch(Text("[bold]x[/]"))
    top.add(Text("y", style="red"))
    drawn = top.drawn()
    assert drawn.plain.startswith("[bold]x[/]")
    assert [(span.style, drawn.plain[span.start : span.end]) for span in drawn.spans if span.style == "red"] == [("red", "y")]


def test_a_label_alone_is_a_line():
    assert Branch(Text("a")).drawn().plain == "a"
