"""Images in shards, as WebDataset keeps them."""
