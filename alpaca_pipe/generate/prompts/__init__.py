"""What a prompt shows and asks for: sampled seeds, topics, the coverage of what there is so far."""
