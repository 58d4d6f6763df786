"""What a model runs on: llama.cpp, `transformers serve` or vLLM, each in a child process at 127.0.0.1."""
