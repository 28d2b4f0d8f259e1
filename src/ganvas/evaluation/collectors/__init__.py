"""A collector for each kind of evaluation: pairs, two sets without pairs, style, and generated images."""
