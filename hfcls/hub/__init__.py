"""What is published: the model card, the repository, the Space."""
