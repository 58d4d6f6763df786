"""[curate] judges the rows: filters, repairs, duplicates, and the split into train and held out."""
