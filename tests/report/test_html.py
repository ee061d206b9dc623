"""The summary in a notebook."""

from dataclasses import replace
from html.parser import HTMLParser

from jaxmle.report.summary import Summary

from .examples import failed, many, poisson

VOID = {"br"}


class Reader(HTMLParser):
    """Checks that tags are closed in order; collects text, tags and attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_it_says_what_the_text_says():
    page = Reader(Summary(poisson())._repr_html_())
    for item in ("Poisson regression", "20,190 rows", "rate (log link)", "age", "0.0311", "95 % interval", "<1e-16"):
        assert item in page.text
    assert "[0.0215, 0.0408]" in page.text
    assert "✓ optimum proved" in page.text
    assert page.tags.count("table") == 1
    assert page.tags.count("svg") == 3  # the terms, not the positive number


def test_names_are_escaped():
    names = ("rate[Intercept]", "rate[<img src=x onerror=alert(1)>]", "rate[a & b]", 'rate"]')
    bad = replace(poisson(), names=names, title="<script>alert(1)</script>", notes=("<b>note</b>",), fixed=("<i>",))
    page = Reader(Summary(bad)._repr_html_())
    assert not {"script", "img", "i"} & set(page.tags)
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "<b>note</b>" in page.text


def test_nothing_is_fetched_and_no_colour_is_assumed():
    source = Summary(failed(poisson(), "saddle", "No maximum."))._repr_html_()
    page = Reader(source)
    assert not {"src", "href", "class", "id"} & {name for name, _ in page.attributes}
    assert "url(" not in source
    assert "http" not in source
    assert "background:#" not in source
    assert "NOT CONVERGED" in page.text


def test_it_stays_small():
    assert len(Summary(many(5000))._repr_html_()) < 60_000
    assert "4,960 more" in Summary(many(5000))._repr_html_()
