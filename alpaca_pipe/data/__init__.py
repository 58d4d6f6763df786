"""Rows of instruction data in and out: foreign files, Arrow, the published dataset, dataset and model cards."""
