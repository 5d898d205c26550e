"""Schemes: one file each, named as in params.yaml. Its SCHEME says what a round's survivors start from."""
