"""How a user begins: a folder with a recipe of their own, and seed tasks drafted from their notes."""
