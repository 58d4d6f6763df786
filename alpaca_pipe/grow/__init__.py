"""[grow] a larger LLaMA from a smaller one, before it is trained: by copies, by zero blocks, by a learned map."""
