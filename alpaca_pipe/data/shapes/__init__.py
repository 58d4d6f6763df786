"""The shapes that a row of instruction data has in the wild: what its keys mean, and which of them belong together."""
