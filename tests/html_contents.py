"""What a page or a part of one holds, for tests of HTML."""

from html.parser import HTMLParser


class Contents(HTMLParser):
    """The elements and texts of HTML; fails on an element that is not closed, or by the tag of another.

    Attributes
    ----------
    elements : list of (str, dict)
        Tags with their attributes.
    texts : list of str
        Those of all elements but scripts and styles.
    """

    VOID = ("meta", "link", "img", "br", "path")

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        """The texts as they are written."""
        return "".join(self.texts)

    @property
    def words(self):
        """The texts with one space between elements and between words."""
        return " ".join(" ".join(self.texts).split())

    @property
    def tags(self):
        """The tags of the elements."""
        return [tag for tag, _ in self.elements]

    def having(self, attribute):
        """Return the values of an attribute in all elements that have it."""
        return [found[attribute] for _, found in self.elements if attribute in found]
