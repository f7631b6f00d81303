"""From a finished run to pages that can be read offline and trusted."""
