"""What a template is: the texts around what is said, and the token that ends an answer."""

from __future__ import annotations

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.fast_dataclass import dataclass


@dataclass(frozen=True)
class Template:
    """The text around messages, as Jinja over `messages`, `bos_token`, `eos_token` and `add_generation_prompt`.

    BOS is not in it: it stands first where the tokenizer itself puts it before a text. says: what it is, for the manual.
    """

    name: str
    says: str
    body: str = ""  # Jinja; empty: the tokenizer's own chat template
    control: tuple[str, ...] = ()  # tokens that it writes, of which the vocabulary must have each
    many_turns: bool = True  # takes more than one exchange
    with_input: str = ""  # of Stanford's: the prompt with {instruction} and {input} ...
    without_input: str = ""  # ... and the one with {instruction} alone
    own: bool = False  # the user's, from a file

    def holds(self, example: Example) -> bool:
        """Whether it has a place for all turns of the row."""
        roles = [one.role for one in example.messages]
        return self.many_turns or not roles or roles == ["user", "assistant"]

    @property
    def is_chat(self) -> bool:
        return not self.body
