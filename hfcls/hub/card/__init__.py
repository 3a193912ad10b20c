"""Model cards: written from a run; any card checked."""

from hfcls.hub.card.build import README, Card, build_card, is_ours, save_card, seal
from hfcls.hub.card.check import check_card, find_gaps

__all__ = ["README", "Card", "build_card", "check_card", "find_gaps", "is_ours", "save_card", "seal"]
