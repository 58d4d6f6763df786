"""A merged checkpoint as GGUF files for llama.cpp and Ollama, and the proof that they are the model that was trained."""
