"""A GGUF on this machine as teacher: llama.cpp in a child process."""
