"""The report's figures: one file a kind, each function returns one SVG string.

The SVG holds no colour of its own apart from the pictures of large matrices: everything is a CSS variable of the page
(see `hfcls.pages.palette`), so that one figure serves the light and the dark theme. All text is escaped.
"""
