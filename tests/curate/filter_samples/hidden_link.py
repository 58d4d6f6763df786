from __future__ import annotations

from tests.curate.filter_samples.rows import row

DROPS = [
    (
        row("Summarize the article.", "https://news.site/2020/10/the-long-story"),
        "what lies behind 'https://news.site/2020/10/the-long-story' is not here",
    ),
    (
        row("Name the bird.", "Photo: www.birds.site/robin.jpg"),
        "what lies behind 'www.birds.site/robin.jpg' is not here",
    ),
    (
        row("Summarize this page: https://news.site/2020/10/the-long-story"),
        "what lies behind 'https://news.site/2020/10/the-long-story' is not here",
    ),
    (
        row("Rate the layout of this site.", "example.com"),
        "what lies behind 'example.com' is not here",
    ),
]
PASSES = [
    row("Give the domain of this URL.", "https://news.site/2020/10/the-long-story"),
    row("Write Python code that fetches this.", "https://news.site/2020/10/the-long-story"),
    row("What kind of firm is this?", "www.amazon.com"),
    row(
        "Summarize the text below.",
        "See https://news.site/2020/10/story. It tells how the two rivers met in the "
        "valley, and what the people there made of it in the end.",
    ),
    row("Write to this address.", "anna@example.com"),
]
