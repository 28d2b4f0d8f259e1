"""From a request to opened data and networks, for each kind of model; then its collector evaluates."""
