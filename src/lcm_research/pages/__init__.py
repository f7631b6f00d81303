"""The published page: notebooks, findings and manifests become HTML that is safe, accessible and offline."""
