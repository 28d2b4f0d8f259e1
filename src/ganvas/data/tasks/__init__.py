"""Tasks: pairs made from single images."""
