"""Who gets what: matching, what it proves, and pools whose market could not be solved."""
