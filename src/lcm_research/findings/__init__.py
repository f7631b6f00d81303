"""Findings, the sentences they are said in, and the one door to a page."""
