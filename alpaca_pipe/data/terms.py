"""Whose terms bind what a model wrote: dated, with the place to read them. No advice: it names, it does not judge."""

from __future__ import annotations

from typing import NamedTuple


class Terms(NamedTuple):
    """What a provider's terms said about training other models on outputs, on the day that it was looked up."""

    models: tuple[str, ...]  # beginnings of model names, without their owner
    whose: str
    says: str
    where: str
    checked: str


_TERMS = (
    Terms(("gpt-", "chatgpt", "o1", "o3", "o4", "text-davinci", "davinci"), "OpenAI",
          "output may not be used to develop models that compete with it", "https://openai.com/policies/", "2026-11"),
    Terms(("claude",), "Anthropic", "the service may not be used to train competing models without approval",
          "https://www.anthropic.com/legal/commercial-terms", "2026-11"),
    Terms(("gemini",), "Google", "the service may not be used to develop models that compete with it",
          "https://ai.google.dev/gemini-api/terms", "2026-11"),
    Terms(("llama", "meta-llama"), "Meta", "a model made with outputs has a name that begins with Llama (from version 3.1 on)",
          "https://www.llama.com/license/", "2026-11"),
)


def terms_of(model: str) -> str:
    """One sentence about the terms of a model, by its name."""
    name = model.rsplit("/", 1)[-1].lower()
    found = next((terms for terms in _TERMS if name.startswith(terms.models)), None)
    if found is None:
        return "the terms of this model are not in our table; read its licence and its provider's terms"
    return f"{found.whose}: {found.says} ({found.where}, looked up {found.checked})"
