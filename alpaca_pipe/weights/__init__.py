"""Where a model comes from: known weights, a GGUF file, a folder, a hub id; known by content, kept in the cache."""
