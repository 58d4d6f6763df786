"""[pack] one file that carries a recipe, its sealed steps and a share of its budget to another machine, and the results back."""
