"""How far a classifier is to be believed, from what it has said of some images."""
