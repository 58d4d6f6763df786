"""[train] LoRA or full tuning on rows that we tokenised and masked, and the same with shuffled answers as control."""
