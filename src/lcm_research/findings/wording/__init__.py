"""Sentences computed from numbers: one module per analysis, each sentence in English and in Chinese."""
