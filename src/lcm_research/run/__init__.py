"""Planning a run, carrying it out, and publishing it completely or not at all."""
