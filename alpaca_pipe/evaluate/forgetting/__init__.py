"""Small questions that a base answers, to see what a tune forgot: questions.jsonl, our own, CC0."""
