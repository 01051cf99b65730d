"""Claims against a settled epoch, for whoever pays the owners out."""
