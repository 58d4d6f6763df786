"""Grades by a judge: how they are asked for, read, and used."""
