"""Publishing: the card, what goes with it, and the push."""
