"""Networks that more than one method uses; a network of one method lives in that method's file."""
