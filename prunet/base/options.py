"""How stages read the options that DVC writes for a block of params.yaml (`${crop}`)."""

# DVC spells `min_size` of params.yaml `--min_size`; a person types `--min-size`.
UNDERSCORES = {"token_normalize_func": lambda name: name.replace("_", "-")}
