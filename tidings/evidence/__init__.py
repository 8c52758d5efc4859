"""Evidence packs: everything on a customer for who must judge it, in a zip that proves itself."""
