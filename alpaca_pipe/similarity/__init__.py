"""How alike two texts are: exact ROUGE-L, for novelty while generating and for duplicates while curating."""
