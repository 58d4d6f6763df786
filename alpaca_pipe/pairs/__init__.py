"""[pairs]: preference rows, from answers that a judge compares or from rows that kept a worse answer."""
