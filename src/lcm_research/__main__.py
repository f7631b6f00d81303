"""``python -m lcm_research`` is ``lcm``."""

from lcm_research.cli import main

main()
