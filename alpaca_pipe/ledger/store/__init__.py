"""The journal in SQLite: entries, migrations, the one writer, the merging of two ledgers."""
