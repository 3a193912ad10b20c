"""The tabs of the page, one file each: what stands in it, and what happens there."""
