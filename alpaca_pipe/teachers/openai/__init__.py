"""OpenAI's dialects over HTTP: chat, legacy completions, their errors and usage."""
