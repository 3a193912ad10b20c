"""A classifier as something that others talk to: answers for single images, and a page."""
