"""How customers move between the stages of the lifecycle, as a Markov chain in discrete time."""
